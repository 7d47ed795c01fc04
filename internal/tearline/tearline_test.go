package tearline

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tocsin/stix"
)

const (
	hub    = "identity--5a6d2b9c-7a55-4b6f-8f0e-1a2b3c4d5e6f"
	secret = "marking-definition--11111111-2222-4333-8444-555555555555"
	red    = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"
)

func maker() *Maker { return NewMaker([]byte("a secret of this test"), hub) }

func parse1(t testing.TB, text string) stix.Value {
	t.Helper()
	v, err := stix.Parse([]byte(text), stix.Limits{})
	if err != nil {
		t.Fatal(err, text)
	}
	return v
}

func uuid(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-000000000000", n) }

func report(rest string) string {
	return `{"type":"report","spec_version":"2.1","id":"report--` + uuid(1) + `","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",` +
		`"name":"Name","description":"Description","published":"2026-01-01T00:00:00Z",` + rest + `}`
}

func TestACopyIsAnotherObject(t *testing.T) {
	m := maker()
	v := parse1(t, report(`"object_refs":["indicator--`+uuid(2)+`","malware--`+uuid(3)+`","tool--`+uuid(4)+`"],"labels":["a"],`+
		`"granular_markings":[{"marking_ref":"`+secret+`","selectors":["description","object_refs.[2]"]},{"lang":"de","selectors":["name"]}]`))
	r := &Recipe{Links: []Link{{At: 0, Markings: []string{red}}, {At: 1, Parts: []string{secret}, Digest: "d"}}}
	raw, id, ok := m.Copy(v, r, []string{secret})
	want := fmt.Sprintf(`{"type":"report","spec_version":"2.1","id":"%s","created_by_ref":"%s","created":"2026-01-01T00:00:00.000Z",`+
		`"modified":"2026-01-01T00:00:00.000Z","name":"Name","published":"2026-01-01T00:00:00Z","object_refs":["indicator--%s","%s"],"labels":["a"],`+
		`"granular_markings":[{"lang":"de","selectors":["name"]}]}`, id, hub, uuid(2), m.ID("malware--"+uuid(3), []string{secret}, "d"))
	if !ok || string(raw) != want {
		t.Errorf("Copy = %s, %v, want\n%s", raw, ok, want)
	}
	if hash, ok := m.Original(id); !ok || uint64(hash) != hashOf("report--"+uuid(1)) {
		t.Errorf("Original(%s) = %x, %v, want the hash of the report's id", id, hash, ok)
	}
	if raw, _, _ := m.Copy(v, r, []string{secret, red}); strings.Contains(string(raw), uuid(2)) {
		t.Errorf("Copy for who may not see the indicator = %s", raw)
	}
}

func TestWhatMustStandIsReplacedOrTheObjectIsWithheld(t *testing.T) {
	m := maker()
	hide := func(selector string) string {
		return `,"granular_markings":[{"marking_ref":"` + secret + `","selectors":["` + selector + `"]}]`
	}
	refs := `"object_refs":["indicator--` + uuid(2) + `"]`
	if raw, _, ok := m.Copy(parse1(t, report(refs+hide("name"))), &Recipe{}, []string{secret}); !ok || !strings.Contains(string(raw), `"name":"report"`) {
		t.Errorf("Copy without a name = %s, %v, want the type's", raw, ok)
	}
	sco := `{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--` + uuid(5) + `","value":"198.51.100.1"`
	for name, c := range map[string]struct {
		object string
		links  []Link
	}{
		"published":                  {report(refs + hide("published")), nil},
		"every object_refs":          {report(refs), []Link{{At: 0, Markings: []string{secret}}}},
		"the value of an observable": {sco + hide("value") + "}", nil},
	} {
		if raw, _, ok := m.Copy(parse1(t, c.object), &Recipe{Links: c.links}, []string{secret}); ok {
			t.Errorf("%s: Copy = %s, want it withheld", name, raw)
		}
	}
}

func TestIDsOfCopiesTellNothingAndComeBack(t *testing.T) {
	m, other := maker(), NewMaker([]byte("another"), hub)
	seen := map[string]bool{}
	for i := range 2000 {
		for _, hidden := range [][]string{{secret}, {red}, {secret, red}} {
			for _, digest := range []string{"", "x"} {
				id := "indicator--" + uuid(i)
				c := m.ID(id, hidden, digest)
				if seen[c] {
					t.Fatalf("%s is the id of two copies", c)
				}
				seen[c] = true
				if kind, u, ok := stix.SplitID(c); !ok || kind != "indicator" || u[14] != '8' {
					t.Fatalf("ID = %s, want a UUIDv8 of the same type", c)
				}
				if hash, ok := m.Original(c); !ok || uint64(hash) != hashOf(id) {
					t.Fatalf("Original(%s) = %x, want %x", c, hash, hashOf(id))
				}
				if hash, _ := other.Original(c); uint64(hash) == hashOf(id) {
					t.Fatal("another hub finds the original")
				}
			}
		}
	}
	for _, id := range []string{"", "report--x", "report--" + uuid(1)} {
		if _, ok := m.Original(id); ok {
			t.Errorf("Original(%q) = true", id)
		}
	}
}

// TestCopiesAgainstTheNaive compares copies of random objects with those of a
// reference implementation that works on decoded JSON and knows nothing of the
// one above.
func TestCopiesAgainstTheNaive(t *testing.T) {
	rng := rand.New(rand.NewPCG(20, 26))
	m := maker()
	served, withheld := 0, 0
	for range 5000 {
		text, links := randomReport(rng)
		v := parse1(t, text)
		var hidden []string
		for _, marking := range []string{secret, red} {
			if rng.IntN(2) == 0 {
				hidden = append(hidden, marking)
			}
		}
		if len(hidden) == 0 {
			continue
		}
		raw, id, ok := m.Copy(v, &Recipe{Links: links}, hidden)
		want := naive(t, text, links, hidden, m, id)
		if !ok {
			if want != nil && len(want["object_refs"].([]any)) > 0 { //nolint:forcetypeassert // made here
				t.Fatalf("Copy of %s without %v is withheld, want %v", text, hidden, want)
			}
			withheld++
			continue
		}
		served++
		var got map[string]any
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("Copy of %s\nwithout %v = %s\nwant %v", text, hidden, raw, want)
		}
	}
	if served < 1000 || withheld < 10 {
		t.Errorf("%d served, %d withheld: the test tests nothing", served, withheld)
	}
}

