package api

import (
	"fmt"
	"net/http"

	"tocsin"
	"tocsin/internal/receive"
)

// A rulesResource is what the privacy gate of a community goes by: whoever submits
// can see before what it will do.
type rulesResource struct {
	Hash string `json:"hash"` // as receipts name it
	Text string `json:"text"` // the rule file
}

func (s *Server) rules(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	community, err := s.Directory.Community(who, r.PathValue("community"))
	if err != nil {
		return fmt.Errorf("community: %w", err)
	}
	text, hash := s.Submitter.Rules(community.Name)
	return answer(w, http.StatusOK, rulesResource{Hash: hash, Text: string(text)})
}
