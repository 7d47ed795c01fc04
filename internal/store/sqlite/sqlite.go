// Package sqlite keeps a hub's state in one SQLite file.
//
// One goroutine writes. It takes all that waits, makes it one transaction
// together with the ledger's leaves and a signed checkpoint, and answers when
// the transaction is on disk. Readers have connections of their own and wait
// for nobody. Every page of the file carries a checksum.
package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"
	"golang.org/x/mod/sumdb/tlog"

	"tocsin/internal/authorize"
	"tocsin/internal/ledger"
	"tocsin/internal/store"
	"tocsin/receipt"
)

// File is the database in the data folder.
const File = "hub.db"

// Files in the data folder.
const (
	dbFile   = File
	lockFile = "hub.lock"
)

// Options are what an operator may tune. Zero fields mean the defaults.
type Options struct {
	Readers int // connections that read at the same time; 4
	Batch   int // objects in one transaction, about; 10,000
	Queue   int // submissions that may wait to be written; 1,024
	CacheKB int // page cache of the writer, in KiB, 16,384; each reader has an eighth

	// Covers reports whether everybody who could see an object by the wider
	// label can see it by the one that it is stored under already, so that the
	// same content need not be stored again. By default only an equal label
	// covers another.
	Covers func(stored, wanted *authorize.Label) bool

	recent int    // ids in memory before they go to disk; 65,536, fewer in tests
	step   int    // blocks of the index of ids that are written between two transactions; 256, fewer in tests
	vfs    string // a file system that can be told to fail, in tests
}

func (o Options) withDefaults() Options {
	set := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	set(&o.Readers, 4)
	set(&o.Batch, 10_000)
	set(&o.Queue, 1024)
	set(&o.CacheKB, 16<<10)
	set(&o.recent, 1<<16)
	set(&o.step, 256)
	if o.Covers == nil {
		o.Covers = func(stored, wanted *authorize.Label) bool { return stored.Key() == wanted.Key() }
	}
	return o
}

var (
	// ErrInUse means that another process has the data folder open.
	ErrInUse = errors.New("another process uses this data folder")
	// ErrFailed means that the disk failed under the store. What was
	// acknowledged is safe; nothing more is written until the process has
	// started again from what is on disk.
	ErrFailed = errors.New("the store has failed and takes no more writes")

	errClosed = errors.New("the store is closed")
)

// A Store is a hub's state. It is safe for concurrent use.
type Store struct {
	options Options
	signer  *ledger.Signer
	lock    *conn
	writer  *writer
	readers *pool
	ids     ids
	marks   store.Marks

	jobs    chan *job
	quit    chan struct{} // closed to end the writer
	stopped chan struct{} // closed when it has ended
	running sync.WaitGroup
	closing sync.Once
	broken  chan struct{} // closed when the disk has failed
	failure atomic.Pointer[error]

	rewrites store.RewriteCounts

	mu          sync.RWMutex             // guards what follows
	head        int64                    // last position that is taken
	added       int64                    // its date_added, microseconds since 1970
	collections map[string]collection    // by name
	names       map[int64]string         // of collections
	later       map[string]chan struct{} // closed when a collection grows, or the hub (""); only those that somebody waits for
	labels      map[int64]*authorize.Label
}

type collection struct {
	number int64
	head   int64
}

var _ store.Store = (*Store)(nil)

// Open opens the store in a data folder, which it makes when it is not there.
// It fails with [ErrInUse] when another process has it open, and when what is
// on disk is not a ledger that the signer's key has signed.
func Open(ctx context.Context, dir string, signer *ledger.Signer, o Options) (_ *Store, err error) {
	o = o.withDefaults()
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := makeFolder(dir); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	s := &Store{
		options: o, signer: signer,
		jobs: make(chan *job, o.Queue), quit: make(chan struct{}), stopped: make(chan struct{}), broken: make(chan struct{}),
		collections: map[string]collection{}, names: map[int64]string{}, labels: map[int64]*authorize.Label{}, later: map[string]chan struct{}{},
	}
	if s.lock, err = lockFolder(dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.lock.close())
		}
	}()
	db := filepath.Join(dir, dbFile)
	c, err := openDB(ctx, db, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dbFile, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	s.writer = &writer{s: s, c: c, labels: map[string]int64{}}
	s.writer.ids = idKeeper{ids: &s.ids, c: c, most: o.recent, blocks: o.step}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("%s: %w", dbFile, err)
	}
	s.readers = newPool(o.Readers, func() (*conn, error) {
		return connect(db, o.vfs, "query_only=ON", fmt.Sprintf("cache_size=-%d", o.CacheKB/8), "temp_store=MEMORY")
	})
	s.running.Go(s.writer.run)
	return s, nil
}

