package withdraw

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"tocsin"
	"tocsin/internal/member"
	"tocsin/internal/store"
	"tocsin/receipt"
)

// An Order is the one order of objects, read without their content.
type Order interface {
	Scan(ctx context.Context, s store.Scan) (store.Scanned, error)
	Seek(ctx context.Context, t time.Time) (int64, error)
	Withdraw(ctx context.Context, w store.Withdrawal) (gone int, leaf int64, err error)
}

// A Retention deletes what communities do not keep any longer. Several hubs on
// one database may do so at once: what is gone is passed over.
type Retention struct {
	Order Order
	// Rules returns what expires, in all communities.
	Rules func() []member.Kept

	// looked is up to which position a rule has been carried out in a collection:
	// what is added later stands later, and so expires later. It begins anew with
	// the process, and with another rule.
	looked map[string]int64
}

// How often the hub looks for what has expired. A day of a rule is 24 hours; what
// it says may be late by this, and by the time that a batch takes.
const expireEvery = time.Minute

// Run deletes what expires until the context ends.
func (r *Retention) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		gone, err := r.Expire(ctx, time.Now())
		if err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, "retention", "error", err)
		}
		if gone > 0 {
			log.InfoContext(ctx, "retention", "expired", gone)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Expire deletes what has expired by a time, in batches of
// [store.MostWithdrawn], each with a record that names the rule, and returns how
// many versions went. It is not to be called by two goroutines at once.
func (r *Retention) Expire(ctx context.Context, now time.Time) (gone int, err error) {
	looked := map[string]int64{}
	for _, k := range r.Rules() {
		end, err := r.Order.Seek(ctx, now.Add(-k.Time))
		if err != nil {
			return gone, fmt.Errorf("seek: %w", err)
		}
		for _, c := range k.Collections {
			key := strings.Join([]string{c.ID, k.Type, k.Time.String(), strings.Join(k.But, " ")}, "\x00")
			at := r.looked[key]
			for at < end {
				n, next, err := r.batch(ctx, k, c.ID, at, end)
				gone += n
				if err != nil {
					return gone, err
				}
				at = next
			}
			looked[key] = at
		}
	}
	r.looked = looked // rules that are no longer there are forgotten
	return gone, nil
}

// batch deletes what a rule says of the next positions of a collection, and
// returns up to which one it has looked.
func (r *Retention) batch(ctx context.Context, k member.Kept, collection string, after, end int64) (gone int, next int64, err error) {
	scan := store.Scan{Collection: collection, After: after, Most: store.MostWithdrawn, Meta: true}
	if k.Type != member.EveryType {
		scan.Types = []string{k.Type}
	}
	found, err := r.Order.Scan(ctx, scan)
	if err != nil {
		return 0, after, fmt.Errorf("scan: %w", err)
	}
	w := store.Withdrawal{Who: tocsin.Member{}, Community: k.Community, Collection: collection, Cause: receipt.Expired, Rule: k.Rule}
	for _, row := range found.Rows {
		if row.Seq <= end && !row.Withdrawn && !slices.Contains(k.But, row.Type) {
			w.Versions = append(w.Versions, store.Version{ID: row.ID, Seq: row.Seq})
		}
	}
	if len(w.Versions) > 0 {
		if gone, _, err = r.Order.Withdraw(ctx, w); err != nil {
			return 0, after, fmt.Errorf("withdraw: %w", err)
		}
	}
	if next = found.Next; !found.More || next <= after {
		next = end
	}
	return gone, next, nil
}
