// Package bench measures a hub over HTTP, and looking through logs, beside other programs in the same run.
package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tocsin"
	"tocsin/internal/hubclient"
	"tocsin/internal/outbound"
)

// Options say what to measure. Zero values are replaced by the defaults that
// the comments give.
type Options struct {
	Program     string        // this program, to run the hub with
	Dir         string        // folder for everything that is kept meanwhile; required, and removed by whoever made it
	DB          string        // where the hub keeps its state, as 'tocsin serve --db' takes it; "": in Dir
	Objects     int           // loaded before anything is measured; 20,000
	Connections int           // that read at once; 8
	Subscribers int           // of the push; 200
	Duration    time.Duration // of each workload, for each server; 3 seconds
	Workloads   []string      // names, see Workloads; all when empty
	Tell        func(Row)     // called for each row as it is measured; may be nil
	// Progress is called while objects are loaded; may be nil.
	Progress func(verb string, done, total int)
}

// Bounds of the options: a benchmark ends, and leaves room for others.
const (
	mostObjects     = 10_000_000
	mostConnections = 512
	mostSubscribers = 9000 // two files each, and systems give 20,000
	mostDuration    = 10 * time.Minute
)

// A Row is one line of the result: what was measured, and beside what.
type Row struct {
	Workload string  `json:"workload"`
	Unit     string  `json:"unit"` // of Value and BesideValue: requests/s, objects/s, ms, MiB
	Value    float64 `json:"value"`
	P50      float64 `json:"p50_ms,omitempty"`
	P99      float64 `json:"p99_ms,omitempty"`
	Megabits float64 `json:"megabits_per_s,omitempty"` // of bodies
	Beside   string  `json:"beside,omitempty"`         // what it is compared to, measured in turns with it
	Other    float64 `json:"beside_value,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"` // Value by BesideValue
	Note     string  `json:"note,omitempty"`
}

// A Result is what a run showed.
type Result struct {
	Objects     int     `json:"objects"`
	Connections int     `json:"connections"`
	Cores       int     `json:"cores"`
	Store       string  `json:"store"`
	Nginx       bool    `json:"nginx"` // one is installed, and was measured beside the hub
	Seconds     float64 `json:"seconds"`
	Rows        []Row   `json:"rows"`
}

// A session is a run: a hub with objects in it, and what stands beside it.
type session struct {
	Options

	hub            *servedHub
	nginx, bare    *child // nil when they are not there
	reader, writer string // tokens
	next           atomic.Uint64
	run            uint64
	rows           []Row
	began, loaded  time.Time // when loading began and ended
}

// A workload measures one thing and adds its rows.
type workload struct {
	name string
	help string // what its rows mean
	do   func(*session, context.Context) error
}

// workloads are all there are, in the order in which they are run: what writes
// comes after what only reads.
func workloads() []workload {
	return []workload{
		{"page100", "the same page of 100 objects, with authentication and policy, beside nginx serving those bytes as a file", func(s *session, ctx context.Context) error { return s.page(ctx, 100) }},
		{"page1000", "the same with 1,000 objects", func(s *session, ctx context.Context) error { return s.page(ctx, 1000) }},
		{"cold100", "pages of 100 objects that nobody asked for before, at random places, beside nginx serving one file", func(s *session, ctx context.Context) error { return s.cold(ctx) }},
		{"gzip100", "the page of 100 objects compressed, beside nginx serving the compressed bytes", func(s *session, ctx context.Context) error { return s.zipped(ctx) }},
		{"unchanged", "a page that the client has already (ETag, 304), beside nginx doing the same", func(s *session, ctx context.Context) error { return s.unchanged(ctx) }},
		{"empty", "a poll that finds nothing new, beside a net/http handler that answers {} to everybody", func(s *session, ctx context.Context) error { return s.empty(ctx) }},
		{"post100", "envelopes of 100 new indicators, the whole journey until they are durable and proven", func(s *session, ctx context.Context) error { return s.post(ctx, 100) }},
		{"post1000", "the same with 1,000", func(s *session, ctx context.Context) error { return s.post(ctx, 1000) }},
		{"mixed", "one reader's latency while two writers post at full speed, beside the same reader without them", func(s *session, ctx context.Context) error { return s.mixed(ctx) }},
		{"push", "from the writer's acknowledgement to each of many subscribers, and to the last of them", func(s *session, ctx context.Context) error { return s.push(ctx) }},
		{"memory", "what the hub's process holds in the end, and held at most", func(s *session, _ context.Context) error { s.memory(); return nil }},
	}
}

