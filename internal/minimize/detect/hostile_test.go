package detect

import (
	"strings"
	"testing"
)

// hostile are texts that are built to make detectors look at the same place
// again and again.
func hostile() map[string]string {
	return map[string]string{
		"names": "Jane ", "initials": "Jane A B C D ", "small names": "jane olsen ", "numbers": "0 0 0 ", "card starts": "4111 1111 1111 111 ",
		"ibans": "DE89 ", "entities": "&#", "percents": "%41", "escapes": `\x41`, "units": "Apt. 1 ", "documents": "passport number is ",
		"streets": "1 Rue De La ", "at signs": "a@", "keys": "-----BEGIN ", "base64": "YWJj", "dots": "a.b", "citations": "(Citation: ", "colons": "name: ",
		"zero width": "\u200b", "marks": "é", "degrees": "40.71277 ", "shares": `\\\\a\\`, "internal hosts": "a.local", "machines": "WIN-", "accounts": `A\\b `, "private": "10.1.1.",
	}
}

// Promise 10: no text takes more than time in proportion to its length.
func BenchmarkHostile(b *testing.B) {
	d := New(words(b))
	for name, piece := range hostile() {
		for size, n := range map[string]int{"1MB": 1 << 20, "16MB": 16 << 20} {
			text := strings.Repeat(piece, n/len(piece))
			b.Run(name+"/"+size, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					d.Find(nil, text, All)
				}
			})
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, piece := range hostile() {
		f.Add(piece + piece)
	}
	for _, encode := range encodings() {
		f.Add("SSN " + encode("219-09-9999") + " of Jane Roe, 12 Oak St")
	}
	d := New(words(f))
	f.Fuzz(func(t *testing.T, text string) {
		end := 0
		for _, sp := range d.Find(nil, text, All) {
			if sp.Start < end || sp.End <= sp.Start || sp.End > len(text) {
				t.Fatalf("Find(%q): span %d to %d after %d", text, sp.Start, sp.End, end)
			}
			end = sp.End
		}
	})
}
