package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tocsin"
	"tocsin/internal/ledger"
	"tocsin/internal/store"
)

// moverName is what connections of a move are called in pg_stat_activity.
const moverName = "tocsin move"

// ConnectToMove is [Connect] for a move.
func ConnectToMove(ctx context.Context, url string) (*DB, error) {
	return connect(ctx, url, 0, moverName)
}

// Place says where a database is, for people: without user, password and options.
func (db *DB) Place() string {
	c := db.pool.Config().ConnConfig
	host := c.Host
	if strings.Contains(host, ":") { // IPv6
		host = "[" + host + "]"
	}
	place := "postgres://" + host + ":" + strconv.Itoa(int(c.Port)) + "/" + c.Database
	if path := c.RuntimeParams["search_path"]; path != "" {
		place += " (schema " + path + ")"
	}
	return place
}

// An End is a database that a hub is moved from or to ([store.Target]).
type End struct {
	db     *DB
	signer *ledger.Signer
	sealed []byte
	tx     pgx.Tx // of a source; holds the sequencer's row, so that no replica writes
}

var _ store.Target = (*End)(nil)

// Source takes the database of a hub to move it away. The signer is the hub's.
// It fails while replicas of the hub are connected.
func (db *DB) Source(ctx context.Context, signer *ledger.Signer) (_ *End, err error) {
	if err := db.alone(ctx); err != nil {
		return nil, err
	}
	e := &End{db: db, signer: signer}
	for attempt := 0; ; attempt++ {
		err = e.take(ctx)
		const most = 5
		// Somebody wrote between the snapshot and the lock, or has one of the locks
		// and waits for the other: take both anew.
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "40001" && pg.Code != "40P01" || attempt == most {
			break
		}
	}
	if err != nil {
		return nil, unreachable(err)
	}
	return e, nil
}

// take begins the transaction in which everything is read and the mark is set:
// one state, and one fence around it. The sequencer's row keeps out who writes
// to the one order, and the tables' locks who writes beside it.
func (e *End) take(ctx context.Context) (err error) {
	if e.tx, err = e.db.pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}); err != nil {
		return err
	}
	_, err = e.tx.Exec(ctx, patience)
	if err == nil {
		_, err = e.tx.Exec(ctx, "LOCK TABLE "+strings.Join(tables(), ", ")+" IN SHARE MODE") // before there is a snapshot
	}
	if err == nil {
		_, err = e.tx.Exec(ctx, "SELECT one FROM sequencer WHERE one = 1 FOR UPDATE")
	}
	if err != nil {
		return errors.Join(err, e.tx.Rollback(ctx))
	}
	return nil
}

// tables are those of all kinds of rows but [store.Standing].
func tables() (names []string) {
	for _, k := range store.Kinds() {
		if k.Name != store.Standing {
			names = append(names, k.Name)
		}
	}
	return names
}

// patience lets a transaction take as long as it takes.
const patience = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"