// makeFolder makes the data folder, for its owner only, and sees to it that it
// is still there after a power cut.
func makeFolder(dir string) error {
	info, err := os.Stat(dir)
	if err == nil {
		if !info.IsDir() {
			return errors.New("not a folder")
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(parent)
}

// syncFolder makes the names in a folder durable, where that is possible.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" { // where folders cannot be synced
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// touch makes an empty file for its owner only, unless it is there: SQLite
// itself would make it for everybody.
func touch(file string) error {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// lockFolder makes sure that one process at a time uses the folder. The
// operating system gives the lock back when the process ends, however it ends.
func lockFolder(dir string) (*conn, error) {
	file := filepath.Join(dir, lockFile)
	if err := touch(file); err != nil {
		return nil, fmt.Errorf("%s: %w", lockFile, err)
	}
	c, err := connect(file, "", "busy_timeout=0")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", lockFile, err)
	}
	if err := c.run("BEGIN EXCLUSIVE"); err != nil {
		err = errors.Join(err, c.close())
		if errors.Is(err, sqlite3.BUSY) {
			return nil, fmt.Errorf("%s: %w", dir, ErrInUse)
		}
		return nil, fmt.Errorf("%s: %w", lockFile, err)
	}
	return c, nil
}

// load reads what the store keeps in memory, and checks that the ledger is what
// its checkpoint says and that the checkpoint is the signer's.
func (s *Store) load() (err error) {
	c := s.writer.c
	m, err := c.mark()
	if err == nil {
		err = m.Refusal()
	}
	if err != nil {
		return err
	}
	for r := range c.rows(&err, "SELECT seq, added FROM objects ORDER BY seq DESC LIMIT 1") {
		s.head, s.added = r.ColumnInt64(0), r.ColumnInt64(1)
	}
	if err != nil {
		return err
	}
	for r := range c.rows(&err, "SELECT collection, name FROM collections") {
		s.names[r.ColumnInt64(0)] = r.ColumnText(1)
	}
	if err != nil {
		return err
	}
	for number, name := range s.names {
		head, err := c.number("SELECT max(seq) FROM objects WHERE collection = ?", number)
		if err != nil {
			return err
		}
		s.collections[name] = collection{number, head}
	}
	if err := s.writer.ids.load(); err != nil {
		return fmt.Errorf("index of ids: %w", err)
	}
	if err := s.writer.ids.fill(c.copyLog); err != nil {
		return fmt.Errorf("index of ids: %w", err)
	}
	return s.loadLedger()
}

func (s *Store) loadLedger() (err error) {
	c := s.writer.c
	var signed []byte
	for r := range c.rows(&err, "SELECT signed FROM checkpoint") {
		signed = r.ColumnBlob(0, nil)
	}
	if err != nil {
		return err
	}
	if signed == nil {
		// A ledger begins with a checkpoint over nothing.
		if signed, err = s.signer.Checkpoint(0, c); err != nil {
			return err
		}
		return c.run("INSERT INTO checkpoint (one, size, signed) VALUES (1, 0, ?)", signed)
	}
	checkpoint, err := receipt.OpenCheckpoint(signed, s.signer.VerifierKey())
	if err != nil {
		return fmt.Errorf("the ledger was signed with another key: %w", err)
	}
	last, err := c.number("SELECT coalesce(max(leaf), -1) FROM records")
	if err != nil {
		return err
	}
	root, err := tlog.TreeHash(checkpoint.Size, c)
	if err != nil {
		return err
	}
	if last+1 != checkpoint.Size || !bytes.Equal(root[:], checkpoint.Hash[:]) {
		return errors.New("the ledger is not the one that its checkpoint signs for: restore a backup")
	}
	s.writer.size = checkpoint.Size
	return nil
}

// Close writes what waits, and closes the files.
func (s *Store) Close() (err error) {
	s.closing.Do(func() {
		close(s.quit)
		s.running.Wait()
		err = errors.Join(s.readers.close(), s.writer.close(), s.lock.close())
	})
	return err
}

// Failed returns a channel that is closed when the disk has failed: then the
// process should end and be started anew.
func (s *Store) Failed() <-chan struct{} { return s.broken }

// Err returns why the store takes no more writes, nil while it does.
func (s *Store) Err() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// fail ends all writing. A failed sync may have thrown away what was to be
// written, and a second sync that succeeds would say nothing about it.
func (s *Store) fail(cause error) {
	err := fmt.Errorf("%w: %w", ErrFailed, cause)
	if s.failure.CompareAndSwap(nil, &err) {
		close(s.broken)
	}
}

// Head returns the last position that is taken in a collection, "" for the
// whole hub, and a channel that is closed when there is a later one: whoever
// waits for another collection is not woken.
func (s *Store) Head(name string) (int64, <-chan struct{}) {
	s.mu.RLock()
	head, later := s.headOf(name), s.later[name]
	s.mu.RUnlock()
	if later != nil {
		return head, later
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.later[name] == nil {
		s.later[name] = make(chan struct{})
	}
	return s.headOf(name), s.later[name]
}

// headOf returns a head. Only with s.mu.
func (s *Store) headOf(name string) int64 {
	if name == "" {
		return s.head
	}
	return s.collections[name].head
}

// wake wakes who waits for a collection. Only with s.mu.
func (s *Store) wake(name string) {
	if later := s.later[name]; later != nil {
		close(later)
		s.later[name] = make(chan struct{})
	}
}

// publish tells readers what has been committed.
func (s *Store) publish(b *batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range b.fresh {
		s.names[c.number] = c.name
		s.collections[c.name] = collection{number: c.number}
	}
	for _, p := range b.rewritten { // before the head moves: see store.Watch
		s.rewrites.Count(p.collection, p.seq)
	}
	for _, p := range b.placed {
		s.collections[s.names[p.collection]] = collection{p.collection, p.seq}
	}
	if b.seq == s.head {
		return
	}
	s.head, s.added = b.seq, b.added
	woken := map[int64]bool{}
	for _, p := range b.placed { // after all heads have grown, and each once
		if !woken[p.collection] {
			woken[p.collection] = true
			s.wake(s.names[p.collection])
		}
	}
	s.wake("")
}
