package receive

import (
	"net"

	"golang.org/x/sys/unix"
)

// mostUnsent is how much of what was written may wait in the system, in bytes.
const mostUnsent = 16 << 10

// limitUnsent limits what was written and not yet sent. What is on its way is
// not limited, so a reader that is far away is as fast as before.
func limitUnsent(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, mostUnsent) // no harm without it
	})
}
