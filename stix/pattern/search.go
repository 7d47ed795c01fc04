package pattern

import (
	"cmp"
	"math/bits"
	"slices"
	"time"
)

// maxWork bounds the search of one call of Match, in steps of some
// nanoseconds each.
const maxWork = 5_000_000

// search decides whether observations can be given to the leaves of the plan,
// each used at most Count times, so that all of WITHIN and FOLLOWEDBY holds.
//
// REPEATS is not unrolled: x REPEATS 5 TIMES asks for 5 units of x. Both
// temporal operators come down to the choice of one moment: a FOLLOWEDBY b
// says that there is a moment t with every a able to be at t or before, and
// every b at t or after; x WITHIN s, that there is a moment t from which on
// all of x is in a window of s. When the moments and the branches of OR are
// chosen, each leaf asks for a number of units out of a set of observations,
// and whether all can be served at once is a question of flow.
type search struct {
	m       *Matcher
	seen    []Observation
	fits    []set   // by leaf: which observations match it
	free    []int64 // by observation: Count
	work    int
	demands []demand
	result  []int
}

// A demand is a number of units that must come out of a set of observations.
type demand struct {
	from  set
	units int64
}

// A goal is a part of the plan that has still to be satisfied, a number of
// times, by observations of a set and not before a moment.
type goal struct {
	node   *plan
	within set
	times  int64
	rest   []*plan // of planFollow: the operands from here on; nil is all of them
}

func (m *Matcher) search(observations []Observation, r *run) (Result, error) {
	s := &search{m: m, seen: observations, free: make([]int64, len(observations))}
	all := newSet(len(observations))
	for i := range observations {
		s.free[i] = int64(max(observations[i].Count, 1))
		all.add(i)
	}
	s.fits = make([]set, len(m.leaves))
	for l := range s.fits {
		s.fits[l] = newSet(len(observations))
	}
	for i := range observations {
		r.begin()
		for l := range m.leaves {
			if m.leaves[l].matches(&observations[i], r) {
				s.fits[l].add(i)
			}
		}
		if r.failed {
			return Result{}, ErrTooComplex
		}
	}
	s.relax(m.root, 1)
	matched := s.serve()
	if s.demands = nil; matched {
		matched = s.solve([]goal{{node: m.root, within: all, times: 1}})
	}
	switch {
	case matched:
		return Result{Matched: true, Observations: s.result}, nil
	case s.work > maxWork:
		return Result{}, ErrTooComplex
	}
	return Result{}, nil
}

// relax asks for what n needs whatever the moments are. If even that cannot be
// served, which most searches begin and end with, there is no match.
func (s *search) relax(n *plan, times int64) {
	switch n.kind {
	case planLeaf:
		s.demands = append(s.demands, demand{s.fits[n.leaf], times})
	case planOr:
		if union, ok := s.union(n); ok {
			s.demands = append(s.demands, demand{union, times})
		}
	case planRepeat:
		s.relax(n.kids[0], product(times, n.times))
	case planAnd, planFollow, planWithin:
		for _, k := range n.kids {
			s.relax(k, times)
		}
	}
}

// solve satisfies all goals, or puts everything back as it was. Goals is used
// as a stack that is never written below its end.
func (s *search) solve(goals []goal) bool {
	if s.work++; s.work > maxWork {
		return false
	}
	if len(goals) == 0 {
		return s.serve()
	}
	g := goals[len(goals)-1]
	goals = goals[: len(goals)-1 : len(goals)-1]
	switch g.node.kind {
	case planLeaf:
		return s.demand(goals, g, s.fits[g.node.leaf])
	case planAnd:
		for _, k := range g.node.kids {
			goals = append(goals, goal{node: k, within: g.within, times: g.times})
		}
		return s.solve(goals)
	case planRepeat:
		return s.solve(append(goals, goal{node: g.node.kids[0], within: g.within, times: product(g.times, g.node.times)}))
	case planOr:
		if union, ok := s.union(g.node); ok {
			return s.demand(goals, g, union)
		}
		return s.share(goals, g, len(g.node.kids), func(i int, times int64) []goal {
			return []goal{{node: g.node.kids[i], within: g.within, times: times}}
		})
	case planFollow:
		return s.follow(goals, g)
	case planWithin:
		return s.windows(goals, g)
	}
	return false
}

