// Package postgres keeps a hub's state in a PostgreSQL database, for any number of replicas.
//
// # One order
//
// Every transaction that writes begins by taking the one row of the table
// sequencer for itself (SELECT … FOR UPDATE), reads in it where the order and
// the ledger stand, adds to both, and ends by writing that row. That row is the
// lease, and PostgreSQL's own transaction is the fence: a replica that was
// stopped, cut off or replaced while it held the row has lost its transaction
// with it, so nothing that it does later can be committed, however late it
// wakes. Two replicas can therefore never give out one position twice nor sign
// two ledgers that contradict each other; no clock decides anything. The row is
// free again as soon as the transaction ends: at once when the process dies,
// after idle_in_transaction_session_timeout when it hangs, after TCP's
// keepalives when it is cut off.
//
// PostgreSQL makes a transaction visible before it gives its locks back, so
// what is visible on the primary is always a beginning of the one order: who
// sees a position sees all before it. On a standby that is not so, so the
// package connects to servers that take writes only.
//
// # What is not known after COMMIT
//
// When the connection is lost during COMMIT, the writer connects anew, waits for
// the sequencer's row, which ends the old transaction one way or the other, and
// looks whether its first entry is in the ledger. Entries are salted, so no
// other transaction could have written the same one.
//
// # Plain SQL
//
// No advisory locks, triggers, sequences or extensions. LISTEN and NOTIFY only
// wake replicas earlier than they would look by themselves.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/tlog"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/ledger"
	"tocsin/internal/store"
	"tocsin/receipt"
)

// Options are what an operator may tune. Zero fields mean the defaults.
type Options struct {
	Connections int           // at the same time, at most; 8
	Batch       int           // objects in one transaction, about; 10,000
	Queue       int           // submissions that may wait to be written; 1,024
	Poll        time.Duration // how often a replica looks for what others wrote; 500 ms
	Patience    time.Duration // how long a write is tried while the database cannot be reached; 15 s

	// Covers reports whether everybody who could see an object by the wider
	// label can see it by the one that it is stored under already, so that the
	// same content need not be stored again. By default only an equal label
	// covers another.
	Covers func(stored, wanted *authorize.Label) bool
}

func (o Options) withDefaults() Options {
	o.Connections = max(o.Connections, 0)
	if o.Connections == 0 {
		o.Connections = 8
	}
	if o.Batch <= 0 {
		o.Batch = 10_000
	}
	if o.Queue <= 0 {
		o.Queue = 1024
	}
	if o.Poll <= 0 {
		o.Poll = 500 * time.Millisecond
	}
	if o.Patience <= 0 {
		o.Patience = 15 * time.Second
	}
	if o.Covers == nil {
		o.Covers = func(stored, wanted *authorize.Label) bool { return stored.Key() == wanted.Key() }
	}
	return o
}

var (
	// ErrFailed means that the database is not the one that this replica has
	// acknowledged from: it lost transactions, or the hub moved away from it.
	ErrFailed = errors.New("the store has failed and takes no more writes")

	errClosed = errors.New("the store is closed")
)

// settings are what every connection asks of the server. A transaction of a
// replica that hangs ends before others lose patience with it.
//
//nolint:gochecknoglobals // immutable
var settings = map[string]string{
	"client_encoding":                     "UTF8",
	"synchronous_commit":                  "on",
	"idle_in_transaction_session_timeout": "4s",
	"lock_timeout":                        "12s",
	"statement_timeout":                   "60s",
	"tcp_keepalives_idle":                 "3",
	"tcp_keepalives_interval":             "2",
	"tcp_keepalives_count":                "3",
}

// A DB is a database in which a hub may live, its schema up to date.
type DB struct{ pool *pgxpool.Pool }

// Connect connects to a database and brings its schema up to date. The URL is
// one of PostgreSQL's (postgres://user:password@host/database?sslmode=verify-full);
// what it does not say comes from nowhere else. Errors never quote it.
func Connect(ctx context.Context, url string, connections int) (*DB, error) {
	return connect(ctx, url, connections, "")
}

