package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/stix/pattern"
)

// vectors reads a file of recorded verdicts, or skips.
func vectors(t *testing.T, name string, into any) {
	t.Helper()
	dir := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // only tests ask where the recorded verdicts are
	if dir == "" {
		t.Skip("TOCSIN_DATA is not set: it names the folder with " + name)
	}
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

// jsonl asks a command one line for each question and returns its answers.
func jsonl[Q, A any](t *testing.T, questions []Q, command ...string) []A {
	t.Helper()
	var in strings.Builder
	for _, q := range questions {
		text, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(text, '\n'))
	}
	code, out, errs := call{stdin: in.String()}.run(t, append(command, "--jsonl")...)
	if code != ExitDone || errs != "" {
		t.Fatalf("%s --jsonl = %d, %s", strings.Join(command, " "), code, errs)
	}
	var answers []A
	for line := range strings.Lines(out) {
		var answer A
		if err := json.Unmarshal([]byte(line), &answer); err != nil {
			t.Fatalf("%s --jsonl answered %s: %v", strings.Join(command, " "), line, err)
		}
		answers = append(answers, answer)
	}
	if len(answers) != len(questions) {
		t.Fatalf("%s --jsonl gave %d answers to %d lines", strings.Join(command, " "), len(answers), len(questions))
	}
	return answers
}

type question struct {
	Pattern      string           `json:"pattern"`
	Observations []map[string]any `json:"observations"`
}

func (m matching) String() string {
	switch {
	case m.Match == nil:
		return "error"
	case *m.Match:
		return "match"
	default:
		return "no-match"
	}
}

// divergent returns our verdict where a recorded one is not ours. Package
// pattern's own tests quote the clauses behind each.
func divergent(t *testing.T, text string, set int, recorded string) string {
	t.Helper()
	var failed *pattern.SyntaxError
	if _, err := pattern.Parse(text); errors.As(err, &failed) && failed.Kind == pattern.DuplicateQualifier {
		return "error" // STIX 2.1 §9.5.1
	}
	for text2, verdict := range map[string]string{
		"[test:string = t'1965-07-19T22:41:38Z']":                                  "no-match", // §9.6.1
		"[test:string != t'1965-07-19T22:41:38Z']":                                 "match",
		"[event:bad_ts[0] = t'1996-07-11T09:17:10Z']":                              "no-match",
		"[event:bad_ts[1] = t'1996-07-11T09:17:10Z']":                              "no-match",
		"[event:bad_ts[2] = t'1996-07-11T09:17:10Z']":                              "no-match",
		"[event:bad_ts[3] = t'1996-07-11T09:17:10Z']":                              "no-match",
		"[event:bad_ts[4] = t'1996-07-11T09:17:10Z']":                              "no-match",
		"[event:bad_ts[5] = t'1996-07-11T09:17:10Z']":                              "no-match",
		"([person:name = 'alice'] AND [person:name < 'carol']) WITHIN 5 SECONDS":   "no-match", // §9.5.1
		"([person:name='alice'] AND [person:name='bob']) WITHIN 1 SECONDS, set 13": "no-match",
		"([person:name='alice'] AND [person:name='bob']) WITHIN 2 SECONDS, set 16": "no-match",
	} {
		if text2 == text || text2 == fmt.Sprintf("%s, set %d", text, set) {
			return verdict
		}
	}
	return recorded
}

