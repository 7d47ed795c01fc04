package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tocsin/internal/store/postgres/pgtest"
	"tocsin/receipt"
)

// A pair is two replicas of one hub on one database.
type pair struct {
	*pgtest.Server

	t      *testing.T
	a, b   *victim
	tokens []string // the bank's, who writes, and the utility's, who reads
	serial atomic.Int64
	acked  acknowledged
}

// newPair starts two replicas; the second one is given the first one's key.
func newPair(t *testing.T) *pair {
	t.Helper()
	server := pgtest.Start(t)
	url, dir := server.Database(t), t.TempDir()
	p := &pair{
		Server: server, t: t, acked: acknowledged{objects: map[string]bool{}},
		a: &victim{t: t, data: filepath.Join(dir, "a"), db: url}, b: &victim{t: t, data: filepath.Join(dir, "b"), db: url},
	}
	p.a.start()
	t.Cleanup(func() { p.a.kill() })
	key, err := os.ReadFile(filepath.Join(p.a.data, "hub.key"))
	if err != nil {
		t.Fatal(err)
	}
	without := exec.Command(filepath.Join(folder, "tocsin"), "serve", "--data", p.b.data, "--listen", "127.0.0.1:0")
	without.Env = append(os.Environ(), "TOCSIN_DB="+url)
	if out, err := without.CombinedOutput(); err == nil || !strings.Contains(string(out), "copy hub.key") {
		t.Errorf("a replica without the hub's key = %v: %s", err, out)
	}
	if err := os.MkdirAll(p.b.data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.b.data, "hub.key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	p.b.operator = p.a.operator // it shows none: the hub has one
	p.b.start()
	t.Cleanup(func() { p.b.kill() })
	if p.a.key != p.b.key {
		t.Fatalf("the replicas sign as %s and %s", p.a.key, p.b.key)
	}
	status, answer := p.a.ask("POST", "/api/v1/network", p.a.operator, "application/json", []byte(killNetwork))
	if p.tokens = hubToken.FindAllString(string(answer), -1); status != http.StatusOK || len(p.tokens) != 2 {
		t.Fatalf("POST network = %d %s", status, answer)
	}
	p.eventually("the other replica knows a new token", func() bool {
		status, _ := p.b.ask("GET", "/finance/collections/", p.tokens[1], "", nil)
		return status == http.StatusOK
	})
	return p
}

func (p *pair) eventually(what string, is func() bool) {
	p.t.Helper()
	for began := time.Now(); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			p.t.Fatalf("not so after 30 s: %s", what)
		}
	}
}

// write submits to a replica until the context ends. What is answered with 503,
// or not at all, is sent again, to whichever replica get names.
func (p *pair) write(ctx context.Context, get func() *victim) {
	for ctx.Err() == nil {
		ids, objects := make([]string, 20), make([]string, 20)
		for i := range ids {
			ids[i] = fmt.Sprintf("indicator--00000000-0000-4000-8000-%012x", p.serial.Add(1))
			objects[i] = fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",`+
				`"pattern":"[ipv4-addr:value = '192.0.2.1']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`, ids[i])
		}
		body := []byte(`{"objects":[` + strings.Join(objects, ",") + `]}`)
		for ctx.Err() == nil {
			status, answer := get().ask("POST", "/finance/collections/alerts/objects/", p.tokens[0], "application/taxii+json;version=2.1", body)
			if status == 0 || status == http.StatusServiceUnavailable {
				time.Sleep(50 * time.Millisecond)
				continue
			}
			var s struct {
				ID      string `json:"id"`
				Success int    `json:"success_count"`
			}
			if err := json.Unmarshal(answer, &s); err != nil || status != http.StatusAccepted || s.Success != len(ids) {
				p.t.Errorf("POST = %d %s", status, answer)
				return
			}
			p.acked.Lock()
			for _, id := range ids {
				p.acked.objects[id] = true
			}
			p.acked.submissions = append(p.acked.submissions, s.ID)
			p.acked.Unlock()
			break
		}
	}
}

// subscribe reads the stream, from whichever replica get names and always with
// the cursor of the last event, and counts how often each object comes.
func (p *pair) subscribe(ctx context.Context, get func() *victim, seen *sync.Map) {
	cursor := ""
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, get().url+"/api/v1/communities/finance/collections/alerts/stream", http.NoBody)
		if err != nil {
			p.t.Error(err)
			return
		}
		r.Header.Set("Authorization", "Bearer "+p.tokens[1])
		if cursor != "" {
			r.Header.Set("Last-Event-ID", cursor)
		}
		answer, err := http.DefaultTransport.RoundTrip(r) //nolint:forbidigo // a test that talks to its own hub
		if err != nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusServiceUnavailable {
			p.t.Errorf("GET stream = %d", answer.StatusCode)
		}
		cursor = p.events(answer, cursor, seen)
		_ = answer.Body.Close()
		time.Sleep(20 * time.Millisecond)
	}
}

