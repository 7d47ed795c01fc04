package pattern

import (
	"log/slog"
	"slices"
	"time"
)

// The bounds of a pattern. [Parse] refuses what is beyond them.
const (
	MaxBytes       = 64 << 10 // of text
	MaxDepth       = 64       // of parentheses inside each other
	MaxComparisons = 20_000   // of comparisons, each member of an IN set counting as one
	MaxRegexpBytes = 512      // of one regular expression
	MaxRegexpSteps = 2_000    // of the program that one regular expression compiles to, \w and \p counting as 64
)

// A Pattern is a parsed STIX pattern. It is immutable and safe for use by
// many goroutines. The zero Pattern is not valid; make one with [Parse].
type Pattern struct {
	text  string
	root  expr
	atoms []Atom
}

// An Atom is one comparison of a pattern, such as ipv4-addr:value = '192.0.2.1'
// (STIX 2.1 §9.6).
type Atom struct {
	ObjectType string    // what stands before the colon
	Path       string    // what stands after it, in canonical spelling: "value", "hashes.'SHA-256'", "protocols[*]"
	Steps      []Step    // the same, step by step; at least one, the first a Key
	Op         Op        // how the property is compared
	Negated    bool      // NOT stands before the operator
	Values     []Literal // none for Exists, any number for In, one for all others
	Start, End int       // the whole comparison in the text, in bytes
	Window     Window    // when the observation must have been made: the START … STOP around the comparison
}

// A Step is one step of an object path (STIX 2.1 §9.7).
type Step struct {
	Kind  StepKind
	Key   string // of KeyStep: the property or dictionary key, escapes resolved
	Index int    // of IndexStep: the element, from 0
}

// A StepKind is a sort of [Step].
type StepKind uint8

// The kinds of steps.
const (
	KeyStep   StepKind = iota // into a property or a dictionary
	IndexStep                 // into one element of a list
	AnyStep                   // [*]: into every element of a list
)

// An Op is a comparison operator (STIX 2.1 §9.6.1).
type Op uint8

// The comparison operators.
const (
	Equal          Op = iota + 1 // = (or ==)
	NotEqual                     // != (or <>)
	Less                         // <
	LessOrEqual                  // <=
	Greater                      // >
	GreaterOrEqual               // >=
	In                           // IN ( … )
	Like                         // LIKE, with % and _
	Matches                      // MATCHES, a regular expression
	IsSubset                     // ISSUBSET, of addresses and networks
	IsSuperset                   // ISSUPERSET
	Exists                       // EXISTS, which takes no constant
)

// opNames are the operators as patterns spell them, by value.
func opNames() [13]string {
	return [13]string{"", "=", "!=", "<", "<=", ">", ">=", "IN", "LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET", "EXISTS"}
}

// String returns the operator as patterns spell it, "" for none.
func (o Op) String() string {
	if names := opNames(); int(o) < len(names) {
		return names[o]
	}
	return ""
}

// A Literal is one constant of a pattern (STIX 2.1 §9.2).
type Literal struct {
	Kind       LiteralKind
	Value      string // decoded: a string without escapes, the octets of hex and binary, else as it is written
	Start, End int    // in the text, in bytes, with apostrophes and prefix: text[Start:End] may be replaced by another constant
	number     float64
}

// A LiteralKind is the type of a [Literal].
type LiteralKind uint8

// The types of constants.
const (
	String LiteralKind = iota + 1
	Integer
	Float
	Boolean
	Timestamp
	Hex
	Binary
)

// Number returns the value of an Integer or a Float, which is exact for every
// integer that STIX allows; 0 for all other kinds.
func (l Literal) Number() float64 { return l.number }

// Bool reports whether the literal is true, and not false or no boolean at all.
func (l Literal) Bool() bool { return l.Kind == Boolean && l.Value == "true" }

// Time returns the value of a Timestamp, the zero time for all other kinds.
// A day that is in no calendar counts on into the next month; [Pattern.Problems]
// reports it, and a pattern with it matches nothing.
func (l Literal) Time() time.Time {
	if l.Kind != Timestamp {
		return time.Time{}
	}
	t, _, _ := parseTime(l.Value)
	return t
}

