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
	const rounds = 4
	for round, known := 0, 0; round < rounds && (known < len(r.victims) || round == 0 && len(r.sides.own) > 0); round++ {
		known = len(r.victims)
		r.spreadOnce()
	}
}

func (r *run) spreadOnce() {
	byWord := map[string][]int{}
	var heads [256]bool
	for value := range r.victims {
		if r.sides.threat[value] || len(value) > longestVictim {
			continue
		}
		head := firstWord(value)
		heads[head[0]] = true
		if c := head[0]; c >= 'a' && c <= 'z' {
			heads[c&^0x20] = true
		}
		if !slices.Contains(byWord[head], len(value)) {
			byWord[head] = append(byWord[head], len(value))
		}
	}
	for _, lengths := range byWord { // the longest first
		slices.SortFunc(lengths, func(a, b int) int { return b - a })
	}
	for i := range r.objects {
		o := &r.objects[i]
		if fixed(o.Type()) || r.states[i].dropped {
			continue
		}
		edited := map[stix.Value]int{}
		for n, e := range r.states[i].edits {
			edited[e.value] = n
		}
		s := spreader{r, byWord, &heads, edited}
		s.walk(i, o.Value(), r.gate.rules.of(o.Type()), r.gate.rules.text)
	}
}

// longestVictim is the length of the longest value that is looked for
// elsewhere. There are no more lengths than that to try at each word.
const longestVictim = 64

// A spreader looks for the victims' values in one object.
type spreader struct {
	*run
	byWord map[string][]int   // by first word, in lower case: the lengths of the values that begin with it
	heads  *[256]bool         // the bytes that they begin with, in either case
	edited map[stix.Value]int // the edits that there are
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

// walk goes where [run.walk] goes.
func (r *spreader) walk(i int, v stix.Value, n *node, f *field) {
	switch v.Kind() {
	case stix.String:
		if f.kinds != 0 || f.class == classPerson {
			r.mend(i, v, f)
		}
	case stix.Array:
		for _, e := range v.Elements() {
			r.walk(i, e, n, f)
		}
	case stix.Object:
		for name, m := range v.Members() {
			child, inherited := n.child(name), f
			if child != nil && child.field != nil {
				inherited = child.field
			}
			if name == "objects" && r.objects[i].Type() == "observed-data" {
				for _, o := range m.Members() {
					r.walk(i, o, r.gate.rules.of(o.Get("type").Text()), r.gate.rules.text)
				}
				continue
			}
			if child == nil && inherited.kinds != 0 && r.unname(i, name, m, inherited) {
				continue
			}
			r.walk(i, m, child, inherited)
		}
	case stix.Absent, stix.Null, stix.Bool, stix.Number:
	}
}

// unname removes an unknown property that is called by a victim's value, as
// dictionaries by account are.
func (r *spreader) unname(i int, name string, v stix.Value, f *field) bool {
	at, done := r.edited[v]
	if done && r.states[i].edits[at].remove {
		return true
	}
	spans := r.occurrences(name, f)
	if len(spans) == 0 {
		return false
	}
	r.reportSpans(place{object: i, value: v, field: f, text: name, spans: spans, inKey: true}, actionDropped)
	if done {
		r.states[i].edits[at] = edit{value: v, remove: true}
	} else {
		r.states[i].edits = append(r.states[i].edits, edit{value: v, remove: true})
	}
	return true
}

// mend masks the victims' values in one text.
func (r *spreader) mend(i int, v stix.Value, f *field) {
	at, done := r.edited[v]
	text := v.Text()
	if done {
		if r.states[i].edits[at].remove {
			return
		}
		text = r.states[i].edits[at].text
	}
	spans := r.occurrences(text, f)
	if len(spans) == 0 {
		return
	}
	text = r.clean(place{object: i, value: v, field: f, text: text, spans: spans})
	if done {
		r.states[i].edits[at].text = text
	} else {
		r.states[i].edits = append(r.states[i].edits, edit{value: v, text: text})
	}
}

// occurrences finds the values where they stand as whole words.
func (r *spreader) occurrences(text string, f *field) []detect.Span {
	var spans []detect.Span
	if f.kinds.Has(detect.Host) {
		spans = r.ownHosts(text)
	}
	for i := 0; i < len(text); {
		j := i
		for j < len(text) && wordByte(text[j]) {
			j++
		}
		if j == i {
			j++
		}
		if !r.heads[text[i]] && text[i] < utf8.RuneSelf {
			i = j
			continue
		}
		found := 0
		for _, n := range r.byWord[strings.ToLower(text[i:j])] {
			end := i + n
			if end > len(text) || end < len(text) && wordByte(text[end]) {
				continue
			}
			value := strings.ToLower(text[i:end])
			kind, known := r.victims[value]
			if known && !r.sides.threat[value] && (f.kinds == 0 || f.kinds.Has(kind)) && (kind != detect.Name || capitalized(text[i:end]) && !cited(text, i)) {
				spans = append(spans, detect.Span{Start: i, End: end, Kind: kind, Value: value})
				found = end
				break
			}
		}
		i = max(j, found)
	}
	slices.SortFunc(spans, func(a, b detect.Span) int { return a.Start - b.Start })
	return slices.CompactFunc(spans, func(a, b detect.Span) bool { return b.Start < a.End })
}

// ownHosts finds the machines below the domains of those who were hurt or
// report it: fs01.corp.example. The domain itself and its web site are no secret.
func (r *spreader) ownHosts(text string) (spans []detect.Span) {
	for domain := range r.sides.own {
		for from := 0; ; {
			n := strings.Index(text[from:], "."+domain)
			if n < 0 {
				break
			}
			start, end := from+n, from+n+1+len(domain)
			from = end
			for start > 0 && end-start < 128 && (wordByte(text[start-1]) && text[start-1] < utf8.RuneSelf || text[start-1] == '-' || text[start-1] == '.') {
				start--
			}
			if end < len(text) && (wordByte(text[end]) || text[end] == '-') || end+1 < len(text) && text[end] == '.' && wordByte(text[end+1]) {
				continue // the domain of somebody who pretends
			}
			host := strings.ToLower(text[start:end])
			if start > 0 && text[start-1] == '@' || host[0] == '.' || host == "www."+domain || r.sides.threat[host] || r.sides.hosts[host] {
				continue
			}
			spans = append(spans, detect.Span{Start: start, End: end, Kind: detect.Host, Value: host})
		}
	}
	return spans
}

// cited reports whether what stands at i is the author of something published,
// as ATT&CK writes it: (Citation: Jane Doe May 2019).
func cited(text string, i int) bool {
	const most = 120
	_, rest, ok := strings.Cut(text[max(0, i-most):i], "(Citation:")
	return ok && !strings.Contains(rest[strings.LastIndex(rest, "(Citation:")+1:], ")")
}

// capitalized reports whether a text is written as a name is: the words that
// are one could mean something else.
func capitalized(text string) bool {
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeRuneInString(text[strings.LastIndexByte(text, ' ')+1:])
	return unicode.IsUpper(first) && unicode.IsUpper(last)
}
