package taxii

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/prove"
	"tocsin/internal/store"
)

// These are the clauses of TAXII 2.1 (OASIS Standard, 10 June 2021), one test
// each, as a client meets them. What Tocsin does otherwise is in
// docs/divergences.md.

const (
	collectionPath = "/finance/collections/indicators/"
	manifestPath   = collectionPath + "manifest/"
)

// world is a hub with three versions of one object, which came out of order,
// and one version of two others.
func world(t *testing.T) *served {
	t.Helper()
	s := serve(t, 0)
	for _, day := range []int{2, 3, 1} {
		s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, day))
	}
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(2, 1), hubtest.Indicator(3, 1))
	return s
}

// everything are the endpoints with objects in them: all that have filters.
func everything() map[string]string {
	one := objectsPath + hubtest.ID("indicator", 1) + "/"
	return map[string]string{"objects": objectsPath, "manifest": manifestPath, "object": one, "versions": one + "versions/"}
}

// reads asks for a page and returns the versions in it, by their day, and the
// answer.
func (s *served) reads(t *testing.T, target string) (days []string, w *httptest.ResponseRecorder) {
	t.Helper()
	w = s.do(t, hubtest.Reader, "GET", target, "")
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s = %d %s, want 200", target, w.Code, w.Body)
	}
	var page struct {
		Objects  []struct{ Modified, Version string } `json:"objects"`
		Versions []string                             `json:"versions"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
		t.Fatal(err)
	}
	for _, o := range page.Objects {
		page.Versions = append(page.Versions, o.Modified+o.Version)
	}
	for _, v := range page.Versions {
		days = append(days, v[8:10])
	}
	return days, w
}

var (
	microseconds = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$`)
	uuid4        = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
)

// §1.6.3: an endpoint's methods; HEAD is GET without the body (RFC 9110 §9.3.2),
// and what a path does not take is named.
func Test1_6_3_Methods(t *testing.T) {
	s := world(t)
	for name, path := range everything() {
		got, head := s.do(t, hubtest.Reader, "GET", path, ""), s.do(t, hubtest.Reader, "HEAD", path, "")
		if head.Code != 200 || head.Header().Get("Content-Length") != got.Header().Get("Content-Length") ||
			head.Header().Get("X-TAXII-Date-Added-Last") != got.Header().Get("X-TAXII-Date-Added-Last") {
			t.Errorf("HEAD %s = %d %v, want what GET says", name, head.Code, head.Header())
		}
	}
	for path, allow := range map[string]string{
		"/taxii2/": "GET, HEAD", "/finance/": "GET, HEAD", collectionPath: "GET, HEAD", manifestPath: "GET, HEAD", objectsPath: "GET, HEAD, POST",
		objectsPath + hubtest.ID("indicator", 1) + "/": "DELETE, GET, HEAD",
	} {
		for _, method := range []string{"OPTIONS", "PUT", "PATCH", "TRACE"} {
			if w := s.do(t, hubtest.Writer, method, path, ""); w.Code != 405 || w.Header().Get("Allow") != allow {
				t.Errorf("%s %s = %d, Allow %q, want 405 and %q", method, path, w.Code, w.Header().Get("Allow"), allow)
			}
		}
	}
}

// §1.6.5: URLs end with a slash; clients leave it out and are served all the
// same, without being sent elsewhere.
func Test1_6_5_TrailingSlash(t *testing.T) {
	s := world(t)
	for name, path := range everything() {
		with, without := s.do(t, hubtest.Reader, "GET", path, ""), s.do(t, hubtest.Reader, "GET", strings.TrimSuffix(path, "/"), "")
		if without.Code != 200 || with.Body.String() != without.Body.String() {
			t.Errorf("%s without the slash = %d, want the same page", name, without.Code)
		}
	}
	if w := s.do(t, hubtest.Writer, "POST", strings.TrimSuffix(objectsPath, "/"), hubtest.Envelope(hubtest.Indicator(9, 1))); w.Code != 202 {
		t.Errorf("POST without the slash = %d, want 202", w.Code)
	}
}

