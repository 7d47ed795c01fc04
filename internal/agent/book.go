package agent

import (
	"cmp"
	"container/heap"
	"maps"
	"slices"
	"strings"
	"time"

	"tocsin/internal/guard"
	"tocsin/internal/match"
	"tocsin/internal/taxii/client"
	"tocsin/stix"
)

// A book is what the agent knows: the newest version of every indicator in each
// collection, and what of them is valid now. Its owner guards it.
type book struct {
	guard   *guard.Guard
	order   map[string]int                   // collections by preference
	shelves map[string]map[string]*indicator // collection → id → newest version
	cursors map[string]cursors               // collection → how far it was read
	set     *match.Set                       // values of valid indicators, by indicator.key
	blocked map[match.Value]int              // values to enforce → how many valid indicators name them
	held    map[string]int                   // reason → how many values of valid indicators are not blocked for it
	due     dueList                          // what becomes valid or invalid, and when
	count   int                              // indicators on all shelves
	dirty   map[match.Value]change           // values whose blocking may have changed since it was last asked
	news    []Event                          // what to tell
}

// cursors are how far a collection was read: each way of reading has its own
// mark, because only the stream tells what was withdrawn.
type cursors struct {
	Stream string        `json:"stream,omitempty"`
	Poll   client.Cursor `json:"poll,omitzero"`
}

// A change is who last had a value blocked.
type change struct {
	collection Collection
	indicator  string
	came       time.Time
}

func newBook(g *guard.Guard) *book {
	return &book{
		guard: g, order: map[string]int{}, shelves: map[string]map[string]*indicator{}, cursors: map[string]cursors{}, set: match.NewSet(),
		blocked: map[match.Value]int{}, held: map[string]int{}, dirty: map[match.Value]change{},
	}
}

// take puts an indicator on a collection's shelf if it is newer than what is
// there, and reports whether it is. What was revoked stays so (STIX 2.1 §3.6).
func (b *book) take(collection string, in *indicator, now time.Time) bool {
	shelf := b.shelves[collection]
	if shelf == nil {
		shelf = map[string]*indicator{}
		b.shelves[collection] = shelf
	}
	if known := shelf[in.ID]; known != nil {
		if known.Revoked || !in.Version.After(known.Version) {
			return false
		}
		b.drop(collection, in.ID)
	}
	b.count++
	in.key = collection + " " + in.ID
	shelf[in.ID] = in
	b.settle(in, now)
	return true
}

// withdraw takes a version of an indicator from a collection's shelf, and
// reports whether it was there. An older version that may still be shared does
// not come back: the newest word on it was taken back.
func (b *book) withdraw(collection, id, version string) bool {
	known := b.shelves[collection][id]
	at, ok := stix.ParseTime(version)
	if known == nil || ok && !at.Equal(known.Version) {
		return false
	}
	b.drop(collection, id)
	return true
}

func (b *book) drop(collection, id string) {
	if known := b.shelves[collection][id]; known != nil {
		b.deactivate(known)
		delete(b.shelves[collection], id)
		b.count--
	}
}

// current reports whether an indicator is still the newest version of itself.
func (b *book) current(in *indicator) bool {
	collection, id, _ := strings.Cut(in.key, " ")
	return b.shelves[collection][id] == in
}

// settle makes an indicator valid or invalid, as the clock says, and notes when
// that changes next.
func (b *book) settle(in *indicator, now time.Time) {
	valid := !in.Revoked && !now.Before(in.From) && (in.Until.IsZero() || now.Before(in.Until))
	switch {
	case valid && !in.active:
		b.activate(in)
	case !valid && in.active:
		b.deactivate(in)
	}
	switch {
	case in.Revoked || len(in.Values) == 0:
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

// activate puts an indicator's values into the set and, as far as they may be
// blocked, on the lists.
func (b *book) activate(in *indicator) {
	in.active = true
	for _, stored := range in.Values {
		v, reason := b.look(in, stored)
		if v.Kind() != 0 {
			b.set.Add(in.key, v)
		}
		switch {
		case reason != "":
			b.held[reason]++
			if !in.came.IsZero() {
				b.news = append(b.news, Event{Kind: HeldBack, Collection: in.collection(), Indicator: in.ID, Value: v.Text(), Reason: reason})
			}
		case isBlockable(v):
			b.blocked[v]++
			b.dirty[v] = change{in.collection(), in.ID, in.came}
		}
	}
}

func (b *book) deactivate(in *indicator) {
	if !in.active {
		return
	}
	in.active = false
	for _, stored := range in.Values {
		v, reason := b.look(in, stored)
		if v.Kind() != 0 {
			b.set.Remove(in.key, v)
		}
		switch {
		case reason != "":
			if b.held[reason]--; b.held[reason] == 0 {
				delete(b.held, reason)
			}
		case isBlockable(v):
			if b.blocked[v]--; b.blocked[v] == 0 {
				delete(b.blocked, v)
			}
			b.dirty[v] = change{in.collection(), in.ID, in.came}
		}
	}
}

// look returns a value and why it must not be blocked. It says the same each
// time, so what is put on the lists is what is taken away.
func (b *book) look(in *indicator, stored storedValue) (match.Value, string) {
	v, ok := match.Parse(stored.Kind, stored.Text)
	switch {
	case !ok:
		return match.Value{}, guard.NotAValue
	case !isBlockable(v):
		return v, ""
	case in.Barred != "":
		return v, in.Barred
	}
	return v, b.guard.Why(v)
}

// isBlockable reports whether the lists have a place for such values.
func isBlockable(v match.Value) bool {
	switch v.Kind() {
	case match.Address, match.Network, match.Domain, match.URL:
		return true
	case match.Hash, match.Email, match.Endpoint, match.JA3, match.JA4, match.ASN, match.FileName, match.RegistryKey, match.Mutex, match.UserAgent:
	}
	return false
}

func (in *indicator) collection() Collection {
	c, _ := cutKey(in.key)
	return c
}

// cutKey takes an indicator's key apart.
func cutKey(key string) (c Collection, id string) {
	collection, id, _ := strings.Cut(key, " ")
	c.Community, c.Collection, _ = strings.Cut(collection, "/")
	return c, id
}

// changes returns the values whose blocking may have changed since it was last
// called, and what to tell.
func (b *book) changes() (wanted map[match.Value]bool, by map[match.Value]change, news []Event) {
	wanted = make(map[match.Value]bool, len(b.dirty))
	for v := range b.dirty {
		wanted[v] = b.blocked[v] > 0
	}
	by, news = b.dirty, b.news
	b.dirty, b.news = map[match.Value]change{}, nil
	return wanted, by, news
}

// find returns the indicator that a hit of the set names: of one that is in
// several collections, the preferred.
func (b *book) find(hits []match.Hit) []*indicator {
	found := map[string]*indicator{}
	for _, h := range hits {
		collection, id, _ := strings.Cut(h.ID, " ")
		in := b.shelves[collection][id]
		if in == nil {
			continue
		}
		if known := found[id]; known == nil || b.order[collection] < b.order[known.collection().key()] {
			found[id] = in
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
