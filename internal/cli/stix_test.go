package cli

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/stix"
)

func TestIDsAreThoseOfTheReferenceLibrary(t *testing.T) {
	var file struct {
		Cases []struct {
			Object   json.RawMessage
			ExpectID string `json:"expect_id"`
			Expect   string // "random-uuidv4" in place of an id
		}
	}
	vectors(t, "stix/deterministic_id_cases.json", &file)
	if len(file.Cases) != 276 {
		t.Fatalf("%d cases, want 276", len(file.Cases))
	}
	var objects []json.RawMessage
	for _, c := range file.Cases {
		objects = append(objects, c.Object)
	}
	random := 0
	for i, got := range jsonl[json.RawMessage, identified](t, objects, "stix", "id") {
		c := file.Cases[i]
		if c.Expect == "random-uuidv4" {
			if random++; got.ID == nil || !got.Random || !isRandom(*got.ID) {
				t.Errorf("stix id(%s) = %+v, want a random one", objects[i], got)
			}
			continue
		}
		if got.ID == nil || *got.ID != c.ExpectID || got.Error != "" {
			t.Errorf("stix id(%s) = %+v, want %s", objects[i], got, c.ExpectID)
		}
	}
	if random != 20 {
		t.Errorf("%d objects without an id, want 20", random)
	}
}

// isRandom reports whether an id has a UUIDv4 (RFC 9562 §5.4).
func isRandom(id string) bool {
	_, uuid, ok := stix.SplitID(id)
	return ok && uuid[14] == '4'
}

func TestObservablesOfWhichNothingContributesGetARandomID(t *testing.T) {
	for _, in := range []string{`{"type":"process","pid":1}`, `{"type":"file","size":1}`} {
		a, b := identifyLine([]byte(in)), identifyLine([]byte(in))
		if a.ID == nil || b.ID == nil || *a.ID == *b.ID || !isRandom(*a.ID) || !a.Random || a.Error != "" {
			t.Errorf("stix id(%s) = %+v and %+v, want two random ids", in, a, b)
		}
	}
}

func TestObjectsWithoutADeterministicIDGetTheReason(t *testing.T) {
	const random = "a random UUIDv4 is right (STIX 2.1 §2.9)"
	tests := map[string]struct{ in, want string }{
		"indicator": {`{"type":"indicator","name":"a"}`, random},
		"custom":    {`{"type":"x-thing","value":"a"}`, random},
		"no type":   {`{"value":"a"}`, "an object with a type was expected"},
		"no object": {`["url"]`, "an object with a type was expected"},
		"no JSON":   {`{"type":`, "line: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := identifyLine([]byte(tt.in)); got.ID != nil || !strings.Contains(got.Error, tt.want) {
				t.Errorf("stix id(%s) = %+v, want null and %q", tt.in, got, tt.want)
			}
		})
	}
}

// TestEveryObservableWithAnIDIsAnObservable compares the types that the command
// passes over in files with those that the standard's tables make ids for.
func TestEveryObservableWithAnIDIsAnObservable(t *testing.T) {
	var file struct {
		Cases []struct{ Object struct{ Type string } }
	}
	vectors(t, "stix/deterministic_id_cases.json", &file)
	for _, c := range file.Cases {
		if !observable(c.Object.Type) {
			t.Errorf("observable(%s) = false, and the reference library has an id for it", c.Object.Type)
		}
	}
}

