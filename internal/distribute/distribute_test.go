package distribute

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/member"
	"tocsin/internal/store"
	"tocsin/internal/view"
	"tocsin/receipt"
	"tocsin/tlp"
)

// memory is a store in memory that keeps the promises of [store.Reader], and
// can be told to fail.
type memory struct {
	mu       sync.Mutex
	rows     []view.Sealed
	last     int64 // position
	changed  chan struct{}
	scans    int
	looked   int // rows that were scanned
	rewrites uint64
	fail     error
	logged   []receipt.Disclosure
}

func newMemory() *memory { return &memory{changed: make(chan struct{})} }

const collectionID = "0a1b2c3d-0000-4000-8000-000000000001"

func (m *memory) add(l *authorize.Label, id, version string) view.Sealed {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, _ := time.Parse(time.RFC3339, version)
	siblings := false
	for i, r := range m.rows {
		if r.ID == id {
			siblings = true
			meta := r.Meta
			meta.Siblings = true
			m.rows[i] = view.Seal(meta, raw(id, r.Version))
		}
	}
	m.last++
	seq := m.last
	s := view.Seal(view.Meta{
		Seq: seq, ID: id, Type: "indicator", Version: version, Modified: at, Added: time.Unix(1_700_000_000, seq*1000),
		Collection: collectionID, Label: l, Siblings: siblings,
	}, raw(id, version))
	m.rows = append(m.rows, s)
	close(m.changed)
	m.changed = make(chan struct{})
	return s
}

func raw(id, version string) []byte { return fmt.Appendf(nil, `{"id":%q,"modified":%q}`, id, version) }

func (m *memory) Scan(_ context.Context, s store.Scan) (store.Scanned, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.scans++
	if m.fail != nil {
		return store.Scanned{}, m.fail
	}
	out := store.Scanned{Next: s.After}
	defer func() { m.looked += len(out.Rows) }()
	from := sort.Search(len(m.rows), func(i int) bool { return m.rows[i].Seq > s.After })
	for _, r := range m.rows[from:] {
		if r.Seq <= s.After || len(s.IDs) > 0 && !slices.Contains(s.IDs, r.ID) {
			continue
		}
		if len(out.Rows) == s.Most {
			out.More = true
			return out, nil
		}
		out.Rows = append(out.Rows, r)
		out.Next = r.Seq
	}
	out.Next = m.last
	return out, nil
}

func (m *memory) Versions(_ context.Context, _, id string) ([]view.Sealed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []view.Sealed
	for _, r := range m.rows {
		if r.ID == id {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b view.Sealed) int { return a.Modified.Compare(b.Modified) })
	return out, nil
}

func (m *memory) Seek(_ context.Context, t time.Time) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var seq int64
	for _, r := range m.rows {
		if !r.Added.After(t) {
			seq = r.Seq
		}
	}
	return seq, nil
}

func (m *memory) Sightings(context.Context, string, string) ([]view.Sealed, error) { return nil, nil }

func (m *memory) Named(_ context.Context, hash int64) (ids []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.rows {
		if store.IDHash(r.ID) == hash {
			ids = append(ids, r.ID)
		}
	}
	return ids, nil
}

func (m *memory) Head(string) (int64, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last, m.changed
}

func (m *memory) Rewrites(string, int64, int64) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rewrites
}

func (m *memory) Disclose(_ context.Context, reads []receipt.Disclosure) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.logged = append(m.logged, reads...)
	return nil
}

func (m *memory) disclosed() []receipt.Disclosure {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.logged)
}

// directory knows one collection of one community, and may revoke.
type directory struct {
	mu      sync.Mutex
	revoked bool
}

func (d *directory) Collection(who tocsin.Member, community, _ string) (member.Collection, error) {
	if who.Role(community) == tocsin.Stranger || community != "finance" {
		return member.Collection{}, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such collection"}
	}
	return member.Collection{ID: collectionID, Community: "finance"}, nil
}

func (d *directory) Current(who tocsin.Member) (tocsin.Member, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.revoked {
		return tocsin.Member{}, &tocsin.Error{Kind: tocsin.Unauthenticated, Message: "the token is not valid"}
	}
	return who, nil
}

func (d *directory) revoke() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.revoked = true
}

func reader(name string) tocsin.Member {
	return tocsin.Member{Organization: tocsin.Organization{Name: name, Kind: "company"}, Roles: map[string]tocsin.Role{"finance": tocsin.Reader}}
}

func agency(purpose string) tocsin.Member {
	m := reader("agency")
	m.Organization.Kind, m.Purpose = "government", purpose
	return m
}

