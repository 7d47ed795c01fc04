package stix_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/stix"
)

// corpora returns the text of every JSON file of the shared STIX data.
func corpora(t *testing.T) map[string][]byte {
	t.Helper()
	texts := map[string][]byte{}
	root := dataFile(t, "")
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		at, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		switch filepath.Ext(name) {
		case ".json":
			texts[at], err = os.ReadFile(name)
		case ".gz":
			texts[at], err = gunzipped(name)
		case ".xz":
			if xz, missing := exec.LookPath("xz"); missing == nil {
				texts[at], err = exec.Command(xz, "--decompress", "--stdout", name).Output()
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func gunzipped(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// objectsIn yields all objects with a type that are in a value, at any depth:
// those of bundles, of cases, of observed data.
func objectsIn(v stix.Value, yield func(stix.Value)) {
	if v.Get("type").Kind() == stix.String {
		yield(v)
	}
	for _, e := range v.Elements() {
		objectsIn(e, yield)
	}
	for _, e := range v.Members() {
		objectsIn(e, yield)
	}
}

// TestEveryByteOfEveryCorpusStays reads every object of every corpus and writes
// it again, unchanged and with one property changed, taken out, marked and as a
// new version: what was not touched has the bytes that it had.
func TestEveryByteOfEveryCorpusStays(t *testing.T) {
	total := 0
	for name, text := range corpora(t) {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(text)
			v, err := stix.Parse(text, stix.Limits{Bytes: 1 << 30, Members: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			if string(stix.Edit(v).Bytes()) != strings.Trim(string(text), " \t\r\n") {
				t.Error("the whole text is not written as it was read")
			}
			objectsIn(v, func(o stix.Value) {
				if len(o.Raw()) > stix.DefaultBytes {
					return // a bundle: the objects in it have their turn
				}
				total++
				staysThroughEdits(t, o, total)
			})
			if !bytes.Equal(text, before) {
				t.Error("the text that was read has changed")
			}
		})
	}
	if total < 25_000 {
		t.Errorf("%d objects, want at least those of ATT&CK", total)
	}
}

// staysThroughEdits edits the property of o whose turn it is.
func staysThroughEdits(t *testing.T, o stix.Value, turn int) {
	t.Helper()
	alone, err := stix.Parse(slices.Clone(o.Raw()), stix.Limits{})
	if err != nil {
		t.Fatalf("Parse of an object alone = %v, but it is one among others", err)
	}
	if got := stix.Edit(o).Bytes(); !bytes.Equal(got, o.Raw()) || !bytes.Equal(alone.Raw(), o.Raw()) {
		t.Errorf("%s is written as %s", o.Raw(), got)
	}
	var names []string
	for name := range o.Members() {
		names = append(names, name)
	}
	chosen := names[turn%len(names)]
	replaced := stix.Edit(o)
	replaced.Replace(o.Get(chosen), []byte(`{"x":[1.50,"2020-01-01T00:00:00.0Z"]}`))
	keepsTheRest(t, o, parsed(t, replaced.Bytes()), chosen)
	removed := stix.Edit(o)
	removed.Remove(o.Get(chosen))
	keepsTheRest(t, o, parsed(t, removed.Bytes()), chosen)

	if marked, err := stix.AddMarkings(o, []string{"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"}, stix.WholeObject()); err == nil {
		keepsTheRest(t, o, parsed(t, marked), "object_marking_refs")
		if cleared, err := stix.ClearMarkings(parsed(t, marked), stix.WholeObject()); err == nil {
			keepsTheRest(t, o, parsed(t, cleared), "object_marking_refs")
		}
	}
	if next, err := stix.NewVersion(o, time.Now()); err == nil {
		keepsTheRest(t, o, parsed(t, next), "modified")
	}
}
