// Package taxii serves TAXII 2.1 to members and their tools.
package taxii

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/cursor"
	"tocsin/internal/distribute"
	"tocsin/internal/member"
	"tocsin/internal/prove"
	"tocsin/internal/receive"
	"tocsin/internal/submit"
)

// mediaType is the one media type that answers have (TAXII 2.1 §1.6.8.1).
const mediaType = "application/taxii+json;version=2.1"

// spoken is that type as requests may name it; plain is what clients call it
// that know JSON only.
func spoken() receive.MediaType {
	return receive.MediaType{Name: "application/taxii+json", Version: "2.1"}
}

func plain() receive.MediaType { return receive.MediaType{Name: "application/json"} }

// A Directory knows communities and collections, as far as a member may.
type Directory interface {
	// Communities returns the communities in which the member has a part.
	Communities(who tocsin.Member) []member.Community
	// Community returns one of them, not found for any other.
	Community(who tocsin.Member, name string) (member.Community, error)
	// Collections returns a community's collections, always in the same order.
	Collections(who tocsin.Member, community string) ([]member.Collection, error)
	// Collection returns one of them, by id or alias.
	Collection(who tocsin.Member, community, idOrAlias string) (member.Collection, error)
}

// A Feed reads objects for members.
type Feed interface {
	// Prepare returns a request for pages that is asked again and again.
	Prepare(q distribute.Query, form distribute.Form) *distribute.Request
	// Cut returns a page, written down, which others may be given as well.
	Cut(ctx context.Context, who tocsin.Member, r *distribute.Request) (*distribute.Cut, error)
}

// A Submitter takes submissions.
type Submitter interface {
	Submit(ctx context.Context, who tocsin.Member, to authorize.Target, text []byte) (submit.Outcome, error)
}

// A Prover knows what became of a submission, and tells its submitter.
type Prover interface {
	Submission(ctx context.Context, who tocsin.Member, id string) (prove.Submission, error)
}

// A Withdrawer takes back versions of an object.
type Withdrawer interface {
	Withdraw(ctx context.Context, who tocsin.Member, community, collection, id string, which distribute.Which) (int, error)
}

// Options are what a server is made of. All fields but MaxPage are required.
type Options struct {
	Authenticator receive.Authenticator
	Directory     Directory
	Feed          Feed
	Submitter     Submitter
	Prover        Prover
	Withdrawer    Withdrawer
	Cursors       *cursor.Sealer
	Intake        *receive.Intake
	URL           *url.URL // how others reach the hub: scheme and host
	Title         string   // of the hub, for people
	MaxPage       int      // the most objects in a page; 1,000 when zero, at most 5,000
	Log           *slog.Logger
}

// The most objects in a page: unless configured otherwise, and ever. Without a
// limit, a client that sets none would be sent everything.
const (
	defaultMaxPage = 1000
	largestMaxPage = 5000
)

// A Server answers TAXII requests: discovery at /taxii2/ and an API root for
// each community at /{community}/. It is safe for concurrent use.
type Server struct {
	Options

	handler  http.Handler
	listings listings
}

// New returns a server.
func New(o Options) *Server {
	if o.MaxPage <= 0 {
		o.MaxPage = defaultMaxPage
	}
	o.MaxPage = min(o.MaxPage, largestMaxPage)
	s := &Server{Options: o}
	desk := &receive.Desk{Authenticator: o.Authenticator, Log: o.Log, Refuse: refuse}
	s.handler = desk.Handler(s.routes())
	return s
}

// routes are all that the server answers, and who may call them. Which
// collections and objects a caller finds behind them is decided by what they
// call.
func (s *Server) routes() []receive.Route {
	readers, writers := receive.AtLeast(tocsin.Reader), receive.AtLeast(tocsin.Writer)
	const collection = "/{community}/collections/{collection}/"
	return []receive.Route{
		{Method: "GET", Path: "/taxii2/", May: receive.Anyone, Do: s.discovery},                                      // TAXII 2.1 §4.1
		{Method: "GET", Path: "/{community}/", May: readers, Do: s.apiRoot},                                          // §4.2
		{Method: "GET", Path: "/{community}/status/{id}/", May: readers, Do: s.status},                               // §4.3
		{Method: "GET", Path: "/{community}/collections/", May: readers, Do: s.collections},                          // §5.1
		{Method: "GET", Path: collection, May: readers, Do: s.collection},                                            // §5.2
		{Method: "GET", Path: collection + "manifest/", May: readers, Do: s.manifest, Bounds: true},                  // §5.3
		{Method: "GET", Path: collection + "objects/", May: readers, Do: s.objects, Bounds: true},                    // §5.4
		{Method: "POST", Path: collection + "objects/", May: writers, Do: s.addObjects},                              // §5.5
		{Method: "GET", Path: collection + "objects/{object}/", May: readers, Do: s.object, Bounds: true},            // §5.6
		{Method: "DELETE", Path: collection + "objects/{object}/", May: writers, Do: s.deleteObject},                 // §5.7
		{Method: "GET", Path: collection + "objects/{object}/versions/", May: readers, Do: s.versions, Bounds: true}, // §5.8
	}
}

// ServeHTTP answers a TAXII request; anything that is no TAXII path is not
// found.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// answer writes a resource.
func answer(w http.ResponseWriter, status int, resource any) error {
	text, err := json.Marshal(resource)
	if err != nil {
		return fmt.Errorf("marshal: %w", err)
	}
	return receive.AnswerOnce(w, status, mediaType, text)
}

// An errorResource is TAXII's error message (TAXII 2.1 §3.6.1).
type errorResource struct {
	Title       string            `json:"title"`
	Description string            `json:"description,omitempty"`
	ErrorID     string            `json:"error_id,omitempty"`
	HTTPStatus  string            `json:"http_status"`
	Details     map[string]string `json:"details,omitempty"`
}

// refuse writes a refusal. It is the one place where kinds become TAXII's
// statuses. Nothing that was submitted is in the answer.
func refuse(w http.ResponseWriter, _ *http.Request, refused receive.Refusal) {
	status := refused.Status()
	e := errorResource{Title: http.StatusText(status), ErrorID: refused.ID, HTTPStatus: strconv.Itoa(status)}
	if refused.ID != "" {
		e.Description = "internal error; the hub's operator finds the cause by the error's id"
	}
	if len(refused.Errors) > 0 {
		first := refused.Errors[0]
		e.Description = first.Message
		e.Details = map[string]string{}
		for name, text := range map[string]string{"at": first.At, "clause": first.Clause, "hint": first.Hint} {
			if text != "" {
				e.Details[name] = text
			}
		}
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	text, _ := json.Marshal(e) // strings always marshal
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that is gone by now needs none
}
