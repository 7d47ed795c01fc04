package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin"
	"tocsin/internal/guard"
)

// lines returns the lines of a file, none when it is not there.
func lines(t testing.TB, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	all := strings.Split(string(text), "\n")
	return all[:len(all)-1]
}

func TestWhatIsSharedIsBlocked(t *testing.T) {
	h := newFakeHub(t)
	h.share(
		indicatorOf(1, 1, "[ipv4-addr:value = '192.0.2.1' OR ipv4-addr:value = '198.51.100.0/24']"),
		indicatorOf(2, 1, "[ipv6-addr:value IN ('2001:DB8::1', '2001:db8:1::/48')] OR [domain-name:value = 'Evil.Example.']"),
		indicatorOf(3, 1, "[url:value = 'HTTP://evil.example:80/a?b=c']"),
		indicatorOf(4, 1, "[file:hashes.'SHA-256' = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855']"),
		indicatorOf(5, 1, "[ipv4-addr:value = '192.0.2.5' AND ipv4-addr:value = '192.0.2.6']"),
		indicatorOf(6, 1, "[ipv4-addr:value ISSUBSET '203.0.113.0/24']"),
		indicatorOf(7, 1, "[network-traffic:dst_ref.value = '192.0.2.7'] OR [network-traffic:dst_ref.value = 'c2.example']"),
		`{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-000000000001","modified":"2026-01-01T00:00:00.000Z","is_family":false}`,
	)
	file := filepath.Join(t.TempDir(), "blocklist.txt")
	r := start(t, h.serve(), Options{Blocklist: file})
	want := []string{
		"192.0.2.1", "192.0.2.7", "2001:db8::1", "198.51.100.0/24", "2001:db8:1::/48", "203.0.113.0/24", "c2.example", "evil.example", "http://evil.example/a?b=c",
	}
	eventually(t, "all are blocked", func() bool { return slices.Equal(sorted(r.blocked()), sorted(want)) })
	eventually(t, "they are in one file as well", func() bool { return len(lines(t, file)) == len(want) })

	h.share(indicatorOf(8, 1, "[domain-name:value = 'new.example']"))
	eventually(t, "a new one is told", func() bool {
		return slices.ContainsFunc(r.obs.all(Blocked), func(e Event) bool {
			return e.Value == "new.example" && e.Indicator == indicatorID(8) && e.Collection == Collection{community, alerts} && e.Took > 0
		})
	})
	if got := r.list(domainsName); !slices.Equal(got, []string{"c2.example", "evil.example", "new.example"}) {
		t.Errorf("when it was told, the domains were %v", got)
	}
	if len(r.obs.all(Connected)) != 1 {
		t.Errorf("connected %d times, want once", len(r.obs.all(Connected)))
	}
}

