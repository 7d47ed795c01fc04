package match

import (
	"bytes"
	"encoding/binary"
)

// A ref is where a record lies: a page and a place in it. 0 is none.
type ref uint32

const (
	pageBytes = 64 << 10
	align     = 4 // records begin at multiples of it
	pageRefs  = pageBytes / align
)

// A record is a value with the first indicator that names it:
//
//	0     kind, or gone
//	1     how the indicator is kept: see idOf
//	2-3   length of the value, in bytes
//	4-    the value, then the indicator
const (
	recordHead = 4
	gone       = 0xff
)

// The ways to keep an indicator's id. All other numbers name a prefix that is
// followed by the 16 bytes of a UUID: a million STIX ids differ in nothing else.
const (
	idIsValue = 0   // the value's text
	idAsText  = 255 // a length and a text
)

// A store keeps records in pages without pointers: the garbage collector has
// nothing to look at, and a record costs its bytes and no more.
type store struct {
	pages    [][]byte
	live     []int32  // bytes of each page that are in use
	full     []int32  // bytes of each page that were given out
	free     []uint32 // pages that are empty again
	at       int      // the page that takes what is new, -1: none
	prefixes []string // of ids; the first is number 1
	table    table
}

func newStore() store { return store{at: -1} }

func (s *store) record(r ref) []byte { return s.pages[r/pageRefs][r%pageRefs*align:] }

func kindOf(record []byte) Kind { return Kind(record[0]) }

func valueOf(record []byte) []byte {
	return record[recordHead : recordHead+int(binary.LittleEndian.Uint16(record[2:]))]
}

// size returns how many bytes a record takes.
func size(record []byte) int {
	n := recordHead + int(binary.LittleEndian.Uint16(record[2:]))
	switch record[1] {
	case idIsValue:
	case idAsText:
		n += 2 + int(binary.LittleEndian.Uint16(record[n:]))
	default:
		n += 16
	}
	return (n + align - 1) / align * align
}

// put keeps a record and returns where.
func (s *store) put(record []byte) ref {
	n := size(record)
	if s.at < 0 || int(s.full[s.at])+n > pageBytes {
		if last := len(s.free) - 1; last >= 0 {
			s.at, s.free = int(s.free[last]), s.free[:last]
		} else {
			s.at = len(s.pages)
			s.pages = append(s.pages, make([]byte, pageBytes))
			s.live, s.full = append(s.live, 0), append(s.full, 0)
			if s.at == 0 { // no record is at 0
				s.full[0] = align
			}
		}
	}
	p, from := s.at, int(s.full[s.at])
	copy(s.pages[p][from:from+n], record)
	s.full[p] += int32(n)
	s.live[p] += int32(n)
	return ref(p*pageRefs + from/align)
}

// drop gives a record's place back. A page of which little is in use is emptied
// into others, so what was removed does not keep its memory; that is a bounded
// piece of work, and never more than one page at a time.
func (s *store) drop(r ref, moved func(from, to ref)) {
	p, record := int(r/pageRefs), s.record(r)
	s.live[p] -= int32(size(record))
	record[0] = gone
	if p == s.at || s.live[p] > pageBytes/4 {
		return
	}
	at := 0
	if p == 0 {
		at = align
	}
	for page := s.pages[p]; at < int(s.full[p]); {
		n := size(page[at:])
		if page[at] != gone {
			from := ref(p*pageRefs + at/align)
			moved(from, s.put(page[at:at+n]))
		}
		at += n
	}
	s.live[p], s.full[p] = 0, 0
	if p == 0 {
		s.full[0] = align
	}
	s.free = append(s.free, uint32(p))
}

// appendRecord makes a record.
func (s *store) appendRecord(b []byte, k Kind, value []byte, id, text string) []byte {
	b = append(b, byte(k), idIsValue)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	if id == text {
		return b
	}
	if prefix, uuid, ok := cutUUID(id); ok {
		if n := s.prefix(prefix); n > 0 {
			b[1] = n
			return append(b, uuid[:]...)
		}
	}
	b[1] = idAsText
	b = binary.LittleEndian.AppendUint16(b, uint16(len(id)))
	return append(b, id...)
}

// prefix returns the number of a prefix, 0 when there are too many of them.
func (s *store) prefix(prefix string) byte {
	for i, p := range s.prefixes {
		if p == prefix {
			return byte(i + 1)
		}
	}
	if len(s.prefixes) == idAsText-1 {
		return 0
	}
	s.prefixes = append(s.prefixes, prefix)
	return byte(len(s.prefixes))
}

// idOf returns the indicator of a record, whose value has a text.
func (s *store) idOf(record []byte, text string) string {
	at := recordHead + int(binary.LittleEndian.Uint16(record[2:]))
	switch n := record[1]; n {
	case idIsValue:
		return text
	case idAsText:
		return string(record[at+2 : at+2+int(binary.LittleEndian.Uint16(record[at:]))])
	default:
		return s.prefixes[n-1] + uuidText(record[at:at+16])
	}
}

