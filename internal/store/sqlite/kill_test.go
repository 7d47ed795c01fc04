package sqlite

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/store"
	"tocsin/internal/store/storetest"
	"tocsin/receipt"
)

var (
	killDir  = flag.String("kill.dir", "", "write to the store in this folder until killed (used by the test itself)")
	killFrom = flag.Int("kill.from", 0, "number of the first object that is written")
	kills    = flag.Int("kill.times", 20, "how often TestNothingAcknowledgedIsLostWhenKilled kills")
)

// An ack is one line that a writer prints when its submission was acknowledged.
type ack struct {
	ID   string
	Leaf int64
	Seqs []int64
	IDs  []string
}

// TestWriteUntilKilled is the process that TestNothingAcknowledgedIsLostWhenKilled kills.
func TestWriteUntilKilled(t *testing.T) {
	if *killDir == "" {
		t.Skip("only of use to TestNothingAcknowledgedIsLostWhenKilled")
	}
	s := openStore(t, *killDir, loadSigner(t, *killDir), Options{recent: 8, step: 1})
	var out sync.Mutex
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for n := *killFrom + w*100_000; ; n += 3 {
				r, err := s.Record(context.Background(), storetest.Admit(t, storetest.Member("bank"), storetest.Target(),
					storetest.Indicator(n, 0), storetest.Indicator(n+1, 0), storetest.Indicator(n+2, 0)))
				if err != nil {
					t.Error(err)
					return
				}
				a := ack{ID: r.ID, Leaf: r.Leaf}
				for _, o := range r.Successes {
					a.Seqs, a.IDs = append(a.Seqs, o.Seq), append(a.IDs, o.ID)
				}
				line, err := json.Marshal(a)
				if err != nil {
					t.Error(err)
				}
				out.Lock()
				fmt.Fprintf(os.Stdout, "%s\n", line)
				out.Unlock()
			}
		})
	}
	all.Wait()
}

func loadSigner(t testing.TB, dir string) *ledger.Signer {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s, err := ledger.LoadOrCreate(root, "hub.example.com/log")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestNothingAcknowledgedIsLostWhenKilled kills a writing process again and
// again, at random moments, and checks what it finds after each. More kills:
// -args -kill.times=1000.
func TestNothingAcknowledgedIsLostWhenKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	dir := t.TempDir()
	signer := loadSigner(t, dir)
	var acked []ack
	for i := range *kills {
		fresh := writeAndKill(t, dir, i*1_000_000, time.Duration(random(t, 120))*time.Millisecond)
		acked = append(acked, fresh...)
		checkAcknowledged(t, dir, signer, acked, fresh)
	}
	s := openStore(t, dir, signer, Options{})
	for _, a := range acked {
		checkReceipt(t, s, signer, a)
	}
	if err := s.Verify(t.Context(), nil); err != nil {
		t.Errorf("Verify = %v", err)
	}
	head, _ := s.Head("")
	t.Logf("%d kills, %d acknowledged submissions, %d objects", *kills, len(acked), head)
	if len(acked) < *kills {
		t.Errorf("%d submissions were acknowledged in %d runs: the test tests nothing", len(acked), *kills)
	}
}

func random(t testing.TB, below int) int {
	t.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(int64(below)))
	if err != nil {
		t.Fatal(err)
	}
	return int(n.Int64())
}

// writeAndKill runs a writer, kills it some time after its first
// acknowledgement, and returns all that it acknowledged.
func writeAndKill(t *testing.T, dir string, from int, after time.Duration) (acked []ack) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestWriteUntilKilled$", "-kill.dir="+dir, fmt.Sprintf("-kill.from=%d", from))
	child.Stderr = os.Stderr
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var timer *time.Timer
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil { // half a line was never an acknowledgement
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
			break
		}
		var a ack
		if err := json.Unmarshal(line, &a); err != nil {
			t.Fatalf("the writer says %q", line)
		}
		acked = append(acked, a)
		if timer == nil {
			timer = time.AfterFunc(after, func() { _ = child.Process.Kill() })
		}
	}
	if timer == nil {
		t.Fatalf("the writer ended by itself: %v", child.Wait())
	}
	timer.Stop()
	_ = child.Wait()
	return acked
}