// §1.6.8: the two media types of TAXII are never refused, and every answer says
// which it is, errors and the empty answer to DELETE too.
func Test1_6_8_MediaTypes(t *testing.T) {
	s := world(t)
	for _, accept := range []string{"application/taxii+json", "application/taxii+json;version=2.1"} {
		for name, path := range everything() {
			w := s.do(t, hubtest.Reader, "GET", path, "", "Accept", accept)
			if w.Code != 200 || w.Header().Get("Content-Type") != "application/taxii+json;version=2.1" {
				t.Errorf("GET %s with %s = %d %s", name, accept, w.Code, w.Header().Get("Content-Type"))
			}
		}
		w := s.do(t, hubtest.Writer, "POST", objectsPath, hubtest.Envelope(hubtest.Indicator(8, 1)), "Content-Type", accept, "Accept", accept)
		if w.Code != 202 || w.Header().Get("Content-Type") != mediaType {
			t.Errorf("POST with %s = %d %s", accept, w.Code, w.Header().Get("Content-Type"))
		}
	}
	for _, accept := range []string{ // other versions of TAXII, and STIX without an envelope
		"application/taxii+json;version=2.2", "application/vnd.oasis.taxii+json", "application/vnd.oasis.taxii+json; version=2.0",
		"application/vnd.oasis.stix+json", "application/vnd.oasis.stix+json; version=2.0", "application/stix+json;version=2.1",
	} {
		w := s.do(t, hubtest.Reader, "GET", objectsPath, "", "Accept", accept)
		if e := read[errorResource](t, w); w.Code != 406 || e.HTTPStatus != "406" || !strings.Contains(e.Details["hint"], "application/taxii+json") {
			t.Errorf("GET with %s = %d %+v, want 406 that names what is spoken", accept, w.Code, e)
		}
	}
}

// §3.1: timestamps have microseconds, ids are UUIDv4.
func Test3_1_TimestampsAndIdentifiers(t *testing.T) {
	s := world(t)
	for _, r := range get[manifestResource](t, s, hubtest.Reader, manifestPath).Objects {
		if !microseconds.MatchString(r.DateAdded) {
			t.Errorf("date_added = %s", r.DateAdded)
		}
	}
	made := read[statusResource](t, s.do(t, hubtest.Writer, "POST", objectsPath, hubtest.Envelope(hubtest.Indicator(4, 1))))
	if !uuid4.MatchString(made.ID) || !microseconds.MatchString(made.RequestTimestamp) {
		t.Errorf("status = %+v", made)
	}
	for _, c := range get[collectionsResource](t, s, hubtest.Reader, "/finance/collections/").Collections {
		if !uuid4.MatchString(c.ID) {
			t.Errorf("collection id = %s", c.ID)
		}
	}
}

// §3.3: X-TAXII-Date-Added-First and -Last on every 200 with objects in it or
// without, and they are the dates of the first and the last.
func Test3_3_DateAddedHeaders(t *testing.T) {
	s := world(t)
	dates := map[string]string{}
	for _, r := range get[manifestResource](t, s, hubtest.Reader, manifestPath+"?match[version]=all").Objects {
		dates[r.ID+r.Version[8:10]] = r.DateAdded
	}
	for name, path := range everything() {
		for _, query := range []string{"", "?limit=1", "?added_after=2099-01-01T00:00:00Z", "?match[spec_version]=2.0"} {
			_, w := s.reads(t, path+query)
			first, last := w.Header().Get("X-TAXII-Date-Added-First"), w.Header().Get("X-TAXII-Date-Added-Last")
			if !microseconds.MatchString(first) || !microseconds.MatchString(last) || first > last {
				t.Errorf("GET %s%s: headers %q, %q", name, query, first, last)
			}
		}
	}
	_, w := s.reads(t, objectsPath)
	if got, want := w.Header().Get("X-TAXII-Date-Added-First"), dates[hubtest.ID("indicator", 1)+"03"]; got != want {
		t.Errorf("the first date is %s, want %s", got, want)
	}
	if got, want := w.Header().Get("X-TAXII-Date-Added-Last"), dates[hubtest.ID("indicator", 3)+"01"]; got != want {
		t.Errorf("the last date is %s, want %s", got, want)
	}
}