// connect connects under a name, that of replicas when it is "".
func connect(ctx context.Context, url string, connections int, name string) (_ *DB, err error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, &tocsin.Error{
			Kind: tocsin.Invalid, Message: "the database's address is not one of PostgreSQL", Hint: "write it like postgres://user:password@host:5432/database?sslmode=verify-full",
		}
	}
	for name, value := range settings {
		if _, ok := config.ConnConfig.RuntimeParams[name]; !ok || name == "synchronous_commit" || name == "client_encoding" {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	if params := config.ConnConfig.RuntimeParams; name != "" {
		params["application_name"] = name
	} else if _, ok := params["application_name"]; !ok {
		params["application_name"] = replicaName(params)
	}
	// A standby may be behind: rights that were taken away would still be there.
	config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	config.MaxConns = int32(max(connections, 4))
	config.HealthCheckPeriod = 5 * time.Second
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, unreachable(err)
	}
	defer func() {
		if err != nil {
			pool.Close()
		}
	}()
	db := &DB{pool: pool}
	if err := db.check(ctx); err != nil {
		return nil, err
	}
	if err := db.migrate(ctx); err != nil {
		return nil, err
	}
	return db, nil
}

// replicaName is what connections of replicas are called in pg_stat_activity:
// those of hubs in other schemas of the database by another name.
func replicaName(params map[string]string) string {
	if path := params["search_path"]; path != "" {
		return "tocsin " + path
	}
	return "tocsin"
}

// unreachable says that the database does not answer, without its address.
func unreachable(err error) error {
	reason := "it does not answer"
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		reason = pg.Message + " (" + pg.Code + ")"
	}
	return fmt.Errorf("%w: %w", &tocsin.Error{
		Kind: tocsin.Busy, Message: "the database cannot be used: " + reason,
		Hint: "check the address, the password, and that it is a primary that takes writes",
	}, err)
}

// check refuses settings under which an acknowledgement would be a lie.
func (db *DB) check(ctx context.Context) error {
	for setting, want := range map[string]string{"server_encoding": "UTF8", "synchronous_commit": "on", "fsync": "on"} {
		var got string
		err := db.pool.QueryRow(ctx, "SELECT current_setting($1)", setting).Scan(&got)
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "42704" && setting == "fsync" {
			continue // a database that speaks like PostgreSQL but has no such setting
		}
		if err != nil {
			return unreachable(err)
		}
		if got != want {
			return &tocsin.Error{Kind: tocsin.Invalid, Message: "the database has " + setting + " = " + got + ", and the hub needs " + want}
		}
	}
	return nil
}

// Close gives back the connections.
func (db *DB) Close() { db.pool.Close() }

// Sealed returns what [DB.Keep] has kept, nil when there is nothing.
func (db *DB) Sealed(ctx context.Context) (sealed []byte, err error) {
	err = db.pool.QueryRow(ctx, "SELECT sealed FROM hub WHERE one = 1").Scan(&sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, unreachable(err)
	}
	return sealed, nil
}

// Keep keeps the hub's sealed identity when there is none yet, and returns the
// one that is kept: when two replicas start at once, one of them wins.
func (db *DB) Keep(ctx context.Context, sealed []byte) ([]byte, error) {
	_, err := db.pool.Exec(ctx, "INSERT INTO hub (one, sealed) VALUES (1, $1) ON CONFLICT (one) DO NOTHING", sealed)
	if err != nil {
		return nil, unreachable(err)
	}
	return db.Sealed(ctx)
}

