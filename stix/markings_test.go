package stix_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/stix"
	"tocsin/tlp"
)

// A recordedCase is a call of a reference library's operation and what came of it.
type recordedCase struct {
	Number int
	Name   string
	Op     string
	Args   []json.RawMessage
	Kwargs map[string]json.RawMessage
	Result json.RawMessage
	Error  string
}

// A divergence is a case in which this package does something else.
type divergence struct {
	want string // what comes out here, as the outcomes are written
	why  string // with the clause
}

// runRecorded runs the chosen cases in testdata, and all of them when
// TOCSIN_DATA is set. The functions return the outcome of a case, here and as it
// was recorded, as one text.
func runRecorded(t *testing.T, chosen, all string, divergences map[int]divergence, got, recorded func(testing.TB, recordedCase) string) {
	t.Helper()
	run := func(t *testing.T, c recordedCase) {
		t.Helper()
		_, short, _ := strings.Cut(c.Name, "::")
		t.Run(fmt.Sprintf("%03d %s", c.Number, short), func(t *testing.T) {
			want := recorded(t, c)
			if d, diverges := divergences[c.Number]; diverges {
				if d.want == want {
					t.Errorf("the recorded outcome %s is no divergence (%s)", want, d.why)
				}
				want = d.want
			}
			if diff := cmp.Diff(want, got(t, c)); diff != "" {
				t.Errorf("%s differs from what was recorded (-want +got):\n%s", c.Op, diff)
			}
		})
	}
	t.Run("chosen", func(t *testing.T) {
		text, err := os.ReadFile(filepath.Join("testdata", chosen))
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Cases []recordedCase }
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		for _, c := range file.Cases {
			run(t, c)
		}
	})
	t.Run("all", func(t *testing.T) {
		for i, c := range cases[recordedCase](t, all) {
			c.Number = i
			run(t, c)
		}
	})
}

func parsed(t testing.TB, text []byte) stix.Value {
	t.Helper()
	v, err := stix.Parse(text, stix.Limits{})
	if err != nil {
		t.Fatalf("Parse(%s) = %v, want a value", text, err)
	}
	return v
}

