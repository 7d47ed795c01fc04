package pattern

import (
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Parse reads a pattern in the language of STIX 2.1 §9 and checks what its
// grammar, and the rules in [ErrorKind] up to BadHash, demand. Every error is
// a *[SyntaxError]. Time and memory are linear in the text, and bounded.
func Parse(text string) (*Pattern, error) {
	if len(text) > MaxBytes {
		return nil, located(text, MaxBytes, TooLong, "the pattern is longer than 64 KiB", "")
	}
	if !utf8.ValidString(text) {
		return nil, located(text, invalidAt(text), BadText, "the pattern is not valid UTF-8", "STIX 2.1 §9.4")
	}
	p := parser{text: text}
	p.next()
	root, err := p.sequence()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokenEnd {
		return nil, p.unexpected("expected AND, OR, FOLLOWEDBY, a qualifier or the end of the pattern", "STIX 2.1 §9.5")
	}
	if p.windows {
		p.setWindows(&root, Window{})
	}
	return &Pattern{text: text, root: root, atoms: p.atoms}, nil
}

func invalidAt(text string) int {
	for i, r := range text {
		if r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
			return i
		}
	}
	return len(text)
}

// A parser reads one text, one token ahead. It recurses only at a
// parenthesis, and counts them.
type parser struct {
	text    string
	tok     token
	depth   int
	values  int // comparisons and set members so far
	regexps int // instructions of all regular expressions so far
	windows bool
	atoms   []Atom
}

func (p *parser) next() { p.tok = scan(p.text, p.tok.end) }

// fail returns an error at the current token.
func (p *parser) fail(kind ErrorKind, message, clause string) *SyntaxError {
	return located(p.text, p.tok.start, kind, message, clause)
}

// unexpected says what should have stood where the current token is.
func (p *parser) unexpected(message, clause string) *SyntaxError {
	if p.tok.kind == tokenBad {
		return p.fail(BadConstant, p.tok.message, "STIX 2.1 §9.2")
	}
	err := p.fail(Unexpected, message, clause)
	err.Found = describe(p.tok.kind)
	return err
}

// expect passes a token of the kind, or says what it should have been.
func (p *parser) expect(kind tokenKind, message, clause string) error {
	if p.tok.kind != kind {
		return p.unexpected(message, clause)
	}
	p.next()
	return nil
}

// open passes a parenthesis that is not too deep. The caller calls shut.
func (p *parser) open() error {
	if p.depth++; p.depth > MaxDepth {
		return p.fail(TooDeep, "more than 64 parentheses inside each other", "")
	}
	p.next()
	return nil
}

func (p *parser) shut() error {
	p.depth--
	return p.expect(tokenClose, "expected a closing parenthesis", "STIX 2.1 §9.5.3")
}

// sequence reads observation expressions joined by FOLLOWEDBY, which binds
// less than OR (STIX 2.1 §9.5.3).
func (p *parser) sequence() (expr, error) {
	return p.exprs(joinFollow, tokenFollowedBy, p.alternatives)
}

func (p *parser) alternatives() (expr, error) {
	return p.exprs(joinOr, tokenOr, p.conjunction)
}

func (p *parser) conjunction() (expr, error) {
	return p.exprs(joinAnd, tokenAnd, p.observation)
}

// exprs reads operands joined by one operator, as one flat list: no operator
// makes the parser recurse.
func (p *parser) exprs(j join, operator tokenKind, operand func() (expr, error)) (expr, error) {
	first, err := operand()
	if err != nil || p.tok.kind != operator {
		return first, err
	}
	e := expr{join: j, kids: []expr{first}}
	for p.tok.kind == operator {
		p.next()
		k, err := operand()
		if err != nil {
			return expr{}, err
		}
		e.kids = append(e.kids, k)
	}
	return e, nil
}

