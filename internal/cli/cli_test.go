package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin"
	"tocsin/internal/hub"
	"tocsin/receipt"
)

// A call is one run of the program in a test.
type call struct {
	env    map[string]string
	stdin  string
	answer bool // somebody sits at a terminal and sees and answers
	dir    string
}

// run calls the program and returns what it wrote.
func (c call) run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	if c.dir == "" {
		c.dir = t.TempDir()
	}
	var out, errs bytes.Buffer
	code = Main(t.Context(), Env{
		Args: args, Stdin: strings.NewReader(c.stdin), Stdout: &out, Stderr: &errs,
		Getenv:        func(name string) string { return c.env[name] },
		StdinTerminal: c.answer, StdoutTerminal: c.answer, StderrTerminal: c.answer,
		ConfigDir: func() (string, error) { return filepath.Join(c.dir, "config"), nil },
	})
	return code, out.String(), errs.String()
}

func TestRefusalsHaveExitCodes(t *testing.T) {
	tests := map[string]struct {
		in   error
		want int
	}{
		"not found":          {&tocsin.Error{Kind: tocsin.NotFound, Message: "x"}, ExitNo},
		"forbidden":          {&tocsin.Error{Kind: tocsin.Forbidden, Message: "x"}, ExitNo},
		"wrapped":            {fmt.Errorf("read: %w", &tocsin.Error{Kind: tocsin.Conflict, Message: "x"}), ExitNo},
		"unauthenticated":    {&tocsin.Error{Kind: tocsin.Unauthenticated, Message: "x"}, ExitUsage},
		"invalid":            {&tocsin.Error{Kind: tocsin.Invalid, Message: "x"}, ExitUsage},
		"busy":               {&tocsin.Error{Kind: tocsin.Busy, Message: "x"}, ExitFault},
		"several: the worst": {errors.Join(&tocsin.Error{Kind: tocsin.NotFound, Message: "x"}, &tocsin.Error{Kind: tocsin.Busy, Message: "y"}), ExitFault},
		"a failure":          {fmt.Errorf("x: %w", &failure{code: ExitUsage, what: "y"}), ExitUsage},
		"anything else":      {errors.New("disk"), ExitFault},
		"no, already said":   {fmt.Errorf("x: %w", errNo), ExitNo},
		"interrupted":        {context.Canceled, ExitFault},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := &app{Env: Env{Stderr: io.Discard, Getenv: func(string) string { return "" }}, running: true}
			if got := a.report(tt.in); got != tt.want {
				t.Errorf("report(%v) = %d, want %d", tt.in, got, tt.want)
			}
		})
	}
}

func TestTextFromElsewhereCannotMoveTheTerminal(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"plain":         {"Bank Ä, 銀行 🔔", "Bank Ä, 銀行 🔔"},
		"escape":        {"\x1b[2Jx", `\u001b[2Jx`},
		"return":        {"a\rb", `a\u000db`},
		"right to left": {"a\u202eb", `a\u202eb`},
		"C1":            {"a\u009bb", `a\u009bb`},
		"lines stay":    {"a\nb\tc", "a\nb\tc"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := safe(tt.in); got != tt.want {
				t.Errorf("safe(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
	code, out, errs := call{}.run(t, "validate", "\x1b[2J.json")
	if code != ExitUsage || strings.Contains(out+errs, "\x1b") {
		t.Errorf("validate of a name with an escape = %d, %q, %q", code, out, errs)
	}
}

func TestPointersLeadToPlaces(t *testing.T) {
	const text = "{\n  \"a\": [1, {\"b/c\": \"x\"}],\n  \"a2\": {\"d\" : null}\n}"
	tests := map[string]struct{ in, want string }{
		"root":            {"", "{"},
		"property":        {"/a", `"a"`},
		"element":         {"/a/1", `{"b/c`},
		"escaped":         {"/a/1/b~1c", `"b/c"`},
		"with space":      {"/a2/d", `"d"`},
		"missing":         {"/a2/e", `"a2"`},
		"missing element": {"/a/7", `"a"`},
		"missing at root": {"/z", "{"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if at := locate([]byte(text), tt.in); !strings.HasPrefix(text[at:], tt.want) {
				t.Errorf("locate(%q) is at %q, want %q", tt.in, text[at:], tt.want)
			}
		})
	}
	if at := locate([]byte("{\"a\": nonsense"), "/b"); at != 0 {
		t.Errorf("locate in a broken text = %d, want 0", at)
	}
}

func TestExcerptShowsThePlace(t *testing.T) {
	long := strings.Repeat("x", 3000)
	tests := map[string]struct {
		text   string
		at     int
		want   string
		column int
	}{
		"short line":    {"ab\ncdef\ngh", 5, "cdef", 2},
		"start":         {"abc", 0, "abc", 0},
		"end of text":   {"abc", 3, "abc", 3},
		"tab and wide":  {"\tä\"b", 3, " ä\"b", 2},
		"far in a line": {long + "HERE" + long, 3000, "…" + long[:20] + "HERE" + long[:15] + "…", 21},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if line, column := excerpt([]byte(tt.text), tt.at, 40); line != tt.want || column != tt.column {
				t.Errorf("excerpt = %q, %d, want %q, %d", line, column, tt.want, tt.column)
			}
		})
	}
}

