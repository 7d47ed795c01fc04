package taxii

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"tocsin/internal/hub/hubtest"
)

// RELIABILITY §5, Queries.
func TestQueriesHaveOneAnswer(t *testing.T) {
	s := serve(t, 0)
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1), hubtest.Indicator(2, 1), hubtest.Indicator(3, 1))
	ids := make([]string, 150)
	for i := range ids {
		ids[i] = hubtest.ID("indicator", i)
	}
	many := make([]string, 501)
	for i := range many {
		many[i] = fmt.Sprint("t", i)
	}
	for name, tt := range map[string]struct {
		query string
		want  int
		count int
	}{
		"none":                   {"", 200, 3},
		"limit -1":               {"limit=-1", 400, 0},
		"limit 0":                {"limit=0", 400, 0},
		"limit beyond 64 bits":   {"limit=99999999999999999999", 400, 0},
		"limit over the page":    {"limit=100000", 200, 3},
		"limit with a sign":      {"limit=%2B1", 400, 0},
		"limit of spaces":        {"limit=%201", 400, 0},
		"limit empty":            {"limit=", 400, 0},
		"limit hex":              {"limit=0x10", 400, 0},
		"limit 1.0":              {"limit=1.0", 400, 0},
		"limit twice":            {"limit=1&limit=2", 400, 0},
		"limit":                  {"limit=2", 200, 2},
		"forged next":            {"next=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 400, 0},
		"next is a number":       {"next=2", 400, 0},
		"7 kB next":              {"next=" + strings.Repeat("A", 7000), 400, 0},
		"next empty":             {"next=", 400, 0},
		"month 13":               {"added_after=2026-13-01T00:00:00Z", 400, 0},
		"30 February":            {"added_after=2026-02-30T00:00:00Z", 400, 0},
		"added_after with zone":  {"added_after=2026-01-01T00:00:00%2B01:00", 400, 0},
		"added_after empty":      {"added_after=", 400, 0},
		"added_after in seconds": {"added_after=2026-01-01T00:00:00Z", 200, 3},
		"added_after nanos":      {"added_after=2026-01-01T00:00:00.000000001Z", 200, 3},
		"added_after later":      {"added_after=2099-01-01T00:00:00Z", 200, 0},
		"added_after twice":      {"added_after=2026-01-01T00:00:00Z&added_after=2026-01-01T00:00:00Z", 400, 0},
		"NUL":                    {"match[id]=%00", 400, 0},
		"not UTF-8":              {"match[id]=%ff", 400, 0},
		"line break":             {"match[id]=a%0d%0ab", 400, 0},
		"bad escape":             {"match[id]=%zz", 400, 0},
		"semicolon":              {"limit=1;added_after=x", 400, 0},
		"150 ids":                {"match[id]=" + strings.Join(ids, ","), 200, 3},
		"501 types":              {"match[type]=" + strings.Join(many, ","), 400, 0},
		"long value":             {"match[type]=" + strings.Repeat("a", 300), 400, 0},
		"SQL text":               {"match[id]=" + url.QueryEscape("' OR 1=1 --"), 200, 0},
		"SQL wildcard":           {"match[type]=%25", 200, 0},
		"empty value":            {"match[type]=indicator,", 400, 0},
		"type":                   {"match[type]=indicator", 200, 3},
		"types":                  {"match[type]=malware,indicator", 200, 3},
		"other type":             {"match[type]=malware", 200, 0},
		"id and type":            {"match[type]=malware&match[id]=" + hubtest.ID("indicator", 1), 200, 0},
		"match twice":            {"match[type]=malware&match[type]=indicator", 400, 0},
		"unknown match":          {"match[name]=x", 400, 0},
		"unclosed match":         {"match[type=x", 400, 0},
		"unknown parameter":      {"utm_source=x", 200, 3},
		"unknown, twice":         {"x=1&x=2", 400, 0},
		"spec_version 2.1":       {"match[spec_version]=2.1", 200, 3},
		"spec_version 2.0":       {"match[spec_version]=2.0", 200, 0},
		"spec_version both":      {"match[spec_version]=2.0,2.1", 200, 3},
		"spec_version nonsense":  {"match[spec_version]=new", 400, 0},
		"version all":            {"match[version]=all", 200, 3},
		"version all and more":   {"match[version]=all,last", 400, 0},
		"version first, last":    {"match[version]=first,last", 200, 3},
		"version time":           {"match[version]=2026-01-01T00:00:00Z", 200, 3},
		"version other time":     {"match[version]=2026-01-02T00:00:00Z", 200, 0},
		"version nonsense":       {"match[version]=newest", 400, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{objectsPath, "/finance/collections/indicators/manifest/"} {
				w := s.do(t, hubtest.Reader, "GET", path+"?"+tt.query, "")
				if w.Code != tt.want {
					t.Fatalf("GET %s?%s = %d %s, want %d", path, tt.query, w.Code, w.Body, tt.want)
				}
				if w.Code != 200 {
					read[errorResource](t, w)
					continue
				}
				if w.Header().Get("X-TAXII-Date-Added-First") == "" || w.Header().Get("X-TAXII-Date-Added-Last") == "" {
					t.Error("a 200 without X-TAXII-Date-Added headers")
				}
				var got int
				if path == objectsPath {
					got = len(read[envelope](t, w).Objects)
				} else {
					got = len(read[manifestResource](t, w).Objects)
				}
				if got != tt.count {
					t.Errorf("GET %s?%s = %d objects, want %d", path, tt.query, got, tt.count)
				}
			}
		})
	}
}