// cutUUID takes an id apart that ends with a UUID in lower case (RFC 9562 §4).
func cutUUID(id string) (prefix string, uuid [16]byte, ok bool) {
	const length = 36
	if len(id) < length {
		return "", uuid, false
	}
	text, at := id[len(id)-length:], 0
	for i := 0; i < length; {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if text[i] != '-' {
				return "", uuid, false
			}
			i++
			continue
		}
		for _, c := range []byte(text[i : i+2]) {
			if class[c]&(digit|hex) == 0 || c >= 'A' && c <= 'F' {
				return "", uuid, false
			}
		}
		uuid[at] = nibble(text[i])<<4 | nibble(text[i+1])
		at++
		i += 2
	}
	return id[:len(id)-length], uuid, true
}

func uuidText(b []byte) string {
	const digits = "0123456789abcdef"
	text := make([]byte, 0, 36)
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text = append(text, '-')
		}
		text = append(text, digits[c>>4], digits[c&15])
	}
	return string(text)
}

// find returns the record with a value, 0 when there is none. The hash must be
// the value's.
func (s *store) find(h uint64, k Kind, value []byte) ref {
	t := &s.table[h>>shardShift]
	if t.used == 0 {
		return 0
	}
	tag := tagOf(h)
	for i := t.home(tag); ; i++ {
		if i == len(t.slots) {
			i = 0
		}
		slot := t.slots[i]
		if slot == 0 {
			return 0
		}
		if uint32(slot) != tag {
			continue
		}
		r := ref(slot >> 32)
		if record := s.record(r); kindOf(record) == k && bytes.Equal(valueOf(record), value) {
			return r
		}
	}
}

// each calls f with every record of a kind that has a hash.
func (s *store) each(h uint64, k Kind, f func(r ref, value []byte)) {
	t := &s.table[h>>shardShift]
	if t.used == 0 {
		return
	}
	tag := tagOf(h)
	for i := t.home(tag); t.slots[i] != 0; {
		if slot := t.slots[i]; uint32(slot) == tag {
			r := ref(slot >> 32)
			if record := s.record(r); kindOf(record) == k {
				f(r, valueOf(record))
			}
		}
		if i++; i == len(t.slots) {
			i = 0
		}
	}
}

// A table finds records by hash. It is cut into shards, each of which grows by
// itself: adding one of ten million values moves ten thousand slots at most.
type table [1 << (64 - shardShift)]shard

const shardShift = 54

// A shard is a hash table with linear probing. A slot holds a ref in its upper
// half and a part of the hash in the lower, which says where it belongs.
type shard struct {
	slots []uint64
	used  int
}

func tagOf(h uint64) uint32 { return uint32(h >> 22) }

// hashOf returns what is known of a hash from where its slot is.
func hashOf(shard int, slot uint64) uint64 { return uint64(shard)<<shardShift | slot<<32>>10 }

func (t *shard) home(tag uint32) int { return int(uint64(tag) * uint64(len(t.slots)) >> 32) }

func (t *table) insert(h uint64, r ref) {
	s := &t[h>>shardShift]
	if s.used*8 >= len(s.slots)*7 {
		old := s.slots
		s.slots = make([]uint64, max(8, len(old)*5/4+4))
		for _, slot := range old {
			if slot != 0 {
				s.place(slot)
			}
		}
	}
	s.used++
	s.place(uint64(r)<<32 | uint64(tagOf(h)))
}

func (t *shard) place(slot uint64) {
	i := t.home(uint32(slot))
	for t.slots[i] != 0 {
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	t.slots[i] = slot
}

// at returns the place of a record's slot.
func (t *shard) at(tag uint32, r ref) int {
	i := t.home(tag)
	for t.slots[i] != uint64(r)<<32|uint64(tag) {
		if i++; i == len(t.slots) {
			i = 0
		}
	}
	return i
}

func (t *table) move(h uint64, from, to ref) {
	s := &t[h>>shardShift]
	s.slots[s.at(tagOf(h), from)] = uint64(to)<<32 | uint64(tagOf(h))
}

// remove takes a slot away and moves up what stands behind it (Knuth, TAOCP
// vol. 3, §6.4, algorithm R).
func (t *table) remove(h uint64, r ref) {
	s := &t[h>>shardShift]
	hole := s.at(tagOf(h), r)
	s.used--
	n := len(s.slots)
	for i := hole; ; {
		if i++; i == n {
			i = 0
		}
		slot := s.slots[i]
		if slot == 0 {
			break
		}
		home := s.home(uint32(slot))
		if distance(home, i, n) >= distance(hole, i, n) {
			s.slots[hole] = slot
			hole = i
		}
	}
	s.slots[hole] = 0
	if s.used == 0 {
		s.slots = nil
	}
}

// distance is how far behind a slot another is, in a ring of n.
func distance(from, to, n int) int {
	if to >= from {
		return to - from
	}
	return to - from + n
}
