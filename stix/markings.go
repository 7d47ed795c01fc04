package stix

import (
	"errors"
	"slices"
	"strings"
)

// Why the operations on markings refuse a call. The text of these errors quotes
// neither the object nor the call.
var (
	// ErrSelector is returned for a [Scope] that selects nothing that is there.
	ErrSelector = errors.New("a selector of something that is in the object was expected (STIX 2.1 §7.2.3)")
	// ErrMarking is returned for what cannot mark: no marking at all, what is
	// neither the id of a marking-definition nor a language, a language for a
	// whole object, and a marking-definition for itself.
	ErrMarking = errors.New("the ids of other marking-definitions, or for parts of an object languages, were expected (STIX 2.1 §3.2, §7.2.3)")
	// ErrNotMarked is returned when there are markings, but none to take away.
	ErrNotMarked = errors.New("the object has markings, but none of those that were to be taken away (STIX 2.1 §7.2)")
)

// A Scope is what markings apply to: [WholeObject], or the [Parts] of one. The
// zero Scope is nothing, which every operation refuses: a list of selectors that
// happens to be empty never comes to mean the whole object.
type Scope struct {
	whole     bool
	selectors []string
}

// WholeObject is an object with all its contents, which its object_marking_refs
// mark (STIX 2.1 §7.2.2).
func WholeObject() Scope { return Scope{whole: true} }

// Parts are what selectors select in an object, each with all that is inside it,
// which its granular_markings mark (STIX 2.1 §7.2.3).
func Parts(selectors ...string) Scope { return Scope{selectors: selectors} }

// check demands that the scope is something in the object v.
func (at Scope) check(v Value) error {
	if v.Kind() != Object || !at.whole && len(at.selectors) == 0 {
		return ErrSelector
	}
	var index selectorIndex
	for _, s := range at.selectors {
		if steps, ok := ParseSelector(s); !ok || !index.find(v, steps).Exists() {
			return ErrSelector
		}
	}
	return nil
}

// MarkingOptions say which markings of a part [Markings] and [IsMarked] look
// at. The zero value means the markings that name exactly this part. For a
// [WholeObject] the options mean nothing: its markings are its
// object_marking_refs.
type MarkingOptions struct {
	Inherited        bool // also those of what the part is in, up to the whole object
	Descendants      bool // also those of what is inside the part
	WithoutRefs      bool // only languages
	WithoutLanguages bool // only marking-definitions
}

// Markings returns what an object, or parts of it, are marked with: the ids of
// marking-definitions, and for parts languages (RFC 5646), each once, in the
// order of the text and those of the whole object first (STIX 2.1 §7.2.2,
// §7.2.3). It reads what [Validate] refuses as well: a marking that is no text
// is returned as it stands, so that it counts as one that nobody knows.
//
// The error is [ErrSelector]. The time grows with the number of selectors in at
// times the number of those in the object.
func Markings(v Value, at Scope, options MarkingOptions) ([]string, error) {
	if err := at.check(v); err != nil {
		return nil, err
	}
	var found marks
	if at.whole || options.Inherited && !options.WithoutRefs {
		for ref := range items(v.Get("object_marking_refs")) {
			found.add(nameOf(ref))
		}
	}
	if at.whole {
		return found.names, nil
	}
	for entry := range items(v.Get("granular_markings")) {
		for s := range items(entry.Get("selectors")) {
			if at.covers(s.Text(), options) {
				found.addEntry(entry, options)
				break
			}
		}
	}
	return found.names, nil
}

// covers reports whether a marking of what a selector selects is one of a part.
func (at Scope) covers(selector string, options MarkingOptions) bool {
	return slices.ContainsFunc(at.selectors, func(part string) bool {
		return part == selector ||
			options.Inherited && within(part, selector) ||
			options.Descendants && within(selector, part)
	})
}