// Workloads returns the names of all workloads and what each one's rows mean.
func Workloads() (names []string, help map[string]string) {
	help = map[string]string{}
	for _, w := range workloads() {
		names = append(names, w.name)
		help[w.name] = w.help
	}
	return names, help
}

func (o *Options) complete() error {
	o.Objects, o.Connections, o.Subscribers = cmp.Or(o.Objects, 20_000), cmp.Or(o.Connections, 8), cmp.Or(o.Subscribers, 200)
	o.Duration = cmp.Or(o.Duration, 3*time.Second)
	known, _ := Workloads()
	if len(o.Workloads) == 0 {
		o.Workloads = known
	}
	for _, w := range o.Workloads {
		if !slices.Contains(known, w) {
			return &tocsin.Error{Kind: tocsin.Invalid, Message: "there is no such workload", Hint: "'tocsin bench --help' lists them"}
		}
	}
	for _, bound := range []struct {
		name      string
		has, most int
	}{
		{"objects", o.Objects, mostObjects}, {"connections", o.Connections, mostConnections}, {"subscribers", o.Subscribers, mostSubscribers},
	} {
		if bound.has < 1 || bound.has > bound.most {
			return &tocsin.Error{Kind: tocsin.Invalid, Message: "the number of " + bound.name + " is out of range", Hint: "give 1 to " + strconv.Itoa(bound.most)}
		}
	}
	if o.Duration < 10*time.Millisecond || o.Duration > mostDuration {
		return &tocsin.Error{Kind: tocsin.Invalid, Message: "the duration is out of range", Hint: "give 10ms to " + mostDuration.String()}
	}
	return nil
}

// Run measures, and returns what it saw also when it fails on the way.
func Run(ctx context.Context, o Options) (result Result, err error) {
	if err := o.complete(); err != nil {
		return Result{}, err
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil { // nginx takes paths from another place
		return Result{}, fmt.Errorf("folder: %w", err)
	}
	began := time.Now()
	s := &session{Options: o, run: uint64(began.UnixNano())}
	if s.hub, err = startHub(ctx, o.Program, o.Dir, o.DB); err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, s.hub.stop()) }()
	if s.bare, err = startBare(ctx, o.Program); err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, s.bare.stop()) }()
	if err := s.invite(ctx); err != nil {
		return Result{}, err
	}
	if err := s.load(ctx); err != nil {
		return Result{}, err
	}
	stopNginx, err := s.beside(ctx)
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, stopNginx()) }()
	for _, w := range workloads() {
		if !slices.Contains(o.Workloads, w.name) {
			continue
		}
		if err = w.do(s, ctx); err != nil {
			err = fmt.Errorf("%s: %w", w.name, err)
			break
		}
	}
	store := "SQLite"
	if o.DB != "" {
		store = "as --db says"
	}
	return Result{
		Objects: o.Objects, Connections: o.Connections, Cores: runtime.NumCPU(), Store: store, Nginx: s.nginx != nil,
		Seconds: time.Since(began).Seconds(), Rows: s.rows,
	}, err
}

// network is the benchmark's community: one that writes, one that reads.
const network = `{"organizations": [
 {"name": "bench-writer", "title": "Writer", "kind": "company", "users": [{"name": "u", "tokens": [{"name": "w%[1]d"}]}]},
 {"name": "bench-reader", "title": "Reader", "kind": "company", "users": [{"name": "u", "tokens": [{"name": "r%[1]d"}]}]}],
"communities": [{"name": "bench", "title": "Bench",
 "collections": [{"alias": "indicators", "title": "Indicators"}],
 "members": [{"organization": "bench-writer", "role": "writer"}, {"organization": "bench-reader", "role": "reader"}]}]}`

// invite makes the community.
func (s *session) invite(ctx context.Context) error {
	only, err := url.Parse(s.hub.url)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	h, err := outbound.New(outbound.Options{Only: only})
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	c, err := hubclient.New(hubclient.Options{URL: s.hub.url, Token: s.hub.operator, HTTP: h})
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	made, err := c.ApplyNetwork(ctx, fmt.Appendf(nil, network, s.run), false)
	if err != nil {
		return fmt.Errorf("network: %w", err)
	}
	for _, t := range made.Tokens {
		if t.Name[0] == 'w' {
			s.writer = t.Token
		} else {
			s.reader = t.Token
		}
	}
	if s.writer == "" || s.reader == "" {
		return errors.New("the hub made no tokens")
	}
	return nil
}

