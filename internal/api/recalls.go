package api

import (
	"fmt"
	"net/http"
	"strconv"

	"tocsin"
)

// A recallResource is what was withdrawn of one object from one collection.
type recallResource struct {
	Community  string `json:"community"`
	Collection string `json:"collection"` // alias
	ID         string `json:"id"`         // as published
	Versions   int    `json:"versions"`
	Waiting    int    `json:"waiting,omitempty"` // versions that nobody had seen yet
	Record     int64  `json:"record"`            // number in the ledger, when there were versions
	Receipt    string `json:"receipt,omitempty"` // URL
}

// recall withdraws all versions of objects from everywhere, as far as the caller
// may. Who asks for what it may not see is told that there is no such object.
func (s *Server) recall(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	var doc struct {
		IDs    []string `json:"ids"`
		Reason string   `json:"reason"`
	}
	unreadable := &tocsin.Error{Kind: tocsin.Malformed, Message: "the body is no list of objects to recall", Hint: `write {"ids":["indicator--…"],"reason":"…"}`}
	if err := s.body(w, r, who, &doc, unreadable); err != nil {
		return err
	}
	done, err := s.Withdrawer.Recall(r.Context(), who, doc.IDs, doc.Reason)
	if err != nil {
		return fmt.Errorf("recall: %w", err)
	}
	list := make([]recallResource, 0, len(done))
	for _, d := range done {
		r := recallResource{
			Community: d.Community, Collection: d.Collection.Alias, ID: d.ID, Versions: d.Versions, Waiting: d.Waiting, Record: d.Leaf,
		}
		if d.Versions > 0 {
			r.Receipt = s.link("withdrawals", strconv.FormatInt(d.Leaf, 10), "receipt")
		}
		list = append(list, r)
	}
	return answer(w, http.StatusOK, map[string]any{"recalled": list})
}

func (s *Server) withdrawalReceipt(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	leaf, err := leafNumber(r.PathValue("leaf"))
	if err != nil {
		return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such record"}
	}
	proof, err := s.Prover.WithdrawalReceipt(r.Context(), who, leaf)
	if err != nil {
		return fmt.Errorf("receipt: %w", err)
	}
	return answerProof(w, r, proof, "withdrawal-"+strconv.FormatInt(leaf, 10))
}
