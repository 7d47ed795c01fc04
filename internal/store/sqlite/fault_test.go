package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ncruces/go-sqlite3/vfs"

	"tocsin"
	"tocsin/internal/store/storetest"
)

// A faultyDisk is the operating system's files, until it is told to fail: the
// next calls of one kind succeed, one fails, and so do all later ones if it is
// to stay broken.
type faultyDisk struct {
	vfs.VFSFilename

	mu    sync.Mutex
	armed bool
	kind  string // "sync" or "write"
	good  int    // calls that succeed before one fails
	stays bool
	err   error
	hits  int // calls that failed
}

func (d *faultyDisk) arm(kind string, good int, stays bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed, d.kind, d.good, d.stays, d.err, d.hits = true, kind, good, stays, err, 0
}

// disarm repairs the disk and returns how many calls failed.
func (d *faultyDisk) disarm() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed = false
	return d.hits
}

func (d *faultyDisk) fault(kind string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.armed || kind != d.kind {
		return nil
	}
	if d.good--; d.good >= 0 || d.hits > 0 && !d.stays {
		return nil
	}
	d.hits++
	return d.err
}

func (d *faultyDisk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := d.VFSFilename.OpenFilename(name, flags)
	if err != nil {
		return nil, flags, err
	}
	return &faultyFile{File: f, disk: d}, flags, nil
}

type faultyFile struct {
	vfs.File

	disk *faultyDisk
}

func (f *faultyFile) Unwrap() vfs.File { return f.File }

func (f *faultyFile) SharedMemory() vfs.SharedMemory {
	return f.File.(vfs.FileSharedMemory).SharedMemory()
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.disk.fault("write"); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

func (f *faultyFile) Sync(flags vfs.SyncFlag) error {
	if err := f.disk.fault("sync"); err != nil {
		return err
	}
	return f.File.Sync(flags)
}

func newFaultyDisk(t *testing.T) (*faultyDisk, Options) {
	t.Helper()
	d := &faultyDisk{VFSFilename: vfs.Find("os").(vfs.VFSFilename)}
	vfs.Register(t.Name(), d)
	t.Cleanup(func() { vfs.Unregister(t.Name()) })
	return d, Options{vfs: t.Name(), recent: 2, step: 1}
}

// TestFailedSyncIsNeverAcknowledged lets the first, second, third … sync fail
// until a whole run needs fewer: no acknowledgement follows a failure, nothing
// is tried again, and what was acknowledged before is there afterwards.
func TestFailedSyncIsNeverAcknowledged(t *testing.T) {
	for n, hit := 0, true; hit; n++ {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			disk, o := newFaultyDisk(t)
			dir, signer := t.TempDir(), newSigner(t)
			s := openStore(t, dir, signer, o)
			disk.arm("sync", n, false, syscall.EIO)
			acked := recordUntilItFails(t, s)
			_ = s.Close()
			hit = disk.disarm() > 0
			if !hit && n < 10 {
				t.Errorf("12 commits took %d syncs", n)
			}
			checkFirst(t, openStore(t, dir, signer, o), acked)
		})
	}
}

// recordUntilItFails records 12 submissions and returns how many were
// acknowledged. After one that was not, none may be.
func recordUntilItFails(t *testing.T, s *Store) (acked int) {
	t.Helper()
	var failed error
	for i := range 12 {
		_, err := s.Record(t.Context(), storetest.Admit(t, storetest.Member("bank"), storetest.Target(), storetest.Indicator(i, 0)))
		switch {
		case err != nil:
			failed = err
		case failed != nil:
			t.Fatal("a sync failed, and a later submission was acknowledged")
		default:
			acked++
		}
	}
	if failed == nil {
		return acked
	}
	if !errors.Is(failed, ErrFailed) || !errors.Is(s.Err(), ErrFailed) {
		t.Errorf("a sync failed: Record = %v, Err = %v", failed, s.Err())
	}
	select {
	case <-s.Failed():
	default:
		t.Error("a sync failed, and Failed is still open")
	}
	if _, err := s.Versions(t.Context(), storetest.Target().Collection, storetest.IndicatorID(0)); err != nil {
		t.Errorf("a sync failed, and reading stopped: %v", err)
	}
	return acked
}

// checkFirst checks that the first n indicators are stored, and perhaps the one
// whose fate was not known.
func checkFirst(t *testing.T, s *Store, n int) {
	t.Helper()
	head, _ := s.Head("")
	if head != int64(n) && head != int64(n+1) {
		t.Errorf("%d submissions were acknowledged, and %d are stored", n, head)
	}
	for i := range n {
		got, err := s.Versions(t.Context(), storetest.Target().Collection, storetest.IndicatorID(i))
		if err != nil || len(got) != 1 || got[0].Seq != int64(i+1) {
			t.Errorf("object %d = %v, %v", i, got, err)
		}
	}
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Errorf("Verify = %v", err)
	}
}

