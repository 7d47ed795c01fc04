package receipt

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A Kind says what sort of statement a record holds: 1 to 32 characters of
// a-z and -. A verifier accepts kinds that it does not know, so that an old
// program can check the receipts of a newer hub.
type Kind string

// The kinds of statements that this package has types for.
const (
	KindSubmission Kind = "submission"
	KindDisclosure Kind = "disclosure"
	KindWithdrawal Kind = "withdrawal"
	KindDirectory  Kind = "directory"
	KindReview     Kind = "review"
)

// A Statement is one fact that a hub puts on record: a [Submission], a
// [Disclosure], a [Withdrawal], a [Review] or a [Directory] change.
//
//sumtype:decl
type Statement interface {
	// stamped returns the statement with its kind set and its time in UTC, cut
	// to microseconds.
	stamped() (Statement, Kind, time.Time)
}

// A Submission states what one member shared at once, how it was minimized,
// with whom and under which rules: what 6 USC 1503(c), (d) and 1505 ask about,
// as far as a hub can know it. It says what was done; it is not legal advice.
type Submission struct {
	Kind Kind      `json:"kind"`
	Hub  string    `json:"hub"`  // the ledger's origin
	ID   string    `json:"id"`   // submission id, a UUID
	Time time.Time `json:"time"` // when it was recorded, UTC, microseconds

	Organization string `json:"organization"`
	User         string `json:"user,omitempty"`
	Community    string `json:"community"`
	Collection   string `json:"collection"`
	Purpose      string `json:"purpose,omitempty"` // as the submitter's token states it (6 USC 1503(c))

	// RulesHash names the minimization rules that ran, the "technical capability
	// configured to remove" (6 USC 1503(d)(2)(B)): "sha256:" and 64 hexadecimal
	// digits. Removed counts the values that each rule took out.
	RulesHash string         `json:"rules_hash"`
	Removed   map[string]int `json:"removed"`

	// Recipients are the organizations that were named, or "community:" and the
	// community's name when none was. Restrictions are the ids of all markings
	// on the objects: the sharer's conditions, which every recipient must follow
	// (6 USC 1503(c)). Default is the TLP label that unmarked objects were taken
	// to have.
	Recipients   []string `json:"recipients"`
	Restrictions []string `json:"restrictions"`
	Default      string   `json:"default,omitempty"`

	// Objects are the versions that the hub holds because of this submission, or
	// held already with the same content, in the order in which they were sent.
	// Held counts those that wait, because they lie in the future: each is a
	// submission of its own when its time comes. Failed counts those that were
	// refused.
	Objects []ObjectRef `json:"objects"`
	Held    int         `json:"held,omitzero"`
	Failed  int         `json:"failed"`

	// Reviewed are the decisions of reviewers that the objects carry out.
	Reviewed []Reviewed `json:"reviewed,omitempty"`
}

// A Reviewed value is one that the privacy gate had masked, and that people have
// restored or revised.
type Reviewed struct {
	Review string   `json:"review"` // the review's id, a UUID
	Object string   `json:"object"` // as published
	At     string   `json:"at"`     // JSON Pointer within the object
	Class  string   `json:"class"`
	State  string   `json:"state"` // "approved" or "redacted"
	By     []string `json:"by"`    // organization/user of each who had an opinion
}

// A Review states that somebody looked at a value that the privacy gate had
// masked, or said what is to become of it.
type Review struct {
	Kind Kind      `json:"kind"`
	Hub  string    `json:"hub"`
	Time time.Time `json:"time"`

	Organization string `json:"organization,omitempty"` // "" when the hub itself did it
	User         string `json:"user,omitempty"`
	Purpose      string `json:"purpose,omitempty"`
	Community    string `json:"community"`

	Review string `json:"review"` // the review's id, a UUID
	Object string `json:"object"` // as published
	At     string `json:"at"`     // JSON Pointer within the object
	Class  string `json:"class"`

	Action string `json:"action"` // "shown", "approve", "redact", "reject", "expire", "erase"
	Reason string `json:"reason,omitempty"`
	State  string `json:"state"` // of the review after it
}

