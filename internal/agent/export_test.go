package agent

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/internal/export"
	parsed "tocsin/internal/indicator"
	"tocsin/internal/match"
)

func TestAnAgentKeepsAnyNumberOfExports(t *testing.T) {
	h := newFakeHub(t)
	h.share(
		indicatorOf(1, 1, "[domain-name:value = 'evil.example']"),
		indicatorOf(2, 1, "[domain-name:value = 'quiet.example']", `"labels":["PAP:RED"]`),
		indicatorOf(3, 1, "[domain-name:value = 'google.com']"),
		indicatorOf(4, 1, "[file:hashes.'SHA-256' = '"+strings.Repeat("ab", 32)+"']"),
		strings.Replace(indicatorOf(5, 1, "rule r { condition: true }"), `"pattern_type":"stix"`, `"pattern_type":"yara"`, 1),
		indicatorOf(6, 1, "[ipv4-addr:value = '192.0.2.6']"),
	)
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	start(t, h.serve(), Options{Exports: []Export{
		{Format: "rpz", File: at("rpz")},
		{Format: "zeek", File: at("zeek")},
		{Format: "yara", File: at("yara")},
		{Format: "suricata", File: at("alert")},
		{Format: "suricata", File: at("drop"), Drop: true},
		{Format: "ipset", File: at("ipset")},
	}})
	has := func(name, text string) bool { return strings.Contains(strings.Join(lines(t, at(name)), "\n"), text) }
	type check struct {
		file, text string
		want       bool
	}
	same := func(all ...check) func() bool {
		return func() bool {
			return !slices.ContainsFunc(all, func(c check) bool { return has(c.file, c.text) != c.want })
		}
	}
	eventually(t, "each export has what it may have", same(
		check{"rpz", "\nevil.example CNAME .", true}, check{"rpz", "quiet.example", false}, check{"rpz", "google.com", false}, check{"rpz", "192.0.2.rpz", false},
		check{"rpz", "32.6.2.0.192.rpz-ip", true}, check{"zeek", "quiet.example\tIntel::DOMAIN", true}, check{"zeek", "google.com", true},
		check{"zeek", strings.Repeat("ab", 32), true}, check{"yara", "rule r { condition: true }", true}, check{"yara", strings.Repeat("ab", 32), true},
		check{"alert", "google", true}, check{"alert", "alert dns", true}, check{"drop", "drop dns", true}, check{"drop", "google", false},
		check{"ipset", "add tocsin4-new 192.0.2.6", true},
	))
	sid := func() string {
		for _, l := range lines(t, at("drop")) {
			if strings.Contains(l, "evil") {
				return l
			}
		}
		return ""
	}
	before := sid()
	h.share(indicatorOf(1, 2, "[domain-name:value = 'evil.example']", `"revoked":true`), indicatorOf(5, 2, "", `"revoked":true`))
	h.withdraw(indicatorID(6))
	eventually(t, "what is revoked and withdrawn leaves all of them", same(
		check{"rpz", "evil", false}, check{"zeek", "evil", false}, check{"alert", "evil", false}, check{"drop", "evil", false}, check{"yara", "rule r ", false}, check{"ipset", "192.0.2.6", false},
		check{"zeek", "quiet.example", true},
	))
	h.share(indicatorOf(7, 1, "[domain-name:value = 'a.example' OR domain-name:value = 'evil.example']"))
	eventually(t, "a rule keeps its number", func() bool { return sid() == before && before != "" && has("drop", "|a.example") == false })
}

func TestARuleIsWhatTheNewestVersionAllows(t *testing.T) {
	const yara = `"pattern_type":"yara"`
	rule := func(version int, text string, extra ...string) string {
		return strings.Replace(indicatorOf(1, version, text, extra...), `"pattern_type":"stix"`, yara, 1)
	}
	for name, c := range map[string]struct {
		second  string
		sources int
		want    bool
	}{
		"as it was":                        {"", 1, true},
		"another text":                     {rule(2, "rule changed { condition: true }"), 1, false},
		"a pattern and no rule any more":   {indicatorOf(1, 2, "[domain-name:value = 'a.example']"), 1, false},
		"a marking that nothing explains":  {rule(2, "rule first { condition: true }", `"object_marking_refs":["marking-definition--00000000-0000-4000-8000-000000000001"]`), 1, false},
		"revoked":                          {rule(2, "rule first { condition: true }", `"revoked":true`), 1, false},
		"over":                             {rule(2, "rule first { condition: true }", `"valid_until":"1999-06-01T00:00:00Z"`), 1, false},
		"two organizations have to say so": {"", 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := bookOf(t, nil)
			g := newGate(terms{parsed.Detect, c.sources})
			g.carries["yara"] = true
			b.take("c/l", read(t, rule(1, "rule first { condition: true }")), time.Now())
			g.update(b, map[match.Value]change{}, b.touched)
			if c.second != "" {
				b.take("c/l", read(t, c.second), time.Now())
				_, touched := b.changes()
				g.update(b, map[match.Value]change{}, touched)
			}
			if got := slices.ContainsFunc(g.set(export.Format{Carries: "yara"}, time.Now()).Rules, func(r export.Rule) bool { return strings.Contains(r.Text, "first") }); got != c.want {
				t.Errorf("the first rule passes: %v, want %v", got, c.want)
			}
		})
	}
}

