package taxii

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/internal/hub/hubtest"
)

// An exchange is one request and its answer in the transcript of the OASIS
// reference server, medallion.
type exchange struct {
	Test            string            `json:"test"`
	Method          string            `json:"method"`
	Path            string            `json:"path"`
	RequestHeaders  map[string]string `json:"request_headers"`
	RequestBody     json.RawMessage   `json:"request_body"`
	Status          int               `json:"status"`
	ResponseHeaders map[string]string `json:"response_headers"`
	Response        json.RawMessage   `json:"response"`
}

type transcript struct {
	Fixture   map[string]json.RawMessage `json:"fixture"`
	Exchanges []exchange                 `json:"exchanges"`
}

// A divergence is what our answer to an exchange is instead, and the clause
// that makes it right. docs/divergences.md has the same list in prose.
type divergence struct {
	status int    // ours
	body   string // part of ours, as outcome tells it; "" when ours is empty or an error
	clause string
}

// Why answers differ.
const (
	notOurs     = "TAXII 2.1 §4.1, §4.2, §5.1: a hub's name, roots and collections are its own; the resources have the same properties"
	seeded      = "TAXII 2.1 §4.3: the status was in the reference server's fixture; no request made it"
	onlySTIX21  = "TAXII 2.1 §5.2.1: media_types say what a collection holds; ours hold STIX 2.1 (STIX 2.1 §3.2: spec_version is 2.1) and tell the submitter so"
	invalidSTIX = "STIX 2.1 §3.2, §6.1: a required property is missing, so the object is a failure in the status (TAXII 2.1 §4.3.1), or 422 when all are (§5.5)"
	hidden      = "TAXII 2.1 §1.6.9: 404 in place of 403 where the client may not read"
	addedOrder  = "TAXII 2.1 §3.4: ascending by date_added; objects of one envelope are added in its order, each with a date_added of its own"
	loneObject  = "TAXII 2.1 §5.5: 422 is for what cannot be processed; an object without its envelope can be"
)

// divergences are by number of the exchange, from 0.
func divergences() map[int]divergence {
	const (
		none      = ""
		malware   = `"modified":"2017-01-27T13:49:53.997Z","name":"Poison Ivy","spec_version":"2.1"`
		malwareID = `{"id":"malware--c0931cc6-c75e-47e5-9036-78fabc95d4ec","media_type":"application/stix+json;version=2.1","version":"2017-01-27T13:49:53.997Z"}`
	)
	return map[int]divergence{
		0:   {200, `api_roots=["https://hub.example.com/finance/"] default="https://hub.example.com/finance/"`, notOurs},
		1:   {200, `max_content_length=10485760 title="Finance" versions=["application/taxii+json;version=2.1"]`, notOurs},
		2:   {404, none, seeded},
		3:   {200, `"can_read":true,"can_write":true,"media_types":["application/stix+json;version=2.1"]`, notOurs},
		25:  {200, none, onlySTIX21},
		26:  {200, malware, onlySTIX21},
		38:  {200, none, onlySTIX21},
		40:  {200, malware, onlySTIX21},
		52:  {200, none, onlySTIX21},
		54:  {200, malwareID, onlySTIX21},
		61:  {200, none, onlySTIX21},
		63:  {200, `versions=["2017-01-27T13:49:53.997Z"]`, onlySTIX21},
		66:  {200, `versions=["2017-01-27T13:49:53.935Z","2015-01-27T13:49:53.935Z","2016-01-27T13:49:53.935Z","2018-01-27T13:49:53.935Z","2019-01-27T13:49:53.935Z"]`, addedOrder},
		68:  {200, `versions=["2017-01-27T13:49:53.935Z","2015-01-27T13:49:53.935Z","2016-01-27T13:49:53.935Z","2019-01-27T13:49:53.935Z"]`, addedOrder},
		70:  {200, `versions=["2017-01-27T13:49:53.935Z","2016-01-27T13:49:53.935Z","2019-01-27T13:49:53.935Z"]`, addedOrder},
		75:  {202, `failures=[{"id":"course-of-action--68794cd5-28db-429d-ab1e-1256704ef906","version":"2019-01-27T13:49:53.935Z"}]`, onlySTIX21},
		76:  {404, none, onlySTIX21},
		80:  {422, none, invalidSTIX}, // an artifact without payload_bin and url
		81:  {404, none, invalidSTIX},
		82:  {404, none, invalidSTIX},
		83:  {404, none, invalidSTIX},
		84:  {404, none, invalidSTIX},
		85:  {404, none, invalidSTIX},
		94:  {404, none, hidden},
		97:  {404, none, hidden},
		103: {202, `success_count=1`, loneObject},
		109: {202, `failures=[{"id":"relationship--2f9a9aa9-108a-4333-83e2-4fb25add0463","version":"2014-05-08T09:00:00.000Z"}]`, invalidSTIX}, // no modified
		111: {422, none, onlySTIX21},
		113: {200, none, onlySTIX21},
	}
}

