package minimize

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"tocsin/stix"
)

// A Change is one difference between an object and its minimized copy, for the
// submitter's own eyes: it shows the values.
type Change struct {
	At     string `json:"at"`               // JSON Pointer within the object as it was
	Before string `json:"before"`           // what stood there, cut to the part that differs
	After  string `json:"after"`            // what stands there now
	Gone   bool   `json:"removed,omitzero"` // the value was removed
}

// Diff returns how an object differs from its minimized copy, property by
// property. Give its result to nobody but who sent the object. Texts that are
// not JSON objects differ as a whole.
func Diff(before, after []byte) []Change {
	if bytes.Equal(before, after) {
		return nil
	}
	a, err := stix.Parse(before, stix.Limits{})
	if err != nil {
		return []Change{{Before: excerpt(string(before)), After: excerpt(string(after))}}
	}
	b, err := stix.Parse(after, stix.Limits{})
	if err != nil {
		return []Change{{Before: excerpt(string(before)), Gone: true}}
	}
	return diff(nil, a, b, "")
}

func diff(changes []Change, a, b stix.Value, at string) []Change {
	switch {
	case bytes.Equal(a.Raw(), b.Raw()):
		return changes
	case !b.Exists():
		return append(changes, Change{At: at, Before: excerpt(show(a)), Gone: true})
	case a.Kind() == stix.Object && b.Kind() == stix.Object:
		for name, v := range a.Members() {
			changes = diff(changes, v, b.Get(name), at+"/"+escape(name))
		}
		for name, v := range b.Members() {
			if !a.Get(name).Exists() {
				changes = append(changes, Change{At: at + "/" + escape(name), After: excerpt(show(v))})
			}
		}
		return changes
	case a.Kind() == stix.Array && b.Kind() == stix.Array:
		return diffLists(changes, a, b, at)
	}
	x, y := parts(show(a), show(b))
	return append(changes, Change{At: at, Before: x, After: y})
}

// diffLists compares lists. Elements only ever go or change in place: one that
// is the same further on means that those before it are gone.
func diffLists(changes []Change, a, b stix.Value, at string) []Change {
	var was, is []stix.Value
	for _, v := range a.Elements() {
		was = append(was, v)
	}
	for _, v := range b.Elements() {
		is = append(is, v)
	}
	k := 0
	for n, v := range was {
		here := at + "/" + strconv.Itoa(n)
		switch {
		case k < len(is) && (bytes.Equal(v.Raw(), is[k].Raw()) || len(was)-n <= len(is)-k):
			changes = diff(changes, v, is[k], here)
			k++
		default:
			changes = append(changes, Change{At: here, Before: excerpt(show(v)), Gone: true})
		}
	}
	return changes
}

func escape(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

func show(v stix.Value) string {
	if v.Kind() == stix.String {
		return v.Text()
	}
	return string(v.Raw())
}

const (
	context     = 24  // bytes around a difference
	excerptSize = 160 // bytes of an excerpt
)

// parts cuts two texts to where they differ and a little around it.
func parts(a, b string) (string, string) {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	cut := func(s string) string {
		start, end := max(0, head-context), min(len(s), len(s)-tail+context)
		for start > 0 && !utf8.RuneStart(s[start]) {
			start--
		}
		for end < len(s) && !utf8.RuneStart(s[end]) {
			end++
		}
		t := excerpt(s[start:end])
		if start > 0 {
			t = "…" + t
		}
		if end < len(s) && !strings.HasSuffix(t, "…") {
			t += "…"
		}
		return t
	}
	return cut(a), cut(b)
}

// excerpt cuts a text to a size that fits a line or two.
func excerpt(s string) string {
	if len(s) <= excerptSize {
		return s
	}
	end := excerptSize
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
