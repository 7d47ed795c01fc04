package member

import (
	"strings"
	"testing"
	"time"
)

func TestRetentionRulesAreRefusedWithTheLine(t *testing.T) {
	const before = "communities:\n- name: finance\n  retention:\n  - "
	for name, tt := range map[string]struct{ in, want string }{
		"no types":         {"{days: 3, why: x}", "between 1 and 64 types"},
		"no STIX type":     {"{types: [Observed Data], days: 3, why: x}", "no type of STIX objects (line 4)"},
		"a definition":     {"{types: [marking-definition], days: 3, why: x}", "definitions do not expire"},
		"a type twice":     {"{types: [note], days: 3, why: x}\n  - {types: [note], keep: true, why: x}", "stands in two rules (line 5)"},
		"days and keep":    {"{types: [note], days: 3, keep: true, why: x}", "either days"},
		"neither":          {"{types: [note], why: x}", "either days"},
		"too many days":    {"{types: [note], days: 36501, why: x}", "either days"},
		"no reason":        {"{types: [note], days: 3}", "no reason (line 4)"},
		"an unknown key":   {"{types: [note], day: 3, why: x}", "an unknown key"},
		"a number of text": {"{types: [note], days: soon, why: x}", "neither YAML nor JSON"},
	} {
		if _, err := ParseNetwork([]byte(before + tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: ParseNetwork = %v, want %q", name, err, tt.want)
		}
	}
}

// What an entry says of privacy or retention replaces what was said before: what
// it leaves out is the default again, and there is a way back from everything.
func TestPrivacyAndRetentionAreReplacedWhole(t *testing.T) {
	s, _, _ := open(t)
	apply := func(in string) string {
		t.Helper()
		applied, err := s.Apply(t.Context(), hubOperator(), parse(t, "communities: [{name: finance, "+in+"}]"))
		if err != nil {
			t.Fatal(err)
		}
		return applied.Changes[0].Detail
	}
	want := func(strict bool, reviewers, days, rules int) {
		t.Helper()
		path, wait := s.Privacy("finance")
		if path != strict || s.Reviewers("finance") != reviewers || wait != time.Duration(days)*24*time.Hour || len(s.Retention()) != rules {
			t.Errorf("strict %v, %d reviewers, %v, %d rules, want %v, %d, %d days, %d", path, s.Reviewers("finance"), wait, len(s.Retention()), strict, reviewers, days, rules)
		}
	}
	want(false, 1, 30, 0)
	if d := apply("privacy: {path: strict, reviewers: 2, review_days: 7}"); d != "privacy path automatic → strict, reviewers 1 → 2, review days 30 → 7" {
		t.Errorf("detail = %q", d)
	}
	apply("title: Finance, retention: [{types: [note, '*'], days: 9, why: x}]")
	want(true, 2, 7, 2)
	if d := apply("privacy: {reviewers: 2}"); d != "privacy path strict → automatic, review days 7 → 30" {
		t.Errorf("detail = %q", d)
	}
	want(false, 2, 30, 2)
	again := s.Describe(hubOperator())
	if applied, err := s.Plan(hubOperator(), again); err != nil || changed(applied) {
		t.Errorf("applying what is described changes %+v, %v", applied.Changes, err)
	}
	apply("privacy: {}, retention: []")
	want(false, 1, 30, 0)
}

func changed(a Applied) bool {
	for _, c := range a.Changes {
		if c.Action != Unchanged {
			return true
		}
	}
	return false
}
