package api

import (
	"encoding/json"
	"net/http"
	"strconv"

	"tocsin"
	"tocsin/internal/receive"
)

// A problem is a refusal in the form of RFC 9457. Its type is always
// about:blank: the title says what the status says.
type problem struct {
	Title  string    `json:"title"`
	Status int       `json:"status"`
	Detail string    `json:"detail,omitempty"`
	At     string    `json:"at,omitempty"`     // JSON Pointer into what was sent
	Clause string    `json:"clause,omitempty"` // the rule that was broken
	Hint   string    `json:"hint,omitempty"`   // what to do next
	ID     string    `json:"error_id,omitempty"`
	Errors []problem `json:"errors,omitempty"` // all of them, when there are several
}

// mostErrors bounds how many errors one problem lists.
const mostErrors = 100

// problemOf turns a refusal into a problem. It is the one place where kinds
// become statuses. Nothing that was submitted is in it.
func problemOf(refused receive.Refusal) problem {
	p := problem{Status: refused.Status(), ID: refused.ID}
	p.Title = http.StatusText(p.Status)
	if refused.ID != "" {
		p.Detail = "internal error; the hub's operator finds the cause by the error's id"
	}
	if len(refused.Errors) > 0 {
		first := refused.Errors[0]
		p.Detail, p.At, p.Clause, p.Hint = first.Message, first.At, first.Clause, first.Hint
	}
	if len(refused.Errors) > 1 {
		for _, e := range refused.Errors[:min(len(refused.Errors), mostErrors)] {
			one := receive.Refusal{Errors: []*tocsin.Error{e}}
			p.Errors = append(p.Errors, problemOf(one))
		}
	}
	return p
}

// refuse writes a refusal.
func refuse(w http.ResponseWriter, _ *http.Request, refused receive.Refusal) {
	p := problemOf(refused)
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retrySeconds))
	}
	text, _ := json.Marshal(p) // texts and numbers always marshal
	write(w, p.Status, "application/problem+json", text)
}

// retrySeconds is when a client that came at a bad time may come again.
const retrySeconds = 5
