package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/mod/sumdb/tlog"

	"tocsin"
	"tocsin/internal/ledger"
	"tocsin/internal/store"
)

// A job is one change that somebody waits for.
type job struct {
	weight int // objects, about
	size   int // bytes of content
	needs  needs
	do     func(context.Context, *batch) error // may be called again after a transaction was lost
	alone  bool                                // reads what others of the same transaction would have written
	done   chan error
	gone   atomic.Bool // nobody waits any more
}

// needs is what a job wants to have been read before it is its turn.
type needs struct {
	ids  []int64  // hashes of ids
	docs []string // labels
}

const (
	mostBytes = 8 << 20 // of content in one transaction, about
	tryTime   = 10 * time.Second
	firstWait = 20 * time.Millisecond
	mostWait  = time.Second
)

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

// A writer makes transactions, one at a time.
type writer struct {
	s        *Store
	labels   map[string]int64 // numbers of labels, by their JSON
	commits  int64            // as of which transaction frontier is right
	frontier map[int64]tlog.Hash
	aside    *job // does not fit into the transaction before it
}

// mostLabels bounds the memory of labels; it then begins anew.
const mostLabels = 100_000

// run writes until the store is closed.
func (w *writer) run() {
	defer close(w.s.stopped)
	for {
		if j := w.aside; j != nil {
			w.aside = nil
			w.write(w.gather(j))
			continue
		}
		select {
		case j := <-w.s.jobs:
			w.write(w.gather(j))
		case <-w.s.quit:
			for {
				select {
				case j := <-w.s.jobs:
					w.write([]*job{j})
				default:
					return
				}
			}
		}
	}
}

// gather takes what waits besides j, up to the size of a batch: the busier the
// hub is, the more submissions share one transaction.
func (w *writer) gather(j *job) []*job {
	jobs := []*job{j}
	weight, size := j.weight, j.size
	for !j.alone && weight < w.s.options.Batch && size < mostBytes {
		select {
		case next := <-w.s.jobs:
			if next.alone {
				w.aside = next
				return jobs
			}
			jobs, weight, size = append(jobs, next), weight+next.weight, size+next.size
		default:
			return jobs
		}
	}
	return jobs
}

// errUncertain means that the connection was lost during COMMIT.
var errUncertain = errors.New("not known whether it was committed")

// write makes one transaction of jobs and answers each. It is the one place
// where transactions are tried again: those that PostgreSQL gave up for another
// (40001, 40P01), and those that were lost with their connection.
func (w *writer) write(jobs []*job) {
	deadline := time.Now().Add(w.s.options.Patience)
	wait := firstWait
	for {
		err := w.s.Err()
		var b *batch
		var errs []error
		if err == nil {
			b, errs, err = w.try(jobs)
		}
		if errors.Is(err, errUncertain) {
			committed, unknown := w.resolve(b, deadline)
			switch {
			case unknown != nil:
				answer(jobs, errors.Join(uncertain(), err, unknown))
				return
			case committed:
				err = nil
			}
		}
		if err == nil {
			w.committed(b, jobs, errs)
			return
		}
		w.forget()
		if !again(err) || time.Now().Add(wait).After(deadline) || w.closing() {
			if w.s.Err() == nil {
				err = errors.Join(store.Busy(), err)
			}
			answer(jobs, err)
			return
		}
		time.Sleep(wait)
		wait = min(2*wait, mostWait)
	}
}

func (w *writer) closing() bool {
	select {
	case <-w.s.quit:
		return true
	default:
		return false
	}
}

func answer(jobs []*job, err error) {
	for _, j := range jobs {
		j.done <- err
	}
}

// uncertain is the answer when the database went away during COMMIT and did not
// come back in time. Sending it again is safe: what is stored is not stored
// twice.
func uncertain() error {
	return &tocsin.Error{
		Kind: tocsin.Busy, Message: "the database went away while it stored this, so it is not known whether it did",
		Hint: "send it again: what is stored already is not stored twice",
	}
}

// forget drops what the writer remembers of the database.
func (w *writer) forget() {
	clear(w.labels)
	w.frontier, w.commits = nil, -1
}