// alone makes sure that no replica is connected. It waits for connections that
// are just being closed. The sequencer's row is the fence; this is so that nobody
// is surprised by it.
func (db *DB) alone(ctx context.Context) error {
	const sql = "SELECT count(DISTINCT client_port) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user AND application_name = left($1, 63)"
	name := replicaName(db.pool.Config().ConnConfig.RuntimeParams)
	for attempt := 0; ; attempt++ {
		var n int
		if err := db.pool.QueryRow(ctx, sql, name).Scan(&n); err != nil {
			if _, ok := errors.AsType[*pgconn.PgError](err); ok {
				return nil // a database that speaks like PostgreSQL but does not tell who is connected
			}
			return unreachable(err)
		}
		if n == 0 {
			return nil
		}
		const most = 150
		if attempt == most {
			return &tocsin.Error{
				Kind: tocsin.Busy, Message: "replicas of the hub are connected to the database (" + strconv.Itoa(n) + " connections)", Hint: "stop all replicas first, then move",
			}
		}
		wait(ctx, 20*time.Millisecond)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// Target takes a database to move a hub to it. The signer is the hub's, and
// sealed is its identity as [DB.Keep] keeps it.
func (db *DB) Target(signer *ledger.Signer, sealed []byte) *End {
	return &End{db: db, signer: signer, sealed: sealed}
}

// Close gives up what was not marked, and the connections.
func (e *End) Close() error {
	if e.tx != nil {
		_ = e.tx.Rollback(context.Background()) // only what was read
	}
	e.db.Close()
	return nil
}

func (e *End) query() querier {
	if e.tx != nil {
		return e.tx
	}
	return e.db.pool
}

// Mark implements [store.End].
func (e *End) Mark(ctx context.Context) (store.Mark, error) { return markOf(ctx, e.query()) }

func markOf(ctx context.Context, q querier) (m store.Mark, err error) {
	const sql = "SELECT s.moved, coalesce(m.move, ''), coalesce(m.hub, ''), coalesce(m.place, 'another store')" +
		" FROM sequencer s LEFT JOIN moved m ON m.one = s.one WHERE s.one = 1"
	err = q.QueryRow(ctx, sql).Scan(&m.Phase, &m.Move, &m.Hub, &m.Place)
	if errors.Is(err, pgx.ErrNoRows) {
		return store.Mark{}, nil
	}
	return m, err
}

// refusal is why no hub may run here, nil when one may.
func refusal(ctx context.Context, q querier) error {
	m, err := markOf(ctx, q)
	if err != nil {
		return err
	}
	return m.Refusal()
}

// SetMark implements [store.End]. With a hub that is coming comes its identity,
// so that a replica that is started here meanwhile makes no other.
func (e *End) SetMark(ctx context.Context, m store.Mark) (err error) {
	tx := e.tx
	if tx == nil {
		if tx, err = e.db.pool.Begin(ctx); err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(ctx) }() // does nothing after a commit
	}
	if m.Phase == store.Coming {
		if _, err := tx.Exec(ctx, "INSERT INTO hub (one, sealed) VALUES (1, $1)", e.sealed); err != nil {
			return occupied(err)
		}
		_, err := tx.Exec(ctx, "INSERT INTO sequencer (one, commits, holder, seq, added, size, signed, collections, labels, directory, moved)"+
			" VALUES (1, 0, $1, 0, 0, 0, '', 0, 0, 0, $2)", moverName, int64(m.Phase))
		if err != nil {
			return occupied(err)
		}
	}
	tag, err := tx.Exec(ctx, "UPDATE sequencer SET moved = $1 WHERE one = 1", int64(m.Phase))
	if err == nil && tag.RowsAffected() != 1 {
		err = errors.New("no hub is here")
	}
	if err != nil {
		return err
	}
	const sql = "INSERT INTO moved (one, move, hub, place) VALUES (1, $1, $2, $3) ON CONFLICT (one) DO UPDATE SET move = excluded.move, hub = excluded.hub, place = excluded.place"
	if _, err := tx.Exec(ctx, sql, m.Move, m.Hub, m.Place); err != nil {
		return err
	}
	e.tx = nil
	return tx.Commit(ctx)
}

// occupied says that somebody else was faster to use an empty database.
func occupied(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "23505" {
		return &tocsin.Error{Kind: tocsin.Conflict, Message: "the target is not empty: a hub lives there", Hint: "choose an empty database"}
	}
	return err
}

// Count implements [store.End].
func (e *End) Count(ctx context.Context, k store.Kind) (n int64, err error) {
	table := k.Name
	if k.Name == store.Standing {
		table = "sequencer"
	}
	err = e.query().QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n)
	return n, err
}

// Rows implements [store.End].
func (e *End) Rows(ctx context.Context, k store.Kind) store.Rows {
	table, order := k.Name, make([]string, k.Key)
	if k.Name == store.Standing {
		table = "sequencer"
	}
	for i, c := range k.Columns[:k.Key] {
		order[i] = c.Name
		if c.Type == store.Text {
			order[i] += ` COLLATE "C"` // of the bytes, whatever the database's language
		}
	}
	sql := "SELECT " + strings.Join(k.Names(), ", ") + " FROM " + table + " ORDER BY " + strings.Join(order, ", ")
	return func(yield func(store.Values, error) bool) {
		if err := e.read(ctx, sql, yield); err != nil {
			yield(nil, err)
		}
	}
}

// read yields the rows of a query. The target is read in a transaction of its
// own, for its settings.
func (e *End) read(ctx context.Context, sql string, yield func(store.Values, error) bool) error {
	if e.tx != nil {
		return readRows(ctx, e.tx, sql, yield)
	}
	return pgx.BeginFunc(ctx, e.db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, patience); err != nil {
			return err
		}
		return readRows(ctx, tx, sql, yield)
	})
}

func readRows(ctx context.Context, tx pgx.Tx, sql string, yield func(store.Values, error) bool) error {
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		values, err := rows.Values()
		if err != nil {
			return err
		}
		if !yield(values, nil) {
			return nil
		}
	}
	return rows.Err()
}

