package distribute

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/store"
	"tocsin/internal/view"
	"tocsin/receipt"
	"tocsin/tlp"
)

// withdraw takes a row away and puts a tombstone at the end, as stores do.
func (m *memory) withdraw(seq int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.rows, func(r view.Sealed) bool { return r.Seq == seq })
	if i < 0 || m.rows[i].Withdrawn {
		return false
	}
	grave := m.rows[i].Meta
	m.last++
	grave.Seq, grave.Withdrawn = m.last, true
	m.rows = append(slices.Delete(slices.Clone(m.rows), i, i+1), view.Seal(grave, nil))
	close(m.changed)
	m.changed = make(chan struct{})
	return true
}

// told is what one subscriber was given.
type told struct {
	seqs      []int64
	withdrawn map[int64]bool
	resumes   int
}

// listener subscribes again and again, and breaks off at random.
func listener(ctx context.Context, t *testing.T, feed *Feed, who tocsin.Member, seed uint64, each func(News)) told {
	rng := rand.New(rand.NewPCG(seed, 1))
	got := told{withdrawn: map[int64]bool{}}
	var position int64
	for ctx.Err() == nil {
		left := rng.IntN(8)
		for news, err := range feed.Follow(ctx, who, "finance", collectionID, position, time.Second) {
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("Follow = %v", err)
				}
				return got
			}
			each(news)
			for _, o := range news.Objects {
				got.seqs = append(got.seqs, o.Seq())
				if o.Withdrawn() {
					got.withdrawn[o.Seq()] = true
				}
				if own := string(o.Once(func(o view.Object) []byte { return fmt.Append(nil, o.Seq(), o.ID()) })); own != fmt.Sprint(o.Seq(), o.ID()) {
					t.Errorf("Once of %d = %q: another object's", o.Seq(), own)
				}
			}
			position = news.Position
			if rng.IntN(50) == 0 { // slow at times: it falls behind the window
				time.Sleep(time.Duration(rng.IntN(40)) * time.Millisecond)
			}
			if left--; left < 0 { // the connection breaks
				got.resumes++
				break
			}
		}
	}
	return got
}

// The model: whatever breaks off, falls behind, is withdrawn or hidden,
// each subscriber's stream is the log, without what is hidden from it, in
// order, once. Only what was withdrawn before it came by may be missing, and
// then its tombstone is there.
func TestAStreamIsTheLogAsItsReaderMaySeeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		feed := open(m)
		ctx, cancel := context.WithCancel(t.Context())
		names := []string{"acme", "bravo", "delta", "echo"} // acme owns all
		results := make([]told, 40)
		var reading sync.WaitGroup
		for i := range results {
			who := reader(names[i%len(names)])
			if i%5 == 4 {
				who.Organization.Kind, who.Purpose, who.Token = "government", "cybersecurity", fmt.Sprint(i)
			}
			reading.Go(func() { results[i] = listener(ctx, t, feed, who, uint64(i), func(News) {}) })
		}
		audience := map[int64]string{} // of each position; "": all
		rng := rand.New(rand.NewPCG(7, 7))
		big := string(make([]byte, 3000))
		for n := range 1500 {
			l := shared()
			to := []string{"", "", "bravo", "delta"}[rng.IntN(4)]
			if to != "" {
				l.Recipients = []string{to}
			}
			s := m.add(l, id(n)+big[:rng.IntN(2)*3000], v1)
			audience[s.Seq] = to
			if rng.IntN(20) == 0 {
				seq := 1 + rng.Int64N(s.Seq)
				if m.withdraw(seq) {
					audience[m.last] = audience[seq]
				}
			}
			if rng.IntN(4) == 0 {
				time.Sleep(time.Duration(rng.IntN(3)) * time.Millisecond)
			}
		}
		time.Sleep(time.Minute) // all have come as far as they can
		cancel()
		reading.Wait()
		alive := map[int64]bool{}
		for _, r := range m.rows {
			alive[r.Seq] = true
		}
		for i, got := range results {
			name := names[i%len(names)]
			if !slices.IsSorted(got.seqs) || len(slices.Compact(slices.Clone(got.seqs))) != len(got.seqs) {
				t.Errorf("%s %d: out of order or doubled", name, i)
			}
			seen := map[int64]bool{}
			for _, s := range got.seqs {
				seen[s] = true
				if to := audience[s]; to != "" && to != name && name != "acme" {
					t.Errorf("%s %d was given %d, which is for %s", name, i, s, to)
				}
			}
			for s, to := range audience {
				if may := to == "" || to == name || name == "acme"; may && alive[s] && !seen[s] {
					t.Errorf("%s %d: %d is missing", name, i, s)
				}
			}
			if got.resumes == 0 {
				t.Errorf("%s %d never broke off", name, i)
			}
		}
		if len(feed.heads.heads) != 0 {
			t.Errorf("%d heads are kept with nobody following", len(feed.heads.heads))
		}
	})
}

