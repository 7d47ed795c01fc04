package sqlite

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/internal/store"
	"tocsin/internal/store/storetest"
)

// What was withdrawn is in no byte of any file: SQLite moves rows between pages
// as others come and go, and may leave a copy of one where it was.
func TestWithdrawnContentIsInNoPage(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, newSigner(t), Options{})
	random := rand.New(rand.NewPCG(1, 2))
	content := func(n int) string {
		o := storetest.Indicator(n, 0)
		size := []int{20, 100, 700, 3000, 9000, 40000}[random.IntN(6)]
		return o[:len(o)-1] + fmt.Sprintf(`,"x_secret":"bait-%06d-%s"}`, n, strings.Repeat("y", size))
	}
	const n = 600
	at := map[int]int64{}
	for i := 0; i < n; {
		var objects []string
		first := i
		for ; i < min(n, first+1+random.IntN(40)); i++ {
			objects = append(objects, content(i))
		}
		for k, success := range record(t, s, objects...).Successes {
			at[first+k] = success.Seq
		}
	}
	gone := map[int]bool{}
	for _, i := range random.Perm(n)[:n-40] {
		w := store.Withdrawal{
			Who: storetest.Member("bank"), Community: "finance", Collection: storetest.Target().Collection,
			Versions: store.VersionsOf(storetest.IndicatorID(i), at[i]),
		}
		if k, _, err := s.Withdraw(t.Context(), w); k != 1 || err != nil {
			t.Fatalf("Withdraw = %d, %v", k, err)
		}
		gone[i] = true
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if !bytes.Contains(text, fmt.Appendf(nil, "bait-%06d", i)) {
				continue
			}
			if seen++; gone[i] {
				t.Errorf("%s holds object %d, which was withdrawn", filepath.Base(f), i)
			}
		}
	}
	if seen < n-len(gone) {
		t.Errorf("%d of %d objects that stay were found: the search sees nothing", seen, n-len(gone))
	}
}
