// Package minimize removes what a defender does not need and a person would mind sharing.
package minimize

import "tocsin/internal/validate"

// A Bundle is a submission without what nobody needs. Only [Gate.Apply] makes
// one.
type Bundle struct {
	objects  []Object
	rejected []validate.Rejection
	findings []Finding
	rules    string
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

// An Object is a STIX object after the gate.
type Object struct {
	validate.Object        // as validated; of the changed copy when there is one
	original        string // the id under which it was submitted, when the gate changed it
}

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
	Action string `json:"action"` // "masked", "dropped", "generalized" or "left"
	Why    string `json:"why"`    // for people, with the citation
	Count  int    `json:"count"`  // how many values at this place
}
