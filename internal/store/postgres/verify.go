package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"tocsin/internal/store"
	"tocsin/receipt"
)

// Verify reads everything and checks that it belongs together: the objects and
// their hashes, the ledger's records, entries, tree and signature, and that what
// submissions say of objects is so. It returns the first thing that is wrong.
// progress, which may be nil, is called from time to time with how many objects
// and records were checked, of how many.
//
// It works on one state of the store, while the hub goes on.
func (s *Store) Verify(ctx context.Context, progress func(done, total int64)) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = 0"); err != nil {
			return err
		}
		v := &verification{s: s, tx: tx, progress: progress, sums: map[int64][]byte{}}
		for _, step := range []func(context.Context) error{v.checkpoint, v.objects, v.records} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

type verification struct {
	s           *Store
	tx          pgx.Tx
	progress    func(done, total int64)
	done, total int64
	at          standing
	sums        map[int64][]byte // of objects; 50 bytes of memory each
}

func (v *verification) tick() {
	const every = 4096
	if v.done++; v.progress != nil && (v.done%every == 0 || v.done == v.total) {
		v.progress(v.done, v.total)
	}
}

func (v *verification) checkpoint(ctx context.Context) error {
	if err := v.at.scan(v.tx.QueryRow(ctx, selectStanding)); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	var objects, records int64
	err := v.tx.QueryRow(ctx, "SELECT (SELECT count(*) FROM objects), (SELECT count(*) FROM records)").Scan(&objects, &records)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	v.total = objects + records
	if records != v.at.size {
		return fmt.Errorf("checkpoint: it is not that of the %d records", records)
	}
	if err := v.s.checkLedger(&v.at, hashReader(ctx, v.tx)); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

func (v *verification) objects(ctx context.Context) error {
	rows, err := v.tx.Query(ctx, "SELECT seq, idhash, flags, added, id, sha256, raw FROM objects ORDER BY seq")
	if err != nil {
		return fmt.Errorf("objects: %w", err)
	}
	last := int64(-1 << 63)
	var seq, idhash, flags, added int64
	var id string
	var sum, raw []byte
	_, err = pgx.ForEachRow(rows, []any{&seq, &idhash, &flags, &added, &id, &sum, &raw}, func() error {
		real := sha256.Sum256(raw)
		switch {
		case added <= last:
			return fmt.Errorf("object %d: its date_added is not later than that of the one before", seq)
		case idhash != store.IDHash(id):
			return fmt.Errorf("object %d: its id is not the one that it is found by", seq)
		case flags&store.FlagTombstone == 0 && !bytes.Equal(real[:], sum):
			return fmt.Errorf("object %d: its content is not what was stored", seq)
		case seq > v.at.seq:
			return fmt.Errorf("object %d: the order ends at %d", seq, v.at.seq)
		}
		v.sums[seq] = bytes.Clone(sum)
		last = added
		v.tick()
		return nil
	})
	if err != nil {
		return fmt.Errorf("objects: %w", err)
	}
	return nil
}

// records checks every record against its entry, and the whole tree against the
// entries, by building it anew.
func (v *verification) records(ctx context.Context) error {
	stored := map[int64]tlog.Hash{}
	rows, err := v.tx.Query(ctx, "SELECT position, hash FROM hashes ORDER BY position")
	if err != nil {
		return fmt.Errorf("tree: %w", err)
	}
	var position int64
	var hash []byte
	if _, err := pgx.ForEachRow(rows, []any{&position, &hash}, func() error {
		if len(hash) == tlog.HashSize {
			stored[position] = tlog.Hash(hash)
		}
		return nil
	}); err != nil {
		return fmt.Errorf("tree: %w", err)
	}
	if rows, err = v.tx.Query(ctx, "SELECT leaf, kind, time, entry, salt, statement FROM records ORDER BY leaf"); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	next := int64(0)
	var leaf, us int64
	var kind string
	var entry, salt, statement []byte
	_, err = pgx.ForEachRow(rows, []any{&leaf, &kind, &us, &entry, &salt, &statement}, func() error {
		r := receipt.Record{Kind: receipt.Kind(kind), Time: time.UnixMicro(us).UTC(), Salt: salt, Statement: statement}
		if leaf != next || !bytes.Equal(r.Entry(), entry) {
			return fmt.Errorf("record %d: its entry does not commit to it", leaf)
		}
		next++
		hashes, err := tlog.StoredHashes(leaf, entry, &grownReader{old: stored, first: 1 << 62})
		if err != nil {
			return fmt.Errorf("record %d: %w", leaf, err)
		}
		for i, h := range hashes {
			if stored[tlog.StoredHashIndex(0, leaf)+int64(i)] != h {
				return fmt.Errorf("record %d: the ledger's tree does not hold it", leaf)
			}
		}
		v.tick()
		if r.Kind == receipt.KindSubmission {
			return v.submission(statement)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	return nil
}

// submission checks that the objects of a statement are stored, unless they were
// withdrawn.
func (v *verification) submission(statement []byte) error {
	var st receipt.Submission
	if err := json.Unmarshal(statement, &st); err != nil {
		return err
	}
	for _, ref := range st.Objects {
		if sum, ok := v.sums[ref.Seq]; ok && hex.EncodeToString(sum) != ref.SHA256 {
			return fmt.Errorf("object %d is not the one that was shared", ref.Seq)
		}
	}
	return nil
}
