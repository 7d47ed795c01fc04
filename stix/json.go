package stix

import (
	"bytes"
	endian "encoding/binary"
	"hash/maphash"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits bound what [Parse] reads. The zero value of a field means the
// default that its comment names.
type Limits struct {
	Bytes   int // size of the whole text; 10 MiB
	Depth   int // nesting of arrays and objects; 64
	Members int // members of one object; 10,000
}

// The limits that apply when a [Limits] field is zero.
const (
	DefaultBytes   = 10 << 20
	DefaultDepth   = 64
	DefaultMembers = 10_000
)

// node is one value of the text. Nodes stand in document order, so a value's
// subtree is the run of nodes from it to next: no pointers, and one allocation
// for the whole text.
type node struct {
	start, end         uint32 // the value's bytes, quotes and brackets included
	nameStart, nameEnd uint32 // the member name's bytes without quotes; equal for array elements
	next               uint32 // the first node after this value's subtree
	kind               Kind
	escapedName        bool // the member name contains a backslash
	escaped            bool // the string contains a backslash
}

// doc is a parsed text.
type doc struct {
	text  []byte
	nodes []node
}

// Parse reads one JSON text (RFC 8259, I-JSON) strictly and once: names that
// occur twice in an object, invalid UTF-8, lone surrogates, a byte order mark,
// numbers beyond a float64, nesting over the limit and anything after the
// value are refused. Every later step works on this parse, so no two of them
// can understand the same bytes differently. The error is a [*Problem] that
// says where, and never quotes the text.
//
// The Value keeps data; the caller must not change it afterwards.
func Parse(data []byte, limits Limits) (Value, error) {
	if limits.Bytes == 0 {
		limits.Bytes = DefaultBytes
	}
	if limits.Depth == 0 {
		limits.Depth = DefaultDepth
	}
	if limits.Members == 0 {
		limits.Members = DefaultMembers
	}
	if len(data) > limits.Bytes || int64(len(data)) > 1<<32-2 {
		return Value{}, &Problem{Class: ClassTooLarge, Message: "the text is larger than " + strconv.Itoa(limits.Bytes) + " bytes"}
	}
	// Real STIX has a value every 40 to 60 bytes; growing a little later is
	// cheaper than reserving for the worst case.
	p := parser{doc: &doc{text: data, nodes: make([]node, 0, len(data)/48+8)}, limits: limits}
	if len(data) == 0 {
		return Value{}, p.fail("the body is empty")
	}
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		return Value{}, p.fail("the text begins with a byte order mark (RFC 8259 §8.1)")
	}
	p.space()
	if err := p.value(0, 0, false); err != nil {
		return Value{}, err
	}
	p.space()
	if p.pos != len(data) {
		return Value{}, p.fail("there is more text after the first JSON value")
	}
	return Value{p.doc, 0}, nil
}

type parser struct {
	*doc
	limits Limits
	pos    int
	depth  int
	seed   maphash.Seed // set on first use: names of large objects are hashed with a secret seed
	seeded bool
}

// fail reports a syntax problem at the current position.
func (p *parser) fail(message string) *Problem {
	return &Problem{Class: ClassSyntax, Offset: p.pos, At: p.path(), Message: message}
}

// path returns the JSON Pointer of the value that is being read: the innermost
// container that is still open, or in it the member that was begun last.
func (p *parser) path() string {
	if len(p.nodes) == 0 {
		return ""
	}
	at := uint32(0)
	for p.nodes[at].next == 0 && at+1 < uint32(len(p.nodes)) {
		at++
		for n := p.nodes[at].next; n != 0 && n < uint32(len(p.nodes)); n = p.nodes[at].next {
			at = n
		}
	}
	return Value{p.doc, at}.Pointer()
}

