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
}

// New returns a feed over a store. Whoever makes it runs [Feed.Run] as well.
func New(s store.Reader, d Discloser, policy *authorize.Policy, directory Directory) *Feed {
	return &Feed{store: s, policy: policy, directory: directory, reads: newReads(d), heads: newHeads(s)}
}

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
	after := q.After
	if head, _ := f.store.Head(collection.ID); after >= head {
		return Page{Next: after}, nil // nothing new: the database is not asked
	}
	if !q.AddedAfter.IsZero() {
		seq, err := f.store.Seek(ctx, q.AddedAfter)
		if err != nil {
			return Page{}, fmt.Errorf("seek: %w", err)
		}
		after = max(after, seq)
	}
	page, err := f.fill(ctx, reader, collection.ID, after, q)
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
// whether there are more for this reader.
func (f *Feed) fill(ctx context.Context, reader *authorize.Reader, collection string, after int64, q Query) (Page, error) {
	page := Page{Next: after}
	want := q.Limit + 1 // enough when the reader may see everything
	for range scansPerPage {
		found, err := f.store.Scan(ctx, store.Scan{
			Collection: collection, After: page.Next, Most: want, IDs: q.IDs, Types: q.Types, Meta: q.Meta,
		})
		if err != nil {
			return Page{}, fmt.Errorf("scan: %w", err)
		}
		for _, sealed := range found.Rows {
			object, ok, err := f.wanted(ctx, reader, sealed, q.Versions)
			if err != nil {
				return Page{}, err
			}
			if ok && len(page.Objects) == q.Limit {
				page.More = true
				return page, nil
			}
			if ok {
				page.Objects = append(page.Objects, object)
			}
			page.Next = sealed.Seq
		}
		page.Next, page.More = max(page.Next, found.Next), found.More
		if !found.More {
			return page, nil
		}
		want = rowsPerScan
	}
	return page, nil
}

// wanted renders a row for the reader if it is a version that was asked for.
func (f *Feed) wanted(ctx context.Context, reader *authorize.Reader, sealed view.Sealed, which Which) (view.Object, bool, error) {
	if sealed.Withdrawn {
		return view.Object{}, false, nil
	}
	object, ok := sealed.Render(reader)
	if !ok || which.All {
		return object, ok, nil
	}
	if !sealed.Siblings { // the only version: first and last at once
		return object, which.chooses(true, true, object.VersionTime()), nil
	}
	// First and last are among the versions that this reader may see.
	siblings, err := f.store.Scan(ctx, store.Scan{Collection: sealed.Collection, IDs: []string{sealed.ID}, Most: rowsPerScan, Meta: true})
	if err != nil {
		return view.Object{}, false, fmt.Errorf("versions: %w", err)
	}
	isFirst, isLast := true, true
	for _, s := range siblings.Rows {
		o, ok := s.Render(reader)
		if !ok || o.Withdrawn() || o.Seq() == sealed.Seq {
			continue
		}
		// Of two copies of one version the later in the order counts.
		order := cmp.Or(o.VersionTime().Compare(object.VersionTime()), cmp.Compare(o.Seq(), sealed.Seq))
		isFirst, isLast = isFirst && order > 0, isLast && order < 0
	}
	return object, which.chooses(isFirst, isLast, object.VersionTime()), nil
}

// Object returns the versions of one object that the reader may see and asked
// for, oldest first; not found when there is none.
func (f *Feed) Object(ctx context.Context, who tocsin.Member, community, collection, id string, which Which) ([]view.Object, error) {
	c, reader, err := f.open(who, community, collection)
	if err != nil {
		return nil, err
	}
	sealed, err := f.store.Versions(ctx, c.ID, id)
	if err != nil {
		return nil, fmt.Errorf("versions: %w", err)
	}
	var all []view.Object
	for _, s := range sealed {
		if o, ok := s.Render(reader); ok {
			all = append(all, o)
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
