package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/mod/sumdb/tlog"

	"tocsin/internal/store"
	"tocsin/receipt"
)

// A batch is one transaction in the making. It is worked out in memory and
// written at once: three statements that each take all rows as arrays, in one
// round trip.
type batch struct {
	*writer
	pending
	given numbers

	tx           pgx.Tx
	at           standing        // before
	next         standing        // after
	siblings     map[int64][]row // by idhash, in order: what is stored, and what the batch adds
	frontierNext map[int64]tlog.Hash

	fresh       map[string]int64 // collections that were first used, by name
	freshLabels map[string]int64 // labels that were first used or looked up, by their JSON
}

// numbers are the last ones given out.
type numbers struct{ collections, labels int64 }

// pending is what a job has done to a batch, and what is taken back with it.
type pending struct {
	seq      int64 // last position that is taken
	added    int64 // its date_added
	entries  [][]byte
	records  []recorded
	rows     []row
	flagged  []int64 // stored rows that got a sibling
	deleted  []int64
	rewrites []place // older positions that are not what they were
	changes  []change
	held     []held
	settled  []settled
	reviews  []store.Review // new in the queue
	ended    []store.Review // to be written anew, nearly all because they have ended
}

type place struct{ collection, seq int64 }

// A row is one of the table objects.
type row struct {
	store.Row

	collection, label, idhash int64
	size                      int
	about                     []byte
	replaces                  *int64
	sum, raw                  []byte
}

// A recorded is one row of the table records.
type recorded struct {
	receipt.Record

	community  string
	submission *int64
	outcome    []byte
}

// A change is one of the table directory.
type change struct {
	kind, key string
	doc       []byte // nil: deleted
}

// lost reports whether an error ended the whole transaction.
func (b *batch) lost(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) || lost(err) || errors.Is(err, context.DeadlineExceeded) || b.tx.Conn().IsClosed()
}

// takeBack undoes what a job did.
func (b *batch) takeBack(before pending) {
	for _, r := range b.rows[len(before.rows):] {
		known := b.siblings[r.idhash]
		b.siblings[r.idhash] = known[:len(known)-1]
	}
	for _, seq := range b.flagged[len(before.flagged):] {
		for _, rows := range b.siblings {
			for i := range rows {
				if rows[i].Seq == seq {
					rows[i].Flags &^= store.FlagSiblings
				}
			}
		}
	}
	b.pending = before
}

// take takes the next position of the order, and its date_added, which is later
// than every other one whatever the clock says.
func (b *batch) take() (seq, added int64) {
	b.seq++
	b.added = max(b.added+1, time.Now().UnixMicro())
	return b.seq, b.added
}

