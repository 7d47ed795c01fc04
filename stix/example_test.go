package stix_test

import (
	"errors"
	"fmt"

	"tocsin/stix"
)

func ExampleParse() {
	text := `{"type": "indicator", "name": "harmless", "na\u006de": "hostile"}`
	_, err := stix.Parse([]byte(text), stix.Limits{})
	if problem, ok := errors.AsType[*stix.Problem](err); ok {
		fmt.Println(problem.Message, "at", problem.At)
	}
	// Output: a property name occurs twice in one object (RFC 7493 §2.3) at /name
}

func ExampleValidate() {
	text := `{
		"type": "indicator",
		"spec_version": "2.1",
		"id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
		"created": "2026-04-06T20:03:48.000Z",
		"modified": "2026-04-06T20:03:48.000Z",
		"name": "Command and control",
		"description": "An address that implants report to.",
		"indicator_types": ["beacon"],
		"pattern": "[ipv4-addr:value = '198.51.100.3']",
		"pattern_type": "stix",
		"valid_from": "2026-04-06T20:03:48Z",
		"valid_until": "2026-04-01T00:00:00Z"
	}`
	object, err := stix.Parse([]byte(text), stix.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, problem := range stix.Validate(object, stix.Options{}) {
		if problem.Class == stix.ClassWarning {
			fmt.Print("warning: ")
		}
		fmt.Println(&problem)
	}
	// Output:
	// warning: this term is not one of indicator-type-ov at /indicator_types/0 (STIX 2.1 §10.10)
	// a time later than valid_from was expected at /valid_until (STIX 2.1 §4.7.1)
}

func ExampleEdit() {
	text := `{"type": "x-note", "x_price":1.50, "created_by_ref": "identity--311b2d2d-f010-4473-83ec-1edf84858f4c", "labels": ["mine"]}`
	object, err := stix.Parse([]byte(text), stix.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	edit := stix.Edit(object)
	edit.Remove(object.Get("created_by_ref"))
	for _, label := range object.Get("labels").Elements() {
		edit.Remove(label) // and with its last label the list
	}
	fmt.Printf("%s\n", edit.Bytes())
	// Output: {"type":"x-note","x_price":1.50}
}

func ExampleDeterministicID() {
	object, err := stix.Parse([]byte(`{"type": "ipv4-addr", "value": "198.51.100.3"}`), stix.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(stix.DeterministicID(object))
	// Output: ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4 true
}

func ExampleSelect() {
	text := `{"type": "vulnerability", "external_references": [{"source_name": "cve", "external_id": "CVE-2014-0160"}]}`
	object, err := stix.Parse([]byte(text), stix.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, selected := range stix.Select(object, "external_references.[0].external_id") {
		fmt.Println(selected.Text(), "at", selected.Pointer())
	}
	// Output: CVE-2014-0160 at /external_references/0/external_id
}
