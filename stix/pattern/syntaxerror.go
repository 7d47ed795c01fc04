package pattern

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// An ErrorKind says which sort of rule a text breaks.
type ErrorKind uint8

// The kinds of [SyntaxError].
const (
	Unexpected         ErrorKind = iota + 1 // something else should stand here
	BadConstant                             // a constant that is malformed or out of range, STIX 2.1 §9.2
	BadText                                 // not valid UTF-8, STIX 2.1 §9.4
	TooLong                                 // longer than [MaxBytes]
	TooDeep                                 // more than [MaxDepth] open parentheses
	TooMany                                 // more than [MaxComparisons] comparisons and set members
	RegexpTooLarge                          // a regular expression over [MaxRegexpBytes] or [MaxRegexpSteps]
	DuplicateQualifier                      // two qualifiers of one kind, STIX 2.1 §9.5.1
	MixedSet                                // set members of different types, STIX 2.1 §9.6.1
	BadHash                                 // no hash of the named algorithm looks like this, STIX 2.1 §2.7
	MixedTypes                              // AND between different object types, STIX 2.1 §9.5
	BadAddress                              // not an address or network, STIX 2.1 §9.6.1
	BadName                                 // no type or property has such a name, STIX 2.1 §9.7
	NoSuchDate                              // a day that is in no calendar, STIX 2.1 §2.16
)

// A SyntaxError says what is wrong with a pattern, and where. It never quotes
// the pattern, so its text may be shown to anyone.
type SyntaxError struct {
	Kind    ErrorKind
	Offset  int    // where it starts, in bytes from the start of the text
	Line    int    // the same as a line, from 1
	Column  int    // and as a column of that line, from 1, in code points
	Message string // what is wrong, such as "expected a comparison operator"
	Found   string // what sort of thing stands there instead, such as "a string"; may be empty
	Clause  string // the rule that is broken, such as "STIX 2.1 §9.6.1"; empty for limits of this package
}

// Error returns the place and the reason, in one line.
func (e *SyntaxError) Error() string {
	var b strings.Builder
	b.WriteString("line ")
	b.WriteString(strconv.Itoa(e.Line))
	b.WriteString(", column ")
	b.WriteString(strconv.Itoa(e.Column))
	b.WriteString(": ")
	b.WriteString(e.Message)
	if e.Found != "" {
		b.WriteString(", found ")
		b.WriteString(e.Found)
	}
	if e.Clause != "" {
		b.WriteString(" (")
		b.WriteString(e.Clause)
		b.WriteString(")")
	}
	return b.String()
}

// located returns a SyntaxError at a byte offset of text, which is clamped to
// the text.
func located(text string, offset int, kind ErrorKind, message, clause string) *SyntaxError {
	before := text[:min(offset, len(text))]
	line := strings.LastIndexByte(before, '\n') + 1
	return &SyntaxError{
		Kind: kind, Offset: len(before),
		Line: strings.Count(before, "\n") + 1, Column: utf8.RuneCountInString(before[line:]) + 1,
		Message: message, Clause: clause,
	}
}
