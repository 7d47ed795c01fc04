package stix_test

import (
	"slices"
	"strings"
	"testing"

	"tocsin/stix"
)

const (
	anOrganization = `{"type": "identity", "spec_version": "2.1", "id": "identity--3ca6de00-5b0d-45ef-a1dc-ea7279ea910e",
		"created_by_ref": "identity--3ca6de00-5b0d-45ef-a1dc-ea7279ea910e", "created": "2026-04-06T20:03:48.000Z",
		"modified": "2026-04-06T20:03:48.000Z", "name": "ACME", "identity_class": "organization"}`
	ofACME  = `"created_by_ref": "identity--3ca6de00-5b0d-45ef-a1dc-ea7279ea910e", "indicator_types": ["malicious-activity"]`
	inGreen = `"object_marking_refs": ["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"]`
)

func TestProfilesAreNamed(t *testing.T) {
	for name, want := range map[string]bool{
		"": true, "ais": true, "AIS": true, "interop": true, "interop:tip": true, "Interop:SXP": true,
		"interop:": false, "interop:foo": false, "ais:tip": false, "foo": false, ":tip": false,
	} {
		if _, ok := stix.ParseProfile(name); ok != want {
			t.Errorf("ParseProfile(%q) = %v, want %v", name, ok, want)
		}
	}
}

func TestProfilesHaveRulesOfTheirOwn(t *testing.T) {
	indicator := string(changed(t, anIndicator, `{`+ofACME+`}`))
	for name, c := range map[string]struct {
		profile stix.Profile
		text    []byte
		at      string // of an error, "" for none
		clause  string
	}{
		"nobody asked":                {"", inBundle(anIndicator), "", ""},
		"all is there":                {stix.Interop, inBundle(indicator, anOrganization, anAddress), "", ""},
		"a creator":                   {stix.Interop, inBundle(string(changed(t, indicator, `{"created_by_ref": null}`)), anOrganization), "/objects/0/created_by_ref", "Interoperability Test Document"},
		"a persona has the same":      {"interop:tip", inBundle(string(changed(t, indicator, `{"created_by_ref": null}`)), anOrganization), "/objects/0/created_by_ref", "Interoperability Test Document"},
		"the creator is in it":        {stix.Interop, inBundle(indicator), "/objects/0/created_by_ref", "Interoperability Test Document"},
		"the creator has a creator":   {stix.Interop, inBundle(indicator, string(changed(t, anOrganization, `{"created_by_ref": null}`))), "/objects/0/created_by_ref", "Interoperability Test Document"},
		"an indicator has types":      {stix.Interop, inBundle(string(changed(t, indicator, `{"indicator_types": null}`)), anOrganization), "/objects/0/indicator_types", "interoperability schemas"},
		"an indicator has a name":     {stix.Interop, inBundle(string(changed(t, indicator, `{"name": null}`)), anOrganization), "/objects/0/name", "interoperability schemas"},
		"a sighting has a count":      {stix.Interop, inBundle(string(changed(t, aSighting, `{"created_by_ref": "identity--3ca6de00-5b0d-45ef-a1dc-ea7279ea910e", "first_seen": "2026-01-01T00:00:00Z", "last_seen": "2026-01-01T00:00:00Z"}`)), anOrganization), "/objects/0/count", "interoperability schemas"},
		"one TLP marking":             {stix.Interop, inBundle(string(changed(t, indicator, `{"object_marking_refs": ["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"]}`)), anOrganization), "/objects/0/object_marking_refs/1", "interoperability schemas"},
		"AIS takes it":                {stix.AIS, inBundle(string(changed(t, indicator, `{`+inGreen+`}`)), string(changed(t, anOrganization, `{`+inGreen+`, "labels": ["ais-consent-usg"]}`))), "", ""},
		"AIS wants a marking":         {stix.AIS, inBundle(indicator, anOrganization), "/objects/0/object_marking_refs", "AIS"},
		"AIS takes no RED":            {stix.AIS, inBundle(string(changed(t, indicator, `{"object_marking_refs": ["marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"]}`)), anOrganization), "/objects/0/object_marking_refs/0", "AIS"},
		"AIS takes no STRICT":         {stix.AIS, inBundle(string(changed(t, indicator, `{"object_marking_refs": ["marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"]}`)), anOrganization), "/objects/0/object_marking_refs/0", "AIS"},
		"AIS wants who submits":       {stix.AIS, inBundle(string(changed(t, indicator, `{`+inGreen+`}`))), "/objects/0/created_by_ref", "AIS"},
		"consent is one of four":      {stix.AIS, inBundle(string(changed(t, anOrganization, `{`+inGreen+`, "labels": ["ais-consent-usg-cisa-proprietary"]}`))), "/objects/0/labels/0", "AIS"},
		"consent is on the submitter": {stix.AIS, inBundle(string(changed(t, indicator, `{`+inGreen+`, "labels": ["ais-consent-usg"]}`)), string(changed(t, anOrganization, `{`+inGreen+`}`))), "/objects/0/labels/0", "AIS"},
		"AIS takes nothing secret":    {stix.AIS, inBundle(markedBy(`"extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce": ` + anACS)), "/objects/0/extensions/extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce/control_set/classification", "AIS"},
	} {
		t.Run(name, func(t *testing.T) {
			got := onlyErrors(bundleProblems(t, c.text, stix.Options{Profile: c.profile}))
			if c.at == "" {
				if len(got) > 0 {
					t.Errorf("ValidateBundle(%s) = %v, want no errors", c.text, got)
				}
				return
			}
			if !slices.ContainsFunc(got, func(p stix.Problem) bool { return p.At == c.at && strings.Contains(p.Clause, c.clause) }) {
				t.Errorf("ValidateBundle(%s) = %v, want a problem at %q by %s", c.text, got, c.at, c.clause)
			}
			if got := onlyErrors(bundleProblems(t, c.text, stix.Options{})); len(got) > 0 {
				t.Errorf("ValidateBundle(%s) without a profile = %v, want no errors", c.text, got)
			}
		})
	}
}

