package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/outbound"
	"tocsin/internal/taxii"
)

func dial(t *testing.T, address string, k Credentials) *Client {
	t.Helper()
	door, err := outbound.New(outbound.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(door.CloseIdleConnections)
	c, err := New(Options{URL: address, HTTP: door, Credentials: k})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// hub runs a real hub's TAXII server with the cast of hubtest.
func hub(t *testing.T, maxPage int) (*hubtest.Parts, string) {
	t.Helper()
	p := hubtest.Open(t)
	s := httptest.NewServer(nil)
	t.Cleanup(s.Close)
	base, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Handler = taxii.New(taxii.Options{
		Authenticator: p.Directory, Directory: p.Directory, Feed: p.Feed, Submitter: p.Submit, Prover: p.Prover, Withdrawer: p.Withdrawer,
		Cursors: p.Cursors, Intake: p.Intake, URL: base, Title: "Hub", MaxPage: maxPage, Log: slog.New(slog.DiscardHandler),
	})
	return p, s.URL
}

func all(t *testing.T, pages func(func(Page, error) bool)) (ids []string, last Cursor) {
	t.Helper()
	for p, err := range pages {
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range p.Objects {
			ids = append(ids, o.ID+" "+o.Version)
		}
		last = p.Cursor
	}
	return ids, last
}

func TestAHubIsDiscoveredReadAndWrittenTo(t *testing.T) {
	p, address := hub(t, 0)
	ctx := t.Context()
	for name, k := range map[string]Credentials{"bearer": {Token: p.Tokens[hubtest.Writer]}, "basic": {User: "any", Password: p.Tokens[hubtest.Writer]}} {
		c := dial(t, address, k)
		d, err := c.Discover(ctx)
		if err != nil || len(d.APIRoots) != 1 {
			t.Fatalf("%s: Discover = %+v, %v, want one API root", name, d, err)
		}
		if r, err := c.Root(ctx, d.APIRoots[0]); err != nil || r.Title != "Finance" || r.MaxContentLength == 0 {
			t.Errorf("%s: Root = %+v, %v, want Finance and a limit", name, r, err)
		}
		list, err := c.Collections(ctx, "/finance/")
		if err != nil || len(list) != 2 || !list[0].CanWrite {
			t.Fatalf("%s: Collections = %+v, %v, want two that can be written", name, list, err)
		}
		if one, err := c.Collection(ctx, "/finance/", "indicators"); err != nil || one.Alias != "indicators" {
			t.Errorf("%s: Collection = %+v, %v, want the one with that alias", name, one, err)
		}
	}

	c := dial(t, address, Credentials{Token: p.Tokens[hubtest.Writer]})
	raw := strings.Replace(hubtest.Indicator(1, 1), `{"type"`, "{ \n\"x_kept\" :  1.50 , \"type\"", 1)
	made, err := c.Add(ctx, "/finance/", "indicators", [][]byte{[]byte(raw), []byte(hubtest.Indicator(2, 1)), []byte(`{"type":"indicator"}`)})
	if err != nil || made.SuccessCount != 2 || made.FailureCount != 1 || made.Failures[0].Message == "" {
		t.Fatalf("Add = %+v, %v, want two successes and one failure that says why", made, err)
	}
	again, err := c.Status(ctx, "/finance/", made.ID)
	if err != nil || !cmp.Equal(again, made) {
		t.Errorf("Status = %+v, %v, want %+v", again, err, made)
	}
	for page, err := range c.Objects(ctx, "/finance/", "indicators", Query{Types: []string{"indicator"}}) {
		if err != nil || len(page.Objects) != 2 || string(page.Objects[0].Raw) != raw {
			t.Errorf("Objects = %+v, %v, want two and the first byte for byte", page, err)
		}
	}
	if ids, _ := all(t, c.Manifest(ctx, "/finance/", "indicators", Query{})); len(ids) != 2 || !strings.HasSuffix(ids[0], "2026-01-01T00:00:00.000Z") {
		t.Errorf("Manifest = %v, want two with their versions", ids)
	}
}

func TestReadingGoesOnWhereItEnded(t *testing.T) {
	p, address := hub(t, 7)
	c := dial(t, address, Credentials{Token: p.Tokens[hubtest.Reader]})
	var want []string
	share := func(n int) {
		p.Share(t, hubtest.Writer, nil, hubtest.Indicator(n, 1))
		want = append(want, hubtest.ID("indicator", n)+" 2026-01-01T00:00:00.000Z")
	}
	for n := range 30 {
		share(n)
	}
	var got []string
	var at Cursor
	for round := range 10 {
		for page, err := range c.Objects(t.Context(), "/finance/", "indicators", Query{From: at}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Objects {
				got = append(got, o.ID+" "+o.Version)
			}
			text, err := json.Marshal(page.Cursor)
			if err != nil {
				t.Fatal(err)
			}
			at = Cursor{}
			if err := json.Unmarshal(text, &at); err != nil {
				t.Fatal(err)
			}
			if round%2 == 0 {
				break // a reader that goes away after a page
			}
		}
		share(100 + round)
	}
	rest, _ := all(t, c.Objects(t.Context(), "/finance/", "indicators", Query{From: at}))
	if diff := cmp.Diff(want, append(got, rest...)); diff != "" {
		t.Errorf("what was read differs from what was shared (-want +got):\n%s", diff)
	}
}

func TestWhoMayNotReadIsToldSo(t *testing.T) {
	p, address := hub(t, 0)
	for name, test := range map[string]struct {
		token string
		kind  tocsin.Kind
	}{
		"nobody":   {"", tocsin.Unauthenticated},
		"stranger": {p.Tokens[hubtest.Stranger], tocsin.NotFound},
		"silent":   {p.Tokens[hubtest.Silent], tocsin.Forbidden},
	} {
		c := dial(t, address, Credentials{Token: test.token})
		for _, err := range c.Objects(t.Context(), "/finance/", "indicators", Query{}) {
			if e, ok := errors.AsType[*tocsin.Error](err); !ok || e.Kind != test.kind || e.Message == "" {
				t.Errorf("%s: %v, want an error of kind %d in the server's words", name, err, test.kind)
			}
		}
	}
}

// An odd server pages by its own rules.
type odd struct {
	t        *testing.T
	objects  int                            // how many it has; each has a date_added of its own unless date says else
	limit    int                            // of a page
	grows    bool                           // the client may ask for larger ones
	date     func(n int) time.Time          // date_added of object n
	next     func(n int) string             // its mark before object n; "" gives none
	start    func(q url.Values, o *odd) int // the first object of an answer
	header   func(at time.Time) string      // how it writes the header; "" leaves it out
	more     func(end int) bool             // whether it says that there is more after so many objects
	requests int
}

func (o *odd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if o.requests++; o.requests > 500 {
		o.t.Error("the client asks and asks")
		panic(http.ErrAbortHandler)
	}
	from := o.start(r.URL.Query(), o)
	limit := o.limit
	if n, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && o.grows {
		limit = n
	}
	end := min(from+limit, o.objects)
	var list []string
	for n := from; n < end; n++ {
		list = append(list, fmt.Sprintf(`{"type":"tool","id":"tool--00000000-0000-4000-8000-%012d","modified":"2026-01-01T00:00:00.000Z"}`, n))
	}
	more := end < o.objects
	if o.more != nil {
		more = o.more(end)
	}
	answer := map[string]any{"more": more}
	if more && o.next(end) != "" {
		answer["next"] = o.next(end)
	}
	text, _ := json.Marshal(answer)
	if len(list) > 0 {
		if h := o.header(o.date(end - 1)); h != "" {
			w.Header().Set("X-TAXII-Date-Added-Last", h)
		}
		text = []byte(strings.TrimSuffix(string(text), "}") + `,"objects":[` + strings.Join(list, ",") + "]}")
	}
	_, _ = w.Write(text)
}

func day(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC) }

func micros(at time.Time) string { return at.Format("2006-01-02T15:04:05.000000Z") }

// after begins with the first object that was added later than added_after.
func after(q url.Values, o *odd) int { return search(q, o, time.Time.After) }

// from begins with that one itself, as some servers do.
func from(q url.Values, o *odd) int {
	return search(q, o, func(d, at time.Time) bool { return !d.Before(at) })
}

func search(q url.Values, o *odd, fits func(d, at time.Time) bool) int {
	at, err := time.Parse(time.RFC3339Nano, q.Get("added_after"))
	if err != nil {
		return 0
	}
	for n := range o.objects {
		if fits(o.date(n), at) {
			return n
		}
	}
	return o.objects
}

// marked follows the number in the mark.
func marked(q url.Values, o *odd) int {
	if n, err := strconv.Atoi(q.Get("next")); err == nil {
		return n
	}
	return after(q, o)
}

func none(int) string { return "" }

func TestOddServersAreReadToTheEnd(t *testing.T) {
	for name, o := range map[string]*odd{
		"proper":                       {limit: 10, next: strconv.Itoa, start: marked, header: micros},
		"without marks":                {limit: 10, next: none, start: after, header: micros},
		"added_after means from":       {limit: 10, next: none, start: from, header: micros},
		"header without microseconds":  {limit: 10, next: none, start: after, header: func(at time.Time) string { return at.Format(time.RFC3339) }},
		"header with an offset":        {limit: 10, next: none, start: after, header: func(at time.Time) string { return at.In(time.FixedZone("", 7200)).Format(time.RFC3339Nano) }},
		"few moments, without marks":   {limit: 10, date: func(n int) time.Time { return day(n / 7) }, next: none, start: after, header: micros},
		"a moment longer than a page":  {limit: 10, grows: true, date: func(n int) time.Time { return day(n / 40) }, next: none, start: after, header: micros},
		"one moment for all":           {limit: 10, grows: true, date: func(int) time.Time { return day(1) }, next: none, start: after, header: micros},
		"the same mark for ever":       {limit: 10, next: func(int) string { return "go on" }, start: after, header: micros},
		"marks that overlap":           {limit: 10, next: func(n int) string { return strconv.Itoa(n - 3) }, start: marked, header: micros},
		"no headers":                   {limit: 10, next: strconv.Itoa, start: marked, header: func(time.Time) string { return "" }},
		"always more, without an end":  {limit: 10, next: none, start: after, header: micros, more: func(int) bool { return true }},
		"marks that lead in a circle":  {limit: 10, next: func(n int) string { return strconv.Itoa(n % 40) }, start: marked, header: micros},
		"one mark that leads backward": {limit: 10, next: func(int) string { return "10" }, start: marked, header: micros},
	} {
		t.Run(name, func(t *testing.T) {
			o.t, o.objects = t, 95
			if o.date == nil {
				o.date = day
			}
			s := httptest.NewServer(o)
			defer s.Close()
			c := dial(t, s.URL, Credentials{})
			var got []string
			for page, err := range c.Objects(t.Context(), "/r/", "c", Query{}) {
				if err != nil {
					break // a server that never ends is left; that it happens is tested below
				}
				for _, o := range page.Objects {
					got = append(got, o.ID)
				}
			}
			slices.Sort(got)
			if missed := 95 - len(slices.Compact(got)); missed != 0 {
				t.Errorf("%d objects of 95 were missed in %d requests", missed, o.requests)
			}
		})
	}
}

// turns begins at 0, 10, 20, 30, and again.
func turns() func(url.Values, *odd) int {
	n := -1
	return func(url.Values, *odd) int {
		n++
		return n % 4 * 10
	}
}

func TestServersThatGoInCirclesAreLeft(t *testing.T) {
	n := 0
	fresh := func(int) string { n++; return strconv.Itoa(n) }
	same := func(int) time.Time { return day(5) }
	for name, o := range map[string]*odd{
		"no mark and one date for all":     {limit: 10, date: same, next: none, start: from, header: micros},
		"no mark and no header":            {limit: 10, date: day, next: none, start: after, header: func(time.Time) string { return "" }},
		"marks in a circle, no header":     {limit: 10, date: day, next: func(n int) string { return strconv.Itoa(n % 40) }, start: marked, header: func(time.Time) string { return "" }},
		"the same page with new marks":     {limit: 10, date: day, next: fresh, start: func(url.Values, *odd) int { return 0 }, header: micros},
		"pages in turn with new marks":     {limit: 10, date: day, next: fresh, start: turns(), header: micros},
		"always more and nothing any more": {limit: 10, date: day, next: none, start: after, header: micros, more: func(int) bool { return true }},
	} {
		t.Run(name, func(t *testing.T) {
			o.t, o.objects = t, 95
			s := httptest.NewServer(o)
			defer s.Close()
			var last error
			for _, err := range dial(t, s.URL, Credentials{}).Objects(t.Context(), "/r/", "c", Query{}) {
				last = err
			}
			if e, ok := errors.AsType[*tocsin.Error](last); !ok || e.Kind != tocsin.Invalid {
				t.Errorf("the last error after %d requests is %v, want one that says that there is no way on", o.requests, last)
			}
		})
	}
}

func TestAForgottenMarkIsReplacedByTheDate(t *testing.T) {
	o := &odd{t: t, objects: 30, limit: 10, date: day, next: strconv.Itoa, header: micros}
	o.start = after
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("next") == "stale" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		q := r.URL.Query()
		o.start = marked
		r.URL.RawQuery = q.Encode()
		o.ServeHTTP(w, r)
	}))
	defer s.Close()
	got, _ := all(t, dial(t, s.URL, Credentials{}).Objects(t.Context(), "/r/", "c", Query{From: Cursor{Next: "stale", Seen: micros(day(19))}}))
	if len(got) != 10 || !strings.Contains(got[0], "000000000020") {
		t.Errorf("after a stale mark %d objects came, from %v on; want 10 from number 20 on", len(got), got)
	}
}

