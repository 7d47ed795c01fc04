package distribute_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"tocsin"
	"tocsin/internal/distribute"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/view"
)

// seen collects the versions that a reader may see, by id and version.
type seen map[string]string

func collector(f *distribute.Feed, most int64) *distribute.Collector[seen] {
	return &distribute.Collector[seen]{
		Feed: f, Most: most, New: func() seen { return seen{} }, Size: func(s seen) int64 { return int64(len(s)) },
		Take: func(s seen, o view.Object) {
			if o.Withdrawn() {
				delete(s, o.ID()+" "+o.Version())
				return
			}
			s[o.ID()+" "+o.Version()] = string(o.Raw())
		},
	}
}

// collected returns what a collector has for a reader, a refusal included.
func (w *twin) collected(t *testing.T, c *distribute.Collector[seen], name string) string {
	var text string
	err := c.Use(t.Context(), w.who(t, name), "finance", "indicators", func(s seen) error {
		text = told(maps.Clone(s))
		return nil
	})
	if refused, ok := errors.AsType[*tocsin.Error](err); ok {
		return "refused: " + refused.Message
	} else if err != nil {
		t.Error(err)
	}
	return text
}

func told(s seen) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&b, "%s %s\n", key, s[key])
	}
	return b.String()
}

// pulled returns the same, read page by page.
func (w *twin) pulled(t *testing.T, name string) string {
	s := seen{}
	for q, more := (distribute.Query{Community: "finance", Collection: "indicators", Limit: 7, Versions: distribute.Which{All: true}}), true; more; {
		page, err := w.anew.Page(t.Context(), w.who(t, name), q)
		if refused, ok := errors.AsType[*tocsin.Error](err); ok {
			return "refused: " + refused.Message
		} else if err != nil {
			t.Error(err)
			return ""
		}
		for _, o := range page.Objects {
			s[o.ID()+" "+o.Version()] = string(o.Raw())
		}
		q.After, more = page.Next, page.More
	}
	return told(s)
}

// TestCollectionsAreWhatPagesAre shares, withdraws and explains markings at
// random: what is collected for a reader is what it would read page by page.
func TestCollectionsAreWhatPagesAre(t *testing.T) {
	cast := []string{hubtest.Stranger, hubtest.Reader, hubtest.Writer, hubtest.Colleague, hubtest.Curator, hubtest.Agency, hubtest.Silent, hubtest.Hub}
	for _, most := range []int64{1 << 30, 0} { // all is kept, or nothing but the last
		w := newTwin(t)
		c := collector(w.kept, most)
		random := rand.New(rand.NewPCG(5, uint64(most)))
		marking := hubtest.ID("marking-definition", 1)
		for step := range 60 {
			marked := ""
			switch n := 1 + random.IntN(12); random.IntN(6) {
			case 0: // for some only
				w.Share(t, hubtest.Writer, [][]string{{"delta"}, {"bravo"}, {"bravo", "delta"}}[random.IntN(3)], hubtest.Indicator(20+n, 1+step%28))
			case 1:
				if _, err := w.Withdrawer.Recall(t.Context(), w.who(t, hubtest.Writer), []string{hubtest.ID("indicator", n)}, ""); err != nil && !isRefusal(err) {
					t.Fatal(err)
				}
			case 2:
				marked = fmt.Sprintf(`"object_marking_refs":[%q]`, marking)
				fallthrough
			default:
				if marked == "" {
					marked = `"confidence":1`
				}
				w.Share(t, hubtest.Writer, nil, hubtest.Indicator(n, 1+step%28, marked))
			}
			if step == 30 { // opens what was closed
				w.Share(t, hubtest.Writer, nil, fmt.Sprintf(`{"type":"marking-definition","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00Z","definition_type":"statement","definition":{"statement":"Ours"}}`, marking))
			}
			var all sync.WaitGroup
			for _, name := range cast {
				all.Go(func() {
					if got, want := w.collected(t, c, name), w.pulled(t, name); got != want {
						t.Errorf("step %d: collected for %s:\n%s\nwant\n%s", step, name, got, want)
					}
				})
			}
			all.Wait()
			if t.Failed() {
				return
			}
		}
	}
}

func isRefusal(err error) bool {
	_, ok := errors.AsType[*tocsin.Error](err)
	return ok
}

// TestWhatIsCollectedIsDisclosed has a government's reading on record before it
// gets anything.
func TestWhatIsCollectedIsDisclosed(t *testing.T) {
	w := newTwin(t)
	w.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1), hubtest.Indicator(2, 1))
	disclosed := func() int64 {
		found, _, _, err := w.Prover.Disclosures(t.Context(), w.who(t, hubtest.Writer), "finance", 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		for _, d := range found {
			if d.Organization == "bureau" {
				n += int64(d.Objects)
			}
		}
		return n
	}
	c := collector(w.kept, 0)
	err := c.Use(t.Context(), w.who(t, hubtest.Agency), "finance", "indicators", func(s seen) error {
		if n := disclosed(); n != int64(len(s)) || n != 2 {
			t.Errorf("%d objects are on record when %d are handed out", n, len(s))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
