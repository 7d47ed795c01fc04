package sqlite

import (
	"fmt"
	"slices"
)

const (
	blockEntries = 500 // of a block, about: with them it fills a page
	mergedRuns   = 8   // that are merged into one of the next level
	// highestLevel is of runs that are merged no more: they have 64 times as many
	// entries as fit into memory, 4,194,304.
	highestLevel = 2
	// mostPositions is more than any run has, and bounds what is taken from memory
	// for one.
	mostPositions = 1 << 26
)

// An idRun is a part of the index on disk: positions that follow each other,
// sorted by the hash of their ids.
type idRun struct {
	run, level  int64
	first, last int64 // positions
	filter      idFilter
}

// An idKeeper writes the index to disk, a little after each transaction, in
// transactions of its own.
type idKeeper struct {
	*ids

	c      *conn
	most   int      // entries in memory
	blocks int      // that are written or deleted at a time
	run    int64    // the last number that was given to a run
	merge  *idMerge // what is being merged, nil when nothing is
	dead   []int64  // runs whose blocks are to be deleted
}

// load reads the runs, 16 bytes for each object: the filters are made anew.
func (k *idKeeper) load() error {
	k.recent.Store(newRecentIDs())
	runs, err := k.c.idRuns()
	if err != nil {
		return err
	}
	for i := range runs {
		if runs[i].filter, err = loadFilter(k.c, runs[i]); err != nil {
			return err
		}
	}
	k.runs.Store(&runs)
	return k.loadDead()
}

// idRuns returns the runs on disk, oldest first, without filters.
func (c *conn) idRuns() (runs []idRun, err error) {
	for r := range c.rows(&err, "SELECT run, level, first, last FROM idruns ORDER BY first") {
		run := idRun{run: r.ColumnInt64(0), level: r.ColumnInt64(1), first: r.ColumnInt64(2), last: r.ColumnInt64(3)}
		if run.first < 1 || run.last < run.first || run.last-run.first >= mostPositions {
			return nil, fmt.Errorf("run %d is not from one position to another", run.run)
		}
		runs = append(runs, run)
	}
	return runs, err
}

func loadFilter(c *conn, run idRun) (f idFilter, err error) {
	f = newIDFilter(run.last - run.first + 1)
	err = eachBlock(c, run.run, func(b idBlock) error {
		for i := range b.len() {
			f.add(b.at(i).hash)
		}
		return nil
	})
	return f, err
}

// eachBlock calls f with the blocks of a run, in order.
func eachBlock(c *conn, run int64, f func(idBlock) error) (err error) {
	for r := range c.rows(&err, "SELECT block FROM ids WHERE at >= ? AND at < ? ORDER BY at", run<<idPrefixBits, (run+1)<<idPrefixBits) {
		if err := f(r.ColumnRawBlob(0)); err != nil {
			return err
		}
	}
	return err
}

// loadDead finds the last run's number, and blocks that belong to no run: of
// merges that did not end, and of runs that were merged.
func (k *idKeeper) loadDead() error {
	k.run, k.dead = 0, nil
	for {
		at, err := k.c.number("SELECT min(at) FROM ids WHERE at >= ?", (k.run+1)<<idPrefixBits)
		if err != nil || at == 0 {
			return err
		}
		k.run = at >> idPrefixBits
		if !slices.ContainsFunc(*k.runs.Load(), func(r idRun) bool { return r.run == k.run }) {
			k.dead = append(k.dead, k.run)
		}
	}
}

// fill takes positions into memory that are in no run: after a start those
// since the last run, after a migration all.
func (k *idKeeper) fill(between func() error) error {
	after := int64(0)
	if runs := *k.runs.Load(); len(runs) > 0 {
		after = runs[len(runs)-1].last
	}
	for {
		count := 0
		var err error
		for r := range k.c.rows(&err, "SELECT seq, idhash FROM objects WHERE seq > ? ORDER BY seq LIMIT ?", after, k.most) {
			after = r.ColumnInt64(0)
			k.recent.Load().add(idEntry{uint64(r.ColumnInt64(1)), after})
			count++
		}
		if err != nil || count < k.most {
			return err
		}
		for busy := true; busy; {
			if busy, err = k.step(after); err != nil {
				return err
			}
			if err := between(); err != nil {
				return err
			}
		}
	}
}

// step does a part of what is to be done, in a transaction. It reports whether
// there was something. head is the last position that is taken.
func (k *idKeeper) step(head int64) (busy bool, err error) {
	var do, done func() error
	switch {
	case k.recent.Load().len() >= k.most:
		do, done = k.flush(head)
	case k.merge == nil && !k.begin() && len(k.dead) == 0:
		return false, nil
	case k.merge != nil:
		do, done = func() error { return k.merge.step(k.blocks) }, k.merged
	default:
		do, done = k.bury, func() error { return nil }
	}
	if err = k.transact(do); err == nil {
		err = done()
	}
	if err != nil && k.merge != nil { // it begins anew, under another number
		k.dead, k.merge = append(k.dead, k.merge.out.run), nil
	}
	return true, err
}

func (k *idKeeper) transact(do func() error) (err error) {
	tx, err := k.c.BeginImmediate()
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.End(&err)
	return do()
}

// next returns a new run after all others.
func (k *idKeeper) next(level, first, last int64) idRun {
	k.run++
	return idRun{run: k.run, level: level, first: first, last: last}
}

