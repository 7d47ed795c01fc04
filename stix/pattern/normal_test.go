package pattern_test

import (
	"slices"
	"strings"
	"testing"

	"tocsin/stix/pattern"
)

func TestNormalIsTheSameForEqualPatterns(t *testing.T) {
	for name, texts := range map[string][]string{
		"[a:b = 1 AND a:c = 2]":                   {"[ a:c=2 AND a:b==1 ]", "[(a:c = 2) AND (a:b = 1 AND a:c = 2)]", "([a:b = 1.0 AND a:c = +2])"},
		"[a:b = 'x' AND (a:c = 1 OR a:d = 1)]":    {"[(a:d = 1 OR a:c = 1) AND a:b = 'x']"},
		"[a:b IN ('x', 'y')]":                     {"[a:b = 'y' OR a:b = 'x']", "[a:b = 'x'] OR [a:b IN ('y')] OR [a:b = 'x']", "[a:b IN ('y', 'x', 'y')]"},
		"[a:b = 'x' OR a:b = 1]":                  {"[a:b = 1 OR a:b = 'x']"},
		"[a:b != 1]":                              {"[a:b <> 1]", "[a:b NOT = 1]", "[a:b NOT IN (1)]", "[a:b NOT IN (1, 1.0)]"},
		"[a:b = 1]":                               {"[a:b NOT != 1]", "[a:b IN (1, 1)]", "[a:'b' = 1] WITHIN 5 SECONDS REPEATS 1 TIMES"},
		"[a:b NOT < 1]":                           {"[a:b NOT < 1.0]"},
		"[a:b = h'00ff']":                         {"[a:b = b'AP8=']", "[a:b = h'00FF']"},
		"[a:b > t'2020-01-01T00:00:00.5Z']":       {"[a:b > t'2020-01-01T00:00:00.500Z']"},
		"[a:b = 0]":                               {"[a:b = -0]", "[a:b = -0.0]"},
		"[a:b ISSUBSET '192.0.2.0/24']":           {"[a:b ISSUBSET '192.0.2.9/24']"},
		"[a:b ISSUBSET '192.0.2.9']":              {"[a:b ISSUBSET '192.0.2.9/32']"},
		"[a:b LIKE '\u00e9%']":                    {"[a:b LIKE 'e\u0301%']"},
		"[NOT EXISTS a:b]":                        {"[NOT EXISTS a:'b']"},
		"[a:b IN ()]":                             {"[a:b IN ( )]"},
		"[a:b = 1] AND [a:c = 1]":                 {"[a:c = 1] AND [a:b = 1]", "([a:c = 1]) AND ([a:b = 1])"},
		"[a:b = 1] REPEATS 3 TIMES":               {"[a:b = 1] AND [a:b = 1] AND [a:b = 1]", "[a:b = 1] REPEATS 2 TIMES AND [a:b = 1]"},
		"[a:b = 1] REPEATS 6 TIMES":               {"([a:b = 1] REPEATS 2 TIMES) REPEATS 3 TIMES"},
		"[a:b = 1] REPEATS 2 TIMES AND [a:c = 1]": {"[a:b = 1] AND [a:c = 1] AND [a:b = 1]"},
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

func TestNormalKeepsApartWhatDiffers(t *testing.T) {
	texts := []string{
		"[a:b = 1]", "[a:b = '1']", "[a:b = h'31']", "[a:b = true]", "[a:b = 1 OR a:c = 1]", "[a:b = 1 AND a:c = 1]",
		"[a:b = 1] AND [a:c = 1]", "[a:b = 1] FOLLOWEDBY [a:c = 1]", "[a:c = 1] FOLLOWEDBY [a:b = 1]", "[a:b = 1] REPEATS 2 TIMES",
		"[a:b[*] = 1]", "[a:b[0] = 1]", "[a:b.c = 1]", "[a:'b.c' = 1]", "[a:b NOT < 1]", "[a:b >= 1]", "[a:b NOT IN (1, 2)]",
		"[a:b != 1 OR a:b != 2]", "[a:b LIKE 'x']", "[a:b = 'x']", "[a:b MATCHES 'x']", "[a:b IN ()]", "[a:b NOT IN ()]",
		"([a:b = 1] AND [a:c = 1]) WITHIN 5 SECONDS", "([a:b = 1] AND [a:c = 1]) WITHIN 6 SECONDS",
		"[a:b = 1] REPEATS 2 TIMES WITHIN 5 SECONDS", "[a:b = 1] START t'2020-01-01T00:00:00Z' STOP t'2021-01-01T00:00:00Z'",
		"([a:b = 1] OR [a:c = 1] REPEATS 2 TIMES) REPEATS 2 TIMES", "[a:b = t'2024-02-30T00:00:00Z']", "[a:b = t'2024-03-01T00:00:00Z']",
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