// §3.4: added_after is exclusive, on every endpoint.
func Test3_4_AddedAfter(t *testing.T) {
	s := world(t)
	for name, path := range everything() {
		all, w := s.reads(t, path+"?match[version]=all")
		first, last := w.Header().Get("X-TAXII-Date-Added-First"), w.Header().Get("X-TAXII-Date-Added-Last")
		if rest, _ := s.reads(t, path+"?match[version]=all&added_after="+first); len(rest) != len(all)-1 {
			t.Errorf("%s added after the first: %v of %v", name, rest, all)
		}
		at, err := time.Parse(time.RFC3339Nano, first)
		if err != nil {
			t.Fatal(err)
		}
		before := at.Add(-time.Microsecond).Format("2006-01-02T15:04:05.000000Z")
		if rest, _ := s.reads(t, path+"?match[version]=all&added_after="+before); len(rest) != len(all) {
			t.Errorf("%s added after the moment before: %v of %v", name, rest, all)
		}
		if rest, w := s.reads(t, path+"?added_after="+last); len(rest) != 0 || w.Body.String() != "{}" {
			t.Errorf("%s added after the last: %v %s, want {}", name, rest, w.Body)
		}
	}
}

// §3.4, §3.5: limit and next on every endpoint; added_after may come along, as
// OpenCTI sends it.
func Test3_5_Pagination(t *testing.T) {
	s := world(t)
	for name, path := range everything() {
		for _, limit := range []int{1, 2, 3, 100} {
			for _, along := range []bool{false, true} {
				all, _ := s.reads(t, path+"?match[version]=all")
				var got []string
				query := fmt.Sprintf("?match[version]=all&limit=%d", limit)
				for next, pages := "", 0; pages < 10; pages++ {
					target := path + query
					if next != "" {
						target += "&next=" + next
					}
					days, w := s.reads(t, target)
					if len(days) > limit {
						t.Errorf("%s: %d items with limit %d", name, len(days), limit)
					}
					got = append(got, days...)
					var page struct {
						More bool   `json:"more"`
						Next string `json:"next"`
					}
					if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil {
						t.Fatal(err)
					}
					if page.More != (page.Next != "") {
						t.Errorf("%s: more %v, next %q", name, page.More, page.Next)
					}
					if next = page.Next; next == "" {
						break
					}
					if along {
						query = fmt.Sprintf("?match[version]=all&limit=%d&added_after=%s", limit, w.Header().Get("X-TAXII-Date-Added-Last"))
					}
				}
				if strings.Join(got, " ") != strings.Join(all, " ") {
					t.Errorf("%s in pages of %d, added_after along %v: %v, want %v", name, limit, along, got, all)
				}
			}
		}
	}
}

