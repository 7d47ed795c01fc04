package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/review"
	"tocsin/internal/view"
	"tocsin/receipt"
)

// What decides whether an object version is stored is here, once for every
// database: a [Recording] asks a [Writing] what there is, and tells it what to
// add.

// Flags of a stored object version.
const (
	FlagSiblings  = 1 << iota // the collection holds, or held, other versions of the object
	FlagTombstone             // it was withdrawn at this position
	FlagRevoked               // it revoked the object, which is final
)

// What a collection takes of one object: the versions of an object are read
// together.
const (
	mostVersions     = 1000
	mostVersionBytes = MaxContent
)

// mostStatement bounds what a receipt says, in bytes: in base64, and with the
// proof, it must stay below [receipt.MaxProofSize].
const mostStatement = 11 << 20

// An Incoming is an object on its way into a store, with what can be worked out
// before it is the writer's turn.
type Incoming struct {
	authorize.Object

	Sum    [32]byte // SHA-256 of the content
	IDHash int64    // [IDHash] of the id
	Doc    string   // the label, as a store keeps it
}

// IDHash is the key of an index of ids: an eighth of the size of an index of
// the ids themselves. What it finds is always compared in full.
func IDHash(id string) int64 {
	sum := sha256.Sum256([]byte(id))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// Narrow gives a sighting no wider an audience than what it is a sighting of
// has: its id alone would tell that the other exists.
func (o *Incoming) Narrow(about *authorize.Label) (err error) {
	o.Label = o.Label.Narrow(about)
	o.Doc, err = EncodeLabel(o.Label)
	return err
}

// A Sibling is a version of an object that the collection holds or held.
type Sibling struct {
	Seq      int64
	Flags    int64
	Added    int64 // date_added, microseconds since 1970
	Label    *authorize.Label
	Modified time.Time // zero when the object has no version
	Version  string    // as written; "" when the object has none
	Sum      []byte    // SHA-256 of the content, nil for tombstones
	Size     int       // of the content, in bytes
}

// A Writing is one transaction of a store, in which a [Recording] takes place.
type Writing interface {
	// Siblings returns the versions of an object in the submission's collection,
	// tombstones and what this transaction has added included, in the one order.
	Siblings(o *Incoming) ([]Sibling, error)
	// Content returns the bytes of a version.
	Content(seq int64) ([]byte, error)
	// Insert adds a version at the next position, and marks its siblings. It
	// returns the position and date_added in microseconds since 1970.
	Insert(o *Incoming, siblings []Sibling) (seq, added int64, err error)
	Holdings
	Reviewings
}

// Holdings are the part of a [Writing] that is about versions which wait.
type Holdings interface {
	// Holding returns how many versions of an organization wait, those of this
	// transaction included.
	Holding(organization string) (int, error)
	// Hold puts a version aside.
	Hold(h Hold) error
}

// Reviewings are the part of a [Writing] that is about values to be reviewed.
type Reviewings interface {
	// Reviewing returns how many values of an organization wait for review, those
	// of this transaction included.
	Reviewing(organization string) (int, error)
	// Review puts a value in the queue.
	Review(r Review) error
	// SupersedeReviews ends what waits of an object of the submission's collection.
	SupersedeReviews(id string) error
	// EndReview ends an item that is carried out and erases its value. It reports
	// false when that is not pending any more.
	EndReview(i review.Item) (bool, error)
}

// A Recording is one submission being written.
type Recording struct {
	Admitted authorize.Admitted
	Objects  []Incoming
	Hub      string                                     // the ledger's origin
	Covers   func(stored, wanted *authorize.Label) bool // whom the one reaches, the other need not
	placed   []receipt.ObjectRef
}

// NewRecording works out what can be before it is the writer's turn.
func NewRecording(a authorize.Admitted, hub string, covers func(stored, wanted *authorize.Label) bool) (*Recording, error) {
	r := &Recording{Admitted: a, Objects: make([]Incoming, len(a.Objects())), Hub: hub, Covers: covers}
	statement := 0
	docs := map[*authorize.Label]string{}
	for i, o := range a.Objects() {
		if docs[o.Label] == "" {
			doc, err := EncodeLabel(o.Label)
			if err != nil {
				return nil, fmt.Errorf("label: %w", err)
			}
			docs[o.Label] = doc
		}
		r.Objects[i] = Incoming{Object: o, Sum: sha256.Sum256(o.Raw()), IDHash: IDHash(o.ID), Doc: docs[o.Label]}
		statement += len(o.ID) + len(o.Version) + 160 // names, hash, position and date_added
	}
	if statement > mostStatement {
		return nil, &tocsin.Error{
			Kind: tocsin.TooLarge, At: "/objects", Message: "a receipt for so many objects would be too large", Hint: "send them in several requests",
		}
	}
	return r, nil
}

// Write stores what may be stored and returns what became of the submission,
// but for the number of its record; the record for the ledger; and what else is
// to be kept of it.
//
// An object version that the collection holds already, with the same content,
// is a success and not stored again. Another content under the same id and
// version, and a version after the one that revoked the object, are failures of
// that object (STIX 2.1 §3.6). Objects without versions of their own, such as
// cyber observables, get their date_added as version (TAXII 2.1 §3.3), so a
// different content is a new version.
func (r *Recording) Write(w Writing) (out Recorded, record receipt.Record, outcome []byte, err error) {
	a := r.Admitted
	out = Recorded{
		ID: a.ID(), Organization: a.Who().Organization.Name, Community: a.Target().Community, Collection: a.Target().Collection,
		Requested: a.At(), Failures: slices.Clone(a.Failures()),
	}
	r.placed = make([]receipt.ObjectRef, 0, len(r.Objects))
	last := int64(0) // date_added of the last one that was stored
	for i := range r.Objects {
		o := &r.Objects[i]
		p, refusal, err := r.place(w, o, &out)
		if err != nil {
			return Recorded{}, receipt.Record{}, nil, err
		}
		if refusal != nil {
			out.Failures = append(out.Failures, authorize.Failure{ID: o.ID, Version: o.Version, Err: refusal})
			continue
		}
		if !p.Known {
			if out.First == 0 {
				out.First = p.Seq
			}
			out.Last, last = p.Seq, p.added
		}
		out.Successes = append(out.Successes, p.Success)
		r.placed = append(r.placed, receipt.ObjectRef{ID: o.ID, Version: p.Version, SHA256: hex.EncodeToString(p.sum), Seq: p.Seq})
	}
	if len(r.Admitted.Restored()) > 0 && len(out.Failures) > 0 { // nothing has changed, so nothing may end
		return Recorded{}, receipt.Record{}, nil, out.Failures[0].Err
	}
	if err := errors.Join(r.keep(w, &out), r.end(w)); err != nil {
		return Recorded{}, receipt.Record{}, nil, err
	}
	if record, err = receipt.NewRecord(r.statement(last, len(out.Pending), len(out.Failures))); err != nil {
		return Recorded{}, receipt.Record{}, nil, err
	}
	outcome, err = encodeOutcome(out)
	return out, record, outcome, err
}

// statement says what is to be proven of the submission later. It is not made
// before the last object was added.
func (r *Recording) statement(added int64, held, failed int) receipt.Submission {
	a := r.Admitted
	s := receipt.Submission{
		Hub: r.Hub, ID: a.ID(), Time: time.UnixMicro(max(added, time.Now().UnixMicro())),
		Organization: a.Who().Organization.Name, User: a.Who().User,
		Community: a.Target().Community, Collection: a.Target().Collection, Purpose: a.Who().Purpose,
		RulesHash: a.Rules(), Removed: map[string]int{},
		Recipients: a.Target().Recipients, Restrictions: []string{}, Default: a.Target().Default.String(),
		Objects: r.placed, Held: held, Failed: failed, Reviewed: r.reviewed(),
	}
	if len(s.Recipients) == 0 {
		s.Recipients = []string{"community:" + s.Community}
	}
	for _, f := range a.Findings() {
		s.Removed[f.Rule] += max(f.Count, 1)
	}
	seen := map[*authorize.Label]bool{}
	for _, o := range r.Objects {
		if !seen[o.Label] {
			seen[o.Label] = true
			s.Restrictions = append(s.Restrictions, o.Label.Restrictions()...)
		}
	}
	slices.Sort(s.Restrictions)
	s.Restrictions = slices.Compact(s.Restrictions)
	return s
}

// placed is where an object version stands.
type placed struct {
	Success

	sum   []byte
	added int64
}

// place stores one object version, unless it is there or may not be.
func (r *Recording) place(w Writing, o *Incoming, out *Recorded) (p placed, refusal *tocsin.Error, err error) {
	siblings, err := w.Siblings(o)
	if err != nil {
		return placed{}, nil, err
	}
	known, refusal, err := r.decide(w, o, siblings)
	if err != nil || refusal != nil {
		return placed{}, refusal, err
	}
	if known != nil {
		return placed{Success{ID: o.ID, Version: known.name(), Seq: known.Seq, Known: true}, known.Sum, known.Added}, nil, nil
	}
	seq, added, err := w.Insert(o, siblings)
	if err != nil {
		return placed{}, nil, err
	}
	version := o.Version
	if version == "" {
		version = TAXIITime(added)
	}
	if err := r.queue(w, o, siblings, version, out); err != nil {
		return placed{}, nil, err
	}
	return placed{Success{ID: o.ID, Version: version, Seq: seq}, o.Sum[:], added}, nil, nil
}

// decide returns the version that makes it needless to store this one, or why
// it may not be stored; neither when it is to be stored.
func (r *Recording) decide(w Writing, o *Incoming, siblings []Sibling) (known *Sibling, refusal *tocsin.Error, err error) {
	passedOn := false // the same content is here, for another audience
	for i, s := range siblings {
		if s.Flags&FlagTombstone != 0 || !s.sameVersion(o) {
			continue
		}
		same, err := sameContent(w, s, o)
		if err != nil {
			return nil, nil, err
		}
		if !same && o.Version != "" {
			return nil, &tocsin.Error{
				Kind: tocsin.Conflict, Clause: "STIX 2.1 §3.6", Message: "this version of the object is here with another content",
				Hint: "an object that was changed needs a later modified property",
			}, nil
		}
		if !same {
			continue
		}
		if r.Covers(s.Label, o.Label) {
			return &siblings[i], nil, nil
		}
		passedOn = true
	}
	if slices.ContainsFunc(siblings, func(s Sibling) bool {
		return s.Flags&FlagRevoked != 0 && s.Modified.Before(o.Modified)
	}) {
		return nil, &tocsin.Error{
			Kind: tocsin.Conflict, At: "/modified", Clause: "STIX 2.1 §3.6", Message: "the object was revoked, and a revoked object has no later versions",
			Hint: "share it under a new id",
		}, nil
	}
	if r.foreign(o, siblings) && !passedOn {
		return nil, &tocsin.Error{
			Kind: tocsin.Forbidden, At: "/id", Clause: "STIX 2.1 §3.6", Message: "another organization shared this object here, and only it may share another version",
			Hint: "share an object of your own with a derived-from relationship, or ask a curator of the community",
		}, nil
	}
	if tooMany(siblings, o) {
		return nil, &tocsin.Error{
			Kind: tocsin.TooLarge, At: "/id", Message: "the collection takes no more versions of this object", Hint: "share it under a new id",
		}, nil
	}
	return nil, nil, nil
}

// tooMany reports whether an object has as many versions as may be, or as large
// ones.
func tooMany(siblings []Sibling, o *Incoming) bool {
	size := len(o.Raw())
	for _, s := range siblings {
		size += s.Size
	}
	return len(siblings) >= mostVersions || size > mostVersionBytes
}

// foreign reports whether an object was first shared by somebody else: a hub
// cannot know who the creator is behind every created_by_ref, so the first to
// share an object here is taken for it, and nobody but a curator can revoke or
// supersede what another shared. Who passes the same content on to others does
// not become its owner. Objects without versions, such as addresses, are the
// same for everybody.
func (r *Recording) foreign(o *Incoming, siblings []Sibling) bool {
	who := r.Admitted.Who()
	if o.Version == "" || who.Role(r.Admitted.Target().Community) >= tocsin.Curator {
		return false
	}
	first := slices.IndexFunc(siblings, func(s Sibling) bool { return s.Flags&FlagTombstone == 0 })
	return first >= 0 && siblings[first].Label.Owner != who.Organization.Name
}

func (s Sibling) sameVersion(o *Incoming) bool {
	if s.Version == "" || o.Version == "" {
		return s.Version == o.Version
	}
	return s.Modified.Equal(o.Modified)
}

// name is the version as TAXII names it.
func (s Sibling) name() string {
	if s.Version != "" {
		return s.Version
	}
	return TAXIITime(s.Added)
}

// TAXIITime writes microseconds since 1970 as the hub writes all times.
func TAXIITime(us int64) string { return time.UnixMicro(us).UTC().Format(view.Microseconds) }

// sameContent compares a stored version with an object: byte for byte, or else
// as JSON values (RFC 8785), because tools that pass an object on may write it
// anew. It never goes by a hash alone of anything less than the content.
func sameContent(w Writing, s Sibling, o *Incoming) (bool, error) {
	if bytes.Equal(s.Sum, o.Sum[:]) {
		return true, nil
	}
	raw, err := w.Content(s.Seq)
	if err != nil {
		return false, err
	}
	stored, wanted := jsontext.Value(raw), jsontext.Value(o.Raw()).Clone()
	if err := errors.Join(stored.Canonicalize(), wanted.Canonicalize()); err != nil {
		return false, err
	}
	return bytes.Equal(stored, wanted), nil
}
