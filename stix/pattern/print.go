package pattern

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// Quote returns s as a string constant, with the apostrophes and escapes that
// it needs (STIX 2.1 §9.2). Bytes that are not UTF-8 become U+FFFD.
func Quote(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	var b strings.Builder
	b.Grow(quotedSize(s))
	b.WriteByte('\'')
	for i := range len(s) {
		if needsEscape(s[i]) {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('\'')
	return b.String()
}

func needsEscape(c byte) bool { return c == '\'' || c == '\\' }

// quotedSize returns the length of Quote(s), for a valid s.
func quotedSize(s string) int {
	return len("''") + len(s) + strings.Count(s, `'`) + strings.Count(s, `\`)
}

// String returns the pattern with uniform spacing, spelling and parentheses,
// and its operands in the order of the text. Parsing it again gives an equal
// pattern.
func (p *Pattern) String() string {
	var w writer
	w.expr(p, &p.root, leaf)
	return w.String()
}

// A writer prints expressions.
type writer struct{ strings.Builder }

func (j join) String() string {
	switch j {
	case joinAnd:
		return " AND "
	case joinOr:
		return " OR "
	case joinFollow:
		return " FOLLOWEDBY "
	case leaf:
	}
	return ""
}

// expr prints e as an operand of outer, which is leaf when there is nothing
// around it.
func (w *writer) expr(p *Pattern, e *expr, outer join) {
	if e.join == leaf {
		w.WriteByte('[')
		w.test(p, &e.test, leaf)
		w.WriteByte(']')
	} else {
		// Only an operator that binds no tighter gets parentheses, so that the
		// printed text is never deeper than the given one. The same operator
		// does, or it would be parsed flat.
		grouped := outer != leaf && e.join >= outer || len(e.quals) > 0
		if grouped {
			w.WriteByte('(')
		}
		inner := e.join
		if len(e.kids) == 1 {
			inner = leaf
		}
		for i := range e.kids {
			if i > 0 {
				w.WriteString(e.join.String())
			}
			w.expr(p, &e.kids[i], inner)
		}
		if grouped {
			w.WriteByte(')')
		}
	}
	for _, q := range e.quals {
		w.qualifier(q)
	}
}

func (w *writer) qualifier(q qualifier) {
	switch q.kind {
	case tokenWithin:
		w.WriteString(" WITHIN " + q.value.Value + " SECONDS")
	case tokenRepeats:
		w.WriteString(" REPEATS " + q.value.Value + " TIMES")
	default:
		w.WriteString(" START " + q.value.canonical() + " STOP " + q.stop.canonical())
	}
}

func (w *writer) test(p *Pattern, t *test, outer join) {
	if t.join == leaf {
		w.atom(&p.atoms[t.atom])
		return
	}
	grouped := outer != leaf && t.join >= outer
	if grouped {
		w.WriteByte('(')
	}
	for i := range t.kids {
		if i > 0 {
			w.WriteString(t.join.String())
		}
		w.test(p, &t.kids[i], t.join)
	}
	if grouped {
		w.WriteByte(')')
	}
}

func (w *writer) atom(a *Atom) {
	if a.Op == Exists {
		if a.Negated {
			w.WriteString("NOT ")
		}
		w.WriteString("EXISTS " + a.ObjectType + ":" + a.Path)
		return
	}
	w.WriteString(a.ObjectType + ":" + a.Path + " ")
	if a.Negated {
		w.WriteString("NOT ")
	}
	w.WriteString(a.Op.String() + " ")
	if a.Op != In {
		w.WriteString(a.Values[0].canonical())
		return
	}
	w.WriteByte('(')
	for i, l := range a.Values {
		if i > 0 {
			w.WriteString(", ")
		}
		w.WriteString(l.canonical())
	}
	w.WriteByte(')')
}

// canonical returns the constant in the one spelling that [Pattern.String]
// uses for it.
func (l Literal) canonical() string {
	switch l.Kind {
	case String:
		return Quote(l.Value)
	case Hex:
		return "h'" + hex.EncodeToString([]byte(l.Value)) + "'"
	case Binary:
		return "b'" + base64.StdEncoding.EncodeToString([]byte(l.Value)) + "'"
	case Timestamp:
		return "t'" + canonicalTime(l.Value) + "'"
	case Integer:
		return strconv.FormatInt(int64(l.number), 10)
	case Float, Boolean:
	}
	return l.Value
}

// pathText writes an object path without its type.
func pathText(steps []Step) string {
	var b strings.Builder
	for i, s := range steps {
		switch s.Kind {
		case KeyStep:
			if i > 0 {
				b.WriteByte('.')
			}
			if isPlain(s.Key) {
				b.WriteString(s.Key)
			} else {
				b.WriteString(Quote(s.Key))
			}
		case IndexStep:
			b.WriteString("[" + strconv.Itoa(s.Index) + "]")
		case AnyStep:
			b.WriteString("[*]")
		}
	}
	return b.String()
}

// pathSize returns the length of pathText(steps).
func pathSize(steps []Step) int {
	size := 0
	for i, s := range steps {
		switch s.Kind {
		case KeyStep:
			if i > 0 {
				size += len(".")
			}
			if isPlain(s.Key) {
				size += len(s.Key)
			} else {
				size += quotedSize(s.Key)
			}
		case IndexStep:
			size += len("[]") + len(strconv.Itoa(s.Index))
		case AnyStep:
			size += len("[*]")
		}
	}
	return size
}

// isPlain reports whether a key needs no apostrophes.
func isPlain(key string) bool {
	if key == "" || !isNameStart(key[0]) || keyword(key) != tokenName {
		return false
	}
	for i := range len(key) {
		if !isNamePart(key[i]) {
			return false
		}
	}
	return true
}
