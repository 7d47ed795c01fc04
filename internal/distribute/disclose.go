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
	pending map[readKey]*receipt.Disclosure
}

type readKey struct{ organization, user, token, purpose, collection string }

func newReads(to Discloser) *reads {
	return &reads{to: to, pending: map[readKey]*receipt.Disclosure{}}
}

// disclose records that a member is about to be given objects. For an
// institution the record is durable in the ledger when disclose returns, which
// is before the objects leave; for others it is within a second.
func (f *Feed) disclose(ctx context.Context, who tocsin.Member, c member.Collection, objects []view.Object) error {
	if len(objects) == 0 {
		return nil
	}
	d := receipt.Disclosure{
		Time: time.Now(), Organization: who.Organization.Name, OrganizationKind: who.Organization.Kind,
		User: who.User, Purpose: who.Purpose, Community: c.Community, Collection: c.ID, Objects: len(objects),
	}
	d.From, d.To = span(objects)
	if who.Organization.Institutional() {
		if err := f.reads.to.Disclose(ctx, []receipt.Disclosure{d}); err != nil {
			return fmt.Errorf("disclose: %w", err)
		}
		return nil
	}
	if f.reads.add(readKey{who.Organization.Name, who.User, who.Token, who.Purpose, c.ID}, d) >= mostPending {
		return f.reads.flush(ctx)
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

func (r *reads) add(key readKey, d receipt.Disclosure) (pending int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.pending[key]; ok {
		p.From, p.To = min(p.From, d.From), max(p.To, d.To)
		p.Objects += d.Objects
	} else {
		r.pending[key] = &d
	}
	return len(r.pending)
}

func (r *reads) flush(ctx context.Context) error {
	r.mu.Lock()
	pending := r.pending
	r.pending = map[readKey]*receipt.Disclosure{}
	r.mu.Unlock()
	if len(pending) == 0 {
		return nil
	}
	batch := make([]receipt.Disclosure, 0, len(pending))
	for _, d := range pending {
		batch = append(batch, *d)
	}
	if err := r.to.Disclose(ctx, batch); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for key, d := range pending { // nothing read goes unlogged: try again with the next
			if newer, ok := r.pending[key]; ok {
				newer.From, newer.To, newer.Objects = min(newer.From, d.From), max(newer.To, d.To), newer.Objects+d.Objects
				continue
			}
			r.pending[key] = d
		}
		return fmt.Errorf("disclose: %w", err)
	}
	return nil
}

// Run writes waiting disclosures to the ledger every second, and the last ones
// when the context ends.
func (f *Feed) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
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
