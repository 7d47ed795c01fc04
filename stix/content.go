package stix

import (
	"crypto/sha256"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Canonical returns a value in the one form that the JSON Canonicalization
// Scheme gives all texts that say the same (RFC 8785): no space, names in
// order, one spelling of each string and number. It is nil for an absent value.
//
// As the scheme demands, numbers are those of a 64-bit float: integers beyond
// ±(2^53−1), which STIX forbids (STIX 2.1 §2.10), may become equal. Times are
// text to it: 12:00:00Z and 12:00:00.000Z differ.
func Canonical(v Value) []byte {
	canonical := jsontext.Value(slices.Clone(v.Raw()))
	if err := canonical.Canonicalize(); err != nil {
		return nil // only of an absent value: Parse is stricter
	}
	return canonical
}

// ContentHash returns the SHA-256 of the value's [Canonical] form: equal for
// two texts of the same content, and for practical purposes only for those.
// Equal identifiers never prove equal content, not even the deterministic ones
// of observables, which rest on SHA-1 and some of the properties (STIX 2.1
// §2.9); compare this beside them. The hash of an absent value is that of no
// bytes.
func ContentHash(v Value) [sha256.Size]byte { return sha256.Sum256(Canonical(v)) }
