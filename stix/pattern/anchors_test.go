package pattern

import (
	"strings"
	"testing"
	"time"
)

// costOf finds values of one letter by their letter, a the rarest, and cannot
// find longer ones.
func costOf(a Atom) int {
	if len(a.Values[0].Value) > 1 {
		return -1
	}
	return int(a.Values[0].Value[0])
}

func TestAnchorsAreInEveryEventOfAMatch(t *testing.T) {
	for text, want := range map[string]string{
		"[x:p = 'a']":                                                        "a",
		"[x:p = 'b' AND x:q = 'a' AND x:r > 5]":                              "a",
		"[x:p = 'a' OR x:q = 'b']":                                           "a b",
		"[x:p = 'a' OR x:q LIKE 'b%']":                                       "a -1",
		"[x:p LIKE 'a' AND x:q > 3]":                                         "",
		"[x:p NOT = 'a']":                                                    "",
		"[x:p != 'a' AND x:q = 'b']":                                         "b",
		"[(x:p = 'a' OR x:p = 'd') AND x:q = 'c']":                           "c",
		"[(x:p = 'a' OR x:p = 'long') AND x:q = 'c']":                        "c",
		"[x:p IN ('a', 'b')]":                                                "a",
		"[x:p = 'a'] AND [x:q = 'b']":                                        "a b",
		"[x:p = 'a'] FOLLOWEDBY [x:q > 3]":                                   "",
		"[x:p = 'a'] OR [x:q > 3]":                                           "a -1",
		"[x:p = 'a'] OR ([x:q > 3] AND [x:p = 'b'])":                         "a -1",
		"([x:p = 'a'] OR [x:q > 3]) FOLLOWEDBY [x:p = 'b'] WITHIN 5 SECONDS": "a b -1",
		"[x:p = 'b' AND x:q = 'a'] REPEATS 5 TIMES":                          "a",
		"[x:p EXISTS AND x:q = 'a']":                                         "a",
	} {
		text = strings.ReplaceAll(text, "x:p EXISTS", "EXISTS x:p")
		p, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		atoms, missing := p.Anchors(costOf)
		var got []string
		for _, a := range atoms {
			got = append(got, a.Values[0].Value)
		}
		if missing > 0 && len(atoms) > 0 {
			got = append(got, "-1")
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("Anchors(%s) = %q, want %q", text, s, want)
		}
	}
}

func TestAMatcherSaysWhatItNeeds(t *testing.T) {
	for text, want := range map[string]struct {
		single, timed bool
		least         int64
	}{
		"[x:p = 1] OR [x:p = 2]":                                                    {true, false, 1},
		"[x:p = 1] REPEATS 3 TIMES":                                                 {false, false, 3},
		"([x:p = 1] AND [x:p = 2]) REPEATS 3 TIMES":                                 {false, false, 6},
		"[x:p = 1] FOLLOWEDBY ([x:p = 2] OR [x:p = 3] REPEATS 2 TIMES)":             {false, true, 2},
		"[x:p = 1] WITHIN 5 SECONDS AND [x:p = 2]":                                  {false, false, 2},
		"([x:p = 1] AND [x:p = 2]) WITHIN 5 SECONDS":                                {false, true, 2},
		"[x:p = 1] START t'2026-01-01T00:00:00Z' STOP t'2026-01-02T00:00:00Z'":      {true, true, 1},
		"[x:p = 1] REPEATS 3000000000 TIMES AND [x:q = 1] REPEATS 3000000000 TIMES": {false, false, 6_000_000_000},
	} {
		p, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		m, err := p.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if m.Single() != want.single || m.Timed() != want.timed || m.Least() != want.least {
			t.Errorf("%s: single %v, timed %v, least %d, want %+v", text, m.Single(), m.Timed(), m.Least(), want)
		}
	}
}

// TestPartsAreWhatMatchesAreMadeOf compares them with the search: what it
// matches was possible, and each observation of it has a part.
func TestPartsAreWhatMatchesAreMadeOf(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var seen []Observation
	for i := range 6 {
		seen = append(seen, NewObservation("", at.Add(time.Duration(i)*time.Second), at.Add(time.Duration(i)*time.Second), 1,
			map[string]map[string]any{"0": {"type": "x", "p": float64(i % 4)}}))
	}
	for _, text := range []string{
		"[x:p = 0]", "[x:p = 9]", "[x:p = 0] AND [x:p = 1]", "[x:p = 0] AND [x:p = 9]", "[x:p = 2] FOLLOWEDBY [x:p = 0]", "[x:p = 3] FOLLOWEDBY [x:p = 2]",
		"[x:p = 0] REPEATS 2 TIMES", "[x:p = 0] REPEATS 3 TIMES", "([x:p = 9] OR [x:p = 1]) AND [x:p = 3]", "([x:p = 0] AND [x:p = 3]) WITHIN 2 SECONDS",
	} {
		p, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		m, err := p.Compile()
		if err != nil {
			t.Fatal(err)
		}
		for set := range 1 << len(seen) {
			var some []Observation
			var all Parts
			var parts []Parts
			for i := range seen {
				if set>>i&1 != 0 {
					one, err := m.Parts(&seen[i])
					if err != nil {
						t.Fatal(err)
					}
					some, parts, all = append(some, seen[i]), append(parts, one), all|one
				}
			}
			found, err := m.Match(some)
			if err != nil {
				t.Fatal(err)
			}
			if found.Matched && !m.Possible(all) {
				t.Errorf("%s matches %06b, which Possible says it cannot", text, set)
			}
			for _, i := range found.Observations {
				if parts[i] == 0 {
					t.Errorf("%s matches with an observation that has no part", text)
				}
			}
		}
	}
}
