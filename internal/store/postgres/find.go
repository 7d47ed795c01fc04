package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin"
	"tocsin/internal/review"
	"tocsin/internal/store"
	"tocsin/receipt"
)

// Find returns what content matches, in all collections.
func (s *Store) Find(ctx context.Context, match func(content []byte) bool, after int64) (store.Found, error) {
	out := store.Found{Next: after}
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if after == 0 {
			if err := findWaiting(ctx, tx, match, &out); err != nil {
				return err
			}
		}
		return s.findObjects(ctx, tx, match, &out)
	})
	if err != nil {
		return store.Found{}, fmt.Errorf("find: %w", unavailable(err))
	}
	return out, nil
}

// findRows is how many rows one query of [Store.Find] may return: what it returns
// is read from the connection row by row, and the rest is given up.
const findRows = 5_000

func (s *Store) findObjects(ctx context.Context, tx pgx.Tx, match func([]byte) bool, out *store.Found) error {
	rows, err := tx.Query(ctx, "SELECT o.seq, o.id, o.version, o.added, o.raw, c.name, l.doc FROM objects o JOIN collections c ON c.collection = o.collection"+
		" JOIN labels l ON l.label = o.label WHERE o.seq > $1 ORDER BY o.seq LIMIT $2", out.Next, findRows)
	if err != nil {
		return err
	}
	defer rows.Close()
	size, seen := 0, 0
	for rows.Next() {
		if size > store.MaxContent || len(out.Objects) >= store.MostFound {
			out.More = true
			return nil
		}
		var p store.Placed
		var added int64
		var raw []byte
		var doc string
		if err := rows.Scan(&p.Seq, &p.ID, &p.Name, &added, &raw, &p.Collection, &doc); err != nil {
			return err
		}
		out.Next = p.Seq
		seen++
		if size += len(raw); len(raw) == 0 || !match(raw) {
			continue
		}
		label, err := store.DecodeLabel([]byte(doc))
		if err != nil {
			return err
		}
		if p.Name == "" {
			p.Name = store.TAXIITime(added)
		}
		p.Community, p.Owner = label.Community, label.Owner
		out.Objects = append(out.Objects, p)
	}
	out.More = seen == findRows
	return rows.Err()
}

// findWaiting looks at what waits in quarantine and for review.
func findWaiting(ctx context.Context, tx pgx.Tx, match func([]byte) bool, out *store.Found) error {
	rows, err := tx.Query(ctx, "SELECT hold, doc, raw FROM held WHERE wake IS NOT NULL")
	if err != nil {
		return err
	}
	var number int64
	var doc, raw []byte
	if _, err := pgx.ForEachRow(rows, []any{&number, &doc, &raw}, func() error {
		if !match(raw) {
			return nil
		}
		h, err := store.DecodeHold(number, doc, nil)
		out.Holds = append(out.Holds, h)
		return err
	}); err != nil {
		return err
	}
	if rows, err = tx.Query(ctx, "SELECT number, doc, original FROM reviews WHERE expires IS NOT NULL"); err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, []any{&number, &doc, &raw}, func() error {
		if !match(raw) {
			return nil
		}
		i, err := store.DecodeReview(doc, nil)
		out.Reviews = append(out.Reviews, i)
		return err
	})
	return err
}

// EraseReview ends a pending review.
func (s *Store) EraseReview(ctx context.Context, id string, who tocsin.Member, reason string) error {
	return s.submit(ctx, &job{weight: 1, alone: true, do: func(ctx context.Context, b *batch) error {
		i, err := oneReview(ctx, b.tx, id)
		if e, ok := errors.AsType[*tocsin.Error](err); ok && e.Kind == tocsin.NotFound {
			return nil
		}
		if err != nil || i.State != review.Pending {
			return err
		}
		i.Item = i.End(review.Superseded, time.Now())
		record, err := store.ReviewRecord(s.signer.Origin(), i.Item, receipt.Review{Organization: who.Organization.Name, User: who.User, Action: "erase", Reason: reason})
		if err != nil {
			return err
		}
		b.ended = append(b.ended, i)
		b.record(recorded{Record: record, community: i.Community})
		return nil
	}})
}