// A Window is a span of time: Start <= t < Stop. The zero Window is all of time.
type Window struct{ Start, Stop time.Time }

// IsZero reports whether the window is all of time.
func (w Window) IsZero() bool { return w == Window{} }

// Contains reports whether a moment is in the window.
func (w Window) Contains(t time.Time) bool {
	return w.IsZero() || !t.Before(w.Start) && t.Before(w.Stop)
}

// newWindow returns the window from start to stop. An empty one must not be
// mistaken for all of time, even around the zero time.
func newWindow(start, stop time.Time) Window {
	w := Window{start, stop}
	if w.IsZero() {
		w.Start = start.Add(1)
	}
	return w
}

// isEmpty reports whether there is no moment in the window.
func (w Window) isEmpty() bool { return !w.IsZero() && !w.Start.Before(w.Stop) }

// and returns what is in both windows.
func (w Window) and(other Window) Window {
	switch {
	case w.IsZero():
		return other
	case other.IsZero():
		return w
	}
	if other.Start.After(w.Start) {
		w.Start = other.Start
	}
	if other.Stop.Before(w.Stop) {
		w.Stop = other.Stop
	}
	return newWindow(w.Start, w.Stop)
}

// A join says how the operands of an expression combine.
type join uint8

const (
	leaf       join = iota // no operands: an atom, or a bracketed test
	joinAnd                // AND
	joinOr                 // OR
	joinFollow             // FOLLOWEDBY, of observation expressions only
)

// An expr is an observation expression (STIX 2.1 §9.5).
type expr struct {
	join  join
	test  test        // of a leaf: what is inside the brackets
	kids  []expr      // else the operands; one operand stands for parentheses around it
	quals []qualifier // in the order of the text, each applying to all before it
}

// A test is a comparison expression (STIX 2.1 §9.6).
type test struct {
	join join
	atom int    // of a leaf: its index in Pattern.atoms
	kids []test // else the operands, at least two
}

// A qualifier restricts an observation expression (STIX 2.1 §9.5.1).
type qualifier struct {
	kind  tokenKind // tokenWithin, tokenRepeats or tokenStart
	value Literal   // seconds, times, or the start
	stop  Literal   // of tokenStart
}

// Text returns the pattern as it was given to [Parse].
func (p *Pattern) Text() string { return p.text }

// Atoms returns every comparison, in the order of the text. The caller must
// not change it.
func (p *Pattern) Atoms() []Atom { return p.atoms }

// LogValue keeps the content of a pattern out of logs.
func (p *Pattern) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("bytes", len(p.text)), slog.Int("comparisons", len(p.atoms)))
}

// Alone returns the comparisons of which each value makes the whole pattern
// match by itself: = or IN without NOT, with nothing but OR on the way up. It
// is what may be looked up, or blocked, by value alone. It is nil for
// [a:b = 'x' AND …], for FOLLOWEDBY, and for whatever REPEATS or WITHIN
// restricts, since there one value is only a part of what has to be seen. A
// comparison inside START … STOP counts only for observations in its Window.
func (p *Pattern) Alone() []Atom {
	var alone []Atom
	var tests func(t test)
	tests = func(t test) {
		switch t.join {
		case leaf:
			a := p.atoms[t.atom]
			if (a.Op == Equal || a.Op == In && len(a.Values) > 0) && !a.Negated && !a.Window.isEmpty() {
				alone = append(alone, a)
			}
		case joinOr:
			for _, k := range t.kids {
				tests(k)
			}
		case joinAnd, joinFollow:
		}
	}
	var exprs func(e expr)
	exprs = func(e expr) {
		if slices.ContainsFunc(e.quals, func(q qualifier) bool { return q.kind != tokenStart }) {
			return
		}
		switch {
		case e.join == leaf:
			tests(e.test)
		case e.join == joinOr || len(e.kids) == 1:
			for _, k := range e.kids {
				exprs(k)
			}
		}
	}
	exprs(p.root)
	return alone
}
