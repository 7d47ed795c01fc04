package stix_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"tocsin/stix"
)

// An object of every kind, to be changed by the tests.
const (
	anIndicator = `{"type": "indicator", "spec_version": "2.1", "id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
		"created": "2026-04-06T20:03:48.000Z", "modified": "2026-04-06T20:03:48.000Z", "name": "C2", "description": "An address.",
		"pattern": "[ipv4-addr:value = '198.51.100.3']", "pattern_type": "stix", "valid_from": "2026-04-06T20:03:48Z"}`
	aRelationship = `{"type": "relationship", "spec_version": "2.1", "id": "relationship--57b56a43-b8b0-4cba-9deb-34e3e1faed9e",
		"created": "2026-04-06T20:06:37.000Z", "modified": "2026-04-06T20:06:37.000Z", "relationship_type": "indicates",
		"source_ref": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "target_ref": "malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b"}`
	aSighting = `{"type": "sighting", "spec_version": "2.1", "id": "sighting--ee20065d-2555-424f-ad9e-0f8428623c75",
		"created": "2026-04-06T20:08:31.000Z", "modified": "2026-04-06T20:08:31.000Z",
		"sighting_of_ref": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}`
	anObservation = `{"type": "observed-data", "spec_version": "2.1", "id": "observed-data--b67d30ff-02ac-498a-92f9-32f845f448cf",
		"created": "2026-04-06T19:58:16.000Z", "modified": "2026-04-06T19:58:16.000Z", "first_observed": "2026-04-05T19:00:00Z",
		"last_observed": "2026-04-05T19:00:00Z", "number_observed": 50, "object_refs": ["ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4"]}`
	anAddress   = `{"type": "ipv4-addr", "spec_version": "2.1", "id": "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4", "value": "198.51.100.3"}`
	aStatement  = `{"type": "marking-definition", "spec_version": "2.1", "id": "marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f", "created": "2026-04-06T19:58:16.000Z", "definition_type": "statement", "definition": {"statement": "Example"}}`
	redOfTLP2   = `{"type": "marking-definition", "spec_version": "2.1", "id": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", "created": "2022-10-01T00:00:00.000Z", "name": "TLP:RED", "extensions": {"extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d": {"extension_type": "property-extension", "tlp_2_0": "red"}}}`
	greenOfTLP1 = `{"type": "marking-definition", "spec_version": "2.1", "id": "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", "created": "2017-01-20T00:00:00.000Z", "definition_type": "tlp", "name": "TLP:GREEN", "definition": {"tlp": "green"}}`
	traffic     = `{"type": "network-traffic", "id": "network-traffic--15a157a8-26e3-56e0-820b-0c2a8e553a2c", "protocols": ["ipv4", "tcp"], "src_ref": "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4", "src_port": 1, "dst_port": 2}`
	aCustom     = `{"type": "x-example-com-thing", "spec_version": "2.1", "id": "x-example-com-thing--4527e5de-8572-446a-a57a-706f15467461", "created": "2026-08-01T00:00:00.000Z", "modified": "2026-08-01T00:00:00.000Z", "some_stuff": 14}`
	anExtension = `{"type": "extension-definition", "spec_version": "2.1", "id": "extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5", "created_by_ref": "identity--11b76a96-5d2b-45e0-8a5a-f6994f370731", "created": "2026-02-20T09:16:08.000Z", "modified": "2026-02-20T09:16:08.000Z", "name": "New", "description": "Adds.", "schema": "https://www.example.com/schema.json", "version": "1.2.1", "extension_types": ["new-sdo"]}`
)

// observable returns an object of chapter 6 with a random id.
func observable(objectType, properties string) string {
	return `{"type": "` + objectType + `", "id": "` + objectType + `--b38b4b6a-37bd-4f3c-8c1f-6ae9e6a2d5e1", ` + properties + `}`
}

// changed returns an object with other properties: those of the patch, without
// those that are null in it.
func changed(t testing.TB, object, patch string) []byte {
	t.Helper()
	if patch == "" {
		return []byte(object)
	}
	var o, p map[string]json.RawMessage
	for text, into := range map[string]*map[string]json.RawMessage{object: &o, patch: &p} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	for name, value := range p {
		if string(value) == "null" {
			delete(o, name)
		} else {
			o[name] = value
		}
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func validate(t testing.TB, text []byte, options stix.Options) []stix.Problem {
	t.Helper()
	v, err := stix.Parse(text, stix.Limits{})
	if err != nil {
		t.Fatalf("Parse(%s) = %v, want a value", text, err)
	}
	return stix.Validate(v, options)
}

func onlyErrors(problems []stix.Problem) []stix.Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p stix.Problem) bool { return p.Class == stix.ClassWarning })
}

