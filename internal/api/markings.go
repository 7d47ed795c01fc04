package api

import (
	"net/http"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/receive"
)

// A markingsResource tells a caller what the hub goes by when it decides what the
// caller may see: what it knows of the caller's organization, and what follows for
// markings.
type markingsResource struct {
	Attributes attributesResource `json:"attributes"`
	Markings   []markingResource  `json:"markings"`
}

type attributesResource struct {
	Kind         string              `json:"kind"`
	Nationality  string              `json:"nationality,omitempty"`
	Sector       string              `json:"sector,omitempty"`
	Path         string              `json:"path,omitempty"`
	Entity       string              `json:"entity,omitempty"`
	Shareability []string            `json:"shareability,omitempty"`
	Groups       []string            `json:"groups,omitempty"`
	Agreements   []string            `json:"agreements,omitempty"`
	Clearances   []clearanceResource `json:"clearances,omitempty"`
}

type clearanceResource struct {
	Level   string    `json:"level"`
	Caveats []string  `json:"caveats,omitempty"`
	Sponsor string    `json:"sponsor"`
	Expires time.Time `json:"expires,omitzero"`
}

// A markingResource is what one marking allows the caller: of those that are the
// same for all, and of those that the caller's organization has defined itself, as
// if another had written them.
type markingResource struct {
	ID      string            `json:"id,omitempty"`
	Kind    string            `json:"kind"`
	Name    string            `json:"name,omitempty"`
	Allowed []string          `json:"allowed"`           // actions
	Refused map[string]string `json:"refused,omitempty"` // action → what it takes
	Until   time.Time         `json:"until,omitzero"`    // from then on the answers may be others
}

// markings answers which markings the caller may see, and why.
func (s *Server) markings(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	a, rulings := s.Policy.Rulings(who.Organization, time.Now())
	resource := markingsResource{Attributes: attributesResource{
		Kind: a.Kind, Nationality: a.Nationality, Sector: a.Sector, Path: a.Path, Entity: a.Entity, Shareability: a.Shareability,
		Groups: a.Groups, Agreements: a.Agreements,
	}, Markings: make([]markingResource, 0, len(rulings))}
	for _, c := range a.Clearances {
		resource.Attributes.Clearances = append(resource.Attributes.Clearances, clearanceResource{c.Level.String(), c.Caveats, c.Sponsor, c.Expires})
	}
	for i := range rulings {
		resource.Markings = append(resource.Markings, describeRuling(&rulings[i]))
	}
	return answer(w, http.StatusOK, resource)
}

func describeRuling(r *authorize.Ruling) markingResource {
	m := markingResource{ID: r.ID, Kind: string(r.Marking.Kind), Name: r.Marking.TLP.String(), Allowed: []string{}, Refused: map[string]string{}}
	for action, d := range r.Decisions {
		if d.Yes {
			m.Allowed = append(m.Allowed, string(action))
		} else {
			m.Refused[string(action)] = d.Reason
		}
		if !d.Until.IsZero() && (m.Until.IsZero() || d.Until.Before(m.Until)) {
			m.Until = d.Until
		}
	}
	return m
}
