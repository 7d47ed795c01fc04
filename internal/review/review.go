// Package review says how people decide on what the privacy gate was unsure of: states, opinions, dual control.
package review

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin"
)

// A State is where an item stands: it is pending until people have decided, its
// time is over or its object is.
type State string

// The states of an [Item]. All but Pending are final, and then the original is
// gone.
const (
	Pending    State = "pending"
	Approved   State = "approved"   // the original stands in a following version
	Redacted   State = "redacted"   // a revised text stands in a following version
	Rejected   State = "rejected"   // the placeholder stays
	Expired    State = "expired"    // nobody decided in time; the placeholder stays
	Superseded State = "superseded" // the object has another version of its owner's, or was withdrawn or revoked
)

// An Action is what a reviewer wants to be done.
type Action string

// The actions of an [Opinion].
const (
	Approve Action = "approve"
	Redact  Action = "redact"
	Reject  Action = "reject"
)

// What an opinion may say, in bytes.
const (
	MostReason = 1000
	MostText   = 64 << 10
)

// A Person is who has an opinion.
type Person struct {
	Organization string `json:"organization"`
	User         string `json:"user"`
}

// An Opinion is what one person wants to be done with an item, and why. The
// revised text is for reviewers only until it is published.
type Opinion struct {
	Person

	Action Action    `json:"action"`
	Reason string    `json:"reason,omitempty"`
	Time   time.Time `json:"time"`
	Text   string    `json:"-"` // what is to stand there, for Redact
}

// alike reports whether two opinions lead to the same.
func (o Opinion) alike(p Opinion) bool { return o.Action == p.Action && o.Text == p.Text }

// An Item is one value that the gate masked, and a person is to look at. As JSON
// it is without the value.
type Item struct {
	ID          string    `json:"id"` // a UUID
	Community   string    `json:"community"`
	Collection  string    `json:"collection"` // its id
	Submission  string    `json:"submission"`
	Owner       string    `json:"owner"`   // the organization that submitted it
	Object      string    `json:"object"`  // the object's id as published
	Version     string    `json:"version"` // in which the gate masked the value; "" for objects without versions
	At          string    `json:"at"`      // JSON Pointer within the object
	Class       string    `json:"class"`   // what it may be
	Rule        string    `json:"rule"`
	Placeholder string    `json:"placeholder"` // what stands there
	Why         string    `json:"why"`
	Made        time.Time `json:"made"`
	Expires     time.Time `json:"expires"` // when it is rejected, unless somebody decides before
	State       State     `json:"state"`
	Opinions    []Opinion `json:"opinions,omitempty"` // the last one of each person, oldest first
	Ended       time.Time `json:"ended,omitzero"`

	original string
}

// With returns the item with the value that was masked. It is for stores, which
// alone keep it.
func (i Item) With(original string) Item {
	i.original = original
	return i
}

// Original returns the value as it was submitted, "" once the item has ended or
// when it was read without. It is for reviewers' eyes only.
func (i Item) Original() string { return i.original }

// End returns the item in a final state, without its value and without the
// texts of opinions.
func (i Item) End(s State, at time.Time) Item {
	i.State, i.Ended, i.original = s, at.UTC().Truncate(time.Microsecond), ""
	i.Opinions = slices.Clone(i.Opinions)
	for n := range i.Opinions {
		i.Opinions[n].Text = ""
	}
	return i
}

// An Approval is what enough people have decided on one item. Only
// [Item.Decide] makes one, so that the privacy gate cannot be passed by without.
type Approval struct {
	item Item // as it is when the following version is stored
	text string
}

// Item returns the item in its final state, without the value.
func (a Approval) Item() Item { return a.item }

// Text returns what is to stand in the placeholder's place.
func (a Approval) Text() string { return a.text }

