// Package minimize removes what a defender does not need and a person would mind sharing.
package minimize

import (
	"tocsin/internal/review"
	"tocsin/internal/validate"
)

// A Bundle is a submission without what nobody needs. Only [Gate.Apply] makes
// one.
type Bundle struct {
	objects  []Object
	rejected []validate.Rejection
	findings []Finding
	reviews  []Review
	rules    string
	restored []review.Approval // what people decided; [Gate.Restore] alone sets it
}

// Objects returns the objects as they may be shared, in the order in which
// they came.
func (b Bundle) Objects() []Object { return b.objects }

// Rejected returns what validation refused.
func (b Bundle) Rejected() []validate.Rejection { return b.rejected }

// Findings returns what the gate noticed and did, in the order of the objects.
func (b Bundle) Findings() []Finding { return b.findings }

// Rules returns the hash of the rules that were applied, for the receipt:
// "sha256:" and 64 hexadecimal digits.
func (b Bundle) Rules() string { return b.rules }

// Restored returns the decisions that the bundle carries out, if it comes from
// [Gate.Restore].
func (b Bundle) Restored() []review.Approval { return b.restored }

// Reviews returns what is for a person to look at, in the order of the objects.
// It has been masked or withheld meanwhile.
func (b Bundle) Reviews() []Review { return b.reviews }

// An Object is a STIX object after the gate.
type Object struct {
	validate.Object        // as validated; of the changed copy when there is one
	original        string // the id under which it was submitted, when the gate changed it
	reviews         []Review
}

// Reviews returns what in the object is for a person to look at.
func (o Object) Reviews() []Review { return o.reviews }

// Original returns the id that the object had when it was submitted, "" when
// the gate left it alone.
func (o Object) Original() string { return o.original }

// Raw returns the bytes that may be shared.
func (o Object) Raw() []byte { return o.Value().Raw() }

// A Finding is something that the gate noticed: what, where, why, and what it
// did. It never holds the value.
type Finding struct {
	Object string `json:"object"` // the object's id as submitted
	At     string `json:"at"`     // JSON Pointer within the object
	Class  string `json:"class"`  // what kind of value: "email", "user-name", "secret", …
	Rule   string `json:"rule"`   // the rule's name in the rule set
	Action string `json:"action"` // "masked", "dropped", "generalized", "withheld" or "left"
	Why    string `json:"why"`    // for people, with the citation
	Count  int    `json:"count"`  // how many values at this place
}

// A Review is a value that the gate is not sure of, and what it put in its
// place: enough for a person to decide, and to restore the value in a following
// version. As JSON and in logs it is without the value.
type Review struct {
	Object      string `json:"object"`      // the object's id as submitted
	At          string `json:"at"`          // JSON Pointer within the object
	Class       string `json:"class"`       // what kind of value it may be, or "free-text"
	Rule        string `json:"rule"`        // the rule's name in the rule set
	Placeholder string `json:"placeholder"` // what stands there now
	Why         string `json:"why"`         // for people, with the citation

	original string
}

// Original returns the value as it was submitted. It is for the queue in which
// people decide, and for nobody else's eyes.
func (r Review) Original() string { return r.original }