// TestFullDiskRecovers fills the disk at the first, second, third … write. What
// is refused is refused as busy; when there is space again the store goes on by
// itself.
func TestFullDiskRecovers(t *testing.T) {
	for n := 0; n < 60; n += 3 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			disk, o := newFaultyDisk(t)
			dir, signer := t.TempDir(), newSigner(t)
			s := openStore(t, dir, signer, o)
			disk.arm("write", n, true, syscall.ENOSPC)
			for i := range 6 {
				a := storetest.Admit(t, storetest.Member("bank"), storetest.Target(), storetest.Indicator(i, 0))
				_, err := s.Record(t.Context(), a)
				if err == nil {
					continue
				}
				if e := (*tocsin.Error)(nil); !errors.As(err, &e) || e.Kind != tocsin.Busy {
					t.Errorf("Record = %v, want busy", err)
				}
				disk.disarm() // space returns
				if _, err := s.Record(t.Context(), a); err != nil {
					t.Fatalf("Record with space again = %v", err)
				}
			}
			if err := s.Close(); err != nil {
				t.Errorf("Close = %v", err)
			}
			checkFirst(t, openStore(t, dir, signer, o), 6)
		})
	}
}

func TestFailingJobTakesNothingWithIt(t *testing.T) {
	s := openStore(t, t.TempDir(), newSigner(t), Options{})
	gate, started := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { // keeps the writer until the others are waiting
		if err := s.submit(t.Context(), &job{do: func(*batch) error { close(started); <-gate; return nil }}); err != nil {
			t.Error(err)
		}
	})
	<-started
	bad := errors.New("no luck")
	want := map[int]bool{}
	var mu sync.Mutex
	for i := range 9 {
		all.Go(func() {
			a := storetest.Admit(t, storetest.Member("bank"), storetest.Target(), storetest.Indicator(i, 0))
			if i%3 != 1 {
				if _, err := s.Record(t.Context(), a); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				want[i] = true
				return
			}
			err := s.submit(t.Context(), &job{do: func(b *batch) error {
				number, err := b.collection("another")
				if err != nil {
					return err
				}
				b.next(number)
				return errors.Join(bad, b.c.run("INSERT INTO directory (kind, key, doc) VALUES ('x', 'y', '')"))
			}})
			if !errors.Is(err, bad) {
				t.Errorf("a failing job = %v", err)
			}
		})
	}
	for len(s.jobs) < 9 { // all wait, so they become one transaction
		runtime.Gosched()
	}
	close(gate)
	all.Wait()
	if head, _ := s.Head(""); head != 6 || len(want) != 6 {
		t.Errorf("head %d with %d submissions, want 6", head, len(want))
	}
	if d, err := s.Directory(t.Context()); len(d) != 0 || err != nil {
		t.Errorf("what a failing job wrote is still there: %v, %v", d, err)
	}
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestFullQueueIsBusy(t *testing.T) {
	s := openStore(t, t.TempDir(), newSigner(t), Options{Queue: 2})
	gate, started := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		if err := s.submit(t.Context(), &job{do: func(*batch) error { close(started); <-gate; return nil }}); err != nil {
			t.Error(err)
		}
	})
	<-started
	for range 2 {
		all.Go(func() {
			if err := s.submit(t.Context(), &job{do: func(*batch) error { return nil }}); err != nil {
				t.Error(err)
			}
		})
	}
	for len(s.jobs) < 2 {
		runtime.Gosched()
	}
	err := s.submit(t.Context(), &job{do: func(*batch) error { return nil }})
	if e := (*tocsin.Error)(nil); !errors.As(err, &e) || e.Kind != tocsin.Busy {
		t.Errorf("submit to a full queue = %v, want busy", err)
	}
	// Who gives up while waiting is not written.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.submit(ctx, &job{do: func(*batch) error { t.Error("done for nobody"); return nil }}); !errors.Is(err, context.Canceled) {
		t.Errorf("submit = %v, want canceled", err)
	}
	close(gate)
	all.Wait()
}

// TestWithdrawnContentLeavesTheDisk looks for a withdrawn object in every file,
// with the store open and after it is closed.
func TestWithdrawnContentLeavesTheDisk(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, newSigner(t), Options{})
	const secret = "very-particular-words"
	for i := range 60 { // pages fill and split around it
		record(t, s, storetest.Indicator(2*i, 0, `,"name":"`+strings.Repeat("x", 40*i)+`"`), storetest.Indicator(2*i+1, 0, `,"name":"`+secret+`"`))
	}
	if !onDisk(t, dir, secret) {
		t.Fatal("the content is not on disk before it is withdrawn: the test tests nothing")
	}
	for i := range 60 {
		w := withdrawalOf(2*i+1, int64(2*i+2))
		if n, _, err := s.Withdraw(t.Context(), w); n != 1 || err != nil {
			t.Fatalf("Withdraw = %d, %v", n, err)
		}
	}
	for walSize(t, dir) > 0 { // a reader may have kept the log for a moment
		runtime.Gosched()
	}
	if onDisk(t, dir, secret) {
		t.Error("withdrawn content is on disk while the store is open")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if onDisk(t, dir, secret) {
		t.Error("withdrawn content is on disk after the store was closed")
	}
}