// A Store is one replica's view of a hub's state. It is safe for concurrent use.
type Store struct {
	options Options
	signer  *ledger.Signer
	name    string // of the replica, for people
	pool    *pgxpool.Pool
	writer  *writer

	jobs    chan *job
	quit    chan struct{} // closed to end the writer
	stopped chan struct{} // closed when it has ended
	running sync.WaitGroup
	closing sync.Once
	broken  chan struct{}
	failure atomic.Pointer[error]
	wake    chan struct{} // asks the follower to look now

	rewrites store.RewriteCounts
	marks    store.Marks

	syncing  sync.Mutex // one look at the others at a time
	hooks    atomic.Pointer[Hooks]
	checked  atomic.Pointer[time.Time] // when what is in memory was last known to be the present
	notifies atomic.Bool               // the database knows NOTIFY

	mu          sync.RWMutex // guards what follows
	commits     int64        // as of which transaction
	size        int64        // the ledger's size as of then
	head        int64        // last position that is taken
	added       int64        // its date_added, microseconds since 1970
	directory   int64        // changes of the directory that [Store.Directory] has returned
	defined     int64        // marking-definitions up to here have been told of
	collections map[string]collection
	later       map[string]chan struct{} // closed when a collection grows, or the hub (""); only those that somebody waits for
	labels      map[int64]*authorize.Label
}

type collection struct {
	number int64
	head   int64
}

var _ store.Store = (*Store)(nil)

// Hooks are told of what other replicas did, before readers can see it.
type Hooks struct {
	Directory func(ctx context.Context) error // the directory was changed: read it anew
	Define    func(d store.Definition)        // a marking-definition was recorded
}

// Open opens the store in a database, which becomes the store's to close. It
// fails when what is there is not a ledger that the signer's key has signed.
func (db *DB) Open(ctx context.Context, signer *ledger.Signer, o Options) (*Store, error) {
	o = o.withDefaults()
	host, err := os.Hostname()
	if err != nil {
		host = "replica"
	}
	s := &Store{
		options: o, signer: signer, name: host + ":" + strconv.Itoa(os.Getpid()), pool: db.pool,
		jobs: make(chan *job, o.Queue), quit: make(chan struct{}), stopped: make(chan struct{}), broken: make(chan struct{}), wake: make(chan struct{}, 1),
		collections: map[string]collection{}, labels: map[int64]*authorize.Label{}, later: map[string]chan struct{}{},
	}
	s.writer = &writer{s: s, labels: map[string]int64{}}
	if err := s.load(ctx); err != nil {
		return nil, err
	}
	s.running.Go(s.writer.run)
	s.running.Go(s.follow)
	return s, nil
}

// standing is the sequencer's row.
type standing struct {
	commits, seq, added, size, collections, labels, directory, moved int64

	signed []byte
}

const selectStanding = "SELECT commits, seq, added, size, collections, labels, directory, moved, signed FROM sequencer WHERE one = 1"

func (at *standing) scan(r pgx.Row) error {
	return r.Scan(&at.commits, &at.seq, &at.added, &at.size, &at.collections, &at.labels, &at.directory, &at.moved, &at.signed)
}

// load makes the beginning of a ledger when there is none, and checks that the
// one that there is is what its checkpoint says and that the checkpoint is the
// signer's.
func (s *Store) load(ctx context.Context) error {
	signed, err := s.signer.Checkpoint(0, tlog.HashReaderFunc(func([]int64) ([]tlog.Hash, error) { return nil, nil }))
	if err != nil {
		return err
	}
	_, err = s.pool.Exec(ctx, "INSERT INTO sequencer (one, commits, holder, seq, added, size, signed, collections, labels, directory, moved)"+
		" VALUES (1, 0, $1, 0, 0, 0, $2, 0, 0, 0, 0) ON CONFLICT (one) DO NOTHING", s.name, signed)
	if err != nil {
		return unreachable(err)
	}
	var at standing
	if err := at.scan(s.pool.QueryRow(ctx, selectStanding)); err != nil {
		return unreachable(err)
	}
	if at.moved != 0 {
		return refusal(ctx, s.pool)
	}
	if err := s.checkLedger(&at, hashReader(ctx, s.pool)); err != nil {
		return err
	}
	s.defined = at.seq // the hub reads those itself when it starts
	return s.sync(ctx, s.pool)
}

