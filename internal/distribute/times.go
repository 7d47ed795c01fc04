package distribute

import (
	"context"
	"sync"
	"time"

	"tocsin/internal/store"
)

// mostTimes bounds how many times are remembered: 4,096 take some 300 kB.
const mostTimes = 4096

// times remembers where times lie in the order, so that who asks again for what
// came after a time, or for what comes after now, costs the database nothing.
type times struct {
	mu    sync.RWMutex
	known map[int64]int64 // microseconds → position
	quiet map[string]quiet
}

// quiet says that a collection has nothing later than a time, while its head is
// this one.
type quiet struct{ head, since int64 }

func newTimes() *times { return &times{known: map[int64]int64{}, quiet: map[string]quiet{}} }

// seek returns [store.Reader.Seek] of a time, or head when nothing in the
// collection is later, whose head it was before.
func (t *times) seek(ctx context.Context, s store.Reader, collection string, head int64, at time.Time) (int64, error) {
	us := at.UnixMicro() // positions are whole microseconds apart
	t.mu.RLock()
	seq, ok := t.known[us]
	q := t.quiet[collection]
	t.mu.RUnlock()
	switch {
	case ok:
		return seq, nil
	case q.head == head && us >= q.since:
		return head, nil
	}
	last, _ := s.Head("")
	seq, err := s.Seek(ctx, at)
	if err != nil {
		return 0, err //nolint:wrapcheck // by the caller
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	// Something was there already that is later, so all that comes is later too,
	// and the position of this time stays as it is. What is withdrawn meanwhile
	// leaves a hole at or below it, where nothing is found either way.
	if seq < last {
		if len(t.known) >= mostTimes {
			clear(t.known)
		}
		t.known[us] = seq
	}
	if seq >= head {
		if q := t.quiet[collection]; q.head != head || us < q.since {
			t.quiet[collection] = quiet{head, us}
		}
	}
	return seq, nil
}
