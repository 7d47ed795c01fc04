package detect

import (
	"encoding/binary"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

func FuzzText(f *testing.F) {
	for _, s := range []string{"plain", "\xff\xfej\x00a\x00n\x00e\x00", "\xfe\xff\x00j\x00a", "j\x00a\x00n\x00e\x00", "MZ\x90\x00\x03\x00", "\xff\xfe\x00\xd8a\x00", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		text, ok := Text(content)
		if !ok {
			return
		}
		if !utf8.ValidString(text) {
			t.Fatalf("Text(%q) = %q, which is not UTF-8", content, text)
		}
		// What is text in one form is the same text in the other.
		wide := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(text)) {
			wide = binary.LittleEndian.AppendUint16(wide, u)
		}
		if again, ok := Text(wide); len(wide) >= 4 && (!ok || again != text) {
			t.Fatalf("Text(%q) = %q, %t, want %q", wide, again, ok, text)
		}
	})
}
