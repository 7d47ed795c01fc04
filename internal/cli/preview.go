package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/hubclient"
	"tocsin/internal/marking"
	"tocsin/internal/minimize"
	"tocsin/tlp"
)

// An audience is who would see objects that are marked alike.
type audience struct {
	TLP           string   `json:"tlp"`              // that decides; the community's default where nothing does
	Marked        []string `json:"marked,omitempty"` // which kinds of other markings they have
	Objects       int      `json:"objects"`
	Organizations []string `json:"organizations"`    // who see them whole
	Partly        []string `json:"partly,omitempty"` // who see copies of the rest, because of markings of parts or of what they refer to
	Whole         int      `json:"whole"`            // how many; -1: the hub does not say, it would tell of clearances
	Part          int      `json:"part"`
	Members       int      `json:"members"` // of the community
	Named         bool     `json:"named"`   // the organizations are named
}

// audiences asks the hub who would see what is marked how. It tells the hub the
// ids of markings, and what marking-definitions that are shared with the objects
// say, and nothing else: nothing leaves before somebody says yes.
func audiences(ctx context.Context, h *hubclient.Client, t target, who hubclient.Me, objects []minimize.Object) ([]audience, error) {
	to := authorize.Target{Community: t.community, Default: standing(who, t.community), Recipients: t.to}
	counts := authorize.Labels(tocsin.Member{Organization: tocsin.Organization{Name: who.Organization.Name}}, to, objects)
	kinds := map[string]marking.Kind{}
	var definitions [][]byte
	for _, o := range objects {
		if m, ok := marking.Parse(o.Value()); ok {
			kinds[o.ID()] = m.Kind
			definitions = append(definitions, o.Raw())
		}
	}
	labels := slices.SortedFunc(maps.Keys(counts), func(a, b *authorize.Label) int { return cmp.Compare(a.Key(), b.Key()) })
	var all []audience
	for some := range slices.Chunk(labels, labelsAtOnce) {
		questions := make([]hubclient.Question, len(some))
		for i, l := range some {
			questions[i] = hubclient.Question{Markings: l.Markings, Parts: l.Parts, Linked: l.Hideable(), Closed: l.Closed}
		}
		seen, err := h.Audiences(ctx, t.community, questions, definitions, t.to)
		if err != nil {
			return nil, fmt.Errorf("audience: %w", err)
		}
		for i, s := range seen[:min(len(seen), len(some))] {
			a := audience{
				Objects: counts[some[i]], Organizations: notNil(s.Wholly), Partly: s.Partly, Whole: s.Whole, Part: s.Part, Members: s.Members, Named: s.Names,
			}
			a.TLP, a.Marked = described(some[i], kinds)
			all = joinAudience(all, a)
		}
	}
	return all, nil
}

// labelsAtOnce is how many labels the hub is asked about in one request.
const labelsAtOnce = 500

// standing returns what a community takes an unmarked object for.
func standing(who hubclient.Me, community string) tlp.Label {
	for _, c := range who.Communities {
		if c.Name == community {
			label, _ := tlp.Parse(c.DefaultTLP)
			return label
		}
	}
	return tlp.None
}

// described says in words how objects are marked.
func described(l *authorize.Label, kinds map[string]marking.Kind) (level string, others []string) {
	highest := tlp.None
	for i, id := range slices.Concat(l.Markings, l.Parts) {
		m, known := marking.WellKnown(id)
		switch {
		case known && m.Kind == marking.TLP:
			if i < len(l.Markings) {
				highest = max(highest, m.TLP)
			} else {
				others = append(others, "parts "+m.TLP.String())
			}
			continue
		case known:
			others = append(others, string(m.Kind))
		case kinds[id] != "":
			others = append(others, string(kinds[id]))
		default:
			others = append(others, "a marking defined elsewhere")
		}
	}
	slices.Sort(others)
	return cmp.Or(highest, l.Default).String(), slices.Compact(others)
}

