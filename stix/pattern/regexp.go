package pattern

import (
	"errors"
	"regexp/syntax"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
)

const (
	// maxRegexpTotal bounds the programs of all regular expressions of a
	// pattern together, so that a text of 64 KiB cannot make megabytes of them.
	maxRegexpTotal = 20 * MaxRegexpSteps
	// tableSteps is what a class of Unicode counts for: \w is one instruction
	// with a table of 6 KiB.
	tableSteps = 64
)

// regexpSize returns how large the program of a MATCHES constant is, in
// instructions and tables: 0 when RE2 cannot express it, which is not for
// [Parse] to judge, and more than [MaxRegexpSteps] when it is too large to be
// compiled.
func regexpSize(constant string) int {
	if len(constant) > MaxRegexpBytes {
		return MaxRegexpSteps + 1
	}
	// The classes of binary data are as many instructions as those of text, and
	// quicker to make.
	expression, tables := translate(constant, true)
	if tables*tableSteps > MaxRegexpSteps {
		return MaxRegexpSteps + 1
	}
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		failed, ok := errors.AsType[*syntax.Error](err)
		if ok && (failed.Code == syntax.ErrLarge || failed.Code == syntax.ErrNestingDepth || failed.Code == syntax.ErrInvalidRepeatSize) {
			return MaxRegexpSteps + 1
		}
		return 0
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0
	}
	return len(prog.Inst) + tables*tableSteps
}

// translate writes a PCRE expression in the syntax of RE2 so that it means
// the same: DOTALL is on (STIX 2.1 §9.6.1), $ also matches before a newline at
// the end, and \d \w \s know all of Unicode unless the property is binary.
// What RE2 lacks stays as it is and is refused by its parser. Only \b and \B
// differ: to them a letter is an ASCII letter. The number of large tables that
// the expression needs is returned with it.
func translate(constant string, binary bool) (expression string, tables int) {
	if !binary {
		constant = norm.NFC.String(constant)
	}
	var b strings.Builder
	b.WriteString("(?s)")
	if strings.IndexByte(constant, '\\') < 0 && strings.IndexByte(constant, '$') < 0 {
		b.WriteString(constant)
		return b.String(), 0
	}
	t := translation{in: constant, out: &b, binary: binary, multiline: hasMultiline(constant)}
	for t.pos < len(t.in) {
		t.step()
	}
	return b.String(), t.tables
}

// hasMultiline reports whether a flag group such as (?m) or (?im:…) may give $
// its other meaning.
func hasMultiline(s string) bool {
	for {
		_, after, found := strings.Cut(s, "(?")
		if !found {
			return false
		}
		flags, _, _ := strings.Cut(strings.TrimLeft(after, "isU"), ")")
		if strings.HasPrefix(flags, "m") {
			return true
		}
		s = after
	}
}

type translation struct {
	in        string
	out       *strings.Builder
	pos       int
	class     bool // inside [ ]
	binary    bool
	multiline bool
	tables    int
}

// step copies, or rewrites, what is at pos.
func (t *translation) step() {
	c := t.in[t.pos]
	rest := t.in[t.pos:]
	switch {
	case c == '\\' && strings.HasPrefix(rest, `\Q`):
		end := strings.Index(rest, `\E`)
		if end < 0 {
			end = len(rest)
		}
		t.copy(end)
	case c == '\\' && len(rest) > 1:
		t.escape(rest[1])
	case t.class && strings.HasPrefix(rest, "[:") && strings.Contains(rest, ":]"):
		t.copy(strings.Index(rest, ":]") + 2)
	case t.class:
		t.class = c != ']'
		t.copy(1)
	case c == '[':
		t.class = true
		size := 1
		for _, first := range []byte("^]") { // a ] that comes first is a member
			if size < len(rest) && rest[size] == first {
				size++
			}
		}
		t.copy(size)
	case c == '$' && !t.multiline:
		t.out.WriteString(`(?:\z|\n\z)`)
		t.pos++
	default:
		t.copy(1)
	}
}

func (t *translation) copy(size int) {
	t.out.WriteString(t.in[t.pos : t.pos+size])
	t.pos += size
}

// escape rewrites \d, \w, \s, their opposites and \Z.
func (t *translation) escape(letter byte) {
	const digit, word, space = `\p{Nd}`, `\p{L}\p{N}_`, `\t-\r\x{85}\p{Z}`
	if letter == 'Z' && !t.class {
		t.out.WriteString(`(?:\z|\n\z)`)
		t.pos += 2
		return
	}
	var members string
	switch letter | 0x20 {
	case 'd':
		members = digit
		if t.binary {
			members = `0-9`
		}
	case 'w':
		members = word
		t.tables++
		if t.binary {
			members = `0-9A-Za-z_`
		}
	case 'p':
		t.tables++
		t.copy(2)
		return
	case 's':
		members = space
		if t.binary {
			members = `\t-\r `
		}
	default:
		t.copy(2)
		return
	}
	t.pos += 2
	opposite := letter&0x20 == 0
	switch {
	case !t.class && opposite:
		t.out.WriteString("[^" + members + "]")
	case !t.class:
		t.out.WriteString("[" + members + "]")
	case opposite:
		const asLongAs = 4 // tables take, since it is written out
		t.tables += asLongAs
		t.out.WriteString(complement(members))
	default:
		t.out.WriteString(members)
	}
}

// complement writes what is not in a class as ranges, since RE2 has no way to
// put an opposite inside of a class.
func complement(members string) string {
	re, err := syntax.Parse("[^"+members+"]", syntax.Perl)
	if err != nil || re.Op != syntax.OpCharClass {
		return `\p{unknown}` // refused by RE2, and so not evaluable
	}
	var b strings.Builder
	for i := 0; i < len(re.Rune); i += 2 {
		b.WriteString(`\x{` + strconv.FormatInt(int64(re.Rune[i]), 16) + `}-\x{` + strconv.FormatInt(int64(re.Rune[i+1]), 16) + `}`)
	}
	return b.String()
}
