package store

import "sync/atomic"

// How finely rewrites are counted: positions are counted together in runs, and
// runs that are this far apart share a counter, so that the memory is bounded
// (32 KiB) whatever the number of objects. Sharing can only count too much.
const (
	rewriteRun      = 4096
	rewriteCounters = 4096
)

// RewriteCounts counts the changes of what stands at positions. Counters only grow,
// so a sum of them is another one as soon as one of them is.
type RewriteCounts struct {
	counters [rewriteCounters]atomic.Uint64
}

// slot returns the counter of a run of positions. Collections begin at
// different counters, so that a busy one does not count for all others.
func slot(collection, run int64) int64 {
	return int64((uint64(run) + uint64(collection)*0x9e3779b1) % rewriteCounters)
}

// Count notes that something changed at a position of a collection.
func (r *RewriteCounts) Count(collection, seq int64) {
	r.counters[slot(collection, seq/rewriteRun)].Add(1)
}

// Sum returns a number that is another one after something has changed at the
// positions from..to.
func (r *RewriteCounts) Sum(collection, from, to int64) (n uint64) {
	first, last := max(from, 0)/rewriteRun, to/rewriteRun
	last = min(last, first+rewriteCounters-1)
	for run := first; run <= last; run++ {
		n += r.counters[slot(collection, run)].Load()
	}
	return n
}
