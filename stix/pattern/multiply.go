package pattern

import (
	"net/netip"
	"slices"
	"strings"
)

// The bounds of what is multiplied out, of one comparison expression and of
// the observation expressions that no qualifier separates. What is larger keeps
// its grouping. They are small because every two choices are compared.
const (
	maxChoices = 32
	maxLeaves  = 512 // of all choices together
)

// A size is that of an expression when its choices are multiplied out.
type size struct{ choices, leaves int }

func (s size) fits() bool { return s.choices <= maxChoices && s.leaves <= maxLeaves }

// or and times stay small: what does not fit need not be counted.
func (s size) or(other size) size {
	return size{min(s.choices+other.choices, maxChoices+1), min(s.leaves+other.leaves, maxLeaves+1)}
}

func (s size) times(other size) size {
	return size{
		min(s.choices*other.choices, maxChoices+1),
		min(s.leaves*other.choices+other.leaves*s.choices, maxLeaves+1),
	}
}

func (t *normalTest) size() size {
	switch t.join {
	case leaf, joinFollow:
		n := max(len(t.values), 1)
		return size{min(n, maxChoices+1), min(n, maxLeaves+1)}
	case joinOr:
		var s size
		for i := range t.kids {
			s = s.or(t.kids[i].size())
		}
		return s
	case joinAnd:
	}
	s := size{1, 0}
	for i := range t.kids {
		s = s.times(t.kids[i].size())
	}
	return s
}

// multiplied returns a comparison expression as a choice of conjunctions, none
// of which includes another, and none of which no object can satisfy.
func (z *normalizer) multiplied(t normalTest) normalTest {
	if z.whole || t.join == leaf || !t.size().fits() {
		return t
	}
	var choices []conjunction
	for _, c := range t.conjunctions() {
		if c = c.tidy(); !c.mixed() {
			choices = append(choices, c)
		}
	}
	if len(choices) == 0 {
		return t
	}
	slices.SortStableFunc(choices, func(a, b conjunction) int { return len(a.texts) - len(b.texts) })
	var kept []conjunction
	var operands []normalTest
	for _, c := range choices {
		if !slices.ContainsFunc(kept, func(k conjunction) bool { return c.includes(k) }) {
			kept = append(kept, c)
			operands = append(operands, joinTests(joinAnd, c.leaves))
		}
	}
	return joinTests(joinOr, operands)
}

// A conjunction is comparisons that all have to be true of one object.
type conjunction struct {
	leaves []normalTest
	texts  []string // of the leaves
}

// conjunctions returns the choices that an expression leaves.
func (t *normalTest) conjunctions() []conjunction {
	var all []conjunction
	switch t.join {
	case leaf, joinFollow:
		if len(t.values) < 2 {
			return []conjunction{{leaves: []normalTest{*t}}}
		}
		for _, v := range t.values {
			one := *t
			one.values = []string{v}
			all = append(all, conjunction{leaves: []normalTest{one}})
		}
	case joinOr:
		for i := range t.kids {
			all = append(all, t.kids[i].conjunctions()...)
		}
	case joinAnd:
		all = []conjunction{{}}
		for i := range t.kids {
			var longer []conjunction
			for _, c := range t.kids[i].conjunctions() {
				for _, before := range all {
					longer = append(longer, conjunction{leaves: slices.Concat(before.leaves, c.leaves)})
				}
			}
			all = longer
		}
	}
	return all
}

// tidy returns the conjunction in order, each comparison once.
func (c conjunction) tidy() conjunction {
	c.leaves = inOrder(c.leaves, normalTest.String, true)
	c.texts = nil
	for _, l := range c.leaves {
		c.texts = append(c.texts, l.String())
	}
	return c
}

// mixed reports whether the comparisons are of objects of different types, and
// so true of none (STIX 2.1 §9.5).
func (c conjunction) mixed() bool {
	return slices.ContainsFunc(c.leaves, func(l normalTest) bool { return l.kind != c.leaves[0].kind })
}

