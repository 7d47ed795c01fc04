package distribute

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"

	"tocsin/internal/store"
	"tocsin/internal/view"
)

// The newest part of a collection's order is kept in memory while somebody
// follows it, so that what is committed is read once and not once for each
// subscriber. A subscriber that falls behind it reads from the store again.
const (
	headBytes     = 32 << 20 // of all collections together, about; what is made of the objects takes as much again
	leastBytes    = 256 << 10
	rowsPerFill   = 500
	widestFill    = 10_000 // positions that are filled for a reader who did not wait for them
	rowsBehind    = 12     // what a subscriber that is behind reads at once
	readersBehind = 2      // of those, how many read at the same time: pages need connections as well
)

// heads are the heads of the collections that are followed.
type heads struct {
	store  store.Reader
	behind chan struct{} // bounds the readers that are behind

	mu    sync.Mutex
	heads map[string]*head // by collection
}

func newHeads(s store.Reader) *heads {
	return &heads{store: s, behind: make(chan struct{}, readersBehind), heads: map[string]*head{}}
}

// A head is the newest part of one collection. It is safe for concurrent use.
type head struct {
	all        *heads
	collection string
	followers  int // guarded by all.mu

	window atomic.Pointer[window]

	mu      sync.Mutex
	filling chan struct{}     // closed when the read that makes the window longer has ended; nil: there is none
	reading map[place]*flight // by subscribers that are behind the window
}

// A window is everything in a collection after one position, up to and
// including another, as it was when the last of it was read: what was withdrawn
// until then is not in it. It is never changed.
type window struct {
	after, to int64
	rows      []view.Sealed
	size      int // bytes
}

// place names a read: after a position, of a collection that has grown to head.
// Who asks for the same later than a withdrawal knows of a later head, and so
// never joins a read from before it.
type place struct{ after, head int64 }

// A flight is one read that several wait for.
type flight struct {
	done chan struct{}
	stretch
	err error
}

// A stretch is a part of the order: all of a collection up to and including to.
type stretch struct {
	rows []view.Sealed
	to   int64
}

// follow returns the head of a collection. Whoever called it calls leave.
func (all *heads) follow(collection string) *head {
	all.mu.Lock()
	defer all.mu.Unlock()
	h := all.heads[collection]
	if h == nil {
		h = &head{all: all, collection: collection, reading: map[place]*flight{}}
		all.heads[collection] = h
	}
	h.followers++
	return h
}

// leave lets go of a head. With its last follower it is forgotten.
func (h *head) leave() {
	h.all.mu.Lock()
	defer h.all.mu.Unlock()
	if h.followers--; h.followers == 0 {
		delete(h.all.heads, h.collection)
	}
}

// share is how many bytes a head may keep.
func (h *head) share() int {
	h.all.mu.Lock()
	defer h.all.mu.Unlock()
	return max(leastBytes, headBytes/max(1, len(h.all.heads)))
}

// read returns what comes after a position in a collection that has grown to
// at least last, as it is now or later: nothing that was withdrawn before read
// was called is in it. waited says that the reader has had everything before,
// and waited for more.
func (h *head) read(ctx context.Context, after, last int64, waited bool) (stretch, error) {
	for {
		w := h.window.Load()
		if w != nil && w.to >= last && w.after <= after {
			return w.since(after), nil
		}
		if !w.leads(after, last, waited) {
			return h.catchUp(ctx, place{after, last})
		}
		h.mu.Lock()
		filling := h.filling
		if filling == nil {
			filling = make(chan struct{})
			h.filling = filling
			h.mu.Unlock()
			err := h.fill(ctx, after, last)
			h.mu.Lock()
			h.filling = nil
			h.mu.Unlock()
			close(filling)
			if err != nil {
				return stretch{}, err
			}
			continue
		}
		h.mu.Unlock()
		select {
		case <-filling: // by another, which may also have failed
		case <-ctx.Done():
			return stretch{}, ctx.Err()
		}
	}
}

// leads reports whether making the window longer, or beginning it anew, will
// give a reader what comes after a position.
func (w *window) leads(after, last int64, waited bool) bool {
	switch {
	case w == nil || after > w.to:
		return waited
	case after < w.after:
		return false
	}
	return waited || last-w.to <= widestFill
}

// since returns what of the window comes after a position within it.
func (w *window) since(after int64) stretch {
	return stretch{w.rows[sort.Search(len(w.rows), func(i int) bool { return w.rows[i].Seq > after }):], w.to}
}

// fill makes the window reach to last, or begin at after when it does not reach
// so far. Only one goroutine at a time fills.
func (h *head) fill(ctx context.Context, after, last int64) error {
	w := h.window.Load()
	if w == nil || after > w.to {
		w = &window{after: after, to: after}
	}
	most := h.share()
	for w.to < last {
		found, err := h.all.store.Scan(ctx, store.Scan{Collection: h.collection, After: w.to, Most: rowsPerFill})
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		if found.Next <= w.to {
			return errors.New("the store has less than it says")
		}
		w = w.longer(found, most)
		h.window.Store(w)
	}
	return nil
}

// longer returns the window with what was read after it, and without its oldest
// part when it would be larger than most bytes.
func (w *window) longer(found store.Scanned, most int) *window {
	next := &window{after: w.after, to: found.Next, rows: w.rows, size: w.size}
	for _, row := range found.Rows {
		if row.Withdrawn { // one of the rows from before is withdrawn, and must not be given to anybody
			next.after, next.rows, next.size = w.to, nil, 0
			break
		}
	}
	for _, row := range found.Rows {
		next.rows = append(next.rows, row.Shared())
		next.size += row.Size()
	}
	for next.size > most && len(next.rows) > 1 {
		next.after = next.rows[0].Seq
		next.size -= next.rows[0].Size()
		next.rows = next.rows[1:]
	}
	return next
}

// catchUp reads from the store, once for all who ask for the same.
func (h *head) catchUp(ctx context.Context, p place) (stretch, error) {
	for {
		h.mu.Lock()
		f := h.reading[p]
		if f == nil {
			f = &flight{done: make(chan struct{})}
			h.reading[p] = f
			h.mu.Unlock()
			f.stretch, f.err = h.scan(ctx, p.after)
			h.mu.Lock()
			delete(h.reading, p)
			h.mu.Unlock()
			close(f.done)
			return f.stretch, f.err
		}
		h.mu.Unlock()
		select {
		case <-f.done:
		case <-ctx.Done():
			return stretch{}, ctx.Err()
		}
		if !errors.Is(f.err, context.Canceled) { // else only who read has gone
			return f.stretch, f.err
		}
	}
}

func (h *head) scan(ctx context.Context, after int64) (stretch, error) {
	select {
	case h.all.behind <- struct{}{}:
	case <-ctx.Done():
		return stretch{}, ctx.Err()
	}
	defer func() { <-h.all.behind }()
	found, err := h.all.store.Scan(ctx, store.Scan{Collection: h.collection, After: after, Most: rowsBehind})
	if err != nil {
		return stretch{}, fmt.Errorf("scan: %w", err)
	}
	for i := range found.Rows {
		found.Rows[i] = found.Rows[i].Shared()
	}
	return stretch{found.Rows, max(after, found.Next)}, nil
}
