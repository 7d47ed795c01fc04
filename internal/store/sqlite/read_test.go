package sqlite

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

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
