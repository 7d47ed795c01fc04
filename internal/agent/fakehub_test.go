package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/internal/hubclient"
	"tocsin/internal/outbound"
)

const (
	community = "finance"
	alerts    = "alerts"
	identity  = "identity--11111111-1111-4111-8111-111111111111"
	amber     = "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
	red       = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"
)

// A fakeHub keeps the promises of a hub for one collection, as far as an agent
// uses them, and can be told to fail. A position in its order is a cursor.
type fakeHub struct {
	t  testing.TB
	mu sync.Mutex

	order     []fakeObject
	changed   chan struct{}
	epoch     string // what cursors begin with: a hub that is replaced has another
	streams   int    // how often a stream was asked for
	open      int    // how many are open
	polls     []string
	received  []map[string]any // sightings, once each
	bodies    []string         // of all requests, and their URLs
	submitted int              // how many submissions came, repeated ones included
	known     map[string]bool

	streamStatus  int                      // not 0: the answer to whoever asks for a stream
	mute          bool                     // streams open and bring nothing
	cut           chan struct{}            // closed: streams end
	confirmations []hubclient.Confirmation // what agents said, in order
	confirmStatus int                      // not 0: the answer to a confirmation
	submitStatus  int                      // not 0: the answer to a submission
	forget        bool                     // submissions are stored, but the answer is lost
}

type fakeObject struct {
	raw, id, version string
	withdrawn        bool
}

func newFakeHub(t testing.TB) *fakeHub {
	return &fakeHub{t: t, epoch: "a", changed: make(chan struct{}), cut: make(chan struct{}), known: map[string]bool{}}
}

