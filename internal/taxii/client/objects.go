package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tocsin"
	"tocsin/stix"
)

// A Query says what to read of a collection (TAXII 2.1 §3.4).
type Query struct {
	From    Cursor   // where to go on; the zero value begins with the first object
	IDs     []string // any of these; empty: all
	Types   []string // any of these; empty: all
	Version string   // match[version]: "first", "last", "all" or a time; "" leaves it to the server, which takes last
	Limit   int      // how many objects to ask for at once; 0 leaves it to the server
}

// A Cursor is a place in a collection. It is text that can be kept: reading
// goes on from it after a restart of either side. Its zero value is the
// beginning.
type Cursor struct {
	AddedAfter string `json:"added_after,omitempty"` // the date_added after which to read
	Next       string `json:"next,omitempty"`        // the server's own mark within that, if it gave one
	Seen       string `json:"seen,omitempty"`        // date_added of the last object that came, for when the mark is forgotten
}

// A Page is what came at once: at least one object, but for the last page.
type Page struct {
	Objects []Object
	Cursor  Cursor // where to go on after this page
	More    bool   // the server says that there is more already
}

// An Object is one version of an object in a collection.
type Object struct {
	ID      string
	Version string // modified, or created; "" for an object that has neither
	Raw     []byte // as the server sent it; of a manifest, its entry
}

// Objects reads a collection page by page, until there is no more. It yields an
// error at most once, at the end. Objects that a server sends again at the
// start of a page are left out, and a server that goes in circles is left.
func (c *Client) Objects(ctx context.Context, root, collection string, q Query) iter.Seq2[Page, error] {
	return c.pages(ctx, q, root, "collections", collection, "objects")
}

// Manifest reads which objects a collection has, without their content.
func (c *Client) Manifest(ctx context.Context, root, collection string, q Query) iter.Seq2[Page, error] {
	return c.pages(ctx, q, root, "collections", collection, "manifest")
}

func (c *Client) pages(ctx context.Context, q Query, root string, elements ...string) iter.Seq2[Page, error] {
	return func(yield func(Page, error) bool) {
		address, err := c.resolve(root, elements...)
		if err != nil {
			yield(Page{}, err)
			return
		}
		walk := walk{at: q.From}
		if at := dateAdded(q.From.AddedAfter); at != "" {
			walk.at.AddedAfter = at // so that it can be compared
		}
		for first := true; ; first = false {
			q.Limit = max(q.Limit, walk.limit)
			raw, err := c.page(ctx, address, walk.at, q)
			if first && q.From.Next != "" && forgotten(err) {
				walk.at = Cursor{AddedAfter: later(q.From.Seen, q.From.AddedAfter)}
				raw, err = c.page(ctx, address, walk.at, q)
			}
			if err != nil {
				yield(Page{}, err)
				return
			}
			objects := walk.fresh(raw.objects)
			stuck := walk.step(raw, len(objects) > 0)
			page := Page{Objects: objects, Cursor: walk.at, More: raw.more}
			if (len(objects) > 0 || !raw.more) && !yield(page, nil) {
				return
			}
			if stuck != nil {
				yield(Page{}, stuck)
				return
			}
			if !raw.more {
				return
			}
		}
	}
}

// forgotten reports whether a server may have refused its own mark because it
// is too old.
func forgotten(err error) bool {
	e, ok := errors.AsType[*tocsin.Error](err)
	return ok && (e.Kind == tocsin.Malformed || e.Kind == tocsin.NotFound || e.Kind == tocsin.Invalid)
}

// A rawPage is a page as the server sent it.
type rawPage struct {
	objects []Object
	more    bool
	next    string
	last    string // X-TAXII-Date-Added-Last in microseconds, "" when there is none
}

// parameters are the query for a page.
func parameters(at Cursor, q Query) url.Values {
	values := url.Values{}
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	set("added_after", at.AddedAfter)
	set("next", at.Next)
	set("match[id]", strings.Join(q.IDs, ","))
	set("match[type]", strings.Join(q.Types, ","))
	set("match[version]", q.Version)
	return values
}

// page asks for one page.
func (c *Client) page(ctx context.Context, address *url.URL, at Cursor, q Query) (rawPage, error) {
	if c.old.Load() {
		return c.oldObjects(ctx, address, at, q)
	}
	to := *address
	values := parameters(at, q)
	if q.Limit > 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	to.RawQuery = values.Encode()
	res, err := c.call(ctx, request{method: http.MethodGet, at: &to, accept: mediaType})
	if speaksOld(err) && c.older() {
		return c.oldObjects(ctx, address, at, q)
	}
	if err != nil {
		return rawPage{}, err
	}
	envelope, err := stix.Parse(res.text, stix.Limits{Bytes: len(res.text)})
	if err != nil || envelope.Kind() != stix.Object {
		return rawPage{}, notTAXII()
	}
	page := rawPage{
		more: envelope.Get("more").True(), next: envelope.Get("next").Text(), last: dateAdded(res.header.Get("X-TAXII-Date-Added-Last")),
	}
	for _, o := range envelope.Get("objects").Elements() {
		page.objects = append(page.objects, Object{ID: o.Get("id").Text(), Version: version(o), Raw: o.Raw()})
	}
	return page, nil
}

