package store

import (
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/tlp"
)

// MaxHeld is how many versions of one organization wait at most.
const MaxHeld = 1000

// holdTime is how long a version waits at most: what lies further ahead than
// this is a mistake, not a clock.
const holdTime = 30 * 24 * time.Hour

// A Hold is one object version that waits in quarantine, with all that is
// needed to submit it anew. Databases keep it as a number, the hash of the
// submission's id, the organization, the time of [Hold.Wake], a document and
// the content.
type Hold struct {
	Number     int64  // the database's
	Submission string // the submission's id
	Who        Holder
	Target     authorize.Target
	ID         string
	Version    string
	Due        time.Time // when it stops lying in the future
	Expires    time.Time // when it is given up
	Raw        []byte    // nil once it has ended
	Settlement
}

// A Holder is who shared what waits, as far as the hub needs to know it later:
// the token has to be good then as well.
type Holder struct{ Organization, User, Token, Purpose string }

// A Settlement is how a hold ended: with a version in the one order, or with a
// reason. The zero value means that it waits.
type Settlement struct {
	Success *Success
	Err     *tocsin.Error
}

// Wake is when the hold has to be looked at.
func (h Hold) Wake() time.Time {
	if h.Expires.Before(h.Due) {
		return h.Expires
	}
	return h.Due
}

// hold makes the hold of an object of this submission.
func (r *Recording) hold(o authorize.Held) Hold {
	a := r.Admitted
	return Hold{
		Submission: a.ID(), Target: a.Target(),
		Who: Holder{a.Who().Organization.Name, a.Who().User, a.Who().Token, a.Who().Purpose},
		ID:  o.ID, Version: o.Version, Due: o.Due.UTC(), Expires: a.At().Add(holdTime).UTC(), Raw: o.Raw(),
	}
}

// keep puts what has to wait aside.
func (r *Recording) keep(w Writing, out *Recorded) error {
	held := r.Admitted.Held()
	if len(held) == 0 {
		return nil
	}
	waiting, err := w.Holding(out.Organization)
	if err != nil {
		return err
	}
	for i, o := range held {
		if waiting+i >= MaxHeld {
			refusal := &tocsin.Error{
				Kind: tocsin.Invalid, At: "/modified", Clause: "STIX 2.1 §3.6", Message: "the version lies in the future, and too many of this organization do",
				Hint: "check the clock of the machine that made the object",
			}
			if !r.Admitted.Target().NotBefore.IsZero() {
				refusal = &tocsin.Error{Kind: tocsin.Invalid, Message: "too many versions of this organization wait for the end of a window", Hint: "share the rest after it"}
			}
			out.Failures = append(out.Failures, authorize.Failure{ID: o.ID, Version: o.Version, Err: refusal})
			continue
		}
		h := r.hold(o)
		if err := w.Hold(h); err != nil {
			return err
		}
		out.Pending = append(out.Pending, Pending{h.ID, h.Version, h.Wake()})
	}
	return nil
}

// Recalled is what a hold ends with that who shared it took back.
func Recalled() Settlement {
	return Settlement{Err: &tocsin.Error{Kind: tocsin.Conflict, Message: "the version was taken back while it waited"}}
}

// Merge adds to what was recorded of a submission what has become of its holds.
func (r *Recorded) Merge(holds []Hold) {
	for _, h := range holds {
		switch {
		case h.Submission != r.ID:
		case h.Err != nil:
			r.Failures = append(r.Failures, authorize.Failure{ID: h.ID, Version: h.Version, Err: h.Err})
		case h.Success != nil:
			r.Successes = append(r.Successes, *h.Success)
		default:
			r.Pending = append(r.Pending, Pending{h.ID, h.Version, h.Wake()})
		}
	}
}

// A holdDoc is a hold as JSON, without its number and content.
type holdDoc struct {
	Submission   string    `json:"submission"`
	Organization string    `json:"organization"`
	User         string    `json:"user"`
	Token        string    `json:"token"`
	Purpose      string    `json:"purpose,omitempty"`
	Community    string    `json:"community"`
	Collection   string    `json:"collection"`
	Default      string    `json:"default,omitempty"`
	Recipients   []string  `json:"recipients,omitempty"`
	ID           string    `json:"id"`
	Version      string    `json:"version"`
	Due          time.Time `json:"due"`
	Expires      time.Time `json:"expires"`
	Seq          int64     `json:"seq,omitzero"`
	Known        bool      `json:"known,omitzero"`
	Failure      *failure  `json:"failure,omitempty"`
}

// Encode returns a hold as databases keep it.
func (h Hold) Encode() ([]byte, error) {
	d := holdDoc{
		Submission: h.Submission, Organization: h.Who.Organization, User: h.Who.User, Token: h.Who.Token, Purpose: h.Who.Purpose,
		Community: h.Target.Community, Collection: h.Target.Collection, Default: h.Target.Default.String(), Recipients: h.Target.Recipients,
		ID: h.ID, Version: h.Version, Due: h.Due, Expires: h.Expires,
	}
	if h.Success != nil {
		d.Seq, d.Known = h.Success.Seq, h.Success.Known
	}
	if h.Err != nil {
		f := encodeFailure(authorize.Failure{ID: h.ID, Version: h.Version, Err: h.Err})
		d.Failure = &f
	}
	return json.Marshal(d)
}

// DecodeHold reads what [Hold.Encode] wrote.
func DecodeHold(number int64, doc, raw []byte) (Hold, error) {
	var d holdDoc
	if err := json.Unmarshal(doc, &d); err != nil {
		return Hold{}, err
	}
	h := Hold{
		Number: number, Submission: d.Submission, Who: Holder{d.Organization, d.User, d.Token, d.Purpose},
		Target: authorize.Target{Community: d.Community, Collection: d.Collection, Recipients: d.Recipients},
		ID:     d.ID, Version: d.Version, Due: d.Due, Expires: d.Expires, Raw: slices.Clone(raw),
	}
	if d.Default != "" {
		var ok bool
		if h.Target.Default, ok = tlp.Parse(d.Default); !ok {
			return Hold{}, errors.New("unknown default label")
		}
	}
	if d.Seq > 0 {
		h.Success = &Success{ID: h.ID, Version: h.Version, Seq: d.Seq, Known: d.Known}
	}
	if d.Failure != nil {
		h.Err = d.Failure.decode().Err
	}
	return h, nil
}
