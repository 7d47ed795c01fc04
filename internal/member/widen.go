package member

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"tocsin"
	"tocsin/stix"
	"tocsin/tlp"
)

// Widening takes two: what lets somebody see more than before is proposed by one
// person and takes effect when another confirms it. Both are on the ledger, the
// first before it takes effect and the second in the same transaction.

// Waiting is what became of an entry that a second person has to confirm.
const Waiting = "waiting"

// proposalsFor is how long a proposal waits for a second person.
const proposalsFor = 14 * 24 * time.Hour

// A hubDoc is what holds for the whole hub.
type hubDoc struct {
	TwoPeople *bool `json:"two_people,omitempty"`
}

// hubKey is the key of the one hubDoc.
const hubKey = "hub"

// A proposalDoc is a widening that waits. It goes when it ends; the ledger keeps
// what became of it.
type proposalDoc struct {
	ID           string    `json:"id"`
	Organization string    `json:"organization"`
	User         string    `json:"user"`
	Made         time.Time `json:"made"`
	Steps        []Step    `json:"steps"`    // what it would do, as it was when it was proposed
	Document     Network   `json:"document"` // that does it
}

func (p proposalDoc) expires() time.Time { return p.Made.Add(proposalsFor) }

// A Proposal is a widening that waits for a second person.
type Proposal struct {
	ID           string    `json:"id"`
	Organization string    `json:"organization"` // whose user proposed it
	User         string    `json:"user"`
	Made         time.Time `json:"made"`
	Expires      time.Time `json:"expires"`
	Changes      []Step    `json:"changes"`
	Yours        bool      `json:"yours,omitempty"` // who asks proposed it, and cannot confirm it
}

// A person is who may propose or confirm: two tokens of one user are one person.
type person struct{ organization, user string }

// people returns who operates a community, or with "" the hub.
func (d *directory) people(community string) map[person]bool {
	found := map[person]bool{}
	for _, g := range d.grants {
		if m := g.member; g.live() && (m.Operator || community != "" && m.Role(community) >= tocsin.Operator) {
			found[person{m.Organization.Name, m.User}] = true
		}
	}
	return found
}

// takesTwo reports whether what widens a community, or with "" the hub, takes two
// people: unless that is turned off, as soon as there are two.
func (d *directory) takesTwo(community string) bool {
	policy := d.hubs[hubKey].TwoPeople
	if own := d.communities[community].TwoPeople; own != nil {
		policy = own
	}
	return (policy == nil || *policy) && len(d.people(community)) >= 2
}

// holds reports whether anything was ever shared in a community. In one that is
// empty nobody sees more than before, whoever is admitted.
func (s *Service) holds(d *directory, community string) bool {
	g := d.groups[community]
	return g != nil && slices.ContainsFunc(g.collections, func(c Collection) bool {
		head, _ := s.store.Head(c.ID)
		return head > 0
	})
}

// waits notes a change that has to wait for a second person, and reports whether
// it does. ask puts it into the document that is proposed.
func (p *planner) waits(community, kind, name, detail string, ask func(n *Network)) bool {
	if p.confirmed || !p.before.takesTwo(community) || community != "" && !p.holds(community) {
		return false
	}
	p.note(Step{Kind: kind, Name: name, Action: Waiting, Detail: detail})
	ask(&p.asked)
	return true
}

// inCommunity returns the entry of a community in a document, and makes it.
func (n *Network) inCommunity(name string) *CommunityEntry {
	i := slices.IndexFunc(n.Communities, func(e CommunityEntry) bool { return e.Name == name })
	if i < 0 {
		i = len(n.Communities)
		n.Communities = append(n.Communities, CommunityEntry{Name: name})
	}
	return &n.Communities[i]
}

// inOrganization is inCommunity for organizations.
func (n *Network) inOrganization(name string) *OrganizationEntry {
	i := slices.IndexFunc(n.Organizations, func(e OrganizationEntry) bool { return e.Name == name })
	if i < 0 {
		i = len(n.Organizations)
		n.Organizations = append(n.Organizations, OrganizationEntry{Name: name})
	}
	return &n.Organizations[i]
}

// widens reports whether a membership lets somebody see or decide more than
// before: who is new, is made curator or operator, or is reinstated.
func (m membershipDoc) widens(to membershipDoc) bool {
	before, _ := tocsin.ParseRole(m.Role)
	after, _ := tocsin.ParseRole(to.Role)
	return before == tocsin.Stranger || after > before && after >= tocsin.Curator || m.Suspended != "" && to.Suspended == ""
}

// lowers reports whether unmarked objects are taken for something more open.
func lowers(from, to string) bool {
	before, _ := tlp.Parse(from)
	after, ok := tlp.Parse(to)
	return ok && after < before
}