// derived are the columns that this database has besides those of a kind, and
// how their values come from a row of the kind. What a tombstone replaces is
// left out: only replicas that ran when it was made need to know.
func derived(k store.Kind) (columns []string, values func(row store.Values) ([]any, error)) {
	switch k.Name {
	case "collections":
		return []string{"head"}, func(store.Values) ([]any, error) { return []any{int64(0)}, nil } // see standing
	case "labels":
		at := k.Find("doc")
		return []string{"sha256", "community"}, func(row store.Values) ([]any, error) {
			doc, _ := row[at].(string)
			label, err := store.DecodeLabel([]byte(doc))
			if err != nil {
				return nil, err
			}
			sum := sha256.Sum256([]byte(doc))
			return []any{sum[:], label.Community}, nil
		}
	case "objects":
		at := k.Find("about")
		return []string{"abouthash"}, func(row store.Values) ([]any, error) {
			if about, ok := row[at].([]byte); ok {
				return []any{store.IDHash(string(about))}, nil
			}
			return []any{nil}, nil
		}
	}
	return nil, func(store.Values) ([]any, error) { return nil, nil }
}

// Add implements [store.Target].
func (e *End) Add(ctx context.Context, k store.Kind, rows store.Rows) error {
	if k.Name == store.Standing {
		for row, err := range rows {
			if err == nil {
				err = e.stand(ctx, row)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	more, values := derived(k)
	next, stop := iter.Pull2(rows)
	defer stop()
	source := &copySource{next: next, values: values}
	err := pgx.BeginFunc(ctx, e.db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, patience); err != nil {
			return err
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{k.Name}, append(k.Names(), more...), source)
		return err
	})
	if err != nil {
		return errors.Join(err, source.err)
	}
	if _, err := e.db.pool.Exec(ctx, "ANALYZE "+k.Name); err != nil {
		return fmt.Errorf("analyze: %w", err)
	}
	return nil
}

// A copySource gives rows to COPY ([pgx.CopyFromSource]).
type copySource struct {
	next   func() (store.Values, error, bool)
	values func(row store.Values) ([]any, error)
	row    []any
	err    error
}

func (s *copySource) Next() bool {
	row, err, ok := s.next()
	if s.err = err; !ok || err != nil {
		return false
	}
	more, err := s.values(row)
	s.row, s.err = append(append(s.row[:0], row...), more...), err
	return err == nil
}

func (s *copySource) Values() ([]any, error) { return s.row, nil }
func (s *copySource) Err() error             { return s.err }

// stand puts the sequencer where the order and the ledger stand. All else is
// there by now.
func (e *End) stand(ctx context.Context, row store.Values) error {
	k := store.Kinds()[slices.IndexFunc(store.Kinds(), func(k store.Kind) bool { return k.Name == store.Standing })]
	return pgx.BeginFunc(ctx, e.db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, patience); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "UPDATE collections SET head = coalesce((SELECT max(seq) FROM objects WHERE objects.collection = collections.collection), 0)")
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "UPDATE sequencer SET commits = 1, directory = 1, size = $1, signed = $2, seq = $3, added = $4,"+
			" collections = coalesce((SELECT max(collection) FROM collections), 0), labels = coalesce((SELECT max(label) FROM labels), 0) WHERE one = 1",
			row[k.Find("size")], row[k.Find("signed")], row[k.Find("seq")], row[k.Find("added")])
		if err != nil {
			return err
		}
		return restart(ctx, tx)
	})
}

// restart has the numbers that PostgreSQL itself gives out go on after those that
// were moved.
func restart(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema() AND is_identity = 'YES'")
	if err != nil {
		return err
	}
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Table, Column string }])
	if err != nil {
		return err
	}
	for _, c := range columns {
		table, column := pgx.Identifier{c.Table}.Sanitize(), pgx.Identifier{c.Column}.Sanitize()
		var next int64
		if err := tx.QueryRow(ctx, "SELECT coalesce(max("+column+"), 0) + 1 FROM "+table).Scan(&next); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "ALTER TABLE "+table+" ALTER COLUMN "+column+" RESTART WITH "+strconv.FormatInt(next, 10)); err != nil {
			return err
		}
	}
	return nil
}

// Clear implements [store.Target].
func (e *End) Clear(ctx context.Context) error {
	return pgx.BeginFunc(ctx, e.db.pool, func(tx pgx.Tx) error {
		var phase store.Phase
		if err := tx.QueryRow(ctx, "SELECT moved FROM sequencer WHERE one = 1 FOR UPDATE").Scan(&phase); err != nil {
			return err
		}
		if phase != store.Coming && phase != store.Whole {
			return errors.New("it was not left by a move")
		}
		_, err := tx.Exec(ctx, "TRUNCATE hub, sequencer, moved, "+strings.Join(tables(), ", "))
		return err
	})
}

// Verify implements [store.Target].
func (e *End) Verify(ctx context.Context, progress func(done, total int64)) error {
	return (&Store{signer: e.signer, pool: e.db.pool}).Verify(ctx, progress)
}
