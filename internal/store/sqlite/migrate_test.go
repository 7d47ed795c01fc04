package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryEarlierVersionIsBroughtUpToDate makes, for every version of the
// schema that there was, a database of that version with what a hub keeps in
// it, and opens it. A new migration is tested without a change here.
func TestEveryEarlierVersionIsBroughtUpToDate(t *testing.T) {
	entries, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	signer, now := newSigner(t), t.TempDir()
	s := openStore(t, now, signer, Options{})
	fill(t, s)
	head, _ := s.Head("")
	checkpoint, err := s.Checkpoint(t.Context())
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	for version := range len(entries) + 1 {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			dir := t.TempDir()
			older(t, filepath.Join(dir, dbFile), filepath.Join(now, dbFile), version)
			s := openStore(t, dir, signer, Options{})
			if version == 0 { // an empty file
				return
			}
			if err := s.Verify(t.Context(), nil); err != nil {
				t.Errorf("Verify = %v", err)
			}
			got, err := s.Checkpoint(t.Context())
			if at, _ := s.Head(""); err != nil || at != head || string(got) != string(checkpoint) {
				t.Errorf("head %d, want %d; checkpoint %q, %v, want %q", at, head, got, err, checkpoint)
			}
		})
	}
}

// older makes a database of an earlier version, with all that such a one can
// hold of what is in a database of today.
func older(t *testing.T, file, today string, version int) {
	t.Helper()
	if err := touch(file); err != nil {
		t.Fatal(err)
	}
	c, err := connect(file, "", fmt.Sprintf("page_size=%d", pageSize))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}()
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(c.EnableChecksums("main"))
	for i := range version {
		sql, err := migrations.ReadFile(fmt.Sprintf("migrations/%04d.sql", i+1))
		do(err)
		do(apply(c, string(sql), i+1))
	}
	do(c.run("ATTACH ? AS today", today))
	var tables []string
	for r := range c.rows(&err, "SELECT name FROM main.sqlite_schema WHERE type = 'table'") {
		tables = append(tables, r.ColumnText(0))
	}
	do(err)
	for _, table := range tables {
		columns := columnsOf(t, c, table)
		do(c.run(fmt.Sprintf("INSERT INTO main.%s (%s) SELECT %[2]s FROM today.%[1]s", table, columns)))
	}
	// A statement that is open would keep the other file.
	for sql, s := range c.stmts {
		do(s.Close())
		delete(c.stmts, sql)
	}
	do(c.Exec("DETACH today"))
}

func columnsOf(t *testing.T, c *conn, table string) string {
	t.Helper()
	var names []string
	var err error
	for r := range c.rows(&err, "SELECT name FROM pragma_table_info(?, 'main')", table) {
		names = append(names, r.ColumnText(0))
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, ", ")
}
