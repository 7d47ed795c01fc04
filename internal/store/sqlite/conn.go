package sqlite

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// busyTimeout is how long a connection waits for another one of this process.
// Nobody waits in normal operation: there is one writer, and readers of a
// write-ahead log wait for nobody.
const busyTimeout = 5 * time.Second

// A conn is one connection and its prepared statements. One goroutine at a time
// uses it.
type conn struct {
	*sqlite3.Conn

	stmts map[string]*sqlite3.Stmt
	types map[string]string // names of types that were read: there are few
}

// mostTypes bounds the types that are remembered.
const mostTypes = 256

// typeName returns a type's name without making a string of it each time.
func (c *conn) typeName(name []byte) string {
	if known, ok := c.types[string(name)]; ok {
		return known
	}
	if len(c.types) >= mostTypes {
		clear(c.types)
	}
	known := string(name)
	c.types[known] = known
	return known
}

// connect opens file, which exists. vfs is "" outside of tests.
func connect(file, vfs string, pragmas ...string) (*conn, error) {
	// modeof gives the write-ahead log the mode of the file itself.
	query := url.Values{"modeof": {file}}
	if vfs != "" {
		query.Set("vfs", vfs)
	}
	c, err := sqlite3.OpenFlags(filePath(file)+"?"+query.Encode(), sqlite3.OPEN_READWRITE|sqlite3.OPEN_URI|sqlite3.OPEN_NOFOLLOW)
	if err != nil {
		return nil, err
	}
	if err := c.BusyTimeout(busyTimeout); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	for _, p := range pragmas {
		if err := c.Exec("PRAGMA " + p); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return &conn{Conn: c, stmts: map[string]*sqlite3.Stmt{}, types: map[string]string{}}, nil
}

// filePath returns a file's name as SQLite's URI.
func filePath(file string) string {
	path := filepath.ToSlash(file)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path // a Windows drive
	}
	return (&url.URL{Scheme: "file", Path: path, OmitHost: true}).String()
}

// close finalizes the statements, without which a connection cannot be closed.
func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.Close())...)
}

// rows runs a query and yields its rows; a row is good until the next one. The
// error is in *err when the loop has ended. When the loop is left early, *err
// may be what the surrounding function returns, and is left alone.
func (c *conn) rows(err *error, sql string, args ...any) iter.Seq[*sqlite3.Stmt] {
	return func(yield func(*sqlite3.Stmt) bool) {
		var s *sqlite3.Stmt
		if s, *err = c.bind(sql, args); *err != nil {
			return
		}
		for s.Step() {
			if !yield(s) {
				if failed := s.Reset(); *err == nil {
					*err = failed
				}
				return
			}
		}
		*err = s.Err()
		if failed := s.Reset(); *err == nil {
			*err = failed
		}
	}
}

// run executes a statement that returns no rows.
func (c *conn) run(sql string, args ...any) error {
	s, err := c.bind(sql, args)
	if err != nil {
		return err
	}
	return s.Exec()
}

// number returns the first column of the first row, 0 when there is no row or
// it is NULL.
func (c *conn) number(sql string, args ...any) (n int64, err error) {
	for r := range c.rows(&err, sql, args...) {
		n = r.ColumnInt64(0)
		break
	}
	return n, err
}

func (c *conn) bind(sql string, args []any) (*sqlite3.Stmt, error) {
	s := c.stmts[sql]
	if s == nil {
		var err error
		if s, _, err = c.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT); err != nil {
			return nil, err
		}
		c.stmts[sql] = s
	}
	for i, a := range args {
		var err error
		switch a := a.(type) {
		case nil:
			err = s.BindNull(i + 1)
		case int64:
			err = s.BindInt64(i+1, a)
		case int:
			err = s.BindInt(i+1, a)
		case string:
			err = s.BindText(i+1, a)
		case []byte:
			err = s.BindBlob(i+1, a)
		default:
			err = fmt.Errorf("cannot bind a %T", a)
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// A pool hands out connections that can only read. It opens them as they are
// needed, so that an idle hub stays small.
type pool struct {
	open func() (*conn, error)
	free chan *conn    // closed connections are nil
	done chan struct{} // closed when there are none any more
}

func newPool(size int, open func() (*conn, error)) *pool {
	p := &pool{open: open, free: make(chan *conn, size), done: make(chan struct{})}
	for range size {
		p.free <- nil
	}
	return p
}

// read runs f with a connection inside of one transaction, so that everything
// that f reads belongs together. It stops f when the context ends.
func (p *pool) read(ctx context.Context, f func(c *conn) error) (err error) {
	var c *conn
	select {
	case <-p.done:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	case c = <-p.free:
	}
	defer func() { p.free <- c }()
	if c == nil {
		if c, err = p.open(); err != nil {
			return fmt.Errorf("open: %w", err)
		}
	}
	c.SetInterrupt(ctx)
	err = c.run("BEGIN")
	if err == nil {
		err = f(c)
	}
	c.SetInterrupt(context.Background())
	if !c.GetAutocommit() {
		err = errors.Join(err, c.run("ROLLBACK"))
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// close waits for all readers and closes their connections.
func (p *pool) close() error {
	close(p.done)
	var errs []error
	for range cap(p.free) {
		if c := <-p.free; c != nil {
			errs = append(errs, c.close())
		}
	}
	return errors.Join(errs...)
}
