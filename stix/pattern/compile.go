package pattern

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// ErrNotEvaluable is what [Pattern.Compile] returns for a pattern with a
// regular expression that cannot be evaluated here: it uses what RE2 leaves
// out of PCRE, such as back-references and look-around, or is no regular
// expression at all. Such a pattern must be reported, not be taken for one
// that matches nothing.
var ErrNotEvaluable = errors.New("the pattern has a regular expression that cannot be evaluated")

// ErrTooComplex is what a [Matcher] returns when it gives up on a pattern and
// observations that together would take too long. It does not mean that there
// is no match.
var ErrTooComplex = errors.New("the pattern is too complex for these observations")

// A Matcher is a compiled pattern. It is immutable and safe for use by many
// goroutines.
type Matcher struct {
	root   *plan
	leaves []leafPlan
	known  map[leafKey]int // while it is made: the leaves, each once
	never  bool            // a constant is invalid, and so nothing matches (STIX 2.1 §9.4)
	simple bool            // one observation is enough: there are only leaves and OR
}

// A leafPlan is a compiled observation expression in brackets.
type leafPlan struct {
	cond   cond
	size   int    // comparisons in it
	window Window // of START … STOP, of all expressions around it
}

// A leafKey tells leaves apart.
type leafKey struct {
	text   string
	window Window
}

// A cond is a compiled comparison expression.
type cond struct {
	join join
	kids []cond
	check
}

// A plan is a compiled observation expression. START … STOP is not in it: it
// restricts each observation by itself, and so each leaf.
type plan struct {
	kind  planKind
	kids  []*plan
	leaf  int   // of planLeaf: its index in Matcher.leaves
	times int64 // of planRepeat
	span  span  // of planWithin
}

type planKind uint8

const (
	planLeaf planKind = iota
	planAnd
	planOr
	planFollow
	planRepeat
	planWithin
)

// plan returns what an operator is compiled to.
func (j join) plan() planKind {
	switch j {
	case joinAnd:
		return planAnd
	case joinOr:
		return planOr
	case joinFollow:
		return planFollow
	case leaf:
	}
	return planLeaf
}

// A span is a length of time; it can be longer than a time.Duration.
type span struct {
	seconds int64
	nanos   int64
}

// Compile returns a matcher for the pattern, or [ErrNotEvaluable].
func (p *Pattern) Compile() (*Matcher, error) {
	m := &Matcher{known: map[leafKey]int{}}
	for i := range p.atoms {
		for _, l := range p.atoms[i].Values {
			m.never = m.never || !realTime(l)
		}
	}
	root, err := m.plan(p, &p.root, Window{})
	if err != nil {
		return nil, err
	}
	m.root, m.known = root, nil
	m.simple = onlyChoices(root)
	return m, nil
}

func onlyChoices(n *plan) bool {
	for _, k := range n.kids {
		if !onlyChoices(k) {
			return false
		}
	}
	return n.kind == planLeaf || n.kind == planOr
}

// plan compiles e, which stands in a window.
func (m *Matcher) plan(p *Pattern, e *expr, around Window) (*plan, error) {
	for _, q := range e.quals {
		if q.kind == tokenStart {
			m.never = m.never || !realTime(q.value) || !realTime(q.stop)
			around = around.and(newWindow(q.value.Time(), q.stop.Time()))
		}
	}
	n := &plan{}
	if e.join == leaf {
		var err error
		if n.leaf, err = m.leaf(p, &e.test, around); err != nil {
			return nil, err
		}
	} else {
		n.kind = e.join.plan()
		for i := range e.kids {
			k, err := m.plan(p, &e.kids[i], around)
			if err != nil {
				return nil, err
			}
			n.kids = append(n.kids, k)
		}
		if len(n.kids) == 1 {
			n = n.kids[0]
		}
	}
	for _, q := range e.quals {
		switch q.kind {
		case tokenRepeats:
			if q.value.number > 1 {
				n = &plan{kind: planRepeat, kids: []*plan{n}, times: int64(q.value.number)}
			}
		case tokenWithin:
			if n.size() > 1 { // one observation is always within
				n = &plan{kind: planWithin, kids: []*plan{n}, span: newSpan(q.value.number)}
			}
		}
	}
	return n, nil
}

// size returns the largest number of observations that a match can need, or 2
// if it is more than 1.
func (n *plan) size() int {
	switch n.kind {
	case planLeaf:
		return 1
	case planOr:
		for _, k := range n.kids {
			if k.size() > 1 {
				return 2
			}
		}
		return 1
	case planWithin:
		return n.kids[0].size()
	case planAnd, planFollow, planRepeat:
	}
	return 2
}

