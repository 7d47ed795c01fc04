package pattern

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// A normalTest is a comparison expression in normal form.
type normalTest struct {
	join join
	kind string // of a leaf: the type of the object
	text string // of a leaf that is not a set of values
	kids []normalTest

	// Of a leaf that is = or IN: what it compares, and with which values.
	// Leaves that compare the same thing with the same class of values can be
	// one under OR.
	path   string
	class  LiteralKind
	values []string
}

// test returns a whole comparison expression in normal form.
func (z *normalizer) test(t *test) normalTest { return z.multiplied(z.grouped(t)) }

// grouped returns it with its operands grouped as they are.
func (z *normalizer) grouped(t *test) normalTest {
	if t.join == leaf {
		return z.p.atoms[t.atom].normal()
	}
	var kids []normalTest
	for i := range t.kids {
		kids = append(kids, z.grouped(&t.kids[i]))
	}
	return joinTests(t.join, kids)
}

// joinTests puts operands in order: flat, each once, sets of values united.
func joinTests(j join, operands []normalTest) normalTest {
	var kids []normalTest
	for _, k := range operands {
		if k.join == j {
			kids = append(kids, k.kids...)
		} else {
			kids = append(kids, k)
		}
	}
	if j == joinOr {
		kids = unite(kids)
	}
	kids = inOrder(kids, normalTest.String, true)
	if len(kids) == 1 {
		return kids[0]
	}
	return normalTest{join: j, kids: kids}
}

// inOrder sorts by the printed form, which is made once for each, and keeps
// one of each if asked to.
func inOrder[T any](list []T, text func(T) string, once bool) []T {
	type printed struct {
		item T
		text string
	}
	sorted := make([]printed, 0, len(list))
	for _, item := range list {
		sorted = append(sorted, printed{item, text(item)})
	}
	slices.SortStableFunc(sorted, func(a, b printed) int { return strings.Compare(a.text, b.text) })
	if once {
		sorted = slices.CompactFunc(sorted, func(a, b printed) bool { return a.text == b.text })
	}
	list = list[:0:0]
	for _, p := range sorted {
		list = append(list, p.item)
	}
	return list
}

// unite makes one leaf of all that compare one path with values of one class.
func unite(kids []normalTest) []normalTest {
	type key struct {
		path  string
		class LiteralKind
	}
	first := make(map[key]int)
	var united []normalTest
	for _, k := range kids {
		if len(k.values) > 0 {
			if i, ok := first[key{k.path, k.class}]; ok {
				united[i].values = append(united[i].values, k.values...)
				continue
			}
			first[key{k.path, k.class}] = len(united)
			k.values = slices.Clone(k.values)
		}
		united = append(united, k)
	}
	for _, k := range united {
		slices.Sort(k.values)
	}
	for i := range united {
		united[i].values = slices.Compact(united[i].values)
	}
	return united
}

// String prints the test without parentheses around it.
func (t normalTest) String() string {
	switch {
	case t.join != leaf:
		texts := make([]string, len(t.kids))
		for i, k := range t.kids {
			texts[i] = k.operand()
		}
		return strings.Join(texts, t.join.String())
	case len(t.values) == 1:
		return t.path + " = " + t.values[0]
	case len(t.values) > 1:
		return t.path + " IN (" + strings.Join(t.values, ", ") + ")"
	default:
		return t.text
	}
}

// operand prints the test as an operand: OR, which is never under OR, with
// parentheses.
func (t normalTest) operand() string {
	if t.join == joinOr {
		return "(" + t.String() + ")"
	}
	return t.String()
}

// normal returns a comparison with its operator and constants in one spelling.
func (a *Atom) normal() normalTest {
	path := a.ObjectType + ":" + a.Path
	op, negated := a.Op, a.Negated
	if negated && op == In && len(a.Values) == 1 {
		op = Equal
	}
	if negated && (op == Equal || op == NotEqual) {
		op, negated = Equal+NotEqual-op, false
	}
	var values []string
	for _, l := range a.Values {
		if l.Kind == String && (op == Equal || op == NotEqual || op == In) {
			l.Value = a.oneName(l.Value)
		}
		values = append(values, l.normal(op))
	}
	slices.Sort(values)
	values = slices.Compact(values)
	if !negated && len(values) > 0 && (op == Equal || op == In) {
		return normalTest{kind: a.ObjectType, path: path, class: class(a.Values[0].Kind), values: values}
	}
	not := ""
	if negated {
		not = "NOT "
	}
	if op == Exists {
		return normalTest{kind: a.ObjectType, text: not + "EXISTS " + path}
	}
	constant := strings.Join(values, ", ")
	switch {
	case op == In && len(values) == 1: // there were two of the same
		return normalTest{kind: a.ObjectType, text: path + " != " + constant}
	case op == In:
		constant = "(" + constant + ")"
	}
	return normalTest{kind: a.ObjectType, text: path + " " + not + op.String() + " " + constant}
}

// normal returns a constant in one spelling for all that compare alike.
func (l Literal) normal(op Op) string {
	switch l.Kind {
	case Float, Integer:
		return normalNumber(l.number)
	case Timestamp:
		return normalTime(l)
	case Binary:
		l.Kind = Hex
	case String:
		if op == Like {
			l.Value = norm.NFC.String(l.Value)
		}
		if n, ok := parseNetwork(l.Value); ok && (op == IsSubset || op == IsSuperset) {
			l.Value = strings.TrimSuffix(n.String(), "/"+strconv.Itoa(n.Addr().BitLen()))
		}
	case Boolean, Hex:
	}
	return l.canonical()
}

func normalNumber(n float64) string {
	return strconv.FormatFloat(n+0, 'f', -1, 64) // -0 + 0 is 0
}

// normalTime names a moment in one way; a day that is in no calendar is no
// moment, and keeps its name.
func normalTime(l Literal) string {
	if !realTime(l) {
		return l.canonical()
	}
	return "t'" + stamp(l.Time()) + "'"
}
