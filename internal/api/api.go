// Package api serves what TAXII has no words for: submissions with receipts, streams, sightings and the directory.
package api

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/cursor"
	"tocsin/internal/deploy"
	"tocsin/internal/distribute"
	"tocsin/internal/member"
	"tocsin/internal/prove"
	"tocsin/internal/receive"
	"tocsin/internal/submit"
	"tocsin/internal/view"
	"tocsin/internal/withdraw"
	"tocsin/receipt"
)

// A Directory knows communities and collections, as far as a member may.
type Directory interface {
	// Communities returns the communities in which the member has a part.
	Communities(who tocsin.Member) []member.Community
	// Community returns one of them, not found for any other.
	Community(who tocsin.Member, name string) (member.Community, error)
	// Collection returns a collection of a community by id or alias.
	Collection(who tocsin.Member, community, idOrAlias string) (member.Collection, error)
	// Members returns who has a part in a community; it does not ask who asks.
	Members(community string) []member.Membership
	// Hides reports whether members do not see each other's names.
	Hides(community string) bool
}

// An Administrator changes the directory for those who may.
type Administrator interface {
	// Apply makes the directory hold what a document says, all of it or nothing.
	Apply(ctx context.Context, who tocsin.Member, n member.Network) (member.Applied, error)
	// Plan says what Apply would do.
	Plan(who tocsin.Member, n member.Network) (member.Applied, error)
	// Describe returns the directory as far as who asks may know it.
	Describe(who tocsin.Member) member.Network
	// RevokeToken ends a token at once.
	RevokeToken(ctx context.Context, who tocsin.Member, id string) error
}

// A Feed reads objects for members.
type Feed interface {
	Sightings(ctx context.Context, who tocsin.Member, community, collection, id string) ([]view.Object, error)
	Head(who tocsin.Member, community, collection string) (int64, error)
	Follow(ctx context.Context, who tocsin.Member, community, collection string, after int64, interval time.Duration) iter.Seq2[distribute.News, error]
}

// A Submitter takes submissions.
type Submitter interface {
	Submit(ctx context.Context, who tocsin.Member, to authorize.Target, text []byte) (submit.Outcome, error)
	// Rules returns the rules of the privacy gate of a community, and their hash.
	Rules(community string) (text []byte, hash string)
	// Window returns when what is shared anonymously now becomes visible; zero: at once.
	Window(community string, now time.Time) time.Time
}

// A Prover gives members the records that concern them.
type Prover interface {
	Submission(ctx context.Context, who tocsin.Member, id string) (prove.Submission, error)
	SubmissionReceipt(ctx context.Context, who tocsin.Member, id string) (receipt.Proof, error)
	Disclosures(ctx context.Context, who tocsin.Member, community string, from int64, most int) (found []prove.Disclosure, next int64, more bool, err error)
	DisclosureReceipt(ctx context.Context, who tocsin.Member, leaf int64) (receipt.Proof, error)
	WithdrawalReceipt(ctx context.Context, who tocsin.Member, leaf int64) (receipt.Proof, error)
}

// A Withdrawer takes back what was shared.
type Withdrawer interface {
	// Recall withdraws objects from everywhere, for their owner and for curators.
	Recall(ctx context.Context, who tocsin.Member, ids []string, reason string) ([]withdraw.Recall, error)
}

// A Deployer takes in what agents have in force, and tells producers.
type Deployer interface {
	Confirm(ctx context.Context, who tocsin.Member, r deploy.Report) error
	Funnel(ctx context.Context, who tocsin.Member, community, collection, id string) (deploy.Funnel, error)
}

// Options are what a server is made of. Zero limits mean the defaults; all else is required.
type Options struct {
	Authenticator receive.Authenticator
	Directory     Directory
	Administrator Administrator
	Registry      Registry
	Admissions    Admissions
	Confirmer     Confirmer
	Feed          Feed
	Policy        *authorize.Policy
	Submitter     Submitter
	Prover        Prover
	Reviewer      Reviewer
	Withdrawer    Withdrawer
	Lists         Lists
	Deployer      Deployer
	Eraser        Eraser
	Cursors       *cursor.Sealer
	Intake        *receive.Intake
	URL           *url.URL // how others reach the hub: scheme and host
	Log           *slog.Logger

	Streams         int // the most that are open at the same time; 10,000
	StreamsPerToken int // of those, for one token; 5,000
}