// canonical writes a JSON text with its names in order and without the
// properties that are left out of the comparison.
func canonical(t testing.TB, text []byte, without ...string) string {
	t.Helper()
	var x any
	if err := json.Unmarshal(text, &x); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if object, ok := x.(map[string]any); ok {
		for _, name := range without {
			delete(object, name)
		}
	}
	out, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestMarkingsAreThoseOfTheReferenceLibrary(t *testing.T) {
	runRecorded(t, "marking_ops.json", "marking_ops_cases.json", map[int]divergence{
		170: {
			`{"created":"2017-01-01T12:34:56.000Z",` +
				`"granular_markings":[{"marking_ref":"marking-definition--57fcd772-9c1d-41b0-8d1f-3d47713415d9","selectors":["malware_types"]},` +
				`{"marking_ref":"marking-definition--462bf1a6-03d2-419c-b74e-eee2238b2de4","selectors":["name"]}],` +
				`"id":"malware--9c4638ec-f1de-4ddb-abf4-1b760417654e","is_family":false,"malware_types":["ransomware"],"name":"Cryptolocker",` +
				`"object_marking_refs":["marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9","marking-definition--443eb5c3-a76c-4a0a-8caa-e93998e7bc09"],` +
				`"spec_version":"2.1","type":"malware"}`,
			"STIX 2.1 §7.2.3 gives the order of granular markings no meaning: what is there keeps its place, new ones stand last",
		},
		277: {"false", "STIX 2.1 §7.2.2: without selectors the question is for the whole object; there it was refused as a wrong call"},
	}, markingOutcome, func(t testing.TB, c recordedCase) string {
		t.Helper()
		switch {
		case c.Error != "":
			return c.Error
		case c.Op == "get_markings":
			var list []string
			if err := json.Unmarshal(c.Result, &list); err != nil {
				t.Fatal(err)
			}
			slices.Sort(list)
			return strings.Join(list, " ")
		}
		// Edits there are new versions at once.
		return canonical(t, c.Result, "modified")
	})
}

// argument returns an argument by its place or its name, null when it is not
// given.
func (c recordedCase) argument(place int, name string) json.RawMessage {
	if raw, ok := c.Kwargs[name]; ok {
		return raw
	}
	if place > 0 && place < len(c.Args) {
		return c.Args[place]
	}
	return json.RawMessage("null")
}

// texts reads one text or a list of texts; objects in their place are their ids.
func texts(t testing.TB, raw json.RawMessage) (list []string) {
	t.Helper()
	v := parsed(t, raw)
	one := func(v stix.Value) string {
		switch v.Kind() {
		case stix.Object:
			return v.Get("id").Text()
		case stix.String:
			return v.Text()
		case stix.Absent, stix.Null, stix.Bool, stix.Number, stix.Array:
		}
		return string(v.Raw())
	}
	switch v.Kind() {
	case stix.Null:
	case stix.Array:
		for _, e := range v.Elements() {
			list = append(list, one(e))
		}
	case stix.Absent, stix.Bool, stix.Number, stix.String, stix.Object:
		list = append(list, one(v))
	}
	return list
}

func scopeOf(t testing.TB, raw json.RawMessage) stix.Scope {
	t.Helper()
	if string(raw) == "null" {
		return stix.WholeObject()
	}
	return stix.Parts(texts(t, raw)...)
}

func markingOutcome(t testing.TB, c recordedCase) string {
	t.Helper()
	is := func(raw json.RawMessage) bool { return string(raw) == "true" }
	isNot := func(raw json.RawMessage) bool { return string(raw) == "false" }
	v := parsed(t, c.Args[0])
	var edited []byte
	var err error
	switch c.Op {
	case "get_markings":
		var list []string
		list, err = stix.Markings(v, scopeOf(t, c.argument(1, "selectors")), stix.MarkingOptions{
			Inherited: is(c.argument(2, "inherited")), Descendants: is(c.argument(3, "descendants")),
			WithoutRefs: isNot(c.argument(0, "marking_ref")), WithoutLanguages: isNot(c.argument(0, "lang")),
		})
		if err == nil {
			slices.Sort(list)
			return strings.Join(list, " ")
		}
	case "is_marked":
		var marked bool
		marked, err = stix.IsMarked(v, texts(t, c.argument(1, "marking")), scopeOf(t, c.argument(2, "selectors")), stix.MarkingOptions{
			Inherited: is(c.argument(3, "inherited")), Descendants: is(c.argument(4, "descendants")),
		})
		if err == nil {
			return fmt.Sprint(marked)
		}
	case "add_markings":
		edited, err = stix.AddMarkings(v, texts(t, c.argument(1, "marking")), scopeOf(t, c.argument(2, "selectors")))
	case "remove_markings":
		edited, err = stix.RemoveMarkings(v, texts(t, c.argument(1, "marking")), scopeOf(t, c.argument(2, "selectors")))
	case "set_markings":
		edited, err = stix.SetMarkings(v, texts(t, c.argument(1, "marking")), scopeOf(t, c.argument(2, "selectors")))
	case "clear_markings":
		edited, err = stix.ClearMarkings(v, scopeOf(t, c.argument(1, "selectors")))
	default:
		t.Fatalf("operation %q is not known", c.Op)
	}
	switch {
	case errors.Is(err, stix.ErrSelector):
		return "InvalidSelectorError"
	case errors.Is(err, stix.ErrMarking):
		return "InvalidValueError"
	case errors.Is(err, stix.ErrNotMarked):
		return "MarkingNotFoundError"
	case err != nil:
		return err.Error()
	}
	keepsTheRest(t, v, parsed(t, edited), "object_marking_refs", "granular_markings")
	return canonical(t, edited, "modified")
}

// keepsTheRest demands that all other properties have the same bytes.
func keepsTheRest(t testing.TB, before, after stix.Value, but ...string) {
	t.Helper()
	rest := func(v stix.Value) map[string]string {
		m := map[string]string{}
		for name, member := range v.Members() {
			if !slices.Contains(but, name) {
				m[name] = string(member.Raw())
			}
		}
		return m
	}
	was, is := rest(before), rest(after)
	if !maps.Equal(was, is) {
		diff := cmp.Diff(was, is)
		t.Errorf("the rest of %s is not the same (-before +after):\n%s", before.Raw(), diff)
	}
}

const (
	statement = "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"
	other     = "marking-definition--443eb5c3-a76c-4a0a-8caa-e93998e7bc09"
)

func TestEditsOfMarkingsKeepTheBytesOfTheRest(t *testing.T) {
	whole := stix.WholeObject()
	name := stix.Parts("name")
	for title, c := range map[string]struct {
		edit       func(v stix.Value) ([]byte, error)
		text, want string
	}{
		"the first marking": {
			func(v stix.Value) ([]byte, error) { return stix.AddMarkings(v, []string{statement}, whole) },
			"{ \"x\" : 1.50,\n  \"n\\u0061me\":\"a\"\n}\n",
			"{ \"x\" : 1.50,\n  \"n\\u0061me\":\"a\",\"object_marking_refs\":[\"" + statement + "\"]\n}",
		},
		"the only property": {
			func(v stix.Value) ([]byte, error) { return stix.AddMarkings(v, []string{statement}, whole) },
			`{ }`, `{"object_marking_refs":["` + statement + `"] }`,
		},
		"what is there already": {
			func(v stix.Value) ([]byte, error) {
				return stix.AddMarkings(v, []string{statement, statement}, whole)
			},
			`{ "object_marking_refs" : [ "` + statement + `" ] }`, `{ "object_marking_refs" : [ "` + statement + `" ] }`,
		},
		"a part in a marking of others": {
			func(v stix.Value) ([]byte, error) { return stix.AddMarkings(v, []string{other, "fr"}, name) },
			`{"name":"a","b":[1,  2],"granular_markings":[{"lang": "FR","selectors":["\u0062"]},{"selectors":["b.[0]"],"x_":1.0,"marking_ref":"` + other + `"},{"lang": "de","selectors":[ "b" ]}]}`,
			`{"name":"a","b":[1,  2],"granular_markings":[{"lang":"FR","selectors":["\u0062","name"]},{"selectors":["b.[0]","name"],"x_":1.0,"marking_ref":"` + other + `"},{"lang": "de","selectors":[ "b" ]}]}`,
		},
		"set keeps what stays": {
			func(v stix.Value) ([]byte, error) { return stix.SetMarkings(v, []string{statement, "de"}, name) },
			`{"name":"a","granular_markings":[{"marking_ref": "` + statement + `","selectors":["name"]},{"marking_ref":"` + other + `","selectors":["name"]}]}`,
			`{"name":"a","granular_markings":[{"marking_ref": "` + statement + `","selectors":["name"]},{"lang":"de","selectors":["name"]}]}`,
		},
		"set of the whole object": {
			func(v stix.Value) ([]byte, error) { return stix.SetMarkings(v, []string{other, statement}, whole) },
			`{"object_marking_refs":["` + tlp.Red.Marking() + `", "` + statement + `"],"name": "a"}`,
			`{"object_marking_refs":["` + statement + `","` + other + `"],"name":"a"}`,
		},
		"removed with its list": {
			func(v stix.Value) ([]byte, error) { return stix.RemoveMarkings(v, []string{"DE"}, name) },
			`{"name": "a", "granular_markings":[{"lang":"de","selectors":["name"]}],"z":[ ]}`, `{"name":"a","z":[ ]}`,
		},
		"inherited ones are not cleared": {
			func(v stix.Value) ([]byte, error) { return stix.ClearMarkings(v, stix.Parts("b.[0]")) },
			`{"b":[1],"granular_markings":[{"lang":"de","selectors":["b","b.[0]","b.[0]"]}]}`,
			`{"b":[1],"granular_markings":[{"lang":"de","selectors":["b"]}]}`,
		},
		"one marking without brackets": {
			func(v stix.Value) ([]byte, error) { return stix.AddMarkings(v, []string{other}, whole) },
			`{"object_marking_refs":"` + statement + `"}`, `{"object_marking_refs":["` + statement + `","` + other + `"]}`,
		},
	} {
		t.Run(title, func(t *testing.T) {
			got, err := c.edit(parsed(t, []byte(c.text)))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("edit of %s = %s, want %s", c.text, got, c.want)
			}
		})
	}
}

