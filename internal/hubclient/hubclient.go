// Package hubclient calls a hub's own API, for the command line and the agent.
package hubclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"tocsin"
	"tocsin/internal/outbound"
	"tocsin/internal/taxii/client"
)

// tries is how often a call is made in all while the hub is busy.
const tries = 6

// Options are what a client is made of. All fields but Purpose are required.
type Options struct {
	URL     string       // the hub's address: scheme, host and port
	Token   string       // who calls
	Purpose string       // why it reads: government readers must say so, unless their token does
	HTTP    *http.Client // made by outbound.New with the hub's URL as Only
}

// A Client calls one hub with one token. It is safe for concurrent use. Its
// errors are for people: a [*tocsin.Error], several of them joined, or the
// context's.
type Client struct {
	base    *url.URL
	token   string
	purpose string
	http    *http.Client
	taxii   *client.Client
}

// New returns a client. It calls nobody yet.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "this is no address of a hub", Hint: "write it like https://hub.example.org"}
	}
	base = &url.URL{Scheme: base.Scheme, Host: base.Host}
	pages, err := client.New(client.Options{
		URL: base.String(), HTTP: o.HTTP, Purpose: o.Purpose, Credentials: client.Credentials{Token: o.Token},
	})
	if err != nil {
		return nil, fmt.Errorf("taxii: %w", err)
	}
	return &Client{base: base, token: o.Token, purpose: o.Purpose, http: o.HTTP, taxii: pages}, nil
}

// Host returns the host of the hub, without a port.
func (c *Client) Host() string { return c.base.Hostname() }

// Me says who the hub takes the caller for.
func (c *Client) Me(ctx context.Context) (Me, error) {
	var m Me
	return m, c.get(ctx, &m, nil, "me")
}

// Submit shares a STIX bundle, a TAXII envelope or an object with a collection,
// or only with the organizations that to names. When it returns, what it
// reports as stored is durable.
func (c *Client) Submit(ctx context.Context, community, collection string, text []byte, to []string) (Submission, error) {
	var made Submission
	err := c.call(ctx, request{
		method: http.MethodPost, path: []string{"communities", community, "collections", collection, "submissions"},
		query: url.Values{"to": to}, body: text, kind: "application/json",
	}, &made)
	return made, err
}

// SubmitAnonymous is [Client.Submit] of objects that do not say who made them: a
// community may have them wait, so that their time does not say so either.
func (c *Client) SubmitAnonymous(ctx context.Context, community, collection string, text []byte, to []string) (Submission, error) {
	var made Submission
	err := c.call(ctx, request{
		method: http.MethodPost, path: []string{"communities", community, "collections", collection, "submissions"},
		query: url.Values{"to": to, "anonymous": {"1"}}, body: text, kind: "application/json",
	}, &made)
	return made, err
}

// Submission returns what became of a submission; its findings are told once,
// by Submit.
func (c *Client) Submission(ctx context.Context, id string) (Submission, error) {
	var made Submission
	return made, c.get(ctx, &made, nil, "submissions", id)
}

// Receipt returns the receipt of a submission, a C2SP tlog-proof.
func (c *Client) Receipt(ctx context.Context, submission string) ([]byte, error) {
	var text []byte
	return text, c.get(ctx, &text, nil, "submissions", submission, "receipt")
}

// Sightings says who saw an object, as far as the caller may know.
func (c *Client) Sightings(ctx context.Context, community, collection, id string) (Sightings, error) {
	var s Sightings
	return s, c.get(ctx, &s, nil, "communities", community, "collections", collection, "objects", id, "sightings")
}

// Confirm tells the hub what is in force at an agent.
func (c *Client) Confirm(ctx context.Context, community, collection string, what Confirmation) error {
	body, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("confirmation: %w", err)
	}
	return c.call(ctx, request{
		method: http.MethodPost, path: []string{"communities", community, "collections", collection, "deployments"}, body: body, kind: "application/json", once: true,
	}, nil)
}

// Deployment says how far an object has come that the caller shared, or
// moderates.
func (c *Client) Deployment(ctx context.Context, community, collection, id string) (Deployment, error) {
	var d Deployment
	return d, c.get(ctx, &d, nil, "communities", community, "collections", collection, "objects", id, "deployment")
}

// Audience says who would see an object that carries a TLP label, "" for none,
// and is addressed to the organizations that to names, or to all.
func (c *Client) Audience(ctx context.Context, community, label string, to []string) (Audience, error) {
	query := url.Values{"to": to}
	if label != "" {
		query.Set("tlp", label)
	}
	var a Audience
	return a, c.get(ctx, &a, query, "communities", community, "audience")
}