// §3.4.1: match[version] in all its forms, on every endpoint.
func Test3_4_1_MatchVersion(t *testing.T) {
	s := world(t)
	type wants struct{ objects, one, versions string }
	for query, want := range map[string]wants{
		"":                     {"03 01 01", "03", "02 03 01"},
		"last":                 {"03 01 01", "03", "03"},
		"first":                {"01 01 01", "01", "01"},
		"all":                  {"02 03 01 01 01", "02 03 01", "02 03 01"},
		"first,last":           {"03 01 01 01", "03 01", "03 01"},
		"2026-01-02T00:00:00Z": {"02", "02", "02"},
		"2026-01-02T00:00:00.000Z,2026-01-03T00:00:00.000000Z": {"02 03", "02 03", "02 03"},
		"first,2026-01-02T00:00:00Z":                           {"02 01 01 01", "02 01", "02 01"},
		"2026-02-02T00:00:00Z":                                 {"", "", ""},
	} {
		filter := ""
		if query != "" {
			filter = "?match[version]=" + query
		}
		for name, path := range everything() {
			got, _ := s.reads(t, path+filter)
			expected := map[string]string{"objects": want.objects, "manifest": want.objects, "object": want.one, "versions": want.versions}[name]
			if strings.Join(got, " ") != expected {
				t.Errorf("GET %s%s = %v, want %s", name, filter, got, expected)
			}
		}
	}
	for _, bad := range []string{"all,last", "newest", "2026-13-01T00:00:00Z", "", "first&match[version]=last"} {
		for name, path := range everything() {
			if w := s.do(t, hubtest.Reader, "GET", path+"?match[version]="+bad, ""); w.Code != 400 {
				t.Errorf("GET %s?match[version]=%s = %d, want 400", name, bad, w.Code)
			}
		}
	}
}

// §3.4.1: commas mean or, fields mean and.
func Test3_4_1_MatchCombinations(t *testing.T) {
	s := world(t)
	malware := `{"type":"malware","spec_version":"2.1","id":"` + hubtest.ID("malware", 1) + `","created":"2026-01-05T00:00:00.000Z","modified":"2026-01-05T00:00:00.000Z","name":"m","is_family":true}`
	s.Share(t, hubtest.Writer, nil, malware)
	one, two, m := hubtest.ID("indicator", 1), hubtest.ID("indicator", 2), hubtest.ID("malware", 1)
	for query, want := range map[string]string{
		"match[id]=" + one:                     "03",
		"match[id]=" + one + "," + m:           "03 05",
		"match[type]=malware":                  "05",
		"match[type]=malware,indicator":        "03 01 01 05",
		"match[type]=malware,report":           "05",
		"match[type]=report":                   "",
		"match[type]=malware&match[id]=" + m:   "05",
		"match[type]=malware&match[id]=" + two: "",
		"match[type]=indicator&match[id]=" + one + "," + m + "&match[version]=all": "02 03 01",
		"match[spec_version]=2.1":                         "03 01 01 05",
		"match[spec_version]=2.0":                         "",
		"match[spec_version]=2.0,2.1&match[type]=malware": "05",
		"match[spec_version]=2.0&match[type]=malware":     "",
		"match[id]=" + one + "&match[version]=first&match[spec_version]=2.1&match[type]=indicator&added_after=2020-01-01T00:00:00Z&limit=5": "01",
	} {
		for _, path := range []string{objectsPath, manifestPath} {
			if got, _ := s.reads(t, path+"?"+query); strings.Join(got, " ") != want {
				t.Errorf("GET %s?%s = %v, want %q", path, query, got, want)
			}
		}
	}
}

// §3.6.1: an error resource has a title, and the status as text.
func Test3_6_1_Errors(t *testing.T) {
	s := world(t)
	for name, tt := range map[string]struct {
		as, method, target, body string
		headers                  []string
		want                     int
	}{
		"bad filter":     {hubtest.Reader, "GET", objectsPath + "?limit=0", "", nil, 400},
		"nobody":         {"", "GET", objectsPath, "", nil, 401},
		"no write":       {hubtest.Reader, "POST", objectsPath, hubtest.Envelope(hubtest.Indicator(5, 1)), nil, 403},
		"no read":        {hubtest.Stranger, "GET", objectsPath, "", nil, 404},
		"no object":      {hubtest.Reader, "GET", objectsPath + hubtest.ID("indicator", 77) + "/", "", nil, 404},
		"no method":      {hubtest.Reader, "PUT", objectsPath, "", nil, 405},
		"no such type":   {hubtest.Reader, "GET", objectsPath, "", []string{"Accept", "text/csv"}, 406},
		"too large":      {hubtest.Writer, "POST", objectsPath, strings.Repeat(" ", 10<<20+1), nil, 413},
		"another type":   {hubtest.Writer, "POST", objectsPath, "<xml/>", []string{"Content-Type", "application/xml"}, 415},
		"no STIX at all": {hubtest.Writer, "POST", objectsPath, `{"objects":[{"type":"x"}]}`, nil, 422},
		"a list":         {hubtest.Writer, "POST", objectsPath, `[]`, nil, 422},
		"not JSON":       {hubtest.Writer, "POST", objectsPath, `{`, nil, 400},
	} {
		w := s.do(t, tt.as, tt.method, tt.target, tt.body, tt.headers...)
		e := read[errorResource](t, w)
		if w.Code != tt.want || e.HTTPStatus != fmt.Sprint(tt.want) || e.Title == "" {
			t.Errorf("%s: %d %+v, want %d", name, w.Code, e, tt.want)
		}
		if (w.Header().Get("WWW-Authenticate") != "") != (tt.want == 401) {
			t.Errorf("%s: WWW-Authenticate %q", name, w.Header().Get("WWW-Authenticate"))
		}
	}
}

