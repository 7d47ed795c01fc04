package taxii

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tocsin/internal/coding"
	"tocsin/internal/hub/hubtest"
)

// share shares so many indicators, all of version day 1.
func (s *served) share(t testing.TB, from, count int) {
	t.Helper()
	var objects []string
	for n := from; n < from+count; n++ {
		objects = append(objects, hubtest.Indicator(n, 1))
	}
	s.Share(t, hubtest.Writer, nil, objects...)
}

// decoded returns an answer's content.
func decoded(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	if got := w.Header().Get("Content-Length"); got != strconv.Itoa(w.Body.Len()) {
		t.Errorf("Content-Length = %s of %d bytes", got, w.Body.Len())
	}
	c, ok := coding.Parse(w.Header().Get("Content-Encoding"))
	if !ok {
		t.Fatalf("Content-Encoding = %q", w.Header().Get("Content-Encoding"))
	}
	r, err := coding.Reader(c, w.Body, 10<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// RFC 9110 §8.8.3, §12.5.3, §13.1.2.
func TestListsAreCompressedAndConditional(t *testing.T) {
	s := serve(t, 0)
	s.share(t, 0, 20)
	one := objectsPath + hubtest.ID("indicator", 3) + "/"
	for _, target := range []string{objectsPath, objectsPath + "?limit=7", "/finance/collections/indicators/manifest/", one, objectsPath + "?match[type]=malware"} {
		plain := s.do(t, hubtest.Reader, "GET", target, "")
		want := decoded(t, plain)
		tags := []string{plain.Header().Get("ETag")}
		for _, accepts := range []string{"gzip", "zstd", "gzip;q=0.1, zstd;q=0.2"} {
			w := s.do(t, hubtest.Reader, "GET", target, "", "Accept-Encoding", accepts)
			tag := w.Header().Get("ETag")
			if len(want) >= 1024 {
				tags = append(tags, tag)
				if c := w.Header().Get("Content-Encoding"); c == "" || !strings.Contains(accepts, c) {
					t.Errorf("GET %s, accepting %s = Content-Encoding %q", target, accepts, c)
				}
			}
			if v := w.Header().Get("Vary"); !strings.Contains(v, "Accept-Encoding") || !strings.Contains(v, "Authorization") {
				t.Errorf("Vary = %q", v)
			}
			if got := decoded(t, w); got != want {
				t.Errorf("GET %s, accepting %s = %.100s, want %.100s", target, accepts, got, want)
			}
			for _, header := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
				w := s.do(t, hubtest.Reader, "GET", target, "", "Accept-Encoding", accepts, "If-None-Match", header)
				if w.Code != http.StatusNotModified || w.Body.Len() > 0 || w.Header().Get("ETag") != tag ||
					w.Header().Get("X-TAXII-Date-Added-Last") != plain.Header().Get("X-TAXII-Date-Added-Last") {
					t.Errorf("GET %s, If-None-Match %s = %d with %d bytes, %v; want 304 with the same headers", target, header, w.Code, w.Body.Len(), w.Header())
				}
			}
			head := s.do(t, hubtest.Reader, "HEAD", target, "", "Accept-Encoding", accepts)
			for _, name := range []string{"ETag", "Content-Length", "Content-Encoding", "X-TAXII-Date-Added-First", "Content-Type", "Vary", "Cache-Control"} {
				if got, want := head.Header().Get(name), w.Header().Get(name); head.Code != 200 || got != want {
					t.Errorf("HEAD %s: %d, %s = %q, want %q as of GET", target, head.Code, name, got, want)
				}
			}
		}
		if got := plain.Header().Get("Cache-Control"); got != "private, no-cache" {
			t.Errorf("Cache-Control = %q", got)
		}
		slices.Sort(tags)
		if len(want) >= 1024 && len(slices.Compact(tags)) != 3 {
			t.Errorf("tags %v, want one for each coding", tags)
		}
		if w := s.do(t, hubtest.Reader, "GET", target, "", "If-None-Match", `"other"`); w.Code != 200 {
			t.Errorf("GET with another's tag = %d", w.Code)
		}
	}
	if w := s.do(t, hubtest.Reader, "GET", objectsPath, "", "Accept-Encoding", "*;q=0"); w.Code != http.StatusNotAcceptable {
		t.Errorf("GET that accepts no coding = %d, want 406", w.Code)
	}
}

// A tag is of what one may see: it changes with every change, and says nothing
// to those who may not see it.
func TestTagsFollowWhatTheReaderSees(t *testing.T) {
	s := serve(t, 0)
	s.share(t, 0, 3)
	tag := func(as string) string { return s.do(t, as, "GET", objectsPath, "").Header().Get("ETag") }
	before := tag(hubtest.Reader)
	if before != tag(hubtest.Colleague) {
		t.Error("two that see the same get different tags")
	}
	s.Share(t, hubtest.Writer, []string{"delta"}, hubtest.Indicator(9, 1))
	if tag(hubtest.Reader) != before {
		t.Error("the tag tells a reader of what it may not see")
	}
	if tag(hubtest.Colleague) == before {
		t.Error("the tag does not tell a recipient of what is new")
	}
	s.do(t, hubtest.Writer, "DELETE", objectsPath+hubtest.ID("indicator", 1)+"/", "")
	if w := s.do(t, hubtest.Reader, "GET", objectsPath, "", "If-None-Match", before); w.Code != 200 || strings.Contains(w.Body.String(), hubtest.ID("indicator", 1)) {
		t.Errorf("GET after a withdrawal = %d %s", w.Code, w.Body)
	}
	for as, want := range map[string]int{hubtest.Stranger: 404, hubtest.Hub: 404, hubtest.Silent: 403, "": 401} {
		for _, header := range []string{before, "*"} {
			if w := s.do(t, as, "GET", objectsPath, "", "If-None-Match", header); w.Code != want {
				t.Errorf("GET as %q with If-None-Match %s = %d, want %d", as, header, w.Code, want)
			}
		}
	}
}

// A 304 tells an agency that it knows what is there, so it is on record.
func TestConditionalReadsAreOnRecord(t *testing.T) {
	s := serve(t, 0)
	s.share(t, 0, 3)
	w := s.do(t, hubtest.Agency, "GET", objectsPath, "")
	s.do(t, hubtest.Agency, "GET", objectsPath, "", "If-None-Match", w.Header().Get("ETag"))
	s.do(t, hubtest.Agency, "HEAD", objectsPath, "")
	leaves, err := s.Store.List(t.Context(), "disclosure", "finance", 0, 100)
	if err != nil || len(leaves) != 3 {
		t.Errorf("%d reads on the ledger, %v, want 3", len(leaves), err)
	}
}

// A cursor is the same for all who get the page that it stands on.
func TestPagesAndCursorsAreShared(t *testing.T) {
	s := serve(t, 0)
	s.share(t, 0, 5)
	mine := s.do(t, hubtest.Reader, "GET", objectsPath+"?limit=2", "")
	others := s.do(t, hubtest.Colleague, "GET", "/finance/collections/indicators/objects?limit=2", "")
	if mine.Body.String() != others.Body.String() {
		t.Errorf("two readers who see the same get\n%s\n%s", mine.Body, others.Body)
	}
	next := read[envelope](t, mine).Next
	if e := get[envelope](t, s, hubtest.Colleague, objectsPath+"?limit=2&next="+next); len(e.Objects) != 2 || !e.More {
		t.Errorf("the next page = %d objects, more %v", len(e.Objects), e.More)
	}
}

func TestZstdBodies(t *testing.T) {
	s := serve(t, 0)
	body := hubtest.Envelope(hubtest.Indicator(1, 1))
	pack := func(text []byte) string {
		b, _ := new(coding.Compressor).Text(text, nil).In(coding.Zstd)
		return string(b)
	}
	padded := append(bytes.Repeat([]byte(" "), 4096), body...)
	packed := pack(padded)
	if packed == string(padded) {
		t.Fatal("nothing was compressed")
	}
	for name, tt := range map[string]struct {
		body string
		want int
	}{
		"honest":    {packed, 202},
		"bomb":      {pack(bytes.Repeat([]byte(" "), 64<<20)), 413},
		"truncated": {packed[:len(packed)/2], 400},
		"false":     {body, 400},
		"empty":     {"", 400},
		"of gzip":   {pack([]byte(strings.Repeat(zip(t, body), 40))), 415},
	} {
		if w := s.do(t, hubtest.Writer, "POST", objectsPath, tt.body, "Content-Encoding", "zstd"); w.Code != tt.want {
			t.Errorf("%s: POST = %d %s, want %d", name, w.Code, w.Body, tt.want)
		}
	}
}

// BenchmarkHotPage measures what the hub does for a page that was cut before,
// without the network.
func BenchmarkHotPage(b *testing.B) {
	s := serve(b, 0)
	s.share(b, 0, 100)
	for name, target := range map[string]string{"page": objectsPath + "?limit=50", "empty": objectsPath + "?added_after=2999-01-01T00:00:00Z"} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, target, nil)
			r.Body = http.NoBody
			r.SetBasicAuth("anybody", s.Tokens[hubtest.Reader])
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				s.server.ServeHTTP(w, r)
			}
			if w.status != http.StatusOK {
				b.Fatal(fmt.Sprint(w.status))
			}
		})
	}
}

type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(status int)      { d.status = status }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
