package marking

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/stix"
	"tocsin/tlp"
)

var update = flag.Bool("update", false, "write docs/markings.md anew")

func TestTheDocumentIsTheTable(t *testing.T) {
	const name = "../../docs/markings.md"
	want := Describe()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != want {
		t.Errorf("%s is not what the table says (%v); write it anew with go test ./internal/marking -update", name, err)
	}
}

var now = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func definition(t testing.TB, rest string) stix.Value {
	t.Helper()
	v, err := stix.Parse([]byte(`{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--11111111-2222-4333-8444-555555555555",`+
		`"created":"2026-01-01T00:00:00.000Z",`+rest+`}`), stix.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func parsed(t testing.TB, rest string) Marking {
	t.Helper()
	m, ok := Parse(definition(t, rest))
	if !ok {
		t.Fatalf("Parse(%s) is not understood", rest)
	}
	return m
}

func statement(text string) string {
	return `"definition_type":"statement","definition":{"statement":"` + text + `"}`
}

func extension(id, rest string) string {
	return `"extensions":{"` + id + `":{"extension_type":"property-extension",` + rest + `}}`
}

// control writes an ACS marking whose defaults permit, with more properties.
func control(set, more string) string {
	return extension(acsExtension, `"identifier":"isa:guide.19001.ACS3-1","create_date_time":"2026-01-01T00:00:00Z",`+
		`"responsible_entity_custodian":"USA.DHS","policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=permit&sharedefault=permit",`+
		`"control_set":{`+set+`}`+more)
}

func policy(rest string) string {
	return extension(iepExtension, `"iep_id":"0224bfdf-ea3a-49c3-96f6-66d908bb1845",`+rest)
}

func privilege(action, scope, effect string) string {
	return `,"access_privilege":[{"privilege_action":"` + action + `","privilege_scope":{` + scope + `},"rule_effect":"` + effect + `"}]`
}

func cui(controls string) string {
	return extension(cuiExtension, `"control":"CUI","designator_ref":"identity--c069bb9f-158a-405d-92b4-858a2536df9a","disseminations":[`+controls+`]`)
}

// A ruling is a marking under a row, somebody who meets the row and somebody who
// does not. Rows that nobody can meet have no such reader.
type ruling struct {
	id       string // of a well-known marking
	says     string // or what a definition says
	action   Action
	allowed  *Attributes
	refused  Attributes
	until    time.Time // of the answer to who is allowed
	notUntil time.Time // of the answer to who is refused
}

func rulings() map[string]ruling {
	agency := Attributes{Organization: "agency", Kind: "government", Path: "USA.DHS.US-CERT", Nationality: "USA", Entity: "GOV"}
	bank := Attributes{Organization: "bank", Kind: "company", Nationality: "USA", Sector: "financial-services", Entity: "CTR"}
	with := func(a Attributes, change func(*Attributes)) *Attributes { change(&a); return &a }
	expiry := now.Add(time.Hour)
	secret := with(bank, func(a *Attributes) { a.Clearances = []Clearance{{Secret, []string{"SI"}, "DHS", expiry}} })
	expired := with(bank, func(a *Attributes) { a.Clearances = []Clearance{{TopSecret, []string{"SI"}, "DHS", now}} })
	foreign := with(bank, func(a *Attributes) { a.Nationality = "DEU" })
	permit := `"permitted_actions":"externally-visible-direct-actions","provider_attribution":"may","tlp":"white"`
	acts := func(permitted string) string {
		return policy(`"tlp":"white","provider_attribution":"may","permitted_actions":"` + permitted + `"`)
	}
	return map[string]ruling{
		"tlp-red-see":              {id: tlp.Red.Marking(), action: See, allowed: with(bank, func(a *Attributes) { a.Named = true }), refused: bank},
		"tlp-red-reshare":          {id: tlp.Red.Marking(), action: Reshare, refused: *with(bank, func(a *Attributes) { a.Named = true })},
		"tlp-amber-strict-reshare": {id: tlp.AmberStrict.Marking(), action: Reshare, refused: agency},
		"tlp-amber-reshare":        {id: tlp.Amber.Marking(), action: Reshare, refused: agency},
		"chatham-name":             {says: statement("tlp:ex:chr"), action: Name, refused: agency},
		"act-detect":               {says: acts("none"), action: Detect, refused: agency},
		"act-look-up":              {says: statement("PAP:RED"), action: LookUp, refused: agency},
		"act-block":                {says: extension(papExtension, `"pap":"amber"`), action: Block, refused: agency},
		"act-contact":              {says: `"definition_type":"PAP","definition":{"PAP":"PAP:GREEN"}`, action: Contact, refused: agency},
		"iep-name":                 {says: policy(`"tlp":"white","provider_attribution":"must-not","permitted_actions":"none"`), action: Name, refused: agency},
		"iep-in-force": {
			says:   policy(permit + `,"start_date":"2026-11-25T13:00:00Z","end_date":"2027-01-01T00:00:00Z"`),
			action: See, refused: bank, notUntil: expiry,
		},
		"ais-usg":            {id: "ais-consent-usg", action: See, allowed: &agency, refused: bank},
		"ais-none":           {id: "ais-consent-none", action: See, refused: agency},
		"ais-proprietary":    {id: "ais-consent-everyone-cisa-proprietary", action: Reshare, refused: bank},
		"acs-classification": {says: control(`"classification":"S","sci_controls":["SI"]`, ""), action: See, allowed: secret, refused: *expired, until: expiry},
		"acs-nf":             {says: control(`"classification":"U","formal_determination":["NF"]`, ""), action: See, allowed: &bank, refused: *foreign},
		"acs-les": {
			says: control(`"classification":"U","sensitivity":["LES"]`, ""), action: See,
			allowed: with(bank, func(a *Attributes) { a.Shareability = []string{"LE"} }), refused: agency,
		},
		"acs-sensitivity": {
			says: control(`"classification":"U","sensitivity":["PCII"]`, ""), action: See,
			allowed: with(bank, func(a *Attributes) { a.Agreements = []string{"PCII"} }), refused: bank,
		},
		"acs-nationality":  {says: control(`"classification":"U","permitted_nationalities":["USA","GBR"]`, ""), action: See, allowed: &bank, refused: *foreign},
		"acs-organization": {says: control(`"classification":"U","permitted_organizations":["USA.DHS","FIN"]`, ""), action: See, allowed: &agency, refused: Attributes{Path: "USA.DHSX"}},
		"acs-shareability": {
			says: control(`"classification":"U","shareability":["NCC","LE"]`, ""), action: See,
			allowed: with(bank, func(a *Attributes) { a.Shareability = []string{"NCC"} }), refused: bank,
		},
		"acs-entity":     {says: control(`"classification":"U","entity":["GOV","MIL"]`, ""), action: See, allowed: &agency, refused: bank},
		"acs-display":    {says: control(`"classification":"U"`, privilege("DSPLY", `"permitted_nationalities":["DEU"]`, "deny")), action: See, allowed: &bank, refused: *foreign},
		"acs-source":     {says: control(`"classification":"U"`, privilege("IDSRC", `"entity":["CTR"]`, "deny")), action: Name, allowed: &agency, refused: bank},
		"acs-defense":    {says: control(`"classification":"U"`, privilege("NETDEF", `"permitted_organizations":["FIN"]`, "deny")), action: Block, allowed: &agency, refused: bank},
		"acs-operations": {says: control(`"classification":"U"`, privilege("OPACTION", `"entity":["ALL"]`, "deny")), action: Contact, refused: agency},
		"acs-tear-line":  {says: control(`"classification":"S"`, privilege("TEARLINE", `"permitted_nationalities":["DEU"]`, "deny")), action: TearLine, allowed: &bank, refused: Attributes{}},
		"acs-sharing": {
			says:   control(`"classification":"U"`, `,"further_sharing":[{"sharing_scope":["FOREIGNGOV","USA.DOD"],"rule_effect":"deny"}]`),
			action: Reshare, allowed: &agency, refused: Attributes{Kind: "government", Nationality: "DEU"},
		},
		"cui-see":      {says: cui(""), action: See, allowed: with(bank, func(a *Attributes) { a.Agreements = []string{"CUI"} }), refused: bank},
		"cui-reshare":  {says: cui(""), action: Reshare, allowed: &agency, refused: bank},
		"cui-noforn":   {says: cui(`"NOFORN"`), action: See, allowed: &agency, refused: *with(*foreign, func(a *Attributes) { a.Agreements = []string{"CUI"} })},
		"cui-fed-only": {says: cui(`"FED ONLY"`), action: See, allowed: &agency, refused: *with(bank, func(a *Attributes) { a.Agreements = []string{"CUI"} })},
		"cui-fedcon":   {says: cui(`"FEDCON"`), action: See, allowed: with(bank, func(a *Attributes) { a.Agreements = []string{"CUI"} }), refused: Attributes{Agreements: []string{"CUI"}}},
		"cui-nocon":    {says: cui(`"NOCON"`), action: See, allowed: &agency, refused: *with(bank, func(a *Attributes) { a.Agreements = []string{"CUI"} })},
		"cui-rel-to":   {says: cui(`"REL TO USA, FVEY"`), action: See, refused: Attributes{Agreements: []string{"CUI"}}},
		"unknown":      {id: "nothing", action: Detect, refused: agency},
	}
}

// TestEveryRowDecides asks the table, row by row, by way of the definition that
// a sharer would write.
func TestEveryRowDecides(t *testing.T) {
	all := rulings()
	r := all["cui-rel-to"] // FVEY is no country: not understood
	if _, ok := Parse(definition(t, r.says)); ok {
		t.Errorf("Parse(REL TO USA, FVEY) is understood")
	}
	r.says, r.allowed = cui(`"REL TO USA, GBR"`), rulings()["cui-noforn"].allowed
	all["cui-rel-to"] = r
	for _, row := range Table() {
		r, ok := all[row.ID]
		if !ok {
			t.Errorf("row %s has no example", row.ID)
			continue
		}
		delete(all, row.ID)
		m, _ := WellKnown(r.id)
		if r.says != "" {
			m = parsed(t, r.says)
		}
		d := Decide(&r.refused, []Marking{m}, r.action, now)
		if d.Yes || d.Reason == "" || !d.Until.Equal(r.notUntil) {
			t.Errorf("%s: Decide(%s) = %+v, want no, until %v", row.ID, r.action, d, r.notUntil)
		}
		if others := forbidding(&r.refused, &m, r.action); !slices.Equal(others, []string{row.ID}) {
			t.Errorf("%s: %s is forbidden by %q, want this row alone", row.ID, r.action, others)
		}
		if r.allowed == nil {
			continue
		}
		if d := Decide(r.allowed, []Marking{m}, r.action, now); !d.Yes || !d.Until.Equal(r.until) {
			t.Errorf("%s: Decide(%s) = %+v, want yes, until %v", row.ID, r.action, d, r.until)
		}
	}
	for id := range all {
		t.Errorf("there is an example of row %s, and no such row", id)
	}
}

// forbidding names the rows that are not met; what may not be seen is not asked
// about further.
func forbidding(a *Attributes, m *Marking, action Action) (ids []string) {
	for _, r := range Table() {
		if !slices.Contains(r.Actions, action) || !r.concerns(m) {
			continue
		}
		if ok, _ := r.met(&question{m, a, action, now}); !ok {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

func TestAClearanceEndsAtItsExpiry(t *testing.T) {
	m := parsed(t, control(`"classification":"S"`, ""))
	expiry := now.Add(time.Minute)
	a := Attributes{Clearances: []Clearance{{Level: TopSecret, Expires: now.Add(time.Second)}, {Level: Secret, Expires: expiry}, {Level: Confidential}}}
	if d := Decide(&a, []Marking{m}, See, now); !d.Yes || !d.Until.Equal(expiry) {
		t.Errorf("Decide = %+v, want yes until the later expiry", d)
	}
	if d := Decide(&a, []Marking{m}, See, expiry.Add(-time.Nanosecond)); !d.Yes {
		t.Errorf("Decide a moment before the expiry = %+v, want yes", d)
	}
	if d := Decide(&a, []Marking{m}, See, expiry); d.Yes {
		t.Errorf("Decide at the expiry = %+v, want no", d)
	}
}

// What is not understood in one word is not understood at all.
func TestOneUnknownWordClosesADefinition(t *testing.T) {
	for name, says := range map[string]string{
		"another kind":                       `"definition_type":"x-secret","definition":{"x":"y"}`,
		"another extension":                  extension("extension-definition--11111111-2222-4333-8444-555555555555", `"a":"b"`),
		"a statement with an extension":      statement("x") + "," + extension(papExtension, `"pap":"clear"`),
		"two extensions":                     `"extensions":{"` + papExtension + `":{"pap":"clear"},"` + tlpExtension + `":{"tlp_2_0":"clear"}}`,
		"TLP 1.0 by its form only":           `"definition_type":"tlp","definition":{"tlp":"white"}`,
		"no classification":                  control(`"entity":["GOV"]`, ""),
		"a classification of another sort":   control(`"classification":"COSMIC"`, ""),
		"a determination of a later version": control(`"classification":"U","formal_determination":["ORCON"]`, ""),
		"a property of a later version":      control(`"classification":"U"`, `,"further_restriction":"x"`),
		"an action of a later version":       control(`"classification":"U"`, privilege("DREAM", `"entity":["ALL"]`, "deny")),
		"a privilege without a scope":        control(`"classification":"U"`, privilege("DSPLY", ``, "deny")),
		"a policy by id alone":               policy(`"iep_version":"2.0"`),
		"a policy with unknown actions":      policy(`"tlp":"white","provider_attribution":"may","permitted_actions":"everything"`),
		"a dissemination that is unknown":    cui(`"ATTORNEY-CLIENT"`),
		"a PAP of a later version":           extension(papExtension, `"pap":"black"`),
	} {
		if m, ok := Parse(definition(t, says)); ok {
			t.Errorf("%s: Parse = %+v, want not understood", name, m)
		}
	}
}

func TestADefinitionCannotRedefineTLP(t *testing.T) {
	v, err := stix.Parse([]byte(`{"type":"marking-definition","id":"`+tlp.Red.Marking()+`",`+statement("Public")+`}`), stix.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if m, ok := Parse(v); !ok || m.TLP != tlp.Red {
		t.Errorf("Parse(TLP:RED as a statement) = %+v, %v, want TLP:RED", m, ok)
	}
}

func TestPoliciesOfFIRSTAreKnownByID(t *testing.T) {
	m, ok := Parse(definition(t, extension(iepExtension, `"iep_id":"5e607e88-ab70-4977-8c1b-ee3a16b0f68c","iep_version":"2.0"`)))
	if !ok || m.TLP != tlp.Red {
		t.Errorf("Parse(FIRST's policy for TLP:RED) = %+v, %v, want red", m, ok)
	}
}

func TestPublishedMarkings(t *testing.T) {
	folder := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // where the data for tests is
	if folder == "" {
		t.Skip("TOCSIN_DATA is not set")
	}
	nobody := &Attributes{Organization: "bank", Kind: "company"}
	ic := &Attributes{Kind: "government", Path: "USA.NSA", Nationality: "USA", Entity: "GOV", Clearances: []Clearance{{Level: TopSecret}}}
	fbi := &Attributes{Kind: "government", Path: "USA.DOJ.FBI", Nationality: "USA", Entity: "GOV", Shareability: []string{"LE"}}
	for name, want := range map[string][]struct { // each marking-definition in order: who sees
		kind            Kind
		nobody, ic, fbi bool
	}{
		"acs3-use-case-1.json": {{ACS, false, false, false}}, // privdefault=deny, and no privilege permits
		"acs3-use-case-2.json": {{ACS, true, true, true}},
		"acs3-use-case-3.json": {{ACS, false, false, false}, {ACS, true, true, true}},
		"acs3-use-case-4.json": {{ACS, false, true, true}},
		"acs3-use-case-5.json": {{ACS, false, false, true}},
		"iep2-red.json":        {{IEP, false, false, false}}, // ended in 2022
		"cui-banner.json":      {{CUI, false, true, true}},
		"tlp2.0-marking-definitions.json": {
			{TLP, true, true, true}, {TLP, true, true, true}, {TLP, true, true, true}, {TLP, true, true, true}, {TLP, false, false, false},
		},
	} {
		text, err := os.ReadFile(filepath.Join(folder, "markings", name))
		if err != nil {
			t.Fatal(err)
		}
		v, err := stix.Parse(text, stix.Limits{})
		if err != nil {
			t.Fatal(name, err)
		}
		var definitions []stix.Value
		all := []stix.Value{v}
		for _, list := range []stix.Value{v, v.Get("objects"), v.Get("definitions")} {
			for _, o := range list.Elements() {
				all = append(all, o)
			}
		}
		for _, o := range all {
			if o.Get("type").Is("marking-definition") {
				definitions = append(definitions, o)
			}
		}
		if len(definitions) != len(want) {
			t.Fatalf("%s holds %d definitions, want %d", name, len(definitions), len(want))
		}
		sees := map[tlp.Label]bool{}
		for i, d := range definitions {
			m, ok := Parse(d)
			if !ok || m.Kind != want[i].kind {
				t.Errorf("%s: Parse = %s, %v, want %s", name, m.Kind, ok, want[i].kind)
				continue
			}
			sees[m.TLP] = true
			w := want[i]
			if m.TLP == tlp.Red {
				w.nobody, w.ic, w.fbi = false, false, false
			} else if m.Kind == TLP {
				w.nobody, w.ic, w.fbi = true, true, true
			}
			for who, c := range map[string]struct {
				a    *Attributes
				want bool
			}{"a company": {nobody, w.nobody}, "NSA": {ic, w.ic}, "FBI": {fbi, w.fbi}} {
				if d := Decide(c.a, []Marking{m}, See, now); d.Yes != c.want {
					t.Errorf("%s, definition %d: %s sees = %+v, want %v", name, i, who, d, c.want)
				}
			}
		}
		if strings.HasPrefix(name, "tlp") && len(sees) != 5 {
			t.Errorf("%s: %d levels, want five", name, len(sees))
		}
	}
}

// Promise 5: adding a marking never widens an audience, for any action.
func TestAddingAMarkingNeverWidensAnAudience(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 7))
	var pool []Marking
	var readers []Attributes
	for _, r := range rulings() {
		m, known := WellKnown(r.id)
		if r.says != "" {
			m, known = Parse(definition(t, r.says))
		}
		if known || r.id != "" {
			pool = append(pool, m)
		}
		readers = append(readers, r.refused)
		if r.allowed != nil {
			readers = append(readers, *r.allowed)
		}
	}
	decider := NewDecider()
	for range 20_000 {
		var some []Marking
		for range rng.IntN(4) {
			some = append(some, pool[rng.IntN(len(pool))])
		}
		more := append(slices.Clone(some), pool[rng.IntN(len(pool))])
		rng.Shuffle(len(more), func(i, j int) { more[i], more[j] = more[j], more[i] })
		reader := &readers[rng.IntN(len(readers))]
		for _, action := range Actions() {
			before, after := decider.Decide(reader, some, action, now), decider.Decide(reader, more, action, now)
			if after.Yes && !before.Yes {
				t.Fatalf("%s: yes with one marking more than %+v", action, some)
			}
			if after.Yes && before.Yes && !before.Until.IsZero() && (after.Until.IsZero() || after.Until.After(before.Until)) {
				t.Fatalf("%s: one marking more makes the answer last longer", action)
			}
			// What is said to stay does stay.
			if d := after; !d.Until.IsZero() && d.Until.After(now) {
				if then := decider.Decide(reader, more, action, d.Until.Add(-1)); then.Yes != d.Yes {
					t.Fatalf("%s: %+v until then, but %+v before", action, d, then)
				}
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, r := range rulings() {
		f.Add(definition(f, orElse(r.says, statement("x"))).Raw())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := stix.Parse(text, stix.Limits{})
		if err != nil {
			return
		}
		m, ok := Parse(v)
		if !ok && m.Kind != "" {
			t.Errorf("Parse(%q) = %+v, want nothing of what is not understood", text, m)
		}
		for _, action := range Actions() {
			d := Decide(&Attributes{}, []Marking{m}, action, now)
			if d.Yes && !ok && action != TearLine || !d.Yes && d.Reason == "" {
				t.Errorf("Decide(%s, %q) = %+v", action, text, d)
			}
			if strings.Contains(d.Reason, "{") {
				t.Errorf("the reason quotes the definition: %s", d.Reason)
			}
		}
	})
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