func TestNoSelectorsAreNotTheWholeObject(t *testing.T) {
	v := parsed(t, []byte(`{"name":"a","object_marking_refs":["`+statement+`"]}`))
	var none []string
	for name, at := range map[string]stix.Scope{"no selectors": stix.Parts(none...), "the zero Scope": {}, "nothing that is there": stix.Parts("name", "nothing")} {
		edits := map[string]func() ([]byte, error){
			"AddMarkings":    func() ([]byte, error) { return stix.AddMarkings(v, []string{other}, at) },
			"SetMarkings":    func() ([]byte, error) { return stix.SetMarkings(v, []string{other}, at) },
			"RemoveMarkings": func() ([]byte, error) { return stix.RemoveMarkings(v, []string{statement}, at) },
			"ClearMarkings":  func() ([]byte, error) { return stix.ClearMarkings(v, at) },
		}
		for edit, do := range edits {
			if got, err := do(); !errors.Is(err, stix.ErrSelector) {
				t.Errorf("%s of %s = %s, %v, want %v", edit, name, got, err, stix.ErrSelector)
			}
		}
		if got, err := stix.Markings(v, at, stix.MarkingOptions{Inherited: true}); !errors.Is(err, stix.ErrSelector) {
			t.Errorf("Markings of %s = %q, %v, want %v", name, got, err, stix.ErrSelector)
		}
	}
	if _, err := stix.ClearMarkings(parsed(t, []byte(`["a"]`)), stix.WholeObject()); !errors.Is(err, stix.ErrSelector) {
		t.Errorf("ClearMarkings of what is no object: %v, want %v", err, stix.ErrSelector)
	}
}