// objectsPath is where the benchmark's objects are.
const objectsPath = "/bench/collections/indicators/objects/"

// envelopeCall is a submission of new indicators.
func (s *session) envelopeCall(count int) call {
	from := s.next.Add(uint64(count)) - uint64(count)
	body := appendEnvelope(make([]byte, 0, count*(indicatorBytes+100)), s.run, from, count)
	return newCall("POST", s.hub.address, objectsPath, body, 202, "Authorization", "Bearer "+s.writer,
		"Accept", mediaType, "Content-Type", mediaType)
}

const mediaType = "application/taxii+json;version=2.1"

// get is a read by the reader.
func (s *session) get(target string, headers ...string) call {
	return newCall("GET", s.hub.address, target, nil, 200, append([]string{"Authorization", "Bearer " + s.reader, "Accept", mediaType}, headers...)...)
}

// load submits the objects that are there before anything is measured, and
// makes sure that the hub took each of them.
func (s *session) load(ctx context.Context) error {
	const batch, writers = 1000, 2
	s.began = time.Now()
	defer func() { s.loaded = time.Now() }()
	var done, taken atomic.Int64
	var running sync.WaitGroup
	failures := make([]error, writers)
	for i := range writers {
		running.Go(func() {
			failures[i] = func() error {
				w, err := dial(ctx, s.hub.address)
				if err != nil {
					return err
				}
				defer func() { _ = w.conn.Close() }() // every answer was read
				for ctx.Err() == nil {
					from := int(taken.Add(batch)) - batch
					count := min(batch, s.Objects-from)
					if count <= 0 {
						return nil
					}
					if err := s.add(w, count); err != nil {
						return err
					}
					if n := int(done.Add(int64(count))); s.Progress != nil && i == 0 { // one goroutine draws
						s.Progress("loading", n, s.Objects)
					}
				}
				return ctx.Err() //nolint:wrapcheck // callers compare it
			}()
		})
	}
	running.Wait()
	return errors.Join(failures...)
}

// add submits new indicators and checks that all were stored as they are.
func (s *session) add(w *wire, count int) error {
	a, err := w.do(s.envelopeCall(count), true, false)
	if err != nil {
		return err
	}
	var status struct {
		SuccessCount int `json:"success_count"`
	}
	if a.status != 202 || json.Unmarshal(a.body, &status) != nil || status.SuccessCount != count {
		return fmt.Errorf("the hub answered %d and took %d of %d objects", a.status, status.SuccessCount, count)
	}
	return nil
}

// beside starts nginx, if there is one, with the pages that the hub serves as
// files. It returns how to stop it.
func (s *session) beside(ctx context.Context) (stop func() error, err error) {
	nothing := func() error { return nil }
	program := findNginx()
	if program == "" {
		return nothing, nil
	}
	folder := filepath.Join(s.Dir, "nginx")
	files := filepath.Join(folder, "static")
	if err := os.MkdirAll(files, 0o700); err != nil {
		return nothing, fmt.Errorf("folder: %w", err)
	}
	if err := s.pages(ctx, files); err != nil {
		return nothing, err
	}
	if s.nginx, err = startNginx(ctx, program, folder); err != nil {
		return nothing, err
	}
	return s.nginx.stop, nil
}

// pages writes what the hub serves into files.
func (s *session) pages(ctx context.Context, folder string) error {
	w, err := dial(ctx, s.hub.address)
	if err != nil {
		return err
	}
	defer func() { _ = w.conn.Close() }() // every answer was read
	for name, c := range map[string]call{
		"page100.json": s.get(objectsPath + "?limit=100"), "page1000.json": s.get(objectsPath + "?limit=1000"),
		"zipped.json": s.get(objectsPath+"?limit=100", "Accept-Encoding", "gzip"),
	} {
		a, err := w.do(c, true, true)
		if err != nil {
			return err
		}
		if a.status != 200 {
			return fmt.Errorf("the hub answered %d", a.status)
		}
		if err := os.WriteFile(filepath.Join(folder, name), a.body, 0o600); err != nil {
			return fmt.Errorf("file: %w", err)
		}
	}
	return nil
}

// report adds a row.
func (s *session) report(r Row) {
	s.rows = append(s.rows, r)
	if s.Tell != nil {
		s.Tell(r)
	}
}
