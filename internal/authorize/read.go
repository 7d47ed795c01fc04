package authorize

import (
	"slices"
	"sync"
	"sync/atomic"

	"tocsin"
	"tocsin/stix"
	"tocsin/tlp"
)

// A Reader is one organization reading one community. All its users see the
// same, so a Reader is the view class that pages are cut for. It remembers its
// decision for each label.
type Reader struct {
	policy       *Policy
	community    string
	organization string

	decided sync.Map // *Label → bool; emptied by replacing the Reader
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
	r = &Reader{policy: p, community: community, organization: who.Organization.Name}
	p.readers[key] = r
	return r, nil
}

// Organization returns the name of the organization that reads.
func (r *Reader) Organization() string { return r.organization }

// MaySee decides whether the reader may see what carries the label. It is the
// one place where that is decided.
//
// The most restrictive of all markings counts, a marking that the hub does not
// understand closes the object to everybody but its owner, and naming
// recipients only ever takes readers away (DESIGN promise 5; TLP 2.0; STIX 2.1
// §7.2 defines no rule for combining).
func (r *Reader) MaySee(l *Label) bool {
	if yes, ok := r.decided.Load(l); ok {
		return yes.(bool) //nolint:errcheck,forcetypeassert // only this function stores
	}
	yes := r.decide(l)
	if r.count.Add(1) > mostDecisions { // the store has long let go of most of these labels
		r.decided.Clear()
		r.count.Store(0)
	}
	r.decided.Store(l, yes)
	return yes
}

func (r *Reader) decide(l *Label) bool {
	if l == nil || l.Community != r.community {
		return false
	}
	if l.Owner == r.organization {
		return true
	}
	level, understood := r.policy.level(l)
	if !understood {
		return false
	}
	named := slices.Contains(l.Recipients, r.organization)
	if level == tlp.Red {
		return named
	}
	return named || len(l.Recipients) == 0
}

// level returns the most restrictive TLP level of a label, and false when a
// marking is not understood.
func (p *Policy) level(l *Label) (level tlp.Label, understood bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, id := range l.Markings {
		if m, ok := tlp.FromMarking(id); ok {
			level = max(level, m)
			continue
		}
		if !p.statements[statement{l.Owner, id}] {
			return tlp.Red, false
		}
	}
	if level == tlp.None {
		level = l.Default
	}
	if level == tlp.None { // no marking and no policy: no audience
		return tlp.Red, true
	}
	return level, true
}

// Define tells the policy of a marking-definition that an organization has
// recorded. A statement (STIX 2.1 §7.2.1.3) is text for people and closes
// nothing; any other kind stays closed until the hub understands it. It reports
// whether the definition changed what anybody may see.
func (p *Policy) Define(owner string, definition stix.Value) bool {
	key := statement{owner, definition.Get("id").Text()}
	if !definition.Get("definition_type").Is("statement") || definition.Get("extensions").Exists() {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.statements[key] {
		return false
	}
	p.statements[key] = true
	p.readers = map[readerKey]*Reader{} // what was decided without it is decided anew
	return true
}

// Forget makes every decision anew, as after a change of the directory.
func (p *Policy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.readers = map[readerKey]*Reader{}
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
	level, understood := p.level(stored)
	return understood && level < tlp.Red
}
