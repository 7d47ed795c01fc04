package receive

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"

	"tocsin/internal/coding"
)

// connectionKey is where the connection of a request stands in its context,
// because net/http tells handlers of it in no other way.
type connectionKey struct{}

// ConnContext is for http.Server: it lets [Unbuffered] find the connection.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, c)
}

// Unbuffered keeps the system from holding much for the connection of a request
// that its other side does not read: megabytes for each, otherwise, of which no
// limit of the hub's would know. Where the system knows no such limit it does
// nothing.
func Unbuffered(r *http.Request) {
	c, _ := r.Context().Value(connectionKey{}).(net.Conn)
	if wrapped, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		c = wrapped.NetConn()
	}
	if ours, ok := c.(*connection); ok {
		limitUnsent(ours.TCPConn)
	}
}

// Whole returns a listener for http.Server, whose connections can send an
// answer as a whole: net/http writes its head and its content apart, each of
// which wakes the client.
func Whole(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		return &connection{TCPConn: tcp}, nil
	}
	return c, err //nolint:wrapcheck // net/http looks at it
}

// A connection can hold back what is written until the rest comes. One
// goroutine at a time writes to it: that of the request, in HTTP/1.1.
type connection struct {
	*net.TCPConn

	holds bool // what is written next is held back
	held  []byte
}

// Write writes, or holds back what is written.
func (c *connection) Write(b []byte) (int, error) {
	if !c.holds {
		return c.TCPConn.Write(b) //nolint:wrapcheck // this is the connection
	}
	c.held = append(c.held, b...)
	return len(b), nil
}

// ReadFrom writes what a reader has. Of a [whole] it does so at once, together
// with what was held back.
func (c *connection) ReadFrom(r io.Reader) (int64, error) {
	w, ok := r.(*whole)
	if !ok {
		if err := c.release(); err != nil {
			return 0, err
		}
		return c.TCPConn.ReadFrom(r) //nolint:wrapcheck // this is the connection
	}
	c.holds = false
	if w.inFile {
		n, err := c.sendFile(w)
		if n > 0 || err == nil {
			return n, err
		}
	}
	rest := w.text[w.at:]
	pieces := net.Buffers{c.held, rest}
	n, err := pieces.WriteTo(c.TCPConn)
	n = max(0, n-int64(len(c.held)))
	w.at += int(n)
	c.held = c.held[:0]
	return n, err //nolint:wrapcheck // this is the connection
}

// release writes what is held back still.
func (c *connection) release() error {
	c.holds = false
	if len(c.held) == 0 {
		return nil
	}
	_, err := c.TCPConn.Write(c.held)
	c.held = c.held[:0]
	return err //nolint:wrapcheck // this is the connection
}

// A whole is the content of an answer, all of which is there.
type whole struct {
	text   []byte
	at     int // what was read
	file   coding.File
	inFile bool
}

// Read reads, as net/http does for the first few bytes.
func (w *whole) Read(b []byte) (int, error) {
	if w.at == len(w.text) {
		return 0, io.EOF
	}
	n := copy(b, w.text[w.at:])
	w.at += n
	return n, nil
}

// leastWhole is the length from which net/http writes content apart from the
// head, in bytes.
const leastWhole = 2048

// send writes the content of an answer whose head has been made, with the head
// if that is possible.
func (w *response) send(text *coding.Text, body []byte, as coding.Coding) {
	to, ok := w.ResponseWriter.(io.ReaderFrom)
	c, ours := w.request.Context().Value(connectionKey{}).(*connection)
	if !ok || !ours || len(body) < leastWhole || w.request.Method == http.MethodHead || w.request.ProtoMajor != 1 {
		_, _ = w.Write(body) // a client that is gone by now needs none
		return
	}
	from := &whole{text: body}
	from.file, from.inFile = text.File(as)
	c.holds = true
	n, _ := to.ReadFrom(from)
	_ = c.release()
	w.bytes += n
	runtime.KeepAlive(text) // and with it its place in the file
}
