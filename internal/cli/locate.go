package cli

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// locate returns where a JSON Pointer leads in a text, as a byte offset: to the
// property's name or the element, or to the nearest thing around it when it is
// not there. Text that is no JSON is read as far as it is.
func locate(text []byte, pointer string) int {
	for {
		if at, ok := find(text, pointer); ok {
			return at
		}
		i := strings.LastIndexByte(pointer, '/')
		if i < 0 {
			return 0
		}
		pointer = pointer[:i]
	}
}

func find(text []byte, pointer string) (int, bool) {
	if pointer == "" {
		return 0, true
	}
	d := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		before := int(d.InputOffset())
		if _, err := d.ReadToken(); err != nil {
			return 0, false
		}
		if string(d.StackPointer()) == pointer {
			return before + len(text[before:]) - len(bytes.TrimLeft(text[before:], " \t\r\n,:")), true
		}
	}
}

// excerpt returns the line of a text around an offset, cut to a width, and the
// column of the offset in it.
func excerpt(text []byte, at, width int) (line string, column int) {
	at = min(at, len(text))
	from := bytes.LastIndexByte(text[:at], '\n') + 1
	to := len(text)
	if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
		to = at + i
	}
	width = max(width, 40)
	from, to = max(from, at-4*width), min(to, at+4*width) // of a line of megabytes, what is near is enough
	before, after := printable(text[from:at]), printable(text[at:to])
	if r := []rune(before); len(r) > width/2 {
		before = "…" + string(r[len(r)-width/2:])
	}
	if room := width - utf8.RuneCountInString(before); utf8.RuneCountInString(after) > room {
		after = string([]rune(after)[:room]) + "…"
	}
	return before + after, utf8.RuneCountInString(before)
}

// printable makes text fit for one line, of one column a character.
func printable(b []byte) string {
	return safe(strings.NewReplacer("\t", " ", "\n", " ", "\r", "").Replace(strings.ToValidUTF8(string(b), "?")))
}
