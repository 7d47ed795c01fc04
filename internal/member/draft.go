package member

import (
	"encoding/json"
	"time"

	"tocsin"
	"tocsin/stix"
)

// What became of an entry.
const (
	Made      = "made"
	Changed   = "changed"
	Unchanged = "unchanged"
	Removed   = "removed"
)

// Applied is what applying a [Network] did, in the order of the document.
type Applied struct {
	Changes  []Step     `json:"changes"`
	Tokens   []NewToken `json:"tokens"`
	Warnings []string   `json:"warnings,omitempty"`
	Proposal string     `json:"proposal,omitempty"` // what waits for a second person, by this id
}

// A Step is what became of one entry.
type Step struct {
	Kind   string `json:"kind"`             // "organization", "user", "token", "community", "membership" or "collection"
	Name   string `json:"name"`             // with the names it stands under: "bank-a/alice/laptop"
	Action string `json:"action"`           // [Made], [Changed], [Unchanged], [Removed] or [Waiting]
	Detail string `json:"detail,omitempty"` // what changed, for people
	ID     string `json:"id,omitempty"`     // a collection's id, an organization's STIX identity, a token's public id

	record string // what the ledger is told besides
}

// A NewToken is a token that was just made: the only time that anybody sees
// its secret.
type NewToken struct {
	Organization string `json:"organization"`
	User         string `json:"user"`
	Name         string `json:"name"`
	ID           string `json:"id"`
	Token        string `json:"token,omitempty"`
}

// A draft is a change in the making: the state as it would be, and the records
// in which it differs from the state as it is.
type draft struct {
	who     tocsin.Member
	state   state
	records []Record
	applied Applied
	now     time.Time

	groups map[string]*group   // communities as they are
	tokens map[string]tokenDoc // tokens as they would be, by "organization/user/name"
}

func newDraft(d *directory, who tocsin.Member) *draft {
	draft := &draft{
		who: who, state: d.clone(), now: time.Now(), groups: d.groups, tokens: map[string]tokenDoc{},
		applied: Applied{Changes: []Step{}, Tokens: []NewToken{}},
	}
	for _, t := range d.tokens {
		draft.tokens[t.name()] = t
	}
	return draft
}

// reach says of a new token that it administers the hub.
func (t tokenDoc) reach() string {
	if t.Operator {
		return "operator"
	}
	return ""
}

func (t tokenDoc) name() string { return t.Organization + "/" + t.User + "/" + t.Name }

func (d *draft) note(s Step) { d.applied.Changes = append(d.applied.Changes, s) }

func (d *draft) put(kind, key string, doc any) {
	b, _ := json.Marshal(doc) // texts, times and bytes: nothing that can fail
	d.records = append(d.records, Record{Kind: kind, Key: key, Doc: b})
}

func (d *draft) drop(kind, key string) {
	d.records = append(d.records, Record{Kind: kind, Key: key, Deleted: true})
}

func (d *draft) putOrganization(o organizationDoc, action, detail string) {
	d.state.organizations[o.Name] = o
	d.put(kindOrganization, o.Name, o)
	d.note(Step{Kind: kindOrganization, Name: o.Name, Action: action, Detail: detail, ID: o.Identity})
}

func (d *draft) putUser(u userDoc, action string) {
	key := u.Organization + "/" + u.Name
	d.state.users[key] = u
	d.put(kindUser, key, u)
	d.note(Step{Kind: kindUser, Name: key, Action: action})
}

// makeToken gives t an id and a secret.
func (d *draft) makeToken(t tokenDoc) {
	id, secret := newToken()
	for _, taken := d.state.tokens[id]; taken; _, taken = d.state.tokens[id] { // 40 bits: once in a very long while
		id, secret = newToken()
	}
	sum := hash(secret)
	t.ID, t.Hash = id, sum[:]
	d.putToken(t, Made, t.reach())
	d.applied.Tokens = append(d.applied.Tokens, NewToken{t.Organization, t.User, t.Name, id, secret})
}

func (d *draft) putToken(t tokenDoc, action, detail string) {
	d.state.tokens[t.ID], d.tokens[t.name()] = t, t
	d.put(kindToken, t.ID, t)
	d.note(Step{Kind: kindToken, Name: t.name(), Action: action, Detail: detail, ID: t.ID})
}