// randomReport returns a report with a canary in every property.
func randomReport(rng *rand.Rand) (text string, links []Link) {
	n := rng.IntN(5) + 1
	refs := make([]string, n)
	for i := range refs {
		refs[i] = `"indicator--` + uuid(100+i) + `"`
		switch rng.IntN(5) {
		case 0:
			links = append(links, Link{At: i, Markings: []string{[]string{secret, red}[rng.IntN(2)]}})
		case 1:
			links = append(links, Link{At: i, Parts: []string{secret, red}, Digest: "d" + strconv.Itoa(i)})
		case 2:
			links = append(links, Link{At: i, Out: true})
		}
	}
	selectors := []string{"name", "description", "labels", "labels.[0]", "labels.[1]", "external_references.[0].description", "x_deep.a.b", "x_deep.a", "confidence"}
	for i := range refs {
		selectors = append(selectors, "object_refs.["+strconv.Itoa(i)+"]")
	}
	var entries []string
	for range rng.IntN(4) {
		var some []string
		for range rng.IntN(3) + 1 {
			some = append(some, `"`+selectors[rng.IntN(len(selectors))]+`"`)
		}
		slices.Sort(some)
		entries = append(entries, `{"marking_ref":"`+[]string{secret, red, strings.Replace(red, "e828", "f828", 1)}[rng.IntN(3)]+
			`","selectors":[`+strings.Join(slices.Compact(some), ",")+`]}`)
	}
	rest := `"object_refs":[` + strings.Join(refs, ",") + `],"labels":["canary-l0","canary-l1"],"confidence":7,` +
		`"external_references":[{"source_name":"canary-s","description":"canary-e","url":"https://example.com/canary-u"}],"x_deep":{"a":{"b":"canary-b"},"c":"canary-c"}`
	if len(entries) > 0 {
		rest += `,"granular_markings":[` + strings.Join(entries, ",") + `]`
	}
	return report(rest), links
}

