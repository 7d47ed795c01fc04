package member

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"tocsin"
)

// Describe returns the directory as a document, in order of name, as far as
// who asks may know it: a hub operator all of it; others their own
// organization and communities, with the members of those that they operate.
// A list of members is itself worth stealing. Applying what it returns changes
// nothing.
func (s *Service) Describe(who tocsin.Member) Network {
	d := s.present()
	var n Network
	if who.Operator {
		n.TwoPeople = d.hubs[hubKey].TwoPeople
	}
	for _, o := range sorted(d.organizations) {
		if o.Removed.IsZero() && (who.Operator || o.Name == who.Organization.Name) {
			n.Organizations = append(n.Organizations, OrganizationEntry{Name: o.Name, Title: o.Title, Kind: o.Kind, Identity: o.Identity, Handling: o.Handling})
		}
	}
	d.describeUsers(n.Organizations)
	members := map[string][]MemberEntry{}
	for _, m := range sorted(d.memberships) { // those that are suspended, too
		members[m.Community] = append(members[m.Community], m.entry())
	}
	for _, name := range slices.Sorted(maps.Keys(d.groups)) {
		g := d.groups[name]
		if !who.Operator && who.Role(name) < tocsin.Reader {
			continue
		}
		c := d.communities[name]
		e := CommunityEntry{
			Name: name, Title: g.Title, Description: g.Description, Default: c.Default, Retention: c.Retention, Charter: c.Charter, TwoPeople: c.TwoPeople,
		}
		if rules := c.Rules; rules != "" {
			e.Rules = &rules
		}
		if g.Privacy != (Privacy{}) {
			p := g.Privacy
			e.Privacy = &p
		}
		if who.Operator || who.Role(name) >= tocsin.Operator {
			e.Members = members[name]
		}
		for _, c := range g.collections {
			e.Collections = append(e.Collections, CollectionEntry{Alias: c.Alias, ID: c.ID, Title: c.Title, Description: c.Description})
		}
		n.Communities = append(n.Communities, e)
	}
	return n
}

// entry returns the membership as a document says it.
func (m membershipDoc) entry() MemberEntry {
	e := MemberEntry{Organization: m.Organization, Role: m.Role}
	if m.Suspended != "" {
		e.Status, e.Reason = Suspended, m.Suspended
	}
	if !m.Probation.IsZero() {
		e.Probation = m.Probation.UTC().Format(time.RFC3339)
	}
	return e
}

// describeUsers adds users and tokens to the organizations that are listed.
func (d *directory) describeUsers(entries []OrganizationEntry) {
	tokens := map[string][]TokenEntry{}
	for _, t := range d.tokens {
		e := TokenEntry{Name: t.Name, ID: t.ID, Role: t.Role, Purpose: t.Purpose, Operator: t.Operator}
		if !t.Expires.IsZero() {
			e.Expires = t.Expires.UTC().Format(time.RFC3339)
		}
		key := t.Organization + "/" + t.User
		tokens[key] = append(tokens[key], e)
	}
	users := map[string][]UserEntry{}
	for _, u := range sorted(d.users) {
		mine := tokens[u.Organization+"/"+u.Name]
		slices.SortFunc(mine, func(a, b TokenEntry) int { return cmp.Compare(a.Name, b.Name) })
		users[u.Organization] = append(users[u.Organization], UserEntry{Name: u.Name, Tokens: mine})
	}
	for i := range entries {
		entries[i].Users = users[entries[i].Name]
	}
}

// sorted returns a map's values in the order of their keys.
func sorted[D any](m map[string]D) []D {
	values := make([]D, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[key])
	}
	return values
}
