package sqlite

import (
	"context"

	"tocsin/internal/authorize"
	"tocsin/internal/store"
	"tocsin/receipt"
)

// Record stores what was admitted (see [store.Recording]). When it returns
// without an error, the objects, the ledger's leaf and a checkpoint over it are
// on disk.
func (s *Store) Record(ctx context.Context, a authorize.Admitted) (out store.Recorded, err error) {
	shared, err := store.NewRecording(a, s.signer.Origin(), s.options.Covers)
	if err != nil {
		return store.Recorded{}, err
	}
	r := &recording{Recording: shared}
	err = s.submit(ctx, &job{
		weight: 1 + len(shared.Objects),
		intern: r.intern,
		do:     r.do,
	})
	if err != nil {
		return store.Recorded{}, err
	}
	return r.out, nil
}

// A recording is one submission being written ([store.Writing]).
type recording struct {
	*store.Recording

	batch      *batch
	collection int64
	labels     map[string]int64
	out        store.Recorded // the writer's until the job is done
}

func (r *recording) intern(b *batch) (err error) {
	if r.collection, err = b.collection(r.Admitted.Target().Collection); err != nil {
		return err
	}
	r.labels = map[string]int64{}
	for i := range r.Objects {
		if r.Objects[i].About == "" {
			continue
		}
		if err := b.narrow(&r.Objects[i]); err != nil {
			return err
		}
	}
	for _, o := range r.Objects {
		if _, ok := r.labels[o.Doc]; ok {
			continue
		}
		if r.labels[o.Doc], err = b.label(o.Doc); err != nil {
			return err
		}
	}
	return nil
}

// narrow gives a sighting no wider an audience than what it is a sighting of has.
func (b *batch) narrow(o *store.Incoming) error {
	var number int64
	positions, err := b.s.ids.findOwn(b.c, store.IDHash(o.About))
	if err != nil || positions == nowhere {
		return err
	}
	const sql = "SELECT label FROM objects WHERE seq IN " + thesePositions + " AND id = ? ORDER BY seq DESC LIMIT 1"
	for r := range b.c.rows(&err, sql, positions, o.About) {
		number = r.ColumnInt64(0)
	}
	if err != nil || number == 0 {
		return err
	}
	about, err := b.s.labelOf(b.c, number)
	if err != nil {
		return err
	}
	return o.Narrow(about)
}

func (r *recording) do(b *batch) (err error) {
	r.batch = b
	var record receipt.Record
	var outcome []byte
	if r.out, record, outcome, err = r.Write(r); err != nil {
		return err
	}
	r.out.Leaf, err = b.record(record, annotation{community: r.out.Community, submission: store.IDHash(r.out.ID), outcome: outcome})
	return err
}

// Siblings returns the versions of an object in a collection, tombstones
// included, in the one order.
func (r *recording) Siblings(o *store.Incoming) (out []store.Sibling, err error) {
	const sql = "SELECT seq, flags, added, modified, nanoseconds, version, sha256, length(raw), label FROM objects" +
		" WHERE seq IN " + thesePositions + " AND collection = ? AND id = ? ORDER BY seq"
	positions, err := r.batch.s.ids.findOwn(r.batch.c, o.IDHash)
	if err != nil || positions == nowhere { // as of nearly every new object
		return nil, err
	}
	for row := range r.batch.c.rows(&err, sql, positions, r.collection, o.ID) {
		label, err := r.batch.s.labelOf(r.batch.c, row.ColumnInt64(8))
		if err != nil {
			return nil, err
		}
		version := store.Row{Seconds: row.ColumnInt64(3), Nanoseconds: row.ColumnInt64(4), Version: row.ColumnText(5)}
		out = append(out, store.Sibling{
			Seq: row.ColumnInt64(0), Flags: row.ColumnInt64(1), Added: row.ColumnInt64(2), Label: label,
			Modified: version.Modified(), Version: version.Version, Sum: row.ColumnBlob(6, nil), Size: row.ColumnInt(7),
		})
	}
	return out, err
}

// Content returns the bytes of a version.
func (r *recording) Content(seq int64) ([]byte, error) {
	return r.batch.c.blob("SELECT raw FROM objects WHERE seq = ?", seq)
}

// Insert adds a version, and marks its siblings.
func (r *recording) Insert(o *store.Incoming, siblings []store.Sibling) (seq, added int64, err error) {
	const sql = "INSERT INTO objects (seq, collection, label, idhash, flags, added, modified, nanoseconds, type, id, version, about, sha256, raw)" +
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	b := r.batch
	flags := 0
	if len(siblings) > 0 {
		flags |= store.FlagSiblings
	}
	if o.Revoked {
		flags |= store.FlagRevoked
	}
	var modified, about any
	if o.Version != "" {
		modified = o.Modified.Unix()
	}
	if o.About != "" {
		about = o.About
	}
	seq, added = b.next(r.collection)
	err = b.c.run(sql, seq, r.collection, r.labels[o.Doc], o.IDHash, flags, added, modified, o.Modified.Nanosecond(),
		o.Type, o.ID, o.Version, about, o.Sum[:], o.Raw())
	if err != nil {
		return 0, 0, err
	}
	b.index(seq, o.IDHash)
	for _, s := range siblings {
		b.rewritten = append(b.rewritten, place{r.collection, s.Seq})
		if s.Flags&(store.FlagSiblings|store.FlagTombstone) == 0 {
			if err := b.c.run("UPDATE objects SET flags = flags | ? WHERE seq = ?", store.FlagSiblings, s.Seq); err != nil {
				return 0, 0, err
			}
		}
	}
	return seq, added, nil
}

// blob returns the first column of the first row, nil when there is none.
func (c *conn) blob(sql string, args ...any) (b []byte, err error) {
	for r := range c.rows(&err, sql, args...) {
		b = r.ColumnBlob(0, nil)
		break
	}
	return b, err
}