// observation reads […] or (…), and the qualifiers behind it.
func (p *parser) observation() (expr, error) {
	var e expr
	var err error
	switch p.tok.kind {
	case tokenOpenBracket:
		p.next()
		if e.test, err = p.anyTest(); err != nil {
			return expr{}, err
		}
		if err = p.expect(tokenCloseBracket, "expected AND, OR or a closing square bracket", "STIX 2.1 §9.5"); err != nil {
			return expr{}, err
		}
	case tokenOpen:
		if err = p.open(); err != nil {
			return expr{}, err
		}
		if e, err = p.sequence(); err != nil {
			return expr{}, err
		}
		if err = p.shut(); err != nil {
			return expr{}, err
		}
		if len(e.quals) > 0 && p.atQualifier() {
			e = expr{join: joinAnd, kids: []expr{e}}
		}
	default:
		return expr{}, p.unexpected("expected an observation expression in square brackets", "STIX 2.1 §9.5")
	}
	for p.atQualifier() {
		for _, q := range e.quals {
			if q.kind == p.tok.kind {
				return expr{}, p.fail(DuplicateQualifier, "a second qualifier of the same kind", "STIX 2.1 §9.5.1")
			}
		}
		q, err := p.qualifier()
		if err != nil {
			return expr{}, err
		}
		e.quals = append(e.quals, q)
	}
	return e, nil
}

func (p *parser) atQualifier() bool {
	return p.tok.kind == tokenWithin || p.tok.kind == tokenRepeats || p.tok.kind == tokenStart
}

// qualifier reads WITHIN x SECONDS, REPEATS x TIMES or START x STOP y.
func (p *parser) qualifier() (q qualifier, err error) {
	const clause = "STIX 2.1 §9.5.1"
	q.kind = p.tok.kind
	p.next()
	switch q.kind {
	case tokenWithin:
		if p.tok.kind != tokenInteger && p.tok.kind != tokenFloat {
			return q, p.unexpected("expected a number of seconds", clause)
		}
		if q.value, err = p.positive("the number of seconds must be more than 0"); err != nil {
			return q, err
		}
		return q, p.expect(tokenSeconds, "expected SECONDS", clause)
	case tokenRepeats:
		if p.tok.kind != tokenInteger {
			return q, p.unexpected("expected a whole number of times", clause)
		}
		if q.value, err = p.positive("the number of times must be more than 0"); err != nil {
			return q, err
		}
		return q, p.expect(tokenTimes, "expected TIMES", clause)
	default:
		p.windows = true
		if p.tok.kind != tokenTime {
			return q, p.unexpected("expected a timestamp", clause)
		}
		if q.value, err = p.literal(); err != nil {
			return q, err
		}
		if err = p.expect(tokenStop, "expected STOP", clause); err != nil {
			return q, err
		}
		if p.tok.kind != tokenTime {
			return q, p.unexpected("expected a timestamp", clause)
		}
		q.stop, err = p.literal()
		return q, err
	}
}

func (p *parser) positive(message string) (Literal, error) {
	at := p.tok.start
	l, err := p.literal()
	if err == nil && l.number <= 0 {
		return l, located(p.text, at, BadConstant, message, "STIX 2.1 §9.5.1")
	}
	return l, err
}

// anyTest reads comparisons joined by OR, which binds less than AND.
func (p *parser) anyTest() (test, error) {
	return p.tests(joinOr, tokenOr, p.allTest)
}

func (p *parser) allTest() (test, error) {
	return p.tests(joinAnd, tokenAnd, p.oneTest)
}

func (p *parser) tests(j join, operator tokenKind, operand func() (test, error)) (test, error) {
	first, err := operand()
	if err != nil || p.tok.kind != operator {
		return first, err
	}
	t := test{join: j, kids: []test{first}}
	for p.tok.kind == operator {
		p.next()
		k, err := operand()
		if err != nil {
			return test{}, err
		}
		t.kids = append(t.kids, k)
	}
	return t, nil
}

// oneTest reads one comparison, or comparisons in parentheses.
func (p *parser) oneTest() (test, error) {
	if p.tok.kind == tokenOpen {
		if err := p.open(); err != nil {
			return test{}, err
		}
		t, err := p.anyTest()
		if err != nil {
			return test{}, err
		}
		return t, p.shut()
	}
	if err := p.count(); err != nil {
		return test{}, err
	}
	a := Atom{Start: p.tok.start}
	if err := p.comparison(&a); err != nil {
		return test{}, err
	}
	p.atoms = append(p.atoms, a)
	return test{atom: len(p.atoms) - 1}, nil
}

