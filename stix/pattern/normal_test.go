package pattern_test

import (
	"slices"
	"strings"
	"testing"

	"tocsin/stix/pattern"
)

func TestNormalIsTheSameForEqualPatterns(t *testing.T) {
	for name, texts := range map[string][]string{
		"[a:b = 1 AND a:c = 2]":                            {"[ a:c=2 AND a:b==1 ]", "[(a:c = 2) AND (a:b = 1 AND a:c = 2)]", "([a:b = 1.0 AND a:c = +2])"},
		"[a:b = 'x' AND a:c = 1 OR a:b = 'x' AND a:d = 1]": {"[(a:d = 1 OR a:c = 1) AND a:b = 'x']", "[a:b = 'x' AND (a:c = 1 OR a:d = 1)]"},
		"[a:b IN ('x', 'y')]":                              {"[a:b = 'y' OR a:b = 'x']", "[a:b = 'x'] OR [a:b IN ('y')] OR [a:b = 'x']", "[a:b IN ('y', 'x', 'y')]"},
		"[a:b = 'x' OR a:b = 1]":                           {"[a:b = 1 OR a:b = 'x']"},
		"[a:b != 1]":                                       {"[a:b <> 1]", "[a:b NOT = 1]", "[a:b NOT IN (1)]", "[a:b NOT IN (1, 1.0)]"},
		"[a:b = 1]":                                        {"[a:b NOT != 1]", "[a:b IN (1, 1)]", "[a:'b' = 1] WITHIN 5 SECONDS REPEATS 1 TIMES"},
		"[a:b NOT < 1]":                                    {"[a:b NOT < 1.0]"},
		"[a:b = h'00ff']":                                  {"[a:b = b'AP8=']", "[a:b = h'00FF']"},
		"[a:b > t'2020-01-01T00:00:00.5Z']":                {"[a:b > t'2020-01-01T00:00:00.500Z']"},
		"[a:b = 0]":                                        {"[a:b = -0]", "[a:b = -0.0]"},
		"[a:b ISSUBSET '192.0.2.0/24']":                    {"[a:b ISSUBSET '192.0.2.9/24']"},
		"[a:b ISSUBSET '192.0.2.9']":                       {"[a:b ISSUBSET '192.0.2.9/32']"},
		"[a:b LIKE '\u00e9%']":                             {"[a:b LIKE 'e\u0301%']"},
		"[NOT EXISTS a:b]":                                 {"[NOT EXISTS a:'b']"},
		"[a:b IN ()]":                                      {"[a:b IN ( )]"},
		"[a:b = 1] AND [a:c = 1]":                          {"[a:c = 1] AND [a:b = 1]", "([a:c = 1]) AND ([a:b = 1])"},
		"[a:b = 1] REPEATS 3 TIMES":                        {"[a:b = 1] AND [a:b = 1] AND [a:b = 1]", "[a:b = 1] REPEATS 2 TIMES AND [a:b = 1]"},
		"[a:b = 1] REPEATS 6 TIMES":                        {"([a:b = 1] REPEATS 2 TIMES) REPEATS 3 TIMES"},
		"[a:b = 1] REPEATS 2 TIMES AND [a:c = 1]":          {"[a:b = 1] AND [a:c = 1] AND [a:b = 1]"},
		"[a:b = 1] REPEATS 2 TIMES AND [a:c = 1] REPEATS 2 TIMES": {"([a:b = 1] AND [a:c = 1]) REPEATS 2 TIMES"},
		"[a:b = 1] FOLLOWEDBY [a:c = 1] FOLLOWEDBY [a:d = 1]":     {"[a:b = 1] FOLLOWEDBY ([a:c = 1] FOLLOWEDBY [a:d = 1])"},
		"([a:b = 1] FOLLOWEDBY [a:c = 1]) REPEATS 2 TIMES":        {"([a:b = 1] FOLLOWEDBY [a:c = 1]) AND ([a:b = 1] FOLLOWEDBY [a:c = 1])"},
		"[a:b = 1] START t'2020-01-01T00:00:00Z' STOP t'2021-01-01T00:00:00Z' REPEATS 2 TIMES": {
			"[a:b = 1] REPEATS 2 TIMES START t'2020-01-01T00:00:00.0Z' STOP t'2021-01-01T00:00:00Z'",
			"([a:b = 1] START t'2019-01-01T00:00:00Z' STOP t'2021-01-01T00:00:00Z') START t'2020-01-01T00:00:00Z' STOP t'2022-01-01T00:00:00Z' REPEATS 2 TIMES",
		},
		"([a:b = 1] AND [a:c = 1]) WITHIN 5 SECONDS": {
			"([a:c = 1] AND [a:b = 1]) WITHIN 5.0 SECONDS", "(([a:c = 1] AND [a:b = 1]) WITHIN 5 SECONDS) WITHIN 6 SECONDS",
		},
		"[a:b = 1] START t'2020-02-30T00:00:00Z' STOP t'2021-01-01T00:00:00Z'": {"[a:b = 1] START t'2020-02-30T00:00:00.0Z' STOP t'2021-01-01T00:00:00Z'"},
		"([a:b = 1] REPEATS 2 TIMES WITHIN 5 SECONDS) REPEATS 3 TIMES":         {"([a:b = 1] REPEATS 2 TIMES WITHIN 5 SECONDS) REPEATS 3 TIMES"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range append(texts, name) {
				if got := mustParse(t, text).Normal(); got != name {
					t.Errorf("Normal(%q) = %q, want %q", text, got, name)
				}
			}
		})
	}
}

