package api

import (
	"fmt"
	"net/http"

	"tocsin"
	"tocsin/internal/member"
	"tocsin/internal/receive"
)

// network returns the directory as a document, as far as the caller may know
// it. It holds no secrets.
func (s *Server) network(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	return answer(w, http.StatusOK, s.Administrator.Describe(who))
}

// applyNetwork makes the directory hold what the document says, and answers
// with what was done, new tokens included: they are never shown again. With
// ?plan it only says what it would do.
func (s *Server) applyNetwork(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	query, err := parseQuery(r)
	if err != nil {
		return err
	}
	if err := receive.ContentType(r, jsonType(), receive.MediaType{Name: "application/yaml"}); err != nil {
		return err
	}
	text, release, err := s.Intake.Read(w, r, who)
	defer release()
	if err != nil {
		return err
	}
	document, err := member.ParseNetwork(text)
	if err != nil {
		return fmt.Errorf("document: %w", err)
	}
	var applied member.Applied
	if query.Has("plan") {
		applied, err = s.Administrator.Plan(who, document)
	} else {
		applied, err = s.Administrator.Apply(r.Context(), who, document)
	}
	if err != nil {
		return fmt.Errorf("apply: %w", err)
	}
	return answer(w, http.StatusOK, applied)
}

func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := s.Administrator.RevokeToken(r.Context(), who, r.PathValue("id")); err != nil {
		return fmt.Errorf("token: %w", err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
