package stix

import (
	"maps"
	"slices"
)

// An Editor makes a changed copy of an object: what is not touched keeps its
// bytes. The zero Editor is not usable; see [Edit].
type Editor struct {
	root    Value
	changes map[uint32]change
	changed []uint32 // the keys of changes in order, while Bytes writes
}

type change struct {
	remove bool
	with   []byte
}

// Edit begins a changed copy of the value root.
func Edit(root Value) *Editor {
	return &Editor{root: root, changes: map[uint32]change{}}
}

// Replace puts JSON text in the place of a value inside the root. An absent
// value, or one of another text, changes nothing.
func (e *Editor) Replace(v Value, json []byte) { e.set(v, change{with: json}) }

// Remove takes out a property or an array element. A list or dictionary that
// has nothing left is taken out as well, because STIX allows no empty ones
// (STIX 2.1 §2.3, §2.12). What is removed stays removed; removing an absent
// value changes nothing, and the root itself stays, if empty.
func (e *Editor) Remove(v Value) { e.set(v, change{remove: true}) }

// Changed reports whether anything was replaced or removed.
func (e *Editor) Changed() bool { return len(e.changes) > 0 }

func (e *Editor) set(v Value, c change) {
	if v.d == nil || v.d != e.root.d || v.i < e.root.i || v.i >= e.root.node().next ||
		c.remove && v.i == e.root.i || e.changes[v.i].remove {
		return
	}
	e.changes[v.i] = c
}

// touched reports whether something inside the container v changes: nodes stand
// in document order, so one search tells.
func (e *Editor) touched(v Value) bool {
	at, _ := slices.BinarySearch(e.changed, v.i)
	return at < len(e.changed) && e.changed[at] < v.node().next
}

// Bytes returns the changed copy; with no changes, the original's bytes.
func (e *Editor) Bytes() []byte {
	if len(e.changes) == 0 {
		return e.root.Raw()
	}
	e.changed = slices.Sorted(maps.Keys(e.changes))
	out, _ := e.write(make([]byte, 0, len(e.root.Raw())), e.root)
	return out
}

// write appends v and reports whether anything of it is left.
func (e *Editor) write(dst []byte, v Value) ([]byte, bool) {
	if c, ok := e.changes[v.i]; ok {
		if c.remove {
			return dst, false
		}
		return append(dst, c.with...), true
	}
	if !e.touched(v) {
		return append(dst, v.Raw()...), true
	}
	n := v.node()
	open, end := byte('['), byte(']')
	if n.kind == Object {
		open, end = '{', '}'
	}
	mark := len(dst)
	dst = append(dst, open)
	kept := 0
	for i := v.i + 1; i < n.next; i = v.d.nodes[i].next {
		before := len(dst)
		if kept > 0 {
			dst = append(dst, ',')
		}
		if n.kind == Object {
			m := &v.d.nodes[i]
			dst = append(dst, v.d.text[m.nameStart-1:m.nameEnd+1]...)
			dst = append(dst, ':')
		}
		var left bool
		if dst, left = e.write(dst, Value{v.d, i}); left {
			kept++
		} else {
			dst = dst[:before]
		}
	}
	if kept == 0 && v.i != e.root.i {
		return dst[:mark], false
	}
	return append(dst, end), true
}