func TestAISSaysWhatIsReviewedAndDropped(t *testing.T) {
	text := inBundle(observable("user-account", `"display_name": "Jane", "account_type": "unix", "credential": "x"`),
		observable("file", `"name": "a.exe", "x_owner": "Jane"`), anIndicator)
	got := map[string]string{}
	for _, p := range bundleProblems(t, text, stix.Options{Profile: stix.AIS}) {
		if p.Clause == "AIS profile" && p.Class == stix.ClassWarning {
			got[p.At] = strings.Fields(p.Message)[0]
		}
	}
	want := map[string]string{
		"/objects/0/display_name": "personal", "/objects/0/credential": "personal",
		"/objects/1/x_owner": "free", "/objects/2/name": "free", "/objects/2/description": "free",
	}
	for at, word := range want {
		if got[at] != word {
			t.Errorf("at %s AIS says %q, want %q", at, got[at], word)
		}
	}
	if len(got) != len(want) {
		t.Errorf("AIS treats %v, want %v", got, want)
	}
}

// markedBy returns a marking-definition with extensions.
func markedBy(extensions string) string {
	return `{"type": "marking-definition", "spec_version": "2.1", "id": "marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f",
		"created": "2026-04-06T19:58:16.000Z", "extensions": {` + extensions + `}}`
}

const anACS = `{"extension_type": "property-extension", "identifier": "isa:guide.19001.ACS3-3bda2f6e-cedc-4c0f-a756-c03d6b586917",
	"create_date_time": "2018-05-27T14:10:26.723Z", "responsible_entity_custodian": "USA.DHS.US-CERT",
	"policy_reference": "urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=permit",
	"access_privilege": [{"privilege_action": "CISAUSES", "privilege_scope": {"entity": ["ALL"]}, "rule_effect": "permit"}],
	"further_sharing": [{"sharing_scope": ["FOREIGNGOV"], "rule_effect": "deny"}],
	"control_set": {"classification": "TS", "formal_determination": ["FOUO"], "permitted_organizations": ["USA.USG", "DIB"]}}`