// events reads a stream until it ends. An event counts when it is whole.
func (p *pair) events(answer *http.Response, cursor string, seen *sync.Map) string {
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	id, event, data := "", "", ""
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "id:"):
			id = strings.TrimSpace(line[3:])
		case strings.HasPrefix(line, "event:"):
			event = strings.TrimSpace(line[6:])
		case strings.HasPrefix(line, "data:"):
			data += line[5:]
		case line == "":
			var o struct {
				ID string `json:"id"`
			}
			if event == "object" && json.Unmarshal([]byte(data), &o) == nil {
				n, _ := seen.LoadOrStore(o.ID, new(atomic.Int64))
				n.(*atomic.Int64).Add(1)
			}
			if id != "" {
				cursor = id
			}
			id, event, data = "", "", ""
		}
	}
	return cursor
}

// play lets four clients write, to both replicas, while a subscriber follows the
// first one, and something happen. Afterwards everything is looked at from the
// second one.
func (p *pair) play(what string, happens func(live func(*victim))) {
	t := p.t
	t.Helper()
	var older receipt.Checkpoint
	_, signed := p.a.ask("GET", "/log/checkpoint", "", "", nil)
	older, err := receipt.OpenCheckpoint(signed, p.a.key)
	if err != nil {
		t.Fatal(err)
	}
	var gone atomic.Pointer[victim] // the replica that nobody should use any more
	pick := func(first, second *victim) func() *victim {
		return func() *victim {
			if gone.Load() == first {
				return second
			}
			return first
		}
	}
	writing, stop := context.WithCancel(t.Context())
	reading, end := context.WithCancel(t.Context())
	var writers, readers sync.WaitGroup
	var seen sync.Map
	for i := range 4 {
		writers.Go(func() { p.write(writing, pick([]*victim{p.a, p.b}[i%2], []*victim{p.b, p.a}[i%2])) })
	}
	readers.Go(func() { p.subscribe(reading, pick(p.a, p.b), &seen) })
	happens(func(v *victim) { gone.Store(v) })
	stop()
	writers.Wait()
	newer := p.b.check(p.tokens, &p.acked, older)
	count := func() (missed, doubled, all int) {
		for id := range p.acked.objects {
			if _, ok := seen.Load(id); !ok {
				missed++
			}
		}
		seen.Range(func(_, n any) bool {
			all++
			if n.(*atomic.Int64).Load() != 1 {
				doubled++
			}
			return true
		})
		return missed, doubled, all
	}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if missed, _, _ := count(); missed == 0 || time.Since(began) > 30*time.Second {
			break
		}
	}
	end()
	readers.Wait()
	missed, doubled, all := count()
	if missed != 0 || doubled != 0 || len(p.acked.objects) == 0 {
		t.Errorf("%s: pushed %d objects of %d acknowledged: %d missed, %d doubled", what, all, len(p.acked.objects), missed, doubled)
	}
	t.Logf("%s: %d objects acknowledged: none lost, none doubled; pushed %d: none missed, none doubled; ledger of %d entries continues the one of %d",
		what, len(p.acked.objects), all, newer.Size, older.Size)
}