// RELIABILITY §5, Queries: paths.
func TestStrangePathsAreNotFound(t *testing.T) {
	s := serve(t, 0)
	for name, target := range map[string]string{
		"encoded dots":        "/finance/collections/..%2f..%2fenergy/objects/",
		"dots":                "/finance/../energy/",
		"dot":                 "/finance/./collections/",
		"double slash":        "/finance//collections/",
		"leading slashes":     "//finance/",
		"NUL in the object":   objectsPath + "indicator%00/",
		"NUL in collection":   "/finance/collections/%00/objects/",
		"NUL in the root":     "/fin%00ance/",
		"not UTF-8":           objectsPath + "%ff%fe/",
		"traversal as id":     objectsPath + "indicator--..%2f..%2fetc%2fpasswd/",
		"upper-case id":       objectsPath + "INDICATOR--00000000-0000-4000-8000-000000000001/",
		"status of no UUID":   "/finance/status/22101993/",
		"percent":             "/finance/status/%25/",
		"a long id":           objectsPath + strings.Repeat("a", 5000) + "/",
		"root that is a path": "/finance%2fcollections/",
	} {
		t.Run(name, func(t *testing.T) {
			for _, method := range []string{"GET", "DELETE", "POST"} {
				w := s.do(t, hubtest.Operator, method, target, "{}")
				if w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
					t.Errorf("%s %s = %d %s, want 404", method, target, w.Code, w.Body)
				}
			}
		})
	}
}

// RELIABILITY R9 and TAXII 2.1 §3.4: whatever the page size, paging by cursor
// and paging by the header both see everything exactly once.
func TestAClientThatPagesSeesEverythingOnce(t *testing.T) {
	s := serve(t, 0)
	const total = 57
	for i := range total {
		recipients := []string(nil)
		if i%5 == 4 { // what the reader may not see lies between
			recipients = []string{"delta"}
		}
		s.Share(t, hubtest.Writer, recipients, hubtest.Indicator(i, 1))
	}
	const visible = total - total/5
	for _, path := range []string{objectsPath, "/finance/collections/indicators/manifest/"} {
		for _, limit := range []int{1, 7, 46, 100} {
			for _, by := range []string{"next", "header", "both"} {
				t.Run(fmt.Sprint(path, limit, by), func(t *testing.T) {
					seen := map[string]int{}
					query, pages := fmt.Sprintf("limit=%d", limit), 0
					for more := true; more; pages++ {
						w := s.do(t, hubtest.Reader, "GET", path+"?"+query, "")
						if w.Code != 200 || pages > total {
							t.Fatalf("GET %s = %d after %d pages", query, w.Code, pages)
						}
						last := w.Header().Get("X-TAXII-Date-Added-Last")
						var next string
						if path == objectsPath {
							e := read[struct {
								More    bool             `json:"more"`
								Next    string           `json:"next"`
								Objects []map[string]any `json:"objects"`
							}](t, w)
							for _, o := range e.Objects {
								seen[fmt.Sprint(o["id"])]++
							}
							more, next = e.More, e.Next
						} else {
							m := read[manifestResource](t, w)
							for _, o := range m.Objects {
								seen[o.ID]++
							}
							more, next = m.More, m.Next
						}
						if more != (next != "") {
							t.Fatalf("more = %v with next %q", more, next)
						}
						query = fmt.Sprintf("limit=%d", limit)
						if by != "header" {
							query += "&next=" + next
						}
						if by != "next" { // OpenCTI sends both
							query += "&added_after=" + last
						}
					}
					if len(seen) != visible {
						t.Errorf("%d objects were seen, want %d", len(seen), visible)
					}
					for id, times := range seen {
						if times != 1 {
							t.Errorf("%s was seen %d times", id, times)
						}
					}
				})
			}
		}
	}
}

