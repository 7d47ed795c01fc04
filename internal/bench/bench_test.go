package bench

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestTheLoadReadsAnswersToTheirEnd(t *testing.T) {
	body := strings.Repeat("x", 100_000)
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		want   answer
	}{
		"of known length": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			w.Header().Set("ETag", `"a"`)
			_, _ = io.WriteString(w, body)
		}, answer{status: 200, bytes: 100_000, etag: `"a"`}},
		"in chunks": {func(w http.ResponseWriter, _ *http.Request) {
			for range 10 {
				_, _ = io.WriteString(w, body[:10_000])
				_ = http.NewResponseController(w).Flush()
			}
		}, answer{status: 200, bytes: 100_000}},
		"empty, compressed": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "gzip") }, answer{status: 200, zipped: true}},
		"not modified":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }, answer{status: 304}},
		"refused":           {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }, answer{status: 403, bytes: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			address := serve(t, tt.answer)
			w, err := dial(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = w.conn.Close() }()
			for range 3 { // the next answer begins where this one ends
				got, err := w.do(newCall("GET", address, "/", nil, 200), false, true)
				if err != nil || got.status != tt.want.status || got.bytes != tt.want.bytes || got.zipped != tt.want.zipped || got.etag != tt.want.etag {
					t.Fatalf("do = %+v, %v, want %+v", got, err, tt.want)
				}
			}
		})
	}
}

// A benchmark that counts refusals as answers measures how fast a server says
// no.
func TestWrongAnswersAreErrors(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	m := drive(t.Context(), address, 2, time.Minute, func(int, int) (call, bool) { return newCall("GET", address, "/", nil, 200), true })
	if m.Requests != 0 || m.Errors != 2 || !strings.Contains(m.failure, "503") {
		t.Errorf("drive = %d requests, %d errors, %q", m.Requests, m.Errors, m.failure)
	}
	if m := drive(t.Context(), "127.0.0.1:1", 1, time.Minute, func(int, int) (call, bool) { return call{}, true }); m.Errors != 1 {
		t.Errorf("drive of nobody = %+v", m)
	}
}

func TestLoadEndsWithItsCallsItsTimeAndItsContext(t *testing.T) {
	address := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := newCall("GET", address, "/", nil, 200)
	if m := drive(t.Context(), address, 3, time.Minute, func(_, n int) (call, bool) { return c, n < 5 }); m.Requests != 15 || len(m.times) != 15 || m.Errors != 0 {
		t.Errorf("drive = %+v, want 15 requests", m)
	}
	if m := drive(t.Context(), address, 1, 20*time.Millisecond, func(int, int) (call, bool) { return c, true }); m.Requests == 0 || m.Took < 20*time.Millisecond {
		t.Errorf("drive = %+v", m)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if m := drive(ctx, address, 1, time.Hour, func(int, int) (call, bool) { return c, true }); m.Requests != 0 {
		t.Errorf("drive after the end = %+v", m)
	}
}

func TestQuantiles(t *testing.T) {
	m := Measure{}
	if m.quantile(0.99) != 0 {
		t.Error("a quantile of nothing")
	}
	for i := range 100 {
		m.times = append(m.times, time.Duration(i+1))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 51, 0.99: 100, 1: 100} {
		if got := m.quantile(q); got != want {
			t.Errorf("quantile(%v) = %d, want %d", q, got, want)
		}
	}
}

func TestIndicatorsAreTheSameForEverybodyAndOfTheirSize(t *testing.T) {
	ids := map[string]bool{}
	total := 0
	for n := range uint64(1000) {
		text := appendIndicator(nil, 7, n)
		if !bytes.Equal(text, appendIndicator(nil, 7, n)) {
			t.Fatal("an indicator differs from itself")
		}
		total += len(text)
		ids[string(text[43:90])] = true
	}
	if len(ids) != 1000 {
		t.Errorf("%d different ids of 1,000", len(ids))
	}
	if mean := total / 1000; mean < indicatorBytes*9/10 || mean > indicatorBytes*11/10 {
		t.Errorf("an indicator has %d bytes, want about %d", mean, indicatorBytes)
	}
	if bytes.Equal(appendIndicator(nil, 7, 1), appendIndicator(nil, 8, 1)) {
		t.Error("another run has the same indicators")
	}
}

func TestAStreamIsWatchedAcrossReads(t *testing.T) {
	here, there := net.Pipe()
	objects := make(chan struct{}, 10)
	begun := make(chan error, 1)
	go watch(here, func(err error) { begun <- err }, func() { objects <- struct{}{} })
	for _, piece := range []string{"HTTP/1.1 200 OK\r\n\r\n: tocsin\n", "id: x\neve", "nt: object\ndata: {}\n\n", "event: withdrawn\n\nevent: object\n\nevent: object\n"} {
		if _, err := io.WriteString(there, piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-begun; err != nil {
		t.Fatal(err)
	}
	for range 3 {
		<-objects
	}
	_ = there.Close()
	if len(objects) != 0 {
		t.Errorf("%d objects too many", len(objects))
	}
}

func TestARefusedStreamIsAnError(t *testing.T) {
	here, there := net.Pipe()
	begun := make(chan error, 1)
	go watch(here, func(err error) { begun <- err }, func() {})
	if _, err := io.WriteString(there, "HTTP/1.1 429 Too Many Requests\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-begun; err == nil || !strings.Contains(err.Error(), "429") {
		t.Errorf("watch = %v, want 429", err)
	}
}

func TestOptionsAreBounded(t *testing.T) {
	for name, o := range map[string]Options{
		"workload":    {Workloads: []string{"everything"}},
		"objects":     {Objects: -1},
		"connections": {Connections: 100_000},
		"subscribers": {Subscribers: 100_000},
		"duration":    {Duration: time.Hour},
	} {
		if err := o.complete(); err == nil {
			t.Errorf("%s: complete(%+v) took it", name, o)
		}
	}
	o := Options{}
	if err := o.complete(); err != nil || len(o.Workloads) != len(workloads()) {
		t.Errorf("complete = %v, %+v", err, o)
	}
}

func TestMemoryOfThisProcess(t *testing.T) {
	if now, most := memory(1 << 30); now != 0 || most != 0 {
		t.Errorf("memory of nobody = %d, %d", now, most)
	}
}

func FuzzHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: \"x\"\r\n\r\n{}"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		w := &wire{r: bufio.NewReaderSize(bytes.NewReader(text), 4096)}
		a, length, err := w.head(true)
		if err != nil {
			return
		}
		if n, err := w.body(io.Discard, length); err == nil && n > int64(len(text)) {
			t.Errorf("head(%q) = %+v, then %d bytes", text, a, n)
		}
	})
}
