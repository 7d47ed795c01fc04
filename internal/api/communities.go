package api

import (
	"context"
	"fmt"
	"net/http"

	"tocsin"
	"tocsin/internal/member"
	"tocsin/internal/receive"
)

// A Registry says what communities there are, as far as a member may know.
type Registry interface {
	// Listings returns the communities that are public, and the member's own.
	Listings(who tocsin.Member) []member.Listing
	// Listing returns one of them, not found for any other.
	Listing(who tocsin.Member, community string) (member.Listing, error)
	// Agreement returns a version of what a community's members agree to.
	Agreement(who tocsin.Member, community, sum string) (member.Agreement, error)
	// Roster returns who has a part in a community, to those who may know.
	Roster(who tocsin.Member, community string) ([]member.Part, error)
	// Accept puts on record that a member accepts the agreement as it is now.
	Accept(ctx context.Context, who tocsin.Member, community, sum string) error
}

// Admissions carry an organization into a community and out of it.
type Admissions interface {
	// RequestMembership applies, and returns codes for sponsors.
	RequestMembership(ctx context.Context, who tocsin.Member, community string, r member.Request) (member.Application, error)
	// Applications returns those that the member decides on, and its own.
	Applications(who tocsin.Member, community string) ([]member.Application, error)
	// Vouch has the member vouch for an application.
	Vouch(ctx context.Context, who tocsin.Member, community, organization, code string) (member.Application, error)
	// Decide admits or refuses.
	Decide(ctx context.Context, who tocsin.Member, community, organization string, d member.Decision) (member.Application, error)
	// Leave ends the member's part, or withdraws its application.
	Leave(ctx context.Context, who tocsin.Member, community string) error
}

func (s *Server) communities(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	return answer(w, http.StatusOK, map[string]any{"communities": s.Registry.Listings(who)})
}

func (s *Server) community(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	l, err := s.Registry.Listing(who, r.PathValue("community"))
	if err != nil {
		return fmt.Errorf("community: %w", err)
	}
	return answer(w, http.StatusOK, l)
}

func (s *Server) agreement(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	a, err := s.Registry.Agreement(who, r.PathValue("community"), r.PathValue("sha256"))
	if err != nil {
		return fmt.Errorf("agreement: %w", err)
	}
	return answer(w, http.StatusOK, a)
}

func (s *Server) acceptAgreement(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := s.Registry.Accept(r.Context(), who, r.PathValue("community"), r.PathValue("sha256")); err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) roster(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	members, err := s.Registry.Roster(who, r.PathValue("community"))
	if err != nil {
		return fmt.Errorf("members: %w", err)
	}
	return answer(w, http.StatusOK, map[string]any{"members": members})
}

func (s *Server) applications(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	found, err := s.Admissions.Applications(who, r.PathValue("community"))
	if err != nil {
		return fmt.Errorf("applications: %w", err)
	}
	return answer(w, http.StatusOK, map[string]any{"applications": found})
}

// requestMembership answers with the codes for the sponsors, which are not shown again.
func (s *Server) requestMembership(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	var doc member.Request
	if err := s.body(w, r, who, &doc, unclear(`write {"statement":"…","agreement":"sha256 of the community's agreement"}`)); err != nil {
		return err
	}
	made, err := s.Admissions.RequestMembership(r.Context(), who, r.PathValue("community"), doc)
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return answerSecret(w, http.StatusCreated, made)
}

func (s *Server) vouch(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	var doc struct {
		Code string `json:"code"`
	}
	if err := s.body(w, r, who, &doc, unclear(`write {"code":"xxxx-xxxx"}`)); err != nil {
		return err
	}
	vouched, err := s.Admissions.Vouch(r.Context(), who, r.PathValue("community"), r.PathValue("organization"), doc.Code)
	if err != nil {
		return fmt.Errorf("vouch: %w", err)
	}
	return answer(w, http.StatusOK, vouched)
}

func (s *Server) decideApplication(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	var doc member.Decision
	if err := s.body(w, r, who, &doc, unclear(`write {"action":"admit","reason":"…"} or {"action":"refuse","reason":"…"}`)); err != nil {
		return err
	}
	decided, err := s.Admissions.Decide(r.Context(), who, r.PathValue("community"), r.PathValue("organization"), doc)
	if err != nil {
		return fmt.Errorf("decide: %w", err)
	}
	return answer(w, http.StatusOK, decided)
}

func (s *Server) leave(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := s.Admissions.Leave(r.Context(), who, r.PathValue("community")); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
