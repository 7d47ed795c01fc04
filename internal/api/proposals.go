package api

import (
	"context"
	"fmt"
	"net/http"

	"tocsin"
	"tocsin/internal/member"
	"tocsin/internal/receive"
)

// A Confirmer has a second person decide on what one has proposed.
type Confirmer interface {
	// Proposals returns what waits, as far as the member operates it.
	Proposals(who tocsin.Member) []member.Proposal
	// Settle confirms a proposal, which takes effect by that, or rejects it.
	Settle(ctx context.Context, who tocsin.Member, id string, confirm bool) (member.Applied, error)
}

func (s *Server) proposals(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	return answer(w, http.StatusOK, map[string]any{"proposals": s.Confirmer.Proposals(who)})
}

// settle answers with what was done; new tokens may be among it.
func (s *Server) settle(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	const hint = `write {"action":"confirm"} or {"action":"reject"}`
	var doc struct {
		Action string `json:"action"`
	}
	if err := s.body(w, r, who, &doc, unclear(hint)); err != nil {
		return err
	}
	if doc.Action != "confirm" && doc.Action != "reject" {
		return &tocsin.Error{Kind: tocsin.Invalid, At: "/action", Message: "this is no decision", Hint: hint}
	}
	applied, err := s.Confirmer.Settle(r.Context(), who, r.PathValue("id"), doc.Action == "confirm")
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	return answerSecret(w, http.StatusOK, applied)
}
