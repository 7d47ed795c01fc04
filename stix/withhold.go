package stix

import (
	"slices"
	"strconv"
)

// Withhold returns a copy of an object without the parts that granular markings
// mark with a marking-definition that hidden reports (STIX 2.1 §7.2.3), and
// without a trace of them: markings and selectors of what went go as well, and
// selectors of later list items count on. With nothing to hide it returns the
// object's bytes.
//
// It reports false, and no bytes, where no such copy can be: the whole object is
// hidden, a selector cannot be read, the copy would have lost what says who may
// see it or that it is revoked, or it would break a rule of the standard, such as
// lack a required property.
//
// The copy still has the original's id and version: two copies that differ must
// not both keep them (STIX 2.1 §3.6).
func Withhold(v Value, hidden func(marking string) bool) ([]byte, bool) {
	return WithholdFrom(Edit(v), hidden)
}

// WithholdFrom is [Withhold] of an object in which other things change as well:
// what was removed is gone for selectors too, and what was replaced stays, whether
// it is hidden or not.
func WithholdFrom(edit *Editor, hidden func(marking string) bool) ([]byte, bool) {
	v := edit.root
	decided := map[*Effect]bool{}
	for part, effect := range Effects(v) {
		hide, ok := decided[effect]
		if !ok {
			hide = slices.ContainsFunc(effect.Markings, hidden)
			decided[effect] = hide
		}
		if hide && part.i == v.i {
			return nil, false
		}
		if _, changed := edit.changes[part.i]; hide && !changed {
			edit.Remove(part)
		}
	}
	if !edit.Changed() {
		return v.Raw(), true
	}
	w := withheld{v: v, gone: goneWith(edit)}
	for _, name := range []string{"object_marking_refs", "granular_markings", "revoked"} {
		if p := v.Get(name); p.Exists() && w.anyGone(p) {
			return nil, false
		}
	}
	for entry := range items(v.Get("granular_markings")) {
		if !w.entry(edit, entry, hidden) {
			return nil, false
		}
	}
	out := edit.Bytes()
	parsed, err := Parse(out, Limits{})
	if err != nil || slices.ContainsFunc(Validate(parsed, Options{}), func(p Problem) bool { return p.Class != ClassWarning }) {
		return nil, false
	}
	return out, true
}

// A withheld is an object of which parts go.
type withheld struct {
	v     Value
	gone  map[uint32]bool
	index selectorIndex
}

// goneWith returns what is no longer there once an edit has been made: what it
// removes, what is in that, and lists and dictionaries that have nothing left.
func goneWith(edit *Editor) map[uint32]bool {
	gone := map[uint32]bool{}
	nodes := edit.root.d.nodes
	from, end := edit.root.i, nodes[edit.root.i].next
	for i, c := range edit.changes {
		if !c.remove {
			continue
		}
		for j := i; j < nodes[i].next; j++ {
			gone[j] = true
		}
	}
	for i := end - 1; i > from; i-- { // inner values before what they are in
		left, child := 0, i+1
		for ; child < nodes[i].next; child = nodes[child].next {
			if !gone[child] {
				left++
			}
		}
		if left == 0 && nodes[i].next > i+1 {
			gone[i] = true
		}
	}
	return gone
}

func (w *withheld) anyGone(v Value) bool {
	for i := v.i; i < v.node().next; i++ {
		if w.gone[i] {
			return true
		}
	}
	return false
}

// entry changes one granular marking to what is left to mark; it reports false
// when a selector cannot be read.
func (w *withheld) entry(edit *Editor, entry Value, hidden func(string) bool) bool {
	var list []byte
	for s := range items(entry.Get("selectors")) {
		steps, ok := ParseSelector(s.Text())
		if !ok {
			return false
		}
		if part := w.index.find(w.v, steps); part.Exists() && !w.gone[part.i] {
			list = append(append(append(list, `,"`...), w.selector(steps)...), '"')
		}
	}
	if ref := entry.Get("marking_ref"); list == nil || ref.Exists() && hidden(ref.Text()) {
		edit.Remove(entry)
		return true
	}
	list[0] = '['
	edit.Replace(entry.Get("selectors"), append(list, ']'))
	return true
}

// selector returns what selects in the copy what steps select in the original.
func (w *withheld) selector(steps []Step) string {
	var text []byte
	at := w.v
	for n, s := range steps {
		if n > 0 {
			text = append(text, '.')
		}
		if s.Name != "" {
			text = append(text, s.Name...)
			at = w.index.find(at, []Step{s})
			continue
		}
		index := 0
		for i, item := range at.Elements() {
			if i == s.Index {
				at = item
				break
			}
			if !w.gone[item.i] {
				index++
			}
		}
		text = append(strconv.AppendInt(append(text, '['), int64(index), 10), ']')
	}
	return string(text)
}