func TestWhatBreaksAClauseIsRefusedByIt(t *testing.T) {
	for name, c := range map[string]struct {
		object, patch string
		at, clause    string
	}{
		// Chapter 2: values.
		"a boolean is no string":              {anIndicator, `{"revoked": "true"}`, "/revoked", "§2.2"},
		"a dictionary is not empty":           {anIndicator, `{"extensions": {}}`, "/extensions", "§2.3"},
		"a key has its characters":            {observable("process", `"environment_variables": {"ProgramFiles(x86)": "C"}`), "", "/environment_variables/ProgramFiles(x86)", "§2.3"},
		"an enumeration is closed":            {observable("windows-registry-key", `"values": [{"data_type": "REG_FOO"}]`), "", "/values/0/data_type", "§10.29"},
		"a reference has more than a source":  {anIndicator, `{"external_references": [{"source_name": "a"}]}`, "/external_references/0", "§2.5.2"},
		"a reference has a source":            {anIndicator, `{"external_references": [{"url": "https://www.example.com/"}]}`, "/external_references/0/source_name", "§2.5.1"},
		"an MD5 has 32 digits":                {observable("file", `"hashes": {"MD5": "d41d8cd98f00b204e9800998ecf8427"}`), "", "/hashes/MD5", "§10.7"},
		"a SHA-256 is hexadecimal":            {observable("file", `"hashes": {"SHA-256": "zzzzc44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`), "", "/hashes/SHA-256", "§10.7"},
		"a hash algorithm has three letters":  {observable("file", `"hashes": {"MD": "aa"}`), "", "/hashes/MD", "§2.7"},
		"a hash is a string":                  {observable("file", `"hashes": {"MD5": 5}`), "", "/hashes/MD5", "§2.7"},
		"hexadecimal has pairs":               {observable("file", `"name": "a", "magic_number_hex": "abc"`), "", "/magic_number_hex", "§2.8"},
		"an id has a UUID":                    {anIndicator, `{"id": "indicator--blablabla"}`, "/id", "§2.9"},
		"an id is not a path":                 {anIndicator, `{"id": "indicator--../../../../etc/passwd"}`, "/id", "§2.9"},
		"an id is in lower case":              {anIndicator, `{"id": "indicator--8E2E2D2B-17D4-4CBF-938F-98EE46B3CD3F"}`, "/id", "§2.9"},
		"an id has the variant of RFC 9562":   {anIndicator, `{"id": "indicator--8e2e2d2b-17d4-4cbf-138f-98ee46b3cd3f"}`, "/id", "§2.9"},
		"an id has the type":                  {anIndicator, `{"id": "malware--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}`, "/id", "§2.9"},
		"a process has a random id":           {`{"type": "process", "id": "process--99ab297d-4c39-48ea-9d64-052d596864df", "pid": 1}`, `{"id": "process--99ab297d-4c39-58ea-9d64-052d596864df"}`, "/id", "§2.9"},
		"an integer is within 2^53":           {anIndicator, `{"confidence": 9007199254740993}`, "/confidence", "§2.10"},
		"an unknown integer is within 2^53":   {anIndicator, `{"x_deep": {"list": [{"n": -9007199254740993}]}}`, "/x_deep/list/0/n", "§2.10"},
		"an integer has no fraction":          {anIndicator, `{"confidence": 1.5}`, "/confidence", "§2.10"},
		"a kill chain phase has a name":       {anIndicator, `{"kill_chain_phases": [{"kill_chain_name": "a"}]}`, "/kill_chain_phases/0/phase_name", "§2.11"},
		"a list is not empty":                 {anIndicator, `{"labels": []}`, "/labels", "§2.12"},
		"an unknown list is not empty":        {anIndicator, `{"my_new_property": []}`, "/my_new_property", "§2.12"},
		"a list is no string":                 {anIndicator, `{"labels": "a"}`, "/labels", "§2.12"},
		"a list item is a string":             {anIndicator, `{"labels": ["a", 1]}`, "/labels/1", "§2.15"},
		"a container has local references":    {anObservation, `{"object_refs": null, "objects": {"0": {"type": "network-traffic", "protocols": ["tcp"], "src_ref": "1"}}}`, "/objects/0/src_ref", "§2.13"},
		"a container's references have types": {anObservation, `{"object_refs": null, "objects": {"0": {"type": "network-traffic", "protocols": ["tcp"], "src_ref": "1"}, "1": {"type": "mutex", "name": "a"}}}`, "/objects/0/src_ref", "§2.13"},
		"a container holds observables":       {anObservation, `{"object_refs": null, "objects": {"0": {"type": "malware", "name": "a"}}}`, "/objects/0", "§2.13"},
		"a string is no number":               {anIndicator, `{"name": 1}`, "/name", "§2.15"},
		"a time is in UTC":                    {anIndicator, `{"valid_from": "2026-04-06T20:03:48+01:00"}`, "/valid_from", "§2.16"},
		"a time has digits after a point":     {anIndicator, `{"valid_from": "2026-04-06T20:03:48.Z"}`, "/valid_from", "§2.16"},
		"30 February is no day":               {anIndicator, `{"valid_from": "2026-02-30T20:03:48Z"}`, "/valid_from", "§2.16"},
		"29 February needs a leap year":       {anIndicator, `{"valid_from": "2100-02-29T20:03:48Z"}`, "/valid_from", "§2.16"},
		"there is no year 0":                  {anIndicator, `{"valid_from": "0000-01-01T00:00:00Z"}`, "/valid_from", "§2.16"},
		"there is no hour 24":                 {anIndicator, `{"valid_from": "2026-01-01T24:00:00Z"}`, "/valid_from", "§2.16"},

		// Chapter 3: common properties and names.
		"a type begins with a letter":          {aCustom, `{"type": "9-thing"}`, "/type", "§3.1"},
		"a type has no underscore":             {aCustom, `{"type": "corpo_ration"}`, "/type", "§3.1"},
		"a type has no two hyphens":            {aCustom, `{"type": "x--thing"}`, "/type", "§3.1"},
		"a type is text":                       {aCustom, `{"type": 1}`, "/type", "§3.1"},
		"a property has three letters":         {anIndicator, `{"mp": "a"}`, "/mp", "§3.1"},
		"a property begins with a letter":      {anIndicator, `{"9ome_stuff": 1}`, "/9ome_stuff", "§3.1"},
		"a property is in lower case":          {anIndicator, `{"Object_Marking_Refs": ["a"]}`, "/Object_Marking_Refs", "§3.1"},
		"an encoding needs what it encodes":    {observable("file", `"hashes": {"MD5": "d41d8cd98f00b204e9800998ecf8427e"}, "name_enc": "UTF-8"`), "", "/name_enc", "§3.1"},
		"there is a type":                      {anIndicator, `{"type": null}`, "/type", "§3.2"},
		"there is a spec_version":              {anIndicator, `{"spec_version": null}`, "/spec_version", "§4.7.1"},
		"the spec_version is 2.1":              {anIndicator, `{"spec_version": "2.0"}`, "/spec_version", "§3.2"},
		"an observable's spec_version is 2.1":  {anAddress, `{"spec_version": "2.0"}`, "/spec_version", "§3.2"},
		"created has milliseconds":             {anIndicator, `{"created": "2026-04-06T20:03:48Z"}`, "/created", "§3.2"},
		"modified is not before created":       {anIndicator, `{"created": "2026-04-06T20:03:48.0001Z"}`, "/modified", "§3.2"},
		"confidence is 100 at most":            {anIndicator, `{"confidence": 101}`, "/confidence", "§3.2"},
		"lang is a language":                   {anIndicator, `{"lang": "foo"}`, "/lang", "§3.2"},
		"only observables are defanged":        {anIndicator, `{"defanged": false}`, "/defanged", "§3.2"},
		"an extension has a type":              {anIndicator, `{"extensions": {"extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5": {"rank": 5}}}`, "/extensions/extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5/extension_type", "§3.2"},
		"an extension's key is an id":          {anIndicator, `{"extensions": {"Some Extension": {"extension_type": "property-extension"}}}`, "/extensions/Some Extension", "§3.2"},
		"an extension is an object":            {anIndicator, `{"extensions": {"extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5": true}}`, "/extensions/extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5", "§3.2"},
		"a creator has an identifier":          {anIndicator, `{"created_by_ref": "ACME"}`, "/created_by_ref", "§2.9"},
		"a marking is a marking-definition":    {anIndicator, `{"object_marking_refs": ["identity--311b2d2d-f010-4473-83ec-1edf84858f4c"]}`, "/object_marking_refs/0", "§3.3"},
		"severity is reserved":                 {anIndicator, `{"severity": "high"}`, "/severity", "§3.8"},
		"username is reserved":                 {anAddress, `{"username": "a"}`, "/username", "§3.8"},
		"an encoding is in the IANA registry":  {observable("file", `"name": "a", "name_enc": "bla.bla.bla"`), "", "/name_enc", "§3.9.1"},
		"a custom object has an id":            {aCustom, `{"id": null}`, "/id", "§11.2.1"},
		"a custom object has all version data": {aCustom, `{"created": null}`, "/created", "§3.2"},

		// Chapter 4: domain objects.
		"a CAPEC number is one":               {`{"type": "attack-pattern", "spec_version": "2.1", "id": "attack-pattern--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "created": "2026-04-06T20:03:48.000Z", "modified": "2026-04-06T20:03:48.000Z", "name": "a"}`, `{"external_references": [{"source_name": "capec", "external_id": "CAPEC-abc"}]}`, "/external_references/0", "§4.1.1"},
		"an action is reserved":               {`{"type": "course-of-action", "spec_version": "2.1", "id": "course-of-action--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "created": "2026-04-06T20:03:48.000Z", "modified": "2026-04-06T20:03:48.000Z", "name": "a", "action": "x"}`, "", "/action", "§4.3.1"},
		"an indicator has a pattern":          {anIndicator, `{"pattern": null}`, "/pattern", "§4.7.1"},
		"valid_until is after valid_from":     {anIndicator, `{"valid_until": "2026-04-06T20:03:48.000Z"}`, "/valid_until", "§4.7.1"},
		"a pattern is one":                    {anIndicator, `{"pattern": "[broken"}`, "/pattern", "§9"},
		"a latitude is 90 at most":            {domainObject("location", `"latitude": 90.1, "longitude": 0`), "", "/latitude", "§4.10.1"},
		"a latitude needs a longitude":        {domainObject("location", `"latitude": 9`), "", "/latitude", "§4.10.1"},
		"a precision needs both":              {domainObject("location", `"country": "ch", "precision": 9.5`), "", "/precision", "§4.10.1"},
		"a location is somewhere":             {domainObject("location", `"name": "a"`), "", "", "§4.10"},
		"a malware family has a name":         {domainObject("malware", `"is_family": true`), "", "/name", "§4.11.1"},
		"a sample is a file":                  {domainObject("malware", `"is_family": false, "sample_refs": ["url--28bb3599-77cd-5a82-a950-b5bc3caf07c4"]`), "", "/sample_refs/0", "§3.3"},
		"last_seen is not before first_seen":  {domainObject("malware", `"is_family": false, "first_seen": "2026-01-02T00:00:00.1Z", "last_seen": "2026-01-02T00:00:00Z"`), "", "/last_seen", "§4.11.1"},
		"an analysis has a result":            {domainObject("malware-analysis", `"product": "a"`), "", "", "§4.12"},
		"an observation has objects":          {anObservation, `{"object_refs": null}`, "", "§4.14"},
		"an observation has one of both":      {anObservation, `{"objects": {"0": {"type": "mutex", "name": "a"}}}`, "", "§4.14"},
		"an observation happened":             {anObservation, `{"number_observed": 0}`, "/number_observed", "§4.14.1"},
		"an observation has an observable":    {anObservation, `{"object_refs": ["relationship--57b56a43-b8b0-4cba-9deb-34e3e1faed9e"]}`, "/object_refs", "§4.14.1"},
		"an observation has no domain object": {anObservation, `{"object_refs": ["malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b"]}`, "/object_refs/0", "§3.3"},
		"an observation ends after it began":  {anObservation, `{"last_observed": "2026-04-05T18:59:59.999Z"}`, "/last_observed", "§4.14.1"},
		"an opinion is one of five":           {domainObject("opinion", `"opinion": "meh", "object_refs": ["malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b"]`), "", "/opinion", "§10.18"},
		"a report has no bundle":              {domainObject("report", `"name": "a", "published": "2026-01-01T00:00:00Z", "object_refs": ["bundle--31b940d4-6f7f-459a-80ea-9c1f17b5891b"]`), "", "/object_refs/0", "§3.3"},
		"a CVE number is one":                 {domainObject("vulnerability", `"name": "a", "external_references": [{"source_name": "cve", "external_id": "CVE-20161234"}]`), "", "/external_references/0", "§4.19.1"},

		// Chapter 5: relationship objects.
		"a relationship links two":               {aRelationship, `{"target_ref": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}`, "/target_ref", "§5.1"},
		"a relationship's name has characters":   {aRelationship, `{"relationship_type": "SOMETHING"}`, "/relationship_type", "§5.1.2"},
		"a relationship ends after it began":     {aRelationship, `{"start_time": "2026-01-01T00:00:00Z", "stop_time": "2026-01-01T00:00:00.000Z"}`, "/stop_time", "§5.1.2"},
		"a relationship's source is no sighting": {aRelationship, `{"source_ref": "sighting--ee20065d-2555-424f-ad9e-0f8428623c75"}`, "/source_ref", "§3.3"},
		"a relationship's target is no marking":  {aRelationship, `{"target_ref": "marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f"}`, "/target_ref", "§3.3"},
		"a relationship has a target":            {aRelationship, `{"target_ref": null}`, "/target_ref", "§5.1.2"},
		"a sighting is of a domain object":       {aSighting, `{"sighting_of_ref": "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4"}`, "/sighting_of_ref", "§3.3"},
		"a sighting counts to a billion":         {aSighting, `{"count": 1000000000}`, "/count", "§5.2.1"},
		"a sighting's data is observed data":     {aSighting, `{"observed_data_refs": ["malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b"]}`, "/observed_data_refs/0", "§3.3"},
		"a sighting is at an identity":           {aSighting, `{"where_sighted_refs": ["malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b"]}`, "/where_sighted_refs/0", "§3.3"},

		// Chapter 6: cyber-observable objects.
		"an artifact has a payload or a url":  {observable("artifact", `"mime_type": "image/jpeg"`), "", "", "§6.1"},
		"an artifact's payload is base64":     {observable("artifact", `"payload_bin": "a"`), "", "/payload_bin", "§2.1"},
		"an artifact's url needs hashes":      {observable("artifact", `"url": "https://www.example.com/a"`), "", "/url", "§6.1.1"},
		"a key needs an algorithm":            {observable("artifact", `"payload_bin": "aaaa", "decryption_key": "x"`), "", "/decryption_key", "§6.1.1"},
		"a number of a system is an integer":  {observable("autonomous-system", `"number": "15139"`), "", "/number", "§2.10"},
		"a lone body is not multipart":        {observable("email-message", `"is_multipart": true, "subject": "a", "body": "b"`), "", "/body", "§6.6.1"},
		"parts are multipart":                 {observable("email-message", `"is_multipart": false, "subject": "a", "body_multipart": [{"body": "b"}]`), "", "/body_multipart", "§6.6.1"},
		"a part has a body":                   {observable("email-message", `"is_multipart": true, "subject": "a", "body_multipart": [{"content_type": "b"}]`), "", "/body_multipart/0", "§6.6.2"},
		"a sender is an address":              {observable("email-message", `"is_multipart": false, "from_ref": "mutex--28bb3599-77cd-5a82-a950-b5bc3caf07c4"`), "", "/from_ref", "§3.3"},
		"a header field is a list of strings": {observable("email-message", `"is_multipart": false, "subject": "a", "additional_header_fields": {"X-A": [1]}`), "", "/additional_header_fields/X-A/0", "§2.15"},
		"a file has a name or hashes":         {observable("file", `"size": 1`), "", "", "§6.7"},
		"a file's size is not negative":       {observable("file", `"name": "a", "size": -1`), "", "/size", "§6.7.1"},
		"an archive has files":                {observable("file", `"name": "a", "extensions": {"archive-ext": {"contains_refs": ["url--28bb3599-77cd-5a82-a950-b5bc3caf07c4"]}}`), "", "/extensions/archive-ext/contains_refs/0", "§3.3"},
		"an NTFS extension has something":     {observable("file", `"name": "a", "extensions": {"ntfs-ext": {"x_foo": 1}}`), "", "/extensions/ntfs-ext", "§6.7.3"},
		"a stream has a name":                 {observable("file", `"name": "a", "extensions": {"ntfs-ext": {"alternate_data_streams": [{"size": 1}]}}`), "", "/extensions/ntfs-ext/alternate_data_streams/0/name", "§6.7.3"},
		"a PE binary has more than its type":  {observable("file", `"name": "a", "extensions": {"windows-pebinary-ext": {"pe_type": "dll"}}`), "", "/extensions/windows-pebinary-ext", "§6.7.6"},
		"traffic has a protocol":              {traffic, `{"protocols": null}`, "/protocols", "§6.12.1"},
		"traffic has an end point":            {traffic, `{"src_ref": null}`, "", "§6.12"},
		"a port has 16 bits":                  {traffic, `{"src_port": 65536}`, "/src_port", "§6.12.1"},
		"active traffic has no end":           {traffic, `{"is_active": true, "end": "2026-01-01T00:00:00Z"}`, "/end", "§6.12.1"},
		"traffic ends after it began":         {traffic, `{"start": "2026-01-01T00:00:01Z", "end": "2026-01-01T00:00:00Z"}`, "/end", "§6.12.1"},
		"traffic comes from an address":       {traffic, `{"src_ref": "url--28bb3599-77cd-5a82-a950-b5bc3caf07c4"}`, "/src_ref", "§3.3"},
		"a request has a method":              {traffic, `{"extensions": {"http-request-ext": {"request_value": "/"}}}`, "/extensions/http-request-ext/request_method", "§6.12.2"},
		"a socket's family is one of some":    {traffic, `{"extensions": {"socket-ext": {"address_family": "AF_FOO"}}}`, "/extensions/socket-ext/address_family", "§10.16"},
		"a process has a property":            {observable("process", `"x_foo": 1`), "", "", "§6.13"},
		"an environment is of strings":        {observable("process", `"environment_variables": {"PATH": 1}`), "", "/environment_variables/PATH", "§2.15"},
		"a CPE has thirteen components":       {observable("software", `"name": "a", "cpe": "cpe:2.3:a:microsoft:word"`), "", "/cpe", "§6.14.1"},
		"a software's language is registered": {observable("software", `"name": "a", "languages": ["qqq-bbbbbbbbb"]`), "", "/languages/0", "§3.2"},
		"an account has a property":           {observable("user-account", `"x_foo": 1`), "", "", "§6.16"},
		"a registry hive is in full":          {observable("windows-registry-key", `"key": "HKLM\\Software"`), "", "/key", "§6.17.1"},
		"a certificate has a property":        {observable("x509-certificate", `"x_foo": 1`), "", "", "§6.18"},

		// Chapter 7: meta objects.
		"a translation is of an object":            {aTranslation, `{"object_ref": "language-content--31b940d4-6f7f-459a-80ea-9c1f17b5891b"}`, "/object_ref", "§3.3"},
		"a translation is into a language":         {aTranslation, `{"contents": {"espanol": {"name": "a"}}}`, "/contents/espanol", "§7.1.1"},
		"a translation is of properties":           {aTranslation, `{"contents": {"es": {"a": "boo"}}}`, "/contents/es/a", "§7.1.1"},
		"a marking is defined":                     {aStatement, `{"definition": null, "definition_type": null}`, "", "§7.2.1"},
		"a definition has a type":                  {aStatement, `{"definition_type": null}`, "/definition", "§7.2.1"},
		"a statement states":                       {aStatement, `{"definition": {"tlp": "red"}}`, "/definition", "§7.2.1.3"},
		"a marking does not mark itself":           {aStatement, `{"object_marking_refs": ["marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f"]}`, "/object_marking_refs/0", "§3.2"},
		"a marking does not mark its name":         {aStatement, `{"granular_markings": [{"selectors": ["definition"], "marking_ref": "marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f"}]}`, "/granular_markings/0/marking_ref", "§3.2"},
		"RED is not CLEAR":                         {redOfTLP2, `{"name": "TLP:CLEAR"}`, "/name", "TLP 2.0 STIX extension"},
		"RED is not clear in its extension":        {redOfTLP2, `{"extensions": {"extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d": {"extension_type": "property-extension", "tlp_2_0": "clear"}}}`, "/extensions/extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d/tlp_2_0", "TLP 2.0 STIX extension"},
		"RED is not a statement":                   {redOfTLP2, `{"name": null, "extensions": null, "definition_type": "statement", "definition": {"statement": "public"}}`, "/definition_type", "TLP 2.0 STIX extension"},
		"RED says so":                              {redOfTLP2, `{"name": null, "extensions": {"extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5": {"extension_type": "property-extension", "rank": 5}}}`, "", "TLP 2.0 STIX extension"},
		"GREEN is not white":                       {greenOfTLP1, `{"definition": {"tlp": "white"}}`, "/definition/tlp", "§7.2.1.4"},
		"GREEN is not white in other spelling":     {greenOfTLP1, `{"definition": {"tlp": "green", "TLP": "TLP:WHITE"}}`, "/definition/TLP", "§7.2.1.4"},
		"there are four TLP markings":              {greenOfTLP1, `{"id": "marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f"}`, "/id", "§7.2.1.4"},
		"there are five TLP 2.0 markings":          {redOfTLP2, `{"id": "marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f"}`, "/id", "TLP 2.0 STIX extension"},
		"a granular marking is of a kind":          {anIndicator, `{"granular_markings": [{"selectors": ["name"]}]}`, "/granular_markings/0", "§7.2.3"},
		"a granular marking is of one kind":        {anIndicator, `{"granular_markings": [{"selectors": ["name"], "lang": "en", "marking_ref": "marking-definition--d81f86b9-975b-4c0b-875e-810c5ad45a4f"}]}`, "/granular_markings/0", "§7.2.3"},
		"a selector selects":                       {anIndicator, `{"granular_markings": [{"selectors": ["name", "labels"], "lang": "en"}]}`, "/granular_markings/0/selectors/1", "§7.2.3"},
		"a selector is one":                        {anIndicator, `{"granular_markings": [{"selectors": ["name[0]"], "lang": "en"}]}`, "/granular_markings/0/selectors/0", "§7.2.3"},
		"an extension is made by an identity":      {anExtension, `{"created_by_ref": null}`, "/created_by_ref", "§7.3.1"},
		"an extension is of known kinds":           {anExtension, `{"extension_types": ["something"]}`, "/extension_types/0", "§10.5"},
		"only some extensions add properties":      {anExtension, `{"extension_properties": ["rank"]}`, "/extension_properties", "§7.3.1"},
		"an extension's properties have names":     {anExtension, `{"extension_types": ["toplevel-property-extension"], "extension_properties": ["No"]}`, "/extension_properties/0", "§7.3.2"},
		"an extension's instance has names":        {anIndicator, `{"extensions": {"extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5": {"extension_type": "property-extension", "a": 1}}}`, "/extensions/extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5/a", "§7.3.2"},
		"an extension's instance is of known kind": {anIndicator, `{"extensions": {"extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5": {"extension_type": "property_extension"}}}`, "/extensions/extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5/extension_type", "§10.5"},
		"a bundle is no object":                    {`{"type": "bundle", "id": "bundle--31b940d4-6f7f-459a-80ea-9c1f17b5891b"}`, "", "/type", "§8"},
	} {
		t.Run(name, func(t *testing.T) {
			text := changed(t, c.object, c.patch)
			options := stix.Options{Pattern: func(text string) error {
				if !strings.HasSuffix(text, "]") {
					return errors.New("a ] was expected")
				}
				return nil
			}}
			got := onlyErrors(validate(t, text, options))
			clause := c.clause
			if strings.HasPrefix(clause, "§") {
				clause = "STIX 2.1 " + clause
			}
			if !slices.ContainsFunc(got, func(p stix.Problem) bool { return p.At == c.at && p.Clause == clause }) {
				t.Errorf("Validate(%s) = %v, want a problem at %q by %s", text, got, c.at, clause)
			}
			for _, p := range got {
				if !strings.HasPrefix(p.At, c.at) {
					t.Errorf("Validate(%s) = %v, want nothing but at %q", text, got, c.at)
				}
			}
			// The same without warnings.
			options.ErrorsOnly = true
			if only := validate(t, text, options); !slices.Equal(only, got) {
				t.Errorf("Validate(%s) with ErrorsOnly = %v, want %v", text, only, got)
			}
		})
	}
}