// checkAcknowledged checks that all that was acknowledged is there, once, and
// that nothing is there in part.
func checkAcknowledged(t *testing.T, dir string, signer *ledger.Signer, acked, fresh []ack) {
	t.Helper()
	s := openStore(t, dir, signer, Options{})
	found := map[string][]int64{}
	for after, more := int64(0), true; more; {
		got, err := s.Scan(t.Context(), store.Scan{Collection: storetest.Target().Collection, After: after, Most: 1000, Meta: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range got.Rows {
			found[r.ID] = append(found[r.ID], r.Seq)
		}
		after, more = got.Next, got.More
	}
	for _, a := range acked {
		for i, id := range a.IDs {
			if at := found[id]; len(at) != 1 || at[0] != a.Seqs[i] {
				t.Fatalf("%s was acknowledged at position %d and is at %v", id, a.Seqs[i], at)
			}
		}
	}
	if head, _ := s.Head(""); int64(len(found)) != head || head%3 != 0 {
		t.Fatalf("%d objects at %d positions: every submission was of 3", len(found), head)
	}
	for _, a := range fresh[max(0, len(fresh)-5):] {
		checkReceipt(t, s, signer, a)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func checkReceipt(t *testing.T, s *Store, signer *ledger.Signer, a ack) {
	t.Helper()
	p, err := s.Receipt(t.Context(), a.Leaf)
	if err != nil {
		t.Fatal(err)
	}
	v, err := receipt.Verify(p, signer.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	if st, err := v.Submission(); err != nil || st.ID != a.ID || len(st.Objects) != len(a.IDs) {
		t.Fatalf("the receipt of %s is for %s, %v", a.ID, st.ID, err)
	}
}

// TestNoFlippedBitIsServed flips bits of the closed file: whatever is read
// afterwards is right, or an error.
func TestNoFlippedBitIsServed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const flips = 150
	dir, signer := t.TempDir(), newSigner(t)
	s := openStore(t, dir, signer, Options{})
	fill(t, s)
	want := everything(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, dbFile)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	harmless := 0
	for range flips {
		at, bit := random(t, len(content)), random(t, 8)
		content[at] ^= 1 << bit
		err := os.WriteFile(file, content, 0o600)
		content[at] ^= 1 << bit
		if err != nil {
			t.Fatal(err)
		}
		got, err := readDamaged(t, dir, signer)
		switch {
		case err == nil && got != want:
			t.Errorf("bit %d of byte %d: another content was served", bit, at)
		case err == nil:
			harmless++
		}
	}
	t.Logf("%d bits flipped in %d bytes: %d found, %d harmless", flips, len(content), flips-harmless, harmless)
	if harmless > flips/10 {
		t.Errorf("%d of %d flips were not noticed: are the checksums on?", harmless, flips)
	}
}

func readDamaged(t *testing.T, dir string, signer *ledger.Signer) (string, error) {
	t.Helper()
	s, err := Open(t.Context(), dir, signer, Options{})
	if err != nil {
		return "", err
	}
	defer s.Close()
	if err := s.Verify(t.Context(), nil); err != nil {
		return "", err
	}
	return everything(t, s), nil
}

// everything returns all that the store would serve, as text.
func everything(t *testing.T, s *Store) string {
	t.Helper()
	var text strings.Builder
	err := s.readers.read(t.Context(), func(c *conn) (err error) {
		for _, sql := range []string{
			"SELECT seq || ' ' || added || ' ' || version || ' ' || id || coalesce(raw, '') FROM objects ORDER BY seq",
			"SELECT leaf || kind || entry || statement FROM records ORDER BY leaf",
			"SELECT hex(hash) FROM hashes ORDER BY position",
			"SELECT signed FROM checkpoint", "SELECT kind || key || doc FROM directory", "SELECT doc FROM labels", "SELECT name FROM collections",
		} {
			for r := range c.rows(&err, sql) {
				text.WriteString(r.ColumnText(0) + "\n")
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}
