package agent

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tocsin/internal/export"
	parsed "tocsin/internal/indicator"
	"tocsin/internal/match"
)

// terms are what a value has to meet to be exported.
type terms struct {
	needs   parsed.Action // what a producer must allow
	sources int           // how many organizations must say so, at least one
}

// guards reports whether the false-positive guard is asked: what only detects
// does no harm at a well-known site.
func (t terms) guards() bool { return t.needs >= parsed.Block }

// A gate keeps what may pass under some terms, for all exports that have them.
type gate struct {
	terms

	kinds   map[match.Kind]bool          // what its exports have a place for
	carries map[string]bool              // rules that its exports pass on, by their kind
	lists   map[match.Kind][]export.Item // by text
	rules   map[string]export.Rule       // by the key of the indicator that carries them
	held    map[match.Value]string       // values that are held back → reason
}

func newGate(t terms) *gate {
	return &gate{
		terms: t, kinds: map[match.Kind]bool{}, carries: map[string]bool{}, lists: map[match.Kind][]export.Item{}, rules: map[string]export.Rule{},
		held: map[match.Value]string{},
	}
}

// count returns how many values and rules pass.
func (g *gate) count() (n int) {
	for _, l := range g.lists {
		n += len(l)
	}
	return n + len(g.rules)
}

func search(list []export.Item, v match.Value) (int, bool) {
	return slices.BinarySearchFunc(list, v, func(i export.Item, v match.Value) int { return strings.Compare(i.Value.Text(), v.Text()) })
}

// A verdict is what becomes of a value at a gate.
type verdict struct {
	item   export.Item
	passes bool
	reason string // why it does not, though it is valid
	by     change
}

// decide looks at one value. Whoever calls holds the book's lock.
func (g *gate) decide(b *book, v match.Value, by change) verdict {
	d := verdict{item: export.Item{Value: v}, by: by}
	names := b.who(v)
	if len(names) == 0 && by.by.sought { // a name of one label: the set has no place for it
		names = []*indicator{by.by}
	}
	if len(names) == 0 {
		if by.by.active { // it may not even be looked for
			d.reason = export.NotAllowed
		}
		return d
	}
	may := names[:0]
	for _, in := range names {
		if b.allowed(in) >= g.needs {
			may = append(may, in)
		}
	}
	if len(may) == 0 {
		d.reason = export.NotAllowed
		return d
	}
	if g.guards() {
		if d.reason = b.guard.Why(v); d.reason != "" {
			return d
		}
	}
	if organizations(may) < g.sources {
		d.reason = tooFew
		return d
	}
	d.passes = true
	d.item.ID = may[0].name(v)
	for i, in := range may { // it stays until the last of them ends
		if d.item.Until = later(d.item.Until, in.Until, i == 0); d.item.Until.IsZero() {
			break
		}
	}
	return d
}

// tooFew is why a value is held back that an export wants more organizations to
// name.
const tooFew = "named by too few"

// organizations counts who names a value: an organization that says it twice
// says it once, and what says nothing of its creator is its source's word.
func organizations(all []*indicator) int {
	seen := map[string]bool{}
	for _, in := range all {
		seen[cmp.Or(in.Creator, in.shelf.key)] = true
	}
	return len(seen)
}

// later returns the later of two ends, zero when one of them is no end.
func later(x, y time.Time, first bool) time.Time {
	if first || y.IsZero() || !x.IsZero() && y.After(x) {
		return y
	}
	return x
}

// name is what exports call an indicator.
func (in *indicator) name(v match.Value) string {
	if strings.HasPrefix(in.ID, listedID) {
		return v.Text()
	}
	return in.ID
}

// A passage is what a gate lets through, or no longer, since it was asked last.
type passage struct {
	kinds   map[match.Kind]bool // lists that differ
	rules   bool                // rules differ
	added   map[match.Value]change
	removed []match.Value
	held    []verdict // what is held back and was not
}

