package distribute_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin"
	"tocsin/internal/distribute"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/member"
	"tocsin/tlp"
)

// written is a form that shows everything that is on a page.
func written(name string) distribute.Form {
	return distribute.Form{Name: name, Write: func(p distribute.Page) ([]byte, any) {
		var b strings.Builder
		fmt.Fprintf(&b, "%s more %v\n", name, p.More)
		if p.More {
			fmt.Fprintf(&b, "next %d\n", p.Next)
		}
		for _, o := range p.Objects {
			fmt.Fprintf(&b, "%d %s %s %s %s\n", o.Seq(), o.ID(), o.Version(), o.Added(), o.Raw())
		}
		return []byte(b.String()), len(p.Objects)
	}}
}

// A twin is one hub with two feeds: one that keeps pages, and one that cuts
// each anew.
type twin struct {
	*hubtest.Parts

	kept, anew *distribute.Feed
	collection string
	cut        atomic.Int64 // pages that the feed that keeps them has cut
	tags       sync.Map     // entity tag and query → text
}

func newTwin(t *testing.T) *twin {
	w := &twin{Parts: hubtest.Open(t)}
	w.kept = distribute.New(w.Store, w.Store, w.Policy, w.Directory)
	w.anew = distribute.New(w.Store, w.Store, w.Policy, w.Directory)
	w.anew.KeepPages(0)
	c, err := w.Directory.Collection(w.who(t, hubtest.Reader), "finance", "indicators")
	if err != nil {
		t.Fatal(err)
	}
	w.collection = c.ID
	return w
}

func (w *twin) who(t *testing.T, name string) tocsin.Member {
	who, err := w.Directory.Authenticate(t.Context(), w.Tokens[name])
	if err != nil {
		t.Error(err)
	}
	return who
}

// read returns a page as a feed gives it, a refusal included.
func (w *twin) read(t *testing.T, f *distribute.Feed, name string, q distribute.Query) string {
	form := written("form")
	write := form.Write
	form.Write = func(p distribute.Page) ([]byte, any) {
		if f == w.kept && len(p.Objects) > 0 {
			w.cut.Add(1)
		}
		return write(p)
	}
	cut, err := f.Cut(t.Context(), w.who(t, name), f.Prepare(q, form))
	if refused, ok := errors.AsType[*tocsin.Error](err); ok {
		return "refused: " + refused.Message
	}
	if err != nil {
		t.Error(err)
		return ""
	}
	bytes, _ := cut.Text.In(0)
	text, tag := string(bytes), cut.Text.Tag(0)
	if other, known := w.tags.LoadOrStore(fmt.Sprint(tag, q), text); known && other != text {
		t.Errorf("%+v: two texts have one tag:\n%s\n%s", q, other, text)
	}
	return fmt.Sprint(tag, text, cut.Beside, cut.Objects, cut.More)
}

func (w *twin) query(rng *rand.Rand) distribute.Query {
	q := distribute.Query{Community: "finance", Collection: w.collection, Limit: []int{1, 3, 10, 100}[rng.IntN(4)]}
	head, _ := w.Store.Head(w.collection)
	switch rng.IntN(4) {
	case 0:
		q.After = rng.Int64N(head + 1)
	case 1:
		q.AddedAfter = time.Now().Add(-time.Duration(rng.IntN(1000)) * time.Millisecond).Truncate(100 * time.Millisecond)
	}
	switch rng.IntN(6) {
	case 0:
		q.IDs = []string{hubtest.ID("indicator", rng.IntN(20)), hubtest.ID("indicator", rng.IntN(20))}
	case 1:
		q.Types = []string{[]string{"indicator", "marking-definition", "malware"}[rng.IntN(3)]}
	}
	q.Versions = []distribute.Which{{}, {}, {First: true}, {All: true}, {First: true, Last: true}}[rng.IntN(5)]
	q.Meta = rng.IntN(4) == 0
	return q
}

// change does something at random that changes what some may see.
func (w *twin) change(t *testing.T, rng *rand.Rand) {
	owner := []string{hubtest.Writer, hubtest.Colleague, hubtest.Curator}[rng.IntN(3)]
	n := rng.IntN(20)
	switch rng.IntN(10) {
	case 0: // withdrawn, in all versions or in one
		which := []distribute.Which{{All: true}, {First: true}, {Last: true}}[rng.IntN(3)]
		_, err := w.Withdrawer.Withdraw(t.Context(), w.who(t, owner), "finance", w.collection, hubtest.ID("indicator", n), which)
		var refused *tocsin.Error
		if err != nil && !errors.As(err, &refused) {
			t.Error(err)
		}
	case 1: // a marking is understood from now on
		w.Share(t, owner, nil, fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z",`+
			`"definition_type":"statement","definition":{"statement":"terms"}}`, hubtest.ID("marking-definition", rng.IntN(4))))
	case 2:
		w.Policy.Forget()
	default: // a new object or another version of one
		var recipients []string
		switch rng.IntN(4) {
		case 0:
			recipients = []string{"bravo"}
		case 1:
			recipients = []string{"bureau", "delta"}
		}
		marking := []string{
			tlp.Red.Marking(), tlp.Amber.Marking(), tlp.Green.Marking(),
			hubtest.ID("marking-definition", rng.IntN(4)),
		}[rng.IntN(4)]
		w.Share(t, owner, recipients, hubtest.Indicator(n, 1+rng.IntN(28), fmt.Sprintf(`"object_marking_refs":[%q]`, marking)))
	}
}

