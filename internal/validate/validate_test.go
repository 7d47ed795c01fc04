package validate

import (
	"errors"
	"strings"
	"testing"

	"tocsin"
	"tocsin/stix"
)

const (
	good = `{"type":"indicator","spec_version":"2.1","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2026-01-01T00:00:00.000Z",` +
		`"modified":"2026-01-02T00:00:00.000Z","pattern":"[ipv4-addr:value = '198.51.100.7']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`
	observable = `{"type":"ipv4-addr","id":"ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4","value":"198.51.100.3"}`
	statement  = `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41d1",` +
		`"created":"2017-01-20T00:00:00.000Z","definition_type":"statement","definition":{"statement":"x"}}`
)

func TestBundlesEnvelopesAndSingleObjectsAreRead(t *testing.T) {
	for name, text := range map[string]string{
		"bundle":   `{"type":"bundle","id":"bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","objects":[` + good + `]}`,
		"envelope": ` {"objects":[` + good + `]} `,
		"object":   good,
	} {
		b, err := Parse([]byte(text), Options{})
		if err != nil || len(b.Objects()) != 1 || len(b.Rejected()) != 0 {
			t.Fatalf("%s: Parse = %d objects, %d rejected, %v, want one object", name, len(b.Objects()), len(b.Rejected()), err)
		}
		o := b.Objects()[0]
		if string(o.Value().Raw()) != good || o.Type() != "indicator" || o.Version() != "2026-01-02T00:00:00.000Z" || o.Modified().Day() != 2 {
			t.Errorf("%s: object = %s %s %s, want the indicator byte for byte", name, o.ID(), o.Type(), o.Version())
		}
	}
}

func TestVersionsAreNamedAsTAXIINamesThem(t *testing.T) {
	b, err := Parse([]byte(`{"objects":[`+observable+`,`+statement+`]}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if o := b.Objects()[0]; o.Version() != "" || !o.Modified().IsZero() {
		t.Errorf("an observable's version = %q, want none", o.Version())
	}
	if o := b.Objects()[1]; o.Version() != "2017-01-20T00:00:00.000Z" {
		t.Errorf("a marking-definition's version = %q, want created", o.Version())
	}
}

func TestOneBadObjectDoesNotHoldUpTheOthers(t *testing.T) {
	bad := strings.Replace(good, `"modified":"2026-01-02T00:00:00.000Z"`, `"modified":"2025-01-02T00:00:00.000Z"`, 1)
	b, err := Parse([]byte(`{"objects":[`+good+`,`+bad+`,7,{"id":"secret stuff"}]}`), Options{})
	if err != nil || len(b.Objects()) != 1 || len(b.Rejected()) != 3 {
		t.Fatalf("Parse = %d objects, %d rejected, %v, want 1 and 3", len(b.Objects()), len(b.Rejected()), err)
	}
	r := b.Rejected()[0]
	if r.At != "/objects/1" || r.ID == "" || r.Version != "2025-01-02T00:00:00.000Z" {
		t.Errorf("rejection = %+v, want place, id and version", r)
	}
	if e := r.Error(); e.Kind != tocsin.Invalid || e.At != "/objects/1/modified" || e.Clause == "" {
		t.Errorf("rejection = %v at %s, want a pointer from the root and a clause", e, e.At)
	}
	if r := b.Rejected()[2]; r.ID != "" {
		t.Errorf("a malformed id is repeated: %q", r.ID)
	}
}

func TestWhatCannotBeUsedAtAllIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		options Options
		want    tocsin.Kind
	}{
		"nothing":           {"", Options{}, tocsin.Malformed},
		"no JSON":           {"alarm!", Options{}, tocsin.Malformed},
		"two documents":     {good + good, Options{}, tocsin.Malformed},
		"duplicate objects": {`{"objects":[` + good + `],"objects":[]}`, Options{}, tocsin.Malformed},
		"duplicate marking": {`{"objects":[{"object_marking_refs":["a"],"object_marking_refs":[]}]}`, Options{}, tocsin.Malformed},
		"array":             {"[" + good + "]", Options{}, tocsin.Invalid},
		"null":              {"null", Options{}, tocsin.Invalid},
		"no objects":        {`{"more":false}`, Options{}, tocsin.Invalid},
		"empty list":        {`{"objects":[]}`, Options{}, tocsin.Invalid},
		"objects no list":   {`{"objects":{}}`, Options{}, tocsin.Invalid},
		"all objects bad":   {`{"objects":[{},{}]}`, Options{}, tocsin.Invalid},
		"too many objects":  {`{"objects":[1,2,3]}`, Options{Objects: 2}, tocsin.TooLarge},
		"too many bytes":    {good, Options{Bytes: 10}, tocsin.TooLarge},
		"a list in another": {`{"type":"observed-data","id":"observed-data--b67d30ff-02ac-498a-92f9-32f845f448cf","objects":[` + good + `]}`, Options{}, tocsin.Invalid},
		"bad pattern":       {strings.Replace(good, "[ipv4-addr", "(ipv4-addr", 1), Options{}, tocsin.Invalid},
	} {
		_, err := Parse([]byte(c.text), c.options)
		var e *tocsin.Error
		if !errors.As(err, &e) || e.Kind != c.want || e.Message == "" {
			t.Errorf("%s: Parse = %v, want kind %d", name, err, c.want)
		}
	}
}

// What was submitted is not in any error: it may be what must not be seen.
func FuzzErrorsDoNotRepeatTheInput(f *testing.F) {
	for _, s := range []string{good, observable, statement, `{"objects":[` + good + `]}`, `{"type":"x","id":7}`, `[`, `{"a":1,"a":2}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const canary = "k4n4ry"
		marked := strings.ReplaceAll(text, "198", canary)
		b, err := Parse([]byte(marked), Options{})
		if err != nil && strings.Contains(marked, canary) && strings.Contains(err.Error(), canary) {
			var e *tocsin.Error
			if !errors.As(err, &e) || !strings.Contains(e.At, canary) { // a pointer names the sender's own properties
				t.Errorf("Parse = %v repeats the input", err)
			}
		}
		for _, o := range b.Objects() {
			if again, err := stix.Parse(o.Value().Raw(), stix.Limits{}); err != nil || again.Get("id").Text() != o.ID() {
				t.Errorf("object %s does not parse by itself: %v", o.ID(), err)
			}
		}
	})
}