// opens reports whether a charter shows more of the community than the one before:
// the community itself, the names of members, or objects for longer.
func (c communityDoc) opens(to *Charter) bool {
	if to == nil {
		return false
	}
	before := Charter{}
	if c.Charter != nil {
		before = *c.Charter
	}
	_, was := communityDoc{Charter: &before}.life()
	_, is := communityDoc{Charter: to}.life()
	longer := !was.IsZero() && (is.IsZero() || is.After(was))
	return to.Public && !before.Public || before.MemberList == ListNobody && to.MemberList != ListNobody || longer
}

// propose turns what waits into a proposal, or finds the one that says the same.
func (p *planner) propose() {
	if len(p.asked.Organizations) == 0 && len(p.asked.Communities) == 0 && p.asked.TwoPeople == nil {
		return
	}
	for _, old := range sorted(p.state.proposals) {
		if !p.now.Before(old.expires()) {
			p.dropProposal(old, ", expired")
		}
	}
	doc := proposalDoc{
		ID: stix.UUIDv4()[:8], Organization: p.who.Organization.Name, User: p.who.User, Made: p.now.UTC().Truncate(time.Second), Document: p.asked,
	}
	for _, s := range p.applied.Changes {
		if s.Action == Waiting {
			doc.Steps = append(doc.Steps, s)
		}
	}
	text, _ := json.Marshal(p.asked)
	for _, other := range sorted(p.state.proposals) {
		if same, _ := json.Marshal(other.Document); bytes.Equal(same, text) && p.now.Before(other.expires()) {
			p.applied.Proposal = other.ID
			return
		}
	}
	for _, taken := p.state.proposals[doc.ID]; taken; _, taken = p.state.proposals[doc.ID] {
		doc.ID = stix.UUIDv4()[:8]
	}
	p.applied.Proposal = doc.ID
	p.state.proposals[doc.ID] = doc
	p.put(kindProposal, doc.ID, doc)
	var record strings.Builder
	for _, s := range doc.Steps {
		record.WriteString(", " + s.Kind + " " + s.Name + " " + s.Detail)
	}
	p.note(Step{Kind: kindProposal, Name: doc.ID, Action: Made, record: record.String()})
}

// dropProposal ends a proposal.
func (d *draft) dropProposal(p proposalDoc, record string) {
	delete(d.state.proposals, p.ID)
	d.drop(kindProposal, p.ID)
	d.note(Step{Kind: kindProposal, Name: p.ID, Action: Removed, record: record})
}

// concerns reports whether somebody operates all that a proposal changes.
func (p proposalDoc) concerns(who tocsin.Member) bool {
	if who.Operator {
		return true
	}
	return p.Document.TwoPeople == nil && len(p.Document.Organizations) == 0 && len(p.Document.Communities) > 0 &&
		!slices.ContainsFunc(p.Document.Communities, func(e CommunityEntry) bool { return who.Role(e.Name) < tocsin.Operator })
}

// by reports whether somebody is who made the proposal.
func (p proposalDoc) by(who tocsin.Member) bool {
	return p.Organization == who.Organization.Name && p.User == who.User
}

// Proposals returns what waits for a second person, the oldest first, as far as
// who asks operates what it is about.
func (s *Service) Proposals(who tocsin.Member) []Proposal {
	d, now := s.present(), time.Now()
	found := []Proposal{}
	for _, p := range sorted(d.proposals) {
		if p.concerns(who) && now.Before(p.expires()) {
			found = append(found, Proposal{p.ID, p.Organization, p.User, p.Made, p.expires(), p.Steps, p.by(who)})
		}
	}
	slices.SortStableFunc(found, func(a, b Proposal) int { return a.Made.Compare(b.Made) })
	return found
}

// Settle confirms a proposal, which takes effect by that, or rejects it. Who
// proposed it may only reject it. It is not found for those who do not operate
// all that it is about.
func (s *Service) Settle(ctx context.Context, who tocsin.Member, id string, confirm bool) (Applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var applied Applied
	err := again(func() error {
		d, err := s.settle(who, id, confirm)
		if err != nil {
			return err
		}
		applied = d.applied
		return s.save(ctx, d)
	})
	return applied, err
}

