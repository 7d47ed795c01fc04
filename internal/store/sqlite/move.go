package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"tocsin/internal/ledger"
	"tocsin/internal/store"
)

// What a transaction of a move has at most.
const (
	moveRows  = 10_000
	moveBytes = 16 << 20
)

// An End is a data folder that a hub is moved from or to ([store.Target]). It
// keeps the folder locked until it is closed.
type End struct {
	dir     string
	signer  *ledger.Signer
	options Options
	lock, c *conn
}

var _ store.Target = (*End)(nil)

// OpenEnd opens the store in a data folder to move a hub from it or to it. The
// signer is the hub's. It fails with [ErrInUse] while a hub runs there.
func OpenEnd(ctx context.Context, dir string, signer *ledger.Signer) (_ *End, err error) {
	e := &End{signer: signer, options: Options{}.withDefaults()}
	if e.dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := makeFolder(e.dir); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if e.lock, err = lockFolder(e.dir); err != nil {
		return nil, err
	}
	if err := e.open(ctx); err != nil {
		return nil, errors.Join(err, e.lock.close())
	}
	return e, nil
}

func (e *End) file() string { return filepath.Join(e.dir, dbFile) }

func (e *End) open(ctx context.Context) (err error) {
	if e.c, err = openDB(ctx, e.file(), e.options); err != nil {
		return fmt.Errorf("%s: %w", dbFile, err)
	}
	return nil
}

// Close closes the files and lets others have the folder.
func (e *End) Close() error { return errors.Join(e.c.close(), e.lock.close()) }

// Mark implements [store.End].
func (e *End) Mark(context.Context) (store.Mark, error) { return e.c.mark() }

func (c *conn) mark() (m store.Mark, err error) {
	for r := range c.rows(&err, "SELECT phase, move, hub, place FROM moved") {
		m = store.Mark{Phase: store.Phase(r.ColumnInt64(0)), Move: r.ColumnText(1), Hub: r.ColumnText(2), Place: r.ColumnText(3)}
	}
	return m, err
}

// SetMark implements [store.End].
func (e *End) SetMark(_ context.Context, m store.Mark) error {
	const sql = "INSERT INTO moved (one, phase, move, hub, place) VALUES (1, ?, ?, ?, ?)" +
		" ON CONFLICT (one) DO UPDATE SET phase = excluded.phase, move = excluded.move, hub = excluded.hub, place = excluded.place"
	return e.c.run(sql, int64(m.Phase), m.Move, m.Hub, m.Place)
}

// Count implements [store.End].
func (e *End) Count(_ context.Context, k store.Kind) (int64, error) {
	return e.c.number("SELECT count(*) FROM " + tableOf(k))
}

func tableOf(k store.Kind) string {
	if k.Name == store.Standing {
		return "checkpoint"
	}
	return k.Name
}

