package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/internal/api"
	"tocsin/internal/distribute"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/hubclient"
	"tocsin/internal/outbound"
	"tocsin/internal/taxii"
)

// realHub runs the two APIs of a hub with the cast of hubtest.
func realHub(t testing.TB) (p *hubtest.Parts, as func(name string) *hubclient.Client) {
	t.Helper()
	p = hubtest.Open(t)
	s := httptest.NewServer(nil)
	t.Cleanup(s.CloseClientConnections)
	base, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	mux := http.NewServeMux()
	mux.Handle("/api/v1/", api.New(api.Options{
		Authenticator: p.Directory, Directory: p.Directory, Administrator: p.Directory, Registry: p.Directory, Admissions: p.Directory, Confirmer: p.Directory, Feed: p.Feed, Submitter: p.Submit, Prover: p.Prover, Deployer: p.Deploy,
		Cursors: p.Cursors, Intake: p.Intake, URL: base, Log: log,
	}))
	mux.Handle("/", taxii.New(taxii.Options{
		Authenticator: p.Directory, Directory: p.Directory, Feed: p.Feed, Submitter: p.Submit, Prover: p.Prover, Withdrawer: p.Withdrawer,
		Cursors: p.Cursors, Intake: p.Intake, URL: base, Title: "Hub", Log: log,
	}))
	s.Config.Handler = mux
	return p, func(name string) *hubclient.Client {
		door, err := outbound.New(outbound.Options{Only: base})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(door.CloseIdleConnections)
		c, err := hubclient.New(hubclient.Options{URL: s.URL, Token: p.Tokens[name], HTTP: door})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// startAt runs an agent on hubtest's collection.
func startAt(t testing.TB, c *hubclient.Client, o Options) *run {
	o.Collections = []Collection{{"finance", "indicators"}}
	return start(t, c, o)
}

func TestOneMembersFindingIsTheOthersDefense(t *testing.T) {
	p, as := realHub(t)
	log := filepath.Join(t.TempDir(), "dns.log")
	r := startAt(t, as(hubtest.Colleague), Options{Logs: []string{log}, First: time.Millisecond})
	eventually(t, "the agent listens", func() bool { return len(r.obs.all(Connected)) == 1 })

	finder := as(hubtest.Writer)
	bad := hubtest.Indicator(5, 1, `"object_marking_refs":["`+amber+`"]`) // 192.0.2.6
	if _, err := finder.Submit(t.Context(), "finance", "indicators", []byte(hubtest.Envelope(bad)), nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is blocked", func() bool { return slices.Equal(r.list(ipsName), []string{"192.0.2.6"}) })

	appendTo(t, log, `{"id.resp_h":"192.0.2.6","user":"canary"}`, `{"id.resp_h":"192.0.2.60"}`)
	id := hubtest.ID("indicator", 5)
	eventually(t, "the finder sees that it was seen", func() bool {
		seen, err := finder.Sightings(t.Context(), "finance", "indicators", id)
		return err == nil && seen.Count == 1 && strings.Contains(string(seen.Sightings[0]), amber) && !strings.Contains(string(seen.Sightings[0]), "canary")
	})
	eventually(t, "it is told to be reported", func() bool { return len(r.obs.all(Reported)) == 1 })
	if failed := r.obs.all(Failed); len(failed) != 0 {
		t.Errorf("failed: %+v, want nothing", failed)
	}

	who, err := p.Directory.Authenticate(t.Context(), p.Tokens[hubtest.Writer])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Withdrawer.Withdraw(t.Context(), who, "finance", "indicators", id, distribute.Which{All: true}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was withdrawn is let through again", func() bool { return len(r.list(ipsName)) == 0 })
}

// BenchmarkSubmissionToBlock measures from before a member submits until the
// lists of another are on disk.
func BenchmarkSubmissionToBlock(b *testing.B) {
	for _, known := range []int{0, 20_000} {
		b.Run(fmt.Sprintf("known=%d", known), func(b *testing.B) {
			_, as := realHub(b)
			finder := as(hubtest.Writer)
			for n := 0; n < known; n += 1000 {
				var some []string
				for i := range 1000 {
					some = append(some, named(n+i))
				}
				if _, err := finder.Submit(b.Context(), "finance", "indicators", []byte(hubtest.Envelope(some...)), nil); err != nil {
					b.Fatal(err)
				}
			}
			r := startAt(b, as(hubtest.Colleague), Options{})
			eventually(b, "it knows all", func() bool { return len(r.list(domainsName)) == known && len(r.obs.all(Connected)) == 1 })
			var took []time.Duration
			n := known
			for b.Loop() {
				n++
				want := fmt.Sprintf("bad-%d.example", n)
				began := time.Now()
				if _, err := finder.Submit(b.Context(), "finance", "indicators", []byte(hubtest.Envelope(named(n))), nil); err != nil {
					b.Fatal(err)
				}
				for !slices.ContainsFunc(r.obs.all(Blocked), func(e Event) bool { return e.Value == want }) {
					time.Sleep(100 * time.Microsecond)
				}
				took = append(took, time.Since(began))
				r.obs.mu.Lock()
				r.obs.events = nil
				r.obs.mu.Unlock()
				time.Sleep(30 * time.Millisecond) // alarms are rare
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

// BenchmarkSubmissionToBlockAtAHundred measures from before a member submits
// until the lists of each of a hundred agents, all in this process and on this
// disk, have it. The agents confirm it to the hub as well.
func BenchmarkSubmissionToBlockAtAHundred(b *testing.B) {
	const agents = 100
	_, as := realHub(b)
	finder := as(hubtest.Writer)
	runs := make([]*run, agents)
	var heard sync.WaitGroup
	var mu sync.Mutex
	var began time.Time
	var took []time.Duration
	for i := range runs {
		r := &run{t: b, obs: &observer{}}
		r.o = Options{Hub: as(hubtest.Colleague), Collections: []Collection{{"finance", "indicators"}}, State: b.TempDir(), Observer: func(e Event) {
			if e.Kind == Blocked {
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
				heard.Done()
			}
			r.obs.take(e)
		}}
		r.o.Lists = filepath.Join(r.o.State, "lists")
		ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
		ended := make(chan error, 1)
		go func() { ended <- Run(ctx, r.o) }()
		b.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				b.Error(err)
			}
		})
		runs[i] = r
	}
	for _, r := range runs {
		eventually(b, "it listens", func() bool { return len(r.obs.all(Connected)) > 0 })
	}
	n := 0
	for b.Loop() {
		n++
		heard.Add(agents)
		mu.Lock()
		began = time.Now()
		mu.Unlock()
		if _, err := finder.Submit(b.Context(), "finance", "indicators", []byte(hubtest.Envelope(named(n))), nil); err != nil {
			b.Fatal(err)
		}
		heard.Wait()
		time.Sleep(300 * time.Millisecond) // alarms are rare
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// named returns indicator number n, of a domain of its own.
func named(n int) string {
	return strings.Replace(indicatorOf(n, 1, fmt.Sprintf("[domain-name:value = 'bad-%d.example']", n)), "1999-01-01", "2026-01-01", 1)
}
