package member

import (
	"strings"
	"testing"
	"time"

	"tocsin"
	"tocsin/internal/marking"
)

func TestHandlingIsKeptAndDescribed(t *testing.T) {
	s, store, _ := open(t)
	text := `
organizations:
  - name: agency
    handling:
      nationality: USA
      path: USA.DHS.US-CERT
      entity: GOV
      sector: government-facilities
      shareability: [NCC]
      groups: [ISAC]
      agreements: [PCII]
      clearances: [{level: S, caveats: [SI], sponsor: DHS, expires: 2030-12-31}]
`
	if _, err := s.Apply(t.Context(), hubOperator(), parse(t, text)); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*Service{"applied": s, "read again": again} {
		a := s.Attributes()["agency"]
		want := marking.Clearance{Level: marking.Secret, Sponsor: "DHS", Expires: time.Date(2030, 12, 31, 23, 59, 59, 0, time.UTC)}
		if len(a.Clearances) != 1 || a.Clearances[0].Level != want.Level || !a.Clearances[0].Expires.Equal(want.Expires) || a.Clearances[0].Caveats[0] != "SI" {
			t.Errorf("%s: clearances = %+v, want %+v with SI", name, a.Clearances, want)
		}
		if a.Nationality != "USA" || a.Path != "USA.DHS.US-CERT" || a.Entity != "GOV" || a.Kind != "government" || a.Agreements[0] != "PCII" {
			t.Errorf("%s: Attributes = %+v", name, a)
		}
		if changed, err := s.Plan(hubOperator(), s.Describe(hubOperator())); err != nil || len(actions(changed, Changed)) > 0 {
			t.Errorf("%s: applying what Describe returns changes %+v, %v", name, actions(changed, Changed), err)
		}
	}
	// Leaving it out keeps it; an empty one forgets it.
	for _, step := range []struct {
		text string
		want int
	}{{"organizations: [{name: agency, title: The Agency}]", 1}, {"organizations: [{name: agency, handling: {}}]", 0}} {
		if _, err := s.Apply(t.Context(), hubOperator(), parse(t, step.text)); err != nil {
			t.Fatal(err)
		}
		if got := len(s.Attributes()["agency"].Clearances); got != step.want {
			t.Errorf("after %s: %d clearances, want %d", step.text, got, step.want)
		}
	}
}

func TestNobodyClearsThemselves(t *testing.T) {
	s, _, secret := open(t)
	_, err := s.Apply(t.Context(), login(t, s, secret["isac/staff/desk"]), parse(t, "organizations: [{name: isac, handling: {nationality: USA}}]"))
	if kind(t, err) != tocsin.Forbidden {
		t.Errorf("Apply of one's own handling = %v, want forbidden", err)
	}
}

func TestHandlingIsRefusedWithTheLine(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"a country in words":      {"nationality: Germany", "no country"},
		"a path in small letters": {"path: usa.dhs", "no organization"},
		"an unknown sector":       {"sector: banking", "financial-services"},
		"an unknown entity":       {"entity: KING", "MIL, GOV"},
		"an unknown group":        {"groups: [FIVE]", "CDC"},
		"an empty agreement":      {"agreements: ['']", "empty"},
		"a clearance for U":       {"clearances: [{level: U, sponsor: DHS, expires: 2030-01-01}]", "C, S or TS"},
		"nobody vouches":          {"clearances: [{level: S, expires: 2030-01-01}]", "sponsor"},
		"it never ends":           {"clearances: [{level: S, sponsor: DHS}]", "date on which it ends"},
		"an unknown key":          {"clearence: x", "known keys are nationality"},
	} {
		_, err := ParseNetwork([]byte("organizations:\n- name: agency\n  handling: {" + tt.in + "}\n"))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "(line 3)") {
			t.Errorf("%s: ParseNetwork = %v, want %q in line 3", name, err, tt.want)
		}
	}
}
