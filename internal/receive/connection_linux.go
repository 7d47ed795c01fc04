package receive

import (
	"errors"
	"io"
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

// sendFile sends what is held back and the rest of a text that lies in a file,
// which the system does not copy. It returns how much it sent of the text, 0 and
// an error when it can be sent in another way still: then what was not sent of
// what is held back is still there.
func (c *connection) sendFile(w *whole) (sent int64, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err //nolint:wrapcheck // this is the connection
	}
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		for len(c.held) > 0 {
			n, err := unix.SendmsgN(int(fd), c.held, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			case errors.Is(err, unix.EAGAIN):
				return false
			case err != nil:
				failed = err
				return true
			}
			c.held = append(c.held[:0], c.held[n:]...)
		}
		for w.at < len(w.text) {
			offset := w.file.Offset + int64(w.at)
			n, err := unix.Sendfile(int(fd), w.file.Descriptor, &offset, len(w.text)-w.at)
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			case errors.Is(err, unix.EAGAIN):
				return false
			case err != nil:
				failed = err
				return true
			case n == 0: // not in the file
				failed = io.ErrUnexpectedEOF
				return true
			}
			w.at += n
			sent += int64(n)
		}
		return true
	})
	if err == nil {
		err = failed
	}
	return sent, err //nolint:wrapcheck // this is the connection
}