// Audiences says who would see objects that are marked so, with these
// marking-definitions, addressed to the organizations that to names, or to all.
func (c *Client) Audiences(ctx context.Context, community string, questions []Question, definitions [][]byte, to []string) ([]Sight, error) {
	type body struct {
		To          []string         `json:"to,omitempty"`
		Definitions []jsontext.Value `json:"definitions,omitempty"`
		Labels      []Question       `json:"labels"`
	}
	b := body{To: to, Labels: questions}
	for _, d := range definitions {
		b.Definitions = append(b.Definitions, d)
	}
	text, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("audiences: %w", err)
	}
	var seen struct {
		Audiences []Sight `json:"audiences"`
	}
	err = c.call(ctx, request{method: http.MethodPost, path: []string{"communities", community, "audience"}, body: text, kind: "application/json"}, &seen)
	return seen.Audiences, err
}

// Rules returns what the privacy gate of a community goes by.
func (c *Client) Rules(ctx context.Context, community string) (Rules, error) {
	var r Rules
	return r, c.get(ctx, &r, nil, "communities", community, "rules")
}

// Disclosures lists what institutions read in a community, oldest first, from a
// record's number on.
func (c *Client) Disclosures(ctx context.Context, community string, from int64) (Disclosures, error) {
	var d Disclosures
	return d, c.get(ctx, &d, url.Values{"from": {strconv.FormatInt(from, 10)}}, "communities", community, "disclosures")
}

// RecordReceipt returns the receipt of a disclosure, a C2SP tlog-proof.
func (c *Client) RecordReceipt(ctx context.Context, leaf int64) ([]byte, error) {
	var text []byte
	return text, c.get(ctx, &text, nil, "records", strconv.FormatInt(leaf, 10), "receipt")
}

// Reviews lists what waits for review in a community, or what has ended, after
// a number; values are left out.
func (c *Client) Reviews(ctx context.Context, community string, ended bool, after int64) (Reviews, error) {
	query := url.Values{"after": {strconv.FormatInt(after, 10)}}
	if ended {
		query.Set("ended", "1")
	}
	var r Reviews
	return r, c.get(ctx, &r, query, "communities", community, "reviews")
}

// Review returns a review with its value. The hub puts on record that the
// caller looked at it.
func (c *Client) Review(ctx context.Context, community, id string) (Review, error) {
	var r Review
	return r, c.get(ctx, &r, nil, "communities", community, "reviews", id)
}

// Decide decides on reviews, all of them or none.
func (c *Client) Decide(ctx context.Context, community string, decisions []Decision) ([]Review, error) {
	body, err := json.Marshal(map[string]any{"decisions": decisions})
	if err != nil {
		return nil, fmt.Errorf("decisions: %w", err)
	}
	var r Reviews
	err = c.call(ctx, request{method: http.MethodPost, path: []string{"communities", community, "reviews"}, body: body, kind: "application/json", once: true}, &r)
	return r.Reviews, err
}

// Recall withdraws all versions of objects from everywhere on the hub where the
// caller may.
func (c *Client) Recall(ctx context.Context, ids []string, reason string) ([]Recalled, error) {
	body, err := json.Marshal(map[string]any{"ids": ids, "reason": reason})
	if err != nil {
		return nil, fmt.Errorf("recall: %w", err)
	}
	var r struct {
		Recalled []Recalled `json:"recalled"`
	}
	err = c.call(ctx, request{method: http.MethodPost, path: []string{"recalls"}, body: body, kind: "application/json"}, &r)
	return r.Recalled, err
}

// Erase looks for a value in the next part of all that the hub keeps, after a
// position, and erases what holds it when erase is set.
func (c *Client) Erase(ctx context.Context, value, reason string, after int64, erase bool) (Erasure, error) {
	body, err := json.Marshal(map[string]any{"value": value, "reason": reason, "after": after, "erase": erase})
	if err != nil {
		return Erasure{}, fmt.Errorf("erase: %w", err)
	}
	var r Erasure
	return r, c.call(ctx, request{method: http.MethodPost, path: []string{"erasures"}, body: body, kind: "application/json"}, &r)
}

// WithdrawalReceipt returns the receipt of a withdrawal, a C2SP tlog-proof.
func (c *Client) WithdrawalReceipt(ctx context.Context, record int64) ([]byte, error) {
	var text []byte
	return text, c.get(ctx, &text, nil, "withdrawals", strconv.FormatInt(record, 10), "receipt")
}

// Network returns the hub's directory as a JSON document, as far as the caller
// may know it.
func (c *Client) Network(ctx context.Context) ([]byte, error) {
	var text []byte
	return text, c.get(ctx, &text, nil, "network")
}

// ApplyNetwork makes the hub's directory hold what a document in YAML or JSON
// says, all of it or nothing. With plan it only says what it would do.
func (c *Client) ApplyNetwork(ctx context.Context, document []byte, plan bool) (Applied, error) {
	query := url.Values{}
	if plan {
		query.Set("plan", "1")
	}
	var a Applied
	err := c.call(ctx, request{method: http.MethodPost, path: []string{"network"}, query: query, body: document, kind: "application/yaml"}, &a)
	return a, err
}

// RevokeToken ends a token at once, by its public id.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.call(ctx, request{method: http.MethodDelete, path: []string{"tokens", id}}, nil)
}

