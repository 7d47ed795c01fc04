package sqlite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/internal/authorize"
	"tocsin/internal/store"
	"tocsin/internal/store/storetest"
)

func withdrawalOf(n int, seqs ...int64) store.Withdrawal {
	return store.Withdrawal{
		Who: storetest.Member("bank"), Community: "finance", Collection: storetest.Target().Collection, Versions: store.VersionsOf(storetest.IndicatorID(n), seqs...),
	}
}

// onDisk reports whether any file of a folder contains a text.
func onDisk(t *testing.T, dir, text string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}

// walSize is the size of the write-ahead log in bytes.
func walSize(t *testing.T, dir string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, dbFile+"-wal"))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func TestFolderIsUsedByOne(t *testing.T) {
	dir, signer := t.TempDir(), newSigner(t)
	s := openStore(t, dir, signer, Options{})
	if _, err := Open(t.Context(), dir, signer, Options{}); !errors.Is(err, ErrInUse) {
		t.Errorf("a second Open = %v, want %v", err, ErrInUse)
	}
	record(t, s, storetest.Indicator(1, 0)) // the first is not disturbed
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, dir, signer, Options{})
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := openStore(t, dir, newSigner(t), Options{})
	record(t, s, storetest.Indicator(1, 0))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) < 4 { // the file, its log, its index, the lock
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v, want 0600", filepath.Base(f), info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, %v, want 0700", info.Mode(), err)
	}
}

func TestAnotherKeyIsRefused(t *testing.T) {
	dir, signer := t.TempDir(), newSigner(t)
	s := openStore(t, dir, signer, Options{})
	record(t, s, storetest.Indicator(1, 0))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir, newSigner(t), Options{}); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("Open with another key = %v", err)
	}
	if err := openStore(t, dir, signer, Options{}).Verify(t.Context(), nil); err != nil {
		t.Errorf("after the refusal: %v", err)
	}
}

// openAlone opens the database of a store that is not open.
func openAlone(t *testing.T, dir string) *conn {
	t.Helper()
	c, err := openDB(t.Context(), filepath.Join(dir, dbFile), Options{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLedgersThatDoNotFitAreRefused edits the closed database.
func TestLedgersThatDoNotFitAreRefused(t *testing.T) {
	for name, tt := range map[string]struct{ sql, want string }{
		"a record is gone":        {"DELETE FROM records WHERE leaf = 1", "not the one that its checkpoint signs for"},
		"a hash is another":       {"UPDATE hashes SET hash = zeroblob(32) WHERE position = 2", "not the one that its checkpoint signs for"},
		"a hash is gone":          {"DELETE FROM hashes WHERE position = 2", "hash 2 is not there"},
		"a newer program's data":  {"PRAGMA user_version = 99", "use a newer program"},
		"another program's file":  {"PRAGMA application_id = 1", "not a hub's database"},
		"the checkpoint is older": {"UPDATE checkpoint SET signed = replace(signed, char(10) || '2' || char(10), char(10) || '1' || char(10))", "another key"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, signer := t.TempDir(), newSigner(t)
			s := openStore(t, dir, signer, Options{})
			record(t, s, storetest.Indicator(1, 0))
			record(t, s, storetest.Indicator(2, 0))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			c := openAlone(t, dir)
			if err := errors.Join(c.Exec(tt.sql), c.close()); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), dir, signer, Options{}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open = %v, want %q", err, tt.want)
			}
		})
	}
}

// TestSettingsThatLieAreRefused: with any of them, an acknowledgement would
// promise more than the disk holds.
func TestSettingsThatLieAreRefused(t *testing.T) {
	c := openAlone(t, t.TempDir())
	defer c.close()
	if err := selfCheck(c); err != nil {
		t.Fatalf("selfCheck = %v", err)
	}
	for pragma, was := range map[string]string{
		"synchronous=NORMAL": "synchronous=FULL", "synchronous=OFF": "synchronous=FULL", "secure_delete=OFF": "secure_delete=ON",
		"checksum_verification=OFF": "checksum_verification=ON",
	} {
		if err := c.Exec("PRAGMA " + pragma); err != nil {
			t.Fatal(err)
		}
		if err := selfCheck(c); err == nil {
			t.Errorf("selfCheck accepted %s", pragma)
		}
		if err := c.Exec("PRAGMA " + was); err != nil {
			t.Fatal(err)
		}
	}
	if err := selfCheck(c); err != nil {
		t.Errorf("selfCheck = %v", err)
	}
}

// TestClockThatJumpsBackChangesNothing writes in 2026 and then, with the clock
// of a bubble, in 2000.
func TestClockThatJumpsBackChangesNothing(t *testing.T) {
	dir, signer := t.TempDir(), newSigner(t)
	s := openStore(t, dir, signer, Options{})
	record(t, s, storetest.Indicator(1, 0))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var later []authorize.Admitted
	for i := range 3 {
		later = append(later, storetest.Admit(t, storetest.Member("bank"), storetest.Target(), storetest.Indicator(2+i, 0)))
	}
	synctest.Test(t, func(t *testing.T) {
		if !time.Now().Before(now) {
			t.Fatal("the bubble's clock is not behind")
		}
		s, err := Open(t.Context(), dir, signer, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for i, a := range later {
			r, err := s.Record(t.Context(), a)
			if err != nil || r.First != int64(i+2) {
				t.Errorf("Record = %+v, %v", r, err)
			}
		}
		got, err := s.Scan(t.Context(), store.Scan{Collection: storetest.Target().Collection, Most: 10})
		if err != nil || len(got.Rows) != 4 {
			t.Fatalf("%d rows, %v", len(got.Rows), err)
		}
		for i, r := range got.Rows[1:] {
			if !r.Added.After(got.Rows[i].Added) {
				t.Errorf("date_added %v does not come after %v", r.Added, got.Rows[i].Added)
			}
		}
	})
}