// §4.1, §4.2: the default is one of the roots; max_content_length is what is
// taken, to the byte.
func Test4_DiscoveryAndRoots(t *testing.T) {
	s := world(t)
	d := get[discoveryResource](t, s, hubtest.Reader, "/taxii2/")
	if len(d.APIRoots) != 1 || d.Default != d.APIRoots[0] || !strings.HasPrefix(d.Default, "https://") || !strings.HasSuffix(d.Default, "/") {
		t.Errorf("discovery = %+v", d)
	}
	root := get[apiRootResource](t, s, hubtest.Reader, "/finance/")
	body := hubtest.Envelope(hubtest.Indicator(6, 1))
	for extra, want := range map[int64]int{0: 202, 1: 413} {
		padded := strings.Repeat(" ", int(root.MaxContentLength+extra)-len(body)) + body
		if w := s.do(t, hubtest.Writer, "POST", objectsPath, padded); w.Code != want {
			t.Errorf("POST of %d bytes = %d, want %d", len(padded), w.Code, want)
		}
	}
}

// fixedProver has one submission, some of which is pending.
type fixedProver struct{ made prove.Submission }

func (p fixedProver) Submission(_ context.Context, _ tocsin.Member, _ string) (prove.Submission, error) {
	return p.made, nil
}

// §4.3.1: a status counts what it lists, and is pending as long as something is.
func Test4_3_1_Status(t *testing.T) {
	s := world(t)
	s.server.Prover = fixedProver{prove.Submission{
		ID: "00000000-0000-4000-8000-000000000001", Community: "finance", Requested: time.Unix(0, 0),
		Successes: []store.Success{{ID: hubtest.ID("indicator", 1), Version: "v1"}},
		Failures:  []authorize.Failure{{ID: hubtest.ID("indicator", 2), Version: "v2", Err: &tocsin.Error{Message: "no"}}},
		Pending:   []store.Pending{{ID: hubtest.ID("indicator", 3), Version: "v3", Due: time.Unix(60, 0)}},
	}}
	w := s.do(t, hubtest.Writer, "GET", "/finance/status/00000000-0000-4000-8000-000000000001/", "")
	const want = `{"id":"00000000-0000-4000-8000-000000000001","status":"pending","request_timestamp":"1970-01-01T00:00:00.000000Z","total_count":3,` +
		`"success_count":1,"successes":[{"id":"indicator--00000000-0000-4000-8000-000000000001","version":"v1"}],` +
		`"failure_count":1,"failures":[{"id":"indicator--00000000-0000-4000-8000-000000000002","version":"v2","message":"no"}],` +
		`"pending_count":1,"pendings":[{"id":"indicator--00000000-0000-4000-8000-000000000003","version":"v3","message":"the version lies in the future; it waits until 1970-01-01T00:01:00.000000Z"}]}`
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("status = %d %s, want %s", w.Code, w.Body, want)
	}
}