// A Server answers requests below /api/v1/. It is safe for concurrent use.
type Server struct {
	Options

	handler http.Handler
	crowd   *crowd
	pieces  sync.Pool // see events
}

// New returns a server.
func New(o Options) *Server {
	s := &Server{Options: o, crowd: newCrowd(o.Streams, o.StreamsPerToken)}
	desk := &receive.Desk{Authenticator: o.Authenticator, Log: o.Log, Refuse: refuse}
	s.handler = desk.Handler(s.routes())
	return s
}

// routes are all that the server answers, and who may call them. Where it is
// anyone, the caller finds only what is theirs.
func (s *Server) routes() []receive.Route {
	readers, writers := receive.AtLeast(tocsin.Reader), receive.AtLeast(tocsin.Writer)
	const (
		v1         = "/api/v1/"
		community  = v1 + "communities/{community}/"
		collection = community + "collections/{collection}/"
	)
	return []receive.Route{
		{Method: "GET", Path: v1 + "me/", May: receive.Anyone, Do: s.me},
		{Method: "POST", Path: collection + "submissions/", May: writers, Do: s.submit},
		{Method: "GET", Path: v1 + "markings/", May: receive.Anyone, Do: s.markings},
		{Method: "GET", Path: v1 + "submissions/{id}/", May: receive.Anyone, Do: s.submission},
		{Method: "GET", Path: v1 + "submissions/{id}/receipt/", May: receive.Anyone, Do: s.submissionReceipt},
		{Method: "GET", Path: collection + "stream/", May: readers, Do: s.stream, Lasts: true},
		{Method: "GET", Path: collection + "lists/{format}/", May: readers, Do: s.list},
		{Method: "GET", Path: collection + "objects/{object}/sightings/", May: readers, Do: s.sightings},
		{Method: "POST", Path: collection + "deployments/", May: readers, Do: s.confirmDeployment},
		// Who did not share the object does not learn that there is one.
		{Method: "GET", Path: collection + "objects/{object}/deployment/", May: readers, Do: s.deployment},
		{Method: "GET", Path: community + "audience/", May: writers, Do: s.audience},
		{Method: "POST", Path: community + "audience/", May: writers, Do: s.audiences},
		{Method: "GET", Path: community + "rules/", May: readers, Do: s.rules},
		{Method: "POST", Path: v1 + "recalls/", May: receive.Anyone, Do: s.recall},
		{Method: "POST", Path: v1 + "erasures/", May: hubOperators, Do: s.erase},
		{Method: "GET", Path: v1 + "withdrawals/{leaf}/receipt/", May: receive.Anyone, Do: s.withdrawalReceipt},
		// Whether there is a queue is the curators' business; to others it is not found.
		{Method: "GET", Path: community + "reviews/", May: receive.Anyone, Do: s.reviews},
		{Method: "POST", Path: community + "reviews/", May: receive.Anyone, Do: s.decide},
		{Method: "GET", Path: community + "reviews/{review}/", May: receive.Anyone, Do: s.review},
		{Method: "GET", Path: community + "disclosures/", May: readers, Do: s.disclosures},
		{Method: "GET", Path: v1 + "records/{leaf}/receipt/", May: receive.Anyone, Do: s.disclosureReceipt},
		{Method: "GET", Path: v1 + "communities/", May: receive.Anyone, Do: s.communities},
		{Method: "GET", Path: community, May: receive.Anyone, Do: s.community}, // public, or the caller's own
		{Method: "GET", Path: community + "agreements/{sha256}/", May: receive.Anyone, Do: s.agreement},
		{Method: "PUT", Path: community + "agreements/{sha256}/acceptance/", May: readers, Do: s.acceptAgreement},
		{Method: "GET", Path: community + "members/", May: receive.Anyone, Do: s.roster},
		{Method: "GET", Path: community + "applications/", May: receive.Anyone, Do: s.applications},
		{Method: "POST", Path: community + "applications/", May: receive.Anyone, Do: s.requestMembership},
		{Method: "POST", Path: community + "applications/{organization}/sponsors/", May: readers, Do: s.vouch},
		{Method: "POST", Path: community + "applications/{organization}/decision/", May: receive.Anyone, Do: s.decideApplication},
		{Method: "DELETE", Path: community + "membership/", May: receive.Anyone, Do: s.leave},
		{Method: "GET", Path: v1 + "network/", May: receive.Anyone, Do: s.network},
		{Method: "POST", Path: v1 + "network/", May: operators, Do: s.applyNetwork},
		{Method: "GET", Path: v1 + "proposals/", May: receive.Anyone, Do: s.proposals},
		{Method: "POST", Path: v1 + "proposals/{id}/", May: receive.Anyone, Do: s.settle},
		{Method: "DELETE", Path: v1 + "tokens/{id}/", May: receive.Anyone, Do: s.revokeToken},
	}
}

