package authorize

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tocsin"
	"tocsin/internal/marking"
	"tocsin/internal/tearline"
)

// A Reader is one organization reading one community. All its users see the
// same, so a Reader is the view class that pages are cut for. It remembers its
// decision for each label.
type Reader struct {
	policy       *Policy
	community    string
	organization string

	attributes marking.Attributes

	decided sync.Map // *Label → *Sight; emptied by replacing the Reader
	count   atomic.Int64
}

// mostDecisions bounds what a reader remembers, about 20 MB of it.
const mostDecisions = 200_000

// Reader returns the reader that a member is in a community, or not found when
// it has no part in it.
func (p *Policy) Reader(who tocsin.Member, community string) (*Reader, error) {
	if who.Role(community) < tocsin.Reader {
		return nil, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such collection"}
	}
	key := readerKey{community, who.Organization.Name}
	p.mu.RLock()
	r := p.readers[key]
	p.mu.RUnlock()
	if r != nil {
		return r, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.readers[key]; r != nil {
		return r, nil
	}
	r = p.reader(community, who.Organization)
	p.readers[key] = r
	return r, nil
}

// Organization returns the name of the organization that reads.
func (r *Reader) Organization() string { return r.organization }

// reader makes a reader. Only with p.mu.
func (p *Policy) reader(community string, o tocsin.Organization) *Reader {
	a, ok := p.attributes[o.Name]
	if !ok {
		a = marking.Attributes{Organization: o.Name, Kind: o.Kind}
	}
	return &Reader{policy: p, community: community, organization: o.Name, attributes: a}
}

// Extent is how much of an object a reader may see.
type Extent uint8

// The extents.
const (
	None  Extent = iota // for this reader it does not exist
	Part                // a copy without what some markings mark
	Whole               // the producer's bytes
)

// A Sight is what was decided of one reader and one label.
type Sight struct {
	Extent Extent
	Hidden []string  // for Part: the markings that mark what the reader may not see, sorted
	Until  time.Time // when it has to be decided anew; zero: when the directory or the definitions change
}

// MaySee decides whether the reader may see all of what carries the label.
func (r *Reader) MaySee(l *Label) bool { return r.See(l).Extent == Whole }

// See decides what the reader may see of what carries the label. It is the one
// place where that is decided.
//
// The most restrictive of all markings counts, a marking that the hub does not
// understand closes the object, or the part that it marks, to everybody but its
// owner, and naming recipients only ever takes readers away (DESIGN promise 5;
// STIX 2.1 §7.2 defines no rule for combining). Hidden must not be changed.
func (r *Reader) See(l *Label) Sight {
	if known, ok := r.decided.Load(l); ok {
		s := known.(*Sight) //nolint:errcheck,forcetypeassert // only this function stores
		if s.Until.IsZero() || time.Now().Before(s.Until) {
			return *s
		}
	}
	s := r.decide(l, time.Now())
	if r.count.Add(1) > mostDecisions { // the store has long let go of most of these labels
		r.decided.Clear()
		r.count.Store(0)
	}
	r.decided.Store(l, &s)
	return s
}

func (r *Reader) decide(l *Label, now time.Time) Sight {
	if l == nil || l.Community != r.community {
		return Sight{}
	}
	if l.Owner == r.organization {
		return Sight{Extent: Whole}
	}
	reader := r.attributes
	reader.Named = slices.Contains(l.Recipients, r.organization)
	if len(l.Recipients) > 0 && !reader.Named {
		return Sight{}
	}
	r.policy.mu.RLock()
	defer r.policy.mu.RUnlock()
	markings, ok := r.policy.markings(l, r.organization)
	if !ok {
		return Sight{}
	}
	d := r.policy.decider.Decide(&reader, markings, marking.See, now)
	if !d.Yes {
		return Sight{Until: d.Until}
	}
	s := Sight{Extent: Whole, Until: d.Until}
	for _, id := range l.hideable() {
		one := []marking.Marking{r.policy.marking(l.Owner, id)}
		part := r.policy.decider.Decide(&reader, one, marking.See, now)
		s.Until = sooner(s.Until, part.Until)
		if part.Yes {
			continue
		}
		if !slices.Contains(l.Parts, id) { // it marks what a reference leads to
			s.Extent, s.Hidden = Part, append(s.Hidden, id)
			continue
		}
		rest := r.policy.decider.Decide(&reader, one, marking.TearLine, now)
		s.Until = sooner(s.Until, rest.Until)
		if !rest.Yes {
			return Sight{Until: s.Until}
		}
		s.Extent, s.Hidden = Part, append(s.Hidden, id)
	}
	if tearline.AnyHidden(l.Closed, s.Hidden) {
		return Sight{Until: s.Until}
	}
	return s
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Equal reports whether two decisions let see the same.
func (s Sight) Equal(other Sight) bool {
	return s.Extent == other.Extent && slices.Equal(s.Hidden, other.Hidden)
}

// Copies returns what makes copies for readers; nil: none are made, and who may
// not see all of an object sees nothing of it.
func (r *Reader) Copies() *tearline.Maker { return r.policy.copies }

// Sees decides for a member who does not ask, without remembering it: what would
// be seen of what carries the label.
func (p *Policy) Sees(o tocsin.Organization, l *Label) Sight {
	p.mu.RLock()
	r := p.reader(l.Community, o)
	p.mu.RUnlock()
	return r.decide(l, time.Now())
}

// Covers reports whether everybody who may see an object by the wanted label
// sees it by the stored one already, so that the same content need not be
// stored under both. It is so when the labels are equal, and when what is stored
// is open to the whole community.
func (p *Policy) Covers(stored, wanted *Label) bool {
	if stored.Key() == wanted.Key() {
		return true
	}
	if stored.Community != wanted.Community || len(stored.Recipients) > 0 {
		return false
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	markings, ok := p.markings(stored, "")
	for _, id := range stored.hideable() {
		markings = append(markings, p.marking(stored.Owner, id))
	}
	return ok && !slices.ContainsFunc(markings, func(m marking.Marking) bool { return p.decider.Restricts(&m, marking.See) })
}
