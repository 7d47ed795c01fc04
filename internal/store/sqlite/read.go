package sqlite

import (
	"context"
	"fmt"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"tocsin/internal/authorize"
	"tocsin/internal/store"
	"tocsin/internal/view"
)

// How objects are found: each goes along an index from the position on, so what
// it costs depends on what it returns and not on what is stored.
const (
	findAll  = "SELECT " + columns + " FROM objects INDEXED BY objects_collection WHERE collection = ? AND seq > ? ORDER BY seq LIMIT ?"
	fetchRun = "SELECT " + columns + " FROM objects WHERE seq > ? ORDER BY seq"
	findID   = "SELECT seq FROM objects WHERE seq IN " + thesePositions + " AND collection = ? AND id = ? AND seq > ?"
	findType = "SELECT seq FROM objects INDEXED BY objects_type WHERE collection = ? AND type = ? AND seq > ? ORDER BY seq LIMIT ?"
	fetchRow = "SELECT " + columns + " FROM objects WHERE seq = ?"
)

// thesePositions are what [lookup.find] returned.
const thesePositions = "(SELECT value FROM json_each(?))"

// Scan returns objects of a collection in order, tombstones included. It stops
// before it has looked at all that it may when the content would fill more than
// 32 MiB.
func (s *Store) Scan(ctx context.Context, q store.Scan) (store.Scanned, error) {
	s.mu.RLock()
	collection, ok := s.collections[q.Collection]
	s.mu.RUnlock()
	out := store.Scanned{Next: q.After}
	if !ok || q.After >= collection.head || q.Most <= 0 {
		out.More = ok && q.After < collection.head
		return out, nil
	}
	err := s.readers.read(ctx, func(c *conn) error {
		switch {
		case len(q.IDs) > 0:
			return s.scanIDs(c, collection.number, q, &out)
		case len(q.Types) > 0:
			return s.scanTypes(c, collection.number, q, &out)
		}
		return s.scanAll(c, collection.number, q, &out)
	})
	if err != nil {
		return store.Scanned{}, fmt.Errorf("scan: %w", err)
	}
	if out.More = out.More && out.Next < collection.head; !out.More {
		out.Next = max(out.Next, collection.head)
	}
	return out, nil
}

// mostStrangers is how many rows of other collections are passed over before the
// collection's own are found by the index.
const mostStrangers = 64

// scanAll reads the rows one after the other as long as they are the
// collection's, mostly, which takes half as long as to find each by the index.
func (s *Store) scanAll(c *conn, collection int64, q store.Scan, out *store.Scanned) (err error) {
	out.Rows = make([]view.Sealed, 0, min(q.Most, rowsAtOnce))
	d := reading{store: s, meta: q.Meta}
	strangers := 0
	for r := range c.rows(&err, fetchRun, q.After) {
		if r.ColumnInt64(columnCollection) != collection {
			if strangers++; strangers > mostStrangers+len(out.Rows) {
				break
			}
			continue
		}
		if more, err := d.take(c, r, q.Most, out); err != nil || !more {
			return err
		}
	}
	if err != nil || strangers <= mostStrangers+len(out.Rows) {
		return err
	}
	for r := range c.rows(&err, findAll, collection, out.Next, q.Most-len(out.Rows)) {
		if more, err := d.take(c, r, q.Most, out); err != nil || !more {
			return err
		}
	}
	return err
}

// take adds a row, and reports whether there is room for another one.
func (d *reading) take(c *conn, r *sqlite3.Stmt, most int, out *store.Scanned) (more bool, err error) {
	sealed, err := d.seal(c, r)
	if err != nil {
		return false, err
	}
	out.Next = sealed.Seq
	out.Rows = append(out.Rows, sealed)
	out.More = len(out.Rows) == most || d.full()
	return !out.More, nil
}

// rowsAtOnce is how many rows memory is taken for before they are there.
const rowsAtOnce = 1024

// scanIDs finds the positions of the objects first, because their order is not
// that of the ids.
func (s *Store) scanIDs(c *conn, collection int64, q store.Scan, out *store.Scanned) (err error) {
	var seqs []int64
	index := s.ids.lookup()
	for _, id := range q.IDs {
		positions, err := index.find(c, id)
		if err != nil {
			return err
		}
		for r := range c.rows(&err, findID, positions, collection, id, q.After) {
			seqs = append(seqs, r.ColumnInt64(0))
		}
		if err != nil {
			return err
		}
	}
	return s.fetch(c, seqs, q, out)
}

