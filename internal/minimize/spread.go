package minimize

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"tocsin/internal/minimize/detect"
	"tocsin/stix"
)

// spread finds the victims' values where only their being the same gives them
// away: the recipient's name in the body, the account of a path in a log.
func (r *run) spread() {
	for value := range r.victims {
		if r.sides.threat[value] {
			delete(r.victims, value)
		}
	}
	if len(r.victims) == 0 {
		return
	}
	byWord := map[string][]string{}
	for value := range r.victims {
		head := firstWord(value)
		byWord[head] = append(byWord[head], value)
	}
	for _, list := range byWord { // the longest first, then in an order that does not change
		slices.SortFunc(list, func(a, b string) int {
			if len(a) != len(b) {
				return len(b) - len(a)
			}
			return strings.Compare(a, b)
		})
	}
	for i := range r.objects {
		if o := &r.objects[i]; !fixed(o.Type()) && !r.states[i].dropped {
			r.spreadIn(i, o.Value(), r.gate.rules.of(o.Type()), r.gate.rules.text, byWord)
		}
	}
}

func firstWord(s string) string {
	n := 0
	for n < len(s) && wordByte(s[n]) {
		n++
	}
	return s[:max(n, min(1, len(s)))]
}

func wordByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

// spreadIn walks as [run.walk] does.
func (r *run) spreadIn(i int, v stix.Value, n *node, f *field, byWord map[string][]string) {
	switch v.Kind() {
	case stix.String:
		if f.kinds != 0 || f.class == classPerson {
			r.spreadTo(i, v, f, byWord)
		}
	case stix.Array:
		for _, e := range v.Elements() {
			r.spreadIn(i, e, n, f, byWord)
		}
	case stix.Object:
		for name, m := range v.Members() {
			child, inherited := n.child(name), f
			if child != nil && child.field != nil {
				inherited = child.field
			}
			if name == "objects" && r.objects[i].Type() == "observed-data" {
				for _, o := range m.Members() {
					r.spreadIn(i, o, r.gate.rules.of(o.Get("type").Text()), r.gate.rules.text, byWord)
				}
				continue
			}
			r.spreadIn(i, m, child, inherited, byWord)
		}
	case stix.Absent, stix.Null, stix.Bool, stix.Number:
	}
}

// spreadTo masks the victims' values in one text.
func (r *run) spreadTo(i int, v stix.Value, f *field, byWord map[string][]string) {
	at := slices.IndexFunc(r.states[i].edits, func(e edit) bool { return e.value == v })
	text := v.Text()
	if at >= 0 {
		if r.states[i].edits[at].remove {
			return
		}
		text = r.states[i].edits[at].text
	}
	spans := r.occurrences(text, byWord)
	spans = slices.DeleteFunc(spans, func(sp detect.Span) bool { return f.kinds != 0 && !f.kinds.Has(sp.Kind) })
	if len(spans) == 0 {
		return
	}
	p := place{object: i, value: v, field: f, text: text, spans: spans}
	done := r.mask(p)
	if at >= 0 {
		r.states[i].edits[at].text = done
	} else {
		r.states[i].edits = append(r.states[i].edits, edit{value: v, text: done})
	}
	r.reportSpans(p, actionMasked)
}

// occurrences finds the values where they stand as whole words.
func (r *run) occurrences(text string, byWord map[string][]string) []detect.Span {
	var spans []detect.Span
	for i := 0; i < len(text); {
		j := i
		for j < len(text) && wordByte(text[j]) {
			j++
		}
		if j == i {
			j++
		}
		found := 0
		for _, value := range byWord[strings.ToLower(text[i:j])] {
			end := i + len(value)
			if end <= len(text) && strings.EqualFold(text[i:end], value) && (end == len(text) || !wordByte(text[end])) &&
				(r.victims[value] != detect.Name || capitalized(text[i:end])) {
				spans = append(spans, detect.Span{Start: i, End: end, Kind: r.victims[value], Value: value})
				found = end
				break
			}
		}
		i = max(j, found)
	}
	return spans
}

// capitalized reports whether a text is written as a name is: the words that
// are one could mean something else.
func capitalized(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeRuneInString(text[strings.LastIndexByte(text, ' ')+1:])
	return unicode.IsUpper(first) && unicode.IsUpper(last)
}