func open(m *memory) *Feed { return New(m, m, authorize.NewPolicy(), &directory{}) }

func shared() *authorize.Label {
	return &authorize.Label{Community: "finance", Owner: "acme", Default: tlp.Amber}
}

func secret() *authorize.Label {
	return &authorize.Label{Community: "finance", Owner: "acme", Default: tlp.Red}
}

func query() Query { return Query{Community: "finance", Collection: collectionID, Limit: 100} }

func id(n int) string { return fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", n) }

const (
	v1 = "2026-01-01T00:00:00Z"
	v2 = "2026-02-01T00:00:00Z"
	v3 = "2026-03-01T00:00:00Z"
)

// Promise 2, RELIABILITY R9: whatever the page size, whatever the reader may
// not see, and although writers go on, a reader that pages sees everything once.
func TestAWalkSeesEverythingExactlyOnce(t *testing.T) {
	for _, limit := range []int{1, 2, 7, 100, 1000} {
		m := newMemory()
		feed := open(m)
		rng := rand.New(rand.NewPCG(uint64(limit), 3))
		want := map[string]bool{}
		write := func(count int) {
			for range count {
				l := shared()
				if rng.IntN(3) == 0 {
					l = secret()
				}
				s := m.add(l, id(len(m.rows)), v1)
				if l.Default == tlp.Amber {
					want[s.ID] = true
				}
			}
		}
		write(500)
		seen := map[string]int{}
		q := query()
		q.Limit = limit
		for pages := 0; ; pages++ {
			if pages < 5 {
				write(20)
			}
			page, err := feed.Page(t.Context(), reader("bravo"), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Objects) > limit {
				t.Fatalf("Page(limit %d) = %d objects", limit, len(page.Objects))
			}
			for _, o := range page.Objects {
				seen[o.ID()]++
			}
			q.After = page.Next
			if !page.More && pages >= 5 {
				break
			}
		}
		for o := range want {
			if seen[o] != 1 {
				t.Errorf("limit %d: %s was seen %d times, want once", limit, o, seen[o])
			}
			delete(seen, o)
		}
		if len(seen) > 0 {
			t.Errorf("limit %d: %d objects were seen that are not the reader's", limit, len(seen))
		}
	}
}

func TestMoreIsSaidOnlyWhenThereIsMoreForThisReader(t *testing.T) {
	m := newMemory()
	m.add(shared(), id(1), v1)
	for n := 2; n < 50; n++ {
		m.add(secret(), id(n), v1)
	}
	q := query()
	q.Limit = 1
	page, err := open(m).Page(t.Context(), reader("bravo"), q)
	if err != nil || len(page.Objects) != 1 || page.More {
		t.Errorf("Page = %d objects, more %v, %v; want 1 and no hint of what is hidden", len(page.Objects), page.More, err)
	}
}

// A reader who may see one object of very many is not made to wait for it: no
// request looks at more than a bounded number of rows, and each gets further.
func TestOneVisibleObjectAmongManyIsFoundInBoundedSteps(t *testing.T) {
	const all, visible = 100_000, 77_777
	m := newMemory()
	hidden, known := secret(), shared()
	for seq := int64(1); seq <= all; seq++ {
		l := hidden
		if seq == visible {
			l = known
		}
		m.rows = append(m.rows, view.Seal(view.Meta{
			Seq: seq, ID: id(int(seq)), Type: "indicator", Version: v1, Added: time.Unix(1_700_000_000, seq*1000), Collection: collectionID, Label: l,
		}, []byte("{}")))
	}
	m.last = all
	feed := open(m)
	q := query()
	var seen []int64
	for requests := 1; ; requests++ {
		before := m.looked
		page, err := feed.Page(t.Context(), reader("bravo"), q)
		if err != nil {
			t.Fatal(err)
		}
		if rows := m.looked - before; rows > scansPerPage*rowsPerScan {
			t.Fatalf("request %d looked at %d rows, want %d at most", requests, rows, scansPerPage*rowsPerScan)
		}
		for _, o := range page.Objects {
			seen = append(seen, o.Seq())
		}
		if !page.More {
			if requests > 1+all/((scansPerPage-1)*rowsPerScan) {
				t.Errorf("it took %d requests", requests)
			}
			break
		}
		if page.Next <= q.After {
			t.Fatalf("request %d after %d leads to %d: it gets no further", requests, q.After, page.Next)
		}
		q.After = page.Next
	}
	if !slices.Equal(seen, []int64{visible}) {
		t.Errorf("the reader saw %v, want %d", seen, visible)
	}
}

func TestAnEmptyPollAsksNoDatabase(t *testing.T) {
	m := newMemory()
	last := m.add(shared(), id(1), v1)
	m.fail = errors.New("the database is away")
	q := query()
	q.After = last.Seq
	if page, err := open(m).Page(t.Context(), reader("bravo"), q); err != nil || len(page.Objects) != 0 || m.scans != 0 {
		t.Errorf("Page at the head = %d objects, %v, %d scans; want none of each", len(page.Objects), err, m.scans)
	}
}

func TestVersionsAreChosenAmongThoseThatTheReaderSees(t *testing.T) {
	m := newMemory()
	m.add(shared(), id(1), v2)
	m.add(shared(), id(1), v1) // older, but later in the order
	m.add(secret(), id(1), v3) // newest, and hidden
	parse := func(s string) time.Time { at, _ := time.Parse(time.RFC3339, s); return at }
	for name, c := range map[string]struct {
		which Which
		who   string
		want  []string
	}{
		"default is last":         {Which{}, "bravo", []string{v2}},
		"last":                    {Which{Last: true}, "bravo", []string{v2}},
		"last for the owner":      {Which{Last: true}, "acme", []string{v3}},
		"first":                   {Which{First: true}, "bravo", []string{v1}},
		"first and last":          {Which{First: true, Last: true}, "bravo", []string{v1, v2}},
		"all":                     {Which{All: true}, "bravo", []string{v1, v2}},
		"all for the owner":       {Which{All: true}, "acme", []string{v1, v2, v3}},
		"exactly one":             {Which{At: []time.Time{parse(v1)}}, "bravo", []string{v1}},
		"a hidden one":            {Which{At: []time.Time{parse(v3)}}, "bravo", nil},
		"one that does not exist": {Which{At: []time.Time{parse("2020-01-01T00:00:00Z")}}, "acme", nil},
	} {
		t.Run(name, func(t *testing.T) {
			q := query()
			q.Versions = c.which
			page, err := open(m).Page(t.Context(), reader(c.who), q)
			if err != nil {
				t.Fatal(err)
			}
			got := versions(page.Objects)
			slices.Sort(got)
			if !slices.Equal(got, c.want) {
				t.Errorf("Page = versions %v, want %v", got, c.want)
			}
			objects, err := open(m).Object(t.Context(), reader(c.who), "finance", collectionID, id(1), c.which)
			if err != nil || !slices.Equal(versions(objects), c.want) {
				t.Errorf("Object = versions %v, %v, want %v", versions(objects), err, c.want)
			}
		})
	}
}

func versions(objects []view.Object) []string {
	var out []string
	for _, o := range objects {
		out = append(out, o.Version())
	}
	return out
}

func TestAStrangerFindsNothing(t *testing.T) {
	m := newMemory()
	m.add(shared(), id(1), v1)
	m.add(secret(), id(2), v1)
	feed := open(m)
	stranger := tocsin.Member{Organization: tocsin.Organization{Name: "x"}, Operator: true, Roles: map[string]tocsin.Role{"energy": tocsin.Operator}}
	calls := map[string]func() error{
		"page": func() error { _, err := feed.Page(t.Context(), stranger, query()); return err },
		"object": func() error {
			_, err := feed.Object(t.Context(), stranger, "finance", collectionID, id(1), Which{})
			return err
		},
		"sightings": func() error {
			_, err := feed.Sightings(t.Context(), stranger, "finance", collectionID, id(1))
			return err
		},
		"head": func() error { _, err := feed.Head(stranger, "finance", collectionID); return err },
		"stream": func() error {
			for _, err := range feed.Follow(t.Context(), stranger, "finance", collectionID, 0, time.Hour) {
				return err
			}
			return nil
		},
		"hidden object": func() error {
			_, err := feed.Object(t.Context(), reader("bravo"), "finance", collectionID, id(2), Which{All: true})
			return err
		},
		"sightings of a hidden object": func() error {
			_, err := feed.Sightings(t.Context(), reader("bravo"), "finance", collectionID, id(2))
			return err
		},
	}
	for name, call := range calls {
		var e *tocsin.Error
		if err := call(); !errors.As(err, &e) || e.Kind != tocsin.NotFound {
			t.Errorf("%s = %v, want not found", name, err)
		}
	}
}

func TestAnInstitutionReadsForAPurposeAndOnRecord(t *testing.T) {
	m := newMemory()
	m.add(shared(), id(1), v1)
	m.add(shared(), id(2), v1)
	feed := open(m)
	var e *tocsin.Error
	if _, err := feed.Page(t.Context(), agency(""), query()); !errors.As(err, &e) || e.Kind != tocsin.Forbidden {
		t.Errorf("Page without a purpose = %v, want forbidden", err)
	}
	if len(m.logged) != 0 {
		t.Errorf("a refused read was logged: %v", m.logged)
	}
	page, err := feed.Page(t.Context(), agency("protect hospitals"), query())
	if err != nil || len(page.Objects) != 2 {
		t.Fatalf("Page = %d objects, %v", len(page.Objects), err)
	}
	if len(m.logged) != 1 || m.logged[0].Purpose != "protect hospitals" || m.logged[0].From != 1 || m.logged[0].To != 2 || m.logged[0].Objects != 2 {
		t.Errorf("logged = %+v, want one disclosure of 1 to 2", m.logged)
	}
	m.add(shared(), id(3), v1)
	m.fail = errors.New("disk full")
	if _, err := feed.Page(t.Context(), agency("protect hospitals"), query()); err == nil {
		t.Error("an institution was given what the ledger did not record")
	}
}

func TestACompanysReadsAreLoggedTogetherWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		for n := range 10 {
			m.add(shared(), id(n), v1)
		}
		feed := open(m)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { feed.Run(ctx, slog.New(slog.DiscardHandler)) })
		q := query()
		q.Limit = 3
		read := func() {
			page, err := feed.Page(ctx, reader("bravo"), q)
			if err != nil {
				t.Error(err)
			}
			q.After = page.Next
		}
		read()
		read()
		time.Sleep(flushEvery + time.Millisecond)
		if logged := m.disclosed(); len(logged) != 1 || logged[0].From != 1 || logged[0].To != 6 || logged[0].Objects != 6 {
			t.Errorf("logged = %+v, want one disclosure of 1 to 6", logged)
		}
		read()
		cancel() // what is pending when the hub stops is logged as well
		running.Wait()
		if len(m.logged) != 2 || m.logged[1].From != 7 || m.logged[1].To != 9 {
			t.Errorf("logged = %+v, want a second disclosure of 7 to 9", m.logged)
		}
	})
}

