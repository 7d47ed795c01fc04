package observe

import (
	"container/list"
	"errors"
	"sync"
	"time"

	"tocsin/stix/pattern"
)

var errUntimed = errors.New("the line does not say when it was written")

// The bounds of a window.
const (
	leastKept = 256       // events of one pattern, at least
	mostKept  = 20_000    // events of all patterns
	mostBytes = 128 << 20 // about what they may take in memory
	overhead  = 8 << 10   // about what an event takes beside its text, in bytes
	perByte   = 4         // how much memory a byte of a line becomes
)

// A Window keeps the events that may be a part of a match which takes more than
// one. It is bounded by time and by count: an event is forgotten when a later
// one of the same pattern is further away than its length, and when there are
// too many. Events may come in any order, and from several logs. It is safe for
// concurrent use.
type Window struct {
	length time.Duration

	mu    sync.Mutex // guards what follows
	kept  map[*Pattern][]*keptEvent
	order *list.List // of *keptEvent, the first that came first
	bytes int
	lost  Lost
}

// Lost counts what was not looked at.
type Lost struct {
	Dropped int64 // events that were forgotten because there were too many
	Untimed int64 // events that do not say when they were, for patterns that ask
	Complex int64 // events that could not be compared in bounded time
}

type keptEvent struct {
	Part

	place *list.Element
}

// NewWindow returns a window of a length of time, as the logs tell it.
func NewWindow(length time.Duration) *Window {
	return &Window{length: length, kept: map[*Pattern][]*keptEvent{}, order: list.New()}
}

// Lost returns what was not looked at so far.
func (w *Window) Lost() Lost {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// Note counts an event that [Pattern.Match] could not compare.
func (w *Window) Note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.note(err)
}

func (w *Window) note(err error) {
	switch {
	case err == nil:
	case errors.Is(err, errUntimed):
		w.lost.Untimed++
	default:
		w.lost.Complex++
	}
}

// A Part is an event that may be a part of a pattern's match.
type Part struct {
	pattern *Pattern
	seen    pattern.Observation
	parts   pattern.Parts
	bytes   int
}

// Part compares an event with a pattern that may take more than one; ok is
// false for an event that is no part of any match. What it cannot compare is an
// error, for [Window.Note].
func (p *Pattern) Part(e *Event) (part Part, ok bool, err error) {
	if p.timed && e.when.IsZero() {
		return Part{}, false, errUntimed
	}
	seen := e.observation(1)
	parts, err := p.matcher.Parts(&seen)
	if err != nil || parts == 0 {
		return Part{}, false, err //nolint:wrapcheck // told apart by the caller
	}
	return Part{p, seen, parts, overhead + perByte*e.line}, true, nil
}

// Add takes an event, and returns of how many events the match is that it
// completes, 0 for none. The events of a match are forgotten: none counts
// twice.
func (w *Window) Add(part Part) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := part.pattern
	k := &keptEvent{Part: part}
	w.age(p, part.seen.First)
	w.keep(k)
	all := w.kept[p]
	var together pattern.Parts
	for _, one := range all {
		together |= one.parts
	}
	if !p.matcher.Possible(together) {
		return 0
	}
	observations := make([]pattern.Observation, len(all))
	for i, one := range all {
		observations[i] = one.seen
	}
	found, err := p.matcher.Match(observations)
	if err != nil {
		w.note(err)
		w.forget(p) // the next event would not be compared either
		return 0
	}
	if !found.Matched {
		return 0
	}
	used := make(map[*keptEvent]bool, len(found.Observations))
	for _, i := range found.Observations {
		used[all[i]] = true
	}
	w.drop(p, func(one *keptEvent) bool { return used[one] })
	return len(used)
}

// Forget takes back what was kept for a pattern that is sought no more.
func (w *Window) Forget(p *Pattern) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(p)
}

func (w *Window) forget(p *Pattern) { w.drop(p, func(*keptEvent) bool { return true }) }

// age forgets what is too long before a moment.
func (w *Window) age(p *Pattern, now time.Time) {
	if now.IsZero() {
		return
	}
	from := now.Add(-w.length)
	w.drop(p, func(one *keptEvent) bool { return !one.seen.First.IsZero() && one.seen.First.Before(from) })
}

// keep adds an event, and drops the oldest when there are too many.
func (w *Window) keep(k *keptEvent) {
	p := k.pattern
	most := max(leastKept, 2*int(p.matcher.Least()))
	for len(w.kept[p]) >= most {
		w.lose(w.kept[p][0])
	}
	for w.order.Len() > 0 && (w.order.Len() >= mostKept || w.bytes+k.bytes > mostBytes) {
		oldest, _ := w.order.Front().Value.(*keptEvent)
		w.lose(oldest)
	}
	k.place = w.order.PushBack(k)
	w.bytes += k.bytes
	w.kept[p] = append(w.kept[p], k)
}

func (w *Window) lose(k *keptEvent) {
	w.lost.Dropped++
	w.drop(k.pattern, func(one *keptEvent) bool { return one == k })
}

// drop forgets some of a pattern's events.
func (w *Window) drop(p *Pattern, which func(*keptEvent) bool) {
	all := w.kept[p]
	left := all[:0]
	for _, one := range all {
		if !which(one) {
			left = append(left, one)
			continue
		}
		w.order.Remove(one.place)
		w.bytes -= one.bytes
	}
	clear(all[len(left):])
	if len(left) == 0 {
		delete(w.kept, p)
		return
	}
	w.kept[p] = left
}
