package match

// A filter says of most hashes that nothing in the set has them, from one word
// of memory (a blocked Bloom filter: F. Putze, P. Sanders, J. Singler, 2007). It
// only ever errs by saying that something may.
type filter struct {
	bits  []uint64 // a power of two of them
	shift uint8    // takes a hash to its word
	room  int      // how many hashes it was made for
}

// bitsPerHash makes one look in about fifty a needless one.
const bitsPerHash = 16

// newFilter returns an empty filter for so many hashes.
func newFilter(room int) filter {
	f := filter{bits: make([]uint64, 64), shift: 64 - 6, room: 64 * 64 / bitsPerHash}
	for f.room < room {
		f.room *= 2
		f.shift--
		f.bits = make([]uint64, 2*len(f.bits))
	}
	return f
}

func (f *filter) add(h uint64) { f.bits[h>>f.shift] |= pair(h) }

func (f *filter) has(h uint64) bool {
	p := pair(h)
	return f.bits[h>>f.shift]&p == p
}

// pair returns the two bits of a hash in its word.
func pair(h uint64) uint64 { return 1<<(h&63) | 1<<(h>>6&63) }

// Texts are hashed from the end to the beginning, so that the hashes of a
// domain's parents come up on the way.
const (
	seed  uint64 = 0x9e3779b97f4a7c15
	prime uint64 = 0xff51afd7ed558ccd
)

// step takes one more byte, which stands before those that were taken.
func step(h uint64, c byte) uint64 { return (h ^ uint64(c)) * prime }

// finish spreads what the last bytes did over the whole hash.
func finish(h uint64) uint64 { return (h ^ h>>32) * seed }

func hashText[T string | []byte](text T) uint64 {
	h := seed
	for i := len(text) - 1; i >= 0; i-- {
		h = step(h, text[i])
	}
	return finish(h)
}

func hashAddress(a uint32) uint64 { return finish((uint64(a) + seed) * prime) }