// includes reports whether all comparisons of other are in c: whatever c is
// true of, other is.
func (c conjunction) includes(other conjunction) bool { return containsAll(c.texts, other.texts) }

// containsAll reports whether all of the few are among the many. Both are in
// order.
func containsAll(many, few []string) bool {
	for _, text := range few {
		i, found := slices.BinarySearch(many, text)
		if !found {
			return false
		}
		many = many[i+1:]
	}
	return true
}

func (e *normalExpr) size() size {
	if !e.bare() {
		return size{1, 1}
	}
	switch e.join {
	case leaf:
		if e.test.join == joinAnd {
			return size{1, 1}
		}
		return e.test.size()
	case joinOr:
		var s size
		for i := range e.kids {
			s = s.or(e.kids[i].size())
		}
		return s
	case joinAnd, joinFollow:
	}
	s := size{1, 0}
	for i := range e.kids {
		s = s.times(e.kids[i].size())
	}
	return s
}

// scope returns an observation expression, of which a qualifier or nothing
// stands outside, as a choice of expressions without choices, none of which
// includes another.
func (z *normalizer) scope(e normalExpr) normalExpr {
	if z.whole || e.join == leaf && e.bare() || !e.size().fits() {
		return e
	}
	var choices []form
	for _, c := range z.choices(e) {
		choices = append(choices, newForm(c))
	}
	if len(choices) == 0 { // nothing can satisfy it
		return e
	}
	choices = inOrder(choices, func(f form) string { return f.text }, true)
	var kept []normalExpr
	for i := range choices {
		included := func(j int) bool {
			return j != i && choices[i].implies(&choices[j]) && (j < i || !choices[j].implies(&choices[i]))
		}
		left := true
		for j := range choices {
			left = left && !included(j)
		}
		if left {
			kept = append(kept, choices[i].expr)
		}
	}
	return z.joinExprs(joinOr, kept)
}

// choices returns the choices that an expression leaves, without those that no
// observation can satisfy.
func (z *normalizer) choices(e normalExpr) []normalExpr {
	if !e.bare() {
		return []normalExpr{e}
	}
	var all []normalExpr
	switch e.join {
	case leaf:
		for _, t := range e.test.choices() {
			if !t.mixed() {
				all = append(all, normalExpr{test: t})
			}
		}
	case joinOr:
		for _, k := range e.kids {
			all = append(all, z.choices(k)...)
		}
	case joinAnd, joinFollow:
		combinations := [][]normalExpr{nil}
		for _, k := range e.kids {
			var longer [][]normalExpr
			for _, c := range z.choices(k) {
				for _, before := range combinations {
					longer = append(longer, append(slices.Clip(before), c))
				}
			}
			combinations = longer
		}
		for _, kids := range combinations {
			all = append(all, z.joinExprs(e.join, kids))
		}
	}
	return all
}

// choices returns the operands of an OR, and the values of an IN.
func (t *normalTest) choices() []normalTest {
	if t.join == joinOr {
		var all []normalTest
		for i := range t.kids {
			all = append(all, t.kids[i].choices()...)
		}
		return all
	}
	if t.join != leaf {
		return []normalTest{*t}
	}
	var all []normalTest
	for _, c := range t.conjunctions() {
		all = append(all, c.leaves...)
	}
	return all
}

// mixed reports whether it is an AND over comparisons of different types.
func (t *normalTest) mixed() bool {
	return t.join == joinAnd && !slices.ContainsFunc(t.kids, func(k normalTest) bool { return k.join != leaf }) &&
		conjunction{leaves: t.kids}.mixed()
}

// A form is an observation expression, printed with all that is in it.
type form struct {
	expr  normalExpr
	text  string
	kids  []form
	tests []string // of a leaf: the comparisons, in order
	plain *form    // without its last qualifier, when it has one
}

