package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/internal/ledger"
	"tocsin/internal/member"
	"tocsin/internal/store"
	"tocsin/internal/store/storetest"
	"tocsin/receipt"
)

func newSigner(t testing.TB) *ledger.Signer {
	t.Helper()
	skey, err := ledger.NewKey("hub.example.com/log")
	if err != nil {
		t.Fatal(err)
	}
	s, err := ledger.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openStore(t testing.TB, dir string, signer *ledger.Signer, o Options) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir, signer, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStoreConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place {
		dir, signer := filepath.Join(t.TempDir(), "new", "hub"), newSigner(t)
		return storetest.Place{
			Open:        func(t *testing.T) store.Store { return openStore(t, dir, signer, Options{}) },
			VerifierKey: signer.VerifierKey(),
		}
	})
}

// fill records some of everything.
func fill(t testing.TB, s *Store) {
	t.Helper()
	ctx := context.Background()
	for i := range 20 {
		record(t, s, storetest.Indicator(2*i, 0), storetest.Indicator(2*i+1, 0))
	}
	record(t, s, storetest.Indicator(3, 1), storetest.Indicator(4, 0))
	if err := s.Disclose(ctx, []receipt.Disclosure{{Organization: "agency", Community: "finance", From: 1, To: 9}}); err != nil {
		t.Fatal(err)
	}
	w := store.Withdrawal{
		Who: storetest.Member("bank"), Community: "finance", Collection: storetest.Target().Collection, Versions: store.VersionsOf(storetest.IndicatorID(5), 6),
	}
	if n, _, err := s.Withdraw(ctx, w); n != 1 || err != nil {
		t.Fatalf("Withdraw = %d, %v", n, err)
	}
	if err := s.SaveDirectory(ctx, []member.Record{{Kind: "organization", Key: "bank", Doc: []byte("{}")}}, member.Change{}); err != nil {
		t.Fatal(err)
	}
}

func record(t testing.TB, s *Store, objects ...string) store.Recorded {
	t.Helper()
	r, err := s.Record(context.Background(), storetest.Admit(t, storetest.Member("bank"), storetest.Target(), objects...))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVerifyAcceptsWhatWasWritten(t *testing.T) {
	dir, signer := t.TempDir(), newSigner(t)
	s := openStore(t, dir, signer, Options{})
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Errorf("Verify of an empty store = %v", err)
	}
	fill(t, s)
	var done, total int64
	if err := s.Verify(t.Context(), func(d, n int64) { done, total = d, n }); err != nil || done != total || total != 41+24 {
		t.Errorf("Verify = %v after %d of %d, want 65", err, done, total)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Verify(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify = %v, want canceled", err)
	}
}

// TestVerifyFindsWhatWasChanged edits the database as somebody with access to
// the machine could, with SQLite keeping its checksums right.
func TestVerifyFindsWhatWasChanged(t *testing.T) {
	for name, tt := range map[string]struct{ sql, want string }{
		"an object's content":     {"UPDATE objects SET raw = x'7b7d' WHERE seq = 7", "object 7: its content"},
		"content and its hash":    {"UPDATE objects SET raw = x'7b7d', sha256 = x'44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a' WHERE seq = 7", "object 7 is not the one that was shared"},
		"an object's id":          {"UPDATE objects SET id = 'indicator--0' WHERE seq = 7", "object 7: its id"},
		"the index of ids":        {"UPDATE ids SET block = zeroblob(length(block))", "index of ids"},
		"a run of ids removed":    {"DELETE FROM idruns WHERE first = 1", "object 1: the index of ids passes over it"},
		"a block of ids removed":  {"DELETE FROM ids", "object 1: the index of ids does not find it"},
		"date_added":              {"UPDATE objects SET added = 0 WHERE seq = 7", "object 7: its date_added"},
		"a statement":             {"UPDATE records SET statement = replace(statement, 'bank', 'tank') WHERE leaf = 3", "record 3: its entry"},
		"a salt":                  {"UPDATE records SET salt = zeroblob(32) WHERE leaf = 3", "record 3: its entry"},
		"an entry":                {"UPDATE records SET entry = x'00' WHERE leaf = 3", "record 3: its entry"},
		"a hash of the tree":      {"UPDATE hashes SET hash = zeroblob(32) WHERE position = 1", "record 1: the ledger's tree"},
		"the last record removed": {"DELETE FROM records WHERE leaf = 23", "checkpoint: it is not that of the 23 records"},
		"the checkpoint":          {"UPDATE checkpoint SET signed = replace(signed, char(10) || '24' || char(10), char(10) || '23' || char(10))", "checkpoint: "},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir(), newSigner(t), Options{recent: 16})
			fill(t, s)
			err := s.submit(t.Context(), &job{do: func(b *batch) error { return b.c.Exec(tt.sql) }})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Verify(t.Context(), nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Verify = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestBackupIsAWholeStore(t *testing.T) {
	signer := newSigner(t)
	s := openStore(t, t.TempDir(), signer, Options{})
	fill(t, s)
	dir := t.TempDir()
	file := filepath.Join(dir, dbFile)
	if err := s.Backup(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	record(t, s, storetest.Indicator(99, 0)) // is not in it
	if err := s.Backup(t.Context(), file); err == nil {
		t.Error("Backup wrote over a file")
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("backup: %v, %v", info.Mode(), err)
	}
	b := openStore(t, dir, signer, Options{})
	if err := b.Verify(t.Context(), nil); err != nil {
		t.Errorf("Verify of the backup = %v", err)
	}
	if head, _ := b.Head(""); head != 42 {
		t.Errorf("the backup's head is %d, want 42", head)
	}
}
