package stix

import (
	"bytes"
	"iter"
	"strconv"
)

// A Kind is the JSON type of a [Value].
type Kind uint8

// The kinds of JSON values. Absent is the kind of the zero Value: what Get
// returns for a property that is not there.
const (
	Absent Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// A Value is one JSON value inside a text that [Parse] accepted. It is a
// handle of two words: copying it copies nothing. The bytes it gives out are
// those of the text and must not be changed.
type Value struct {
	d *doc
	i uint32
}

func (v Value) node() *node { return &v.d.nodes[v.i] }

// Kind returns the JSON type, [Absent] for the zero Value.
func (v Value) Kind() Kind {
	if v.d == nil {
		return Absent
	}
	return v.node().kind
}

// Exists reports whether there is a value.
func (v Value) Exists() bool { return v.d != nil }

// Raw returns the value's bytes exactly as they stand in the text; nil for an
// absent value.
func (v Value) Raw() []byte {
	if v.d == nil {
		return nil
	}
	n := v.node()
	return v.d.text[n.start:n.end:n.end]
}

// Get returns an object's property, absent when there is none or v is no object.
func (v Value) Get(name string) Value {
	if v.Kind() != Object {
		return Value{}
	}
	for i := v.i + 1; i < v.node().next; i = v.d.nodes[i].next {
		n := &v.d.nodes[i]
		if n.escapedName {
			if string(v.d.name(i)) == name {
				return Value{v.d, i}
			}
		} else if string(v.d.text[n.nameStart:n.nameEnd]) == name {
			return Value{v.d, i}
		}
	}
	return Value{}
}

// Members yields an object's properties in the order of the text, with the
// names' escapes resolved.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if v.Kind() != Object {
			return
		}
		for i := v.i + 1; i < v.node().next; i = v.d.nodes[i].next {
			if !yield(string(v.d.name(i)), Value{v.d, i}) {
				return
			}
		}
	}
}

// Elements yields an array's elements in order.
func (v Value) Elements() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		if v.Kind() != Array {
			return
		}
		n := 0
		for i := v.i + 1; i < v.node().next; i = v.d.nodes[i].next {
			if !yield(n, Value{v.d, i}) {
				return
			}
			n++
		}
	}
}

// Len returns the number of elements or properties, 0 for any other kind.
func (v Value) Len() int {
	if k := v.Kind(); k != Array && k != Object {
		return 0
	}
	count := 0
	for i := v.i + 1; i < v.node().next; i = v.d.nodes[i].next {
		count++
	}
	return count
}

// Text returns a string's text with its escapes resolved, "" for any other
// kind.
func (v Value) Text() string {
	return string(v.inside())
}

// Is reports whether v is the string text, without making a copy of it.
func (v Value) Is(text string) bool {
	return v.Kind() == String && string(v.inside()) == text
}

// True reports whether v is the literal true.
func (v Value) True() bool { return v.Kind() == Bool && v.d.text[v.node().start] == 't' }

// Int returns a number that is written as an integer within ±(2^53−1), the
// range that STIX 2.1 §2.10 allows.
func (v Value) Int() (int64, bool) {
	if v.Kind() != Number {
		return 0, false
	}
	n, err := strconv.ParseInt(string(v.Raw()), 10, 64)
	const most = 1<<53 - 1
	return n, err == nil && n >= -most && n <= most
}

// isEmpty reports whether v is a list or object with nothing in it.
func (v Value) isEmpty() bool {
	return (v.Kind() == Array || v.Kind() == Object) && v.node().next == v.i+1
}

// isInteger reports whether v is a number without a decimal point and exponent.
func (v Value) isInteger() bool {
	return v.Kind() == Number && !bytes.ContainsAny(v.Raw(), ".eE")
}

// Float returns a number's value.
func (v Value) Float() (float64, bool) {
	if v.Kind() != Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v.Raw()), 64)
	return f, err == nil
}

// inside returns the text of a string with its escapes resolved, nil for any
// other kind. It copies only when there are escapes.
func (v Value) inside() []byte {
	if v.Kind() != String {
		return nil
	}
	n := v.node()
	inside := v.d.text[n.start+1 : n.end-1]
	if n.escaped {
		return unescape(make([]byte, 0, len(inside)), inside)
	}
	return inside
}

// What a pointer repeats of the text is bounded: a name that no STIX property
// or dictionary key can have ends it (STIX 2.1 §3.1, §2.3), and so does its
// length. Such a pointer names the object that holds the value.
const (
	longestName    = 250
	longestPointer = 1000
)

// Pointer returns where the value stands in its text, as a JSON Pointer
// (RFC 6901) of at most 1,000 bytes. It ends early, at the object that holds
// the value, before a name that is empty, has more than 250 bytes or anything
// but printable ASCII in it. The names are the text's own: show them to whoever
// sent the text only.
func (v Value) Pointer() string { return v.pointerFrom(0) }

// pointerFrom returns the pointer of v from the value at node base, which
// contains it.
func (v Value) pointerFrom(base uint32) string {
	if v.d == nil || v.i == base {
		return ""
	}
	b := make([]byte, 0, 128)
	for at := base; at != v.i; {
		nodes := v.d.nodes
		// A container that is still being read has no kind yet.
		inArray := nodes[at].kind == Array || nodes[at].kind == Absent && v.d.text[nodes[at].start] == '['
		index := 0
		child := at + 1
		// Nor has it an end, as have none of the values around an error: their
		// next is zero, and v is within them.
		for n := nodes[child].next; child != v.i && n != 0 && n <= v.i; n = nodes[child].next {
			child = n
			index++
		}
		whole := len(b)
		b = append(b, '/')
		if inArray {
			b = strconv.AppendInt(b, int64(index), 10)
		} else {
			b = appendToken(b, v.d.name(child))
		}
		if len(b) == whole+1 || len(b) > longestPointer {
			return string(b[:whole])
		}
		at = child
	}
	return string(b)
}

// appendToken appends a name to a pointer, or nothing when the name is not one
// to repeat.
func appendToken(b, name []byte) []byte {
	if len(name) > longestName {
		return b
	}
	whole := len(b)
	for _, c := range name {
		switch {
		case c < 0x20 || c > 0x7e:
			return b[:whole]
		case c == '~':
			b = append(b, '~', '0')
		case c == '/':
			b = append(b, '~', '1')
		default:
			b = append(b, c)
		}
	}
	return b
}
