package pattern

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// ErrNotObserved is what [FromBundle] returns, with the reason, for a bundle
// whose observations cannot be read.
var ErrNotObserved = errors.New("not a readable observation")

// maxCount is the largest number_observed, STIX 2.1 §4.14.
const maxCount = 999_999_999

// An Observation is what one observed-data object reports (STIX 2.1 §4.14):
// some objects that were seen together, Count times between First and Last.
// It is made by [NewObservation] or [FromBundle] and may be used by many
// goroutines as long as nobody changes the properties it was made from.
type Observation struct {
	ID          string // of the observed-data object; only for the caller
	First, Last time.Time
	Count       int

	objects []object          // what object types are looked up in
	byName  map[string]object // what references are looked up in
}

// An object is one cyber-observable object of an observation.
type object struct {
	kind  string
	props map[string]any
}

// NewObservation returns an observation of objects that were seen count times
// between first and last. The keys are what references name: the ids of the
// objects, or the keys of the old dictionary form. Properties are decoded
// JSON: map[string]any, []any, string, bool, nil, and for numbers float64,
// int, int64 or json.Number. Objects without a type are never matched. A count
// below 1 counts as 1.
func NewObservation(id string, first, last time.Time, count int, objects map[string]map[string]any) Observation {
	o := Observation{ID: id, First: first, Last: last, Count: max(count, 1), byName: make(map[string]object, len(objects))}
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		kind, _ := objects[name]["type"].(string)
		found := object{kind, objects[name]}
		o.byName[name] = found
		if kind != "" {
			o.objects = append(o.objects, found)
		}
	}
	return o
}

// FromBundle returns the observations of a decoded STIX bundle: one for each
// of its observed-data objects, in their order, in the form with object_refs
// and in the old form with objects. Only objects that an observed-data names
// are matched or reached through references (STIX 2.1 §9.7.4). An observed-data
// object without valid first_observed, last_observed and number_observed is
// [ErrNotObserved].
func FromBundle(bundle map[string]any) ([]Observation, error) {
	members, _ := bundle["objects"].([]any)
	byID := make(map[string]map[string]any, len(members))
	for _, m := range members {
		if props, ok := m.(map[string]any); ok {
			if id, ok := props["id"].(string); ok {
				byID[id] = props
			}
		}
	}
	var observations []Observation
	for i, m := range members {
		props, ok := m.(map[string]any)
		if !ok || props["type"] != "observed-data" {
			continue
		}
		o, err := observed(props, byID)
		if err != nil {
			return nil, fmt.Errorf("object %d of the bundle: %w", i, err)
		}
		observations = append(observations, o)
	}
	return observations, nil
}

func observed(props map[string]any, byID map[string]map[string]any) (Observation, error) {
	first, firstOK := moment(props["first_observed"])
	last, lastOK := moment(props["last_observed"])
	if !firstOK || !lastOK || last.Before(first) {
		return Observation{}, fmt.Errorf("first_observed and last_observed: %w", ErrNotObserved)
	}
	count, ok := number(props["number_observed"])
	if !ok || count < 1 || count > maxCount || count != math.Trunc(count) {
		return Observation{}, fmt.Errorf("number_observed: %w", ErrNotObserved)
	}
	objects := make(map[string]map[string]any)
	if dictionary, ok := props["objects"].(map[string]any); ok {
		for name, v := range dictionary {
			if o, ok := v.(map[string]any); ok {
				objects[name] = o
			}
		}
	}
	if refs, ok := props["object_refs"].([]any); ok {
		for _, v := range refs {
			if id, ok := v.(string); ok && byID[id] != nil {
				objects[id] = byID[id]
			}
		}
	}
	id, _ := props["id"].(string)
	return NewObservation(id, first, last, int(count), objects), nil
}

func moment(v any) (time.Time, bool) {
	s, ok := v.(string)
	if !ok {
		return time.Time{}, false
	}
	t, _, real := parseTime(s)
	return t, real
}

// number returns a decoded JSON number. An int64 beyond ±2⁵³ is outside of
// what STIX allows and is rounded.
func number(v any) (float64, bool) {
	switch n := v.(type) {
	case float64:
		return n, true
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case interface{ Float64() (float64, error) }: // json.Number
		f, err := n.Float64()
		return f, err == nil
	default:
		return 0, false
	}
}
