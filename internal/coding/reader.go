package coding

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// ErrTooLarge means that a body is larger decompressed than it may be.
var ErrTooLarge = errors.New("the body is too large when it is decompressed")

// largestWindow bounds what a zstd body may make the hub remember, in bytes:
// what RFC 9659 lets a sender of the content coding use.
const largestWindow = 8 << 20

// Reader decompresses a body of at most max bytes, decompressed: reading more
// fails with [ErrTooLarge], so that a bomb costs no more than an honest body.
// Whoever reads closes it, which leaves the body itself open.
func Reader(c Coding, body io.Reader, max int64) (io.ReadCloser, error) {
	switch c {
	case Gzip:
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return &bounded{z, z.Close, max}, nil
	case Zstd:
		z, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(largestWindow), zstd.WithDecoderMaxMemory(uint64(max)+largestWindow))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return &bounded{z, func() error { z.Close(); return nil }, max}, nil
	case Identity, codings:
	}
	return &bounded{body, func() error { return nil }, max}, nil
}

// Compressed reports whether text begins like something that was compressed,
// as the inside of a body does that was compressed twice.
func Compressed(text []byte) bool {
	gzip := len(text) >= 2 && text[0] == 0x1f && text[1] == 0x8b
	zstd := len(text) >= 4 && text[0] == 0x28 && text[1] == 0xb5 && text[2] == 0x2f && text[3] == 0xfd
	return gzip || zstd
}

type bounded struct {
	from  io.Reader
	close func() error
	left  int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
		err = ErrTooLarge // a frame that says itself how large it is
	}
	return n, err //nolint:wrapcheck // io.EOF as it is
}

func (b *bounded) Close() error { return b.close() }
