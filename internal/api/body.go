package api

import (
	"encoding/json"
	"net/http"

	"tocsin"
	"tocsin/internal/receive"
	"tocsin/stix"
)

// body reads a request's JSON into a document, for a route that takes and
// answers JSON. What is no such document is refused as unreadable says.
func (s *Server) body(w http.ResponseWriter, r *http.Request, who tocsin.Member, into any, unreadable *tocsin.Error) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	if err := receive.ContentType(r, jsonType()); err != nil {
		return err
	}
	return s.decode(w, r, who, into, unreadable)
}

// decode is body, without a look at the request's headers.
func (s *Server) decode(w http.ResponseWriter, r *http.Request, who tocsin.Member, into any, unreadable *tocsin.Error) error {
	text, release, err := s.Intake.Read(w, r, who)
	defer release()
	if err != nil {
		return err
	}
	if _, err := stix.Parse(text, stix.Limits{}); err != nil { // json/v1 takes names twice and bad UTF-8
		return unreadable
	}
	if err := json.Unmarshal(text, into); err != nil {
		return unreadable
	}
	return nil
}

// unclear is what a body is refused with that has no words of its own for it.
func unclear(hint string) *tocsin.Error {
	return &tocsin.Error{Kind: tocsin.Malformed, Message: "the body cannot be understood", Hint: hint}
}
