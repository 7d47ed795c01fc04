package member

import (
	"context"
	"time"

	"tocsin"
)

// A Listing is a community as whoever asks may know it.
type Listing struct {
	Name        string           `json:"name"`
	Title       string           `json:"title"`
	Description string           `json:"description,omitempty"`
	Charter     *Charter         `json:"charter,omitempty"`
	Agreement   *ListedAgreement `json:"agreement,omitempty"` // the one of now
	State       string           `json:"state"`               // "open", "ended" or "closed"
	Role        string           `json:"role,omitempty"`      // of who asks, as it is now
	Probation   time.Time        `json:"probation,omitzero"`  // of who asks: until then it only reads
	Accepted    string           `json:"accepted,omitempty"`  // SHA-256 of the agreement that the caller's organization has accepted
}

// A ListedAgreement names a version of an agreement.
type ListedAgreement struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
}

// A Part is a member as the members of a community may know it.
type Part struct {
	Organization string    `json:"organization"`
	Title        string    `json:"title"`
	Role         string    `json:"role"`
	Probation    time.Time `json:"probation,omitzero"`
	Status       string    `json:"status,omitempty"`    // only to operators: suspended
	Reason       string    `json:"reason,omitempty"`    // likewise
	Agreement    string    `json:"agreement,omitempty"` // likewise: SHA-256 of what it has accepted
	Accepted     time.Time `json:"accepted,omitzero"`
}

// Listings returns the communities that are public and those in which who asks
// has a part, by name.
func (s *Service) Listings(who tocsin.Member) []Listing {
	d := s.present()
	found := []Listing{}
	for _, c := range sorted(d.communities) {
		if _, err := d.knows(who, c.Name); err == nil {
			found = append(found, d.listing(who, c))
		}
	}
	return found
}

// Listing returns one of [Service.Listings], not found for any other.
func (s *Service) Listing(who tocsin.Member, community string) (Listing, error) {
	d := s.present()
	c, err := d.knows(who, community)
	if err != nil {
		return Listing{}, err
	}
	return d.listing(who, c), nil
}

func (d *directory) listing(who tocsin.Member, c communityDoc) Listing {
	at, _ := c.phase(time.Now())
	l := Listing{Name: c.Name, Title: c.Title, Description: c.Description, Charter: c.Charter, State: [...]string{"open", "ended", "closed"}[at]}
	if c.Charter != nil && c.Charter.Agreement != nil {
		l.Agreement = &ListedAgreement{c.Charter.Agreement.Version, c.Charter.Agreement.SHA256()}
	}
	if role := who.Role(c.Name); role >= tocsin.Reader {
		m := d.memberships[c.Name+"/"+who.Organization.Name]
		l.Role, l.Probation, l.Accepted = role.String(), m.Probation, m.Agreement
	}
	return l
}

// Agreement returns a version of a community's agreement by its SHA-256, to whom
// the community is not hidden.
func (s *Service) Agreement(who tocsin.Member, community, sum string) (Agreement, error) {
	d := s.present()
	if _, err := d.knows(who, community); err != nil {
		return Agreement{}, err
	}
	a, ok := d.agreements[community+"/"+sum]
	if !ok {
		return Agreement{}, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such agreement"}
	}
	return a.Agreement, nil
}

// Roster returns the members of a community to its members, unless their names
// are for its operators only. To anybody else it is not found.
func (s *Service) Roster(who tocsin.Member, community string) ([]Part, error) {
	d := s.present()
	operates := who.Operator || who.Role(community) >= tocsin.Operator
	if d.groups[community] == nil || !operates && (who.Role(community) < tocsin.Reader || d.communities[community].hides()) {
		return nil, &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no list of members here for this token"}
	}
	found := []Part{}
	for _, m := range sorted(d.memberships) {
		if m.Community != community || m.Suspended != "" && !operates {
			continue
		}
		part := Part{Organization: m.Organization, Title: d.organizations[m.Organization].Title, Role: m.Role, Probation: m.Probation}
		if operates {
			part.Agreement, part.Accepted = m.Agreement, m.Accepted
			if m.Suspended != "" {
				part.Status, part.Reason = Suspended, m.Suspended
			}
		}
		found = append(found, part)
	}
	return found, nil
}

// Accept puts on record that the organization of who asks, a member, accepts the
// community's agreement as it is now, which sum is the SHA-256 of.
func (s *Service) Accept(ctx context.Context, who tocsin.Member, community, sum string) error {
	return s.change(ctx, who, func(d *directory, p *draft) error {
		m, ok := d.memberships[community+"/"+who.Organization.Name]
		if !ok || who.Role(community) < tocsin.Reader {
			return noCommunity()
		}
		if err := d.speaks(who); err != nil {
			return err
		}
		c := d.communities[community]
		if c.Charter == nil || c.Charter.Agreement == nil || sum != c.Charter.Agreement.SHA256() {
			return &tocsin.Error{Kind: tocsin.Invalid, At: "/agreement", Message: "this is not the hash of the community's agreement as it is now", Hint: "read the agreement with tocsin community show, and accept that"}
		}
		m.Agreement, m.Accepted = sum, p.now.UTC().Truncate(time.Second)
		p.putMembership(m, Changed, "accepts the agreement")
		p.applied.Changes[len(p.applied.Changes)-1].record = ", accepts the agreement sha256:" + sum
		return nil
	})
}