func TestDifferencesAreShownWhereTheyAre(t *testing.T) {
	long := strings.Repeat("x", 100)
	b, a := around(`"`+long+`jane@example.com"`, `"`+long+`[email-1]"`, 60)
	if !strings.Contains(b, "jane@") || !strings.Contains(a, "[email-1]") || len([]rune(b)) > 60 {
		t.Errorf("around = %q, %q, want the difference in 60 columns", b, a)
	}
	if b, _ := around("removed\x1b[0m whole", "", 60); b != `removed\u001b[0m whole` {
		t.Errorf("around = %q", b)
	}
}

func TestNumbersAreForPeople(t *testing.T) {
	for in, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		if got := grouped(in); got != want {
			t.Errorf("grouped(%d) = %q, want %q", in, got, want)
		}
	}
	if got := count(1, "object") + ", " + count(2000, "object"); got != "1 object, 2,000 objects" {
		t.Errorf("count = %q", got)
	}
}

func TestProgressIsShownToTerminalsOnly(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		var out bytes.Buffer
		a := &app{Env: Env{Stderr: &out, StderrTerminal: terminal, Width: 80}}
		p := a.progress("reading", 200)
		p.began, p.shown = p.began.Add(-time.Second), p.shown.Add(-time.Second)
		p.at(100, 50)
		if shown := out.String(); terminal != strings.Contains(shown, "50 %  50 objects") {
			t.Errorf("progress to a terminal (%t) = %q", terminal, shown)
		}
		p.end()
		if terminal && !strings.HasSuffix(out.String(), "\r\x1b[K") {
			t.Errorf("the bar stays after its end: %q", out.String())
		}
		if line := p.line(p.began.Add(time.Second)); len([]rune(line)) >= 80 {
			t.Errorf("line = %q, want less than 80 columns", line)
		}
	}
}