func TestAFileIsWrittenOnlyWhenItChanges(t *testing.T) {
	h := newFakeHub(t)
	h.share(indicatorOf(1, 1, "[domain-name:value = 'evil.example']"))
	folder := t.TempDir()
	file, ran := filepath.Join(folder, "edl"), filepath.Join(folder, "ran")
	script := filepath.Join(folder, "reload it")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho \"$1,$TOCSIN_TOKEN\" >> \"$2\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TOCSIN_TOKEN", "canary")
	x := []Export{{Format: "edl-domain", File: file, Reload: fmt.Sprintf(`"%s" 'a b;$HOME' %s`, script, ran)}}
	r := start(t, h.serve(), Options{Exports: x})
	inForce := func(value string) func() bool {
		return func() bool {
			return slices.ContainsFunc(r.obs.all(Blocked), func(e Event) bool { return e.Value == value })
		}
	}
	eventually(t, "it is in force", inForce("evil.example"))
	begun := len(lines(t, ran)) // twice when the file was there before the indicator had come
	if got := lines(t, ran)[0]; got != "a b;$HOME," {
		t.Errorf("the command got %q: a shell read it, or it has the agent's environment", got)
	}
	h.share(indicatorOf(2, 1, "[ipv4-addr:value = '192.0.2.1']"), indicatorOf(3, 1, "[domain-name:value = 'b.example']"))
	eventually(t, "another one is", inForce("b.example"))
	h.share(indicatorOf(4, 1, "[ipv4-addr:value = '192.0.2.2']"))
	eventually(t, "an address is listed", func() bool { return len(r.list(ipsName)) == 2 })
	r.stop()
	again := start(t, h.serve(), Options{Exports: x, State: r.o.State})
	eventually(t, "it is in force again", func() bool { return len(again.obs.all(Enforced)) > 0 })
	again.stop()
	if got := len(lines(t, ran)) - begun; got != 1 || begun > 2 {
		t.Errorf("the command ran %d times and %d times more, want once more: for the one that changed", begun, got)
	}
}