// again reports whether a transaction that failed may be tried again: nothing of
// it is there.
func again(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return lost(err) || errors.Is(err, context.DeadlineExceeded)
	}
	switch pg.Code {
	case "40001", "40P01", // serialization failure, deadlock
		"55P03",                   // lock_timeout: another replica holds the sequencer
		"25P02", "25P03", "25006": // ended while idle; a primary that became a standby
		return true
	}
	switch pg.Code[:2] {
	case "08", "53", "57": // connection, resources, shutdown
		return true
	}
	return false
}

// networkError is net.Error: this package reaches the database through pgx only.
type networkError interface {
	error
	Timeout() bool
	Temporary() bool
}

// lost reports whether an error is one of the connection.
func lost(err error) bool {
	var connect *pgconn.ConnectError
	var network networkError
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		pgconn.SafeToRetry(err) || errors.Is(err, pgx.ErrTxClosed)
}

// resolve finds out whether a transaction was committed whose connection was
// lost. The sequencer's row is free only when that transaction has ended.
func (w *writer) resolve(b *batch, deadline time.Time) (committed bool, err error) {
	if len(b.entries) == 0 { // such a batch changes nothing when it is done again
		return false, nil
	}
	for wait := firstWait; ; wait = min(2*wait, mostWait) {
		committed, err = w.look(b)
		if err == nil || time.Now().Add(wait).After(deadline) {
			return committed, err
		}
		time.Sleep(wait)
	}
}

func (w *writer) look(b *batch) (committed bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), tryTime)
	defer cancel()
	err = pgx.BeginFunc(ctx, w.s.pool, func(tx pgx.Tx) error {
		var at standing
		if err := at.scan(tx.QueryRow(ctx, selectStanding+" FOR UPDATE")); err != nil {
			return err
		}
		var n int
		err := tx.QueryRow(ctx, "SELECT count(*) FROM records WHERE leaf = $1 AND entry = $2", b.at.size, b.entries[0]).Scan(&n)
		committed = n == 1
		return err
	})
	return committed, err
}

// try makes one transaction. When it fails, nothing was done; the error is
// errUncertain when that is not known.
func (w *writer) try(jobs []*job) (b *batch, errs []error, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), tryTime)
	defer cancel()
	tx, err := w.s.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return nil, nil, fmt.Errorf("begin: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // does nothing after a commit
	if b, err = w.begin(ctx, tx); err != nil {
		return nil, nil, fmt.Errorf("begin: %w", err)
	}
	if err := b.prefetch(ctx, jobs); err != nil {
		return nil, nil, fmt.Errorf("look up: %w", err)
	}
	errs = make([]error, len(jobs))
	for i, j := range jobs {
		if j.gone.Load() {
			errs[i] = context.Canceled
			continue
		}
		before := b.pending
		if errs[i] = j.do(ctx, b); errs[i] != nil {
			if b.lost(errs[i]) { // the transaction is gone, not only the job
				return nil, nil, errs[i]
			}
			b.takeBack(before)
		}
	}
	if b.empty() {
		return b, errs, nil // nothing to write; what was read is given up
	}
	if err := b.flush(ctx); err != nil {
		return nil, nil, fmt.Errorf("write: %w", err)
	}
	if err := tx.Commit(ctx); err != nil {
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Severity != "FATAL" && pg.Code[:2] != "08" || errors.Is(err, pgx.ErrTxCommitRollback) {
			return nil, nil, fmt.Errorf("commit: %w", err) // it says itself that it was not
		}
		return b, errs, fmt.Errorf("%w: %w", errUncertain, err)
	}
	return b, errs, nil
}