func TestIDsOfFiles(t *testing.T) {
	const id = "domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7"
	dir := write(t, map[string]string{
		"one.json": `{"type":"domain-name","value":"example.com"}`,
		"mixed.json": `{"type":"bundle","objects":[{"type":"indicator","id":"indicator--1"},` + "\n" +
			`{"type":"domain-name","id":"domain-name--1","value":"example.com"},` + "\n" + `{"type":"process","pid":1}]}`,
		"same.json":  `{"type":"domain-name","id":"` + id + `","value":"example.com"}`,
		"none.json":  `{"type":"indicator","id":"indicator--1"}`,
		"words.text": "words",
	})
	tests := map[string]struct {
		file        string
		code        int
		out, errors string
	}{
		"one":             {"one.json", ExitDone, id + "\n", ""},
		"the same id":     {"same.json", ExitDone, id + "\n", ""},
		"some random":     {"mixed.json", ExitDone, id + "\nprocess--RANDOM\n", "mixed.json:3: process: no property"},
		"another id":      {"mixed.json", ExitDone, id + "\nprocess--RANDOM\n", "mixed.json:2: the object has another id: domain-name--1"},
		"no observable":   {"none.json", ExitNo, "", "no cyber-observable"},
		"not to be read":  {"words.text", ExitUsage, "", "words.text:1"},
		"no file at all":  {"gone.json", ExitUsage, "", "no such file"},
		"lines, not both": {"--jsonl", ExitUsage, "", "takes no files"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			args := []string{"stix", "id", filepath.Join(dir, tt.file)}
			if tt.file == "--jsonl" {
				args = []string{"stix", "id", "x", "--jsonl"}
			}
			code, out, errs := call{}.run(t, args...)
			out = regexp.MustCompile(`process--[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`).ReplaceAllString(out, "process--RANDOM")
			if code != tt.code || out != tt.out || !strings.Contains(errs, tt.errors) || (tt.errors == "") != (errs == "") {
				t.Errorf("stix id %s = %d, %q, %q, want %d, %q, %q", tt.file, code, out, errs, tt.code, tt.out, tt.errors)
			}
		})
	}
	code, out, _ := call{stdin: "{\"type\":\"domain-name\",\"value\":\"example.com\"}"}.run(t, "stix", "id")
	if code != ExitDone || out != id+"\n" {
		t.Errorf("stix id of standard input = %d, %q, want 0, %q", code, out, id)
	}
	if code, _, errs := (call{answer: true}).run(t, "stix", "id"); code != ExitUsage || !strings.Contains(errs, "name at least one file") {
		t.Errorf("stix id of a terminal = %d, %q, want 2", code, errs)
	}
	var got struct{ Objects []identified }
	_, out, _ = call{}.run(t, "stix", "id", "--json", filepath.Join(dir, "mixed.json"))
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "mixed.json")
	want := []identified{
		{File: name, Line: 2, Type: "domain-name", ID: new(id), Has: "domain-name--1"},
		{File: name, Line: 3, Type: "process", Random: true},
	}
	if len(got.Objects) == 2 && got.Objects[1].ID != nil && isRandom(*got.Objects[1].ID) {
		want[1].ID = got.Objects[1].ID
	}
	if diff := cmp.Diff(want, got.Objects); diff != "" {
		t.Errorf("stix id --json (-want +got):\n%s", diff)
	}
}

