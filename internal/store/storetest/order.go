package storetest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/store"
	"tocsin/internal/view"
)

func orderIsTotal(t *testing.T, p Place) {
	s := open(t, p)
	for i := range 10 {
		r := share(t, s, "bank", Indicator(2*i, 0), Indicator(2*i+1, 0))
		if r.First != int64(2*i+1) || r.Last != int64(2*i+2) || len(r.Successes) != 2 {
			t.Errorf("submission %d took positions %d to %d with %d successes, want %d to %d", i, r.First, r.Last, len(r.Successes), 2*i+1, 2*i+2)
		}
	}
	s = reopen(t, s, p)
	share(t, s, "bank", Indicator(20, 0))
	checkOrder(t, scan(t, s, collection, 1000), 21)
}

// checkOrder checks that rows are positions 1 to n, and that date_added grows
// with every one, in whole microseconds.
func checkOrder(t *testing.T, rows []view.Sealed, n int) {
	t.Helper()
	if len(rows) != n {
		t.Fatalf("%d rows, want %d", len(rows), n)
	}
	for i, r := range rows {
		if r.Seq != int64(i+1) {
			t.Fatalf("row %d is at position %d", i, r.Seq)
		}
		if i > 0 && !r.Added.After(rows[i-1].Added) || r.Added.Nanosecond()%1000 != 0 {
			t.Fatalf("date_added %v at position %d does not come after %v", r.Added, r.Seq, rows[i-1].Added)
		}
	}
}

func concurrentSubmissions(t *testing.T, p Place) {
	s := open(t, p)
	const writers, each = 8, 25
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				n := w*each + i
				r, err := s.Record(context.Background(), Admit(t, Member(fmt.Sprintf("org-%d", w)), Target(), Indicator(n, 0)))
				if err != nil || len(r.Successes) != 1 || r.First != r.Last || r.First != r.Successes[0].Seq {
					t.Errorf("Record = %+v, %v", r, err)
					return
				}
			}
		})
	}
	all.Wait()
	rows := scan(t, s, collection, 64)
	checkOrder(t, rows, writers*each)
	ids := map[string]bool{}
	for _, r := range rows {
		ids[r.ID] = true
	}
	if len(ids) != writers*each {
		t.Errorf("%d different objects, want %d", len(ids), writers*each)
	}
}

func resuming(t *testing.T, p Place) {
	s := open(t, p)
	const n = 50
	var objects []string
	for i := range n {
		objects = append(objects, Indicator(i, 0))
	}
	share(t, s, "bank", objects...)
	to := Target()
	to.Collection = other
	record(t, s, Admit(t, Member("bank"), to, Indicator(0, 0)))
	for _, page := range []int{1, 7, 49, 50, 51} {
		var got []int64
		after := int64(0)
		for len(got) <= n {
			found, err := s.Scan(context.Background(), store.Scan{Collection: collection, After: after, Most: page})
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, seqs(found.Rows)...)
			after = found.Next
			if !found.More {
				break
			}
			if page == 7 { // a restart between two pages changes nothing
				s = reopen(t, s, p)
			}
		}
		if len(got) != n || !slices.IsSorted(got) || got[0] != 1 || got[n-1] != n {
			t.Errorf("pages of %d: positions %v, want 1 to %d", page, got, n)
		}
		if head, _ := s.Head(collection); after != head {
			t.Errorf("pages of %d end at %d, want the head %d", page, after, head)
		}
	}
}

func bytesAreKept(t *testing.T, p Place) {
	s := open(t, p)
	want := Indicator(1, 0, ` , "x_unknown" : {"b":1.0e2,"a":[ ]}, "name":"\u00fcber /\/ ü"`)
	share(t, s, "bank", want)
	s = reopen(t, s, p)
	rows := scan(t, s, collection, 10)
	if len(rows) != 1 || raw(t, rows[0]) != want {
		t.Errorf("content = %q, want %q", raw(t, rows[0]), want)
	}
	if got := rows[0]; got.Type != "indicator" || got.ID != IndicatorID(1) || got.Version != versionOf(0) || got.Collection != collection ||
		!got.Modified.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) || got.Withdrawn || got.Siblings {
		t.Errorf("meta = %+v", got.Meta)
	}
}

