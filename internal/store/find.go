package store

import (
	"context"

	"tocsin"
	"tocsin/internal/view"
)

// Contents is what a store keeps of what was submitted, wherever it is, and
// whoever may see it. It is for erasure: nothing of it is given to anybody.
type Contents interface {
	// Find returns what content matches, at the positions after one of the whole
	// order; with 0 also what waits in quarantine and for review. It looks at no
	// more than about 32 MiB of objects at once.
	Find(ctx context.Context, match func(content []byte) bool, after int64) (Found, error)
	// EraseReview ends a pending review, with a record in the ledger. One that has
	// ended, or is not there, stays as it is.
	EraseReview(ctx context.Context, id string, who tocsin.Member, reason string) error
}

// Found is the answer to [Contents.Find].
type Found struct {
	Objects []Placed
	Holds   []Hold   // without content
	Reviews []Review // without values
	Next    int64    // everything up to and including this position has been looked at
	More    bool
}

// Placed is where one object version stands, in any collection.
type Placed struct {
	Version

	Name       string // of the version, as TAXII has it
	Collection string // its id
	Community  string
	Owner      string
}

// MostFound is how many objects one [Found] has at most, about.
const MostFound = 500

// Erasing is what those are told whose waiting version is erased.
func Erasing() Settlement {
	return Settlement{Err: &tocsin.Error{Kind: tocsin.Conflict, Message: "the version was erased while it waited, for what it held", Hint: "share it without personal data"}}
}

// PlacedAt returns where an object stands.
func PlacedAt(o view.Sealed) Placed {
	p := Placed{Version: Version{o.ID, o.Seq}, Name: o.Version, Collection: o.Collection, Community: o.Label.Community, Owner: o.Label.Owner}
	if p.Name == "" {
		p.Name = TAXIITime(o.Added.UnixMicro())
	}
	return p
}