// Decide adds an opinion to a pending item that was read with its value. While
// fewer people than are needed, 1 or 2, want the same, the item stays pending.
// When the last one wants what the others want the item ends: by an approval,
// which is carried out by the version that follows, or rejected.
func (i Item) Decide(o Opinion, reviewers int) (Item, *Approval, error) {
	if i.State != Pending {
		return Item{}, nil, &tocsin.Error{Kind: tocsin.Conflict, Message: "this review has ended: it is " + string(i.State), Hint: "list those that wait with 'tocsin review list'"}
	}
	if !o.Time.Before(i.Expires) {
		return Item{}, nil, &tocsin.Error{Kind: tocsin.Conflict, Message: "the time of this review is over; the placeholder stays"}
	}
	if err := o.check(i.original); err != nil {
		return Item{}, nil, err
	}
	if reviewers > 1 && o.Organization == i.Owner {
		return Item{}, nil, &tocsin.Error{
			Kind: tocsin.Forbidden, Message: "two people decide in this community, and none of the organization that submitted the value", Hint: "ask curators of other organizations",
		}
	}
	i.Opinions = slices.DeleteFunc(slices.Clone(i.Opinions), func(p Opinion) bool { return p.Person == o.Person })
	i.Opinions = append(i.Opinions, o)
	agreed := 0
	for _, p := range i.Opinions {
		if p.alike(o) {
			agreed++
		}
	}
	if agreed < max(reviewers, 1) {
		return i, nil, nil
	}
	switch original := i.original; o.Action {
	case Approve:
		return i, &Approval{i.End(Approved, o.Time), original}, nil
	case Redact:
		return i, &Approval{i.End(Redacted, o.Time), o.Text}, nil
	case Reject:
	}
	return i.End(Rejected, o.Time), nil, nil
}

// leastOriginal is the length of the shortest value that is looked for in
// reasons: shorter ones are in every other word.
const leastOriginal = 4

// check refuses opinions that cannot be carried out, or that would keep or
// publish the value by another way.
func (o Opinion) check(original string) error {
	refuse := func(at, message, hint string) error {
		return &tocsin.Error{Kind: tocsin.Invalid, At: at, Message: message, Hint: hint}
	}
	holds := func(text string) bool {
		return len(original) >= leastOriginal && strings.Contains(strings.ToLower(text), strings.ToLower(original))
	}
	switch {
	case o.Action != Approve && o.Action != Redact && o.Action != Reject:
		return refuse("/action", "this is no decision", "write approve, redact or reject")
	case len(o.Reason) > MostReason || !utf8.ValidString(o.Reason):
		return refuse("/reason", "the reason is longer than 1,000 bytes, or no text", "shorten it")
	case holds(o.Reason):
		return refuse("/reason", "the reason repeats the value, and reasons are kept", "say why without it")
	case o.Action != Redact && o.Text != "":
		return refuse("/text", "only redact takes a text", "leave it out")
	case o.Action == Redact && (o.Text == "" || len(o.Text) > MostText || !utf8.ValidString(o.Text)):
		return refuse("/text", "redact needs a revised text of at most 64 KiB", "to leave the placeholder there, reject")
	case o.Action == Redact && holds(o.Text):
		return refuse("/text", "the revised text still holds the value", "take it out, or approve to restore it")
	}
	return nil
}

// stored is an item as stores keep it: with the texts of opinions, which
// everybody else is not shown.
type stored struct {
	Item

	Texts []string `json:"texts,omitempty"`
}

// Encode returns an item as stores keep it, without the value.
func (i Item) Encode() ([]byte, error) {
	s := stored{Item: i}
	for _, o := range i.Opinions {
		s.Texts = append(s.Texts, o.Text)
	}
	return json.Marshal(s)
}

// Decode reads what [Item.Encode] wrote.
func Decode(doc []byte) (Item, error) {
	var s stored
	if err := json.Unmarshal(doc, &s); err != nil {
		return Item{}, err
	}
	for n, text := range s.Texts {
		if n < len(s.Opinions) {
			s.Opinions[n].Text = text
		}
	}
	return s.Item, nil
}
