package sqlite

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/internal/authorize"
	"tocsin/internal/store"
	"tocsin/internal/store/storetest"
)

// However the objects of two collections lie beside one another, a scan returns
// those of its collection, in order, with their own bytes.
func TestCollectionsBesideOneAnotherAreKeptApart(t *testing.T) {
	s := openStore(t, t.TempDir(), newSigner(t), Options{})
	here := storetest.Target()
	there := authorize.Target{Community: here.Community, Collection: "0a1b2c3d-0000-4000-8000-00000000beef", Default: here.Default}
	want := map[string]map[int64]string{here.Collection: {}, there.Collection: {}}
	n := 0
	share := func(to authorize.Target, count int) {
		objects := make([]string, count)
		for i := range objects {
			size := 10
			switch n % 40 {
			case 7:
				size = largestPiece/4 + 1 // a piece of its own
			case 8:
				size = 5000
			}
			objects[i] = storetest.Indicator(n, 0, fmt.Sprintf(`,"name":"%d %s"`, n, strings.Repeat("x", size)))
			n++
		}
		r, err := s.Record(t.Context(), storetest.Admit(t, storetest.Member("bank"), to, objects...))
		if err != nil || len(r.Successes) != count {
			t.Fatalf("Record = %v, %v", r.Failures, err)
		}
		for i, o := range r.Successes {
			want[to.Collection][o.Seq] = objects[i]
		}
	}
	for range 30 { // one of ours in three
		share(there, 2)
		share(here, 1)
	}
	share(there, 3*mostStrangers) // none of ours for long
	share(here, 100)
	share(there, mostStrangers-1)
	share(here, 3)
	share(there, mostStrangers+200)
	owner, err := authorize.NewPolicy().Reader(storetest.Member("bank"), here.Community)
	if err != nil {
		t.Fatal(err)
	}
	for name, objects := range want {
		var order []int64
		for seq := range objects {
			order = append(order, seq)
		}
		slices.Sort(order)
		for _, most := range []int{1, 2, 7, 50, 1000} {
			for after := int64(0); after < int64(n)+2; after += 1 + after%5 {
				rest := order[min(len(order), upper(order, after)):]
				rest = rest[:min(len(rest), most)]
				got, err := s.Scan(t.Context(), store.Scan{Collection: name, After: after, Most: most})
				if err != nil {
					t.Fatal(err)
				}
				var seqs []int64
				for _, row := range got.Rows {
					seqs = append(seqs, row.Seq)
					o, ok := row.Render(owner)
					if sum, known := o.Sum(); !ok || row.Collection != name || string(o.Raw()) != objects[row.Seq] || !known || sum != sha256.Sum256(o.Raw()) {
						t.Errorf("row %d of %s is not what was shared", row.Seq, row.Collection)
					}
				}
				if !slices.Equal(seqs, rest) {
					t.Fatalf("Scan(%s, after %d, most %d) = %v, want %v", name, after, most, seqs, rest)
				}
				if more := len(rest) > 0 && rest[len(rest)-1] < order[len(order)-1]; got.More != more || more && got.Next != rest[len(rest)-1] {
					t.Errorf("Scan(%s, after %d, most %d) = more %v, next %d", name, after, most, got.More, got.Next)
				}
			}
		}
	}
}

// upper returns how many of the sorted numbers are at most n.
func upper(sorted []int64, n int64) int {
	i, _ := slices.BinarySearch(sorted, n+1)
	return i
}

// What was remembered of times says the same as what is stored, also after some
// of it was withdrawn.
func TestTimesAreFoundAmongMarks(t *testing.T) {
	s := openStore(t, t.TempDir(), newSigner(t), Options{})
	const all = 5*markEvery + 7
	added := map[int64]time.Time{}
	for n := range all {
		record(t, s, storetest.Indicator(n, 0))
	}
	learn := func() []int64 {
		clear(added)
		var seqs []int64
		found, err := s.Scan(t.Context(), store.Scan{Collection: storetest.Target().Collection, Most: 10 * all, Meta: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range found.Rows {
			added[row.Seq] = row.Added
			seqs = append(seqs, row.Seq)
		}
		return seqs
	}
	check := func(seqs []int64) {
		t.Helper()
		rng := rand.New(rand.NewPCG(4, 9))
		for range 2000 {
			i := rng.IntN(len(seqs) - 1)
			at := added[seqs[i]].Add(time.Duration(rng.IntN(int(added[seqs[i+1]].Sub(added[seqs[i]])/time.Microsecond))) * time.Microsecond)
			got, err := s.Seek(t.Context(), at)
			// A withdrawn position is as good as the one before it: nothing lies between.
			if err != nil || got < seqs[i] || got >= seqs[i+1] {
				t.Fatalf("Seek(when %d was added) = %d, %v, want less than %d", seqs[i], got, err, seqs[i+1])
			}
		}
	}
	seqs := learn()
	check(seqs)
	if known := len(s.marks.added); known < all/markEvery-1 {
		t.Errorf("%d marks are known, want about %d", known, all/markEvery)
	}
	for _, gone := range []int64{1, 2, markEvery, markEvery + 1, 3*markEvery - 1, 3 * markEvery, 4*markEvery + 5} {
		w := store.Withdrawal{
			Who: storetest.Member("bank"), Community: "finance", Collection: storetest.Target().Collection,
			ID: storetest.IndicatorID(int(gone - 1)), Seqs: []int64{gone},
		}
		if n, _, err := s.Withdraw(t.Context(), w); n != 1 || err != nil {
			t.Fatalf("Withdraw(%d) = %d, %v", gone, n, err)
		}
	}
	seqs = learn()
	check(seqs)
	s.marks.added = nil
	check(seqs)
}
