package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"tocsin"
	"tocsin/internal/store"
)

// channel is what replicas wake one another on.
const channel = "tocsin"

// staleAfter is how old what a replica believes of the directory may be. Rights
// that were taken away on another replica end within it, or the replica ends to
// answer.
const staleAfter = 3 * time.Second

// Fresh returns nil when this replica has seen within the last seconds what all
// others have written, and else an error that asks to come again. Whoever decides
// by the directory asks first.
func (s *Store) Fresh() error {
	checked := s.checked.Load()
	// A machine that slept has a monotonic clock that did as well.
	if age := max(time.Since(*checked), time.Now().Round(0).Sub(checked.Round(0))); age > staleAfter {
		return &tocsin.Error{
			Kind: tocsin.Busy, Message: "this replica of the hub cannot reach its database, so it cannot know what you may see",
			Hint: "try again in a few seconds, or on another replica",
		}
	}
	return nil
}

// Follow has hooks called when other replicas have changed the directory or
// recorded a marking-definition, from now on.
func (s *Store) Follow(h Hooks) { s.hooks.Store(&h) }

// follow keeps what is in memory in step with what other replicas write, until
// the store is closed. It looks when it is told to (NOTIFY), and in any case
// every [Options.Poll].
func (s *Store) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.running.Go(func() {
		<-s.quit
		cancel()
	})
	for ctx.Err() == nil {
		if err := s.listen(ctx); err != nil && ctx.Err() == nil {
			wait(ctx, s.options.Poll) // what is not fresh is not served (see Fresh); the next look says more
		}
	}
}

// listen looks until its connection is lost.
func (s *Store) listen(ctx context.Context) error {
	c, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer func() {
		// A connection that listens is no good for anything else.
		_ = c.Conn().Close(context.WithoutCancel(ctx))
		c.Release()
	}()
	_, err = c.Exec(ctx, "LISTEN "+channel)
	s.notifies.Store(err == nil) // a database without it is polled
	for ctx.Err() == nil {
		if err := s.look(ctx, c); err != nil {
			return err
		}
		if !s.notifies.Load() {
			select {
			case <-ctx.Done():
			case <-s.wake:
			case <-time.After(s.options.Poll):
			}
			continue
		}
		s.waitFor(ctx, c)
	}
	return ctx.Err()
}

// waitFor waits for a notification, for this replica's own writer, or until it
// is time to look anyway.
func (s *Store) waitFor(ctx context.Context, c *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Poll)
	defer cancel()
	go func() {
		select {
		case <-s.wake:
			cancel()
		case <-ctx.Done():
		}
	}()
	_, _ = c.Conn().WaitForNotification(ctx) // a hint: the look that follows finds what there is
}

func (s *Store) look(ctx context.Context, q querier) error {
	ctx, cancel := context.WithTimeout(ctx, staleAfter)
	defer cancel()
	return s.sync(ctx, q)
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// sync learns what other replicas have written and then tells readers. The
// directory and the marking-definitions come first: what decides who may see an
// object is known before the object is.
func (s *Store) sync(ctx context.Context, q querier) error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	began := time.Now()
	var at standing
	if err := at.scan(q.QueryRow(ctx, selectStanding)); err != nil {
		return fmt.Errorf("look: %w", err)
	}
	if at.moved != 0 {
		if err := refusal(ctx, q); err != nil {
			s.fail(err)
		}
	}
	s.mu.RLock()
	commits, head, directory, defined := s.commits, s.head, s.directory, s.defined
	s.mu.RUnlock()
	hooks := s.hooks.Load()
	if at.directory != directory && hooks != nil {
		if err := hooks.Directory(ctx); err != nil {
			return fmt.Errorf("look: %w", err)
		}
	}
	n := news{at: at, collections: map[string]collection{}}
	if at.commits > commits || at.commits == 0 {
		if err := s.readNews(ctx, q, head, &n); err != nil {
			return fmt.Errorf("look: %w", err)
		}
	}
	if hooks != nil && at.seq > defined {
		fresh, err := s.definitions(ctx, q, defined)
		if err != nil {
			return fmt.Errorf("look: %w", err)
		}
		for _, d := range fresh {
			hooks.Define(d)
		}
		s.mu.Lock()
		s.defined = at.seq
		s.mu.Unlock()
	}
	s.publish(n)
	s.checked.Store(&began)
	return nil
}

// readNews reads which collections have grown beyond a position, and what older
// positions are not what they were.
func (s *Store) readNews(ctx context.Context, q querier, after int64, n *news) error {
	rows, err := q.Query(ctx, "SELECT collection, name, head FROM collections WHERE head > $1 OR $1 = 0", after)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var c collection
		var name string
		if err := rows.Scan(&c.number, &name, &c.head); err != nil {
			return err
		}
		n.collections[name] = c
	}
	if err := rows.Err(); err != nil || after == 0 {
		return err // nobody has read anything before the first look
	}
	// A tombstone says what it stands for; the row is gone.
	const sql = "SELECT collection, coalesce(replaces, seq) FROM objects" +
		" WHERE idhash IN (SELECT idhash FROM objects WHERE seq > $1 AND seq <= $2 AND (flags & $3) <> 0)"
	rows, err = q.Query(ctx, sql, after, n.at.seq, store.FlagSiblings|store.FlagTombstone)
	if err != nil {
		return err
	}
	n.rewrites, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (p place, err error) {
		err = r.Scan(&p.collection, &p.seq)
		return p, err
	})
	return err
}