func TestMatchAnswersAsTheReferenceMatcherDoes(t *testing.T) {
	for name, want := range map[string]struct{ cases, divergent int }{
		"stix/pattern_match_cases.json":     {293, 13},
		"stix/pattern_match_generated.json": {1420, 4},
	} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			var file struct {
				Sets  [][]map[string]any `json:"observation_sets"`
				Cases []struct {
					Pattern      string
					Observations int
					Expect       string
				}
			}
			vectors(t, name, &file)
			var questions []question
			for _, c := range file.Cases {
				questions = append(questions, question{c.Pattern, file.Sets[c.Observations]})
			}
			divergences := 0
			var witnesses []question
			for i, got := range jsonl[question, matching](t, questions, "match") {
				c := file.Cases[i]
				expect := divergent(t, c.Pattern, c.Observations, c.Expect)
				if expect != c.Expect {
					divergences++
				}
				if got.String() != expect || (expect == "error") != (got.Error != "") || (expect == "match") != (len(got.ObservedIDs) > 0) {
					t.Errorf("match(%s, set %d) = %s %+v, want %s", c.Pattern, c.Observations, got, got, expect)
				}
				if expect != "match" {
					continue
				}
				those := slices.Clone(questions[i].Observations)
				witnesses = append(witnesses, question{c.Pattern, slices.DeleteFunc(those, func(bundle map[string]any) bool {
					return !slices.ContainsFunc(got.ObservedIDs, func(id string) bool { return observes(bundle, id) })
				})})
			}
			if len(file.Cases) != want.cases || divergences != want.divergent {
				t.Errorf("%d cases, %d of them other than recorded, want %+v", len(file.Cases), divergences, want)
			}
			for i, got := range jsonl[question, matching](t, witnesses, "match") {
				if got.String() != "match" {
					t.Errorf("match(%s) = %s with nothing but what was said to match", witnesses[i].Pattern, got)
				}
			}
		})
	}
}

// observes reports whether the observed-data with that id is in the bundle.
func observes(bundle map[string]any, id string) bool {
	objects, _ := bundle["objects"].([]any)
	return slices.ContainsFunc(objects, func(o any) bool {
		object, _ := o.(map[string]any)
		return object["id"] == id
	})
}

const sighting = `{"type":"observed-data","id":"observed-data--%s","first_observed":"2026-01-01T00:00:00Z","last_observed":"2026-01-01T00:00:00Z","number_observed":1,%s}`

func TestMatchTakesObservationsInEveryForm(t *testing.T) {
	old := fmt.Sprintf(sighting, "1", `"objects":{"0":{"type":"url","value":"a"}}`)
	refers := fmt.Sprintf(sighting, "2", `"object_refs":["url--1"]`)
	const url = `{"type":"url","id":"url--1","value":"a"}`
	tests := map[string]struct {
		in   string // observations
		want []string
	}{
		"dictionary":                {old, []string{"observed-data--1"}},
		"references":                {url + "," + refers, []string{"observed-data--2"}},
		"references to nothing":     {refers, nil},
		"bundle":                    {`{"type":"bundle","objects":[` + refers + "," + url + "]}", []string{"observed-data--2"}},
		"bundles are by themselves": {`{"type":"bundle","objects":[` + refers + `]},` + url, nil},
		"bundles and others":        {`{"type":"bundle","objects":[` + refers + "," + url + `]},{"type":"bundle"},` + old, []string{"observed-data--2"}},
		"not observed":              {url, nil},
		"nothing":                   {"", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			want := matching{Match: new(tt.want != nil), ObservedIDs: notNil(tt.want)}
			got := matchLine(&compiler{}, []byte(`{"pattern":"[url:value = 'a']","observations":[`+tt.in+`]}`))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("matchLine (-want +got):\n%s", diff)
			}
		})
	}
	both := matchLine(&compiler{}, []byte(`{"pattern":"[url:value = 'a'] AND [url:value = 'a']","observations":[`+url+","+refers+","+old+`]}`))
	if want := []string{"observed-data--2", "observed-data--1"}; both.String() != "match" || cmp.Diff(want, both.ObservedIDs) != "" {
		t.Errorf("matchLine of two = %+v, want a match of %v", both, want)
	}
}