func TestExpiryIsADateOrDays(t *testing.T) {
	in90 := time.Now().UTC().AddDate(0, 0, 90).Format(time.DateOnly)
	for in, want := range map[string]string{"": "", "2030-01-31": "2030-01-31", "90d": in90} {
		if got, err := when(in); err != nil || got != want {
			t.Errorf("when(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"-1d", "0d", "1.5d", "09d", "d", "999999999d"} {
		if got, err := when(in); err == nil {
			t.Errorf("when(%q) = %q, want an error", in, got)
		}
	}
}

func TestGateSecretIsMadeOnceAndOnlyForItsOwner(t *testing.T) {
	name := filepath.Join(t.TempDir(), "new", "minimize.secret")
	secrets := make([][]byte, 8)
	var all sync.WaitGroup
	for i := range secrets {
		all.Go(func() {
			s, err := loadSecret(name)
			if err != nil {
				t.Error(err)
			}
			secrets[i] = s
		})
	}
	all.Wait()
	for _, s := range secrets {
		if len(s) != secretSize || !bytes.Equal(s, secrets[0]) {
			t.Errorf("loadSecret = %d bytes, want the same %d bytes for everybody", len(s), secretSize)
		}
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret's mode = %v, %v, want 0600", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(name), ".secret-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.WriteFile(name, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadSecret(name); err == nil {
		t.Error("loadSecret took a damaged secret")
	}
}

func TestTokenNeverLeavesInTheClearNorStandsOnTheCommandLine(t *testing.T) {
	env := map[string]string{"TOCSIN_TOKEN": "tcs_secret", "TOCSIN_HUB": "http://198.51.100.7:8080"}
	code, out, errs := call{env: env}.run(t, "org", "list")
	if code != ExitUsage || !strings.Contains(errs, "use https") || strings.Contains(out+errs, "tcs_secret") {
		t.Errorf("org list over plain HTTP = %d, %q", code, errs)
	}
	for _, c := range (&app{}).root().Commands() {
		for _, name := range []string{"token", "secret", "password"} {
			if f := c.Flags().Lookup(name); f != nil {
				t.Errorf("%s has a flag --%s", c.Name(), name)
			}
		}
	}
}

func TestEveryCommandHasHelpWithExamples(t *testing.T) {
	root := (&app{}).root()
	for _, c := range root.Commands() {
		for _, c := range append(c.Commands(), c) {
			if c.Short == "" || c.Example == "" || !strings.Contains(c.Example, "tocsin ") {
				t.Errorf("%s: help without a sentence or an example", c.CommandPath())
			}
			if c.Short[0] < 'A' || c.Short[0] > 'Z' || strings.HasSuffix(c.Short, ".") {
				t.Errorf("%s: %q is no heading", c.CommandPath(), c.Short)
			}
		}
	}
}

// A stand is a hub with a community for the tests of this package.
type stand struct {
	url string
	dir string
}

const standNetwork = `
organizations:
  - {name: bank-a, kind: company, users: [{name: soc, tokens: [{name: desk}]}]}
  - {name: bank-b, kind: company, users: [{name: soc, tokens: [{name: desk}]}]}
communities:
  - {name: finance, members: [{organization: bank-a, role: writer}, {organization: bank-b, role: reader}], collections: [{alias: indicators}]}
`

// serve runs a hub inside the test, as 'tocsin serve' does.
func serve(t *testing.T) stand {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan hub.Started, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- hub.Run(ctx, hub.Options{Data: filepath.Join(dir, "data"), Listen: "127.0.0.1:0", Ready: func(s hub.Started) { ready <- s }})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("hub: %v", err)
		}
	})
	var s hub.Started
	select {
	case s = <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatalf("hub: %v", err)
	}
	env := map[string]string{"TOCSIN_TOKEN": s.OperatorToken, "TOCSIN_HUB": s.URL}
	if code, _, errs := (call{env: env, stdin: standNetwork}).run(t, "apply", "-f", "-", "--tokens", dir); code != ExitDone {
		t.Fatalf("apply = %d, %s", code, errs)
	}
	return stand{s.URL, dir}
}

// as returns a call by one of the banks.
func (s stand) as(t *testing.T, organization string) call {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(s.dir, organization+".soc.desk.token"))
	if err != nil {
		t.Fatal(err)
	}
	return call{env: map[string]string{"TOCSIN_TOKEN": string(token), "TOCSIN_HUB": s.url, "TERM": "dumb"}, dir: s.dir}
}

const threat = `{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012x","created":"2026-04-06T20:03:48.000Z",` +
	`"modified":"2026-04-06T20:03:48.000Z","indicator_types":["malicious-activity"],"name":"Phishing kit",` +
	`"pattern":"[domain-name:value = 'login.example.net']","pattern_type":"stix","valid_from":"2026-04-06T20:03:48Z"}`

