package stix_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"tocsin/stix"
)

const (
	secret = "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"
	open   = "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"
)

func note(rest string) string {
	return `{"type":"note","spec_version":"2.1","id":"note--0c7b5b88-8ff7-4a4d-aa9d-feb398cd0061",` +
		`"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","content":"c",` +
		`"object_refs":["campaign--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"]` + rest + `}`
}

func mark(marking string, selectors ...string) string {
	return `{"selectors":["` + strings.Join(selectors, `","`) + `"],"marking_ref":"` + marking + `"}`
}

func granular(entries ...string) string {
	return `,"granular_markings":[` + strings.Join(entries, ",") + `]`
}

func TestWithholdLeavesNoTrace(t *testing.T) {
	const abc = `,"labels":["a","CANARY","b"]`
	for name, test := range map[string]struct{ in, want string }{
		"nothing hidden":   {note(abc + granular(mark(open, "labels.[1]"))), note(abc + granular(mark(open, "labels.[1]")))},
		"a property":       {note(`,"abstract":"CANARY"` + granular(mark(secret, "abstract"))), note("")},
		"selectors move":   {note(abc + granular(mark(secret, "labels.[1]"), mark(open, "labels.[2]"))), note(`,"labels":["a","b"]` + granular(mark(open, "labels.[1]")))},
		"overlap":          {note(abc + granular(mark(secret, "labels.[1]"), mark(open, "labels", "labels.[1]"))), note(`,"labels":["a","b"]` + granular(mark(open, "labels")))},
		"a list empties":   {note(`,"labels":["CANARY"]` + granular(mark(secret, "labels.[0]"), mark(open, "labels"))), note("")},
		"within the open":  {note(abc + granular(mark(secret, "labels"), mark(open, "labels.[0]"))), note("")},
		"names nothing":    {note(abc + granular(mark(secret, "labels.[1]"), mark(open, "labels.[7]"))), note(`,"labels":["a","b"]`)},
		"required":         {note(granular(mark(secret, "content"))), ""},
		"required list":    {note(granular(mark(secret, "object_refs.[0]"))), ""},
		"the id":           {note(granular(mark(secret, "id"))), ""},
		"revocation":       {note(`,"revoked":true` + granular(mark(secret, "revoked"))), ""},
		"the whole object": {note(`,"object_marking_refs":["` + secret + `"]`), ""},
		"the marking":      {note(`,"object_marking_refs":["` + open + `"]` + granular(mark(secret, "object_marking_refs"))), ""},
		"itself":           {note(abc + granular(mark(secret, "granular_markings", "labels.[1]"))), ""},
		"unreadable":       {note(abc + granular(mark(secret, "labels.[1]"), mark(open, "labels.[01]"))), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := stix.Withhold(parsed(t, []byte(test.in)), func(m string) bool { return m == secret })
			if string(got) != test.want || ok != (test.want != "") {
				t.Errorf("Withhold(%s) = %s, %v, want %s", test.in, got, ok, test.want)
			}
		})
	}
}

func TestWithholdOfThousandsOfMarkings(t *testing.T) {
	const n = 2000
	var labels, entries []string
	for i := range n {
		text, marking := "open"+strconv.Itoa(i), open
		if i%2 == 0 {
			text, marking = "CANARY"+strconv.Itoa(i), secret
		}
		labels = append(labels, text)
		entries = append(entries, mark(marking, "labels.["+strconv.Itoa(i)+"]"))
	}
	in := note(`,"labels":["` + strings.Join(labels, `","`) + `"]` + granular(entries...))
	got, ok := stix.Withhold(parsed(t, []byte(in)), func(m string) bool { return m == secret })
	if !ok || bytes.Contains(got, []byte("CANARY")) || bytes.Contains(got, []byte(secret)) {
		t.Fatalf("Withhold of %d markings = %.200s, %v, want a copy without what is hidden", n, got, ok)
	}
	v := parsed(t, got)
	for i, entry := range v.Get("granular_markings").Elements() {
		for _, s := range entry.Get("selectors").Elements() {
			part := stix.Select(v, s.Text())
			if len(part) != 1 || !part[0].Is("open"+strconv.Itoa(2*i+1)) {
				t.Fatalf("selector %q of the copy selects %v, want the label it selected before", s.Text(), part)
			}
		}
	}
}

// FuzzWithhold hides what a marking marks in any object: the copy, if there is
// one, is JSON and has nothing more to hide.
func FuzzWithhold(f *testing.F) {
	f.Add([]byte(note(`,"labels":["a","b","c"]`+granular(mark(secret, "labels.[1]"), mark(open, "labels.[2]")))), secret)
	f.Add([]byte(note(`,"external_references":[{"source_name":"a","url":"https://x.example"}]`+granular(mark(secret, "external_references.[0].url")))), secret)
	f.Fuzz(func(t *testing.T, text []byte, marking string) {
		v, err := stix.Parse(text, stix.Limits{Bytes: 1 << 16})
		if err != nil || v.Kind() != stix.Object {
			return
		}
		hidden := func(m string) bool { return m == marking }
		got, ok := stix.Withhold(v, hidden)
		if !ok || bytes.Equal(got, text) {
			return
		}
		again, err := stix.Parse(got, stix.Limits{})
		if err != nil {
			t.Fatalf("Withhold(%q) = %q, which is no JSON: %v", text, got, err)
		}
		for part, effect := range stix.Effects(again) {
			for m := range effect.All() {
				if hidden(m) {
					t.Fatalf("Withhold(%q) = %q, which still has %s under %q", text, got, part.Pointer(), m)
				}
			}
		}
	})
}

// A part with a marking of its own inside of one that goes leaves no selector,
// whichever of them is looked at first.
func TestWithholdLeavesNoSelectorOfWhatWentWithItsList(t *testing.T) {
	v := parsed(t, []byte(note(`,"labels":["a","b"],"granular_markings":[{"marking_ref":"`+open+`","selectors":["content","labels.[1]"]},`+
		`{"marking_ref":"`+secret+`","selectors":["labels"]}]`)))
	for range 50 {
		got, ok := stix.Withhold(v, func(m string) bool { return m == secret })
		if !ok || !bytes.HasSuffix(got, []byte(`"selectors":["content"]}]}`)) {
			t.Fatalf("Withhold = %s, %v", got, ok)
		}
	}
}
