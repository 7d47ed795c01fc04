package authorize

import (
	"slices"
	"strings"

	"tocsin"
	"tocsin/internal/marking"
	"tocsin/internal/minimize"
	"tocsin/stix"
	"tocsin/tlp"
)

// Define tells the policy of a marking-definition that an organization has
// recorded. One that it does not understand stays closed; the first of two with
// the same id counts. It reports whether the definition changed what anybody may
// see.
func (p *Policy) Define(owner string, v stix.Value) bool {
	key := definition{owner, v.Get("id").Text()}
	m, ok := marking.Parse(v)
	if _, known := marking.WellKnown(key.id); !ok || known {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.definitions[key]; known {
		return false
	}
	p.definitions[key] = m
	if m.Level() > p.ceiling {
		p.high[key] = true
	}
	p.readers = map[readerKey]*Reader{} // what was decided without it is decided anew
	return true
}

// Forget makes every decision anew, as after a change of the directory.
func (p *Policy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readers = map[readerKey]*Reader{}
}

// Attributes tells the policy what is known of organizations as readers, by
// name, and makes every decision anew.
func (p *Policy) Attributes(all map[string]marking.Attributes) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attributes = all
	p.readers = map[readerKey]*Reader{}
}

// marking returns what an id means on an object of an owner. Only with p.mu.
func (p *Policy) marking(owner, id string) marking.Marking {
	if other, theirs, ok := strings.Cut(id, ownerMark); ok { // see Narrow
		owner, id = other, theirs
	}
	if m, ok := marking.WellKnown(id); ok {
		return m
	}
	return p.definitions[definition{owner, id}] // the zero value is unknown
}

// markings returns what the whole object is marked with, the level that stands in
// for a missing one included; false when there is neither, and so no audience. A
// marking that belongs to the reader itself is met. Only with p.mu.
func (p *Policy) markings(l *Label, reader string) (all []marking.Marking, ok bool) {
	leveled := false
	for _, id := range l.Markings {
		if owner, _, theirs := strings.Cut(id, ownerMark); theirs && owner == reader {
			continue
		}
		m := p.marking(l.Owner, id)
		leveled = leveled || m.TLP != tlp.None
		all = append(all, m)
	}
	if !leveled {
		standing, ok := marking.WellKnown(l.Default.Marking())
		return append(all, standing), ok
	}
	return all, true
}

// above returns a function that reports of an object whether the hub may not
// store it, because it, or a part of it, is classified above the hub's ceiling.
// Definitions of the submission itself count.
func (p *Policy) above(owner string, b minimize.Bundle) func(v stix.Value) bool {
	high := map[string]bool{}
	for _, o := range b.Objects() {
		if o.Type() == "marking-definition" {
			if m, ok := marking.Parse(o.Value()); ok && m.Level() > p.ceiling {
				high[o.ID()] = true
			}
		}
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	for key := range p.high {
		if key.owner == owner {
			high[key.id] = true
		}
	}
	if len(high) == 0 {
		return func(stix.Value) bool { return false }
	}
	return func(v stix.Value) bool {
		whole, parts := Markings(v)
		// A definition that were stored would stand beside what was stored before
		// it, closed, and be the proof that it should not be here.
		return high[v.Get("id").Text()] || slices.ContainsFunc(slices.Concat(whole, parts), func(id string) bool { return high[id] })
	}
}

func tooHigh() *tocsin.Error {
	return &tocsin.Error{
		Kind: tocsin.Forbidden, At: "/object_marking_refs", Message: "this hub may not hold what is classified that high",
		Hint: "share it on a hub that is accredited for it; share here what may stand below the tear-line",
	}
}

// ownerMark stands between an organization and the id of a marking as that
// organization defines it.
const ownerMark = ":"

// Restrictions returns the ids of all markings of the label, for the record.
func (l *Label) Restrictions() []string {
	all := make([]string, 0, len(l.Markings)+len(l.Parts))
	for _, id := range slices.Concat(l.Markings, l.Parts) {
		if _, theirs, ok := strings.Cut(id, ownerMark); ok {
			id = theirs
		}
		all = append(all, id)
	}
	return all
}

// Narrow returns the label of an object that speaks of another one, such as a
// sighting of it: whoever may not see all of what is spoken of must not learn of
// it from who speaks of it. Recipients of the other are recipients of this one,
// its owner among them; its markings count here as well, with the meaning that
// they have there.
func (l *Label) Narrow(about *Label) *Label {
	if about == nil || about.Community != l.Community {
		return l
	}
	narrow := *l
	narrow.Markings = slices.Clone(l.Markings)
	for _, m := range slices.Concat(about.Markings, about.hideable()) {
		if _, isTLP := tlp.FromMarking(m); !isTLP && about.Owner != l.Owner && !strings.Contains(m, ownerMark) {
			m = about.Owner + ownerMark + m
		}
		narrow.Markings = append(narrow.Markings, m)
	}
	narrow.Markings = sortedSet(narrow.Markings)
	narrow.Parts = slices.DeleteFunc(slices.Clone(l.Parts), func(id string) bool { return slices.Contains(narrow.Markings, id) })
	narrow.Default = max(l.Default, about.Default)
	switch {
	case len(about.Recipients) == 0 && !slices.ContainsFunc(slices.Concat(about.Markings, about.hideable()), isRed):
	case len(l.Recipients) == 0:
		narrow.Recipients = sortedSet(append(slices.Clone(about.Recipients), about.Owner))
	default:
		narrow.Recipients = slices.DeleteFunc(slices.Clone(l.Recipients), func(r string) bool {
			return r != about.Owner && !slices.Contains(about.Recipients, r)
		})
		if len(narrow.Recipients) == 0 { // nobody of those who were named may; an empty list would mean all
			narrow.Recipients = []string{l.Owner}
		}
	}
	return &narrow
}

func isRed(id string) bool {
	level, ok := tlp.FromMarking(id)
	return ok && level == tlp.Red
}