// §5.1, §5.2: the order of collections is always the same, an alias stands for
// its collection in every path.
func Test5_2_1_Alias(t *testing.T) {
	s := world(t)
	id := s.collectionID(t)
	if a, b := s.do(t, hubtest.Reader, "GET", "/finance/collections/", ""), s.do(t, hubtest.Reader, "GET", "/finance/collections/", ""); a.Body.String() != b.Body.String() {
		t.Error("the order of collections changes")
	}
	for name, path := range everything() {
		alias, byID := s.do(t, hubtest.Reader, "GET", path, ""), s.do(t, hubtest.Reader, "GET", strings.Replace(path, "/indicators/", "/"+id+"/", 1), "")
		if byID.Code != 200 || alias.Body.String() != byID.Body.String() {
			t.Errorf("%s by id = %d, differs from the alias", name, byID.Code)
		}
	}
}

// §5.4: the hub sends fewer than were asked for, never more than its cap.
func Test5_4_PageCap(t *testing.T) {
	for configured, want := range map[int]int{0: 1000, 7: 7, 5000: 5000, 9999: 5000} {
		if got := serve(t, configured).server.MaxPage; got != want {
			t.Errorf("a cap of %d becomes %d, want %d", configured, got, want)
		}
	}
	s := serve(t, 2)
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1), hubtest.Indicator(2, 1), hubtest.Indicator(3, 1))
	for _, query := range []string{"", "?limit=3", "?limit=2147483647"} {
		if days, _ := s.reads(t, objectsPath+query); len(days) != 2 {
			t.Errorf("GET objects%s = %d objects, want 2", query, len(days))
		}
	}
}

// §5.5: what is there already is a success; what cannot be is a failure beside
// it; 20,000 objects are taken or are larger than max_content_length.
func Test5_5_AddObjects(t *testing.T) {
	s := world(t)
	again := read[statusResource](t, s.do(t, hubtest.Writer, "POST", objectsPath, hubtest.Envelope(hubtest.Indicator(1, 1), hubtest.Indicator(1, 1), hubtest.Indicator(2, 1))))
	if again.TotalCount != 3 || again.SuccessCount != 3 || again.FailureCount != 0 || again.Status != "complete" {
		t.Errorf("status of duplicates = %+v", again)
	}
	many := make([]string, 20_000)
	for i := range many {
		many[i] = hubtest.Indicator(1000+i, 1)
	}
	body := hubtest.Envelope(many...)
	w := s.do(t, hubtest.Writer, "POST", objectsPath, body)
	if fits := int64(len(body)) <= get[apiRootResource](t, s, hubtest.Writer, "/finance/").MaxContentLength; fits != (w.Code == 202) || !fits && w.Code != 413 {
		t.Errorf("POST of 20,000 objects in %d bytes = %d", len(body), w.Code)
	}
}

// §5.7: after DELETE an object is gone from all that lists it.
func Test5_7_Delete(t *testing.T) {
	s := world(t)
	one := objectsPath + hubtest.ID("indicator", 1) + "/"
	w := s.do(t, hubtest.Writer, "DELETE", one, "")
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Type") != mediaType {
		t.Errorf("DELETE = %d %q", w.Code, w.Body)
	}
	for _, target := range []string{one, one + "versions/", one + "?match[version]=all"} {
		if w := s.do(t, hubtest.Writer, "GET", target, ""); w.Code != 404 {
			t.Errorf("GET %s afterwards = %d, want 404", target, w.Code)
		}
	}
	if w := s.do(t, hubtest.Writer, "DELETE", one, ""); w.Code != 404 {
		t.Errorf("DELETE again = %d, want 404", w.Code)
	}
	for _, path := range []string{objectsPath, manifestPath} {
		if days, _ := s.reads(t, path+"?match[version]=all"); len(days) != 2 {
			t.Errorf("%s still lists %v", path, days)
		}
	}
}
