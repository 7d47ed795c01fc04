package stix

import "slices"

// AddMarkings returns a copy of an object with markings added to it or to parts
// of it: ids of marking-definitions, and for parts languages (STIX 2.1 §7.2.2,
// §7.2.3). What is so marked already stays as it is; further selectors of a
// marking join its first granular marking, and new granular markings stand
// last. What is not touched keeps its bytes, as with [Edit], and with nothing
// to change the result is the object's own bytes.
//
// Other markings are another content, so they need a new version (STIX 2.1
// §7.2.2, §3.6). That is left to the caller, who knows whether the object has
// been shared: pass the parsed result to [NewVersion].
//
// The error is [ErrSelector] or [ErrMarking].
func AddMarkings(v Value, markings []string, at Scope) ([]byte, error) {
	if err := at.mayHave(v, markings); err != nil {
		return nil, err
	}
	if at.whole {
		refs := refsOf(v)
		refs.add(markings)
		return refs.bytes(v), nil
	}
	g := granularOf(v)
	g.add(markings, at.selectors)
	return g.bytes(v), nil
}

// SetMarkings returns a copy of an object in which it, or exactly the given
// parts of it, have the given markings and no others; what they inherit from
// what they are in stays. Everything else is as with [AddMarkings].
func SetMarkings(v Value, markings []string, at Scope) ([]byte, error) {
	if err := at.mayHave(v, markings); err != nil {
		return nil, err
	}
	among := func(name string) bool {
		return slices.ContainsFunc(markings, func(m string) bool { return sameMarking(m, name) })
	}
	if at.whole {
		refs := refsOf(v)
		refs.remove(func(ref Value) bool { return !among(nameOf(ref)) })
		refs.add(markings)
		return refs.bytes(v), nil
	}
	g := granularOf(v)
	g.remove(at.selectors, func(m *granular) bool { return !slices.ContainsFunc(markings, m.is) })
	g.add(markings, at.selectors)
	return g.bytes(v), nil
}

// RemoveMarkings returns a copy of an object in which it, or exactly the given
// parts of it, no longer have the given markings. A granular marking that has no
// selectors left goes, and so does a list that has nothing left. With no
// markings there at all nothing is changed; with some, but none of the given
// ones, the error is [ErrNotMarked], and otherwise [ErrSelector] or, when no
// markings are given, [ErrMarking]. For the version see [AddMarkings].
func RemoveMarkings(v Value, markings []string, at Scope) ([]byte, error) {
	if err := at.check(v); err != nil {
		return nil, err
	}
	if len(markings) == 0 {
		return nil, ErrMarking
	}
	if at.whole {
		refs := refsOf(v)
		found := refs.remove(func(ref Value) bool { return slices.Contains(markings, nameOf(ref)) })
		if !found && len(refs.kept) > 0 {
			return nil, ErrNotMarked
		}
		return refs.bytes(v), nil
	}
	return removed(v, at, func(m *granular) bool { return slices.ContainsFunc(markings, m.is) })
}

// ClearMarkings returns a copy of an object in which it, or exactly the given
// parts of it, have no markings; what they inherit from what they are in stays.
// With no markings there at all nothing is changed; with granular markings, but
// none of the given parts, the error is [ErrNotMarked], and otherwise
// [ErrSelector]. For the version see [AddMarkings].
func ClearMarkings(v Value, at Scope) ([]byte, error) {
	if err := at.check(v); err != nil {
		return nil, err
	}
	if at.whole {
		return withProperties(v, []Change{{Property: "object_marking_refs"}}), nil
	}
	return removed(v, at, func(*granular) bool { return true })
}

// removed returns a copy of v without the granular markings of parts that which
// chooses.
func removed(v Value, at Scope, which func(*granular) bool) ([]byte, error) {
	g := granularOf(v)
	if found := g.remove(at.selectors, which); !found && len(g.list) > 0 {
		return nil, ErrNotMarked
	}
	return g.bytes(v), nil
}

// mayHave demands that markings can mark what the scope is in v.
func (at Scope) mayHave(v Value, markings []string) error {
	if err := at.check(v); err != nil {
		return err
	}
	if len(markings) == 0 {
		return ErrMarking
	}
	for _, m := range markings {
		if isMarkingID(m) {
			if v.Get("id").Is(m) { // STIX 2.1 §3.2: no circular references
				return ErrMarking
			}
		} else if at.whole || !isLanguage([]byte(m)) {
			return ErrMarking
		}
	}
	return nil
}

func isMarkingID(s string) bool {
	cut := cutID(s)
	return cut > 0 && s[:cut] == "marking-definition"
}

// An extended list is a list of the text of which items are dropped and to which
// texts are added.
type extended struct {
	kept    []Value
	added   []string
	changed bool
}

