package stix_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/stix"
)

func TestVersionsAreThoseOfTheReferenceLibrary(t *testing.T) {
	const shared = "STIX 2.1 §3.6: there must be no versions of observables with identifiers of the standard's own namespace"
	const custom = "STIX 2.1 §11.1: custom properties are taken; Validate warns of them"
	runRecorded(t, "versioning.json", "versioning_cases.json", map[int]divergence{
		20: {
			`{"animal_class":"mammal","created":"2026-11-23T13:06:05.167073Z","id":"x-animal--ecc0a795-c160-454f-a328-bf332b8b8fe3",` +
				`"modified":"2026-11-23T13:06:05.167073Z","spec_version":"2.1","species":"lion","type":"x-animal"}`,
			"STIX 2.1 §11.2: objects of custom types are taken; there nothing is left of them",
		},
		23: {"not versioned", shared},
		24: {"not versioned", shared},
		32: {`{"created":"2026-11-23T13:06:05.180329Z","id":"malware--21ce4fe4-9f21-4588-b0f6-e4151eb3c06f","is_family":false,"name":"foo","spec_version":"2.1","type":"malware","x_custom":123}`, custom},
		34: {`{"created":"2026-11-23T13:06:05.181445Z","description":"Steals your identity!","id":"malware--b7955f57-a406-48f3-b827-b6048f3319bf","is_family":false,"name":"foo","spec_version":"2.1","type":"malware","x_custom":123}`, custom},
		35: {`{"created":"2026-11-23T13:06:05.182599Z","id":"malware--5d149fc5-f153-421f-a5a7-fa2d145556d7","is_family":false,"name":"foo","spec_version":"2.1","type":"malware","x_custom":123}`, custom},
	}, versionOutcome, func(t testing.TB, c recordedCase) string {
		t.Helper()
		switch c.Error {
		case "":
		case "TypeNotVersionableError", "ObjectNotVersionableError", "ValueError":
			return "not versioned"
		default:
			return c.Error
		}
		return canonical(t, c.Result, timeOfTheCall(t, c)...)
	})
}

// timeOfTheCall names modified when it was the time at which a case was
// recorded.
func timeOfTheCall(t testing.TB, c recordedCase) []string {
	t.Helper()
	if _, given := c.Kwargs["modified"]; given || c.Op == "remove_custom_stix" && len(customProperties(parsed(t, c.Args[0]))) == 0 {
		return nil
	}
	return []string{"modified"}
}

func customProperties(v stix.Value) (changes []stix.Change) {
	for name := range v.Members() {
		if strings.HasPrefix(name, "x_") {
			changes = append(changes, stix.Change{Property: name})
		}
	}
	return changes
}

func versionOutcome(t testing.TB, c recordedCase) string {
	t.Helper()
	v := parsed(t, c.Args[0])
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	var changes []stix.Change
	for _, name := range slices.Sorted(maps.Keys(c.Kwargs)) {
		if name != "allow_custom" {
			changes = append(changes, stix.Change{Property: name, JSON: c.Kwargs[name]})
		}
	}
	var text []byte
	var err error
	switch c.Op {
	case "new_version":
		text, err = stix.NewVersion(v, now, changes...)
	case "revoke":
		text, err = stix.Revoke(v, now)
	case "remove_custom_stix":
		changes = customProperties(v)
		if len(changes) == 0 {
			return canonical(t, v.Raw())
		}
		text, err = stix.NewVersion(v, now, changes...)
	default:
		t.Fatalf("operation %q is not known", c.Op)
	}
	switch {
	case errors.Is(err, stix.ErrNotVersioned):
		return "not versioned"
	case errors.Is(err, stix.ErrRevoked):
		return "RevokeError"
	case errors.Is(err, stix.ErrUnmodifiable):
		return "UnmodifiablePropertyError"
	case errors.Is(err, stix.ErrModified):
		return "InvalidValueError"
	case err != nil:
		return err.Error()
	}
	next := parsed(t, text)
	isNext(t, v, next)
	but := []string{"modified"}
	if c.Op == "revoke" {
		but = append(but, "revoked")
	}
	for _, change := range changes {
		but = append(but, change.Property)
	}
	keepsTheRest(t, v, next, but...)
	return canonical(t, text, timeOfTheCall(t, c)...)
}

// isNext demands that next is the newer one of two versions of an object.
func isNext(t testing.TB, v, next stix.Value) {
	t.Helper()
	h := stix.Versions(v.Get("id").Text(), []stix.Value{next, v})
	if len(h) != 2 || string(h.Newest().Raw()) != string(next.Raw()) || string(h.First().Raw()) != string(v.Raw()) {
		t.Errorf("%s is no later version of %s", next.Raw(), v.Raw())
	}
}

