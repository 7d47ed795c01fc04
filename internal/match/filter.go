package match

// A filter says of most hashes that nothing in the set has them, from one word
// of memory (a blocked Bloom filter: F. Putze, P. Sanders, J. Singler, 2007). It
// only ever errs by saying that something may.
type filter struct {
	bits  []uint64 // a power of two of them
	shift uint8    // takes a hash to its word
	room  int      // how many hashes it was made for
	count int      // how many were added; those that have gone are still in it
}

// bitsPerHash makes one look in about fifty a needless one.
const bitsPerHash = 16

// newFilter returns an empty filter for so many hashes.
func newFilter(room int) filter {
	f := filter{bits: make([]uint64, 64), shift: 64 - 6, room: 64 * 64 / bitsPerHash}
	n := len(f.bits)
	for f.room < room && f.shift > 64-mostShift {
		f.room *= 2
		f.shift--
		n *= 2
	}
	f.bits = make([]uint64, n)
	return f
}

// mostShift bounds a filter to 2^26 words, which have room for 268,435,456
// hashes: a word's number and the bits in it come from different parts of the
// hash.
const mostShift = 26

func (f *filter) add(h uint64) {
	f.bits[h>>f.shift] |= pair(h)
	f.count++
}

func (f *filter) has(h uint64) bool {
	p := pair(h)
	return f.bits[h>>f.shift]&p == p
}

// pair returns the two bits of a hash in its word.
func pair(h uint64) uint64 { return 1<<(h>>22&63) | 1<<(h>>28&63) }
