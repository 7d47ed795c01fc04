package taxii

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"tocsin/internal/cursor"
	"tocsin/internal/distribute"
	"tocsin/internal/hub/hubtest"
)

// A dialect is how a client of the field speaks TAXII (DOMAIN 4.5): the very
// headers and queries, over a real connection.
type dialect struct {
	accept, contentType string
	header              http.Header
	basic               bool
	slash               bool // it ends URLs as it should
	bundle              bool // it posts a bundle, not an envelope
	first               string
	// next returns the query of the next page, "" when the client is done.
	next func(p clientPage) string
}

// clientPage is what a client knows of the last page.
type clientPage struct {
	more  bool
	next  string
	last  string // X-TAXII-Date-Added-Last
	count int
}

func dialects() map[string]dialect {
	byNext := func(p clientPage) string {
		if !p.more {
			return ""
		}
		return "next=" + url.QueryEscape(p.next)
	}
	return map[string]dialect{
		// taxii2-client 2.3, v21.as_pages: limit is left out of the first request and is then what the first page had.
		"OASIS Python client": {
			accept: "application/taxii+json;version=2.1", contentType: "application/taxii+json;version=2.1", basic: true, slash: true,
			header: http.Header{"User-Agent": {"taxii2-client/2.3.0"}, "Accept-Encoding": {"gzip, deflate"}, "Connection": {"keep-alive"}},
			next: func(p clientPage) string {
				if !p.more {
					return ""
				}
				return fmt.Sprintf("limit=%d&next=%s", p.count, url.QueryEscape(p.next))
			},
		},
		// OpenCTI's TAXII ingestion: added_after and next together, the date of the header (opencti #5681).
		"OpenCTI": {
			accept: "application/taxii+json;version=2.1", slash: true, first: "added_after=2020-01-01T00:00:00.000Z",
			header: http.Header{"User-Agent": {"opencti/6.8.0"}, "Accept-Encoding": {"gzip, compress, deflate, br"}},
			next: func(p clientPage) string {
				if !p.more {
					return ""
				}
				return "next=" + url.QueryEscape(p.next) + "&added_after=" + p.last
			},
		},
		// Microsoft Sentinel's connector: user and password, a collection's id, no trailing slash.
		"Microsoft Sentinel": {
			accept: "application/taxii+json; version=2.1", basic: true, first: "added_after=2020-01-01T00%3A00%3A00.0000000Z", next: byNext,
		},
		// MineMeld polls by time alone; with our unique dates the header leads it on.
		"MineMeld": {
			accept: "application/taxii+json;version=2.1, application/json;q=0.8", basic: true, slash: true, first: "added_after=2000-01-01T00:00:00Z&match%5Btype%5D=indicator",
			header: http.Header{"User-Agent": {"MineMeld/0.9.70"}},
			next: func(p clientPage) string {
				if p.count == 0 {
					return ""
				}
				return "added_after=" + p.last + "&match%5Btype%5D=indicator"
			},
		},
		// ATT&CK Workbench's collection manager reads RFC 3339 dates of the header.
		"ATT&CK Workbench": {accept: "application/taxii+json;version=2.1", slash: true, first: "match[spec_version]=2.1", next: func(p clientPage) string {
			if !p.more {
				return ""
			}
			return "match[spec_version]=2.1&next=" + p.next
		}},
		// curl -u, which accepts anything.
		"curl": {accept: "*/*", contentType: "application/json", basic: true, slash: true, header: http.Header{"User-Agent": {"curl/7.88.1"}}, next: byNext},
		// Our own way of asking, with a bundle in place of an envelope.
		"a script": {accept: "", contentType: "application/taxii+json", bundle: true, next: byNext},
	}
}

// ask sends a request as the dialect does and returns the answer, read.
func (d dialect) ask(t *testing.T, address, token, method, target, body string) (status int, header http.Header, text []byte) {
	t.Helper()
	if !d.slash {
		path, query, _ := strings.Cut(target, "?")
		target = strings.TrimSuffix(strings.TrimSuffix(path, "/")+"?"+query, "?")
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(r.Header, d.header)
	if d.accept != "" {
		r.Header.Set("Accept", d.accept)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", cmp.Or(d.contentType, "application/taxii+json;version=2.1"))
	}
	if d.basic {
		r.SetBasicAuth("somebody@example.com", token)
	} else {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultTransport.RoundTrip(r) //nolint:forbidigo // a client of the test's own server
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }() // it was read
	if text, err = io.ReadAll(res.Body); err != nil {
		t.Fatal(err)
	}
	if encoding := res.Header.Get("Content-Encoding"); encoding != "" {
		if encoding != "gzip" {
			t.Fatalf("%s %s comes as %s", method, target, encoding)
		}
		text = unzip(t, text)
	}
	return res.StatusCode, res.Header, text
}

// crawl reads pages until the dialect is done, and returns the ids that came.
func (d dialect) crawl(t *testing.T, address, token, path, query string, pages int) (ids []string, last string, following string) {
	t.Helper()
	for range pages {
		status, header, text := d.ask(t, address, token, "GET", path+"?"+query, "")
		if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "application/taxii+json") {
			t.Fatalf("GET %s?%s = %d %s", path, query, status, text)
		}
		var e struct {
			More    bool                            `json:"more"`
			Next    string                          `json:"next"`
			Objects []struct{ ID, Modified string } `json:"objects"`
		}
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		for _, o := range e.Objects {
			ids = append(ids, o.ID)
		}
		last = header.Get("X-TAXII-Date-Added-Last")
		if query = d.next(clientPage{more: e.More, next: e.Next, last: last, count: len(e.Objects)}); query == "" {
			return ids, last, ""
		}
	}
	return ids, last, query
}

