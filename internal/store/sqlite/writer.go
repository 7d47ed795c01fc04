package sqlite

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3"
	"golang.org/x/mod/sumdb/tlog"

	"tocsin/internal/behind"
	"tocsin/internal/ledger"
	"tocsin/internal/store"
	"tocsin/receipt"
)

const (
	// checkpointPages is how large the write-ahead log grows before it is copied
	// into the file, in pages.
	checkpointPages = 2048
	// eraseAgain is how soon the log is emptied again when a reader kept it from
	// being emptied after a withdrawal.
	eraseAgain = time.Second
)

// A job is one change that somebody waits for.
type job struct {
	weight int                // objects, about
	intern func(*batch) error // numbers that survive a failure of do; may be nil
	do     func(*batch) error
	erases bool // content must leave the write-ahead log as well
	done   chan error
	gone   atomic.Bool // nobody waits any more
}

// submit hands a job to the writer and waits until it is durable. A caller that
// stops waiting does not know whether it was done.
func (s *Store) submit(ctx context.Context, j *job) error {
	if err := s.Err(); err != nil {
		return err
	}
	j.done = make(chan error, 1)
	select {
	case <-s.quit:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	default:
	}
	select {
	case s.jobs <- j:
	default:
		return store.Busy()
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		j.gone.Store(true)
		return ctx.Err()
	case <-s.stopped:
	}
	select {
	case err := <-j.done: // it was done before the writer ended
		return err
	default:
		return errClosed
	}
}

// A writer owns the only connection that writes.
type writer struct {
	s      *Store
	c      *conn
	size   int64            // entries in the ledger
	labels map[string]int64 // numbers of labels, by their JSON
	erase  bool             // the log holds content that was withdrawn
	ids    idKeeper
}

// mostLabels bounds the writer's memory of labels; it then begins anew.
const mostLabels = 100_000

// run writes until the store is closed, behind those who read.
func (w *writer) run() {
	defer close(w.s.stopped)
	behind.Stay()
	timer := time.NewTimer(eraseAgain)
	defer timer.Stop()
	for {
		timer.Stop()
		if w.erase {
			timer.Reset(eraseAgain)
		}
		select {
		case j := <-w.s.jobs:
			w.write(j)
		case <-timer.C:
			w.truncateLog()
		case <-w.s.quit:
			for {
				select {
				case j := <-w.s.jobs:
					w.write(j)
				default:
					return
				}
			}
		}
	}
}

// joins yields j and what waits besides it, also what comes while the others
// are being done, up to the size of a batch: the busier the hub is, the more
// submissions share one sync of the disk. It never waits for any.
func (w *writer) joins(j *job) iter.Seq[*job] {
	return func(yield func(*job) bool) {
		for weight := j.weight; yield(j) && weight < w.s.options.Batch; weight += j.weight {
			select {
			case j = <-w.s.jobs:
			default:
				return
			}
		}
	}
}

// write makes one transaction of a job and of those that join it, and answers
// each.
func (w *writer) write(first *job) {
	if err := w.s.Err(); err != nil {
		first.done <- err
		return
	}
	b := &batch{writer: w, pending: pending{seq: w.s.head, added: w.s.added}}
	if err := w.transact(b, w.joins(first)); err != nil {
		if len(b.jobs) == 0 { // it did not even begin
			b.jobs = []*job{first}
		}
		w.s.ids.recent.Load().remove(b.indexed)
		w.abandon(err, b.jobs)
		return
	}
	w.size += int64(len(b.entries))
	w.s.publish(b)
	for i, j := range b.jobs {
		w.erase = w.erase || j.erases && b.errs[i] == nil || b.purged
		j.done <- b.errs[i]
	}
	w.truncateLog()
	w.keepIDs()
	w.copyLog()
}

// abandon answers jobs of which nothing was written.
func (w *writer) abandon(err error, jobs []*job) {
	clear(w.labels) // some of them may not exist
	if failed(err) {
		w.s.fail(err)
		err = w.s.Err()
	} else {
		err = errors.Join(store.Busy(), err)
	}
	for _, j := range jobs {
		j.done <- err
	}
}

