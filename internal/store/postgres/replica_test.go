package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/member"
	"tocsin/internal/store"
	"tocsin/internal/store/postgres/pgtest"
	"tocsin/internal/store/storetest"
)

func record(t testing.TB, s *Store, objects ...string) store.Recorded {
	t.Helper()
	r, err := s.Record(context.Background(), storetest.Admit(t, storetest.Member("bank"), storetest.Target(), objects...))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("not so after 20 s: %s", what)
		}
	}
}

// TestReplicas runs what two replicas do to each other on one server.
func TestReplicas(t *testing.T) {
	server := pgtest.Start(t)
	for name, test := range map[string]func(t *testing.T, url string, a, b *Store){
		"WriteOneOrder":                         writeOneOrder,
		"LearnOfEachOthersDefinitions":          learnDefinitions,
		"CountEachOthersRewrites":               countRewrites,
		"ChangeTheDirectoryOneAfterTheOther":    staleDirectories,
		"TakeOverFromOneThatHangs":              takeOver,
		"RefuseALedgerThatLostEntries":          refuseShorterLedgers,
		"FindOutWhatBecameOfACommit":            uncertainCommits,
		"TryAgainWhatPostgreSQLGaveUpForOthers": retries,
	} {
		t.Run(name, func(t *testing.T) {
			url, signer := server.Database(t), newSigner(t)
			test(t, url, openStore(t, url, signer, Options{}), openStore(t, url, signer, Options{}))
		})
	}
}

func writeOneOrder(t *testing.T, _ string, a, b *Store) {
	const writers, each = 4, 15
	var all sync.WaitGroup
	for w := range 2 * writers {
		s := []*Store{a, b}[w%2]
		all.Go(func() {
			for i := range each {
				n := w*each + i
				r, err := s.Record(context.Background(), storetest.Admit(t, storetest.Member(fmt.Sprintf("org-%d", w)), storetest.Target(), storetest.Indicator(n, 0)))
				if err != nil || len(r.Successes) != 1 {
					t.Errorf("Record = %+v, %v", r, err)
					return
				}
				if head, _ := s.Head(storetest.Target().Collection); head < r.Last {
					t.Errorf("the replica that stored position %d shows only %d", r.Last, head)
				}
			}
		})
	}
	all.Wait()
	const n = 2 * writers * each
	for _, s := range []*Store{a, b} {
		eventually(t, "both replicas know all", func() bool { head, _ := s.Head(""); return head == n })
		got, err := s.Scan(t.Context(), store.Scan{Collection: storetest.Target().Collection, Most: n + 1})
		if err != nil || len(got.Rows) != n {
			t.Fatalf("%d rows, %v, want %d", len(got.Rows), err, n)
		}
		for i, r := range got.Rows {
			if r.Seq != int64(i+1) || i > 0 && !r.Added.After(got.Rows[i-1].Added) {
				t.Fatalf("row %d is at position %d, added %v", i, r.Seq, r.Added)
			}
		}
		if err := s.Verify(t.Context(), nil); err != nil {
			t.Errorf("Verify = %v", err)
		}
	}
}

func learnDefinitions(t *testing.T, _ string, a, b *Store) {
	var mu sync.Mutex
	var told []store.Definition
	b.Follow(Hooks{Directory: func(context.Context) error { return nil }, Define: func(d store.Definition) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, d)
	}})
	definition := `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--00000001-0000-4000-8000-000000000001",` +
		`"created":"2026-01-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"terms of use"}}`
	r := record(t, a, definition)
	eventually(t, "the other replica shows the position", func() bool { head, _ := b.Head(""); return head == r.Last })
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 1 || told[0].Owner != "bank" || string(told[0].Raw) != definition {
		t.Errorf("told of %v before the position was shown, want the definition", told)
	}
}

func countRewrites(t *testing.T, _ string, a, b *Store) {
	name := storetest.Target().Collection
	record(t, a, storetest.Indicator(1, 0), storetest.Indicator(2, 0))
	eventually(t, "the other replica knows both", func() bool { head, _ := b.Head(""); return head == 2 })
	before := b.Rewrites(name, 1, 1)
	record(t, a, storetest.Indicator(1, 1))
	eventually(t, "the other replica knows the second version", func() bool { head, _ := b.Head(""); return head == 3 })
	if b.Rewrites(name, 1, 1) == before {
		t.Error("another version came by another replica, and Rewrites is the same")
	}
	before = b.Rewrites(name, 2, 2)
	n, _, err := a.Withdraw(t.Context(), store.Withdrawal{
		Who: storetest.Member("bank"), Community: "finance", Collection: name, Versions: store.VersionsOf(storetest.IndicatorID(2), 2),
	})
	if n != 1 || err != nil {
		t.Fatalf("Withdraw = %d, %v", n, err)
	}
	eventually(t, "the other replica knows the tombstone", func() bool { head, _ := b.Head(""); return head == 4 })
	if b.Rewrites(name, 2, 2) == before {
		t.Error("a version was withdrawn by another replica, and Rewrites is the same")
	}
}

