// Package withdraw takes back what was shared: for its owner, for those who moderate, and when its time is over.
package withdraw

import (
	"context"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/distribute"
	"tocsin/internal/member"
	"tocsin/internal/store"
	"tocsin/internal/view"
	"tocsin/stix"
)

// A Directory finds collections for those who may know of them.
type Directory interface {
	Communities(who tocsin.Member) []member.Community
	Collections(who tocsin.Member, community string) ([]member.Collection, error)
	Collection(who tocsin.Member, community, idOrAlias string) (member.Collection, error)
}

// A Store finds versions of an object, and deletes them.
type Store interface {
	Versions(ctx context.Context, collection, id string) ([]view.Sealed, error)
	Withdraw(ctx context.Context, w store.Withdrawal) (gone int, leaf int64, err error)
	// Held returns what waits of an organization, and Settle ends one of it.
	Held(ctx context.Context, organization string) ([]store.Hold, error)
	Settle(ctx context.Context, number int64, s store.Settlement) error
}

// A Service withdraws. It is safe for concurrent use.
type Service struct {
	Directory Directory
	Policy    *authorize.Policy
	Store     Store
	Copies    Copies
}

// Copies knows under which id the privacy gate publishes the changed copy of an
// object.
type Copies interface{ CopyOf(id string) string }

// Withdraw deletes the chosen versions of an object from a collection, and
// returns how many. First, last and all are among the versions that the member
// may see. What the member may not see is not found; what it may see, but
// neither its organization shared nor it moderates, is forbidden, and then
// nothing is deleted.
func (s *Service) Withdraw(ctx context.Context, who tocsin.Member, community, collection, id string, which distribute.Which) (int, error) {
	c, err := s.Directory.Collection(who, community, collection)
	if err != nil {
		return 0, fmt.Errorf("collection: %w", err)
	}
	reader, err := s.Policy.Reader(who, c.Community)
	if err != nil {
		return 0, fmt.Errorf("reader: %w", err)
	}
	sealed, err := s.Store.Versions(ctx, c.ID, id)
	if err != nil {
		return 0, fmt.Errorf("versions: %w", err)
	}
	var visible []view.Object
	for _, v := range sealed {
		if o, ok := v.Render(reader); ok && !o.Partial() {
			visible = append(visible, o)
		}
	}
	var seqs []int64
	for i, o := range visible {
		if !chosen(which, i, len(visible), o) {
			continue
		}
		if o.Owner() != who.Organization.Name && who.Role(c.Community) < tocsin.Curator {
			return 0, notTheirs()
		}
		seqs = append(seqs, o.Seq())
	}
	if len(seqs) == 0 {
		return 0, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such object"}
	}
	gone, _, err := s.Store.Withdraw(ctx, store.Withdrawal{Who: who, Community: c.Community, Collection: c.ID, Versions: store.VersionsOf(id, seqs...)})
	if err != nil {
		return 0, fmt.Errorf("withdraw: %w", err)
	}
	return gone, nil
}

// A Recall is what was withdrawn of one object from one collection.
type Recall struct {
	Community  string
	Collection member.Collection
	ID         string // as published
	Versions   int
	Leaf       int64 // the number of its record in the ledger; none when Versions is 0
	Waiting    int   // versions that nobody has seen yet
}

// MostIDs is how many objects are recalled at once, and MostReason how long the
// reason may be, in bytes.
const (
	MostIDs    = 200
	MostReason = 1000
)

