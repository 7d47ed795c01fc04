package agent

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	parsed "tocsin/internal/indicator"
	"tocsin/internal/match"
	"tocsin/internal/taxii/client"
)

func openTest(t testing.TB, folder string) (*book, *journal) {
	t.Helper()
	b := bookOf(t, nil)
	j, err := openJournal(folder, b)
	if err != nil {
		t.Fatal(err)
	}
	return b, j
}

// put takes an indicator as the agent does.
func put(t testing.TB, b *book, j *journal, cursor int, object string) {
	t.Helper()
	in := read(t, object)
	b.cursors["c/l"] = cursors{Stream: fmt.Sprint(cursor), Poll: client.Cursor{Next: "n"}}
	e := journalEntry{Collection: "c/l"}
	if b.take("c/l", in, time.Now()) {
		e.Indicator = in
	}
	if err := j.add(e); err != nil {
		t.Fatal(err)
	}
}

func pattern1(n int) string { return fmt.Sprintf("[domain-name:value = 'd%d.example']", n) }

func TestTheStateSurvivesARestart(t *testing.T) {
	folder := t.TempDir()
	b, j := openTest(t, folder)
	for n := range 50 {
		put(t, b, j, n, indicatorOf(n, 1, pattern1(n), `"valid_until":"2099-01-01T00:00:00.5Z"`, `"object_marking_refs":["`+red+`"]`))
	}
	put(t, b, j, 50, indicatorOf(1, 2, pattern1(1), `"revoked":true`))
	b.drop("c/l", indicatorID(2))
	if err := j.add(journalEntry{Collection: "c/l", Gone: indicatorID(2)}); err != nil {
		t.Fatal(err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}

	again, j := openTest(t, folder)
	if got, want := again.texts(), b.texts(); !slices.Equal(got, want) || len(got) != 48 {
		t.Errorf("after a restart %v is blocked, want %v", got, want)
	}
	if got := again.cursors["c/l"]; got != b.cursors["c/l"] {
		t.Errorf("after a restart the cursors are %+v, want %+v", got, b.cursors["c/l"])
	}
	in := again.shelves["c/l"].indicators[indicatorID(3)]
	if want := b.shelves["c/l"].indicators[indicatorID(3)]; !in.Until.Equal(want.Until) || in.TLP != want.TLP || !in.Quiet || !in.Version.Equal(want.Version) {
		t.Errorf("after a restart an indicator is %+v, want %+v", in, want)
	}
	if again.take("c/l", read(t, indicatorOf(1, 3, pattern1(1))), time.Now()) {
		t.Error("after a restart a revoked indicator came back")
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
}

// TestWhateverACrashLeavesIsGoodToGoOnFrom cuts and damages the journal at any
// byte: what is read must be what was known at the cursor that is read.
func TestWhateverACrashLeavesIsGoodToGoOnFrom(t *testing.T) {
	folder := t.TempDir()
	b, j := openTest(t, folder)
	const most = 40
	known := map[string][]string{"": {}} // cursor → what was blocked
	for n := range most {
		put(t, b, j, n, indicatorOf(n%30, 1+n/30, pattern1(n)))
		known[fmt.Sprint(n)] = b.texts()
	}
	text, err := os.ReadFile(filepath.Join(folder, journalName))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for try := range 300 {
		damaged := slices.Clone(text[:random.IntN(len(text)+1)])
		if try%2 == 0 && len(damaged) > 0 {
			damaged[random.IntN(len(damaged))] ^= 1 << random.IntN(8)
		}
		if try%3 == 0 {
			damaged = append(damaged, make([]byte, random.IntN(5000))...) // blocks that were never written
		}
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, journalName), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		left, j := openTest(t, folder)
		cursor := left.cursors["c/l"].Stream
		if got, want := left.texts(), known[cursor]; !slices.Equal(got, want) {
			t.Fatalf("cut at %d of %d the cursor is %q and %v is blocked, want %v", len(damaged), len(text), cursor, got, want)
		}
		// It can be written to: what comes next is there after one more restart.
		put(t, left, j, 99, indicatorOf(500, 1, pattern1(500)))
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
		again, j := openTest(t, folder)
		if !slices.Equal(again.texts(), left.texts()) || again.cursors["c/l"].Stream != "99" {
			t.Fatalf("what was added after a crash is lost: %v", again.texts())
		}
		_ = j.close()
	}
}

func TestTheJournalDoesNotGrowForEver(t *testing.T) {
	folder := t.TempDir()
	b, j := openTest(t, folder)
	for n := range 40_000 {
		in := &indicator{
			ID: indicatorID(n % 10), Version: time.Unix(int64(n), 0), From: time.Unix(0, 0),
			Values: values{domain(fmt.Sprintf("%s%d.example", strings.Repeat("a", 50), n))}, Action: parsed.Any,
		}
		b.cursors["c/l"] = cursors{Stream: fmt.Sprint(n)}
		if !b.take("c/l", in, time.Now()) {
			t.Fatal("a newer version was not taken")
		}
		if err := j.add(journalEntry{Collection: "c/l", Indicator: in}); err != nil {
			t.Fatal(err)
		}
	}
	if j.size > 2*leastGarbage {
		t.Errorf("ten indicators take %d bytes", j.size)
	}
	want := b.texts()
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	again, j := openTest(t, folder)
	if !slices.Equal(again.texts(), want) || again.cursors["c/l"].Stream != "39999" {
		t.Errorf("after it was written anew %v is blocked at %v, want %v", again.texts(), again.cursors, want)
	}
	_ = j.close()
}

func TestADiskThatIsFullForAWhileLosesNothing(t *testing.T) {
	folder := t.TempDir()
	b, j := openTest(t, folder)
	put(t, b, j, 1, indicatorOf(1, 1, pattern1(1)))
	readOnly, err := os.Open(filepath.Join(folder, journalName)) // writes to it fail
	if err != nil {
		t.Fatal(err)
	}
	writable := j.file
	j.file = readOnly
	b.cursors["c/l"] = cursors{Stream: "2"}
	in := read(t, indicatorOf(2, 1, pattern1(2)))
	b.take("c/l", in, time.Now())
	if err := j.add(journalEntry{Collection: "c/l", Indicator: in}); err == nil {
		t.Fatal("writing to a file that is not writable succeeded")
	}
	j.file = writable
	_ = readOnly.Close()
	put(t, b, j, 3, indicatorOf(3, 1, pattern1(3)))
	_ = j.close()
	again, j := openTest(t, folder)
	if got := again.texts(); !slices.Equal(got, []string{"d1.example", "d2.example", "d3.example"}) {
		t.Errorf("after a disk that was full %v is known, want all three", got)
	}
	_ = j.close()
}

func TestOldVersionsDoNotPileUpUntilTheyAreDue(t *testing.T) {
	b := bookOf(t, nil)
	for n := range 50_000 {
		b.take("c/l", &indicator{ID: indicatorID(1), Version: time.Unix(int64(n), 0), Until: time.Now().Add(time.Hour), Values: values{domain("a.example")}, Action: parsed.Any}, time.Now())
	}
	if len(b.due) > 2000 || len(b.texts()) != 1 {
		t.Errorf("%d entries wait for one indicator, %d values are blocked", len(b.due), len(b.texts()))
	}
}

func domain(text string) match.Value {
	v, _ := match.Parse(match.Domain, text)
	return v
}

func FuzzJournal(f *testing.F) {
	folder := f.TempDir()
	b, j := openTest(f, folder)
	put(f, b, j, 1, indicatorOf(1, 1, pattern1(1)))
	_ = j.close()
	text, err := os.ReadFile(filepath.Join(folder, journalName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(seal([]byte(`{"c":"c/l","i":{"id":"x","is":[{"k":1,"t":"8.8.8.8"},{"k":9,"t":"x"}]}}`)))
	f.Fuzz(func(t *testing.T, text []byte) {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, journalName), slices.Concat(text, seal(text)), 0o600); err != nil {
			t.Fatal(err)
		}
		b, j := openTest(t, folder)
		for _, text := range b.texts() {
			if v, ok := parsed.Guess(text); ok && b.guard.Why(v) != "" {
				t.Errorf("%s is blocked, though it is a %s", text, b.guard.Why(v))
			}
		}
		_ = j.close()
	})
}
