package stix_test

import (
	"testing"

	"tocsin/stix"
)

func TestEqualObservablesHaveEqualIDs(t *testing.T) {
	for object, want := range map[string]string{
		// The identifiers that the standard prints.
		`{"type": "ipv4-addr", "value": "198.51.100.3"}`:                                                                        "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4",
		`{"type": "autonomous-system", "number": 15139, "name": "Slime Industries"}`:                                            "autonomous-system--3aa27478-50b5-5ab8-9da9-cdc12b657fff",
		`{"type": "url", "value": "https://example.com/research/index.html"}`:                                                   "url--47c3cf9a-5027-5bf0-997a-017c7edc7c55",
		`{"type": "mac-addr", "value": "d2:fb:49:24:37:18"}`:                                                                    "mac-addr--757b1725-9903-54f5-a855-1240691d7659",
		`{"type": "mutex", "name": "__CLEANSWEEP__"}`:                                                                           "mutex--f93fe911-e545-5239-b9b0-597840d0c871",
		`{"type": "domain-name", "value": "example.com"}`:                                                                       "domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7",
		`{"type": "file", "hashes": {"MD5": "3773a88f65a5e780c8dff9cdc3a056f3"}, "name": "foo.dll"}`:                            "file--eb5628d4-0b29-5e91-93be-091797a81285",
		`{"name": "foo.dll", "hashes": {"SHA-256": "x", "MD5": "3773a88f65a5e780c8dff9cdc3a056f3"}, "type": "file", "size": 1}`: "file--eb5628d4-0b29-5e91-93be-091797a81285",
		// However they are written.
		`{"type": "domain-name", "value": "ex\u0061mple.com"}`:                    "domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7",
		`{"type": "autonomous-system", "number": 1.5139e4}`:                       "autonomous-system--3aa27478-50b5-5ab8-9da9-cdc12b657fff",
		`{"\u0074ype": "mutex", "n\u0061me": "__CLEANSWEEP__", "id": "mutex--1"}`: "mutex--f93fe911-e545-5239-b9b0-597840d0c871",
		`{"type": "process", "pid": 1}`:                                           "",
		`{"type": "file", "size": 1}`:                                             "",
		`{"type": "file", "hashes": {}}`:                                          "",
		`{"type": "indicator", "name": "a"}`:                                      "",
		`{"type": "x-thing", "value": "a"}`:                                       "",
		`{"value": "a"}`:                                                          "",
		`[]`:                                                                      "",
	} {
		v, err := stix.Parse([]byte(object), stix.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := stix.DeterministicID(v); got != want || ok != (want != "") {
			t.Errorf("DeterministicID(%s) = %q, %v, want %q", object, got, ok, want)
		}
	}
}

func TestOneTimeHasOneID(t *testing.T) {
	ids := map[string]string{}
	for _, start := range []string{"2026-01-01T00:00:00Z", "2026-01-01T00:00:00.0Z", "2026-01-01T00:00:00.000000Z"} {
		v, err := stix.Parse([]byte(`{"type": "network-traffic", "protocols": ["tcp"], "start": "`+start+`"}`), stix.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		id, _ := stix.DeterministicID(v)
		ids[id] = start
	}
	if len(ids) != 1 {
		t.Errorf("DeterministicID(one time) = %v, want one id", ids)
	}
}
