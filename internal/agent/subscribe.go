package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"tocsin"
	"tocsin/internal/hubclient"
	parsed "tocsin/internal/indicator"
	"tocsin/internal/outbound"
	"tocsin/internal/taxii/client"
	"tocsin/stix"
)

// The pace of a subscription whose stream does not work.
const (
	firstRetry     = 250 * time.Millisecond
	lastRetry      = 10 * time.Second
	reconcileEvery = 5 * time.Minute
)

// calmTime is how long a stream brings nothing when all that was shared before
// has come. The stream itself does not say.
const calmTime = 250 * time.Millisecond

// subscribe reads a collection until the context ends: its stream, and by TAXII
// while there is none. A stream that answers and then brings nothing, as behind
// a proxy that waits for its end, is none.
func (a *agent) subscribe(ctx context.Context, c Collection) {
	backoff := outbound.Backoff{Least: firstRetry, Most: lastRetry}
	var reconciled time.Time
	told, failed := false, "" // what was said of this outage
	for {
		opened, brought, err := a.stream(ctx, c)
		if ctx.Err() != nil {
			return
		}
		if a.strange(c, err) {
			a.fail(fmt.Errorf("collection %s: %w", c.key(), err))
			return
		}
		if opened || !told {
			told, failed = true, ""
			a.Log.WarnContext(ctx, "stream ended", "collection", c.key(), "cause", fmt.Sprint(err))
			a.tell(Event{Kind: Disconnected, Collection: c, Err: err})
		}
		if brought {
			backoff.Reset()
		} else if err := a.poll(ctx, c, &reconciled); err != nil && err.Error() != failed {
			failed = err.Error()
			a.failed(ctx, "poll", Event{Collection: c, Err: err})
		}
		if outbound.Wait(ctx, backoff.Next()) != nil {
			return
		}
	}
}

