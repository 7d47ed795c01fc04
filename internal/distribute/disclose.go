package distribute

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tocsin"
	"tocsin/internal/member"
	"tocsin/internal/view"
	"tocsin/receipt"
)

// flushEvery is how long reads by companies may wait to be logged together.
// Reads by institutions never wait.
const flushEvery = time.Second

// mostPending bounds the reads that wait: beyond it a reader waits for the
// ledger.
const mostPending = 10_000

// reads gathers disclosures. A range of the order that one reader reads on and
// on is one disclosure, not thousands.
type reads struct {
	to Discloser

	mu      sync.Mutex
	pending disclosures

	turn chan struct{} // holds one while reads that are waited for are written
	next *gathering    // of those that wait for the write after it; nil: nobody waits
}

// disclosures are reads by who reads what for which purpose.
type disclosures map[readKey]*receipt.Disclosure

// A gathering is one write of reads that somebody waits for.
type gathering struct {
	reads disclosures
	done  chan struct{} // closed when they are durable, or err says why not
	err   error
}

// writeTime bounds one write of reads that somebody waits for.
const writeTime = 30 * time.Second

type readKey struct{ organization, user, token, purpose, collection string }

func newReads(to Discloser) *reads {
	return &reads{to: to, pending: disclosures{}, turn: make(chan struct{}, 1)}
}

// disclose records that a member is about to be given objects. For an
// institution the record is durable in the ledger when disclose returns, which
// is before the objects leave; for others it is within a second.
func (f *Feed) disclose(ctx context.Context, who tocsin.Member, c member.Collection, objects []view.Object) error {
	if len(objects) == 0 {
		return nil
	}
	from, to := span(objects)
	return f.discloseSpan(ctx, who, c, from, to, len(objects))
}

// discloseSpan is disclose, of a number of objects at the positions from..to.
func (f *Feed) discloseSpan(ctx context.Context, who tocsin.Member, c member.Collection, from, to int64, objects int) error {
	d := receipt.Disclosure{
		Time: time.Now(), Organization: who.Organization.Name, OrganizationKind: who.Organization.Kind,
		User: who.User, Purpose: who.Purpose, Community: c.Community, Collection: c.ID, From: from, To: to, Objects: objects,
	}
	key := readKey{who.Organization.Name, who.User, who.Token, who.Purpose, c.ID}
	if who.Organization.Institutional() {
		return f.reads.wait(ctx, key, d)
	}
	if f.reads.add(key, d) >= mostPending {
		return f.reads.flush(ctx)
	}
	return nil
}

// wait writes a read to the ledger and returns when it is durable. All that
// come while one write is under way share the next: thousands of subscribers
// of an institution cost two writes for an object, not thousands.
func (r *reads) wait(ctx context.Context, key readKey, d receipt.Disclosure) error {
	r.mu.Lock()
	g := r.next
	first := g == nil
	if first {
		g = &gathering{reads: disclosures{}, done: make(chan struct{})}
		r.next = g
	}
	g.reads.add(key, d)
	r.mu.Unlock()
	if first { // who came first writes for all, even when nobody waits for the first any more
		r.turn <- struct{}{}
		r.mu.Lock()
		r.next = nil
		r.mu.Unlock()
		write, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTime)
		g.err = r.to.Disclose(write, g.reads.list())
		cancel()
		<-r.turn
		close(g.done)
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if g.err != nil {
		return fmt.Errorf("disclose: %w", g.err)
	}
	return nil
}

// span returns the lowest and the highest position among objects.
func span(objects []view.Object) (from, to int64) {
	from, to = objects[0].Seq(), objects[0].Seq()
	for _, o := range objects[1:] {
		from, to = min(from, o.Seq()), max(to, o.Seq())
	}
	return from, to
}

// add joins a read to what the same reader has read of the same collection.
func (all disclosures) add(key readKey, d receipt.Disclosure) {
	if p, ok := all[key]; ok {
		p.From, p.To, p.Objects = min(p.From, d.From), max(p.To, d.To), p.Objects+d.Objects
		return
	}
	added := d // so that a read that joins another costs no memory
	all[key] = &added
}

func (all disclosures) list() []receipt.Disclosure {
	list := make([]receipt.Disclosure, 0, len(all))
	for _, d := range all {
		list = append(list, *d)
	}
	return list
}

func (r *reads) add(key readKey, d receipt.Disclosure) (pending int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending.add(key, d)
	return len(r.pending)
}

func (r *reads) flush(ctx context.Context) error {
	r.mu.Lock()
	pending := r.pending
	r.pending = disclosures{}
	r.mu.Unlock()
	if len(pending) == 0 {
		return nil
	}
	if err := r.to.Disclose(ctx, pending.list()); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for key, d := range pending { // nothing read goes unlogged: try again with the next
			r.pending.add(key, *d)
		}
		return fmt.Errorf("disclose: %w", err)
	}
	return nil
}

// Run writes waiting disclosures to the ledger every second, and the last ones
// when the context ends. Pages of what was withdrawn it forgets meanwhile.
func (f *Feed) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.pages.sweep(f.store)
			if err := f.reads.flush(ctx); err != nil {
				log.ErrorContext(ctx, "disclosures not logged yet", "error", err)
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			if err := f.reads.flush(last); err != nil {
				log.ErrorContext(last, "disclosures not logged", "error", err)
			}
			return
		}
	}
}
