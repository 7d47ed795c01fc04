package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fences are the code blocks of a document that say in which language they are.
var fences = regexp.MustCompile("(?ms)^```(sh|json)\n(.*?)^```$")

// docsNetwork is what the documents' reader is a member of.
const docsNetwork = `
organizations:
  - {name: example-bank, kind: company, users: [{name: soc, tokens: [{name: desk}]}]}
communities:
  - {name: finance, title: Finance, members: [{organization: example-bank, role: writer}], collections: [{alias: indicators, title: Indicators}]}
`

// TestDocsDoWhatTheySay runs the commands of a document in order, in one
// folder, as a reader who follows it does. Where JSON stands behind a command,
// the command's output has to have that form: the same names and the same
// types.
func TestDocsDoWhatTheySay(t *testing.T) {
	for _, name := range []string{"taxii.md"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("../docs", name))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			env := append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+filepath.Join(dir, "config"))
			h, err := start(dir, "hub", env)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := stop(h); err != nil {
					t.Error(err)
				}
			}()
			env = append(env, "TOCSIN_HUB="+h.URL, "KEY="+h.Key)
			shell(t, dir, env, "tocsin apply -f - --tokens . --token-file hub.token <<'END'\n"+docsNetwork+"\nEND\nmv example-bank.soc.desk.token token")
			follow(t, dir, env, string(text))
		})
	}
}

// follow runs the blocks of a document.
func follow(t *testing.T, dir string, env []string, text string) {
	t.Helper()
	var output []byte
	ran := 0
	for _, block := range fences.FindAllStringSubmatch(text, -1) {
		if block[1] == "sh" {
			output = shell(t, dir, env, block[2])
			ran++
			continue
		}
		var want, got any
		if err := json.Unmarshal([]byte(block[2]), &want); err != nil {
			t.Fatalf("the document's JSON cannot be read: %v\n%s", err, block[2])
		}
		if err := json.Unmarshal(output, &got); err != nil {
			t.Fatalf("the output is not JSON: %v\n%s", err, output)
		}
		if want, got := form(want), form(got); want != got {
			t.Errorf("the document shows\n%s\nand the output has the form\n%s", want, got)
		}
	}
	if ran == 0 {
		t.Error("the document has no commands")
	}
}

// shell runs one block. What it sets is there for the next.
func shell(t *testing.T, dir string, env []string, block string) []byte {
	t.Helper()
	c := exec.Command("sh", "-eu", "-c", "set -a; test ! -f .vars || . ./.vars\n"+block+"\nexport -p > .vars")
	c.Dir, c.Env = dir, env
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s%s", err, block, out.Bytes(), errs.Bytes())
	}
	return out.Bytes()
}

// form describes a JSON value without its scalars: names, types, and the first
// element of each list.
func form(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, name+": "+form(v[name]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		if len(v) == 0 {
			return "[]"
		}
		return "[" + form(v[0]) + "]"
	}
	return fmt.Sprintf("%T", v)
}