func TestNothingLeavesWithoutAYes(t *testing.T) {
	s := serve(t)
	file := filepath.Join(s.dir, "threat.json")
	if err := os.WriteFile(file, fmt.Appendf(nil, threat, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	receipts := filepath.Join(s.dir, "receipts")
	for answer, want := range map[string]int{"": ExitNo, "n\n": ExitNo, "maybe\n": ExitNo, "\x04": ExitNo} {
		c := s.as(t, "bank-a")
		c.stdin, c.answer = answer, true
		code, out, errs := c.run(t, "submit", file, "--receipts", receipts)
		if code != want || !strings.Contains(out, "What leaves: 1 object") || !strings.Contains(errs, "Share 1 object? [y/N]") {
			t.Errorf("submit, answered %q = %d, want %d\n%s%s", answer, code, want, out, errs)
		}
	}
	if _, out, _ := s.as(t, "bank-b").run(t, "pull", "--jsonl"); out != "" {
		t.Errorf("after no, a reader reads %q", out)
	}
	c := s.as(t, "bank-a")
	c.stdin, c.answer = "yes\n", true
	if code, out, errs := c.run(t, "submit", file, "--receipts", receipts); code != ExitDone {
		t.Errorf("submit, answered yes = %d\n%s%s", code, out, errs)
	}
	if _, out, _ := s.as(t, "bank-b").run(t, "pull", "--jsonl"); out != fmt.Sprintf(threat, 1)+"\n" {
		t.Errorf("after yes, a reader reads %q", out)
	}
}

func TestLargeSubmissionGoesInBatchesAndComesBackWhole(t *testing.T) {
	s := serve(t)
	const objects = 2500
	var lines strings.Builder
	for i := range objects {
		fmt.Fprintf(&lines, threat+"\n", i)
	}
	c := s.as(t, "bank-a")
	c.stdin = lines.String()
	receipts := filepath.Join(s.dir, "receipts")
	code, out, errs := c.run(t, "submit", "-", "--yes", "--receipts", receipts)
	if code != ExitDone || !strings.Contains(out, "2,500 new, 0 there before") {
		t.Fatalf("submit = %d\n%s%s", code, out, errs)
	}
	files, err := filepath.Glob(filepath.Join(receipts, "*.tlog-proof"))
	if err != nil || len(files) != 3 {
		t.Errorf("%d receipts, %v, want 3", len(files), err)
	}
	_, out, _ = s.as(t, "bank-b").run(t, "pull", "--jsonl")
	got := map[string]bool{}
	for line := range strings.Lines(out) {
		got[line] = true
	}
	want := map[string]bool{}
	for line := range strings.Lines(lines.String()) {
		want[line] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was read is not what was shared (-shared +read):\n%s", diff)
	}
}

func TestInvalidObjectsStayHereAndTheRestIsShared(t *testing.T) {
	s := serve(t)
	c := s.as(t, "bank-a")
	c.stdin = fmt.Sprintf(threat, 1) + "\n{\"type\":\"indicator\"}\n{ not json\n"
	code, out, _ := c.run(t, "submit", "-", "--yes", "--receipts", filepath.Join(s.dir, "receipts"))
	if code != ExitNo || strings.Count(out, "not valid, so it stays here") < 2 || !strings.Contains(out, "1 new") {
		t.Errorf("submit = %d, want 1 for what stayed\n%s", code, out)
	}
}

func TestPullLeavesNoHalfFile(t *testing.T) {
	s := serve(t)
	c := s.as(t, "bank-b")
	c.env["TOCSIN_TOKEN"] = "tcs_wrong"
	out := filepath.Join(s.dir, "out.json")
	if err := os.WriteFile(out, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, _ := c.run(t, "pull", "--community", "finance", "--collection", "indicators", "--out", out)
	text, err := os.ReadFile(out)
	if code != ExitUsage || err != nil || string(text) != "before" {
		t.Errorf("pull = %d, and the file holds %q, %v; want it untouched", code, text, err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.dir, ".tocsin-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestObjectsStandOnOneLine(t *testing.T) {
	if got := string(oneLine([]byte("{\r\n \"a\": \"x\\ny\"\n}"))); got != `{   "a": "x\ny" }` {
		t.Errorf("oneLine = %q", got)
	}
}

func TestHintsExplainEveryStepOfVerification(t *testing.T) {
	for _, text := range []string{"", "c2sp.org/tlog-proof@v1\n", "nonsense"} {
		p := prove([]byte(text), nil, nil)
		if p.Valid || p.Error == "" {
			t.Errorf("prove(%q) = %+v, want an error", text, p)
		}
		if _, err := receipt.ParseProof([]byte(text)); err == nil {
			t.Errorf("ParseProof(%q) took it", text)
		}
	}
	answer, ok := verifyLine([]byte(`{"receipt": 5`), nil).(proven)
	if !ok || answer.Valid || !strings.HasPrefix(answer.Error, "line: ") {
		t.Errorf("verifyLine = %+v, want an error about the line", answer)
	}
}