func TestNonsenseIsAnError(t *testing.T) {
	for name, body := range map[string]string{
		"page": "<html>", "list": "[]", "nothing": "", "twice": `{"more":false,"more":true}`, "cut": `{"objects":[{"type":`,
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		c := dial(t, s.URL, Credentials{})
		for _, err := range c.Objects(t.Context(), "/r/", "c", Query{}) {
			if e, ok := errors.AsType[*tocsin.Error](err); !ok || e.Hint == "" {
				t.Errorf("%s: %v, want an error with a hint", name, err)
			}
		}
		if _, err := c.Discover(t.Context()); err == nil && name != "twice" && name != "nothing" {
			t.Errorf("%s: discovery was understood", name)
		}
		s.Close()
	}
}

func TestAServersWordsAreMadeFitToShow(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"title":"no\u001b[31m\r\nway","description":"` + strings.Repeat("x", 5000) + `"}`))
	}))
	defer s.Close()
	_, err := dial(t, s.URL, Credentials{}).Discover(t.Context())
	e, ok := errors.AsType[*tocsin.Error](err)
	if !ok || e.Kind != tocsin.Forbidden || !strings.Contains(e.Message, "403 Forbidden: no[31m  way: xxx") || len(e.Message) > 400 {
		t.Errorf("the refusal reads %v, want the server's words in one short line", err)
	}
}

func TestNamesCannotLeaveTheirPlaceInTheURL(t *testing.T) {
	var paths []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.EscapedPath())
		_, _ = w.Write([]byte("{}"))
	}))
	defer s.Close()
	c := dial(t, s.URL, Credentials{})
	for _, name := range []string{"", "..", ".", "a/../../b", "a?b#c", "ü"} {
		_, _ = c.Collection(t.Context(), "/r", name)
	}
	want := []string{"/r/collections/a%2F..%2F..%2Fb/", "/r/collections/a%3Fb%23c/", "/r/collections/%C3%BC/"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestReadingEndsWithTheContext(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range dial(t, s.URL, Credentials{}).Objects(ctx, "/r/", "c", Query{}) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want the context's error", err)
		}
	}
}
