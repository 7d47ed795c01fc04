package stix_test

import (
	"fmt"

	"tocsin/stix"
	"tocsin/stix/pattern"
)

func ExampleValidateBundle() {
	v, err := stix.Parse([]byte(`{"type": "bundle", "id": "bundle--5d0092c5-5f74-4287-9642-33f4c354e56d", "objects": [
		{"type": "tool", "spec_version": "2.1", "id": "tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
		 "created": "2026-04-06T20:03:48.000Z", "modified": "2026-04-06T20:03:48.000Z", "name": "VNC"},
		{"type": "tool", "spec_version": "2.1", "id": "tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
		 "created": "2026-04-06T20:03:48.000Z", "modified": "2026-04-06T20:03:48.000Z", "name": "Ultra VNC"},
		{"type": "url", "id": "url--28bb3599-77cd-5a82-a950-b5bc3caf07c4", "value": "example"}]}`), stix.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range stix.ValidateBundle(v, stix.Options{ErrorsOnly: true}) {
		fmt.Println(p.At, p.Clause)
	}
	// Output:
	// /objects/2/value STIX 2.1 §6.15.1
	// /objects/1 STIX 2.1 §3.6
}

// Patterns are checked by another package, so that who needs none does not link
// it.
func ExampleOptions() {
	v, err := stix.Parse([]byte(`{"type": "indicator", "spec_version": "2.1", "id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
		"created": "2026-04-06T20:03:48.000Z", "modified": "2026-04-06T20:03:48.000Z",
		"pattern": "[url:value 'https://example.com/']", "pattern_type": "stix", "valid_from": "2026-04-06T20:03:48Z"}`), stix.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	profile, _ := stix.ParseProfile("interop:tip")
	options := stix.Options{ErrorsOnly: true, Profile: profile, Pattern: func(text string) error {
		_, err := pattern.Parse(text)
		return err //nolint:wrapcheck // its text is part of a message
	}}
	for _, p := range stix.Validate(v, options) {
		fmt.Println(p.At, p.Clause)
	}
	// Output:
	// /pattern STIX 2.1 §9
	// /name STIX 2.1 interoperability schemas
	// /indicator_types STIX 2.1 interoperability schemas
	// /created_by_ref STIX 2.1 Interoperability Test Document, Part 1
}

func ExampleVersions() {
	var objects []stix.Value
	for _, text := range []string{
		`{"id": "tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "created": "2026-04-06T20:03:48.000Z", "modified": "2026-04-08T20:03:48.000Z", "name": "Ultra VNC"}`,
		`{"id": "tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "created": "2026-04-06T20:03:48.000Z", "modified": "2026-04-06T20:03:48.000Z", "name": "VNC"}`,
	} {
		v, err := stix.Parse([]byte(text), stix.Limits{})
		if err != nil {
			fmt.Println(err)
			return
		}
		objects = append(objects, v)
	}
	history := stix.Versions("tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", objects)
	fmt.Println(len(history), history.First().Get("name").Text(), history.Newest().Get("name").Text())
	// Output: 2 VNC Ultra VNC
}
