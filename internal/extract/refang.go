package extract

import (
	"crypto/sha256"
	"math/big"
	"regexp"
	"strings"
)

// How people write values so that nobody follows them by mistake.
var (
	schemeForm = regexp.MustCompile(`(?i)[\[({]?\b(?:h[tx]{2}p|x{3}p|x{4})(s|x)?([!@&]|A)?[\])}]?\s?[\[({]?:?[\])}]?\s?/{2,3}[\])}]?\s?`)
	brokenForm = regexp.MustCompile(`(?i)\[://\]|\[:\]//|\[:\]|\[/\]|\\/`)
	atForm     = regexp.MustCompile(`(?i) {0,2}[\[({] ?(?:at|et|arroba|@) ?[\])}] {0,2}`)
	plainAt    = regexp.MustCompile(` {1,2}@ {1,2}| {1,2}AT {1,2}`)
	dotForm    = regexp.MustCompile(`(?i) ?[\[({] ?(?:dot|punkt|punto) ?[\])}] ?|[\[\](){}<>]{1,2}\.[\[\](){}<>]{0,2}|\.[\[\](){}]{1,2}|[\\^]\.|-dot-`)
	plainDot   = regexp.MustCompile(` ?DOT ?`)
	dashForm   = regexp.MustCompile(`\[-\]|\(-\)`)
	wwwForm    = regexp.MustCompile(`(?i)[\[(](www)[\])]`)
	hostAhead  = regexp.MustCompile(`^[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,24}\b`)
)

// Refang returns a text with links that work: hxxps[://]evil[.]example becomes
// https://evil.example.
func Refang(text string) string {
	text = brokenForm.ReplaceAllStringFunc(text, func(s string) string { return strings.NewReplacer("[", "", "]", "", `\`, "").Replace(s) })
	text = wwwForm.ReplaceAllString(text, "$1")
	text = between(text, dashForm, "-", wordy)
	text = between(text, dotForm, ".", wordy)
	text = between(text, plainDot, ".", small)
	text = schemes(text)
	text = between(text, atForm, "@", wordy)
	return between(text, plainAt, "@", func(before, after string) bool {
		return wordy(before, after) && hostAhead.MatchString(after)
	})
}

func wordy(before, after string) bool {
	return before != "" && after != "" && word(before[len(before)-1]) && word(after[0])
}

// small reports whether small letters stand on both sides, so that what is
// between was put there.
func small(before, after string) bool {
	is := func(c byte) bool { return c >= 'a' && c <= 'z' || digit(c) }
	return before != "" && after != "" && is(before[len(before)-1]) && is(after[0])
}

// between replaces a form where the text before and after it allows that.
func between(text string, form *regexp.Regexp, with string, allowed func(before, after string) bool) string {
	matches := form.FindAllStringIndex(text, -1)
	if len(matches) == 0 {
		return text
	}
	var b strings.Builder
	at := 0
	for _, m := range matches {
		if !allowed(text[max(0, m[0]-1):m[0]], text[m[1]:min(len(text), m[1]+256)]) {
			continue
		}
		b.WriteString(text[at:m[0]])
		b.WriteString(with)
		at = m[1]
	}
	b.WriteString(text[at:])
	return b.String()
}

// schemes writes http:// and https:// as they are.
func schemes(text string) string {
	matches := schemeForm.FindAllStringSubmatchIndex(text, -1)
	var b strings.Builder
	at := 0
	for _, m := range matches {
		if m[1] >= len(text) || !word(text[m[1]]) && text[m[1]] != '[' {
			continue
		}
		b.WriteString(text[at:m[0]])
		if m[2] >= 0 || m[4] >= 0 {
			b.WriteString("https://")
		} else {
			b.WriteString("http://")
		}
		at = m[1]
	}
	b.WriteString(text[at:])
	return b.String()
}

// base58Check reports whether the last four bytes are the checksum of the
// others, as in Bitcoin addresses (BIP 13).
func base58Check(s string) bool {
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	n := new(big.Int)
	for i := range len(s) {
		n.Mul(n, big.NewInt(58)).Add(n, big.NewInt(int64(strings.IndexByte(alphabet, s[i]))))
	}
	if n.BitLen() > 25*8 {
		return false
	}
	var raw [25]byte
	n.FillBytes(raw[:])
	once := sha256.Sum256(raw[:21])
	twice := sha256.Sum256(once[:])
	return string(twice[:4]) == string(raw[21:])
}
