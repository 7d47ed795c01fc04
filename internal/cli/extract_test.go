package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMinimizeLinesAnswerAsDocumented(t *testing.T) {
	const note = `{"type":"note","spec_version":"2.1","id":"note--9d4d1a4c-55d9-4a0b-8f0d-1d3d8d7c6c11","created":"2026-01-01T00:00:00.000Z",` +
		`"modified":"2026-01-01T00:00:00.000Z","content":"We told Svetlana; SSN 078-05-1120","object_refs":["indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"]}`
	g, err := (&app{}).gate(t.TempDir(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(minimizeLine(g, []byte(note)))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Result   map[string]any
		Findings []map[string]any
		Review   []map[string]any
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"at", "class", "rule", "action"} {
		if len(got.Findings) != 2 || got.Findings[0][name] == nil {
			t.Errorf("findings without %s: %s", name, text)
		}
	}
	if len(got.Review) != 1 || got.Review[0]["at"] != "/content" || got.Result["type"] != "note" {
		t.Errorf("answer: %s", text)
	}
	if s := string(text); strings.Contains(s, "Svetlana") || strings.Contains(s, "078-05") {
		t.Errorf("the answer gives a value away: %s", text)
	}
}

func TestRuleFileWithAnErrorIsRefusedWithTheLine(t *testing.T) {
	name := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(name, []byte("format: 1\nname: x\npath: sometimes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (&app{}).gate(t.TempDir(), "", name); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("gate with a wrong rule file: %v, want line 3", err)
	}
}

func TestReportsAreReadForIndicators(t *testing.T) {
	name := filepath.Join(t.TempDir(), "report.md")
	if err := os.WriteFile(name, []byte("# Loader\nC2 is hxxp://evil[.]com/a; see https://vendor.com/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var g gathered
	rest, err := (&app{json: true}).readDocuments(t.Context(), []string{"x.json", name}, &g)
	if err != nil || !slices.Equal(rest, []string{"x.json"}) || len(g.raw) != 2 {
		t.Fatalf("readDocuments = %v, %v, %d objects, want the other file and two", rest, err, len(g.raw))
	}
	if !strings.Contains(string(g.raw[0]), `[url:value = 'http://evil.com/a']`) {
		t.Errorf("proposed: %s", g.raw[0])
	}
}
