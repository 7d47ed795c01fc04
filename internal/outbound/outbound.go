// Package outbound is the only door out: address rules, time limits, a record of every call.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"tocsin"
)

// Options say whom a client may call and how much it takes from them. With the
// zero value it may call any host at public addresses, over TLS.
type Options struct {
	// Only is the one server that may be called, at whatever address: one that
	// a person named. Its scheme, host and port count. nil: any server.
	Only *url.URL
	// Allow are addresses that may be called although they are not public, for
	// a client without Only.
	Allow []netip.Prefix
	// Plaintext allows HTTP without TLS to other machines. To loopback it is
	// allowed anyway, if the address is.
	Plaintext bool
	// CAFile is a PEM file of authorities to trust besides the system's; ""
	// adds none.
	CAFile string
	// Timeout is how long a call may take, its body included; one minute when
	// zero. A call that accepts text/event-stream may last, but may not be
	// quiet for longer than this.
	Timeout time.Duration
	// MaxBytes is how much of an answer is read, decompressed; 64 MiB when
	// zero. What lasts is not bounded: whoever reads it bounds its parts.
	MaxBytes int64
	// Log gets one event for each call: host, method, status and time, but
	// never path, query, header or body. nil: none.
	Log *slog.Logger
}

// The limits that apply when an option is zero.
const (
	defaultTimeout  = time.Minute
	defaultMaxBytes = 64 << 20
	dialTimeout     = 10 * time.Second
	mostRedirects   = 3
)

// New returns a client that keeps to the options. It follows redirects only to
// the same server and without credentials, knows no proxies, and uses TLS 1.2
// at least.
func New(o Options) (*http.Client, error) {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	roots, err := authorities(o.CAFile)
	if err != nil {
		return nil, err
	}
	d := &door{Options: o}
	d.secure = d.transport(true)
	d.secure.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	d.secure.ForceAttemptHTTP2 = true // a dialer of our own would turn it off
	d.plain = d.transport(false)
	return &http.Client{Transport: d, CheckRedirect: redirect}, nil
}

// authorities returns whom to trust, nil for the system's authorities.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca file: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "the file of certificate authorities holds none", Hint: "it must be a PEM file with CERTIFICATE blocks"}
	}
	return roots, nil
}

// redirect refuses to be sent to another server, and keeps what proves who we
// are for those to whom it was meant to go (CVE-2024-45336 shows why).
func redirect(r *http.Request, via []*http.Request) error {
	if len(via) > mostRedirects {
		return &tocsin.Error{Kind: tocsin.Invalid, Message: "the server redirects in circles", Hint: "check the address"}
	}
	if !sameServer(r.URL, via[0].URL) {
		return &tocsin.Error{Kind: tocsin.Forbidden, Message: "the server redirects to another one, which is not followed", Hint: "if you trust the other server, give its address"}
	}
	r.Header.Del("Authorization")
	r.Header.Del("Cookie")
	return nil
}

// sameServer reports whether two URLs have the same scheme, host and port.
func sameServer(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

// A door lets calls out and writes them down.
type door struct {
	Options

	plain, secure *http.Transport // apart, because a dialer is not told which it dials for
}

func (d *door) transport(secure bool) *http.Transport {
	dialer := &net.Dialer{
		Timeout: dialTimeout,
		// The address that is dialed is checked, not the name: a name can mean
		// one address when it is looked up and another a moment later.
		Control: func(_, address string, _ syscall.RawConn) error { return d.mayDial(address, secure) },
	}
	return &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: dialTimeout, IdleConnTimeout: 90 * time.Second,
		MaxIdleConns: 100, MaxIdleConnsPerHost: 16, MaxResponseHeaderBytes: 64 << 10, ExpectContinueTimeout: time.Second,
	}
}

// mayDial refuses addresses that may not be called.
func (d *door) mayDial(address string, secure bool) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dialed address: %w", err)
	}
	to := at.Addr().Unmap().WithZone("")
	if !secure && !d.Plaintext && !to.IsLoopback() {
		return &tocsin.Error{Kind: tocsin.Forbidden, Clause: "TAXII 2.1 §8.3", Message: "HTTP without TLS is for this machine only", Hint: "use https"}
	}
	if d.Only != nil || public(to) {
		return nil
	}
	for _, p := range d.Allow {
		if p.Contains(to) {
			return nil
		}
	}
	return &tocsin.Error{Kind: tocsin.Forbidden, Message: "the address is not a public one, and calls to it are not allowed", Hint: "allow its network in the configuration if it is meant"}
}

// RoundTrip makes one call, within its limits, and writes it down.
func (d *door) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	res, err := d.pass(r)
	attrs := []slog.Attr{slog.String("host", r.URL.Host), slog.String("method", r.Method), slog.Int64("ms", time.Since(began).Milliseconds())}
	if err != nil {
		attrs = append(attrs, slog.String("cause", Explain(err).Error()))
		d.Log.LogAttrs(r.Context(), slog.LevelWarn, "call", attrs...)
		return nil, err
	}
	d.Log.LogAttrs(r.Context(), slog.LevelInfo, "call", append(attrs, slog.Int("status", res.StatusCode))...)
	return res, nil
}

func (d *door) pass(r *http.Request) (*http.Response, error) {
	if d.Only != nil && !sameServer(d.Only, r.URL) {
		closeBody(r)
		return nil, &tocsin.Error{Kind: tocsin.Forbidden, Message: "this leads to another server than the one that was named", Hint: "give the address by which the server calls itself"}
	}
	transport := d.plain
	if r.URL.Scheme == "https" {
		transport = d.secure
	}
	lasts := strings.Contains(r.Header.Get("Accept"), "text/event-stream")
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(d.Timeout, func() { cancel(errTime) })
	res, err := transport.RoundTrip(compressible(r.WithContext(ctx), lasts))
	if err != nil {
		timer.Stop()
		err = inTime(ctx, err)
		cancel(nil)
		return nil, err
	}
	if !lasts {
		decode(res)
	}
	b := &body{ReadCloser: res.Body, ctx: func() error { return context.Cause(ctx) }, left: d.MaxBytes}
	if lasts {
		b.moved = func() { timer.Reset(d.Timeout) }
		b.left = 1<<63 - 1
	}
	b.end = sync.OnceFunc(func() {
		timer.Stop()
		cancel(nil)
	})
	res.Body = b
	return res, nil
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // a RoundTripper closes it, even when it fails
	}
}

// errTime is why a call that took too long is given up.
var errTime = errors.New("no answer in time")

// inTime puts the time limit in the place of what it caused.
func inTime(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errTime) {
		return errTime
	}
	return err
}

// A body is an answer's body that ends when its time or its bytes run out.
type body struct {
	io.ReadCloser

	ctx   func() error // why the call was given up, if it was
	left  int64        // bytes that may still be read
	moved func()       // nil unless the call may last as long as something comes
	end   func()       // releases what watches over the call
}

// Read reads, and refuses to read more than the limit.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.moved != nil && n > 0 {
		b.moved()
	}
	if b.left -= int64(n); b.left < 0 {
		return 0, &tocsin.Error{Kind: tocsin.TooLarge, Message: "the server's answer is larger than is read", Hint: "ask for less at once"}
	}
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(b.ctx(), errTime) {
		return n, errTime
	}
	return n, err //nolint:wrapcheck // the reader's own error
}

// Close ends the call.
func (b *body) Close() error {
	defer b.end()
	return b.ReadCloser.Close() //nolint:wrapcheck // the closer's own error
}
