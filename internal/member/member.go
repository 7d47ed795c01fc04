// Package member knows the organizations, people and tools that may speak to the hub.
package member

import (
	"context"
	"errors"

	"tocsin"
	"tocsin/tlp"
)

// A Record is one entry of the directory as a store keeps it.
type Record struct {
	Kind    string // "organization", "user", "token", "community", "membership", "collection", …
	Key     string // unique within the kind
	Doc     []byte // JSON
	Deleted bool
}

// A Store keeps the directory.
type Store interface {
	// Directory returns every record.
	Directory(ctx context.Context) ([]Record, error)
	// SaveDirectory writes changed records in one transaction, together with a
	// leaf of the ledger that says who changed what.
	SaveDirectory(ctx context.Context, changed []Record, change Change) error
	// Head returns the last position that is taken in a collection, 0 in one that
	// nothing was ever shared in, and a channel that is closed when there is more.
	Head(collection string) (int64, <-chan struct{})
}

// ErrStale means that a store did not save a change, because the directory was
// changed by another replica of the hub after it was read here.
var ErrStale = errors.New("the directory was changed meanwhile")

// A Change says who changed the directory, for the ledger.
type Change struct {
	Organization string   // whose user did it; "" for the hub itself
	User         string   // who did it
	Summary      []string // what was done, such as "community finance: made"
}

// A Community is an information-sharing group: members, collections and the
// TAXII API root that is named after it.
type Community struct {
	Name        string    `json:"name"`
	Title       string    `json:"title"`
	Description string    `json:"description,omitempty"`
	Default     tlp.Label `json:"default_tlp"` // what an unmarked object is taken for
	Privacy     Privacy   `json:"privacy,omitzero"`
}

// Privacy is how a community deals with what may be personal. Zero fields mean
// the defaults.
type Privacy struct {
	Path       string `json:"path,omitempty" yaml:"path"`               // of free text: "automatic", or "strict", where it waits for a person
	Reviewers  int    `json:"reviewers,omitempty" yaml:"reviewers"`     // who decide alike before a masked value is restored: 1 or 2
	ReviewDays int    `json:"review_days,omitempty" yaml:"review_days"` // how long a value waits for them, 1 to 365; 30

	// WindowMinutes is how often anonymous submissions become visible, those of all
	// members together, 1 to 1,440: when one was made then tells less. 0: at once.
	WindowMinutes int `json:"window_minutes,omitempty" yaml:"window_minutes"`
}

func (p Privacy) path() string   { return orElse(p.Path, PathAutomatic) }
func (p Privacy) reviewers() int { return max(p.Reviewers, 1) }
func (p Privacy) reviewDays() int {
	if p.ReviewDays == 0 {
		return ReviewDays
	}
	return p.ReviewDays
}

// The paths of free text through the privacy gate, and the default of
// [Privacy.ReviewDays].
const (
	PathAutomatic = "automatic"
	PathStrict    = "strict"
	ReviewDays    = 30
)

// A Collection is a TAXII collection of a community.
type Collection struct {
	ID          string `json:"id"`    // UUIDv4
	Alias       string `json:"alias"` // unique in the community, [a-z0-9-]
	Community   string `json:"community"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
}

// A Membership is an organization's part in a community.
type Membership struct {
	Organization tocsin.Organization
	Role         tocsin.Role
}