// Issue 4, Shows 2: each of them crawls everything, comes back for what is new,
// and posts.
func TestClientsOfTheFieldCrawlResumeAndPost(t *testing.T) {
	for name, d := range dialects() {
		t.Run(name, func(t *testing.T) {
			s := serve(t, 10)
			web := httptest.NewServer(s.server)
			defer web.Close()
			var all []string
			for i := range 57 {
				s.Share(t, hubtest.Writer, nil, hubtest.Indicator(i, 1))
				all = append(all, hubtest.ID("indicator", i))
			}
			path := "/finance/collections/" + s.collectionID(t) + "/"
			for _, target := range []string{"/taxii2/", "/finance/", "/finance/collections/", path} {
				if status, _, text := d.ask(t, web.URL, s.Tokens[hubtest.Reader], "GET", target, ""); status != http.StatusOK {
					t.Fatalf("GET %s = %d %s", target, status, text)
				}
			}
			got, last, _ := d.crawl(t, web.URL, s.Tokens[hubtest.Reader], path+"objects/", d.first, 100)
			if !slices.Equal(got, all) {
				t.Fatalf("a crawl sees %d objects, want %d, each once and in order", len(got), len(all))
			}
			body := hubtest.Envelope(hubtest.Indicator(100, 1), hubtest.Indicator(101, 1))
			if d.bundle {
				body = `{"type":"bundle","id":"bundle--00000000-0000-4000-8000-000000000001",` + body[1:]
			}
			answered, _, text := d.ask(t, web.URL, s.Tokens[hubtest.Writer], "POST", path+"objects/", body)
			var status struct {
				ID           string `json:"id"`
				SuccessCount int    `json:"success_count"`
			}
			if err := json.Unmarshal(text, &status); err != nil || answered != http.StatusAccepted || status.SuccessCount != 2 {
				t.Fatalf("POST = %d %s", answered, text)
			}
			if answered, _, text := d.ask(t, web.URL, s.Tokens[hubtest.Writer], "GET", "/finance/status/"+status.ID+"/", ""); answered != http.StatusOK {
				t.Errorf("GET status = %d %s", answered, text)
			}
			resumed, _, _ := d.crawl(t, web.URL, s.Tokens[hubtest.Reader], path+"objects/", "added_after="+url.QueryEscape(last), 100)
			if want := []string{hubtest.ID("indicator", 100), hubtest.ID("indicator", 101)}; !slices.Equal(resumed, want) {
				t.Errorf("after the crawl come %v, want %v", resumed, want)
			}
		})
	}
}

// Clients of TAXII 2.0 and of cabby's time are told that they are not
// understood, in words that name what is.
func TestClientsOfOlderVersionsAreToldSo(t *testing.T) {
	s := serve(t, 0)
	for _, accept := range []string{
		"application/vnd.oasis.taxii+json; version=2.0", "application/vnd.oasis.taxii+json", "application/vnd.oasis.stix+json; version=2.0",
		"application/vnd.oasis.stix+json", "application/vnd.oasis.stix+json; version=2.1",
	} {
		for _, path := range []string{"/taxii2/", "/finance/collections/", objectsPath} {
			w := s.do(t, hubtest.Reader, "GET", path, "", "Accept", accept, "Range", "items 0-99")
			if e := read[errorResource](t, w); w.Code != 406 || !strings.Contains(e.Details["hint"], "application/taxii+json") {
				t.Errorf("GET %s with %s = %d %+v, want 406", path, accept, w.Code, e)
			}
		}
	}
	// A range means nothing in TAXII 2.1, and is no reason to fail.
	if w := s.do(t, hubtest.Reader, "GET", objectsPath, "", "Range", "items 0-99"); w.Code != 200 {
		t.Errorf("GET with a range = %d, want 200", w.Code)
	}
}

