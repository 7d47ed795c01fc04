package pattern

import "math"

// Anchors returns comparisons of which every observation that is a part of a
// match makes at least one true, so that whoever can find those quickly need
// not compare anything else with the pattern. How common what a comparison asks
// for is, cost says: of the comparisons that AND joins the rarest is an anchor.
// A cost below 0 says that it cannot be found; so cannot what NOT stands before,
// and all operators but = and IN. Missing is how many operands of OR are left
// out because they have no anchor. Without any anchor, or when a part that must
// be seen has none, anchors is empty.
func (p *Pattern) Anchors(cost func(Atom) int) (anchors []Atom, missing int) {
	found := p.anchorsOf(&p.root, cost)
	for _, i := range found.atoms {
		anchors = append(anchors, p.atoms[i])
	}
	return anchors, found.missing
}

// A hold is what one part of a pattern can be found by.
type hold struct {
	atoms   []int // none: it cannot be found
	worst   int   // the highest of their costs
	missing int
}

// either returns what one of several parts is found by.
func either(parts []hold) hold {
	var all hold
	for _, h := range parts {
		if len(h.atoms) == 0 {
			all.missing++
			continue
		}
		all.atoms = append(all.atoms, h.atoms...)
		all.worst, all.missing = max(all.worst, h.worst), all.missing+h.missing
	}
	return all
}

func (p *Pattern) anchorsOf(e *expr, cost func(Atom) int) hold {
	if e.join == leaf {
		return p.anchorsIn(&e.test, cost)
	}
	parts := make([]hold, 0, len(e.kids))
	for i := range e.kids {
		parts = append(parts, p.anchorsOf(&e.kids[i], cost))
	}
	all := either(parts)
	for _, h := range parts {
		if e.join != joinOr && len(h.atoms) == 0 { // it must be seen, and cannot be found
			return hold{}
		}
	}
	return all
}

func (p *Pattern) anchorsIn(t *test, cost func(Atom) int) hold {
	if t.join == leaf {
		a := &p.atoms[t.atom]
		if a.Negated || a.Op != Equal && a.Op != In || len(a.Values) == 0 {
			return hold{}
		}
		if c := cost(*a); c >= 0 {
			return hold{atoms: []int{t.atom}, worst: c}
		}
		return hold{}
	}
	parts := make([]hold, 0, len(t.kids))
	for i := range t.kids {
		parts = append(parts, p.anchorsIn(&t.kids[i], cost))
	}
	if t.join == joinOr {
		return either(parts)
	}
	best := hold{worst: math.MaxInt, missing: math.MaxInt}
	for _, h := range parts {
		if len(h.atoms) > 0 && (h.missing < best.missing || h.missing == best.missing && h.worst < best.worst) {
			best = h
		}
	}
	if len(best.atoms) == 0 {
		return hold{}
	}
	return best
}

// Single reports whether one observation always is enough for a match.
func (m *Matcher) Single() bool { return m.simple }

// Timed reports whether a match depends on when its observations were made.
func (m *Matcher) Timed() bool {
	for i := range m.leaves {
		if !m.leaves[i].window.IsZero() {
			return true
		}
	}
	return m.root.timed()
}

func (n *plan) timed() bool {
	for _, k := range n.kids {
		if k.timed() {
			return true
		}
	}
	return n.kind == planFollow || n.kind == planWithin
}

// Least returns how many observations a match needs at least.
func (m *Matcher) Least() int64 { return m.root.least() }

func (n *plan) least() int64 {
	switch n.kind {
	case planLeaf:
		return 1
	case planRepeat:
		return product(n.kids[0].least(), n.times)
	case planOr:
		fewest := int64(math.MaxInt64)
		for _, k := range n.kids {
			fewest = min(fewest, k.least())
		}
		return fewest
	case planAnd, planFollow, planWithin:
	}
	sum := int64(0)
	for _, k := range n.kids {
		sum = min(sum+k.least(), most)
	}
	return sum
}

// Parts are some of a pattern's observation expressions in brackets.
type Parts uint64

// lastPart stands for all expressions from the 64th on.
const lastPart = 63

// Parts returns which expressions an observation matches: with none, it is no
// part of any match. It returns [ErrTooComplex] rather than a guess.
func (m *Matcher) Parts(o *Observation) (Parts, error) {
	if m.never {
		return 0, nil
	}
	var r run
	var parts Parts
	for i := range m.leaves {
		if m.leaves[i].matches(o, &r) {
			parts |= 1 << min(i, lastPart)
		}
	}
	if r.failed {
		return 0, ErrTooComplex
	}
	return parts, nil
}

// Possible reports whether observations that together match some expressions
// could match the pattern, if only there are enough and their times are right.
func (m *Matcher) Possible(parts Parts) bool { return !m.never && m.root.possible(parts) }

func (n *plan) possible(parts Parts) bool {
	if n.kind == planLeaf {
		return parts>>min(n.leaf, lastPart)&1 != 0
	}
	for _, k := range n.kids {
		if k.possible(parts) == (n.kind == planOr) {
			return n.kind == planOr
		}
	}
	return n.kind != planOr
}
