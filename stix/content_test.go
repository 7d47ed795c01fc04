package stix_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tocsin/stix"
)

func TestCanonicalIsThatOfRFC8785(t *testing.T) {
	dir := dataFile(t, "../crypto/jcs")
	inputs, err := filepath.Glob(filepath.Join(dir, "input", "*.json"))
	if err != nil || len(inputs) != 6 {
		t.Fatalf("%d inputs, %v, want 6", len(inputs), err)
	}
	for _, name := range inputs {
		t.Run(filepath.Base(name), func(t *testing.T) {
			in, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join(dir, "output", filepath.Base(name)))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(stix.Canonical(parsed(t, in))); got != strings.TrimRight(string(want), "\n") {
				t.Errorf("Canonical(%s) = %s, want %s", in, got, want)
			}
		})
	}
}

func TestCanonicalNumbersAreThoseOfECMAScript(t *testing.T) {
	text, err := os.ReadFile(dataFile(t, "../crypto/jcs-numbers.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases [][2]string }
	if err := json.Unmarshal(text, &file); err != nil || len(file.Cases) != 1500 {
		t.Fatalf("%d cases, %v, want 1500", len(file.Cases), err)
	}
	for _, c := range file.Cases {
		t.Run(c[0], func(t *testing.T) {
			bits, err := hex.DecodeString(c[0])
			if err != nil {
				t.Fatal(err)
			}
			var n uint64
			for _, b := range bits {
				n = n<<8 | uint64(b)
			}
			number := strconv.FormatFloat(math.Float64frombits(n), 'e', -1, 64)
			if got := string(stix.Canonical(parsed(t, []byte(number)))); got != c[1] {
				t.Errorf("Canonical(%s) = %s, want %s", number, got, c[1])
			}
		})
	}
}

func TestContentHashTellsContentsApart(t *testing.T) {
	same := []string{`{"a":1,"b":["x",null]}`, `{ "b": ["\u0078", null],"a":1.0}`, `{"a":10e-1,"b":["x",null]}`}
	other := []string{`{"a":1,"b":[null,"x"]}`, `{"a":"1","b":["x",null]}`, `{"a":1}`, `{}`, `[]`}
	hash := func(text string) string {
		h := stix.ContentHash(parsed(t, []byte(text)))
		return hex.EncodeToString(h[:])
	}
	seen := map[string]string{}
	for _, text := range same {
		seen[hash(text)] = text
	}
	if len(seen) != 1 {
		t.Errorf("ContentHash of one content = %v, want one", seen)
	}
	for _, text := range other {
		seen[hash(text)] = text
	}
	if len(seen) != 1+len(other) {
		t.Errorf("%d hashes, want %d: %v", len(seen), 1+len(other), seen)
	}
	// The SHA-256 of {"a":1}, by sha256sum.
	if got, want := hash(`{ "a": 1 }`), "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"; got != want {
		t.Errorf("ContentHash = %s, want %s", got, want)
	}
}

// versions makes objects of one id with modified times and names.
func versionsOf(t *testing.T, more ...string) []stix.Value {
	t.Helper()
	var all []stix.Value
	for _, m := range more {
		all = append(all, parsed(t, []byte(`{"type":"campaign","id":"c","created":"2020-01-01T00:00:00.000Z","created_by_ref":"i",`+m+`}`)))
	}
	return all
}

func TestConflictsKeepTheFirstAndReportTheSecond(t *testing.T) {
	objects := versionsOf(t,
		`"modified":"2020-01-02T00:00:00.000Z","name":"a"`,
		`"modified":"2020-01-02T00:00:00.000000Z","name":"b"`,
		`"modified":"2020-01-02T00:00:00.000Z",  "name":"\u0061"`,
		`"modified":"2020-01-03T00:00:00.000Z","name":"c"`,
		`"modified":"2020-01-02T00:00:00Z","name":"d"`)
	got := stix.Conflicts("c", objects)
	if len(got) != 2 || got[0] != (stix.Conflict{Kept: objects[0], Other: objects[1]}) || got[1] != (stix.Conflict{Kept: objects[0], Other: objects[4]}) {
		t.Errorf("Conflicts = %v, want the second and the last against the first", got)
	}
	if h := stix.Versions("c", objects); len(h) != 2 || h[0] != objects[0] {
		t.Errorf("Versions = %v, want the first to stay", h)
	}
	if got := stix.Conflicts("d", objects); len(got) != 0 {
		t.Errorf("Conflicts of another id = %v, want none", got)
	}
}

func TestHistoriesTakeVersionsByTheirCreatorOnly(t *testing.T) {
	now := time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
	known := versionsOf(t, `"modified":"2020-01-02T00:00:00.000Z","name":"a"`, `"modified":"2020-01-04T00:00:00.000Z","revoked":true`)
	const start = `{"type":"campaign","id":"c","created":"2020-01-01T00:00:00.000Z",`
	for name, c := range map[string]struct {
		history stix.History
		text    string
		want    error
	}{
		"the first":             {nil, start + `"modified":"2020-01-02T00:00:00.000Z"}`, nil},
		"between":               {known, start + `"created_by_ref":"i","modified":"2020-01-03T00:00:00.000Z"}`, nil},
		"the same again":        {known, start + `"modified":"2020-01-02T00:00:00Z", "created_by_ref":"i","name":"a"}`, stix.ErrConflict}, // another spelling of modified
		"the same bytes again":  {known, string(known[0].Raw()), nil},
		"revoked again":         {known, string(known[1].Raw()), nil},
		"another content":       {known, start + `"modified":"2020-01-02T00:00:00.000Z", "created_by_ref":"i","name":"b"}`, stix.ErrConflict},
		"after revocation":      {known, start + `"modified":"2020-01-05T00:00:00.000Z", "created_by_ref":"i"}`, stix.ErrRevoked},
		"another creator":       {known[:1], start + `"modified":"2020-01-05T00:00:00.000Z", "created_by_ref":"j"}`, stix.ErrCreator},
		"no creator":            {known[:1], start + `"modified":"2020-01-05T00:00:00.000Z"}`, stix.ErrCreator},
		"created otherwise":     {known[:1], `{"type":"campaign","id":"c","created":"2020-01-01T00:00:01.000Z","created_by_ref":"i","modified":"2020-01-05T00:00:00.000Z"}`, stix.ErrCreator},
		"created, respelled":    {known[:1], `{"type":"campaign","id":"c","created":"2020-01-01T00:00:00Z","created_by_ref":"i","modified":"2020-01-05T00:00:00.000Z"}`, nil},
		"another type":          {known[:1], `{"type":"malware","id":"c","created":"2020-01-01T00:00:00.000Z","created_by_ref":"i","modified":"2020-01-05T00:00:00.000Z"}`, stix.ErrCreator},
		"another object":        {known[:1], `{"type":"campaign","id":"d","created":"2020-01-01T00:00:00.000Z"}`, stix.ErrNotVersioned},
		"the future":            {known[:1], start + `"modified":"2021-01-01T01:00:00.001Z", "created_by_ref":"i"}`, stix.ErrFuture},
		"a clock ahead":         {known[:1], start + `"modified":"2021-01-01T01:00:00.000Z", "created_by_ref":"i"}`, nil},
		"a first of the future": {nil, start + `"modified":"2222-01-01T00:00:00.000Z"}`, stix.ErrFuture},
		"created in the future": {nil, `{"type":"marking-definition","id":"c","created":"2222-01-01T00:00:00.000Z"}`, stix.ErrFuture},
		"without any time":      {nil, `{"type":"url","id":"c"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.history.Check(parsed(t, []byte(c.text)), now); !errors.Is(got, c.want) {
				t.Errorf("Check(%s) = %v, want %v", c.text, got, c.want)
			}
		})
	}
	twice := stix.Versions("c", []stix.Value{parsed(t, []byte(`{"type":"url","id":"c","value":"a"}`))})
	if err := twice.Check(parsed(t, []byte(`{"type":"url","id":"c","value":"b"}`)), now); !errors.Is(err, stix.ErrConflict) {
		t.Errorf("Check of an observable with one id and another content = %v, want %v", err, stix.ErrConflict)
	}
}

// checkEffects compares Effects with EffectiveMarkings of every value.
func checkEffects(t *testing.T, v stix.Value) {
	t.Helper()
	seen := 0
	for part, effect := range stix.Effects(v) {
		seen++
		if part == v {
			continue
		}
		selector := selectorOf(v, part)
		if _, ok := stix.ParseSelector(selector); !ok {
			continue
		}
		got, want := map[string]bool{}, map[string]bool{}
		for m := range effect.All() {
			got[m] = true
		}
		for _, m := range stix.EffectiveMarkings(v, selector) {
			want[m] = true
		}
		if !maps.Equal(got, want) {
			t.Errorf("Effects of %s in %s = %v, want %v", selector, v.Raw(), got, want)
		}
	}
	if want := count(v); seen != want {
		t.Errorf("Effects yields %d values, want %d", seen, want)
	}
}

// count returns how many values are in a value, itself included.
func count(v stix.Value) int {
	n := 1
	for _, e := range v.Elements() {
		n += count(e)
	}
	for _, e := range v.Members() {
		n += count(e)
	}
	return n
}

// selectorOf writes the selector of a part by looking for it; "" when a name
// on the way is none of a selector's.
func selectorOf(v, part stix.Value) string {
	for i, e := range v.Elements() {
		if e == part {
			return fmt.Sprintf("[%d]", i)
		}
		if inner := selectorOf(e, part); inner != "" {
			return fmt.Sprintf("[%d].%s", i, inner)
		}
	}
	for name, e := range v.Members() {
		if e == part {
			return name
		}
		if inner := selectorOf(e, part); inner != "" {
			return name + "." + inner
		}
	}
	return ""
}

func TestEffectsAreThoseOfEveryPart(t *testing.T) {
	v := parsed(t, []byte(`{"name":"n","list":["a",{"x":[1,2]}],"object_marking_refs":["whole"],"granular_markings":[
		{"marking_ref":"list","selectors":["list"]},{"marking_ref":"x","selectors":["list.[1].x","name"]},
		{"lang":"de","selectors":["list"]},{"lang":"fr","selectors":["list.[1].x.[0]"]},{"marking_ref":"gone","selectors":["list.[7]"]}]}`))
	got := map[string]string{}
	for part, effect := range stix.Effects(v) {
		if s := selectorOf(v, part); s == "" || !strings.HasPrefix(s, "granular") && !strings.HasPrefix(s, "object") {
			got[s] = fmt.Sprint(slices.Collect(effect.All()), effect.Language())
		}
	}
	want := map[string]string{
		"": "[whole] []", "name": "[x whole] []", "list": "[list whole] [de]", "list.[0]": "[list whole] [de]", "list.[1]": "[list whole] [de]",
		"list.[1].x": "[x list whole] [de]", "list.[1].x.[0]": "[x list whole] [fr]", "list.[1].x.[1]": "[x list whole] [de]",
	}
	if !maps.Equal(got, want) {
		t.Errorf("Effects = %v, want %v", got, want)
	}
	checkEffects(t, v)
	for range stix.Effects(stix.Value{}) {
		t.Error("Effects of nothing yields something")
	}
	for _, e := range examples(t) {
		checkEffects(t, parsed(t, e.Object))
	}
}

// hostile returns an object with n granular markings, each of other parts.
func hostile(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"type":"report","x":[` + strings.Repeat(`[[[1]]],`, n-1) + `[[[1]]]],"granular_markings":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"marking_ref":"marking-definition--%08d-0000-4000-8000-000000000000","selectors":["x","x.[%d]","x.[%d].[0].[0]","type"]}`, i, i, n-1-i)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

// TestManyMarkingsOfManyParts takes minutes when the sets of markings are
// copied for every part.
func TestManyMarkingsOfManyParts(t *testing.T) {
	v := parsed(t, hostile(20_000))
	deepest := 0
	for _, effect := range stix.Effects(v) {
		depth := 0
		for ; effect != nil; effect = effect.Outer {
			depth++
		}
		deepest = max(deepest, depth)
	}
	if deepest != 4 {
		t.Errorf("the deepest part has %d sets of markings, want 4", deepest)
	}
}

func BenchmarkEffects(b *testing.B) {
	v := parsed(b, hostile(2_000))
	b.ReportAllocs()
	for b.Loop() {
		for _, effect := range stix.Effects(v) {
			_ = effect
		}
	}
}

func BenchmarkContentHash(b *testing.B) {
	v := parsed(b, []byte(heartbleed))
	b.SetBytes(int64(len(heartbleed)))
	b.ReportAllocs()
	for b.Loop() {
		stix.ContentHash(v)
	}
}
