package minimize

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/internal/validate"
)

func newGate(t testing.TB) *Gate {
	t.Helper()
	g, err := New(Options{Secret: []byte("a secret for tests, 32 bytes long"), Creator: "identity--6d3cbb4e-2f2a-4a8e-9df0-0f0d3d6a1c11"})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func parse(t testing.TB, text []byte) validate.Bundle {
	t.Helper()
	b, err := validate.Parse(text, validate.Options{Bytes: 256 << 20})
	if err != nil {
		t.Fatalf("Parse: %v\n%s", err, text[:min(len(text), 400)])
	}
	return b
}

// raw joins what may be shared.
func raw(b Bundle) []byte {
	var out bytes.Buffer
	for _, o := range b.Objects() {
		out.Write(o.Raw())
		out.WriteByte('\n')
	}
	return out.Bytes()
}

func dataFile(t testing.TB, name string) []byte {
	t.Helper()
	dir := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // only tests ask where the corpora are
	if dir == "" {
		t.Skip("TOCSIN_DATA is not set")
	}
	path := filepath.Join(dir, name)
	if strings.HasSuffix(name, ".xz") {
		out, err := exec.Command("xz", "-dc", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

type planted struct {
	Template       string          `json:"template"`
	Bundle         json.RawMessage `json:"bundle"`
	MustNotSurvive []struct {
		Type  string `json:"type"`
		Value string `json:"value"`
	} `json:"must_not_survive"`
	MustSurvive []string `json:"must_survive"`
}

// contains reports whether the shared text holds a value, plain or as JSON
// escapes it.
func contains(text []byte, value string) bool {
	escaped, _ := json.Marshal(value)
	return bytes.Contains(text, []byte(value)) || bytes.Contains(text, escaped[1:len(escaped)-1])
}

func TestPlantedPersonalDataGoesAndThreatsStay(t *testing.T) {
	var corpus struct {
		Cases []planted `json:"cases"`
	}
	if err := json.Unmarshal(dataFile(t, "pii/stix_submissions_planted.json.gz"), &corpus); err != nil {
		t.Fatal(err)
	}
	g := newGate(t)
	gone, all := map[string]int{}, map[string]int{}
	kept, keeps := 0, 0
	for n, c := range corpus.Cases {
		in := parse(t, c.Bundle)
		out := g.Apply(in)
		checkProperties(t, in, out)
		text := raw(out)
		for _, v := range c.MustNotSurvive {
			all[v.Type]++
			if contains(text, v.Value) {
				t.Logf("case %d (%s): a %s survived: %s\n%s", n, c.Template, v.Type, v.Value, text)
			} else {
				gone[v.Type]++
			}
		}
		for _, v := range c.MustSurvive {
			keeps++
			if contains(text, v) {
				kept++
			} else {
				t.Errorf("case %d (%s): the threat's %q was lost\n%s", n, c.Template, v, text)
			}
		}
		if len(c.MustNotSurvive) == 0 && len(out.Findings()) > 0 {
			t.Errorf("case %d (%s): findings where there is nothing to find: %v", n, c.Template, out.Findings())
		}
	}
	for kind, n := range all {
		t.Logf("%s: %d of %d gone", kind, gone[kind], n)
		if gone[kind] != n {
			t.Errorf("%s: %d of %d gone, want all", kind, gone[kind], n)
		}
	}
	t.Logf("threat values: %d of %d kept", kept, keeps)
}

// ATT&CK describes attackers in the words of published reports: what is found
// in it is a mistake, a person whom it names, or an attacker's address that
// nothing says is one.
func TestATTACKIsHardlyChanged(t *testing.T) {
	b := parse(t, dataFile(t, "stix/bundles/attack-enterprise.json.xz"))
	out := newGate(t).Apply(b)
	before := map[string][]byte{}
	for _, o := range b.Objects() {
		before[o.ID()] = o.Value().Raw()
	}
	changed := 0
	for _, o := range out.Objects() {
		if o.Original() == "" {
			continue
		}
		changed++
		for _, c := range Diff(before[o.Original()], o.Raw()) {
			if c.At != "/id" && !strings.HasSuffix(c.At, "_ref") {
				t.Logf("%s%s: %q -> %q", o.Original(), c.At, c.Before, c.After)
			}
		}
	}
	t.Logf("%d objects: %d findings, %d changed with their referrers, %d dropped",
		len(b.Objects()), len(out.Findings()), changed, len(b.Objects())-len(out.Objects()))
	if len(out.Findings()) > 12 || len(out.Objects()) != len(b.Objects()) {
		t.Errorf("%d findings and %d of %d objects, want at most 12 and all", len(out.Findings()), len(out.Objects()), len(b.Objects()))
	}
}
