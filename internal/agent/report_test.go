package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/stix"
)

// appendTo writes lines to a log.
func appendTo(t testing.TB, path string, lines ...string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// sightings returns what the hub has, without what differs each time.
func (h *fakeHub) sightings() (all []map[string]any) {
	h.get(func() {
		for _, o := range h.received {
			all = append(all, maps.Clone(o))
		}
	})
	return all
}

// counts returns how often each indicator was reported to be seen.
func (h *fakeHub) counts() map[string]int {
	sum := map[string]int{}
	for _, s := range h.sightings() {
		n, _ := s["count"].(float64)
		id, _ := s["sighting_of_ref"].(string)
		sum[id] += int(n)
	}
	return sum
}

func TestWhatIsSeenIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFakeHub(t)
		h.share(
			indicatorOf(1, 1, "[domain-name:value = 'evil.example']", `"object_marking_refs":["`+amber+`"]`),
			indicatorOf(2, 1, "[ipv4-addr:value = '8.8.8.8']"), // not blocked, but looked for
		)
		log := filepath.Join(t.TempDir(), "dns.log")
		appendTo(t, log, "user-canary-42 asked for www.evil.example and evil.example", "nothing here")
		r := start(t, h.inMemory(), Options{Logs: []string{log}, Allow: []string{"ours.example"}})
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		if got := len(h.sightings()); got != 0 || len(r.obs.all(Hit)) != 1 {
			t.Fatalf("after half a second there are %d sightings and %d hits, want none yet and one", got, len(r.obs.all(Hit)))
		}
		if hit := r.obs.all(Hit)[0]; hit.Indicator != indicatorID(1) || hit.Value != "evil.example" || hit.File != log {
			t.Errorf("the hit is %+v, want the indicator, its value and the file", hit)
		}
		appendTo(t, log, "evil.example again", "8.8.8.8")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		all := h.sightings()
		if len(all) != 2 {
			t.Fatalf("after two seconds there are %d sightings, want two", len(all))
		}
		slices.SortFunc(all, func(a, b map[string]any) int {
			return strings.Compare(fmt.Sprint(a["sighting_of_ref"]), fmt.Sprint(b["sighting_of_ref"]))
		})
		id, _ := all[0]["id"].(string)
		if kind, _, ok := stix.SplitID(id); !ok || kind != "sighting" {
			t.Errorf("the id is %s, want that of a sighting", id)
		}
		for _, varies := range []string{"id", "created", "modified"} {
			delete(all[0], varies)
		}
		want := map[string]any{
			"type": "sighting", "spec_version": "2.1", "created_by_ref": identity, "count": 2.0, "summary": true, "sighting_of_ref": indicatorID(1),
			"first_seen": "2000-01-01T00:00:00.250Z", "last_seen": "2000-01-01T00:00:00.550Z", "where_sighted_refs": []any{identity}, "object_marking_refs": []any{amber},
		}
		if diff := cmp.Diff(want, all[0]); diff != "" {
			t.Errorf("the sighting (-want +got):\n%s", diff)
		}
		if got := r.obs.all(Reported); len(got) != 2 || got[0].Sighting == "" || got[0].Count+got[1].Count != 3 {
			t.Errorf("reported was %+v, want two with a count of 3", got)
		}

		// What is seen after that waits for the summary.
		for range 100 {
			appendTo(t, log, "x evil.example")
			time.Sleep(10 * time.Second)
		}
		synctest.Wait()
		if got := len(h.sightings()); got != 2 {
			t.Errorf("there are %d sightings before the hour is over, want two", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := h.counts(); len(h.sightings()) != 3 || got[indicatorID(1)] != 102 || got[indicatorID(2)] != 1 {
			t.Errorf("after an hour there are %d sightings of %v, want three of 102 and 1", len(h.sightings()), got)
		}
		r.stop()

		var sent string
		h.get(func() { sent = strings.Join(h.bodies, "\n") })
		if strings.Contains(sent, "canary") || strings.Contains(sent, "again") || strings.Contains(sent, log) {
			t.Error("a part of the log was sent to the hub")
		}
	})
}