// naive makes the copy step by step, on maps and lists.
func naive(t *testing.T, text string, links []Link, hidden []string, m *Maker, id string) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	gone := map[string]bool{} // paths
	replaced := map[string]any{}
	for _, l := range links { // the references of a report are its object_refs
		path := "object_refs.[" + strconv.Itoa(l.At) + "]"
		var theirs []string
		for _, p := range l.Parts {
			if slices.Contains(hidden, p) {
				theirs = append(theirs, p)
			}
		}
		switch {
		case l.Out || slices.ContainsFunc(l.Markings, func(s string) bool { return slices.Contains(hidden, s) }):
			gone[path] = true
		case len(theirs) > 0:
			replaced[path] = m.ID("indicator--"+uuid(100+l.At), theirs, l.Digest)
		}
	}
	list, _ := o["granular_markings"].([]any)
	var kept []any
	for _, e := range list {
		entry, _ := e.(map[string]any)
		if !slices.Contains(hidden, fmt.Sprint(entry["marking_ref"])) {
			kept = append(kept, entry)
			continue
		}
		for _, s := range entry["selectors"].([]any) { //nolint:forcetypeassert // made here
			// What was rewritten for the reader is theirs, hidden or not.
			if path := fmt.Sprint(s); path == "name" {
				replaced[path] = "report"
			} else if _, ok := replaced[path]; !ok {
				gone[path] = true
			}
		}
	}
	renamed := map[string]string{}
	walked, _ := walk(o, "", "", gone, replaced, renamed).(map[string]any)
	walked["id"], walked["created_by_ref"] = id, hub
	delete(walked, "granular_markings")
	var entries []any
	for _, e := range kept {
		entry, _ := e.(map[string]any)
		var selectors []any
		for _, s := range entry["selectors"].([]any) { //nolint:forcetypeassert // made here
			if to, ok := renamed[fmt.Sprint(s)]; ok {
				selectors = append(selectors, to)
			}
		}
		if len(selectors) > 0 {
			entry["selectors"] = selectors
			entries = append(entries, entry)
		}
	}
	if len(entries) > 0 {
		walked["granular_markings"] = entries
	}
	if walked["object_refs"] == nil {
		return nil
	}
	return walked
}

// walk copies a value without what is gone, nil when nothing is left, and notes
// what is where.
func walk(v any, from, to string, gone map[string]bool, replaced map[string]any, renamed map[string]string) any {
	if gone[from] {
		return nil
	}
	dot := func(path, step string) string { return strings.TrimPrefix(path+"."+step, ".") }
	renamed[from] = to
	if with, ok := replaced[from]; ok {
		return with
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if c := walk(v[name], dot(from, name), dot(to, name), gone, replaced, renamed); c != nil {
				out[name] = c
			}
		}
		if len(out) == 0 {
			delete(renamed, from)
			return nil
		}
		return out
	case []any:
		var out []any
		for i, e := range v {
			c := walk(e, dot(from, "["+strconv.Itoa(i)+"]"), dot(to, "["+strconv.Itoa(len(out))+"]"), gone, replaced, renamed)
			if c != nil {
				out = append(out, c)
			}
		}
		if len(out) == 0 {
			delete(renamed, from)
			return nil
		}
		return out
	}
	return v
}