func (p *parser) space() {
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

// value reads one value and appends its nodes. The name, if it is a member's,
// is text[nameStart:nameEnd].
func (p *parser) value(nameStart, nameEnd int, escapedName bool) error {
	if p.pos >= len(p.text) {
		return p.fail("the text ends where a value was expected")
	}
	self := len(p.nodes)
	p.nodes = append(p.nodes, node{
		start: uint32(p.pos), nameStart: uint32(nameStart), nameEnd: uint32(nameEnd), escapedName: escapedName,
	})
	var kind Kind
	var escaped bool
	var err error
	switch c := p.text[p.pos]; c {
	case '"':
		kind = String
		escaped, err = p.quoted()
	case '{':
		kind = Object
		err = p.object()
	case '[':
		kind = Array
		err = p.array()
	case 't':
		kind, err = Bool, p.literal("true")
	case 'f':
		kind, err = Bool, p.literal("false")
	case 'n':
		kind, err = Null, p.literal("null")
	default:
		if c != '-' && (c < '0' || c > '9') {
			return p.fail("a JSON value was expected")
		}
		kind, err = Number, p.number()
	}
	if err != nil {
		return err
	}
	n := &p.nodes[self]
	n.kind, n.escaped, n.end, n.next = kind, escaped, uint32(p.pos), uint32(len(p.nodes))
	return nil
}

func (p *parser) literal(word string) error {
	if !bytes.HasPrefix(p.text[p.pos:], []byte(word)) {
		return p.fail("a JSON value was expected")
	}
	p.pos += len(word)
	return nil
}

// number reads a number by the grammar of RFC 8259 §6 and refuses what a
// float64 cannot hold (RFC 7493 §2.2): 1e400 is not infinity.
func (p *parser) number() error {
	from := p.pos
	if p.peek() == '-' {
		p.pos++
	}
	switch c := p.peek(); {
	case c == '0':
		p.pos++
	case c >= '1' && c <= '9':
		p.digits()
	default:
		return p.fail("a digit was expected")
	}
	float := false
	if p.peek() == '.' {
		float = true
		p.pos++
		if !p.digits() {
			return p.fail("a digit was expected after the decimal point")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		float = true
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		if !p.digits() {
			return p.fail("a digit was expected in the exponent")
		}
	}
	if float || p.pos-from > 300 {
		if _, err := strconv.ParseFloat(string(p.text[from:p.pos]), 64); err != nil {
			return p.fail("the number is too large for a 64-bit float (RFC 7493 §2.2)")
		}
	}
	return nil
}

func (p *parser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

func (p *parser) digits() bool {
	from := p.pos
	for p.pos < len(p.text) && p.text[p.pos]-'0' <= 9 {
		p.pos++
	}
	return p.pos > from
}

// plain is true for the bytes that need no look inside a string: printable
// ASCII but the quote and the backslash.
var plain = func() (t [256]bool) { //nolint:gochecknoglobals // immutable table: one look per byte of input
	for c := 0x20; c < 0x80; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// allPlain reports whether eight bytes are all plain. It errs only by calling a
// plain byte after one that is not plain so: the subtractions borrow upwards.
func allPlain(w uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	control := w - ones*0x20                        // top bit set for bytes below 0x20
	quote, backslash := w^(ones*'"'), w^(ones*'\\') // zero where that byte is
	return (w|control|(quote-ones)&^quote|(backslash-ones)&^backslash)&tops == 0
}

// quoted reads a string, quotes included, and reports whether it has escapes.
func (p *parser) quoted() (escaped bool, err error) {
	p.pos++
	for {
		at := p.pos
		for at+8 <= len(p.text) && allPlain(endian.LittleEndian.Uint64(p.text[at:])) {
			at += 8
		}
		for at < len(p.text) && plain[p.text[at]] {
			at++
		}
		p.pos = at
		if at >= len(p.text) {
			return escaped, p.fail("the text ends inside a string")
		}
		switch c := p.text[at]; {
		case c == '"':
			p.pos++
			return escaped, nil
		case c == '\\':
			escaped = true
			if err := p.escape(); err != nil {
				return escaped, err
			}
		case c < 0x20:
			return escaped, p.fail("a control character stands in a string; write it as an escape")
		default:
			r, size := utf8.DecodeRune(p.text[at:])
			if r == utf8.RuneError && size <= 1 {
				return escaped, p.fail("the text is not valid UTF-8")
			}
			p.pos += size
		}
	}
}

func (p *parser) escape() error {
	rest := p.text[p.pos:]
	if len(rest) < 2 {
		return p.fail("the text ends inside a string")
	}
	switch rest[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		p.pos += 2
		return nil
	case 'u':
	default:
		return p.fail("an unknown escape stands in a string")
	}
	r, ok := hex4(rest[2:])
	if !ok {
		return p.fail("four hexadecimal digits were expected in an escape")
	}
	p.pos += 6
	if !utf16.IsSurrogate(r) {
		return nil
	}
	if low := p.text[p.pos:]; len(low) >= 6 && low[0] == '\\' && low[1] == 'u' {
		if r2, ok := hex4(low[2:]); ok && utf16.DecodeRune(r, r2) != utf8.RuneError {
			p.pos += 6
			return nil
		}
	}
	return p.fail("half of a surrogate pair stands alone (RFC 7493 §2.1)")
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

func (p *parser) enter() error {
	if p.depth++; p.depth > p.limits.Depth {
		return &Problem{Class: ClassSyntax, Offset: p.pos, Message: "arrays and objects are nested deeper than " + strconv.Itoa(p.limits.Depth)}
	}
	p.pos++
	p.space()
	return nil
}

func (p *parser) array() error {
	if err := p.enter(); err != nil {
		return err
	}
	defer func() { p.depth-- }()
	if p.peek() == ']' {
		p.pos++
		return nil
	}
	for {
		if err := p.value(0, 0, false); err != nil {
			return err
		}
		p.space()
		switch p.peek() {
		case ',':
			p.pos++
			p.space()
		case ']':
			p.pos++
			return nil
		default:
			return p.fail("a comma or the end of the array was expected")
		}
	}
}

func (p *parser) object() error {
	self := len(p.nodes) - 1
	if err := p.enter(); err != nil {
		return err
	}
	defer func() { p.depth-- }()
	if p.peek() == '}' {
		p.pos++
		return nil
	}
	for count := 1; ; count++ {
		if p.peek() != '"' {
			return p.fail("a property name in double quotes was expected")
		}
		nameStart := p.pos + 1
		escaped, err := p.quoted()
		if err != nil {
			return err
		}
		nameEnd := p.pos - 1
		p.space()
		if p.peek() != ':' {
			return p.fail("a colon was expected after a property name")
		}
		p.pos++
		p.space()
		if count > p.limits.Members {
			return &Problem{Class: ClassTooLarge, Offset: p.pos, Message: "an object has more than " + strconv.Itoa(p.limits.Members) + " properties"}
		}
		if err := p.value(nameStart, nameEnd, escaped); err != nil {
			return err
		}
		p.space()
		switch p.peek() {
		case ',':
			p.pos++
			p.space()
		case '}':
			p.pos++
			return p.unique(self, count)
		default:
			return p.fail("a comma or the end of the object was expected")
		}
	}
}

// unique refuses an object in which a name occurs twice, however it is spelled:
// whichever of the two a later reader took, another could take the other, and a
// marking could be in one of them (RFC 7493 §2.3).
func (p *parser) unique(self, count int) error {
	const few = 24
	if count > few {
		return p.uniqueAmongMany(self, count)
	}
	// Names of one object mostly differ in length, first or last byte: a set of
	// 64 bits spares most comparisons.
	var seen [few]uint32
	var marks uint64
	n := 0
	for i := uint32(self + 1); i < uint32(len(p.nodes)); i = p.nodes[i].next {
		m := &p.nodes[i]
		if m.escapedName {
			return p.uniqueAmongMany(self, count)
		}
		name := p.text[m.nameStart:m.nameEnd]
		mark := uint64(1)
		if len(name) > 0 {
			mark = 1 << ((len(name)*11 + int(name[0])*5 + int(name[len(name)-1])) & 63)
		}
		if marks&mark != 0 {
			for _, j := range seen[:n] {
				o := &p.nodes[j]
				if bytes.Equal(name, p.text[o.nameStart:o.nameEnd]) {
					return p.twice(i)
				}
			}
		}
		marks |= mark
		seen[n] = i
		n++
	}
	return nil
}

// uniqueAmongMany does the same for many names or escaped ones, in linear time
// whatever the names are: their hashes have a secret seed.
func (p *parser) uniqueAmongMany(self, count int) error {
	if !p.seeded {
		p.seed, p.seeded = maphash.MakeSeed(), true
	}
	seen := make(map[uint64]uint32, count)
	for i := uint32(self + 1); i < uint32(len(p.nodes)); i = p.nodes[i].next {
		name := p.name(i)
		h := maphash.Bytes(p.seed, name)
		if j, ok := seen[h]; ok && bytes.Equal(name, p.name(j)) {
			return p.twice(i)
		}
		seen[h] = i
	}
	return nil
}

func (p *parser) twice(i uint32) error {
	return &Problem{
		Class: ClassSyntax, Offset: int(p.nodes[i].nameStart), At: Value{p.doc, i}.Pointer(),
		Message: "a property name occurs twice in one object (RFC 7493 §2.3)",
	}
}

func (d *doc) name(i uint32) []byte {
	n := &d.nodes[i]
	name := d.text[n.nameStart:n.nameEnd]
	if n.escapedName {
		return unescape(make([]byte, 0, len(name)), name)
	}
	return name
}

// unescape appends the text that the inside of a JSON string stands for. The
// parser has checked it.
func unescape(dst, src []byte) []byte {
	for i := 0; i < len(src); i++ {
		c := src[i]
		if c != '\\' {
			dst = append(dst, c)
			continue
		}
		i++
		switch c := src[i]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r, _ := hex4(src[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				low, _ := hex4(src[i+3:])
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
		default: // the quote, the backslash, the slash
			dst = append(dst, c)
		}
	}
	return dst
}