// scanTypes finds the first positions of each type, and looks at the first of
// those: as many index entries as rows are wanted, for each type, however many
// objects of other types stand between.
func (s *Store) scanTypes(c *conn, collection int64, q store.Scan, out *store.Scanned) (err error) {
	var seqs []int64
	for _, t := range q.Types {
		for r := range c.rows(&err, findType, collection, t, q.After, q.Most+1) {
			seqs = append(seqs, r.ColumnInt64(0))
		}
		if err != nil {
			return err
		}
	}
	return s.fetch(c, seqs, q, out)
}

// fetch reads the rows at the first of some positions.
func (s *Store) fetch(c *conn, seqs []int64, q store.Scan, out *store.Scanned) (err error) {
	slices.Sort(seqs)
	seqs = slices.Compact(seqs)
	if out.More = len(seqs) > q.Most; out.More {
		seqs = seqs[:q.Most]
	}
	d := reading{store: s, meta: q.Meta}
	for _, seq := range seqs {
		if d.full() {
			out.More = true
			break
		}
		out.Next = seq
		for r := range c.rows(&err, fetchRow, seq) {
			if len(q.Types) > 0 && !slices.Contains(q.Types, r.ColumnText(columnType)) {
				continue
			}
			sealed, err := d.seal(c, r)
			if err != nil {
				return err
			}
			out.Rows = append(out.Rows, sealed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Versions returns all versions of an object in a collection, oldest first,
// without tombstones. There are at most as many, and as much of them, as
// [Store.Record] takes of one object.
func (s *Store) Versions(ctx context.Context, collection, id string) ([]view.Sealed, error) {
	s.mu.RLock()
	known, ok := s.collections[collection]
	s.mu.RUnlock()
	if !ok {
		return nil, nil
	}
	const sql = "SELECT " + columns + " FROM objects WHERE seq IN " + thesePositions + " AND collection = ? AND id = ? AND flags & ? = 0" +
		" ORDER BY coalesce(modified, added / 1000000), CASE WHEN modified IS NULL THEN added % 1000000 * 1000 ELSE nanoseconds END, seq"
	return s.sealed(ctx, func(c *conn) (string, []any, error) {
		positions, err := s.ids.lookup().find(c, id)
		return sql, []any{positions, known.number, id, store.FlagTombstone}, err
	})
}

// Named returns the ids of objects that have a hash.
func (s *Store) Named(ctx context.Context, hash int64) (ids []string, err error) {
	err = s.readers.read(ctx, func(c *conn) error {
		positions, err := s.ids.lookup().findHash(c, uint64(hash))
		if err != nil {
			return err
		}
		for r := range c.rows(&err, "SELECT DISTINCT id FROM objects WHERE seq IN "+thesePositions, positions) {
			if id := r.ColumnText(0); store.IDHash(id) == hash {
				ids = append(ids, id)
			}
		}
		return err
	})
	return ids, err
}

// Sightings returns the sightings of an object in a community, in order: the
// newest 10,000, or those that fit into 32 MiB.
func (s *Store) Sightings(ctx context.Context, community, id string) ([]view.Sealed, error) {
	const sql = "SELECT " + columns + " FROM objects JOIN labels USING (label)" +
		" WHERE about = ? AND doc ->> 'community' = ? ORDER BY seq DESC LIMIT ?"
	newest, err := s.sealed(ctx, func(*conn) (string, []any, error) {
		return sql, []any{id, community, store.MaxSightings}, nil
	})
	slices.Reverse(newest)
	return newest, err
}

// sealed returns the rows of a query.
func (s *Store) sealed(ctx context.Context, query func(*conn) (sql string, args []any, err error)) (out []view.Sealed, err error) {
	d := reading{store: s}
	err = s.readers.read(ctx, func(c *conn) (err error) {
		sql, args, err := query(c)
		if err != nil {
			return err
		}
		for r := range c.rows(&err, sql, args...) {
			sealed, err := d.seal(c, r)
			if err != nil {
				return err
			}
			if d.full() {
				break
			}
			out = append(out, sealed)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("objects: %w", err)
	}
	return out, nil
}

// labelOf returns the one label with a number. It is read once and then kept,
// so that rows that were shared alike carry the same pointer. When there are
// very many, the store begins anew to remember them.
func (s *Store) labelOf(c *conn, number int64) (*authorize.Label, error) {
	s.mu.RLock()
	l := s.labels[number]
	s.mu.RUnlock()
	if l != nil {
		return l, nil
	}
	doc, err := c.blob("SELECT doc FROM labels WHERE label = ?", number)
	if err != nil {
		return nil, err
	}
	if l, err = store.DecodeLabel(doc); err != nil {
		return nil, fmt.Errorf("label %d: %w", number, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.labels[number]; known != nil {
		return known, nil
	}
	if len(s.labels) >= mostLabels {
		clear(s.labels)
	}
	s.labels[number] = l
	return l, nil
}
