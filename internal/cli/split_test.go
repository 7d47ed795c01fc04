package cli

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"tocsin/stix"
)

// split returns the pieces of a text: elements as "pointer line:column text",
// shells as "shell text".
func split(t *testing.T, r io.Reader) (pieces []string) {
	t.Helper()
	s := newSplitter(r)
	for {
		p, err := s.next()
		if errors.Is(err, io.EOF) {
			return pieces
		}
		if err != nil {
			t.Fatalf("next: %v", err)
		}
		kind := p.pointer
		if p.shell {
			kind = "shell"
		}
		pieces = append(pieces, strings.TrimSpace(kind+" "+grouped(p.line)+":"+grouped(p.column)+" "+string(p.raw)))
	}
}

func TestTextSplitsIntoObjects(t *testing.T) {
	tests := map[string]struct {
		in   string
		want []string
	}{
		"nothing":              {" \n", nil},
		"an object":            {`{"id": "a"}`, []string{`1:1 {"id": "a"}`}},
		"lines":                {"{}\n{\"a\":1}\n", []string{"1:1 {}", `2:1 {"a":1}`}},
		"a bundle":             {"{\"type\":\"bundle\",\n \"objects\": [{\"a\":[1,{}]},\n  {} ] }", []string{`/objects/0 2:14 {"a":[1,{}]}`, "/objects/1 3:3 {}", "shell 1:1 {\"type\":\"bundle\",\n \"objects\": [] }"}},
		"an empty bundle":      {`{"objects":[ ],"more":false}`, []string{`shell 1:1 {"objects":[],"more":false}`}},
		"two bundles":          {`{"objects":[1]}{"objects":[2]}`, []string{"/objects/0 1:13 1", `shell 1:1 {"objects":[]}`, "/objects/0 1:28 2", `shell 1:16 {"objects":[]}`}},
		"brackets in strings":  {`{"objects":["]\"}",{"x":"["}]}`, []string{`/objects/0 1:13 "]\"}"`, `/objects/1 1:20 {"x":"["}`, `shell 1:1 {"objects":[]}`}},
		"an observed-data":     {`{"type":"observed-data","objects":{"0":[1]}}`, []string{`1:1 {"type":"observed-data","objects":{"0":[1]}}`}},
		"objects inside":       {`{"a":{"objects":[1]}}`, []string{`1:1 {"a":{"objects":[1]}}`}},
		"objects as a value":   {`{"a":"objects","b":[1]}`, []string{`1:1 {"a":"objects","b":[1]}`}},
		"a second list":        {`{"objects":[1],"objects":[2]}`, []string{"/objects/0 1:13 1", `shell 1:1 {"objects":[],"objects":[2]}`}},
		"a list":               {`[1, 2]`, []string{"1:1 [1, 2]"}},
		"words":                {"not json\nat all", []string{"1:1 not", "1:5 json", "2:1 at", "2:4 all"}},
		"cut in an object":     {`{"objects":[{"a":`, []string{`/objects/0 1:13 {"a":`, `shell 1:1 {"objects":[`}},
		"cut after an object":  {`{"objects":[1,`, []string{"/objects/0 1:13 1", `shell 1:1 {"objects":[`}},
		"cut around":           {`{"objects":[1],"x`, []string{"/objects/0 1:13 1", `shell 1:1 {"objects":[],"x`}},
		"a comma too many":     {`{"objects":[1,]}`, []string{"/objects/0 1:13 1", "/objects/1 1:15", `shell 1:1 {"objects":[]}`}},
		"a bracket too many":   {`{"objects":[1}]}`, []string{"/objects/0 1:13 1}", `shell 1:1 {"objects":[]}`}},
		"more closed than was": {`{}]`, []string{"1:1 {}", "1:3 ]"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, split(t, strings.NewReader(tt.in))); diff != "" {
				t.Errorf("split(%q) (-want +got):\n%s", tt.in, diff)
			}
			if diff := cmp.Diff(tt.want, split(t, iotest.OneByteReader(strings.NewReader(tt.in)))); diff != "" {
				t.Errorf("split(%q) byte by byte (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

func TestSplittingHoldsOneObjectAtATime(t *testing.T) {
	const objects, size = 300, 100 << 10
	object := `{"x":"` + strings.Repeat("y", size) + `"}`
	text := `{"objects":[` + strings.Repeat(object+",", objects-1) + object + `]}`
	s := newSplitter(strings.NewReader(text))
	for range objects {
		if p, err := s.next(); err != nil || string(p.raw) != object {
			t.Fatalf("next = %d bytes, %v, want the object", len(p.raw), err)
		}
	}
	if held := cap(s.buf); held > 8*size {
		t.Errorf("the splitter holds %d bytes for objects of %d", held, size)
	}
}

func TestObjectThatIsTooLargeIsRefusedBeforeItIsRead(t *testing.T) {
	endless := func(prefix, body string) io.Reader {
		return io.MultiReader(strings.NewReader(prefix), &repeater{text: body})
	}
	for name, r := range map[string]io.Reader{
		"in a list":           endless(`{"objects":[{"x":[`, "1,"),
		"a string in a list":  endless(`{"objects":[{"x":"`, "y"),
		"by itself":           endless(`{"x":[`, "1,"),
		"a string by itself":  endless(`{"x":"`, "y"),
		"no JSON":             endless(``, "y"),
		"space at the end of": endless(`{"objects":[[`, " "),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := newSplitter(r).next(); !errors.Is(err, errPieceTooLarge) {
				t.Errorf("next = %v, want %v", err, errPieceTooLarge)
			}
		})
	}
}

// repeater is a text without an end.
type repeater struct{ text string }

func (r *repeater) Read(b []byte) (n int, err error) {
	for n+len(r.text) <= len(b) {
		n += copy(b[n:], r.text)
	}
	return n, nil
}

func TestReadersFaultIsReported(t *testing.T) {
	fault := errors.New("disk")
	s := newSplitter(io.MultiReader(strings.NewReader(`{"objects":[1,2`), iotest.ErrReader(fault)))
	if _, err := s.next(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.next(); !errors.Is(err, fault) {
		t.Errorf("next = %v, want %v", err, fault)
	}
}

// FuzzSplit compares the splitter with the parser: of every text that the
// parser takes, both must find the same objects.
func FuzzSplit(f *testing.F) {
	f.Add([]byte(`{"type":"bundle","objects":[{"a":"\\"},[1,2] , 3],"x":{}}`))
	f.Add([]byte(`{"objects":{"0":1},"a":[]}`))
	f.Add([]byte(`{"a":"objects","objects":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		root, err := stix.Parse(text, stix.Limits{})
		s := newSplitter(bytes.NewReader(text))
		var raw []string
		for {
			p, err := s.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("next(%q): %v", text, err)
			}
			if !p.shell {
				raw = append(raw, string(p.raw))
			}
			if at := text[p.offset:]; !p.shell && !bytes.HasPrefix(at, p.raw) {
				t.Fatalf("next(%q): %q is not at %d", text, p.raw, p.offset)
			}
		}
		if err != nil || bytes.Contains(text, []byte(`\u`)) { // a name may be spelled in escapes; then nothing is split off
			return
		}
		var want []string
		if objects := root.Get("objects"); objects.Kind() == stix.Array {
			for _, v := range objects.Elements() {
				want = append(want, string(v.Raw()))
			}
		} else {
			want = []string{string(root.Raw())}
		}
		if diff := cmp.Diff(want, raw); diff != "" {
			t.Errorf("split(%q) (-parsed +split):\n%s", text, diff)
		}
	})
}

func BenchmarkSplit(b *testing.B) {
	object := `{"type":"indicator","pattern":"[domain-name:value = 'login.example.net']","labels":["a","b"],"x":{"y":[1,2,3]}}`
	text := []byte(`{"type":"bundle","objects":[` + strings.Repeat(object+",\n", 20_000) + object + `]}`)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s := newSplitter(bytes.NewReader(text))
		for {
			if _, err := s.next(); err != nil {
				break
			}
		}
	}
}
