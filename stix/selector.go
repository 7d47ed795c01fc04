package stix

import (
	"strconv"
	"strings"
)

// A Step is one component of a selector (STIX 2.1 §7.2.3): the name of a
// property or dictionary key, or with no name the index of a list item.
type Step struct {
	Name  string
	Index int
}

// ParseSelector takes a selector apart. It reports false when the text is no
// selector: components with dots between, each a name of 1 to 250 characters of
// a-z, A-Z, 0-9, hyphen and underscore, or a list index such as [4] without
// leading zeros; a name first.
func ParseSelector(selector string) ([]Step, bool) {
	steps := make([]Step, 0, strings.Count(selector, ".")+1)
	for component := range strings.SplitSeq(selector, ".") {
		inside, isIndex := strings.CutPrefix(component, "[")
		if !isIndex {
			if !isKey([]byte(component), 1) {
				return nil, false
			}
			steps = append(steps, Step{Name: component})
			continue
		}
		digits, closed := strings.CutSuffix(inside, "]")
		const most = 9 // digits: more list items than any text has
		if !closed || len(steps) == 0 || len(digits) > most || !isDigits([]byte(digits), 1) || digits[0] == '0' && len(digits) > 1 {
			return nil, false
		}
		n, err := strconv.Atoi(digits)
		if err != nil {
			return nil, false
		}
		steps = append(steps, Step{Index: n})
	}
	return steps, true
}

// Select returns what a selector selects in an object, with all that is inside
// it: one value, or none when the text is no selector or names nothing that is
// there (STIX 2.1 §7.2.3).
func Select(v Value, selector string) []Value {
	steps, ok := ParseSelector(selector)
	if !ok {
		return nil
	}
	for _, step := range steps {
		v = v.step(step)
	}
	if !v.Exists() {
		return nil
	}
	return []Value{v}
}

// SelectorResolves reports whether a selector selects anything in an object.
func SelectorResolves(v Value, selector string) bool { return len(Select(v, selector)) > 0 }

// step returns the value one step further, absent when there is none.
func (v Value) step(s Step) Value {
	if s.Name != "" {
		return v.Get(s.Name)
	}
	for i, e := range v.Elements() {
		if i == s.Index {
			return e
		}
	}
	return Value{}
}

// A selectorIndex finds what many selectors select in one object in time that
// grows with their number plus the object's size, not with the product: an
// object may have thousands of both. Small lists and objects are searched,
// large ones listed once.
type selectorIndex struct {
	lists map[uint32][]uint32
	names map[uint32]map[string]uint32
}

func (x *selectorIndex) find(v Value, steps []Step) Value {
	for _, s := range steps {
		const small = 32 // nodes
		if v.Kind() == Absent || v.node().next-v.i <= small {
			v = v.step(s)
		} else {
			v = x.step(v, s)
		}
	}
	return v
}

func (x *selectorIndex) step(v Value, s Step) Value {
	switch {
	case v.Kind() == Object && s.Name != "":
		names, ok := x.names[v.i]
		if !ok {
			names = map[string]uint32{}
			for name, member := range v.Members() {
				names[name] = member.i
			}
			if x.names == nil {
				x.names = map[uint32]map[string]uint32{}
			}
			x.names[v.i] = names
		}
		if i, ok := names[s.Name]; ok {
			return Value{v.d, i}
		}
	case v.Kind() == Array && s.Name == "":
		items, ok := x.lists[v.i]
		if !ok {
			for _, item := range v.Elements() {
				items = append(items, item.i)
			}
			if x.lists == nil {
				x.lists = map[uint32][]uint32{}
			}
			x.lists[v.i] = items
		}
		if s.Index < len(items) {
			return Value{v.d, items[s.Index]}
		}
	}
	return Value{}
}
