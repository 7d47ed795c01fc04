package authorize

import (
	"maps"
	"slices"

	"tocsin"
	"tocsin/internal/marking"
	"tocsin/internal/minimize"
	"tocsin/internal/tearline"
	"tocsin/stix"
)

// Labels returns the labels that objects would get which are shared together, and
// how many objects each: what decides who sees them, and nothing else of them.
func Labels(who tocsin.Member, to Target, objects []minimize.Object) map[*Label]int {
	a := Admitted{who: who, target: to}
	a.target.Recipients = sortedSet(to.Recipients)
	labels := map[string]*Label{}
	for _, o := range objects {
		a.objects = append(a.objects, Object{ID: o.ID(), Type: o.Type(), Value: o.Value(), Label: a.label(o.Value(), labels)})
	}
	NewPolicy().link(&a, objects, labels)
	counts := map[*Label]int{}
	for _, o := range a.objects {
		counts[o.Label]++
	}
	return counts
}

// Asked returns the label by which an audience is asked for before anything is
// shared: linked are the markings of what its references lead to.
func (l Label) Asked(linked []string) *Label {
	if len(linked) > 0 {
		l.Links = []tearline.Link{{Markings: linked}}
	}
	return &l
}

// With returns a policy that decides like this one, as if an organization had
// shared some marking-definitions.
func (p *Policy) With(owner string, definitions []stix.Value) *Policy {
	p.mu.RLock()
	q := &Policy{
		decider: p.decider, copies: p.copies, definitions: maps.Clone(p.definitions), attributes: p.attributes, ceiling: p.ceiling,
		high: map[definition]bool{}, readers: map[readerKey]*Reader{}, creators: p.creators,
	}
	p.mu.RUnlock()
	for _, d := range definitions {
		q.Define(owner, d)
	}
	return q
}

// Discreet reports whether who sees what carries the label follows from
// attributes of readers, such as clearances, that sharers have no business to
// learn by asking.
func (p *Policy) Discreet(l *Label) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return slices.ContainsFunc(slices.Concat(l.Markings, l.hideable()), func(id string) bool {
		m := p.marking(l.Owner, id)
		return m.Kind != marking.TLP && m.Kind != "" && p.decider.Restricts(&m, marking.See)
	})
}
