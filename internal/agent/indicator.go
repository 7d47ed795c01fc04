package agent

import (
	"strings"
	"time"

	parsed "tocsin/internal/indicator"
	"tocsin/internal/match"
	"tocsin/stix"
	"tocsin/stix/pattern"
	"tocsin/tlp"
)

// An indicator is what the agent keeps of a STIX indicator: its newest version,
// reduced to what can be looked for.
type indicator struct {
	ID      string        `json:"id"`
	Version time.Time     `json:"v"`               // its modified property
	Values  []storedValue `json:"is,omitempty"`    // what makes the pattern match alone
	From    time.Time     `json:"from,omitzero"`   // when it becomes valid
	Until   time.Time     `json:"until,omitzero"`  // when it is no longer valid; zero: never
	Revoked bool          `json:"gone,omitempty"`  // for good (STIX 2.1 §3.6)
	Barred  string        `json:"bar,omitempty"`   // why none of its values may be blocked
	TLP     tlp.Label     `json:"tlp,omitempty"`   // the most restrictive one on it; none: the community's default
	Secret  bool          `json:"quiet,omitempty"` // to say that it was seen could say that it exists
	key     string        // names it, and the collection that it is in, to the set
	active  bool          // its values are in the set and on the lists
	came    time.Time     // when it came; zero: in an earlier run
}

// A storedValue is a value as it is written to the state.
type storedValue struct {
	Kind match.Kind `json:"k"`
	Text string     `json:"t"`
}

// The reasons to block no value of an indicator.
const (
	barBenign = "benign" // it shows what is harmless
	barPAP    = "PAP"    // its producer wants no action that others can notice (PAP:RED, PAP:AMBER)
)

// readIndicator reads a STIX indicator. It reports false for any other object,
// and for what no producer of STIX writes.
func readIndicator(v stix.Value) (*indicator, bool) {
	id := v.Get("id").Text()
	kind, _, ok := stix.SplitID(id)
	version, isTime := stix.ParseTime(v.Get("modified").Text())
	if !ok || !isTime || kind != "indicator" || !v.Get("type").Is("indicator") {
		return nil, false
	}
	in := &indicator{ID: id, Version: version, Revoked: v.Get("revoked").True()}
	if in.Revoked {
		return in, true
	}
	in.From, ok = stix.ParseTime(v.Get("valid_from").Text())
	if until := v.Get("valid_until"); ok && until.Exists() {
		in.Until, ok = stix.ParseTime(until.Text())
	}
	if !ok || !v.Get("pattern_type").Is("stix") {
		return in, true // kept, so that an older version does not stand in for it
	}
	in.mark(v)
	if p, err := pattern.Parse(v.Get("pattern").Text()); err == nil {
		in.Values = values(p)
	}
	return in, true
}

// mark notes what the producer wants to be done, and not to be done, with it.
func (in *indicator) mark(v stix.Value) {
	for _, t := range v.Get("indicator_types").Elements() {
		if t.Is("benign") { // STIX 2.1 §10.6
			in.Barred = barBenign
		}
	}
	for _, l := range v.Get("labels").Elements() {
		switch strings.ToUpper(l.Text()) {
		case "PAP:RED", "PAP:AMBER":
			in.Barred = barPAP
		}
	}
	refs := v.Get("object_marking_refs")
	note := func(ref stix.Value) {
		label, ok := tlp.FromMarking(ref.Text())
		in.TLP = max(in.TLP, label)
		in.Secret = in.Secret || !ok || label == tlp.Red
	}
	for _, ref := range refs.Elements() {
		note(ref)
	}
	for _, granular := range v.Get("granular_markings").Elements() {
		if ref := granular.Get("marking_ref"); ref.Exists() {
			note(ref)
		}
	}
}

// values returns what makes a pattern match by itself. What cannot be read as a
// value has no kind, and is nothing to keep or to show.
func values(p *pattern.Pattern) (stored []storedValue) {
	found, unread := parsed.Values(p)
	for _, v := range found {
		stored = append(stored, storedValue{v.Kind(), v.Text()})
	}
	if unread > 0 {
		stored = append(stored, storedValue{})
	}
	return stored
}
