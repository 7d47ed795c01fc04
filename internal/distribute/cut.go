package distribute

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/coding"
	"tocsin/internal/member"
	"tocsin/internal/view"
)

// A Form is a way to write pages down.
type Form struct {
	// Name tells the form from every other. Requests with the same name and
	// the same query have the same text.
	Name string
	// Write returns a page's text, and what is to be kept beside it. Both
	// depend on nothing but the page and the name, because they are handed to
	// everybody who may see just what is on the page.
	Write func(Page) (text []byte, beside any)
}

// A Request is a query and the form that its pages are wanted in, prepared to be
// asked often and by many.
type Request struct {
	query Query
	form  Form
	key   string      // equal for requests that ask the same; without the position
	none  func() *Cut // the answer when there is nothing new
}

// A Cut is a page, written down. It is shared and must not be changed.
type Cut struct {
	Text    *coding.Text
	Beside  any // what the form keeps beside the text
	Objects int
	More    bool

	from, to int64 // the span of the objects' positions
}

// Prepare returns a request. The query's collection must be an id.
func (f *Feed) Prepare(q Query, form Form) *Request {
	return &Request{query: q, form: form, key: q.key(form.Name), none: sync.OnceValue(func() *Cut {
		text, beside := form.Write(Page{Next: q.After})
		return &Cut{Text: f.pages.compressor.Text(text, nil), Beside: beside}
	})}
}

// None returns the answer to the request when there is nothing for it.
func (r *Request) None() *Cut { return r.none() }

// key writes down all that decides what is on a page but the position and the
// time, which are made one before a page is looked up.
func (q Query) key(form string) string {
	var b strings.Builder
	part := func(texts ...string) { // each with its length, so that no two lists are the same text
		b.WriteString(strconv.Itoa(len(texts)))
		for _, t := range texts {
			b.WriteString(":" + strconv.Itoa(len(t)) + ":" + t)
		}
	}
	part(form, q.Community, strconv.Itoa(q.Limit), strconv.FormatBool(q.Meta),
		strconv.FormatBool(q.Versions.First), strconv.FormatBool(q.Versions.Last), strconv.FormatBool(q.Versions.All))
	part(q.IDs...)
	part(q.Types...)
	at := make([]string, len(q.Versions.At))
	for i, t := range q.Versions.At {
		at[i] = t.UTC().Format(time.RFC3339Nano)
	}
	part(at...)
	return b.String()
}

// Cut returns what [Feed.Page] would, written down: the same bytes, whether the
// page was cut for somebody else before or is cut now. What it returns was
// disclosed.
func (f *Feed) Cut(ctx context.Context, who tocsin.Member, r *Request) (*Cut, error) {
	collection, reader, err := f.open(who, r.query.Community, r.query.Collection)
	if err != nil {
		return nil, err
	}
	after, news, err := f.begin(ctx, collection.ID, r.query)
	if err != nil {
		return nil, err
	}
	if !news {
		return r.none(), nil
	}
	cut, err := f.shared(ctx, reader, collection, after, r)
	if err != nil {
		return nil, err
	}
	if cut.Objects == 0 {
		return cut, nil
	}
	return cut, f.discloseSpan(ctx, who, collection, cut.from, cut.to, cut.Objects)
}

// begin returns the position that a query begins after, false when there is
// nothing after it.
func (f *Feed) begin(ctx context.Context, collection string, q Query) (after int64, news bool, err error) {
	head, _ := f.store.Head(collection)
	if q.After >= head {
		return q.After, false, nil // nothing new: the database is not asked
	}
	if q.AddedAfter.IsZero() {
		return q.After, true, nil
	}
	seq, err := f.times.seek(ctx, f.store, collection, head, q.AddedAfter)
	if err != nil {
		return 0, false, fmt.Errorf("seek: %w", err)
	}
	after = max(q.After, seq)
	return after, after < head, nil
}

// shared returns a page that was cut before, if cutting it anew would give the
// same bytes, and cuts it otherwise. Of those who want the same page at the same
// time one cuts, and the others see whether it is theirs as well.
func (f *Feed) shared(ctx context.Context, reader *authorize.Reader, c member.Collection, after int64, r *Request) (*Cut, error) {
	key := pageKey{c.ID, after, r.key}
	for {
		if cut := f.pages.find(key, f.store, reader); cut != nil {
			return cut, nil
		}
		flight, first := f.pages.join(key)
		if first {
			cut, kept, err := f.cut(ctx, reader, key, r)
			f.pages.leave(key, flight, !kept && err == nil)
			return cut, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-flight.done:
		}
		if flight.alone { // a page that is not kept: nobody waits for a second one
			cut, _, err := f.cut(ctx, reader, key, r)
			return cut, err
		}
	}
}

