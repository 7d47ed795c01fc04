package minimize

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/internal/validate"
	"tocsin/stix"
)

// texts counts the text values of an object.
func texts(v stix.Value) (n int) {
	switch v.Kind() {
	case stix.String:
		return 1
	case stix.Array:
		for _, e := range v.Elements() {
			n += texts(e)
		}
	case stix.Object:
		for _, m := range v.Members() {
			n += texts(m)
		}
	case stix.Absent, stix.Null, stix.Bool, stix.Number:
	}
	return n
}

// TestMeasureDamage prints what the gate changes in real bundles, which hold
// next to nothing personal: an indicator whose pattern changed is damaged, a
// text that changed is wrong until somebody has looked at it.
func TestMeasureDamage(t *testing.T) {
	if testing.Short() {
		t.Skip("reads all real bundles")
	}
	dir := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // only tests ask where the corpora are
	if dir == "" {
		t.Skip("TOCSIN_DATA is not set")
	}
	var files []string
	err := filepath.WalkDir(filepath.Join(dir, "stix"), func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && (strings.HasSuffix(path, ".json") || strings.HasSuffix(path, ".json.xz") || strings.HasSuffix(path, ".json.gz")) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t)
	objects, indicators, damaged, all, changed, bundles := 0, 0, 0, 0, 0, 0
	for _, path := range files {
		name, _ := filepath.Rel(dir, path)
		text := dataFile(t, name)
		in, err := validate.Parse(text, validate.Options{Bytes: 256 << 20, Objects: 1 << 20})
		if err != nil || len(in.Objects()) == 0 {
			continue
		}
		bundles++
		before := map[string]stix.Value{}
		for _, o := range in.Objects() {
			before[o.ID()+o.Version()] = o.Value()
			objects++
			all += texts(o.Value())
			if o.Type() == "indicator" {
				indicators++
			}
		}
		for _, o := range g.Apply(in).Objects() {
			was := before[o.Original()+o.Version()]
			if o.Original() == "" || !was.Exists() {
				continue
			}
			if o.Type() == "indicator" && was.Get("pattern").Text() != o.Value().Get("pattern").Text() {
				damaged++
				t.Logf("%s: pattern %.200q -> %.200q", name, was.Get("pattern").Text(), o.Value().Get("pattern").Text())
			}
			for _, c := range Diff(was.Raw(), o.Raw()) {
				if c.At == "/id" || strings.HasSuffix(c.At, "_ref") || strings.Contains(c.At, "_refs/") || c.At == "/created_by_ref" {
					continue
				}
				changed++
				if changed < 60 {
					t.Logf("%s %s: %q -> %q", name, c.At, c.Before, c.After)
				}
			}
		}
	}
	t.Logf("%d bundles, %d objects: %d of %d patterns changed, %d of %d texts (%.3f %%)",
		bundles, objects, damaged, indicators, changed, all, 100*float64(changed)/float64(max(1, all)))
	if changed*1000 > all*5 {
		t.Error("more than 0.5 % of the texts changed")
	}
	var c struct {
		Sentences []string `json:"sentences"`
	}
	if err := json.Unmarshal(dataFile(t, "pii/cti_sentences.json.gz"), &c); err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for _, s := range c.Sentences {
		if n := len(g.rules.detector.Find(nil, s, g.rules.text.kinds)); n > 0 {
			wrong++
			t.Logf("%q", s)
		}
	}
	t.Logf("%d of %d sentences of threat reports changed", wrong, len(c.Sentences))
}