func TestAFirstStartDoesNotEmptyAList(t *testing.T) {
	h := newFakeHub(t)
	for i := range 50 {
		h.share(indicatorOf(i, 1, fmt.Sprintf("[domain-name:value = 'd%d.example']", i)))
	}
	file := filepath.Join(t.TempDir(), "blocklist.txt")
	if err := os.WriteFile(file, []byte("d1.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, h.serve(), Options{Blocklist: file})
	for began := time.Now(); ; {
		all := lines(t, file)
		if !slices.Contains(all, "d1.example") {
			t.Fatalf("the list that was there became %v", all)
		}
		if len(all) == 50 {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal("waited in vain for all of them")
		}
	}
}

func TestTheNewestWordCounts(t *testing.T) {
	h := newFakeHub(t)
	h.share(indicatorOf(1, 2, "[domain-name:value = 'a.example']"))
	r := start(t, h.serve(), Options{})
	for i, step := range []struct {
		what   string
		object string
		want   []string
	}{
		{"an older version", indicatorOf(1, 1, "[domain-name:value = 'old.example']"), []string{"a.example"}},
		{"a newer version", indicatorOf(1, 3, "[domain-name:value = 'b.example']"), []string{"b.example"}},
		{"another indicator of the same value", indicatorOf(2, 1, "[domain-name:value = 'b.example' OR domain-name:value = 'c.example']"), []string{"b.example", "c.example"}},
		{"one of two is revoked", indicatorOf(1, 4, "[domain-name:value = 'b.example']", `"revoked":true`), []string{"b.example", "c.example"}},
		{"a version after it was revoked", indicatorOf(1, 5, "[domain-name:value = 'back.example']"), []string{"b.example", "c.example"}},
		{"the other is revoked", indicatorOf(2, 2, "[domain-name:value = 'b.example']", `"revoked":true`), []string{}},
		{"a version that is not STIX", indicatorOf(3, 1, "[domain-name:value = 'd.example']"), []string{"d.example"}},
		{"that is one in another language now", strings.Replace(indicatorOf(3, 2, "alert tcp any"), `"pattern_type":"stix"`, `"pattern_type":"snort"`, 1), []string{}},
	} {
		mark := fmt.Sprintf("mark-%d.example", i) // comes after it: then it was taken
		h.share(step.object, indicatorOf(100+i, 1, "[domain-name:value = '"+mark+"']"))
		eventually(t, step.what, func() bool {
			all := r.list(domainsName)
			rest := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return strings.HasPrefix(s, "mark-") })
			return slices.Contains(all, mark) && slices.Equal(rest, step.want)
		})
	}
	if len(r.obs.all(Unblocked)) == 0 {
		t.Error("that values went was not told")
	}
}

func TestWhatIsWithdrawnIsBlockedNoMore(t *testing.T) {
	h := newFakeHub(t)
	h.share(indicatorOf(1, 1, "[domain-name:value = 'a.example']"), indicatorOf(2, 1, "[domain-name:value = 'b.example']"))
	r := start(t, h.serve(), Options{})
	eventually(t, "both are blocked", func() bool { return len(r.blocked()) == 2 })
	h.withdraw(indicatorID(1))
	eventually(t, "one is left", func() bool { return slices.Equal(r.blocked(), []string{"b.example"}) })
	r.stop()
	again := start(t, h.serve(), Options{State: r.o.State})
	eventually(t, "after a restart as well", func() bool { return len(again.obs.all(Connected)) > 0 && len(again.obs.all(Enforced)) > 0 })
	if got := again.blocked(); !slices.Equal(got, []string{"b.example"}) {
		t.Errorf("after a restart %v is blocked, want b.example", got)
	}
}

func TestTheClockBlocksAndUnblocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFakeHub(t)
		begin := time.Now() // 2000-01-01T00:00:00Z
		at := func(d time.Duration) string { return begin.Add(d).UTC().Format(time.RFC3339) }
		h.share(
			indicatorOf(1, 1, "[domain-name:value = 'ends.example']", `"valid_until":"`+at(time.Hour)+`"`),
			strings.Replace(indicatorOf(2, 1, "[domain-name:value = 'begins.example']", `"valid_until":"`+at(3*time.Hour)+`"`), "1999-01-01T00:00:00Z", at(2*time.Hour), 1),
			indicatorOf(3, 1, "[domain-name:value = 'over.example']", `"valid_until":"1999-06-01T00:00:00Z"`),
			indicatorOf(4, 1, "[domain-name:value = 'renewed.example']", `"valid_until":"`+at(time.Hour)+`"`),
			indicatorOf(4, 2, "[domain-name:value = 'renewed.example']", `"valid_until":"`+at(100*time.Hour)+`"`),
		)
		r := start(t, h.inMemory(), Options{})
		for _, step := range []struct {
			after time.Duration
			want  []string
		}{
			{time.Second, []string{"ends.example", "renewed.example"}},
			{time.Hour - time.Second, []string{"ends.example", "renewed.example"}},
			{time.Hour + 3*time.Second, []string{"renewed.example"}},
			{2*time.Hour + 3*time.Second, []string{"begins.example", "renewed.example"}},
			{3*time.Hour + 3*time.Second, []string{"renewed.example"}},
		} {
			time.Sleep(step.after - time.Since(begin))
			synctest.Wait()
			if got := r.blocked(); !slices.Equal(got, step.want) {
				t.Errorf("after %v the list is %v, want %v", step.after, got, step.want)
			}
		}
		r.stop()
	})
}

func TestAnAgentThatIsCutOffGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFakeHub(t)
		until := time.Now().Add(7 * time.Hour).UTC().Format(time.RFC3339)
		h.share(indicatorOf(1, 1, "[domain-name:value = 'a.example']"), indicatorOf(2, 1, "[domain-name:value = 'night.example']", `"valid_until":"`+until+`"`))
		first := start(t, h.inMemory(), Options{})
		time.Sleep(time.Second)
		synctest.Wait()
		first.stop()
		if err := os.RemoveAll(first.o.Lists); err != nil {
			t.Fatal(err)
		}

		h.set(func() { h.streamStatus = 503 })
		r := start(t, h.inMemory(), Options{State: first.o.State})
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if got := r.blocked(); !slices.Equal(got, []string{"a.example", "night.example"}) {
			t.Errorf("without a hub %v is blocked, want what was known", got)
		}
		time.Sleep(8 * time.Hour)
		synctest.Wait()
		if got := r.blocked(); !slices.Equal(got, []string{"a.example"}) {
			t.Errorf("after a night without a hub %v is blocked, want what has not expired", got)
		}
		r.stop()
	})
}

func TestAgentsPollWhileThereIsNoStream(t *testing.T) {
	for name, change := range map[string]func(h *fakeHub){
		"the stream is refused":     func(h *fakeHub) { h.streamStatus = 502 },
		"the stream brings nothing": func(h *fakeHub) { h.mute = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newFakeHub(t)
				for n := range 250 { // three pages
					h.share(indicatorOf(1000+n, 1, fmt.Sprintf("[domain-name:value = 'd%d.example']", n)))
				}
				r := start(t, h.inMemory(), Options{})
				time.Sleep(time.Second)
				synctest.Wait()
				if got := len(r.blocked()); got != 250 {
					t.Fatalf("%d are blocked, want 250", got)
				}
				h.set(func() { change(h) })
				h.share(indicatorOf(1, 1, "[domain-name:value = 'polled.example']"))
				for range 4 { // a stream that brings nothing has to end before it is known to be none
					time.Sleep(time.Minute)
					h.set(func() {})
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if !slices.Contains(r.blocked(), "polled.example") {
					t.Errorf("what was shared meanwhile is not blocked after %d polls", len(h.polls))
				}
				h.withdraw(indicatorID(1))
				for range 8 {
					time.Sleep(time.Minute)
					h.set(func() {})
				}
				synctest.Wait()
				if slices.Contains(r.blocked(), "polled.example") || len(r.blocked()) != 250 {
					t.Errorf("what was withdrawn meanwhile is still blocked, or more is gone: %d", len(r.blocked()))
				}
				var polls []string
				h.get(func() { polls = h.polls })
				if last := polls[len(polls)-1]; !strings.Contains(last, "added_after") && !strings.Contains(last, "manifest") {
					t.Errorf("the last poll is %s, want it to ask for news only", last)
				}

				h.set(func() { h.streamStatus, h.mute = 0, false })
				h.share(indicatorOf(2, 1, "[domain-name:value = 'streamed.example']"))
				time.Sleep(time.Minute)
				synctest.Wait()
				var open int
				h.get(func() { open = h.open })
				if open != 1 || !slices.Contains(r.blocked(), "streamed.example") || slices.Contains(r.blocked(), "polled.example") {
					t.Errorf("with %d streams: %d blocked, want one stream and its news", open, len(r.blocked()))
				}
				r.stop()
			})
		})
	}
}

func TestAHubThatForgotItsCursorsIsReadAnew(t *testing.T) {
	h := newFakeHub(t)
	h.share(indicatorOf(1, 1, "[domain-name:value = 'a.example']"))
	r := start(t, h.serve(), Options{})
	eventually(t, "it is blocked", func() bool { return len(r.blocked()) == 1 })
	h.set(func() { h.epoch = "b" })
	h.share(indicatorOf(2, 1, "[domain-name:value = 'b.example']"))
	eventually(t, "both are blocked", func() bool { return len(r.blocked()) == 2 })
}

