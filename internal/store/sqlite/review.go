package sqlite

import (
	"context"
	"fmt"
	"time"

	"tocsin/internal/review"
	"tocsin/internal/store"
	"tocsin/receipt"
)

// Reviewing returns how many values of an organization wait for review.
func (r *recording) Reviewing(owner string) (int, error) {
	n, err := r.batch.c.number("SELECT count(*) FROM reviews WHERE owner = ? AND expires IS NOT NULL", owner)
	return int(n), err
}

// Review puts a value in the queue.
func (r *recording) Review(i store.Review) error {
	doc, err := i.Encode()
	if err != nil {
		return err
	}
	const sql = "INSERT INTO reviews (idhash, community, owner, collection, object, submission, expires, doc, original) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
	return r.batch.c.run(sql, store.IDHash(i.ID), i.Community, i.Owner, i.Collection, store.IDHash(i.Object), store.IDHash(i.Submission),
		i.Expires.UnixMicro(), doc, []byte(i.Original()))
}

// SupersedeReviews ends what waits of an object of the collection.
func (r *recording) SupersedeReviews(id string) error {
	return r.batch.supersede(r.Admitted.Target().Collection, id)
}

// supersede ends what waits of an object, and has its values leave the
// write-ahead log.
func (b *batch) supersede(collection, id string) error {
	n, err := b.endReviews(review.Superseded, time.Now(), func(i store.Review) bool { return i.Object == id && i.Collection == collection },
		"SELECT number, doc FROM reviews WHERE object = ? AND expires IS NOT NULL", store.IDHash(id))
	b.purged = b.purged || n > 0
	return err
}

// endReviews ends the pending items that a query finds and that match, and
// returns how many.
func (b *batch) endReviews(s review.State, at time.Time, match func(store.Review) bool, sql string, args ...any) (int, error) {
	found, err := b.c.reviews(sql, args...)
	if err != nil {
		return 0, err
	}
	ended := 0
	for _, f := range found {
		if !match(f.Review) {
			continue
		}
		f.Item = f.End(s, at)
		if err := b.c.putReview(f); err != nil {
			return 0, err
		}
		ended++
	}
	return ended, nil
}

// EndReview ends an item that a submission carries out.
func (r *recording) EndReview(i review.Item) (bool, error) {
	f, ok, err := r.batch.c.review(i.ID)
	if err != nil || !ok {
		return false, err
	}
	if !f.Precedes(i) {
		return false, nil
	}
	f.Item = i
	r.batch.purged = true
	return true, r.batch.c.putReview(f)
}

// numbered is an item and its place in the queue.
type numbered struct {
	store.Review

	number int64
}

// reviews reads items without their values.
func (c *conn) reviews(sql string, args ...any) (out []numbered, err error) {
	for r := range c.rows(&err, sql, args...) {
		i, err := store.DecodeReview(r.ColumnRawBlob(1), nil)
		if err != nil {
			return nil, fmt.Errorf("review: %w", err)
		}
		out = append(out, numbered{i, r.ColumnInt64(0)})
	}
	return out, err
}

// review reads an item with its value.
func (c *conn) review(id string) (out numbered, found bool, err error) {
	for r := range c.rows(&err, "SELECT number, doc, original FROM reviews WHERE idhash = ?", store.IDHash(id)) {
		i, err := store.DecodeReview(r.ColumnRawBlob(1), r.ColumnRawBlob(2))
		if err != nil {
			return numbered{}, false, fmt.Errorf("review: %w", err)
		}
		if i.ID == id {
			out, found = numbered{i, r.ColumnInt64(0)}, true
			break
		}
	}
	return out, found, err
}

// putReview writes an item anew, and erases its value when it has ended.
func (c *conn) putReview(i numbered) error {
	doc, err := i.Encode()
	if err != nil {
		return err
	}
	if i.State == review.Pending {
		return c.run("UPDATE reviews SET doc = ? WHERE number = ?", doc, i.number)
	}
	return c.run("UPDATE reviews SET doc = ?, expires = NULL, original = NULL WHERE number = ?", doc, i.number)
}