// The OASIS reference library has the same idea of equal patterns
// (cti-python-stix2, equivalence/pattern).
func TestChoicesAreMultipliedOutAndAbsorbed(t *testing.T) {
	for name, texts := range map[string][]string{
		"comparisons that include another": {"[a:b=1]", "[a:b=1 OR (a:b=1 AND a:b=2)]", "[a:b=1 AND (a:b=1 OR a:b=2)]", "[(a:b=2 OR a:b=1) AND a:b=1]"},
		"conjunctions":                     {"[a:b=1 AND a:b=2]", "[(a:b=1 AND a:b=2) OR (a:b=3 AND a:b=2 AND a:b=1)]"},
		"choices":                          {"[a:b=1 OR a:b=2]", "[(a:b=1 OR a:b=2) AND (a:b=3 OR a:b=2 OR a:b=1)]"},
		"the other distribution":           {"[a:b=1 OR (a:b=2 AND a:b=3)]", "[(a:b=1 OR a:b=2) AND (a:b=1 OR a:b=3)]"},
		"both ways": {
			"[(a:b=1 AND a:b=2) OR (a:b=3 AND a:b=4)]",
			"[(a:b=1 OR a:b=3) AND (a:b=1 OR a:b=4) AND (a:b=2 OR a:b=3) AND (a:b=2 OR a:b=4)]",
		},
		"IN against OR":                     {"[a:c > 5 AND a:b IN (1, 2)]", "[a:b = 2 AND a:c > 5 OR a:b = 1 AND a:c > 5]"},
		"types that exclude each other":     {"[b:c=1 AND b:d=1]", "[(a:b=1 OR b:c=1) AND (b:d=1 OR c:d=1)]", "[(z:y=1 OR b:c=1) AND (b:d=1 OR x:w=1 OR v:u=1)]"},
		"an observation that is never made": {"[a:b=1]", "[a:b=1] OR [a:b=1 AND b:c=1]", "[a:b=1] OR [a:x=1] AND [a:b=1 AND b:c=1]"},
		"observations that include another": {
			"[a:b=1]", "[a:b=1] OR ([a:b=1] AND [a:b=2])", "[a:b=1] OR ([a:b=1] FOLLOWEDBY [a:b=2])", "[a:b=1] OR [a:b=1 AND a:c=2]",
			"[a:b=1] OR [a:b=1] REPEATS 2 TIMES", "[a:b=1] OR ([a:b=1] AND [a:b=2]) WITHIN 5 SECONDS",
		},
		"AND of observations":  {"[a:b=3] AND [a:b=1]", "([a:b=3] AND [a:b=1]) OR ([a:b=1] AND [a:b=2] AND [a:b=3])", "([a:b=3] AND [a:b=1]) OR ([a:b=3] FOLLOWEDBY [a:b=1])"},
		"sequences":            {"[a:b=1] FOLLOWEDBY [a:b=3]", "([a:b=1] FOLLOWEDBY [a:b=3]) OR ([a:b=4] FOLLOWEDBY [a:b=1] FOLLOWEDBY [a:b=2] FOLLOWEDBY [a:b=3])"},
		"a sequence with more": {"[a:b=1] FOLLOWEDBY [a:b=2]", "([a:b=1] FOLLOWEDBY [a:b=2]) OR (([a:b=1] FOLLOWEDBY [a:b=2]) AND [a:b=3])"},
		"AND in a sequence":    {"[a:b=1] AND [a:b=2]", "([a:b=1] AND [a:b=2]) OR (([a:b=1] AND [a:b=2]) FOLLOWEDBY [a:b=3])"},
		"AND over OR":          {"[a:b=1] AND ([a:b=2] OR [a:b=3])", "([a:b=1] AND [a:b=2]) OR ([a:b=1] AND [a:b=3])", "[a:b=1] AND [a:b IN (2, 3)]"},
		"FOLLOWEDBY over OR":   {"[a:b=1] FOLLOWEDBY ([a:b=2] FOLLOWEDBY ([a:b=3] OR [a:b=4]))", "([a:b=1] FOLLOWEDBY [a:b=2] FOLLOWEDBY [a:b=3]) OR ([a:b=1] FOLLOWEDBY [a:b=2] FOLLOWEDBY [a:b=4])"},
		"OR by OR": {
			"([a:b=1] OR [a:b=2]) FOLLOWEDBY ([a:b=3] OR [a:b=4])",
			"([a:b=1] FOLLOWEDBY [a:b=3]) OR ([a:b=1] FOLLOWEDBY [a:b=4]) OR ([a:b=2] FOLLOWEDBY [a:b=3]) OR ([a:b=2] FOLLOWEDBY [a:b=4])",
		},
		"under a qualifier": {
			"[a:b=1] START t'1993-06-29T15:24:42Z' STOP t'2000-07-30T19:29:58Z' WITHIN 2 SECONDS",
			"[a:b=1 OR (a:c=2 AND a:b=1)] START t'1993-06-29T15:24:42Z' STOP t'2000-07-30T19:29:58Z' WITHIN 2 SECONDS",
		},
		"addresses":                {"[ipv4-addr:value='1.2.3.4']", "[ipv4-addr:value='1.2.3.4/32']", "[ipv4-addr:value='01.02.03.04']", "[ipv4-addr:value IN ('1.2.3.4', '1.2.3.4/32')]"},
		"networks":                 {"[ipv4-addr:value != '1.2.254.0/23']", "[ipv4-addr:value NOT = '1.2.255.4/23']"},
		"all networks":             {"[ipv4-addr:value='0.0.0.0/0']", "[ipv4-addr:value='1.2.255.4/0']"},
		"addresses of version 6":   {"[ipv6-addr:value='1::1']", "[ipv6-addr:value='0001:0000:0000:0000:0000:0000:0000:0001']", "[ipv6-addr:value='1::1/128']"},
		"networks of version 6":    {"[ipv6-addr:value='1:2:3:4:5:6:fffe:0/111']", "[ipv6-addr:value='1:2:3:4:5:6:FFFF:8/111']"},
		"registry keys":            {"[windows-registry-key:key = 'hkey_local_machine']", "[windows-registry-key:key = 'HKEY_Local_Machine']"},
		"names of registry values": {"[windows-registry-key:values[*].name = 'aaa']", "[windows-registry-key:values[*].name = 'AAA']"},
	} {
		t.Run(name, func(t *testing.T) {
			want := mustParse(t, texts[0]).Normal()
			for _, text := range texts[1:] {
				if got := mustParse(t, text).Normal(); got != want {
					t.Errorf("Normal(%q) = %q, want %q as of %q", text, got, want, texts[0])
				}
			}
		})
	}
}