// transact writes a batch. A job that fails takes back what it did, and nothing
// else; when transact itself fails, nothing was done.
func (w *writer) transact(b *batch, jobs iter.Seq[*job]) (err error) {
	if err := w.c.run("BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil && !w.c.GetAutocommit() {
			err = errors.Join(err, w.c.run("ROLLBACK"))
		}
	}()
	for j := range jobs {
		own := context.Canceled
		if !j.gone.Load() {
			own, err = w.savepoint(b, j)
		}
		b.jobs, b.errs = append(b.jobs, j), append(b.errs, own)
		if err != nil {
			return err
		}
	}
	if err := w.sign(b); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if err := w.c.run("COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// savepoint does one job. It returns the job's own error, and an error when the
// whole transaction is lost.
func (w *writer) savepoint(b *batch, j *job) (own, lost error) {
	if j.intern != nil {
		if err := j.intern(b); err != nil {
			return nil, fmt.Errorf("intern: %w", err)
		}
	}
	before := b.pending
	if err := w.c.run("SAVEPOINT job"); err != nil {
		return nil, fmt.Errorf("savepoint: %w", err)
	}
	own = j.do(b)
	if own == nil {
		if err := w.c.run("RELEASE job"); err != nil {
			return nil, fmt.Errorf("release: %w", err)
		}
		return nil, nil
	}
	// SQLite itself rolls everything back when the disk is full or broken.
	if failed(own) || w.c.GetAutocommit() {
		return nil, own
	}
	w.s.ids.recent.Load().remove(b.indexed[len(before.indexed):])
	b.pending = before
	if err := w.c.Exec("ROLLBACK TO job; RELEASE job"); err != nil {
		return nil, fmt.Errorf("rollback: %w", err)
	}
	return own, nil
}

// sign adds the batch's entries to the tree and signs for all of it.
func (w *writer) sign(b *batch) error {
	if len(b.entries) == 0 {
		return nil
	}
	hashes, err := ledger.Append(w.size, b.entries, w.c)
	if err != nil {
		return err
	}
	first := tlog.StoredHashCount(w.size)
	for i, h := range hashes {
		if err := w.c.run("INSERT INTO hashes (position, hash) VALUES (?, ?)", first+int64(i), h[:]); err != nil {
			return err
		}
	}
	size := w.size + int64(len(b.entries))
	signed, err := w.s.signer.Checkpoint(size, w.c)
	if err != nil {
		return err
	}
	return w.c.run("UPDATE checkpoint SET size = ?, signed = ?", size, signed)
}

// copyLog copies the write-ahead log into the file when it has grown. Nobody
// waits for it: it is after the answers. When readers never leave the log alone
// long enough for it to begin anew, they have to wait for once.
func (w *writer) copyLog() {
	if err := w.c.copyLog(); failed(err) {
		w.s.fail(fmt.Errorf("write-ahead log: %w", err))
	}
}

// copyLog copies the write-ahead log into the file when it has grown.
func (c *conn) copyLog() error {
	pages, _, err := c.WALCheckpoint("main", sqlite3.CHECKPOINT_NOOP)
	switch {
	case err == nil && pages >= 8*checkpointPages:
		_, _, err = c.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	case err == nil && pages >= checkpointPages:
		_, _, err = c.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE)
	}
	return err
}

// keepIDs does a part of what there is to do for the index of ids: nobody waits
// for it. When it could not be done it is tried again after the next write.
func (w *writer) keepIDs() {
	if w.s.Err() != nil {
		return
	}
	if _, err := w.ids.step(w.s.head); failed(err) {
		w.s.fail(fmt.Errorf("index of ids: %w", err))
	}
}

// truncateLog empties the write-ahead log after a withdrawal: content that was
// withdrawn must not lie about in a file. It is tried again later when a reader
// still needs the log.
func (w *writer) truncateLog() {
	if !w.erase || w.s.Err() != nil {
		return
	}
	_, _, err := w.c.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
	w.erase = err != nil
	if failed(err) {
		w.s.fail(fmt.Errorf("write-ahead log: %w", err))
	}
}

