package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/cursor"
	"tocsin/internal/distribute"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/member"
	"tocsin/internal/receive"
	"tocsin/internal/view"
	"tocsin/tlp"
)

// An event is one server-sent event as a client that follows the standard
// understands it.
type event struct{ id, kind, data string }

// events reads a stream until it ends. An event without data is not
// dispatched, but its id counts (WHATWG HTML §9.2.6).
func readEvents(body io.Reader) iter.Seq[event] {
	return func(yield func(event) bool) {
		var e event
		var data []string
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			line := lines.Text()
			name, value, _ := strings.Cut(line, ":")
			value = strings.TrimPrefix(value, " ")
			switch name {
			case "": // a comment, or the end of the event
				if line != "" {
					continue
				}
				if data != nil {
					e.data = strings.Join(data, "\n")
					if !yield(e) {
						return
					}
				}
				e, data = event{id: e.id}, nil
			case "id":
				e.id = value
			case "event":
				e.kind = value
			case "data":
				data = append(data, value)
			}
		}
	}
}

// listen serves the API until the streams of the test have ended.
func (s *served) listen(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(s.server)
	t.Cleanup(server.Close)
	return server
}

// subscribe opens a stream that ends with the test.
func (s *served) subscribe(t *testing.T, server *httptest.Server, as, query string, headers ...string) (next func() (event, bool), status int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+indicators+"stream"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("", s.Tokens[as])
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode == http.StatusOK && res.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("Content-Type = %q", res.Header.Get("Content-Type"))
	}
	next, stop := iter.Pull(readEvents(res.Body))
	t.Cleanup(stop)
	return next, res.StatusCode
}

func TestAStreamBeginsWhereItIsAsked(t *testing.T) {
	s := serve(t)
	server := s.listen(t)
	odd := strings.Replace(hubtest.Indicator(2, 1), `{"type"`, "{\n \"x_a\" : [1.0]\n,\"type\"", 1)
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	s.Share(t, hubtest.Writer, []string{"delta"}, hubtest.Indicator(9, 1))
	s.Share(t, hubtest.Writer, nil, odd)

	next, _ := s.subscribe(t, server, hubtest.Reader, "")
	first, _ := next()
	second, _ := next()
	if first.kind != "object" || first.data != hubtest.Indicator(1, 1) || second.data != odd {
		t.Fatalf("stream = %+v, %+v", first, second)
	}
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(3, 1))
	live, _ := next()
	if live.data != hubtest.Indicator(3, 1) {
		t.Errorf("live = %+v", live)
	}
	for name, tt := range map[string]struct {
		query   string
		headers []string
	}{
		"Last-Event-ID":                     {"", []string{"Last-Event-ID", first.id}},
		"after":                             {"?after=" + first.id, nil},
		"Last-Event-ID is newer than after": {"?after=" + live.id, []string{"Last-Event-ID", first.id}},
	} {
		next, status := s.subscribe(t, server, hubtest.Reader, tt.query, tt.headers...)
		if e, _ := next(); status != 200 || e != second {
			t.Errorf("%s: %d %+v, want the second event", name, status, e)
		}
	}
	now, _ := s.subscribe(t, server, hubtest.Reader, "?from=now")
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(4, 1))
	if e, _ := now(); e.data != hubtest.Indicator(4, 1) {
		t.Errorf("from now: %+v, want what is new", e)
	}
}

// RELIABILITY R10: whatever breaks, a subscriber that comes back has
// everything once, in order.
func TestAStreamThatIsBrokenOffLosesAndDoublesNothing(t *testing.T) {
	s := serve(t)
	server := s.listen(t)
	const total = 40
	var running sync.WaitGroup
	running.Go(func() {
		for i := range total {
			s.Share(t, hubtest.Writer, nil, hubtest.Indicator(i, 1))
		}
	})
	defer running.Wait()
	last, seen := "", 0
	for seen < total {
		next, status := s.subscribe(t, server, hubtest.Reader, "?after="+last)
		if status != 200 {
			t.Fatalf("status = %d", status)
		}
		for range 3 { // and then the connection is dropped
			e, ok := next()
			if !ok || e.data != hubtest.Indicator(seen, 1) {
				t.Fatalf("event %d = %+v", seen, e)
			}
			last = e.id
			if seen++; seen == total {
				break
			}
		}
	}
}