func TestMatchSaysWhyThereIsNoAnswer(t *testing.T) {
	ask := func(text, observations string) string {
		quoted, _ := json.Marshal(text)
		return `{"pattern":` + string(quoted) + `,"observations":` + observations + `}`
	}
	tests := map[string]struct{ in, want string }{
		"no JSON":              {`{"pattern"`, "line: "},
		"two of a name":        {`{"pattern":"[a:b = 1]","pattern":"","observations":[]}`, "line: "},
		"no object":            {`[]`, "pattern: a string"},
		"no pattern":           {`{"observations":[]}`, "pattern: a string"},
		"pattern is no string": {`{"pattern":1,"observations":[]}`, "pattern: a string"},
		"syntax":               {ask("[a:b = ]", "[]"), "pattern: line 1, column 8: expected a constant"},
		"not RE2":              {ask(`[a:b MATCHES '(a)\\1']`, "[]"), "pattern: the pattern has a regular expression"},
		"no observations":      {`{"pattern":"[a:b = 1]"}`, "observations: a list"},
		"one observation":      {ask("[a:b = 1]", `{}`), "observations: a list"},
		"an element":           {ask("[a:b = 1]", `[5]`), "observations: element 0"},
		"without a type":       {ask("[a:b = 1]", `[{"type":"url"},{}]`), "observations: element 1"},
		"without times":        {ask("[a:b = 1]", `[{"type":"url"},{"type":"observed-data"}]`), "observations: object 1"},
		"in a bundle":          {ask("[a:b = 1]", `[{"type":"bundle","objects":[{"type":"observed-data"}]}]`), "observations: element 0: object 0"},
		"a bundle of no list":  {ask("[a:b = 1]", `[{"type":"bundle","objects":{}}]`), "observations: element 0"},
	}
	var c compiler
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := matchLine(&c, []byte(tt.in)); got.Match != nil || len(got.ObservedIDs) > 0 || !strings.HasPrefix(got.Error, tt.want) {
				t.Errorf("matchLine(%s) = %+v, want null and %q", tt.in, got, tt.want)
			}
		})
	}
	in := "{\n\n" + ask("[a:b = 1]", "[]") + "\n\xff"
	code, out, _ := call{stdin: in}.run(t, "match", "--jsonl")
	if want := 4; code != ExitDone || strings.Count(out, "\n") != want || !strings.Contains(out, "\n{\"match\":false,\"observed_ids\":[]}\n") {
		t.Errorf("match --jsonl = %d, want 0 and %d answers, the third false\n%s", code, want, out)
	}
}

func TestCompilerAnswersForThePatternThatIsAsked(t *testing.T) {
	var c compiler
	for _, text := range []string{"", "[a:b = 1]", "[a:b = 1]", "nonsense", "nonsense", "", "[a:b = 2]"} {
		m, err := c.compile(text)
		if ok := strings.HasPrefix(text, "["); (m != nil) != ok || (err == nil) != ok {
			t.Errorf("compile(%q) = %v, %v", text, m, err)
		}
	}
}