const campaign = `"type":"campaign","spec_version":"2.1","id":"campaign--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","name":"a"`

func TestNewVersionIsAlwaysLater(t *testing.T) {
	const created = `,"created":"2016-04-06T20:03:00.000Z"`
	for name, c := range map[string]struct {
		times, now string
		want       string // "" is ErrModified
	}{
		"now":                              {created + `,"modified":"2016-04-06T20:03:00.000Z"`, "2017-01-01T00:00:00.5Z", "2017-01-01T00:00:00.500Z"},
		"now is cut to milliseconds":       {created + `,"modified":"2016-04-06T20:03:00.000Z"`, "2016-04-06T20:03:00.001999Z", "2016-04-06T20:03:00.001Z"},
		"in the same millisecond":          {created + `,"modified":"2016-04-06T20:03:00.000Z"`, "2016-04-06T20:03:00.000999Z", "2016-04-06T20:03:00.001Z"},
		"in the same, known more exactly":  {created + `,"modified":"2016-04-06T20:03:00.000998Z"`, "2016-04-06T20:03:00.000999Z", "2016-04-06T20:03:00.001Z"},
		"the clock is behind":              {created + `,"modified":"2030-12-31T23:59:59.999999999Z"`, "2017-01-01T00:00:00Z", "2031-01-01T00:00:00.000Z"},
		"no version before":                {created, "2015-01-01T00:00:00Z", "2016-04-06T20:03:00.001Z"},
		"created after modified":           {`,"created":"2020-01-01T00:00:00.000Z","modified":"2016-04-06T20:03:00.000Z"`, "2017-01-01T00:00:00Z", "2020-01-01T00:00:00.001Z"},
		"at the end of all timestamps":     {created + `,"modified":"9999-12-31T23:59:59.999Z"`, "2017-01-01T00:00:00Z", ""},
		"the clock is at the year 10000":   {created + `,"modified":"2016-04-06T20:03:00.000Z"`, "", ""},
		"nearly the end of all timestamps": {created + `,"modified":"9999-12-31T23:59:59.998Z"`, "2017-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"},
	} {
		t.Run(name, func(t *testing.T) {
			v := parsed(t, []byte("{"+campaign+c.times+"}"))
			now := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
			if c.now != "" {
				now, _ = stix.ParseTime(c.now)
			}
			// The zone of the clock does not matter.
			got, err := stix.NewVersion(v, now.In(time.FixedZone("", 3600)))
			if c.want == "" {
				if !errors.Is(err, stix.ErrModified) {
					t.Errorf("NewVersion = %s, %v, want %v", got, err, stix.ErrModified)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			next := parsed(t, got)
			if got := next.Get("modified").Text(); got != c.want {
				t.Errorf("modified = %s, want %s", got, c.want)
			}
			isNext(t, v, next)
		})
	}
}

func TestNewVersionsOfWhatMayHaveThemOnly(t *testing.T) {
	const times = `,"created":"2016-04-06T20:03:00.000Z","modified":"2016-04-06T20:03:00.000Z"`
	const text = "{" + campaign + times + "}"
	change := func(property, json string) []stix.Change {
		return []stix.Change{{Property: property, JSON: []byte(json)}}
	}
	for name, c := range map[string]struct {
		text    string
		changes []stix.Change
		want    error
	}{
		"type":                         {text, change("type", `"malware"`), stix.ErrUnmodifiable},
		"id":                           {text, change("id", `"campaign--00000000-0000-4000-8000-000000000000"`), stix.ErrUnmodifiable},
		"spec_version":                 {text, change("spec_version", `"2.0"`), stix.ErrUnmodifiable},
		"created":                      {text, change("created", `"2016-04-06T20:03:00.000Z"`), stix.ErrUnmodifiable},
		"created_by_ref":               {text, change("created_by_ref", `"identity--311b2d2d-f010-4473-83ec-1edf84858f4c"`), stix.ErrUnmodifiable},
		"without a creator":            {text, []stix.Change{{Property: "created_by_ref"}}, stix.ErrUnmodifiable},
		"no property":                  {text, change(`a":1,"b`, `1`), stix.ErrProperty},
		"modified at the same time":    {text, change("modified", `"2016-04-06T20:03:00.0000Z"`), stix.ErrModified},
		"modified in whole seconds":    {text, change("modified", `"2017-04-06T20:03:00Z"`), stix.ErrModified},
		"modified that is no time":     {text, change("modified", `1`), stix.ErrModified},
		"without modified":             {text, change("modified", `null`), stix.ErrModified},
		"revoked before":               {"{" + campaign + times + `,"revoked":true}`, nil, stix.ErrRevoked},
		"not revoked any more":         {"{" + campaign + times + `,"revoked":true}`, change("revoked", `false`), stix.ErrRevoked},
		"modified cannot be read":      {"{" + campaign + `,"created":"2016-04-06T20:03:00.000Z","modified":"yesterday"}`, nil, stix.ErrNotVersioned},
		"no created time":              {"{" + campaign + "}", nil, stix.ErrNotVersioned},
		"no identifier":                {`{"type":"campaign"` + times + `}`, nil, stix.ErrNotVersioned},
		"a bundle":                     {`{"type":"bundle","id":"bundle--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"` + times + `}`, nil, stix.ErrNotVersioned},
		"a marking (§7.2.1)":           {`{"type":"marking-definition","id":"` + statement + `"` + times + `}`, nil, stix.ErrNotVersioned},
		"no object":                    {`[]`, nil, stix.ErrNotVersioned},
		"an observable":                {`{"type":"ipv4-addr","id":"ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4","value":"198.51.100.3"}`, nil, stix.ErrNotVersioned},
		"a shared observable (§3.6)":   {`{"type":"ipv4-addr","id":"ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4","value":"198.51.100.3"` + times + `}`, nil, stix.ErrNotVersioned},
		"a producer's own observable":  {`{"type":"ipv4-addr","id":"ipv4-addr--28bb3599-77cd-5a82-a950-000000000000","value":"198.51.100.3"` + times + `}`, change("x_seen", "1"), nil},
		"what its identifier is of":    {`{"type":"ipv4-addr","id":"ipv4-addr--28bb3599-77cd-5a82-a950-000000000000","value":"198.51.100.3"` + times + `}`, change("value", `"192.0.2.1"`), stix.ErrUnmodifiable},
		"one with a random identifier": {`{"type":"ipv4-addr","id":"ipv4-addr--28bb3599-77cd-4a82-a950-000000000000","value":"198.51.100.3"` + times + `}`, change("value", `"192.0.2.1"`), nil},
		"a new property":               {text, change("description", `"b"`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := stix.NewVersion(parsed(t, []byte(c.text)), time.Unix(1_500_000_000, 0), c.changes...)
			if !errors.Is(err, c.want) {
				t.Errorf("NewVersion = %s, %v, want %v", got, err, c.want)
			}
		})
	}
	_, err := stix.NewVersion(parsed(t, []byte(text)), time.Unix(1_500_000_000, 0), change("name", `"secret" x`)...)
	if p, ok := errors.AsType[*stix.Problem](err); !ok || strings.Contains(err.Error(), "secret") {
		t.Errorf("NewVersion with what is no JSON = %v (%v), want a Problem without the text", err, p)
	}
}

func TestNewVersionKeepsTheBytesOfTheRest(t *testing.T) {
	v := parsed(t, []byte("{ "+campaign+`, "x_price": 1.50,"created":"2016-04-06T20:03:00.000Z", "aliases":["b"], "modified" :"2016-04-06T20:03:00.000Z", "revoked":false }`))
	now := time.Unix(1_500_000_000, 0)
	got, err := stix.NewVersion(v, now,
		stix.Change{Property: "aliases", JSON: []byte(`["lost"]`)}, stix.Change{Property: "description", JSON: []byte(` "d" `)},
		stix.Change{Property: "aliases", JSON: []byte("null")}, stix.Change{Property: "none"})
	want := "{" + campaign + `,"x_price":1.50,"created":"2016-04-06T20:03:00.000Z","modified":"2017-07-14T02:40:00.000Z","revoked":false,"description":"d"}`
	if err != nil || string(got) != want {
		t.Errorf("NewVersion = %s, %v, want %s", got, err, want)
	}
	got, err = stix.Revoke(v, now)
	want = "{" + campaign + `,"x_price":1.50,"created":"2016-04-06T20:03:00.000Z","aliases":["b"],"modified":"2017-07-14T02:40:00.000Z","revoked":true}`
	if err != nil || string(got) != want {
		t.Errorf("Revoke = %s, %v, want %s", got, err, want)
	}
	if !stix.Versions("campaign--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", []stix.Value{parsed(t, got), v}).Revoked() {
		t.Error("Revoked() = false, want true: revocation means all versions (§3.6)")
	}
}

func TestHistoryHasEveryVersionOnceInTheOrderOfTimes(t *testing.T) {
	var objects []stix.Value
	for _, text := range []string{
		`{"id":"a","modified":"2016-04-06T20:03:00.01Z","n":3}`,
		`{"id":"a","modified":"2016-04-06T20:03:00.010Z","n":-1}`, // the same time: the first given stays
		`{"id":"b","modified":"2030-04-06T20:03:00.000Z","n":-2}`,
		`{"id":"a","modified":"2016-04-06T20:03:00.1Z","n":4}`,
		`{"id":"a","modified":"2016-04-06T20:03:00Z","n":2}`,
		`{"id":"a","created":"2016-04-06T20:02:59Z","modified":7,"n":1,"revoked":true}`,
		`{"id":"a","n":0}`,
		`{"id":"a","modified":"tomorrow","n":-3}`,
	} {
		objects = append(objects, parsed(t, []byte(text)))
	}
	h := stix.Versions("a", objects)
	numbers := func(all ...stix.Value) (numbers []int64) {
		for _, v := range all {
			n, _ := v.Get("n").Int()
			numbers = append(numbers, n)
		}
		return numbers
	}
	if diff := cmp.Diff([]int64{0, 1, 2, 3, 4}, numbers(h...)); diff != "" {
		t.Errorf("Versions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{0, 4}, numbers(h.First(), h.Newest())); diff != "" {
		t.Errorf("First, Newest (-want +got):\n%s", diff)
	}
	if !h.Revoked() || h[2:].Revoked() {
		t.Errorf("Revoked() = %v, of later versions %v, want true, false", h.Revoked(), h[2:].Revoked())
	}
	for at, want := range map[string]int64{"2016-04-06T20:03:00.000Z": 2, "2016-04-06T20:03:00.100000Z": 4, "2016-04-06T20:02:59.0Z": 1} {
		if got := numbers(h.At(at))[0]; got != want {
			t.Errorf("At(%s) = version %d, want %d", at, got, want)
		}
	}
	for _, at := range []string{"2016-04-06T20:03:00.011Z", "last", ""} {
		if got := h.At(at); got.Exists() {
			t.Errorf("At(%q) = %s, want none", at, got.Raw())
		}
	}
	if none := stix.Versions("c", objects); none.First().Exists() || none.Newest().Exists() || none.Revoked() {
		t.Errorf("Versions of what is not there = %v, want none", none)
	}
}

// FuzzNewVersion makes a version with one change, and revokes it.
func FuzzNewVersion(f *testing.F) {
	for _, e := range examples(f) {
		f.Add([]byte(e.Object), "name", []byte(`"new"`), int64(1_500_000_000_000))
		f.Add([]byte(e.Object), "modified", []byte(`"2030-01-01T00:00:00.0000Z"`), int64(0))
	}
	f.Add([]byte("{"+campaign+`,"created":"2016-04-06T20:03:00.000Z","modified":"9999-12-31T23:59:59.9989Z"}`), "name", []byte(" null"), int64(1)<<50)
	f.Fuzz(func(t *testing.T, text []byte, property string, value []byte, milliseconds int64) {
		v, err := stix.Parse(text, stix.Limits{Bytes: 1 << 16})
		if err != nil {
			t.Skip("not JSON")
		}
		now := time.UnixMilli(milliseconds)
		made, err := stix.NewVersion(v, now, stix.Change{Property: property, JSON: value})
		if err != nil {
			return
		}
		next := parsed(t, made)
		isNext(t, v, next)
		keepsTheRest(t, v, next, "modified", property)
		if property != "modified" {
			var got, want any
			if err := json.Unmarshal(value, &want); len(value) > 0 && err != nil {
				t.Fatalf("NewVersion took %q: %v", value, err)
			}
			if p := next.Get(property); p.Exists() {
				if err := json.Unmarshal(p.Raw(), &got); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", property, diff)
			}
		}
		revoked, err := stix.Revoke(next, now)
		switch {
		case errors.Is(err, stix.ErrRevoked) && next.Get("revoked").True(), errors.Is(err, stix.ErrModified):
			return
		case err != nil:
			t.Fatalf("Revoke(%s) = %v", made, err)
		}
		last := parsed(t, revoked)
		isNext(t, next, last)
		if again, err := stix.NewVersion(last, now); !errors.Is(err, stix.ErrRevoked) {
			t.Errorf("NewVersion of %s = %s, %v, want %v", revoked, again, err, stix.ErrRevoked)
		}
	})
}