// begin waits for the sequencer's row and checks that the ledger goes on where
// this replica has last seen it.
func (w *writer) begin(ctx context.Context, tx pgx.Tx) (*batch, error) {
	b := &batch{writer: w, tx: tx, siblings: map[int64][]row{}}
	if err := b.at.scan(tx.QueryRow(ctx, selectStanding+" FOR UPDATE")); err != nil {
		return nil, err
	}
	w.s.mu.RLock()
	commits, size := w.s.commits, w.s.size
	w.s.mu.RUnlock()
	switch {
	case b.at.moved != 0:
		if err := refusal(ctx, tx); err != nil {
			w.s.fail(err)
		}
		return nil, w.s.Err()
	case b.at.size < size || b.at.commits < commits:
		// A standby that had not got everything became the primary, or an old
		// backup was restored: to go on would sign a second ledger.
		w.s.fail(errors.New("the database has lost what was acknowledged: its ledger is shorter than it was"))
		return nil, w.s.Err()
	}
	if w.frontier == nil || w.commits != b.at.commits {
		if err := w.readFrontier(ctx, b); err != nil {
			return nil, err
		}
	}
	b.pending = pending{seq: b.at.seq, added: b.at.added}
	b.given = numbers{collections: b.at.collections, labels: b.at.labels}
	return b, nil
}

// readFrontier reads the hashes that the tree grows from, after another replica
// has written, and checks that they are what the checkpoint signs for.
func (w *writer) readFrontier(ctx context.Context, b *batch) error {
	w.frontier = map[int64]tlog.Hash{}
	read := hashReader(ctx, b.tx)
	err := w.s.checkLedger(&b.at, tlog.HashReaderFunc(func(positions []int64) ([]tlog.Hash, error) {
		hashes, err := read(positions)
		for i, h := range hashes {
			w.frontier[positions[i]] = h
		}
		return hashes, err
	}))
	if err != nil && !b.lost(err) {
		w.s.fail(err)
	}
	w.commits = b.at.commits
	return err
}

// committed answers jobs whose transaction is durable.
func (w *writer) committed(b *batch, jobs []*job, errs []error) {
	if !b.empty() {
		w.commits, w.frontier = b.next.commits, b.frontierNext
		for doc, n := range b.freshLabels {
			if len(w.labels) >= mostLabels {
				clear(w.labels)
			}
			w.labels[doc] = n
		}
		w.s.mu.RLock()
		next := w.s.commits == b.at.commits
		w.s.mu.RUnlock()
		if next {
			w.s.publish(news{at: b.next, collections: b.heads(), rewrites: b.rewrites})
		} else {
			// Others wrote in between, and what they wrote comes first.
			select {
			case w.s.wake <- struct{}{}:
			default:
			}
		}
	}
	for i, j := range jobs {
		j.done <- errs[i]
	}
}

// sign adds the batch's entries to the tree and signs for all of it.
func (b *batch) sign() (hashes []tlog.Hash, signed []byte, err error) {
	if len(b.entries) == 0 {
		b.frontierNext = b.frontier
		return nil, b.at.signed, nil
	}
	r := &grownReader{old: b.frontier, first: tlog.StoredHashCount(b.at.size)}
	if r.fresh, err = ledger.Append(b.at.size, b.entries, r); err != nil {
		return nil, nil, err
	}
	size := b.at.size + int64(len(b.entries))
	signed, err = b.s.signer.Checkpoint(size, r)
	b.frontierNext = map[int64]tlog.Hash{}
	for _, p := range r.asked { // what the root was made of is what the tree grows from
		h, _ := r.at(p)
		b.frontierNext[p] = h
	}
	return r.fresh, signed, err
}

// A grownReader reads hashes of which some are not stored yet.
type grownReader struct {
	old   map[int64]tlog.Hash
	first int64
	fresh []tlog.Hash
	asked []int64 // the last time
}

func (r *grownReader) at(p int64) (tlog.Hash, bool) {
	if i := p - r.first; i >= 0 && i < int64(len(r.fresh)) {
		return r.fresh[i], true
	}
	h, ok := r.old[p]
	return h, ok
}

// ReadHashes implements tlog.HashReader.
func (r *grownReader) ReadHashes(positions []int64) ([]tlog.Hash, error) {
	r.asked = positions
	out := make([]tlog.Hash, len(positions))
	for i, p := range positions {
		var ok bool
		if out[i], ok = r.at(p); !ok {
			return nil, fmt.Errorf("the ledger's hash %d is not at its edge", p)
		}
	}
	return out, nil
}
