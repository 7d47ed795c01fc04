package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/store"
	"tocsin/internal/view"
	"tocsin/receipt"
)

// Flags of a row of objects.
const (
	flagSiblings = 1 << iota
	flagTombstone
	flagRevoked
)

// What a collection takes of one object: the versions of an object are read
// together.
const (
	mostVersions     = 1000
	mostVersionBytes = mostContent
)

// mostStatement bounds what a receipt says, in bytes: in base64, and with the
// proof, it must stay below [receipt.MaxProofSize].
const mostStatement = 11 << 20

// incoming is an object on its way into the store, with what can be worked out
// before it is the writer's turn.
type incoming struct {
	authorize.Object

	sum    [32]byte
	idhash int64
	label  string // JSON
}

// Record stores what was admitted. When it returns without an error, the
// objects, the ledger's leaf and a checkpoint over it are on disk.
//
// An object version that the collection holds already, with the same content,
// is a success and not stored again. Another content under the same id and
// version, and a version after the one that revoked the object, are failures of
// that object (STIX 2.1 §3.6). Objects without versions of their own, such as
// cyber observables, get their date_added as version (TAXII 2.1 §3.3), so a
// different content is a new version.
func (s *Store) Record(ctx context.Context, a authorize.Admitted) (store.Recorded, error) {
	objects := make([]incoming, len(a.Objects()))
	statement := 0
	docs := map[*authorize.Label]string{}
	for i, o := range a.Objects() {
		if docs[o.Label] == "" {
			doc, err := encodeLabel(o.Label)
			if err != nil {
				return store.Recorded{}, fmt.Errorf("label: %w", err)
			}
			docs[o.Label] = doc
		}
		objects[i] = incoming{Object: o, sum: sha256.Sum256(o.Raw()), idhash: hash64(o.ID), label: docs[o.Label]}
		statement += len(o.ID) + len(o.Version) + 160 // names, hash, position and date_added
	}
	if statement > mostStatement {
		return store.Recorded{}, &tocsin.Error{
			Kind: tocsin.TooLarge, At: "/objects", Message: "a receipt for so many objects would be too large", Hint: "send them in several requests",
		}
	}
	var out store.Recorded
	r := &recording{admitted: a, objects: objects}
	err := s.submit(ctx, &job{
		weight: 1 + len(objects),
		intern: r.intern,
		do: func(b *batch) (err error) {
			out, err = r.do(b)
			return err
		},
	})
	if err != nil {
		return store.Recorded{}, err
	}
	return out, nil
}

