package cli

import (
	"errors"
	"io"
	"strconv"

	"tocsin/stix"
)

// A splitter takes the objects out of JSON text of any size, one at a time: of
// bundles and envelopes, which have a list named objects, of single objects,
// and of any number of those one after another (JSON lines). It finds only
// where values begin and end; what it hands out is still to be parsed, and text
// that is no JSON comes out as a piece that does not parse.
type splitter struct {
	r    io.Reader
	err  error  // what r said last
	buf  []byte // text that is held
	pos  int    // next byte of buf to look at
	keep int    // first byte of buf that is still needed; -1: none
	base int64  // offset of buf[0]

	line      int   // of pos, from 1
	lineStart int64 // offset of the line's first byte

	inList bool
	index  int    // of the next element in the list
	shell  []byte // the outermost value without the elements of its list
	begun  place  // where the outermost value began
	outer  outer
}

// A piece is one value of the text. Raw is good until the next call of next.
type piece struct {
	place

	raw     []byte
	pointer string // from the outermost value: "/objects/3", or "" for that value itself
	shell   bool   // what is around a list of objects, the list emptied
}

// A place is where something stands in a text.
type place struct {
	offset int64 // bytes before it
	line   int   // from 1
	column int   // bytes, from 1
}

// outer is what is known of the outermost value.
type outer struct {
	depth    int
	key      []byte // the last property name at depth 1
	keyNext  bool   // a string at depth 1 is a property name
	listSeen bool
}

// maxPiece bounds one object, in bytes: the same as at the hub.
const maxPiece = stix.DefaultBytes

var errPieceTooLarge = errors.New("an object is larger than " + strconv.Itoa(maxPiece>>20) + " MiB")

func newSplitter(r io.Reader) *splitter {
	return &splitter{r: r, buf: make([]byte, 0, 256<<10), keep: -1, line: 1}
}

// offset returns how many bytes were looked at.
func (s *splitter) offset() int64 { return s.base + int64(s.pos) }

func (s *splitter) here() place {
	at := s.offset()
	return place{at, s.line, int(at-s.lineStart) + 1}
}

// peek returns the next byte, false at the end of the text.
func (s *splitter) peek() (byte, bool) {
	if s.pos == len(s.buf) && !s.fill() {
		return 0, false
	}
	return s.buf[s.pos], true
}

// fill reads more, in the place of what is not needed any more.
func (s *splitter) fill() bool {
	if s.keep >= 0 && s.pos-s.keep > maxPiece && s.err == nil {
		s.err = errPieceTooLarge
	}
	if s.err != nil {
		return false
	}
	from := s.pos
	if s.keep >= 0 {
		from = s.keep
	}
	if from > 0 {
		n := copy(s.buf, s.buf[from:])
		s.buf, s.pos, s.base = s.buf[:n], s.pos-from, s.base+int64(from)
		if s.keep >= 0 {
			s.keep = 0
		}
	}
	if len(s.buf) == cap(s.buf) {
		s.buf = append(make([]byte, 0, 2*cap(s.buf)), s.buf...)
	}
	for range 100 { // a reader may return nothing a few times
		n, err := s.r.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf, s.err = s.buf[:len(s.buf)+n], err
		if n > 0 {
			return true
		}
		if err != nil {
			return false
		}
	}
	s.err = io.ErrNoProgress
	return false
}

// step takes the byte that peek returned.
func (s *splitter) step(c byte) {
	s.pos++
	if c == '\n' {
		s.line++
		s.lineStart = s.offset()
	}
}

func (s *splitter) space() {
	for {
		c, ok := s.peek()
		if !ok || c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return
		}
		s.step(c)
	}
}

// quoted takes the rest of a string, whose first quote was taken.
func (s *splitter) quoted() {
	for {
		for s.pos < len(s.buf) { // most of a text is inside strings
			if c := s.buf[s.pos]; c == '"' || c == '\\' || c == '\n' {
				break
			}
			s.pos++
		}
		c, ok := s.peek()
		if !ok {
			return
		}
		s.step(c)
		switch c {
		case '"':
			return
		case '\\':
			if c, ok := s.peek(); ok {
				s.step(c)
			}
		}
	}
}