// An ObjectRef names one version of an object without its content.
type ObjectRef struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"` // of the stored bytes, lower-case hexadecimal
	Seq     int64  `json:"seq"`    // position in the hub's one order, from 1
}

// A Disclosure states that a range of the hub's order was given to a reader.
type Disclosure struct {
	Kind Kind      `json:"kind"`
	Hub  string    `json:"hub"`
	Time time.Time `json:"time"`

	Organization     string `json:"organization"`
	OrganizationKind string `json:"organization_kind"`
	User             string `json:"user,omitempty"`
	Purpose          string `json:"purpose,omitempty"`
	Community        string `json:"community"`
	Collection       string `json:"collection"`

	From    int64 `json:"from"`    // first sequence number of the range
	To      int64 `json:"to"`      // last one, inclusive
	Objects int   `json:"objects"` // how many objects of it the reader got
}

// A Cause says why versions were deleted.
type Cause string

// The causes of a [Withdrawal].
const (
	Recalled Cause = ""        // who shared them, or a curator, took them back
	Expired  Cause = "expired" // the community keeps such objects no longer; Rule says which rule
	Erased   Cause = "erased"  // they held a value that somebody asked to be erased
)

// A Withdrawal states that versions of objects were deleted: their content is
// gone from the hub.
type Withdrawal struct {
	Kind Kind      `json:"kind"`
	Hub  string    `json:"hub"`
	Time time.Time `json:"time"`

	Organization string `json:"organization"` // "" when the hub itself did it
	User         string `json:"user,omitempty"`
	Community    string `json:"community"`
	Collection   string `json:"collection"`

	ID       string      `json:"id"`       // "" when they are of several objects
	Versions []ObjectRef `json:"versions"` // Seq is where the version was
	Reason   string      `json:"reason,omitempty"`
	Cause    Cause       `json:"cause,omitempty"`
	Rule     string      `json:"rule,omitempty"` // what the rule says, and why
}

// A Directory statement says that who may speak, or to whom, was changed.
type Directory struct {
	Kind Kind      `json:"kind"`
	Hub  string    `json:"hub"`
	Time time.Time `json:"time"`

	Organization string   `json:"organization,omitempty"` // whose user did it; "" for the hub itself
	User         string   `json:"user,omitempty"`
	Summary      []string `json:"summary"` // what was done, for people
	Changes      []Change `json:"changes"`
}

// A Change is one record of the directory that was written or deleted.
type Change struct {
	Subject string `json:"subject"` // what it is a record of, e.g. "organization"
	Key     string `json:"key"`
	Deleted bool   `json:"deleted,omitempty"`
	SHA256  string `json:"sha256,omitempty"` // of the new record, lower-case hexadecimal
}

func (s Submission) stamped() (Statement, Kind, time.Time) {
	s.Kind, s.Time = KindSubmission, stamp(s.Time)
	return s, s.Kind, s.Time
}

func (s Disclosure) stamped() (Statement, Kind, time.Time) {
	s.Kind, s.Time = KindDisclosure, stamp(s.Time)
	return s, s.Kind, s.Time
}

func (s Withdrawal) stamped() (Statement, Kind, time.Time) {
	s.Kind, s.Time = KindWithdrawal, stamp(s.Time)
	return s, s.Kind, s.Time
}

func (s Directory) stamped() (Statement, Kind, time.Time) {
	s.Kind, s.Time = KindDirectory, stamp(s.Time)
	return s, s.Kind, s.Time
}

func (s Review) stamped() (Statement, Kind, time.Time) {
	s.Kind, s.Time = KindReview, stamp(s.Time)
	return s, s.Kind, s.Time
}

func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// canonical returns v as RFC 8785 JSON.
func canonical(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	c := jsontext.Value(b)
	if err := c.Canonicalize(); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return c, nil
}
