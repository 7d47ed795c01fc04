// Package distribute turns the store into one feed per reader, for pulling and for pushing.
package distribute

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/member"
	"tocsin/internal/store"
	"tocsin/internal/view"
	"tocsin/receipt"
)

// A Discloser logs what was read before it is handed out.
type Discloser interface {
	Disclose(ctx context.Context, reads []receipt.Disclosure) error
}

// A Directory finds collections for those who may know of them.
type Directory interface {
	// Collection returns a collection by id or alias, not found when the
	// member has no part in its community.
	Collection(who tocsin.Member, community, idOrAlias string) (member.Collection, error)
	// Current returns the member as it is now, unauthenticated when its token
	// is no longer good: a stream outlives the request that began it.
	Current(who tocsin.Member) (tocsin.Member, error)
}

// A Feed reads for members. It is safe for concurrent use.
type Feed struct {
	store     store.Reader
	policy    *authorize.Policy
	directory Directory
	reads     *reads
	heads     *heads
	pages     *pages
	times     *times
}

// New returns a feed over a store. Whoever makes it runs [Feed.Run] as well.
func New(s store.Reader, d Discloser, policy *authorize.Policy, directory Directory) *Feed {
	return &Feed{
		store: s, policy: policy, directory: directory, reads: newReads(d), heads: newHeads(s), pages: newPages(defaultPageBytes), times: newTimes(),
	}
}

// KeepPages bounds how much memory pages take that are kept for the next reader
// who may see just the same, in bytes; 0 keeps none. It is called before the
// feed is used. The default is 48 MiB.
func (f *Feed) KeepPages(bytes int64) { f.pages = newPages(bytes) }

// Which says which versions of an object a query is about (TAXII 2.1 §3.4.1,
// match[version]).
type Which struct {
	First, Last, All bool
	At               []time.Time // versions that are exactly these
}

// Chosen reports whether any versions were asked for, rather than what is
// meant when none were.
func (w Which) Chosen() bool { return w.First || w.Last || w.All || len(w.At) > 0 }

// chooses reports whether a version is asked for that is or is not the first
// and the last of those that the reader may see.
func (w Which) chooses(first, last bool, version time.Time) bool {
	if !w.Chosen() {
		return last
	}
	return w.All || w.First && first || w.Last && last || slices.ContainsFunc(w.At, version.Equal)
}

// A Query is what a reader asks of a collection.
type Query struct {
	Community  string
	Collection string    // id or alias
	After      int64     // positions after this one; a cursor holds it
	AddedAfter time.Time // objects added later than this; zero: all
	Limit      int       // at most so many objects, at least 1
	IDs        []string  // any of these; empty: all
	Types      []string  // any of these; empty: all
	Versions   Which     // the zero value is Last
	Meta       bool      // the reader wants no content: manifests and versions
}

// A Page is a run of objects in the one order.
type Page struct {
	Objects []view.Object
	More    bool  // there are more after Next
	Next    int64 // where the next page begins: pass it as After

	examined int64 // how far rows were looked at, Next or one row further
}

// rowsPerScan bounds what one step of a page reads. Objects that the reader may
// not see cost a step as well, so a page stops after scansPerPage steps, full
// or not: no query makes the hub walk its whole store.
const (
	rowsPerScan  = 1000
	scansPerPage = 20
)

// Page returns what a reader may see next. Whoever has no part in the community
// gets not found; an institution that states no purpose is refused.
func (f *Feed) Page(ctx context.Context, who tocsin.Member, q Query) (Page, error) {
	collection, reader, err := f.open(who, q.Community, q.Collection)
	if err != nil {
		return Page{}, err
	}
	after, news, err := f.begin(ctx, collection.ID, q)
	if err != nil || !news {
		return Page{Next: after}, err
	}
	page, err := f.fill(ctx, &asked{}, reader, collection.ID, after, q)
	if err != nil {
		return Page{}, err
	}
	if err := f.disclose(ctx, who, collection, page.Objects); err != nil {
		return Page{}, err
	}
	return page, nil
}

