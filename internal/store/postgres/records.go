package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/ledger"
	"tocsin/internal/store"
	"tocsin/receipt"
)

// Submission returns what became of a submission, not found when there is none
// by that id.
func (s *Store) Submission(ctx context.Context, id string) (out store.Recorded, err error) {
	rows, err := s.pool.Query(ctx, "SELECT leaf, outcome, statement FROM records WHERE submission = $1 ORDER BY leaf", store.IDHash(id))
	if err != nil {
		return store.Recorded{}, fmt.Errorf("submission: %w", unavailable(err))
	}
	found := false
	var leaf int64
	var outcome, statement []byte
	_, err = pgx.ForEachRow(rows, []any{&leaf, &outcome, &statement}, func() error {
		recorded, err := store.DecodeRecorded(leaf, outcome, statement)
		if err == nil && recorded.ID == id {
			out, found = recorded, true
		}
		return err
	})
	switch {
	case err != nil:
		return store.Recorded{}, fmt.Errorf("submission: %w", unavailable(err))
	case !found:
		return store.Recorded{}, store.NoSubmission()
	}
	holds, err := s.holds(ctx, "SELECT hold, doc, NULL::bytea FROM held WHERE submission = $1 ORDER BY hold", store.IDHash(id))
	if err != nil {
		return store.Recorded{}, err
	}
	out.Merge(holds)
	const waiting = "SELECT count(*) FROM reviews WHERE submission = $1 AND expires IS NOT NULL"
	if err := s.pool.QueryRow(ctx, waiting, store.IDHash(id)).Scan(&out.Reviews); err != nil {
		return store.Recorded{}, fmt.Errorf("reviews: %w", unavailable(err))
	}
	return out, nil
}

// Receipt returns the proof of a record against the newest checkpoint, not found
// when there is none. Records and hashes never change, so they need not be read
// in one transaction with the checkpoint, which is read first.
func (s *Store) Receipt(ctx context.Context, leaf int64) (receipt.Proof, error) {
	size, signed, err := s.checkpoint(ctx)
	if err != nil {
		return receipt.Proof{}, fmt.Errorf("receipt: %w", unavailable(err))
	}
	if leaf < 0 || leaf >= size {
		return receipt.Proof{}, store.NoReceipt()
	}
	var r receipt.Record
	var kind string
	var us int64
	err = s.pool.QueryRow(ctx, "SELECT kind, time, salt, statement FROM records WHERE leaf = $1", leaf).Scan(&kind, &us, &r.Salt, &r.Statement)
	if errors.Is(err, pgx.ErrNoRows) {
		return receipt.Proof{}, store.NoReceipt()
	}
	if err != nil {
		return receipt.Proof{}, fmt.Errorf("receipt: %w", unavailable(err))
	}
	r.Kind, r.Time = receipt.Kind(kind), time.UnixMicro(us).UTC()
	hashes, err := ledger.Inclusion(size, leaf, hashReader(ctx, s.pool))
	if err != nil {
		return receipt.Proof{}, fmt.Errorf("receipt: %w", unavailable(err))
	}
	p, err := r.Receipt(leaf, hashes, signed)
	if err != nil {
		return receipt.Proof{}, fmt.Errorf("receipt: %w", err)
	}
	return p, nil
}

// List returns the records of one kind in a community, oldest first, from a
// leaf number on, at most so many.
func (s *Store) List(ctx context.Context, kind, community string, from int64, most int) (out []store.Leaf, err error) {
	rows, err := s.pool.Query(ctx, "SELECT leaf, time, statement FROM records WHERE kind = $1 AND community = $2 AND leaf >= $3 ORDER BY leaf LIMIT $4",
		kind, community, from, max(most, 0))
	if err == nil {
		out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (store.Leaf, error) {
			var us int64
			l := store.Leaf{Kind: kind}
			err := r.Scan(&l.Index, &us, &l.Statement)
			l.Time = time.UnixMicro(us).UTC()
			return l, err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("records: %w", unavailable(err))
	}
	return out, nil
}

// Definitions returns every marking-definition that is stored, with its owner,
// in order.
func (s *Store) Definitions(ctx context.Context) ([]store.Definition, error) {
	out, err := s.definitions(ctx, s.pool, 0)
	if err != nil {
		return nil, fmt.Errorf("definitions: %w", unavailable(err))
	}
	return out, nil
}

// definitions returns those after a position.
func (s *Store) definitions(ctx context.Context, q querier, after int64) (out []store.Definition, err error) {
	const sql = "SELECT l.doc, o.raw FROM objects o JOIN labels l ON l.label = o.label" +
		" WHERE o.type = 'marking-definition' AND o.seq > $1 AND (o.flags & $2) = 0 AND octet_length(o.raw) <= $3 ORDER BY o.seq"
	rows, err := q.Query(ctx, sql, after, store.FlagTombstone, store.MaxDefinition)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (d store.Definition, err error) {
		var doc string
		if err := r.Scan(&doc, &d.Raw); err != nil {
			return d, err
		}
		label, err := store.DecodeLabel([]byte(doc))
		if err != nil {
			return d, err
		}
		d.Owner = label.Owner
		return d, nil
	})
}

// Checkpoint returns the newest signed checkpoint.
func (s *Store) Checkpoint(ctx context.Context) ([]byte, error) {
	_, signed, err := s.checkpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", unavailable(err))
	}
	return signed, nil
}

func (s *Store) checkpoint(ctx context.Context) (size int64, signed []byte, err error) {
	err = s.pool.QueryRow(ctx, "SELECT size, signed FROM sequencer WHERE one = 1").Scan(&size, &signed)
	return size, signed, err
}

// Hashes returns hashes of the ledger's tree by position, in the layout of
// golang.org/x/mod/sumdb/tlog.
func (s *Store) Hashes(ctx context.Context, positions []int64) ([][32]byte, error) {
	hashes, err := hashReader(ctx, s.pool)(positions)
	if err != nil {
		return nil, fmt.Errorf("hashes: %w", unavailable(err))
	}
	out := make([][32]byte, len(hashes))
	for i, h := range hashes {
		out[i] = h
	}
	return out, nil
}

// Entries returns the entries [from, to) of the ledger. It is an error when it
// has no such entries.
func (s *Store) Entries(ctx context.Context, from, to int64) (out [][]byte, err error) {
	rows, err := s.pool.Query(ctx, "SELECT entry FROM records WHERE leaf >= $1 AND leaf < $2 ORDER BY leaf", from, to)
	if err == nil {
		out, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
	}
	if err == nil && int64(len(out)) != to-from {
		err = fmt.Errorf("the ledger has no entries %d to %d", from, to)
	}
	if err != nil {
		return nil, fmt.Errorf("entries: %w", unavailable(err))
	}
	return out, nil
}
