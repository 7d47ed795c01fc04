package stix_test

import (
	"fmt"
	"time"

	"tocsin/stix"
	"tocsin/tlp"
)

const marked = `{
	"type": "campaign",
	"spec_version": "2.1",
	"id": "campaign--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
	"created": "2026-04-06T20:03:00.000Z",
	"modified": "2026-04-06T20:03:00.000Z",
	"name": "Green Group",
	"aliases": ["Grün", "Verde"],
	"object_marking_refs": ["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"],
	"granular_markings": [
		{"marking_ref": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", "selectors": ["aliases"]},
		{"lang": "de", "selectors": ["aliases.[0]"]}
	]
}`

func ExampleMarkings() {
	object, err := stix.Parse([]byte(marked), stix.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	alias := stix.Parts("aliases.[0]")
	exactly, err := stix.Markings(object, alias, stix.MarkingOptions{})
	fmt.Println(exactly, err)
	all, err := stix.Markings(object, alias, stix.MarkingOptions{Inherited: true})
	fmt.Println(len(all), err)
	// Output:
	// [de] <nil>
	// 3 <nil>
}

func ExampleEffectiveMarkings() {
	object, err := stix.Parse([]byte(marked), stix.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, part := range []string{"name", "aliases.[1]"} {
		fmt.Print(part, ":")
		for _, id := range stix.EffectiveMarkings(object, part) {
			label, _ := tlp.FromMarking(id)
			fmt.Print(" ", label)
		}
		fmt.Println()
	}
	// Output:
	// name: TLP:GREEN
	// aliases.[1]: TLP:GREEN TLP:RED
}

func ExampleAddMarkings() {
	object, err := stix.Parse([]byte(marked), stix.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := stix.AddMarkings(object, []string{tlp.Red.Marking()}, stix.Parts("name"))
	if err != nil {
		fmt.Println(err)
		return
	}
	// Other markings are another content: a new version.
	object, err = stix.Parse(text, stix.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err = stix.NewVersion(object, time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		fmt.Println(err)
		return
	}
	object, err = stix.Parse(text, stix.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(object.Get("modified").Text())
	for _, marking := range object.Get("granular_markings").Elements() {
		fmt.Printf("%s\n", marking.Get("selectors").Raw())
	}
	// Output:
	// 2026-05-01T00:00:00.000Z
	// ["aliases","name"]
	// ["aliases.[0]"]
}

func ExampleRevoke() {
	object, err := stix.Parse([]byte(`{"type":"x-note","id":"x-note--5c1a9f4e-0b2d-4f62-9b1c-2f1f0f6a7d11",`+
		`"created":"2026-04-06T20:03:00.000Z","modified":"2026-04-06T20:03:00.000Z","x_price":1.50}`), stix.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := stix.Revoke(object, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)) // a clock that is behind
	if err != nil {
		fmt.Println(err)
		return
	}
	last, err := stix.Parse(text, stix.Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	known := stix.Versions(object.Get("id").Text(), []stix.Value{last, object})
	fmt.Println(len(known), known.Revoked(), known.Newest().Get("modified").Text())
	_, err = stix.NewVersion(last, time.Now())
	fmt.Println(err)
	// Output:
	// 2 true 2026-04-06T20:03:00.001Z
	// the object is revoked, and revocation is permanent (STIX 2.1 §3.6)
}
