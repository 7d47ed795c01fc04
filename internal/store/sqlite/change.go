package sqlite

import (
	"context"
	"time"

	"tocsin/internal/member"
	"tocsin/internal/store"
	"tocsin/receipt"
)

// Withdraw deletes versions of objects, content and all, and leaves tombstones
// at new positions, for those who could see it. It returns how many versions
// went, and the number of the record that says so; positions that hold no such version are passed over.
func (s *Store) Withdraw(ctx context.Context, w store.Withdrawal) (gone int, leaf int64, err error) {
	j := &job{weight: 1 + len(w.Versions), erases: true}
	var collection int64
	j.intern = func(b *batch) (err error) {
		collection, err = b.collection(w.Collection)
		return err
	}
	j.do = func(b *batch) error {
		refs := []receipt.ObjectRef{}
		for _, v := range w.Versions {
			ref, ok, err := b.bury(collection, v.ID, v.Seq)
			if err != nil {
				return err
			}
			if ok {
				refs = append(refs, ref)
			}
		}
		gone = len(refs)
		if gone == 0 {
			return nil
		}
		for _, id := range w.IDs() {
			if err := b.supersede(w.Collection, id); err != nil {
				return err
			}
		}
		record, err := w.Record(s.signer.Origin(), time.UnixMicro(b.added), refs)
		if err != nil {
			return err
		}
		leaf, err = b.record(record, annotation{community: w.Community})
		return err
	}
	if err := s.submit(ctx, j); err != nil {
		return 0, 0, err
	}
	return gone, leaf, nil
}

// bury puts a tombstone in place of one object version. The tombstone keeps
// whether the version revoked the object, which is final.
func (b *batch) bury(collection int64, id string, seq int64) (ref receipt.ObjectRef, ok bool, err error) {
	const find = "SELECT version, added, sha256 FROM objects WHERE seq = ? AND collection = ? AND id = ? AND flags & ? = 0"
	for r := range b.c.rows(&err, find, seq, collection, id, store.FlagTombstone) {
		ok = true
		ref = store.Sibling{Seq: seq, Version: r.ColumnText(0), Added: r.ColumnInt64(1), Sum: r.ColumnRawBlob(2)}.Ref(id)
	}
	if err != nil || !ok {
		return receipt.ObjectRef{}, false, err
	}
	const bury = "INSERT INTO objects (seq, collection, label, idhash, flags, added, modified, nanoseconds, type, id, version)" +
		" SELECT ?, collection, label, idhash, flags | ?, ?, modified, nanoseconds, type, id, version FROM objects WHERE seq = ?"
	// All versions change when one goes, its own position included.
	positions, err := b.s.ids.findOwn(b.c, store.IDHash(id))
	if err != nil {
		return receipt.ObjectRef{}, false, err
	}
	for r := range b.c.rows(&err, findID, positions, collection, id, 0) {
		b.rewritten = append(b.rewritten, place{collection, r.ColumnInt64(0)})
	}
	if err != nil {
		return receipt.ObjectRef{}, false, err
	}
	grave, added := b.next(collection)
	if err := b.c.run(bury, grave, store.FlagTombstone, added, seq); err != nil {
		return receipt.ObjectRef{}, false, err
	}
	b.index(grave, store.IDHash(id))
	return ref, true, b.c.run("DELETE FROM objects WHERE seq = ?", seq)
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
	return s.submit(ctx, &job{weight: len(reads), do: func(b *batch) error {
		for i, r := range records {
			if _, err := b.record(r, annotation{community: reads[i].Community}); err != nil {
				return err
			}
		}
		return nil
	}})
}

// SaveDirectory writes changed records of the directory in one transaction,
// with an entry of the ledger that says who changed what.
func (s *Store) SaveDirectory(ctx context.Context, changed []member.Record, change member.Change) error {
	record, err := store.DirectoryRecord(s.signer.Origin(), changed, change)
	if err != nil {
		return err
	}
	return s.submit(ctx, &job{weight: len(changed), do: func(b *batch) error {
		for _, m := range changed {
			sql, args := "INSERT INTO directory (kind, key, doc) VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET doc = excluded.doc",
				[]any{m.Kind, m.Key, m.Doc}
			if m.Deleted {
				sql, args = "DELETE FROM directory WHERE kind = ? AND key = ?", args[:2]
			}
			if err := b.c.run(sql, args...); err != nil {
				return err
			}
		}
		_, err := b.record(record, annotation{})
		return err
	}})
}

// Directory returns every record of the directory.
func (s *Store) Directory(ctx context.Context) (out []member.Record, err error) {
	err = s.readers.read(ctx, func(c *conn) (err error) {
		for r := range c.rows(&err, "SELECT kind, key, doc FROM directory ORDER BY kind, key") {
			out = append(out, member.Record{Kind: r.ColumnText(0), Key: r.ColumnText(1), Doc: r.ColumnBlob(2, nil)})
		}
		return err
	})
	return out, err
}
