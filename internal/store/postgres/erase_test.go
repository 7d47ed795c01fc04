package postgres

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/store"
	"tocsin/internal/store/postgres/pgtest"
	"tocsin/internal/store/storetest"
)

// docs/privacy.md, "what goes, and what stays": PostgreSQL keeps the bytes of
// what was deleted in the table's file until that is written anew, and in
// segments of the write-ahead log until those are used again.
func TestWithdrawnContentLeavesTheTablesWithVacuumFull(t *testing.T) {
	server := pgtest.Start(t)
	url := server.Database(t)
	s := openStore(t, url, newSigner(t), Options{})
	const n = 60
	content := func(i int) string {
		o := storetest.Indicator(i, 0)
		return o[:len(o)-1] + fmt.Sprintf(`,"x_secret":"bait-%06d-%s"}`, i, strings.Repeat("y", 37*i))
	}
	var gone []store.Version
	for i := range n {
		made, err := s.Record(t.Context(), storetest.Admit(t, storetest.Member("bank"), storetest.Target(), content(i)))
		if err != nil {
			t.Fatal(err)
		}
		if i%3 > 0 {
			gone = append(gone, store.Version{ID: storetest.IndicatorID(i), Seq: made.Successes[0].Seq})
		}
	}
	w := store.Withdrawal{Community: "finance", Collection: storetest.Target().Collection, Versions: gone}
	if k, _, err := s.Withdraw(t.Context(), w); k != len(gone) || err != nil {
		t.Fatalf("Withdraw = %d, %v", k, err)
	}
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"VACUUM FULL objects, reviews, held", "CHECKPOINT"} {
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	stay, wal := 0, 0
	err = filepath.WalkDir(server.Folder(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("search: %w", err)
		}
		for i := range n {
			switch holds := bytes.Contains(text, fmt.Appendf(nil, "bait-%06d", i)); {
			case !holds:
			case strings.Contains(path, "pg_wal"):
				wal++
			case i%3 > 0:
				t.Errorf("%s holds object %d, which was withdrawn", path, i)
			default:
				stay++
			}
		}
		return nil
	})
	if err != nil || stay == 0 {
		t.Errorf("%d that stay were found, %v: the search sees nothing", stay, err)
	}
	t.Logf("the write-ahead log holds %d of %d still", wal, n)
}
