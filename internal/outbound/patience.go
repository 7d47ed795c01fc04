package outbound

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tocsin"
)

// A Backoff says how long to wait before a next try: twice as long each time,
// less up to half by chance, so that those who were cut off together do not
// come back together.
type Backoff struct {
	Least, Most time.Duration
	tries       int
}

// Next returns the next wait: between half of the step and all of it.
func (b *Backoff) Next() time.Duration {
	step := b.Least
	for range b.tries {
		if step *= 2; step >= b.Most {
			break
		}
	}
	b.tries++
	return jitter(min(step, b.Most))
}

// Reset begins anew, after a success.
func (b *Backoff) Reset() { b.tries = 0 }

// jitter returns a duration between half of d and d.
func jitter(d time.Duration) time.Duration {
	var r [4]byte
	_, _ = rand.Read(r[:]) // never fails (crypto/rand)
	return d/2 + time.Duration(float64(d/2)*float64(binary.BigEndian.Uint32(r[:]))/(1<<32))
}

// Wait waits, or returns the context's error when that ends first.
func Wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// longestWait is the longest that a server may make a caller wait between two
// tries. Whoever is told to wait longer has something better to do.
const longestWait = 2 * time.Minute

// Do makes a call, and makes it again, up to so many tries in all, when the
// server says that it is busy (429, 502, 503, 504): when Retry-After says, or
// after 0.5, 1, 2 … seconds. The body must be one that net/http can send again
// (http.Request.GetBody). It returns the last answer, whatever its status. An
// error is a [*tocsin.Error] for people, or the context's; it holds no URL.
func Do(client *http.Client, r *http.Request, tries int) (*http.Response, error) {
	backoff := Backoff{Least: 500 * time.Millisecond, Most: 30 * time.Second}
	for try := 1; ; try++ {
		res, err := client.Do(r) //nolint:gosec // the client's dialer checks every address that is dialed
		if err != nil {
			if r.Context().Err() != nil {
				return nil, r.Context().Err() //nolint:wrapcheck // callers compare it
			}
			return nil, Explain(err)
		}
		if !busy(res.StatusCode) || try >= tries {
			return res, nil
		}
		wait := backoff.Next()
		if asked, ok := retryAfter(res); ok {
			wait = asked + jitter(time.Second)
		}
		if wait > longestWait {
			return res, nil
		}
		_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
		_ = res.Body.Close()                          // it is not the answer
		if err := Wait(r.Context(), wait); err != nil {
			return nil, err
		}
		if r.GetBody != nil {
			body, err := r.GetBody()
			if err != nil {
				return nil, Explain(err)
			}
			r.Body = body
		}
	}
}

func busy(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter reads the header in both its forms (RFC 9110 §10.2.3).
func retryAfter(res *http.Response) (time.Duration, bool) {
	text := res.Header.Get("Retry-After")
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second, true
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(time.Until(at), 0), true
	}
	return 0, false
}

// Explain turns what went wrong on the way to a server into an error for
// people. It holds no URL, because a query may hold what nobody else should
// read.
func Explain(err error) *tocsin.Error {
	if e, ok := errors.AsType[*tocsin.Error](err); ok {
		return e
	}
	if errors.Is(err, errTime) || errors.Is(err, context.DeadlineExceeded) {
		return &tocsin.Error{Kind: tocsin.Busy, Message: "the server did not answer in time", Hint: "try again later"}
	}
	if untrusted(err) {
		return &tocsin.Error{
			Kind: tocsin.Invalid, Message: "the server's certificate is not trusted: " + innermost(err).Error(),
			Hint: "check the address; a private authority's certificate can be given as a CA file",
		}
	}
	cause := innermost(err)
	text := cause.Error()
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		text = dns.Err
	}
	return &tocsin.Error{Kind: tocsin.Busy, Message: "the server cannot be reached: " + text, Hint: "is the address right, and does the server run?"}
}

func untrusted(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, otherName := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return unknown || otherName || invalid
}

// innermost returns the first cause, without the URLs and addresses that those
// around it add.
func innermost(err error) error {
	for {
		if u, ok := err.(*url.Error); ok { //nolint:errorlint // the chain is walked here
			err = u.Err
			continue
		}
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// KindOf is the kind of refusal that an HTTP status stands for.
func KindOf(status int) tocsin.Kind {
	switch status {
	case http.StatusUnauthorized:
		return tocsin.Unauthenticated
	case http.StatusForbidden:
		return tocsin.Forbidden
	case http.StatusNotFound, http.StatusGone:
		return tocsin.NotFound
	case http.StatusNotAcceptable:
		return tocsin.NotAcceptable
	case http.StatusConflict:
		return tocsin.Conflict
	case http.StatusRequestEntityTooLarge:
		return tocsin.TooLarge
	case http.StatusUnsupportedMediaType:
		return tocsin.Unsupported
	case http.StatusUnprocessableEntity:
		return tocsin.Invalid
	case http.StatusTooManyRequests:
		return tocsin.TooMany
	}
	if status >= http.StatusInternalServerError {
		return tocsin.Busy
	}
	return tocsin.Malformed
}