// Objects reads a collection by TAXII, see [client.Client.Objects].
func (c *Client) Objects(ctx context.Context, community, collection string, q client.Query) iter.Seq2[client.Page, error] {
	return c.taxii.Objects(ctx, "/"+url.PathEscape(community)+"/", collection, q)
}

// Manifest reads which objects a collection has, see [client.Client.Manifest].
func (c *Client) Manifest(ctx context.Context, community, collection string, q client.Query) iter.Seq2[client.Page, error] {
	return c.taxii.Manifest(ctx, "/"+url.PathEscape(community)+"/", collection, q)
}

// A request is one call of the API.
type request struct {
	method string
	path   []string // below /api/v1/
	query  url.Values
	header http.Header
	body   []byte
	kind   string // media type of the body
	accept string
	once   bool // whoever calls tries again
}

func (c *Client) get(ctx context.Context, into any, query url.Values, path ...string) error {
	return c.call(ctx, request{method: http.MethodGet, path: path, query: query}, into)
}

// call makes a call and decodes its answer; a *[]byte takes it as it is, nil
// takes none.
func (c *Client) call(ctx context.Context, r request, into any) error {
	r.accept = "application/json"
	raw, wantsText := into.(*[]byte)
	if wantsText {
		r.accept = "text/plain, application/json"
	}
	res, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }() // read to its end, or given up
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return broken(ctx, err)
	}
	switch {
	case wantsText:
		*raw = text
	case into != nil:
		if err := json.Unmarshal(text, into); err != nil {
			return notAHub()
		}
	}
	return nil
}

// send makes a call and returns the answer if it is a good one.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	at := c.base.JoinPath("api", "v1")
	for _, e := range r.path {
		if e == "" || e == "." || e == ".." { // JoinPath would resolve them
			return nil, &tocsin.Error{Kind: tocsin.NotFound, Message: "an empty name stands for nothing on the hub"}
		}
		at = at.JoinPath(url.PathEscape(e))
	}
	at.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, at.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	maps.Copy(req.Header, r.header)
	req.Header.Set("Accept", r.accept)
	req.Header.Set("Authorization", "Bearer "+c.token)
	if c.purpose != "" {
		req.Header.Set("Tocsin-Purpose", c.purpose)
	}
	if r.kind != "" {
		req.Header.Set("Content-Type", r.kind)
	}
	most := tries
	if r.once {
		most = 1
	}
	res, err := outbound.Do(c.http, req, most)
	if err != nil {
		return nil, err //nolint:wrapcheck // it explains itself
	}
	if res.StatusCode >= 200 && res.StatusCode <= 299 {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }() // read to its end, or given up
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, broken(ctx, err)
	}
	return nil, refusal(res.StatusCode, text)
}

func broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() //nolint:wrapcheck // callers compare it
	}
	return outbound.Explain(err)
}

func notAHub() *tocsin.Error {
	return &tocsin.Error{Kind: tocsin.Invalid, Message: "the answer is not what a Tocsin hub says", Hint: "check the address, and that both sides have the same version"}
}

// A problem is a refusal as the hub writes it (RFC 9457).
type problem struct {
	Title  string    `json:"title"`
	Status int       `json:"status"`
	Detail string    `json:"detail"`
	At     string    `json:"at"`
	Clause string    `json:"clause"`
	Hint   string    `json:"hint"`
	ID     string    `json:"error_id"`
	Errors []problem `json:"errors"`
}

// refusal turns what the hub says into errors.
func refusal(status int, text []byte) error {
	var p problem
	if err := json.Unmarshal(text, &p); err != nil || p.Title == "" {
		return &tocsin.Error{
			Kind: outbound.KindOf(status), Message: "the answer was " + strconv.Itoa(status) + " " + http.StatusText(status) + ", not in the words of a hub",
			Hint: "check the address",
		}
	}
	if len(p.Errors) == 0 {
		return p.error(status)
	}
	var all []error
	for _, e := range p.Errors {
		all = append(all, e.error(status))
	}
	return errors.Join(all...)
}

func (p problem) error(status int) *tocsin.Error {
	if p.Status != 0 {
		status = p.Status
	}
	e := &tocsin.Error{Kind: outbound.KindOf(status), At: printable(p.At), Clause: printable(p.Clause), Message: printable(p.Detail), Hint: printable(p.Hint)}
	if e.Message == "" {
		e.Message = printable(p.Title)
	}
	if p.ID != "" {
		e.Message, e.Hint = "the hub had an internal error", "tell the hub's operator its id, which is in the hub's log: "+printable(p.ID)
	}
	return e
}

// mostSaid bounds what is repeated of the hub's words, in characters.
const mostSaid = 1000

// printable keeps what moves cursors out of words that are shown to people.
func printable(s string) string {
	shown := make([]rune, 0, min(len(s), mostSaid))
	for _, r := range s {
		if unicode.IsPrint(r) && len(shown) < mostSaid {
			shown = append(shown, r)
		}
	}
	return strings.TrimSpace(string(shown))
}
