package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	parsed "tocsin/internal/indicator"
	"tocsin/internal/match"
	"tocsin/internal/observe"
	"tocsin/stix"
	"tocsin/tlp"
)

// An indicator is what the agent keeps of one: its newest version, reduced to
// what can be looked for and what may be done with it.
type indicator struct {
	ID         string        `json:"id"`
	Version    time.Time     `json:"v,omitzero"`     // its modified property
	Values     values        `json:"is,omitempty"`   // each makes its pattern match alone
	Unread     int           `json:"u,omitempty"`    // constants of the pattern that are no value
	Pattern    string        `json:"p,omitempty"`    // the STIX pattern, where Values are not all of it
	From       time.Time     `json:"from,omitzero"`  // when it becomes valid
	Until      time.Time     `json:"until,omitzero"` // when it is no longer valid; zero: never
	Revoked    bool          `json:"gone,omitempty"` // for good (STIX 2.1 §3.6)
	Benign     bool          `json:"ok,omitempty"`   // it shows what is harmless
	Action     parsed.Action `json:"a,omitempty"`    // what may be done at most, without what Marked say
	Marked     []string      `json:"m,omitempty"`    // markings that a policy has to explain
	TLP        tlp.Label     `json:"tlp,omitempty"`  // the most restrictive one on it; none: the community's default
	Quiet      bool          `json:"quiet,omitempty"`
	Creator    string        `json:"by,omitempty"`
	Confidence int           `json:"c,omitempty"`
	Kind       string        `json:"kind,omitempty"` // of the rule that it carries
	Rule       string        `json:"rule,omitempty"`

	shelf  *shelf           // where it is kept
	active bool             // it is valid now: its values are in the set, as far as it may be looked for
	sought bool             // its values are in the set
	came   time.Time        // when it came; zero: in an earlier run
	whole  *observe.Pattern // what Pattern is, while it is sought
}

// values are written to the state as kind and text, and read like any other
// text: a state that somebody changed holds no more than values.
type values []match.Value

type storedValue struct {
	Kind match.Kind `json:"k"`
	Text string     `json:"t"`
}

// MarshalJSON is for the journal.
func (v values) MarshalJSON() ([]byte, error) {
	stored := make([]storedValue, 0, len(v))
	for _, one := range v {
		stored = append(stored, storedValue{one.Kind(), one.Text()})
	}
	text, err := json.Marshal(stored)
	if err != nil {
		return nil, fmt.Errorf("values: %w", err)
	}
	return text, nil
}

// UnmarshalJSON is for the journal. What is no value is left out.
func (v *values) UnmarshalJSON(text []byte) error {
	var stored []storedValue
	if err := json.Unmarshal(text, &stored); err != nil {
		return fmt.Errorf("values: %w", err)
	}
	for _, s := range stored {
		if one, ok := match.Parse(s.Kind, s.Text); ok {
			*v = append(*v, one)
		}
	}
	return nil
}

// readIndicator reads a STIX indicator. It reports false for any other object,
// and for what no producer of STIX writes.
func readIndicator(v stix.Value) (*indicator, bool) {
	in, ok := parsed.FromSTIX(v)
	if !ok || in.Version.IsZero() {
		return nil, false
	}
	if !in.Revoked && in.From.IsZero() { // it is required (STIX 2.1 §4.7)
		in.Values, in.Rule, in.Pattern = nil, "", "" // kept, so that an older version does not stand in for it
	}
	if until := v.Get("valid_until"); until.Exists() && in.Until.IsZero() {
		in.Values, in.Rule, in.Pattern = nil, "", ""
	}
	return reduce(&in), true
}

// reduce keeps what the agent needs of an indicator.
func reduce(in *parsed.Indicator) *indicator {
	if in.Revoked {
		return &indicator{ID: in.ID, Version: in.Version, Revoked: true}
	}
	kept := &indicator{
		ID: in.ID, Version: in.Version, Values: in.Values, Unread: in.Unread, Pattern: in.Pattern, From: in.From, Until: in.Until, Benign: in.Benign, Action: in.Action,
		Marked: in.Marked, TLP: in.TLP, Quiet: in.Quiet, Creator: in.Creator, Confidence: in.Confidence, Rule: in.Rule,
	}
	if kept.Rule != "" {
		kept.Kind = in.Kind
	}
	return kept
}

// source is the same indicator as policies and exports know it.
func (in *indicator) source() *parsed.Indicator {
	return &parsed.Indicator{
		ID: in.ID, Values: in.Values, From: in.From, Until: in.Until, Action: in.Action, Marked: in.Marked, TLP: in.TLP, Benign: in.Benign,
		Revoked: in.Revoked, Version: in.Version, Creator: in.Creator, Confidence: in.Confidence, Rule: in.Rule, Kind: in.Kind,
	}
}

// key names the indicator, and the shelf that it is on, to the set.
func (in *indicator) key() string { return in.shelf.key + " " + in.ID }

func (in *indicator) collection() Collection { return in.shelf.collection }

// cutKey takes an indicator's key apart.
func cutKey(key string) (shelf, id string) {
	at := strings.LastIndexByte(key, ' ')
	return key[:max(at, 0)], key[at+1:]
}

// collectionOf returns the collection that a shelf's key names.
func collectionOf(key string) (c Collection) {
	c.Community, c.Collection, _ = strings.Cut(key, "/")
	return c
}

// dropOne returns a list without one element.
func dropOne(list []*indicator, in *indicator) []*indicator {
	return slices.DeleteFunc(list, func(other *indicator) bool { return other == in })
}
