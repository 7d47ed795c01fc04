package stix_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"tocsin/stix"
)

// inBundle returns a bundle of objects.
func inBundle(objects ...string) []byte {
	return []byte(`{"type": "bundle", "id": "bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "objects": [` + strings.Join(objects, ", ") + `]}`)
}

func bundleProblems(t testing.TB, text []byte, options stix.Options) []stix.Problem {
	t.Helper()
	v, err := stix.Parse(text, stix.Limits{Bytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	return stix.ValidateBundle(v, options)
}

func TestABundleIsCheckedWithItsObjects(t *testing.T) {
	twice := strings.Replace(anIndicator, `"name": "C2", "description": "An address."`, `"description": "An address.", "name": "\u00432"`, 1)
	for name, c := range map[string]struct {
		text       string
		at, clause string // of the one problem; none when both are empty
		warning    bool
	}{
		"a bundle":                     {string(inBundle(anIndicator, aRelationship, anAddress)), "", "", false},
		"an empty bundle":              {`{"type": "bundle", "id": "bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}`, "", "", false},
		"an empty list":                {string(inBundle()), "/objects", "STIX 2.1 §2.12", false},
		"no list":                      {`{"type": "bundle", "id": "bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "objects": "a"}`, "/objects", "STIX 2.1 §2.12", false},
		"no id":                        {`{"type": "bundle"}`, "/id", "STIX 2.1 §8.1", false},
		"an id of something else":      {`{"type": "bundle", "id": "malware--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}`, "/id", "STIX 2.1 §2.9", false},
		"a list is no bundle":          {`[]`, "", "STIX 2.1 §8", false},
		"an object is no bundle":       {anIndicator, "/type", "STIX 2.1 §8.1", false},
		"a bundle in a bundle":         {string(inBundle(string(inBundle(anAddress)))), "/objects/0", "STIX 2.1 §8.1", false},
		"a number is no object":        {string(inBundle("1")), "/objects/0", "STIX 2.1 §3.2", false},
		"an object is not valid":       {string(inBundle(anAddress, `{"type": "mutex", "id": "mutex--b38b4b6a-37bd-4f3c-8c1f-6ae9e6a2d5e1"}`)), "/objects/1/name", "STIX 2.1 §6.11.1", false},
		"a large integer beside":       {`{"type": "bundle", "id": "bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "x_n": 9007199254740993}`, "/x_n", "STIX 2.1 §2.10", false},
		"a property that nobody keeps": {`{"type": "bundle", "id": "bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "created": "2026-04-06T20:03:48.000Z"}`, "/created", "STIX 2.1 §11.1", true},
		"the same object twice":        {string(inBundle(anIndicator, anIndicator)), "/objects/1", "STIX 2.1 §3.6", true},
		"the same in another order":    {string(inBundle(anIndicator, twice)), "", "", false},
		"one version, two contents":    {string(inBundle(anIndicator, string(changed(t, anIndicator, `{"name": "C3"}`)))), "/objects/1", "STIX 2.1 §3.6", false},
		"one time, two spellings":      {string(inBundle(anIndicator, string(changed(t, anIndicator, `{"modified": "2026-04-06T20:03:48.0000Z", "name": "C3"}`)))), "/objects/1", "STIX 2.1 §3.6", false},
		"a creator is the same":        {string(inBundle(anIndicator, string(changed(t, anIndicator, `{"modified": "2026-04-07T20:03:48.000Z", "created_by_ref": "identity--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}`)))), "/objects/1", "STIX 2.1 §3.6", false},
		"a revocation is the end": {string(inBundle(string(changed(t, anIndicator, `{"modified": "2026-04-08T20:03:48.000Z"}`)),
			string(changed(t, anIndicator, `{"modified": "2026-04-07T20:03:48.000Z", "revoked": true}`)))), "/objects/0", "STIX 2.1 §3.6", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := bundleProblems(t, []byte(c.text), stix.Options{})
			failures := onlyErrors(got)
			if c.clause == "" || c.warning {
				if len(failures) > 0 {
					t.Errorf("ValidateBundle(%s) = %v, want no errors", c.text, failures)
				}
			}
			if c.clause != "" && !slices.ContainsFunc(got, func(p stix.Problem) bool {
				return p.At == c.at && p.Clause == c.clause && (p.Class == stix.ClassWarning) == c.warning
			}) {
				t.Errorf("ValidateBundle(%s) = %v, want a problem at %q by %s", c.text, got, c.at, c.clause)
			}
			if only := bundleProblems(t, []byte(c.text), stix.Options{ErrorsOnly: true}); !slices.Equal(only, failures) {
				t.Errorf("ValidateBundle(%s) with ErrorsOnly = %v, want %v", c.text, only, failures)
			}
		})
	}
}

func TestEveryObjectOfABundleGetsAReport(t *testing.T) {
	bad := string(changed(t, anIndicator, `{"labels": [`+strings.Repeat("1,", 500)+`1]}`))
	got := bundleProblems(t, inBundle(bad, strings.Replace(bad, "8e2e2d2b", "8e2e2d2c", 1), `{"type": "mutex"}`), stix.Options{})
	perObject := map[string]int{}
	for _, p := range onlyErrors(got) {
		perObject[strings.Split(p.At, "/")[2]]++
	}
	if perObject["0"] != 100 || perObject["1"] != 100 || perObject["2"] != 2 {
		t.Errorf("ValidateBundle(501 errors, 501 errors, 2 errors) reports %v, want 100, 100, 2", perObject)
	}
}

func TestReportsOfBundlesAreBounded(t *testing.T) {
	text := inBundle(strings.Repeat("1,", 200_000) + "1")
	if got := len(bundleProblems(t, text, stix.Options{})); got > 20_000 || got < 9_000 {
		t.Errorf("ValidateBundle(200,001 errors) reports %d, want about 10,000", got)
	}
}

// TestBundlesOfTheStandardsMarkingsAreValid reads what OASIS publishes of
// markings beyond the standard.
func TestBundlesOfTheStandardsMarkingsAreValid(t *testing.T) {
	for name := range strings.FieldsSeq(`acs3-use-case-1 acs3-use-case-2 acs3-use-case-3 acs3-use-case-4 acs3-use-case-5
		cui-banner iep2-red tlp2.0-marking-definitions`) {
		text, err := os.ReadFile(dataFile(t, "../markings/"+name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		v, err := stix.Parse(text, stix.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		check := stix.Validate
		if v.Get("type").Is("bundle") {
			check = stix.ValidateBundle
		}
		if got := check(v, stix.Options{ErrorsOnly: true}); len(got) > 0 {
			t.Errorf("%s: %v, want no errors", name, got)
		}
	}
}

// FuzzValidateBundle checks that no text makes the checks panic or balloon, and
// that leaving warnings out changes no error.
func FuzzValidateBundle(f *testing.F) {
	for _, e := range examples(f) {
		f.Add([]byte(e.Object))
		f.Add(inBundle(string(e.Object), string(e.Object)))
	}
	f.Add(inBundle(anIndicator, string(changed(f, anIndicator, `{"revoked": true, "name": "C3"}`)), aRelationship, aTranslation, anObservation, anAddress))
	f.Add(inBundle(markedBy(`"extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce": `+anACS), anOrganization))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := stix.Parse(text, stix.Limits{Bytes: 1 << 16})
		if err != nil {
			t.Skip("not JSON")
		}
		for _, profile := range []stix.Profile{"", "interop:mas", stix.AIS} {
			for _, check := range []func(stix.Value, stix.Options) []stix.Problem{stix.Validate, stix.ValidateBundle} {
				all := check(v, stix.Options{Profile: profile})
				if len(all) > 20_200 {
					t.Fatalf("%q has %d problems, want a bounded number", text, len(all))
				}
				want := onlyErrors(all)
				if got := check(v, stix.Options{Profile: profile, ErrorsOnly: true}); !slices.Equal(got, want) {
					t.Errorf("%q with ErrorsOnly = %v, want %v", text, got, want)
				}
			}
		}
	})
}
