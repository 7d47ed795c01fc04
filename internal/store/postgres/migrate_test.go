package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/member"
	"tocsin/internal/store"
	"tocsin/internal/store/postgres/pgtest"
	"tocsin/internal/store/storetest"
	"tocsin/receipt"
)

// TestEveryEarlierVersionIsBroughtUpToDate makes, for every version of the
// schema that there was, a database of that version with what a hub keeps in
// it, and opens it. A new migration is tested without a change here.
func TestEveryEarlierVersionIsBroughtUpToDate(t *testing.T) {
	server := pgtest.Start(t)
	entries, err := migrations.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	ctx, signer, today := t.Context(), newSigner(t), server.Database(t)
	s := openStore(t, today, signer, Options{})
	for i := range 10 {
		record(t, s, storetest.Indicator(2*i, 0), storetest.Indicator(2*i+1, 0))
	}
	record(t, s, storetest.Indicator(3, 1))
	n, _, err := s.Withdraw(ctx, store.Withdrawal{
		Who: storetest.Member("bank"), Community: "finance", Collection: storetest.Target().Collection, Versions: store.VersionsOf(storetest.IndicatorID(5), 6),
	})
	if n != 1 || err != nil {
		t.Fatalf("Withdraw = %d, %v", n, err)
	}
	if err := s.Disclose(ctx, []receipt.Disclosure{{Organization: "agency", Community: "finance", From: 1, To: 9}}); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveDirectory(ctx, []member.Record{{Kind: "organization", Key: "bank", Doc: []byte("{}")}}, member.Change{}); err != nil {
		t.Fatal(err)
	}
	head, _ := s.Head("")
	checkpoint, err := s.Checkpoint(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for version := 1; version <= len(entries); version++ {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			url := server.Database(t)
			older(t, url, today, version)
			s := openStore(t, url, signer, Options{})
			if err := s.Verify(ctx, nil); err != nil {
				t.Errorf("Verify = %v", err)
			}
			got, err := s.Checkpoint(ctx)
			if at, _ := s.Head(""); err != nil || at != head || string(got) != string(checkpoint) {
				t.Errorf("head %d, want %d; checkpoint %q, %v, want %q", at, head, got, err, checkpoint)
			}
		})
	}
	if _, err := s.pool.Exec(ctx, "UPDATE schema_version SET version = 99"); err != nil {
		t.Fatal(err)
	}
	if _, err := Connect(ctx, today, 0); err == nil || !strings.Contains(err.Error(), "of version 99") {
		t.Errorf("Connect to the data of a newer program = %v", err)
	}
}

// older makes a database of an earlier version, with all that such a one can
// hold of what is in a database of today.
func older(t *testing.T, url, today string, version int) {
	t.Helper()
	ctx := context.Background()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	do := func(sql string, args ...any) {
		t.Helper()
		if _, err := c.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	do("CREATE TABLE schema_version (one BIGINT PRIMARY KEY CHECK (one = 1), version BIGINT NOT NULL)")
	do("INSERT INTO schema_version (one, version) VALUES (1, 0)")
	for i := range version {
		if err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error { return applyMigration(ctx, tx, i+1) }); err != nil {
			t.Fatal(err)
		}
	}
	from := today[strings.LastIndex(today, "=")+1:]
	rows, err := c.Query(ctx, "SELECT table_name, string_agg(column_name, ', ') FROM information_schema.columns"+
		" WHERE table_schema = current_schema() AND table_name <> 'schema_version' GROUP BY table_name")
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]string{}
	var table, columns string
	if _, err := pgx.ForEachRow(rows, []any{&table, &columns}, func() error {
		tables[table] = columns
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for table, columns := range tables {
		do(fmt.Sprintf("INSERT INTO %s (%s) SELECT %[2]s FROM %s.%[1]s", table, columns, from))
	}
}
