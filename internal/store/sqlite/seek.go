package sqlite

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Seek returns the highest position whose date_added is at or before t, 0 when
// there is none. The order and date_added grow together, so no index is needed:
// it halves the order until one position is left, mostly in memory.
func (s *Store) Seek(ctx context.Context, t time.Time) (int64, error) {
	// What was added later than t in the same microsecond is later than t.
	us := t.UnixMicro()
	s.mu.RLock()
	head, last := s.head, s.added
	s.mu.RUnlock()
	if us >= last {
		return head, nil
	}
	f := finding{high: head}
	for f.open() {
		middle := f.middle()
		added, ok := s.marks.get(middle)
		if !ok {
			break
		}
		f.learn(middle, middle, added <= us)
	}
	if !f.open() {
		return f.low, nil
	}
	err := s.readers.read(ctx, func(c *conn) (err error) {
		for f.open() {
			middle := f.middle()
			seq, added := f.high, us+1 // withdrawn positions have no row
			for r := range c.rows(&err, "SELECT seq, added FROM objects WHERE seq >= ? ORDER BY seq LIMIT 1", middle) {
				seq, added = r.ColumnInt64(0), r.ColumnInt64(1)
			}
			if err != nil {
				return err
			}
			if seq == middle {
				s.marks.set(middle, added)
			}
			f.learn(middle, seq, added <= us)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("seek: %w", err)
	}
	return f.low, nil
}

// A finding is a search for a time in the order: low was added at or before it,
// or is before everything, and whatever has a row at high or later was added
// after it.
type finding struct{ low, high int64 }

func (f *finding) open() bool { return f.low+1 < f.high }

// middle returns the position to look at, one with a mark while there is one.
func (f *finding) middle() int64 {
	middle := f.low + (f.high-f.low)/2
	if marked := middle / markEvery * markEvery; marked > f.low {
		return marked
	}
	return middle
}

// learn takes in that the first row at or after a position is at seq, and whether
// it was added at or before the time.
func (f *finding) learn(position, seq int64, before bool) {
	if before && seq < f.high {
		f.low = seq
	} else {
		f.high = position
	}
}

// markEvery says which positions have a mark: its multiples.
const markEvery = 64

// marks remember when positions were added, which never changes: 8 bytes for
// each 64 positions.
type marks struct {
	mu    sync.RWMutex
	added []int64 // microseconds since 1970, by position / markEvery; 0: not known
}

func (m *marks) get(position int64) (added int64, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if i := position / markEvery; position%markEvery == 0 && i < int64(len(m.added)) {
		added = m.added[i]
	}
	return added, added != 0
}

func (m *marks) set(position, added int64) {
	if position%markEvery != 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i := int(position / markEvery)
	if more := i + 1 - len(m.added); more > 0 {
		m.added = append(m.added, make([]int64, more)...)
	}
	m.added[i] = added
}
