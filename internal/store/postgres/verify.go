package postgres

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
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
		v := &verification{s: s, tx: tx, progress: progress}
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
		last = added
		v.tick()
		return nil
	})
	if err != nil {
		return fmt.Errorf("objects: %w", err)
	}
	return nil
}

// pageRecords is how many records are checked at a time, and about how many
// objects of submissions are looked up at a time.
const pageRecords = 1000

// A leafRow is a record of the ledger with its number and entry.
type leafRow struct {
	receipt.Record

	leaf  int64
	entry []byte
}

// records checks every record against its entry, and the whole tree against the
// entries, by building it anew.
func (v *verification) records(ctx context.Context) error {
	for next := int64(0); next < v.at.size; {
		page, err := v.page(ctx, next)
		if err != nil {
			return fmt.Errorf("records: %w", err)
		}
		if len(page) == 0 {
			return fmt.Errorf("record %d: it is not there", next)
		}
		if err := v.leaves(ctx, next, page); err != nil {
			return err
		}
		if err := v.submissions(ctx, page); err != nil {
			return err
		}
		next += int64(len(page))
	}
	return nil
}

// page reads records from a leaf on. Their statements have a size, so there may
// be few.
func (v *verification) page(ctx context.Context, from int64) (out []leafRow, err error) {
	const mostBytes = store.MaxContent
	rows, err := v.tx.Query(ctx, "SELECT leaf, kind, time, entry, salt, statement FROM records WHERE leaf >= $1 ORDER BY leaf LIMIT $2", from, pageRecords)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for size := 0; size < mostBytes && rows.Next(); {
		var r leafRow
		var us int64
		if err := rows.Scan(&r.leaf, &r.Kind, &us, &r.entry, &r.Salt, &r.Statement); err != nil {
			return nil, err
		}
		r.Time = time.UnixMicro(us).UTC()
		size += len(r.Statement)
		out = append(out, r)
	}
	return out, rows.Err()
}

// leaves checks a page of records: that they follow each other, that their
// entries commit to them, and every hash of the tree that came with one.
func (v *verification) leaves(ctx context.Context, next int64, page []leafRow) error {
	first := tlog.StoredHashCount(next)
	positions := make([]int64, tlog.StoredHashCount(next+int64(len(page)))-first)
	for i := range positions {
		positions[i] = first + int64(i)
	}
	read := hashReader(ctx, v.tx)
	stored, err := read(positions)
	if err != nil {
		return fmt.Errorf("tree: %w", err)
	}
	older := map[int64]tlog.Hash{} // few: the edge that the tree grows from
	tree := tlog.HashReaderFunc(func(positions []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(positions))
		for i, p := range positions {
			if p >= first {
				out[i] = stored[p-first]
				continue
			}
			if _, ok := older[p]; !ok {
				h, err := read([]int64{p})
				if err != nil {
					return nil, err
				}
				older[p] = h[0]
			}
			out[i] = older[p]
		}
		return out, nil
	})
	for i, r := range page {
		if r.leaf != next+int64(i) || !bytes.Equal(r.Entry(), r.entry) {
			return fmt.Errorf("record %d: its entry does not commit to it", r.leaf)
		}
		hashes, err := tlog.StoredHashes(r.leaf, r.entry, tree)
		if err != nil {
			return fmt.Errorf("record %d: %w", r.leaf, err)
		}
		at := tlog.StoredHashIndex(0, r.leaf) - first
		for j, h := range hashes {
			if stored[at+int64(j)] != h {
				return fmt.Errorf("record %d: the ledger's tree does not hold it", r.leaf)
			}
		}
		v.tick()
	}
	return nil
}

// submissions checks that the objects of a page's statements are stored, unless
// they were withdrawn.
func (v *verification) submissions(ctx context.Context, page []leafRow) error {
	wanted := map[int64]string{} // SHA-256, by position
	for _, r := range page {
		if r.Kind != receipt.KindSubmission {
			continue
		}
		var st receipt.Submission
		if err := json.Unmarshal(r.Statement, &st); err != nil {
			return fmt.Errorf("record %d: %w", r.leaf, err)
		}
		for _, ref := range st.Objects {
			if sum, ok := wanted[ref.Seq]; ok && sum != ref.SHA256 {
				return fmt.Errorf("record %d: object %d is not the one that was shared", r.leaf, ref.Seq)
			}
			wanted[ref.Seq] = ref.SHA256
		}
		if len(wanted) >= pageRecords {
			if err := v.shared(ctx, wanted); err != nil {
				return fmt.Errorf("record %d: %w", r.leaf, err)
			}
			clear(wanted)
		}
	}
	if err := v.shared(ctx, wanted); err != nil {
		return fmt.Errorf("record %d or before: %w", page[len(page)-1].leaf, err)
	}
	return nil
}

// shared checks that objects are those that were shared.
func (v *verification) shared(ctx context.Context, wanted map[int64]string) error {
	rows, err := v.tx.Query(ctx, "SELECT seq, sha256 FROM objects WHERE seq = ANY($1) AND (flags & $2) = 0", slices.Collect(maps.Keys(wanted)), store.FlagTombstone)
	if err != nil {
		return err
	}
	var seq int64
	var sum []byte
	_, err = pgx.ForEachRow(rows, []any{&seq, &sum}, func() error {
		if hex.EncodeToString(sum) != wanted[seq] {
			return fmt.Errorf("object %d is not the one that was shared", seq)
		}
		return nil
	})
	return err
}
