package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"tocsin"
	"tocsin/internal/hubclient"
	"tocsin/internal/outbound"
	"tocsin/stix"
	"tocsin/tlp"
)

// reportsName is the file in the state folder.
const reportsName = "sightings.json"

// saveEvery is how often it is saved how far logs were read. What is read again
// after a crash is counted once: counts and places are saved together.
const saveEvery = 5 * time.Second

// mostPerSubmission bounds how many sightings are sent at once.
const mostPerSubmission = 500

// A sight is one line that an indicator's value stands in.
type sight struct {
	in     *indicator
	secret bool
	value  string
	field  string
	when   time.Time // as the log says; zero when it does not
}

// reports count sights and keep what is to be sent until the hub has it.
type reports struct {
	path  string
	wake  chan struct{} // holds something when there is a first sight
	mu    sync.Mutex    // guards what follows
	dirty bool          // state differs from what is saved
	state struct {
		Agent    string               `json:"agent,omitempty"`    // a UUID: which agent this is
		Identity string               `json:"identity,omitempty"` // of the organization that the agent works for
		Default  map[string]tlp.Label `json:"default,omitempty"`  // community → what an unmarked object is taken for
		Places   map[string]place     `json:"places"`             // log → how far it was read
		Tallies  map[string]*tally    `json:"tallies"`            // indicator.key → what was not yet reported
		Outbox   []sighting           `json:"outbox,omitempty"`   // what the hub does not have yet
	}
}

