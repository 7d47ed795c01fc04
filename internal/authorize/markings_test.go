package authorize

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tocsin"
	"tocsin/internal/marking"
	"tocsin/tlp"
)

const secretID = "marking-definition--22222222-2222-4333-8444-555555555555"

// classified is an ACS marking of a level, with default privileges permitted and
// more properties.
func classified(id, level, more string) string {
	return `{"type":"marking-definition","spec_version":"2.1","id":"` + id + `","created":"2026-01-01T00:00:00.000Z","extensions":{` +
		`"extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce":{"extension_type":"property-extension","identifier":"isa:guide.19001.ACS3-1",` +
		`"create_date_time":"2026-01-01T00:00:00Z","responsible_entity_custodian":"USA.DHS",` +
		`"policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=permit&sharedefault=permit","control_set":{"classification":"` + level + `"}` + more + `}}}`
}

// cleared is a policy under which bravo is cleared for SECRET until then, and
// acme has defined a marking of that level.
func cleared(t *testing.T, until time.Time) *Policy {
	t.Helper()
	p := NewPolicy()
	p.SetCeiling(marking.TopSecret)
	p.Attributes(map[string]marking.Attributes{
		"bravo": {Organization: "bravo", Kind: "company", Clearances: []marking.Clearance{{Level: marking.Secret, Sponsor: "DHS", Expires: until}}},
	})
	p.Define("acme", parsed(t, classified(secretID, "S", "")))
	return p
}

func reader(t *testing.T, p *Policy, who string) *Reader {
	t.Helper()
	r, err := p.Reader(member(who, "company", tocsin.Reader), "finance")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheClearedSeeWhatOthersDoNot(t *testing.T) {
	p := cleared(t, time.Time{})
	l := &Label{Community: "finance", Owner: "acme", Default: tlp.Amber, Markings: []string{secretID}}
	for who, want := range map[string]Extent{"acme": Whole, "bravo": Whole, "charlie": None} {
		if got := reader(t, p, who).See(l); got.Extent != want {
			t.Errorf("See as %s = %+v, want extent %d", who, got, want)
		}
	}
}

func TestAMarkingOfAPartHidesThePart(t *testing.T) {
	p := cleared(t, time.Time{})
	red := tlp.Red.Marking()
	l := &Label{Community: "finance", Owner: "acme", Default: tlp.Amber, Parts: []string{secretID, red, unknownID, tlp.Green.Marking()}}
	slices.Sort(l.Parts)
	for who, want := range map[string][]string{"acme": nil, "bravo": {unknownID, red}, "charlie": {unknownID, secretID, red}} {
		slices.Sort(want)
		got := reader(t, p, who).See(l)
		if !slices.Equal(got.Hidden, want) || (got.Extent == Whole) != (want == nil) {
			t.Errorf("See as %s = %+v, want %v hidden", who, got, want)
		}
		if reader(t, p, who).MaySee(l) != (want == nil) {
			t.Errorf("MaySee as %s of a part = true", who)
		}
	}
}

func TestATearLineThatIsDeniedClosesTheWhole(t *testing.T) {
	p := NewPolicy()
	p.SetCeiling(marking.TopSecret)
	p.Define("acme", parsed(t, classified(secretID, "S",
		`,"access_privilege":[{"privilege_action":"TEARLINE","privilege_scope":{"entity":["ALL"]},"rule_effect":"deny"}]`)))
	l := &Label{Community: "finance", Owner: "acme", Default: tlp.Amber, Parts: []string{secretID}}
	if got := reader(t, p, "bravo").See(l); got.Extent != None {
		t.Errorf("See = %+v, want none", got)
	}
}

func TestADecisionEndsWithTheClearance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := cleared(t, time.Now().Add(time.Hour))
		l := &Label{Community: "finance", Owner: "acme", Default: tlp.Amber, Markings: []string{secretID}}
		r := reader(t, p, "bravo")
		if !r.MaySee(l) {
			t.Fatal("the cleared do not see")
		}
		time.Sleep(time.Hour - 1)
		if !r.MaySee(l) {
			t.Error("a moment before the expiry they do not see")
		}
		time.Sleep(time.Nanosecond)
		if r.MaySee(l) {
			t.Error("at the expiry they still see")
		}
	})
}

