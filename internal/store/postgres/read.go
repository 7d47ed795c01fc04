package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/authorize"
	"tocsin/internal/store"
	"tocsin/internal/view"
)

// columns are what is read of an object besides its content.
const columns = "seq, flags, added, coalesce(modified, 0) AS modified, nanoseconds, type, id, version, label, sha256"

// fetched are what [Store.query] reads.
const fetched = "seq, flags, added, modified, nanoseconds, type, id, version, label, sha256, size"

// bounded wraps a query for columns, raw and rank (what the rows are in order
// by), so that no more than $1 bytes of content leave the database: a row comes as
// long as those before it did not fill them.
func bounded(inner string) string {
	return "SELECT " + fetched + ", raw FROM" +
		" (SELECT *, sum(size) OVER (ORDER BY rank) - size AS before FROM" +
		" (SELECT *, coalesce(octet_length(raw), 0) AS size FROM (" + inner + ") a) b) c" +
		" WHERE before <= $1 ORDER BY rank"
}

// small wraps a query like [bounded], but leaves out each content that is larger
// than $1 bytes. It takes half as long.
func small(inner string) string {
	return "SELECT " + fetched + ", CASE WHEN size <= $1 THEN raw END FROM" +
		" (SELECT *, coalesce(octet_length(raw), 0) AS size FROM (" + inner + ") a) b ORDER BY rank"
}

// collect reads the rows of a query that is to be [bounded], as much of them as
// 32 MiB hold. Of no more than most rows, 0 when that is not known, it
// looks first whether all are small.
func (s *Store) collect(ctx context.Context, q querier, most int, sql string, args ...any) ([]row, error) {
	if most > 0 {
		out, err := s.query(ctx, q, small(sql), store.MaxContent/most, args)
		if err != nil || !slices.ContainsFunc(out, func(f row) bool { return f.size > len(f.raw) }) {
			return out, err
		}
	}
	return s.query(ctx, q, bounded(sql), store.MaxContent, args)
}

func (s *Store) query(ctx context.Context, q querier, sql string, most int, args []any) (out []row, err error) {
	rows, err := q.Query(ctx, sql, append([]any{most}, args...)...)
	if err != nil {
		return nil, err
	}
	out, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (f row, err error) {
		err = r.Scan(&f.Seq, &f.Flags, &f.Added, &f.Seconds, &f.Nanoseconds, &f.Type, &f.ID, &f.Version, &f.label, &f.sum, &f.size, &f.raw)
		return f, err
	})
	if err != nil {
		return nil, err
	}
	numbers := make([]int64, len(out))
	for i, f := range out {
		numbers[i] = f.label
	}
	return out, s.learnLabels(ctx, q, numbers)
}

func (s *Store) seal(f row, collection string) (view.Sealed, error) {
	label := s.knownLabel(f.label)
	if label == nil {
		return view.Sealed{}, errNoLabel(f.label)
	}
	m := f.Meta(collection, label)
	if f.raw == nil {
		return view.Seal(m, nil), nil
	}
	var sum [sha256.Size]byte
	copy(sum[:], f.sum)
	return view.SealSummed(m, f.raw, sum), nil
}

// Scan returns objects of a collection in order, tombstones included. It stops
// before it has looked at all that it may when the content would fill more than
// 32 MiB.
func (s *Store) Scan(ctx context.Context, q store.Scan) (store.Scanned, error) {
	s.mu.RLock()
	c, ok := s.collections[q.Collection]
	s.mu.RUnlock()
	out := store.Scanned{Next: q.After}
	if !ok || q.After >= c.head || q.Most <= 0 {
		out.More = ok && q.After < c.head
		return out, nil
	}
	rows, err := s.scan(ctx, q, c)
	if err != nil {
		return store.Scanned{}, fmt.Errorf("scan: %w", unavailable(err))
	}
	out.More = len(rows) == q.Most
	size := 0
	for _, f := range rows {
		out.Next = f.Seq
		sealed, err := s.seal(f, q.Collection)
		if err != nil {
			return store.Scanned{}, fmt.Errorf("scan: %w", err)
		}
		out.Rows = append(out.Rows, sealed)
		size += len(f.raw)
	}
	out.More = out.More || size > store.MaxContent
	if out.More = out.More && out.Next < c.head; !out.More {
		out.Next = max(out.Next, c.head)
	}
	return out, nil
}

