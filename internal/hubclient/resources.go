package hubclient

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Me is who the hub takes the caller for.
type Me struct {
	Organization Organization `json:"organization"`
	User         string       `json:"user"`
	Token        string       `json:"token"`    // its public id
	Purpose      string       `json:"purpose"`  // why it reads; "" when nothing is stated
	Operator     bool         `json:"operator"` // of the hub
	Communities  []Community  `json:"communities"`
}

// An Organization is a member of something.
type Organization struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Kind     string `json:"kind"`
	Identity string `json:"identity"` // id of its STIX identity
}

// A Community is one in which the caller has a part.
type Community struct {
	Name       string `json:"name"`
	Title      string `json:"title"`
	Role       string `json:"role"`
	DefaultTLP string `json:"default_tlp"` // what an unmarked object is taken for
	TAXII      string `json:"taxii"`       // URL of the API root
}

// A Submission is what became of what was shared at once.
type Submission struct {
	ID         string    `json:"id"`
	Community  string    `json:"community"`
	Collection string    `json:"collection"`
	Requested  string    `json:"requested"`
	Successes  []Success `json:"successes"`
	Pending    []Pending `json:"pending"`
	Failures   []Failure `json:"failures"`
	Findings   []Finding `json:"findings"`
	Reviews    int       `json:"reviews"` // values that the hub masked and a person will look at
	Receipt    string    `json:"receipt"` // URL; see [Client.Receipt]
	First      int64     `json:"first"`   // the range of the one order that it took;
	Last       int64     `json:"last"`    // zeros when nothing was new
}

// A Success is an object that is stored.
type Success struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Seq     int64  `json:"seq"`
	Known   bool   `json:"known"` // was there before, with the same content
}

// A Pending object lies in the future and waits.
type Pending struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Due     string `json:"due"` // when it is looked at again
}

// A Failure is an object that was refused, and why.
type Failure struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	At      string `json:"at"`
	Clause  string `json:"clause"`
	Detail  string `json:"detail"`
	Hint    string `json:"hint"`
}

// A Finding is something that the hub's privacy gate noticed and did.
type Finding struct {
	Object string `json:"object"` // the object's id as submitted
	At     string `json:"at"`     // JSON Pointer within the object
	Class  string `json:"class"`
	Rule   string `json:"rule"`
	Action string `json:"action"`
	Why    string `json:"why"`
	Count  int    `json:"count"`
}

// Sightings says who saw an object.
type Sightings struct {
	Count     int64            `json:"count"`
	FirstSeen string           `json:"first_seen"`
	LastSeen  string           `json:"last_seen"`
	Sightings []jsontext.Value `json:"sightings"` // the STIX objects, as they were submitted
}

// An Audience is who would see an object.
type Audience struct {
	TLP           string         `json:"tlp"`
	Organizations []Organization `json:"organizations"`
	Unnamed       int            `json:"unnamed"` // so many more, in a community that keeps the names of its members
}

// A Question is how some objects are marked that nobody has yet: ids of
// marking-definitions, and nothing else of the objects.
type Question struct {
	Markings []string `json:"markings,omitempty"` // of the whole object
	Parts    []string `json:"parts,omitempty"`    // of parts of it
	Linked   []string `json:"linked,omitempty"`   // of what its references lead to
	Closed   []string `json:"closed,omitempty"`   // of those, the ones that leave nothing when they are hidden
}

// A Sight says how many members of a community would see how much of it.
type Sight struct {
	Members int      `json:"members"` // of the community
	Whole   int      `json:"whole"`   // -1: too few for a number that tells of clearances
	Part    int      `json:"part"`    // a copy of the rest
	Names   bool     `json:"names"`   // they are named
	Wholly  []string `json:"wholly"`
	Partly  []string `json:"partly"`
}

// Disclosures is a list of what institutions read.
type Disclosures struct {
	Disclosures []Disclosure `json:"disclosures"`
	More        bool         `json:"more"` // there may be more from Next on
	Next        int64        `json:"next"`
}

// A Disclosure is one read by an institution.
type Disclosure struct {
	Leaf         int64  `json:"leaf"` // number of the record in the ledger; see [Client.RecordReceipt]
	Time         string `json:"time"`
	Organization string `json:"organization"`
	User         string `json:"user"`
	Purpose      string `json:"purpose"`
	Collection   string `json:"collection"`
	From         int64  `json:"from"`
	To           int64  `json:"to"`
	Objects      int    `json:"objects"`
	Receipt      string `json:"receipt"` // URL
}

// Applied is what applying a network document did.
type Applied struct {
	Changes  []Step     `json:"changes"`
	Tokens   []NewToken `json:"tokens"`
	Warnings []string   `json:"warnings"`
	Proposal string     `json:"proposal,omitempty"` // what waits for a second person, by this id
}

// A Step is what became of one entry of a network document.
type Step struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Action string `json:"action"` // "made", "changed", "unchanged", "removed" or "waiting"
	Detail string `json:"detail"`
	ID     string `json:"id"`
}