// A reader is given a page that was cut for others only where cutting it anew
// gives the same bytes: through everything that can change in between.
func TestKeptPagesAreWhatWouldBeCutAnew(t *testing.T) {
	w := newTwin(t)
	rng := rand.New(rand.NewPCG(4, 1))
	cast := []string{hubtest.Reader, hubtest.Writer, hubtest.Colleague, hubtest.Curator, hubtest.Agency, hubtest.Stranger, hubtest.Silent}
	var asked []distribute.Query
	reads := 0
	for step := range 160 {
		w.change(t, rng)
		asked = append(asked, w.query(rng))
		if len(asked) > 12 { // the same is asked again, so that pages are found
			asked = slices.Delete(asked, 0, 1)
		}
		if step == 90 {
			w.membership(t, "remove")
		}
		if step == 110 {
			w.membership(t, "")
		}
		for _, q := range asked {
			for range 3 {
				name := cast[rng.IntN(len(cast))]
				want := w.read(t, w.anew, name, q)
				if got := w.read(t, w.kept, name, q); got != want {
					t.Fatalf("step %d: %s asks %+v and gets\n%s\nwant\n%s", step, name, q, got, want)
				}
				reads++
			}
		}
	}
	if cuts := int(w.cut.Load()); cuts == 0 || cuts > reads*2/3 {
		t.Errorf("of %d reads %d were cut anew: nothing was shared", reads, cuts)
	}
}

// membership takes bravo's part in the community away, or gives it back.
func (w *twin) membership(t *testing.T, action string) {
	t.Helper()
	entry := "{organization: bravo, role: reader}"
	if action == "remove" {
		entry = "{organization: bravo, absent: true}"
	}
	n, err := member.ParseNetwork([]byte("communities: [{name: finance, members: [" + entry + "]}]"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Directory.Apply(t.Context(), tocsin.Member{Operator: true}, n); err != nil {
		t.Fatal(err)
	}
}

// While others write, a page that was kept is never older or newer than what is
// there: whenever nothing changed around a read, it is what is cut anew.
func TestKeptPagesAreRightWhileOthersWrite(t *testing.T) {
	w := newTwin(t)
	seed := rand.New(rand.NewPCG(4, 2))
	for range 40 {
		w.change(t, seed)
	}
	cast := []string{hubtest.Reader, hubtest.Writer, hubtest.Colleague, hubtest.Agency}
	var queries []distribute.Query
	for range 6 {
		queries = append(queries, w.query(seed))
	}
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	var compared atomic.Int64
	for n := range 4 {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 3))
			for {
				select {
				case <-stop:
					return
				default:
				}
				name, q := cast[rng.IntN(len(cast))], queries[rng.IntN(len(queries))]
				before := w.read(t, w.anew, name, q)
				got := w.read(t, w.kept, name, q)
				if after := w.read(t, w.anew, name, q); before == after {
					compared.Add(1)
					if got != before {
						t.Errorf("%s asks %+v and gets\n%s\nwant\n%s", name, q, got, before)
						return
					}
				}
			}
		})
	}
	for n := range 2 {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 5))
			for range 60 {
				w.change(t, rng)
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if compared.Load() == 0 {
		t.Error("nothing was compared")
	}
}

func TestEveryReadOfAKeptPageIsOnRecord(t *testing.T) {
	w := newTwin(t)
	w.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1), hubtest.Indicator(2, 1))
	q := distribute.Query{Community: "finance", Collection: w.collection, Limit: 10}
	w.read(t, w.kept, hubtest.Reader, q)
	cuts := w.cut.Load()
	for want := 1; want <= 3; want++ {
		w.read(t, w.kept, hubtest.Agency, q)
		leaves, err := w.Store.List(t.Context(), "disclosure", "finance", 0, 100)
		if err != nil || len(leaves) != want {
			t.Fatalf("%d reads by an agency are on the ledger, %v, want %d", len(leaves), err, want)
		}
	}
	if w.cut.Load() != cuts {
		t.Error("the page was cut more than once")
	}
}

func TestMemoryForPagesIsBounded(t *testing.T) {
	w := newTwin(t)
	var objects []string
	for n := range 200 {
		objects = append(objects, hubtest.Indicator(n, 1))
	}
	w.Share(t, hubtest.Writer, nil, objects...)
	const most = 64 << 10
	w.kept.KeepPages(most)
	for limit := 1; limit <= 200; limit++ {
		q := distribute.Query{Community: "finance", Collection: w.collection, Limit: limit}
		w.read(t, w.kept, hubtest.Reader, q)
		if pages, bytes := w.kept.Kept(); bytes > most || pages == 0 {
			t.Fatalf("%d pages of %d bytes are kept, want at most %d bytes", pages, bytes, most)
		}
	}
}