func TestOnlyOtherMarkingsAndLanguagesMark(t *testing.T) {
	v := parsed(t, []byte(`{"id":"`+statement+`","name":"a"}`))
	for name, c := range map[string]struct {
		markings []string
		at       stix.Scope
	}{
		"nothing":                      {nil, stix.WholeObject()},
		"itself (§3.2)":                {[]string{statement}, stix.WholeObject()},
		"itself for a part (§3.2)":     {[]string{other, statement}, stix.Parts("name")},
		"a language, the whole object": {[]string{"en"}, stix.WholeObject()},
		"another type of object":       {[]string{"identity--311b2d2d-f010-4473-83ec-1edf84858f4c"}, stix.Parts("name")},
		"an identifier in upper case":  {[]string{strings.ToUpper(other)}, stix.Parts("name")},
		"no language":                  {[]string{"e"}, stix.Parts("name")},
		"JSON":                         {[]string{`en","x":"`}, stix.Parts("name")},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := stix.AddMarkings(v, c.markings, c.at); !errors.Is(err, stix.ErrMarking) {
				t.Errorf("AddMarkings(%q) = %s, %v, want %v", c.markings, got, err, stix.ErrMarking)
			}
			if got, err := stix.SetMarkings(v, c.markings, c.at); !errors.Is(err, stix.ErrMarking) {
				t.Errorf("SetMarkings(%q) = %s, %v, want %v", c.markings, got, err, stix.ErrMarking)
			}
		})
	}
}

func TestEveryMarkingThatCountsIsEffective(t *testing.T) {
	const text = `{"lists":[[1],2,3,4,5,6,7,8,9,10,11],"list":1,"nested":{"a-b":{"c":1},"a":2},
		"object_marking_refs":["whole"],"granular_markings":[
		{"marking_ref":"list","selectors":["list"]},{"marking_ref":"lists","selectors":["lists"]},
		{"marking_ref":"first","selectors":["lists.[0]","nothing"]},{"marking_ref":"second","selectors":["lists.[1]"]},
		{"marking_ref":"inside","selectors":["lists.[0].[0]"]},{"marking_ref":"a","selectors":["nested.a"]},
		{"marking_ref":"whole","selectors":["nested"]},{"lang":"de","selectors":["nested","list","lists"]}]}`
	for name, c := range map[string]struct {
		text, selector string
		want           []string
	}{
		"a name is not the start of another": {text, "list", []string{"whole", "list"}},
		"nor the other way round":            {text, "lists", []string{"whole", "lists"}},
		"what it is in, not what is inside":  {text, "lists.[0]", []string{"whole", "lists", "first"}},
		"far inside":                         {text, "lists.[0].[0]", []string{"whole", "lists", "first", "inside"}},
		"[1] is not the start of [10]":       {text, "lists.[10]", []string{"whole", "lists"}},
		"a key with a hyphen":                {text, "nested.a-b.c", []string{"whole"}},
		"what is not there":                  {text, "lists.[0].name", []string{"whole", "lists", "first"}},
		"no selector: all":                   {text, "lists[0]", []string{"whole", "list", "lists", "first", "second", "inside", "a"}},
		"nothing marked":                     {`{"name":"a"}`, "name", nil},
		"no list":                            {`{"object_marking_refs":"x","granular_markings":{"marking_ref":"y","selectors":"name"}}`, "name", []string{"x", "y"}},
		"no identifier":                      {`{"object_marking_refs":[null,{"a":1}],"granular_markings":[{"marking_ref":[1],"selectors":["name"]}]}`, "name", []string{"null", `{"a":1}`, "[1]"}},
		"no selectors":                       {`{"granular_markings":[{"marking_ref":"x"},{"marking_ref":"y","selectors":[]}]}`, "name", []string{"x", "y"}},
		"selectors that cannot be read":      {`{"granular_markings":[{"marking_ref":"x","selectors":["a","$.b"]},{"marking_ref":"y","selectors":[7]}]}`, "name", []string{"x", "y"}},
		"neither marking nor language":       {`{"granular_markings":[{"selectors":["name"]}]}`, "name", []string{`{"selectors":["name"]}`}},
		"both":                               {`{"granular_markings":[{"lang":"de","marking_ref":"x","selectors":["name"]}]}`, "name", []string{"x"}},
		"a marking that is no object":        {`{"granular_markings":["x"]}`, "name", []string{"x"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, stix.EffectiveMarkings(parsed(t, []byte(c.text)), c.selector)); diff != "" {
				t.Errorf("EffectiveMarkings(%s) (-want +got):\n%s", c.selector, diff)
			}
		})
	}
}

