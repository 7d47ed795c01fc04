package pattern_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"tocsin/stix/pattern"
)

// bundle returns a decoded bundle, with the numbers as json.Number if asked to.
func bundle(t *testing.T, objects string, numbers bool) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(`{"type": "bundle", "objects": [` + objects + `]}`))
	if numbers {
		d.UseNumber()
	}
	var b map[string]any
	if err := d.Decode(&b); err != nil {
		t.Fatal(err)
	}
	return b
}

const window = `"type": "observed-data", "first_observed": "2024-05-01T12:00:00Z", "last_observed": "2024-05-01T12:00:01.5Z"`

func TestObservationsAreReadFromBundles(t *testing.T) {
	const file = `{"type": "file", "id": "file--1", "size": 5}, {"type": "file", "id": "file--2", "size": 6}, {"id": "x--1", "size": 7}`
	for name, c := range map[string]struct {
		observed string
		numbers  bool
		matches  []string
		not      []string
	}{
		"object_refs": {
			observed: `"number_observed": 2, "object_refs": ["file--1", "x--1", "missing--1", 5]`,
			matches:  []string{"[file:size = 5]", "[file:size = 5] REPEATS 2 TIMES"},
			not:      []string{"[file:size = 6]", "[file:size = 7]", "[file:size = 5] REPEATS 3 TIMES"},
		},
		"dictionary": {
			observed: `"number_observed": 1, "objects": {"0": {"type": "file", "size": 8, "parent_ref": "1"}, "1": {"type": "directory", "path": "/"}, "2": 3}`,
			matches:  []string{"[file:size = 8]", "[file:parent_ref.path = '/']"},
			not:      []string{"[file:size = 5]"},
		},
		"json.Number": {
			observed: `"number_observed": 1, "object_refs": ["file--1"]`, numbers: true,
			matches: []string{"[file:size = 5]", "[file:size > 4.5]", "[file:size IN (4, 5)]"},
			not:     []string{"[file:size = '5']", "[file:size LIKE '5']", "[file:size != 5]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			seen, err := pattern.FromBundle(bundle(t, file+`, {`+window+`, `+c.observed+`}`, c.numbers))
			if err != nil || len(seen) != 1 {
				t.Fatalf("FromBundle = %v, %v, want one observation", seen, err)
			}
			for _, text := range append(c.matches, c.not...) {
				m, err := mustParse(t, text).Compile()
				if err != nil {
					t.Fatal(err)
				}
				want := false
				for _, s := range c.matches {
					want = want || s == text
				}
				if got, err := m.Match(seen); err != nil || got.Matched != want {
					t.Errorf("Match(%q) = %v, %v, want %t", text, got, err, want)
				}
			}
		})
	}
}

func TestObservationsThatCannotBeReadAreAnError(t *testing.T) {
	const refs = `"object_refs": []`
	for name, object := range map[string]string{
		"no times":                  `{"type": "observed-data", "number_observed": 1, ` + refs + `}`,
		"a time that is no text":    `{"type": "observed-data", "first_observed": 1, "last_observed": "2024-05-01T12:00:00Z", "number_observed": 1, ` + refs + `}`,
		"a day that does not exist": `{"type": "observed-data", "first_observed": "2024-02-30T12:00:00Z", "last_observed": "2024-05-01T12:00:00Z", "number_observed": 1, ` + refs + `}`,
		"times in the wrong order":  `{"type": "observed-data", "first_observed": "2024-05-01T12:00:01Z", "last_observed": "2024-05-01T12:00:00Z", "number_observed": 1, ` + refs + `}`,
		"no number":                 `{` + window + `, ` + refs + `}`,
		"a number that is text":     `{` + window + `, "number_observed": "1", ` + refs + `}`,
		"number 0":                  `{` + window + `, "number_observed": 0, ` + refs + `}`,
		"a fraction":                `{` + window + `, "number_observed": 1.5, ` + refs + `}`,
		"a billion":                 `{` + window + `, "number_observed": 1000000000, ` + refs + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := pattern.FromBundle(bundle(t, object, false)); !errors.Is(err, pattern.ErrNotObserved) {
				t.Errorf("FromBundle = %v, %v, want ErrNotObserved", got, err)
			}
		})
	}
	if got, err := pattern.FromBundle(map[string]any{"objects": []any{1, map[string]any{"type": "file"}}}); err != nil || len(got) != 0 {
		t.Errorf("FromBundle without observed-data = %v, %v, want none", got, err)
	}
}

func TestPatternsLogWithoutTheirContent(t *testing.T) {
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("read", "pattern", mustParse(t, "[a:zebra = 'zebra']"))
	if got := b.String(); strings.Contains(got, "zebra") || !strings.Contains(got, "pattern.bytes=19 pattern.comparisons=1") {
		t.Errorf("logged %q, want sizes and no content", got)
	}
}

func TestHashesHaveTheLengthOfTheirAlgorithm(t *testing.T) {
	for algorithm, size := range map[string]int{
		"MD5": 32, "SHA-1": 40, "RIPEMD-160": 40, "SHA-224": 56, "SHA3-224": 56, "SHA-256": 64, "SHA3-256": 64, "sha256": 64,
		"SHA-384": 96, "SHA3-384": 96, "SHA-512": 128, "SHA3-512": 128, "WHIRLPOOL": 128, "MD6": 96,
	} {
		text := func(size int) string {
			return "[file:hashes." + pattern.Quote(algorithm) + " = '" + strings.Repeat("aF", size/2) + "']"
		}
		mustParse(t, text(size))
		if _, err := pattern.Parse(text(size + 2)); err == nil {
			t.Errorf("Parse takes a %s of %d digits", algorithm, size+2)
		}
	}
	mustParse(t, "[file:hashes.MD5 = '']") // asks for a property that is empty
	mustParse(t, "[file:hashes.x.MD5 = 'x' OR file:MD5 = 'x' OR hashes:hashes[0] = 'x']")
}
