package stix_test

import (
	"testing"

	"tocsin/stix"
)

// TestWhatOtherImplementationsTest judges objects of the kinds that the suites of
// the OASIS validator and of python-stix2 try and that stand in no other test
// here. Where their verdict differs from the text of the standard, the comment
// has the clause.
func TestWhatOtherImplementationsTest(t *testing.T) {
	const (
		good = ""
		md5  = `"hashes": {"MD5": "d41d8cd98f00b204e9800998ecf8427e"}`
	)
	long := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = 'a'
		}
		return string(b)
	}
	for name, c := range map[string]struct {
		object, patch string
		clause        string // of an error; good is none
	}{
		// attack_pattern, vulnerability: external references.
		"capec without a number":       {domainObject("attack-pattern", `"name": "a", "external_references": [{"source_name": "capec", "external_id": "CAPEC-abc"}]`), "", "STIX 2.1 §4.1.1"},
		"capec by its url":             {domainObject("attack-pattern", `"name": "a", "external_references": [{"source_name": "capec", "url": "https://capec.mitre.org/"}]`), "", good},
		"a reference to another list":  {domainObject("attack-pattern", `"name": "a", "external_references": [{"source_name": "mitre-attack", "external_id": "T1059"}]`), "", good},
		"a reference without anything": {domainObject("attack-pattern", `"name": "a", "external_references": [{"source_name": "capec"}]`), "", "STIX 2.1 §2.5.2"},
		"a cve of seven digits":        {domainObject("vulnerability", `"name": "a", "external_references": [{"source_name": "cve", "external_id": "CVE-2014-1234567"}]`), "", good},
		"a cve of three digits":        {domainObject("vulnerability", `"name": "a", "external_references": [{"source_name": "cve", "external_id": "CVE-2014-123"}]`), "", "STIX 2.1 §4.19.1"},

		// Common properties.
		"modified before created":     {anIndicator, `{"modified": "2001-04-06T20:03:48.000Z"}`, "STIX 2.1 §3.2"},
		"a name with a capital":       {anIndicator, `{"my_New_property": 1}`, "STIX 2.1 §3.1"},
		"a name with a hyphen":        {anIndicator, `{"my_new-property": 1}`, "STIX 2.1 §3.1"},
		"a name of 250 letters":       {anIndicator, `{"` + long(250) + `": 1}`, good},
		"a name of 251 letters":       {anIndicator, `{"` + long(251) + `": 1}`, "STIX 2.1 §3.1"},
		"a type in an id":             {anIndicator, `{"id": "some-thing--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}`, "STIX 2.1 §2.9"},
		"an id with another number":   {anIndicator, `{"id": "indicator--8e2e2d2b-17d4-1cbf-938f-98ee46b3cd3f"}`, good},
		"an id with a brace":          {anIndicator, `{"id": "indicator--{8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f}"}`, "STIX 2.1 §2.9"},
		"a null":                      {anIndicator, `{"x_nothing": [null]}`, good}, // deep inside custom content: a warning
		"a confidence that is a text": {anIndicator, `{"confidence": "85"}`, "STIX 2.1 §2.10"},
		"a revoked indicator":         {anIndicator, `{"revoked": true}`, good},
		"an object_refs of nobody":    {anIndicator, `{"object_refs": ["malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b"]}`, good},
		"a 29 February":               {anIndicator, `{"created": "2016-02-29T20:03:48.000Z"}`, good},
		"a 31 November":               {anIndicator, `{"valid_from": "2016-11-31T01:00:00Z"}`, "STIX 2.1 §2.16"},
		"a second of 60":              {anIndicator, `{"valid_from": "2016-12-31T23:59:60Z"}`, "STIX 2.1 §2.16"}, // docs/divergences.md
		"a time with a small letter":  {anIndicator, `{"valid_from": "2016-12-31t23:59:59z"}`, "STIX 2.1 §2.16"},

		// custom_obj, extensions.
		"a custom type of three":       {aCustom, `{"type": "x-a", "id": "x-a--4527e5de-8572-446a-a57a-706f15467461"}`, good},
		"a custom type with a capital": {aCustom, `{"type": "x-Corp", "id": "x-Corp--4527e5de-8572-446a-a57a-706f15467461"}`, "STIX 2.1 §3.1"},
		"an id of three parts":         {aCustom, `{"id": "x-example-com-thing--4527e5de--8572-446a-a57a-706f15467461"}`, "STIX 2.1 §2.9"},
		"a new sco":                    {`{"type": "new-sco-a", "id": "new-sco-a--4527e5de-8572-446a-a57a-706f15467461", "x_a": 1}`, `{"extensions": {"extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5": {"extension_type": "new-sco"}}}`, good},
		"a new sro":                    {aCustom, `{"extensions": {"extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5": {"extension_type": "new-sro"}}}`, good},
		"an extension without a key":   {anIndicator, `{"extensions": {"extension-definition--": {"extension_type": "property-extension"}}}`, "STIX 2.1 §3.2"},
		"an extension without schema":  {anExtension, `{"schema": null}`, "STIX 2.1 §7.3.1"},
		"an extension without version": {anExtension, `{"version": null}`, "STIX 2.1 §7.3.1"},
		"an extension without types":   {anExtension, `{"extension_types": []}`, "STIX 2.1 §2.12"},
		"an extension of all kinds":    {anExtension, `{"extension_types": ["new-sdo", "new-sco", "new-sro", "property-extension", "toplevel-property-extension"], "extension_properties": ["rank"]}`, good},

		// observed_data: dictionaries, formats, references.
		"a key of 250":               {observable("process", `"environment_variables": {"`+long(250)+`": "a"}`), "", good},
		"a key of 251":               {observable("process", `"environment_variables": {"`+long(251)+`": "a"}`), "", "STIX 2.1 §2.3"},
		"a key of one":               {observable("process", `"environment_variables": {"a": "b"}`), "", good},
		"a key with a dot":           {observable("process", `"environment_variables": {"a.b": "c"}`), "", "STIX 2.1 §2.3"},
		"a key with a capital":       {observable("email-message", `"is_multipart": false, "subject": "a", "additional_header_fields": {"X-Mailer": ["a"]}`), "", good},
		"a hash that is a number":    {observable("file", `"hashes": {"MD5": 1}`), "", "STIX 2.1 §2.7"},
		"a hash in capitals":         {observable("file", `"hashes": {"MD5": "D41D8CD98F00B204E9800998ECF8427E"}`), "", good},
		"a hash of another name":     {observable("file", `"hashes": {"something": "d41d8cd98f00b204e9800998ecf8427e"}`), "", good}, // a warning
		"a negative size":            {observable("file", `"name": "a", "size": -5`), "", "STIX 2.1 §6.7.1"},
		"a size with a point":        {observable("file", `"name": "a", "size": 5.0`), "", "STIX 2.1 §2.10"},
		"a media type of 2013":       {observable("file", `"name": "a", "mime_type": "foo/bar"`), "", good}, // a warning
		"a payload and a url":        {observable("artifact", `"payload_bin": "aaaa", "url": "https://example.com/", `+md5), "", "STIX 2.1 §6.1"},
		"a payload in a url":         {observable("artifact", `"payload_bin": "_-8="`), "", "STIX 2.1 §2.1"},
		"a payload without padding":  {observable("artifact", `"payload_bin": "aaa"`), "", "STIX 2.1 §2.1"},
		"an empty payload":           {observable("artifact", `"payload_bin": ""`), "", good},
		"a key in short":             {observable("windows-registry-key", `"key": "HKLM\\Foo\\Bar"`), "", "STIX 2.1 §6.17.1"},
		"a key in small letters":     {observable("windows-registry-key", `"key": "hkey_local_machine\\system\\bar\\foo"`), "", good},
		"a key without anything":     {observable("windows-registry-key", `"modified_time": "2026-04-06T20:03:48Z"`), "", good},
		"a process without anything": {`{"type": "process", "id": "process--b38b4b6a-37bd-4f3c-8c1f-6ae9e6a2d5e1"}`, "", "STIX 2.1 §6.13"},
		"an address with a zone":     {observable("ipv6-addr", `"value": "fe80::1%eth0"`), "", "STIX 2.1 §6.9.1"},
		"a block of addresses":       {observable("ipv4-addr", `"value": "198.51.100.0/24"`), "", good},
		"a block too large":          {observable("ipv4-addr", `"value": "198.51.100.0/33"`), "", "STIX 2.1 §6.8.1"},
		"an address of six parts":    {observable("mac-addr", `"value": "00:00:ab:cd:ef"`), "", "STIX 2.1 §6.10.1"},
		"a cpe of version 2.2":       {observable("software", `"name": "a", "cpe": "cpe:/o:microsoft:windows"`), "", "STIX 2.1 §6.14.1"},
		"an address with a name":     {observable("email-addr", `"value": "Jane <jane@example.com>"`), "", "STIX 2.1 §6.5.1"},
		"a mail from a file":         {observable("email-message", `"is_multipart": false, "from_ref": "file--28bb3599-77cd-4a82-a950-b5bc3caf07c4"`), "", "STIX 2.1 §3.3"},
		"a time zone in an object":   {observable("file", `"name": "a", "ctime": "2016-01-22T12:31:12+02:00"`), "", "STIX 2.1 §2.16"},
		"a reference without a type": {traffic, `{"src_ref": "28bb3599-77cd-4a82-a950-b5bc3caf07c4"}`, "STIX 2.1 §2.9"},
		"a file in a container":      {anObservation, `{"object_refs": null, "objects": {"0": {"type": "file", "name": "a", "parent_directory_ref": "1"}, "1": {"type": "directory", "path": "/a"}}}`, good},
		"a file in a file":           {anObservation, `{"object_refs": null, "objects": {"0": {"type": "file", "name": "a", "parent_directory_ref": "1"}, "1": {"type": "file", "name": "b"}}}`, "STIX 2.1 §2.13"},

		// Markings, translations, relationships, sightings.
		"a marking without a type":       {aStatement, `{"definition_type": null}`, "STIX 2.1 §7.2.1"},
		"a marking of another tlp":       {greenOfTLP1, `{"id": "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41db"}`, "STIX 2.1 §7.2.1.4"},
		"a selector of a list item":      {anIndicator, `{"labels": ["a", "b"], "granular_markings": [{"marking_ref": "marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f", "selectors": ["labels.[1]"]}]}`, good},
		"a selector beyond a list":       {anIndicator, `{"labels": ["a", "b"], "granular_markings": [{"marking_ref": "marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f", "selectors": ["labels.[2]"]}]}`, "STIX 2.1 §7.2.3"},
		"a selector of a name in a list": {anIndicator, `{"labels": ["a"], "granular_markings": [{"marking_ref": "marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f", "selectors": ["labels.foo"]}]}`, "STIX 2.1 §7.2.3"},
		"a selector in quotes":           {anIndicator, `{"granular_markings": [{"marking_ref": "marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f", "selectors": ["'name'"]}]}`, "STIX 2.1 §7.2.3"},
		"a marking of nothing":           {anIndicator, `{"granular_markings": [{"marking_ref": "marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f", "selectors": []}]}`, "STIX 2.1 §2.12"},
		"a translation of itself":        {aTranslation, `{"object_ref": "language-content--b86bd89f-98bb-4fa9-8cb2-9ad421da981d"}`, "STIX 2.1 §3.3"},
		"a translation into nothing":     {aTranslation, `{"contents": {}}`, "STIX 2.1 §2.3"},
		"a relationship of a name":       {aRelationship, `{"relationship_type": "uses"}`, good}, // a warning: not listed
		"a relationship of nothing":      {aRelationship, `{"relationship_type": ""}`, "STIX 2.1 §5.1.2"},
		"a sighting of an observable":    {aSighting, `{"sighting_of_ref": "file--28bb3599-77cd-4a82-a950-b5bc3caf07c4"}`, "STIX 2.1 §3.3"},
		"a sighting at a place":          {aSighting, `{"where_sighted_refs": ["location--28bb3599-77cd-4a82-a950-b5bc3caf07c4"]}`, good},
		"a sighting of nobody":           {aSighting, `{"where_sighted_refs": []}`, "STIX 2.1 §2.12"},
		"a sighting that ends first":     {aSighting, `{"first_seen": "2026-01-02T00:00:00Z", "last_seen": "2026-01-01T00:00:00Z"}`, "STIX 2.1 §5.2.1"},
		"a place of 90 degrees":          {domainObject("location", `"latitude": 90, "longitude": -180`), "", good},
		"a place of text":                {domainObject("location", `"latitude": "90", "longitude": -180`), "", "STIX 2.1 §4.10.1"},
		"an analysis of nothing":         {domainObject("malware-analysis", `"product": "a", "analysis_sco_refs": []`), "", "STIX 2.1 §2.12"},
		"an analysis by a file":          {domainObject("malware-analysis", `"product": "a", "result": "benign", "host_vm_ref": "file--28bb3599-77cd-4a82-a950-b5bc3caf07c4"`), "", "STIX 2.1 §3.3"},
		"a grouping of nothing":          {domainObject("grouping", `"name": "a", "context": "unspecified", "object_refs": []`), "", "STIX 2.1 §2.12"},
		"a note without content":         {domainObject("note", `"object_refs": ["malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b"]`), "", "STIX 2.1 §4.13.1"},
		"a grouping without a name":      {domainObject("grouping", `"context": "unspecified", "object_refs": ["malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b"]`), "", "STIX 2.1 §4.4.1"},
	} {
		t.Run(name, func(t *testing.T) {
			text := changed(t, c.object, c.patch)
			got := onlyErrors(validate(t, text, stix.Options{Pattern: parsePattern}))
			if c.clause == good {
				if len(got) > 0 {
					t.Errorf("Validate(%s) = %v, want no errors", text, got)
				}
				return
			}
			if len(got) == 0 || got[0].Clause != c.clause {
				t.Errorf("Validate(%s) = %v, want an error by %s", text, got, c.clause)
			}
		})
	}
}
