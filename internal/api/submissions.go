package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/member"
	"tocsin/internal/minimize"
	"tocsin/internal/prove"
	"tocsin/internal/receive"
	"tocsin/internal/view"
	"tocsin/receipt"
)

// A submissionResource is what became of a submission. Findings are told once,
// to the submitter that waits for the answer: they are not stored.
type submissionResource struct {
	ID         string             `json:"id"`
	Community  string             `json:"community"`
	Collection string             `json:"collection"`
	Requested  string             `json:"requested"`
	Successes  []successResource  `json:"successes"`
	Pending    []pendingResource  `json:"pending,omitempty"`
	Failures   []failureResource  `json:"failures"`
	Findings   []minimize.Finding `json:"findings,omitempty"`
	Reviews    int                `json:"reviews,omitempty"` // values that the hub's gate masked and a person will look at
	Receipt    string             `json:"receipt"`           // URL
	First      int64              `json:"first"`             // the range of the one order that it took;
	Last       int64              `json:"last"`              // zeros when nothing was new
}

type successResource struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Seq     int64  `json:"seq"`
	Known   bool   `json:"known"` // was there before, with the same content
}

// A pendingResource is a version that lies in the future and waits.
type pendingResource struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Due     string `json:"due"` // when it is looked at again
}

type failureResource struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	At      string `json:"at,omitempty"`
	Clause  string `json:"clause,omitempty"`
	Detail  string `json:"detail"`
	Hint    string `json:"hint,omitempty"`
}

func (s *Server) describe(made prove.Submission, findings []minimize.Finding) submissionResource {
	d := submissionResource{
		ID: made.ID, Community: made.Community, Collection: made.Collection, Requested: made.Requested.UTC().Format(view.Microseconds),
		Successes: []successResource{}, Failures: []failureResource{}, Findings: findings,
		Reviews: made.Reviews, Receipt: s.link("submissions", made.ID, "receipt"), First: made.First, Last: made.Last,
	}
	for _, ok := range made.Successes {
		d.Successes = append(d.Successes, successResource{ID: ok.ID, Version: ok.Version, Seq: ok.Seq, Known: ok.Known})
	}
	for _, held := range made.Pending {
		d.Pending = append(d.Pending, pendingResource{ID: held.ID, Version: held.Version, Due: held.Due.UTC().Format(view.Microseconds)})
	}
	for _, failed := range made.Failures {
		e := failed.Err
		d.Failures = append(d.Failures, failureResource{
			ID: failed.ID, Version: failed.Version, At: e.At, Clause: e.Clause, Detail: e.Message, Hint: e.Hint,
		})
	}
	return d
}

// submit takes a submission for the community, or only for those that "to"
// names. When the answer is written, what it reports as stored is durable and
// in the ledger.
func (s *Server) submit(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	to, err := s.target(r, who)
	if err != nil {
		return err
	}
	types := []receive.MediaType{jsonType(), {Name: "application/stix+json", Version: "2.1"}, {Name: "application/taxii+json", Version: "2.1"}}
	if err := receive.ContentType(r, types...); err != nil {
		return err
	}
	text, release, err := s.Intake.Read(w, r, who)
	defer release()
	if err != nil {
		return err
	}
	made, err := s.Submitter.Submit(r.Context(), who, to, text)
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	w.Header().Set("Location", s.link("submissions", made.ID))
	return answer(w, http.StatusCreated, s.describe(made.Recorded, made.Findings))
}

// target returns where the request wants its objects to go.
func (s *Server) target(r *http.Request, who tocsin.Member) (authorize.Target, error) {
	query, err := parseQuery(r)
	if err != nil {
		return authorize.Target{}, err
	}
	collection, err := s.find(r, who)
	if err != nil {
		return authorize.Target{}, err
	}
	community, err := s.Directory.Community(who, collection.Community)
	if err != nil {
		return authorize.Target{}, fmt.Errorf("community: %w", err)
	}
	to := authorize.Target{Community: community.Name, Collection: collection.ID, Default: community.Default}
	anonymous, err := only(query, "anonymous")
	if err != nil {
		return authorize.Target{}, err
	}
	switch anonymous {
	case "":
	case "1":
		to.NotBefore = s.Submitter.Window(community.Name, time.Now())
	default:
		return authorize.Target{}, &tocsin.Error{Kind: tocsin.Malformed, Message: "the parameter anonymous can only be 1", Hint: "leave it out for what may be seen at once"}
	}
	to.Recipients, err = s.recipients(query, community.Name)
	return to, err
}

// mostRecipients bounds how many organizations an object may be addressed to
// by name.
const mostRecipients = 100

// recipients returns the organizations that "to" names. A mistyped name would
// make an object that nobody sees, so it is refused; who may write may learn
// whether a name is that of a member, because the audience says so too.
func (s *Server) recipients(query url.Values, community string) ([]string, error) {
	names := query["to"]
	if len(names) > mostRecipients {
		return nil, &tocsin.Error{Kind: tocsin.Malformed, Message: "more than 100 recipients are named", Hint: "share with the whole community, or submit in parts"}
	}
	members := s.Directory.Members(community)
	for _, name := range names {
		if !slices.ContainsFunc(members, func(m member.Membership) bool { return m.Organization.Name == name }) {
			return nil, &tocsin.Error{
				Kind: tocsin.Invalid, Message: "a recipient is not a member of this community", Hint: "check the names after 'to'",
			}
		}
	}
	return names, nil
}

// find returns the collection that the path names.
func (s *Server) find(r *http.Request, who tocsin.Member) (member.Collection, error) {
	c, err := s.Directory.Collection(who, r.PathValue("community"), r.PathValue("collection"))
	if err != nil {
		return member.Collection{}, fmt.Errorf("collection: %w", err)
	}
	return c, nil
}

// parseQuery reads the URL's query, all of it or none: http.Request.URL.Query
// drops what it cannot read.
func parseQuery(r *http.Request) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &tocsin.Error{Kind: tocsin.Malformed, Message: "the query cannot be understood", Hint: "escape it as a URL requires"}
	}
	return query, nil
}

// only returns a parameter that may stand in the query once; "" when it does
// not.
func only(query url.Values, name string) (string, error) {
	if len(query[name]) > 1 {
		return "", &tocsin.Error{Kind: tocsin.Malformed, Message: "the parameter " + name + " stands in the query twice"}
	}
	return query.Get(name), nil
}

func (s *Server) submission(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	made, err := s.Prover.Submission(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return fmt.Errorf("submission: %w", err)
	}
	return answer(w, http.StatusOK, s.describe(made, nil))
}

func (s *Server) submissionReceipt(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	proof, err := s.Prover.SubmissionReceipt(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return fmt.Errorf("receipt: %w", err)
	}
	return answerProof(w, r, proof, "submission-"+r.PathValue("id"))
}

// answerProof writes a proof as the file that 'tocsin verify' reads (C2SP
// tlog-proof). The name is made of what the hub made, never of other input.
func answerProof(w http.ResponseWriter, r *http.Request, proof receipt.Proof, name string) error {
	if err := receive.Accepts(r, receive.MediaType{Name: "text/plain"}, jsonType()); err != nil {
		return err
	}
	w.Header().Set("Content-Disposition", `attachment; filename="`+strings.ToLower(name)+`.tlog-proof"`)
	write(w, http.StatusOK, "text/plain; charset=utf-8", proof.Marshal())
	return nil
}
