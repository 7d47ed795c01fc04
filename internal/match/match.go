// Package match finds which of many indicators a line of log contains.
package match

import (
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// A Set is what to look for: values, and the indicators that name them. Looking
// is safe for concurrent use; [Set.Add] and [Set.Remove] are not.
type Set struct {
	texts    map[string]int32     // domains, URLs, hashes and e-mail addresses
	v4       map[uint32]int32     // IPv4 addresses
	v6       map[netip.Addr]int32 // IPv6 addresses
	networks bart.Table[int32]
	hosts    map[string][]origin // hosts of URLs
	entries  []entry
	free     []int32 // entries that are not in use
	filter   filter  // of the hashes of all but v6 and networks
	hashes   int     // how many hashes were added to the filter; those that have gone are still in it
	counts   [Email + 1]int
}

// An entry is a value and the indicators that name it.
type entry struct {
	value Value
	id    string   // the first
	more  []string // and the others, if any
}

// An origin is the part of a URL before the path: "https://example.com:8443".
type origin struct {
	text string
	urls int // how many URLs begin with it
}

// NewSet returns an empty set.
func NewSet() *Set {
	return &Set{
		texts: map[string]int32{}, v4: map[uint32]int32{}, v6: map[netip.Addr]int32{}, hosts: map[string][]origin{}, filter: newFilter(0),
	}
}

// Len returns how many values the set has.
func (s *Set) Len() int { return len(s.entries) - len(s.free) }

// Add makes an indicator name a value. It reports false, and does nothing, for
// a domain of one label: it would be found in half of all lines.
func (s *Set) Add(id string, v Value) bool {
	if v.kind == 0 || v.kind == Domain && !hasDot(v.text) {
		return false
	}
	if at, ok := s.find(v); ok {
		e := &s.entries[at]
		if e.id != id && !slices.Contains(e.more, id) {
			e.more = append(e.more, id)
		}
		return true
	}
	var at int32
	if n := len(s.free); n > 0 {
		at, s.free = s.free[n-1], s.free[:n-1]
	} else {
		at = int32(len(s.entries))
		s.entries = append(s.entries, entry{})
	}
	s.entries[at] = entry{value: v, id: id}
	s.counts[v.kind]++
	switch v.kind {
	case Address:
		if a := netip.MustParseAddr(v.text); a.Is4() {
			s.v4[number(a)] = at
		} else {
			s.v6[a] = at
		}
	case Network:
		s.networks.Insert(netip.MustParsePrefix(v.text), at)
	case URL:
		s.texts[v.text] = at
		s.addOrigin(v.text)
	case Domain, Hash, Email:
		s.texts[v.text] = at
	}
	s.note(v)
	return true
}

// Remove makes an indicator name a value no more.
func (s *Set) Remove(id string, v Value) {
	at, ok := s.find(v)
	if !ok {
		return
	}
	e := &s.entries[at]
	if e.id != id {
		e.more = slices.DeleteFunc(e.more, func(other string) bool { return other == id })
		return
	}
	if n := len(e.more); n > 0 {
		e.id, e.more = e.more[n-1], e.more[:n-1]
		return
	}
	switch v.kind {
	case Address:
		if a := netip.MustParseAddr(v.text); a.Is4() {
			delete(s.v4, number(a))
		} else {
			delete(s.v6, a)
		}
	case Network:
		s.networks.Delete(netip.MustParsePrefix(v.text))
	case URL:
		delete(s.texts, v.text)
		s.removeOrigin(v.text)
	case Domain, Hash, Email:
		delete(s.texts, v.text)
	}
	s.counts[v.kind]--
	*e = entry{}
	s.free = append(s.free, at)
}

func (s *Set) find(v Value) (at int32, ok bool) {
	switch v.kind {
	case Address:
		if a := netip.MustParseAddr(v.text); a.Is4() {
			at, ok = s.v4[number(a)]
		} else {
			at, ok = s.v6[a]
		}
	case Network:
		at, ok = s.networks.Get(netip.MustParsePrefix(v.text))
	case Domain, URL, Hash, Email:
		at, ok = s.texts[v.text]
	}
	return at, ok
}

// note puts a value's hashes into the filter, and makes a larger one when they
// no longer fit.
func (s *Set) note(v Value) {
	if s.hashes += s.hash(v); s.hashes <= s.filter.room {
		return
	}
	c := &s.counts
	s.filter = newFilter(2 * (c[Address] + c[Domain] + 3*c[URL] + c[Hash] + c[Email])) // what has gone is left out
	s.hashes = 0
	for i := range s.entries {
		s.hashes += s.hash(s.entries[i].value)
	}
}

// hash puts a value's hashes into the filter, and returns how many there are.
func (s *Set) hash(v Value) int {
	switch v.kind {
	case Address:
		a := netip.MustParseAddr(v.text)
		if !a.Is4() {
			return 0
		}
		s.filter.add(hashAddress(number(a)))
	case URL:
		s.filter.add(hashText(v.text))
		host := hostOf(v.text)
		s.filter.add(hashText(host))
		if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
			s.filter.add(hashAddress(number(a)))
			return 3
		}
		return 2
	case Domain, Hash, Email:
		s.filter.add(hashText(v.text))
	case 0, Network: // 0: an entry that is not in use
		return 0
	}
	return 1
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func hasDot(text string) bool {
	for i := range len(text) {
		if text[i] == '.' {
			return true
		}
	}
	return false
}

func (s *Set) addOrigin(url string) {
	host, text := hostOf(url), originOf(url)
	all := s.hosts[host]
	i := slices.IndexFunc(all, func(o origin) bool { return o.text == text })
	if i < 0 {
		all = append(all, origin{text: text})
		i = len(all) - 1
	}
	all[i].urls++
	s.hosts[host] = all
}

func (s *Set) removeOrigin(url string) {
	host, text := hostOf(url), originOf(url)
	all := s.hosts[host]
	i := slices.IndexFunc(all, func(o origin) bool { return o.text == text })
	if i < 0 {
		return
	}
	if all[i].urls--; all[i].urls > 0 {
		return
	}
	if all = slices.Delete(all, i, i+1); len(all) > 0 {
		s.hosts[host] = all
	} else {
		delete(s.hosts, host)
	}
}

// A Hit is a place in a line where an indicator's value stands.
type Hit struct {
	ID          string // the indicator
	Value       Value  // what it names
	Offset, End int    // where it was found, in bytes: line[Offset:End]
}

// Append looks through one line, without its end, and appends a hit for every
// indicator whose value stands there. Values are compared whole: 192.0.2.1 is
// not in 192.0.2.10, nor evil.example in notevil.example; but evil.example is in
// www.evil.example, which is below it, and a network in its addresses. Of
// several such at one place the most specific counts. A URL is found as it is,
// with more of a query than the indicator has, or as host and path apart, as
// many logs write it. Append allocates nothing for a line without hits.
func (s *Set) Append(hits []Hit, line []byte) []Hit {
	r := reader{set: s, line: line, hits: hits}
	r.read()
	return r.hits
}

// hit notes an entry's indicators.
func (r *reader) hit(at int32, offset, end int) {
	e := &r.set.entries[at]
	for _, h := range r.hits[r.before:] {
		if h.Offset == offset && h.Value == e.value { // found by another way as well
			return
		}
	}
	r.hits = append(r.hits, Hit{e.id, e.value, offset, end})
	for _, id := range e.more {
		r.hits = append(r.hits, Hit{id, e.value, offset, end})
	}
}
