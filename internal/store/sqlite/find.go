package sqlite

import (
	"context"
	"fmt"
	"time"

	"tocsin"
	"tocsin/internal/review"
	"tocsin/internal/store"
	"tocsin/receipt"
)

// Find returns what content matches, in all collections.
func (s *Store) Find(ctx context.Context, match func(content []byte) bool, after int64) (store.Found, error) {
	out := store.Found{Next: after}
	err := s.readers.read(ctx, func(c *conn) error {
		if after == 0 {
			if err := c.findWaiting(match, &out); err != nil {
				return err
			}
		}
		return s.findObjects(c, match, &out)
	})
	if err != nil {
		return store.Found{}, fmt.Errorf("find: %w", err)
	}
	return out, nil
}

func (s *Store) findObjects(c *conn, match func([]byte) bool, out *store.Found) (err error) {
	size := 0
	for r := range c.rows(&err, fetchRun, out.Next) {
		if size > store.MaxContent || len(out.Objects) >= store.MostFound {
			out.More = true
			return nil
		}
		out.Next = r.ColumnInt64(0)
		raw := r.ColumnRawBlob(columnRaw)
		if size += len(raw); len(raw) == 0 || !match(raw) {
			continue
		}
		d := reading{store: s, meta: true}
		sealed, err := d.seal(c, r)
		if err != nil {
			return err
		}
		out.Objects = append(out.Objects, store.PlacedAt(sealed))
	}
	return err
}

// findWaiting looks at what waits in quarantine and for review.
func (c *conn) findWaiting(match func([]byte) bool, out *store.Found) (err error) {
	for r := range c.rows(&err, "SELECT hold, doc, raw FROM held WHERE wake IS NOT NULL") {
		if !match(r.ColumnRawBlob(2)) {
			continue
		}
		h, err := store.DecodeHold(r.ColumnInt64(0), r.ColumnRawBlob(1), nil)
		if err != nil {
			return err
		}
		out.Holds = append(out.Holds, h)
	}
	if err != nil {
		return err
	}
	for r := range c.rows(&err, "SELECT number, doc, original FROM reviews WHERE expires IS NOT NULL") {
		if !match(r.ColumnRawBlob(2)) {
			continue
		}
		i, err := store.DecodeReview(r.ColumnRawBlob(1), nil)
		if err != nil {
			return err
		}
		out.Reviews = append(out.Reviews, i)
	}
	return err
}

// EraseReview ends a pending review.
func (s *Store) EraseReview(ctx context.Context, id string, who tocsin.Member, reason string) error {
	return s.submit(ctx, &job{weight: 1, erases: true, do: func(b *batch) error {
		i, found, err := b.c.review(id)
		if err != nil || !found || i.State != review.Pending {
			return err
		}
		i.Item = i.End(review.Superseded, time.Now())
		if err := b.c.putReview(i); err != nil {
			return err
		}
		record, err := store.ReviewRecord(s.signer.Origin(), i.Item, receipt.Review{Organization: who.Organization.Name, User: who.User, Action: "erase", Reason: reason})
		if err != nil {
			return err
		}
		_, err = b.record(record, annotation{community: i.Community})
		return err
	}})
}
