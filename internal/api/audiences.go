package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/receive"
	"tocsin/stix"
)

// An audienceQuestion asks who would see objects before anybody has them: it says
// how they are marked, and nothing else of them.
type audienceQuestion struct {
	To          []string          `json:"to"`
	Definitions []json.RawMessage `json:"definitions"` // marking-definitions that would be shared with them
	Labels      []labelQuestion   `json:"labels"`
}

// A labelQuestion is how some objects are marked, by ids of marking-definitions.
type labelQuestion struct {
	Markings []string `json:"markings"` // of the whole object
	Parts    []string `json:"parts"`    // of parts of it
	Linked   []string `json:"linked"`   // of what its references lead to
	Closed   []string `json:"closed"`   // of those, the ones that leave nothing when they are hidden
}

// A sightResource says how many members would see how much of what is marked
// alike. Who they are is said where it follows from names and TLP alone, not where
// it would tell of a clearance or a nationality.
type sightResource struct {
	Members int      `json:"members"` // of the community
	Whole   int      `json:"whole"`
	Part    int      `json:"part"`            // a copy of the rest
	Names   bool     `json:"names"`           // they are named below
	Wholly  []string `json:"wholly,omitzero"` // who sees it whole
	Partly  []string `json:"partly,omitzero"` // who sees a copy
}

// The largest question, and the fewest members of whom numbers are given that
// tell of their attributes.
const (
	mostQuestions = 1000
	fewest        = 5
)

// audiences answers who would see objects that are marked so.
func (s *Server) audiences(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	community, err := s.Directory.Community(who, r.PathValue("community"))
	if err != nil {
		return fmt.Errorf("community: %w", err)
	}
	q, definitions, err := s.question(w, r, who)
	if err != nil {
		return err
	}
	recipients, err := s.recipients(map[string][]string{"to": q.To}, community.Name)
	if err != nil {
		return err
	}
	policy := s.Policy.With(who.Organization.Name, definitions)
	seen := make([]sightResource, 0, len(q.Labels))
	for _, l := range q.Labels {
		label := authorize.Label{
			Community: community.Name, Owner: who.Organization.Name, Default: community.Default, Recipients: recipients,
			Markings: l.Markings, Parts: l.Parts, Closed: l.Closed,
		}.Asked(l.Linked)
		a := s.sight(policy, label)
		if a.Names && who.Role(community.Name) < tocsin.Operator && s.Directory.Hides(community.Name) {
			a.Names, a.Wholly, a.Partly = false, nil, nil
		}
		seen = append(seen, a)
	}
	return answer(w, http.StatusOK, map[string]any{"audiences": seen})
}

func (s *Server) question(w http.ResponseWriter, r *http.Request, who tocsin.Member) (q audienceQuestion, definitions []stix.Value, err error) {
	if err := receive.ContentType(r, jsonType()); err != nil {
		return q, nil, err
	}
	unreadable := &tocsin.Error{Kind: tocsin.Malformed, Message: "the body asks for no audience", Hint: `write {"labels":[{"markings":["marking-definition--…"]}]}`}
	if err := s.decode(w, r, who, &q, unreadable); err != nil {
		return q, nil, err
	}
	if len(q.Labels) > mostQuestions || len(q.Definitions) > mostQuestions {
		return q, nil, &tocsin.Error{Kind: tocsin.TooLarge, Message: "more than 1,000 labels or definitions are asked for at once", Hint: "ask in parts"}
	}
	for i, l := range q.Labels {
		if !l.valid() {
			return q, nil, &tocsin.Error{
				Kind: tocsin.Malformed, At: fmt.Sprintf("/labels/%d", i), Message: "a marking has no id of a marking-definition", Hint: "name each by its id, at most 1,000 of them",
			}
		}
	}
	for i, text := range q.Definitions {
		v, err := stix.Parse(text, stix.Limits{})
		if err != nil {
			return q, nil, &tocsin.Error{Kind: tocsin.Malformed, At: fmt.Sprintf("/definitions/%d", i), Message: "this is no marking-definition"}
		}
		definitions = append(definitions, v)
	}
	return q, definitions, nil
}

// valid reports whether all markings are named by ids: a label of the hub's own
// can name markings as another organization defines them, which nobody may ask
// about.
func (l *labelQuestion) valid() bool {
	all := slices.Concat(l.Markings, l.Parts, l.Linked)
	for _, together := range l.Closed {
		all = append(all, strings.Fields(together)...)
	}
	return len(all) <= mostQuestions && !slices.ContainsFunc(all, func(id string) bool {
		kind, _, ok := stix.SplitID(id)
		return (!ok || kind != "marking-definition") && !strings.HasPrefix(id, "ais-consent-") && id != "unmarked" || strings.Contains(id, ":")
	})
}

// sight asks the one place where it is decided who sees what, for every member.
func (s *Server) sight(policy *authorize.Policy, label *authorize.Label) sightResource {
	members := s.Directory.Members(label.Community)
	a := sightResource{Members: len(members), Names: !policy.Discreet(label)}
	considered := len(members)
	if len(label.Recipients) > 0 {
		considered = len(label.Recipients)
	}
	for _, m := range members {
		switch policy.Sees(m.Organization, label).Extent {
		case authorize.Whole:
			a.Whole++
			a.Wholly = append(a.Wholly, m.Organization.Name)
		case authorize.Part:
			a.Part++
			a.Partly = append(a.Partly, m.Organization.Name)
		case authorize.None:
		}
	}
	if !a.Names {
		a.Wholly, a.Partly = nil, nil
		if considered < fewest { // a number would be a name
			a.Whole, a.Part = -1, -1
		}
	}
	return a
}