func TestMarkingExtensionsHaveTheirTables(t *testing.T) {
	const (
		tlp = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
		acs = "extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce"
		iep = "extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a"
		cui = "extension-definition--dff17fb3-edcb-4f99-ad1b-4b751c95738a"

		aPolicy = `{"extension_type": "property-extension", "iep_id": "0224bfdf-ea3a-49c3-96f6-66d908bb1845", "iep_version": 2.0, "name": "a",
			"start_date": "2022-10-01T00:00:00Z", "end_date": "2022-11-01T00:00:00Z", "encrypt_in_transit": "must", "permitted_actions": "none",
			"affected_party_notifications": "may", "tlp": "amber", "provider_attribution": "must", "unmodified_resale": "must-not"}`
		aCUI = `{"extension_type": "property-extension", "control": "CUI", "categories": ["SP-EXPT", "ASYL"],
			"designator_ref": "identity--c069bb9f-158a-405d-92b4-858a2536df9a"}`
	)
	for name, c := range map[string]struct{ id, extension, patch, at string }{
		"ACS":                             {acs, anACS, "", ""},
		"ACS has an identifier":           {acs, anACS, `{"identifier": null}`, "/identifier"},
		"ACS has a form of identifier":    {acs, anACS, `{"identifier": "ACS3-1"}`, "/identifier"},
		"ACS has a time":                  {acs, anACS, `{"create_date_time": "2018"}`, "/create_date_time"},
		"ACS has a custodian":             {acs, anACS, `{"responsible_entity_custodian": "somebody"}`, "/responsible_entity_custodian"},
		"ACS has a policy":                {acs, anACS, `{"policy_reference": "urn:isa:policy:acs:ns:v3.0?privdefault=maybe&sharedefault=permit"}`, "/policy_reference"},
		"ACS has a control set":           {acs, anACS, `{"control_set": null}`, "/control_set"},
		"ACS has levels":                  {acs, anACS, `{"control_set": {"classification": "R"}}`, "/control_set/classification"},
		"ACS has determinations":          {acs, anACS, `{"control_set": {"classification": "U", "formal_determination": ["NO"]}}`, "/control_set/formal_determination/0"},
		"ACS has caveats":                 {acs, anACS, `{"control_set": {"classification": "U", "caveat": ["NO"]}}`, "/control_set/caveat/0"},
		"ACS has entities":                {acs, anACS, `{"control_set": {"classification": "U", "entity": ["ALL"]}}`, "/control_set/entity/0"},
		"ACS has actions":                 {acs, anACS, `{"access_privilege": [{"privilege_action": "READ", "privilege_scope": {"entity": ["ALL"]}, "rule_effect": "permit"}]}`, "/access_privilege/0/privilege_action"},
		"ACS has scopes":                  {acs, anACS, `{"access_privilege": [{"privilege_action": "ALL", "privilege_scope": {"x_a": 1}, "rule_effect": "permit"}]}`, "/access_privilege/0/privilege_scope"},
		"ACS has effects":                 {acs, anACS, `{"further_sharing": [{"sharing_scope": ["SECTOR"], "rule_effect": "allow"}]}`, "/further_sharing/0/rule_effect"},
		"ACS has ends of classification":  {acs, anACS, `{"declassification": {"x_a": 1}}`, "/declassification"},
		"ACS has releasers":               {acs, anACS, `{"public_release": {"released_on": "2020-01-01T00:00:00Z"}}`, "/public_release/released_by"},
		"ACS adds properties":             {acs, anACS, `{"extension_type": "new-sdo"}`, "/extension_type"},
		"IEP":                             {iep, aPolicy, "", ""},
		"IEP has an id":                   {iep, aPolicy, `{"iep_id": "1"}`, "/iep_id"},
		"IEP has a version":               {iep, aPolicy, `{"iep_version": 1.0}`, "/iep_version"},
		"IEP has actions":                 {iep, aPolicy, `{"permitted_actions": "all"}`, "/permitted_actions"},
		"IEP encrypts or not":             {iep, aPolicy, `{"encrypt_in_transit": "must-not"}`, "/encrypt_in_transit"},
		"IEP tells or not":                {iep, aPolicy, `{"affected_party_notifications": "must"}`, "/affected_party_notifications"},
		"IEP knows no STRICT":             {iep, aPolicy, `{"tlp": "amber+strict"}`, "/tlp"},
		"IEP attributes":                  {iep, aPolicy, `{"provider_attribution": "should"}`, "/provider_attribution"},
		"IEP resells":                     {iep, aPolicy, `{"unmodified_resale": "must"}`, "/unmodified_resale"},
		"IEP ends after it began":         {iep, aPolicy, `{"end_date": "2022-09-01T00:00:00Z"}`, "/end_date"},
		"CUI":                             {cui, aCUI, "", ""},
		"CUI is controlled":               {cui, aCUI, `{"control": "SECRET"}`, "/control"},
		"CUI has a designator":            {cui, aCUI, `{"designator_ref": null}`, "/designator_ref"},
		"CUI's designator is an identity": {cui, aCUI, `{"designator_ref": "tool--c069bb9f-158a-405d-92b4-858a2536df9a"}`, "/designator_ref"},
		"CUI has capital categories":      {cui, aCUI, `{"categories": ["asylum"]}`, "/categories/0"},
		"CUI names the specified first":   {cui, aCUI, `{"categories": ["ASYL", "SP-EXPT"]}`, "/categories/1"},
		"TLP 2.0 has five levels":         {tlp, `{"extension_type": "property-extension", "tlp_2_0": "purple"}`, "", "/tlp_2_0"},
		"TLP 2.0 has a level":             {tlp, `{"extension_type": "property-extension"}`, "", "/tlp_2_0"},
	} {
		t.Run(name, func(t *testing.T) {
			text := []byte(markedBy(`"` + c.id + `": ` + string(changed(t, c.extension, c.patch))))
			got := onlyErrors(validate(t, text, stix.Options{}))
			at := "/extensions/" + c.id + c.at
			switch {
			case c.at == "" && len(got) > 0:
				t.Errorf("Validate(%s) = %v, want no errors", text, got)
			case c.at != "" && !slices.ContainsFunc(got, func(p stix.Problem) bool { return p.At == at }):
				t.Errorf("Validate(%s) = %v, want a problem at %s", text, got, at)
			}
		})
	}
}
