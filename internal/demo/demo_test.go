package demo

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheLoopCloses(t *testing.T) {
	var told []Moment
	result, err := Run(t.Context(), Options{Dir: t.TempDir(), Tell: func(m Moment) { told = append(told, m) }}, nil)
	if err != nil {
		t.Fatalf("Run = %v after %d moments", err, len(told))
	}
	if !result.OK() || result.StrangerSees != "not found" || result.FindingsCount < 3 {
		t.Errorf("Run = %+v, want everything shown", result)
	}
	if len(told) < 10 {
		t.Errorf("the story has %d moments, want all of it", len(told))
	}
	for _, m := range told {
		if text := m.Text + strings.Join(m.Detail, " "); strings.Contains(text, victimMailbox) || strings.Contains(text, victimUser) {
			t.Errorf("the story tells who the victim is: %s", text)
		}
	}
}

func TestTheStageStaysUpAsLongAsItIsWatched(t *testing.T) {
	watched := false
	_, err := Run(t.Context(), Options{Dir: t.TempDir()}, func(ctx context.Context, s *Stage) error {
		watched = s.Result().OK() && ctx.Err() == nil
		for _, organization := range []string{"alpha-bank", "bravo-power", "cyber-agency"} {
			if _, err := os.Stat(s.TokenFile(organization)); err != nil {
				t.Errorf("TokenFile(%s): %v", organization, err)
			}
		}
		return nil
	})
	if err != nil || !watched {
		t.Errorf("Run = %v, watched %v", err, watched)
	}
}

// The check that the victim is in no file must be able to fail.
func TestAbsentFindsWhatIsThere(t *testing.T) {
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "a", "b", "file"), []byte("xx"+victimUser+"xx"), 0o600); err != nil {
		t.Fatal(err)
	}
	if clean, err := absent(folder, victimMailbox, victimUser); err != nil || clean {
		t.Errorf("absent = %v, %v, want it found", clean, err)
	}
	if clean, err := absent(folder, victimMailbox); err != nil || !clean {
		t.Errorf("absent = %v, %v, want nothing found", clean, err)
	}
}

func TestTheSampleNamesItsSources(t *testing.T) {
	notice, err := os.ReadFile("sample/NOTICE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []string{"The MITRE Corporation", "stamparm/maltrail", "MIT license"} {
		if !strings.Contains(string(notice), source) {
			t.Errorf("the notice does not name %s", source)
		}
	}
}
