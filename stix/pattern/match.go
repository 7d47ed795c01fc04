package pattern

// A Result is the answer of [Matcher.Match].
type Result struct {
	Matched bool
	// Observations are the indexes of the observations that make one match,
	// ascending. There may be other matches.
	Observations []int
}

// The bounds of what a pattern may do with one observation.
const (
	// maxVisits is of list elements that [*] goes through: lists of references
	// that lead to each other multiply with every [*].
	maxVisits = 1 << 20
	// maxSteps is of the product of text and expression that LIKE and MATCHES
	// can take as time.
	maxSteps = 1 << 26
)

// maxComparisons is of what one call of Match may do with all observations: a
// pattern of thousands of comparisons asks each of them of every object.
const maxComparisons = 100_000_000

// A run is the state of one call of Match.
type run struct {
	visits, steps int  // of the observation at hand
	comparisons   int  // of all
	failed        bool // a bound is passed; what is found from then on is void
}

// begin goes on to the next observation.
func (r *run) begin() { r.visits, r.steps = 0, 0 }

// charge counts work that is about to be done, and reports whether it may.
func (r *run) charge(visits, steps int) bool {
	r.visits += visits
	r.steps += min(steps, maxSteps+1)
	r.failed = r.failed || r.visits > maxVisits || r.steps > maxSteps
	return !r.failed
}

// Match reports whether the observations, all of them together, match. It
// returns [ErrTooComplex] rather than a guess when the search takes too long.
func (m *Matcher) Match(observations []Observation) (Result, error) {
	if m.never {
		return Result{}, nil
	}
	var r run
	if !m.simple {
		return m.search(observations, &r)
	}
	for i := range observations {
		r.begin()
		if m.any(m.root, &observations[i], &r) && !r.failed {
			return Result{Matched: true, Observations: []int{i}}, nil
		}
		if r.failed {
			return Result{}, ErrTooComplex
		}
	}
	return Result{}, nil
}

// MatchOne is Match for one observation, and allocates nothing for a pattern
// that needs only one.
func (m *Matcher) MatchOne(o *Observation) (bool, error) {
	if m.never {
		return false, nil
	}
	if !m.simple {
		found, err := m.Match([]Observation{*o})
		return found.Matched, err
	}
	var r run
	matched := m.any(m.root, o, &r)
	if r.failed {
		return false, ErrTooComplex
	}
	return matched, nil
}

// any reports whether one observation matches a plan of leaves and OR.
func (m *Matcher) any(n *plan, o *Observation, r *run) bool {
	if n.kind == planLeaf {
		return m.leaves[n.leaf].matches(o, r)
	}
	for _, k := range n.kids {
		if m.any(k, o, r) {
			return true
		}
	}
	return false
}

// matches reports whether one observation can have been made in the leaf's
// window, and has an object of which the test is true: one object for all of
// the test (STIX 2.1 §9.5).
func (l *leafPlan) matches(o *Observation, r *run) bool {
	// It is not defined when the observations are between First and Last
	// (STIX 2.1 §9.1): one moment in the window is enough.
	if !l.window.IsZero() && (l.window.isEmpty() || !o.First.Before(l.window.Stop) || o.Last.Before(l.window.Start)) {
		return false
	}
	if r.comparisons += l.size * len(o.objects); r.comparisons > maxComparisons {
		r.failed = true
		return false
	}
	for i := range o.objects {
		if l.cond.holds(o, &o.objects[i], r) {
			return true
		}
	}
	return false
}

// holds reports whether the test is true of one object.
func (c *cond) holds(o *Observation, root *object, r *run) bool {
	if c.join == leaf {
		return c.matches(o, root, r)
	}
	for i := range c.kids {
		if c.kids[i].holds(o, root, r) == (c.join == joinOr) {
			return c.join == joinOr
		}
	}
	return c.join == joinAnd
}

// matches reports whether the comparison is true of one object. Of an object
// of another type, or without the property, it is false, NOT or no NOT
// (STIX 2.1 §9.6); only NOT EXISTS is true when there is nothing.
func (c *check) matches(o *Observation, root *object, r *run) bool {
	if root.kind != c.kind {
		return false
	}
	if c.fast {
		s, ok := root.props[c.hops[0].key].(string)
		return ok && s == c.plain
	}
	if c.op == Exists {
		return c.walk(o, root.props, c.hops, r) != c.negated
	}
	return c.walk(o, root.props, c.hops, r)
}

// walk follows the rest of the path from a value and reports whether the
// comparison is true of anything that it leads to.
func (c *check) walk(o *Observation, value any, hops []hop, r *run) bool {
	if len(hops) == 0 {
		return c.op == Exists || c.holds(value, r)
	}
	h := &hops[0]
	if h.kind == KeyStep {
		props, _ := value.(map[string]any)
		next, ok := props[h.key]
		return ok && c.follow(o, next, hops, r)
	}
	list, _ := value.([]any)
	if h.kind == IndexStep {
		return h.index < len(list) && c.follow(o, list[h.index], hops, r)
	}
	for _, element := range list {
		if !r.charge(1, 0) {
			return false
		}
		if c.follow(o, element, hops, r) {
			return true
		}
	}
	return false
}

// follow goes on from what the first hop led to: through it, if it is the name
// of an object. A name of nothing leads nowhere (STIX 2.1 §9.7.4).
func (c *check) follow(o *Observation, value any, hops []hop, r *run) bool {
	if hops[0].ref {
		name, _ := value.(string)
		target, ok := o.byName[name]
		if !ok {
			return false
		}
		value = target.props
	}
	return c.walk(o, value, hops[1:], r)
}
