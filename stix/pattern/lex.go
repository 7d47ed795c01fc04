package pattern

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A tokenKind is what the lexer makes of a run of characters. No switch over it
// names every kind: most places expect one or two.
type tokenKind = uint8

const (
	tokenEnd tokenKind = iota
	tokenBad           // message says why
	tokenName
	tokenHyphenName // a name with hyphens: only good as an object type
	tokenInteger
	tokenFloat
	tokenString
	tokenHex
	tokenBinary
	tokenTime
	tokenColon
	tokenDot
	tokenComma
	tokenOpen  // (
	tokenClose // )
	tokenOpenBracket
	tokenCloseBracket
	tokenStar
	tokenEqual
	tokenNotEqual
	tokenLess
	tokenLessOrEqual
	tokenGreater
	tokenGreaterOrEqual
	// Every kind from here on is a keyword.
	tokenAnd
	tokenOr
	tokenNot
	tokenFollowedBy
	tokenIn
	tokenLike
	tokenMatches
	tokenIsSubset
	tokenIsSuperset
	tokenExists
	tokenWithin
	tokenSeconds
	tokenRepeats
	tokenTimes
	tokenStart
	tokenStop
	tokenTrue
	tokenFalse
	tokenLast // reserved by the grammar, used by nothing
)

// A token is a run of characters of the text, from start up to end.
type token struct {
	kind       tokenKind
	start, end int
	message    string // of tokenBad: what is wrong
}

// keyword returns the kind of a name that is reserved, tokenName for any
// other. Keywords are upper case, the two booleans lower case.
func keyword(name string) tokenKind {
	switch name {
	case "AND":
		return tokenAnd
	case "OR":
		return tokenOr
	case "NOT":
		return tokenNot
	case "FOLLOWEDBY":
		return tokenFollowedBy
	case "IN":
		return tokenIn
	case "LIKE":
		return tokenLike
	case "MATCHES":
		return tokenMatches
	case "ISSUBSET":
		return tokenIsSubset
	case "ISSUPERSET":
		return tokenIsSuperset
	case "EXISTS":
		return tokenExists
	case "WITHIN":
		return tokenWithin
	case "SECONDS":
		return tokenSeconds
	case "REPEATS":
		return tokenRepeats
	case "TIMES":
		return tokenTimes
	case "START":
		return tokenStart
	case "STOP":
		return tokenStop
	case "true":
		return tokenTrue
	case "false":
		return tokenFalse
	case "LAST":
		return tokenLast
	default:
		return tokenName
	}
}

// describe names a kind of token for an error, without its content.
func describe(k tokenKind) string {
	switch k {
	case tokenEnd:
		return "the end of the pattern"
	case tokenName:
		return "a name"
	case tokenHyphenName:
		return "a name with a hyphen, which needs apostrophes"
	case tokenInteger, tokenFloat:
		return "a number"
	case tokenString:
		return "a string"
	case tokenHex:
		return "a hex constant"
	case tokenBinary:
		return "a binary constant"
	case tokenTime:
		return "a timestamp"
	case tokenOpen, tokenClose:
		return "a parenthesis"
	case tokenOpenBracket, tokenCloseBracket:
		return "a square bracket"
	case tokenColon, tokenDot, tokenComma, tokenStar:
		return "punctuation"
	case tokenEqual, tokenNotEqual, tokenLess, tokenLessOrEqual, tokenGreater, tokenGreaterOrEqual:
		return "a comparison operator"
	case tokenTrue, tokenFalse:
		return "a boolean"
	default:
		return "a keyword"
	}
}

// scan returns the token that begins at or after pos.
func scan(text string, pos int) token {
	pos, ok := skip(text, pos)
	if !ok {
		return token{tokenBad, pos, len(text), "a comment is never closed"}
	}
	if pos == len(text) {
		return token{kind: tokenEnd, start: pos, end: pos}
	}
	switch c := text[pos]; c {
	case ':':
		return token{kind: tokenColon, start: pos, end: pos + 1}
	case ',':
		return token{kind: tokenComma, start: pos, end: pos + 1}
	case '(':
		return token{kind: tokenOpen, start: pos, end: pos + 1}
	case ')':
		return token{kind: tokenClose, start: pos, end: pos + 1}
	case '[':
		return token{kind: tokenOpenBracket, start: pos, end: pos + 1}
	case ']':
		return token{kind: tokenCloseBracket, start: pos, end: pos + 1}
	case '*':
		return token{kind: tokenStar, start: pos, end: pos + 1}
	case '=', '!', '<', '>':
		return scanOperator(text, pos)
	case '\'':
		return scanString(text, pos)
	case '+', '-', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return scanNumber(text, pos)
	default:
		if isNameStart(c) {
			return scanName(text, pos)
		}
		_, size := utf8.DecodeRuneInString(text[pos:])
		return token{tokenBad, pos, pos + size, "a character that has no meaning here"}
	}
}

