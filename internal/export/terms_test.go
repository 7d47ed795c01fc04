package export

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/internal/indicator"
	"tocsin/internal/match"
)

func TestTermsDecideWhatIsExported(t *testing.T) {
	g := newGuard(t)
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	days := func(n int) time.Time { return now.AddDate(0, 0, n) }
	one := func(text, creator string, confidence int, version time.Time, until time.Time) indicator.Indicator {
		v, ok := indicator.Guess(text)
		if !ok {
			t.Fatal(text)
		}
		return indicator.Indicator{Values: []match.Value{v}, Action: indicator.Any, Creator: creator, Confidence: confidence, Version: version, Until: until}
	}
	all := []indicator.Indicator{
		one("a.example", "x", 90, days(-10), time.Time{}),
		one("a.example", "x", 90, days(-10), time.Time{}), // the same organization says it again
		one("b.example", "x", 40, days(-10), time.Time{}),
		one("b.example", "y", 80, days(-90), time.Time{}),
		one("c.example", "", 0, days(-200), days(30)), // its producer says when it ends
		one("c.example", "z", 0, days(-200), time.Time{}),
		one("d.example", "z", 100, days(-60), time.Time{}),
		one("192.0.2.1", "z", 100, days(-60), time.Time{}),
	}
	decay := func(texts ...string) Decay {
		d, err := ParseDecay(texts)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	f, err := Find("blocklist")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		terms Terms
		want  string
		held  map[string]int
	}{
		"none":                    {Terms{}, "192.0.2.1 a.example b.example c.example d.example", nil},
		"two organizations":       {Terms{Sources: 2}, "b.example c.example", map[string]int{TooFew: 3}},
		"three":                   {Terms{Sources: 3}, "", map[string]int{TooFew: 5}},
		"confidence":              {Terms{Confidence: 80}, "192.0.2.1 a.example b.example d.example", map[string]int{TooUnsure: 3}},
		"both":                    {Terms{Sources: 2, Confidence: 40}, "b.example", nil},
		"domains decay":           {Terms{Decay: decay("domain=30d")}, "192.0.2.1 a.example b.example c.example", map[string]int{TooOld: 3}},
		"addresses decay":         {Terms{Decay: decay("address=30d")}, "a.example b.example c.example d.example", map[string]int{TooOld: 1}},
		"decay and confidence":    {Terms{Decay: decay("domain=120d"), Confidence: 60}, "192.0.2.1 a.example", nil}, // b: 40 and 20 are left, d: 50
		"late decay":              {Terms{Decay: decay("domain=120d:0.2"), Confidence: 60}, "192.0.2.1 a.example b.example d.example", nil},
		"early decay":             {Terms{Decay: decay("domain=120d:10"), Confidence: 60}, "192.0.2.1", nil},
		"decay and organizations": {Terms{Decay: decay("domain=30d"), Sources: 2}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			tt.terms.Now, tt.terms.Guard = now, g
			s := Select(slices.Values(all), f, tt.terms)
			if got := strings.Join(s.of(f.Kinds...), " "); got != tt.want {
				t.Errorf("exported are %q, want %q; held %v", got, tt.want, s.Held)
			}
			for reason, n := range tt.held {
				if s.Held[reason] != n {
					t.Errorf("%d are held because %q, want %d", s.Held[reason], reason, n)
				}
			}
		})
	}
	// It ends when the last of those that count does.
	s := Select(slices.Values(all), f, Terms{Now: now, Guard: g, Decay: decay("domain=30d", "address=90d:2")})
	for i, want := range []time.Time{days(30), days(20), days(20), days(30)} {
		if got := s.Items[i].Until; !got.Equal(want) {
			t.Errorf("%s ends at %v, want %v", s.Items[i].Value.Text(), got, want)
		}
	}
}

func TestCurvesThatAreNone(t *testing.T) {
	for _, text := range []string{"", "address", "address=", "address=30", "address=0d", "address=-1d", "address=1d:0", "address=1d:NaN", "address=1d:x", "nothing=1d", "=1d", "address=999999999999d", "address=40000d"} {
		if d, err := ParseDecay([]string{text}); err == nil {
			t.Errorf("%q is read as %v", text, d)
		}
	}
}

// TestRulesHaveNumbersOfTheirOwn without a file that keeps them: the same for a
// value whatever else there is, but where two fall together.
func TestRulesHaveNumbersOfTheirOwn(t *testing.T) {
	const values = 200_000
	all, some := &SIDs{hashed: true}, &SIDs{hashed: true}
	used := map[uint32]bool{}
	others := 0
	for i := range values {
		v, ok := match.Parse(match.Address, "198."+itoa(i>>16)+"."+itoa(i>>8&255)+"."+itoa(i&255))
		if !ok {
			t.Fatal(i)
		}
		n := all.Of(v)
		if n < FirstSID || used[n] || n != all.Of(v) {
			t.Fatalf("%s has the number %d, which is another's, too low or not kept", v.Text(), n)
		}
		used[n] = true
		if i%3 == 0 && some.Of(v) != n {
			others++
		}
	}
	if others > 100 { // about 35 are expected, n²/2/394,967,296 in all
		t.Errorf("%d of %d values have other numbers when others are not there", others, values/3)
	}
}
