package sqlite

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"tocsin/internal/store"
)

// Objects are found by the hash of their id. Hashes are random, so an index of
// SQLite's would dirty a page for each object that is added. Instead the newest
// are in memory, and go to disk sorted, in runs, which are merged with others of
// their size (idruns.go). A filter for each run, in memory, tells of nearly
// every new id that the run does not have it, so that adding an object reads
// nothing.
//
// All of it only says where to look: it may name positions that hold nothing, or
// something else, and whoever asks compares the id. It is made from the objects
// table, so a crash takes nothing from it.

// An idEntry says that an object whose id has the hash stands, or stood, at seq.
type idEntry struct {
	hash uint64
	seq  int64
}

// ids is the index. The writer changes it, and readers look into it.
type ids struct {
	recent atomic.Pointer[recentIDs] // replaced when its entries have gone to disk
	runs   atomic.Pointer[[]idRun]   // oldest first; never changed, but replaced
}

// A lookup is the index at one moment. It is taken before the transaction in
// which it is used has read anything: what leaves memory later is on disk then.
type lookup struct {
	recent *recentIDs
	runs   []idRun
}

func (x *ids) lookup() lookup { return lookup{x.recent.Load(), *x.runs.Load()} }

// find returns the positions where versions of an object may be, in order, as a
// JSON array for json_each, [nowhere] when there are none.
func (l lookup) find(c *conn, id string) (positions string, err error) {
	return l.findHash(c, uint64(store.IDHash(id)))
}

func (l lookup) findHash(c *conn, hash uint64) (positions string, err error) {
	seqs := l.recent.find(hash, nil)
	// The transaction's runs, which need not be those of the lookup: a run that
	// was merged since is asked without a filter.
	for r := range c.rows(&err, "SELECT run FROM idruns") {
		run := r.ColumnInt64(0)
		i := slices.IndexFunc(l.runs, func(r idRun) bool { return r.run == run })
		if i >= 0 && !l.runs[i].filter.has(hash) {
			continue
		}
		if seqs, err = findInRun(c, run, hash, seqs); err != nil {
			return nowhere, err
		}
	}
	return jsonPositions(seqs), err
}

// findOwn is find for the writer, whose runs are those of the index.
func (x *ids) findOwn(c *conn, hash int64) (positions string, err error) {
	seqs := x.recent.Load().find(uint64(hash), nil)
	for _, r := range *x.runs.Load() {
		if !r.filter.has(uint64(hash)) {
			continue
		}
		if seqs, err = findInRun(c, r.run, uint64(hash), seqs); err != nil {
			return nowhere, err
		}
	}
	return jsonPositions(seqs), nil
}

// nowhere is what a lookup of an id returns that no object has.
const nowhere = "[]"

func jsonPositions(seqs []int64) string {
	if len(seqs) == 0 {
		return nowhere
	}
	slices.Sort(seqs)
	text := []byte{'['}
	for i, seq := range slices.Compact(seqs) {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, seq, 10)
	}
	return string(append(text, ']'))
}

// findInRun adds the positions of a hash that a run on disk has.
func findInRun(c *conn, run int64, hash uint64, seqs []int64) (_ []int64, err error) {
	const sql = "SELECT block FROM ids WHERE at BETWEEN ? AND ? ORDER BY at DESC LIMIT 1"
	for r := range c.rows(&err, sql, run<<idPrefixBits, blockAt(run, hash)) {
		block := idBlock(r.ColumnRawBlob(0))
		for i := block.search(hash); i < block.len() && block.at(i).hash == hash; i++ {
			seqs = append(seqs, block.at(i).seq)
		}
	}
	return seqs, err
}

// An idBlock is some entries of a run, sorted, as they are on disk.
type idBlock []byte

const (
	idEntrySize  = 16
	idPrefixBits = 44 // of a hash, which tell blocks of a run apart
)

// blockAt is the key of a block of a run whose first entry has the hash.
func blockAt(run int64, hash uint64) int64 { return run<<idPrefixBits | int64(hash>>(64-idPrefixBits)) }

func (b idBlock) len() int { return len(b) / idEntrySize }

func (b idBlock) at(i int) idEntry {
	e := b[i*idEntrySize:][:idEntrySize]
	return idEntry{binary.BigEndian.Uint64(e), int64(binary.BigEndian.Uint64(e[8:]))}
}

// search returns the place of the first entry that is not below a hash.
func (b idBlock) search(hash uint64) int {
	low, high := 0, b.len()
	for low < high {
		if middle := (low + high) / 2; b.at(middle).hash < hash {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

func (b idBlock) append(e idEntry) idBlock {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, e.hash), uint64(e.seq))
}

// recentIDs are the entries that are not in any run yet: all of positions after
// the last run's.
type recentIDs struct {
	mu     sync.RWMutex
	newest map[uint64]int64 // the last position of a hash
	older  map[int64]int64  // the position with the same hash before this one
}

func newRecentIDs() *recentIDs {
	return &recentIDs{newest: map[uint64]int64{}, older: map[int64]int64{}}
}

func (r *recentIDs) add(e idEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if before, ok := r.newest[e.hash]; ok {
		r.older[e.seq] = before
	}
	r.newest[e.hash] = e.seq
}

// remove takes back what was added, the last first.
func (r *recentIDs) remove(added []idEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range slices.Backward(added) {
		if before, ok := r.older[e.seq]; ok {
			r.newest[e.hash] = before
			delete(r.older, e.seq)
		} else {
			delete(r.newest, e.hash)
		}
	}
}

func (r *recentIDs) find(hash uint64, seqs []int64) []int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for seq, ok := r.newest[hash]; ok; seq, ok = r.older[seq] {
		seqs = append(seqs, seq)
	}
	return seqs
}

func (r *recentIDs) len() int { return len(r.newest) + len(r.older) } // only for the writer

// sorted returns all entries as a run has them. Only for the writer.
func (r *recentIDs) sorted() []idEntry {
	out := make([]idEntry, 0, r.len())
	for hash, seq := range r.newest {
		for ok := true; ok; seq, ok = r.older[seq] {
			out = append(out, idEntry{hash, seq})
		}
	}
	slices.SortFunc(out, idEntry.compare)
	return out
}

func (e idEntry) compare(other idEntry) int {
	switch {
	case e.hash != other.hash && e.hash < other.hash, e.hash == other.hash && e.seq < other.seq:
		return -1
	case e == other:
		return 0
	}
	return 1
}

// An idFilter tells that a hash is not among those that were added, and is wrong
// about one of some hundreds: a Bloom filter in which each hash has one line of
// the processor's cache, with 16 bits for each.
type idFilter [][8]uint64

func newIDFilter(entries int64) idFilter { return make(idFilter, entries/32+1) }

// place returns the line of a hash, and seven places of nine bits in it.
func (f idFilter) place(hash uint64) (line *[8]uint64, places uint64) {
	i, _ := bits.Mul64(hash, uint64(len(f)))
	return &f[i], hash * 0x9e3779b97f4a7c15
}

func (f idFilter) add(hash uint64) {
	line, places := f.place(hash)
	for range 7 {
		line[places>>6&7] |= 1 << (places & 63)
		places >>= 9
	}
}

func (f idFilter) has(hash uint64) bool {
	line, places := f.place(hash)
	for range 7 {
		if line[places>>6&7]&(1<<(places&63)) == 0 {
			return false
		}
		places >>= 9
	}
	return true
}