// operators lets those call a route who operate the hub or any community. What
// each of them may change is decided by the directory.
func operators(who tocsin.Member, _ string) error {
	if who.Operator {
		return nil
	}
	for _, role := range who.Roles {
		if role >= tocsin.Operator {
			return nil
		}
	}
	return &tocsin.Error{Kind: tocsin.Forbidden, Message: "this takes an operator's token", Hint: "ask the hub's operator"}
}

// ServeHTTP answers a request; anything that is no path of the API is not
// found.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// jsonType is the media type of answers that are not receipts or streams.
func jsonType() receive.MediaType { return receive.MediaType{Name: "application/json"} }

// answer writes a resource as JSON.
func answer(w http.ResponseWriter, status int, resource any) error {
	text, err := json.Marshal(resource)
	if err != nil {
		return fmt.Errorf("marshal: %w", err)
	}
	return receive.AnswerOnce(w, status, "application/json", text)
}

// write sends an answer in one piece. A client that is gone by now needs none.
func write(w http.ResponseWriter, status int, mediaType string, text []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) //nolint:gosec // no page: JSON or a proof, which no browser may take for anything else (nosniff)
}

// link returns the public URL of a path of the API.
func (s *Server) link(elements ...string) string {
	return s.URL.JoinPath(append([]string{"api", "v1"}, elements...)...).String()
}

// A meResource says who the hub takes the caller for.
type meResource struct {
	Organization organizationResource `json:"organization"`
	User         string               `json:"user"`
	Token        string               `json:"token"` // its public id
	Purpose      string               `json:"purpose,omitempty"`
	Operator     bool                 `json:"operator"` // of the hub
	Communities  []communityResource  `json:"communities"`
}

type organizationResource struct {
	Name     string `json:"name"`
	Title    string `json:"title"`
	Kind     string `json:"kind,omitempty"`
	Identity string `json:"identity,omitempty"` // id of its STIX identity
}

type communityResource struct {
	Name       string `json:"name"`
	Title      string `json:"title"`
	Role       string `json:"role"`
	DefaultTLP string `json:"default_tlp"` // what an unmarked object is taken for
	TAXII      string `json:"taxii"`       // URL of the API root
}

func (s *Server) me(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
	if err := receive.Accepts(r, jsonType()); err != nil {
		return err
	}
	o := who.Organization
	me := meResource{
		Organization: organizationResource{Name: o.Name, Title: o.Title, Kind: o.Kind, Identity: o.Identity},
		User:         who.User, Token: who.Token, Purpose: who.Purpose, Operator: who.Operator, Communities: []communityResource{},
	}
	for _, c := range s.Directory.Communities(who) {
		me.Communities = append(me.Communities, communityResource{
			Name: c.Name, Title: c.Title, Role: who.Role(c.Name).String(), DefaultTLP: c.Default.String(),
			TAXII: s.URL.JoinPath(c.Name, "/").String(),
		})
	}
	return answer(w, http.StatusOK, me)
}