// A tally is what was seen of an indicator since it was last reported.
type tally struct {
	Count int64     `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Due   time.Time `json:"due"` // when to report it; after that without a count, it is forgotten
	TLP   tlp.Label `json:"tlp,omitempty"`
	Quiet bool      `json:"quiet,omitempty"` // never report it
}

// A sighting is a report with its identifier: sent twice, it is stored once.
type sighting struct {
	ID         string     `json:"id"`
	Collection Collection `json:"collection"`
	Indicator  string     `json:"indicator"`
	Made       time.Time  `json:"made"`
	First      time.Time  `json:"first"`
	Last       time.Time  `json:"last"`
	Count      int64      `json:"count"`
	TLP        tlp.Label  `json:"tlp,omitempty"` // of the indicator
}

func openReports(folder string) (*reports, error) {
	r := &reports{path: filepath.Join(folder, reportsName), wake: make(chan struct{}, 1)}
	text, err := os.ReadFile(r.path)
	if err == nil {
		err = json.Unmarshal(text, &r.state)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", reportsName, err)
	}
	if r.state.Agent == "" {
		r.state.Agent, r.dirty = stix.UUIDv4(), true
	}
	if r.state.Places == nil {
		r.state.Places = map[string]place{}
	}
	if r.state.Tallies == nil {
		r.state.Tallies = map[string]*tally{}
	}
	return r, nil
}

// save writes the state, if it differs from what is there.
func (r *reports) save() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.dirty {
		return nil
	}
	text, err := json.Marshal(&r.state)
	if err != nil {
		return fmt.Errorf("%s: %w", reportsName, err)
	}
	if err := writeFile(r.path, 0o600, func(w io.Writer) error {
		_, err := w.Write(text)
		return err //nolint:wrapcheck // it names the file
	}); err != nil {
		return fmt.Errorf("%s: %w", reportsName, err)
	}
	r.dirty = false
	return nil
}

// agent returns which agent this is.
func (r *reports) agent() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Agent
}

// place returns how far a log was read.
func (r *reports) place(path string) place {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.Places[path]
}

// count adds sights in a log up to a place, and returns the first of each
// indicator since it was last reported. Those are due at a time.
func (r *reports) count(path string, at place, seen []sight, due, now time.Time) (fresh []sight) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Places[path] = at
	r.dirty = true
	for _, s := range seen {
		if isFile(s.in.shelf.key) { // no hub wants to know
			fresh = append(fresh, s)
			continue
		}
		key := s.in.key()
		t := r.state.Tallies[key]
		if t == nil {
			t = &tally{Due: due}
			r.state.Tallies[key] = t
		}
		at := s.when
		if at.IsZero() || at.After(now) { // a log's clock may be wrong, or in another zone
			at = now
		}
		if t.Count == 0 {
			t.First, t.Last = at, at
			fresh = append(fresh, s)
		}
		if at.Before(t.First) { // logs are read in any order
			t.First = at
		}
		if at.After(t.Last) {
			t.Last = at
		}
		t.Count++
		t.TLP, t.Quiet = max(t.TLP, s.in.TLP), t.Quiet || s.secret
	}
	if len(fresh) > 0 {
		select {
		case r.wake <- struct{}{}:
		default: // it is awake
		}
	}
	return fresh
}

// cut moves what is due to the outbox, and returns how long nothing else is.
func (r *reports) cut(now time.Time, summary time.Duration, quiet bool) (next time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next = summary
	for _, key := range slices.Sorted(maps.Keys(r.state.Tallies)) {
		t := r.state.Tallies[key]
		if wait := min(t.Due.Sub(now), summary); wait > 0 {
			t.Due = now.Add(wait) // a clock that is set back must not make it wait longer
			next = min(next, wait)
			continue
		}
		r.dirty = true
		if t.Count == 0 {
			delete(r.state.Tallies, key)
			continue
		}
		if !t.Quiet && !quiet {
			shelf, id := cutKey(key)
			r.state.Outbox = append(r.state.Outbox, sighting{
				ID: newSightingID(), Collection: collectionOf(shelf), Indicator: id, Made: now, First: t.First, Last: t.Last, Count: t.Count, TLP: t.TLP,
			})
		}
		r.state.Tallies[key] = &tally{Due: now.Add(summary)}
	}
	return next
}

func newSightingID() string { return "sighting--" + stix.UUIDv4() }

// outbox returns the oldest sightings for one collection, at most so many.
func (r *reports) outbox(most int) (c Collection, some []sighting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.state.Outbox {
		if len(some) == 0 {
			c = s.Collection
		}
		if s.Collection == c && len(some) < most {
			some = append(some, s)
		}
	}
	return c, some
}

// sent takes sightings out of the outbox.
func (r *reports) sent(some []sighting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dirty = true
	r.state.Outbox = slices.DeleteFunc(r.state.Outbox, func(s sighting) bool {
		return slices.ContainsFunc(some, func(one sighting) bool { return one.ID == s.ID })
	})
}

// report sends what was seen, and saves what was counted, until the context
// ends. Nothing is sent that was not saved: a crash may repeat a sighting, with
// the same identifier, but never counts a line twice.
func (a *agent) report(ctx context.Context) {
	backoff := outbound.Backoff{Least: time.Second, Most: 5 * time.Minute}
	saved := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var notBefore time.Time // when to try to send again
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.reports.wake:
		case <-timer.C:
		}
		now := time.Now()
		next := min(a.reports.cut(now, a.Summary, a.Quiet), saveEvery)
		_, waiting := a.reports.outbox(1)
		if len(waiting) > 0 || now.Sub(saved) >= saveEvery {
			saved = now
			if err := a.reports.save(); err != nil {
				a.failed(ctx, "state", Event{Err: err})
				waiting = nil
			}
		}
		if len(waiting) > 0 && !now.Before(notBefore) {
			if err := a.send(ctx); err != nil {
				a.failed(ctx, "report", Event{Err: err})
				wait := backoff.Next()
				notBefore, next = time.Now().Add(wait), min(next, wait)
			} else {
				backoff.Reset()
			}
		}
		timer.Reset(next)
	}
}

// send submits the outbox, collection by collection.
func (a *agent) send(ctx context.Context) error {
	for {
		c, some := a.reports.outbox(mostPerSubmission)
		if len(some) == 0 {
			return nil
		}
		if err := a.identify(ctx); err != nil {
			return err
		}
		objects := a.reports.render(c, some)
		if len(objects) > 0 {
			made, err := a.Hub.Submit(ctx, c.Community, c.Collection, envelope(objects), nil)
			if err != nil && passes(err) {
				return err //nolint:wrapcheck // it explains itself
			}
			a.tellSent(ctx, c, some, made, err)
		}
		a.reports.sent(some)
		if err := a.reports.save(); err != nil {
			return err
		}
	}
}

// passes reports whether a refusal may be none the next time: anything but that
// the hub does not understand what was sent.
func passes(err error) bool {
	e, ok := errors.AsType[*tocsin.Error](err)
	return !ok || e.Kind != tocsin.Malformed && e.Kind != tocsin.Invalid && e.Kind != tocsin.Unsupported && e.Kind != tocsin.TooLarge
}

// tellSent tells what became of sightings.
func (a *agent) tellSent(ctx context.Context, c Collection, some []sighting, made hubclient.Submission, err error) {
	if err != nil {
		a.failed(ctx, "report", Event{Collection: c, Err: err})
		return
	}
	for _, f := range made.Failures {
		a.failed(ctx, "report", Event{Collection: c, Err: &tocsin.Error{Kind: tocsin.Invalid, At: f.At, Clause: f.Clause, Message: f.Detail, Hint: f.Hint}})
	}
	for _, s := range some {
		if slices.ContainsFunc(made.Successes, func(ok hubclient.Success) bool { return ok.ID == s.ID }) {
			a.tell(Event{Kind: Reported, Collection: c, Indicator: s.Indicator, Sighting: s.ID, Count: s.Count})
		}
	}
}

// identify asks the hub once who the agent is, and what the communities take an
// unmarked object for.
func (a *agent) identify(ctx context.Context) error {
	a.reports.mu.Lock()
	known := a.reports.state.Identity != ""
	a.reports.mu.Unlock()
	if known {
		return nil
	}
	me, err := a.Hub.Me(ctx)
	if err != nil {
		return err //nolint:wrapcheck // it explains itself
	}
	if kind, _, ok := stix.SplitID(me.Organization.Identity); !ok || kind != "identity" {
		return &tocsin.Error{Kind: tocsin.Invalid, Message: "the hub does not say which identity the agent has", Hint: "check that both have the same version"}
	}
	a.reports.mu.Lock()
	defer a.reports.mu.Unlock()
	a.reports.state.Identity = me.Organization.Identity
	a.reports.state.Default = map[string]tlp.Label{}
	for _, c := range me.Communities {
		label, _ := tlp.Parse(c.DefaultTLP)
		a.reports.state.Default[c.Name] = label
	}
	a.reports.dirty = true
	return nil
}

// A sightingObject is a STIX sighting (STIX 2.1 §5.2).
type sightingObject struct {
	Type        string   `json:"type"`
	SpecVersion string   `json:"spec_version"`
	ID          string   `json:"id"`
	CreatedBy   string   `json:"created_by_ref"`
	Created     string   `json:"created"`
	Modified    string   `json:"modified"`
	FirstSeen   string   `json:"first_seen"`
	LastSeen    string   `json:"last_seen"`
	Count       int64    `json:"count"`
	Of          string   `json:"sighting_of_ref"`
	Where       []string `json:"where_sighted_refs"`
	Summary     bool     `json:"summary,omitzero"`
	Markings    []string `json:"object_marking_refs"`
}

// mostSeen is the largest count that a sighting may have (STIX 2.1 §5.2).
const mostSeen = 999_999_999

// render writes sightings as STIX objects. A sighting tells that the indicator
// exists, so it is marked at least as the indicator is, and AMBER at least: who
// is attacked is nobody's business but the community's. What would be RED stays
// here.
func (r *reports) render(c Collection, some []sighting) (objects [][]byte) {
	r.mu.Lock()
	identity, otherwise := r.state.Identity, r.state.Default[c.Community]
	r.mu.Unlock()
	for _, s := range some {
		label := s.TLP
		if label == tlp.None {
			label = otherwise
		}
		if label = max(label, tlp.Amber); label == tlp.Red {
			continue
		}
		made := timestamp(s.Made)
		text, err := json.Marshal(sightingObject{
			Type: "sighting", SpecVersion: "2.1", ID: s.ID, CreatedBy: identity, Created: made, Modified: made,
			FirstSeen: timestamp(s.First), LastSeen: timestamp(s.Last), Count: min(s.Count, mostSeen),
			Of: s.Indicator, Where: []string{identity}, Summary: s.Count > 1, Markings: []string{label.Marking()},
		}, json.Deterministic(true))
		if err != nil {
			continue // texts, numbers and times always marshal
		}
		objects = append(objects, text)
	}
	return objects
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func envelope(objects [][]byte) []byte {
	return slices.Concat([]byte(`{"objects":[`), bytes.Join(objects, []byte{','}), []byte(`]}`))
}
