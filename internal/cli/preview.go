package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tocsin/internal/authorize"
	"tocsin/internal/hubclient"
	"tocsin/internal/marking"
	"tocsin/internal/minimize"
	"tocsin/tlp"
)

// An audience is who would see objects that are marked alike.
type audience struct {
	TLP           string   `json:"tlp"` // that decides; "" for markings that a hub may not understand
	Objects       int      `json:"objects"`
	Organizations []string `json:"organizations"`
}

// audiences asks the hub who would see what is marked how. A marking that is
// no TLP label is for the hub to understand; until it does, only the sharer
// sees what carries it.
func audiences(ctx context.Context, h *hubclient.Client, t target, who hubclient.Me, objects []minimize.Object) ([]audience, error) {
	counts := map[string]int{}
	defined := map[string]bool{}
	for _, o := range objects {
		if m, ok := marking.Parse(o.Value()); ok && m.Kind == marking.Statement {
			defined[o.ID()] = true
		}
	}
	for _, o := range objects {
		level, understood := tlp.None, true
		for _, id := range slices.Concat(authorize.Markings(o.Value())) {
			label, ok := tlp.FromMarking(id)
			level = max(level, label)
			understood = understood && (ok || defined[id])
		}
		name := level.String()
		if !understood {
			name = "?"
		}
		counts[name]++
	}
	var all []audience
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if name == "?" {
			all = append(all, audience{Objects: counts[name], Organizations: []string{who.Organization.Name}})
			continue
		}
		seen, err := h.Audience(ctx, t.community, name, t.to)
		if err != nil {
			return nil, fmt.Errorf("audience: %w", err)
		}
		a := audience{TLP: seen.TLP, Objects: counts[name], Organizations: []string{}}
		for _, o := range seen.Organizations {
			a.Organizations = append(a.Organizations, o.Name)
		}
		all = append(all, a)
	}
	return all, nil
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

	if r.Anonymous {
		a.say("\n%s", a.out(bold, "Anonymous: what leaves does not say that it is yours."))
		a.say("  It cannot be hidden from the hub whose token submits it, nor when. What a text tells between")
		a.say("  the lines, of your sector or of an incident that others know, stays: read it once more.")
		if n := outside(r.Findings); n > 0 {
			a.say("  %s %s objects that are not in the submission; when those are yours, they give you away", a.out(yellow, "!"), count(n, "reference")+" to")
		}
	}

	a.say("\n%s", a.out(bold, "Who sees it, in "+r.Community+"/"+r.Collection+":"))
	for _, s := range r.Audience {
		if s.TLP == "" {
			a.say("  %s with markings that a hub may not understand: you alone, until it does", count(s.Objects, "object"))
			continue
		}
		a.say("  %s as %s: %s", count(s.Objects, "object"), s.TLP, a.organizations(s.Organizations))
	}
	a.say("")
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
