package match

import "math/bits"

// A block says what 64 bytes of text are: bit i is set when byte i is of the
// class.
type block struct {
	word   uint64 // can be part of a domain, an IPv4 address or a hash
	dot    uint64 // .
	letter uint64 // A-Z, a-z, or beyond ASCII
	colon  uint64 // :
	at     uint64 // @
}

// blockBytes is how much text one block describes.
const blockBytes = 64

// classify describes text in blocks, of which there must be enough. What the
// last one has beyond the text counts as NUL.
func classify(text []byte, blocks []block) {
	whole := len(text) / blockBytes
	classifyWhole(text, blocks[:whole])
	if rest := text[whole*blockBytes:]; len(rest) > 0 {
		var last [blockBytes]byte
		copy(last[:], rest)
		classifyWhole(last[:], blocks[whole:whole+1])
	}
}

// classifyBytes is classifyWhole for any machine.
func classifyBytes(text []byte, blocks []block) {
	for k := range blocks {
		var b block
		for i, c := range text[k*blockBytes : (k+1)*blockBytes] {
			t, bit := class[c], uint64(1)<<i
			if t&word == 0 {
				switch c {
				case ':':
					b.colon |= bit
				case '@':
					b.at |= bit
				}
				continue
			}
			b.word |= bit
			if t&(letter|far) != 0 {
				b.letter |= bit
			} else if t&dot != 0 {
				b.dot |= bit
			}
		}
		blocks[k] = b
	}
}

// wordStart returns where the word that a place is in begins, not before from.
func wordStart(blocks []block, i, from int) int {
	k := i / blockBytes
	gaps := ^blocks[k].word & (1<<(i%blockBytes) - 1)
	for gaps == 0 {
		if k*blockBytes <= from {
			return from
		}
		k--
		gaps = ^blocks[k].word
	}
	return max(from, k*blockBytes+bits.Len64(gaps))
}

// wordEnd returns where the word that a place is in ends.
func wordEnd(blocks []block, i int) int {
	k := i / blockBytes
	gaps := ^blocks[k].word &^ (1<<(i%blockBytes) - 1)
	for gaps == 0 {
		if k++; k == len(blocks) {
			return k * blockBytes
		}
		gaps = ^blocks[k].word
	}
	return k*blockBytes + bits.TrailingZeros64(gaps)
}

// window returns 64 bits of a class from a place on, of which n count.
func window(low, high uint64, i, n int) uint64 {
	shift := i % blockBytes
	w := low>>shift | high<<(blockBytes-shift) // a shift by 64 is 0
	if n < blockBytes {
		w &= 1<<n - 1
	}
	return w
}
