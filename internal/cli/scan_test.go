package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScanFindsAndSaysSo(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	list := write("list.txt", "# ours\n192.0.2.1\nevil.example # C2\nnot a value\n")
	bundle := write("bundle.json", `{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d","objects":[
		{"type":"indicator","spec_version":"2.1","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","pattern":"[domain-name:value = 'evil.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"},
		{"type":"indicator","spec_version":"2.1","id":"indicator--9e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","pattern":"[ipv4-addr:value = '192.0.2.7']","pattern_type":"stix","valid_from":"2020-01-01T00:00:00Z","valid_until":"2020-02-01T00:00:00Z"}]}`)
	log := write("a.log", "nothing\nq=www.evil.example\n{192.0.2.7}\n")
	for name, test := range map[string]struct {
		args []string
		code int
		out  []string
	}{
		"a table":             {[]string{"scan", "-i", list, log}, ExitNo, []string{"evil.example", "a.log:2 q"}},
		"lines of JSON":       {[]string{"scan", "-i", bundle, "--json", log}, ExitNo, []string{`"line":2,"offset":14,"indicator":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","kind":"domain","value":"evil.example","field":"q","found":"evil.example"`}},
		"what is expired":     {[]string{"scan", "-i", bundle, "--all", "--json", log}, ExitNo, []string{"192.0.2.7"}},
		"nothing":             {[]string{"scan", "-i", list, list}, ExitNo, nil},
		"no such file":        {[]string{"scan", "-i", list, filepath.Join(dir, "none")}, ExitUsage, nil},
		"no indicators":       {[]string{"scan", "-i", write("empty", ""), log}, ExitUsage, nil},
		"nothing to look for": {[]string{"scan", log}, ExitUsage, nil},
		"clean":               {[]string{"scan", "-i", list, write("clean.log", "fine\n")}, ExitDone, nil},
	} {
		code, out, errs := call{}.run(t, test.args...)
		if code != test.code {
			t.Errorf("%s: exit code %d, want %d: %s", name, code, test.code, errs)
		}
		for _, want := range test.out {
			if !strings.Contains(out, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, out)
			}
		}
	}
}
