// Package match finds which of many indicators a line of log contains.
package match

import (
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/gaissmai/bart"
)

// A Set is what to look for: values, and the indicators that name them. Looking
// is safe for concurrent use; [Set.Add] and [Set.Remove] are not, and nobody may
// look meanwhile. Both are bounded pieces of work, however large the set is.
//
// A value of the usual length costs about 50 bytes with a STIX id, and 30
// without one; a URL whose host no other has costs about 150 more.
type Set struct {
	store    store
	filter   filter // of the hashes of what is in the table
	next     filter // a larger one, on its way; see grow
	moved    int    // how many shards are in it
	networks bart.Table[ref]
	wide     [1 << 16 / 64]uint64 // which IPv4 networks of 16 bits have anything in the set
	hosts    map[string][]origin  // hosts of URLs
	anchors  map[string][]ref     // words of free text → values that have them, see anchorOf
	tops     [64]uint64           // which top-level domains there may be, see topLevel
	more     map[ref][]string     // indicators of a value beside the first
	counts   [kinds]int
	v6       int // how many addresses, endpoints and networks are IPv6
	readers  *sync.Pool
}

// An origin is the part of a URL before the path: "https://example.com:8443".
type origin struct {
	text string
	urls int // how many URLs begin with it
}

// NewSet returns an empty set.
func NewSet() *Set {
	return &Set{
		store: newStore(), filter: newFilter(0), hosts: map[string][]origin{}, anchors: map[string][]ref{}, more: map[ref][]string{},
		readers: &sync.Pool{New: func() any { return &reader{} }},
	}
}

// Len returns how many values the set has.
func (s *Set) Len() (n int) {
	for _, c := range s.counts {
		n += c
	}
	return n
}

// Add makes an indicator name a value. It reports false, and does nothing, for
// a domain of one label: it would be found in half of all lines.
func (s *Set) Add(id string, v Value) bool {
	if v.kind == 0 || v.kind == Domain && !hasDot(v.text) {
		return false
	}
	key, h := keyOf(v)
	if r := s.find(v, key, h); r != 0 {
		if s.store.idOf(s.store.record(r), v.text) != id && !slices.Contains(s.more[r], id) {
			s.more[r] = append(s.more[r], id)
		}
		return true
	}
	var buffer [256]byte
	r := s.store.put(s.store.appendRecord(buffer[:0], v.kind, key, id, v.text))
	s.counts[v.kind]++
	s.v6 += isIPv6(v)
	if v.kind == Network {
		s.addNetwork(netip.MustParsePrefix(v.text), r)
		return true
	}
	s.store.table.insert(h, r)
	s.note(h)
	switch v.kind {
	case Domain:
		s.noteTop(v.text)
	case URL:
		s.addOrigin(v.text)
	case ASN, FileName, RegistryKey, Mutex, UserAgent:
		s.addAnchor(v.text, r)
	case Address:
		s.noteAddress(netip.MustParseAddr(v.text))
	case Endpoint:
		s.noteAddress(netip.MustParseAddrPort(v.text).Addr())
	case Network, Hash, Email, JA3, JA4:
	}
	return true
}

// Remove makes an indicator name a value no more.
func (s *Set) Remove(id string, v Value) {
	if v.kind == 0 {
		return
	}
	key, h := keyOf(v)
	r := s.find(v, key, h)
	if r == 0 {
		return
	}
	more := s.more[r]
	if s.store.idOf(s.store.record(r), v.text) != id {
		s.setMore(r, slices.DeleteFunc(more, func(other string) bool { return other == id }))
		return
	}
	if len(more) > 0 { // the record is made anew: its size depends on the id
		all := slices.Clone(more)
		s.setMore(r, nil)
		s.Remove(id, v)
		for _, other := range all {
			s.Add(other, v)
		}
		return
	}
	switch v.kind {
	case Network:
		s.networks.Delete(netip.MustParsePrefix(v.text))
	case URL:
		s.removeOrigin(v.text)
	case ASN, FileName, RegistryKey, Mutex, UserAgent:
		s.removeAnchor(v.text, r)
	case Address, Domain, Hash, Email, Endpoint, JA3, JA4:
	}
	if v.kind != Network {
		s.store.table.remove(h, r)
	}
	s.counts[v.kind]--
	s.v6 -= isIPv6(v)
	s.store.drop(r, s.relocate)
}

// IDs appends the indicators that name a value.
func (s *Set) IDs(ids []string, v Value) []string {
	if v.kind == 0 {
		return ids
	}
	key, h := keyOf(v)
	r := s.find(v, key, h)
	if r == 0 {
		return ids
	}
	return append(append(ids, s.store.idOf(s.store.record(r), v.text)), s.more[r]...)
}

func (s *Set) setMore(r ref, ids []string) {
	if len(ids) == 0 {
		delete(s.more, r)
		return
	}
	s.more[r] = ids
}

// relocate makes everything that names a record name it where it lies now.
func (s *Set) relocate(from, to ref) {
	record := s.store.record(to)
	k, key := kindOf(record), valueOf(record)
	if ids, ok := s.more[from]; ok {
		delete(s.more, from)
		s.more[to] = ids
	}
	if k == Network {
		s.networks.Insert(netip.MustParsePrefix(string(key)), to)
		return
	}
	s.store.table.move(hashKey(k, key), from, to)
	if isText(k) {
		at := s.anchors[s.anchorOf(string(key), from)]
		at[slices.Index(at, from)] = to
	}
}