// scan finds objects along an index from the position on: all of the collection,
// those with some ids, or the first of each type.
func (s *Store) scan(ctx context.Context, q store.Scan, c collection) ([]row, error) {
	content := "raw"
	if q.Meta {
		content = "CAST(NULL AS bytea) AS raw"
	}
	what := "SELECT " + columns + ", " + content + ", seq AS rank FROM objects WHERE collection = $2 AND seq > $3 AND seq <= $4"
	args := []any{c.number, q.After, c.head, q.Most}
	switch {
	case len(q.IDs) > 0:
		hashes := make([]int64, len(q.IDs))
		for i, id := range q.IDs {
			hashes[i] = store.IDHash(id)
		}
		args = append(args, hashes, q.IDs)
		// Each id is looked up by itself: without statistics, or with old ones, the
		// planner would sooner walk the collection in its order. The sums keep it from
		// the other indexes.
		what = "SELECT o.* FROM (SELECT DISTINCT unnest($6::bigint[])) AS h(hash), LATERAL (SELECT " + columns + ", " + content + ", seq AS rank" +
			" FROM objects WHERE idhash = h.hash AND collection + 0 = $2 AND seq + 0 > $3 AND seq + 0 <= $4 AND id = ANY($7)"
		if len(q.Types) > 0 {
			args = append(args, q.Types)
			what += " AND type = ANY($8)"
		}
		what += " OFFSET 0) AS o ORDER BY rank LIMIT $5"
	case len(q.Types) > 0:
		types := slices.Clone(q.Types)
		slices.Sort(types)
		args = append(args, slices.Compact(types))
		what = "SELECT o.* FROM unnest($6::text[]) AS t(kind), LATERAL (" + what + " AND type = t.kind ORDER BY seq LIMIT $5) AS o ORDER BY rank LIMIT $5"
	default:
		what += " ORDER BY seq LIMIT $5"
	}
	return s.collect(ctx, s.pool, q.Most, what, args...)
}

// Versions returns all versions of an object in a collection, oldest first,
// without tombstones. There are at most as many, and as much of them, as
// [Store.Record] takes of one object.
func (s *Store) Versions(ctx context.Context, name, id string) ([]view.Sealed, error) {
	s.mu.RLock()
	c, ok := s.collections[name]
	s.mu.RUnlock()
	if !ok {
		return nil, nil
	}
	rows, err := s.collect(ctx, s.pool, 0, "SELECT "+columns+
		", raw, seq AS rank FROM objects WHERE idhash = $2 AND collection = $3 AND id = $4 AND (flags & $5) = 0",
		store.IDHash(id), c.number, id, store.FlagTombstone)
	if err != nil {
		return nil, fmt.Errorf("objects: %w", unavailable(err))
	}
	out := make([]view.Sealed, 0, len(rows))
	for _, f := range rows {
		sealed, err := s.seal(f, name)
		if err != nil {
			return nil, fmt.Errorf("objects: %w", err)
		}
		out = append(out, sealed)
	}
	version := func(o view.Sealed) time.Time {
		if o.Version == "" {
			return o.Added
		}
		return o.Modified
	}
	slices.SortStableFunc(out, func(a, b view.Sealed) int { return version(a).Compare(version(b)) })
	return out, nil
}

