package agent

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"
	"time"

	"tocsin/internal/guard"
	parsed "tocsin/internal/indicator"
	"tocsin/internal/match"
	"tocsin/internal/observe"
	"tocsin/internal/taxii/client"
	"tocsin/stix"
)

// A book is what the agent knows: the newest version of every indicator on each
// shelf, and what of them is valid now. Its owner guards it.
type book struct {
	guard    *guard.Guard
	shelves  map[string]*shelf
	order    []string                // keys of shelves, the preferred first
	cursors  map[string]cursors      // collection → how far it was read
	policies parsed.Policies         // what markings allow
	marked   map[string][]*indicator // marking → valid indicators that have it
	set      *match.Set              // values of valid indicators that may be looked for, by indicator.key
	patterns *observe.Patterns       // of valid indicators that may be looked for, by indicator.key
	events   *observe.Window         // for patterns of several events; nil: those are not sought
	unsought int                     // patterns of valid indicators that are not looked for
	unread   int                     // constants of valid indicators that are no value
	due      dueList                 // what becomes valid or invalid, and when
	count    int                     // indicators on all shelves

	dirty   map[match.Value]change // values that may be exported now and were not, or the other way round
	touched map[*indicator]bool    // what became valid or invalid, or may be used otherwise
}

// A shelf is what one source has.
type shelf struct {
	key        string     // a collection's, or "file:" and a path
	collection Collection // empty for a file
	rank       int        // among the sources: 0 is preferred
	indicators map[string]*indicator
	policies   map[string]bool // markings that it explains
}

// cursors are how far a collection was read: each way of reading has its own
// mark, because only the stream tells what was withdrawn.
type cursors struct {
	Stream string        `json:"stream,omitempty"`
	Poll   client.Cursor `json:"poll,omitzero"`
}

// A change is who last had a value change.
type change struct {
	by   *indicator
	came time.Time // zero: nobody new did
}

func newBook(g *guard.Guard) *book {
	return &book{
		guard: g, shelves: map[string]*shelf{}, cursors: map[string]cursors{}, policies: parsed.Policies{}, marked: map[string][]*indicator{}, set: match.NewSet(),
		patterns: observe.NewPatterns(),
		dirty:    map[match.Value]change{}, touched: map[*indicator]bool{},
	}
}

// shelf returns a source's shelf.
func (b *book) shelf(key string) *shelf {
	s := b.shelves[key]
	if s == nil {
		s = &shelf{key: key, rank: slices.Index(b.order, key), indicators: map[string]*indicator{}, policies: map[string]bool{}}
		if s.rank < 0 {
			s.rank = len(b.order)
		}
		if !isFile(key) {
			s.collection = collectionOf(key)
		}
		b.shelves[key] = s
	}
	return s
}

// get returns the indicator that a key of the set names, nil when it is gone.
func (b *book) get(key string) *indicator {
	where, id := cutKey(key)
	if s := b.shelves[where]; s != nil {
		return s.indicators[id]
	}
	return nil
}

// take puts an indicator on a shelf if it is newer than what is there, and
// reports whether it is. What was revoked stays so (STIX 2.1 §3.6).
func (b *book) take(key string, in *indicator, now time.Time) bool {
	s := b.shelf(key)
	if known := s.indicators[in.ID]; known != nil {
		if known.Revoked || !in.Version.After(known.Version) {
			return false
		}
		b.drop(key, in.ID)
	}
	b.count++
	in.shelf = s
	s.indicators[in.ID] = in
	b.settle(in, now)
	return true
}

// explain notes what a marking allows, and reports whether that is news. Of
// two that say so differently the more restrictive counts.
func (b *book) explain(key, marking string, allowed parsed.Action) bool {
	s := b.shelf(key)
	known, ok := b.policies[marking]
	if ok && known <= allowed && s.policies[marking] {
		return false
	}
	s.policies[marking] = true
	if ok {
		allowed = min(allowed, known)
	}
	b.policies[marking] = allowed
	b.reconsider(marking)
	return true
}

// forget takes back what a marking allows.
func (b *book) forget(key, marking string) bool {
	s := b.shelf(key)
	if !s.policies[marking] {
		return false
	}
	delete(s.policies, marking)
	for _, other := range b.shelves {
		if other.policies[marking] {
			return true
		}
	}
	delete(b.policies, marking)
	b.reconsider(marking)
	return true
}

// reconsider has everything with a marking looked at again.
func (b *book) reconsider(marking string) {
	for _, in := range slices.Clone(b.marked[marking]) {
		b.deactivate(in)
		b.activate(in)
	}
}

// withdraw takes a version of an indicator from a shelf, and reports whether it
// was there. An older version that may still be shared does not come back: the
// newest word on it was taken back.
func (b *book) withdraw(key, id, version string) bool {
	known := b.shelf(key).indicators[id]
	at, ok := stix.ParseTime(version)
	if known == nil || ok && !at.Equal(known.Version) {
		return false
	}
	b.drop(key, id)
	return true
}

func (b *book) drop(key, id string) {
	s := b.shelf(key)
	if known := s.indicators[id]; known != nil {
		b.deactivate(known)
		delete(s.indicators, id)
		b.count--
	}
}

