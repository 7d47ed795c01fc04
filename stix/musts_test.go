package stix_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tocsin/stix"
	"tocsin/stix/pattern"
)

var update = flag.Bool("update", false, "write docs/stix-musts.md anew")

// musts is the table testdata/musts.txt, whose head says how it is read.
type musts struct {
	lets    *strings.Replacer
	bases   map[string]json.RawMessage
	reasons map[string]string
	order   []string // of the reasons
	rows    []must
}

// A must is one sentence of the standard with its tests.
type must struct {
	number, clause, sentence string
	cases                    []string
}

func readMusts(t *testing.T) musts {
	t.Helper()
	text, err := os.ReadFile("testdata/musts.txt")
	if err != nil {
		t.Fatal(err)
	}
	m := musts{bases: map[string]json.RawMessage{}, reasons: map[string]string{}}
	lets := []string{
		"$K", strings.Repeat("k", 250), "$L", "a" + strings.Repeat("_b", 124) + "c", "$T", "t" + strings.Repeat("y", 249),
		"$Q", "q" + strings.Repeat("x", 245), "$N", "e\u0301", "$B", "\xff",
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		word, rest, _ := strings.Cut(line, " ")
		name, value, _ := strings.Cut(rest, " ")
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case word == "let":
			lets = append(lets, "$"+name, value)
		case word == "base":
			m.bases[name] = json.RawMessage(value)
		case word == "reason":
			m.reasons[name] = value
			m.order = append(m.order, name)
		case strings.HasPrefix(line, "\t"):
			last := &m.rows[len(m.rows)-1]
			last.cases = append(last.cases, line[1:])
		default:
			f := strings.SplitN(line, "\t", 3)
			if len(f) != 3 {
				t.Fatalf("testdata/musts.txt: %q is no row", line)
			}
			m.rows = append(m.rows, must{number: f[0], clause: f[1], sentence: f[2]})
		}
	}
	m.lets = strings.NewReplacer(lets...)
	return m
}

