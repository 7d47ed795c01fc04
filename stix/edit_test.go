package stix_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"tocsin/stix"
)

func TestEditKeepsTheBytesOfTheRest(t *testing.T) {
	const text = `{ "id":"a", "n": 1.50, "\u006cist":[ 1 ,  2,3 ], "deep": {"a": {"b": [1]}}, "x" :{} }`
	for name, c := range map[string]struct {
		edit func(e *stix.Editor, v stix.Value)
		want string
	}{
		"nothing":            {func(*stix.Editor, stix.Value) {}, text},
		"what is not there":  {func(e *stix.Editor, v stix.Value) { e.Remove(v.Get("none")); e.Replace(stix.Value{}, []byte("1")) }, text},
		"the root stays":     {func(e *stix.Editor, v stix.Value) { e.Remove(v) }, text},
		"another root":       {func(e *stix.Editor, v stix.Value) { e.Replace(v, []byte(`[]`)) }, `[]`},
		"the first property": {func(e *stix.Editor, v stix.Value) { e.Remove(v.Get("id")) }, `{"n":1.50,"\u006cist":[ 1 ,  2,3 ],"deep":{"a": {"b": [1]}},"x":{}}`},
		"a value":            {func(e *stix.Editor, v stix.Value) { e.Replace(v.Get("n"), []byte(`"two"`)) }, `{"id":"a","n":"two","\u006cist":[ 1 ,  2,3 ],"deep":{"a": {"b": [1]}},"x":{}}`},
		"a list item":        {func(e *stix.Editor, v stix.Value) { e.Remove(stix.Select(v, "list.[1]")[0]) }, `{"id":"a","n":1.50,"\u006cist":[1,3],"deep":{"a": {"b": [1]}},"x":{}}`},
		"the last of a list": {func(e *stix.Editor, v stix.Value) { e.Remove(stix.Select(v, "deep.a.b.[0]")[0]) }, `{"id":"a","n":1.50,"\u006cist":[ 1 ,  2,3 ],"x":{}}`},
		"removed stays removed": {func(e *stix.Editor, v stix.Value) {
			e.Remove(v.Get("deep"))
			e.Replace(v.Get("deep"), []byte("1"))
			e.Remove(v.Get("x"))
		}, `{"id":"a","n":1.50,"\u006cist":[ 1 ,  2,3 ]}`},
		"the later replacement": {func(e *stix.Editor, v stix.Value) {
			e.Replace(v.Get("id"), []byte("1"))
			e.Replace(v.Get("id"), []byte("2"))
		}, `{"id":2,"n":1.50,"\u006cist":[ 1 ,  2,3 ],"deep":{"a": {"b": [1]}},"x":{}}`},
		"removed after a change": {func(e *stix.Editor, v stix.Value) { e.Replace(v.Get("id"), []byte("1")); e.Remove(v.Get("id")) }, `{"n":1.50,"\u006cist":[ 1 ,  2,3 ],"deep":{"a": {"b": [1]}},"x":{}}`},
		"inside what is replaced": {func(e *stix.Editor, v stix.Value) {
			e.Remove(v.Get("deep").Get("a"))
			e.Replace(v.Get("deep"), []byte(`{"c":1}`))
		}, `{"id":"a","n":1.50,"\u006cist":[ 1 ,  2,3 ],"deep":{"c":1},"x":{}}`},
		"everything": {func(e *stix.Editor, v stix.Value) {
			for _, m := range v.Members() {
				e.Remove(m)
			}
		}, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := stix.Parse([]byte(text), stix.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			e := stix.Edit(v)
			c.edit(e, v)
			if got := string(e.Bytes()); got != c.want {
				t.Errorf("Bytes() = %s, want %s", got, c.want)
			}
			if got, want := e.Changed(), c.want != text; got != want {
				t.Errorf("Changed() = %v, want %v", got, want)
			}
		})
	}
}

func TestEditOfAPartLeavesOutTheRest(t *testing.T) {
	v, err := stix.Parse([]byte(`[{"a": 1}, {"b": 2, "c": 3}]`), stix.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range v.Elements() {
		e := stix.Edit(o)
		e.Remove(o.Get("b"))
		e.Remove(v) // outside
		if got, want := string(e.Bytes()), []string{`{"a": 1}`, `{"c":3}`}[i]; got != want {
			t.Errorf("Bytes() = %s, want %s", got, want)
		}
	}
}

// FuzzEdit removes and replaces values of a text as the bytes of a plan say,
// and compares with the same done to the decoded text.
func FuzzEdit(f *testing.F) {
	for _, e := range examples(f) {
		f.Add([]byte(e.Object), []byte{0, 0, 1, 0, 2, 0, 0, 1})
	}
	f.Add([]byte(`{"a":[1,{"b":[[]]},{}],"\u0063":{"d":1}}`), []byte{0, 0, 1, 2, 1, 0})
	f.Fuzz(func(t *testing.T, text, plan []byte) {
		v, err := stix.Parse(text, stix.Limits{Bytes: 1 << 16})
		if err != nil {
			t.Skip("not JSON")
		}
		e := stix.Edit(v)
		want, _ := edited(v, e, &plan, true)
		got := e.Bytes()
		if !e.Changed() && string(got) != string(v.Raw()) {
			t.Errorf("Bytes() of %q without a change = %q, want the same", text, got)
		}
		var decoded any
		if err := json.Unmarshal(got, &decoded); err != nil {
			t.Fatalf("Bytes() of %q = %q: %v", text, got, err)
		}
		if !reflect.DeepEqual(decoded, want) {
			t.Errorf("Bytes() of %q = %s, want %v", text, got, want)
		}
		if _, err := stix.Parse(got, stix.Limits{}); err != nil {
			t.Errorf("Parse(Bytes() of %q) = %v, want a value", text, err)
		}
	})
}

// edited plans changes of v and of what is in it, and returns what will be left
// of it. The next byte of the plan is 1 for a removal, 2 for a replacement.
func edited(v stix.Value, e *stix.Editor, plan *[]byte, root bool) (left any, ok bool) {
	action := byte(0)
	if len(*plan) > 0 {
		action, *plan = (*plan)[0]%8, (*plan)[1:]
	}
	switch v.Kind() {
	case stix.Array:
		list := []any{}
		for _, item := range v.Elements() {
			if x, ok := edited(item, e, plan, false); ok {
				list = append(list, x)
			}
		}
		left, ok = list, len(list) > 0 || v.Len() == 0
	case stix.Object:
		object := map[string]any{}
		for name, member := range v.Members() {
			if x, ok := edited(member, e, plan, false); ok {
				object[name] = x
			}
		}
		left, ok = object, len(object) > 0 || v.Len() == 0
	case stix.Absent, stix.Null, stix.Bool, stix.Number, stix.String:
		ok = json.Unmarshal(v.Raw(), &left) == nil
	}
	switch {
	case action == 1 && !root:
		e.Remove(v)
		return nil, false
	case action == 2:
		e.Replace(v, []byte(`"new"`))
		return "new", true
	}
	return left, ok || root
}
