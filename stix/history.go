package stix

import (
	"errors"
	"time"
)

// Why an object may not become part of a [History]. The text of these errors
// quotes neither the object nor the history.
var (
	// ErrCreator is returned for an object that is not what a version by the
	// object's creator would be: its type, created or created_by_ref differ.
	ErrCreator = errors.New("a version by the object's creator, with the same type, created and created_by_ref, was expected (STIX 2.1 §3.2, §3.6)")
	// ErrConflict is returned for another content under the modified time of a
	// known version: the known one stays.
	ErrConflict = errors.New("this version is known with another content (STIX 2.1 §3.6)")
	// ErrFuture is returned for a version of the future, which is to be kept
	// apart until its time comes: it would hide every version until then.
	ErrFuture = errors.New("the version lies in the future (STIX 2.1 §3.6)")
)

// MostSkew is how far the clock of an object's creator may be ahead.
const MostSkew = time.Hour

// InFuture reports whether an object's version, or without modified its
// creation, lies more than [MostSkew] after now. STIX leaves to the consumer
// what to do with it (STIX 2.1 §3.6); it should be put into quarantine.
func InFuture(v Value, now time.Time) bool {
	at, ok := ParseTime(string(versionTime(v)))
	return ok && at.After(now.Add(MostSkew))
}

// Check reports why an object may not join the history, nil when it may
// (STIX 2.1 §3.6). Versions may come late and in any order, and the same one
// again. Of a revoked object no later version is taken: revocation is final.
//
// The error is [ErrNotVersioned] for another object's version, [ErrCreator],
// [ErrConflict], [ErrRevoked] or [ErrFuture], in this order. Who sent the object
// is for the caller to know: created_by_ref is only what it says.
func (h History) Check(next Value, now time.Time) error {
	if len(h) > 0 {
		first := h[0]
		if id := next.Get("id"); id.Kind() != String || !first.Get("id").Is(id.Text()) {
			return ErrNotVersioned
		}
		if !sameText(first, next, "type") || !sameText(first, next, "created_by_ref") || !sameTime(first.Get("created"), next.Get("created")) {
			return ErrCreator
		}
	}
	for _, known := range h {
		switch order := compareVersions(versionTime(known), versionTime(next)); {
		case order == 0 && ContentHash(known) != ContentHash(next):
			return ErrConflict
		case order == 0:
			return nil
		case order < 0 && known.Get("revoked").True():
			return ErrRevoked
		}
	}
	if InFuture(next, now) {
		return ErrFuture
	}
	return nil
}

func sameText(a, b Value, property string) bool {
	a, b = a.Get(property), b.Get(property)
	return a.Exists() == b.Exists() && a.Text() == b.Text()
}

// sameTime compares times as times, and anything else as text.
func sameTime(a, b Value) bool {
	if isTime(a.inside()) && isTime(b.inside()) {
		return compareTimes(a.inside(), b.inside()) == 0
	}
	return string(a.Raw()) == string(b.Raw())
}

// A Conflict is two contents under one version of an object.
type Conflict struct {
	Kept  Value // the one that was given first, and is in the [History]
	Other Value // the one to report
}

// Conflicts returns those of the given objects that [Versions] leaves out of the
// history of an id because another content came first under their modified time
// (STIX 2.1 §3.6), in the order in which they are given. What is only written
// otherwise, as [ContentHash] tells, is no conflict.
func Conflicts(id string, objects []Value) []Conflict {
	h := Versions(id, objects)
	var found []Conflict
	for _, o := range objects {
		if !o.Get("id").Is(id) {
			continue
		}
		if kept := h.at(versionTime(o)); kept != o && ContentHash(kept) != ContentHash(o) {
			found = append(found, Conflict{Kept: kept, Other: o})
		}
	}
	return found
}
