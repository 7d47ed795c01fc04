package stix_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/stix"
	"tocsin/stix/pattern"
)

// The tests in this file read the large corpora, which are not in the
// repository: $TOCSIN_DATA says where they are.

func dataFile(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // only tests ask where the corpora are
	if dir == "" {
		t.Skip("TOCSIN_DATA is not set: it names the folder with the test corpora")
	}
	return filepath.Join(dir, "stix", name)
}

// cases reads the cases of a corpus into a slice.
func cases[T any](t testing.TB, name string) []T {
	t.Helper()
	text, err := os.ReadFile(dataFile(t, name))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []T }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Cases
}

func parsePattern(text string) error {
	_, err := pattern.Parse(text)
	return err
}

// problemsIn validates an object, or every object of a bundle, and returns its
// errors and warnings.
func problemsIn(t testing.TB, text []byte) (failures, warnings []stix.Problem) {
	t.Helper()
	v, err := stix.Parse(text, stix.Limits{Bytes: 1 << 30})
	if err != nil {
		t.Fatalf("Parse = %v, want a value", err)
	}
	objects := []stix.Value{v}
	if v.Get("type").Is("bundle") {
		objects = nil
		for _, o := range v.Get("objects").Elements() {
			objects = append(objects, o)
		}
	}
	for _, o := range objects {
		for _, p := range stix.Validate(o, stix.Options{Pattern: parsePattern}) {
			if p.Class == stix.ClassWarning {
				warnings = append(warnings, p)
			} else {
				failures = append(failures, p)
			}
		}
	}
	return failures, warnings
}

// A verdict is what a corpus says of an object.
type verdict struct {
	Name     string
	Section  string
	Object   json.RawMessage
	Valid    bool     `json:"must_valid"`
	Warnings []string `json:"should_warnings"`
}

// judge compares Validate with the verdicts. Of the names in divergences the
// opposite verdict is expected; their values say by which clause.
func judge(t *testing.T, verdicts []verdict, divergences, quiet map[string]string) {
	used := map[string]bool{}
	again := map[string]int{}
	for _, c := range verdicts {
		name := c.Name + c.Section
		again[name]++
		name = fmt.Sprintf("%s#%d", name, again[name])
		t.Run(name, func(t *testing.T) {
			want, why := c.Valid, divergences[name]
			if why != "" {
				want, used[name] = !want, true
			}
			failures, warnings := problemsIn(t, c.Object)
			if got := len(failures) == 0; got != want {
				t.Errorf("Validate(%s) = %v, want valid %v (the corpus says %v) %s", c.Object, failures, want, c.Valid, why)
			}
			if why := quiet[name]; c.Valid && len(c.Warnings) > 0 && len(failures)+len(warnings) == 0 {
				used[name] = true
				if why == "" {
					t.Errorf("Validate(%s) has no warning, want one like %q", c.Object, c.Warnings[0])
				}
			}
		})
	}
	for _, list := range []map[string]string{divergences, quiet} {
		for name := range list {
			if !used[name] {
				t.Errorf("the divergence of %s is none any more", name)
			}
		}
	}
}

func TestObjectsAreJudgedAsTheOASISValidatorDoes(t *testing.T) {
	verdicts := cases[verdict](t, "object_validation_cases.json")
	for i := range verdicts {
		// Most indicators have a created_by_ref that is no identity (STIX 2.1
		// §3.2), and most network traffic a src_ref with a UUID that lacks a
		// digit (§2.9): not what the cases are about.
		o := bytes.ReplaceAll(verdicts[i].Object, []byte(`"source--`), []byte(`"identity--`))
		verdicts[i].Object = bytes.ReplaceAll(o, []byte(`-22c398f78fb"`), []byte(`-22c398f78fb7"`))
	}
	const bundles = "bundle_tests.py::BundleTestCases::"
	const indicators = "indicator_tests.py::IndicatorTestCases::"
	const markings = "marking_definition_tests.py::MarkingDefinitionTestCases::"
	const observed = "observed_data_tests.py::ObservedDataTestCases::"
	const traffic = "network_traffic_tests.py::ObservedDataTestCases::"
	judge(t, verdicts, map[string]string{
		indicators + "test_custom_property_name_long#1":            "§3.1: no name is longer than 250 characters; the schema's expression is not anchored",
		indicators + "test_pattern_custom_object_type_too_short#1": "§9: the grammar takes names of one character",
		indicators + "test_pattern_custom_property_too_short#1":    "§9: the grammar takes names of one character",
		indicators + "test_reserved_property_phone_numbers#1":      "§3.8 reserves phone_number; phone_numbers was reserved in STIX 2.0",
		markings + "test_lax_option#1":                             "§7.2.1.4: a TLP marking is one of four, and this is none of them",
		observed + "test_artifact_mime_type#1":                     "§6.1.1: a media type SHOULD be a registered one",
		observed + "test_software_language#1":                      "RFC 5646: bbb is the registered subtag of Barai",
		observed + "test_url_in_artifact#1":                        "§6.1.1: the value MUST be a URL",
	}, map[string]string{
		bundles + "test_bundle_created#1":                      "is about the bundle, which package stix does not check",
		bundles + "test_bundle_uuidv5#1":                       "is about the bundle, which package stix does not check",
		bundles + "test_bundle_version#1":                      "is about the bundle, which package stix does not check",
		traffic + "test_network_traffic_ipfix#1":               "the IPFIX registry is not in this package",
		traffic + "test_network_traffic_http_request_header#1": "the registry of header fields is not in this package",
	})
}

