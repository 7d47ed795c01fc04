package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/store"
)

// Confirm stores what an agent says. It has no place in the one order, so it
// does not wait for whoever writes there.
func (s *Store) Confirm(ctx context.Context, c store.Confirmation) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		before := c.Seen.Add(-store.KeepConfirmations)
		number, err := follower(ctx, tx, c)
		if err != nil {
			return err
		}
		// With what that has locked, a move of the hub waits for this transaction, or
		// has ended by now.
		if err := refusal(ctx, tx); err != nil {
			return err
		}
		var q pgx.Batch
		if c.Anew {
			q.Queue("DELETE FROM idle WHERE follower = $1", number)
		}
		q.Queue("DELETE FROM idle WHERE object = ANY($1) AND follower = $2 AND id = ANY($3)", hashesOf(c.Busy), number, c.Busy)
		q.Queue("INSERT INTO idle (object, follower, id) SELECT o, $2, i FROM unnest($1::bigint[], $3::text[]) AS u(o, i) ON CONFLICT DO NOTHING", hashesOf(c.Idle), number, c.Idle)
		// When a position was reached first is what counts, so rows rise in both.
		q.Queue("INSERT INTO confirmations (follower, position, fetched, deployed) SELECT $1::bigint, $2::bigint, $3::bigint, $4::bigint"+
			" WHERE NOT EXISTS (SELECT 1 FROM confirmations WHERE follower = $1 AND position >= $2)",
			number, c.Position, c.Fetched.UnixMicro(), c.Deployed.UnixMicro())
		// Two at a time go for each one that comes, so old ones never pile up.
		q.Queue("DELETE FROM confirmations WHERE follower = $1 AND deployed < $2 AND position IN"+
			" (SELECT position FROM confirmations WHERE follower = $1 ORDER BY position LIMIT 2)", number, before.UnixMicro())
		return tx.SendBatch(ctx, &q).Close()
	})
	if err != nil {
		return fmt.Errorf("confirm: %w", unavailable(err))
	}
	return nil
}

func hashesOf(ids []string) []int64 {
	hashes := make([]int64, len(ids))
	for i, id := range ids {
		hashes[i] = store.IDHash(id)
	}
	return hashes
}

// follower notes that an agent was heard of, and returns its number. Two
// confirmations of one agent wait for one another at its row.
func follower(ctx context.Context, tx pgx.Tx, c store.Confirmation) (number int64, err error) {
	position := "greatest(position, $1)"
	if c.Anew {
		position = "$1"
	}
	const its = " WHERE collection = $3 AND token = $4 AND instance = $5 RETURNING number"
	known := "UPDATE followers SET position = " + position + ", seen = greatest(seen, $2)" + its
	args := []any{c.Position, c.Seen.UnixMicro(), c.Collection, c.Token, c.Instance}
	if err = tx.QueryRow(ctx, known, args...).Scan(&number); !errors.Is(err, pgx.ErrNoRows) {
		return number, err
	}
	// Whoever is new makes room.
	if err := forget(ctx, tx, c.Seen.Add(-store.KeepConfirmations)); err != nil {
		return 0, err
	}
	n := 0
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM followers WHERE collection = $1 AND token = $2", c.Collection, c.Token).Scan(&n); err != nil {
		return 0, err
	}
	if n >= store.MostAgents {
		return 0, store.TooManyAgents()
	}
	const add = "INSERT INTO followers AS f (position, seen, collection, token, instance, organization) VALUES ($1, $2, $3, $4, $5, $6)" +
		" ON CONFLICT (collection, token, instance) DO UPDATE SET position = greatest(f.position, excluded.position), seen = greatest(f.seen, excluded.seen) RETURNING number"
	err = tx.QueryRow(ctx, add, append(args, c.Organization)...).Scan(&number)
	return number, err
}

// forget forgets a few of the agents that were not heard of since a time; those
// that another replica forgets at the moment are left to it.
func forget(ctx context.Context, tx pgx.Tx, since time.Time) error {
	rows, err := tx.Query(ctx, "SELECT number FROM followers WHERE seen < $1 ORDER BY seen LIMIT 10 FOR UPDATE SKIP LOCKED", since.UnixMicro())
	if err != nil {
		return err
	}
	gone, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(gone) == 0 {
		return err
	}
	var q pgx.Batch
	q.Queue("DELETE FROM idle WHERE follower = ANY($1)", gone)
	q.Queue("DELETE FROM confirmations WHERE follower = ANY($1)", gone)
	q.Queue("DELETE FROM followers WHERE number = ANY($1)", gone)
	return tx.SendBatch(ctx, &q).Close()
}

// Followers returns the agents that confirm for a collection.
func (s *Store) Followers(ctx context.Context, q store.FollowerQuery) (found []store.Follower, err error) {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, s.pool, options, func(tx pgx.Tx) error {
		place, err := followers(ctx, tx, q, &found)
		if err != nil {
			return err
		}
		const reached = "SELECT f.number, c.position, c.fetched, c.deployed FROM followers f, LATERAL" +
			" (SELECT position, fetched, deployed FROM confirmations WHERE follower = f.number AND position >= $2 ORDER BY position LIMIT 1) AS c WHERE f.collection = $1"
		for i, position := range q.Positions {
			rows, err := tx.Query(ctx, reached, q.Collection, position)
			if err != nil {
				return err
			}
			var number, at, fetched, deployed int64
			if _, err := pgx.ForEachRow(rows, []any{&number, &at, &fetched, &deployed}, func() error {
				found[place[number]].Reached[i] = store.Reached{Position: at, Fetched: time.UnixMicro(fetched), Deployed: time.UnixMicro(deployed)}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("followers: %w", unavailable(err))
	}
	return found, nil
}

// followers reads agents, and says at which place each number is.
func followers(ctx context.Context, tx pgx.Tx, q store.FollowerQuery, found *[]store.Follower) (place map[int64]int, err error) {
	const all = "SELECT number, organization, token, instance, position, seen," +
		" EXISTS (SELECT 1 FROM idle WHERE object = $2 AND follower = number AND id = $3)" +
		" FROM followers WHERE collection = $1 ORDER BY number"
	rows, err := tx.Query(ctx, all, q.Collection, store.IDHash(q.Object), q.Object)
	if err != nil {
		return nil, err
	}
	place = map[int64]int{}
	var f store.Follower
	var number, seen int64
	_, err = pgx.ForEachRow(rows, []any{&number, &f.Organization, &f.Token, &f.Instance, &f.Position, &seen, &f.Idle}, func() error {
		place[number] = len(*found)
		f.Seen, f.Reached = time.UnixMicro(seen), make([]store.Reached, len(q.Positions))
		*found = append(*found, f)
		return nil
	})
	return place, err
}
