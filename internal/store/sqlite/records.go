package sqlite

import (
	"context"
	"fmt"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/store"
	"tocsin/receipt"
)

// Submission returns what became of a submission, not found when there is none
// by that id.
func (s *Store) Submission(ctx context.Context, id string) (out store.Recorded, err error) {
	const sql = "SELECT leaf, outcome, statement FROM records WHERE submission = ?"
	found := false
	err = s.readers.read(ctx, func(c *conn) (err error) {
		for r := range c.rows(&err, sql, store.IDHash(id)) {
			recorded, err := store.DecodeRecorded(r.ColumnInt64(0), r.ColumnRawBlob(1), r.ColumnRawBlob(2))
			if err != nil {
				return err
			}
			if recorded.ID == id {
				out, found = recorded, true
				break
			}
		}
		return err
	})
	switch {
	case err != nil:
		return store.Recorded{}, fmt.Errorf("submission: %w", err)
	case !found:
		return store.Recorded{}, store.NoSubmission()
	}
	holds, err := s.holds(ctx, "SELECT hold, doc, NULL FROM held WHERE submission = ? ORDER BY hold", store.IDHash(id))
	if err != nil {
		return store.Recorded{}, err
	}
	out.Merge(holds)
	err = s.readers.read(ctx, func(c *conn) (err error) {
		out.Reviews, err = c.reviewsOf(id)
		return err
	})
	if err != nil {
		return store.Recorded{}, fmt.Errorf("reviews: %w", err)
	}
	return out, nil
}

// Receipt returns the proof of a record against the newest checkpoint, not found
// when there is none.
func (s *Store) Receipt(ctx context.Context, leaf int64) (p receipt.Proof, err error) {
	const sql = "SELECT kind, time, salt, statement FROM records WHERE leaf = ?"
	found := false
	err = s.readers.read(ctx, func(c *conn) (err error) {
		var r receipt.Record
		for row := range c.rows(&err, sql, leaf) {
			found = true
			r = receipt.Record{
				Kind: receipt.Kind(row.ColumnText(0)), Time: time.UnixMicro(row.ColumnInt64(1)).UTC(),
				Salt: row.ColumnBlob(2, nil), Statement: row.ColumnBlob(3, nil),
			}
		}
		if err != nil || !found {
			return err
		}
		size, signed, err := c.checkpoint()
		if err != nil {
			return err
		}
		hashes, err := ledger.Inclusion(size, leaf, c)
		if err != nil {
			return err
		}
		p, err = r.Receipt(leaf, hashes, signed)
		return err
	})
	switch {
	case err != nil:
		return receipt.Proof{}, fmt.Errorf("receipt: %w", err)
	case !found:
		return receipt.Proof{}, store.NoReceipt()
	}
	return p, nil
}

// List returns the records of one kind in a community, oldest first, from a
// leaf number on, at most so many.
func (s *Store) List(ctx context.Context, kind, community string, from int64, most int) (out []store.Leaf, err error) {
	const sql = "SELECT leaf, time, statement FROM records WHERE kind = ? AND community = ? AND leaf >= ? ORDER BY leaf LIMIT ?"
	err = s.readers.read(ctx, func(c *conn) (err error) {
		for r := range c.rows(&err, sql, kind, community, from, max(most, 0)) {
			out = append(out, store.Leaf{
				Index: r.ColumnInt64(0), Kind: kind, Time: time.UnixMicro(r.ColumnInt64(1)).UTC(), Statement: r.ColumnBlob(2, nil),
			})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("records: %w", err)
	}
	return out, nil
}

// Definitions returns every marking-definition that is stored, with its owner,
// in order.
func (s *Store) Definitions(ctx context.Context) (out []store.Definition, err error) {
	const sql = "SELECT label, raw FROM objects WHERE type = 'marking-definition' AND flags & ? = 0 AND length(raw) <= ? ORDER BY seq"
	err = s.readers.read(ctx, func(c *conn) (err error) {
		for r := range c.rows(&err, sql, store.FlagTombstone, store.MaxDefinition) {
			label, err := s.labelOf(c, r.ColumnInt64(0))
			if err != nil {
				return err
			}
			out = append(out, store.Definition{Owner: label.Owner, Raw: r.ColumnBlob(1, nil)})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("definitions: %w", err)
	}
	return out, nil
}

// Checkpoint returns the newest signed checkpoint.
func (s *Store) Checkpoint(ctx context.Context) (signed []byte, err error) {
	err = s.readers.read(ctx, func(c *conn) (err error) {
		_, signed, err = c.checkpoint()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return signed, nil
}

func (c *conn) checkpoint() (size int64, signed []byte, err error) {
	for r := range c.rows(&err, "SELECT size, signed FROM checkpoint") {
		size, signed = r.ColumnInt64(0), r.ColumnBlob(1, nil)
	}
	return size, signed, err
}

// Hashes returns hashes of the ledger's tree by position, in the layout of
// golang.org/x/mod/sumdb/tlog.
func (s *Store) Hashes(ctx context.Context, positions []int64) (out [][32]byte, err error) {
	err = s.readers.read(ctx, func(c *conn) error {
		hashes, err := c.ReadHashes(positions)
		for _, h := range hashes {
			out = append(out, h)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("hashes: %w", err)
	}
	return out, nil
}

// Entries returns the entries [from, to) of the ledger. It is an error when it
// has no such entries.
func (s *Store) Entries(ctx context.Context, from, to int64) (out [][]byte, err error) {
	err = s.readers.read(ctx, func(c *conn) (err error) {
		for r := range c.rows(&err, "SELECT entry FROM records WHERE leaf >= ? AND leaf < ? ORDER BY leaf", from, to) {
			out = append(out, r.ColumnBlob(0, nil))
		}
		return err
	})
	if err == nil && int64(len(out)) != to-from {
		err = fmt.Errorf("the ledger has no entries %d to %d", from, to)
	}
	if err != nil {
		return nil, fmt.Errorf("entries: %w", err)
	}
	return out, nil
}
