package postgres

import (
	"context"
	"embed"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin"
)

// migrations lead from each version of the schema to the next, and never back.
// A new table is a new file here and one beside SQLite's.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrate applies the migrations that the database has not seen, each in a
// transaction with its number. Replicas that start at once wait for one another
// at the row that holds the number.
func (db *DB) migrate(ctx context.Context) error {
	entries, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	// Two that make the table at once collide in PostgreSQL's own catalog.
	for attempt := 0; ; attempt++ {
		_, err = db.pool.Exec(ctx, "CREATE TABLE IF NOT EXISTS schema_version (one BIGINT PRIMARY KEY CHECK (one = 1), version BIGINT NOT NULL)")
		if err == nil {
			_, err = db.pool.Exec(ctx, "INSERT INTO schema_version (one, version) VALUES (1, 0) ON CONFLICT (one) DO NOTHING")
		}
		if err == nil {
			break
		}
		const most = 5
		if attempt == most {
			return unreachable(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	for done := false; !done; {
		if done, err = db.step(ctx, len(entries)); err != nil {
			return err
		}
	}
	return nil
}

// step applies the next migration, if there is one.
func (db *DB) step(ctx context.Context, known int) (done bool, err error) {
	err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		var version int
		if err := tx.QueryRow(ctx, "SELECT version FROM schema_version WHERE one = 1 FOR UPDATE").Scan(&version); err != nil {
			return unreachable(err)
		}
		if version > known {
			return &tocsin.Error{
				Kind: tocsin.Conflict, Message: "the data is of version " + strconv.Itoa(version) + ", and this program knows " + strconv.Itoa(known), Hint: "use a newer program",
			}
		}
		if done = version == known; done {
			return nil
		}
		return applyMigration(ctx, tx, version+1)
	})
	return done, err
}

func applyMigration(ctx context.Context, tx pgx.Tx, version int) error {
	name := fmt.Sprintf("migrations/%04d.sql", version)
	sql, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	// The simple protocol takes several statements at once.
	if _, err := tx.Conn().PgConn().Exec(ctx, string(sql)).ReadAll(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if _, err := tx.Exec(ctx, "UPDATE schema_version SET version = $1 WHERE one = 1", version); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