func newForm(e normalExpr) form {
	f := form{expr: e, text: e.String()}
	if !e.bare() {
		inner := e
		if last := len(e.quals) - 1; last >= 0 {
			inner.quals = e.quals[:last:last]
		} else {
			inner.window = Window{}
		}
		plain := newForm(inner)
		f.plain = &plain
		return f
	}
	for _, k := range e.kids {
		f.kids = append(f.kids, newForm(k))
	}
	if e.join == leaf {
		f.tests = []string{e.test.String()}
		if e.test.join == joinAnd {
			f.tests = nil
			for i := range e.test.kids {
				f.tests = append(f.tests, e.test.kids[i].operand())
			}
			slices.Sort(f.tests)
		}
	}
	return f
}

// implies reports whether f can match only where other does too: other is f
// with operands, comparisons or qualifiers left out.
func (f *form) implies(other *form) bool {
	if f.text == other.text {
		return true
	}
	if f.plain != nil {
		return f.plain.implies(other) || f.repeats(other)
	}
	if f.expr.join == leaf {
		return other.plain == nil && other.expr.join == leaf && containsAll(f.tests, other.tests)
	}
	if f.expr.join == joinOr { // under a qualifier: not one choice
		return false
	}
	for i := range f.kids {
		if f.kids[i].implies(other) {
			return true
		}
	}
	if other.plain != nil || other.expr.join != joinAnd && other.expr.join != f.expr.join || len(other.kids) == 0 {
		return false
	}
	return f.covers(other)
}

// covers reports whether each operand of other is implied by one of its own
// among the operands of f, in the same order if other is a sequence.
func (f *form) covers(other *form) bool {
	used := make([]bool, len(f.kids))
	from := 0
	for o := range other.kids {
		found := false
		for i := from; i < len(f.kids) && !found; i++ {
			if !used[i] && f.kids[i].implies(&other.kids[o]) {
				found, used[i] = true, true
				if other.expr.join == joinFollow {
					from = i + 1
				}
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// repeats reports whether f is other, repeated more often.
func (f *form) repeats(other *form) bool {
	if other.plain == nil || f.plain.text != other.plain.text || len(f.expr.quals) == 0 || len(other.expr.quals) == 0 {
		return false
	}
	mine, its := f.expr.quals[len(f.expr.quals)-1], other.expr.quals[len(other.expr.quals)-1]
	return mine.kind == tokenRepeats && its.kind == tokenRepeats && mine.times >= its.times
}

// oneName returns a value that its property can spell in several ways in one
// of them, and any other value as it is.
func (a *Atom) oneName(value string) string {
	switch {
	case a.ObjectType == "ipv4-addr" && a.Path == "value":
		if n, ok := parseNetwork(withoutZeros(value)); ok && n.Addr().Is4() {
			return networkName(n)
		}
	case a.ObjectType == "ipv6-addr" && a.Path == "value":
		if n, ok := parseNetwork(value); ok && n.Addr().Is6() {
			return networkName(n)
		}
	case a.ObjectType == "windows-registry-key" && (a.Path == "key" || len(a.Steps) == 3 && a.Steps[0].Key == "values" && a.Steps[2].Key == "name"):
		return strings.ToLower(value)
	}
	return value
}

// networkName writes a network, or an address without its suffix.
func networkName(n netip.Prefix) string {
	if n.IsSingleIP() {
		return n.Addr().String()
	}
	return n.String()
}

// withoutZeros takes the zeros off one-digit numbers such as 07, which is the
// same number to those who read it as octal. What is more is ambiguous.
func withoutZeros(address string) string {
	whole, suffix, found := strings.Cut(address, "/")
	parts := strings.Split(whole, ".")
	for i, p := range parts {
		if last := len(p) - 1; last > 0 && strings.Trim(p[:last], "0") == "" && p[last] < '8' {
			parts[i] = p[last:]
		}
	}
	whole = strings.Join(parts, ".")
	if found {
		return whole + "/" + suffix
	}
	return whole
}