// object returns a base with a patch.
func (m *musts) object(t *testing.T, words string) []byte {
	t.Helper()
	base, patch, _ := strings.Cut(words, " ")
	if m.bases[base] == nil {
		t.Fatalf("there is no base %q", base)
	}
	var o, p map[string]any
	for text, into := range map[string]*map[string]any{string(m.bases[base]): &o, patch: &p} {
		if err := json.Unmarshal([]byte(m.lets.Replace(text)), into); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	return m.marshal(t, patched(o, p))
}

func patched(o, patch map[string]any) map[string]any {
	maps.Copy(o, patch)
	maps.DeleteFunc(o, func(_ string, v any) bool { return v == nil })
	return o
}

// marshal writes a value in which objects with "@" are bases with a patch.
func (m *musts) marshal(t *testing.T, v map[string]any) []byte {
	t.Helper()
	if list, ok := v["objects"].([]any); ok {
		for i, e := range list {
			patch, ok := e.(map[string]any)
			name, named := patch["@"].(string)
			if !ok || !named {
				continue
			}
			delete(patch, "@")
			var o map[string]any
			if err := json.Unmarshal([]byte(m.lets.Replace(string(m.bases[name]))), &o); err != nil {
				t.Fatalf("base %s: %v", name, err)
			}
			list[i] = json.RawMessage(m.marshal(t, patched(o, patch)))
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func problemsOf(t *testing.T, text []byte) []stix.Problem {
	t.Helper()
	v, err := stix.Parse(text, stix.Limits{})
	if err != nil {
		t.Fatalf("Parse(%s) = %v, want a value", text, err)
	}
	if v.Get("type").Is("bundle") || strings.HasPrefix(v.Get("id").Text(), "bundle") {
		return stix.ValidateBundle(v, stix.Options{Pattern: parsePattern})
	}
	return stix.Validate(v, stix.Options{Pattern: parsePattern})
}

// TestEveryMustIsTestedOrSaysWhyNot goes over all sentences of the standard with
// a MUST: each has an object that obeys and one that does not, or another test,
// or a reason.
func TestEveryMustIsTestedOrSaysWhyNot(t *testing.T) {
	m := readMusts(t)
	if want := 491; len(m.rows) != want {
		t.Errorf("there are %d rows, want %d", len(m.rows), want)
	}
	tests := namesOfTests(t)
	for i, row := range m.rows {
		t.Run(row.number+" §"+row.clause, func(t *testing.T) {
			if row.number != fmt.Sprint(i+1) {
				t.Errorf("row %d has the number %s", i+1, row.number)
			}
			obeys, breaks := 0, 0
			for _, c := range row.cases {
				op, rest, _ := strings.Cut(c, " ")
				switch op {
				case "+", "p+", "m+":
					obeys++
				case "-", "~", "!", "p-", "m-":
					breaks++
				}
				switch op {
				case "+":
					m.wantValid(t, rest, row)
				case "-", "~":
					m.wantProblem(t, rest, op == "~")
				case "!":
					if _, err := stix.Parse([]byte(rest), stix.Limits{}); err == nil {
						t.Errorf("Parse(%s) = a value, want an error", rest)
					}
				case "p+", "p-":
					text := strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t").Replace(m.lets.Replace(rest))
					if _, err := pattern.Parse(text); (err == nil) != (op == "p+") {
						t.Errorf("pattern.Parse(%q) = %v, want an error: %v", text, err, op == "p-")
					}
				case "m+", "m-":
					m.wantMatch(t, rest, op == "m+")
				case "t":
					obeys, breaks = 1, 1
					if !tests[rest] {
						t.Errorf("there is no test %s", rest)
					}
				case "w":
					obeys, breaks = 1, 1
					if m.reasons[rest] == "" {
						t.Errorf("there is no reason %q", rest)
					}
				default:
					t.Errorf("%q is no test", c)
				}
			}
			if obeys == 0 || breaks == 0 {
				t.Errorf("%q has no object that obeys or none that breaks it, nor a reason", row.sentence)
			}
		})
	}
}

// wantValid wants an object without errors, and without the problems that the
// row's other objects have.
func (m *musts) wantValid(t *testing.T, words string, row must) {
	t.Helper()
	text := m.object(t, words)
	for _, p := range problemsOf(t, text) {
		bad := p.Class != stix.ClassWarning
		for _, c := range row.cases {
			if f := strings.Fields(c); f[0] == "~" && p.Clause == "STIX 2.1 "+f[1] && p.At == m.at(f[2]) {
				bad = true
			}
		}
		if bad {
			t.Errorf("%s = %v, want it to be valid", text, &p)
		}
	}
}

func (m *musts) at(word string) string {
	return m.lets.Replace(strings.TrimPrefix(word, "."))
}

func (m *musts) wantProblem(t *testing.T, words string, warning bool) {
	t.Helper()
	f := strings.SplitN(words, " ", 3)
	clause, at := "STIX 2.1 "+f[0], m.at(f[1])
	text := m.object(t, f[2])
	got := problemsOf(t, text)
	if !slices.ContainsFunc(got, func(p stix.Problem) bool {
		return p.Clause == clause && p.At == at && (p.Class == stix.ClassWarning) == warning
	}) {
		t.Errorf("%s = %v, want a problem at %q by %s, a warning: %v", text, got, at, clause, warning)
	}
	for _, p := range got {
		if p.Class != stix.ClassWarning && (warning || !strings.HasPrefix(p.At, at)) {
			t.Errorf("%s = %v, want no other error", text, &p)
		}
	}
}

// wantMatch matches a pattern with objects that were observed one after the
// other, a minute between.
func (m *musts) wantMatch(t *testing.T, words string, want bool) {
	t.Helper()
	words = m.lets.Replace(words)
	text, observed, _ := strings.Cut(words, "\t")
	text = strings.ReplaceAll(text, `\n`, "\n")
	var list []json.RawMessage
	if err := json.Unmarshal([]byte(observed), &list); err != nil {
		t.Fatalf("%s: %v", observed, err)
	}
	var objects []any
	for i, e := range list {
		var together []map[string]any
		if bytes.HasPrefix(e, []byte("{")) {
			e = slices.Concat([]byte("["), e, []byte("]"))
		}
		if err := json.Unmarshal(e, &together); err != nil {
			t.Fatalf("%s: %v", e, err)
		}
		id := func(j int) string {
			return fmt.Sprintf("%s--8e2e2d2b-17d4-4cbf-938f-0000000%02d%03d", together[j]["type"], i, j)
		}
		var refs []any
		for j, o := range together {
			o["id"] = id(j)
			for name, v := range o {
				if v == "@1" {
					o[name] = id(1)
				}
			}
			refs = append(refs, o["id"])
			objects = append(objects, o)
		}
		at := fmt.Sprintf("2026-01-01T00:%02d:00Z", i)
		objects = append(objects, map[string]any{
			"type": "observed-data", "id": fmt.Sprintf("observed-data--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd%02d", i),
			"first_observed": at, "last_observed": at, "number_observed": 1.0, "object_refs": refs,
		})
	}
	observations, err := pattern.FromBundle(map[string]any{"type": "bundle", "objects": objects})
	if err != nil {
		t.Fatal(err)
	}
	p, err := pattern.Parse(text)
	if err != nil {
		t.Fatalf("pattern.Parse(%s) = %v", text, err)
	}
	matcher, err := p.Compile()
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if got, err := matcher.Match(observations); err != nil || got.Matched != want {
		t.Errorf("%s of %s = %v, %v, want %v", text, observed, got.Matched, err, want)
	}
}

// namesOfTests returns the names of all tests of the module.
func namesOfTests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "func Test"); ok {
				name, _, _ = strings.Cut(name, "(")
				names["Test"+name] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestTheDocumentListsWhatIsNotTested compares docs/stix-musts.md with the
// table.
func TestTheDocumentListsWhatIsNotTested(t *testing.T) {
	m := readMusts(t)
	sentences := map[string][]string{}
	counts := map[string]int{}
	for _, row := range m.rows {
		kind := "object"
		for _, c := range row.cases {
			switch op, reason, _ := strings.Cut(c, " "); op {
			case "w":
				sentences[reason] = append(sentences[reason], "- "+row.number+", "+row.clause+": "+row.sentence)
				kind = "reason"
			case "t":
				if len(row.cases) == 1 {
					kind = "test"
				}
			}
		}
		counts[kind]++
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# MUSTs of STIX 2.1 that no program can check

Of the %d sentences of the standard that have a MUST, %d are tested with objects or patterns that obey and such that do not, and %d by a test of
what the program does: all in `+"`stix/testdata/musts.txt`"+`, which a test goes over. The other %d stand here, each with the reason. This file is made of that table
(`+"`go test ./stix -run TheDocument -update`"+`). The sentences are of STIX Version 2.1, copyright OASIS Open 2021.
`, len(m.rows), counts["object"], counts["test"], counts["reason"])
	for _, reason := range m.order {
		if len(sentences[reason]) > 0 {
			fmt.Fprintf(&b, "\n## %s\n\n%s\n", strings.TrimSuffix(m.reasons[reason], "."), strings.Join(sentences[reason], "\n"))
		}
	}
	const name = "../docs/stix-musts.md"
	if *update {
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != b.String() {
		t.Errorf("%s is not what the table gives (%v); run go test ./stix -run TheDocument -update", name, err)
	}
}