func TestWithdrawalsAreNews(t *testing.T) {
	s := serve(t)
	server := s.listen(t)
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	s.Share(t, hubtest.Writer, []string{"delta"}, hubtest.Indicator(2, 1))
	reader, _ := s.subscribe(t, server, hubtest.Reader, "?from=now")
	who, err := s.Directory.Authenticate(t.Context(), s.Tokens[hubtest.Writer])
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{2, 1} { // of the first, the reader must not hear
		if _, err := s.Withdrawer.Withdraw(t.Context(), who, "finance", "indicators", hubtest.ID("indicator", n), distribute.Which{All: true}); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"id":"` + hubtest.ID("indicator", 1) + `","version":"2026-01-01T00:00:00.000Z"}`
	if e, _ := reader(); e.kind != "withdrawn" || e.data != want {
		t.Errorf("event = %+v, want withdrawn %s", e, want)
	}
}

func TestAStreamEndsWithTheRightsOfItsReader(t *testing.T) {
	for name, end := range map[string]func(s *served, t *testing.T){
		"token revoked": func(s *served, t *testing.T) {
			id := read[meResource](t, s.do(t, hubtest.Reader, "GET", "/api/v1/me", ""), 200).Token
			if w := s.do(t, hubtest.Hub, "DELETE", "/api/v1/tokens/"+id, ""); w.Code != 204 {
				t.Fatalf("DELETE token = %d", w.Code)
			}
		},
		"out of the community": func(s *served, t *testing.T) {
			w := s.do(t, hubtest.Hub, "POST", "/api/v1/network", `{"communities":[{"name":"finance","members":[{"organization":"bravo","absent":true}]}]}`)
			if w.Code != 200 {
				t.Fatalf("POST network = %d %s", w.Code, w.Body)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			server := s.listen(t)
			next, _ := s.subscribe(t, server, hubtest.Reader, "")
			s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
			if e, _ := next(); e.kind != "object" {
				t.Fatalf("event = %+v", e)
			}
			end(s, t)
			s.Share(t, hubtest.Writer, nil, hubtest.Indicator(2, 1)) // must not arrive
			e, _ := next()
			if e.kind != "error" || !strings.Contains(e.data, `"status":40`) {
				t.Errorf("event = %+v, want an error", e)
			}
			if more, ok := next(); ok {
				t.Errorf("after the error: %+v", more)
			}
		})
	}
}

func TestStreamsThatAreRefused(t *testing.T) {
	s := serve(t)
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	other := s.Cursors.Seal(cursor.Position{Seq: 1}, streamScope("another collection")...)
	page := s.Cursors.Seal(cursor.Position{Seq: 1}, "taxii page")
	for name, tt := range map[string]struct {
		as, query string
		headers   []string
		want      int
	}{
		"forged":               {hubtest.Reader, "", []string{"Last-Event-ID", strings.Repeat("A", 43)}, 400},
		"negative":             {hubtest.Reader, "", []string{"Last-Event-ID", "-1"}, 400},
		"a number":             {hubtest.Reader, "?after=7", nil, 400},
		"the future":           {hubtest.Reader, "?after=99999999999", nil, 400},
		"another collection's": {hubtest.Reader, "?after=" + other, nil, 400},
		"a page's":             {hubtest.Reader, "?after=" + page, nil, 400},
		"twice":                {hubtest.Reader, "?after=a&after=b", nil, 400},
		"from nowhere":         {hubtest.Reader, "?from=middle", nil, 400},
		"bad query":            {hubtest.Reader, "?from=%zz", nil, 400},
		"JSON":                 {hubtest.Reader, "", []string{"Accept", "application/json"}, 406},
		"no purpose":           {hubtest.Silent, "", nil, 403},
		"stranger":             {hubtest.Stranger, "", nil, 404},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.do(t, tt.as, "GET", indicators+"stream"+tt.query, "", tt.headers...)
			if w.Code != tt.want {
				t.Errorf("GET = %d %s, want %d", w.Code, w.Body, tt.want)
			}
		})
	}
}

// feed is a feed that says what it is told to.
type feed struct {
	Feed

	follow func(ctx context.Context, yield func(distribute.News, error) bool)
}

func (feed) Head(tocsin.Member, string, string) (int64, error) { return 5, nil }

func (f feed) Follow(ctx context.Context, _ tocsin.Member, _, _ string, _ int64, _ time.Duration) iter.Seq2[distribute.News, error] {
	return func(yield func(distribute.News, error) bool) { f.follow(ctx, yield) }
}

// door lets one reader in.
type door struct{ Directory }

func (door) Authenticate(context.Context, string) (tocsin.Member, error) {
	return tocsin.Member{Organization: tocsin.Organization{Name: "bravo"}, Roles: map[string]tocsin.Role{"finance": tocsin.Reader}}, nil
}

func (door) Collection(tocsin.Member, string, string) (member.Collection, error) {
	return member.Collection{ID: "c", Community: "finance"}, nil
}

// rendered returns an object with a content, as a reader sees it.
func rendered(t *testing.T, seq int64, raw string) view.Object {
	t.Helper()
	reader, err := authorize.NewPolicy().Reader(tocsin.Member{Organization: tocsin.Organization{Name: "bravo"}, Roles: map[string]tocsin.Role{"finance": tocsin.Reader}}, "finance")
	if err != nil {
		t.Fatal(err)
	}
	o, ok := view.Seal(view.Meta{Seq: seq, ID: "x", Label: &authorize.Label{Community: "finance", Owner: "acme", Default: tlp.Amber}}, []byte(raw)).Render(reader)
	if !ok {
		t.Fatal("the reader may not see it")
	}
	return o
}

func fake(t *testing.T, f feed, log io.Writer) *Server {
	t.Helper()
	return New(Options{
		Authenticator: door{}, Directory: door{}, Feed: f, Cursors: cursor.New(make([]byte, 32)), Intake: receive.NewIntake(1),
		URL: &url.URL{}, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
}

// DESIGN promise 10, RELIABILITY A5: a subscriber that never reads is cut off,
// and until then costs one piece of memory.
func TestASubscriberThatNeverReadsIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		object := rendered(t, 1, `"`+strings.Repeat("x", 1000)+`"`)
		given := 0
		ended := make(chan struct{})
		var log strings.Builder
		h := fake(t, feed{follow: func(_ context.Context, yield func(distribute.News, error) bool) {
			defer close(ended)
			for yield(distribute.News{Objects: []view.Object{object, object, object}, Position: 1}, nil) {
				given++
			}
		}}, &log)
		client, server := net.Pipe()
		defer client.Close()
		listener := &once{conn: server, closed: make(chan struct{})}
		hub := &http.Server{Handler: h, WriteTimeout: time.Hour}
		var running sync.WaitGroup
		running.Go(func() { _ = hub.Serve(listener) })
		if _, err := io.WriteString(client, "GET "+indicators+"stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("answer = %v, %v", res, err)
		}
		defer res.Body.Close()
		if _, err := io.ReadFull(res.Body, make([]byte, len(": tocsin\n"))); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		<-ended // or synctest finds that everybody waits for ever
		if took := time.Since(began); took != writeTime {
			t.Errorf("it was cut off after %v, want %v", took, writeTime)
		}
		_ = hub.Close()
		running.Wait()
		synctest.Wait() // the connection's goroutine logs, and ends
		if given > 200 {
			t.Errorf("%d steps were taken from the feed for a subscriber that does not read", given)
		}
		if !strings.Contains(log.String(), "level=INFO") || !strings.Contains(log.String(), "the client is gone") {
			t.Errorf("log = %s", log.String())
		}
	})
}

// once is a listener that has one connection to give.
type once struct {
	mu     sync.Mutex
	conn   net.Conn
	closed chan struct{}
}

func (l *once) Accept() (net.Conn, error) {
	l.mu.Lock()
	conn := l.conn
	l.conn = nil
	l.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *once) Close() error {
	close(l.closed)
	return nil
}

func (l *once) Addr() net.Addr { return &net.TCPAddr{} }

func TestAQuietStreamStaysAliveAndKeepsItsPlace(t *testing.T) {
	h := fake(t, feed{follow: func(_ context.Context, yield func(distribute.News, error) bool) {
		_ = yield(distribute.News{Position: 0}, nil) && yield(distribute.News{Objects: []view.Object{rendered(t, 3, "{}")}, Position: 4}, nil) &&
			yield(distribute.News{Position: 3}, nil) && yield(distribute.News{Position: 9}, nil) && yield(distribute.News{Position: 9}, nil)
	}}, io.Discard)
	r := httptest.NewRequestWithContext(t.Context(), "GET", indicators+"stream", nil)
	r.SetBasicAuth("", "x")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	place := func(seq int64) string { return h.Cursors.Seal(cursor.Position{Seq: seq}, streamScope("c")...) }
	greeting := regexp.MustCompile(`^: tocsin\nretry: ([23]\d{3}|4000)\n\n`)
	want := ": \n" + "id: " + place(3) + "\nevent: object\ndata: {}\n\n" + ": \n" + ": \nid: " + place(9) + "\n\n" + ": \n"
	greeted := greeting.FindString(w.Body.String())
	if got := w.Body.String()[len(greeted):]; greeted == "" || got != want {
		t.Errorf("stream = %q, want a greeting and %q", w.Body, want)
	}
}

func TestLinesOfAnObjectStayTogether(t *testing.T) {
	for in, want := range map[string]string{
		"{}":                   "data: {}\n",
		"{\n}":                 "data: {\ndata: }\n",
		"{\r\n}":               "data: {\ndata: }\n",
		"{\r}":                 "data: {\ndata: }\n",
		"{\n\n \"a\":\r\n1\r}": "data: {\ndata: \ndata:  \"a\":\ndata: 1\ndata: }\n",
		"{}\n":                 "data: {}\ndata: \n",
	} {
		if got := string(data(nil, []byte(in))); got != want {
			t.Errorf("data(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestAFaultEndsAStreamWithAnID(t *testing.T) {
	for name, tt := range map[string]struct {
		err   error
		event string
		level string
	}{
		"fault":    {errors.New("disk on fire"), "event: error\ndata: {\"title\":\"Internal Server Error\",\"status\":500", "level=ERROR"},
		"refusal":  {fmt.Errorf("open: %w", &tocsin.Error{Kind: tocsin.Forbidden, Message: "purpose"}), `"status":403,"detail":"purpose"`, "level=INFO"},
		"overload": {context.DeadlineExceeded, `"status":503`, "level=INFO"},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			h := fake(t, feed{follow: func(_ context.Context, yield func(distribute.News, error) bool) {
				yield(distribute.News{}, tt.err)
			}}, &log)
			r := httptest.NewRequestWithContext(t.Context(), "GET", indicators+"stream", nil)
			r.SetBasicAuth("", "x")
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != 200 || !strings.Contains(w.Body.String(), tt.event) || strings.Contains(w.Body.String(), "fire") {
				t.Errorf("stream = %d %s, want %s", w.Code, w.Body, tt.event)
			}
			if !strings.Contains(log.String(), tt.level) {
				t.Errorf("log = %s, want %s", log.String(), tt.level)
			}
		})
	}
}