// joinAudience adds an audience to those who see the same of what is marked in the
// same words.
func joinAudience(all []audience, a audience) []audience {
	for i := range all {
		b := all[i]
		b.Objects = a.Objects
		if reflect.DeepEqual(a, b) {
			all[i].Objects += a.Objects
			return all
		}
	}
	return append(all, a)
}

// shownChanges is how many changed objects a preview shows in full.
const shownChanges = 3

// preview shows what would leave, what is removed, and who would see the rest.
func (a *app) preview(r *shared, out *gated) {
	a.say("%s", a.out(bold, "What leaves: "+count(r.Objects, "object")))
	var types []string
	for _, kind := range slices.Sorted(maps.Keys(r.Types)) {
		types = append(types, fmt.Sprintf("%s %s", grouped(r.Types[kind]), kind))
	}
	a.say("  %s", orElse(safe(strings.Join(types, ", ")), "nothing"))
	a.showRejected(r.Invalid, 5)

	a.say("\n%s", a.out(bold, "What is removed before: "+orElse(removedInShort(r.Findings), "nothing; there is nothing to remove")))
	changed, followed := a.showChanged(out, shownChanges)
	if changed > shownChanges {
		a.say("  … and %s more; 'tocsin minimize' shows all", grouped(changed-shownChanges))
	}
	if followed > 0 {
		a.say("  %s changed with them, because they refer to them", count(followed, "object"))
	}
	a.showDropped(out)

	a.showHubGate(r)
	if r.Anonymous {
		a.say("\n%s", a.out(bold, "Anonymous: what leaves does not say that it is yours."))
		a.say("  It cannot be hidden from the hub whose token submits it, nor when. What a text tells between")
		a.say("  the lines, of your sector or of an incident that others know, stays: read it once more.")
		if len(r.NamedTo) > 0 {
			a.say("  A note to the government's organizations alone names you: %s.", a.organizations(r.NamedTo))
		}
		if n := outside(r.Findings); n > 0 {
			a.say("  %s %s objects that are not in the submission; when those are yours, they give you away", a.out(yellow, "!"), count(n, "reference")+" to")
		}
	}

	a.say("\n%s", a.out(bold, "Who sees it, in "+r.Community+"/"+r.Collection+":"))
	a.showAudience(r.Audience)
	a.say("")
}

// showAudience says who sees objects whole, and who sees a copy of the rest.
func (a *app) showAudience(all []audience) {
	for _, s := range all {
		as := orElse(s.TLP, "no TLP")
		if len(s.Marked) > 0 {
			as += " (" + joined(s.Marked) + ")"
		}
		a.say("  %s as %s: %s", count(s.Objects, "object"), as, a.seenBy(s, s.Whole, s.Organizations))
		if s.Part != 0 {
			a.say("    a copy without the marked parts, or without references to what they may not see: %s", a.seenBy(s, s.Part, s.Partly))
		}
	}
}

// seenBy names an audience, or says how many it is where names would tell of
// clearances.
func (a *app) seenBy(s audience, n int, names []string) string {
	switch {
	case n < 0:
		return "those whose clearances and other attributes allow it"
	case s.Named:
		return a.organizations(names)
	}
	return fmt.Sprintf("%d of %s, whose names the hub does not tell", n, count(s.Members, "organization"))
}

// outside counts references of an anonymous submission to what is not in it.
func outside(findings []minimize.Finding) (n int) {
	for _, f := range findings {
		if f.Rule == "anonymous-reference" {
			n++
		}
	}
	return n
}

// organizations names an audience: all of a small one, the number of a large
// one.
func (a *app) organizations(names []string) string {
	const most = 12
	switch {
	case len(names) == 0:
		return "nobody"
	case len(names) <= most:
		return safe(strings.Join(names, ", "))
	}
	return fmt.Sprintf("%s: %s, …", count(len(names), "organization"), safe(strings.Join(names[:most], ", ")))
}

func removedInShort(findings []minimize.Finding) string {
	counts := map[string]int{}
	for _, f := range findings {
		counts[f.Class+" "+f.Action] += max(f.Count, 1)
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s × %s", grouped(counts[what]), what))
	}
	return strings.Join(parts, ", ")
}

func joined(names []string) string { return strings.Join(names, ", ") }