// current reports whether an indicator is still the newest version of itself.
func (b *book) current(in *indicator) bool { return in.shelf.indicators[in.ID] == in }

// settle makes an indicator valid or invalid, as the clock says, and notes when
// that changes next.
func (b *book) settle(in *indicator, now time.Time) {
	valid := !in.Revoked && !in.Benign && !now.Before(in.From) && (in.Until.IsZero() || now.Before(in.Until))
	switch {
	case valid && !in.active:
		b.activate(in)
	case !valid && in.active:
		b.deactivate(in)
	case !valid && !in.came.IsZero():
		b.touched[in] = true
	}
	switch {
	case in.Revoked || in.Benign || len(in.Values) == 0 && in.Rule == "" && in.Pattern == "":
	case now.Before(in.From):
		heap.Push(&b.due, dueEntry{in.From, in})
	case valid && !in.Until.IsZero():
		heap.Push(&b.due, dueEntry{in.Until, in})
	}
	if most := 2*b.count + 1000; len(b.due) > most { // versions that were replaced before they were due
		b.due = slices.DeleteFunc(b.due, func(e dueEntry) bool { return !b.current(e.in) })
		heap.Init(&b.due)
	}
}

// tick settles what is due, and reports whether anything was.
func (b *book) tick(now time.Time) (changed bool) {
	for len(b.due) > 0 && !now.Before(b.due[0].at) {
		entry, _ := heap.Pop(&b.due).(dueEntry)
		if b.current(entry.in) {
			b.settle(entry.in, now)
			changed = true
		}
	}
	return changed
}

// allowed returns what may be done with an indicator at most.
func (b *book) allowed(in *indicator) parsed.Action {
	if len(in.Marked) == 0 {
		return in.Action
	}
	return b.policies.Allowed(in.source())
}

// secret reports whether a sighting of an indicator would tell too many that it
// exists.
func (b *book) secret(in *indicator) bool {
	return in.Quiet || len(in.Marked) > 0 && !b.policies.Explain(in.source())
}

// activate puts an indicator's values into the set, if they may be looked for.
func (b *book) activate(in *indicator) {
	in.active = true
	in.sought = b.allowed(in) >= parsed.Detect
	b.unread += in.Unread
	for _, marking := range in.Marked {
		b.marked[marking] = append(b.marked[marking], in)
	}
	for _, v := range in.Values {
		if in.sought {
			b.set.Add(in.key(), v)
		}
		b.dirty[v] = change{in, in.came}
	}
	b.seek(in)
	b.touched[in] = true
}

func (b *book) deactivate(in *indicator) {
	if !in.active {
		return
	}
	in.active = false
	b.unread -= in.Unread
	for _, marking := range in.Marked {
		if rest := dropOne(b.marked[marking], in); len(rest) > 0 {
			b.marked[marking] = rest
		} else {
			delete(b.marked, marking)
		}
	}
	for _, v := range in.Values {
		if in.sought {
			b.set.Remove(in.key(), v)
		}
		b.dirty[v] = change{in, time.Time{}}
	}
	b.abandon(in)
	in.sought = false
	b.touched[in] = true
}

// who returns the valid indicators that name a value, the preferred first.
func (b *book) who(v match.Value) []*indicator {
	var buffer [4]string
	ids := b.set.IDs(buffer[:0], v)
	all := make([]*indicator, 0, len(ids))
	for _, key := range ids {
		if in := b.get(key); in != nil {
			all = append(all, in)
		}
	}
	if len(all) > 1 {
		slices.SortFunc(all, preferred)
	}
	return all
}

func preferred(x, y *indicator) int {
	return cmp.Or(cmp.Compare(x.shelf.rank, y.shelf.rank), cmp.Compare(x.ID, y.ID))
}

// changes returns what may have changed since it was last called.
func (b *book) changes() (dirty map[match.Value]change, touched map[*indicator]bool) {
	dirty, touched = b.dirty, b.touched
	b.dirty, b.touched = map[match.Value]change{}, map[*indicator]bool{}
	return dirty, touched
}

// find returns the indicators that keys of the set name: of one that is on
// several shelves, the preferred.
func (b *book) find(keys []string) []*indicator {
	found := map[string]*indicator{}
	for _, key := range keys {
		in := b.get(key)
		if in == nil {
			continue
		}
		if known := found[in.ID]; known == nil || preferred(in, known) < 0 {
			found[in.ID] = in
		}
	}
	return slices.SortedFunc(maps.Values(found), func(x, y *indicator) int { return cmp.Compare(x.ID, y.ID) })
}

// A dueEntry is an indicator that becomes valid or invalid at a time, unless it
// is replaced before.
type dueEntry struct {
	at time.Time
	in *indicator
}

// A dueList is a heap (container/heap), the next first.
type dueList []dueEntry

func (d dueList) Len() int           { return len(d) }
func (d dueList) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d dueList) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }

// Push is for container/heap.
func (d *dueList) Push(x any) {
	if e, ok := x.(dueEntry); ok {
		*d = append(*d, e)
	}
}

// Pop is for container/heap.
func (d *dueList) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}