// reaches are how far a page may look, in positions. How far it will is not
// known before the store's number of rewrites must be, so one is taken for each.
var reaches = [...]int64{4 << 10, 32 << 10, 512 << 10, 16 << 20} //nolint:gochecknoglobals // a constant

// cutTime is how long a page may take.
const cutTime = 30 * time.Second

// cut cuts a page for a reader, and keeps it with all that it depends on.
func (f *Feed) cut(ctx context.Context, reader *authorize.Reader, key pageKey, r *Request) (_ *Cut, kept bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, cutTime)
	defer cancel()
	v := &variant{key: key}
	// Taken before the scan: what changes meanwhile makes the page invalid
	// once too often, never once too rarely.
	v.head, _ = f.store.Head(key.collection)
	var before [len(reaches)]uint64
	for i, reach := range reaches {
		before[i] = f.store.Rewrites(key.collection, key.after+1, key.after+reach)
	}
	page, err := f.fill(ctx, &v.asked, reader, key.collection, key.after, r.query)
	if err != nil {
		return nil, false, err
	}
	text, beside := r.form.Write(page)
	v.cut = &Cut{Beside: beside, Objects: len(page.Objects), More: page.More}
	if len(page.Objects) > 0 {
		v.cut.from, v.cut.to = span(page.Objects)
	}
	i := slices.IndexFunc(reaches[:], func(reach int64) bool { return page.examined <= key.after+reach })
	v.whole = !page.More || page.examined > v.head || i < 0
	if !v.whole {
		v.to, v.rewrites = key.after+reaches[i], before[i]
	}
	grown := func(bytes int) { f.pages.grow(v, bytes) }
	if sum, ok := r.sum(page); ok {
		v.cut.Text = f.pages.compressor.Summed(text, sum, grown)
	} else {
		v.cut.Text = f.pages.compressor.Text(text, grown)
	}
	return v.cut, f.pages.keep(v), nil
}

// sum hashes all that a page's text is made of: the request and, of each object,
// the sum that the store keeps. It returns false when some of them have none, and
// the text must be hashed itself.
func (r *Request) sum(p Page) (sum [sha256.Size]byte, ok bool) {
	if len(p.Objects) == 0 {
		return sum, false
	}
	// Another number is needed when forms write the same page differently.
	b := make([]byte, 0, 64+len(r.key)+len(p.Objects)*(sha256.Size+8))
	b = append(b, "tocsin page 1\n"...)
	b = append(b, r.key...) // says where it ends
	b = strconv.AppendBool(b, p.More)
	if p.More { // otherwise no text says how far rows were looked at that the reader may not see
		b = binary.BigEndian.AppendUint64(b, uint64(p.Next))
	}
	for _, o := range p.Objects {
		one, ok := o.Sum()
		if !ok {
			return sum, false
		}
		b = binary.BigEndian.AppendUint64(b, uint64(o.Added().UnixMicro()))
		b = append(b, one[:]...)
	}
	return sha256.Sum256(b), true
}

// asked remembers which labels a page was cut by, and what was decided of each.
type asked struct {
	decided map[*authorize.Label]authorize.Sight
	last    decision
	unsure  bool // one label was decided both ways: the policy changed meanwhile
}

// render is [view.Sealed.Render], remembered.
func (a *asked) render(s view.Sealed, r *authorize.Reader) (view.Object, bool) {
	o, sight, ok := s.See(r)
	if a.decided != nil && a.last.label == s.Label && a.last.sight.Equal(sight) { // most rows are labeled like the one before
		return o, ok
	}
	if a.decided == nil {
		a.decided = map[*authorize.Label]authorize.Sight{}
	}
	if before, known := a.decided[s.Label]; known && !before.Equal(sight) {
		a.unsure = true
	}
	a.decided[s.Label], a.last = sight, decision{s.Label, sight}
	return o, ok
}

// decisions returns what was decided, in a form that is quick to compare.
func (a *asked) decisions() []decision {
	all := make([]decision, 0, len(a.decided))
	for l, sight := range a.decided {
		all = append(all, decision{l, sight})
	}
	return slices.Clip(all)
}
