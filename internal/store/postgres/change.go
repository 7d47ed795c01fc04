package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/member"
	"tocsin/internal/store"
	"tocsin/receipt"
)

// Withdraw deletes versions of objects, content and all, and leaves tombstones
// at new positions, for those who could see it. It returns how many versions
// went, and the number of the record that says so; positions that hold no such version are passed over. PostgreSQL itself
// forgets the content when it next vacuums the table.
func (s *Store) Withdraw(ctx context.Context, w store.Withdrawal) (gone int, leaf int64, err error) {
	var last int64
	j := &job{weight: 1 + len(w.Versions), alone: true}
	for _, id := range w.IDs() {
		j.needs.ids = append(j.needs.ids, store.IDHash(id))
	}
	j.do = func(ctx context.Context, b *batch) error {
		refs, err := b.bury(ctx, w)
		gone = len(refs)
		if err != nil || gone == 0 {
			return err
		}
		last = b.seq
		record, err := w.Record(s.signer.Origin(), time.UnixMicro(b.added), refs)
		if err != nil {
			return err
		}
		leaf = b.record(recorded{Record: record, community: w.Community})
		for _, id := range w.IDs() {
			if err := b.supersede(ctx, w.Collection, id); err != nil {
				return err
			}
		}
		return nil
	}
	if err := s.submit(ctx, j); err != nil {
		return 0, 0, err
	}
	s.await(ctx, last)
	return gone, leaf, nil
}

// bury puts tombstones in place of object versions. A tombstone keeps whether the
// version revoked the object, which is final.
func (b *batch) bury(ctx context.Context, w store.Withdrawal) (refs []receipt.ObjectRef, err error) {
	number, err := b.collectionNumber(ctx, w.Collection)
	if err != nil {
		return nil, err
	}
	buried := map[int64]bool{}
	for _, gone := range w.Versions {
		versions, seq := b.siblings[store.IDHash(gone.ID)], gone.Seq
		for _, v := range versions {
			if v.Seq != seq || v.collection != number || v.ID != gone.ID || v.Flags&store.FlagTombstone != 0 || buried[seq] {
				continue
			}
			buried[seq] = true
			refs = append(refs, store.Sibling{Seq: seq, Version: v.Version, Added: v.Added, Sum: v.sum}.Ref(gone.ID))
			grave := v
			grave.Flags |= store.FlagTombstone
			grave.Seq, grave.Added = b.take()
			grave.sum, grave.raw, grave.about, grave.size, grave.replaces = nil, nil, nil, 0, &seq
			b.rows = append(b.rows, grave)
			b.siblings[v.idhash] = append(b.siblings[v.idhash], grave)
			b.deleted = append(b.deleted, seq)
			for _, sibling := range versions { // all versions change when one goes
				b.rewrites = append(b.rewrites, place{number, sibling.Seq})
			}
		}
	}
	return refs, nil
}

// Disclose logs reads, one entry of the ledger for each. A read without a time
// is one of now.
func (s *Store) Disclose(ctx context.Context, reads []receipt.Disclosure) error {
	if len(reads) == 0 {
		return nil
	}
	records, err := store.DisclosureRecords(s.signer.Origin(), reads)
	if err != nil {
		return err
	}
	return s.submit(ctx, &job{weight: len(reads), do: func(_ context.Context, b *batch) error {
		for i, r := range records {
			b.record(recorded{Record: r, community: reads[i].Community})
		}
		return nil
	}})
}

// SaveDirectory writes changed records of the directory in one transaction,
// with an entry of the ledger that says who changed what. It fails with
// [member.ErrStale] when another replica has changed the directory since
// [Store.Directory] returned it here: what was planned may not fit any more.
func (s *Store) SaveDirectory(ctx context.Context, changed []member.Record, change member.Change) error {
	record, err := store.DirectoryRecord(s.signer.Origin(), changed, change)
	if err != nil {
		return err
	}
	s.mu.RLock()
	known := s.directory
	s.mu.RUnlock()
	err = s.submit(ctx, &job{weight: len(changed), alone: true, do: func(_ context.Context, b *batch) error {
		if b.at.directory != known {
			return member.ErrStale
		}
		for _, m := range changed {
			b.changes = append(b.changes, newChange(m))
		}
		b.record(recorded{Record: record})
		return nil
	}})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.directory = max(s.directory, known+1)
	return nil
}

func newChange(m member.Record) change {
	if m.Deleted {
		return change{kind: m.Kind, key: m.Key}
	}
	doc := m.Doc
	if doc == nil {
		doc = []byte{}
	}
	return change{m.Kind, m.Key, doc}
}

// Directory returns every record of the directory.
func (s *Store) Directory(ctx context.Context) (out []member.Record, err error) {
	var version int64
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT directory FROM sequencer WHERE one = 1").Scan(&version); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "SELECT kind, key, doc FROM directory ORDER BY kind COLLATE \"C\", key COLLATE \"C\"")
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (m member.Record, err error) {
			err = r.Scan(&m.Kind, &m.Key, &m.Doc)
			return m, err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("directory: %w", unavailable(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.directory = version
	return out, nil
}