// most is the top of the range of units; twice as many are still an int64.
const most = 1<<62 - 1

// product multiplies and stays in the range of units.
func product(a, b int64) int64 {
	high, low := bits.Mul64(uint64(a), uint64(b))
	if high != 0 || low > most {
		return most
	}
	return int64(low)
}

// demand adds what a leaf asks for, and goes on.
func (s *search) demand(goals []goal, g goal, fits set) bool {
	from := fits.and(g.within)
	s.work += len(from)
	var have int64
	for i := range from.all() {
		have += s.free[i]
	}
	if have < g.times {
		return false
	}
	s.demands = append(s.demands, demand{from, g.times})
	if s.solve(goals) {
		return true
	}
	s.demands = s.demands[:len(s.demands)-1]
	return false
}

// union returns what matches any operand of an OR of leaves: since each match
// of it takes one unit of any of them, it is as good as one leaf.
func (s *search) union(n *plan) (set, bool) {
	union := newSet(len(s.seen))
	for _, k := range n.kids {
		switch k.kind {
		case planLeaf:
			union = union.or(s.fits[k.leaf])
		case planOr:
			inner, ok := s.union(k)
			if !ok {
				return nil, false
			}
			union = union.or(inner)
		case planAnd, planFollow, planRepeat, planWithin:
			return nil, false
		}
	}
	s.work += len(n.kids) * len(union)
	return union, true
}

// share divides the times of a goal over choices, all ways, the ones that
// give most to one choice first.
func (s *search) share(goals []goal, g goal, choices int, choose func(choice int, times int64) []goal) bool {
	var from func(choice int, left int64, goals []goal) bool
	from = func(choice int, left int64, goals []goal) bool {
		if left == 0 {
			return s.solve(goals)
		}
		for ; choice < choices; choice++ {
			for times := left; times > 0; times-- {
				if s.work++; s.work > maxWork {
					return false
				}
				if from(choice+1, left-times, append(slices.Clip(goals), choose(choice, times)...)) {
					return true
				}
			}
		}
		return false
	}
	return from(0, g.times, goals)
}

// follow chooses the moment by which the first operand is over and the others
// have not begun: among the moments at which an observation of the first can
// begin, since an earlier one lets no more of the others in.
func (s *search) follow(goals []goal, g goal) bool {
	kids := g.rest
	if kids == nil {
		kids = g.node.kids
	}
	if len(kids) == 1 {
		return s.solve(append(goals, goal{node: kids[0], within: g.within, times: g.times}))
	}
	moments := s.moments(kids[0], g.within, func(o *Observation) time.Time { return o.First })
	return s.share(goals, g, len(moments), func(i int, times int64) []goal {
		before := s.filter(g.within, func(o *Observation) bool { return !o.First.After(moments[i]) })
		after := s.filter(g.within, func(o *Observation) bool { return !o.Last.Before(moments[i]) })
		return []goal{
			{node: g.node, rest: kids[1:], within: after, times: times},
			{node: kids[0], within: before, times: times},
		}
	})
}

// windows chooses the moment at which the window of a WITHIN begins: among the
// moments at which an observation in it can be latest. The end of the window
// does not belong to it (STIX 2.1 §9.5.1).
func (s *search) windows(goals []goal, g goal) bool {
	kid, length := g.node.kids[0], g.node.span
	moments := s.moments(kid, g.within, func(o *Observation) time.Time { return o.Last })
	return s.share(goals, g, len(moments), func(i int, times int64) []goal {
		inside := s.filter(g.within, func(o *Observation) bool {
			return !o.Last.Before(moments[i]) && length.covers(moments[i], o.First)
		})
		return []goal{{node: kid, within: inside, times: times}}
	})
}

// covers reports whether t comes before the window that begins at start ends.
func (l span) covers(start, t time.Time) bool {
	seconds, nanos := t.Unix()-start.Unix(), int64(t.Nanosecond()-start.Nanosecond())
	if nanos < 0 {
		seconds, nanos = seconds-1, nanos+1e9
	}
	return seconds < l.seconds || seconds == l.seconds && nanos < l.nanos
}