func (d *draft) removeToken(t tokenDoc) {
	delete(d.state.tokens, t.ID)
	delete(d.tokens, t.name())
	d.drop(kindToken, t.ID)
	d.note(Step{Kind: kindToken, Name: t.name(), Action: Removed, ID: t.ID})
}

func (d *draft) removeUser(u userDoc) {
	for _, t := range matching(d.state.tokens, func(t tokenDoc) bool { return t.Organization == u.Organization && t.User == u.Name }) {
		d.removeToken(t)
	}
	key := u.Organization + "/" + u.Name
	delete(d.state.users, key)
	d.drop(kindUser, key)
	d.note(Step{Kind: kindUser, Name: key, Action: Removed})
}

func (d *draft) removeOrganization(o organizationDoc) {
	for _, u := range matching(d.state.users, func(u userDoc) bool { return u.Organization == o.Name }) {
		d.removeUser(u)
	}
	for _, m := range matching(d.state.memberships, func(m membershipDoc) bool { return m.Organization == o.Name }) {
		d.removeMembership(m)
	}
	for _, a := range matching(d.state.applications, func(a applicationDoc) bool { return a.Organization == o.Name }) {
		d.dropApplication(a)
	}
	o.Removed = d.now.UTC().Truncate(time.Second)
	d.putOrganization(o, Removed, "")
}

func (d *draft) putCommunity(c communityDoc, action, detail string) {
	d.state.communities[c.Name] = c
	d.put(kindCommunity, c.Name, c)
	d.note(Step{Kind: kindCommunity, Name: c.Name, Action: action, Detail: detail})
}

func (d *draft) removeCommunity(c communityDoc) {
	for _, m := range matching(d.state.memberships, func(m membershipDoc) bool { return m.Community == c.Name }) {
		d.removeMembership(m)
	}
	for _, a := range matching(d.state.applications, func(a applicationDoc) bool { return a.Community == c.Name }) {
		d.dropApplication(a)
	}
	for _, l := range matching(d.state.collections, func(l Collection) bool { return l.Community == c.Name }) {
		d.removeCollection(l)
	}
	c.Removed = d.now.UTC().Truncate(time.Second)
	d.putCommunity(c, Removed, "")
}

func (d *draft) putMembership(m membershipDoc, action, detail string) {
	key := m.Community + "/" + m.Organization
	d.state.memberships[key] = m
	d.put(kindMembership, key, m)
	d.note(Step{Kind: kindMembership, Name: key, Action: action, Detail: detail})
}

func (d *draft) removeMembership(m membershipDoc) {
	key := m.Community + "/" + m.Organization
	delete(d.state.memberships, key)
	d.drop(kindMembership, key)
	d.note(Step{Kind: kindMembership, Name: key, Action: Removed})
}

func (d *draft) putCollection(c Collection, action, detail string) {
	d.state.collections[c.ID] = c
	d.put(kindCollection, c.ID, c)
	d.note(Step{Kind: kindCollection, Name: c.Community + "/" + c.Alias, Action: action, Detail: detail, ID: c.ID})
}

func (d *draft) removeCollection(c Collection) {
	delete(d.state.collections, c.ID)
	d.drop(kindCollection, c.ID)
	d.note(Step{Kind: kindCollection, Name: c.Community + "/" + c.Alias, Action: Removed, ID: c.ID})
}

// matching returns the values that a test holds for, in the order of their keys.
func matching[D any](m map[string]D, test func(D) bool) []D {
	found := map[string]D{}
	for key, value := range m {
		if test(value) {
			found[key] = value
		}
	}
	return sorted(found)
}

// collection finds a collection of a community by its alias.
func (d *draft) collection(community, alias string) (Collection, bool) {
	if g := d.groups[community]; g != nil {
		if c, ok := g.byName[alias]; ok && c.Alias == alias {
			c, ok = d.state.collections[c.ID]
			return c, ok
		}
	}
	return Collection{}, false
}

func newIdentity() string { return "identity--" + stix.UUIDv4() }
