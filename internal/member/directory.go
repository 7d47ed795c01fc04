package member

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tocsin"
	"tocsin/tlp"
)

// The kinds of records.
const (
	kindOrganization = "organization"
	kindUser         = "user"
	kindToken        = "token"
	kindCommunity    = "community"
	kindMembership   = "membership"
	kindCollection   = "collection"
	kindAgreement    = "agreement"
	kindApplication  = "application"
	kindProposal     = "proposal"
	kindHub          = "hub"
)

// An organizationDoc is an organization as it is kept. One that was removed
// stays, because its name and identity stand on objects that it shared: who
// got the name next would get those objects with it.
type organizationDoc struct {
	Name     string    `json:"name"`
	Title    string    `json:"title"`
	Kind     string    `json:"kind"`
	Identity string    `json:"identity"`
	Removed  time.Time `json:"removed,omitzero"`

	Handling *HandlingEntry `json:"handling,omitempty"`
}

type userDoc struct {
	Organization string `json:"organization"`
	Name         string `json:"name"`
}

// A tokenDoc is what is kept of a token: never its secret.
type tokenDoc struct {
	ID           string    `json:"id"`
	Organization string    `json:"organization"`
	User         string    `json:"user"`
	Name         string    `json:"name"`
	Hash         []byte    `json:"hash"`              // SHA-256 of the token's text
	Role         string    `json:"role,omitempty"`    // at most this role anywhere; "" is no limit
	Purpose      string    `json:"purpose,omitempty"` // bound to every read
	Expires      time.Time `json:"expires,omitzero"`
	Operator     bool      `json:"operator,omitempty"`
}

// A communityDoc is a community as it is kept; a removed one stays for the
// reason that an organization does.
type communityDoc struct {
	Name        string    `json:"name"`
	Title       string    `json:"title"`
	Description string    `json:"description,omitempty"`
	Default     string    `json:"default_tlp"`
	Privacy     Privacy   `json:"privacy,omitzero"`
	Removed     time.Time `json:"removed,omitzero"`

	Charter   *Charter        `json:"charter,omitempty"`
	TwoPeople *bool           `json:"two_people,omitempty"` // whether what widens it takes two; nil: as in the hub
	Retention []RetentionRule `json:"retention,omitempty"`
	Rules     string          `json:"rules,omitempty"`
}

type membershipDoc struct {
	Community    string    `json:"community"`
	Organization string    `json:"organization"`
	Role         string    `json:"role"`
	Probation    time.Time `json:"probation,omitzero"`  // until then it only reads
	Suspended    string    `json:"suspended,omitempty"` // why; "" when it is not
	Agreement    string    `json:"agreement,omitempty"` // SHA-256 of what it has accepted
	Accepted     time.Time `json:"accepted,omitzero"`
}

// An agreementDoc is a version of a community's agreement. It stays: somebody may
// have accepted it.
type agreementDoc struct {
	Community string    `json:"community"`
	Made      time.Time `json:"made"`

	Agreement
}

// state is what the store holds, by key.
type state struct {
	organizations map[string]organizationDoc
	users         map[string]userDoc        // "organization/user"
	tokens        map[string]tokenDoc       // public id
	communities   map[string]communityDoc   // name
	memberships   map[string]membershipDoc  // "community/organization"
	collections   map[string]Collection     // id
	agreements    map[string]agreementDoc   // "community/sha256"
	applications  map[string]applicationDoc // "community/organization"
	proposals     map[string]proposalDoc    // id
	hubs          map[string]hubDoc         // [hubKey] alone
}

func newState() state {
	return state{
		map[string]organizationDoc{},
		map[string]userDoc{},
		map[string]tokenDoc{},
		map[string]communityDoc{},
		map[string]membershipDoc{},
		map[string]Collection{},
		map[string]agreementDoc{},
		map[string]applicationDoc{},
		map[string]proposalDoc{},
		map[string]hubDoc{},
	}
}

func (s state) clone() state {
	return state{
		maps.Clone(s.organizations), maps.Clone(s.users), maps.Clone(s.tokens),
		maps.Clone(s.communities), maps.Clone(s.memberships), maps.Clone(s.collections),
		maps.Clone(s.agreements), maps.Clone(s.applications),
		maps.Clone(s.proposals), maps.Clone(s.hubs),
	}
}

// load reads the state out of a store's records.
func load(records []Record) (state, error) {
	s := newState()
	for _, r := range records {
		if r.Deleted {
			continue
		}
		var err error
		switch r.Kind {
		case kindOrganization:
			err = add(s.organizations, r)
		case kindUser:
			err = add(s.users, r)
		case kindToken:
			err = add(s.tokens, r)
		case kindCommunity:
			err = add(s.communities, r)
		case kindMembership:
			err = add(s.memberships, r)
		case kindCollection:
			err = add(s.collections, r)
		case kindAgreement:
			err = add(s.agreements, r)
		case kindApplication:
			err = add(s.applications, r)
		case kindProposal:
			err = add(s.proposals, r)
		case kindHub:
			err = add(s.hubs, r)
		default: // a newer version's record could be a restriction: not knowing it is no reason to ignore it
			err = fmt.Errorf("unknown kind of record")
		}
		if err != nil {
			return state{}, fmt.Errorf("%s %s: %w", r.Kind, r.Key, err)
		}
	}
	return s, nil
}

