package pattern_test

import (
	"testing"

	"tocsin/stix/pattern"
)

func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{
		"simple": "[ipv4-addr:value = '198.51.100.1']",
		"hash":   "[file:hashes.'SHA-256' = 'aec070645fe53ee3b3763059376134f058cc337247c978add178b6ccdfb0019f']",
		"joined": "([file:name = 'foo.dll' AND file:size > 10] AND [windows-registry-key:key = 'HKEY_LOCAL_MACHINE\\\\foo\\\\bar']) WITHIN 300 SECONDS",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := pattern.Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