// next returns the next piece, [io.EOF] after the last. The pieces of a list
// come before the shell around them.
func (s *splitter) next() (piece, error) {
	s.keep = -1
	if !s.inList {
		if s.outer.depth == 0 {
			s.space()
			if _, ok := s.peek(); !ok {
				return piece{}, s.err
			}
			s.begun, s.shell, s.outer = s.here(), s.shell[:0], outer{}
		}
		if list, err := s.around(); err != nil {
			return piece{}, err
		} else if !list {
			return piece{place: s.begun, raw: s.shell, shell: s.outer.listSeen}, s.fault()
		}
	}
	return s.element()
}

// fault returns why the text could not be read to its end, nil when it could.
func (s *splitter) fault() error {
	if s.err == nil || errors.Is(s.err, io.EOF) {
		return nil
	}
	return s.err
}

// around takes the outermost value up to its list of objects or to its end.
func (s *splitter) around() (list bool, err error) {
	o := &s.outer
	for {
		c, ok := s.peek()
		if !ok {
			o.depth = 0
			return false, nil
		}
		if len(s.shell) > maxPiece {
			return false, errPieceTooLarge
		}
		if o.depth == 0 && len(s.shell) > 0 && (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
			return false, nil // the end of a text that is no array, object or string
		}
		s.step(c)
		s.shell = append(s.shell, c)
		switch c {
		case '"':
			s.outerString()
			if o.depth == 0 {
				return false, nil
			}
		case '{', '[':
			if c == '[' && o.depth == 1 && !o.listSeen && s.shell[0] == '{' && !o.keyNext && string(o.key) == "objects" {
				o.listSeen, s.inList, s.index = true, true, 0
				return true, nil
			}
			o.depth++
			o.keyNext = c == '{'
		case '}', ']':
			if o.depth--; o.depth <= 0 {
				o.depth = 0
				return false, nil
			}
			o.keyNext = false
		case ':':
			if o.depth == 1 {
				o.keyNext = false
			}
		case ',':
			if o.depth == 1 {
				o.keyNext = true
			}
		}
	}
}

// outerString takes a string outside the list and remembers it when it is a
// property name of the outermost object.
func (s *splitter) outerString() {
	s.keep = s.pos
	s.quoted()
	text := s.buf[s.keep:s.pos]
	s.shell = append(s.shell, text...)
	if s.outer.depth == 1 && s.outer.keyNext && len(text) > 0 {
		s.outer.key = append(s.outer.key[:0], text[:len(text)-1]...)
	}
	s.keep = -1
}

// element returns the next element of the list, or what follows the list.
func (s *splitter) element() (piece, error) {
	s.space()
	if c, ok := s.peek(); s.index == 0 && ok && c == ']' {
		s.endList()
		return s.next()
	} else if !ok { // the shell, which does not end, says so
		s.inList, s.outer.depth = false, 0
		return piece{place: s.begun, raw: s.shell, shell: true}, s.fault()
	}
	p := piece{place: s.here(), pointer: "/objects/" + strconv.Itoa(s.index)}
	s.keep = s.pos
	end := 0 // bytes of the value, without space after it
	for depth := 0; ; {
		c, ok := s.peek()
		if !ok || depth == 0 && (c == ',' || c == ']') {
			p.raw = s.buf[s.keep : s.keep+end]
			break
		}
		s.step(c)
		switch c {
		case '"':
			s.quoted()
		case '{', '[':
			depth++
		case '}', ']':
			depth = max(depth-1, 0)
		case ' ', '\t', '\r', '\n':
			continue
		}
		end = s.pos - s.keep
	}
	s.index++
	switch c, ok := s.peek(); {
	case ok && c == ',':
		s.step(c)
	case ok:
		s.endList()
	}
	return p, s.fault()
}

// endList takes the list's last bracket.
func (s *splitter) endList() {
	s.step(']')
	s.shell = append(s.shell, ']')
	s.inList, s.outer.depth = false, 1
}
