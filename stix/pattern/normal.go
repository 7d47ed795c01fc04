package pattern

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
)

// Normal returns a text that is the same for all patterns that mean the same
// as far as simple rules of rewriting tell: the order and repetition of
// operands, grouping, spacing and comments, spellings of operators, constants
// and paths, = against IN, OR inside brackets against OR between them, and
// REPEATS against AND (STIX 2.1 §9.5.1) make no difference. It is for
// comparing, and can be longer than [Parse] allows.
func (p *Pattern) Normal() string {
	return p.normalExpr(&p.root).String()
}

// A normalTest is a comparison expression in normal form.
type normalTest struct {
	join join
	text string // of a leaf that is not a set of values
	kids []normalTest

	// Of a leaf that is = or IN: what it compares, and with which values.
	// Leaves that compare the same thing with the same class of values can be
	// one under OR.
	path   string
	class  LiteralKind
	values []string
}

func (p *Pattern) normalTest(t *test) normalTest {
	if t.join == leaf {
		return p.atoms[t.atom].normal()
	}
	var kids []normalTest
	for i := range t.kids {
		kids = append(kids, p.normalTest(&t.kids[i]))
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
			texts[i] = k.String()
			if k.join == joinOr {
				texts[i] = "(" + texts[i] + ")" // under AND: OR is never under OR
			}
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
		values = append(values, l.normal(op))
	}
	slices.Sort(values)
	values = slices.Compact(values)
	if !negated && len(values) > 0 && (op == Equal || op == In) {
		return normalTest{path: path, class: class(a.Values[0].Kind), values: values}
	}
	not := ""
	if negated {
		not = "NOT "
	}
	if op == Exists {
		return normalTest{text: not + "EXISTS " + path}
	}
	constant := strings.Join(values, ", ")
	switch {
	case op == In && len(values) == 1: // there were two of the same
		return normalTest{text: path + " != " + constant}
	case op == In:
		constant = "(" + constant + ")"
	}
	return normalTest{text: path + " " + not + op.String() + " " + constant}
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

// A normalExpr is an observation expression in normal form.
type normalExpr struct {
	join   join
	test   normalTest   // of a leaf
	kids   []normalExpr // else
	window Window       // of all START … STOP of it
	quals  []normalQualifier
}

// A normalQualifier is REPEATS, WITHIN, or a START … STOP without a real date.
type normalQualifier struct {
	kind  tokenKind
	times int64   // of REPEATS
	span  float64 // of WITHIN
	text  string  // of START … STOP
}

func (p *Pattern) normalExpr(e *expr) normalExpr {
	var n normalExpr
	if e.join == leaf {
		n.test = p.normalTest(&e.test)
	} else {
		var kids []normalExpr
		for i := range e.kids {
			kids = append(kids, p.normalExpr(&e.kids[i]))
		}
		n = joinExprs(e.join, kids)
	}
	for _, q := range e.quals {
		n = n.qualify(q)
	}
	return n
}

func (e normalExpr) bare() bool { return len(e.quals) == 0 && e.window.IsZero() }

// joinExprs puts the operands of an observation operator in order.
func joinExprs(j join, operands []normalExpr) normalExpr {
	var kids []normalExpr
	for _, k := range operands {
		if k.join == j && k.bare() {
			kids = append(kids, k.kids...)
		} else {
			kids = append(kids, k)
		}
	}
	switch j {
	case joinOr:
		kids = uniteLeaves(kids)
		kids = inOrder(kids, normalExpr.String, true)
	case joinAnd:
		kids = inOrder(countRepeats(kids), normalExpr.String, false)
	case leaf, joinFollow:
	}
	if len(kids) == 1 {
		return kids[0]
	}
	return normalExpr{join: j, kids: kids}
}

// uniteLeaves makes one of all brackets without qualifiers: [a] OR [b] needs
// one observation, as [a OR b] does.
func uniteLeaves(kids []normalExpr) []normalExpr {
	var tests []normalTest
	var others []normalExpr
	for _, k := range kids {
		if k.join == leaf && k.bare() {
			tests = append(tests, k.test)
		} else {
			others = append(others, k)
		}
	}
	if len(tests) == 0 {
		return others
	}
	return append(others, normalExpr{test: joinTests(joinOr, tests)})
}

// countRepeats makes one of operands of AND that are the same but for REPEATS,
// which is a shorthand for AND.
func countRepeats(kids []normalExpr) []normalExpr {
	type counted struct {
		expr  normalExpr
		text  string
		times int64
	}
	var sorted []counted
	for _, k := range kids {
		times := int64(1)
		if last := len(k.quals) - 1; last >= 0 && k.quals[last].kind == tokenRepeats {
			times = k.quals[last].times
			k.quals = k.quals[:last:last]
		}
		sorted = append(sorted, counted{k, k.String(), times})
	}
	slices.SortFunc(sorted, func(a, b counted) int { return cmp.Compare(a.text, b.text) })
	var united []normalExpr
	for i := 0; i < len(sorted); {
		c, times := sorted[i], int64(0)
		for ; i < len(sorted) && sorted[i].text == c.text; i++ {
			times = min(times+sorted[i].times, most)
		}
		united = append(united, c.expr.repeat(times))
	}
	return united
}

// repeat returns the expression with REPEATS behind it.
func (e normalExpr) repeat(times int64) normalExpr {
	if times == 1 {
		return e
	}
	if e.join == joinAnd && e.bare() {
		var kids []normalExpr
		for _, k := range e.kids {
			kids = append(kids, k.repeat(times))
		}
		return joinExprs(joinAnd, kids)
	}
	quals := slices.Clone(e.quals)
	if last := len(quals) - 1; last >= 0 && quals[last].kind == tokenRepeats {
		quals[last].times = product(quals[last].times, times)
	} else {
		quals = append(quals, normalQualifier{kind: tokenRepeats, times: times})
	}
	e.quals = quals
	return e
}

// qualify returns the expression with a qualifier behind it. START … STOP goes
// before all others, since it says the same of each observation wherever it
// stands.
func (e normalExpr) qualify(q qualifier) normalExpr {
	switch {
	case q.kind == tokenRepeats:
		return e.repeat(int64(q.value.number))
	case q.kind == tokenWithin:
		if e.single() {
			return e
		}
		quals := slices.Clone(e.quals)
		if last := len(quals) - 1; last >= 0 && quals[last].kind == tokenWithin {
			quals[last].span = min(quals[last].span, q.value.number)
		} else {
			quals = append(quals, normalQualifier{kind: tokenWithin, span: q.value.number})
		}
		e.quals = quals
	case realTime(q.value) && realTime(q.stop):
		e.window = e.window.and(newWindow(q.value.Time(), q.stop.Time()))
	default:
		e.quals = append(slices.Clone(e.quals), normalQualifier{kind: tokenStart, text: normalTime(q.value) + " STOP " + normalTime(q.stop)})
	}
	return e
}

// single reports whether every match is one observation.
func (e normalExpr) single() bool {
	if slices.ContainsFunc(e.quals, func(q normalQualifier) bool { return q.kind == tokenRepeats }) {
		return false
	}
	for i := range e.kids {
		if e.join != joinOr || !e.kids[i].single() {
			return false
		}
	}
	return true
}

// String prints the expression. Qualifiers of the same kind are told apart by
// parentheses, as they have to be in a pattern.
func (e normalExpr) String() string {
	var b strings.Builder
	if e.join == leaf {
		b.WriteString("[" + e.test.String() + "]")
	}
	for i := range e.kids {
		if i > 0 {
			b.WriteString(e.join.String())
		}
		k := e.kids[i].String()
		if e.kids[i].join >= e.join && e.kids[i].bare() {
			k = "(" + k + ")"
		}
		b.WriteString(k)
	}
	text := b.String()
	if e.join != leaf && !e.bare() {
		text = "(" + text + ")"
	}
	if !e.window.IsZero() {
		text += " START t'" + stamp(e.window.Start) + "' STOP t'" + stamp(e.window.Stop) + "'"
	}
	used := map[tokenKind]bool{tokenStart: !e.window.IsZero()}
	for _, q := range e.quals {
		if used[q.kind] {
			text = "(" + text + ")"
			clear(used)
		}
		used[q.kind] = true
		switch q.kind {
		case tokenRepeats:
			text += " REPEATS " + strconv.FormatInt(q.times, 10) + " TIMES"
		case tokenWithin:
			text += " WITHIN " + normalNumber(q.span) + " SECONDS"
		default:
			text += " START " + q.text
		}
	}
	return text
}

func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05.999999999Z") }