// within reports whether a selector selects something inside of what another
// one selects. A selector has one spelling only, so their texts tell.
func within(selector, outer string) bool {
	return len(selector) > len(outer) && selector[len(outer)] == '.' && selector[:len(outer)] == outer
}

// IsMarked reports whether an object, or parts of it, are marked with all of the
// given markings, or with no markings given, with any at all (STIX 2.1 §7.2.2,
// §7.2.3). Several parts may have them between them. The error is
// [ErrSelector].
func IsMarked(v Value, markings []string, at Scope, options MarkingOptions) (bool, error) {
	found, err := Markings(v, at, options)
	if err != nil || len(found) == 0 {
		return false, err
	}
	for _, m := range markings {
		if !slices.ContainsFunc(found, func(f string) bool { return sameMarking(f, m) }) {
			return false, nil
		}
	}
	return true, nil
}

// EffectiveMarkings returns the ids of all marking-definitions that count for
// what a selector selects: those of the whole object and those of the part or of
// anything that it is in, each once (STIX 2.1 §7.2.2, §7.2.3). Languages are not
// among them. Whoever decides who may see the part has to satisfy every one:
// the standard does not say how several combine (§7.2), so the most restrictive
// wins. What is inside the part may be marked further; [Markings] with
// Descendants tells.
//
// It has no errors, because a question that is not understood must not have the
// answer that nothing is marked. A text that is no selector has all markings of
// the object. A granular marking without a readable selector counts for every
// part, one that names neither a marking nor a language counts as a marking that
// nobody knows, and so does what is not an identifier: it is returned as it
// stands in the text.
func EffectiveMarkings(v Value, selector string) []string {
	_, known := ParseSelector(selector)
	var found marks
	for ref := range items(v.Get("object_marking_refs")) {
		found.add(nameOf(ref))
	}
	for entry := range items(v.Get("granular_markings")) {
		readable, reaches := false, !known
		for s := range items(entry.Get("selectors")) {
			text := s.Text()
			_, readable = ParseSelector(text)
			reaches = reaches || !readable || text == selector || within(selector, text)
			if reaches {
				break
			}
		}
		if reaches || !readable {
			found.addEntry(entry, MarkingOptions{WithoutLanguages: true})
		}
	}
	return found.names
}

// items yields the elements of a list, or the one value that stands where a list
// should: a single marking without brackets is still a marking.
func items(list Value) func(yield func(Value) bool) {
	return func(yield func(Value) bool) {
		switch list.Kind() {
		case Absent:
		case Array:
			for _, item := range list.Elements() {
				if !yield(item) {
					return
				}
			}
		case Null, Bool, Number, String, Object:
			yield(list)
		}
	}
}

// nameOf returns the text of a marking, or what stands in its place.
func nameOf(v Value) string {
	if v.Kind() == String {
		return v.Text()
	}
	return string(v.Raw())
}

// sameMarking reports whether two texts are the same marking. Languages have no
// letter case (RFC 5646 §2.1.1), identifiers are compared as text (STIX 2.1
// §3.3).
func sameMarking(a, b string) bool {
	return a == b || cutID(a) < 0 && cutID(b) < 0 && strings.EqualFold(a, b)
}

// marks are markings without repetitions, in the order in which they came.
type marks struct {
	names []string
	seen  map[string]bool
}

func (m *marks) add(name string) {
	if m.seen == nil {
		m.seen = map[string]bool{}
	}
	if !m.seen[name] {
		m.seen[name] = true
		m.names = append(m.names, name)
	}
}

// addEntry adds what a granular marking marks with.
func (m *marks) addEntry(entry Value, options MarkingOptions) {
	ref, lang := entry.Get("marking_ref"), entry.Get("lang")
	switch {
	case options.WithoutRefs:
	case ref.Exists():
		m.add(nameOf(ref))
	case !lang.Exists():
		m.add(nameOf(entry))
	}
	if lang.Exists() && !options.WithoutLanguages {
		m.add(nameOf(lang))
	}
}