// RELIABILITY R9: 10,000 objects of one moment, pages of any size, restarts in
// between: nothing is missed and nothing comes twice, by cursor and by date.
func TestTenThousandObjectsOfOneMomentAcrossRestarts(t *testing.T) {
	const total = 10_000
	s := serve(t, 1000)
	for from := 0; from < total; from += 1000 {
		batch := make([]string, 1000)
		for i := range batch {
			batch[i] = hubtest.Indicator(from+i, 1) // all were modified at the same time
		}
		s.Share(t, hubtest.Writer, nil, batch...)
	}
	for _, limit := range []int{1, 7, 100, 1000} {
		for _, by := range []string{"next", "added_after"} {
			t.Run(fmt.Sprintf("%d by %s", limit, by), func(t *testing.T) {
				d := dialect{next: func(p clientPage) string {
					switch {
					case !p.more:
						return ""
					case by == "next":
						return fmt.Sprintf("limit=%d&next=%s", limit, p.next)
					}
					return fmt.Sprintf("limit=%d&added_after=%s", limit, p.last)
				}}
				seen := make(map[string]int, total)
				query := fmt.Sprintf("limit=%d", limit)
				pages := max(1, total/limit/7) // then the hub starts anew
				for query != "" {
					var ids []string
					ids, query = s.restarted().crawlHere(t, d, query, pages)
					for _, id := range ids {
						seen[id]++
					}
				}
				doubled := 0
				for _, times := range seen {
					doubled += times - 1
				}
				if len(seen) != total || doubled != 0 {
					t.Errorf("%d missed, %d doubled", total-len(seen), doubled)
				}
			})
		}
	}
}

// restarted is the same hub as another process would serve it: nothing in
// memory is kept but the secret and the store.
func (s *served) restarted() *served {
	o := s.server.Options
	o.Cursors = cursor.New(bytes.Repeat([]byte{7}, 32)) // hubtest's secret
	o.Feed = distribute.New(s.Store, s.Store, s.Policy, s.Directory)
	return &served{s.Parts, New(o)}
}

// crawlHere crawls without a network.
func (s *served) crawlHere(t *testing.T, d dialect, query string, pages int) (ids []string, following string) {
	t.Helper()
	for range pages {
		w := s.do(t, hubtest.Reader, "GET", objectsPath+"?"+query, "")
		if w.Code != 200 {
			t.Fatalf("GET %s = %d %s", query, w.Code, w.Body)
		}
		var e struct {
			More    bool                  `json:"more"`
			Next    string                `json:"next"`
			Objects []struct{ ID string } `json:"objects"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		for _, o := range e.Objects {
			ids = append(ids, o.ID)
		}
		if query = d.next(clientPage{more: e.More, next: e.Next, last: w.Header().Get("X-TAXII-Date-Added-Last"), count: len(e.Objects)}); query == "" {
			break
		}
	}
	return ids, query
}

// RELIABILITY §5, Queries: cursors that somebody else made, or made up, and
// those of another secret, collection, reader's filter or API.
func TestForeignCursorsAreRefused(t *testing.T) {
	s := serve(t, 1)
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1), hubtest.Indicator(2, 1))
	good := get[envelope](t, s, hubtest.Reader, objectsPath).Next
	other := cursor.New(bytes.Repeat([]byte{8}, 32))
	own := cursor.New(bytes.Repeat([]byte{7}, 32))
	flipped := []byte(good)
	flipped[7] ^= 1
	for name, next := range map[string]string{
		"of another hub":      other.Seal(cursor.Position{Seq: 1}, "taxii page", s.collectionID(t), ""),
		"of the stream":       own.Seal(cursor.Position{Seq: 1}, "stream", s.collectionID(t)),
		"of nothing":          own.Seal(cursor.Position{Seq: 1}),
		"one bit flipped":     string(flipped),
		"cut":                 good[:42],
		"longer":              good + "A",
		"twice":               good + good,
		"padded":              good + "=",
		"in another alphabet": strings.Replace(strings.Repeat("+/", 21)+"+", " ", "", 1),
		"a number":            "100",
		"a date":              "2026-01-01T00:00:00Z",
		"medallion's":         "b6c1f4a0-6e0d-4f8e-9a62-1f3e5d7c9b00",
		"OpenTAXII's":         "MjAyNi0wMS0wMVQwMDowMDowMFp8aW5kaWNhdG9y",
		"7 kB":                strings.Repeat("A", 7<<10),
		"NUL":                 "%00",
	} {
		for endpoint, path := range everything() {
			w := s.do(t, hubtest.Reader, "GET", path+"?next="+next, "")
			if e := read[errorResource](t, w); w.Code != 400 || strings.Contains(w.Body.String(), next) && len(next) > 3 || e.Details["hint"] == "" {
				t.Errorf("%s with a cursor %s = %d %+v, want 400 that says what to do", endpoint, name, w.Code, e)
			}
		}
	}
	if w := s.restarted().do(t, hubtest.Reader, "GET", objectsPath+"?next="+good, ""); w.Code != 200 {
		t.Errorf("an old cursor after a restart = %d, want 200", w.Code)
	}
}

func unzip(t *testing.T, text []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}