// TAXII 2.1 §3.4: the filters stay the same while a cursor is followed.
func TestACursorIsForItsCollectionAndFilters(t *testing.T) {
	s := serve(t, 2)
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1), hubtest.Indicator(2, 1), hubtest.Indicator(3, 1))
	next := get[envelope](t, s, hubtest.Reader, objectsPath+"?match[type]=indicator,malware&match[version]=all").Next
	reports := "/finance/collections/reports/objects/"
	for name, tt := range map[string]struct {
		target string
		want   int
	}{
		"the same":               {objectsPath + "?match[type]=indicator,malware&match[version]=all", 200},
		"in another order":       {objectsPath + "?match[version]=all&match[type]=malware,indicator", 200},
		"by id of collection":    {"/finance/collections/" + s.collectionID(t) + "/objects/?match[type]=indicator,malware&match[version]=all", 200},
		"another limit":          {objectsPath + "?match[type]=indicator,malware&match[version]=all&limit=1", 200},
		"with added_after":       {objectsPath + "?match[type]=indicator,malware&match[version]=all&added_after=2020-01-01T00:00:00Z", 200},
		"another version filter": {objectsPath + "?match[type]=indicator,malware&match[version]=first", 400},
		"another type filter":    {objectsPath + "?match[type]=indicator&match[version]=all", 400},
		"no filter":              {objectsPath + "?x=1", 400},
		"another collection":     {reports + "?match[type]=indicator,malware&match[version]=all", 400},
		"one object":             {objectsPath + hubtest.ID("indicator", 3) + "/?match[type]=indicator,malware&match[version]=all", 400},
	} {
		t.Run(name, func(t *testing.T) {
			if w := s.do(t, hubtest.Reader, "GET", tt.target+"&next="+next, ""); w.Code != tt.want {
				t.Errorf("GET %s&next=… = %d %s, want %d", tt.target, w.Code, w.Body, tt.want)
			}
		})
	}
}

func TestAnEmptyPageLeavesTheClientWhereItIs(t *testing.T) {
	s := serve(t, 0)
	empty := func(query string) (first, last string) {
		w := s.do(t, hubtest.Reader, "GET", "/finance/collections/indicators/manifest/"+query, "")
		if w.Code != 200 || w.Body.String() != "{}" {
			t.Errorf("GET manifest %s = %d %s, want {}", query, w.Code, w.Body)
		}
		w = s.do(t, hubtest.Reader, "GET", objectsPath+query, "")
		if w.Code != 200 || w.Body.String() != "{}" {
			t.Errorf("GET objects %s = %d %s, want {}", query, w.Code, w.Body)
		}
		return w.Header().Get("X-TAXII-Date-Added-First"), w.Header().Get("X-TAXII-Date-Added-Last")
	}
	if first, last := empty(""); first != "1970-01-01T00:00:00.000000Z" || last != first {
		t.Errorf("headers = %q, %q, want the epoch", first, last)
	}
	if first, last := empty("?added_after=2031-02-03T04:05:06.789Z"); first != "2031-02-03T04:05:06.789000Z" || last != first {
		t.Errorf("headers = %q, %q, want added_after", first, last)
	}
	// A walk that ends with an empty page: the rest was withdrawn meanwhile.
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1), hubtest.Indicator(2, 1))
	w := s.do(t, hubtest.Reader, "GET", objectsPath+"?limit=1", "")
	shown, next := w.Header().Get("X-TAXII-Date-Added-Last"), read[envelope](t, w).Next
	if w := s.do(t, hubtest.Writer, "DELETE", objectsPath+hubtest.ID("indicator", 2)+"/", ""); w.Code != 200 {
		t.Fatalf("DELETE = %d %s", w.Code, w.Body)
	}
	if first, last := empty("?limit=1&next=" + next); first != shown || last != shown {
		t.Errorf("headers = %q, %q, want %q of the page before", first, last, shown)
	}
}

func FuzzFilter(f *testing.F) {
	f.Add("limit=1&next=x&added_after=2026-01-01T00:00:00Z&match[type]=a,b&match[version]=first,2026-01-01T00:00:00Z")
	f.Add("match[id]=%00&match[spec_version]=2.1")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parseFilter(raw, 1000)
		if err != nil {
			return
		}
		if got.limit < 1 || got.limit > 1000 || len(got.ids) > mostValues || len(got.types) > mostValues {
			t.Errorf("parseFilter(%q) = %+v", raw, got)
		}
		for _, v := range append(got.ids, got.types...) {
			if unreadable(v) {
				t.Errorf("parseFilter(%q) took %q", raw, v)
			}
		}
	})
}
