package sqlite

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"tocsin/internal/store"
	"tocsin/internal/store/storetest"
)

// foundSeqs returns the positions of an object's versions, by its id.
func foundSeqs(t *testing.T, s *Store, n int) (out []int64) {
	t.Helper()
	got, err := s.Versions(t.Context(), storetest.Target().Collection, storetest.IndicatorID(n))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range got {
		out = append(out, v.Seq)
	}
	return out
}

// checkFound checks that every object is found by its id, at all its positions
// and no others.
func checkFound(t *testing.T, s *Store, want map[int][]int64) {
	t.Helper()
	for n, seqs := range want {
		if got := foundSeqs(t, s, n); !slices.Equal(got, seqs) {
			t.Errorf("object %d is found at %v, want %v", n, got, seqs)
		}
		q := store.Scan{Collection: storetest.Target().Collection, IDs: []string{storetest.IndicatorID(n)}, Most: 100}
		if got, err := s.Scan(t.Context(), q); err != nil || len(got.Rows) < len(seqs) {
			t.Errorf("Scan for object %d = %d rows, %v, want %d", n, len(got.Rows), err, len(seqs))
		}
	}
	if got := foundSeqs(t, s, 1_000_000); len(got) != 0 {
		t.Errorf("an object that is not there is found at %v", got)
	}
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// levels returns how many runs there are of each level, and how many blocks
// belong to none.
func levels(t *testing.T, s *Store) (runs map[int64]int, orphans int64) {
	t.Helper()
	runs = map[int64]int{}
	err := s.readers.read(t.Context(), func(c *conn) (err error) {
		for r := range c.rows(&err, "SELECT level FROM idruns") {
			runs[r.ColumnInt64(0)]++
		}
		if err == nil {
			orphans, err = c.number("SELECT count(*) FROM ids WHERE at >> 44 NOT IN (SELECT run FROM idruns)")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return runs, orphans
}

// TestObjectsAreFoundWhereverTheirIDsAre records new objects, new versions and
// the same again, withdraws some and starts anew from time to time, while ids go
// to disk and are merged.
func TestObjectsAreFoundWhereverTheirIDsAre(t *testing.T) {
	dir, signer, o := t.TempDir(), newSigner(t), Options{recent: 20, step: 1}
	s := openStore(t, dir, signer, o)
	random := rand.New(rand.NewPCG(1, 2)) // the same each time
	want, versions := map[int][]int64{}, map[int]int{}
	for i := range 400 {
		var objects []string
		var numbers []int
		for j := range 5 {
			n := i*5 + j
			if j > 2 {
				n = random.IntN(i*5 + 1)
			}
			if slices.Contains(numbers, n) || versions[n] < 0 {
				continue
			}
			objects, numbers = append(objects, storetest.Indicator(n, versions[n])), append(numbers, n)
			versions[n]++
		}
		for k, success := range record(t, s, objects...).Successes {
			want[numbers[k]] = append(want[numbers[k]], success.Seq)
		}
		for n, seqs := range want {
			if i%3 == 0 && len(seqs) == 1 {
				if gone, _, err := s.Withdraw(t.Context(), withdrawalOf(n, seqs...)); gone != 1 || err != nil {
					t.Fatalf("Withdraw = %d, %v", gone, err)
				}
				want[n], versions[n] = nil, -1
				break
			}
		}
		if i%90 == 89 {
			checkFound(t, s, want)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, dir, signer, o)
		}
	}
	checkFound(t, s, want)
	for range 50 { // what is left to do is done a step after each write
		record(t, s, storetest.Indicator(0, 0))
	}
	if runs, orphans := levels(t, s); runs[highestLevel] == 0 || runs[0] >= mergedRuns || runs[1] >= mergedRuns || orphans != 0 {
		t.Errorf("runs by level %v, and %d blocks of none", runs, orphans)
	}
}

// TestReadersFindWhatWasAcknowledged looks for objects as soon as they are
// acknowledged, while others are recorded and the index is rewritten.
func TestReadersFindWhatWasAcknowledged(t *testing.T) {
	s := openStore(t, t.TempDir(), newSigner(t), Options{recent: 7, step: 1})
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 150 {
				n := w*1000 + i
				a := storetest.Admit(t, storetest.Member("bank"), storetest.Target(), storetest.Indicator(n, 0))
				if _, err := s.Record(context.Background(), a); err != nil {
					t.Error(err)
					return
				}
				for _, known := range []int{n, w*1000 + i/2} {
					got, err := s.Versions(t.Context(), storetest.Target().Collection, storetest.IndicatorID(known))
					if err != nil || len(got) != 1 {
						t.Errorf("object %d, which was acknowledged, is found %d times, %v", known, len(got), err)
					}
				}
			}
		})
	}
	all.Wait()
}

// TestIDsOfOlderStoresAreIndexed opens a store of the version that had an index
// of SQLite's instead.
func TestIDsOfOlderStoresAreIndexed(t *testing.T) {
	now, dir, signer := t.TempDir(), t.TempDir(), newSigner(t)
	s := openStore(t, now, signer, Options{})
	fill(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	older(t, filepath.Join(dir, dbFile), filepath.Join(now, dbFile), 3)
	s = openStore(t, dir, signer, Options{recent: 4, step: 1})
	if runs, orphans := levels(t, s); runs[0] == 0 || runs[1] == 0 || orphans != 0 {
		t.Errorf("runs by level %v, and %d blocks of none", runs, orphans)
	}
	if got := foundSeqs(t, s, 3); len(got) != 2 {
		t.Errorf("an object of two versions is found at %v", got)
	}
	if got := foundSeqs(t, s, 5); len(got) != 0 {
		t.Errorf("an object that was withdrawn is found at %v", got)
	}
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// TestAJobThatFailsLeavesNoIDs takes back what a job added to the index, also
// of an id that others added too.
func TestAJobThatFailsLeavesNoIDs(t *testing.T) {
	r := newRecentIDs()
	kept := []idEntry{{1, 1}, {2, 2}, {1, 3}}
	for _, e := range kept {
		r.add(e)
	}
	failed := []idEntry{{1, 4}, {3, 5}, {1, 6}}
	for _, e := range failed {
		r.add(e)
	}
	r.remove(failed)
	want := []idEntry{{1, 1}, {1, 3}, {2, 2}}
	if got := r.sorted(); !slices.Equal(got, want) || r.len() != len(want) {
		t.Errorf("after a removal the entries are %v, want %v", got, want)
	}
}

func TestFiltersMissNothing(t *testing.T) {
	const entries = 50_000
	random := rand.New(rand.NewPCG(3, 4)) // the same each time
	f := newIDFilter(entries)
	hashes := make([]uint64, entries)
	for i := range hashes {
		hashes[i] = random.Uint64()
		f.add(hashes[i])
	}
	for _, h := range hashes {
		if !f.has(h) {
			t.Fatalf("the filter misses %x", h)
		}
	}
	wrong := 0
	for range entries {
		if f.has(random.Uint64()) {
			wrong++
		}
	}
	if wrong > entries/100 {
		t.Errorf("the filter is wrong about %d of %d", wrong, entries)
	}
	t.Logf("wrong about %d of %d", wrong, entries)
}