// A replay plays the transcript against a hub.
type replay struct {
	*served

	paths  *strings.Replacer    // the reference server's paths, as ours
	added  map[string]time.Time // date_added in the fixture, by id and version
	ours   map[string]string    // date_added here, by id and version
	next   string               // cursor of the last answer that had one
	status string               // id of the last status
}

func transcriptOf(t *testing.T) transcript {
	t.Helper()
	data := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // where the shared data is
	if data == "" {
		t.Skip("TOCSIN_DATA does not name the folder with the shared data")
	}
	text, err := os.ReadFile(filepath.Join(data, "taxii", "medallion_transcript.json"))
	if err != nil {
		t.Skip("the shared data has no TAXII transcript: ", err)
	}
	var tr transcript
	if err := json.Unmarshal(text, &tr); err != nil {
		t.Fatal(err)
	}
	return tr
}

// The ids of the reference server's collections in the transcript.
const (
	theirIndicators = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"
	theirEmpty      = "365fed99-08fa-fdcd-a1b3-fb247eb41d01"
)

// newReplay makes a hub with the transcript's fixture in it: the objects are
// posted in the order of their date_added.
func newReplay(t *testing.T, tr transcript) *replay {
	t.Helper()
	r := &replay{served: serve(t, 20), added: map[string]time.Time{}, ours: map[string]string{}}
	r.paths = strings.NewReplacer("/trustgroup1/", "/finance/", theirIndicators, "indicators", theirEmpty, "reports")
	var root struct {
		Collections []struct {
			ID       string            `json:"id"`
			Objects  []json.RawMessage `json:"objects"`
			Manifest []manifestRecord  `json:"manifest"`
		} `json:"collections"`
	}
	if err := json.Unmarshal(tr.Fixture["trustgroup1"], &root); err != nil {
		t.Fatal(err)
	}
	for _, c := range root.Collections {
		if c.ID != theirIndicators {
			continue
		}
		byKey := map[string]string{}
		for _, o := range c.Objects {
			byKey[keyOf(t, o)] = string(o)
		}
		slices.SortStableFunc(c.Manifest, func(a, b manifestRecord) int { return cmp.Compare(a.DateAdded, b.DateAdded) })
		for _, m := range c.Manifest {
			at, err := time.Parse(time.RFC3339Nano, m.DateAdded)
			if err != nil {
				t.Fatal(err)
			}
			r.added[m.ID+" "+m.Version] = at
			if w := r.do(t, hubtest.Writer, "POST", objectsPath, hubtest.Envelope(byKey[m.ID+" "+m.Version])); w.Code != 202 && w.Code != 422 {
				t.Fatalf("POST of the fixture = %d %s", w.Code, w.Body)
			}
		}
	}
	for _, m := range get[manifestResource](t, r.served, hubtest.Writer, "/finance/collections/indicators/manifest/?match[version]=all").Objects {
		r.ours[m.ID+" "+m.Version] = m.DateAdded
	}
	return r
}

// keyOf returns an object's id and version as TAXII names it.
func keyOf(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var o struct{ ID, Modified, Created, Version string }
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	return o.ID + " " + cmp.Or(o.Version, o.Modified, o.Created)
}

// addedAfter maps a date_added of the fixture's history to the one that the
// hub gave to the last object up to then.
func (r *replay) addedAfter(t *testing.T, text string) string {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	if at.Year() >= 2026 { // when the transcript was made: the reference server's now
		return time.Now().UTC().Add(time.Second).Format("2006-01-02T15:04:05.000000Z")
	}
	last := "1970-01-01T00:00:00.000000Z"
	for key, theirs := range r.added {
		if ours, ok := r.ours[key]; ok && !theirs.After(at) {
			last = max(last, ours)
		}
	}
	return last
}

// target returns the path of an exchange as it is here.
func (r *replay) target(t *testing.T, path string) string {
	t.Helper()
	path = strings.NewReplacer(
		"{{next from previous response}}", r.next, "{{id from previous POST response}}", r.status,
	).Replace(r.paths.Replace(path))
	before, query, ok := strings.Cut(path, "?")
	if !ok {
		return path
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	if at := values.Get("added_after"); at != "" {
		values.Set("added_after", r.addedAfter(t, at))
	}
	return before + "?" + values.Encode()
}

// outcome tells an answer so that two servers' can be compared: what is made
// up anew each time, and words that are each server's own, are left out.
func outcome(t *testing.T, status int, text []byte) string {
	t.Helper()
	var body map[string]json.RawMessage
	if len(text) == 0 || status >= 400 || json.Unmarshal(text, &body) != nil {
		return ""
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(body)) {
		switch name {
		case "id", "request_timestamp":
			continue
		case "next":
			parts = append(parts, "next")
			continue
		case "objects", "successes", "failures", "pendings":
			var items []json.RawMessage
			if err := json.Unmarshal(body[name], &items); err != nil {
				t.Fatal(err)
			}
			var keys []string
			for _, item := range items {
				keys = append(keys, told(t, item))
			}
			parts = append(parts, name+"=["+strings.Join(keys, ", ")+"]")
			continue
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, body[name]); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, name+"="+compact.String())
	}
	return strings.Join(parts, " ")
}

