package authorize

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"tocsin"
	"tocsin/internal/marking"
	"tocsin/tlp"
)

// A Ruling is what one marking by itself allows an organization.
type Ruling struct {
	ID        string // of the marking-definition; "" for markings that the hub does not know
	Marking   marking.Marking
	Decisions iter.Seq2[marking.Action, marking.Decision]
}

// Rulings returns what is known of an organization as a reader, and what follows
// for markings on what others share with the community: the levels of TLP, what
// the hub does not know, and the markings that the organization has defined
// itself. Of what others have defined it learns from their marking-definitions, if
// it may see those.
func (p *Policy) Rulings(o tocsin.Organization, now time.Time) (marking.Attributes, []Ruling) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	reader := p.reader("", o).attributes
	rule := func(id string, m marking.Marking) Ruling {
		return Ruling{ID: id, Marking: m, Decisions: func(yield func(marking.Action, marking.Decision) bool) {
			for _, action := range marking.Actions() {
				if action != marking.TearLine && !yield(action, p.decider.Decide(&reader, []marking.Marking{m}, action, now)) {
					return
				}
			}
		}}
	}
	var all []Ruling
	for level := tlp.Clear; level <= tlp.Red; level++ {
		m, _ := marking.WellKnown(level.Marking())
		all = append(all, rule(level.Marking(), m))
	}
	known := len(all)
	for key, m := range p.definitions {
		if key.owner == o.Name {
			all = append(all, rule(key.id, m))
		}
	}
	slices.SortFunc(all[known:], func(a, b Ruling) int { return cmp.Compare(a.ID, b.ID) })
	return reader, append(all, rule("", marking.Marking{Kind: marking.Unknown}))
}