// Recall withdraws all versions of objects, and of the copies that the privacy
// gate made of them, from every collection in which the member's organization
// shared them or the member moderates, and what of its organization's waits for
// its time. What it may not see is not found; when
// all that it may see of one is somebody else's, that is forbidden. When a fault
// ends it on the way, what it returns is withdrawn.
func (s *Service) Recall(ctx context.Context, who tocsin.Member, ids []string, reason string) (done []Recall, err error) {
	switch {
	case len(ids) == 0 || len(ids) > MostIDs:
		return nil, &tocsin.Error{Kind: tocsin.Invalid, At: "/ids", Message: "between 1 and 200 objects are recalled at once", Hint: "send them in several requests"}
	case len(reason) > MostReason || !utf8.ValidString(reason):
		return nil, &tocsin.Error{Kind: tocsin.Invalid, At: "/reason", Message: "the reason is longer than 1,000 bytes, or no text", Hint: "shorten it"}
	}
	held, err := s.Store.Held(ctx, who.Organization.Name)
	if err != nil {
		return nil, fmt.Errorf("held: %w", err)
	}
	foreign := false
	for _, c := range s.Directory.Communities(who) {
		collections, err := s.Directory.Collections(who, c.Name)
		if err != nil {
			return done, fmt.Errorf("collections: %w", err)
		}
		reader, err := s.Policy.Reader(who, c.Name)
		if err != nil {
			return done, fmt.Errorf("reader: %w", err)
		}
		for _, collection := range collections {
			for _, id := range s.withCopies(ids) {
				r := Recall{Community: c.Name, Collection: collection, ID: id}
				others, err := s.recall(ctx, who, reader, &r, reason)
				if err == nil {
					r.Waiting, err = s.recallHeld(ctx, held, r)
				}
				if err != nil {
					return done, err
				}
				foreign = foreign || others
				if r.Versions+r.Waiting > 0 {
					done = append(done, r)
				}
			}
		}
	}
	switch {
	case len(done) == 0 && foreign:
		return nil, notTheirs()
	case len(done) == 0:
		return nil, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such object"}
	}
	return done, nil
}

// withCopies returns ids and those of their copies, each once.
func (s *Service) withCopies(ids []string) []string {
	all := slices.Clone(ids)
	for _, id := range ids {
		if _, _, ok := stix.SplitID(id); ok {
			all = append(all, s.Copies.CopyOf(id))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// recall withdraws one object from one collection, and reports whether there
// are versions of others, which stay.
func (s *Service) recall(ctx context.Context, who tocsin.Member, reader *authorize.Reader, r *Recall, reason string) (others bool, err error) {
	sealed, err := s.Store.Versions(ctx, r.Collection.ID, r.ID)
	if err != nil {
		return false, fmt.Errorf("versions: %w", err)
	}
	var seqs []int64
	for _, v := range sealed {
		o, visible := v.Render(reader)
		switch {
		case !visible || o.Partial():
		case o.Owner() == who.Organization.Name || who.Role(r.Community) >= tocsin.Curator:
			seqs = append(seqs, o.Seq())
		default:
			others = true
		}
	}
	if len(seqs) == 0 {
		return others, nil
	}
	w := store.Withdrawal{Who: who, Community: r.Community, Collection: r.Collection.ID, Versions: store.VersionsOf(r.ID, seqs...), Reason: reason}
	if r.Versions, r.Leaf, err = s.Store.Withdraw(ctx, w); err != nil {
		return others, fmt.Errorf("withdraw: %w", err)
	}
	return others, nil
}

// recallHeld takes back what waits of an object, and returns how many versions.
func (s *Service) recallHeld(ctx context.Context, held []store.Hold, r Recall) (n int, err error) {
	for _, h := range held {
		if h.ID != r.ID || h.Target.Collection != r.Collection.ID {
			continue
		}
		if err := s.Store.Settle(ctx, h.Number, store.Recalled()); err != nil {
			return n, fmt.Errorf("settle: %w", err)
		}
		n++
	}
	return n, nil
}

func notTheirs() *tocsin.Error {
	return &tocsin.Error{
		Kind: tocsin.Forbidden, Message: "only the organization that shared an object and the community's curators may withdraw it",
		Hint: "ask a curator of the community",
	}
}

// chosen reports whether version number i of n, oldest first, is asked for.
func chosen(which distribute.Which, i, n int, o view.Object) bool {
	return which.All || which.First && i == 0 || which.Last && i == n-1 ||
		slices.ContainsFunc(which.At, func(t time.Time) bool { return t.Equal(o.VersionTime()) })
}