// FuzzMarkings adds a marking and takes it away again.
func FuzzMarkings(f *testing.F) {
	for _, e := range examples(f) {
		f.Add([]byte(e.Object), "name", statement)
		f.Add([]byte(e.Object), "", other)
	}
	f.Add([]byte(`{"a":[{"b":1}],"granular_markings":[{"lang":"de","selectors":["a.[0]"]},{"marking_ref":"x","lang":"y","selectors":"a"}]}`), "a.[0].b", "de")
	f.Add([]byte(`{"a":1,"granular_markings":[{"lang":"de"},7,{"lang":"de","selectors":{}}],"object_marking_refs":{}}`), "a", "DE")
	f.Fuzz(func(t *testing.T, text []byte, selector, marking string) {
		v, err := stix.Parse(text, stix.Limits{Bytes: 1 << 16})
		if err != nil {
			t.Skip("not JSON")
		}
		if v.Kind() == stix.Object && len(text) < 1000 {
			checkEffects(t, v)
		}
		at, within := stix.WholeObject(), "type"
		if selector != "" {
			at, within = stix.Parts(selector), selector
		}
		marked := func(v stix.Value) bool {
			is, err := stix.IsMarked(v, []string{marking}, at, stix.MarkingOptions{})
			if err != nil {
				t.Fatalf("IsMarked of %s: %v", v.Raw(), err)
			}
			return is
		}
		before := stix.EffectiveMarkings(v, within)
		added, err := stix.AddMarkings(v, []string{marking}, at)
		if err != nil {
			return
		}
		after := parsed(t, added)
		keepsTheRest(t, v, after, "object_marking_refs", "granular_markings")
		if !marked(after) {
			t.Errorf("after AddMarkings(%q) %s is not marked", marking, added)
		}
		effective := stix.EffectiveMarkings(after, within)
		if strings.HasPrefix(marking, "marking-definition--") && !slices.Contains(effective, marking) {
			t.Errorf("after AddMarkings(%q) EffectiveMarkings of %s = %q, want it among them", marking, added, effective)
		}
		for _, m := range before {
			if !slices.Contains(effective, m) {
				t.Errorf("AddMarkings(%q) lost %q: %s", marking, m, added)
			}
		}
		if again, err := stix.AddMarkings(after, []string{marking}, at); err != nil || string(again) != string(after.Raw()) {
			t.Errorf("AddMarkings(%q) again = %s, %v, want %s", marking, again, err, added)
		}
		if marked(v) {
			return
		}
		removed, err := stix.RemoveMarkings(after, []string{marking}, at)
		if err != nil {
			t.Fatalf("RemoveMarkings(%q) of %s: %v", marking, added, err)
		}
		if marked(parsed(t, removed)) {
			t.Errorf("after RemoveMarkings(%q) %s is marked", marking, removed)
		}
		keepsTheRest(t, after, parsed(t, removed), "object_marking_refs", "granular_markings")
	})
}
