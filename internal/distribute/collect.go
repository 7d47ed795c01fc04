package distribute

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/store"
	"tocsin/internal/view"
)

// A Collector keeps something that is made of all that a reader may see of a
// collection: it is made once, kept current by what comes, and shared by the
// readers who may see just the same. Nobody gets it by name or by role: as for
// pages, every decision that made it is decided anew, for this reader, now. The
// fields are set before it is used; then it is safe for concurrent use.
type Collector[T any] struct {
	Feed  *Feed
	Types []string             // of the objects; empty: all
	New   func() T             // what is made of nothing
	Take  func(T, view.Object) // adds an object, or what was withdrawn, in the one order
	Size  func(T) int64        // about how much memory it takes, in bytes
	Most  int64                // how much all together may take; the one that was used last is always kept

	mu   sync.Mutex
	kept []*collected[T] // the one that was used last is first
}

// collected is what one class of readers sees of one collection.
type collected[T any] struct {
	collection string
	decisions  atomic.Pointer[[]decision] // what was decided of the labels so far
	unsure     atomic.Bool                // one label was decided both ways
	idle       *time.Timer

	turn     chan struct{} // holds one while somebody reads or makes what follows
	asked    asked
	position int64 // everything up to it was taken
	from, to int64 // the span of the objects
	objects  int
	holds    T
	size     atomic.Int64
}

// idleTime is how long what nobody asks for is kept: what was withdrawn since
// must not stay in memory.
const idleTime = 15 * time.Minute

// mostAttempts is how often a policy may change while a collection is read.
const mostAttempts = 3

// Use calls f with what is made of all that the reader may see now, and returns
// what f returns. What f is given was disclosed; it is f's until it returns, and
// f may keep in it what depends on nothing else.
func (c *Collector[T]) Use(ctx context.Context, who tocsin.Member, community, collection string, f func(T) error) error {
	at, reader, err := c.Feed.open(who, community, collection)
	if err != nil {
		return err
	}
	for range mostAttempts {
		e, err := c.enter(ctx, at.ID, reader)
		if err != nil {
			return err
		}
		err = c.catchUp(ctx, e, reader)
		if err == nil && e.fits(reader) {
			if e.objects > 0 {
				err = c.Feed.discloseSpan(ctx, who, at, e.from, e.to, e.objects)
			}
			if err == nil {
				err = f(e.holds)
			}
			e.size.Store(c.Size(e.holds))
			<-e.turn
			c.trim()
			return err
		}
		<-e.turn
		if e.unsure.Load() {
			c.drop(e)
		}
		if err != nil {
			return err
		}
	}
	return &tocsin.Error{Kind: tocsin.Busy, Message: "what you may see changes too fast to be put together", Hint: "try again"}
}

// enter returns what fits the reader, and has its turn.
func (c *Collector[T]) enter(ctx context.Context, collection string, r *authorize.Reader) (*collected[T], error) {
	var unfit []*collected[T]
	for {
		e := c.find(collection, r, unfit)
		select {
		case e.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if e.fits(r) { // it may have grown meanwhile
			return e, nil
		}
		<-e.turn
		unfit = append(unfit, e)
	}
}

func (e *collected[T]) fits(r *authorize.Reader) bool {
	if e.unsure.Load() {
		return false
	}
	all := e.decisions.Load()
	return all == nil || !slices.ContainsFunc(*all, func(d decision) bool { return !r.See(d.label).Equal(d.sight) })
}

// find returns what seems to fit the reader, or a new one.
func (c *Collector[T]) find(collection string, r *authorize.Reader, unfit []*collected[T]) *collected[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.kept, func(e *collected[T]) bool {
		return e.collection == collection && !slices.Contains(unfit, e) && e.fits(r)
	})
	if i >= 0 {
		e := c.kept[i]
		c.kept = slices.Insert(slices.Delete(c.kept, i, i+1), 0, e)
		e.idle.Reset(idleTime)
		return e
	}
	e := &collected[T]{collection: collection, turn: make(chan struct{}, 1), holds: c.New()}
	e.idle = time.AfterFunc(idleTime, func() { c.drop(e) })
	c.kept = slices.Insert(c.kept, 0, e)
	return e
}

// drop lets go of what is kept. Who uses it goes on.
func (c *Collector[T]) drop(e *collected[T]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.idle.Stop()
	c.kept = slices.DeleteFunc(c.kept, func(o *collected[T]) bool { return o == e })
}

// trim lets go of what was not used for the longest time, until the rest is
// small enough.
func (c *Collector[T]) trim() {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := int64(0)
	for i, e := range c.kept {
		if size += e.size.Load(); size <= c.Most || i == 0 {
			continue
		}
		for _, gone := range c.kept[i:] {
			gone.idle.Stop()
		}
		c.kept = slices.Clip(slices.Clone(c.kept[:i]))
		return
	}
}

// catchUp takes what has come since, as the reader may see it.
func (c *Collector[T]) catchUp(ctx context.Context, e *collected[T], r *authorize.Reader) error {
	known := len(e.asked.decided)
	defer func() {
		e.unsure.Store(e.asked.unsure)
		if len(e.asked.decided) != known {
			all := e.asked.decisions()
			e.decisions.Store(&all)
		}
	}()
	last, _ := c.Feed.store.Head(e.collection)
	for e.position < last && !e.asked.unsure {
		found, err := c.Feed.store.Scan(ctx, store.Scan{Collection: e.collection, After: e.position, Most: rowsPerScan, Types: c.Types})
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		for _, sealed := range found.Rows {
			o, ok := e.asked.render(sealed, r)
			if !ok {
				continue
			}
			if !o.Withdrawn() {
				e.note(o.Seq())
			}
			c.Take(e.holds, o)
		}
		switch {
		case !found.More:
			e.position = max(found.Next, last)
		case found.Next > e.position:
			e.position = found.Next
		default:
			return errors.New("the store has less than it says")
		}
	}
	return nil
}

func (e *collected[T]) note(seq int64) {
	if e.objects == 0 {
		e.from = seq
	}
	e.objects++
	e.to = max(e.to, seq)
}
