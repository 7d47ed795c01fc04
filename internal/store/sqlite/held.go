package sqlite

import (
	"context"
	"fmt"
	"time"

	"tocsin/internal/store"
)

// Holding returns how many versions of an organization wait.
func (r *recording) Holding(organization string) (int, error) {
	n, err := r.batch.c.number("SELECT count(*) FROM held WHERE organization = ? AND wake IS NOT NULL", organization)
	return int(n), err
}

// Hold puts a version aside.
func (r *recording) Hold(h store.Hold) error {
	doc, err := h.Encode()
	if err != nil {
		return err
	}
	return r.batch.c.run("INSERT INTO held (submission, organization, wake, doc, raw) VALUES (?, ?, ?, ?, ?)",
		store.IDHash(h.Submission), h.Who.Organization, h.Wake().UnixMicro(), doc, h.Raw)
}

// Due returns holds whose time has come, those that wait longest first.
func (s *Store) Due(ctx context.Context, now time.Time, most int) ([]store.Hold, error) {
	return s.holds(ctx, "SELECT hold, doc, raw FROM held WHERE wake <= ? ORDER BY wake, submission, hold LIMIT ?", now.UnixMicro(), most)
}

// Held returns what waits of an organization, without content.
func (s *Store) Held(ctx context.Context, organization string) ([]store.Hold, error) {
	return s.holds(ctx, "SELECT hold, doc, NULL FROM held WHERE organization = ? AND wake IS NOT NULL ORDER BY hold", organization)
}

func (s *Store) holds(ctx context.Context, sql string, args ...any) (out []store.Hold, err error) {
	err = s.readers.read(ctx, func(c *conn) (err error) {
		for r := range c.rows(&err, sql, args...) {
			h, err := store.DecodeHold(r.ColumnInt64(0), r.ColumnRawBlob(1), r.ColumnRawBlob(2))
			if err != nil {
				return err
			}
			out = append(out, h)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("held: %w", err)
	}
	return out, nil
}

// Settle ends a hold and erases its content, from the write-ahead log too.
func (s *Store) Settle(ctx context.Context, number int64, how store.Settlement) error {
	return s.submit(ctx, &job{weight: 1, erases: true, do: func(b *batch) error {
		doc, err := b.c.blob("SELECT doc FROM held WHERE hold = ? AND wake IS NOT NULL", number)
		if err != nil || doc == nil {
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
		return b.c.run("UPDATE held SET wake = NULL, doc = ?, raw = NULL WHERE hold = ?", doc, number)
	}})
}
