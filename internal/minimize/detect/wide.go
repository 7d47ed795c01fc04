package detect

import (
	"encoding/binary"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns the text that a file's content is: UTF-8, or UTF-16 with a byte
// order mark or with a zero in every other of its first bytes, as programs for
// Windows write it. It is false for what is no text.
func Text(content []byte) (string, bool) {
	if utf8.Valid(content) && !slices.Contains(content, 0) {
		return string(content), true
	}
	var order binary.ByteOrder
	switch head := content[:min(len(content), 64)]; {
	case len(content) < 4 || len(content)%2 != 0:
		return "", false
	case head[0] == 0xff && head[1] == 0xfe:
		order, content = binary.LittleEndian, content[2:]
	case head[0] == 0xfe && head[1] == 0xff:
		order, content = binary.BigEndian, content[2:]
	case zeros(head[1:]) && head[0] != 0:
		order = binary.LittleEndian
	case zeros(head) && head[1] != 0:
		order = binary.BigEndian
	default:
		return "", false
	}
	units := make([]uint16, len(content)/2)
	for i := range units {
		if units[i] = order.Uint16(content[2*i:]); units[i] == 0 {
			return "", false
		}
	}
	return string(utf16.Decode(units)), true
}

// zeros reports whether at least three in four of every other byte are zero.
func zeros(every []byte) bool {
	n, all := 0, 0
	for i := 0; i < len(every); i += 2 {
		all++
		if every[i] == 0 {
			n++
		}
	}
	return 4*n >= 3*all
}

// wide reports whether the zero at i is half of a character of UTF-16 that
// stands in a text as it is, one byte after the other: another zero stands two
// bytes before or after it, and none beside it.
func wide(text string, i int) bool {
	zero := func(k int) bool { return k >= 0 && k < len(text) && text[k] == 0 }
	return !zero(i-1) && !zero(i+1) && (zero(i-2) || zero(i+2))
}
