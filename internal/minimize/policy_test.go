package minimize

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"tocsin/stix"
)

// AIS profile (2016): every property that the standard knows has a class in the rule
// file, so that nobody has to guess what happens to one.
func TestEveryPropertyHasAClass(t *testing.T) {
	r, err := parseRules(DefaultRules())
	if err != nil {
		t.Fatal(err)
	}
	types := stix.Properties()
	n := 0
	for _, kind := range slices.Sorted(maps.Keys(types)) {
		for _, name := range types[kind] {
			n++
			if c := r.of(kind).child(name); c == nil || c.field == nil && !classedBelow(c) {
				t.Errorf("%s:%s has no class", kind, name)
			}
		}
	}
	t.Logf("%d properties of %d types", n, len(types))
}

// classedBelow reports whether the properties inside of one have classes.
func classedBelow(n *node) bool {
	if n.any != nil && (n.any.field != nil || classedBelow(n.any)) {
		return true
	}
	for _, k := range n.kids {
		if k.field != nil || classedBelow(k) {
			return true
		}
	}
	return false
}

func strictRules() []byte {
	return bytes.Replace(DefaultRules(), []byte("path: automatic"), []byte("path: strict"), 1)
}

// A submission with a name that nothing but a dictionary knows is one.
const withAName = `{"type":"report","spec_version":"2.1","id":"report--9d4d1a4c-55d9-4a0b-8f0d-1d3d8d7c6c11","created":"2026-01-01T00:00:00.000Z",` +
	`"modified":"2026-01-01T00:00:00.000Z","name":"Invoice lure","published":"2026-01-01T00:00:00Z","report_types":["campaign"],` +
	`"description":"The mail that Svetlana opened came from 198.51.100.7","object_refs":["indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"]}`

func TestUnsureValuesAreMaskedAndReviewed(t *testing.T) {
	out := newGate(t).Apply(parse(t, []byte(withAName)))
	if len(out.Reviews()) != 1 || len(out.Objects()) != 1 {
		t.Fatalf("%d reviews, want 1: %+v", len(out.Reviews()), out.Findings())
	}
	r, shared := out.Reviews()[0], out.Objects()[0].Value().Get("description").Text()
	if restored := strings.Replace(shared, r.Placeholder, r.Original(), 1); r.At != "/description" || restored != "The mail that Svetlana opened came from 198.51.100.7" {
		t.Errorf("review %+v of %q restores to %q", r, shared, restored)
	}
	if text, _ := json.Marshal(r); bytes.Contains(text, []byte("Svetlana")) {
		t.Errorf("the review as JSON gives the value away: %s", text)
	}
}

func TestStrictPathWithholdsFreeTextOnly(t *testing.T) {
	g, err := New(Options{Secret: make([]byte, 32), Rules: strictRules()})
	if err != nil {
		t.Fatal(err)
	}
	out := g.Apply(parse(t, []byte(withAName)))
	if len(out.Reviews()) != 2 || len(out.Objects()) != 1 {
		t.Fatalf("%d reviews of %d objects, want 2 of 1: %+v", len(out.Reviews()), len(out.Objects()), out.Findings())
	}
	v := out.Objects()[0].Value()
	if !withheld(v.Get("description").Text()) || !withheld(v.Get("name").Text()) || v.Get("published").Text() != "2026-01-01T00:00:00Z" {
		t.Errorf("shared: %s", v.Raw())
	}
	if out.Reviews()[0].Original() != "Invoice lure" {
		t.Errorf("the review has lost the text: %+v", out.Reviews())
	}
	// What went through a strict gate goes through the next one as it is.
	again := g.Apply(parse(t, out.Objects()[0].Raw()))
	if len(again.Findings()) > 0 {
		t.Errorf("withheld twice: %+v", again.Findings())
	}
}

func TestCoordinatesAreCut(t *testing.T) {
	const place = `{"type":"location","spec_version":"2.1","id":"location--5c1b4a2f-0a51-4a0b-8f0d-1d3d8d7c6c11","created":"2026-01-01T00:00:00.000Z",` +
		`"modified":"2026-01-01T00:00:00.000Z","latitude":48.858370,"longitude":2.294481,"precision":10.0,"street_address":"5 avenue Anatole France"}`
	v := newGate(t).Apply(parse(t, []byte(place))).Objects()[0].Value()
	if string(v.Get("latitude").Raw()) != "48.9" || string(v.Get("longitude").Raw()) != "2.3" || v.Get("street_address").Exists() || v.Get("precision").Exists() {
		t.Errorf("shared: %s", v.Raw())
	}
}
