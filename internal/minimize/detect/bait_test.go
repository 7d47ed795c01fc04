package detect

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// each writes every character by a form.
func each(form string) func(string) string {
	return func(s string) string {
		var b strings.Builder
		for _, r := range s {
			fmt.Fprintf(&b, form, r)
		}
		return b.String()
	}
}

// shift moves the digits to another script.
func shift(zero rune) func(string) string {
	return func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return r - '0' + zero
			}
			return r
		}, s)
	}
}

func replace(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }

// Encodings is how values are disguised, by people and by programs.
func encodings() map[string]func(string) string {
	return map[string]func(string) string{
		"plain":               func(s string) string { return s },
		"zero width space":    func(s string) string { return strings.Join(strings.Split(s, ""), "\u200b") },
		"zero width joiner":   func(s string) string { return s[:2] + "\u200d" + s[2:] },
		"word joiner":         func(s string) string { return s[:3] + "\u2060" + s[3:] },
		"soft hyphen":         func(s string) string { return s[:2] + "\u00ad" + s[2:] },
		"byte order mark":     func(s string) string { return "\ufeff" + s[:4] + "\ufeff" + s[4:] },
		"full width":          func(s string) string { return strings.Map(func(r rune) rune { return r - '!' + '\uff01' }, s) },
		"Arabic digits":       shift('\u0660'),
		"Persian digits":      shift('\u06f0'),
		"Devanagari digits":   shift('\u0966'),
		"mathematical digits": shift('\U0001d7d8'),
		"other hyphens":       replace("-", "\u2011"),
		"en dashes":           replace("-", "\u2013"),
		"percent":             each("%%%02X"),
		"percent, some":       url.QueryEscape,
		"HTML decimal":        each("&#%d;"),
		"HTML hexadecimal":    each("&#x%x;"),
		"Unicode escapes":     each(`\u%04x`),
		"byte escapes":        each(`\x%02x`),
		"quoted-printable":    replace("@", "=40", "-", "=2D"),
		"base64":              func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64url":           func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
		"bidirectional marks": func(s string) string { return "\u202d" + s + "\u202c" },
	}
}

func TestBaitIsFoundHoweverItIsEncoded(t *testing.T) {
	bait := map[Kind]string{SSN: "219-09-9999", Card: "4111-1111-1111-1111", Email: "jane.doe@corp-mail.com", Phone: "202-555-0143"}
	d := New(words(t))
	found, all := 0, 0
	for name, encode := range encodings() {
		for kind, value := range bait {
			if kind == Phone && strings.HasPrefix(name, "base64") {
				continue // ten digits in base64 are chance more often than a telephone
			}
			all++
			hidden := encode(value)
			text := "The victim gave " + hidden + " to the caller."
			var b strings.Builder
			at := 0
			for _, sp := range d.Find(nil, text, All) {
				b.WriteString(text[at:sp.Start] + "[" + sp.Kind.String() + "]")
				at = sp.End
			}
			b.WriteString(text[at:])
			if strings.Contains(b.String(), hidden) || !strings.Contains(b.String(), "["+kind.String()+"]") {
				t.Errorf("%s, %s: %q became %q", kind, name, text, b.String())
				continue
			}
			found++
		}
	}
	t.Logf("%d of %d", found, all)
}