func TestWhatIsClassifiedTooHighIsRefused(t *testing.T) {
	definition := classified(secretID, "S", "")
	marked := indicator(`,"object_marking_refs":["` + secretID + `"]`)
	part := indicator(`,"description":"x","granular_markings":[{"marking_ref":"` + secretID + `","selectors":["description"]}]`)
	for name, c := range map[string]struct {
		ceiling marking.Level
		objects []string
		want    int // refused
	}{
		"in one submission": {marking.Confidential, []string{definition, marked}, 2},
		"the part":          {marking.Unclassified, []string{definition, part}, 2},
		"within":            {marking.Secret, []string{definition, marked}, 0},
		"unmarked":          {marking.Unclassified, []string{indicator("")}, 0},
	} {
		p := NewPolicy()
		p.SetCeiling(c.ceiling)
		a, err := admit(t, p, member("acme", "company", tocsin.Writer), finance(), c.objects...)
		if err != nil || len(a.Failures()) != c.want || len(a.Objects()) != len(c.objects)-c.want {
			t.Errorf("%s: Admit = %d objects, %+v, %v, want %d refused", name, len(a.Objects()), a.Failures(), err, c.want)
		}
		// Who has defined it before is not let in without the definition.
		p.Define("acme", parsed(t, definition))
		if a, err = admit(t, p, member("acme", "company", tocsin.Writer), finance(), c.objects[len(c.objects)-1]); err != nil || len(a.Failures()) != min(c.want, 1) {
			t.Errorf("%s, later: Admit = %+v, %v", name, a.Failures(), err)
		}
	}
}

func TestASightingOfWhatIsClassifiedIsClassified(t *testing.T) {
	p := cleared(t, time.Time{})
	for name, about := range map[string]*Label{
		"object": {Community: "finance", Owner: "acme", Default: tlp.Amber, Markings: []string{secretID}},
		"part":   {Community: "finance", Owner: "acme", Default: tlp.Amber, Parts: []string{secretID}},
	} {
		l := (&Label{Community: "finance", Owner: "delta", Default: tlp.Amber}).Narrow(about)
		for who, want := range map[string]bool{"acme": true, "bravo": true, "charlie": false, "delta": true} {
			if got := reader(t, p, who).MaySee(l); got != want {
				t.Errorf("%s: MaySee of the sighting as %s = %v, want %v", name, who, got, want)
			}
		}
		if got := l.Restrictions(); !slices.Equal(got, []string{secretID}) {
			t.Errorf("%s: Restrictions = %v, want the marking and not whose", name, got)
		}
	}
}

func TestConsentDecidesWhoSeesTheIdentity(t *testing.T) {
	v := parsed(t, `{"type":"identity","id":"`+acmeID+`","labels":["ais-consent-usg","bank"]}`)
	whole, parts := Markings(v)
	if !slices.Equal(whole, []string{"ais-consent-usg"}) || len(parts) > 0 {
		t.Fatalf("Markings = %v, %v", whole, parts)
	}
	p := NewPolicy()
	p.Attributes(map[string]marking.Attributes{"bravo": {Kind: "government", Path: "USA.DHS"}, "charlie": {Kind: "government", Path: "USA.SLTT.NY"}})
	l := &Label{Community: "finance", Owner: "acme", Default: tlp.Amber, Markings: whole}
	for who, want := range map[string]bool{"acme": true, "bravo": true, "charlie": false, "delta": false} {
		if got := reader(t, p, who).MaySee(l); got != want {
			t.Errorf("MaySee as %s = %v, want %v", who, got, want)
		}
	}
}

func TestWhatIsRestrictedIsNotCoveredByAnotherLabel(t *testing.T) {
	p := cleared(t, time.Time{})
	wanted := &Label{Community: "finance", Owner: "bravo", Default: tlp.Amber}
	for name, stored := range map[string]*Label{
		"object": {Community: "finance", Owner: "acme", Default: tlp.Amber, Markings: []string{secretID}},
		"part":   {Community: "finance", Owner: "acme", Default: tlp.Amber, Parts: []string{secretID}},
	} {
		if p.Covers(stored, wanted) {
			t.Errorf("%s: Covers = true, though not all may see what is stored", name)
		}
	}
}

// Issue 6: at least 10,000,000 remembered decisions a second.
func BenchmarkSee(b *testing.B) {
	p := NewPolicy()
	r := &Reader{policy: p, community: "finance", organization: "bravo"}
	labels := make([]*Label, 1000)
	for i := range labels {
		labels[i] = &Label{
			Community: "finance", Owner: fmt.Sprint("o", i), Default: tlp.Amber, Markings: []string{tlp.Green.Marking()}, Parts: []string{tlp.Red.Marking()},
		}
	}
	parts := 0
	i := 0
	for b.Loop() {
		if r.See(labels[i]).Extent == Part {
			parts++
		}
		if i++; i == len(labels) {
			i = 0
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
	if parts != b.N && parts == 0 {
		b.Error("nothing was decided")
	}
}
