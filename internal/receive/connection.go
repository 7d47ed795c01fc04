package receive

import (
	"context"
	"net"
	"net/http"
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
	if tcp, ok := c.(*net.TCPConn); ok {
		limitUnsent(tcp)
	}
}
