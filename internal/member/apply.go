package member

import (
	"context"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin"
	"tocsin/stix"
	"tocsin/tlp"
)

// Apply makes the directory hold what the document says, all of it or, with an
// error, nothing of it. Applying it again changes nothing and makes no token
// twice. A hub operator may do everything; who operates a community may change
// its members and collections, and keep users and tokens of their own
// organization, none of which reaches further than the token in hand.
func (s *Service) Apply(ctx context.Context, who tocsin.Member, n Network) (Applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var applied Applied
	err := again(func() error {
		d, err := s.plan(who, n)
		if err != nil {
			return err
		}
		applied = d.applied
		return s.save(ctx, d)
	})
	if err != nil {
		return Applied{}, err
	}
	return applied, nil
}

// Plan says what [Service.Apply] would do, and does nothing. The tokens that it
// returns have no secrets.
func (s *Service) Plan(who tocsin.Member, n Network) (Applied, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.plan(who, n)
	if err != nil {
		return Applied{}, err
	}
	if last := len(d.applied.Changes) - 1; last >= 0 && d.applied.Changes[last].Kind == kindProposal {
		d.applied.Changes, d.applied.Proposal = d.applied.Changes[:last], ""
	}
	for i := range d.applied.Changes { // what was drawn for this plan will not be what Apply draws
		if d.applied.Changes[i].Action == Made {
			d.applied.Changes[i].ID = ""
		}
	}
	for i := range d.applied.Tokens {
		d.applied.Tokens[i].ID, d.applied.Tokens[i].Token = "", ""
	}
	return d.applied, nil
}

func (s *Service) plan(who tocsin.Member, n Network) (*draft, error) {
	return s.planAs(who, n, false)
}

// planAs is plan; what widens has been confirmed or has to wait.
func (s *Service) planAs(who tocsin.Member, n Network, confirmed bool) (*draft, error) {
	if err := n.check(); err != nil { // it may not come from ParseNetwork
		return nil, err
	}
	now := s.planned()
	p := planner{draft: newDraft(now, who), n: &n, maker: now.tokens[who.Token], before: now, confirmed: confirmed, check: s.checkRules}
	p.holds = func(community string) bool { return s.holds(now, community) }
	if err := p.twoPeople(n.TwoPeople); err != nil {
		return nil, err
	}
	for i, o := range n.Organizations {
		if err := p.organization("/organizations/"+strconv.Itoa(i), o); err != nil {
			return nil, err
		}
	}
	for i, c := range n.Communities {
		if err := p.community("/communities/"+strconv.Itoa(i), c); err != nil {
			return nil, err
		}
	}
	p.propose()
	if now.operators() > 0 && len(p.records) > 0 && build(p.state, p.now).operators() == 0 {
		return nil, &tocsin.Error{Kind: tocsin.Conflict, Message: "nobody could operate the hub after this", Hint: "make another operator's token first"}
	}
	return p.draft, nil
}

// A planner turns entries of a document into a draft.
type planner struct {
	*draft

	n     *Network
	maker tokenDoc // the token of who asks; the zero value is the hub itself
	check func(rules []byte) error

	before    *directory
	holds     func(community string) bool // whether anything was ever shared there
	confirmed bool                        // by a second person
	asked     Network                     // what waits for one
}

func (p *planner) forbidden(at, message string) error {
	return p.n.refuse(tocsin.Forbidden, at, message, "ask the hub's operator")
}

// operates reports whether who asks operates the community.
func (p *planner) operates(community string) bool {
	return p.who.Operator || p.who.Role(community) >= tocsin.Operator
}

// keepsOwn reports whether who asks may keep users and tokens of the
// organization: their own, when they operate any community.
func (p *planner) keepsOwn(organization string) bool {
	if organization != p.who.Organization.Name {
		return false
	}
	for _, role := range p.who.Roles {
		if role >= tocsin.Operator {
			return true
		}
	}
	return false
}