func (w *writer) close() error { return w.c.close() }

// A batch is one transaction in the making.
type batch struct {
	*writer
	pending

	jobs  []*job  // what has been done
	errs  []error // and what became of each
	fresh []named // collections that were first used
}

// pending is what a job has done to a batch, and what is taken back with it.
type pending struct {
	seq       int64 // last position that is taken
	added     int64 // its date_added
	entries   [][]byte
	placed    []place
	rewritten []place   // older positions that are not what they were
	indexed   []idEntry // what was added to the index of ids
	purged    bool      // values of reviews were erased on the way
}

type named struct {
	number int64
	name   string
}

type place struct{ collection, seq int64 }

// next takes the next position of the order for a collection, and its
// date_added, which is later than every other one whatever the clock says.
func (b *batch) next(collection int64) (seq, added int64) {
	b.seq++
	b.added = max(b.added+1, time.Now().UnixMicro())
	b.placed = append(b.placed, place{collection, b.seq})
	return b.seq, b.added
}

// index makes a position that was taken known by the hash of its object's id.
func (b *batch) index(seq, hash int64) {
	e := idEntry{uint64(hash), seq}
	b.indexed = append(b.indexed, e)
	b.s.ids.recent.Load().add(e)
}

// collection returns a collection's number, and gives it one when it is new.
func (b *batch) collection(name string) (int64, error) {
	b.s.mu.RLock()
	c, ok := b.s.collections[name]
	b.s.mu.RUnlock()
	if ok {
		return c.number, nil
	}
	for _, f := range b.fresh {
		if f.name == name {
			return f.number, nil
		}
	}
	if err := b.c.run("INSERT INTO collections (name) VALUES (?)", name); err != nil {
		return 0, err
	}
	number := b.c.LastInsertRowID()
	b.fresh = append(b.fresh, named{number, name})
	return number, nil
}

// label returns the number of a label, and gives it one when it is new.
func (b *batch) label(doc string) (int64, error) {
	if n, ok := b.labels[doc]; ok {
		return n, nil
	}
	n, err := b.c.number("SELECT label FROM labels WHERE doc = ?", doc)
	if err != nil {
		return 0, err
	}
	if n == 0 {
		if err := b.c.run("INSERT INTO labels (doc) VALUES (?)", doc); err != nil {
			return 0, err
		}
		n = b.c.LastInsertRowID()
	}
	if len(b.labels) >= mostLabels {
		clear(b.labels)
	}
	b.labels[doc] = n
	return n, nil
}

// A row of the records table besides the record itself.
type annotation struct {
	community  string
	submission any    // int64 hash of a submission's id, or nil
	outcome    []byte // JSON, or nil
}

// record adds a record to the ledger and returns the number of its entry.
func (b *batch) record(r receipt.Record, a annotation) (leaf int64, err error) {
	leaf = b.size + int64(len(b.entries))
	entry := r.Entry()
	err = b.c.run("INSERT INTO records (leaf, kind, community, time, submission, entry, outcome, salt, statement) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		leaf, string(r.Kind), a.community, r.Time.UnixMicro(), a.submission, entry, a.outcome, r.Salt, r.Statement)
	if err != nil {
		return 0, err
	}
	b.entries = append(b.entries, entry)
	return leaf, nil
}

// ReadHashes reads the ledger's tree (golang.org/x/mod/sumdb/tlog.HashReader).
func (c *conn) ReadHashes(positions []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(positions))
	for i, p := range positions {
		var err error
		n := 0
		for r := range c.rows(&err, "SELECT hash FROM hashes WHERE position = ?", p) {
			n = copy(out[i][:], r.ColumnRawBlob(0))
		}
		if err != nil {
			return nil, err
		}
		if n != len(out[i]) {
			return nil, fmt.Errorf("the ledger's hash %d is not there", p)
		}
	}
	return out, nil
}