// checkLedger checks that the tree is what the checkpoint signs for.
func (s *Store) checkLedger(at *standing, r tlog.HashReader) error {
	checkpoint, err := receipt.OpenCheckpoint(at.signed, s.signer.VerifierKey())
	if err != nil {
		return fmt.Errorf("the ledger was signed with another key: %w", err)
	}
	root, err := tlog.TreeHash(checkpoint.Size, r)
	if err != nil {
		return err
	}
	if at.size != checkpoint.Size || !bytes.Equal(root[:], checkpoint.Hash[:]) {
		return errors.New("the ledger is not the one that its checkpoint signs for: restore a backup")
	}
	return nil
}

// Close writes what waits, and gives back the connections.
func (s *Store) Close() error {
	s.closing.Do(func() {
		close(s.quit)
		s.running.Wait()
		s.pool.Close()
	})
	return nil
}

// Failed returns a channel that is closed when the database is not the one that
// this replica knew: then the process should end.
func (s *Store) Failed() <-chan struct{} { return s.broken }

// Err returns why the store takes no more writes, nil while it does.
func (s *Store) Err() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *Store) fail(cause error) {
	err := fmt.Errorf("%w: %w", ErrFailed, cause)
	if s.failure.CompareAndSwap(nil, &err) {
		close(s.broken)
	}
}

// Head returns the last position that is taken in a collection, "" for the
// whole hub, and a channel that is closed when there is a later one. It reads
// memory: what other replicas wrote is there within [Options.Poll].
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

// wakeUp wakes who waits for a collection. Only with s.mu.
func (s *Store) wakeUp(name string) {
	if later := s.later[name]; later != nil {
		close(later)
		s.later[name] = make(chan struct{})
	}
}

// news is what readers are told of.
type news struct {
	at          standing
	collections map[string]collection // whose heads have changed
	rewrites    []place
}

// publish tells readers what has been committed. What they know only grows.
func (s *Store) publish(n news) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.at.commits > s.commits { // else the writer and the follower have found the same
		for _, p := range n.rewrites { // before the head moves: see store.Watch
			s.rewrites.Count(p.collection, p.seq)
		}
	}
	var grown []string
	for name, c := range n.collections {
		known, ok := s.collections[name]
		if c.head > known.head {
			grown = append(grown, name)
		}
		if !ok || c.head > known.head {
			s.collections[name] = c
		}
	}
	if n.at.commits > s.commits {
		s.commits, s.size = n.at.commits, n.at.size
	}
	if n.at.seq > s.head {
		s.head, s.added = n.at.seq, n.at.added
		grown = append(grown, "")
	}
	for _, name := range grown { // after all heads have grown
		s.wakeUp(name)
	}
}

// querier is a pool, a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// hashReader reads the ledger's tree (golang.org/x/mod/sumdb/tlog.HashReader).
func hashReader(ctx context.Context, q querier) tlog.HashReaderFunc {
	return func(positions []int64) ([]tlog.Hash, error) {
		found := make(map[int64]tlog.Hash, len(positions))
		rows, err := q.Query(ctx, "SELECT position, hash FROM hashes WHERE position = ANY($1)", positions)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var at int64
			var hash []byte
			if err := rows.Scan(&at, &hash); err != nil {
				return nil, err
			}
			if len(hash) == tlog.HashSize {
				found[at] = tlog.Hash(hash)
			}
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
		out := make([]tlog.Hash, len(positions))
		for i, p := range positions {
			h, ok := found[p]
			if !ok {
				return nil, fmt.Errorf("the ledger's hash %d is not there", p)
			}
			out[i] = h
		}
		return out, nil
	}
}

// unavailable turns the errors of a database that cannot be reached into an
// answer that asks to come again.
func unavailable(err error) error {
	var pg *pgconn.PgError
	switch {
	case err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &pg) && !slices.Contains([]string{"08", "53", "57"}, pg.Code[:2]):
		return err
	case errors.As(err, &pg) || lost(err):
		return fmt.Errorf("%w: %w", &tocsin.Error{Kind: tocsin.Busy, Message: "the hub's database cannot be reached at the moment", Hint: "try again in a few seconds"}, err)
	}
	return err
}