func TestAReloadThatFailsIsTriedAgainAndOneThatHangsIsEnded(t *testing.T) {
	if err := reload(t.Context(), []string{"sleep", "60"}, 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not end") {
		t.Errorf("a command that hangs: %v", err)
	}
	if err := reload(t.Context(), []string{"no-such-program"}, time.Second); err == nil || !strings.Contains(err.Error(), "not there") {
		t.Errorf("a program that is not there: %v", err)
	}
	h := newFakeHub(t)
	h.share(indicatorOf(1, 1, "[domain-name:value = 'evil.example']"))
	folder := t.TempDir()
	ready := filepath.Join(folder, "ready")
	r := start(t, h.serve(), Options{Exports: []Export{{Format: "hosts", File: filepath.Join(folder, "hosts"), Reload: "test -f " + ready}}})
	eventually(t, "that it fails is told", func() bool { return len(r.obs.all(Failed)) > 0 })
	if n := len(r.obs.all(Enforced)); n != 0 {
		t.Errorf("%d times it was told to be in force, though the defense has not read it", n)
	}
	if err := os.WriteFile(ready, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is tried again", func() bool { return len(r.obs.all(Enforced)) > 0 })
}

func TestCommandsAreTakenApartAndNothingElse(t *testing.T) {
	for line, want := range map[string][]string{
		"":                            nil,
		"  rndc  reload\trpz ":        {"rndc", "reload", "rpz"},
		`a "b c" 'd "e' f\ g "h\"i"`:  {"a", "b c", `d "e`, "f g", `h"i`},
		`sh -c 'echo $X; rm *' ; x|y`: {"sh", "-c", "echo $X; rm *", ";", "x|y"},
		`a '' ""`:                     {"a", "", ""},
	} {
		if got, err := words(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("words(%s) = %q, %v, want %q", line, got, err, want)
		}
	}
	if _, err := words(`a "b`); err == nil {
		t.Error("a quote without an end is no error")
	}
}

func TestSomeExportsWantMoreThanOneOrganization(t *testing.T) {
	by := func(n int) string {
		return fmt.Sprintf(`"created_by_ref":"identity--00000000-0000-4000-8000-%012d"`, n)
	}
	h := newFakeHub(t)
	h.share(indicatorOf(1, 1, "[domain-name:value = 'a.example']", by(1)), indicatorOf(2, 1, "[domain-name:value = 'a.example']", by(1)), indicatorOf(3, 1, "[domain-name:value = 'b.example']", by(1)))
	file := filepath.Join(t.TempDir(), "two")
	r := start(t, h.serve(), Options{Exports: []Export{{Format: "edl-domain", File: file, Sources: 2}}})
	eventually(t, "all are listed where one is enough", func() bool { return len(r.list(domainsName)) == 2 })
	if got := lines(t, file); len(got) != 0 {
		t.Errorf("the same organization twice is %v, want nothing", got)
	}
	h.share(indicatorOf(4, 1, "[domain-name:value = 'a.example']", by(2)))
	eventually(t, "a second one says so", func() bool { return slices.Equal(lines(t, file), []string{"a.example"}) })
	h.withdraw(indicatorID(4))
	eventually(t, "it takes it back", func() bool { return len(lines(t, file)) == 0 && len(r.list(domainsName)) == 2 })
}

func TestIndicatorsComeFromFilesToo(t *testing.T) {
	list := filepath.Join(t.TempDir(), "list.txt")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("evil.example\n192.0.2.1\nnothing at all\n")
	log := filepath.Join(t.TempDir(), "dns.log")
	r := &run{t: t, obs: &observer{}}
	r.o = Options{State: t.TempDir(), Lists: t.TempDir(), Files: []string{list}, Logs: []string{log}, Observer: r.obs.take}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, r.o) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "they are blocked", func() bool { return slices.Equal(r.blocked(), []string{"192.0.2.1", "evil.example"}) })
	appendTo(t, log, `{"ts":1772000000.5,"query":"www.evil.example"}`)
	eventually(t, "they are found", func() bool { return len(r.obs.all(Hit)) == 1 })
	if hit := r.obs.all(Hit)[0]; hit.Field != "query" || hit.Value != "evil.example" {
		t.Errorf("the hit is %+v, want the field query", hit)
	}
	put("other.example\nevil.example\n")
	eventually(t, "what the file has no longer is let through", func() bool { return slices.Equal(r.blocked(), []string{"evil.example", "other.example"}) })
}

func TestWhatSomebodyElseChangedIsWrittenAnew(t *testing.T) {
	b := bookOf(t, nil, "[domain-name:value = 'evil.example']")
	file := filepath.Join(t.TempDir(), "edl")
	a := &agent{Options: Options{State: t.TempDir(), Exports: []Export{{Format: "edl-domain", File: file}}, Log: slog.New(slog.DiscardHandler)}, book: b}
	e, err := newEnforcer(a)
	if err != nil {
		t.Fatal(err)
	}
	e.write(t.Context(), time.Now())
	e.beaten = time.Now().Add(-2 * beatEvery)
	if e.beat(t.Context()) {
		t.Error("a file that is as it was written is taken for one that is not")
	}
	if err := os.WriteFile(file, []byte("google.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e.beaten = time.Now().Add(-2 * beatEvery)
	if !e.beat(t.Context()) {
		t.Error("that the file was changed was not noticed")
	}
	e.write(t.Context(), time.Now())
	if got := lines(t, file); !slices.Equal(got, []string{"evil.example"}) {
		t.Errorf("the file has %v, want evil.example", got)
	}
}

func TestWrongExportsEndTheAgent(t *testing.T) {
	folder := t.TempDir()
	for name, all := range map[string][]Export{
		"no such format": {{Format: "x", File: folder + "/x"}}, "no file": {{Format: "hosts"}}, "no folder": {{Format: "hosts", File: folder + "/a/b"}},
		"one file twice": {{Format: "hosts", File: folder + "/x"}, {Format: "rpz", File: folder + "/./x"}}, "a quote": {{Format: "hosts", File: folder + "/x", Reload: "a 'b"}},
		"a negative number": {{Format: "hosts", File: folder + "/x", Sources: -1}},
	} {
		if err := Run(t.Context(), Options{State: t.TempDir(), Files: []string{folder + "/list"}, Exports: all}); err == nil {
			t.Errorf("%s: Run = nil, want an error", name)
		}
	}
}
