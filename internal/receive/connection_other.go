//go:build !linux

package receive

import (
	"errors"
	"net"
)

// limitUnsent does nothing: the system knows no such limit.
func limitUnsent(*net.TCPConn) {}

// sendFile is not tried, because no text lies in a file here.
func (*connection) sendFile(*whole) (int64, error) { return 0, errors.ErrUnsupported }
