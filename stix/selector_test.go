package stix_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/stix"
)

func TestSelectorsAreParsed(t *testing.T) {
	for selector, want := range map[string][]stix.Step{
		"description":                            {{Name: "description"}},
		"id":                                     {{Name: "id"}},
		"external_references.[0].source_name":    {{Name: "external_references"}, {Index: 0}, {Name: "source_name"}},
		"labels.[12]":                            {{Name: "labels"}, {Index: 12}},
		"extensions.archive-ext.contains_refs":   {{Name: "extensions"}, {Name: "archive-ext"}, {Name: "contains_refs"}},
		"hashes.SHA-256":                         {{Name: "hashes"}, {Name: "SHA-256"}},
		"objects.0.x.[3].[0]":                    {{Name: "objects"}, {Name: "0"}, {Name: "x"}, {Index: 3}, {Index: 0}},
		strings.Repeat("n", 250):                 {{Name: strings.Repeat("n", 250)}},
		"":                                       nil,
		".":                                      nil,
		"a..b":                                   nil,
		"a.":                                     nil,
		".a":                                     nil,
		"labels[0]":                              nil,
		"labels.[0":                              nil,
		"labels.0]":                              nil,
		"labels.[]":                              nil,
		"labels.[-1]":                            nil,
		"labels.[+1]":                            nil,
		"labels.[01]":                            nil,
		"labels.[*]":                             nil,
		"labels.[0x1]":                           nil,
		"labels.[99999999999999999999999999999]": nil,
		"[0]":                                    nil,
		"a b":                                    nil,
		"$.name":                                 nil,
		"näme":                                   nil,
		"name\n":                                 nil,
		strings.Repeat("n", 251):                 nil,
	} {
		got, ok := stix.ParseSelector(selector)
		if ok != (want != nil) {
			t.Errorf("ParseSelector(%q) = %v, want %v", selector, ok, want != nil)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParseSelector(%q) (-want +got):\n%s", selector, diff)
		}
	}
}

// The example of STIX 2.1 §7.2.3.
const heartbleed = `{"id": "vulnerability--ee916c28-c7a4-4d0d-ad56-a8d357f89fef", "created": "2016-02-14T00:00:00.000Z",
	"modified": "2016-02-14T00:00:00.000Z", "type": "vulnerability", "spec_version": "2.1", "name": "CVE-2014-0160",
	"description": "The (1) TLS...", "external_references": [{"source_name": "cve", "external_id": "CVE-2014-0160"}],
	"labels": ["heartbleed", "has-logo"]}`

func TestSelectorsSelectWhatTheStandardSays(t *testing.T) {
	v, err := stix.Parse([]byte(heartbleed), stix.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for selector, want := range map[string]string{
		"description":                         `"The (1) TLS..."`,
		"external_references.[0].source_name": `"cve"`,
		"labels.[0]":                          `"heartbleed"`,
		"labels":                              `["heartbleed", "has-logo"]`,
		"external_references":                 `[{"source_name": "cve", "external_id": "CVE-2014-0160"}]`,
		"pattern":                             "",
		"external_references.[3]":             "",
		"description.[0]":                     "",
		"labels.name":                         "",
		"labels.[2]":                          "",
		"not a selector":                      "",
		"external_references.source_name":     "",
		"name.x.y.z":                          "",
	} {
		got := ""
		if selected := stix.Select(v, selector); len(selected) > 0 {
			got = string(selected[0].Raw())
		}
		if got != want {
			t.Errorf("Select(%q) = %s, want %s", selector, got, want)
		}
		if resolves := stix.SelectorResolves(v, selector); resolves != (want != "") {
			t.Errorf("SelectorResolves(%q) = %v, want %v", selector, resolves, want != "")
		}
		text := strings.TrimSuffix(heartbleed, "}") + fmt.Sprintf(`, "granular_markings": [{"lang": "en", "selectors": [%q]}]}`, selector)
		if problems := onlyErrors(validate(t, []byte(text), stix.Options{})); (len(problems) == 0) != (want != "") {
			t.Errorf("Validate(with selector %q) = %v, want valid %v", selector, problems, want != "")
		}
	}
}

// TestManySelectorsOfALargeObject hangs when every selector searches the object
// from its start.
func TestManySelectorsOfALargeObject(t *testing.T) {
	const n = 9_000
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(heartbleed, "}"))
	b.WriteString(`, "x_many": [` + strings.Repeat("1,", 200_000) + `1]`)
	for i := range n {
		fmt.Fprintf(&b, `, "x_p%d": %d`, i, i)
	}
	b.WriteString(`, "granular_markings": [{"lang": "en", "selectors": ["name"`)
	for i := range 60_000 {
		fmt.Fprintf(&b, `, "x_many.[%d]", "x_p%d"`, 200_000-i, n-1-i%n)
	}
	b.WriteString(`]}]}`)
	text := []byte(b.String())
	if got := validate(t, text, stix.Options{ErrorsOnly: true}); len(got) > 0 {
		t.Errorf("Validate(120,000 selectors) = %v, want nothing", got)
	}
}