// write makes files in a new folder.
func write(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestMatchReadsFilesTogether(t *testing.T) {
	version := func(modified, value string) string {
		return fmt.Sprintf(sighting, "9", `"modified":"`+modified+`","objects":{"0":{"type":"url","value":"`+value+`"}}`)
	}
	dir := write(t, map[string]string{
		"url.json":    `{"type":"url","id":"url--1","value":"a"}`,
		"refers.json": `{"type":"bundle","objects":[` + "\n" + fmt.Sprintf(sighting, "2", `"object_refs":["url--1"]`) + `]}`,
		"lines.jsonl": version("2026-02-02T00:00:00Z", "new") + "\n" + version("2026-01-01T00:00:00Z", "old"),
		"newest.json": version("2026-03-03T00:00:00Z", "newest"),
		"bad.json":    `{"type":"observed-data","id":"observed-data--3"}`,
		"cut.json":    `{"type":"bundle","objects":[` + fmt.Sprintf(sighting, "2", `"object_refs":["url--1"]`),
		"p.stix":      "[url:value =\n  'a']\n",
		"bad.stix":    "[url:value =\n  ]\n",
	})
	tests := map[string]struct {
		args []string // after match; names with a dot are files
		code int
		want string
	}{
		"together":              {[]string{"[url:value = 'a']", "refers.json", "url.json"}, ExitDone, "by 1 of 1 observed-data object\n"},
		"the place":             {[]string{"[url:value = 'a']", "refers.json", "url.json"}, ExitDone, "refers.json:2"},
		"what is missing":       {[]string{"[url:value = 'a']", "refers.json"}, ExitNo, "! not in the files: 1 object"},
		"the newest version":    {[]string{"[url:value = 'new']", "lines.jsonl"}, ExitDone, "lines.jsonl:1"},
		"not an older version":  {[]string{"[url:value = 'old']", "lines.jsonl"}, ExitNo, "does not match 1 observed-data"},
		"over files":            {[]string{"[url:value = 'newest']", "lines.jsonl", "newest.json"}, ExitDone, "newest.json:1"},
		"a copy is no second":   {[]string{"[url:value LIKE '%'] REPEATS 2 TIMES", "lines.jsonl", "lines.jsonl"}, ExitNo, "does not match"},
		"nothing observed":      {[]string{"[url:value = 'a']", "url.json"}, ExitUsage, "no observed-data"},
		"not to be read":        {[]string{"[url:value = 'a']", "bad.json"}, ExitUsage, "bad.json:1"},
		"cut off":               {[]string{"[url:value = 'b']", "cut.json", "url.json"}, ExitUsage, "cut.json:1"},
		"no file":               {[]string{"[url:value = 'a']"}, ExitUsage, "name a pattern and"},
		"no such file":          {[]string{"[url:value = 'a']", "gone.json"}, ExitUsage, "no such file"},
		"syntax":                {[]string{"[url:value = ]", "url.json"}, ExitUsage, "where: [url:value = ]\n                      ^"},
		"an impossible pattern": {[]string{"[url:value = 'a' AND file:name = 'b']", "newest.json"}, ExitNo, "can match nothing: line 1, column 2"},
		"not RE2":               {[]string{`[url:value MATCHES '(a)\\1']`, "newest.json"}, ExitUsage, "no back-references"},
		"pattern file":          {[]string{"--pattern-file", "p.stix", "refers.json", "url.json"}, ExitDone, "it matches"},
		"bad pattern file":      {[]string{"--pattern-file", "bad.stix", "url.json"}, ExitUsage, "bad.stix:2:3\n           ]\n           ^"},
		"lines and files":       {[]string{"--jsonl", "url.json"}, ExitUsage, "--jsonl reads"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			args := []string{"match"}
			for _, arg := range tt.args {
				if ext := filepath.Ext(arg); ext == ".json" || ext == ".jsonl" || ext == ".stix" {
					arg = filepath.Join(dir, arg)
				}
				args = append(args, arg)
			}
			code, out, errs := call{}.run(t, args...)
			if code != tt.code || !strings.Contains(out+errs, tt.want) {
				t.Errorf("match %q = %d, want %d and %q\n%s%s", tt.args, code, tt.code, tt.want, out, errs)
			}
			if tt.want == "name a pattern and" || args[1] == "--jsonl" || tt.want == "no such file" {
				return // nothing was asked, so there is no answer
			}
			var got matching
			code, out, _ = call{}.run(t, append(args, "--json")...)
			if err := json.Unmarshal([]byte(out), &got); err != nil || code != tt.code {
				t.Fatalf("match --json %q = %d, %v, want %d\n%s", tt.args, code, err, tt.code, out)
			}
			if want := map[int]string{ExitDone: "match", ExitNo: "no-match", ExitUsage: "error"}[tt.code]; got.String() != want || (want == "error") != (got.Error != "") {
				t.Errorf("match --json %q = %+v, want %s", tt.args, got, want)
			}
		})
	}
}

func FuzzMatchLine(f *testing.F) {
	f.Add([]byte(`{"pattern":"[url:value = 'a']","observations":[` + fmt.Sprintf(sighting, "1", `"objects":{"0":{"type":"url","value":"a"}}`) + `]}`))
	f.Add([]byte(`{"pattern":"[a:b = ]","observations":[{"type":"bundle","objects":[]}]}`))
	f.Add([]byte(`{"pattern":"[a:b[*] = 1.5]","observations":[{"type":"a","b":[1.5e0,null,true]}]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		got := matchLine(&compiler{}, line)
		if (got.Match == nil) != (got.Error != "") || got.ObservedIDs == nil {
			t.Errorf("matchLine(%q) = %+v, want either an answer or an error", line, got)
		}
	})
}
