package coding

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// smallest is the length from which compression is tried, in bytes: below it an
// answer fits into one packet anyway.
const smallest = 1024

// A Compressor compresses. It keeps the memory that this takes, a few MiB, for
// the next time. The zero value is ready; it is safe for concurrent use and
// must not be copied.
type Compressor struct {
	gzip, zstd sync.Pool
	copies     copies
}

// A Text is the content of an answer, in the codings that somebody asked for.
// It is safe for concurrent use.
type Text struct {
	forms      [codings]form
	compressor *Compressor
	grown      func(bytes int)
}

// A form is a text in one coding.
type form struct {
	once  sync.Once
	bytes []byte // nil when this coding makes it no smaller
	tag   string
	asked atomic.Int32 // for a copy, while there is none
	copy  atomic.Pointer[copied]
}

// Text returns a text, which is not copied and must not change any more. grown,
// unless it is nil, is told how much memory a coding took when it was made.
func (c *Compressor) Text(content []byte, grown func(bytes int)) *Text {
	return c.Summed(content, sha256.Sum256(content), grown)
}

// Summed is [Compressor.Text] of a content that a sum stands for, which is
// cryptographic and was made of all that the content was made of: hashing it
// again would take longer than writing it did.
func (c *Compressor) Summed(content []byte, sum [sha256.Size]byte, grown func(bytes int)) *Text {
	t := &Text{compressor: c, grown: grown}
	t.forms[Identity].bytes = content
	t.forms[Identity].tag = `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	return t
}

// Len returns the length of the content as it is, in bytes.
func (t *Text) Len() int { return len(t.forms[Identity].bytes) }

// In returns the text in a coding, and the coding that it is in after all: what
// does not become smaller stays as it is. It compresses once; whoever asks
// meanwhile waits. The bytes must not be changed.
func (t *Text) In(c Coding) ([]byte, Coding) {
	if c == Identity || t.Len() < smallest {
		return t.forms[Identity].bytes, Identity
	}
	f := &t.forms[c]
	f.once.Do(func() { t.make(c) })
	if f.bytes == nil {
		return t.forms[Identity].bytes, Identity
	}
	return f.bytes, c
}

// Tag returns the strong entity tag of the text in the coding that [Text.In]
// gave: of the bytes, so that it means the same after a restart and at every
// replica, and another one for each coding (RFC 9110 §8.8.3.3).
func (t *Text) Tag(c Coding) string { return t.forms[c].tag }

func (t *Text) make(c Coding) {
	f := &t.forms[c]
	plain := &t.forms[Identity]
	out := t.compressor.compress(c, plain.bytes)
	if len(out) >= len(plain.bytes) {
		return
	}
	f.bytes = bytes.Clone(out) // in no more memory than it needs
	f.tag = plain.tag[:len(plain.tag)-1] + "-" + c.String() + `"`
	if t.grown != nil {
		t.grown(len(f.bytes))
	}
}

func (c *Compressor) compress(to Coding, text []byte) []byte {
	if to == Zstd {
		e, _ := c.zstd.Get().(*zstd.Encoder)
		if e == nil {
			// No option can be refused. A window of 8 MiB is what every browser takes (RFC 9659).
			e, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20), zstd.WithEncoderLevel(zstd.SpeedDefault))
		}
		defer c.zstd.Put(e)
		return e.EncodeAll(text, make([]byte, 0, len(text)/4))
	}
	var out bytes.Buffer
	z, _ := c.gzip.Get().(*gzip.Writer)
	if z == nil {
		z = gzip.NewWriter(&out)
	} else {
		z.Reset(&out)
	}
	defer c.gzip.Put(z)
	_, _ = z.Write(text) // a buffer takes everything
	_ = z.Close()
	return out.Bytes()
}