// version returns an object's version, in a manifest or by itself.
func version(o stix.Value) string {
	for _, name := range [...]string{"version", "modified", "created"} {
		if name == "version" && o.Get("type").Exists() { // a property of some objects; entries of a manifest have no type
			continue
		}
		if v := o.Get(name).Text(); v != "" {
			return v
		}
	}
	return ""
}

// dateAdded reads the header, whose form servers take lightly, and writes it as
// added_after has to be (TAXII 2.1 §3.1): "" when it cannot be read. Digits
// beyond microseconds are cut, which repeats an object rather than loses one.
func dateAdded(text string) string {
	at, ok := stix.ParseTime(text)
	if !ok {
		var err error
		if at, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return ""
		}
	}
	return at.UTC().Format("2006-01-02T15:04:05.000000Z")
}

// later returns the later of two dates that dateAdded wrote, or "".
func later(a, b string) string { return max(a, b) } // they order as text

// mostEmpty is how many pages without an object are followed in a row. A hub
// that has millions of objects which this reader may not see sends some.
const mostEmpty = 10_000

// A walk is how far the reading of a collection has come.
type walk struct {
	at    Cursor
	known map[[2]string]bool // objects of the last page
	empty int                // pages in a row that brought nothing
	limit int                // how many objects to ask for at once, when more than the caller said
	most  int                // the largest page that came
	steps int                // marks followed
	pages int                // that had objects in them
	looks string             // what one of them, some pages ago, looked like
	round int                // how often that was met again
	mark  string             // a mark that was followed some steps ago: meeting it again is a circle (R. P. Brent, 1980)
}

// fresh returns the objects of a page that were not in the page before it.
func (w *walk) fresh(objects []Object) []Object {
	known := make(map[[2]string]bool, len(objects))
	fresh := objects[:0:0]
	for _, o := range objects {
		key := [2]string{o.ID, o.Version}
		if o.ID == "" || o.Version == "" {
			key[1] = string(o.Raw) // nothing else tells it apart
		}
		known[key] = true
		if !w.known[key] {
			fresh = append(fresh, o)
		}
	}
	w.known = known
	return fresh
}

// mostAtOnce is the most objects that are asked for at once to get past many of
// one moment.
const mostAtOnce = 10_000

// grow asks for more at once: a page that is full of objects of one moment does
// not show where the next begins. It reports false when that did not help.
func (w *walk) grow(came int) bool {
	if came <= w.most || 4*came <= w.limit {
		return false
	}
	w.most, w.limit = came, min(4*came, mostAtOnce)
	return true
}

// before returns the microsecond before a date that dateAdded wrote, or "".
func before(text string) string {
	at, ok := stix.ParseTime(text)
	if !ok {
		return ""
	}
	return dateAdded(at.Add(-time.Microsecond).Format(time.RFC3339Nano))
}

// mostRounds is how often a page may come again. A server may repeat itself; one
// that does so for ever, with a new mark each time, leads in a circle.
const mostRounds = 3

// circling reports whether pages come again and again. It remembers one page,
// as for marks: page 0, 1, 3, 7 …
func (w *walk) circling(objects []Object) bool {
	if len(objects) == 0 {
		return false
	}
	first, last := objects[0], objects[len(objects)-1]
	looks := strings.Join([]string{strconv.Itoa(len(objects)), first.ID, first.Version, last.ID, last.Version}, " ")
	if looks == w.looks {
		w.round++
	}
	if w.pages&(w.pages+1) == 0 {
		w.looks = looks
	}
	w.pages++
	return w.round > mostRounds
}

// step moves behind a page, or says why there is no way on.
func (w *walk) step(p rawPage, fresh bool) error {
	seen := later(p.last, w.at.Seen)
	if !p.more {
		w.at = Cursor{AddedAfter: later(seen, w.at.AddedAfter)}
		return nil
	}
	w.empty++
	if fresh {
		w.empty = 0
	}
	circling := w.circling(p.objects)
	switch {
	case w.empty > mostEmpty:
	case !circling && p.next != "" && p.next != w.at.Next && p.next != w.mark:
		if w.steps&(w.steps+1) == 0 { // after 0, 1, 3, 7 … marks
			w.mark = p.next
		}
		w.steps++
		w.at = Cursor{AddedAfter: w.at.AddedAfter, Next: p.next, Seen: seen}
		return nil
	case before(seen) > w.at.AddedAfter:
		// The server gave no mark, or a wrong one: the date leads on. Its last
		// moment is read again, because the next page may begin in it.
		w.at = Cursor{AddedAfter: before(seen), Seen: seen}
		return nil
	case w.grow(len(p.objects)):
		w.at = Cursor{AddedAfter: w.at.AddedAfter, Seen: seen}
		return nil
	}
	return &tocsin.Error{
		Kind: tocsin.Invalid, Clause: "TAXII 2.1 §3.5", Message: "the server says that there is more, but not where",
		Hint: "ask for more objects at once, and tell the server's operator",
	}
}
