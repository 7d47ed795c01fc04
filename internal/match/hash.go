package match

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Hashes take no account of letter case, nor of what else the bit 0x20 tells
// apart: whoever looks up by hash compares. What is taken of them has 42 bits,
// so that a filter can be made anew from what the table keeps.
const (
	seed  uint64 = 0x9e3779b97f4a7c15
	prime uint64 = 0xff51afd7ed558ccd
	fold  uint64 = 0x2020202020202020
)

// hashPart takes text[start:end] into a hash, eight bytes at a time.
func hashPart(h uint64, text []byte, start, end int) uint64 {
	for ; start < end; start += 8 {
		h = (bits.RotateLeft64(h, 29) ^ (load(text, start, end-start) | fold)) * prime
	}
	return h
}

// load returns the first eight bytes of text[start:], of which n count.
func load(text []byte, start, n int) (x uint64) {
	if start+8 <= len(text) {
		x = binary.LittleEndian.Uint64(text[start:])
	} else {
		for i := len(text) - 1; i >= start; i-- {
			x = x<<8 | uint64(text[i])
		}
	}
	if n < 8 {
		x &= 1<<(8*n) - 1
	}
	return x
}

// finish spreads what the last bytes did over the whole hash.
func finish(h uint64) uint64 { h *= seed; return h ^ h>>32 }

// hashText hashes a text as a whole.
func hashText(text []byte) uint64 { return finish(hashPart(seed, text, 0, len(text))) }

// hashName hashes a domain name label by label, from the last to the first, so
// that the hashes of its parents come up on the way.
func hashName(name []byte) uint64 {
	h, end := seed, len(name)
	for i, c := range slices.Backward(name) {
		if c == '.' {
			h = hashPart(h, name, i+1, end)
			end = i
		}
	}
	return finish(hashPart(h, name, 0, end))
}

// topLevel is the place of a top-level domain in a small table.
func topLevel(h uint64) (at int, bit uint64) {
	h = finish(h) >> 52
	return int(h >> 6), 1 << (h & 63)
}
