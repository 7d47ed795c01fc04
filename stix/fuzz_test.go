package stix_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tocsin/stix"
)

// FuzzObject sees that a text is taken or refused without losing a byte: what
// was read is written back as it was, checking it twice says the same, and
// no report has more than its bounds.
func FuzzObject(f *testing.F) {
	for _, e := range examples(f) {
		f.Add([]byte(e.Object))
	}
	f.Add([]byte(`{"type":"file","spec_version":"2.1","id":"file--1","hashes":{"MD5":"x"},"size":-0,"x_n":[1E2,1.50,9007199254740993]}`))
	f.Add([]byte(`{"type":"observed-data","objects":{"0":{"type":"ipv4-addr","value":"1"},"1":{"type":"file","parent_directory_ref":"0"}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := stix.Parse(text, stix.Limits{Bytes: 1 << 16})
		if err != nil {
			if _, ok := errors.AsType[*stix.Problem](err); !ok {
				t.Fatalf("Parse(%q) = %T, want a *Problem", text, err)
			}
			return
		}
		if raw := string(v.Raw()); raw != strings.Trim(string(text), " \t\r\n") || string(stix.Edit(v).Bytes()) != raw {
			t.Errorf("Parse(%q) is written as %q", text, raw)
		}
		problems := stix.Validate(v, stix.Options{Pattern: parsePattern})
		if len(problems) > 200 {
			t.Errorf("Validate(%q) has %d problems, want at most 200", text, len(problems))
		}
		if again := stix.Validate(v, stix.Options{Pattern: parsePattern}); !slices.Equal(problems, again) {
			t.Errorf("Validate(%q) = %v, and then %v", text, problems, again)
		}
		if quiet := stix.Validate(v, stix.Options{Pattern: parsePattern, ErrorsOnly: true}); !slices.Equal(onlyErrors(problems), quiet) {
			t.Errorf("Validate(%q) without warnings = %v, want %v", text, quiet, onlyErrors(problems))
		}
		if id, ok := stix.DeterministicID(v); ok && !strings.HasPrefix(id, v.Get("type").Text()+"--") {
			t.Errorf("DeterministicID(%q) = %q", text, id)
		}
	})
}

// FuzzBundle sees that an object means the same inside of a bundle as alone.
func FuzzBundle(f *testing.F) {
	var objects []string
	for _, e := range examples(f) {
		objects = append(objects, string(e.Object))
		f.Add([]byte(`{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d","objects":[` + string(e.Object) + `]}`))
	}
	f.Add([]byte(`{"objects":[` + strings.Join(objects[:min(len(objects), 4)], " ,\n") + `],"type":"bundle"}`))
	f.Add([]byte(`{"type":"bundle","id":"x","objects":[1,[],{},{"type":"bundle","objects":[{}]},{"type":"file","granular_markings":[{"lang":"en","selectors":["type"]}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := stix.Parse(text, stix.Limits{Bytes: 1 << 16})
		if err != nil {
			return
		}
		stix.Validate(b, stix.Options{})
		var all []stix.Value
		for i, o := range b.Get("objects").Elements() {
			all = append(all, o)
			alone, err := stix.Parse(slices.Clone(o.Raw()), stix.Limits{})
			if err != nil {
				t.Fatalf("Parse of object %d of %q = %v, but it is one inside", i, text, err)
			}
			inside := stix.Validate(o, stix.Options{Pattern: parsePattern})
			if outside := stix.Validate(alone, stix.Options{Pattern: parsePattern}); !slices.Equal(inside, outside) {
				t.Errorf("Validate of object %d of %q = %v, but alone %v", i, text, inside, outside)
			}
			idInside, okInside := stix.DeterministicID(o)
			if id, ok := stix.DeterministicID(alone); id != idInside || ok != okInside {
				t.Errorf("DeterministicID of object %d of %q = %q, but alone %q", i, text, idInside, id)
			}
			edit := stix.Edit(b)
			edit.Replace(o, o.Raw())
			var got, want any
			if json.Unmarshal(edit.Bytes(), &got) != nil || json.Unmarshal(b.Raw(), &want) != nil {
				t.Errorf("object %d of %q, replaced by itself, makes %q", i, text, edit.Bytes())
			}
		}
		for _, o := range all {
			if id := o.Get("id").Text(); id != "" {
				checkHistory(t, id, all)
			}
		}
	})
}

// checkHistory sees that the versions of an object are in order.
func checkHistory(t *testing.T, id string, objects []stix.Value) {
	t.Helper()
	h := stix.Versions(id, objects)
	if len(h) == 0 || h.First() != h[0] || h.Newest() != h[len(h)-1] {
		t.Fatalf("Versions(%q) = %v, want the first first and the newest last", id, h)
	}
	for i, v := range h {
		at := v.Get("modified")
		if _, ok := stix.ParseTime(at.Text()); ok && h.At(at.Text()) != v {
			t.Errorf("version %d of %q is not at its own modified time", i, id)
		}
	}
}

// FuzzSelector compares what a selector selects with a search of the decoded
// object that knows nothing of this package.
func FuzzSelector(f *testing.F) {
	for _, selector := range []string{"labels.[0]", "external_references.[0].source_name", "a..b", "[0]", "labels.[01]", "ä", "external_references", "labels.[-0]", "labels.[1].x"} {
		f.Add([]byte(heartbleed), selector)
	}
	f.Add([]byte(`{"a":[[[1,{"b-c":2}]]],"0":{"1":[3]},"\u0064":null}`), "a.[0].[0].[1].b-c")
	f.Add([]byte(`{"a":[[[1,{"b-c":2}]]],"0":{"1":[3]},"\u0064":null}`), "d")
	f.Add([]byte(`{"n":[`+strings.Repeat("1,", 40)+`{"x":2}]}`), "n.[40].x")
	f.Fuzz(func(t *testing.T, text []byte, selector string) {
		v, err := stix.Parse(text, stix.Limits{Bytes: 1 << 16})
		if err != nil || v.Kind() != stix.Object {
			return
		}
		steps, ok := stix.ParseSelector(selector)
		if ok && joined(steps) != selector {
			t.Errorf("ParseSelector(%q) = %v, want the steps of it", selector, steps)
		}
		var decoded any
		if err := json.Unmarshal(text, &decoded); err != nil {
			t.Fatal(err)
		}
		want, found := naive(decoded, selector)
		selected := stix.Select(v, selector)
		if found != (len(selected) == 1) || stix.SelectorResolves(v, selector) != found {
			t.Fatalf("Select(%q, %q) = %v, want one: %v", text, selector, selected, found)
		}
		// The index that is made for many selectors finds the same.
		if _, err := stix.Markings(v, stix.Parts(selector), stix.MarkingOptions{}); (err == nil) != found {
			t.Errorf("Markings(%q, %q) = %v, want an error: %v", text, selector, err, !found)
		}
		if !found {
			return
		}
		var got any
		if err := json.Unmarshal(selected[0].Raw(), &got); err != nil {
			t.Fatal(err)
		}
		if a, b := mustJSON(t, got), mustJSON(t, want); a != b {
			t.Errorf("Select(%q, %q) = %s, want %s", text, selector, a, b)
		}
		if at := "/" + strings.NewReplacer(".", "/", "[", "", "]", "").Replace(selector); len(at) < 1000 && selected[0].Pointer() != at {
			t.Errorf("Select(%q) is at %s, want %s", selector, selected[0].Pointer(), at)
		}
	})
}

func mustJSON(t *testing.T, x any) string {
	t.Helper()
	b, err := json.Marshal(x)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// joined writes a selector from its steps.
func joined(steps []stix.Step) string {
	var parts []string
	for _, s := range steps {
		if s.Name == "" {
			parts = append(parts, "["+strconv.Itoa(s.Index)+"]")
		} else {
			parts = append(parts, s.Name)
		}
	}
	return strings.Join(parts, ".")
}

// naive resolves a selector step by step, as STIX 2.1 §7.2.3 tells it.
func naive(value any, selector string) (any, bool) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	for i, part := range strings.Split(selector, ".") {
		if strings.HasPrefix(part, "[") {
			list, ok := value.([]any)
			n, err := strconv.Atoi(strings.Trim(part, "[]"))
			if !ok || i == 0 || err != nil || part != "["+strconv.Itoa(n)+"]" || n < 0 || n >= len(list) {
				return nil, false
			}
			value = list[n]
			continue
		}
		object, ok := value.(map[string]any)
		if part == "" || len(part) > 250 || strings.Trim(part, letters) != "" || !ok {
			return nil, false
		}
		if value, ok = object[part]; !ok {
			return nil, false
		}
	}
	return value, true
}
