package outbound

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/zstd"

	"tocsin"
)

// encodings are what an answer may be compressed with, in the order in which
// they are liked.
const encodings = "zstd, gzip"

// mostWindow bounds what a zstd decoder holds: RFC 9659 lets a server of HTTP
// use no more than 8 MiB.
const mostWindow = 8 << 20

// compressible returns the request that asks for compression as well, or r
// itself where it makes no sense: for ranges, streams, and callers that ask for
// their own.
func compressible(r *http.Request, lasts bool) *http.Request {
	if lasts || r.Method == http.MethodHead || r.Header.Get("Range") != "" || r.Header.Get("Accept-Encoding") != "" {
		return r
	}
	asked := r.Clone(r.Context()) // a RoundTripper leaves its request alone
	asked.Header.Set("Accept-Encoding", encodings)
	return asked
}

// decode takes the compression off an answer that was asked for compressed.
// What comes out is bounded by whoever reads it.
func decode(res *http.Response) {
	encoding := strings.ToLower(strings.TrimSpace(res.Header.Get("Content-Encoding")))
	var open func(io.Reader) (io.ReadCloser, error)
	switch encoding {
	case "gzip", "x-gzip":
		open = func(r io.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }
	case "zstd":
		open = func(r io.Reader) (io.ReadCloser, error) {
			d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(mostWindow))
			if err != nil {
				return nil, err //nolint:wrapcheck // decoded.Read explains it
			}
			return d.IOReadCloser(), nil
		}
	default:
		return
	}
	res.Header.Del("Content-Encoding")
	res.Header.Del("Content-Length")
	res.ContentLength, res.Uncompressed = -1, true
	res.Body = &decoded{wire: &source{ReadCloser: res.Body}, open: open}
}

// A decoded body begins to read when it is read: not every answer is.
type decoded struct {
	wire  *source
	open  func(io.Reader) (io.ReadCloser, error)
	plain io.ReadCloser
}

// Read returns what the body says without compression.
func (d *decoded) Read(p []byte) (int, error) {
	if d.plain == nil {
		plain, err := d.open(d.wire)
		if err != nil {
			return 0, d.explain()
		}
		d.plain = plain
	}
	n, err := d.plain.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = d.explain()
	}
	return n, err //nolint:wrapcheck // the reader's own error
}

// explain tells a damaged answer from a connection that broke.
func (d *decoded) explain() error {
	if d.wire.broke != nil {
		return d.wire.broke
	}
	return &tocsin.Error{Kind: tocsin.Invalid, Message: "the server's answer is compressed, and damaged", Hint: "try again; tell the server's operator if it happens often"}
}

// Close closes both.
func (d *decoded) Close() error {
	if d.plain != nil {
		_ = d.plain.Close() // it holds nothing but memory
	}
	return d.wire.Close()
}

// A source remembers why the wire broke.
type source struct {
	io.ReadCloser

	broke error
}

// Read reads the wire.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.broke = err
	}
	return n, err //nolint:wrapcheck // the reader's own error
}