// moments returns the different moments of the observations that match any
// leaf below n, in order.
func (s *search) moments(n *plan, within set, of func(*Observation) time.Time) []time.Time {
	union := newSet(len(s.seen))
	var visit func(n *plan)
	visit = func(n *plan) {
		if n.kind == planLeaf {
			union = union.or(s.fits[n.leaf])
		}
		s.work += len(union)
		for _, k := range n.kids {
			visit(k)
		}
	}
	visit(n)
	var moments []time.Time
	for i := range union.and(within).all() {
		moments = append(moments, of(&s.seen[i]))
	}
	s.work += len(moments)
	slices.SortFunc(moments, time.Time.Compare)
	return slices.CompactFunc(moments, time.Time.Equal)
}

func (s *search) filter(from set, keep func(*Observation) bool) set {
	kept := newSet(len(s.seen))
	s.work += len(kept) / 8 // for its memory
	for i := range from.all() {
		s.work++
		if keep(&s.seen[i]) {
			kept.add(i)
		}
	}
	return kept
}

// serve reports whether all demands can be served at once, and keeps how.
func (s *search) serve() bool {
	f := flow{free: slices.Clone(s.free), demands: merge(s.demands), given: make(map[[2]int]int64), work: &s.work}
	for d := range f.demands {
		if !f.serve(d) {
			return false
		}
	}
	used := newSet(len(s.seen))
	for pair, units := range f.given {
		if units > 0 {
			used.add(pair[1])
		}
	}
	s.result = slices.Collect(used.all())
	return true
}

// merge adds up demands of the same set, and puts first those that can be
// served in the fewest ways.
func merge(demands []demand) []demand {
	sorted := slices.Clone(demands)
	slices.SortFunc(sorted, func(a, b demand) int {
		return cmp.Or(cmp.Compare(a.from.len(), b.from.len()), slices.Compare(a.from, b.from))
	})
	merged := sorted[:0]
	for _, d := range sorted {
		if last := len(merged) - 1; last >= 0 && slices.Equal(merged[last].from, d.from) {
			merged[last].units = min(merged[last].units+d.units, most) // both are at most that
		} else {
			merged = append(merged, d)
		}
	}
	return merged
}

// A flow gives units of observations to demands.
type flow struct {
	free    []int64 // by observation: what nobody has been given
	demands []demand
	given   map[[2]int]int64 // by demand and observation
	work    *int
}

// serve gives demand d all its units, moving what others have been given as
// far as it must; false when there are not enough.
func (f *flow) serve(d int) bool {
	left := f.demands[d].units
	for i := range f.demands[d].from.all() {
		if units := min(left, f.free[i]); units > 0 {
			f.give(d, i, units)
			left -= units
		}
	}
	for left > 0 {
		units := f.augment(d, left)
		if units == 0 {
			return false
		}
		left -= units
	}
	return true
}

func (f *flow) give(d, i int, units int64) {
	f.given[[2]int{d, i}] += units
	f.free[i] -= units
}

// augment looks for the shortest chain of observations that can be passed on,
// from a free one to demand d, and passes up to want units along it.
func (f *flow) augment(d int, want int64) int64 {
	const unreached = -1
	taker := make([]int, len(f.free)) // by observation: the demand that would take it
	source := make([]int, len(f.demands))
	for i := range taker {
		taker[i] = unreached
	}
	for i := range source {
		source[i] = unreached // by demand: the observation that it would give up
	}
	queue := []int{d}
	for len(queue) > 0 {
		x := queue[0]
		queue = queue[1:]
		for i := range f.demands[x].from.all() {
			if *f.work++; *f.work > maxWork {
				return 0
			}
			if taker[i] != unreached {
				continue
			}
			taker[i] = x
			if f.free[i] > 0 {
				return f.pass(d, i, want, taker, source)
			}
			for y := range f.demands {
				*f.work++
				if y != d && source[y] == unreached && f.given[[2]int{y, i}] > 0 {
					source[y] = i
					queue = append(queue, y)
				}
			}
		}
	}
	return 0
}

// pass moves units along the chain that ends with a free observation.
func (f *flow) pass(d, end int, want int64, taker, source []int) int64 {
	units := min(want, f.free[end])
	for x := taker[end]; x != d; x = taker[source[x]] {
		units = min(units, f.given[[2]int{x, source[x]}])
	}
	f.free[end] -= units
	for i := end; ; i = source[taker[i]] {
		x := taker[i]
		f.given[[2]int{x, i}] += units
		if x == d {
			return units
		}
		f.given[[2]int{x, source[x]}] -= units
	}
}