// share puts objects into the order.
func (h *fakeHub) share(objects ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, raw := range objects {
		var o struct{ ID, Modified string }
		if err := json.Unmarshal([]byte(raw), &o); err != nil {
			h.t.Fatal(err)
		}
		h.order = append(h.order, fakeObject{raw: raw, id: o.ID, version: o.Modified})
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// withdraw takes all versions of an object back.
func (h *fakeHub) withdraw(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.order {
		if o.id == id && !o.withdrawn {
			h.order = append(h.order, fakeObject{id: id, version: o.version, withdrawn: true})
		}
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// set changes how the hub fails, and ends the streams.
func (h *fakeHub) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
	close(h.cut)
	h.cut = make(chan struct{})
}

func (h *fakeHub) get(read func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	read()
}

func (h *fakeHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	h.bodies = append(h.bodies, r.URL.String()+" "+fmt.Sprint(r.Header)+" "+string(body))
	h.mu.Unlock()
	collection := "/api/v1/communities/" + community + "/collections/" + alerts + "/"
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case r.Header.Get("Authorization") != "Bearer token":
		problem(w, http.StatusUnauthorized)
	case path == "/api/v1/me":
		_, _ = fmt.Fprintf(w, `{"organization":{"name":"acme","identity":%q},"communities":[{"name":%q,"default_tlp":"TLP:GREEN"}]}`, identity, community)
	case path == collection+"stream":
		h.stream(w, r)
	case path == collection+"deployments":
		h.confirm(w, body)
	case path == collection+"submissions":
		h.submit(w, body)
	case path == "/"+community+"/collections/"+alerts+"/objects", path == "/"+community+"/collections/"+alerts+"/manifest":
		h.page(w, r, strings.HasSuffix(path, "manifest"))
	default:
		problem(w, http.StatusNotFound)
	}
}

func (h *fakeHub) confirm(w http.ResponseWriter, body []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.confirmStatus != 0 {
		problem(w, h.confirmStatus)
		return
	}
	var c hubclient.Confirmation
	if err := json.Unmarshal(body, &c); err != nil {
		h.t.Errorf("a confirmation is %s: %v", body, err)
	}
	h.confirmations = append(h.confirmations, c)
	w.WriteHeader(http.StatusNoContent)
}

func problem(w http.ResponseWriter, status int) {
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"title":%q,"status":%d}`, http.StatusText(status), status)
}

func (h *fakeHub) stream(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.streams++
	status, mute, cut, epoch := h.streamStatus, h.mute, h.cut, h.epoch
	h.mu.Unlock()
	after := 0
	if cursor := r.Header.Get("Last-Event-ID"); cursor != "" && status == 0 {
		text, ours := strings.CutPrefix(cursor, epoch)
		n, err := strconv.Atoi(text)
		if !ours || err != nil {
			status = http.StatusBadRequest
		}
		after = n
	}
	if status != 0 {
		problem(w, status)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if !mute {
		_, _ = io.WriteString(w, ": fake\n")
	}
	_ = http.NewResponseController(w).Flush()
	h.mu.Lock()
	h.open++
	h.mu.Unlock()
	defer func() {
		h.mu.Lock()
		h.open--
		h.mu.Unlock()
	}()
	for {
		h.mu.Lock()
		news, changed := h.order[min(after, len(h.order)):], h.changed
		h.mu.Unlock()
		if mute {
			news = nil
		}
		for _, o := range news {
			after++
			if o.withdrawn {
				_, _ = fmt.Fprintf(w, "id: %s%d\nevent: withdrawn\ndata: {\"id\":%q,\"version\":%q}\n\n", epoch, after, o.id, o.version)
			} else {
				_, _ = fmt.Fprintf(w, "id: %s%d\nevent: object\ndata: %s\n\n", epoch, after, strings.ReplaceAll(o.raw, "\n", "\ndata: "))
			}
		}
		if len(news) > 0 {
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-r.Context().Done():
			return
		case <-cut:
			return
		case <-changed:
		}
	}
}

// page answers by TAXII, 100 objects at once.
func (h *fakeHub) page(w http.ResponseWriter, r *http.Request, manifest bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.polls = append(h.polls, r.URL.String())
	gone := map[string]bool{}
	for _, o := range h.order {
		gone[o.id+o.version] = gone[o.id+o.version] || o.withdrawn
	}
	date := func(n int) string { return time.Unix(int64(n), 0).UTC().Format("2006-01-02T15:04:05.000000Z") }
	next, _ := strconv.Atoi(r.URL.Query().Get("next"))
	var list []string
	last, more := "", false
	for n, o := range h.order {
		if o.withdrawn || gone[o.id+o.version] || n < next || date(n) <= r.URL.Query().Get("added_after") {
			continue
		}
		if len(list) == 100 {
			more = true
			next = n
			break
		}
		last = date(n)
		if manifest {
			list = append(list, fmt.Sprintf(`{"id":%q,"version":%q,"date_added":%q}`, o.id, o.version, last))
		} else {
			list = append(list, o.raw)
		}
	}
	if last != "" {
		w.Header().Set("X-TAXII-Date-Added-Last", last)
	}
	_, _ = fmt.Fprintf(w, `{"more":%v,"next":"%d","objects":[%s]}`, more, next, strings.Join(list, ","))
}

func (h *fakeHub) submit(w http.ResponseWriter, body []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.submitted++
	if h.submitStatus != 0 {
		problem(w, h.submitStatus)
		return
	}
	var envelope struct{ Objects []map[string]any }
	if err := json.Unmarshal(body, &envelope); err != nil {
		problem(w, http.StatusBadRequest)
		return
	}
	var made []string
	for _, o := range envelope.Objects {
		id, _ := o["id"].(string)
		made = append(made, fmt.Sprintf(`{"id":%q,"version":%q,"seq":1,"known":%v}`, id, o["modified"], h.known[id]))
		if !h.known[id] {
			h.known[id] = true
			h.received = append(h.received, o)
		}
	}
	if h.forget {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, `{"id":"x","successes":[%s],"failures":[]}`, strings.Join(made, ","))
}

// serve runs the hub on a socket and returns a client.
func (h *fakeHub) serve() *hubclient.Client {
	s := httptest.NewServer(h)
	h.t.Cleanup(func() {
		h.set(func() {})
		s.Close()
	})
	only, err := url.Parse(s.URL)
	if err != nil {
		h.t.Fatal(err)
	}
	door, err := outbound.New(outbound.Options{Only: only})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(door.CloseIdleConnections)
	return h.client(s.URL, door)
}

// inMemory returns a client that calls the hub without a socket, for tests in
// which time is made up. The calls end with the context.
func (h *fakeHub) inMemory() *hubclient.Client {
	return h.client("http://hub.example.com", &http.Client{Transport: roundTripper{h}})
}

func (h *fakeHub) client(address string, door *http.Client) *hubclient.Client {
	c, err := hubclient.New(hubclient.Options{URL: address, Token: "token", HTTP: door})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

// A roundTripper calls a handler.
type roundTripper struct{ handler http.Handler }

func (rt roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	reader, writer := io.Pipe()
	w := &pipeWriter{header: http.Header{}, pipe: writer, begun: make(chan struct{})}
	go func() {
		defer func() {
			if recover() != nil {
				_ = writer.CloseWithError(io.ErrUnexpectedEOF)
				w.once.Do(func() { close(w.begun) })
			}
		}()
		rt.handler.ServeHTTP(w, r.WithContext(ctx))
		w.WriteHeader(http.StatusOK)
		_ = writer.Close()
	}()
	stop := context.AfterFunc(ctx, func() { _ = reader.CloseWithError(ctx.Err()) })
	select {
	case <-w.begun:
	case <-ctx.Done():
	}
	if w.status == 0 || ctx.Err() != nil {
		cancel()
		return nil, errors.Join(errors.New("no answer"), ctx.Err())
	}
	return &http.Response{StatusCode: w.status, Header: w.header, Request: r, Body: closer{reader, func() { stop(); cancel() }}}, nil
}

type closer struct {
	*io.PipeReader

	then func()
}

func (c closer) Close() error {
	c.then()
	return c.PipeReader.Close()
}

type pipeWriter struct {
	header http.Header
	pipe   *io.PipeWriter
	status int
	once   sync.Once
	begun  chan struct{}
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	w.once.Do(func() {
		w.status = status
		close(w.begun)
	})
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(b)
}

func (w *pipeWriter) Flush() { w.WriteHeader(http.StatusOK) }

// An observer keeps what the agent tells.
type observer struct {
	mu     sync.Mutex
	events []Event
}

func (o *observer) take(e Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
}

// all returns the events of a kind.
func (o *observer) all(kind EventKind) (found []Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// A run is an agent at work.
type run struct {
	t   testing.TB
	o   Options
	obs *observer
	end func() error
}

// start runs an agent. Options that are not given are for a test.
func start(t testing.TB, h *hubclient.Client, o Options) *run {
	t.Helper()
	r := &run{t: t, obs: &observer{}}
	o.Hub = h
	if o.Collections == nil {
		o.Collections = []Collection{{community, alerts}}
	}
	if o.State == "" {
		o.State = t.TempDir()
	}
	if o.Lists == "" {
		o.Lists = filepath.Join(o.State, "lists")
	}
	o.Observer = r.obs.take
	r.o = o
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, o) }()
	r.end = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := r.end(); err != nil {
			t.Errorf("Run = %v, want no error", err)
		}
	})
	return r
}

// sorted returns a list in order.
func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// list returns the lines of one of the lists.
func (r *run) list(name string) []string { return lines(r.t, filepath.Join(r.o.Lists, name)) }

// blocked returns all that is blocked, in order.
func (r *run) blocked() []string {
	return slices.Concat(r.list(ipsName), r.list(domainsName), r.list(urlsName))
}

// stop ends the agent in an orderly way.
func (r *run) stop() {
	r.t.Helper()
	if err := r.end(); err != nil {
		r.t.Fatalf("Run = %v, want no error", err)
	}
}

// eventually waits until something is so. It asserts no time: the limit is for
// what never comes.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// indicatorID returns the id of indicator number n.
func indicatorID(n int) string { return fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", n) }

// indicatorOf returns indicator number n as of a day in 2026 (1 to 28).
func indicatorOf(n, day int, pattern string, more ...string) string {
	text, _ := json.Marshal(pattern)
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":"2026-01-01T00:00:00.000Z","modified":"2026-01-%02dT00:00:00.000Z",`+
		`"pattern":%s,"pattern_type":"stix","valid_from":"1999-01-01T00:00:00Z"%s}`, indicatorID(n), day, text, strings.Join(append([]string{""}, more...), ","))
}
