package sqlite

import (
	"context"
	"fmt"
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
	f := s.marks.Find(us, head)
	if f.Done() {
		return f.Low, nil
	}
	err := s.readers.read(ctx, func(c *conn) (err error) {
		for !f.Done() {
			middle := f.Middle()
			seq, added := f.High, int64(0) // withdrawn positions have no row
			for r := range c.rows(&err, "SELECT seq, added FROM objects WHERE seq >= ? ORDER BY seq LIMIT 1", middle) {
				seq, added = r.ColumnInt64(0), r.ColumnInt64(1)
			}
			if err != nil {
				return err
			}
			f.Learn(middle, seq, added)
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("seek: %w", err)
	}
	return f.Low, nil
}