func (f *Feed) open(who tocsin.Member, community, collection string) (member.Collection, *authorize.Reader, error) {
	c, err := f.directory.Collection(who, community, collection)
	if err != nil {
		return member.Collection{}, nil, err
	}
	reader, err := f.policy.Reader(who, c.Community)
	if err != nil {
		return member.Collection{}, nil, err
	}
	if who.Organization.Institutional() && who.Purpose == "" {
		return member.Collection{}, nil, &tocsin.Error{
			Kind: tocsin.Forbidden, Clause: "6 USC 1504(d)(5)(A)", Message: "a government reader must state the purpose of reading",
			Hint: "use a token that is bound to a purpose, or send the header Tocsin-Purpose",
		}
	}
	return c, reader, nil
}

// fill collects a page. It reads one row more than it hands out, to know
// whether there are more for this reader. What it decides on the way is asked.
func (f *Feed) fill(ctx context.Context, a *asked, reader *authorize.Reader, collection string, after int64, q Query) (Page, error) {
	page := Page{Next: after, examined: after}
	ids, err := f.originals(ctx, reader, q.IDs)
	if err != nil {
		return Page{}, err
	}
	want := q.Limit + 1 // enough when the reader may see everything
	for range scansPerPage {
		found, err := f.store.Scan(ctx, store.Scan{
			Collection: collection, After: page.Next, Most: want, IDs: ids, Types: q.Types, Meta: q.Meta,
		})
		if err != nil {
			return Page{}, fmt.Errorf("scan: %w", err)
		}
		chosen, err := f.choose(ctx, a, reader, collection, found.Rows, q.Versions)
		if err != nil {
			return Page{}, err
		}
		for i := range chosen { // who is given a copy does not find it by the original's id
			c := &chosen[i]
			c.wanted = c.wanted && (len(q.IDs) == 0 || slices.Contains(q.IDs, c.object.ID()))
		}
		if page.Objects == nil {
			page.Objects = make([]view.Object, 0, min(wanted(chosen), q.Limit))
		}
		for _, c := range chosen {
			if c.wanted && len(page.Objects) == q.Limit {
				page.More, page.examined = true, c.seq
				return page, nil
			}
			if c.wanted {
				page.Objects = append(page.Objects, c.object)
			}
			page.Next = c.seq
		}
		page.Next, page.More = max(page.Next, found.Next), found.More
		page.examined = page.Next
		if !found.More {
			return page, nil
		}
		want = rowsPerScan
	}
	return page, nil
}

// A choice is a row as the reader sees it, and whether it was asked for.
type choice struct {
	seq    int64
	object view.Object
	wanted bool
}

func wanted(chosen []choice) (n int) {
	for _, c := range chosen {
		if c.wanted {
			n++
		}
	}
	return n
}

// choose renders rows for the reader, and says which are versions that were
// asked for. Of all objects that have other versions it asks the store at once.
func (f *Feed) choose(ctx context.Context, a *asked, reader *authorize.Reader, collection string, rows []view.Sealed, which Which) ([]choice, error) {
	chosen := make([]choice, len(rows))
	var ids []string // of objects with more versions than one
	for i, sealed := range rows {
		c := &chosen[i]
		c.seq = sealed.Seq
		if sealed.Withdrawn {
			continue
		}
		if c.object, c.wanted = a.render(sealed, reader); !c.wanted || which.All {
			continue
		}
		if sealed.Siblings {
			ids = append(ids, sealed.ID)
			continue
		}
		c.wanted = which.chooses(true, true, c.object.VersionTime()) // the only version: first and last at once
	}
	if len(ids) == 0 {
		return chosen, nil
	}
	siblings, err := f.siblings(ctx, a, reader, collection, ids)
	if err != nil {
		return nil, err
	}
	for i, sealed := range rows {
		c := &chosen[i]
		if !c.wanted || which.All || !sealed.Siblings {
			continue
		}
		// First and last are among the versions that this reader may see.
		isFirst, isLast := true, true
		for _, o := range siblings[sealed.ID] {
			if o.Seq() == sealed.Seq {
				continue
			}
			// Of two copies of one version the later in the order counts.
			order := cmp.Or(o.VersionTime().Compare(c.object.VersionTime()), cmp.Compare(o.Seq(), sealed.Seq))
			isFirst, isLast = isFirst && order > 0, isLast && order < 0
		}
		c.wanted = which.chooses(isFirst, isLast, c.object.VersionTime())
	}
	return chosen, nil
}