func (s *Set) find(v Value, key []byte, h uint64) ref {
	if v.kind == Network {
		r, _ := s.networks.Get(netip.MustParsePrefix(v.text))
		return r
	}
	return s.store.find(h, v.kind, key)
}

// note puts a hash into the filter. When that fills up, a larger one is filled
// beside it, one shard with each hash, so that none has to wait for all.
func (s *Set) note(h uint64) {
	s.filter.add(h)
	const shards = len(s.store.table)
	if s.next.bits == nil {
		if s.filter.count < s.filter.room-2*shards && s.filter.count < s.filter.room*3/4 {
			return
		}
		live := 0
		for i := range s.store.table {
			live += s.store.table[i].used
		}
		s.next, s.moved = newFilter(max(4*shards, 2*(live+len(s.hosts)+len(s.anchors)))), 0
		for host := range s.hosts {
			s.next.add(hashHost(host))
		}
		for word := range s.anchors {
			s.next.add(hashText([]byte(word)))
		}
	}
	s.next.add(h)
	for i := range 2 {
		if at := s.moved + i; at < shards {
			for _, slot := range s.store.table[at].slots {
				if slot != 0 {
					s.next.add(hashOf(at, slot))
				}
			}
		}
	}
	if s.moved += 2; s.moved >= shards {
		s.filter, s.next = s.next, filter{}
	}
}

// noteTop notes the top-level domain of a name.
func (s *Set) noteTop(name string) {
	last := len(name)
	for last > 0 && name[last-1] != '.' {
		last--
	}
	at, bit := topLevel(hashPart(seed, []byte(name), last, len(name)))
	s.tops[at] |= bit
}

// isIPv6 returns 1 for what only a colon can tell of, and else 0.
func isIPv6(v Value) int {
	if v.kind != Address && v.kind != Network && v.kind != Endpoint {
		return 0
	}
	return min(1, strings.Count(v.text, ":")/2)
}

func hasDot(text string) bool {
	for i := range len(text) {
		if text[i] == '.' {
			return true
		}
	}
	return false
}

// addNetwork takes in a block of addresses.
func (s *Set) addNetwork(p netip.Prefix, r ref) {
	s.networks.Insert(p, r)
	if !p.Addr().Is4() {
		return
	}
	first := int(number(p.Addr()) >> 16)
	for i := range 1 << max(0, 16-p.Bits()) {
		s.wide[(first+i)/64] |= 1 << ((first + i) % 64)
	}
}

// noteAddress notes the network of an IPv4 address. Most addresses of a log are
// of networks that have nothing in the set, and are not looked up.
func (s *Set) noteAddress(a netip.Addr) {
	if a.Is4() {
		n := number(a)
		s.wide[n>>22] |= 1 << (n >> 16 & 63)
	}
}

func (s *Set) addOrigin(url string) {
	host, text := hostOf(url), originOf(url)
	all, known := s.hosts[host]
	i := slices.IndexFunc(all, func(o origin) bool { return o.text == text })
	if i < 0 {
		all = append(all, origin{text: text})
		i = len(all) - 1
	}
	all[i].urls++
	s.hosts[host] = all
	if !known {
		s.note(hashHost(host))
		s.noteTop(host)
		if a, err := netip.ParseAddr(host); err == nil {
			s.noteAddress(a)
		}
	}
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

// hashHost is what is looked up where the host of a URL stands.
func hashHost(host string) uint64 {
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
		return hashAddress(number(a))
	}
	return hashName([]byte(host))
}

// A Hit is a place in a text where an indicator's value stands.
type Hit struct {
	ID          string // the indicator
	Value       Value  // what it names
	Offset, End int    // where it was found, in bytes: text[Offset:End]
	// Part says that only the address of an [Endpoint] stands there. Whether the
	// port is that of the same connection, only its reader can know.
	Part bool
}

// Append looks through a text of any number of lines and appends a hit for
// every indicator whose value stands in one of them, in the order of the text.
// Values are compared whole: 192.0.2.1 is not in 192.0.2.10, nor evil.example
// in notevil.example; but evil.example is in www.evil.example, which is below
// it, and a network in its addresses. Of several such at one place the most
// specific counts. A URL is found as it is, with more of a query than the
// indicator has, or as host and path apart, as many logs write it. Append
// allocates nothing for a text without hits.
func (s *Set) Append(hits []Hit, text []byte) []Hit { return s.search(hits, text, false) }

// AppendParts is Append that also tells of addresses without their ports, see
// [Hit.Part].
func (s *Set) AppendParts(hits []Hit, text []byte) []Hit { return s.search(hits, text, true) }

// hit notes a record's indicators.
func (r *reader) hit(at ref, offset, end int) { r.hitPart(at, offset, end, false) }

func (r *reader) hitPart(at ref, offset, end int, part bool) {
	s := r.set
	record := s.store.record(at)
	v := valueOfKey(kindOf(record), valueOf(record))
	offset, end = offset+r.base, end+r.base
	r.hits = append(r.hits, Hit{s.store.idOf(record, v.text), v, offset, end, part})
	for _, id := range s.more[at] {
		r.hits = append(r.hits, Hit{id, v, offset, end, part})
	}
}
