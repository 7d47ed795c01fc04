package detect

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// words reads the word lists of the default rules.
func words(t testing.TB) Words {
	t.Helper()
	text, err := os.ReadFile("../rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Words Words `yaml:"words"`
	}
	if err := yaml.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	return f.Words
}

// corpus reads a file of real sentences, which are not kept in the repository.
func corpus(t testing.TB, name string, into any) {
	t.Helper()
	dir := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // only tests ask where the corpora are
	if dir == "" {
		t.Skip("TOCSIN_DATA is not set")
	}
	f, err := os.Open(filepath.Join(dir, name))
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
	if err := json.NewDecoder(r).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// Threat reports are about programs and attackers; nearly all that is found in
// them would be a mistake.
func TestThreatReportsAreLeftAlone(t *testing.T) {
	var c struct {
		Sentences []string `json:"sentences"`
	}
	corpus(t, "pii/cti_sentences.json.gz", &c)
	d := New(words(t))
	n := 0
	for _, s := range c.Sentences {
		for _, sp := range d.Find(nil, s, All) {
			n++
			t.Logf("%s %q in %.160q", sp.Kind, s[sp.Start:sp.End], s)
		}
	}
	t.Logf("%d findings in %d sentences", n, len(c.Sentences))
	if n > 5 {
		t.Errorf("%d findings in %d sentences, want at most 5", n, len(c.Sentences))
	}
}
