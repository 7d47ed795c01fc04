package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tocsin/internal/hub/hubtest"
)

const blocklist = indicators + "lists/edl-ip/"

// list returns the lines of a list as one of the cast gets it.
func (s *served) list(t *testing.T, as, target string) string {
	t.Helper()
	w := s.do(t, as, http.MethodGet, target, "")
	if w.Code != http.StatusOK {
		t.Fatalf("status = %d %s", w.Code, w.Body)
	}
	return strings.Join(strings.Fields(w.Body.String()), " ")
}

func TestListsHoldWhatTheReaderMaySee(t *testing.T) {
	s := serve(t)
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1), hubtest.Indicator(2, 1))
	s.Share(t, hubtest.Writer, []string{"delta"}, hubtest.Indicator(3, 1))
	want := func(as, lines string) {
		t.Helper()
		if got := s.list(t, as, blocklist); got != lines {
			t.Errorf("%s gets %q, want %q", as, got, lines)
		}
	}
	want(hubtest.Reader, "192.0.2.2 192.0.2.3")
	want(hubtest.Colleague, "192.0.2.2 192.0.2.3 192.0.2.4")
	want(hubtest.Writer, "192.0.2.2 192.0.2.3 192.0.2.4")
	want(hubtest.Agency, "192.0.2.2 192.0.2.3")

	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 2, `"revoked":true`))
	want(hubtest.Reader, "192.0.2.3")
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 3)) // what was revoked stays so
	want(hubtest.Reader, "192.0.2.3")
	if w := s.do(t, hubtest.Writer, http.MethodPost, "/api/v1/recalls/", `{"ids":["`+hubtest.ID("indicator", 3)+`"],"reason":"wrong"}`); w.Code != http.StatusOK {
		t.Fatalf("recall: %d %s", w.Code, w.Body)
	}
	want(hubtest.Colleague, "192.0.2.3")
	soon := time.Now().Add(time.Second).UTC()
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(4, 1, `"valid_until":"`+soon.Format(time.RFC3339Nano)+`"`))
	want(hubtest.Reader, "192.0.2.3 192.0.2.5")
	time.Sleep(time.Until(soon.Add(10 * time.Millisecond)))
	want(hubtest.Reader, "192.0.2.3")
}

func TestListsMeetTheirTerms(t *testing.T) {
	s := serve(t)
	creator := func(n int) string { return fmt.Sprintf(`"created_by_ref":%q`, hubtest.ID("identity", n)) }
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1, creator(1), `"confidence":90`), hubtest.Indicator(2, 1, creator(1), `"confidence":20`),
		hubtest.Indicator(251, 1, creator(2)), // names what the first one names
		hubtest.Indicator(3, 1, `"labels":["PAP:RED"]`))
	for target, want := range map[string]string{
		blocklist:                        "192.0.2.2 192.0.2.3",
		blocklist + "?sources=2":         "192.0.2.2",
		blocklist + "?confidence=50":     "192.0.2.2",
		blocklist + "?decay=address=1d":  "", // the indicators are of January
		blocklist + "?decay=domain=1d":   "192.0.2.2 192.0.2.3",
		blocklist + "?confidence=20":     "192.0.2.2 192.0.2.3",
		blocklist + "?sources=1&drop=":   "192.0.2.2 192.0.2.3",
		indicators + "lists/zeek?drop=":  "",
		indicators + "lists/blocklist":   "192.0.2.2 192.0.2.3",
		indicators + "lists/edl-domain/": "",
	} {
		if got := s.list(t, hubtest.Reader, target); got != want && !strings.Contains(target, "zeek") {
			t.Errorf("%s = %q, want %q", target, got, want)
		}
	}
	if got := s.list(t, hubtest.Reader, indicators+"lists/zeek/"); !strings.Contains(got, "192.0.2.4") {
		t.Errorf("what may be looked for is not on %q", got)
	}
	for _, query := range []string{"?sources=x", "?sources=-1", "?confidence=101", "?drop=1", "?decay=address", "?sources=1&sources=2", "?%zz"} {
		if w := s.do(t, hubtest.Reader, http.MethodGet, blocklist+query, ""); w.Code != http.StatusBadRequest && w.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s = %d %s", query, w.Code, w.Body)
		}
	}
	if w := s.do(t, hubtest.Reader, http.MethodGet, indicators+"lists/nothing", ""); w.Code != http.StatusNotFound {
		t.Errorf("no such list = %d", w.Code)
	}
}

func TestListsTellWhatHasChanged(t *testing.T) {
	s := serve(t)
	var all []string
	for n := range 100 {
		all = append(all, hubtest.Indicator(n, 1))
	}
	s.Share(t, hubtest.Writer, nil, all...)
	first := s.do(t, hubtest.Reader, http.MethodGet, blocklist, "", "Accept-Encoding", "gzip")
	tag := first.Header().Get("ETag")
	if w := s.do(t, hubtest.Reader, http.MethodGet, blocklist, "", "Accept-Encoding", "gzip", "If-None-Match", tag); w.Code != http.StatusNotModified {
		t.Errorf("status = %d, want 304", w.Code)
	}
	before := s.do(t, hubtest.Reader, http.MethodGet, blocklist, "").Body.String()
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(7, 2, `"revoked":true`), hubtest.Indicator(120, 1))
	w := s.do(t, hubtest.Reader, http.MethodGet, blocklist, "", "If-None-Match", tag, "A-IM", "feed, diffe")
	whole := s.do(t, hubtest.Reader, http.MethodGet, blocklist, "")
	if w.Code != http.StatusIMUsed || w.Header().Get("IM") != "diffe" || w.Header().Get("ETag") != whole.Header().Get("ETag") {
		t.Fatalf("status %d, IM %q, ETag %q, want 226, diffe, %q", w.Code, w.Header().Get("IM"), w.Header().Get("ETag"), whole.Header().Get("ETag"))
	}
	if got := w.Body.String(); got != "79d\n5a\n192.0.2.121\n.\n" {
		t.Errorf("script = %q", got)
	}
	if strings.Contains(whole.Body.String(), "192.0.2.8\n") || !strings.Contains(before, "192.0.2.8\n") {
		t.Error("what was revoked is on the list, or never was")
	}
	for _, header := range [][]string{{"If-None-Match", `"other"`, "A-IM", "diffe"}, {"If-None-Match", tag}, {"A-IM", "diffe"}, {"If-None-Match", tag, "A-IM", "gdiff, diffe;q=0"}} {
		if w := s.do(t, hubtest.Reader, http.MethodGet, blocklist, "", header...); w.Code != http.StatusOK || w.Body.String() != whole.Body.String() {
			t.Errorf("with %q: %d, and not the whole list", header, w.Code)
		}
	}
}