const aTranslation = `{"type": "language-content", "spec_version": "2.1", "id": "language-content--b86bd89f-98bb-4fa9-8cb2-9ad421da981d",
	"created": "2026-02-08T21:31:22.007Z", "modified": "2026-02-08T21:31:22.007Z", "object_ref": "malware--31b940d4-6f7f-459a-80ea-9c1f17b5891b",
	"contents": {"de": {"name": "Bank Angriff"}}}`

// domainObject returns a domain object of some type.
func domainObject(objectType, properties string) string {
	return `{"type": "` + objectType + `", "spec_version": "2.1", "id": "` + objectType + `--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
		"created": "2026-04-06T20:03:48.000Z", "modified": "2026-04-06T20:03:48.000Z", ` + properties + `}`
}

func TestWhatShouldBeOtherwiseIsWarnedOf(t *testing.T) {
	for name, c := range map[string]struct {
		object, patch string
		at, clause    string // of the one warning; none when both are empty
	}{
		"nothing":                          {anIndicator, "", "", ""},
		"nothing about an address":         {anAddress, "", "", ""},
		"nothing about a relationship":     {aRelationship, "", "", ""},
		"nothing about TLP 1.0":            {greenOfTLP1, "", "", ""},
		"nothing about TLP 2.0":            {redOfTLP2, "", "", ""},
		"TLP as OpenCTI writes it":         {greenOfTLP1, `{"name": null, "definition_type": "TLP", "definition": {"TLP": "TLP:GREEN"}, "created": "2020-02-25T09:02:15.077Z"}`, "", "STIX 2.1 §7.2.1.4"},
		"TLP 2.0 as TLP 1.0 was":           {redOfTLP2, `{"extensions": null, "definition_type": "TLP:RED", "definition": {"tlp": "red"}}`, "", "TLP 2.0 STIX extension"},
		"a marking to the second":          {aStatement, `{"created": "2026-04-06T19:58:16Z"}`, "/created", "STIX 2.1 §3.2"},
		"a marking with a version":         {aStatement, `{"modified": "2026-04-06T19:58:16.000Z"}`, "/modified", "STIX 2.1 §3.2"},
		"a marking of another type":        {aStatement, `{"definition_type": "x-level"}`, "/definition_type", "STIX 2.1 §7.2.1"},
		"a custom property":                {anIndicator, `{"x_rank": 5}`, "/x_rank", "STIX 2.1 §11.1"},
		"a declared property":              {anIndicator, `{"rank": 5, "extensions": {"extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5": {"extension_type": "toplevel-property-extension"}}}`, "", ""},
		"a custom object":                  {aCustom, "", "/type", "STIX 2.1 §11.2"},
		"a declared object":                {aCustom, `{"extensions": {"extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5": {"extension_type": "new-sdo"}}}`, "", ""},
		"a custom extension":               {observable("file", `"name": "a", "extensions": {"x-foobar-ext": {"foo": "bar"}}`), "", "/extensions/x-foobar-ext", "STIX 2.1 §11.3"},
		"an id with another version":       {anIndicator, `{"id": "indicator--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f"}`, "/id", "STIX 2.1 §2.9"},
		"an observable with a random id":   {anAddress, `{"id": "ipv4-addr--28bb3599-77cd-4a82-a950-b5bc3caf07c4"}`, "/id", "STIX 2.1 §2.9"},
		"an observable with another's id":  {anAddress, `{"value": "203.0.113.66"}`, "/id", "STIX 2.1 §2.9"},
		"a term of no vocabulary":          {anIndicator, `{"indicator_types": ["weird"]}`, "/indicator_types/0", "STIX 2.1 §10.10"},
		"a relationship that is not known": {aRelationship, `{"relationship_type": "loves"}`, "/relationship_type", "STIX 2.1 §5.1.2"},
		"any relationship of custom types": {aRelationship, `{"relationship_type": "loves", "target_ref": "x-thing--31b940d4-6f7f-459a-80ea-9c1f17b5891b"}`, "", ""},
		"a phase in upper case":            {anIndicator, `{"kill_chain_phases": [{"kill_chain_name": "a", "phase_name": "A b"}]}`, "/kill_chain_phases/0/phase_name", "STIX 2.1 §2.11"},
		"a url without hashes":             {anIndicator, `{"external_references": [{"source_name": "a", "url": "https://www.example.com/"}]}`, "/external_references/0/url", "STIX 2.1 §2.5.1"},
		"an indicator without a name":      {anIndicator, `{"name": null}`, "", "STIX 2.1 §4.7.1"},
		"a defanged observable":            {anAddress, `{"defanged": true}`, "/defanged", "STIX 2.1 §3.2"},
		"a label of an observable":         {anAddress, `{"labels": ["a"]}`, "/labels", "STIX 2.1 §3.2"},
		"a deprecated container":           {anObservation, `{"object_refs": null, "objects": {"0": {"type": "mutex", "name": "a"}}}`, "/objects", "STIX 2.1 §4.14.1"},
		"null deep in the unknown":         {anIndicator, `{"x_rank": {"a": [null]}, "extensions": {"extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5": {"extension_type": "toplevel-property-extension"}}}`, "/x_rank/a/0", "STIX 2.1 §2"},
		"a suffix that promises":           {anIndicator, `{"x_owner_ref": "me", "extensions": {"extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5": {"extension_type": "toplevel-property-extension"}}}`, "/x_owner_ref", "STIX 2.1 §3.1"},
		"traffic without ports":            {traffic, `{"src_port": null}`, "", "STIX 2.1 §6.12"},
	} {
		t.Run(name, func(t *testing.T) {
			text := changed(t, c.object, c.patch)
			got := validate(t, text, stix.Options{})
			if failures := onlyErrors(got); len(failures) > 0 {
				t.Fatalf("Validate(%s) = %v, want no errors", text, failures)
			}
			if c.clause == "" {
				if len(got) > 0 {
					t.Errorf("Validate(%s) = %v, want nothing", text, got)
				}
				return
			}
			if !slices.ContainsFunc(got, func(p stix.Problem) bool { return p.At == c.at && p.Clause == c.clause }) {
				t.Errorf("Validate(%s) = %v, want a warning at %q by %s", text, got, c.at, c.clause)
			}
			if quiet := validate(t, text, stix.Options{ErrorsOnly: true}); len(quiet) > 0 {
				t.Errorf("Validate(%s) with ErrorsOnly = %v, want nothing", text, quiet)
			}
		})
	}
}