func staleDirectories(t *testing.T, _ string, a, b *Store) {
	ctx := t.Context()
	for _, s := range []*Store{a, b} {
		if _, err := s.Directory(ctx); err != nil {
			t.Fatal(err)
		}
	}
	doc := []member.Record{{Kind: "organization", Key: "bank", Doc: []byte("{}")}}
	if err := a.SaveDirectory(ctx, doc, member.Change{}); err != nil {
		t.Fatal(err)
	}
	if err := b.SaveDirectory(ctx, doc, member.Change{}); !errors.Is(err, member.ErrStale) {
		t.Errorf("SaveDirectory by who has not read the last change = %v, want %v", err, member.ErrStale)
	}
	if _, err := b.Directory(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.SaveDirectory(ctx, doc, member.Change{}); err != nil {
		t.Errorf("SaveDirectory after reading = %v", err)
	}
}

// takeOver holds the sequencer's row as a replica does that was stopped in the
// middle of a transaction.
func takeOver(t *testing.T, url string, a, b *Store) {
	ctx := t.Context()
	db, err := Connect(ctx, url, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // gives the connection back
	var at standing
	if err := at.scan(tx.QueryRow(ctx, selectStanding+" FOR UPDATE")); err != nil {
		t.Fatal(err)
	}
	record(t, a, storetest.Indicator(1, 0))
	record(t, b, storetest.Indicator(2, 0))
	// When it wakes, nothing of what it does is taken.
	_, err = tx.Exec(ctx, "UPDATE sequencer SET seq = 99")
	if err == nil {
		err = tx.Commit(ctx)
	}
	if err == nil {
		t.Error("a replica that had lost its place committed")
	}
	if err := a.Verify(ctx, nil); err != nil {
		t.Errorf("Verify = %v", err)
	}
}

func refuseShorterLedgers(t *testing.T, _ string, a, _ *Store) {
	record(t, a, storetest.Indicator(1, 0))
	if _, err := a.pool.Exec(t.Context(), "UPDATE sequencer SET size = 0, commits = 0"); err != nil {
		t.Fatal(err)
	}
	_, err := a.Record(t.Context(), storetest.Admit(t, storetest.Member("bank"), storetest.Target(), storetest.Indicator(2, 0)))
	if !errors.Is(err, ErrFailed) {
		t.Errorf("Record into a ledger that became shorter = %v, want %v", err, ErrFailed)
	}
	select {
	case <-a.Failed():
	default:
		t.Error("the store has not failed")
	}
}

// uncertainCommits asks for what became of transactions that were committed and
// of ones that were not.
func uncertainCommits(t *testing.T, _ string, a, _ *Store) {
	r := record(t, a, storetest.Indicator(1, 0))
	entries, err := a.Entries(t.Context(), r.Leaf, r.Leaf+1)
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{s: a}
	for name, tt := range map[string]struct {
		entry []byte
		leaf  int64
		want  bool
	}{
		"committed": {entries[0], r.Leaf, true}, "another's": {[]byte("another"), r.Leaf, false}, "not committed": {entries[0], r.Leaf + 1, false},
	} {
		b := &batch{writer: w, at: standing{size: tt.leaf}, pending: pending{entries: [][]byte{tt.entry}}}
		if got, err := w.resolve(b, time.Now().Add(time.Second)); got != tt.want || err != nil {
			t.Errorf("%s: resolve = %v, %v, want %v", name, got, err, tt.want)
		}
	}
	// What is sent again is not stored again.
	if again := record(t, a, storetest.Indicator(1, 0)); !again.Successes[0].Known || again.First != 0 {
		t.Errorf("sent again: %+v", again)
	}
}

// retries ends the connections of a store again and again while it writes.
func retries(t *testing.T, url string, a, b *Store) {
	ctx, stop := context.WithCancel(t.Context())
	var killing sync.WaitGroup
	killing.Go(func() {
		c, err := pgx.Connect(context.Background(), strings.Replace(url, "search_path", "application_name=killer&search_path", 1))
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close(context.Background())
		for ctx.Err() == nil {
			_, err := c.Exec(context.Background(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tocsin' AND query LIKE 'INSERT INTO hashes%'")
			if err != nil {
				t.Error(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	const n = 60
	for i := range n {
		if r := record(t, []*Store{a, b}[i%2], storetest.Indicator(i, 0)); len(r.Successes) != 1 {
			t.Errorf("recorded %+v", r)
		}
	}
	stop()
	killing.Wait()
	eventually(t, "everything is there, once", func() bool { head, _ := a.Head(""); return head == n })
	if err := a.Verify(t.Context(), nil); err != nil {
		t.Errorf("Verify = %v", err)
	}
}