func extend(list Value) extended {
	var x extended
	for item := range items(list) {
		x.kept = append(x.kept, item)
	}
	return x
}

func (x *extended) has(text string) bool {
	return slices.Contains(x.added, text) || slices.ContainsFunc(x.kept, func(v Value) bool { return v.Is(text) })
}

// add adds the texts that are not there.
func (x *extended) add(texts []string) {
	for _, t := range texts {
		if !x.has(t) {
			x.added = append(x.added, t)
			x.changed = true
		}
	}
}

// remove drops items and reports whether it did.
func (x *extended) remove(drop func(Value) bool) bool {
	before := len(x.kept)
	x.kept = slices.DeleteFunc(x.kept, drop)
	x.changed = x.changed || len(x.kept) < before
	return len(x.kept) < before
}

// json returns the list as JSON, nil when nothing is left of it. The texts that
// were added are identifiers, languages and selectors: none needs an escape.
func (x *extended) json() []byte {
	var dst []byte
	for _, v := range x.kept {
		dst = append(append(dst, ','), v.Raw()...)
	}
	for _, s := range x.added {
		dst = append(append(append(dst, ',', '"'), s...), '"')
	}
	if dst == nil {
		return nil
	}
	dst[0] = '['
	return append(dst, ']')
}

// markingRefs are the object_marking_refs of an object while they change.
type markingRefs struct{ extended }

func refsOf(v Value) markingRefs { return markingRefs{extend(v.Get("object_marking_refs"))} }

func (r *markingRefs) bytes(v Value) []byte {
	if !r.changed {
		return v.Raw()
	}
	return withProperties(v, []Change{{Property: "object_marking_refs", JSON: r.json()}})
}

// A granular is a granular marking while it changes: one of the text, or a new
// one.
type granular struct {
	entry     Value  // absent when it is new
	marking   string // of a new one
	selectors extended
}

// is reports whether it marks with m and with nothing else.
func (g *granular) is(m string) bool {
	if !g.entry.Exists() {
		return sameMarking(g.marking, m)
	}
	ref, lang := g.entry.Get("marking_ref"), g.entry.Get("lang")
	if ref.Exists() {
		return !lang.Exists() && ref.Is(m)
	}
	return lang.Exists() && !isMarkingID(m) && sameMarking(nameOf(lang), m)
}

func (g *granular) json() []byte {
	switch {
	case !g.selectors.changed:
		return g.entry.Raw()
	case g.entry.Exists():
		edit := Edit(g.entry)
		edit.Replace(g.entry.Get("selectors"), g.selectors.json())
		return edit.Bytes()
	}
	property := "lang"
	if isMarkingID(g.marking) {
		property = "marking_ref"
	}
	return slices.Concat([]byte(`{"`+property+`":"`+g.marking+`","selectors":`), g.selectors.json(), []byte{'}'})
}

// granulars are the granular_markings of an object while they change.
type granulars struct {
	list    []*granular
	changed bool
}

func granularOf(v Value) *granulars {
	g := &granulars{}
	for entry := range items(v.Get("granular_markings")) {
		g.list = append(g.list, &granular{entry: entry, selectors: extend(entry.Get("selectors"))})
	}
	return g
}

// add marks the parts with each of the markings that they do not have.
func (g *granulars) add(markings, parts []string) {
	for _, m := range markings {
		var first *granular
		missing := slices.Clone(parts)
		for _, has := range g.list {
			if has.is(m) {
				// One without selectors counts for everything; with one it would
				// count for less.
				if first == nil && len(has.selectors.kept)+len(has.selectors.added) > 0 {
					first = has
				}
				missing = slices.DeleteFunc(missing, has.selectors.has)
			}
		}
		if len(missing) == 0 {
			continue
		}
		if first == nil {
			first = &granular{marking: m}
			g.list = append(g.list, first)
		}
		first.selectors.add(missing)
		g.changed = true
	}
}

// remove takes the parts out of the granular markings that which chooses, and
// reports whether any was in one.
func (g *granulars) remove(parts []string, which func(*granular) bool) bool {
	out := map[string]bool{}
	for _, p := range parts {
		out[p] = true
	}
	found := false
	for _, m := range g.list {
		if which(m) && m.selectors.remove(func(s Value) bool { return out[s.Text()] }) {
			found = true
		}
	}
	g.changed = g.changed || found
	return found
}

func (g *granulars) bytes(v Value) []byte {
	if !g.changed {
		return v.Raw()
	}
	var list []byte
	for _, m := range g.list {
		if m.selectors.changed && len(m.selectors.kept)+len(m.selectors.added) == 0 {
			continue
		}
		list = append(append(list, ','), m.json()...)
	}
	if list != nil {
		list[0] = '['
		list = append(list, ']')
	}
	return withProperties(v, []Change{{Property: "granular_markings", JSON: list}})
}