func (p *parser) count() error {
	if p.values++; p.values > MaxComparisons {
		return p.fail(TooMany, "more than 20,000 comparisons", "")
	}
	return nil
}

// comparison reads [NOT] EXISTS path, or path [NOT] operator constant.
func (p *parser) comparison(a *Atom) error {
	const clause = "STIX 2.1 §9.6.1"
	if p.tok.kind == tokenNot {
		a.Negated = true
		p.next()
		if p.tok.kind != tokenExists {
			return p.unexpected("expected EXISTS", clause)
		}
	}
	if p.tok.kind == tokenExists {
		a.Op = Exists
		p.next()
		return p.path(a)
	}
	if err := p.path(a); err != nil {
		return err
	}
	if p.tok.kind == tokenNot {
		a.Negated = true
		p.next()
	}
	if a.Op = operator(p.tok.kind); a.Op == 0 {
		return p.unexpected("expected a comparison operator", clause)
	}
	p.next()
	if a.Op == In {
		if err := p.set(a); err != nil {
			return err
		}
	} else if err := p.constant(a); err != nil {
		return err
	}
	return p.check(a)
}

func operator(k tokenKind) Op {
	switch k {
	case tokenEqual:
		return Equal
	case tokenNotEqual:
		return NotEqual
	case tokenLess:
		return Less
	case tokenLessOrEqual:
		return LessOrEqual
	case tokenGreater:
		return Greater
	case tokenGreaterOrEqual:
		return GreaterOrEqual
	case tokenIn:
		return In
	case tokenLike:
		return Like
	case tokenMatches:
		return Matches
	case tokenIsSubset:
		return IsSubset
	case tokenIsSuperset:
		return IsSuperset
	default:
		return 0
	}
}

// constant reads the one constant that the operator takes.
func (p *parser) constant(a *Atom) error {
	const clause = "STIX 2.1 §9.6.1"
	switch a.Op {
	case Like, Matches, IsSubset, IsSuperset:
		if p.tok.kind != tokenString {
			return p.unexpected("expected a string", clause)
		}
	case Less, LessOrEqual, Greater, GreaterOrEqual:
		if p.tok.kind == tokenTrue || p.tok.kind == tokenFalse {
			return p.unexpected("expected a constant that has an order", clause)
		}
	case Equal, NotEqual, In, Exists:
	}
	l, err := p.literal()
	if err != nil {
		return err
	}
	a.Values, a.End = []Literal{l}, l.End
	return nil
}

// set reads the constants of IN, which may be none.
func (p *parser) set(a *Atom) error {
	const clause = "STIX 2.1 §9.6.1"
	if err := p.expect(tokenOpen, "expected a set in parentheses", clause); err != nil {
		return err
	}
	for p.tok.kind != tokenClose {
		if len(a.Values) > 0 {
			if err := p.expect(tokenComma, "expected a comma or a closing parenthesis", clause); err != nil {
				return err
			}
			if err := p.count(); err != nil {
				return err
			}
		}
		l, err := p.literal()
		if err != nil {
			return err
		}
		if len(a.Values) > 0 && class(l.Kind) != class(a.Values[0].Kind) {
			return located(p.text, l.Start, MixedSet, "the members of a set must be of one type", clause)
		}
		a.Values = append(a.Values, l)
	}
	a.End = p.tok.end
	p.next()
	return nil
}

// class puts the constants that compare with the same properties together
// (STIX 2.1 §9.2).
func class(k LiteralKind) LiteralKind {
	if k == Float {
		return Integer
	}
	if k == Binary {
		return Hex
	}
	return k
}

