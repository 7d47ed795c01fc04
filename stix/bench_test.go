package stix_test

import (
	"testing"

	"tocsin/stix"
)

// overCorpora measures what do does with one object after the other: of the
// standard's examples, and of ATT&CK when TOCSIN_DATA is set.
func overCorpora(b *testing.B, do func(text []byte) error) {
	for name, load := range map[string]func(*testing.B) [][]byte{
		"examples": func(b *testing.B) (texts [][]byte) {
			for _, e := range examples(b) {
				texts = append(texts, e.Object)
			}
			return texts
		},
		"attack": func(b *testing.B) (texts [][]byte) {
			for _, o := range attack(b).Get("objects").Elements() {
				texts = append(texts, o.Raw())
			}
			return texts
		},
	} {
		b.Run(name, func(b *testing.B) {
			texts := load(b)
			total := 0
			for _, text := range texts {
				total += len(text)
			}
			b.SetBytes(int64(total / len(texts)))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if err := do(texts[i%len(texts)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	overCorpora(b, func(text []byte) error {
		_, err := stix.Parse(text, stix.Limits{})
		return err
	})
}

// BenchmarkValidate parses as well: nothing is validated that was not parsed.
func BenchmarkValidate(b *testing.B) {
	for name, options := range map[string]stix.Options{"errors": {ErrorsOnly: true}, "warnings": {}} {
		b.Run(name, func(b *testing.B) {
			overCorpora(b, func(text []byte) error {
				v, err := stix.Parse(text, stix.Limits{})
				if err != nil {
					return err
				}
				for _, p := range stix.Validate(v, options) {
					if p.Class != stix.ClassWarning {
						return &p
					}
				}
				return nil
			})
		})
	}
}
