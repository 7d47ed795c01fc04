// Package store says what every database behind the hub must promise.
package store

import (
	"context"
	"slices"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/member"
	"tocsin/internal/view"
	"tocsin/receipt"
)

// A Store is a database behind the hub. It is the sum of what its callers ask
// for; each caller names the part that it uses.
type Store interface {
	Recorder
	Reader
	Records
	Log
	Keeper
}

// A Keeper is what those who run the hub need: it keeps the directory and what
// agents say, finds what is to be erased, and can be closed.
type Keeper interface {
	member.Store
	Deployments
	Contents
	Close() error
}

// A Recorder stores objects and logs that it did, in one transaction.
type Recorder interface {
	Holds
	Reviews
	// Record stores what was admitted. When it returns without an error, the
	// objects, the ledger's leaf and a checkpoint over it are durable.
	Record(ctx context.Context, a authorize.Admitted) (Recorded, error)
	// Withdraw deletes versions of objects and leaves tombstones, for those
	// who could see them. It returns how many versions went, and the number of the
	// record that says so.
	Withdraw(ctx context.Context, w Withdrawal) (gone int, leaf int64, err error)
	// Disclose logs that ranges of the order were read, one leaf for each.
	Disclose(ctx context.Context, reads []receipt.Disclosure) error
}

// Holds are object versions that were taken and wait in quarantine. [Recorder]
// makes them; nobody sees them in the one order before they have been submitted
// anew.
type Holds interface {
	// Due returns holds whose time has come, those that wait longest first. The
	// order of submissions whose time is the same says nothing of when they came.
	Due(ctx context.Context, now time.Time, most int) ([]Hold, error)
	// Held returns what waits of an organization, without content.
	Held(ctx context.Context, organization string) ([]Hold, error)
	// Settle ends a hold and erases its content. A hold that has ended stays as
	// it is.
	Settle(ctx context.Context, number int64, s Settlement) error
}

// A Reader reads objects in the one order.
type Reader interface {
	// Scan returns sealed objects in order.
	Scan(ctx context.Context, s Scan) (Scanned, error)
	// Seek returns the highest position whose date_added is at or before t, 0
	// when there is none.
	Seek(ctx context.Context, t time.Time) (int64, error)
	Finder
	Watch
}

// A Finder finds single objects.
type Finder interface {
	// Versions returns all versions of an object in a collection, oldest first
	// by Modified, without tombstones.
	Versions(ctx context.Context, collection, id string) ([]view.Sealed, error)
	// Sightings returns the sightings of an object in a community, in order.
	Sightings(ctx context.Context, community, id string) ([]view.Sealed, error)
	// Named returns the ids of objects that have a hash ([IDHash]), in any
	// collection.
	Named(ctx context.Context, hash int64) ([]string, error)
}

// A Watch tells what has changed. It reads memory only, so that whoever finds
// nothing new costs the database nothing.
type Watch interface {
	// Head returns the last position that is taken in a collection ("" for the
	// whole hub) and a channel that is closed when there is a later one there.
	// It may also be closed for less, so whoever waits looks again; but waking
	// thousands for another collection's news is a waste.
	Head(collection string) (int64, <-chan struct{})
	// Rewrites returns a number that is another one after something has changed
	// of what the order holds at the positions from..to of a collection, both
	// included: an object there was withdrawn, got another version, or lost
	// one. All versions of an object change when one comes or goes, because
	// which is the first and which the last are said of them.
	//
	// What was scanned after the number was taken is therefore what a scan
	// finds for as long as the number stays the same and the scanned positions
	// were all at or below the head. Every such change comes with a new
	// position in the same collection and is counted no later than Head shows
	// that position. The number may change for less, and means nothing
	// across restarts.
	Rewrites(collection string, from, to int64) uint64
}

// Records are what the ledger holds commitments to.
type Records interface {
	// Submission returns a submission by its id, not found when there is none.
	Submission(ctx context.Context, id string) (Recorded, error)
	// Receipt returns the proof of a ledger record against the newest
	// checkpoint, not found when there is none.
	Receipt(ctx context.Context, leaf int64) (receipt.Proof, error)
	// List returns the records of one kind in a community, oldest first, from
	// a leaf number on.
	List(ctx context.Context, kind, community string, from int64, most int) ([]Leaf, error)
	// Definitions returns every marking-definition that was recorded, with its
	// owner, to teach the policy at start.
	Definitions(ctx context.Context) ([]Definition, error)
}

// Log is what the ledger's tiles are served from.
type Log interface {
	// Checkpoint returns the newest signed checkpoint.
	Checkpoint(ctx context.Context) ([]byte, error)
	// Hashes returns stored tree hashes by position, in the layout of
	// golang.org/x/mod/sumdb/tlog.
	Hashes(ctx context.Context, positions []int64) ([][32]byte, error)
	// Entries returns the log entries [from, to).
	Entries(ctx context.Context, from, to int64) ([][]byte, error)
}

// A Definition is a marking-definition and the organization that gave it.
type Definition struct {
	Owner string
	Raw   []byte
}

// A Scan asks for objects of a collection in order.
type Scan struct {
	Collection string   // the collection's id
	After      int64    // positions after this one
	Most       int      // return no more than so many rows
	IDs        []string // only these objects; empty: all
	Types      []string // only these types; empty: all
	Meta       bool     // leave the content out
}

// Scanned is the answer to a [Scan]. Rows that carry the same label carry the
// same *authorize.Label.
type Scanned struct {
	Rows []view.Sealed
	Next int64 // everything up to and including this position has been looked at
	More bool  // there may be more after Next
}

// Recorded is what became of a submission.
type Recorded struct {
	ID           string
	Organization string
	Community    string
	Collection   string
	Requested    time.Time
	Successes    []Success
	Pending      []Pending
	Failures     []authorize.Failure
	First, Last  int64 // the range of the order that it took; zeros when nothing new was stored
	Leaf         int64 // its record in the ledger
	Reviews      int   // how many of its values wait for a person
}

// A Success is one object version that is stored.
type Success struct {
	ID      string
	Version string // as TAXII names it: modified, created, or date_added
	Seq     int64
	Known   bool // was there before, with the same content
}

// Pending is one object version that waits in quarantine.
type Pending struct {
	ID      string
	Version string
	Due     time.Time // when it is looked at again
}

// A Withdrawal says what is to be deleted, and by whom. The caller has checked
// that it may be.
type Withdrawal struct {
	Who        tocsin.Member // the zero value is the hub itself
	Community  string
	Collection string
	Versions   []Version
	Reason     string
	Cause      receipt.Cause
	Rule       string // by which the hub deletes what nobody asked it to
}

// MostWithdrawn is how many versions one [Withdrawal] should delete at most: they
// share a transaction and a record.
const MostWithdrawn = 500

// A Version is where one object version stands.
type Version struct {
	ID  string
	Seq int64
}

// VersionsOf returns where versions of one object stand.
func VersionsOf(id string, seqs ...int64) []Version {
	out := make([]Version, len(seqs))
	for i, seq := range seqs {
		out[i] = Version{id, seq}
	}
	return out
}

// IDs returns the objects of a withdrawal, each once.
func (w Withdrawal) IDs() (ids []string) {
	for _, v := range w.Versions {
		if !slices.Contains(ids[max(0, len(ids)-1):], v.ID) { // versions of one object mostly stand together
			ids = append(ids, v.ID)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// A Leaf is one record of the ledger.
type Leaf struct {
	Index     int64
	Kind      string
	Time      time.Time
	Statement []byte // canonical JSON
}