func TestARestartAsksForNewsOnly(t *testing.T) {
	h := newFakeHub(t)
	h.share(indicatorOf(1, 1, "[domain-name:value = 'a.example']"), indicatorOf(2, 1, "[domain-name:value = 'b.example']"))
	r := start(t, h.serve(), Options{})
	eventually(t, "both are blocked", func() bool { return len(r.blocked()) == 2 })
	r.stop()
	again := start(t, h.serve(), Options{State: r.o.State})
	eventually(t, "it is back", func() bool { return len(again.obs.all(Connected)) == 1 })
	h.share(indicatorOf(3, 1, "[domain-name:value = 'c.example']"))
	eventually(t, "that the third is blocked was told", func() bool { return len(again.obs.all(Blocked)) > 0 })
	if got := again.obs.all(Blocked); len(got) != 1 || got[0].Value != "c.example" {
		t.Errorf("blocked anew: %+v, want the third only", got)
	}
	var asked string
	h.get(func() { asked = strings.Join(h.bodies, "\n") })
	if !strings.Contains(asked, "Last-Event-Id:[a2]") {
		t.Errorf("the requests were %s, want one that goes on behind the second", asked)
	}
}

func TestManyValuesAreToldAtOnce(t *testing.T) {
	h := newFakeHub(t)
	var many []string
	for n := range 5000 {
		many = append(many, indicatorOf(n, 1, pattern1(n)))
	}
	many = append(many, indicatorOf(6000, 1, "[ipv4-addr:value = '8.8.8.8']"))
	client := h.serve()
	r := start(t, client, Options{})
	eventually(t, "the agent listens", func() bool { return len(r.obs.all(Connected)) == 1 })
	h.share(many...)
	eventually(t, "all are told to be in force", func() bool {
		return slices.ContainsFunc(r.obs.all(Enforced), func(e Event) bool { return e.Count == 5000 && e.Held[guard.Resolver] == 1 })
	})
	if n, writes := len(r.obs.all(Blocked)), len(r.obs.all(Enforced)); n > 100*writes {
		t.Errorf("%d values were told one by one in %d writes", n, writes)
	}
	if got := len(r.list(domainsName)); got != 5000 {
		t.Errorf("the list has %d lines, want 5000", got)
	}
}

func TestWrongOptionsEndTheAgent(t *testing.T) {
	h := newFakeHub(t)
	client := h.serve()
	for name, test := range map[string]struct {
		o    Options
		kind tocsin.Kind
	}{
		"nothing":                   {Options{}, tocsin.Invalid},
		"no state":                  {Options{Hub: client, Collections: []Collection{{community, alerts}}}, tocsin.Invalid},
		"a collection without name": {Options{Hub: client, Collections: []Collection{{community, ""}}, State: t.TempDir()}, tocsin.Invalid},
		"an unknown collection":     {Options{Hub: client, Collections: []Collection{{community, "typo"}}, State: t.TempDir()}, tocsin.NotFound},
		"an allow list of nothing":  {Options{Hub: client, Collections: []Collection{{community, alerts}}, State: t.TempDir(), Allow: []string{"not a name"}}, tocsin.Invalid},
	} {
		err := Run(t.Context(), test.o)
		if e, ok := errors.AsType[*tocsin.Error](err); !ok || e.Kind != test.kind {
			t.Errorf("%s: Run = %v, want an error of kind %d", name, err, test.kind)
		}
	}
}

func TestAllowListsMayHaveComments(t *testing.T) {
	got := guard.AllowList("# ours\n\nexample.org # the site\n 192.0.2.0/24\r\n#x\n")
	if want := []string{"example.org", "192.0.2.0/24"}; !cmp.Equal(got, want) {
		t.Errorf("AllowList = %v, want %v", got, want)
	}
}