func add[D any](to map[string]D, r Record) error {
	var doc D
	if err := json.Unmarshal(r.Doc, &doc); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	to[r.Key] = doc
	return nil
}

// A directory is one state with its indexes. It is never changed once built,
// so any number of requests read it without a lock.
type directory struct {
	state
	roles      map[string]map[string]tocsin.Role // organization → community → role
	grants     map[string]*grant                 // token id → what it grants
	groups     map[string]*group                 // community → its parts
	identities map[string]string                 // STIX identity id → organization
	until      time.Time                         // when a role changes by itself: probation or a community ends; zero is never
}

// A grant is what a token lets its bearer be.
type grant struct {
	hash    [32]byte
	expires time.Time
	member  tocsin.Member
}

// live reports whether the token has not expired.
func (g *grant) live() bool { return g.expires.IsZero() || time.Now().Before(g.expires) }

// A group is a community with what belongs to it.
type group struct {
	Community

	members     []Membership          // by organization
	collections []Collection          // by alias
	byName      map[string]Collection // by id and by alias; neither can look like the other
}

// build indexes a state as it is at a time.
func build(s state, now time.Time) *directory {
	d := &directory{
		state:      s,
		roles:      map[string]map[string]tocsin.Role{},
		grants:     make(map[string]*grant, len(s.tokens)),
		groups:     make(map[string]*group, len(s.communities)),
		identities: make(map[string]string, len(s.organizations)),
	}
	for _, o := range s.organizations { // removed ones too: nobody speaks as them
		d.identities[o.Identity] = o.Name
	}
	for _, c := range s.communities {
		if c.Removed.IsZero() {
			d.groups[c.Name] = &group{Community: c.community(), byName: map[string]Collection{}}
		}
	}
	for _, m := range s.memberships {
		organization, group := s.organizations[m.Organization], d.groups[m.Community]
		if group == nil || organization.Name == "" || !organization.Removed.IsZero() {
			continue
		}
		role, until := m.role(s.communities[m.Community], now)
		d.until = earlier(d.until, until)
		if role == tocsin.Stranger {
			continue
		}
		group.members = append(group.members, Membership{organization.organization(), role})
		if d.roles[m.Organization] == nil {
			d.roles[m.Organization] = map[string]tocsin.Role{}
		}
		d.roles[m.Organization][m.Community] = role
	}
	for _, c := range s.collections {
		if g := d.groups[c.Community]; g != nil {
			g.collections = append(g.collections, c)
			g.byName[c.ID], g.byName[c.Alias] = c, c
		}
	}
	for _, g := range d.groups {
		slices.SortFunc(g.members, func(a, b Membership) int { return strings.Compare(a.Organization.Name, b.Organization.Name) })
		slices.SortFunc(g.collections, func(a, b Collection) int { return strings.Compare(a.Alias, b.Alias) })
	}
	for id, t := range s.tokens {
		if o := s.organizations[t.Organization]; o.Name != "" && o.Removed.IsZero() && len(t.Hash) == len(grant{}.hash) {
			d.grants[id] = d.grant(t, o)
		}
	}
	return d
}

func (d *directory) grant(t tokenDoc, o organizationDoc) *grant {
	g := &grant{hash: [32]byte(t.Hash), expires: t.Expires, member: tocsin.Member{
		Organization: o.organization(), User: t.User, Token: t.ID, Purpose: t.Purpose,
		Operator: t.Operator, Roles: d.roles[t.Organization],
	}}
	if t.Role != "" { // a cap that is not understood caps everything
		most, _ := tocsin.ParseRole(t.Role)
		g.member.Roles = maps.Clone(g.member.Roles)
		for community, role := range g.member.Roles {
			g.member.Roles[community] = min(role, most)
		}
	}
	return g
}

func (o organizationDoc) organization() tocsin.Organization {
	return tocsin.Organization{Name: o.Name, Title: o.Title, Kind: o.Kind, Identity: o.Identity}
}

func (c communityDoc) community() Community {
	label, _ := tlp.Parse(c.Default) // unreadable is None, which nobody but the owner sees
	return Community{Name: c.Name, Title: c.Title, Description: c.Description, Default: label, Privacy: c.Privacy}
}

// operators counts the tokens that may administer the hub.
func (d *directory) operators() (count int) {
	for _, g := range d.grants {
		if g.member.Operator && g.live() {
			count++
		}
	}
	return count
}