func (p *planner) organization(at string, e OrganizationEntry) error {
	o, known := p.state.organizations[e.Name]
	switch {
	case !p.who.Operator && !p.keepsOwn(e.Name):
		return p.forbidden(at, "only the hub's operator may change organizations")
	case !p.who.Operator && (e.Absent || e.Title != "" && e.Title != o.Title || e.Kind != "" && e.Kind != o.Kind || !e.Handling.leaves(o.Handling)):
		return p.forbidden(at, "only the hub's operator may change an organization's title, kind or handling, or remove it")
	case known && !o.Removed.IsZero():
		if e.Absent {
			p.note(Step{Kind: kindOrganization, Name: e.Name, Action: Unchanged, ID: o.Identity})
			return nil
		}
		return p.n.refuse(tocsin.Conflict, at+"/name", "this name belonged to an organization that was removed", "choose another: the name stands on what that organization shared")
	case e.Absent && !known:
		p.note(Step{Kind: kindOrganization, Name: e.Name, Action: Unchanged})
		return nil
	case e.Absent && e.Name == hubName:
		return p.n.refuse(tocsin.Conflict, at, "the hub's own organization cannot be removed", "remove its users or tokens instead")
	case e.Absent:
		p.removeOrganization(o)
		return nil
	case e.Identity != "" && e.Identity != o.Identity:
		return p.n.refuse(tocsin.Invalid, at+"/identity", "the hub makes identities", "leave it out")
	}
	if err := p.putEntry(at, e, o, known); err != nil {
		return err
	}
	for j, u := range e.Users {
		if err := p.user(at+"/users/"+strconv.Itoa(j), e.Name, u); err != nil {
			return err
		}
	}
	return nil
}

// putEntry makes or changes the organization itself.
func (p *planner) putEntry(at string, e OrganizationEntry, o organizationDoc, known bool) error {
	if !known {
		if e.Kind == "" {
			return p.n.refuse(tocsin.Invalid, at+"/kind", "a new organization needs a kind", "write company, government, nonprofit or other")
		}
		o = organizationDoc{Name: e.Name, Title: orElse(e.Title, e.Name), Kind: e.Kind, Identity: newIdentity(), Handling: e.Handling}
		p.putOrganization(o, Made, o.Kind)
		return nil
	}
	var what details
	what.set("title", &o.Title, e.Title)
	what.set("kind", &o.Kind, e.Kind)
	if !e.Handling.leaves(o.Handling) && !o.Handling.narrows(e.Handling) &&
		p.waits("", kindOrganization, o.Name, "handling", func(n *Network) { n.inOrganization(o.Name).Handling = e.Handling }) {
		e.Handling = nil
	}
	if !e.Handling.leaves(o.Handling) {
		o.Handling = e.Handling
		what = append(what, "handling")
	}
	if len(what) == 0 {
		p.note(Step{Kind: kindOrganization, Name: o.Name, Action: Unchanged, ID: o.Identity})
		return nil
	}
	p.putOrganization(o, Changed, what.String())
	return nil
}