// hash64 is the key of the index of ids: an eighth of the size of an index of
// the ids themselves. What it finds is always compared in full.
func hash64(id string) int64 {
	sum := sha256.Sum256([]byte(id))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// A recording is one submission being written.
type recording struct {
	admitted   authorize.Admitted
	objects    []incoming
	collection int64
	labels     map[string]int64
}

func (r *recording) intern(b *batch) (err error) {
	if r.collection, err = b.collection(r.admitted.Target().Collection); err != nil {
		return err
	}
	r.labels = map[string]int64{}
	for i := range r.objects {
		if r.objects[i].About == "" {
			continue
		}
		if err := b.narrow(&r.objects[i]); err != nil {
			return err
		}
	}
	for _, o := range r.objects {
		if _, ok := r.labels[o.label]; ok {
			continue
		}
		if r.labels[o.label], err = b.label(o.label); err != nil {
			return err
		}
	}
	return nil
}

// narrow gives a sighting no wider an audience than what it is a sighting of has:
// its id alone would tell that the other exists.
func (b *batch) narrow(o *incoming) error {
	var number int64
	var err error
	for r := range b.c.rows(&err, "SELECT label FROM objects WHERE idhash = ? AND id = ? ORDER BY seq DESC LIMIT 1", hash64(o.About), o.About) {
		number = r.ColumnInt64(0)
	}
	if err != nil || number == 0 {
		return err
	}
	about, err := b.s.labelOf(b.c, number)
	if err != nil {
		return err
	}
	o.Label = o.Label.Narrow(about)
	o.label, err = encodeLabel(o.Label)
	return err
}

func (r *recording) do(b *batch) (store.Recorded, error) {
	a := r.admitted
	out := store.Recorded{
		ID: a.ID(), Organization: a.Who().Organization.Name, Community: a.Target().Community, Collection: a.Target().Collection,
		Requested: a.At(), Failures: slices.Clone(a.Failures()),
	}
	refs := make([]receipt.ObjectRef, 0, len(r.objects))
	for i := range r.objects {
		o := &r.objects[i]
		p, refusal, err := r.place(b, o)
		if err != nil {
			return store.Recorded{}, err
		}
		if refusal != nil {
			out.Failures = append(out.Failures, authorize.Failure{ID: o.ID, Version: o.Version, Err: refusal})
			continue
		}
		if !p.Known {
			if out.First == 0 {
				out.First = p.Seq
			}
			out.Last = p.Seq
		}
		out.Successes = append(out.Successes, p.Success)
		refs = append(refs, receipt.ObjectRef{ID: o.ID, Version: p.Version, SHA256: hex.EncodeToString(p.sum), Seq: p.Seq})
	}
	record, err := receipt.NewRecord(r.statement(b, refs, len(out.Failures)))
	if err != nil {
		return store.Recorded{}, err
	}
	outcome, err := encodeOutcome(out)
	if err != nil {
		return store.Recorded{}, err
	}
	out.Leaf, err = b.record(record, annotation{community: out.Community, submission: hash64(out.ID), outcome: outcome})
	return out, err
}

// statement says what is to be proven of the submission later.
func (r *recording) statement(b *batch, refs []receipt.ObjectRef, failed int) receipt.Submission {
	a := r.admitted
	s := receipt.Submission{
		Hub: b.s.signer.Origin(), ID: a.ID(), Time: time.UnixMicro(max(b.added, time.Now().UnixMicro())),
		Organization: a.Who().Organization.Name, User: a.Who().User,
		Community: a.Target().Community, Collection: a.Target().Collection, Purpose: a.Who().Purpose,
		RulesHash: a.Rules(), Removed: map[string]int{},
		Recipients: a.Target().Recipients, Restrictions: []string{}, Default: a.Target().Default.String(),
		Objects: refs, Failed: failed,
	}
	if len(s.Recipients) == 0 {
		s.Recipients = []string{"community:" + s.Community}
	}
	for _, f := range a.Findings() {
		s.Removed[f.Rule] += max(f.Count, 1)
	}
	seen := map[*authorize.Label]bool{}
	for _, o := range r.objects {
		if !seen[o.Label] {
			seen[o.Label] = true
			s.Restrictions = append(s.Restrictions, o.Label.Markings...)
		}
	}
	slices.Sort(s.Restrictions)
	s.Restrictions = slices.Compact(s.Restrictions)
	return s
}

// placed is where an object version stands.
type placed struct {
	store.Success

	sum []byte
}

// sibling is a version of the same object that the collection holds or held.
type sibling struct {
	seq, label, flags, added int64
	modified                 time.Time
	version                  string
	sum                      []byte
	size                     int // of the content, in bytes
}

// place stores one object version, unless it is there or may not be.
func (r *recording) place(b *batch, o *incoming) (p placed, refusal *tocsin.Error, err error) {
	siblings, err := b.siblings(r.collection, o)
	if err != nil {
		return placed{}, nil, err
	}
	passedOn := false // the same content is here, for another audience
	for _, s := range siblings {
		if s.flags&flagTombstone != 0 || !s.sameVersion(o) {
			continue
		}
		same, err := b.sameContent(s, o)
		if err != nil {
			return placed{}, nil, err
		}
		if !same && o.Version != "" {
			return placed{}, &tocsin.Error{
				Kind: tocsin.Conflict, Clause: "STIX 2.1 §3.6", Message: "this version of the object is here with another content",
				Hint: "an object that was changed needs a later modified property",
			}, nil
		}
		if !same {
			continue
		}
		covered, err := b.covered(s, o)
		if err != nil {
			return placed{}, nil, err
		}
		if covered {
			return placed{store.Success{ID: o.ID, Version: s.name(), Seq: s.seq, Known: true}, s.sum}, nil, nil
		}
		passedOn = true
	}
	if slices.ContainsFunc(siblings, func(s sibling) bool {
		return s.flags&flagRevoked != 0 && s.modified.Before(o.Modified)
	}) {
		return placed{}, &tocsin.Error{
			Kind: tocsin.Conflict, At: "/modified", Clause: "STIX 2.1 §3.6", Message: "the object was revoked, and a revoked object has no later versions",
			Hint: "share it under a new id",
		}, nil
	}
	foreign, err := r.foreign(b, o, siblings)
	if err != nil {
		return placed{}, nil, err
	}
	if foreign && !passedOn {
		return placed{}, &tocsin.Error{
			Kind: tocsin.Forbidden, At: "/id", Clause: "STIX 2.1 §3.6", Message: "another organization shared this object here, and only it may share another version",
			Hint: "share an object of your own with a derived-from relationship, or ask a curator of the community",
		}, nil
	}
	if tooMany(siblings, o) {
		return placed{}, &tocsin.Error{
			Kind: tocsin.TooLarge, At: "/id", Message: "the collection takes no more versions of this object", Hint: "share it under a new id",
		}, nil
	}
	return r.insert(b, o, siblings)
}

// tooMany reports whether an object has as many versions as may be, or as large
// ones.
func tooMany(siblings []sibling, o *incoming) bool {
	size := len(o.Raw())
	for _, s := range siblings {
		size += s.size
	}
	return len(siblings) >= mostVersions || size > mostVersionBytes
}

// foreign reports whether an object was first shared by somebody else: a hub
// cannot know who the creator is behind every created_by_ref, so the first to
// share an object here is taken for it, and nobody but a curator can revoke or
// supersede what another shared. Who passes the same content on to others does
// not become its owner. Objects without versions, such as addresses, are the
// same for everybody.
func (r *recording) foreign(b *batch, o *incoming, siblings []sibling) (bool, error) {
	if o.Version == "" || r.admitted.Who().Role(r.admitted.Target().Community) >= tocsin.Curator {
		return false, nil
	}
	first := slices.IndexFunc(siblings, func(s sibling) bool { return s.flags&flagTombstone == 0 })
	if first < 0 {
		return false, nil
	}
	label, err := b.s.labelOf(b.c, siblings[first].label)
	if err != nil {
		return false, err
	}
	return label.Owner != r.admitted.Who().Organization.Name, nil
}

func (s sibling) sameVersion(o *incoming) bool {
	if s.version == "" || o.Version == "" {
		return s.version == o.Version
	}
	return s.modified.Equal(o.Modified)
}

// name is the version as TAXII names it.
func (s sibling) name() string {
	if s.version != "" {
		return s.version
	}
	return taxiiTime(s.added)
}

func taxiiTime(us int64) string { return time.UnixMicro(us).UTC().Format(view.Microseconds) }

// siblings returns the versions of an object in a collection, tombstones
// included, in the one order.
func (b *batch) siblings(collection int64, o *incoming) (out []sibling, err error) {
	const sql = "SELECT seq, label, flags, added, modified, nanoseconds, version, sha256, length(raw) FROM objects WHERE idhash = ? AND collection = ? AND id = ? ORDER BY seq"
	for r := range b.c.rows(&err, sql, o.idhash, collection, o.ID) {
		s := sibling{
			seq: r.ColumnInt64(0), label: r.ColumnInt64(1), flags: r.ColumnInt64(2), added: r.ColumnInt64(3),
			version: r.ColumnText(6), sum: r.ColumnBlob(7, nil), size: r.ColumnInt(8),
		}
		if s.version != "" {
			s.modified = time.Unix(r.ColumnInt64(4), r.ColumnInt64(5))
		}
		out = append(out, s)
	}
	return out, err
}

// sameContent compares a stored version with an object: byte for byte, or else
// as JSON values (RFC 8785), because tools that pass an object on may write it
// anew. It never goes by a hash alone of anything less than the content.
func (b *batch) sameContent(s sibling, o *incoming) (bool, error) {
	if bytes.Equal(s.sum, o.sum[:]) {
		return true, nil
	}
	raw, err := b.c.blob("SELECT raw FROM objects WHERE seq = ?", s.seq)
	if err != nil {
		return false, err
	}
	stored, wanted := jsontext.Value(raw), jsontext.Value(o.Raw()).Clone()
	if err := errors.Join(stored.Canonicalize(), wanted.Canonicalize()); err != nil {
		return false, err
	}
	return bytes.Equal(stored, wanted), nil
}

// covered reports whether a stored version reaches all whom the object is for.
func (b *batch) covered(s sibling, o *incoming) (bool, error) {
	stored, err := b.s.labelOf(b.c, s.label)
	if err != nil {
		return false, err
	}
	return b.s.options.Covers(stored, o.Label), nil
}

func (r *recording) insert(b *batch, o *incoming, siblings []sibling) (p placed, refusal *tocsin.Error, err error) {
	const sql = "INSERT INTO objects (seq, collection, label, idhash, flags, added, modified, nanoseconds, type, id, version, about, sha256, raw)" +
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	flags := 0
	if len(siblings) > 0 {
		flags |= flagSiblings
	}
	if o.Revoked {
		flags |= flagRevoked
	}
	var modified, about any
	if o.Version != "" {
		modified = o.Modified.Unix()
	}
	if o.About != "" {
		about = o.About
	}
	seq, added := b.next(r.collection)
	err = b.c.run(sql, seq, r.collection, r.labels[o.label], o.idhash, flags, added, modified, o.Modified.Nanosecond(),
		o.Type, o.ID, o.Version, about, o.sum[:], o.Raw())
	if err != nil {
		return placed{}, nil, err
	}
	for _, s := range siblings {
		b.rewritten = append(b.rewritten, place{r.collection, s.seq})
		if s.flags&(flagSiblings|flagTombstone) == 0 {
			if err := b.c.run("UPDATE objects SET flags = flags | ? WHERE seq = ?", flagSiblings, s.seq); err != nil {
				return placed{}, nil, err
			}
		}
	}
	version := o.Version
	if version == "" {
		version = taxiiTime(added)
	}
	return placed{store.Success{ID: o.ID, Version: version, Seq: seq}, o.sum[:]}, nil, nil
}

// blob returns the first column of the first row, nil when there is none.
func (c *conn) blob(sql string, args ...any) (b []byte, err error) {
	for r := range c.rows(&err, sql, args...) {
		b = r.ColumnBlob(0, nil)
		break
	}
	return b, err
}

// An outcome is what a submission's statement leaves out, because it is no one
// else's business.
type outcome struct {
	Requested time.Time `json:"requested"`
	First     int64     `json:"first,omitzero"`
	Last      int64     `json:"last,omitzero"`
	Failures  []failure `json:"failures,omitempty"`
}

// A failure is an authorize.Failure as JSON, whose names do not change when the
// program's do.
type failure struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Kind    int    `json:"kind"`
	At      string `json:"at,omitempty"`
	Clause  string `json:"clause,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func encodeOutcome(r store.Recorded) ([]byte, error) {
	o := outcome{Requested: r.Requested, First: r.First, Last: r.Last}
	for _, f := range r.Failures {
		o.Failures = append(o.Failures, failure{
			ID: f.ID, Version: f.Version, Kind: int(f.Err.Kind), At: f.Err.At, Clause: f.Err.Clause, Message: f.Err.Message, Hint: f.Err.Hint,
		})
	}
	return json.Marshal(o)
}