// told tells an object whole, and an entry of a manifest or a status by id and
// version.
func told(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	if o["type"] == nil {
		delete(o, "message")
		delete(o, "date_added")
		if v, _ := o["version"].(string); strings.HasPrefix(v, "20") && v > "2020" { // the date on which a server added what has no version
			o["version"] = "added"
		}
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// dates compares the headers of a page: both name objects of the fixture, or
// something that was added since.
func (r *replay) dates(t *testing.T, e exchange, header func(string) string) {
	t.Helper()
	for _, name := range []string{"X-TAXII-Date-Added-First", "X-TAXII-Date-Added-Last"} {
		theirs, ours := e.ResponseHeaders[name], header(name)
		if theirs == "" { // it leaves them out where a page is empty
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, theirs)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := time.Parse("2006-01-02T15:04:05.000000Z", ours); err != nil {
			t.Errorf("%s = %q, want microseconds", name, ours)
		}
		var want []string
		for key, added := range r.added {
			if added.Equal(at) && r.ours[key] != "" {
				want = append(want, r.ours[key])
			}
		}
		if len(want) > 0 && !slices.Contains(want, ours) {
			t.Errorf("%s = %s, want %s, which is %s there", name, ours, want, theirs)
		}
	}
}

// Issue 4, Shows 1: medallion's own tests, as they went over the wire, have the
// same outcomes here; where not, a clause says why ours is right.
func TestTheReferenceServersTranscriptReplays(t *testing.T) {
	tr := transcriptOf(t)
	r := newReplay(t, tr)
	differs := divergences()
	same := 0
	for i, e := range tr.Exchanges {
		t.Run(fmt.Sprintf("%03d %s", i, e.Test), func(t *testing.T) {
			var headers []string
			as := hubtest.Writer
			if e.RequestHeaders["Authorization"] == "" {
				headers = append(headers, "Authorization", "")
			}
			for _, name := range []string{"Accept", "Content-Type"} {
				if v := e.RequestHeaders[name]; v != "" {
					headers = append(headers, name, v)
				}
			}
			body := ""
			if string(e.RequestBody) != "null" {
				body = string(e.RequestBody)
			}
			w := r.do(t, as, e.Method, r.target(t, e.Path), body, headers...)
			text := w.Body.Bytes()
			var kept struct{ ID, Next string }
			if json.Unmarshal(text, &kept) == nil && w.Code < 300 {
				r.next = cmp.Or(kept.Next, r.next)
				if e.Method == http.MethodPost {
					r.status = kept.ID
				}
			}
			want, got := outcome(t, e.Status, e.Response), outcome(t, w.Code, text)
			equal := w.Code == e.Status && want == got
			if d, ok := differs[i]; ok {
				if equal {
					t.Error("the answers are the same, but it is listed as a divergence")
				}
				if w.Code != d.status || !strings.Contains(got, d.body) || d.body == "" && got != "" || d.clause == "" {
					t.Errorf("%s %s = %d %s, want %d with %s (%s)", e.Method, e.Path, w.Code, got, d.status, d.body, d.clause)
				}
				return
			}
			if !equal {
				t.Fatalf("%s %s =\n%d %s, want\n%d %s", e.Method, e.Path, w.Code, got, e.Status, want)
			}
			if w.Code >= 400 {
				if refused := read[errorResource](t, w); refused.HTTPStatus != fmt.Sprint(e.Status) || refused.Title == "" {
					t.Errorf("error resource = %+v", refused)
				}
			}
			if got, want := w.Header().Get("WWW-Authenticate") != "", e.ResponseHeaders["WWW-Authenticate"] != ""; got != want {
				t.Errorf("WWW-Authenticate is there: %v, want %v", got, want)
			}
			r.dates(t, e, w.Header().Get)
			same++
		})
	}
	t.Logf("%d exchanges: %d with the same outcome, %d listed divergences", len(tr.Exchanges), same, len(differs))
	if same+len(differs) != len(tr.Exchanges) || same == 0 {
		t.Errorf("%d exchanges, but %d are the same and %d listed", len(tr.Exchanges), same, len(differs))
	}
}