// flush makes a run of what is in memory.
func (k *idKeeper) flush(head int64) (do, done func() error) {
	runs := *k.runs.Load()
	first := int64(1)
	if len(runs) > 0 {
		first = runs[len(runs)-1].last + 1
	}
	entries := k.recent.Load().sorted()
	out := newRunWriter(k.c, k.next(0, first, head), int64(len(entries)))
	do = func() error {
		for _, e := range entries {
			if err := out.add(e); err != nil {
				return err
			}
		}
		return out.end()
	}
	return do, func() error {
		runs := append(slices.Clip(runs), out.idRun)
		k.runs.Store(&runs) // before the entries leave memory, and after they are on disk
		k.recent.Store(newRecentIDs())
		return nil
	}
}

// begin begins to merge runs when there are enough of a level, those of the
// lowest first.
func (k *idKeeper) begin() bool {
	runs := *k.runs.Load()
	for level := range int64(highestLevel) {
		i := slices.IndexFunc(runs, func(r idRun) bool { return r.level == level })
		if i < 0 || i+mergedRuns > len(runs) || runs[i+mergedRuns-1].level != level {
			continue
		}
		from := runs[i : i+mergedRuns]
		first, last := from[0].first, from[mergedRuns-1].last
		k.merge = &idMerge{c: k.c, out: newRunWriter(k.c, k.next(level+1, first, last), last-first+1)}
		for _, r := range from {
			k.merge.from = append(k.merge.from, &runReader{c: k.c, run: r.run, next: r.run << idPrefixBits})
		}
		return true
	}
	return false
}

// merged puts a run in place of those that it was merged from, when it is whole.
func (k *idKeeper) merged() error {
	m := k.merge
	if !m.whole {
		return nil
	}
	k.merge = nil
	runs := slices.Clone(*k.runs.Load())
	i := slices.IndexFunc(runs, func(r idRun) bool { return r.run == m.from[0].run })
	runs = slices.Replace(runs, i, i+len(m.from), m.out.idRun)
	k.runs.Store(&runs)
	for _, r := range m.from {
		k.dead = append(k.dead, r.run)
	}
	return nil
}

// bury deletes blocks of a run that is no more.
func (k *idKeeper) bury() error {
	run := k.dead[0]
	const sql = "DELETE FROM ids WHERE at IN (SELECT at FROM ids WHERE at >= ? AND at < ? ORDER BY at LIMIT ?)"
	if err := k.c.run(sql, run<<idPrefixBits, (run+1)<<idPrefixBits, k.blocks); err != nil {
		return err
	}
	if k.c.Changes() < int64(k.blocks) {
		k.dead = k.dead[1:]
	}
	return nil
}

// An idMerge merges runs, a part at a time.
type idMerge struct {
	c     *conn
	from  []*runReader
	out   *runWriter
	whole bool
}

func (m *idMerge) step(blocks int) error {
	until := m.out.blocks + blocks
	for m.out.blocks < until {
		var least *runReader
		for _, r := range m.from {
			if err := r.fill(); err != nil {
				return err
			}
			if r.block.len() > 0 && (least == nil || r.block.at(0).compare(least.block.at(0)) < 0) {
				least = r
			}
		}
		if least == nil {
			break
		}
		if err := m.out.add(least.block.at(0)); err != nil {
			return err
		}
		least.block = least.block[idEntrySize:]
	}
	if m.out.blocks >= until {
		return nil
	}
	for _, r := range m.from {
		if err := m.c.run("DELETE FROM idruns WHERE run = ?", r.run); err != nil {
			return err
		}
	}
	m.whole = true
	return m.out.end()
}

// A runReader reads a run in order.
type runReader struct {
	c     *conn
	run   int64
	next  int64   // where the next block is, or after it
	block idBlock // what is left of this one
	ended bool
}

// fill reads the next block when there is nothing left of this one.
func (r *runReader) fill() (err error) {
	if r.block.len() > 0 || r.ended {
		return nil
	}
	r.ended = true
	for row := range r.c.rows(&err, "SELECT at, block FROM ids WHERE at >= ? AND at < ? ORDER BY at LIMIT 1", r.next, (r.run+1)<<idPrefixBits) {
		r.next, r.block, r.ended = row.ColumnInt64(0)+1, row.ColumnBlob(1, nil), false
	}
	return err
}

// A runWriter writes a run, whose entries come in order.
type runWriter struct {
	idRun

	c      *conn
	block  idBlock
	blocks int // that are written
}

func newRunWriter(c *conn, run idRun, entries int64) *runWriter {
	run.filter = newIDFilter(entries)
	return &runWriter{idRun: run, c: c}
}

func (w *runWriter) add(e idEntry) error {
	// Hashes that the key of a block does not tell apart are in one block.
	if n := w.block.len(); n >= blockEntries && blockAt(w.run, w.block.at(n-1).hash) != blockAt(w.run, e.hash) {
		if err := w.write(); err != nil {
			return err
		}
	}
	w.block = w.block.append(e)
	w.filter.add(e.hash)
	return nil
}

func (w *runWriter) write() error {
	if w.block.len() == 0 {
		return nil
	}
	err := w.c.run("INSERT INTO ids (at, block) VALUES (?, ?)", blockAt(w.run, w.block.at(0).hash), []byte(w.block))
	w.block = w.block[:0]
	w.blocks++
	return err
}

// end writes what is left, and makes it a run.
func (w *runWriter) end() error {
	if err := w.write(); err != nil {
		return err
	}
	return w.c.run("INSERT INTO idruns (run, level, first, last) VALUES (?, ?, ?, ?)", w.run, w.level, w.first, w.last)
}
