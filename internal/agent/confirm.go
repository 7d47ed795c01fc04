package agent

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"tocsin"
	"tocsin/internal/hubclient"
	"tocsin/internal/match"
	"tocsin/internal/outbound"
)

// mostIdle is how many objects one confirmation names.
const mostIdle = 10_000

// A report is what the hub is told when changes are in place: how far each
// collection is in force, and what of it is not: what is not valid yet, what its
// producer or the guard holds back, and what the agent has no place for.
type report struct {
	cursors map[string]string          // collection → of its stream
	idle    map[string]map[string]bool // collection → id → not in force, or again
	came    time.Time                  // when the oldest of what is new came
}

// note takes up how far the book is. Whoever calls holds its lock.
func (r *report) note(b *book, touched map[*indicator]bool, since, now time.Time) {
	r.cursors = map[string]string{}
	for collection, at := range b.cursors {
		if at.Stream != "" { // what came by polls alone has no place in the order
			r.cursors[collection] = at.Stream
		}
	}
	for in := range touched {
		if in.came.After(since) && (r.came.IsZero() || in.came.Before(r.came)) {
			r.came = in.came
		}
	}
	if r.came.IsZero() {
		r.came = now
	}
}

// join takes in a later report.
func (r *report) join(later report) {
	if later.cursors != nil {
		r.cursors = later.cursors
	}
	for collection, ids := range later.idle {
		for id, idle := range ids {
			r.put(collection, id, idle)
		}
	}
	if r.came.IsZero() || !later.came.IsZero() && later.came.Before(r.came) {
		r.came = later.came
	}
}

func (r *report) put(collection, id string, idle bool) {
	if r.idle == nil {
		r.idle = map[string]map[string]bool{}
	}
	if r.idle[collection] == nil {
		r.idle[collection] = map[string]bool{}
	}
	r.idle[collection][id] = idle
}

// settleIdle looks at what changed, and at what names the same values, whether
// it is in force. Whoever calls holds the book's lock, and has the gates up to
// date.
func (e *enforcer) settleIdle(dirty map[match.Value]change, touched map[*indicator]bool) {
	look := func(in *indicator) {
		if isFile(in.shelf.key) { // no hub shared it
			return
		}
		key := in.key()
		now := e.book.get(key)
		if now != nil && !now.Until.IsZero() && !time.Now().Before(now.Until) { // the hub knows that it is over
			return
		}
		idle := now != nil && !now.Revoked && !e.inForce(now)
		if idle == e.idle[key] {
			return
		}
		if idle {
			e.idle[key] = true
		} else {
			delete(e.idle, key)
		}
		e.batch.report.put(in.shelf.key, in.ID, idle)
	}
	for in := range touched {
		look(in)
	}
	for v := range dirty {
		for _, in := range e.book.who(v) {
			if !touched[in] {
				look(in)
			}
		}
	}
}

// inForce reports whether something of an indicator is looked for in logs, or
// is in an export, a list or the firewall.
func (e *enforcer) inForce(in *indicator) bool {
	if !in.active {
		return false
	}
	if len(e.Logs) > 0 && in.sought && len(in.Values) > 0 {
		return true
	}
	for _, g := range e.gates {
		if _, passes := g.rules[in.key()]; passes || slices.ContainsFunc(in.Values, g.has) {
			return true
		}
	}
	return false
}

// confirms are reports on their way to the hub.
type confirms struct {
	wake chan struct{} // holds something when there is a report

	mu      sync.Mutex
	waiting report
	since   time.Time // when what waits was in place
}

func newConfirms() confirms { return confirms{wake: make(chan struct{}, 1)} }

// confirm has the hub told that all is in place.
func (a *agent) confirm(r report, now time.Time) {
	if a.Quiet || len(a.Collections) == 0 {
		return
	}
	c := &a.confirms
	c.mu.Lock()
	c.waiting.join(r)
	c.since = now
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default: // it is awake
	}
}

// take returns what waits.
func (c *confirms) take() (r report, since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, c.waiting = c.waiting, report{}
	return r, c.since
}

// back puts what could not be sent before what came since.
func (c *confirms) back(r report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.join(c.waiting)
	c.waiting = r
}

// confirmAll sends what is in place, until the context ends.
func (a *agent) confirmAll(ctx context.Context) {
	backoff := outbound.Backoff{Least: time.Second, Most: 5 * time.Minute}
	begun := map[string]bool{} // collections of which the hub knows all since the agent began
	said := ""                 // of this outage
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.confirms.wake:
		}
		r, since := a.confirms.take()
		err := a.sendReport(ctx, r, since, begun)
		if err == nil {
			backoff.Reset()
			said = ""
			continue
		}
		a.confirms.back(r)
		if err.Error() != said {
			said = err.Error()
			a.failed(ctx, "confirm", Event{Err: err})
		}
		if outbound.Wait(ctx, backoff.Next()) != nil {
			return
		}
		select {
		case a.confirms.wake <- struct{}{}:
		default: // something came
		}
	}
}

// sendReport sends a report for each collection; what was sent is taken out of
// it. A cursor that the hub does not know is of one that was replaced: there
// will be another.
func (a *agent) sendReport(ctx context.Context, r report, since time.Time, begun map[string]bool) error {
	var failed error
	for _, key := range slices.Sorted(maps.Keys(r.cursors)) {
		if !slices.ContainsFunc(a.Collections, func(c Collection) bool { return c.key() == key }) { // it was followed in an earlier run
			delete(r.cursors, key)
			continue
		}
		err := a.sendConfirmation(ctx, key, r, since, begun)
		if e, ok := errors.AsType[*tocsin.Error](err); ok && (e.Kind == tocsin.Malformed || e.Kind == tocsin.Invalid) {
			begun[key], err = false, nil
		}
		if err == nil {
			delete(r.cursors, key)
			delete(r.idle, key)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// sendConfirmation tells of one collection, in as many parts as it takes.
func (a *agent) sendConfirmation(ctx context.Context, key string, r report, since time.Time, begun map[string]bool) error {
	ids := slices.Sorted(maps.Keys(r.idle[key]))
	collection := collectionOf(key)
	for first := true; first || len(ids) > 0; first = false {
		some := ids[:min(len(ids), mostIdle)]
		ids = ids[len(some):]
		ago := func(t time.Time) float64 { return float64(max(0, time.Since(t)).Microseconds()) / 1000 }
		c := hubclient.Confirmation{Agent: a.reports.agent(), Cursor: r.cursors[key], DeployedMSAgo: ago(since), Anew: first && !begun[key]}
		c.FetchedMSAgo = max(ago(r.came), c.DeployedMSAgo)
		for _, id := range some {
			if r.idle[key][id] {
				c.Idle = append(c.Idle, id)
			} else {
				c.Busy = append(c.Busy, id)
			}
		}
		if err := a.Hub.Confirm(ctx, collection.Community, collection.Collection, c); err != nil {
			return err //nolint:wrapcheck // it explains itself
		}
	}
	begun[key] = true
	return nil
}
