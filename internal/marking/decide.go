package marking

import (
	"slices"
	"time"
)

// Decide answers whether a reader may take an action on what carries the
// markings. It is pure: it knows no clock, and asks nobody. Every marking has to
// allow it (the most restrictive wins), and whoever may not see may do nothing
// else; with no marking at all everything is allowed. What stands in for a
// marking where there is none is the caller's to say.
func Decide(reader *Attributes, markings []Marking, action Action, now time.Time) Decision {
	return table(Table()).decide(reader, markings, action, now)
}

// A Decider decides like [Decide], with a table that is made once.
type Decider struct{ rows table }

// NewDecider returns a decider. It is safe for concurrent use.
func NewDecider() *Decider { return &Decider{table(Table())} }

// Decide is the function [Decide].
func (d *Decider) Decide(reader *Attributes, markings []Marking, action Action, now time.Time) Decision {
	return d.rows.decide(reader, markings, action, now)
}

// Restricts reports whether any row asks something of a reader who wants to take
// the action on what carries the marking, so that readers could be told apart.
func (d *Decider) Restricts(m *Marking, action Action) bool {
	return slices.ContainsFunc(d.rows, func(r Row) bool { return r.about(action) && r.concerns(m) })
}

type table []Row

// about reports whether the row has a say in the action. Seeing comes before
// everything else but the tear-line, which is for those who may not see.
func (r *Row) about(action Action) bool {
	return slices.Contains(r.Actions, action) || action != TearLine && slices.Contains(r.Actions, See)
}

func (t table) decide(reader *Attributes, markings []Marking, action Action, now time.Time) Decision {
	d := Decision{Yes: true}
	for i := range markings {
		for j := range t {
			row := &t[j]
			if !row.about(action) || !row.concerns(&markings[i]) {
				continue
			}
			ok, until := row.met(&question{&markings[i], reader, action, now})
			switch {
			case ok && d.Yes:
				d.Until = sooner(d.Until, until)
			case !ok && d.Yes:
				d = Decision{Row: row.ID, Reason: row.Needs, Until: until}
			case !ok && until.IsZero(): // nothing that comes will change the answer
				d.Until = time.Time{}
			case !ok && !d.Until.IsZero() && until.After(d.Until): // it will not be yes before
				d.Until = until
			}
		}
	}
	return d
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