// TestReplicasTakeOver kills one of two replicas under load (SIGKILL), in
// another round stops it for longer than the database has patience (SIGSTOP),
// and in a third one kills PostgreSQL itself.
func TestReplicasTakeOver(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Run("Killed", func(t *testing.T) {
		p := newPair(t)
		p.play("one replica killed", func(gone func(*victim)) {
			time.Sleep(time.Second)
			p.a.kill()
			gone(p.a)
			time.Sleep(2 * time.Second)
		})
	})
	t.Run("Stopped", func(t *testing.T) {
		p := newPair(t)
		p.play("one replica stopped", func(gone func(*victim)) {
			time.Sleep(time.Second)
			_ = p.a.process.Process.Signal(syscall.SIGSTOP)
			gone(p.a)
			// Requests to a process that does not run wait; the other one must not.
			before := p.serial.Load()
			time.Sleep(7 * time.Second)
			if p.serial.Load() == before {
				t.Error("nothing was stored while one replica was stopped")
			}
			_ = p.a.process.Process.Signal(syscall.SIGCONT)
			time.Sleep(time.Second)
		})
		// The one that was stopped goes on as well.
		p.eventually("the stopped replica answers again", func() bool {
			status, _ := p.a.ask("GET", "/readyz", "", "", nil)
			return status == http.StatusOK
		})
		p.a.check(p.tokens, &p.acked, receipt.Checkpoint{})
	})
	t.Run("DatabaseCrashes", func(t *testing.T) {
		p := newPair(t)
		p.play("PostgreSQL crashed twice", func(func(*victim)) {
			for range 2 {
				time.Sleep(time.Second)
				p.Crash()
				time.Sleep(300 * time.Millisecond)
				if err := p.Run(); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(2 * time.Second)
		})
	})
}

// TestRevokedTokensEndOnEveryReplica also when a replica cannot reach the
// database: then it serves nobody.
func TestRevokedTokensEndOnEveryReplica(t *testing.T) {
	p := newPair(t)
	id := strings.Split(p.tokens[1], "_")[1]
	if status, answer := p.a.ask("DELETE", "/api/v1/tokens/"+id, p.a.operator, "", nil); status/100 != 2 {
		t.Fatalf("DELETE token = %d %s", status, answer)
	}
	began := time.Now()
	p.eventually("a revoked token is unknown to the other replica", func() bool {
		status, _ := p.b.ask("GET", "/finance/collections/", p.tokens[1], "", nil)
		return status == http.StatusUnauthorized
	})
	t.Logf("revoked on the other replica after %v", time.Since(began).Round(time.Millisecond))
	p.Crash()
	p.eventually("a replica without its database serves nobody", func() bool {
		status, _ := p.b.ask("GET", "/finance/collections/", p.tokens[0], "", nil)
		return status == http.StatusServiceUnavailable
	})
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	p.eventually("a replica comes back with its database", func() bool {
		status, _ := p.b.ask("GET", "/finance/collections/", p.tokens[0], "", nil)
		return status == http.StatusOK
	})
}

// TestEqualTimestampsAcrossReplicas pages through 10,000 objects that came at
// once, with random page sizes, each page from another replica, which restart in
// between.
func TestEqualTimestampsAcrossReplicas(t *testing.T) {
	p := newPair(t)
	const objects, each = 10_000, 1000
	for range objects / each {
		all := make([]string, each)
		for i := range all {
			all[i] = fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012x","created":"2026-01-01T00:00:00.000Z",`+
				`"modified":"2026-01-01T00:00:00.000Z","pattern":"[ipv4-addr:value = '192.0.2.1']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`, p.serial.Add(1))
		}
		status, answer := p.a.ask("POST", "/finance/collections/alerts/objects/", p.tokens[0], "application/taxii+json;version=2.1",
			[]byte(`{"objects":[`+strings.Join(all, ",")+`]}`))
		if status != http.StatusAccepted || bytes.Contains(answer, []byte(`"failure_count":1`)) {
			t.Fatalf("POST = %d %s", status, answer)
		}
	}
	rng := rand.New(rand.NewPCG(20261125, 4))
	seen := map[string]int{}
	next := ""
	pages := 0
	for more := true; more; pages++ {
		if pages%25 == 24 {
			v := []*victim{p.a, p.b}[pages/25%2]
			v.kill()
			v.start()
		}
		v := []*victim{p.a, p.b}[rng.IntN(2)]
		status, answer := v.ask("GET", fmt.Sprintf("/finance/collections/alerts/objects/?limit=%d%s", 1+rng.IntN(300), next), p.tokens[1], "", nil)
		var page struct {
			More    bool   `json:"more"`
			Next    string `json:"next"`
			Objects []struct {
				ID string `json:"id"`
			} `json:"objects"`
		}
		if err := json.Unmarshal(answer, &page); err != nil || status != http.StatusOK {
			t.Fatalf("GET objects = %d, %v", status, err)
		}
		for _, o := range page.Objects {
			seen[o.ID]++
		}
		more, next = page.More, "&next="+page.Next
	}
	doubled := 0
	for _, n := range seen {
		if n > 1 {
			doubled++
		}
	}
	if len(seen) != objects || doubled > 0 {
		t.Errorf("%d objects in %d pages, want %d: %d missed, %d doubled", len(seen), pages, objects, objects-len(seen), doubled)
	}
	t.Logf("%d objects in %d pages: %d missed, %d doubled", len(seen), pages, objects-len(seen), doubled)
}
