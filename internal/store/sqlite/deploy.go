package sqlite

import (
	"context"
	"fmt"
	"time"

	"tocsin/internal/store"
)

// Confirm stores what an agent says. Agents that confirm at the same time share
// a commit.
func (s *Store) Confirm(ctx context.Context, c store.Confirmation) error {
	return s.submit(ctx, &job{weight: 1 + len(c.Idle) + len(c.Busy), do: func(b *batch) error {
		number, err := b.c.follower(c)
		if err != nil {
			return err
		}
		if c.Anew {
			if err := b.c.run("DELETE FROM idle WHERE follower = ?", number); err != nil {
				return err
			}
		}
		for _, id := range c.Busy {
			if err := b.c.run("DELETE FROM idle WHERE object = ? AND follower = ? AND id = ?", store.IDHash(id), number, id); err != nil {
				return err
			}
		}
		for _, id := range c.Idle {
			if err := b.c.run("INSERT INTO idle (object, follower, id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", store.IDHash(id), number, id); err != nil {
				return err
			}
		}
		// When a position was reached first is what counts, so rows rise in both.
		const add = "INSERT INTO confirmations (follower, position, fetched, deployed) SELECT ?1, ?2, ?3, ?4" +
			" WHERE NOT EXISTS (SELECT 1 FROM confirmations WHERE follower = ?1 AND position >= ?2)"
		if err := b.c.run(add, number, c.Position, c.Fetched.UnixMicro(), c.Deployed.UnixMicro()); err != nil {
			return err
		}
		// Two at a time go for each one that comes, so old ones never pile up.
		const old = "DELETE FROM confirmations WHERE follower = ?1 AND deployed < ?2 AND position IN" +
			" (SELECT position FROM confirmations WHERE follower = ?1 ORDER BY position LIMIT 2)"
		return b.c.run(old, number, c.Seen.Add(-store.KeepConfirmations).UnixMicro())
	}})
}

// follower notes that an agent was heard of, and returns its number.
func (c *conn) follower(from store.Confirmation) (int64, error) {
	a := from.Agent
	position := "max(position, ?)"
	if from.Anew {
		position = "?"
	}
	update := "UPDATE followers SET position = " + position + ", seen = max(seen, ?) WHERE collection = ? AND token = ? AND instance = ? RETURNING number"
	number, err := c.only(update, from.Position, from.Seen.UnixMicro(), from.Collection, a.Token, a.Instance)
	if err != nil || number > 0 {
		return number, err
	}
	// Whoever is new makes room.
	if err := c.forget(from.Seen.Add(-store.KeepConfirmations)); err != nil {
		return 0, err
	}
	n, err := c.number("SELECT count(*) FROM followers WHERE collection = ? AND token = ?", from.Collection, a.Token)
	if err != nil {
		return 0, err
	}
	if n >= store.MostAgents {
		return 0, store.TooManyAgents()
	}
	const add = "INSERT INTO followers (collection, organization, token, instance, position, seen) VALUES (?, ?, ?, ?, ?, ?)"
	if err := c.run(add, from.Collection, a.Organization, a.Token, a.Instance, from.Position, from.Seen.UnixMicro()); err != nil {
		return 0, err
	}
	return c.LastInsertRowID(), nil
}

// only returns what a statement that changes one row returns of it, 0 when there
// is no such row. It runs to its end: what it returns is returned before that.
func (c *conn) only(sql string, args ...any) (n int64, err error) {
	for r := range c.rows(&err, sql, args...) {
		n = r.ColumnInt64(0)
	}
	return n, err
}

// forget forgets a few of the agents that were not heard of since a time.
func (c *conn) forget(since time.Time) (err error) {
	var gone []int64
	for r := range c.rows(&err, "SELECT number FROM followers WHERE seen < ? ORDER BY seen LIMIT 10", since.UnixMicro()) {
		gone = append(gone, r.ColumnInt64(0))
	}
	if err != nil {
		return err
	}
	for _, number := range gone {
		for _, sql := range []string{
			"DELETE FROM idle WHERE follower = ?", "DELETE FROM confirmations WHERE follower = ?", "DELETE FROM followers WHERE number = ?",
		} {
			if err := c.run(sql, number); err != nil {
				return err
			}
		}
	}
	return nil
}

// Followers returns the agents that confirm for a collection.
func (s *Store) Followers(ctx context.Context, q store.FollowerQuery) (found []store.Follower, err error) {
	err = s.readers.read(ctx, func(c *conn) (err error) {
		const all = "SELECT number, organization, token, instance, position, seen," +
			" EXISTS (SELECT 1 FROM idle WHERE object = ?2 AND follower = number AND id = ?3)" +
			" FROM followers WHERE collection = ?1 ORDER BY number"
		place := map[int64]int{}
		for r := range c.rows(&err, all, q.Collection, store.IDHash(q.Object), q.Object) {
			place[r.ColumnInt64(0)] = len(found)
			found = append(found, store.Follower{
				Agent: store.Agent{Organization: r.ColumnText(1), Token: r.ColumnText(2), Instance: r.ColumnText(3)}, Position: r.ColumnInt64(4),
				Seen: time.UnixMicro(r.ColumnInt64(5)), Idle: r.ColumnBool(6), Reached: make([]store.Reached, len(q.Positions)),
			})
		}
		if err != nil {
			return err
		}
		const reached = "SELECT f.number, c.position, c.fetched, c.deployed FROM followers f JOIN confirmations c ON c.follower = f.number" +
			" WHERE f.collection = ?1 AND c.position = (SELECT min(position) FROM confirmations WHERE follower = f.number AND position >= ?2)"
		for i, position := range q.Positions {
			for r := range c.rows(&err, reached, q.Collection, position) {
				found[place[r.ColumnInt64(0)]].Reached[i] = store.Reached{
					Position: r.ColumnInt64(1), Fetched: time.UnixMicro(r.ColumnInt64(2)), Deployed: time.UnixMicro(r.ColumnInt64(3)),
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("followers: %w", err)
	}
	return found, nil
}
