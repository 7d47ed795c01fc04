package pattern_test

import (
	"testing"
	"time"

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

// seen returns an observation of the objects that a firewall reports about one
// connection.
func seen(tb testing.TB) pattern.Observation {
	tb.Helper()
	at := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	return pattern.NewObservation("observed-data--1", at, at, 1, map[string]map[string]any{
		"0": {"type": "ipv4-addr", "value": "198.51.100.1"},
		"1": {"type": "domain-name", "value": "www.example.com", "resolves_to_refs": []any{"0"}},
		"2": {"type": "network-traffic", "dst_ref": "0", "dst_port": 443.0, "protocols": []any{"ipv4", "tcp"}},
		"3": {"type": "file", "name": "invoice.exe", "size": 1024.0, "hashes": map[string]any{"MD5": "79054025255fb1a26e4bc422aef54eb4"}},
	})
}

func BenchmarkMatch(b *testing.B) {
	for name, text := range map[string]string{
		"simple hit":  "[ipv4-addr:value = '198.51.100.1']",
		"simple miss": "[domain-name:value = 'www.example.org']",
		"hash":        "[file:hashes.MD5 = '79054025255fb1a26e4bc422aef54eb5']",
		"AND":         "[file:name = 'invoice.exe' AND file:size > 1000]",
		"reference":   "[network-traffic:dst_ref.value = '198.51.100.1']",
		"IN of 100":   "[domain-name:value IN (" + list(100) + ")]",
		"LIKE":        "[domain-name:value LIKE '%.example.org']",
		"MATCHES":     "[domain-name:value MATCHES '^w+\\\\.example\\\\.(org|net)$']",
		"ISSUBSET":    "[ipv4-addr:value ISSUBSET '198.51.100.0/24']",
	} {
		b.Run(name, func(b *testing.B) {
			m, err := mustParse(b, text).Compile()
			if err != nil {
				b.Fatal(err)
			}
			o := seen(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.MatchOne(&o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSearch(b *testing.B) {
	start := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	var observations []pattern.Observation
	for i := range 1000 {
		at := start.Add(time.Duration(i) * time.Second)
		observations = append(observations, pattern.NewObservation("", at, at, 1, map[string]map[string]any{
			"0": {"type": "process", "pid": float64(i % 10)},
		}))
	}
	for name, text := range map[string]string{
		"AND":        "[process:pid = 1] AND [process:pid = 2]",
		"REPEATS":    "[process:pid = 1] REPEATS 100 TIMES",
		"WITHIN":     "([process:pid = 1] AND [process:pid = 9]) WITHIN 3 SECONDS",
		"FOLLOWEDBY": "[process:pid = 9] FOLLOWEDBY [process:pid = 1] REPEATS 99 TIMES",
	} {
		b.Run(name, func(b *testing.B) {
			m, err := mustParse(b, text).Compile()
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if got, err := m.Match(observations); err != nil || !got.Matched {
					b.Fatalf("Match = %v, %v", got, err)
				}
			}
		})
	}
}

// list returns n string constants with commas between them.
func list(n int) string {
	var b []byte
	for i := range n {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, pattern.Quote(string(rune('a'+i%26))+".example.net")...)
	}
	return string(b)
}
