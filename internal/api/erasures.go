package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"tocsin"
	"tocsin/internal/withdraw"
)

// An Eraser erases what holds a value.
type Eraser interface {
	// Search looks for a value after a position of the one order.
	Search(ctx context.Context, who tocsin.Member, value string, after int64) (withdraw.Search, error)
	// Erase does so, and erases what it finds.
	Erase(ctx context.Context, who tocsin.Member, value, reason string, after int64) (withdraw.Erasure, error)
}

// An erasureDoc asks for what holds a value. The value is in the body, because
// addresses of requests are logged everywhere.
type erasureDoc struct {
	Value  string `json:"value"`
	Reason string `json:"reason"`
	After  int64  `json:"after"` // the position to go on after
	Erase  bool   `json:"erase"` // else it is only looked for
}

// A foundResource says where a value is, or was.
type foundResource struct {
	Community  string `json:"community"`
	Collection string `json:"collection"` // its id
	ID         string `json:"id"`
	Version    string `json:"version,omitempty"` // when it was only looked for
	Owner      string `json:"owner,omitempty"`
	Waits      string `json:"waits,omitempty"` // "quarantine" or "review": not in the one order
	Versions   int    `json:"versions,omitempty"`
	Record     int64  `json:"record,omitempty"`  // number in the ledger
	Receipt    string `json:"receipt,omitempty"` // URL
}

// An erasureResource is one part of a search.
type erasureResource struct {
	Found   []foundResource `json:"found"`
	Holds   int             `json:"holds,omitempty"`   // that were erased
	Reviews int             `json:"reviews,omitempty"` // that were erased
	Next    int64           `json:"next"`
	Of      int64           `json:"of"`
	More    bool            `json:"more"`
}

// erase looks for a value in a part of all that the hub keeps, and erases what
// holds it when that is asked for. The answer never repeats the value.
func (s *Server) erase(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	var doc erasureDoc
	unreadable := &tocsin.Error{Kind: tocsin.Malformed, Message: "the body names no value to look for", Hint: `write {"value":"…","after":0,"erase":false}`}
	if err := s.body(w, r, who, &doc, unreadable); err != nil {
		return err
	}
	if doc.After < 0 {
		return unreadable
	}
	if doc.Erase {
		return s.eraseFound(w, r, who, doc)
	}
	found, err := s.Eraser.Search(r.Context(), who, doc.Value, doc.After)
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	out := erasureResource{Found: []foundResource{}, Next: found.Next, Of: found.Of, More: found.More}
	for _, h := range found.Holds {
		out.Found = append(out.Found, foundResource{Community: h.Target.Community, Collection: h.Target.Collection, ID: h.ID, Version: h.Version, Owner: h.Who.Organization, Waits: "quarantine"})
	}
	for _, i := range found.Reviews {
		out.Found = append(out.Found, foundResource{Community: i.Community, Collection: i.Collection, ID: i.Object, Version: i.Version, Owner: i.Owner, Waits: "review"})
	}
	for _, p := range found.Objects {
		out.Found = append(out.Found, foundResource{Community: p.Community, Collection: p.Collection, ID: p.ID, Version: p.Name, Owner: p.Owner})
	}
	return answer(w, http.StatusOK, out)
}

func (s *Server) eraseFound(w http.ResponseWriter, r *http.Request, who tocsin.Member, doc erasureDoc) error {
	done, err := s.Eraser.Erase(r.Context(), who, doc.Value, doc.Reason, doc.After)
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	out := erasureResource{Found: []foundResource{}, Holds: done.Holds, Reviews: done.Reviews, Next: done.Next, Of: done.Of, More: done.More}
	for _, e := range done.Erased {
		out.Found = append(out.Found, foundResource{
			Community: e.Community, Collection: e.Collection, ID: e.ID, Versions: e.Versions, Record: e.Leaf,
			Receipt: s.link("withdrawals", strconv.FormatInt(e.Leaf, 10), "receipt"),
		})
	}
	return answer(w, http.StatusOK, out)
}

// hubOperators lets those call a route who operate the hub.
func hubOperators(who tocsin.Member, _ string) error {
	if who.Operator {
		return nil
	}
	return &tocsin.Error{Kind: tocsin.Forbidden, Message: "this takes a token of the hub's operator", Hint: "ask the hub's operator"}
}