func TestSightingsAreSTIX(t *testing.T) {
	r := &reports{}
	r.state.Identity = identity
	now := time.Now()
	for _, text := range r.render(Collection{community, alerts}, []sighting{
		{ID: newSightingID(), Indicator: indicatorID(1), Made: now, First: now.Add(-time.Hour), Last: now, Count: 1},
		{ID: newSightingID(), Indicator: indicatorID(1), Made: now, First: now, Last: now, Count: 2_000_000_000, TLP: 4},
	}) {
		v, err := stix.Parse(text, stix.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if wrong := stix.Validate(v, stix.Options{ErrorsOnly: true}); len(wrong) > 0 {
			t.Errorf("%s: %v", text, wrong)
		}
	}
}

func TestWhatIsSecretIsNotReported(t *testing.T) {
	const unknown = "marking-definition--00000000-0000-4000-8000-000000000001"
	const strict = "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"
	for name, test := range map[string]struct {
		more    string
		quiet   bool
		marking string // of the sighting; "" when there is none
	}{
		"unmarked":            {"", false, amber}, // the community's default is less restrictive
		"amber":               {`"object_marking_refs":["` + amber + `"]`, false, amber},
		"strict":              {`"object_marking_refs":["` + strict + `"]`, false, strict},
		"red":                 {`"object_marking_refs":["` + red + `"]`, false, ""},
		"a part is red":       {`"granular_markings":[{"selectors":["pattern"],"marking_ref":"` + red + `"}]`, false, ""},
		"unknown":             {`"object_marking_refs":["` + amber + `","` + unknown + `"]`, false, ""},
		"the agent is not to": {"", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newFakeHub(t)
				var more []string
				if test.more != "" {
					more = append(more, test.more)
				}
				h.share(indicatorOf(1, 1, "[domain-name:value = 'evil.example']", more...))
				log := filepath.Join(t.TempDir(), "log")
				r := start(t, h.inMemory(), Options{Logs: []string{log}, Quiet: test.quiet})
				time.Sleep(time.Second)
				appendTo(t, log, "evil.example")
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				var got []string
				for _, s := range h.sightings() {
					got = append(got, fmt.Sprint(s["object_marking_refs"]))
				}
				want := []string{"[" + test.marking + "]"}
				if test.marking == "" {
					want = nil
				}
				hits := 1
				if name == "unknown" { // it may not even be looked for
					hits = 0
				}
				if !slices.Equal(got, want) || len(r.obs.all(Hit)) != hits {
					t.Errorf("the sightings are marked %v, with %d hits; want %v and %d", got, len(r.obs.all(Hit)), want, hits)
				}
				r.stop()
			})
		})
	}
}

// TestEveryLineCountsOnce ends the agent again and again, in an orderly way and
// by taking the state as it is on disk, while the hub fails in every way.
func TestEveryLineCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFakeHub(t)
		h.share(indicatorOf(1, 1, "[domain-name:value = 'a.example']"), indicatorOf(2, 1, "[domain-name:value = 'b.example']"))
		log := filepath.Join(t.TempDir(), "log")
		state := t.TempDir()
		want := map[string]int{}
		fails := []func(){
			func() {}, func() { h.submitStatus = 503 }, func() { h.submitStatus = 401 }, func() { h.forget = true }, func() { h.streamStatus = 500 },
		}
		for round := range 15 {
			h.set(func() { h.submitStatus, h.forget, h.streamStatus = 0, false, 0; fails[round%len(fails)]() })
			r := start(t, h.inMemory(), Options{Logs: []string{log}, State: state, Summary: time.Minute})
			for n := range 20 {
				appendTo(t, log, "a.example", "clean", "b.example")
				want[indicatorID(1)]++
				want[indicatorID(2)]++
				time.Sleep(time.Duration(n) * time.Second)
			}
			synctest.Wait()
			if round%3 != 0 { // killed: what it would write at its end is lost
				killed := t.TempDir()
				if err := os.CopyFS(killed, os.DirFS(state)); err != nil {
					t.Fatal(err)
				}
				state = killed
			}
			r.stop()
		}
		h.set(func() { h.submitStatus, h.forget, h.streamStatus = 0, false, 0 })
		r := start(t, h.inMemory(), Options{Logs: []string{log}, State: state, Summary: time.Minute})
		time.Sleep(time.Hour)
		synctest.Wait()
		if diff := cmp.Diff(want, h.counts()); diff != "" {
			t.Errorf("what was counted (-want +got):\n%s", diff)
		}
		var submitted, known int
		h.get(func() { submitted, known = h.submitted, len(h.received) })
		t.Logf("%d sightings in %d submissions", known, submitted)
		r.stop()
	})
}

func TestAManyTimesSeenIndicatorIsOneSighting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newFakeHub(t)
		for n := range 1200 {
			h.share(indicatorOf(n, 1, pattern1(n)))
		}
		log := filepath.Join(t.TempDir(), "log")
		r := start(t, h.inMemory(), Options{Logs: []string{log}})
		time.Sleep(time.Second)
		var all []string
		for n := range 12_000 {
			all = append(all, fmt.Sprintf("d%d.example", n%1200))
		}
		appendTo(t, log, all...)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		counts := h.counts()
		if len(h.sightings()) != 1200 || len(counts) != 1200 || counts[indicatorID(7)] != 10 {
			t.Errorf("%d sightings of %d indicators, want 1200, each of ten", len(h.sightings()), len(counts))
		}
		r.stop()
		var state struct{ Outbox []any }
		text, err := os.ReadFile(filepath.Join(r.o.State, reportsName))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &state); err != nil || len(state.Outbox) != 0 {
			t.Errorf("%d sightings are still to be sent, %v", len(state.Outbox), err)
		}
	})
}
