// Package logs reads log files of the usual formats and says which field of an event a place is in.
package logs

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"tocsin"
	"tocsin/internal/capture"
)

const (
	chunkBytes = 256 << 10 // it is still in the cache of the processor that looks through it
	// longestLine is how much of a line without an end is read at a time. The
	// next piece begins at a place where no word is cut.
	longestLine = 4 << 20
	zstdMemory  = 256 << 20 // what a window may take
	spares      = 16        // how many texts that were given back are kept
)

// A Source is a log that is being read.
type Source struct {
	Format Format
	r      io.Reader
	rest   []byte // what was read behind the last end of a line
	offset int64
	header []byte // the newest line that names fields
	end    error
	closer func()
	spare  chan []byte // see Release
}

// A Chunk is some whole lines of a log.
type Chunk struct {
	Text   []byte
	Offset int64  // of the text in the log, decompressed
	Header []byte // the line before it that names the fields, if the format has one
}

// NewSource begins to read a log. What is compressed with gzip, zstd or xz is
// decompressed, and a capture is read as lines, whatever its name. It fails when the beginning cannot be read.
func NewSource(r io.Reader) (*Source, error) {
	s := &Source{closer: func() {}, spare: make(chan []byte, spares)}
	b := bufio.NewReaderSize(r, 64<<10)
	plain, err := s.decompress(b)
	if err != nil {
		return nil, err
	}
	if s.r, err = s.unpack(plain); err != nil {
		return nil, err
	}
	first, err := s.read(nil)
	if err != nil && !errors.Is(err, io.EOF) && len(first) == 0 {
		return nil, cut(err)
	}
	s.end = err
	if s.Format != Capture {
		s.Format = Detect(first)
	}
	s.rest = first
	return s, nil
}

// Close gives back what decompressing takes.
func (s *Source) Close() { s.closer() }

func (s *Source) decompress(b *bufio.Reader) (io.Reader, error) {
	magic, err := b.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read: %w", err)
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, cut(err)
		}
		return z, nil
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderMaxMemory(zstdMemory), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, cut(err)
		}
		s.closer = z.Close
		return z, nil
	case bytes.HasPrefix(magic, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		z, err := xz.NewReader(b)
		if err != nil {
			return nil, cut(err)
		}
		return z, nil
	}
	return b, nil
}

// unpack has a capture of packets be read as lines.
func (s *Source) unpack(r io.Reader) (io.Reader, error) {
	b, ok := r.(*bufio.Reader)
	if !ok {
		b = bufio.NewReaderSize(r, 64<<10)
	}
	magic, err := b.Peek(4)
	if err != nil || !capture.Is(magic) { // an error is the reader's to tell of
		return b, nil //nolint:nilerr // it comes again
	}
	packets, err := capture.NewReader(b)
	if err != nil {
		return nil, cut(err)
	}
	s.Format = Capture
	return packets, nil
}

// cut says that a log ends where it should not.
func cut(err error) error {
	return &tocsin.Error{Kind: tocsin.Malformed, Message: "the file is damaged or was cut off: " + err.Error(), Hint: "copy it again; what stands before that place was read"}
}

// read reads until there is a chunk, behind what was read before.
func (s *Source) read(text []byte) ([]byte, error) {
	if cap(text) < len(text)+chunkBytes {
		text = append(s.room(len(text)+chunkBytes), text...)
	}
	for len(text) < cap(text) {
		n, err := s.r.Read(text[len(text):cap(text)])
		text = text[:len(text)+n]
		if err != nil {
			return text, err //nolint:wrapcheck // cut says what it means
		}
	}
	return text, nil
}

// room returns memory for so many bytes.
func (s *Source) room(n int) []byte {
	select {
	case b := <-s.spare:
		if cap(b) >= n {
			return b[:0]
		}
	default:
	}
	return make([]byte, 0, n+chunkBytes/16) // the next rest may be longer
}

// Release gives back a chunk that nobody looks at any more, so that its memory
// is read into again. It may be called from another goroutine than [Source.Next].
func (s *Source) Release(c Chunk) {
	if cap(c.Text) > 2*chunkBytes { // one long line is no reason to keep that
		return
	}
	select {
	case s.spare <- c.Text[:0]:
	default:
	}
}

// Next returns the next chunk, io.EOF when there is none. After an error it
// has returned all that could be read.
func (s *Source) Next() (Chunk, error) {
	for {
		text := s.rest
		end := bytes.LastIndexByte(text, '\n') + 1
		if end == 0 && len(text) >= longestLine {
			end = Cut(text)
		}
		if s.end != nil {
			end = len(text)
		}
		if end > 0 {
			c := Chunk{Text: text[:end], Offset: s.offset, Header: s.header}
			s.offset += int64(end)
			s.rest = bytes.Clone(text[end:])
			s.note(c.Text)
			return c, nil
		}
		if s.end != nil {
			if errors.Is(s.end, io.EOF) {
				return Chunk{}, io.EOF
			}
			return Chunk{}, cut(s.end)
		}
		s.rest, s.end = s.read(text)
	}
}

// Cut returns where a text without an end of a line may be cut so that no word
// is; if that is not in its second half, its end.
func Cut(text []byte) int {
	for end := len(text); end > len(text)/2; end-- {
		if !isWord(text[end-1]) {
			return end
		}
	}
	return len(text)
}

// isWord reports whether a byte can be part of what is looked for.
func isWord(c byte) bool {
	return c >= 0x80 || c >= '0' && c <= ':' || c >= '@' && c <= 'Z' || c >= 'a' && c <= 'z' || bytes.IndexByte([]byte("-._/%?&=+~"), c) >= 0
}

// note remembers the newest line that names fields.
func (s *Source) note(text []byte) {
	switch s.Format {
	case ZeekTSV, W3C:
		if h := lastHeader(text, s.Format); h != nil {
			s.header = bytes.Clone(h)
		}
	case CSV:
		if s.header == nil {
			line, _, _ := bytes.Cut(text, []byte{'\n'})
			s.header = bytes.Clone(line)
		}
	case Text, JSON, CEF, LEEF, Syslog, Access, WindowsXML, Capture:
	}
}

// Header returns the line that names the fields of what follows a text, which
// itself follows another such line.
func Header(f Format, text, before []byte) []byte {
	switch f {
	case ZeekTSV, W3C:
		if h := lastHeader(text, f); h != nil {
			return h
		}
	case CSV:
		if before == nil && len(text) > 0 {
			line, _, _ := bytes.Cut(text, []byte{'\n'})
			return line
		}
	case Text, JSON, CEF, LEEF, Syslog, Access, WindowsXML, Capture:
	}
	return before
}

// lastHeader returns the last line of a text that names fields, nil when there
// is none.
func lastHeader(text []byte, f Format) []byte {
	mark := []byte("#fields")
	if f == W3C {
		mark = []byte("#Fields:")
	}
	// Forwards: bytes.LastIndex looks at every byte by itself.
	var found []byte
	for at := 0; ; {
		i := bytes.Index(text[at:], mark)
		if i < 0 {
			return found
		}
		i += at
		at = i + len(mark)
		if i == 0 || text[i-1] == '\n' {
			line, _, _ := bytes.Cut(text[i:], []byte{'\n'})
			found = bytes.TrimSuffix(line, []byte{'\r'})
		}
	}
}
