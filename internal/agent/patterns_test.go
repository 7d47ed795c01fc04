package agent

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"tocsin/internal/logs"
)

// watcher opens an agent that nothing of runs, on a state.
func watcher(t *testing.T, state string, window time.Duration) (a *agent, look func(path, line string) []string) {
	t.Helper()
	obs := &observer{}
	a, err := open(Options{
		State: state, Hub: newFakeHub(t).inMemory(), Collections: []Collection{{community, alerts}}, Window: window, Observer: obs.take, Log: slog.New(slog.DiscardHandler), Summary: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a, func(path, line string) (found []string) {
		before := len(obs.all(Hit))
		a.search(t.Context(), path, logs.Chunk{Text: []byte(line + "\n")}, logs.JSON, place{Offset: 1})
		for _, e := range obs.all(Hit)[before:] {
			found = append(found, e.Indicator+" "+e.Field+" "+e.Value)
		}
		a.reports.cut(time.Now().Add(2*time.Hour), time.Hour, true) // each hit is the first since the last report
		return found
	}
}

// TestPatternsAreSoughtWhileTheyAreShared has patterns of one event and of
// several logs, a restart, and a withdrawal.
func TestPatternsAreSoughtWhileTheyAreShared(t *testing.T) {
	state, c := t.TempDir(), Collection{community, alerts}
	a, look := watcher(t, state, time.Hour)
	for _, object := range []string{
		indicatorOf(1, 1, "[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:dst_port = 8443 AND network-traffic:protocols[*] = 'tcp']"),
		indicatorOf(2, 1, "([domain-name:value = 'a.evil.example'] FOLLOWEDBY [ipv4-addr:value = '198.51.100.8']) WITHIN 60 SECONDS"),
		indicatorOf(3, 1, "[url:value LIKE 'http://%.evil.example/' AND url:value LIKE '%x%']"),
		indicatorOf(4, 1, "[ipv4-addr:value = '198.51.100.9'] OR [file:name = 'a.exe' AND file:size > 3]"),
	} {
		if err := a.read(c, []byte(object), func(*cursors) {}); err != nil {
			t.Fatal(err)
		}
	}
	const wrong, right = `{"ts":1772000000,"id.orig_h":"10.0.0.5","id.resp_h":"198.51.100.7","id.resp_p":443,"proto":"tcp"}`,
		`{"ts":1772000001,"id.orig_h":"10.0.0.5","id.resp_h":"198.51.100.7","id.resp_p":8443,"proto":"tcp"}`
	const query, then = `{"ts":1772000010,"query":"a.evil.example"}`, `{"ts":1772000020,"id.orig_h":"10.0.0.5","id.resp_h":"198.51.100.8"}`
	expect := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: found %v, want %v", what, got, want)
		}
	}
	first, second := indicatorID(1)+" id.resp_h 198.51.100.7", indicatorID(2)+" id.resp_h 198.51.100.8"
	expect("another port", look("conn.log", wrong))
	expect("the port", look("conn.log", right), first)
	expect("the second half", look("conn.log", then))
	expect("the first half", look("dns.log", query), indicatorID(2)+" query a.evil.example") // what is later in the log may be read earlier
	expect("both again", append(look("dns.log", query), look("conn.log", then)...), second)
	expect("one alternative", look("conn.log", `{"ts":1772000001,"id.orig_h":"198.51.100.9"}`), indicatorID(4)+" id.orig_h 198.51.100.9")
	expect("the other", look("files.log", `{"ts":1772000001,"fuid":"F","filename":"a.exe","total_bytes":4}`), indicatorID(4)+" filename a.exe")
	if a.book.unsought != 1 {
		t.Errorf("%d patterns are not sought, want the one without an exact value", a.book.unsought)
	}
	if err := a.journal.close(); err != nil {
		t.Fatal(err)
	}

	a, look = watcher(t, state, time.Hour)
	expect("after a restart", look("conn.log", right), first)
	expect("half of it", look("dns.log", query))
	for n := range 4 {
		a.book.withdraw(c.key(), indicatorID(n+1), "")
	}
	expect("withdrawn", slices.Concat(look("conn.log", right), look("conn.log", then)))
	if a.book.unsought != 0 || a.book.patterns.Len() != 0 || a.book.set.Len() != 0 {
		t.Errorf("%d patterns and %d values are left, and %d that are not sought", a.book.patterns.Len(), a.book.set.Len(), a.book.unsought)
	}
	if err := a.journal.close(); err != nil {
		t.Fatal(err)
	}

	a, look = watcher(t, t.TempDir(), 0)
	if err := a.read(c, []byte(indicatorOf(2, 1, "[domain-name:value = 'a.evil.example'] REPEATS 2 TIMES")), func(*cursors) {}); err != nil {
		t.Fatal(err)
	}
	expect("without a window", append(look("dns.log", query), look("dns.log", query)...))
	if a.book.unsought != 1 {
		t.Errorf("%d patterns are not sought, want the one of two events", a.book.unsought)
	}
	if err := a.journal.close(); err != nil {
		t.Fatal(err)
	}
}