// Named returns the ids of objects that have a hash.
func (s *Store) Named(ctx context.Context, hash int64) ([]string, error) {
	rows, err := s.pool.Query(ctx, "SELECT DISTINCT id FROM objects WHERE idhash = $1", hash)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Sightings returns the sightings of an object in a community, in order: the
// newest 10,000, or those that fit into 32 MiB.
func (s *Store) Sightings(ctx context.Context, community, id string) (out []view.Sealed, err error) {
	rows, err := s.pool.Query(ctx, "SELECT o.seq, c.name FROM objects o JOIN labels l ON l.label = o.label JOIN collections c ON c.collection = o.collection"+
		" WHERE o.abouthash = $1 AND o.about = $2 AND l.community = $3 ORDER BY o.seq DESC LIMIT $4",
		store.IDHash(id), []byte(id), community, store.MaxSightings)
	if err != nil {
		return nil, fmt.Errorf("objects: %w", unavailable(err))
	}
	names := map[int64]string{}
	var seqs []int64
	var seq int64
	var name string
	if _, err := pgx.ForEachRow(rows, []any{&seq, &name}, func() error {
		names[seq], seqs = name, append(seqs, seq)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("objects: %w", unavailable(err))
	}
	if len(seqs) == 0 {
		return nil, nil
	}
	found, err := s.collect(ctx, s.pool, 0, "SELECT "+columns+
		", raw, -seq AS rank FROM objects WHERE seq = ANY($2)", seqs)
	if err != nil {
		return nil, fmt.Errorf("objects: %w", unavailable(err))
	}
	for _, f := range found {
		sealed, err := s.seal(f, names[f.Seq])
		if err != nil {
			return nil, fmt.Errorf("objects: %w", err)
		}
		out = append(out, sealed)
	}
	slices.Reverse(out)
	return out, nil
}

// Seek returns the highest position whose date_added is at or before t, 0 when
// there is none. The order and date_added grow together, so no index is needed:
// marks in memory lead near it, mostly, and one query finds it there.
func (s *Store) Seek(ctx context.Context, t time.Time) (int64, error) {
	// What was added later than t in the same microsecond is later than t.
	us := t.UnixMicro()
	s.mu.RLock()
	head, last := s.head, s.added
	s.mu.RUnlock()
	if us >= last {
		return head, nil
	}
	f := s.marks.Find(us, head)
	for !f.Done() && !f.Near() {
		middle := f.Middle()
		seq, added := f.High, int64(0) // withdrawn positions have no row
		err := s.pool.QueryRow(ctx, "SELECT seq, added FROM objects WHERE seq >= $1 ORDER BY seq LIMIT 1", middle).Scan(&seq, &added)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return 0, fmt.Errorf("seek: %w", unavailable(err))
		}
		f.Learn(middle, seq, added)
	}
	if f.Done() {
		return f.Low, nil
	}
	var found int64
	err := s.pool.QueryRow(ctx, "SELECT coalesce(max(seq), $1) FROM objects WHERE seq > $1 AND seq < $2 AND added <= $3", f.Low, f.High, us).Scan(&found)
	if err != nil {
		return 0, fmt.Errorf("seek: %w", unavailable(err))
	}
	return found, nil
}

// Rewrites returns a number that is another one after something has changed of
// what stands at the positions from..to of a collection.
func (s *Store) Rewrites(name string, from, to int64) uint64 {
	s.mu.RLock()
	number := s.collections[name].number
	s.mu.RUnlock()
	return s.rewrites.Sum(number, from, to)
}

func errNoLabel(number int64) error { return fmt.Errorf("the label %d is not there", number) }

// knownLabel returns a label that [Store.learnLabels] has read, so that rows that
// were shared alike carry the same pointer.
func (s *Store) knownLabel(number int64) *authorize.Label {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.labels[number]
}

// learnLabels reads labels that are not known yet, and keeps them. When there are
// very many, the store begins anew to remember them.
func (s *Store) learnLabels(ctx context.Context, q querier, numbers []int64) error {
	slices.Sort(numbers)
	numbers = slices.DeleteFunc(slices.Compact(numbers), func(n int64) bool { return s.knownLabel(n) != nil })
	if len(numbers) == 0 {
		return nil
	}
	rows, err := q.Query(ctx, "SELECT label, doc FROM labels WHERE label = ANY($1)", numbers)
	if err != nil {
		return err
	}
	fresh := map[int64]*authorize.Label{}
	var number int64
	var doc string
	if _, err := pgx.ForEachRow(rows, []any{&number, &doc}, func() error {
		l, err := store.DecodeLabel([]byte(doc))
		fresh[number] = l
		return err
	}); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.labels)+len(fresh) > mostLabels {
		clear(s.labels)
	}
	for number, l := range fresh {
		if s.labels[number] == nil {
			s.labels[number] = l
		}
	}
	return nil
}