// Reviews lists items of a community, without their values.
func (s *Store) Reviews(ctx context.Context, q store.ReviewQuery) (found []store.Review, next int64, err error) {
	sql := "SELECT number, doc FROM reviews WHERE community = ? AND number > ? AND expires IS "
	if !q.Ended {
		sql += "NOT "
	}
	sql += "NULL"
	args := []any{q.Community, q.After}
	if q.Object != "" {
		sql += " AND object = ?"
		args = append(args, store.IDHash(q.Object))
	}
	sql += " ORDER BY number LIMIT ?"
	err = s.readers.read(ctx, func(c *conn) error {
		all, err := c.reviews(sql, append(args, max(q.Most, 0))...)
		for _, i := range all {
			next = i.number
			if q.Object == "" || i.Object == q.Object {
				found = append(found, i.Review)
			}
		}
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("reviews: %w", err)
	}
	return found, max(next, q.After), nil
}

// Review returns an item with its value, not found when there is none.
func (s *Store) Review(ctx context.Context, id string) (store.Review, error) {
	var out numbered
	found := false
	err := s.readers.read(ctx, func(c *conn) (err error) {
		out, found, err = c.review(id)
		return err
	})
	switch {
	case err != nil:
		return store.Review{}, fmt.Errorf("review: %w", err)
	case !found:
		return store.Review{}, store.NoReview()
	}
	return out.Review, nil
}

// SaveReview puts an item in the place of what was read, and says why in the
// ledger.
func (s *Store) SaveReview(ctx context.Context, read, now review.Item, why receipt.Review) error {
	record, err := store.ReviewRecord(s.signer.Origin(), now, why)
	if err != nil {
		return fmt.Errorf("review: %w", err)
	}
	return s.submit(ctx, &job{weight: 1, erases: now.State != review.Pending, do: func(b *batch) error {
		stored, found, err := b.c.review(now.ID)
		if err != nil {
			return err
		}
		next, ok := stored.Replace(read, now)
		if !found || !ok {
			return store.ReviewConflict()
		}
		stored.Review = next
		if err := b.c.putReview(stored); err != nil {
			return err
		}
		_, err = b.record(record, annotation{community: now.Community})
		return err
	}})
}

// ExpireReviews ends items whose time is over, each with a record in the ledger.
func (s *Store) ExpireReviews(ctx context.Context, now time.Time, most int) (int, error) {
	ended := 0
	if none, err := s.noneExpired(ctx, now); err != nil || none {
		return 0, err
	}
	err := s.submit(ctx, &job{weight: most, erases: true, do: func(b *batch) error {
		const sql = "SELECT number, doc FROM reviews WHERE expires <= ? ORDER BY expires LIMIT ?"
		due, err := b.c.reviews(sql, now.UnixMicro(), most)
		if err != nil {
			return err
		}
		for _, i := range due {
			i.Item = i.End(review.Expired, now)
			if err := b.c.putReview(i); err != nil {
				return err
			}
			record, err := store.ReviewRecord(s.signer.Origin(), i.Item, receipt.Review{Action: "expire"})
			if err != nil {
				return err
			}
			if _, err := b.record(record, annotation{community: i.Community}); err != nil {
				return err
			}
		}
		ended = len(due)
		return nil
	}})
	if err != nil {
		return 0, fmt.Errorf("expire reviews: %w", err)
	}
	return ended, nil
}

// noneExpired reports whether no item's time is over, so that the writer need
// not be troubled.
func (s *Store) noneExpired(ctx context.Context, now time.Time) (none bool, err error) {
	err = s.readers.read(ctx, func(c *conn) error {
		n, err := c.number("SELECT count(*) FROM (SELECT 1 FROM reviews WHERE expires <= ? LIMIT 1)", now.UnixMicro())
		none = n == 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("expired reviews: %w", err)
	}
	return none, nil
}

// reviewsOf counts what waits of a submission.
func (c *conn) reviewsOf(submission string) (int, error) {
	n, err := c.number("SELECT count(*) FROM reviews WHERE submission = ? AND expires IS NOT NULL", store.IDHash(submission))
	return int(n), err
}
