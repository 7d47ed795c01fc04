package stix

import "github.com/go-json-experiment/json/jsontext"

// observableNamespace is the UUID namespace of the identifiers of
// cyber-observable objects, 00abedb4-aa42-466c-9c01-fed23315a9b7
// (STIX 2.1 §2.9).
func observableNamespace() [16]byte {
	return [16]byte{0x00, 0xab, 0xed, 0xb4, 0xaa, 0x42, 0x46, 0x6c, 0x9c, 0x01, 0xfe, 0xd2, 0x33, 0x15, 0xa9, 0xb7}
}

// DeterministicID returns the identifier that a cyber-observable object's ID
// contributing properties give it: a UUIDv5 of their canonical JSON (STIX 2.1
// §2.9, §3.4; RFC 8785). Of several hashes one contributes, the first of MD5,
// SHA-1, SHA-256, SHA-512, or the first in the text; times contribute without
// trailing zeros, as in the reference library of the standard's editors, so that
// one time has one identifier.
//
// It reports false for objects of other types and for those without any
// contributing property, among them all processes, which need a random UUID.
// Equal identifiers do not prove equal content: they rest on SHA-1, and on one
// hash of several.
func DeterministicID(v Value) (id string, ok bool) {
	return deterministicID(standard.named(v.Get("type").inside()), v)
}

func deterministicID(t *objectType, v Value) (id string, ok bool) {
	text := []byte{'{'}
	for _, name := range t.contributing {
		p := v.Get(name)
		if name == "hashes" {
			p = bestHash(p)
		}
		if !p.Exists() {
			continue
		}
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = append(append(append(text, '"'), name...), `":`...)
		if name == "hashes" {
			n := p.node()
			text = append(append(text, '{'), p.d.text[n.nameStart-1:n.nameEnd+1]...)
			text = append(append(append(text, ':'), p.Raw()...), '}')
			continue
		}
		if at := p.inside(); (name == "start" || name == "end") && isTime(at) {
			text = append(append(append(text, '"'), withoutZeros(at)...), `Z"`...)
			continue
		}
		text = append(text, p.Raw()...)
	}
	if len(text) == 1 {
		return "", false
	}
	canonical := jsontext.Value(append(text, '}'))
	if err := canonical.Canonicalize(); err != nil {
		return "", false
	}
	return t.name + "--" + UUIDv5(observableNamespace(), canonical), true
}

// bestHash returns the hash that contributes to an identifier.
func bestHash(hashes Value) Value {
	for _, name := range [...]string{"MD5", "SHA-1", "SHA-256", "SHA-512"} {
		if h := hashes.Get(name); h.Exists() {
			return h
		}
	}
	for _, h := range hashes.Members() {
		return h
	}
	return Value{}
}