// sizes: large objects are kept, and no answer grows with them without end.
func sizes(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	large := `,"name":"` + strings.Repeat("x", 9<<20) + `"`
	for i := range 5 {
		wantOne(t, share(t, s, "bank", Indicator(i, 0, large)), int64(i+1), false)
	}
	var got []int64
	pages := 0
	for after, more := int64(0), true; more; pages++ {
		found, err := s.Scan(ctx, store.Scan{Collection: collection, After: after, Most: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range found.Rows {
			if len(raw(t, r)) < 9<<20 {
				t.Errorf("object %d is %d bytes", r.Seq, len(raw(t, r)))
			}
		}
		got = append(got, seqs(found.Rows)...)
		after, more = found.Next, found.More
	}
	if diff := cmp.Diff([]int64{1, 2, 3, 4, 5}, got); diff != "" || pages < 2 {
		t.Errorf("%d pages, positions differ (-want +got):\n%s", pages, diff)
	}
	// The versions of an object are read together, so there is an end to them.
	refused := 0
	for version := 1; version < 6; version++ {
		r := share(t, s, "bank", Indicator(0, version, large))
		refused += len(r.Failures)
	}
	all, err := s.Versions(ctx, collection, IndicatorID(0))
	if err != nil || refused == 0 || len(all)+refused != 6 {
		t.Errorf("%d versions, %d refused, %v, want 6 in all and some refused", len(all), refused, err)
	}
}

func seek(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	if got, err := s.Seek(ctx, time.Now()); got != 0 || err != nil {
		t.Errorf("Seek in an empty store = %d, %v, want 0", got, err)
	}
	for i := range 40 {
		share(t, s, "bank", Indicator(i, 0))
	}
	// Withdrawn positions leave holes.
	for _, gone := range []int{0, 1, 2, 17, 39} {
		if n, _, err := s.Withdraw(ctx, withdrawal("bank", gone, int64(gone+1))); n != 1 || err != nil {
			t.Fatalf("Withdraw = %d, %v", n, err)
		}
	}
	rows := scan(t, s, collection, 100)
	for i, r := range rows {
		before := int64(0)
		if i > 0 {
			before = rows[i-1].Seq
		}
		for name, tt := range map[string]struct {
			at   time.Time
			want int64
		}{
			"at":                   {r.Added, r.Seq},
			"a microsecond before": {r.Added.Add(-time.Microsecond), before},
			"a nanosecond before":  {r.Added.Add(-time.Nanosecond), before},
			"a nanosecond after":   {r.Added.Add(time.Nanosecond), r.Seq},
		} {
			got, err := s.Seek(ctx, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("Seek(%s position %d) = %d, want %d", name, r.Seq, got, tt.want)
			}
		}
	}
	for at, want := range map[time.Time]int64{
		time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC): 0,
		time.Now().Add(time.Hour):                   45,
		{}:                                          0,
	} {
		if got, err := s.Seek(ctx, at); got != want || err != nil {
			t.Errorf("Seek(%v) = %d, %v, want %d", at, got, err, want)
		}
	}
}

// What a store remembers of times says the same as what is stored, also after
// some of it was withdrawn or came later.
func seekAgain(t *testing.T, p Place) {
	const all = 300
	s := open(t, p)
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(4, 9))
	check := func(s store.Store) {
		t.Helper()
		rows := scan(t, s, collection, 2*all)
		for range 600 {
			i := rng.IntN(len(rows) - 1)
			between := int(rows[i+1].Added.Sub(rows[i].Added) / time.Microsecond)
			got, err := s.Seek(ctx, rows[i].Added.Add(time.Duration(rng.IntN(between))*time.Microsecond))
			// A withdrawn position is as good as the one before it: nothing lies between.
			if err != nil || got < rows[i].Seq || got >= rows[i+1].Seq {
				t.Fatalf("Seek(when %d was there, and %d was not) = %d, %v", rows[i].Seq, rows[i+1].Seq, got, err)
			}
		}
	}
	for i := range all / 2 {
		share(t, s, "bank", Indicator(i, 0))
	}
	check(s)
	for i := all / 2; i < all; i++ {
		share(t, s, "bank", Indicator(i, 0))
	}
	check(s)
	for _, gone := range []int{1, 2, 64, 65, 127, 128, 129, 191, 256} {
		if n, _, err := s.Withdraw(ctx, withdrawal("bank", gone-1, int64(gone))); n != 1 || err != nil {
			t.Fatalf("Withdraw = %d, %v", n, err)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(open(t, p))
}

func scanFilters(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	share(t, s, "bank", Indicator(1, 0), file(1, "a"), Indicator(2, 0), file(2, "b"))
	share(t, s, "bank", Indicator(1, 1), Indicator(3, 0))
	for name, tt := range map[string]struct {
		scan store.Scan
		want []int64
		next int64
		more bool
	}{
		"all":            {store.Scan{Most: 10}, []int64{1, 2, 3, 4, 5, 6}, 6, false},
		"exactly all":    {store.Scan{Most: 6}, []int64{1, 2, 3, 4, 5, 6}, 6, false},
		"after":          {store.Scan{After: 4, Most: 10}, []int64{5, 6}, 6, false},
		"after the end":  {store.Scan{After: 6, Most: 10}, []int64{}, 6, false},
		"beyond the end": {store.Scan{After: 99, Most: 10}, []int64{}, 99, false},
		"type":           {store.Scan{Most: 10, Types: []string{"file"}}, []int64{2, 4}, 6, false},
		"types":          {store.Scan{Most: 10, Types: []string{"file", "indicator"}}, []int64{1, 2, 3, 4, 5, 6}, 6, false},
		"unknown type":   {store.Scan{Most: 10, Types: []string{"malware"}}, []int64{}, 6, false},
		"id":             {store.Scan{Most: 10, IDs: []string{IndicatorID(1)}}, []int64{1, 5}, 6, false},
		"ids":            {store.Scan{Most: 10, IDs: []string{IndicatorID(3), id("file", 1), IndicatorID(1), IndicatorID(1)}}, []int64{1, 2, 5, 6}, 6, false},
		"ids, some rows": {store.Scan{Most: 2, IDs: []string{IndicatorID(3), IndicatorID(1)}}, []int64{1, 5}, 5, true},
		"ids, rest":      {store.Scan{After: 5, Most: 2, IDs: []string{IndicatorID(3), IndicatorID(1)}}, []int64{6}, 6, false},
		"id and type":    {store.Scan{Most: 10, IDs: []string{IndicatorID(1), id("file", 1)}, Types: []string{"file"}}, []int64{2}, 6, false},
		"unknown id":     {store.Scan{Most: 10, IDs: []string{IndicatorID(9)}}, []int64{}, 6, false},
	} {
		t.Run(name, func(t *testing.T) {
			tt.scan.Collection = collection
			for _, meta := range []bool{false, true} {
				tt.scan.Meta = meta
				got, err := s.Scan(ctx, tt.scan)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, seqs(got.Rows)); diff != "" || got.Next != tt.next || got.More != tt.more {
					t.Errorf("Scan = next %d, more %v, want %d, %v; positions differ (-want +got):\n%s", got.Next, got.More, tt.next, tt.more, diff)
				}
				for _, r := range got.Rows {
					if content := raw(t, r); (content == "") != meta {
						t.Errorf("content of %d = %q although Meta is %v", r.Seq, content, meta)
					}
				}
			}
		})
	}
}

func heads(t *testing.T, p Place) {
	s := open(t, p)
	at, later := s.Head("")
	if at != 0 {
		t.Errorf("Head of an empty store = %d", at)
	}
	if err := s.Disclose(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	disclose(t, s, 1, 1)
	select {
	case <-later:
		t.Error("a disclosure woke those who wait for objects")
	default:
	}
	share(t, s, "bank", Indicator(1, 0))
	select {
	case <-later:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody was woken")
	}
	to := Target()
	to.Collection = other
	record(t, s, Admit(t, Member("bank"), to, Indicator(2, 0)))
	check := func(s store.Store) {
		for name, want := range map[string]int64{"": 2, collection: 1, other: 2, "nowhere": 0} {
			if got, _ := s.Head(name); got != want {
				t.Errorf("Head(%q) = %d, want %d", name, got, want)
			}
		}
	}
	check(s)
	check(reopen(t, s, p))
}

// rewrites: whoever keeps what it has scanned learns when it is no longer what a
// scan finds.
func rewrites(t *testing.T, p Place) {
	s := open(t, p)
	ctx := context.Background()
	share(t, s, "bank", Indicator(1, 0), Indicator(2, 0), Indicator(3, 0)) // 1 to 3
	share(t, s, "bank", Indicator(3, 1))                                   // 4
	for _, step := range []struct {
		name     string
		do       func()
		from, to int64
		changes  bool
	}{
		{"nothing", func() {}, 1, 4, false},
		{"another object", func() { share(t, s, "bank", Indicator(4, 0)) }, 1, 4, false},                              // 5
		{"the same content again", func() { share(t, s, "bank", Indicator(1, 0)) }, 1, 5, false},                      //
		{"a second version", func() { share(t, s, "bank", Indicator(1, 1)) }, 1, 1, true},                             // 6
		{"a third version, for the first", func() { share(t, s, "bank", Indicator(1, 2)) }, 1, 1, true},               // 7
		{"a fourth version, for the second", func() { share(t, s, "bank", Indicator(1, 3)) }, 6, 6, true},             // 8
		{"a withdrawal", func() { withdraw(t, s, 2, 2) }, 2, 2, true},                                                 // 9
		{"the last version goes, for the one before", func() { withdraw(t, s, 3, 4) }, 3, 3, true},                    // 10
		{"the first version goes, for the last", func() { withdraw(t, s, 1, 1) }, 8, 8, true},                         // 11
		{"a read", func() { disclose(t, s, 2, 3) }, 1, 11, false},                                                     //
		{"all positions", func() { share(t, s, "bank", Indicator(4, 1)) }, 0, math.MaxInt64, true},                    // 12
		{"beyond the head", func() { share(t, s, "bank", Indicator(5, 0)) }, math.MaxInt64 - 1, math.MaxInt64, false}, // 13
	} {
		before := s.Rewrites(collection, step.from, step.to)
		step.do()
		if after := s.Rewrites(collection, step.from, step.to); step.changes && after == before || !step.changes && after != before {
			t.Errorf("%s: Rewrites(%d, %d) was %d and is %d, want a change: %v", step.name, step.from, step.to, before, after, step.changes)
		}
	}
	if n := s.Rewrites("nowhere", 1, 10); n != s.Rewrites("nowhere", 1, 10) {
		t.Error("Rewrites of a collection that is not there changes")
	}
	// Far above in the order, nothing below is rewritten.
	before := s.Rewrites(collection, 1, 13)
	for _, gone := range []int64{12, 13} {
		if n, _, err := s.Withdraw(ctx, withdrawal("bank", 99, gone)); n != 0 || err != nil {
			t.Fatalf("Withdraw of nothing = %d, %v", n, err)
		}
	}
	if after := s.Rewrites(collection, 1, 13); after != before {
		t.Error("a withdrawal of nothing counts")
	}
}

func withdraw(t *testing.T, s store.Store, n int, seq int64) {
	t.Helper()
	if gone, _, err := s.Withdraw(context.Background(), withdrawal("bank", n, seq)); gone != 1 || err != nil {
		t.Fatalf("Withdraw = %d, %v, want 1", gone, err)
	}
}
