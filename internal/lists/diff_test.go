package lists

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// edit does what ed would, with the plainest means.
func edit(text, script []byte) (string, error) {
	lines, _ := lines(text)
	commands := strings.SplitAfter(string(script), "\n")
	for i := 0; i < len(commands)-1; i++ {
		command := strings.TrimSuffix(commands[i], "\n")
		verb := command[len(command)-1]
		first, last, ranged := strings.Cut(command[:len(command)-1], ",")
		from, err := strconv.Atoi(first)
		to := from
		if err == nil && ranged {
			to, err = strconv.Atoi(last)
		}
		if err != nil {
			return "", fmt.Errorf("command %q: %w", command, err)
		}
		var added [][]byte
		if verb != 'd' {
			for i++; commands[i] != ".\n"; i++ {
				added = append(added, []byte(strings.TrimSuffix(commands[i], "\n")))
			}
		}
		rest := append(added, lines[to:]...)
		if verb == 'a' {
			lines = append(lines[:from:from], rest...)
		} else {
			lines = append(lines[:from-1:from-1], rest...)
		}
	}
	return text2(lines), nil
}

func text2(lines [][]byte) string {
	var b strings.Builder
	for _, l := range lines {
		b.Write(l)
		b.WriteByte('\n')
	}
	return b.String()
}

// texts returns two that have much in common, lines that are there twice and
// lines that moved included.
func texts(random *rand.Rand) (from, to []byte) {
	make1 := func() string {
		var b strings.Builder
		for range random.IntN(30) {
			fmt.Fprintf(&b, "line %d\n", random.IntN(40))
		}
		return b.String()
	}
	a, b, c := make1(), make1(), make1()
	return []byte(a + b + c), []byte(b + a + strings.Replace(c, "line 3", "line 4", 1))
}

func TestScriptsMakeOneTextOfAnother(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	ed, err := exec.LookPath("ed")
	for i := range 2000 {
		from, to := texts(random)
		script, ok := diff(from, to)
		if !ok {
			t.Fatalf("no script from %q to %q", from, to)
		}
		if got, err := edit(from, script); err != nil || got != string(to) {
			t.Fatalf("%q with %q is %q, %v, want %q", from, script, got, err, to)
		}
		if err != nil || i%50 != 0 || len(to) == 0 { // ed says on its own that a file is empty
			continue
		}
		file := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(file, from, 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), ed, "-s", file)
		c.Stdin = bytes.NewReader(append(script, "w\n"...))
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("ed: %v %s", err, out)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != string(to) {
			t.Fatalf("ed makes %q of %q with %q, %v, want %q", got, from, script, err, to)
		}
	}
	if err != nil {
		t.Log("ed is not there: the scripts were read by the test alone")
	}
}

func TestWhatAScriptCannotSay(t *testing.T) {
	for _, tt := range []struct{ from, to string }{{"a\n", "a"}, {"a", "a\n"}, {"a\n", ".\n"}, {"a\n.\nb\n", "a\n"}} {
		if script, ok := diff([]byte(tt.from), []byte(tt.to)); ok {
			t.Errorf("diff(%q, %q) = %q, want none", tt.from, tt.to, script)
		}
	}
}

func FuzzDiff(f *testing.F) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 5 {
		from, to := texts(random)
		f.Add(from, to)
	}
	f.Fuzz(func(t *testing.T, from, to []byte) {
		script, ok := diff(from, to)
		if !ok {
			return
		}
		if got, err := edit(from, script); err != nil || got != string(to) {
			t.Errorf("%q with %q is %q, %v, want %q", from, script, got, err, to)
		}
	})
}

// BenchmarkDiff tells what changed in a list of 100,000 addresses of which one
// in a thousand is another.
func BenchmarkDiff(b *testing.B) {
	var from, to []byte
	for i := range 100_000 {
		line := fmt.Appendf(nil, "198.%d.%d.%d\n", i/65536, i/256%256, i%256)
		if i%1000 != 0 {
			from = append(from, line...)
		}
		if i%1000 != 500 {
			to = append(to, line...)
		}
	}
	b.SetBytes(int64(len(to)))
	for b.Loop() {
		if _, ok := diff(from, to); !ok {
			b.Fatal("no script")
		}
	}
}