func TestExamplesOfTheStandardAreJudgedAsTheOASISValidatorDoes(t *testing.T) {
	const granular = "Granular Marking Type#2"
	judge(t, cases[verdict](t, "spec_examples.json"), map[string]string{
		granular: "§7.2.3: lang may stand in the place of marking_ref; the schema forgets it",
		"C.1.1 Malware & Target List Hosting Domain#4":                         "RFC 9562 §4: UUIDs are written in lower case; identifiers are compared as text (§3.3)",
		"C.1.3 Related/Component Botnet Infrastructure#2":                      "RFC 9562 §4: UUIDs are written in lower case; identifiers are compared as text (§3.3)",
		"C.2.1 Create a new object type with a copyright marking definition#1": "§7.2.1.4: the identifier is that of TLP:GREEN, the content a copyright",
	}, nil)
}

func TestATTACKIsValid(t *testing.T) {
	for i, o := range attack(t).Get("objects").Elements() {
		for _, p := range stix.Validate(o, stix.Options{Pattern: parsePattern, ErrorsOnly: true}) {
			t.Errorf("Validate(objects[%d], %s) = %v, want no errors", i, o.Get("id").Text(), &p)
		}
	}
}

// attack returns ATT&CK Enterprise, 24,771 objects.
func attack(t testing.TB) stix.Value {
	t.Helper()
	name := dataFile(t, "bundles/attack-enterprise.json.xz")
	xz, err := exec.LookPath("xz")
	if err != nil {
		t.Skip("xz is not installed: it decompresses ATT&CK")
	}
	text, err := exec.Command(xz, "--decompress", "--stdout", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	v, err := stix.Parse(text, stix.Limits{Bytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestDeterministicIDsAreThoseOfTheReferenceLibrary(t *testing.T) {
	type idCase struct {
		Object json.RawMessage
		Expect string
		ID     string `json:"expect_id"`
	}
	for i, c := range cases[idCase](t, "deterministic_id_cases.json") {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			v, err := stix.Parse(c.Object, stix.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got, ok := stix.DeterministicID(v)
			if wantOK := c.Expect != "random-uuidv4"; ok != wantOK || got != c.ID {
				t.Errorf("DeterministicID(%s) = %q, %v, want %q, %v", c.Object, got, ok, c.ID, wantOK)
			}
		})
	}
}

func TestObjectsAreParsedAsTheReferenceLibraryDoes(t *testing.T) {
	type parseCase struct {
		Name   string
		Args   []json.RawMessage
		Kwargs struct {
			Custom bool `json:"allow_custom"`
		}
		OK    bool
		Error string
	}
	var verdicts []verdict
	for _, c := range cases[parseCase](t, "parse_cases.json") {
		object := c.Args[0]
		var text string
		if json.Unmarshal(object, &text) == nil {
			object = json.RawMessage(strings.TrimSpace(text))
		}
		verdicts = append(verdicts, verdict{Name: c.Name, Object: object, Valid: c.OK})
	}
	const (
		filled    = "§3.2: the library makes up required common properties that are missing"
		precise   = "§3.2: created and modified have milliseconds at least; the library adds them"
		cast      = "§2.15: a phase name is a string; the library turns a number into one"
		undefined = "§11: custom content may be taken; the library was told not to"
	)
	judge(t, verdicts, map[string]string{}, nil)
}
