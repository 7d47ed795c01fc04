package store

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/tearline"
	"tocsin/internal/view"
	"tocsin/receipt"
	"tocsin/tlp"
)

// No answer is larger than what follows, whatever was stored.
const (
	MaxContent    = 32 << 20 // bytes of content of one answer, about
	MaxSightings  = 10_000   // of one object; the newest
	MaxDefinition = 64 << 10 // bytes of a marking-definition that is read at start; a larger one explains nothing, so its marking stays closed
)

// A Row is an object version as databases keep it, without its content.
type Row struct {
	Seq, Flags, Added int64 // Added is date_added, microseconds since 1970
	Seconds           int64 // of the version, since 1970
	Nanoseconds       int64
	Type, ID, Version string
}

// Modified returns the version as a time, zero when there is none.
func (r Row) Modified() time.Time {
	if r.Version == "" {
		return time.Time{}
	}
	return time.Unix(r.Seconds, r.Nanoseconds).UTC()
}

// Meta returns what readers' rights are decided by.
func (r Row) Meta(collection string, label *authorize.Label) view.Meta {
	return view.Meta{
		Seq: r.Seq, ID: r.ID, Type: r.Type, Version: r.Version, Modified: r.Modified(), Added: time.UnixMicro(r.Added).UTC(),
		Collection: collection, Withdrawn: r.Flags&FlagTombstone != 0, Siblings: r.Flags&FlagSiblings != 0, Label: label,
	}
}

// A labelDoc is an authorize.Label as JSON.
type labelDoc struct {
	Community  string   `json:"community"`
	Owner      string   `json:"owner"`
	Default    string   `json:"default,omitempty"`
	Markings   []string `json:"markings,omitempty"` // before there were parts, theirs as well: closed for the whole
	Parts      []string `json:"parts,omitempty"`
	Closed     []string `json:"closed,omitempty"`
	Links      []link   `json:"links,omitempty"`
	Digest     string   `json:"digest,omitempty"`
	Recipients []string `json:"recipients,omitempty"`
}

// A link is a tearline.Link as JSON.
type link struct {
	At       int      `json:"at"`
	Out      bool     `json:"out,omitzero"`
	Markings []string `json:"markings,omitempty"`
	Parts    []string `json:"parts,omitempty"`
	Digest   string   `json:"digest,omitempty"`
}

// EncodeLabel returns a label as stores keep it. Equal labels give equal texts.
func EncodeLabel(l *authorize.Label) (string, error) {
	d := labelDoc{
		Community: l.Community, Owner: l.Owner, Default: l.Default.String(), Markings: l.Markings, Parts: l.Parts, Recipients: l.Recipients,
		Closed: l.Closed, Digest: l.Digest,
	}
	for _, one := range l.Links {
		d.Links = append(d.Links, link(one))
	}
	b, err := json.Marshal(d)
	return string(b), err
}

// DecodeLabel reads what [EncodeLabel] wrote.
func DecodeLabel(b []byte) (*authorize.Label, error) {
	var d labelDoc
	if err := json.Unmarshal(b, &d, json.RejectUnknownMembers(true)); err != nil {
		return nil, err
	}
	l := &authorize.Label{Community: d.Community, Owner: d.Owner, Markings: d.Markings, Parts: d.Parts, Recipients: d.Recipients, Closed: d.Closed}
	l.Digest = d.Digest
	for _, one := range d.Links {
		l.Links = append(l.Links, tearline.Link(one))
	}
	if d.Default != "" {
		var ok bool
		if l.Default, ok = tlp.Parse(d.Default); !ok {
			return nil, errors.New("unknown default label")
		}
	}
	return l, nil
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

func encodeOutcome(r Recorded) ([]byte, error) {
	o := outcome{Requested: r.Requested, First: r.First, Last: r.Last}
	for _, f := range r.Failures {
		o.Failures = append(o.Failures, encodeFailure(f))
	}
	return json.Marshal(o)
}

func encodeFailure(f authorize.Failure) failure {
	return failure{
		ID: f.ID, Version: f.Version, Kind: int(f.Err.Kind), At: f.Err.At, Clause: f.Err.Clause, Message: f.Err.Message, Hint: f.Err.Hint,
	}
}

func (f failure) decode() authorize.Failure {
	return authorize.Failure{ID: f.ID, Version: f.Version, Err: &tocsin.Error{
		Kind: tocsin.Kind(f.Kind), At: f.At, Clause: f.Clause, Message: f.Message, Hint: f.Hint,
	}}
}

// DecodeRecorded puts together what the statement of a submission says and what
// it leaves out.
func DecodeRecorded(leaf int64, outcomeJSON, statement []byte) (Recorded, error) {
	var o outcome
	var st receipt.Submission
	if err := errors.Join(json.Unmarshal(outcomeJSON, &o), json.Unmarshal(statement, &st)); err != nil {
		return Recorded{}, err
	}
	out := Recorded{
		ID: st.ID, Organization: st.Organization, Community: st.Community, Collection: st.Collection,
		Requested: o.Requested, First: o.First, Last: o.Last, Leaf: leaf,
	}
	last := o.First - 1
	for _, ref := range st.Objects {
		// New versions take positions one after the other; any other position
		// was there before.
		known := ref.Seq != last+1 || ref.Seq > o.Last
		if !known {
			last = ref.Seq
		}
		out.Successes = append(out.Successes, Success{ID: ref.ID, Version: ref.Version, Seq: ref.Seq, Known: known})
	}
	for _, f := range o.Failures {
		out.Failures = append(out.Failures, f.decode())
	}
	return out, nil
}