// How many objects are asked for at once, and how many of their versions.
const (
	idsPerScan      = 500
	siblingsPerScan = 10 * rowsPerScan
)

// siblings returns the versions of objects that the reader may see, by id.
func (f *Feed) siblings(ctx context.Context, a *asked, reader *authorize.Reader, collection string, ids []string) (map[string][]view.Object, error) {
	slices.Sort(ids)
	out := map[string][]view.Object{}
	for some := range slices.Chunk(slices.Compact(ids), idsPerScan) {
		q := store.Scan{Collection: collection, IDs: some, Most: siblingsPerScan, Meta: true}
		for more := true; more; {
			found, err := f.store.Scan(ctx, q)
			if err != nil {
				return nil, fmt.Errorf("versions: %w", err)
			}
			for _, s := range found.Rows {
				if s.Withdrawn {
					continue
				}
				if o, ok := a.render(s, reader); ok {
					out[s.ID] = append(out[s.ID], o)
				}
			}
			more, q.After = found.More, found.Next
		}
	}
	return out, nil
}

// Object returns the versions of one object that the reader may see and asked
// for, oldest first; not found when there is none.
func (f *Feed) Object(ctx context.Context, who tocsin.Member, community, collection, id string, which Which) ([]view.Object, error) {
	c, reader, err := f.open(who, community, collection)
	if err != nil {
		return nil, err
	}
	ids, err := f.originals(ctx, reader, []string{id})
	if err != nil {
		return nil, err
	}
	var all []view.Object
	for _, original := range ids {
		sealed, err := f.store.Versions(ctx, c.ID, original)
		if err != nil {
			return nil, fmt.Errorf("versions: %w", err)
		}
		for _, s := range sealed {
			if o, ok := s.Render(reader); ok && o.ID() == id {
				all = append(all, o)
			}
		}
	}
	if len(all) == 0 {
		return nil, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such object"}
	}
	var chosen []view.Object
	for i, o := range all {
		if which.chooses(i == 0, i == len(all)-1, o.VersionTime()) {
			chosen = append(chosen, o)
		}
	}
	if err := f.disclose(ctx, who, c, chosen); err != nil {
		return nil, err
	}
	return chosen, nil
}

// originals returns the ids to look for where a reader asks for some: theirs, and
// those of objects of which they may be copies. What is found has to be compared
// with what was asked for.
func (f *Feed) originals(ctx context.Context, reader *authorize.Reader, ids []string) ([]string, error) {
	maker := reader.Copies()
	if maker == nil {
		return ids, nil
	}
	all := ids
	for _, id := range ids {
		hash, ok := maker.Original(id)
		if !ok {
			continue
		}
		named, err := f.store.Named(ctx, hash)
		if err != nil {
			return nil, fmt.Errorf("named: %w", err)
		}
		all = append(slices.Clip(all), named...)
	}
	return all, nil
}

// Sightings returns the sightings of an object that the reader may see, in
// order: none when the reader may see the object but no sighting of it, not
// found when the reader may not see the object itself.
func (f *Feed) Sightings(ctx context.Context, who tocsin.Member, community, collection, id string) ([]view.Object, error) {
	if _, err := f.Object(ctx, who, community, collection, id, Which{}); err != nil {
		return nil, err
	}
	c, reader, err := f.open(who, community, collection)
	if err != nil {
		return nil, err
	}
	sealed, err := f.store.Sightings(ctx, community, id)
	if err != nil {
		return nil, fmt.Errorf("sightings: %w", err)
	}
	var seen []view.Object
	for _, s := range sealed {
		if o, ok := s.Render(reader); ok && !o.Withdrawn() {
			seen = append(seen, o)
		}
	}
	return seen, f.disclose(ctx, who, c, seen)
}
