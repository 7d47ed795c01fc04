package api

import (
	"fmt"
	"net/http"
	"strconv"

	"tocsin"
	"tocsin/internal/receive"
	"tocsin/internal/view"
)

// A disclosuresResource lists what institutions read.
type disclosuresResource struct {
	Disclosures []disclosureResource `json:"disclosures"`
	More        bool                 `json:"more"` // there may be more from next on
	Next        int64                `json:"next"` // pass it as from, now or later
}

type disclosureResource struct {
	Leaf         int64  `json:"leaf"` // number of the record in the ledger
	Time         string `json:"time"`
	Organization string `json:"organization"`
	User         string `json:"user,omitempty"`
	Purpose      string `json:"purpose"`
	Collection   string `json:"collection"`
	From         int64  `json:"from"` // the range of the one order that was read
	To           int64  `json:"to"`
	Objects      int    `json:"objects"`
	Receipt      string `json:"receipt"` // URL
}

// pageOfDisclosures is how many disclosures one answer lists.
const pageOfDisclosures = 500

// disclosures shows the members of a community what public power read of it,
// and why.
func (s *Server) disclosures(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	query, err := parseQuery(r)
	if err != nil {
		return err
	}
	text, err := only(query, "from")
	if err != nil {
		return err
	}
	var from int64
	if text != "" {
		if from, err = leafNumber(text); err != nil {
			return err
		}
	}
	found, next, more, err := s.Prover.Disclosures(r.Context(), who, r.PathValue("community"), from, pageOfDisclosures)
	if err != nil {
		return fmt.Errorf("disclosures: %w", err)
	}
	list := disclosuresResource{Disclosures: []disclosureResource{}, More: more, Next: next}
	for _, d := range found {
		list.Disclosures = append(list.Disclosures, disclosureResource{
			Leaf: d.Leaf, Time: d.Time.UTC().Format(view.Microseconds), Organization: d.Organization, User: d.User, Purpose: d.Purpose,
			Collection: d.Collection, From: d.From, To: d.To, Objects: d.Objects,
			Receipt: s.link("records", strconv.FormatInt(d.Leaf, 10), "receipt"),
		})
	}
	return answer(w, http.StatusOK, list)
}

func leafNumber(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, &tocsin.Error{Kind: tocsin.Malformed, Message: "this is no number of a record", Hint: "pass the next of the answer before"}
	}
	return int64(n), nil
}

func (s *Server) disclosureReceipt(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	leaf, err := leafNumber(r.PathValue("leaf"))
	if err != nil {
		return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is no such record"}
	}
	proof, err := s.Prover.DisclosureReceipt(r.Context(), who, leaf)
	if err != nil {
		return fmt.Errorf("receipt: %w", err)
	}
	return answerProof(w, r, proof, "record-"+strconv.FormatInt(leaf, 10))
}
