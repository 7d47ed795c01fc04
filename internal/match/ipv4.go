package match

import (
	"encoding/binary"
	"math/bits"
)

// parseIPv4 reads four numbers up to 255 without leading zeros, between which
// three dots are.
func parseIPv4(text []byte, dots uint64) (a uint32, ok bool) {
	from := 0
	for range 4 {
		to := len(text)
		if dots != 0 {
			to = bits.TrailingZeros64(dots)
			dots &= dots - 1
		}
		var n uint32
		switch to - from {
		case 1:
			n = uint32(text[from]) - '0'
			if n > 9 {
				return 0, false
			}
		case 2:
			x, y := uint32(text[from])-'0', uint32(text[from+1])-'0'
			if x-1 > 8 || y > 9 {
				return 0, false
			}
			n = x*10 + y
		case 3:
			x, y, z := uint32(text[from])-'0', uint32(text[from+1])-'0', uint32(text[from+2])-'0'
			if x-1 > 8 || y > 9 || z > 9 {
				return 0, false
			}
			if n = x*100 + y*10 + z; n > 255 {
				return 0, false
			}
		default:
			return 0, false
		}
		a = a<<8 | n
		from = to + 1
	}
	return a, true
}

// parseIPv4Of is parseIPv4 of line[start:end], without a branch for each length
// that a number may have: in logs nobody can predict those.
func parseIPv4Of(line []byte, start, end int, dots uint64) (a uint32, ok bool) {
	if end+4 > len(line) {
		return parseIPv4(line[start:end], dots)
	}
	const zeros = 0x30303030
	bad, from := uint32(0), start
	dots |= 1 << (end - start)
	for range 4 {
		to := start + bits.TrailingZeros64(dots)
		dots &= dots - 1
		n := uint(to - from)
		shift := (4 - n) * 8 & 31
		x := binary.LittleEndian.Uint32(line[from:])<<shift | zeros&(1<<shift-1)
		x ^= zeros // the digits, right-aligned, if they are any
		v := (x>>8&15)*100 + (x>>16&15)*10 + x>>24
		bad |= (x + 0x76767676 | x) & 0x80808080
		bad |= ((v - [4]uint32{0, 0, 10, 100}[n&3]) | (255 - v)) & (1 << 31)
		bad |= uint32((n-1)>>2 | n>>2) // no digit, or more than three
		a = a<<8 | v
		from = to + 1
	}
	return a, bad == 0
}

func octets(a uint32) [4]byte { return [4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)} }