func TestNormalFormTakesAPatternApart(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"string": {
			`[ipv4-addr:value='198.51.100.1']`,
			`{"normal":"[ipv4-addr:value = '198.51.100.1']","atoms":[{"type":"ipv4-addr","property":"value","operator":"=","value":"198.51.100.1"}]}`,
		},
		"in the text's order": {
			`[file:size > 5 AND file:name NOT LIKE 'a%']`,
			`{"normal":"[file:name NOT LIKE 'a%' AND file:size > 5]","atoms":[{"type":"file","property":"size","operator":">","value":5},` +
				`{"type":"file","property":"name","operator":"LIKE","value":"a%","negated":true}]}`,
		},
		"sets and falsehood": {
			`[a:b IN (1.5, 2) OR a:c IN () OR a:d = false]`,
			`{"normal":"[a:b IN (1.5, 2) OR a:c IN () OR a:d = false]","atoms":[{"type":"a","property":"b","operator":"IN","value":[1.5,2]},` +
				`{"type":"a","property":"c","operator":"IN","value":[]},{"type":"a","property":"d","operator":"=","value":false}]}`,
		},
		"what JSON has no type for": {
			`[a:b = t'2026-01-01T00:00:00Z' OR a:c = h'FFd8' OR a:d = b'/9g=']`,
			`{"normal":"[a:b = t'2026-01-01T00:00:00Z' OR a:c = h'ffd8' OR a:d = h'ffd8']","atoms":[` +
				`{"type":"a","property":"b","operator":"=","value":"2026-01-01T00:00:00Z","kind":"timestamp"},` +
				`{"type":"a","property":"c","operator":"=","value":"ffd8","kind":"hex"},` +
				`{"type":"a","property":"d","operator":"=","value":"/9g=","kind":"binary"}]}`,
		},
		"existence": {
			`[NOT EXISTS file:hashes.MD5]`,
			`{"normal":"[NOT EXISTS file:hashes.MD5]","atoms":[{"type":"file","property":"hashes.MD5","operator":"EXISTS","negated":true}]}`,
		},
		"syntax": {
			"[a:b = 1] AND\n[c:d]",
			`{"normal":null,"error":{"message":"expected a comparison operator, found a square bracket","line":2,"column":5,"clause":"STIX 2.1 §9.6.1"}}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			quoted, err := json.Marshal(map[string]string{"pattern": tt.in})
			if err != nil {
				t.Fatal(err)
			}
			code, out, errs := call{stdin: string(quoted)}.run(t, "stix", "normalize", "--jsonl")
			if code != ExitDone || out != tt.want+"\n" {
				t.Errorf("stix normalize(%s) = %d %s%s, want\n%s", tt.in, code, out, errs, tt.want)
			}
		})
	}
	for in, want := range map[string]string{
		`{"pattern":`:          "line: ",
		`{"pattern":["[a:b]"]`: "line: ",
		`{"pattern":1}`:        "pattern: a string",
		`[]`:                   "pattern: a string",
	} {
		if got := normalizeLine([]byte(in)); got.Normal != nil || got.Error == nil || !strings.HasPrefix(got.Error.Message, want) {
			t.Errorf("normalizeLine(%s) = %+v, want %q", in, got, want)
		}
	}
}

func TestSyntaxVerdictsAreThoseOfTheReferenceValidator(t *testing.T) {
	var file struct {
		Cases []struct {
			Pattern string `json:"pattern"`
			Valid   bool   `json:"valid"`
		}
	}
	vectors(t, "stix/pattern_syntax_cases.json", &file)
	if len(file.Cases) != 65 {
		t.Fatalf("%d cases, want 65", len(file.Cases))
	}
	type answer struct {
		Normal *string
		Atoms  []atom
		Error  *patternFault
	}
	for i, got := range jsonl[any, answer](t, toAny(file.Cases), "stix", "normalize") {
		c := file.Cases[i]
		if (got.Normal != nil) != c.Valid || (got.Error == nil) != c.Valid || (len(got.Atoms) > 0) != c.Valid {
			t.Errorf("stix normalize(%s) = %+v, want valid %t", c.Pattern, got, c.Valid)
		}
		if got.Error != nil && (got.Error.Line == 0 || got.Error.Column == 0 || got.Error.Clause == "") {
			t.Errorf("stix normalize(%s) = %+v, want a place and a clause", c.Pattern, *got.Error)
		}
	}
}

func toAny[T any](list []T) []any {
	out := make([]any, 0, len(list))
	for _, e := range list {
		out = append(out, e)
	}
	return out
}

func TestNormalizePrintsALineForEachPattern(t *testing.T) {
	code, out, errs := call{}.run(t, "stix", "normalize", "[a:b = 1 OR a:b = 2]", "[a:b IN (2, 1)]")
	if want := "[a:b IN (1, 2)]\n[a:b IN (1, 2)]\n"; code != ExitDone || out != want || errs != "" {
		t.Errorf("stix normalize = %d, %q, %q, want 0, %q", code, out, errs, want)
	}
	code, out, errs = call{}.run(t, "stix", "normalize", "[a:b = 1]", "[a:b = ]", "[a:b = 3]")
	if code != ExitUsage || out != "[a:b = 1]\n" || !strings.Contains(errs, "where: [a:b = ]\n                ^") {
		t.Errorf("stix normalize of a bad pattern = %d, %q, %q, want 2 and the place", code, out, errs)
	}
	var got struct{ Patterns []normalized }
	code, out, _ = call{}.run(t, "stix", "normalize", "--json", "[a:b = 1]", "[a:b = ]", "[a:b = 3]")
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != ExitUsage || len(got.Patterns) != 3 || got.Patterns[1].Error == nil {
		t.Errorf("stix normalize --json = %d, %v, want 2 and three answers\n%s", code, err, out)
	}
	for _, args := range [][]string{{}, {"--jsonl", "[a:b = 1]"}} {
		if code, _, errs := (call{}).run(t, append([]string{"stix", "normalize"}, args...)...); code != ExitUsage {
			t.Errorf("stix normalize %q = %d, %q, want 2", args, code, errs)
		}
	}
}

func FuzzNormalizeLine(f *testing.F) {
	f.Add([]byte(`{"pattern":"[a:b IN (1, 2)] FOLLOWEDBY [c:d = h'ff']"}`))
	f.Add([]byte(`{"pattern":"[a:b = ]"}`))
	f.Add([]byte(`{"type":"url","value":"a"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		got := normalizeLine(line)
		if (got.Normal == nil) != (got.Error != nil) || (got.Normal == nil) != (len(got.Atoms) == 0) {
			t.Errorf("normalizeLine(%q) = %+v, want either an answer or an error", line, got)
		}
		if text, err := json.Marshal(got); err != nil || !json.Valid(text) {
			t.Errorf("Marshal(%+v) = %s, %v", got, text, err)
		}
		if id := identifyLine(line); id.ID != nil {
			if kind, _, ok := stix.SplitID(*id.ID); !ok || !observable(kind) {
				t.Errorf("identifyLine(%q) = %s, want the id of an observable", line, *id.ID)
			}
		}
	})
}
