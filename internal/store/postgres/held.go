package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/store"
)

// A held row is one of the table held that a batch adds.
type held struct {
	store.Hold

	doc []byte
}

// A settled row is one of the table held that a batch ends.
type settled struct {
	number int64
	doc    []byte
}

// Holding returns how many versions of an organization wait.
func (r *recording) Holding(organization string) (n int, err error) {
	err = r.batch.tx.QueryRow(r.ctx(), "SELECT count(*) FROM held WHERE organization = $1 AND wake IS NOT NULL", organization).Scan(&n)
	for _, h := range r.batch.held {
		if h.Who.Organization == organization {
			n++
		}
	}
	return n, err
}

// Hold puts a version aside.
func (r *recording) Hold(h store.Hold) error {
	doc, err := h.Encode()
	if err != nil {
		return err
	}
	r.batch.held = append(r.batch.held, held{h, doc})
	return nil
}

// queueHeld writes what was put aside. Whoever writes has the sequencer's row,
// so nobody else gives out the same numbers.
func (b *batch) queueHeld(q *pgx.Batch) {
	for _, h := range b.held {
		q.Queue("INSERT INTO held (hold, submission, organization, wake, doc, raw) SELECT coalesce(max(hold), 0) + 1, $1, $2, $3, $4, $5 FROM held",
			store.IDHash(h.Submission), h.Who.Organization, h.Wake().UnixMicro(), h.doc, h.Raw)
	}
	for _, s := range b.settled {
		q.Queue("UPDATE held SET wake = NULL, doc = $1, raw = NULL WHERE hold = $2", s.doc, s.number)
	}
}

// Due returns holds whose time has come, those that wait longest first.
func (s *Store) Due(ctx context.Context, now time.Time, most int) ([]store.Hold, error) {
	return s.holds(ctx, "SELECT hold, doc, raw FROM held WHERE wake <= $1 ORDER BY wake, submission, hold LIMIT $2", now.UnixMicro(), most)
}

// Held returns what waits of an organization, without content.
func (s *Store) Held(ctx context.Context, organization string) ([]store.Hold, error) {
	return s.holds(ctx, "SELECT hold, doc, CAST(NULL AS bytea) FROM held WHERE organization = $1 AND wake IS NOT NULL ORDER BY hold", organization)
}

func (s *Store) holds(ctx context.Context, sql string, args ...any) (out []store.Hold, err error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err == nil {
		out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.Hold, error) {
			var number int64
			var doc, raw []byte
			if err := r.Scan(&number, &doc, &raw); err != nil {
				return store.Hold{}, err
			}
			return store.DecodeHold(number, doc, raw)
		})
	}
	if err != nil {
		return nil, fmt.Errorf("held: %w", unavailable(err))
	}
	return out, nil
}

// Settle ends a hold and erases its content. Of two replicas that settle the
// same one, the first counts.
func (s *Store) Settle(ctx context.Context, number int64, how store.Settlement) error {
	return s.submit(ctx, &job{weight: 1, alone: true, do: func(ctx context.Context, b *batch) error {
		var doc []byte
		err := b.tx.QueryRow(ctx, "SELECT doc FROM held WHERE hold = $1 AND wake IS NOT NULL", number).Scan(&doc)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		h, err := store.DecodeHold(number, doc, nil)
		if err != nil {
			return err
		}
		h.Settlement = how
		if doc, err = h.Encode(); err != nil {
			return err
		}
		b.settled = append(b.settled, settled{number, doc})
		return nil
	}})
}