func TestReadsAreNotForgottenWhenTheLedgerFails(t *testing.T) {
	m := newMemory()
	m.add(shared(), id(1), v1)
	feed := open(m)
	if _, err := feed.Page(t.Context(), reader("bravo"), query()); err != nil {
		t.Fatal(err)
	}
	m.fail = errors.New("disk full")
	if err := feed.reads.flush(t.Context()); err == nil {
		t.Error("flush = nil, want the store's error")
	}
	m.fail = nil
	if err := feed.reads.flush(t.Context()); err != nil || len(m.logged) != 1 {
		t.Errorf("flush = %v with %d logged, want the read that failed before", err, len(m.logged))
	}
}

func TestAStreamTellsWhatComesAndResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.add(shared(), id(1), v1)
		feed := open(m)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var writing sync.WaitGroup
		defer writing.Wait()
		writing.Go(func() {
			for n := 2; n <= 6; n++ {
				time.Sleep(time.Millisecond)
				l := shared()
				if n%2 == 0 {
					l = secret()
				}
				m.add(l, id(n), v1)
			}
		})
		var got []int64
		var position int64
		for len(got) < 3 {
			for news, err := range feed.Follow(ctx, reader("bravo"), "finance", collectionID, position, time.Hour) {
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range news.Objects {
					got = append(got, o.Seq())
				}
				position = news.Position
				break // the connection breaks after every step
			}
		}
		if !slices.Equal(got, []int64{1, 3, 5}) {
			t.Errorf("stream = %v, want 1, 3, 5 once each", got)
		}
	})
}

func TestAStreamEndsWhenTheTokenIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		d := &directory{}
		feed := New(m, m, authorize.NewPolicy(), d)
		go func() {
			time.Sleep(time.Minute)
			d.revoke()
			m.add(shared(), id(1), v1)
		}()
		for news, err := range feed.Follow(t.Context(), reader("bravo"), "finance", collectionID, 0, time.Hour) {
			var e *tocsin.Error
			if len(news.Objects) > 0 || !errors.As(err, &e) || e.Kind != tocsin.Unauthenticated {
				t.Errorf("Follow = %d objects, %v, want the end", len(news.Objects), err)
			}
		}
	})
}

func TestAQuietStreamGivesSignsOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		steps := 0
		for news, err := range open(newMemory()).Follow(t.Context(), reader("bravo"), "finance", collectionID, 0, 15*time.Second) {
			if err != nil || len(news.Objects) != 0 {
				t.Fatal(news, err)
			}
			if steps++; steps == 3 {
				return
			}
		}
	})
}
