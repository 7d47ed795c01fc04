package match

import (
	"bytes"
	"net/netip"
)

// address6 looks up the IPv6 address around a colon. Most colons are in times
// and ports: what has neither "::" nor six colons is none.
func (r *reader) address6(i int) {
	start, end := i, i+1
	for start > r.seen && inIPv6(r.line[start-1]) {
		start--
	}
	for end < len(r.line) && inIPv6(r.line[end]) {
		end++
	}
	r.seen = end
	text := r.line[start:end]
	if len(text) > 1 && text[0] == ':' && text[1] != ':' { // "from:2001:db8::1"
		text = text[1:]
		start++
	}
	for n := len(text); n > 1 && (text[n-1] == '.' || text[n-1] == ':' && text[n-2] != ':'); n = len(text) { // "2001:db8::1: refused"
		text = text[:n-1]
	}
	if !bytes.Contains(text, []byte("::")) && bytes.Count(text, []byte{':'}) < 6 {
		return
	}
	raw, ok := parseIPv6(text)
	if !ok || !r.apartFrom(start, start+len(text)) {
		return
	}
	a := netip.AddrFrom16(raw)
	if a.Is4In6() { // its IPv4 form is a word of its own
		return
	}
	h, end := hashAddress6(raw), start+len(text)
	if r.set.filter.has(h) {
		colon := end
		if end < len(r.line) && r.line[end] == ']' {
			colon++
		}
		r.endpoints(h, raw[:], start, end, colon)
		if at := r.set.store.find(h, Address, raw[:]); at != 0 {
			r.hit(at, start, end)
			return
		}
	}
	if at, known := r.set.networks.Lookup(a); known {
		r.hit(at, start, end)
	}
}

// apartFrom reports whether line[start:end] is not a part of a longer word. The
// letter of an escape, as in "\n2001:db8::1", does not count.
func (r *reader) apartFrom(start, end int) bool {
	before := start == 0 || class[r.line[start-1]]&word == 0 || start > 1 && r.line[start-2] == '\\'
	return before && (end == len(r.line) || class[r.line[end]]&word == 0 || r.line[end] == '.')
}

func inIPv6(c byte) bool { return c == ':' || c == '.' || class[c]&(digit|hex) != 0 }

// parseIPv6 reads an address in any of the forms of RFC 4291 §2.2, as
// netip.ParseAddr does, which takes no bytes.
func parseIPv6(text []byte) (a [16]byte, ok bool) {
	at, gap := 0, -1
	for first := true; len(text) > 0; first = false {
		if len(text) >= 2 && text[0] == ':' && text[1] == ':' {
			if gap >= 0 {
				return a, false
			}
			gap = at
			text = text[2:]
			continue
		}
		if !first && gap != at {
			if text[0] != ':' {
				return a, false
			}
			text = text[1:]
		}
		if at == 16 {
			return a, false
		}
		n, digits := uint32(0), 0
		for digits < len(text) && class[text[digits]]&(digit|hex) != 0 {
			if digits == 4 {
				return a, false
			}
			n = n<<4 | uint32(nibble(text[digits]))
			digits++
		}
		if digits < len(text) && text[digits] == '.' {
			tail, ok := parseIPv4(text, dotsOf(text))
			if !ok || at > 12 {
				return a, false
			}
			a[at], a[at+1], a[at+2], a[at+3] = byte(tail>>24), byte(tail>>16), byte(tail>>8), byte(tail)
			at += 4
			break
		}
		if digits == 0 {
			return a, false
		}
		a[at], a[at+1] = byte(n>>8), byte(n)
		at, text = at+2, text[digits:]
	}
	if gap < 0 {
		return a, at == 16
	}
	if at == 16 { // "::" stands for one group at least
		return a, false
	}
	copy(a[16-(at-gap):], a[gap:at])
	clear(a[gap : 16-(at-gap)])
	return a, true
}
