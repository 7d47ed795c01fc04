package api

import (
	"slices"
	"strings"
	"testing"

	"tocsin/internal/hub/hubtest"
	"tocsin/tlp"
)

func TestACallerLearnsWhichMarkingsItMaySee(t *testing.T) {
	s := serve(t)
	s.Share(t, hubtest.Writer, nil, `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--11111111-2222-4333-8444-555555555555",`+
		`"created":"2026-01-01T00:00:00.000Z","definition_type":"statement","definition":{"statement":"PAP:AMBER"}}`)
	for as, definitions := range map[string]int{hubtest.Writer: 1, hubtest.Reader: 0} {
		m := read[markingsResource](t, s.do(t, as, "GET", "/api/v1/markings", ""), 200)
		if len(m.Markings) != 6+definitions {
			t.Fatalf("%s learns of %d markings, want the levels of TLP, the unknown and %d of its own", as, len(m.Markings), definitions)
		}
		for _, one := range m.Markings {
			sees := slices.Contains(one.Allowed, "see")
			want := one.Kind != "unknown" && one.Name != tlp.Red.String()
			if sees != want || !sees && one.Refused["see"] == "" {
				t.Errorf("%s: %s %s = %+v, want see %v, or a reason", as, one.Kind, one.Name, one, want)
			}
			if one.Kind == "PAP" && !strings.Contains(strings.Join(one.Allowed, " "), "detect") {
				t.Errorf("PAP:AMBER allows %v, want detect", one.Allowed)
			}
		}
	}
}

func TestAudiencesSayWhoSeesAPart(t *testing.T) {
	s := serve(t)
	secret := "marking-definition--22222222-2222-4333-8444-555555555555"
	definition := `{"type":"marking-definition","spec_version":"2.1","id":"` + secret + `","created":"2026-01-01T00:00:00.000Z","extensions":{` +
		`"extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce":{"extension_type":"property-extension","identifier":"isa:guide.19001.ACS3-1",` +
		`"create_date_time":"2026-01-01T00:00:00Z","responsible_entity_custodian":"USA.DHS",` +
		`"policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=permit&sharedefault=permit","control_set":{"classification":"S"}}}}`
	red := tlp.Red.Marking()
	for name, c := range map[string]struct {
		body string
		want sightResource
	}{
		"unmarked":          {`{"labels":[{}]}`, sightResource{Whole: 6, Names: true}},
		"a red part":        {`{"labels":[{"parts":["` + red + `"]}]}`, sightResource{Whole: 1, Part: 5, Names: true}},
		"a red part closed": {`{"labels":[{"parts":["` + red + `"],"closed":["` + red + `"]}]}`, sightResource{Whole: 1, Names: true}},
		"a link to red":     {`{"labels":[{"linked":["` + red + `"]}],"to":["bravo"]}`, sightResource{Whole: 2, Names: true}},
		"an unknown":        {`{"labels":[{"markings":["` + secret + `"]}]}`, sightResource{Whole: 1, Names: true}},
		"a secret part":     {`{"labels":[{"parts":["` + secret + `"]}],"definitions":[` + definition + `]}`, sightResource{Whole: 1, Part: 5}},
		"secret, for few":   {`{"labels":[{"markings":["` + secret + `"]}],"definitions":[` + definition + `],"to":["bravo"]}`, sightResource{Whole: -1, Part: -1}},
	} {
		got := read[struct{ Audiences []sightResource }](t, s.do(t, hubtest.Writer, "POST", "/api/v1/communities/finance/audience", c.body), 200).Audiences
		if len(got) != 1 || got[0].Whole != c.want.Whole || got[0].Part != c.want.Part || got[0].Names != c.want.Names {
			t.Errorf("%s: audiences = %+v, want %+v", name, got, c.want)
			continue
		}
		if names := len(got[0].Wholly) + len(got[0].Partly); c.want.Names && names != c.want.Whole+c.want.Part || !c.want.Names && names > 0 {
			t.Errorf("%s: names %v, %v", name, got[0].Wholly, got[0].Partly)
		}
	}
	for name, body := range map[string]string{
		"another's marking": `{"labels":[{"markings":["bravo:` + secret + `"]}]}`,
		"no id":             `{"labels":[{"parts":["secret"]}]}`,
		"no JSON":           `labels`,
	} {
		if w := s.do(t, hubtest.Writer, "POST", "/api/v1/communities/finance/audience", body); w.Code != 400 || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: POST = %d %s, want 400, and nothing of the body", name, w.Code, w.Body)
		}
	}
}
