package postgres

import (
	"context"
	"slices"
	"time"

	"tocsin/internal/authorize"
	"tocsin/internal/store"
)

// Record stores what was admitted (see [store.Recording]). When it returns
// without an error, the objects, the ledger's leaf and a checkpoint over it are
// durable.
func (s *Store) Record(ctx context.Context, a authorize.Admitted) (out store.Recorded, err error) {
	shared, err := store.NewRecording(a, s.signer.Origin(), s.options.Covers)
	if err != nil {
		return store.Recorded{}, err
	}
	j := &job{weight: 1 + len(shared.Objects)}
	seen := map[string]bool{}
	for _, o := range shared.Objects {
		j.size += len(o.Raw())
		j.needs.ids = append(j.needs.ids, o.IDHash)
		if o.About != "" {
			j.needs.ids = append(j.needs.ids, store.IDHash(o.About))
		} else if !seen[o.Doc] {
			seen[o.Doc] = true
			j.needs.docs = append(j.needs.docs, o.Doc)
		}
	}
	j.do = func(ctx context.Context, b *batch) error {
		r := &recording{Recording: shared, batch: b, ctx: func() context.Context { return ctx }}
		out, err = r.write()
		return err
	}
	if err := s.submit(ctx, j); err != nil {
		return store.Recorded{}, err
	}
	if out.Last > 0 {
		s.await(ctx, out.Last)
	}
	return out, nil
}

// await waits until readers of this replica can see a position, so that a member
// finds at once what it has shared. It waits only when other replicas wrote in
// between, and not for long.
func (s *Store) await(ctx context.Context, seq int64) {
	enough := time.NewTimer(2 * s.options.Poll)
	defer enough.Stop()
	for {
		head, later := s.Head("")
		if head >= seq {
			return
		}
		select {
		case <-later:
		case <-enough.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// A recording is one submission being written ([store.Writing]).
type recording struct {
	*store.Recording

	ctx        func() context.Context // of the transaction
	batch      *batch
	collection int64
}

func (r *recording) write() (out store.Recorded, err error) {
	b := r.batch
	if r.collection, err = b.collectionNumber(r.ctx(), r.Admitted.Target().Collection); err != nil {
		return out, err
	}
	for i := range r.Objects {
		o := &r.Objects[i]
		if o.About == "" {
			continue
		}
		rows := slices.DeleteFunc(slices.Clone(b.siblings[store.IDHash(o.About)]), func(s row) bool { return s.ID != o.About })
		if len(rows) > 0 {
			about, err := b.label(rows[len(rows)-1].label)
			if err != nil {
				return out, err
			}
			if err := o.Narrow(about); err != nil {
				return out, err
			}
		}
	}
	out, record, outcome, err := r.Write(r)
	if err != nil {
		return out, err
	}
	submission := store.IDHash(out.ID)
	out.Leaf = b.record(recorded{Record: record, community: out.Community, submission: &submission, outcome: outcome})
	return out, nil
}

// label returns a label by its number.
func (b *batch) label(number int64) (*authorize.Label, error) {
	if l := b.s.knownLabel(number); l != nil {
		return l, nil
	}
	for doc, n := range b.freshLabels {
		if n == number {
			return store.DecodeLabel([]byte(doc))
		}
	}
	return nil, errNoLabel(number)
}

// Siblings returns the versions of an object in a collection, tombstones
// included, in the one order.
func (r *recording) Siblings(o *store.Incoming) (out []store.Sibling, err error) {
	for _, s := range r.batch.siblings[o.IDHash] {
		if s.collection != r.collection || s.ID != o.ID {
			continue
		}
		label, err := r.batch.label(s.label)
		if err != nil {
			return nil, err
		}
		out = append(out, store.Sibling{
			Seq: s.Seq, Flags: s.Flags, Added: s.Added, Label: label, Modified: s.Modified(), Version: s.Version, Sum: s.sum, Size: s.size,
		})
	}
	return out, nil
}

// Content returns the bytes of a version.
func (r *recording) Content(seq int64) (raw []byte, err error) {
	for _, added := range r.batch.rows {
		if added.Seq == seq {
			return added.raw, nil
		}
	}
	err = r.batch.tx.QueryRow(r.ctx(), "SELECT raw FROM objects WHERE seq = $1", seq).Scan(&raw)
	return raw, err
}

// Insert adds a version, and marks its siblings.
func (r *recording) Insert(o *store.Incoming, siblings []store.Sibling) (seq, added int64, err error) {
	b := r.batch
	label, err := b.labelNumber(r.ctx(), o.Doc)
	if err != nil {
		return 0, 0, err
	}
	seq, added = b.take()
	n := row{
		Row:        store.Row{Seq: seq, Added: added, Type: o.Type, ID: o.ID, Version: o.Version},
		collection: r.collection, label: label, idhash: o.IDHash, size: len(o.Raw()), sum: o.Sum[:], raw: o.Raw(),
	}
	if o.Version != "" {
		n.Seconds, n.Nanoseconds = o.Modified.Unix(), int64(o.Modified.Nanosecond())
	}
	if o.About != "" {
		n.about = []byte(o.About)
	}
	if len(siblings) > 0 {
		n.Flags |= store.FlagSiblings
	}
	if o.Revoked {
		n.Flags |= store.FlagRevoked
	}
	for _, s := range siblings {
		b.rewrites = append(b.rewrites, place{r.collection, s.Seq})
		if s.Flags&(store.FlagSiblings|store.FlagTombstone) == 0 {
			b.flag(o.IDHash, s.Seq)
		}
	}
	b.rows = append(b.rows, n)
	b.siblings[o.IDHash] = append(b.siblings[o.IDHash], n)
	return seq, added, nil
}

// flag notes that a version got a sibling, whether it is stored or is about to be.
func (b *batch) flag(idhash, seq int64) {
	known := b.siblings[idhash]
	for i := range known {
		if known[i].Seq == seq {
			known[i].Flags |= store.FlagSiblings
		}
	}
	if seq <= b.at.seq {
		b.flagged = append(b.flagged, seq)
		return
	}
	b.rows[seq-b.at.seq-1].Flags |= store.FlagSiblings // rows take positions one after the other
}
