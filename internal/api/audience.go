package api

import (
	"fmt"
	"net/http"
	"slices"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/receive"
	"tocsin/tlp"
)

// An audienceResource says who would see an object.
type audienceResource struct {
	TLP           string                 `json:"tlp"` // the label that decides, the community's default included
	Organizations []organizationResource `json:"organizations"`
	Unnamed       int                    `json:"unnamed,omitempty"` // so many more, in a community that keeps the names of its members
}

// audience answers who would see an object that the caller marked with "tlp"
// and addressed to "to": the preview before a submission. It shows names of
// members, so it is for writers of the community only: they have to know whom
// they share with.
func (s *Server) audience(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	query, err := parseQuery(r)
	if err != nil {
		return err
	}
	community, err := s.Directory.Community(who, r.PathValue("community"))
	if err != nil {
		return fmt.Errorf("community: %w", err)
	}
	collection, err := only(query, "collection")
	if err != nil {
		return err
	}
	if collection != "" { // collections of a community have one audience; a wrong name is worth telling
		if _, err := s.Directory.Collection(who, community.Name, collection); err != nil {
			return fmt.Errorf("collection: %w", err)
		}
	}
	named, err := only(query, "tlp")
	if err != nil {
		return err
	}
	label, ok := tlp.Parse(named)
	if !ok && named != "" {
		return &tocsin.Error{Kind: tocsin.Malformed, Message: "this is no TLP label", Hint: "use clear, green, amber, amber+strict or red; write + as %2B in a URL"}
	}
	recipients, err := s.recipients(query, community.Name)
	if err != nil {
		return err
	}
	shared := &authorize.Label{Community: community.Name, Owner: who.Organization.Name, Default: community.Default, Recipients: recipients}
	if label == tlp.None {
		label = community.Default
	} else {
		shared.Markings = []string{label.Marking()}
	}
	seen, err := s.whoSees(shared)
	if err != nil {
		return err
	}
	count := len(seen)
	a := audienceResource{TLP: label.String(), Organizations: seen}
	if who.Role(community.Name) < tocsin.Operator && s.Directory.Hides(community.Name) {
		known := append(recipients, who.Organization.Name) // those the caller has named
		a.Organizations = slices.DeleteFunc(seen, func(o organizationResource) bool { return !slices.Contains(known, o.Name) })
		a.Unnamed = count - len(a.Organizations)
	}
	return answer(w, http.StatusOK, a)
}

// whoSees asks the one place where it is decided who may see what, for every
// member. The policy is a fresh one: policies remember what they decided, and
// would remember every question.
func (s *Server) whoSees(label *authorize.Label) ([]organizationResource, error) {
	policy := authorize.NewPolicy()
	seen := []organizationResource{}
	for _, m := range s.Directory.Members(label.Community) {
		reader, err := policy.Reader(tocsin.Member{
			Organization: m.Organization, Roles: map[string]tocsin.Role{label.Community: m.Role},
		}, label.Community)
		if err != nil {
			return nil, fmt.Errorf("reader: %w", err)
		}
		if reader.MaySee(label) {
			seen = append(seen, organizationResource{Name: m.Organization.Name, Title: m.Organization.Title, Kind: m.Organization.Kind})
		}
	}
	return seen, nil
}