// literal reads one constant of any type.
func (p *parser) literal() (Literal, error) {
	raw := p.text[p.tok.start:p.tok.end]
	l := Literal{Start: p.tok.start, End: p.tok.end}
	switch p.tok.kind {
	case tokenString:
		l.Kind, l.Value = String, unescape(raw)
	case tokenInteger, tokenFloat:
		l.Kind, l.Value = Integer, strings.TrimPrefix(raw, "+")
		limit := float64(1<<53 - 1) // STIX 2.1 §2.10
		if p.tok.kind == tokenFloat {
			l.Kind, limit = Float, math.MaxFloat64
		}
		n, err := strconv.ParseFloat(raw, 64)
		if err != nil || math.Abs(n) > limit {
			return l, p.fail(BadConstant, "a number that is out of range", "STIX 2.1 §9.2")
		}
		l.number = n
	case tokenTrue, tokenFalse:
		l.Kind, l.Value = Boolean, raw
	case tokenTime:
		l.Kind, l.Value = Timestamp, raw[2:len(raw)-1]
	case tokenHex:
		octets, _ := hex.DecodeString(raw[2 : len(raw)-1]) // the lexer checked it
		l.Kind, l.Value = Hex, string(octets)
	case tokenBinary:
		octets, _ := base64.StdEncoding.DecodeString(raw[2 : len(raw)-1]) // the lexer checked it
		l.Kind, l.Value = Binary, string(octets)
	default:
		return l, p.unexpected("expected a constant", "STIX 2.1 §9.2")
	}
	p.next()
	return l, nil
}

// unescape returns what is between the apostrophes of a string.
func unescape(raw string) string {
	raw = raw[1 : len(raw)-1]
	if strings.IndexByte(raw, '\\') < 0 {
		return raw
	}
	var b strings.Builder
	b.Grow(len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] == '\\' {
			i++
		}
		b.WriteByte(raw[i])
	}
	return b.String()
}

// path reads an object path (STIX 2.1 §9.7).
func (p *parser) path(a *Atom) error {
	const clause = "STIX 2.1 §9.7"
	if p.tok.kind != tokenName && p.tok.kind != tokenHyphenName {
		return p.unexpected("expected an object type", clause)
	}
	a.ObjectType = p.text[p.tok.start:p.tok.end]
	p.next()
	if err := p.expect(tokenColon, "expected a colon", clause); err != nil {
		return err
	}
	start := p.tok.start
	if err := p.key(a); err != nil {
		return err
	}
	for {
		switch p.tok.kind {
		case tokenDot:
			p.next()
			if err := p.key(a); err != nil {
				return err
			}
		case tokenOpenBracket:
			if err := p.index(a); err != nil {
				return err
			}
		default:
			// The canonical spelling leaves things out and adds nothing: it is
			// the text's own, without a copy, if the two are equally long.
			if a.Path = p.text[start:a.End]; pathSize(a.Steps) != len(a.Path) {
				a.Path = pathText(a.Steps)
			}
			return nil
		}
	}
}

func (p *parser) key(a *Atom) error {
	var key string
	switch p.tok.kind {
	case tokenName:
		key = p.text[p.tok.start:p.tok.end]
	case tokenString:
		key = unescape(p.text[p.tok.start:p.tok.end])
	default:
		return p.unexpected("expected a property name", "STIX 2.1 §9.7")
	}
	a.Steps = append(a.Steps, Step{Kind: KeyStep, Key: key})
	a.End = p.tok.end
	p.next()
	return nil
}

func (p *parser) index(a *Atom) error {
	const clause = "STIX 2.1 §9.7.2"
	p.next()
	s := Step{Kind: AnyStep}
	switch p.tok.kind {
	case tokenStar:
		p.next()
	case tokenInteger:
		l, err := p.literal()
		if err != nil {
			return err
		}
		if l.number < 0 {
			return located(p.text, l.Start, BadConstant, "a list index below 0", clause)
		}
		s = Step{Kind: IndexStep, Index: int(l.number)}
	default:
		return p.unexpected("expected a list index or an asterisk", clause)
	}
	a.Steps = append(a.Steps, s)
	a.End = p.tok.end
	return p.expect(tokenCloseBracket, "expected a closing square bracket", clause)
}

// setWindows gives every atom the START … STOP that it stands in.
func (p *parser) setWindows(e *expr, around Window) {
	for _, q := range e.quals {
		if q.kind == tokenStart {
			around = around.and(newWindow(q.value.Time(), q.stop.Time()))
		}
	}
	for i := range e.kids {
		p.setWindows(&e.kids[i], around)
	}
	if e.join == leaf {
		p.setTestWindows(&e.test, around)
	}
}

func (p *parser) setTestWindows(t *test, around Window) {
	for i := range t.kids {
		p.setTestWindows(&t.kids[i], around)
	}
	if t.join == leaf {
		p.atoms[t.atom].Window = around
	}
}
