package pattern

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A check is a compiled [Atom].
type check struct {
	kind    string
	hops    []hop
	op      Op
	negated bool
	octets  octets // how the property writes binary data
	values  []operand
	plain   string              // of a fast check: the one string to equal
	fast    bool                // one key, =, one string, no octets
	set     map[string]struct{} // of an IN with many strings
	re      *regexp.Regexp      // of Matches
	cost    int                 // of re: the instructions of its program
	network netip.Prefix        // of IsSubset and IsSuperset
}

// A hop is a compiled [Step].
type hop struct {
	kind  StepKind
	key   string
	index int
	ref   bool // what is found is the name of an object, and the path goes on there
}

// octets says how a property writes binary data, STIX 2.1 §2.1 and §2.8.
type octets uint8

const (
	notOctets octets = iota
	hexOctets
	base64Octets
)

// An operand is a constant, ready to be compared. Binary data is kept as text
// of the code points U+0000 to U+00FF, one for each octet: so a string, which
// STIX 2.1 §9.2 converts the same way, compares with it as text, and in the
// same order.
type operand struct {
	class  LiteralKind // String, Integer, Boolean, Timestamp or Hex
	text   string
	number float64
	truth  bool
	time   time.Time
	narrow bool // text has no code point above U+00FF
}

func newOperand(l Literal) operand {
	o := operand{class: class(l.Kind), text: l.Value, number: l.number, truth: l.Bool(), time: l.Time()}
	if o.class == Hex {
		o.text = latin1([]byte(l.Value))
	}
	o.narrow = isNarrow(o.text)
	return o
}

// latin1 returns octets as the code points of the same values.
func latin1(b []byte) string {
	var s strings.Builder
	s.Grow(len(b))
	for _, c := range b {
		s.WriteRune(rune(c))
	}
	return s.String()
}

func isNarrow(s string) bool {
	for i := range len(s) {
		if s[i] > 0xC3 { // the first byte of U+0100 is 0xC4
			return false
		}
	}
	return true
}

// holds reports whether the comparison is true of a value that the path leads
// to. The value of a binary property that cannot be decoded is not obtainable,
// of which every comparison is false (STIX 2.1 §9.6).
func (c *check) holds(value any, r *run) bool {
	if c.octets != notOctets {
		if s, ok := value.(string); ok {
			decoded, ok := c.octets.decode(s)
			if !ok {
				return false
			}
			value = decoded
		}
	}
	return c.compare(value, r) != c.negated
}

func (o octets) decode(s string) (string, bool) {
	var b []byte
	var err error
	if o == hexOctets {
		b, err = hex.DecodeString(s)
	} else {
		b, err = base64.StdEncoding.DecodeString(s)
	}
	return latin1(b), err == nil
}

// compare applies the operator without its NOT. Values of a type that does not
// go with the constant are unequal and in no order (STIX 2.1 §9.6.1).
func (c *check) compare(value any, r *run) bool {
	switch c.op {
	case Equal:
		return c.equal(value, &c.values[0])
	case NotEqual:
		return !c.equal(value, &c.values[0])
	case In:
		return c.in(value)
	case Less, LessOrEqual, Greater, GreaterOrEqual:
		return c.ordered(value)
	case Exists:
		return true
	case Like, Matches, IsSubset, IsSuperset:
		s, ok := value.(string)
		return ok && c.text(s, r)
	}
	return false
}

// text applies the operators that are for strings only.
func (c *check) text(s string, r *run) bool {
	if c.op == Like {
		return like(c.normalize(s), c.values[0].text, r)
	}
	if c.op == Matches {
		return r.charge(0, len(s)*c.cost) && c.re.MatchString(c.normalize(s))
	}
	n, ok := parseNetwork(s)
	if c.op == IsSubset {
		return ok && contains(c.network, n)
	}
	return ok && contains(n, c.network)
}

// normalize applies NFC to what is text, STIX 2.1 §9.6.2.
func (c *check) normalize(s string) string {
	if c.octets != notOctets {
		return s
	}
	return norm.NFC.String(s)
}

// contains reports whether all of inner is in outer. Both are masked.
func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

func (c *check) in(value any) bool {
	if c.set != nil {
		s, ok := value.(string)
		if !ok {
			return false
		}
		_, ok = c.set[s]
		return ok
	}
	for i := range c.values {
		if c.equal(value, &c.values[i]) {
			return true
		}
	}
	return false
}

func (c *check) equal(value any, constant *operand) bool {
	switch v := value.(type) {
	case string:
		if constant.class == Timestamp {
			t, _, real := parseTime(v)
			return real && t.Equal(constant.time)
		}
		return (constant.class == String || constant.class == Hex) && v == constant.text
	case bool:
		return constant.class == Boolean && v == constant.truth
	default:
		n, ok := number(value)
		return ok && constant.class == Integer && n == constant.number
	}
}

func (c *check) ordered(value any) bool {
	constant := &c.values[0]
	var order int
	if v, ok := value.(string); ok {
		switch {
		case constant.class == Timestamp:
			t, _, real := parseTime(v)
			if !real {
				return false
			}
			order = t.Compare(constant.time)
		// Text and octets have an order only if the text fits in octets.
		case constant.class == String && (c.octets == notOctets || constant.narrow),
			constant.class == Hex && (c.octets != notOctets || isNarrow(v)):
			order = strings.Compare(v, constant.text)
		default:
			return false
		}
	} else {
		n, ok := number(value)
		if !ok || constant.class != Integer {
			return false
		}
		order = cmp.Compare(n, constant.number)
	}
	return order < 0 && (c.op == Less || c.op == LessOrEqual) ||
		order > 0 && (c.op == Greater || c.op == GreaterOrEqual) ||
		order == 0 && (c.op == LessOrEqual || c.op == GreaterOrEqual)
}

// like reports whether all of s matches a template in which % is any text and
// _ any one code point. It goes back only to the last %, so its time is at
// most the product of both lengths.
func like(s, template string, r *run) bool {
	var star, mark int // where to go on after one more character for the last %
	starred := false
	i, j := 0, 0
	for i < len(s) {
		if j < len(template) && template[j] == '%' {
			starred, star, mark = true, j+1, i
			j++
			continue
		}
		if j < len(template) {
			want, width := utf8.DecodeRuneInString(template[j:])
			got, size := utf8.DecodeRuneInString(s[i:])
			if want == '_' || want == got {
				i, j = i+size, j+width
				continue
			}
		}
		if !starred {
			return false
		}
		if !r.charge(0, i-mark+1) {
			return false
		}
		_, size := utf8.DecodeRuneInString(s[mark:])
		mark += size
		i, j = mark, star
	}
	return strings.Trim(template[j:], "%") == ""
}
