package stix

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Why no new version of an object can be made. The text of these errors quotes
// neither the object nor the changes.
var (
	// ErrNotVersioned is returned for what has no versions: bundles,
	// marking-definitions (STIX 2.1 §7.2.1), objects without a created time, and
	// observables whose identifier others come to as well (§3.6).
	ErrNotVersioned = errors.New("an object of which there can be versions was expected (STIX 2.1 §3.6)")
	// ErrRevoked is returned for objects that are revoked already.
	ErrRevoked = errors.New("the object is revoked, and revocation is permanent (STIX 2.1 §3.6)")
	// ErrUnmodifiable is returned for changes that would make it another object,
	// or another creator's.
	ErrUnmodifiable = errors.New("this property is the same in every version of an object (STIX 2.1 §3.2, §3.6)")
	// ErrModified is returned for a modified time that is not that of a new
	// version.
	ErrModified = errors.New("a modified time later than that of the version before, with three digits or more after the point, was expected (STIX 2.1 §3.2, §3.6)")
	// ErrProperty is returned for changes of what cannot be a property.
	ErrProperty = errors.New("the name of a property was expected (STIX 2.1 §3.1)")
)

// A History is the known versions of one object, each once, the oldest first.
type History []Value

// Versions returns those of the given objects that are versions of the object
// with this id (STIX 2.1 §3.6). A version is identified by its modified time,
// whatever the number of digits it is written with. Of different contents under
// one modified time, for which the standard has no rule, the one given first
// stays; [Conflicts] reports the others. Objects without modified, such as marking-definitions, have the version
// that their created time names, as in TAXII 2.1 §3.4; those without any time
// have one, the oldest.
func Versions(id string, objects []Value) History {
	var h History
	for _, o := range objects {
		if o.Get("id").Is(id) {
			h = append(h, o)
		}
	}
	order := func(a, b Value) int { return compareVersions(versionTime(a), versionTime(b)) }
	slices.SortStableFunc(h, order)
	return slices.CompactFunc(h, func(a, b Value) bool { return order(a, b) == 0 })
}

// First returns the oldest version that is known, absent when none is. It is
// the object's first one only if created and modified are the same in it
// (STIX 2.1 §3.6).
func (h History) First() Value {
	if len(h) == 0 {
		return Value{}
	}
	return h[0]
}

// Newest returns the version that is the object's most recent state and that
// references to it mean (STIX 2.1 §3.6, §3.3); absent when no version is known.
func (h History) Newest() Value {
	if len(h) == 0 {
		return Value{}
	}
	return h[len(h)-1]
}

// At returns the version of exactly this modified time; absent when none is
// known or the text is no timestamp.
func (h History) At(modified string) Value {
	if !isTime(modified) {
		return Value{}
	}
	return h.at([]byte(modified))
}

// at returns the version that a time names, nil for one without.
func (h History) at(modified []byte) Value {
	i, found := slices.BinarySearchFunc(h, modified, func(v Value, at []byte) int {
		return compareVersions(versionTime(v), at)
	})
	if !found {
		return Value{}
	}
	return h[i]
}

// Revoked reports whether any version says that the object is revoked: this is
// permanent and means all versions, past ones and, whatever they say, later
// ones (STIX 2.1 §3.6).
func (h History) Revoked() bool {
	return slices.ContainsFunc(h, func(v Value) bool { return v.Get("revoked").True() })
}

// versionTime returns the time that names an object's version, nil when there is
// none.
func versionTime(v Value) []byte {
	for _, name := range [...]string{"modified", "created"} {
		if at := v.Get(name).inside(); isTime(at) {
			return at
		}
	}
	return nil
}

// compareVersions orders times of which nil is the earliest.
func compareVersions(a, b []byte) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return compareTimes(a, b)
}

// A Change gives a property of an object another value.
type Change struct {
	Property string
	JSON     []byte // the value's JSON text; nil or null takes the property out
}