// A NewToken is a token that was just made: its secret is not shown again.
type NewToken struct {
	Organization string `json:"organization"`
	User         string `json:"user"`
	Name         string `json:"name"`
	ID           string `json:"id"`
	Token        string `json:"token"`
}

// A Review is a value that the hub's privacy gate masked and a person is to look
// at. Original and Text are there only in the answer of [Client.Review].
type Review struct {
	ID          string      `json:"id"`
	State       string      `json:"state"`
	Community   string      `json:"community"`
	Collection  string      `json:"collection"`
	Submission  string      `json:"submission"`
	Owner       string      `json:"owner"`
	Object      string      `json:"object"`
	Version     string      `json:"version"`
	At          string      `json:"at"`
	Class       string      `json:"class"`
	Rule        string      `json:"rule"`
	Placeholder string      `json:"placeholder"`
	Why         string      `json:"why"`
	Made        time.Time   `json:"made"`
	Expires     time.Time   `json:"expires"`
	Ended       string      `json:"ended,omitempty"`
	Opinions    []Opinion   `json:"opinions"`
	Text        string      `json:"text,omitempty"`
	Original    string      `json:"original,omitempty"`
	Result      *Submission `json:"result,omitempty"` // of the version that carries the decision out
}

// An Opinion is what one reviewer wants to be done.
type Opinion struct {
	Organization string `json:"organization"`
	User         string `json:"user"`
	Action       string `json:"action"`
	Reason       string `json:"reason,omitempty"`
	Text         string `json:"text,omitempty"`
	Time         string `json:"time"`
}

// A Decision is what the caller wants to be done with a review: "approve",
// "redact" with a text, or "reject".
type Decision struct {
	ID     string `json:"id"`
	Action string `json:"action"`
	Text   string `json:"text,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Reviews is a page of the queue.
type Reviews struct {
	Reviews []Review `json:"reviews"`
	Next    int64    `json:"next"` // to go on after
	More    bool     `json:"more"` // whether there may be more
}

// A Confirmation says that all up to a cursor is in force at an agent, but for
// some objects.
type Confirmation struct {
	Agent         string   `json:"agent"`           // a UUID that the agent made for itself
	Cursor        string   `json:"cursor"`          // of the last event of the stream that was taken
	FetchedMSAgo  float64  `json:"fetched_ms_ago"`  // when the oldest of what is new came
	DeployedMSAgo float64  `json:"deployed_ms_ago"` // since when all is in force
	Anew          bool     `json:"anew"`            // Idle is all that is not in force
	Idle          []string `json:"idle,omitempty"`  // ids of objects that are not in force
	Busy          []string `json:"busy,omitempty"`  // ids of objects that were not, and are
}

// A Deployment says how far an object has come, in organizations with agents.
type Deployment struct {
	Shared    string   `json:"shared,omitempty"` // when; left out when it was withdrawn
	Followers int      `json:"followers"`        // those that may see it and whose agents confirm
	Fetched   Stage    `json:"fetched"`          // since it was shared
	Deployed  Stage    `json:"deployed"`
	Hit       Stage    `json:"hit"`
	Ended     string   `json:"ended,omitempty"`
	Why       string   `json:"why,omitempty"` // "revoked", "withdrawn" or "expired"
	Retired   Stage    `json:"retired"`       // since it ended
	Holding   int      `json:"holding"`       // those that may have it in force still
	Holders   []Holder `json:"holders,omitempty"`
}

// A Stage is how many organizations came how far, and after how long.
type Stage struct {
	Organizations int     `json:"organizations"`
	P50           float64 `json:"p50_ms"`
	P99           float64 `json:"p99_ms"`
}

// A Holder may have in force still what has ended; only those who moderate see
// who it is.
type Holder struct {
	Organization string `json:"organization"`
	Agents       int    `json:"agents"`
	Seen         string `json:"seen"` // when one of them was last heard of
}

// An Erasure is one part of a search for a value, and what was erased.
type Erasure struct {
	Found   []Located `json:"found"`
	Holds   int       `json:"holds"`   // versions in quarantine that were erased
	Reviews int       `json:"reviews"` // values in review that were erased
	Next    int64     `json:"next"`    // to go on after
	Of      int64     `json:"of"`      // the last position
	More    bool      `json:"more"`
}

// Located is where a value is, or was.
type Located struct {
	Community  string `json:"community"`
	Collection string `json:"collection"` // its id
	ID         string `json:"id"`
	Version    string `json:"version,omitempty"`
	Owner      string `json:"owner,omitempty"`
	Waits      string `json:"waits,omitempty"` // "quarantine" or "review"
	Versions   int    `json:"versions,omitempty"`
	Record     int64  `json:"record,omitempty"`
}

// Rules are a rule file of the privacy gate, and its hash as receipts name it.
type Rules struct {
	Hash string `json:"hash"`
	Text string `json:"text"`
}

// Recalled is what was withdrawn of one object from one collection.
type Recalled struct {
	Community  string `json:"community"`
	Collection string `json:"collection"`
	ID         string `json:"id"` // as published
	Versions   int    `json:"versions"`
	Waiting    int    `json:"waiting,omitempty"` // versions that nobody had seen yet
	Record     int64  `json:"record"`            // number in the ledger, when there were versions
}