// Promise 9: what was withdrawn before a subscriber's step is not in it,
// although the window in memory had it.
func TestWhatIsWithdrawnIsNotGivenFromMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		feed := open(m)
		ctx, cancel := context.WithCancel(t.Context())
		var keeping sync.WaitGroup
		keeping.Go(func() { // fills the window
			for range feed.Follow(ctx, reader("bravo"), "finance", collectionID, 0, time.Hour) {
			}
		})
		synctest.Wait()
		for n := range 10 {
			m.add(shared(), id(n), v1)
			synctest.Wait()
		}
		if w := feed.heads.heads[collectionID].window.Load(); w == nil || len(w.rows) != 10 {
			t.Fatalf("window = %+v, want the ten objects", w)
		}
		m.mu.Lock() // the withdrawal comes in the middle of everything: nobody has been woken
		quiet := m.changed
		m.changed = make(chan struct{})
		m.mu.Unlock()
		m.withdraw(4)
		var got []int64
		for news, err := range feed.Follow(ctx, reader("delta"), "finance", collectionID, 2, time.Hour) {
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range news.Objects {
				got = append(got, o.Seq())
			}
			if news.Position >= 11 {
				break
			}
		}
		if !slices.Equal(got, []int64{3, 5, 6, 7, 8, 9, 10, 11}) {
			t.Errorf("stream = %v, want all but 4, and its tombstone", got)
		}
		close(quiet)
		cancel()
		keeping.Wait()
	})
}

// What is new is read once, however many wait for it, and made once.
func TestACrowdCostsOneReadOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		feed := open(m)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var mu sync.Mutex
		given, made := 0, 0
		var crowd sync.WaitGroup
		for i := range 500 {
			crowd.Go(func() {
				for news, err := range feed.Follow(ctx, reader(fmt.Sprint("member", i%7)), "finance", collectionID, 0, time.Hour) {
					if err != nil {
						return
					}
					for _, o := range news.Objects {
						o.Once(func(view.Object) []byte {
							mu.Lock()
							made++
							mu.Unlock()
							return nil
						})
						mu.Lock()
						given++
						mu.Unlock()
					}
				}
			})
		}
		synctest.Wait()
		before := m.scans
		for n := range 10 {
			m.add(shared(), id(n), v1)
			synctest.Wait()
		}
		if given != 5000 || made != 10 || m.scans-before != 10 {
			t.Errorf("%d given, %d made, %d reads; want 5,000 of 10, made and read once each", given, made, m.scans-before)
		}
		cancel()
		crowd.Wait()
	})
}

// slowLedger takes a while for every write.
type slowLedger struct {
	*memory

	writes int
}

func (s *slowLedger) Disclose(ctx context.Context, reads []receipt.Disclosure) error {
	time.Sleep(time.Millisecond)
	s.mu.Lock()
	s.writes++
	s.mu.Unlock()
	return s.memory.Disclose(ctx, reads)
}

func TestACrowdOfAnInstitutionWritesTheLedgerTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := &slowLedger{memory: newMemory()}
		feed := New(ledger.memory, ledger, authorize.NewPolicy(), &directory{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var crowd sync.WaitGroup
		given := map[int]bool{}
		var mu sync.Mutex
		for i := range 1000 {
			who := agency("cybersecurity")
			who.Token = fmt.Sprint(i)
			crowd.Go(func() {
				for news, err := range feed.Follow(ctx, who, "finance", collectionID, 0, time.Hour) {
					if err != nil || len(news.Objects) == 0 {
						return
					}
					if !slices.ContainsFunc(ledger.disclosed(), func(d receipt.Disclosure) bool { return d.From <= 1 && d.To >= 1 }) {
						t.Error("an object was given that the ledger does not have")
					}
					mu.Lock()
					given[i] = true
					mu.Unlock()
				}
			})
		}
		synctest.Wait()
		ledger.add(shared(), id(1), v1)
		time.Sleep(time.Second)
		cancel()
		crowd.Wait()
		if len(given) != 1000 || ledger.writes > 2 || len(ledger.disclosed()) != 1000 {
			t.Errorf("%d were given it with %d writes of %d disclosures, want 1,000 with at most 2", len(given), ledger.writes, len(ledger.disclosed()))
		}
	})
}

