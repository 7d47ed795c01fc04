package lists

import (
	"iter"
	"time"

	"tocsin/internal/coding"
	"tocsin/internal/export"
	"tocsin/internal/indicator"
	"tocsin/internal/view"
	"tocsin/stix"
)

// A shelf is what some readers see of a collection: its indicators, and the
// lists that were made of them.
type shelf struct {
	generation uint64 // rises with every change
	indicators map[string]*indicator.Indicator
	policies   indicator.Policies // what markings allow: of two that say so differently the more restrictive
	lists      map[Request]*kept
	bytes      int64 // about what the indicators take
}

// kept is a list that was made, and until when it is good.
type kept struct {
	List

	generation uint64
	until      time.Time // zero: until there is news
	rests      time.Time // it is good until then, whatever is new
}

func newShelf() *shelf {
	return &shelf{indicators: map[string]*indicator.Indicator{}, policies: indicator.Policies{}, lists: map[Request]*kept{}}
}

// take adds an object, or takes back one that was withdrawn.
func (s *shelf) take(o view.Object) {
	switch {
	case o.Withdrawn() && o.Type() == "indicator":
		s.withdraw(o)
	case o.Withdrawn():
		// A marking-definition has no versions and cannot change (STIX 2.1 §7.2.1): what it says stays true.
	case o.Type() == "indicator":
		s.indicator(o)
	default:
		s.explain(o)
	}
}

// withdraw forgets an indicator. An older version that is still shared does not
// come back: the newest word on it was taken back.
func (s *shelf) withdraw(o view.Object) {
	known := s.indicators[o.ID()]
	if known == nil || known.Version.After(o.VersionTime()) {
		return
	}
	delete(s.indicators, o.ID())
	s.bytes -= sizeOf(known)
	s.generation++
}

// indicator puts an indicator on the shelf if it is newer than what is there.
// What was revoked stays so (STIX 2.1 §3.6).
func (s *shelf) indicator(o view.Object) {
	v, err := stix.Parse(o.Raw(), stix.Limits{Bytes: len(o.Raw())})
	if err != nil {
		return // it was valid when it was taken: not here
	}
	in, ok := indicator.FromSTIX(v)
	if !ok {
		return
	}
	in.Name = "" // no list has it
	known := s.indicators[in.ID]
	if known != nil && (known.Revoked || !in.Version.After(known.Version)) {
		return
	}
	if known != nil {
		s.bytes -= sizeOf(known)
	}
	s.indicators[in.ID] = &in
	s.bytes += sizeOf(&in)
	s.generation++
}

func (s *shelf) explain(o view.Object) {
	v, err := stix.Parse(o.Raw(), stix.Limits{Bytes: len(o.Raw())})
	if err != nil {
		return
	}
	id, allowed, ok := indicator.Policy(v)
	if !ok {
		return
	}
	if before, known := s.policies[id]; known {
		allowed = min(allowed, before)
	}
	s.policies[id] = allowed
	s.generation++
}

// sizeOf returns about how much memory an indicator takes, in bytes.
func sizeOf(in *indicator.Indicator) int64 {
	n := 400 + len(in.ID) + len(in.Creator) + len(in.Rule)
	for _, v := range in.Values {
		n += 24 + len(v.Text())
	}
	for _, m := range in.Marked {
		n += 16 + len(m)
	}
	return int64(n)
}

// size returns about how much memory the shelf takes, in bytes.
func (s *shelf) size() int64 {
	n := s.bytes
	for _, l := range s.lists {
		n += 2 * int64(l.Text.Len()) // and what is compressed
		for _, b := range l.before {
			n += 2 * int64(b.text.Len()) // and its script, which is shorter
		}
	}
	return n
}

// all yields the indicators with what may be done with each.
func (s *shelf) all() iter.Seq[indicator.Indicator] {
	return func(yield func(indicator.Indicator) bool) {
		for _, in := range s.indicators {
			with := *in
			with.Action = s.policies.Allowed(in)
			if !yield(with) {
				return
			}
		}
	}
}

// next returns when an indicator becomes valid or invalid, or a value of the set
// ends, after a moment; zero when nothing does.
func (s *shelf) next(set export.Set, now time.Time) (at time.Time) {
	sooner := func(t time.Time) {
		if t.After(now) && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, in := range s.indicators {
		if !in.Revoked && !in.Benign {
			sooner(in.From)
			sooner(in.Until)
		}
	}
	for _, i := range set.Items { // values end with their decay as well
		sooner(i.Until)
	}
	return at
}

// list returns the list for a request, as it was made before if that is good,
// and makes it otherwise.
func (s *shelf) list(r Request, now time.Time, c *coding.Compressor, write func() ([]byte, export.Set, error)) (*List, error) {
	r.Community, r.Collection = "", "" // one shelf is of one collection, which has two names
	l := s.lists[r]
	if l != nil && (now.Before(l.rests) || l.generation == s.generation && (l.until.IsZero() || now.Before(l.until))) {
		return &l.List, nil
	}
	began := time.Now()
	text, set, err := write()
	if err != nil {
		return nil, err
	}
	made := &kept{List: List{Text: c.Text(text, nil)}, generation: s.generation, until: s.next(set, now)}
	if l != nil {
		if l.Text.Tag(coding.Identity) == made.Text.Tag(coding.Identity) {
			made.List = l.List // it may be compressed already
		} else {
			for _, b := range l.before[max(0, len(l.before)-mostBefore+1):] {
				made.before = append(made.before, &earlier{text: b.text})
			}
			made.before = append(made.before, &earlier{text: l.Text})
		}
	} else if len(s.lists) >= mostLists {
		for other := range s.lists { // any: whoever wants it has it made again
			delete(s.lists, other)
			break
		}
	}
	took := time.Since(began)
	made.rests = now.Add(restFactor * took)
	s.lists[r] = made
	return &made.List, nil
}