// prefetch reads what the jobs need to know, in one query for all objects.
func (b *batch) prefetch(ctx context.Context, jobs []*job) error {
	b.fresh, b.freshLabels = map[string]int64{}, map[string]int64{}
	var ids []int64
	for _, j := range jobs {
		ids = append(ids, j.needs.ids...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	const sql = "SELECT seq, flags, added, coalesce(modified, 0), nanoseconds, type, id, version, collection, label, idhash, sha256, coalesce(octet_length(raw), 0)" +
		" FROM objects WHERE idhash = ANY($1) ORDER BY seq"
	if len(ids) > 0 {
		rows, err := b.tx.Query(ctx, sql, ids)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r row
			if err := rows.Scan(&r.Seq, &r.Flags, &r.Added, &r.Seconds, &r.Nanoseconds, &r.Type, &r.ID, &r.Version,
				&r.collection, &r.label, &r.idhash, &r.sum, &r.size); err != nil {
				return err
			}
			b.siblings[r.idhash] = append(b.siblings[r.idhash], r)
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	var numbers []int64
	for _, rows := range b.siblings {
		for _, r := range rows {
			numbers = append(numbers, r.label)
		}
	}
	if err := b.s.learnLabels(ctx, b.tx, numbers); err != nil {
		return err
	}
	for _, j := range jobs {
		for _, doc := range j.needs.docs {
			if _, err := b.labelNumber(ctx, doc); err != nil {
				return err
			}
		}
	}
	return nil
}

// collectionNumber returns a collection's number, and gives it one when it is new.
func (b *batch) collectionNumber(ctx context.Context, name string) (int64, error) {
	b.s.mu.RLock()
	c, ok := b.s.collections[name]
	b.s.mu.RUnlock()
	if ok {
		return c.number, nil
	}
	if n, ok := b.fresh[name]; ok {
		return n, nil
	}
	var n int64
	err := b.tx.QueryRow(ctx, "SELECT collection FROM collections WHERE name = $1", name).Scan(&n)
	if errors.Is(err, pgx.ErrNoRows) {
		n = b.given.collections + 1
		_, err = b.tx.Exec(ctx, "INSERT INTO collections (collection, name, head) VALUES ($1, $2, 0)", n, name)
		b.given.collections = n
	}
	if err != nil {
		return 0, err
	}
	b.fresh[name] = n
	return n, nil
}

// labelNumber returns the number of a label, and gives it one when it is new.
func (b *batch) labelNumber(ctx context.Context, doc string) (int64, error) {
	if n, ok := b.labels[doc]; ok {
		return n, nil
	}
	if n, ok := b.freshLabels[doc]; ok {
		return n, nil
	}
	sum := sha256.Sum256([]byte(doc))
	var n int64
	err := b.tx.QueryRow(ctx, "SELECT label FROM labels WHERE sha256 = $1", sum[:]).Scan(&n)
	if errors.Is(err, pgx.ErrNoRows) {
		label, decodeErr := store.DecodeLabel([]byte(doc))
		if decodeErr != nil {
			return 0, decodeErr
		}
		n = b.given.labels + 1
		_, err = b.tx.Exec(ctx, "INSERT INTO labels (label, sha256, community, doc) VALUES ($1, $2, $3, $4)", n, sum[:], label.Community, doc)
		b.given.labels = n
	}
	if err != nil {
		return 0, err
	}
	b.freshLabels[doc] = n
	return n, nil
}

// record adds a record to the ledger and returns the number of its entry.
func (b *batch) record(r recorded) (leaf int64) {
	leaf = b.at.size + int64(len(b.entries))
	b.entries = append(b.entries, r.Entry())
	b.records = append(b.records, r)
	return leaf
}

// heads returns the collections whose heads the batch has moved, by name.
func (b *batch) heads() map[string]collection {
	last := map[int64]int64{}
	for _, r := range b.rows {
		last[r.collection] = r.Seq
	}
	out := map[string]collection{}
	for name, n := range b.fresh {
		out[name] = collection{n, last[n]}
	}
	b.s.mu.RLock()
	defer b.s.mu.RUnlock()
	for name, c := range b.s.collections {
		if head := last[c.number]; head > 0 {
			out[name] = collection{c.number, head}
		}
	}
	return out
}

// empty reports whether there is nothing to write.
func (b *batch) empty() bool { return len(b.entries)+len(b.settled) == 0 }

// flush writes the batch, but for COMMIT.
func (b *batch) flush(ctx context.Context) error {
	hashes, signed, err := b.sign()
	if err != nil {
		return err
	}
	if len(b.rows) >= copyFrom {
		if err := b.copyObjects(ctx); err != nil {
			return err
		}
	}
	q := &pgx.Batch{}
	b.queueHeld(q)
	if err := b.queueReviews(q); err != nil {
		return err
	}
	b.queueObjects(q)
	b.queueRecords(q)
	positions, values := make([]int64, len(hashes)), make([][]byte, len(hashes))
	for i, h := range hashes {
		positions[i], values[i] = tlog.StoredHashCount(b.at.size)+int64(i), h[:]
	}
	q.Queue("INSERT INTO hashes (position, hash) SELECT * FROM unnest($1::bigint[], $2::bytea[])", positions, values)
	b.queueChanges(q)
	b.next = b.at
	b.next.commits++
	b.next.seq, b.next.added, b.next.size, b.next.signed = b.seq, b.added, b.at.size+int64(len(b.entries)), signed
	b.next.collections, b.next.labels = b.given.collections, b.given.labels
	if len(b.changes) > 0 {
		b.next.directory++
	}
	n := b.next
	q.Queue("UPDATE sequencer SET commits = $1, holder = $2, seq = $3, added = $4, size = $5, signed = $6, collections = $7, labels = $8, directory = $9 WHERE one = 1",
		n.commits, b.s.name, n.seq, n.added, n.size, n.signed, n.collections, n.labels, n.directory)
	if b.s.notifies.Load() {
		q.Queue("NOTIFY " + channel)
	}
	return b.tx.SendBatch(ctx, q).Close()
}

func (b *batch) queueObjects(q *pgx.Batch) {
	if len(b.deleted) > 0 {
		q.Queue("DELETE FROM objects WHERE seq = ANY($1)", b.deleted)
	}
	if len(b.flagged) > 0 {
		q.Queue("UPDATE objects SET flags = flags + 1 WHERE seq = ANY($1)", b.flagged)
	}
	heads := map[int64]int64{}
	for _, r := range b.rows {
		heads[r.collection] = r.Seq
	}
	for number, head := range heads {
		q.Queue("UPDATE collections SET head = $1 WHERE collection = $2", head, number)
	}
	n := len(b.rows)
	if n == 0 || n >= copyFrom {
		return
	}
	seq, coll, label, idhash, flags, added, nanos := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	modified, abouthash, replaces := make([]*int64, n), make([]*int64, n), make([]*int64, n)
	kind, id, version := make([]string, n), make([]string, n), make([]string, n)
	about, sum, raw := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	for i := range b.rows {
		r := &b.rows[i]
		seq[i], coll[i], label[i], idhash[i], flags[i], added[i], nanos[i] = r.Seq, r.collection, r.label, r.idhash, r.Flags, r.Added, r.Nanoseconds
		kind[i], id[i], version[i], about[i], replaces[i], sum[i], raw[i] = r.Type, r.ID, r.Version, r.about, r.replaces, r.sum, r.raw
		if r.Version != "" {
			modified[i] = &r.Seconds
		}
		if r.about != nil {
			h := store.IDHash(string(r.about))
			abouthash[i] = &h
		}
	}
	q.Queue("INSERT INTO objects (seq, collection, label, idhash, flags, added, modified, nanoseconds, abouthash, type, id, version, about, replaces, sha256, raw)"+
		" SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],"+
		" $10::text[], $11::text[], $12::text[], $13::bytea[], $14::bigint[], $15::bytea[], $16::bytea[])",
		seq, coll, label, idhash, flags, added, modified, nanos, abouthash, kind, id, version, about, replaces, sum, raw)
}

// copyFrom is how many rows are worth the two round trips of COPY, which takes
// them faster than INSERT does.
const copyFrom = 200

// copyObjects writes the rows of objects by COPY.
func (b *batch) copyObjects(ctx context.Context) error {
	columns := []string{
		"seq", "collection", "label", "idhash", "flags", "added", "modified", "nanoseconds", "abouthash", "type", "id", "version", "about", "replaces", "sha256", "raw",
	}
	values := make([]any, len(columns))
	_, err := b.tx.CopyFrom(ctx, pgx.Identifier{"objects"}, columns, pgx.CopyFromSlice(len(b.rows), func(i int) ([]any, error) {
		r := &b.rows[i]
		var modified, abouthash any
		if r.Version != "" {
			modified = r.Seconds
		}
		if r.about != nil {
			abouthash = store.IDHash(string(r.about))
		}
		values = append(values[:0], r.Seq, r.collection, r.label, r.idhash, r.Flags, r.Added, modified, r.Nanoseconds, abouthash,
			r.Type, r.ID, r.Version, r.about, r.replaces, r.sum, r.raw)
		return values, nil
	}))
	return err
}

func (b *batch) queueRecords(q *pgx.Batch) {
	n := len(b.records)
	leaf, at := make([]int64, n), make([]int64, n)
	kind, community := make([]string, n), make([]string, n)
	submission := make([]*int64, n)
	outcome, salt, statement := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	for i, r := range b.records {
		leaf[i], at[i], kind[i], community[i], submission[i] = b.at.size+int64(i), r.Time.UnixMicro(), string(r.Kind), r.community, r.submission
		outcome[i], salt[i], statement[i] = r.outcome, r.Salt, r.Statement
	}
	q.Queue("INSERT INTO records (leaf, kind, community, time, submission, entry, outcome, salt, statement)"+
		" SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bytea[], $8::bytea[], $9::bytea[])",
		leaf, kind, community, at, submission, b.entries, outcome, salt, statement)
}

func (b *batch) queueChanges(q *pgx.Batch) {
	for _, c := range b.changes {
		if c.doc == nil {
			q.Queue("DELETE FROM directory WHERE kind = $1 AND key = $2", c.kind, c.key)
		} else {
			q.Queue("INSERT INTO directory (kind, key, doc) VALUES ($1, $2, $3) ON CONFLICT (kind, key) DO UPDATE SET doc = excluded.doc", c.kind, c.key, c.doc)
		}
	}
}
