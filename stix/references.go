package stix

import (
	"iter"
	"strings"
)

// References yields every reference of an object to another one, at any depth,
// in the order of the text: identifiers in properties whose names end in _ref or
// _refs (STIX 2.1 §2.9, §3.1), but not the markings (§7.2).
func References(v Value) iter.Seq[Value] {
	return func(yield func(Value) bool) { references(v, v, yield) }
}

func references(root, v Value, yield func(Value) bool) bool {
	if v.Kind() == Array {
		for _, e := range v.Elements() {
			if !references(root, e, yield) {
				return false
			}
		}
		return true
	}
	for name, p := range v.Members() {
		if p.Kind() == String {
			if strings.HasSuffix(name, "_ref") && isID(p) && !yield(p) {
				return false
			}
			continue
		}
		if v.i == root.i && (name == "object_marking_refs" || name == "granular_markings") {
			continue
		}
		if p.Kind() == Array && strings.HasSuffix(name, "_refs") {
			for _, e := range p.Elements() {
				if e.Kind() == String && isID(e) && !yield(e) {
					return false
				}
			}
		}
		if !references(root, p, yield) {
			return false
		}
	}
	return true
}

func isID(v Value) bool {
	_, _, ok := SplitID(v.Text())
	return ok
}
