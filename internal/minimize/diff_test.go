package minimize

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/validate"
	"tocsin/stix"
)

func TestDiffShowsWhatChanged(t *testing.T) {
	in := parse(t, bundle(sdo("malware", 1, `"name":"Bot","is_family":false,"labels":["a","x"],"description":"A long text that says nothing, then jane@corp.example, and then more that says nothing"`)))
	out := newGate(t).Apply(in)
	var got []string
	for _, c := range Diff(in.Objects()[0].Value().Raw(), out.Objects()[0].Raw()) {
		if c.At != "/id" && c.At != "/created_by_ref" {
			got = append(got, fmt.Sprintf("%s: %s -> %s", c.At, c.Before, c.After))
		}
	}
	want := []string{"/description: …that says nothing, then jane@corp.example, and then more that say… -> …that says nothing, then [email-1], and then more that say…"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Diff (-want +got):\n%s", diff)
	}
	if c := Diff([]byte(`{"a":["x","y","z"],"b":1}`), []byte(`{"a":["y","z"]}`)); len(c) != 2 || c[0].At != "/a/0" || !c[0].Gone || c[1].At != "/b" || !c[1].Gone {
		t.Errorf("Diff of removals = %+v", c)
	}
}

func FuzzGate(f *testing.F) {
	for _, s := range []string{
		"victim Jane Roe, SSN 078-05-1120, card 4111 1111 1111 1111", "C:\\Users\\jroe\\x", "jane[at]corp[dot]example", "\u200b０７８-05-1120",
		"password=Summer2024! Authorization: Basic amFuZTpwdw==", "https://a:b@c.example/?token=a1b2c3d4e5", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqYW5lIn0.c2ln",
		"NL61ABNA9053473898", "12 Oak St, Springfield, IL 62701", "[email-1] [user-name-99]", "Dear Jane,", "MDc4LTA1LTExMjA=", "To: Jane Roe <jane@corp.example>",
	} {
		f.Add(s)
	}
	g, err := New(Options{Secret: []byte("a secret for tests, 32 bytes long")})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		in, err := validate.Parse(bundle(note(1, strings.ToValidUTF8(s, "?")), sco("domain-name", 2, `"value":"evil.example"`)), validate.Options{})
		if err != nil {
			t.Skip(err)
		}
		out := g.Apply(in)
		var objects []string
		for _, o := range out.Objects() {
			v, err := stix.Parse(o.Raw(), stix.Limits{})
			if err != nil {
				t.Fatalf("a result is not JSON: %v", err)
			}
			if made, problems := validate.NewObject(v); made.ID() == "" {
				t.Fatalf("a result is not valid STIX: %v", problems)
			}
			objects = append(objects, string(o.Raw()))
		}
		again := g.Apply(parse(t, bundle(objects...)))
		if first, second := string(raw(out)), string(raw(again)); first != second {
			t.Fatalf("a second pass changed something:\n%q\n%s\n%s\n%v", s, first, second, again.Findings())
		}
	})
}
