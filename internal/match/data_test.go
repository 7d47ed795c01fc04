package match

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shared returns a file of the shared test data, decompressed.
func shared(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // where the data is, is the environment's business
	if dir == "" {
		t.Skip("TOCSIN_DATA does not name the shared test data")
	}
	file := filepath.Join(dir, name)
	if strings.HasSuffix(file, ".xz") {
		text, err := exec.Command("xz", "-dc", file).Output()
		if err != nil {
			t.Skipf("xz cannot read %s: %v", name, err)
		}
		return text
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(file, ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if text, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return text
}

// known loads the shared indicators, 460,000 real ones, and says how many of
// each kind no line could be compared with. Addresses with a port are not among
// what one value decides.
func known(t *testing.T) *Set {
	t.Helper()
	kinds := map[string]Kind{"ipv4": Address, "cidr": Network, "domain": Domain, "url": URL, "md5": Hash, "sha1": Hash, "sha256": Hash}
	s := NewSet()
	refused := map[string]int{}
	for line := range strings.Lines(string(shared(t, "intel/indicators.tsv.xz"))) {
		fields := strings.Split(line, "\t")
		kind, ok := kinds[fields[0]]
		if !ok {
			continue
		}
		v, ok := Parse(kind, fields[1])
		if !ok || !s.Add(fields[1], v) {
			refused[fields[0]]++
		}
	}
	for kind, n := range refused {
		t.Logf("%d values of kind %s cannot be looked for", n, kind)
	}
	return s
}

func TestRealLogsHaveTheExpectedHits(t *testing.T) {
	s := known(t)
	var truth struct {
		Matches map[string][]struct {
			Line          int
			IndicatorType string `json:"indicator_type"`
			Indicator     string
		}
	}
	if err := json.Unmarshal(shared(t, "logs/expected_matches.json"), &truth); err != nil {
		t.Fatal(err)
	}
	var logs []string
	for _, pattern := range []string{"infection/*/*.log", "web/*.gz", "zeek/*/*.gz"} {
		found, err := filepath.Glob(filepath.Join(os.Getenv("TOCSIN_DATA"), "logs", pattern)) //nolint:forbidigo // where the data is, is the environment's business
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, found...)
	}
	if len(logs) < 10 {
		t.Fatalf("only %d logs were found", len(logs))
	}
	var got, want []string
	lines := 0
	for _, file := range logs {
		name, err := filepath.Rel(filepath.Join(os.Getenv("TOCSIN_DATA"), "logs"), file) //nolint:forbidigo // where the data is, is the environment's business
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range truth.Matches[name] {
			if m.IndicatorType != "ipv4-port" {
				want = append(want, fmt.Sprintf("%s:%d %s", name, m.Line, m.Indicator))
			}
		}
		scanner := bufio.NewScanner(bytes.NewReader(shared(t, "logs/"+name)))
		scanner.Buffer(nil, 1<<20)
		for n := 1; scanner.Scan(); n++ {
			lines++
			seen := map[string]bool{}
			for _, h := range s.Append(nil, scanner.Bytes()) {
				if !seen[h.ID] {
					got = append(got, fmt.Sprintf("%s:%d %s", name, n, h.ID))
				}
				seen[h.ID] = true
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	t.Logf("%d values, %d lines, %d hits", s.Len(), lines, len(got))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hits (-want +got):\n%s", diff)
	}
}
