package sqlite

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/ncruces/go-sqlite3"

	"tocsin/internal/authorize"
	"tocsin/internal/store"
	"tocsin/internal/view"
)

// columns are what [Store.meta] reads, in its order, and the content.
const columns = "seq, label, flags, added, modified, nanoseconds, type, id, version, collection, sha256, raw"

// The places of some of the columns.
const (
	columnCollection = 9
	columnSum        = 10
	columnRaw        = 11
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
	content := slab{meta: q.Meta}
	strangers := 0
	for r := range c.rows(&err, fetchRun, q.After) {
		if r.ColumnInt64(columnCollection) != collection {
			if strangers++; strangers > mostStrangers+len(out.Rows) {
				break
			}
			continue
		}
		if more, err := s.take(c, r, q.Most, &content, out); err != nil || !more {
			return err
		}
	}
	if err != nil || strangers <= mostStrangers+len(out.Rows) {
		return err
	}
	for r := range c.rows(&err, findAll, collection, out.Next, q.Most-len(out.Rows)) {
		if more, err := s.take(c, r, q.Most, &content, out); err != nil || !more {
			return err
		}
	}
	return err
}

// take adds a row, and reports whether there is room for another one.
func (s *Store) take(c *conn, r *sqlite3.Stmt, most int, content *slab, out *store.Scanned) (more bool, err error) {
	sealed, err := s.seal(c, r, content)
	if err != nil {
		return false, err
	}
	out.Next = sealed.Seq
	out.Rows = append(out.Rows, sealed)
	out.More = len(out.Rows) == most || content.size > store.MaxContent
	return !out.More, nil
}

// rowsAtOnce is how many rows memory is taken for before they are there.
const rowsAtOnce = 1024

// A slab holds the content of rows that were read together, in few pieces of
// memory.
type slab struct {
	meta bool // no content is wanted
	free []byte
	size int // of what was read, in bytes
}

// slabBytes is how large the pieces are. What is larger than a quarter has one
// of its own.
const slabBytes = 32 << 10

// keep copies a content that is good only for now.
func (s *slab) keep(content []byte) []byte {
	s.size += len(content)
	if len(content) > slabBytes/4 {
		return slices.Clone(content)
	}
	if len(content) > cap(s.free)-len(s.free) {
		s.free = make([]byte, 0, slabBytes)
	}
	at := len(s.free)
	s.free = append(s.free, content...)
	return s.free[at:len(s.free):len(s.free)]
}

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
	content := slab{meta: q.Meta}
	for _, seq := range seqs {
		if content.size > store.MaxContent {
			out.More = true
			break
		}
		out.Next = seq
		for r := range c.rows(&err, fetchRow, seq) {
			if len(q.Types) > 0 && !slices.Contains(q.Types, r.ColumnText(6)) {
				continue
			}
			sealed, err := s.seal(c, r, &content)
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

// seal reads a row of columns.
func (s *Store) seal(c *conn, r *sqlite3.Stmt, content *slab) (view.Sealed, error) {
	label, err := s.labelOf(c, r.ColumnInt64(1))
	if err != nil {
		return view.Sealed{}, err
	}
	row := store.Row{
		Seq: r.ColumnInt64(0), Flags: r.ColumnInt64(2), Added: r.ColumnInt64(3), Seconds: r.ColumnInt64(4), Nanoseconds: r.ColumnInt64(5),
		Type: c.typeName(r.ColumnRawText(6)), ID: r.ColumnText(7), Version: r.ColumnText(8),
	}
	s.mu.RLock()
	collection := s.names[r.ColumnInt64(9)]
	s.mu.RUnlock()
	m := row.Meta(collection, label)
	if content.meta || m.Withdrawn {
		return view.Seal(m, nil), nil
	}
	var sum [sha256.Size]byte
	copy(sum[:], r.ColumnRawBlob(columnSum))
	return view.SealSummed(m, content.keep(r.ColumnRawBlob(columnRaw)), sum), nil
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
	var content slab
	err = s.readers.read(ctx, func(c *conn) (err error) {
		sql, args, err := query(c)
		if err != nil {
			return err
		}
		for r := range c.rows(&err, sql, args...) {
			sealed, err := s.seal(c, r, &content)
			if err != nil {
				return err
			}
			if content.size > store.MaxContent {
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

// Seek returns the highest position whose date_added is at or before t, 0 when
// there is none. The order and date_added grow together, so no index is needed:
// it looks at one row for each bit of the answer.
func (s *Store) Seek(ctx context.Context, t time.Time) (int64, error) {
	// What was added later than t in the same microsecond is later than t.
	us := t.UnixMicro()
	s.mu.RLock()
	head, last := s.head, s.added
	s.mu.RUnlock()
	if us >= last {
		return head, nil
	}
	low, high := int64(0), head // low is at or before t, high is after it
	err := s.readers.read(ctx, func(c *conn) (err error) {
		for low+1 < high {
			middle := low + (high-low)/2
			seq, added := high, us+1 // withdrawn positions have no row
			for r := range c.rows(&err, "SELECT seq, added FROM objects WHERE seq >= ? ORDER BY seq LIMIT 1", middle) {
				seq, added = r.ColumnInt64(0), r.ColumnInt64(1)
			}
			switch {
			case err != nil:
				return err
			case seq >= high || added > us:
				high = middle
			default:
				low = seq
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("seek: %w", err)
	}
	return low, nil
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
