package pattern

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Normal returns a text that is the same for all patterns that mean the same
// as far as rules of rewriting tell. It makes no difference in which order and
// how often operands stand, how they are grouped, spaced, commented and
// spelled, whether a choice stands inside of brackets or between them, and
// whether = or IN, REPEATS or AND say it (STIX 2.1 §9.5.1). Choices are
// multiplied out, as in [a AND (b OR c)], and those that another one includes
// are left out, as the second in [a] OR ([a] AND [b]), unless there are more
// than 32 to write. What the standard itself says to be one value is one:
// addresses with and without a suffix for the whole of it, and networks whatever
// the bits beyond it (§6.4, §6.5), for types and properties that have them, and
// names in the registry of Windows in either letter case (§6.17).
//
// It is for comparing, not for matching: = compares text, and so finds fewer
// spellings than Normal recognizes. It can be longer than [Parse] allows.
func (p *Pattern) Normal() string {
	// An invalid constant makes all of the pattern match nothing (STIX 2.1
	// §9.4), wherever it stands: it must not be left out.
	n := normalizer{p: p, whole: p.brokenConstant()}
	return n.scope(n.expr(&p.root)).String()
}

// A normalizer makes the normal form of one pattern.
type normalizer struct {
	p     *Pattern
	whole bool // nothing may be left out
}

func (p *Pattern) brokenConstant() bool {
	return slices.ContainsFunc(p.Problems(), func(e *SyntaxError) bool { return e.Kind != MixedTypes })
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

func (z *normalizer) expr(e *expr) normalExpr {
	var n normalExpr
	if e.join == leaf {
		n.test = z.test(&e.test)
	} else {
		var kids []normalExpr
		for i := range e.kids {
			kids = append(kids, z.expr(&e.kids[i]))
		}
		n = z.joinExprs(e.join, kids)
	}
	if len(e.quals) > 0 {
		n = z.scope(n)
	}
	for _, q := range e.quals {
		n = z.qualify(n, q)
	}
	return n
}

func (e normalExpr) bare() bool { return len(e.quals) == 0 && e.window.IsZero() }

// joinExprs puts the operands of an observation operator in order.
func (z *normalizer) joinExprs(j join, operands []normalExpr) normalExpr {
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
		kids = z.uniteLeaves(kids)
		kids = inOrder(kids, normalExpr.String, true)
	case joinAnd:
		kids = inOrder(z.countRepeats(kids), normalExpr.String, false)
	case leaf, joinFollow:
	}
	if len(kids) == 1 {
		return kids[0]
	}
	return normalExpr{join: j, kids: kids}
}

// uniteLeaves makes one of all brackets without qualifiers: [a] OR [b] needs
// one observation, as [a OR b] does.
func (z *normalizer) uniteLeaves(kids []normalExpr) []normalExpr {
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
	return append(others, normalExpr{test: z.multiplied(joinTests(joinOr, tests))})
}

// countRepeats makes one of operands of AND that are the same but for REPEATS,
// which is a shorthand for AND.
func (z *normalizer) countRepeats(kids []normalExpr) []normalExpr {
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
		united = append(united, z.repeat(c.expr, times))
	}
	return united
}

// repeat returns the expression with REPEATS behind it.
func (z *normalizer) repeat(e normalExpr, times int64) normalExpr {
	if times == 1 {
		return e
	}
	if e.join == joinAnd && e.bare() {
		var kids []normalExpr
		for _, k := range e.kids {
			kids = append(kids, z.repeat(k, times))
		}
		return z.joinExprs(joinAnd, kids)
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
func (z *normalizer) qualify(e normalExpr, q qualifier) normalExpr {
	switch {
	case q.kind == tokenRepeats:
		return z.repeat(e, int64(q.value.number))
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
