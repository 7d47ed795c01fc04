package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"tocsin"
	"tocsin/internal/receive"
	"tocsin/internal/restore"
	"tocsin/internal/review"
	"tocsin/internal/view"
)

// A Reviewer lets curators decide on what the privacy gate was not sure of.
type Reviewer interface {
	// List returns items without their values and the number to go on after.
	List(ctx context.Context, who tocsin.Member, q restore.Query) (found []restore.Queued, next int64, err error)
	// Show returns an item with its value, and puts on record who looked.
	Show(ctx context.Context, who tocsin.Member, community, id string) (restore.Shown, error)
	// Decide takes decisions, all or none.
	Decide(ctx context.Context, who tocsin.Member, community string, decisions []restore.Decision) ([]restore.Decided, error)
}

// A reviewResource is an item of the queue. The value, and the text around it,
// are there only when a reviewer asks for this one item.
type reviewResource struct {
	ID          string            `json:"id"`
	State       string            `json:"state"`
	Community   string            `json:"community"`
	Collection  string            `json:"collection"`
	Submission  string            `json:"submission"`
	Owner       string            `json:"owner"`
	Object      string            `json:"object"`
	Version     string            `json:"version"`
	At          string            `json:"at"`
	Class       string            `json:"class"`
	Rule        string            `json:"rule"`
	Placeholder string            `json:"placeholder"`
	Why         string            `json:"why"`
	Made        string            `json:"made"`
	Expires     string            `json:"expires"`
	Ended       string            `json:"ended,omitempty"`
	Opinions    []opinionResource `json:"opinions"`
	Text        string            `json:"text,omitempty"`     // as published, with the placeholder in it
	Original    string            `json:"original,omitempty"` // what the placeholder stands for
}

type opinionResource struct {
	Organization string `json:"organization"`
	User         string `json:"user"`
	Action       string `json:"action"`
	Reason       string `json:"reason,omitempty"`
	Text         string `json:"text,omitempty"` // the revised text, while others are asked for theirs
	Time         string `json:"time"`
}

func describeReview(i review.Item) reviewResource {
	d := reviewResource{
		ID: i.ID, State: string(i.State), Community: i.Community, Collection: i.Collection, Submission: i.Submission, Owner: i.Owner,
		Object: i.Object, Version: i.Version, At: i.At, Class: i.Class, Rule: i.Rule, Placeholder: i.Placeholder, Why: i.Why,
		Made: i.Made.Format(view.Microseconds), Expires: i.Expires.Format(view.Microseconds), Opinions: []opinionResource{},
	}
	if !i.Ended.IsZero() {
		d.Ended = i.Ended.Format(view.Microseconds)
	}
	for _, o := range i.Opinions {
		d.Opinions = append(d.Opinions, opinionResource{o.Organization, o.User, string(o.Action), o.Reason, o.Text, o.Time.Format(view.Microseconds)})
	}
	return d
}

// reviewsPerPage is how many items a list has at most.
const reviewsPerPage = 500

func (s *Server) reviews(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	query, err := parseQuery(r)
	if err != nil {
		return err
	}
	q := restore.Query{Community: r.PathValue("community"), Most: reviewsPerPage}
	var after, ended string
	for name, value := range map[string]*string{"after": &after, "ended": &ended, "object": &q.Object} {
		if *value, err = only(query, name); err != nil {
			return err
		}
	}
	if after != "" {
		if q.After, err = strconv.ParseInt(after, 10, 64); err != nil || q.After < 0 {
			return &tocsin.Error{Kind: tocsin.Malformed, Message: "the parameter after is no number", Hint: "use the one that the list before ended with"}
		}
	}
	if q.Ended = ended == "1"; ended != "" && !q.Ended {
		return &tocsin.Error{Kind: tocsin.Malformed, Message: "the parameter ended can only be 1", Hint: "leave it out for what is pending"}
	}
	found, next, err := s.Reviewer.List(r.Context(), who, q)
	if err != nil {
		return fmt.Errorf("reviews: %w", err)
	}
	list := make([]reviewResource, 0, len(found))
	for _, i := range found {
		list = append(list, describeReview(i.Item))
	}
	return answer(w, http.StatusOK, map[string]any{"reviews": list, "next": next, "more": next > q.After})
}

func (s *Server) review(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	shown, err := s.Reviewer.Show(r.Context(), who, r.PathValue("community"), r.PathValue("review"))
	if err != nil {
		return fmt.Errorf("review: %w", err)
	}
	d := describeReview(shown.Item)
	d.Text, d.Original = shown.Text, shown.Original()
	return answerSecret(w, http.StatusOK, d)
}

// answerSecret is answer for what is to be nowhere else: no client keeps it.
func answerSecret(w http.ResponseWriter, status int, resource any) error {
	text, err := json.Marshal(resource)
	if err != nil {
		return fmt.Errorf("marshal: %w", err)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
	return nil
}

// A decisionDoc is one decision of a request.
type decisionDoc struct {
	ID     string `json:"id"`
	Action string `json:"action"`
	Text   string `json:"text"`
	Reason string `json:"reason"`
}

// A decidedResource is an item after a decision, and the submission of the
// version that carries it out.
type decidedResource struct {
	reviewResource

	Result *submissionResource `json:"result,omitempty"`
}

func (s *Server) decide(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	var doc struct {
		Decisions []decisionDoc `json:"decisions"`
	}
	unreadable := &tocsin.Error{Kind: tocsin.Malformed, Message: "the body is no list of decisions", Hint: `write {"decisions":[{"id":"…","action":"approve"}]}`}
	if err := s.body(w, r, who, &doc, unreadable); err != nil {
		return err
	}
	decisions := make([]restore.Decision, len(doc.Decisions))
	for n, d := range doc.Decisions {
		decisions[n] = restore.Decision{ID: d.ID, Action: review.Action(d.Action), Text: d.Text, Reason: d.Reason}
	}
	made, err := s.Reviewer.Decide(r.Context(), who, r.PathValue("community"), decisions)
	if err != nil {
		return fmt.Errorf("decide: %w", err)
	}
	list := make([]decidedResource, 0, len(made))
	for _, m := range made {
		d := decidedResource{reviewResource: describeReview(m.Item)}
		if m.Submission != nil {
			result := s.describe(*m.Submission, nil)
			d.Result = &result
		}
		list = append(list, d)
	}
	return answer(w, http.StatusOK, map[string]any{"reviews": list})
}
