package sqlite

import "sync/atomic"

// How finely rewrites are counted: positions are counted together in runs, and
// runs that are this far apart share a counter, so that the memory is bounded
// (32 KiB) whatever the number of objects. Sharing can only count too much.
const (
	rewriteRun      = 4096
	rewriteCounters = 4096
)

// rewrites counts the changes of what stands at positions. Counters only grow,
// so a sum of them is another one as soon as one of them is.
type rewrites struct {
	counters [rewriteCounters]atomic.Uint64
}

// slot returns the counter of a run of positions. Collections begin at
// different counters, so that a busy one does not count for all others.
func slot(collection, run int64) int64 {
	return int64((uint64(run) + uint64(collection)*0x9e3779b1) % rewriteCounters)
}

func (r *rewrites) count(p place) { r.counters[slot(p.collection, p.seq/rewriteRun)].Add(1) }

func (r *rewrites) sum(collection, from, to int64) (n uint64) {
	first, last := max(from, 0)/rewriteRun, to/rewriteRun
	last = min(last, first+rewriteCounters-1)
	for run := first; run <= last; run++ {
		n += r.counters[slot(collection, run)].Load()
	}
	return n
}

// Rewrites returns a number that is another one after something has changed of
// what stands at the positions from..to of a collection.
func (s *Store) Rewrites(collection string, from, to int64) uint64 {
	s.mu.RLock()
	number := s.collections[collection].number
	s.mu.RUnlock()
	return s.rewrites.sum(number, from, to)
}