func TestNormalKeepsApartWhatDiffers(t *testing.T) {
	texts := []string{
		"[a:b = 1]", "[a:b = '1']", "[a:b = h'31']", "[a:b = true]", "[a:b = 1 OR a:c = 1]", "[a:b = 1 AND a:c = 1]",
		"[a:b = 1] AND [a:c = 1]", "[a:b = 1] FOLLOWEDBY [a:c = 1]", "[a:c = 1] FOLLOWEDBY [a:b = 1]", "[a:b = 1] REPEATS 2 TIMES",
		"[a:b[*] = 1]", "[a:b[0] = 1]", "[a:b.c = 1]", "[a:'b.c' = 1]", "[a:b NOT < 1]", "[a:b >= 1]", "[a:b NOT IN (1, 2)]",
		"[a:b != 1 OR a:b != 2]", "[a:b LIKE 'x']", "[a:b = 'x']", "[a:b MATCHES 'x']", "[a:b IN ()]", "[a:b NOT IN ()]",
		"([a:b = 1] AND [a:c = 1]) WITHIN 5 SECONDS", "([a:b = 1] AND [a:c = 1]) WITHIN 6 SECONDS",
		"[a:b = 1] REPEATS 2 TIMES WITHIN 5 SECONDS", "[a:b = 1] START t'2020-01-01T00:00:00Z' STOP t'2021-01-01T00:00:00Z'",
		"([a:b = 1] OR [a:c = 1] REPEATS 2 TIMES) REPEATS 2 TIMES", "[a:b = t'2024-02-30T00:00:00Z']", "[a:b = t'2024-03-01T00:00:00Z']",
		"([a:b = 4] AND [a:b = 5]) OR ([a:b = 5] AND [a:b = 6] AND [a:b = 7])", "[a:b = 4] AND [a:b = 5]", "[a:b = 5] FOLLOWEDBY [a:b = 4]",
		"([a:b = 5] FOLLOWEDBY [a:b = 4]) OR ([a:b = 4] FOLLOWEDBY [a:b = 5] FOLLOWEDBY [a:b = 6])", "[a:b = 4] AND ([a:b = 5] OR [a:b = 6])",
		"[a:b = 4] OR [a:b = 4] AND [a:b = t'2024-02-30T00:00:00Z']", "[a:b = 4]", "[a:b = 4] REPEATS 2 TIMES", "[a:b = 4] FOLLOWEDBY [a:b = 4]",
		"[ipv4-addr:value = '1.2.3.4']", "[ipv4-addr:value = '1.2.3.4/1']", "[ipv4-addr:value = '1.2.3.4/2']", "[ipv4-addr:value = '1.2.3.4/99']",
		"[ipv4-addr:value = 'foo']", "[ipv4-addr:value = 'FOO']", "[ipv4-addr:value = '1.2.3.010']", "[ipv4-addr:value = '1.2.3.10']", "[ipv4-addr:value LIKE '1.2.3.4']",
		"[url:value = '1.2.3.4/32']", "[url:value = '1.2.3.4']", "[windows-registry-key:values[*].data = 'foo']", "[windows-registry-key:values[*].data = 'FOO']",
		"[a:b = 1] START t'2024-02-30T00:00:00Z' STOP t'2025-01-01T00:00:00Z'", "[a:b = 1] START t'2024-03-01T00:00:00Z' STOP t'2025-01-01T00:00:00Z'",
	}
	seen := make(map[string]string)
	for _, text := range texts {
		normal := mustParse(t, text).Normal()
		if other, ok := seen[normal]; ok {
			t.Errorf("Normal(%q) = Normal(%q) = %q", text, other, normal)
		}
		seen[normal] = text
	}
}

func TestNormalIsItsOwnNormal(t *testing.T) {
	for _, c := range syntaxCases(t) {
		if !c.Valid {
			continue
		}
		normal := mustParse(t, c.Pattern).Normal()
		if again := mustParse(t, normal).Normal(); again != normal {
			t.Errorf("Normal(%q) = %q, want what it was made from", normal, again)
		}
	}
}

func TestNormalOfALargePatternIsQuick(t *testing.T) {
	// Every level sorts what is below it; printing it for each comparison of
	// the sort would take minutes.
	inner := "a:b = 1"
	for range pattern.MaxDepth - 1 {
		inner = "(" + inner + " OR a:c = 2 AND a:d = 3) AND a:e = 4"
	}
	many := slices.Repeat([]string{"[" + inner + "]"}, pattern.MaxBytes/(len(inner)+10))
	text := strings.Join(many, " FOLLOWEDBY ")
	if normal := mustParse(t, text).Normal(); mustParse(t, normal).Normal() != normal {
		t.Error("the normal form of a large pattern is not its own normal form")
	}
}