// NewVersion returns a copy of an object that is its next version: with the
// changes, of which the last for a property counts, and with a modified time of
// now (STIX 2.1 §3.6). The time has milliseconds and is always later than that
// of the version before: when a clock is behind, by the least step. A change of
// modified is taken instead if it is later. What is not touched keeps its bytes,
// as with [Edit]; new properties stand last.
//
// Who may make versions, only the object's creator, is for the caller to know;
// so is whether v is the newest. The result is as valid as the changes are:
// [Validate] it. In particular, markings of a property that is taken out must be
// cleared before, with [ClearMarkings].
//
// The error is [ErrNotVersioned], [ErrRevoked] or [ErrModified];
// [ErrUnmodifiable] for changes of type, spec_version, id, created and
// created_by_ref, and of what the deterministic identifier of an observable is
// computed from (§2.9); [ErrProperty] for names that are none; or the [*Problem]
// of a change's text.
func NewVersion(v Value, now time.Time, changes ...Change) ([]byte, error) {
	last, err := versionBefore(v)
	if err != nil {
		return nil, err
	}
	changes, err = checked(v, changes)
	if err != nil {
		return nil, err
	}
	if isDeterministic(v) {
		// Others come to the same identifier, and would make other versions.
		return nil, ErrNotVersioned
	}
	for _, c := range changes {
		if c.Property == "modified" {
			if !isLater(c.JSON, last) {
				return nil, ErrModified
			}
			return withProperties(v, changes), nil
		}
	}
	at := now.UTC().Truncate(time.Millisecond)
	if !at.After(last) {
		at = last.Truncate(time.Millisecond).Add(time.Millisecond)
	}
	modified := []byte(at.Format(`"2006-01-02T15:04:05.000Z"`))
	if !isLater(modified, last) { // after the year 9999
		return nil, ErrModified
	}
	return withProperties(v, append(changes, Change{Property: "modified", JSON: modified})), nil
}

// Revoke returns a copy of an object that is its last version, the one that says
// that the object and all its versions are no longer valid (STIX 2.1 §3.6). It
// is a [NewVersion], with the same errors.
func Revoke(v Value, now time.Time) ([]byte, error) {
	return NewVersion(v, now, Change{Property: "revoked", JSON: []byte("true")})
}

// versionBefore returns the time that the next version of v must be later than.
func versionBefore(v Value) (time.Time, error) {
	last, ok := ParseTime(v.Get("created").Text())
	is := v.Get("type")
	if !ok || is.Is("marking-definition") || is.Is("bundle") || cutID(v.Get("id").inside()) < 0 {
		return time.Time{}, ErrNotVersioned
	}
	if modified := v.Get("modified"); modified.Exists() {
		at, ok := ParseTime(modified.Text())
		if !ok {
			return time.Time{}, ErrNotVersioned
		}
		if at.After(last) {
			last = at
		}
	}
	if v.Get("revoked").True() {
		return time.Time{}, ErrRevoked
	}
	return last, nil
}

// checked returns the changes, the last for each property, with their texts
// parsed and nil for null.
func checked(v Value, changes []Change) ([]Change, error) {
	var all []Change
	at := map[string]int{}
	for _, c := range changes {
		switch c.Property {
		case "type", "spec_version", "id", "created", "created_by_ref":
			return nil, ErrUnmodifiable
		}
		if !isPropertyName([]byte(c.Property)) {
			return nil, ErrProperty
		}
		if contributes(v, c.Property) {
			return nil, ErrUnmodifiable
		}
		if c.JSON != nil {
			text, err := Parse(c.JSON, Limits{})
			if err != nil {
				return nil, fmt.Errorf("change: %w", err)
			}
			if c.JSON = text.Raw(); text.Kind() == Null {
				c.JSON = nil
			}
		}
		if i, again := at[c.Property]; again {
			all[i] = c
			continue
		}
		at[c.Property] = len(all)
		all = append(all, c)
	}
	return all, nil
}

// contributes reports whether the identifier of an observable is computed from
// a property, in whichever namespace (STIX 2.1 §2.9).
func contributes(v Value, property string) bool {
	t := standard.named(v.Get("type").inside())
	return versionOf(v.Get("id").inside()) == '5' && slices.Contains(t.contributing, property)
}

// isDeterministic reports whether v is an observable whose identifier is that of
// the standard's own namespace, in which nobody may make versions (STIX 2.1
// §3.6).
func isDeterministic(v Value) bool {
	id, ok := DeterministicID(v)
	return ok && v.Get("id").Is(id)
}

// isLater reports whether a JSON text is a modified time later than another.
func isLater(json []byte, last time.Time) bool {
	v, err := Parse(json, Limits{})
	if err != nil {
		return false
	}
	at, ok := ParseTime(v.Text())
	return ok && hasMilliseconds(v.inside()) && at.After(last)
}

// withProperties returns a copy of the object v in which properties, each named
// once, have other values. A property without JSON is taken out. The names need
// no escapes.
func withProperties(v Value, changes []Change) []byte {
	edit := Edit(v)
	var added []byte
	for _, c := range changes {
		switch p := v.Get(c.Property); {
		case p.Exists() && c.JSON == nil:
			edit.Remove(p)
		case p.Exists():
			edit.Replace(p, c.JSON)
		case c.JSON != nil:
			added = append(append(added, `,"`+c.Property+`":`...), c.JSON...)
		}
	}
	text := edit.Bytes()
	if added == nil {
		return text
	}
	inside := bytes.TrimRight(text[:len(text)-1], " \t\r\n")
	if inside[len(inside)-1] == '{' {
		added = added[1:]
	}
	return slices.Concat(inside, added, text[len(inside):])
}