func newSpan(seconds float64) span {
	const most = 1e12 // longer than all the years that a timestamp can name
	whole, fraction := math.Modf(min(seconds, most))
	return span{int64(whole), int64(math.Ceil(fraction * 1e9))}
}

// leaf compiles what is in brackets, once for all brackets of the same text:
// REPEATS is often written out.
func (m *Matcher) leaf(p *Pattern, t *test, around Window) (int, error) {
	var w writer
	w.test(p, t, leaf)
	key := leafKey{w.String(), around}
	if i, ok := m.known[key]; ok {
		return i, nil
	}
	c, err := m.cond(p, t)
	if err != nil {
		return 0, err
	}
	c.unite()
	m.known[key] = len(m.leaves)
	m.leaves = append(m.leaves, leafPlan{cond: c, size: c.size(), window: around})
	return m.known[key], nil
}

// size returns the number of comparisons.
func (c *cond) size() int {
	if c.join == leaf {
		return 1
	}
	n := 0
	for i := range c.kids {
		n += c.kids[i].size()
	}
	return n
}

// unite makes one set of all strings that an OR compares one property with:
// published patterns list thousands of addresses so.
func (c *cond) unite() {
	const few = 8
	if c.join == joinOr && len(c.kids) > few {
		type property struct{ kind, key string }
		first := map[property]int{}
		kept := c.kids[:0]
		for _, k := range c.kids {
			if k.join != leaf || !k.fast {
				kept = append(kept, k)
				continue
			}
			at := property{k.kind, k.hops[0].key}
			i, again := first[at]
			if !again {
				first[at] = len(kept)
				kept = append(kept, k)
				continue
			}
			if set := &kept[i]; set.set == nil {
				set.op, set.fast, set.set = In, false, map[string]struct{}{set.plain: {}}
			}
			kept[i].set[k.plain] = struct{}{}
		}
		c.kids = kept
	}
	for i := range c.kids {
		c.kids[i].unite()
	}
}

func (m *Matcher) cond(p *Pattern, t *test) (cond, error) {
	if t.join == leaf {
		c, err := m.compileAtom(&p.atoms[t.atom])
		return cond{check: c}, err
	}
	c := cond{join: t.join}
	for i := range t.kids {
		k, err := m.cond(p, &t.kids[i])
		if err != nil {
			return cond{}, err
		}
		c.kids = append(c.kids, k)
	}
	return c, nil
}

func (m *Matcher) compileAtom(a *Atom) (check, error) {
	c := check{kind: a.ObjectType, op: a.Op, negated: a.Negated}
	list := false // the last hop led to a list of references
	last := ""
	for _, s := range a.Steps {
		h := hop{kind: s.Kind, key: s.Key, index: s.Index}
		if s.Kind == KeyStep {
			last = s.Key
			h.ref = strings.HasSuffix(s.Key, "_ref")
			list = strings.HasSuffix(s.Key, "_refs")
		} else {
			h.ref, list = list, false
		}
		c.hops = append(c.hops, h)
	}
	if a.Op == Exists {
		c.hops[len(c.hops)-1].ref = false // the reference itself is what exists
		return c, nil
	}
	switch {
	case strings.HasSuffix(last, "_hex"):
		c.octets = hexOctets
	case strings.HasSuffix(last, "_bin"):
		c.octets = base64Octets
	}
	for _, l := range a.Values {
		c.values = append(c.values, newOperand(l))
	}
	return c, m.compileConstant(&c)
}

// compileConstant prepares what the operator does with its constant.
func (m *Matcher) compileConstant(c *check) error {
	switch c.op {
	case Equal:
		c.fast = len(c.hops) == 1 && !c.hops[0].ref && c.values[0].class == String && c.octets == notOctets && !c.negated
		c.plain = c.values[0].text
	case In:
		const many = 8
		if len(c.values) > many && (c.values[0].class == String || c.values[0].class == Hex) {
			c.set = make(map[string]struct{}, len(c.values))
			for _, v := range c.values {
				c.set[v.text] = struct{}{}
			}
		}
	case Like:
		c.values[0].text = norm.NFC.String(c.values[0].text)
	case Matches:
		expression, _ := translate(c.values[0].text, c.octets != notOctets)
		re, err := regexp.Compile(expression)
		if err != nil {
			return fmt.Errorf("%w", ErrNotEvaluable) // err quotes the pattern
		}
		c.re, c.cost = re, regexpSize(c.values[0].text)
	case IsSubset, IsSuperset:
		var ok bool
		if c.network, ok = parseNetwork(c.values[0].text); !ok {
			m.never = true
		}
	case NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual, Exists:
	}
	return nil
}