// skip passes whitespace (STIX 2.1 §9.1: any code point with the WSpace
// property) and comments; false means that a comment has no end.
func skip(text string, pos int) (int, bool) {
	for pos < len(text) {
		switch c := text[pos]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			pos++
		case c == '/' && strings.HasPrefix(text[pos:], "//"):
			end := strings.IndexAny(text[pos:], "\r\n")
			if end < 0 {
				return len(text), true
			}
			pos += end
		case c == '/' && strings.HasPrefix(text[pos:], "/*"):
			end := strings.Index(text[pos+2:], "*/")
			if end < 0 {
				return pos, false
			}
			pos += 2 + end + 2
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(text[pos:])
			if !unicode.IsSpace(r) {
				return pos, true
			}
			pos += size
		default:
			return pos, true
		}
	}
	return pos, true
}

func scanOperator(text string, pos int) token {
	two := text[pos:min(pos+2, len(text))]
	switch two {
	case "==":
		return token{kind: tokenEqual, start: pos, end: pos + 2}
	case "!=", "<>":
		return token{kind: tokenNotEqual, start: pos, end: pos + 2}
	case "<=":
		return token{kind: tokenLessOrEqual, start: pos, end: pos + 2}
	case ">=":
		return token{kind: tokenGreaterOrEqual, start: pos, end: pos + 2}
	}
	switch two[0] {
	case '=':
		return token{kind: tokenEqual, start: pos, end: pos + 1}
	case '<':
		return token{kind: tokenLess, start: pos, end: pos + 1}
	case '>':
		return token{kind: tokenGreater, start: pos, end: pos + 1}
	}
	return token{tokenBad, pos, pos + 1, "an exclamation mark without an equals sign"}
}

// scanString reads 'text', in which a backslash may only come before an
// apostrophe or another backslash, STIX 2.1 §9.2.
func scanString(text string, pos int) token {
	for i := pos + 1; i < len(text); i++ {
		switch text[i] {
		case '\'':
			return token{kind: tokenString, start: pos, end: i + 1}
		case '\\':
			if i++; i == len(text) || text[i] != '\'' && text[i] != '\\' {
				return token{tokenBad, i - 1, i, "a backslash that is not before an apostrophe or a backslash"}
			}
		}
	}
	return token{tokenBad, pos, len(text), "a string is never closed"}
}

// scanNumber reads an integer or a float, or the dot of an object path.
func scanNumber(text string, pos int) token {
	i := pos
	if text[i] == '+' || text[i] == '-' {
		i++
	}
	whole := digits(text, i)
	if whole < len(text) && text[whole] == '.' {
		if end := digits(text, whole+1); end > whole+1 {
			return token{kind: tokenFloat, start: pos, end: end}
		}
	}
	switch {
	case whole > i && text[i] == '0' && whole > i+1:
		return token{tokenBad, pos, whole, "an integer with leading zeros"}
	case whole > i:
		return token{kind: tokenInteger, start: pos, end: whole}
	case text[pos] == '.':
		return token{kind: tokenDot, start: pos, end: pos + 1}
	}
	return token{tokenBad, pos, pos + 1, "a sign without a number"}
}

func digits(text string, pos int) int {
	for pos < len(text) && text[pos] >= '0' && text[pos] <= '9' {
		pos++
	}
	return pos
}

func isNameStart(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
}

func isNamePart(c byte) bool {
	return isNameStart(c) || c >= '0' && c <= '9'
}

// scanName reads a name, a keyword, or a constant with a letter before its
// apostrophe.
func scanName(text string, pos int) token {
	end, hyphen := pos, false
	for end < len(text) && (isNamePart(text[end]) || text[end] == '-') {
		hyphen = hyphen || text[end] == '-'
		end++
	}
	if end == pos+1 && end < len(text) && text[end] == '\'' {
		switch text[pos] {
		case 'h', 'b', 't':
			return scanPrefixed(text, pos)
		}
	}
	if hyphen {
		return token{kind: tokenHyphenName, start: pos, end: end}
	}
	return token{kind: keyword(text[pos:end]), start: pos, end: end}
}

// scanPrefixed reads h'…', b'…' or t'…' and checks what is between the
// apostrophes, STIX 2.1 §9.2.
func scanPrefixed(text string, pos int) token {
	size := strings.IndexByte(text[pos+2:], '\'')
	if size < 0 {
		return token{tokenBad, pos, len(text), "a constant is never closed"}
	}
	inside := text[pos+2 : pos+2+size]
	t := token{start: pos, end: pos + 2 + size + 1}
	switch text[pos] {
	case 'h':
		t.kind, t.message = tokenHex, "a hex constant that is not an even number of hex digits"
		if len(inside)%2 != 0 || strings.Trim(inside, "0123456789abcdefABCDEF") != "" {
			t.kind = tokenBad
		}
	case 'b':
		t.kind, t.message = tokenBinary, "a binary constant that is not base64"
		if _, err := base64.StdEncoding.DecodeString(inside); err != nil {
			t.kind = tokenBad
		}
	default:
		t.kind, t.message = tokenTime, "a timestamp that is not written as YYYY-MM-DDTHH:MM:SS.sssZ with at most nine decimals"
		if _, shape, _ := parseTime(inside); !shape {
			t.kind = tokenBad
		}
	}
	return t
}
