package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/review"
	"tocsin/internal/store"
	"tocsin/receipt"
)

// Reviewing returns how many values of an organization wait for review.
func (r *recording) Reviewing(owner string) (n int, err error) {
	err = r.batch.tx.QueryRow(r.ctx(), "SELECT count(*) FROM reviews WHERE owner = $1 AND expires IS NOT NULL", owner).Scan(&n)
	for _, i := range r.batch.reviews {
		if i.Owner == owner {
			n++
		}
	}
	return n, err
}

// Review puts a value in the queue.
func (r *recording) Review(i store.Review) error {
	r.batch.reviews = append(r.batch.reviews, i)
	return nil
}

// SupersedeReviews ends what waits of an object of the collection.
func (r *recording) SupersedeReviews(id string) error {
	return r.batch.supersede(r.ctx(), r.Admitted.Target().Collection, id)
}

// supersede ends what waits of an object: what is stored, and what the batch
// adds.
func (b *batch) supersede(ctx context.Context, collection, id string) error {
	found, err := b.pendingReviews(ctx, "SELECT number, doc FROM reviews WHERE object = $1 AND expires IS NOT NULL", store.IDHash(id))
	if err != nil {
		return err
	}
	ended := map[string]bool{} // by what else is in the transaction
	for _, i := range b.ended {
		ended[i.ID] = true
	}
	for _, i := range append(found, b.reviews...) {
		if i.Object == id && i.Collection == collection && !ended[i.ID] {
			i.Item = i.End(review.Superseded, time.Now())
			b.ended = append(b.ended, i)
		}
	}
	return nil
}

// pendingReviews reads items without their values.
func (b *batch) pendingReviews(ctx context.Context, sql string, args ...any) ([]store.Review, error) {
	rows, err := b.tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	found, _, err := collectReviews(rows)
	return found, err
}

func collectReviews(rows pgx.Rows) (found []store.Review, last int64, err error) {
	var doc []byte
	_, err = pgx.ForEachRow(rows, []any{&last, &doc}, func() error {
		i, err := store.DecodeReview(doc, nil)
		found = append(found, i)
		return err
	})
	return found, last, err
}

// EndReview ends an item that a submission carries out.
func (r *recording) EndReview(i review.Item) (bool, error) {
	stored, err := oneReview(r.ctx(), r.batch.tx, i.ID)
	for _, e := range r.batch.ended { // by another submission of the same transaction
		if e.ID == i.ID {
			return false, nil
		}
	}
	if err != nil || !stored.Precedes(i) {
		return false, err
	}
	stored.Item = i
	r.batch.ended = append(r.batch.ended, stored)
	return true, nil
}

// oneReview reads an item with its value, not found when there is none.
func oneReview(ctx context.Context, q querier, id string) (store.Review, error) {
	var doc, original []byte
	err := q.QueryRow(ctx, "SELECT doc, original FROM reviews WHERE idhash = $1", store.IDHash(id)).Scan(&doc, &original)
	if errors.Is(err, pgx.ErrNoRows) {
		return store.Review{}, store.NoReview()
	}
	if err != nil {
		return store.Review{}, err
	}
	i, err := store.DecodeReview(doc, original)
	if err == nil && i.ID != id {
		return store.Review{}, store.NoReview()
	}
	return i, err
}

// queueReviews writes what was put in the queue, and then what has ended.
// Whoever writes has the sequencer's row, so nobody else gives out the same
// numbers.
func (b *batch) queueReviews(q *pgx.Batch) error {
	for _, i := range b.reviews {
		doc, err := i.Encode()
		if err != nil {
			return err
		}
		q.Queue("INSERT INTO reviews (number, idhash, community, owner, object, submission, expires, doc, original)"+
			" SELECT coalesce(max(number), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8 FROM reviews",
			store.IDHash(i.ID), i.Community, i.Owner, store.IDHash(i.Object), store.IDHash(i.Submission), i.Expires.UnixMicro(), doc, []byte(i.Original()))
	}
	for _, i := range b.ended {
		doc, err := i.Encode()
		if err != nil {
			return err
		}
		if i.State == review.Pending {
			q.Queue("UPDATE reviews SET doc = $1 WHERE idhash = $2", doc, store.IDHash(i.ID))
			continue
		}
		q.Queue("UPDATE reviews SET doc = $1, expires = NULL, original = NULL WHERE idhash = $2", doc, store.IDHash(i.ID))
	}
	return nil
}

// Reviews lists items of a community, without their values.
func (s *Store) Reviews(ctx context.Context, q store.ReviewQuery) (found []store.Review, next int64, err error) {
	sql := "SELECT number, doc FROM reviews WHERE community = $1 AND number > $2 AND expires IS "
	if !q.Ended {
		sql += "NOT "
	}
	sql += "NULL"
	args := []any{q.Community, q.After, max(q.Most, 0)}
	if q.Object != "" {
		sql += " AND object = $4"
		args = append(args, store.IDHash(q.Object))
	}
	rows, err := s.pool.Query(ctx, sql+" ORDER BY number LIMIT $3", args...)
	var all []store.Review
	if err == nil {
		all, next, err = collectReviews(rows)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reviews: %w", unavailable(err))
	}
	for _, i := range all {
		if q.Object == "" || i.Object == q.Object {
			found = append(found, i)
		}
	}
	return found, max(next, q.After), nil
}

// Review returns an item with its value, not found when there is none.
func (s *Store) Review(ctx context.Context, id string) (store.Review, error) {
	i, err := oneReview(ctx, s.pool, id)
	if err != nil {
		return store.Review{}, fmt.Errorf("review: %w", unavailable(err))
	}
	return i, nil
}

// SaveReview puts an item in the place of what was read, and says why in the
// ledger. Of two replicas that do so, the first counts.
func (s *Store) SaveReview(ctx context.Context, read, now review.Item, why receipt.Review) error {
	record, err := store.ReviewRecord(s.signer.Origin(), now, why)
	if err != nil {
		return fmt.Errorf("review: %w", err)
	}
	return s.submit(ctx, &job{weight: 1, alone: true, do: func(ctx context.Context, b *batch) error {
		stored, err := oneReview(ctx, b.tx, now.ID)
		if err != nil {
			return err
		}
		next, ok := stored.Replace(read, now)
		if !ok {
			return store.ReviewConflict()
		}
		b.ended = append(b.ended, next)
		b.record(recorded{Record: record, community: now.Community})
		return nil
	}})
}

// ExpireReviews ends items whose time is over, each with a record in the ledger.
func (s *Store) ExpireReviews(ctx context.Context, now time.Time, most int) (int, error) {
	var due bool
	if err := s.pool.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM reviews WHERE expires <= $1)", now.UnixMicro()).Scan(&due); err != nil || !due {
		return 0, unavailable(err)
	}
	ended := 0
	err := s.submit(ctx, &job{weight: most, alone: true, do: func(ctx context.Context, b *batch) error {
		found, err := b.pendingReviews(ctx, "SELECT number, doc FROM reviews WHERE expires <= $1 ORDER BY expires LIMIT $2", now.UnixMicro(), most)
		if err != nil {
			return err
		}
		for _, i := range found {
			i.Item = i.End(review.Expired, now)
			record, err := store.ReviewRecord(s.signer.Origin(), i.Item, receipt.Review{Action: "expire"})
			if err != nil {
				return err
			}
			b.ended = append(b.ended, i)
			b.record(recorded{Record: record, community: i.Community})
		}
		ended = len(found)
		return nil
	}})
	if err != nil {
		return 0, fmt.Errorf("expire reviews: %w", err)
	}
	return ended, nil
}
