package minimize

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

// A damage is what the gate did to bundles that hold next to nothing personal:
// what changed is wrong until somebody has looked at it.
type damage struct {
	bundles, objects, texts, indicators, values int // what there was
	patterns                                    int // indicators whose pattern changed
	lost                                        int // observables whose value changed, which an indicator would be made of
	dropped                                     int // objects that are not there any more
	changed                                     int // texts that changed, those of dropped objects included
	spoken                                      int // of these, in which a detector masked something
	samples                                     map[string][]string
}

// sample keeps what changed, by kind of placeholder or of object.
func (d *damage) sample(kind, text string) {
	if d.samples == nil {
		d.samples = map[string][]string{}
	}
	d.samples[kind] = append(d.samples[kind], text)
}

// indicative are the properties of observables that defenses look for.
func indicative(o stix.Value) string {
	if value := o.Get("value"); value.Exists() && observable(o.Get("type").Text()) && !o.Get("type").Is("email-addr") {
		return value.Text()
	}
	return string(o.Get("hashes").Raw())
}

var placed = regexp.MustCompile(`(?:\[|%5B)([a-z]+(?:-[a-z]+)?)-[0-9]+(?:\]|%5D)`)

// measure runs one bundle through a gate and adds up what it did.
func (d *damage) measure(g *Gate, name string, in validate.Bundle) {
	d.bundles++
	before := map[string]stix.Value{}
	for _, o := range in.Objects() {
		before[o.ID()+o.Version()] = o.Value()
		d.objects++
		d.texts += texts(o.Value())
		if o.Type() == "indicator" {
			d.indicators++
		}
		if indicative(o.Value()) != "" {
			d.values++
		}
	}
	out := g.Apply(in)
	for _, o := range out.Objects() {
		id := o.ID()
		if o.Original() != "" {
			id = o.Original()
		}
		was := before[id+o.Version()]
		delete(before, id+o.Version())
		if o.Original() == "" || !was.Exists() {
			continue
		}
		if o.Type() == "indicator" && was.Get("pattern").Text() != o.Value().Get("pattern").Text() {
			d.patterns++
			d.sample("PATTERN", name+": "+was.Get("pattern").Text()+" -> "+o.Value().Get("pattern").Text())
		}
		if indicative(was) != indicative(o.Value()) {
			d.lost++
			d.sample("INDICATOR", name+": "+indicative(was)+" -> "+indicative(o.Value()))
		}
		for _, c := range Diff(was.Raw(), o.Raw()) {
			if c.At == "/id" || strings.HasSuffix(c.At, "_ref") || strings.Contains(c.At, "_refs/") {
				continue
			}
			d.changed++
			kind := o.Type() + ": removed " + c.At
			if m := placed.FindStringSubmatch(c.After); m != nil {
				kind = m[1]
				d.spoken++
			}
			d.sample(kind, name+" "+o.Type()+c.At+": "+shortly(c.Before)+" -> "+shortly(c.After))
		}
	}
	for _, v := range before { // what is left has gone
		d.dropped++
		d.changed += texts(v)
		d.sample("DROPPED "+v.Get("type").Text(), name+": "+shortly(string(v.Raw())))
	}
}

func shortly(text string) string { return text[:min(len(text), 240)] }

// log shows what changed, some of each kind.
func (d *damage) log(t *testing.T, most int) {
	for _, kind := range slices.Sorted(maps.Keys(d.samples)) {
		t.Logf("%s: %d", kind, len(d.samples[kind]))
		for _, s := range d.samples[kind][:min(most, len(d.samples[kind]))] {
			t.Logf("    %s", s)
		}
	}
}

// realBundles yields every bundle of the shared folder.
func realBundles(t *testing.T, yield func(name string, in validate.Bundle)) {
	dir := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // only tests ask where the corpora are
	if dir == "" {
		t.Skip("TOCSIN_DATA is not set")
	}
	err := filepath.WalkDir(filepath.Join(dir, "stix"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.Contains(filepath.Base(path), ".json") {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		// What is no bundle is there for other tests.
		in, err := validate.Parse(dataFile(t, name), validate.Options{Bytes: 256 << 20, Objects: 1 << 20})
		if err == nil && len(in.Objects()) > 0 {
			yield(name, in)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMeasureDamage bounds what the gate does to real bundles, to the indicators
// of feeds and to the sentences of threat reports, none of which hold anything
// personal that a defender does not need. With -v it shows what changed.
func TestMeasureDamage(t *testing.T) {
	if testing.Short() {
		t.Skip("reads all real bundles")
	}
	g, most := newGate(t), 12
	if os.Getenv("TOCSIN_SAMPLES") == "all" { //nolint:forbidigo // a switch of the measurement
		most = 1 << 20
	}
	var d damage
	realBundles(t, func(name string, in validate.Bundle) { d.measure(g, name, in) })
	d.log(t, most)
	t.Logf("%d bundles, %d objects: %d of %d patterns and %d of %d observables' values changed, %d objects dropped, %d of %d texts changed (%.3f %%), %d of them by detectors, the others by the rule for their property",
		d.bundles, d.objects, d.patterns, d.indicators, d.lost, d.values, d.dropped, d.changed, d.texts, 100*float64(d.changed)/float64(d.texts), d.spoken)
	if d.bundles < 30 || d.indicators < 1000 || d.texts < 500_000 {
		t.Error("the bundles are not all there, and nothing was measured")
	}
	if d.patterns > 0 || d.lost > 0 {
		t.Errorf("%d patterns and %d values were damaged, want none", d.patterns, d.lost)
	}
	if d.dropped > 0 {
		t.Errorf("%d objects were dropped, want none", d.dropped)
	}
	if d.spoken > 20 {
		t.Errorf("detectors changed %d texts, want at most the 20 that name a person", d.spoken)
	}
	if d.changed*1000 > d.texts*5 {
		t.Errorf("%d of %d texts changed, want less than 0.5 %%", d.changed, d.texts)
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
	if len(c.Sentences) < 2000 || wrong > 0 {
		t.Errorf("%d of %d sentences of threat reports changed, want none", wrong, len(c.Sentences))
	}
}
