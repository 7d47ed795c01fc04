package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// migrations lead from each version of the schema to the next, and never back.
//
//go:embed migrations/*.sql
var migrations embed.FS

const (
	applicationID = 0x746f6373 // "tocs", at byte 68 of the file
	pageSize      = 8192
	minVersion    = 3_051_003 // before it a write-ahead log could lose commits
)

// openDB opens the database for writing, and brings its schema up to date.
func openDB(ctx context.Context, file string, o Options) (_ *conn, err error) {
	if err := errors.Join(touch(file), touch(file+"-shm")); err != nil {
		return nil, err
	}
	c, err := connect(file, o.vfs, "page_size="+strconv.Itoa(pageSize))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	version, err := c.number("PRAGMA user_version")
	if err != nil {
		return nil, err
	}
	if version == 0 {
		// Checksums begin with the first page, so they come before all else.
		if err := c.EnableChecksums("main"); err != nil {
			return nil, err
		}
	}
	for _, p := range []string{
		"journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "temp_store=MEMORY", "trusted_schema=OFF", "wal_autocheckpoint=0",
		"journal_size_limit=" + strconv.Itoa(64<<20), fmt.Sprintf("cache_size=-%d", o.CacheKB),
	} {
		if err := c.Exec("PRAGMA " + p); err != nil {
			return nil, err
		}
	}
	if err := selfCheck(c); err != nil {
		return nil, err
	}
	if err := migrate(ctx, c, int(version)); err != nil {
		return nil, err
	}
	return c, nil
}

// selfCheck refuses settings under which an acknowledgement would be a lie: with
// synchronous=NORMAL a power cut takes back what was committed.
func selfCheck(c *conn) (err error) {
	for pragma, want := range map[string]string{
		"journal_mode":          "wal",
		"synchronous":           "2", // FULL
		"secure_delete":         "1",
		"checksum_verification": "1",
	} {
		got := ""
		for r := range c.rows(&err, "PRAGMA "+pragma) {
			got = r.ColumnText(0)
		}
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("SQLite has %s=%s, and the hub needs %s", pragma, got, want)
		}
	}
	version, err := versionNumber(c)
	if err == nil && version < minVersion {
		err = fmt.Errorf("SQLite %d is older than %d", version, minVersion)
	}
	return err
}

// versionNumber returns SQLite's version, 3.54.1 as 3054001.
func versionNumber(c *conn) (n int64, err error) {
	for r := range c.rows(&err, "SELECT sqlite_version()") {
		for part := range strings.SplitSeq(r.ColumnText(0), ".") {
			d, err := strconv.ParseInt(part, 10, 32)
			if err != nil {
				return 0, err
			}
			n = n*1000 + d
		}
	}
	return n, err
}

// migrate applies the migrations that the file has not seen, each in a
// transaction with its number: a crash leaves the file at one of them.
func migrate(ctx context.Context, c *conn, version int) (err error) {
	entries, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	if version > len(entries) {
		return fmt.Errorf("the data is of version %d, and this program knows %d: use a newer program", version, len(entries))
	}
	if version > 0 {
		id, err := c.number("PRAGMA application_id")
		if err != nil {
			return err
		}
		if id != applicationID {
			return errors.New("not a hub's database")
		}
	}
	for i, e := range entries[version:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		sql, err := migrations.ReadFile("migrations/" + e.Name())
		if err != nil {
			return err
		}
		if err := apply(c, string(sql), version+i+1); err != nil {
			return fmt.Errorf("migration %s: %w", e.Name(), err)
		}
	}
	return nil
}

func apply(c *conn, sql string, version int) (err error) {
	tx, err := c.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	return c.Exec(sql + fmt.Sprintf(";\nPRAGMA application_id=%d;\nPRAGMA user_version=%d", applicationID, version))
}

// failed reports whether an error means that the disk did not do what it was
// told, so that nothing more may be written. A full disk is no such error:
// SQLite has rolled the transaction back and writes it anew another time.
func failed(err error) bool {
	var code sqlite3.ExtendedErrorCode
	if !errors.As(err, &code) {
		return false
	}
	switch sqlite3.ErrorCode(code) { //nolint:exhaustive // all others leave the file as it was
	case sqlite3.CORRUPT, sqlite3.NOTADB:
		return true
	case sqlite3.IOERR:
		return code != sqlite3.IOERR_WRITE
	default:
		return false
	}
}