type example struct {
	Section string
	Object  json.RawMessage
}

func examples(t testing.TB) []example {
	t.Helper()
	text, err := os.ReadFile("testdata/examples.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Examples []example }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Examples
}

func TestTheStandardsExampleOfEveryTypeIsValid(t *testing.T) {
	types := map[string]bool{}
	for _, e := range examples(t) {
		var o struct{ Type string }
		if err := json.Unmarshal(e.Object, &o); err != nil {
			t.Fatal(err)
		}
		types[o.Type] = true
		if got := onlyErrors(validate(t, e.Object, stix.Options{})); len(got) > 0 {
			t.Errorf("§%s: Validate(%s) = %v, want no errors", e.Section, e.Object, got)
		}
	}
	if want := 19 + 2 + 18 + 3; len(types) != want {
		t.Errorf("there are examples of %d types, want %d", len(types), want)
	}
}

// TestNoPropertyTakesAnyValue replaces every property of every example by
// values of all JSON types: at most one of them can be right.
func TestNoPropertyTakesAnyValue(t *testing.T) {
	values := []string{`{"zzz": true}`, `[true]`, `true`, `-1.5`, `"\u0000"`, `null`, `[]`, `{}`}
	for _, e := range examples(t) {
		var o map[string]json.RawMessage
		if err := json.Unmarshal(e.Object, &o); err != nil {
			t.Fatal(err)
		}
		for name := range o {
			if strings.HasPrefix(name, "x_") || name == "rank" || name == "toxicity" {
				continue
			}
			var taken []string
			for _, value := range values {
				other := maps.Clone(o)
				other[name] = json.RawMessage(value)
				text, err := json.Marshal(other)
				if err != nil {
					t.Fatal(err)
				}
				if len(onlyErrors(validate(t, text, stix.Options{}))) == 0 {
					taken = append(taken, value)
				}
			}
			if len(taken) > 1 {
				t.Errorf("§%s: %s takes all of %s, want one JSON type at most", e.Section, name, taken)
			}
		}
	}
}

// TestNoMessageQuotesTheObject plants a word as every string and every name of
// every example.
func TestNoMessageQuotesTheObject(t *testing.T) {
	const word = "Zyzzyva \u202e'\""
	planted, _ := json.Marshal(word)
	for _, e := range examples(t) {
		var o map[string]json.RawMessage
		if err := json.Unmarshal(e.Object, &o); err != nil {
			t.Fatal(err)
		}
		for name := range o {
			if name == "type" {
				continue
			}
			other := maps.Clone(o)
			other[name] = planted
			other[word] = planted
			text, _ := json.Marshal(other)
			for _, p := range validate(t, text, stix.Options{}) {
				if strings.Contains(p.Error(), "Zyz") || strings.ContainsRune(p.Error(), '\u202e') {
					t.Errorf("Validate(%s) reports %q, want nothing of the text in it", text, p.Error())
				}
			}
		}
	}
}

func TestReportsAreBounded(t *testing.T) {
	labels := strings.Repeat("1,", 50_000) + "1"
	text := changed(t, anIndicator, `{"labels": [`+labels+`], "x_nulls": [`+strings.ReplaceAll(labels, "1", "null")+`]}`)
	got := validate(t, text, stix.Options{})
	if failures := len(onlyErrors(got)); failures != 100 || len(got) > 200 {
		t.Errorf("Validate(50,000 errors and as many warnings) = %d errors and %d warnings, want at most 100 of each", failures, len(got)-failures)
	}
}

func TestPointersStartAtTheObject(t *testing.T) {
	v, err := stix.Parse([]byte(`{"objects": [{"type": "malware"}, `+string(changed(t, anIndicator, `{"labels": ["a", 1]}`))+`]}`), stix.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range v.Get("objects").Elements() {
		if i == 1 {
			if got := stix.Validate(o, stix.Options{}); len(got) != 1 || got[0].At != "/labels/1" {
				t.Errorf("Validate(second object) = %v, want one problem at /labels/1", got)
			}
		}
	}
}

func TestADeclaredObjectHasVersionData(t *testing.T) {
	text := changed(t, aCustom, `{"spec_version": null, "created": null, "modified": null, "extensions":
		{"extension-definition--04b2d3ef-d061-4912-ab77-6bbe807a5bd5": {"extension_type": "new-sro"}}}`)
	if got := validate(t, text, stix.Options{}); len(got) != 3 {
		t.Errorf("Validate(%s) = %v, want three missing properties", text, got)
	}
	text = bytes.Replace(text, []byte("new-sro"), []byte("new-sco"), 1)
	if got := validate(t, text, stix.Options{}); len(got) != 0 {
		t.Errorf("Validate(%s) = %v, want nothing", text, got)
	}
}

func TestOnlyObjectsAreObjects(t *testing.T) {
	for _, text := range []string{`[]`, `null`, `"indicator"`, `1`, `true`, `[{"type": "indicator"}]`, `{}`} {
		if got := onlyErrors(validate(t, []byte(text), stix.Options{})); len(got) != 1 {
			t.Errorf("Validate(%s) = %v, want one error", text, got)
		}
	}
	if got := stix.Validate(stix.Value{}, stix.Options{}); len(got) != 1 {
		t.Errorf("Validate(absent) = %v, want one error", got)
	}
}
