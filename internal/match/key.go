package match

import (
	"encoding/binary"
	hexa "encoding/hex"
	"net/netip"
	"strings"
)

// keyOf returns what a value is kept as, and its hash.
func keyOf(v Value) (key []byte, h uint64) {
	switch v.kind {
	case Address:
		key = netip.MustParseAddr(v.text).AsSlice()
	case Endpoint:
		a := netip.MustParseAddrPort(v.text)
		key = binary.BigEndian.AppendUint16(a.Addr().AsSlice(), a.Port())
	case Hash, JA3:
		key, _ = hexa.DecodeString(v.text)
	case Network, Domain, URL, Email, JA4, ASN, FileName, RegistryKey, Mutex, UserAgent:
		key = []byte(v.text)
	}
	return key, hashKey(v.kind, key)
}

// hashKey returns the hash of what a value is kept as: that of the text which
// stands in a log.
func hashKey(k Kind, key []byte) uint64 {
	switch k {
	case Address, Endpoint: // an endpoint is found by its address
		if len(key) < 16 {
			return hashAddress(binary.BigEndian.Uint32(key))
		}
		return hashAddress6([16]byte(key))
	case Domain:
		return hashName(key)
	case Hash, JA3:
		var text [128]byte
		return hashText(hexa.AppendEncode(text[:0], key))
	case Network, URL, Email, JA4, ASN, FileName, RegistryKey, Mutex, UserAgent:
	}
	return hashText(key)
}

// valueOfKey is the way back.
func valueOfKey(k Kind, key []byte) Value {
	switch k {
	case Address:
		a, _ := netip.AddrFromSlice(key)
		return Value{k, a.String()}
	case Endpoint:
		a, _ := netip.AddrFromSlice(key[:len(key)-2])
		return Value{k, netip.AddrPortFrom(a, binary.BigEndian.Uint16(key[len(key)-2:])).String()}
	case Hash, JA3:
		return Value{k, hexa.EncodeToString(key)}
	case Network, Domain, URL, Email, JA4, ASN, FileName, RegistryKey, Mutex, UserAgent:
	}
	return Value{k, string(key)}
}

func hashAddress(a uint32) uint64 { return finish((uint64(a) + seed) * prime) }

func hashAddress6(a [16]byte) uint64 {
	h := (seed ^ binary.BigEndian.Uint64(a[:])) * prime
	return finish((h ^ h>>32 ^ binary.BigEndian.Uint64(a[8:])) * prime)
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// isText reports whether values of a kind are free text: more than one word,
// and any character.
func isText(k Kind) bool { return k >= ASN && k <= UserAgent }

// shortestAnchor is the shortest word that free text is found by.
const shortestAnchor = 3

// words calls f with the words of a text, in lower case.
func words(text string, f func(word string)) {
	for from := 0; from < len(text); {
		to := from
		for to < len(text) && class[text[to]]&word != 0 {
			to++
		}
		if word := strings.TrimSuffix(text[from:to], "."); len(word) >= shortestAnchor {
			f(strings.ToLower(word))
		}
		from = to + 1
	}
}

// addAnchor makes free text be found by the word of it that the fewest others
// are found by, the longest of those.
func (s *Set) addAnchor(text string, r ref) {
	best, fewest := "", 0
	words(text, func(word string) {
		if n := len(s.anchors[word]); best == "" || n < fewest || n == fewest && len(word) > len(best) {
			best, fewest = word, n
		}
	})
	known := len(s.anchors[best]) > 0
	s.anchors[best] = append(s.anchors[best], r)
	if !known {
		s.note(hashText([]byte(best)))
	}
}

// anchorOf returns the word that a text is found by.
func (s *Set) anchorOf(text string, r ref) (found string) {
	words(text, func(word string) {
		for _, other := range s.anchors[word] {
			if other == r {
				found = word
			}
		}
	})
	return found
}

func (s *Set) removeAnchor(text string, r ref) {
	word := s.anchorOf(text, r)
	all := s.anchors[word]
	for i, other := range all {
		if other == r {
			all[i] = all[len(all)-1]
			all = all[:len(all)-1]
			break
		}
	}
	if len(all) == 0 {
		delete(s.anchors, word)
		return
	}
	s.anchors[word] = all
}