func (s *Service) settle(who tocsin.Member, id string, confirm bool) (*draft, error) {
	now := s.planned()
	p, ok := now.proposals[id]
	if !ok || !p.concerns(who) || !time.Now().Before(p.expires()) {
		return nil, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such proposal", Hint: "see what waits with tocsin apply --pending"}
	}
	by := " by " + who.Organization.Name + "/" + who.User
	if !confirm {
		d := newDraft(now, who)
		d.dropProposal(p, ", rejected"+by)
		return d, nil
	}
	if p.by(who) {
		return nil, &tocsin.Error{Kind: tocsin.Forbidden, Message: "who proposes a change does not confirm it", Hint: "another operator has to: tocsin confirm " + p.ID}
	}
	if slices.ContainsFunc(p.scopes(), func(scope string) bool { return !now.people(scope)[person{p.Organization, p.User}] }) {
		return nil, &tocsin.Error{Kind: tocsin.Conflict, Message: "who proposed this does not operate it any more", Hint: "reject it, and propose it yourself"}
	}
	// That who proposed it may change this was decided then; what is left to
	// decide is that another who operates it wants the same.
	second := who
	second.Operator = true
	plan, err := s.planAs(second, p.Document, true)
	if err != nil {
		return nil, err
	}
	same := func(a, b Step) bool { return a.Kind == b.Kind && a.Name == b.Name && a.Detail == b.Detail }
	for _, step := range p.Steps {
		if !slices.ContainsFunc(plan.applied.Changes, func(c Step) bool { return c.Action != Unchanged && same(c, step) }) {
			return nil, &tocsin.Error{Kind: tocsin.Conflict, Message: "what this proposal is about was changed since it was made", Hint: "reject it, and propose again what is wanted now"}
		}
	}
	plan.dropProposal(p, ", proposed by "+p.Organization+"/"+p.User+", confirmed"+by)
	return plan, nil
}

// scopes returns the communities that a proposal is about, and "" for the hub.
func (p proposalDoc) scopes() (names []string) {
	if p.Document.TwoPeople != nil || len(p.Document.Organizations) > 0 {
		names = append(names, "")
	}
	for _, e := range p.Document.Communities {
		names = append(names, e.Name)
	}
	return names
}

// loosens reports whether free text waits for nobody any more, or a masked value
// for one person only.
func (p Privacy) loosens(to Privacy) bool {
	return p.path() == PathStrict && to.path() != PathStrict || p.reviewers() > to.reviewers()
}

// split takes apart what an entry changes at once and what has to wait for a
// second person.
func (p *planner) split(c communityDoc, e CommunityEntry) (now, later CommunityEntry) {
	now, later = e, CommunityEntry{Name: e.Name}
	if lowers(c.Default, e.Default) {
		now.Default, later.Default = "", e.Default
	}
	if e.Privacy != nil && c.Privacy.loosens(*e.Privacy) {
		now.Privacy, later.Privacy = nil, e.Privacy
	}
	if e.Rules != nil && *e.Rules != c.Rules { // what they let pass nobody can tell
		now.Rules, later.Rules = nil, e.Rules
	}
	if c.opens(e.Charter) {
		now.Charter, later.Charter = nil, e.Charter
	}
	if e.TwoPeople != nil && !*e.TwoPeople {
		now.TwoPeople, later.TwoPeople = nil, e.TwoPeople
	}
	_, what, err := p.changed("", c, later)
	if err != nil || len(what) == 0 || !p.who.Operator { // who may not change it is told so
		return e, CommunityEntry{}
	}
	if !p.waits(c.Name, kindCommunity, c.Name, what.String(), func(n *Network) { *n.inCommunity(c.Name) = later }) {
		return e, CommunityEntry{}
	}
	return now, later
}

// twoPeople changes whether widening takes two, for the whole hub.
func (p *planner) twoPeople(to *bool) error {
	h := p.state.hubs[hubKey]
	switch {
	case to == nil:
		return nil
	case !p.who.Operator:
		return p.forbidden("/two_people", "only the hub's operator may change the hub itself")
	case h.TwoPeople != nil && *h.TwoPeople == *to:
		p.note(Step{Kind: kindHub, Name: hubKey, Action: Unchanged})
		return nil
	}
	detail := "widening takes two people"
	if !*to {
		detail = "widening takes one person"
		if p.waits("", kindHub, hubKey, detail, func(n *Network) { n.TwoPeople = to }) {
			return nil
		}
	}
	h.TwoPeople = to
	p.state.hubs[hubKey] = h
	p.put(kindHub, hubKey, h)
	p.note(Step{Kind: kindHub, Name: hubKey, Action: Changed, Detail: detail})
	return nil
}

// narrows reports whether an organization is known for nothing more than before.
func (h *HandlingEntry) narrows(to *HandlingEntry) bool {
	if h == nil {
		h = &HandlingEntry{}
	}
	less := func(from, to string) bool { return to == "" || to == from }
	among := func(from, to []string) bool {
		return !slices.ContainsFunc(to, func(w string) bool { return !slices.Contains(from, w) })
	}
	return less(h.Nationality, to.Nationality) && less(h.Sector, to.Sector) && less(h.Path, to.Path) && less(h.Entity, to.Entity) &&
		among(h.Shareability, to.Shareability) && among(h.Groups, to.Groups) && among(h.Agreements, to.Agreements) &&
		!slices.ContainsFunc(to.Clearances, func(c ClearanceEntry) bool {
			return !slices.ContainsFunc(h.Clearances, func(known ClearanceEntry) bool {
				until, _ := expiry(c.Expires)
				before, _ := expiry(known.Expires)
				return c.Level == known.Level && c.Sponsor == known.Sponsor && among(known.Caveats, c.Caveats) && !until.After(before)
			})
		})
}
