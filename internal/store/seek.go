package store

import "sync"

// markEvery says which positions have a mark: its multiples.
const markEvery = 64

// Marks remember when positions of the order were added, which never changes, so
// that most of a search for a time costs no database: 8 bytes for each 64 positions.
// They are safe for concurrent use; the zero value knows nothing.
type Marks struct {
	mu    sync.RWMutex
	added []int64 // microseconds since 1970, by position / markEvery; 0: not known
}

// A Finding is a search for a time in the order, which grows as date_added does.
// Low was added at or before the time, or is 0; whatever has a row at High or
// later was added after it. It is done when nothing lies between.
type Finding struct {
	Low, High int64

	marks *Marks
	at    int64
}

// Find begins the search for a time, in microseconds since 1970, that is before
// the head of the order was added, and goes on as far as marks lead.
func (m *Marks) Find(at, head int64) *Finding {
	f := &Finding{High: head, marks: m, at: at}
	f.recall()
	return f
}

// Done reports whether Low is what was searched for.
func (f *Finding) Done() bool { return f.Low+1 >= f.High }

// Near reports whether no mark lies between.
func (f *Finding) Near() bool { return f.Low/markEvery == (f.High-1)/markEvery }

// Middle returns the position to look at next.
func (f *Finding) Middle() int64 {
	middle := f.Low + (f.High-f.Low)/2
	if marked := middle / markEvery * markEvery; marked > f.Low {
		return marked
	}
	return middle
}

// Learn takes in that the first row at or after a position is at seq, and when it
// was added. When there is none, seq is not below High.
func (f *Finding) Learn(position, seq, added int64) {
	if seq == position {
		f.marks.set(position, added)
	}
	f.narrow(position, seq, added)
	f.recall()
}

func (f *Finding) narrow(position, seq, added int64) {
	if seq < f.High && added <= f.at {
		f.Low = seq
	} else {
		f.High = position
	}
}

// recall narrows the search by what is remembered.
func (f *Finding) recall() {
	f.marks.mu.RLock()
	defer f.marks.mu.RUnlock()
	for !f.Done() {
		middle := f.Middle()
		if i := middle / markEvery; middle%markEvery != 0 || i >= int64(len(f.marks.added)) || f.marks.added[i] == 0 {
			return
		}
		f.narrow(middle, middle, f.marks.added[middle/markEvery])
	}
}

func (m *Marks) set(position, added int64) {
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
