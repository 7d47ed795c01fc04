package authorize

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin"
	"tocsin/internal/minimize"
	"tocsin/internal/validate"
	"tocsin/stix"
	"tocsin/tlp"
)

const (
	statementID = "marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168"
	unknownID   = "marking-definition--11111111-2222-4333-8444-555555555555"
	indicatorID = "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"
	acmeID      = "identity--a463ffb3-1bd9-4d94-b02d-74e4f1658283"
)

func member(organization, kind string, role tocsin.Role) tocsin.Member {
	return tocsin.Member{
		Organization: tocsin.Organization{Name: organization, Kind: kind},
		User:         "test", Roles: map[string]tocsin.Role{"finance": role},
	}
}

// admit takes objects through the real journey up to admission.
func admit(t *testing.T, p *Policy, who tocsin.Member, to Target, objects ...string) (Admitted, error) {
	t.Helper()
	valid, err := validate.Parse([]byte(`{"objects":[`+strings.Join(objects, ",")+`]}`), validate.Options{})
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	gate, err := minimize.New(minimize.Options{Secret: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return p.Admit(who, to, gate.Apply(valid), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
}

func indicator(extra string) string {
	return `{"type":"indicator","spec_version":"2.1","id":"` + indicatorID + `","created":"2026-01-01T00:00:00.000Z",` +
		`"modified":"2026-01-01T00:00:00.000Z","pattern":"[ipv4-addr:value = '198.51.100.7']","pattern_type":"stix",` +
		`"valid_from":"2026-01-01T00:00:00Z"` + extra + `}`
}

func finance() Target { return Target{Community: "finance", Collection: "c", Default: tlp.Amber} }

func TestOnlyWritersAreAdmitted(t *testing.T) {
	for role, want := range map[tocsin.Role]tocsin.Kind{
		tocsin.Stranger: tocsin.NotFound, tocsin.Reader: tocsin.Forbidden, tocsin.Writer: 0, tocsin.Curator: 0, tocsin.Operator: 0,
	} {
		_, err := admit(t, NewPolicy(), member("acme", "company", role), finance(), indicator(""))
		var e *tocsin.Error
		switch {
		case want == 0 && err != nil:
			t.Errorf("Admit as %q = %v, want no error", role, err)
		case want != 0 && (!errors.As(err, &e) || e.Kind != want):
			t.Errorf("Admit as %q = %v, want kind %d", role, err, want)
		}
	}
}

func TestNobodySpeaksForAnother(t *testing.T) {
	p := NewPolicy()
	p.Identities(map[string]string{acmeID: "acme"})
	created := indicator(`,"created_by_ref":"` + acmeID + `"`)
	a, err := admit(t, p, member("acme", "company", tocsin.Writer), finance(), created)
	if err != nil || len(a.Objects()) != 1 {
		t.Fatalf("Admit own object = %d objects, %v, want 1", len(a.Objects()), err)
	}
	identity := `{"type":"identity","spec_version":"2.1","id":"` + acmeID + `","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"Acme"}`
	for name, object := range map[string]string{"object": created, "identity": identity} {
		a, err = admit(t, p, member("rival", "company", tocsin.Operator), finance(), object)
		if err != nil || len(a.Objects()) != 0 || len(a.Failures()) != 1 {
			t.Errorf("Admit another's %s = %d objects, %d failures, %v, want it refused", name, len(a.Objects()), len(a.Failures()), err)
		}
	}
}

func TestAVersionOfTheFutureIsHeld(t *testing.T) {
	late := strings.Replace(indicator(""), `"modified":"2026-01-01`, `"modified":"2099-01-01`, 1)
	a, err := admit(t, NewPolicy(), member("acme", "company", tocsin.Writer), finance(), late)
	if err != nil || len(a.Objects()) != 0 || len(a.Failures()) != 0 || len(a.Held()) != 1 {
		t.Fatalf("Admit version of 2099 = %d objects, %d failures, %v, want it held", len(a.Objects()), len(a.Failures()), err)
	}
	if h := a.Held()[0]; !h.Due.Equal(h.Modified.Add(-time.Hour)) {
		t.Errorf("due %v for a version of %v, want an hour before", h.Due, h.Modified)
	}
}

func TestWhoMaySeeWhat(t *testing.T) {
	red, strict, green := tlp.Red.Marking(), tlp.AmberStrict.Marking(), tlp.Green.Marking()
	for name, c := range map[string]struct {
		markings, recipients []string
		standing             tlp.Label
		want                 map[string]bool // besides the owner, who sees always
	}{
		"unmarked follows the community":  {nil, nil, tlp.Amber, map[string]bool{"bravo": true, "charlie": true}},
		"unmarked in a red community":     {nil, nil, tlp.Red, map[string]bool{"bravo": false}},
		"unmarked with no policy":         {nil, nil, tlp.None, map[string]bool{"bravo": false}},
		"green":                           {[]string{green}, nil, tlp.Red, map[string]bool{"bravo": true}},
		"red without recipients":          {[]string{red}, nil, tlp.Amber, map[string]bool{"bravo": false, "charlie": false}},
		"red for bravo":                   {[]string{red}, []string{"bravo"}, tlp.Amber, map[string]bool{"bravo": true, "charlie": false}},
		"amber+strict for bravo":          {[]string{strict}, []string{"bravo"}, tlp.Amber, map[string]bool{"bravo": true, "charlie": false}},
		"green and red together":          {[]string{green, red}, nil, tlp.Amber, map[string]bool{"bravo": false}},
		"unknown marking":                 {[]string{unknownID}, nil, tlp.Clear, map[string]bool{"bravo": false}},
		"unknown marking for bravo":       {[]string{unknownID}, []string{"bravo"}, tlp.Clear, map[string]bool{"bravo": false}},
		"statement of the owner":          {[]string{statementID}, nil, tlp.Amber, map[string]bool{"bravo": true}},
		"statement of the owner, and red": {[]string{statementID, red}, nil, tlp.Amber, map[string]bool{"bravo": false}},
		"statement and unknown":           {[]string{statementID, unknownID}, nil, tlp.Amber, map[string]bool{"bravo": false}},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPolicy()
			p.Define("acme", parsed(t, copyright()))
			l := &Label{Community: "finance", Owner: "acme", Default: c.standing, Markings: c.markings, Recipients: c.recipients}
			c.want["acme"] = true
			for who, want := range c.want {
				r, err := p.Reader(member(who, "company", tocsin.Reader), "finance")
				if err != nil {
					t.Fatal(err)
				}
				if got := r.MaySee(l); got != want {
					t.Errorf("MaySee as %s = %v, want %v", who, got, want)
				}
			}
		})
	}
}

func copyright() string {
	return `{"type":"marking-definition","spec_version":"2.1","id":"` + statementID + `","created":"2017-06-01T00:00:00.000Z",` +
		`"definition_type":"statement","definition":{"statement":"Copyright"}}`
}

func parsed(t *testing.T, text string) stix.Value {
	t.Helper()
	v, err := stix.Parse([]byte(text), stix.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAStrangerHasNoReader(t *testing.T) {
	p := NewPolicy()
	for name, who := range map[string]tocsin.Member{
		"of another community": {Organization: tocsin.Organization{Name: "acme"}, Roles: map[string]tocsin.Role{"energy": tocsin.Operator}},
		"of none":              {Organization: tocsin.Organization{Name: "acme"}},
		"hub operator":         {Organization: tocsin.Organization{Name: "acme"}, Operator: true},
	} {
		var e *tocsin.Error
		if _, err := p.Reader(who, "finance"); !errors.As(err, &e) || e.Kind != tocsin.NotFound {
			t.Errorf("Reader as member %s = %v, want not found", name, err)
		}
	}
}

func TestALabelOfAnotherCommunityIsClosedToItsOwnerToo(t *testing.T) {
	p := NewPolicy()
	r, err := p.Reader(member("acme", "company", tocsin.Operator), "finance")
	if err != nil {
		t.Fatal(err)
	}
	if r.MaySee(&Label{Community: "energy", Owner: "acme", Default: tlp.Clear}) || r.MaySee(nil) {
		t.Error("MaySee(label of another community) = true, want false")
	}
}

// A stranger must not be able to open another's object by defining the unknown
// marking on it as a harmless statement.
func TestADefinitionExplainsOnlyItsOwnersMarkings(t *testing.T) {
	p := NewPolicy()
	l := &Label{Community: "finance", Owner: "acme", Default: tlp.Amber, Markings: []string{statementID}}
	sees := func() bool {
		r, err := p.Reader(member("bravo", "company", tocsin.Reader), "finance")
		if err != nil {
			t.Fatal(err)
		}
		return r.MaySee(l)
	}
	p.Define("bravo", parsed(t, copyright()))
	if sees() {
		t.Error("after bravo's definition bravo sees acme's object")
	}
	p.Define("acme", parsed(t, copyright()))
	if !sees() {
		t.Error("after acme's own definition bravo does not see acme's object")
	}
}

// Promise 5: adding a marking, or naming recipients, never widens an audience.
func TestAddingAMarkingNeverWidensTheAudience(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pool := []string{
		tlp.Clear.Marking(), tlp.Green.Marking(), tlp.Amber.Marking(), tlp.AmberStrict.Marking(), tlp.Red.Marking(),
		"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", statementID, unknownID,
	}
	p := NewPolicy()
	p.Define("acme", parsed(t, copyright()))
	for range 20_000 {
		l := &Label{Community: "finance", Owner: "acme", Default: tlp.Clear + tlp.Label(rng.IntN(5))}
		for range rng.IntN(4) {
			l.Markings = append(l.Markings, pool[rng.IntN(len(pool))])
		}
		if rng.IntN(2) == 0 {
			l.Recipients = []string{"bravo"}
		}
		more := *l
		more.Markings = append([]string{pool[rng.IntN(len(pool))]}, l.Markings...)
		// The community's default is no marking: it stands in for a missing one,
		// and the first TLP marking takes its place, be it wider.
		if level, ok := tlp.FromMarking(more.Markings[0]); ok && level < l.Default && !slices.ContainsFunc(l.Markings, isTLP) {
			continue
		}
		for _, who := range []string{"bravo", "charlie"} {
			r := &Reader{policy: p, community: "finance", organization: who}
			if r.decide(&more, time.Now()).Extent > r.decide(l, time.Now()).Extent {
				t.Fatalf("%s sees %s with one marking more than %s", who, fmt.Sprint(more.Markings), fmt.Sprint(l.Markings))
			}
		}
	}
}

func isTLP(id string) bool {
	_, ok := tlp.FromMarking(id)
	return ok
}

func TestMarkingsOfPartsCountForTheWhole(t *testing.T) {
	v := parsed(t, indicator(`,"description":"x","object_marking_refs":["`+tlp.Green.Marking()+`"],`+
		`"granular_markings":[{"marking_ref":"`+tlp.Red.Marking()+`","selectors":["description"]},{"lang":"de","selectors":["description"]}]`))
	whole, parts := Markings(v)
	if !slices.Equal(whole, []string{tlp.Green.Marking()}) || !slices.Equal(parts, []string{tlp.Red.Marking()}) {
		t.Fatalf("Markings = %v, %v, want the object's and the part's", whole, parts)
	}
	a, err := admit(t, NewPolicy(), member("acme", "company", tocsin.Writer), finance(), string(v.Raw()))
	if err != nil || len(a.Objects()) != 1 {
		t.Fatal(err, a.Failures())
	}
	r := &Reader{policy: NewPolicy(), community: "finance", organization: "bravo"}
	if r.MaySee(a.Objects()[0].Label) {
		t.Error("an object with a TLP:RED part is seen by the community")
	}
}

func TestWhatTheCommunitySeesCoversWhatOthersShareAgain(t *testing.T) {
	p := NewPolicy()
	base := Label{Community: "finance", Owner: "acme", Default: tlp.Amber}
	with := func(change func(*Label)) *Label { l := base; change(&l); return &l }
	for name, c := range map[string]struct {
		stored, wanted *Label
		want           bool
	}{
		"equal":                   {&base, &base, true},
		"another sharer":          {&base, with(func(l *Label) { l.Owner = "bravo" }), true},
		"stored for one only":     {with(func(l *Label) { l.Recipients = []string{"bravo"} }), &base, false},
		"stored red":              {with(func(l *Label) { l.Markings = []string{tlp.Red.Marking()} }), &base, false},
		"stored closed":           {with(func(l *Label) { l.Markings = []string{unknownID} }), &base, false},
		"another community":       {&base, with(func(l *Label) { l.Community = "energy" }), false},
		"stored open, wanted red": {&base, with(func(l *Label) { l.Markings = []string{tlp.Red.Marking()} }), true},
		"stored and wanted the same red": {
			with(func(l *Label) { l.Markings = []string{tlp.Red.Marking()} }), with(func(l *Label) { l.Markings = []string{tlp.Red.Marking()} }), true,
		},
	} {
		if got := p.Covers(c.stored, c.wanted); got != c.want {
			t.Errorf("%s: Covers = %v, want %v", name, got, c.want)
		}
	}
}

func TestWhoMayNotSeeAnObjectDoesNotLearnOfItFromASighting(t *testing.T) {
	p := NewPolicy()
	red := []string{tlp.Red.Marking()}
	for name, c := range map[string]struct {
		about, own *Label
		want       map[string]bool
	}{
		"of an open object": {
			&Label{Community: "finance", Owner: "acme", Default: tlp.Amber}, &Label{Community: "finance", Owner: "bravo", Default: tlp.Amber},
			map[string]bool{"acme": true, "bravo": true, "charlie": true},
		},
		"of one with recipients": {
			&Label{Community: "finance", Owner: "acme", Default: tlp.Amber, Recipients: []string{"bravo"}}, &Label{Community: "finance", Owner: "bravo", Default: tlp.Amber},
			map[string]bool{"acme": true, "bravo": true, "charlie": false},
		},
		"of a red one": {
			&Label{Community: "finance", Owner: "acme", Markings: red, Recipients: []string{"bravo"}}, &Label{Community: "finance", Owner: "bravo", Default: tlp.Amber},
			map[string]bool{"acme": true, "bravo": true, "charlie": false},
		},
		"of a red one, for one who may not": {
			&Label{Community: "finance", Owner: "acme", Markings: red, Recipients: []string{"bravo"}},
			&Label{Community: "finance", Owner: "bravo", Default: tlp.Amber, Recipients: []string{"charlie"}},
			map[string]bool{"acme": false, "bravo": true, "charlie": false},
		},
	} {
		l := c.own.Narrow(c.about)
		for who, want := range c.want {
			r := &Reader{policy: p, community: "finance", organization: who}
			if got := r.decide(l, time.Now()).Extent == Whole; got != want {
				t.Errorf("a sighting %s: MaySee as %s = %v, want %v", name, who, got, want)
			}
		}
	}
}