// Rows implements [store.End].
func (e *End) Rows(ctx context.Context, k store.Kind) store.Rows {
	sql := "SELECT " + strings.Join(k.Names(), ", ") + " FROM " + k.Name + " ORDER BY " + strings.Join(k.Names()[:k.Key], ", ")
	if k.Name == store.Standing {
		sql = "SELECT size, signed, coalesce((SELECT max(seq) FROM objects), 0), coalesce((SELECT added FROM objects ORDER BY seq DESC LIMIT 1), 0) FROM checkpoint"
	}
	return func(yield func(store.Values, error) bool) {
		defer e.c.SetInterrupt(e.c.SetInterrupt(ctx))
		row := make(store.Values, len(k.Columns))
		var err error
		for r := range e.c.rows(&err, sql) {
			for i, c := range k.Columns {
				row[i] = valueOf(r, i, c.Type)
			}
			if !yield(row, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// valueOf returns a value that is good until the next row.
func valueOf(r *sqlite3.Stmt, i int, t store.ColumnType) any {
	switch {
	case r.ColumnType(i) == sqlite3.NULL:
		return nil
	case t == store.Number:
		return r.ColumnInt64(i)
	case t == store.Text:
		return r.ColumnText(i)
	}
	if b := r.ColumnRawBlob(i); b != nil {
		return b
	}
	return []byte{}
}

// derived are the columns that this database has besides those of a kind, and
// how their values come from a row of the kind.
func derived(k store.Kind) (columns []string, values func(row store.Values) ([]any, error)) {
	if k.Name != "reviews" {
		return nil, func(store.Values) ([]any, error) { return nil, nil }
	}
	doc := k.Find("doc")
	return []string{"collection"}, func(row store.Values) ([]any, error) {
		b, _ := row[doc].([]byte)
		r, err := store.DecodeReview(b, nil)
		return []any{r.Collection}, err
	}
}

// Add implements [store.Target].
func (e *End) Add(ctx context.Context, k store.Kind, rows store.Rows) (err error) {
	defer e.c.SetInterrupt(e.c.SetInterrupt(ctx))
	defer func() {
		if !e.c.GetAutocommit() {
			err = errors.Join(err, e.c.run("ROLLBACK"))
		}
	}()
	if err := e.c.run("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	put := e.inserter(k)
	n, size := 0, 0
	for row, err := range rows {
		if err == nil {
			err = put(row)
		}
		if err != nil {
			return err
		}
		for _, v := range row {
			if b, ok := v.([]byte); ok {
				size += len(b)
			}
		}
		if n++; n < moveRows && size < moveBytes {
			continue
		}
		n, size = 0, 0
		if err := e.next(); err != nil {
			return err
		}
	}
	if err := e.c.run("COMMIT"); err != nil {
		return err
	}
	if k.Name == "objects" {
		return e.index()
	}
	return e.c.copyLog()
}

// next ends a transaction and begins another one.
func (e *End) next() error {
	if err := e.c.run("COMMIT"); err != nil {
		return err
	}
	if err := e.c.copyLog(); err != nil {
		return err
	}
	return e.c.run("BEGIN IMMEDIATE")
}

// inserter returns what puts a row of a kind into the database.
func (e *End) inserter(k store.Kind) func(row store.Values) error {
	if k.Name == store.Standing {
		return func(row store.Values) error { // where the order stands is what the objects say
			return e.c.run("INSERT INTO checkpoint (one, size, signed) VALUES (1, ?, ?)", row[0], row[1])
		}
	}
	more, values := derived(k)
	names := append(k.Names(), more...)
	sql := "INSERT INTO " + k.Name + " (" + strings.Join(names, ", ") + ") VALUES (?" + strings.Repeat(", ?", len(names)-1) + ")"
	about := -1
	if k.Name == "objects" {
		about = k.Find("about")
	}
	all := make([]any, 0, len(names))
	return func(row store.Values) error {
		extra, err := values(row)
		if err != nil {
			return err
		}
		all = append(append(all[:0], row...), extra...)
		if about >= 0 && all[about] != nil { // TEXT here
			b, _ := all[about].([]byte)
			all[about] = string(b)
		}
		return e.c.run(sql, all...)
	}
}

// index makes the index of ids, so that the first start need not.
func (e *End) index() error {
	k := idKeeper{ids: &ids{}, c: e.c, most: e.options.recent, blocks: e.options.step}
	if err := k.load(); err != nil {
		return fmt.Errorf("index of ids: %w", err)
	}
	if err := k.fill(e.c.copyLog); err != nil {
		return fmt.Errorf("index of ids: %w", err)
	}
	return nil
}

// Clear implements [store.Target]. It begins with a new file: what is deleted in
// the old one would be overwritten piece by piece.
func (e *End) Clear(ctx context.Context) error {
	m, err := e.c.mark()
	if err != nil {
		return err
	}
	if m.Phase != store.Coming && m.Phase != store.Whole {
		return errors.New("it was not left by a move")
	}
	// The mark is in the file itself before its log goes.
	if _, _, err := e.c.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE); err != nil {
		return err
	}
	if err := e.c.close(); err != nil {
		return err
	}
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Remove(e.file() + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := syncFolder(e.dir); err != nil {
		return err
	}
	return e.open(ctx)
}

// Verify implements [store.Target].
func (e *End) Verify(ctx context.Context, progress func(done, total int64)) (err error) {
	s := &Store{signer: e.signer, readers: newPool(1, func() (*conn, error) { return connect(e.file(), "", "query_only=ON") })}
	defer func() { err = errors.Join(err, s.readers.close()) }()
	return s.Verify(ctx, progress)
}
