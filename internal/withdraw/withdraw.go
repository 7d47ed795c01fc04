// Package withdraw takes back what was shared: for its owner, and for those who moderate.
package withdraw

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/distribute"
	"tocsin/internal/member"
	"tocsin/internal/store"
	"tocsin/internal/view"
)

// A Directory finds collections for those who may know of them.
type Directory interface {
	Collection(who tocsin.Member, community, idOrAlias string) (member.Collection, error)
}

// A Store finds versions of an object, and deletes them.
type Store interface {
	Versions(ctx context.Context, collection, id string) ([]view.Sealed, error)
	Withdraw(ctx context.Context, w store.Withdrawal) (int, error)
}

// A Service withdraws. It is safe for concurrent use.
type Service struct {
	Directory Directory
	Policy    *authorize.Policy
	Store     Store
}

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
		if o, ok := v.Render(reader); ok {
			visible = append(visible, o)
		}
	}
	var seqs []int64
	for i, o := range visible {
		if !chosen(which, i, len(visible), o) {
			continue
		}
		if o.Owner() != who.Organization.Name && who.Role(c.Community) < tocsin.Curator {
			return 0, &tocsin.Error{
				Kind: tocsin.Forbidden, Message: "only the organization that shared an object and the community's curators may withdraw it",
				Hint: "ask a curator of the community",
			}
		}
		seqs = append(seqs, o.Seq())
	}
	if len(seqs) == 0 {
		return 0, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such object"}
	}
	gone, err := s.Store.Withdraw(ctx, store.Withdrawal{Who: who, Community: c.Community, Collection: c.ID, ID: id, Seqs: seqs})
	if err != nil {
		return 0, fmt.Errorf("withdraw: %w", err)
	}
	return gone, nil
}

// chosen reports whether version number i of n, oldest first, is asked for.
func chosen(which distribute.Which, i, n int, o view.Object) bool {
	return which.All || which.First && i == 0 || which.Last && i == n-1 ||
		slices.ContainsFunc(which.At, func(t time.Time) bool { return t.Equal(o.VersionTime()) })
}