// update decides on values again. Whoever calls holds the book's lock.
func (g *gate) update(b *book, dirty map[match.Value]change, touched map[*indicator]bool) passage {
	p := passage{kinds: map[match.Kind]bool{}, added: map[match.Value]change{}}
	byKind := map[match.Kind][]verdict{}
	for v, by := range dirty {
		if !g.kinds[v.Kind()] {
			continue
		}
		d := g.decide(b, v, by)
		byKind[v.Kind()] = append(byKind[v.Kind()], d)
		if d.reason == "" {
			delete(g.held, v)
			continue
		}
		if g.held[v] != d.reason {
			p.held = append(p.held, d)
		}
		g.held[v] = d.reason
	}
	for kind, some := range byKind {
		slices.SortFunc(some, func(x, y verdict) int { return cmp.Compare(x.item.Value.Text(), y.item.Value.Text()) })
		list, changed := merge(g.lists[kind], some, &p)
		if changed {
			g.lists[kind] = list
			p.kinds[kind] = true
		}
	}
	for in := range touched {
		key := in.key()
		r, passes := g.rule(b, key)
		switch old, known := g.rules[key]; {
		case passes && old != r:
			g.rules[key] = r
			p.rules = true
		case known && !passes:
			delete(g.rules, key)
			p.rules = true
		}
	}
	return p
}

// has reports whether a value passes.
func (g *gate) has(v match.Value) bool {
	_, ok := search(g.lists[v.Kind()], v)
	return ok
}

// rule returns the rule that the newest version of an indicator carries, if it
// passes. A rule is its producer's word alone: where more organizations than
// one have to say so, none passes.
func (g *gate) rule(b *book, key string) (r export.Rule, passes bool) {
	in := b.get(key)
	if in == nil || !in.active || in.Rule == "" || !g.carries[in.Kind] || g.sources > 1 || b.allowed(in) < g.needs {
		return export.Rule{}, false
	}
	return export.Rule{ID: in.ID, Kind: in.Kind, Text: in.Rule}, true
}

// fewChanges is up to how many changes a list is changed where it is, and not
// written anew.
const fewChanges = 32

// merge makes a list in order hold what passes, and not hold what does not.
func merge(old []export.Item, some []verdict, p *passage) (list []export.Item, changed bool) {
	if len(some) > fewChanges {
		return mergeMany(old, some, p)
	}
	for _, d := range some {
		at, known := search(old, d.item.Value)
		switch {
		case known && !d.passes:
			old = slices.Delete(old, at, at+1)
			p.removed = append(p.removed, d.item.Value)
		case known && old[at] != d.item:
			old[at] = d.item
		case !known && d.passes:
			old = slices.Insert(old, at, d.item)
			p.added[d.item.Value] = d.by
		default:
			continue
		}
		changed = true
	}
	return old, changed
}

// mergeMany does the same in one pass.
func mergeMany(old []export.Item, some []verdict, p *passage) (list []export.Item, changed bool) {
	list = make([]export.Item, 0, len(old)+len(some))
	for len(old) > 0 || len(some) > 0 {
		order := -1
		if len(some) > 0 {
			if order = 1; len(old) > 0 {
				order = strings.Compare(old[0].Value.Text(), some[0].item.Value.Text())
			}
		}
		if order < 0 { // nothing new about this one
			list = append(list, old[0])
			old = old[1:]
			continue
		}
		d := some[0]
		some = some[1:]
		if order == 0 {
			changed = changed || !d.passes || old[0] != d.item
			if !d.passes {
				p.removed = append(p.removed, d.item.Value)
			}
			old = old[1:]
		} else if d.passes {
			changed = true
			p.added[d.item.Value] = d.by
		}
		if d.passes {
			list = append(list, d.item)
		}
	}
	return slices.Clip(list), changed
}

// set returns what a format gets of a gate.
func (g *gate) set(f export.Format, now time.Time) export.Set {
	s := export.Set{Held: map[string]int{}, Made: now}
	total := 0
	for _, k := range f.Kinds {
		total += len(g.lists[k])
	}
	s.Items = make([]export.Item, 0, total)
	kinds := slices.Sorted(slices.Values(f.Kinds))
	for _, k := range kinds {
		s.Items = append(s.Items, g.lists[k]...)
	}
	if f.Carries != "" {
		for _, r := range g.rules {
			if r.Kind == f.Carries {
				s.Rules = append(s.Rules, r)
			}
		}
		slices.SortFunc(s.Rules, func(x, y export.Rule) int { return cmp.Compare(x.ID, y.ID) })
	}
	return s
}

// reasons counts what is held back.
func (g *gate) reasons() map[string]int {
	n := map[string]int{}
	for _, reason := range g.held {
		n[reason]++
	}
	return n
}
