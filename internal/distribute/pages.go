package distribute

import (
	"container/list"
	"sync"
	"sync/atomic"

	"tocsin/internal/authorize"
	"tocsin/internal/coding"
	"tocsin/internal/store"
)

// Bounds of what is kept of pages. A page with more labels than that is not
// worth comparing, and a page that more classes of readers see differently than
// that is not worth searching.
const (
	defaultPageBytes = 48 << 20 // in all
	mostDecided      = 2048     // labels that one page was cut by
	mostVariants     = 64       // of one page, for readers who see different things
)

// pages keeps pages that were cut, for everybody for whom they would be cut
// just like that.
//
// What is on a page follows from three things: the request, which is its key;
// what the store holds, of which [store.Watch] tells when it has changed; and
// what was decided of the labels that were met while it was cut. A reader of
// whom the policy decides all of those labels alike would meet the same rows,
// the same labels in the same order, and get the same bytes. So no reader gets
// a page by name, by role or by anything less than every decision that made it,
// decided for this reader, now.
type pages struct {
	compressor coding.Compressor
	most       int64 // bytes

	shelves sync.Map // pageKey → *shelf; readers take no lock

	mu      sync.Mutex // guards what follows, and the making and changing of shelves
	size    int64
	order   list.List // of *variant, in the order in which they are looked at when one must go
	flights map[pageKey]*cutting
}

// A pageKey says what a page is of.
type pageKey struct {
	collection string
	after      int64
	request    string
}

// A shelf holds the variants of one page. The slice is replaced, never changed.
type shelf struct{ variants atomic.Pointer[[]*variant] }

// A variant is a page as some readers see it.
type variant struct {
	key       pageKey
	cut       *Cut
	asked     asked // until it is kept
	decisions []decision

	whole    bool   // it reaches the head: good until there is a later one
	head     int64  // of the collection, before the page was cut
	to       int64  // from after the key's position to this one
	rewrites uint64 // was the number of rewrites, before the page was cut

	used  atomic.Bool // since it was last looked at
	place *list.Element
	size  int64
}

// A decision is what the policy said of one label.
type decision struct {
	label *authorize.Label
	sight authorize.Sight
}

// A cutting is a page being cut.
type cutting struct {
	done  chan struct{}
	alone bool // the page is not kept for others; written before done is closed
}

func newPages(most int64) *pages { return &pages{most: most, flights: map[pageKey]*cutting{}} }

// good reports whether the store still holds what the page was cut from.
func (v *variant) good(s store.Watch) bool {
	if v.whole {
		head, _ := s.Head(v.key.collection)
		return head == v.head
	}
	return s.Rewrites(v.key.collection, v.key.after+1, v.to) == v.rewrites
}

// fits reports whether the page is what the reader would be cut.
func (v *variant) fits(r *authorize.Reader) bool {
	for _, d := range v.decisions {
		if !r.See(d.label).Equal(d.sight) {
			return false
		}
	}
	return true
}

// find returns the page for a reader, nil when there is none.
func (p *pages) find(key pageKey, s store.Watch, r *authorize.Reader) *Cut {
	found, ok := p.shelves.Load(key)
	if !ok {
		return nil
	}
	on, _ := found.(*shelf)
	all := on.variants.Load()
	if all == nil { // its first page is being put there
		return nil
	}
	for _, v := range *all {
		if v.fits(r) && v.good(s) {
			if !v.used.Load() { // written once, so that readers do not wait for each other's caches
				v.used.Store(true)
			}
			return v.cut
		}
	}
	return nil
}

// join returns the cutting of a page, and whether it is the caller's to do.
func (p *pages) join(key pageKey) (f *cutting, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.flights[key]; f != nil {
		return f, false
	}
	f = &cutting{done: make(chan struct{})}
	p.flights[key] = f
	return f, true
}

func (p *pages) leave(key pageKey, f *cutting, alone bool) {
	p.mu.Lock()
	delete(p.flights, key)
	p.mu.Unlock()
	f.alone = alone
	close(f.done)
}

// overhead is what a variant takes besides its text and its decisions, about,
// in bytes.
const overhead = 1024

// keep puts a page on its shelf, and reports whether it is there.
func (p *pages) keep(v *variant) bool {
	v.decisions = v.asked.decisions()
	unsure := v.asked.unsure
	v.asked = asked{}
	v.size = int64(v.cut.Text.Len()+len(v.decisions)*64+len(v.key.request)) + overhead
	if unsure || len(v.decisions) > mostDecided || v.size > p.most/8 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var others []*variant
	found, _ := p.shelves.LoadOrStore(v.key, &shelf{})
	on, _ := found.(*shelf)
	if known := on.variants.Load(); known != nil {
		for _, o := range *known {
			if o.whole && v.head > o.head { // it will never be good again
				p.forget(o)
				continue
			}
			others = append(others, o)
		}
	}
	for len(others) >= mostVariants {
		p.forget(others[0])
		others = others[1:]
	}
	others = append(others, v)
	on.variants.Store(&others)
	v.place = p.order.PushBack(v)
	p.size += v.size
	p.trim()
	return v.place != nil
}

// grow counts what a coding of a kept page took.
func (p *pages) grow(v *variant, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v.place == nil { // not kept, or not any more
		return
	}
	v.size += int64(bytes)
	p.size += int64(bytes)
	p.trim()
}

// trim lets go of the pages that nobody has asked for since they were last
// looked at, until the rest is small enough.
func (p *pages) trim() {
	for p.size > p.most {
		v, _ := p.order.Front().Value.(*variant)
		if v.used.Swap(false) {
			p.order.MoveToBack(v.place)
			continue
		}
		p.remove(v)
	}
}

// sweep lets go of the pages that are good no more, so that what was withdrawn
// does not stay in memory.
func (p *pages) sweep(s store.Watch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for e := p.order.Front(); e != nil; {
		v, _ := e.Value.(*variant)
		e = e.Next()
		if !v.good(s) {
			p.remove(v)
		}
	}
}

// remove takes a page off its shelf.
func (p *pages) remove(v *variant) {
	p.forget(v)
	found, ok := p.shelves.Load(v.key)
	if !ok {
		return
	}
	on, _ := found.(*shelf)
	var rest []*variant
	for _, o := range *on.variants.Load() {
		if o != v {
			rest = append(rest, o)
		}
	}
	if len(rest) == 0 {
		p.shelves.Delete(v.key)
		return
	}
	on.variants.Store(&rest)
}

// forget counts a page as gone.
func (p *pages) forget(v *variant) {
	if v.place != nil {
		p.order.Remove(v.place)
		p.size -= v.size
		v.place = nil
	}
}