func (p *planner) user(at, organization string, e UserEntry) error {
	key := organization + "/" + e.Name
	u, known := p.state.users[key]
	switch {
	case e.Absent && known:
		p.removeUser(u)
		return nil
	case e.Absent || known:
		p.note(Step{Kind: kindUser, Name: key, Action: Unchanged})
	default:
		p.putUser(userDoc{organization, e.Name}, Made)
	}
	if e.Absent {
		return nil
	}
	for k, t := range e.Tokens {
		if err := p.token(at+"/tokens/"+strconv.Itoa(k), organization, e.Name, t); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) token(at, organization, user string, e TokenEntry) error {
	t, known := p.tokens[organization+"/"+user+"/"+e.Name]
	if e.Absent {
		if known {
			p.removeToken(t)
		} else {
			p.note(Step{Kind: kindToken, Name: organization + "/" + user + "/" + e.Name, Action: Unchanged})
		}
		return nil
	}
	if e.ID != "" && e.ID != t.ID {
		return p.n.refuse(tocsin.Invalid, at+"/id", "the hub makes the ids of tokens", "leave it out")
	}
	before := t
	expires, _ := expiry(e.Expires) // checked before
	var what details
	t.Organization, t.User, t.Name = organization, user, e.Name
	what.set("role", &t.Role, e.Role)
	what.set("purpose", &t.Purpose, e.Purpose)
	if !expires.IsZero() && !expires.Equal(t.Expires) {
		t.Expires = expires
		what = append(what, "expires "+expires.Format(time.DateOnly))
	}
	if e.Operator && !t.Operator {
		t.Operator = true
		what = append(what, "operator")
	}
	if !p.who.Operator && (!known || len(what) > 0) {
		if err := p.reach(at, before, t); err != nil {
			return err
		}
	}
	p.warnPurpose(t)
	detail := what.String()
	if !known {
		detail = t.reach()
	}
	if t.Operator && !before.Operator && p.waits("", kindToken, t.name(), detail, func(n *Network) {
		o := n.inOrganization(organization)
		o.Users = append(o.Users, UserEntry{Name: user, Tokens: []TokenEntry{e}})
	}) {
		return nil
	}
	switch {
	case !known && !t.Expires.IsZero() && t.Expires.Before(p.now):
		return p.n.refuse(tocsin.Invalid, at+"/expires", "a new token would have expired already", "choose a later date")
	case !known:
		p.makeToken(t)
	case len(what) > 0:
		p.putToken(t, Changed, what.String())
	default:
		p.note(Step{Kind: kindToken, Name: t.name(), Action: Unchanged, ID: t.ID})
	}
	return nil
}

// reach refuses a token that reaches further than the one that makes it: a
// leaked token must not be a way to a better one.
func (p *planner) reach(at string, before, t tokenDoc) error {
	cap := func(role string) tocsin.Role {
		if role == "" {
			return tocsin.Operator
		}
		r, _ := tocsin.ParseRole(role)
		return r
	}
	maker := p.maker
	switch {
	case t.Operator || before.Operator:
		return p.forbidden(at+"/operator", "only the hub's operator may make or change an operator's token")
	case cap(t.Role) > cap(maker.Role):
		return p.forbidden(at+"/role", "a token may not do more than the one that makes it")
	case maker.Purpose != "" && t.Purpose != maker.Purpose:
		return p.forbidden(at+"/purpose", "a token may not read for other purposes than the one that makes it")
	case !maker.Expires.IsZero() && (t.Expires.IsZero() || t.Expires.After(maker.Expires)):
		return p.forbidden(at+"/expires", "a token may not last longer than the one that makes it")
	}
	return nil
}

func (p *planner) warnPurpose(t tokenDoc) {
	if t.Purpose == "" && !t.Operator && p.state.organizations[t.Organization].organization().Institutional() {
		p.applied.Warnings = append(p.applied.Warnings,
			"token "+t.name()+" is bound to no purpose: each of its reads must state one in the header Tocsin-Purpose")
	}
}

func (p *planner) community(at string, e CommunityEntry) error {
	c, known := p.state.communities[e.Name]
	switch {
	case !p.operates(e.Name): // whether it exists is not theirs to know
		return p.n.refuse(tocsin.NotFound, at, "there is no such community", "only the hub's operator may make one")
	case known && !c.Removed.IsZero():
		if e.Absent {
			p.note(Step{Kind: kindCommunity, Name: e.Name, Action: Unchanged})
			return nil
		}
		return p.n.refuse(tocsin.Conflict, at+"/name", "this name belonged to a community that was removed", "choose another: the name stands on what was shared there")
	case e.Absent && !known:
		p.note(Step{Kind: kindCommunity, Name: e.Name, Action: Unchanged})
		return nil
	case e.Absent && !p.who.Operator:
		return p.forbidden(at, "only the hub's operator may remove a community")
	case e.Absent:
		p.removeCommunity(c)
		return nil
	}
	if err := p.putGroup(at, e, c, known); err != nil {
		return err
	}
	for j, m := range e.Members {
		if err := p.membership(at+"/members/"+strconv.Itoa(j), e.Name, m); err != nil {
			return err
		}
	}
	for j, l := range e.Collections {
		if err := p.collectionEntry(at+"/collections/"+strconv.Itoa(j), e.Name, l); err != nil {
			return err
		}
	}
	return nil
}

// putGroup makes or changes the community itself.
func (p *planner) putGroup(at string, e CommunityEntry, c communityDoc, known bool) error {
	if !known {
		label := ""
		if l, ok := tlp.Parse(e.Default); ok {
			label = labelName(l)
		}
		c = communityDoc{Name: e.Name, Title: orElse(e.Title, e.Name), Description: e.Description, Default: orElse(label, "amber"), Retention: e.Retention, Charter: e.Charter, TwoPeople: e.TwoPeople}
		if e.Privacy != nil {
			c.Privacy = *e.Privacy
		}
		if e.Rules != nil {
			c.Rules = *e.Rules
		}
		if err := p.rules(at, e, c); err != nil {
			return err
		}
		p.keepAgreement(c)
		p.putCommunity(c, Made, "unmarked objects are TLP:"+strings.ToUpper(c.Default))
		return nil
	}
	e, later := p.split(c, e)
	c, what, err := p.changed(at, c, e)
	switch {
	case err != nil:
		return err
	case len(what) == 0 && later.Name != "":
		return nil
	case len(what) == 0:
		p.note(Step{Kind: kindCommunity, Name: c.Name, Action: Unchanged})
		return nil
	case !p.who.Operator:
		return p.forbidden(at, "only the hub's operator may change a community itself")
	}
	p.keepAgreement(c)
	p.putCommunity(c, Changed, what.String())
	return nil
}

// changed returns a community as an entry wants it, and says what is changed.
func (p *planner) changed(at string, c communityDoc, e CommunityEntry) (communityDoc, details, error) {
	var what details
	what.set("title", &c.Title, e.Title)
	what.set("description", &c.Description, e.Description)
	if label, ok := tlp.Parse(e.Default); ok {
		before := c.Default
		if what.set("", &c.Default, labelName(label)); c.Default != before {
			what[len(what)-1] = "default_tlp " + before + " → " + c.Default
		}
	}
	what.privacy(&c.Privacy, e.Privacy)
	what.retention(&c.Retention, e.Retention)
	if e.Rules != nil && *e.Rules != c.Rules {
		c.Rules = *e.Rules
		what = append(what, "rules")
	}
	if err := p.rules(at, e, c); err != nil {
		return c, what, err
	}
	if e.TwoPeople != nil && (c.TwoPeople == nil || *c.TwoPeople != *e.TwoPeople) {
		c.TwoPeople = e.TwoPeople
		what = append(what, "two_people "+strconv.FormatBool(*e.TwoPeople))
	}
	err := p.charter(at+"/charter", &c, e.Charter, &what)
	return c, what, err
}

func labelName(l tlp.Label) string { return strings.ToLower(strings.TrimPrefix(l.String(), "TLP:")) }

// rules refuses a rule file that the privacy gate cannot use, with its line.
func (p *planner) rules(at string, e CommunityEntry, c communityDoc) error {
	if c.Rules != "" && c.Privacy.Path != "" {
		return p.n.refuse(tocsin.Invalid, at+"/privacy/path", "the community has a rule file of its own, which says the path", "leave the path out here")
	}
	if e.Rules == nil || *e.Rules == "" || p.check == nil {
		return nil
	}
	if err := p.check([]byte(*e.Rules)); err != nil {
		// What stands in quotes is the file's, and is not repeated.
		why := quoted.ReplaceAllString(strings.ReplaceAll(err.Error(), "\n", " "), "that")
		return p.n.refuse(tocsin.Invalid, at+"/rules", "the rule file cannot be used: "+why, "'tocsin minimize --rules FILE' checks a file; 'tocsin minimize --print-rules' writes one to begin with")
	}
	return nil
}

var quoted = regexp.MustCompile(`"[^"]*"|` + "`[^`]*`" + `|'[^']*'`)

func (p *planner) membership(at, community string, e MemberEntry) error {
	key := community + "/" + e.Organization
	m, known := p.state.memberships[key]
	if o, ok := p.state.organizations[e.Organization]; !e.Absent && (!ok || !o.Removed.IsZero()) {
		return p.n.refuse(tocsin.Invalid, at+"/organization", "there is no such organization in this hub", "name it under organizations, or ask the hub's operator to")
	}
	switch {
	case e.Absent && known:
		p.removeMembership(m)
		return nil
	case e.Absent:
		p.note(Step{Kind: kindMembership, Name: key, Action: Unchanged})
		return nil
	case !known && (e.Role == "" || e.Status == Suspended):
		return p.n.refuse(tocsin.Invalid, at, "this organization is no member", "give it a role")
	}
	to, detail := m.become(community, e)
	if m.widens(to) && p.waits(community, kindMembership, key, detail, func(n *Network) {
		c := n.inCommunity(community)
		c.Members = append(c.Members, e)
	}) {
		return nil
	}
	switch {
	case !known:
		p.putMembership(to, Made, detail)
	case to == m:
		p.note(Step{Kind: kindMembership, Name: key, Action: Unchanged, Detail: m.Role})
	default:
		p.putMembership(to, Changed, detail)
	}
	return nil
}

// become returns the membership as an entry wants it, and says what is changed.
func (m membershipDoc) become(community string, e MemberEntry) (to membershipDoc, detail string) {
	to = m
	to.Community, to.Organization = community, e.Organization
	var what details
	if e.Role != "" && e.Role != m.Role {
		to.Role = e.Role
		if m.Role == "" {
			what = append(what, e.Role)
		} else {
			what = append(what, m.Role+" → "+e.Role)
		}
	}
	if until, err := expiry(e.Probation); e.Probation != "" && !until.Equal(m.Probation) { // "none" is the zero time
		to.Probation = until
		if err != nil {
			what = append(what, "no probation")
		} else {
			what = append(what, "reads only until "+until.Format(time.DateOnly))
		}
	}
	switch {
	case e.Status == Suspended && m.Suspended != e.Reason:
		to.Suspended = e.Reason
		what = append(what, "suspended")
	case e.Status == Active && m.Suspended != "":
		to.Suspended = ""
		what = append(what, "suspended → active")
	}
	return to, what.String()
}

// charter replaces what a community says of itself.
func (p *planner) charter(at string, c *communityDoc, to *Charter, what *details) error {
	if to == nil || reflect.DeepEqual(to, c.Charter) {
		return nil
	}
	if a := to.Agreement; a != nil {
		for _, kept := range p.state.agreements {
			if kept.Community == c.Name && kept.Version == a.Version && kept.Text != a.Text {
				return p.n.refuse(tocsin.Conflict, at+"/agreement/version", "this version of the agreement has another text", "give the new text a version of its own: members have accepted the other")
			}
		}
	}
	*what = append(*what, "charter")
	c.Charter = to
	return nil
}

// keepAgreement puts the agreement of a community where it stays.
func (p *planner) keepAgreement(c communityDoc) {
	if c.Charter == nil || c.Charter.Agreement == nil {
		return
	}
	key := c.Name + "/" + c.Charter.Agreement.SHA256()
	if _, ok := p.state.agreements[key]; !ok {
		doc := agreementDoc{Community: c.Name, Made: p.now.UTC().Truncate(time.Second), Agreement: *c.Charter.Agreement}
		p.state.agreements[key] = doc
		p.put(kindAgreement, key, doc)
		p.note(Step{Kind: kindAgreement, Name: key, Action: Made, Detail: "version " + doc.Version})
	}
}

func (p *planner) collectionEntry(at, community string, e CollectionEntry) error {
	c, known := p.collection(community, e.Alias)
	if e.ID != "" && e.ID != c.ID {
		return p.n.refuse(tocsin.Invalid, at+"/id", "the hub makes the ids of collections", "leave it out")
	}
	if !known && !e.Absent {
		p.putCollection(Collection{
			ID: stix.UUIDv4(), Alias: e.Alias, Community: community, Title: orElse(e.Title, e.Alias), Description: e.Description,
		}, Made, "")
		return nil
	}
	var what details
	what.set("title", &c.Title, e.Title)
	what.set("description", &c.Description, e.Description)
	switch {
	case e.Absent && known:
		p.removeCollection(c)
	case e.Absent || len(what) == 0:
		p.note(Step{Kind: kindCollection, Name: community + "/" + e.Alias, Action: Unchanged, ID: c.ID})
	default:
		p.putCollection(c, Changed, what.String())
	}
	return nil
}

// details are what changed in an entry.
type details []string

// set changes a field when the document says anything about it.
func (d *details) set(name string, field *string, to string) {
	if to != "" && *field != to {
		*d = append(*d, name)
		*field = to
	}
}

// privacy replaces how a community deals with what may be personal.
func (d *details) privacy(known *Privacy, to *Privacy) {
	if to == nil {
		return
	}
	changed := func(name, from, to string) {
		if from != to {
			*d = append(*d, name+" "+from+" → "+to)
		}
	}
	changed("privacy path", known.path(), to.path())
	changed("reviewers", strconv.Itoa(known.reviewers()), strconv.Itoa(to.reviewers()))
	changed("review days", strconv.Itoa(known.reviewDays()), strconv.Itoa(to.reviewDays()))
	changed("window minutes", strconv.Itoa(known.WindowMinutes), strconv.Itoa(to.WindowMinutes))
	*known = *to
}

// retention replaces the rules by which a community forgets.
func (d *details) retention(known *[]RetentionRule, to []RetentionRule) {
	same := func(a, b RetentionRule) bool {
		return slices.Equal(a.Types, b.Types) && a.Days == b.Days && a.Keep == b.Keep && a.Why == b.Why
	}
	if to == nil || slices.EqualFunc(*known, to, same) {
		return
	}
	*d = append(*d, "retention")
	*known = to
}

func (d details) String() string { return strings.Join(d, ", ") }

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