// strange reports whether a hub refuses a collection of which nothing ever
// came: then the options are wrong, and not the hub.
func (a *agent) strange(c Collection, err error) bool {
	e, ok := errors.AsType[*tocsin.Error](err)
	if !ok || e.Kind != tocsin.NotFound && e.Kind != tocsin.Forbidden && e.Kind != tocsin.Unauthenticated {
		return false
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	_, known := a.book.cursors[c.key()]
	return !known
}

// stream takes what the stream brings until it breaks, and reports whether it
// was opened and brought anything, were it a sign that the hub is there.
func (a *agent) stream(ctx context.Context, c Collection) (opened, brought bool, err error) {
	a.mu.RLock()
	cursor := a.book.cursors[c.key()].Stream
	a.mu.RUnlock()
	calm := time.AfterFunc(calmTime, func() { a.settle(c.key()) })
	calm.Stop() // until the stream is open
	defer calm.Stop()
	for e, err := range a.Hub.Stream(ctx, c.Community, c.Collection, cursor) {
		if err != nil {
			if refused, ok := errors.AsType[*tocsin.Error](err); ok && refused.Kind == tocsin.Malformed && cursor != "" && !opened {
				// A hub that was restored or replaced does not know the cursor.
				err = errors.Join(err, a.read(c, nil, func(at *cursors) { at.Stream = "" }))
			}
			return opened, brought, err
		}
		calm.Reset(calmTime)
		if e.Kind == hubclient.Opened {
			opened = true
			a.Log.InfoContext(ctx, "stream opened", "collection", c.key())
			a.tell(Event{Kind: Connected, Collection: c})
			continue
		}
		brought = true
		move := func(at *cursors) { at.Stream = e.Cursor }
		switch e.Kind {
		case hubclient.Object:
			err = a.read(c, e.Data, move)
		case hubclient.Withdrawn:
			w, _ := e.Withdrawal()
			err = a.withdraw(c, w, move)
		default: // of a newer hub, or a cursor alone
			err = a.read(c, nil, move)
		}
		if err != nil {
			a.failed(ctx, "state", Event{Collection: c, Err: err})
		}
	}
	return opened, brought, nil
}

// read takes an object, if there is one, and moves the collection's cursors.
func (a *agent) read(c Collection, object []byte, move func(*cursors)) error {
	var in *indicator
	var policy *storedPolicy
	if len(object) > 0 {
		if v, err := stix.Parse(object, stix.Limits{Bytes: len(object)}); err == nil {
			in, _ = readIndicator(v)
			if marking, allowed, ok := parsed.Policy(v); ok {
				policy = &storedPolicy{marking, allowed}
			}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if moved := a.move(c, move); !moved && in == nil && policy == nil {
		return nil
	}
	entry := journalEntry{Collection: c.key()}
	if in != nil {
		now := time.Now()
		in.came = now
		if a.book.take(c.key(), in, now) {
			entry.Indicator = in
			a.wake()
		}
	}
	if policy != nil && a.book.explain(c.key(), policy.Marking, policy.Allowed) {
		entry.Policy = policy
		a.wake()
	}
	return a.journal.add(entry)
}

// withdraw takes an indicator, or what explains a marking, back.
func (a *agent) withdraw(c Collection, w hubclient.Withdrawal, move func(*cursors)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.move(c, move)
	entry := journalEntry{Collection: c.key()}
	if a.book.withdraw(c.key(), w.ID, w.Version) || a.book.forget(c.key(), w.ID) {
		entry.Gone = w.ID
		a.wake()
	}
	return a.journal.add(entry)
}

// move changes a collection's cursors, and reports whether it did. The caller
// holds the lock.
func (a *agent) move(c Collection, move func(*cursors)) bool {
	at := a.book.cursors[c.key()]
	before := at
	if move(&at); at == before {
		return false
	}
	a.book.cursors[c.key()] = at
	return true
}

// poll reads by TAXII what is new. TAXII does not tell what was withdrawn, so
// now and then the whole list is compared.
func (a *agent) poll(ctx context.Context, c Collection, reconciled *time.Time) error {
	a.mu.RLock()
	q := client.Query{From: a.book.cursors[c.key()].Poll, Types: wantedTypes()}
	a.mu.RUnlock()
	stay := func(*cursors) {}
	for page, err := range a.Hub.Objects(ctx, c.Community, c.Collection, q) {
		if err != nil {
			return fmt.Errorf("objects: %w", err)
		}
		for _, o := range page.Objects {
			err = errors.Join(err, a.read(c, o.Raw, stay))
		}
		if err = errors.Join(err, a.read(c, nil, func(at *cursors) { at.Poll = page.Cursor })); err != nil {
			return err
		}
	}
	a.settle(c.key())
	if time.Since(*reconciled) < reconcileEvery {
		return nil
	}
	if err := a.reconcile(ctx, c); err != nil {
		return err
	}
	*reconciled = time.Now()
	return nil
}

// reconcile drops the indicators that a collection no longer has. A list that
// breaks off drops none.
func (a *agent) reconcile(ctx context.Context, c Collection) error {
	a.mu.Lock()
	shelf := a.book.shelf(c.key())
	before, policies := maps.Clone(shelf.indicators), maps.Clone(shelf.policies)
	a.mu.Unlock()
	listed := map[string]bool{}
	for page, err := range a.Hub.Manifest(ctx, c.Community, c.Collection, client.Query{Types: wantedTypes()}) {
		if err != nil {
			return fmt.Errorf("manifest: %w", err)
		}
		for _, o := range page.Objects {
			listed[o.ID] = true
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var failed error
	gone := func(id string) {
		failed = errors.Join(failed, a.journal.add(journalEntry{Collection: c.key(), Gone: id}))
		a.wake()
	}
	for id, in := range before { // what came meanwhile is not old enough to be missing
		if !listed[id] && a.book.current(in) {
			a.book.drop(c.key(), id)
			gone(id)
		}
	}
	for id := range policies {
		if !listed[id] && a.book.forget(c.key(), id) {
			gone(id)
		}
	}
	return failed
}

// wantedTypes are the objects that an agent has a use for.
func wantedTypes() []string { return []string{"indicator", "marking-definition"} }