// Who leaves while its own read is written does not take the others' with it,
// and a ledger that fails gives nobody anything.
func TestTheFirstOfACrowdMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := &slowLedger{memory: newMemory()}
		r := newReads(ledger)
		first, leave := context.WithCancel(t.Context())
		var crowd sync.WaitGroup
		for i := range 3 {
			ctx := t.Context()
			if i == 0 {
				ctx = first
			}
			crowd.Go(func() {
				err := r.wait(ctx, readKey{token: fmt.Sprint(i)}, receipt.Disclosure{From: 1, To: 1, Objects: 1})
				if err != nil && i > 0 {
					t.Errorf("wait = %v", err)
				}
			})
			synctest.Wait()
		}
		leave()
		crowd.Wait()
		if len(ledger.logged) != 3 || ledger.writes != 2 {
			t.Errorf("%d disclosures in %d writes, want 3 in 2", len(ledger.logged), ledger.writes)
		}
		ledger.fail = fmt.Errorf("disk full")
		for range 2 {
			crowd.Go(func() {
				if err := r.wait(t.Context(), readKey{}, receipt.Disclosure{}); err == nil {
					t.Error("wait = nil, want the ledger's error")
				}
			})
		}
		crowd.Wait()
	})
}

// flip is a directory whose readers lose and get back their part.
type flip struct {
	directory

	out bool
}

func (f *flip) Current(who tocsin.Member) (tocsin.Member, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.out {
		who.Roles = nil
	}
	return who, nil
}

// slowStore lets something happen while it reads.
type slowStore struct {
	store.Reader

	during func()
}

func (s slowStore) Scan(ctx context.Context, q store.Scan) (store.Scanned, error) {
	found, err := s.Reader.Scan(ctx, q)
	s.during()
	return found, err
}

// Rights are those of the moment of delivery, not of the beginning of the read.
func TestRightsThatEndWhileTheStoreReadsCount(t *testing.T) {
	m := newMemory()
	m.add(shared(), id(1), v1)
	d := &flip{}
	feed := New(slowStore{m, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.out = true
	}}, m, authorize.NewPolicy(), d)
	for news, err := range feed.Follow(t.Context(), reader("bravo"), "finance", collectionID, 0, time.Hour) {
		if err == nil {
			t.Fatalf("Follow = %d objects after the rights ended", len(news.Objects))
		}
	}
}

func TestTheWindowIsBounded(t *testing.T) {
	w := &window{}
	l := &authorize.Label{Community: "finance", Owner: "acme", Default: tlp.Amber}
	for seq := int64(1); seq <= 1000; seq++ {
		w = w.longer(store.Scanned{Rows: []view.Sealed{view.Seal(view.Meta{Seq: seq, Label: l}, make([]byte, 1000))}, Next: seq}, 100_000)
	}
	if w.size > 100_000 || len(w.rows) == 0 || w.to != 1000 || w.after != w.rows[0].Seq-1 {
		t.Errorf("window = (%d, %d] with %d rows of %d bytes", w.after, w.to, len(w.rows), w.size)
	}
	huge := w.longer(store.Scanned{Rows: []view.Sealed{view.Seal(view.Meta{Seq: 1001, Label: l}, make([]byte, 1<<20))}, Next: 1001}, 100_000)
	if len(huge.rows) != 1 || huge.after != 1000 || huge.rows[0].Seq != 1001 {
		t.Errorf("window = (%d, %d] with %d rows, want the newest object", huge.after, huge.to, len(huge.rows))
	}
	if got := w.since(995).rows; len(got) != 5 || got[0].Seq != 996 {
		t.Errorf("since(995) = %d rows", len(got))
	}
}
