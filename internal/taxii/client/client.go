// Package client reads and writes TAXII 2.1 collections on someone else's server.
package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"unicode"

	"github.com/go-json-experiment/json"

	"tocsin"
	"tocsin/internal/outbound"
	"tocsin/stix"
)

// mediaType is what is sent and asked for (TAXII 2.1 §1.6.8).
const mediaType = "application/taxii+json;version=2.1"

// tries is how often a call is made in all while the server is busy.
const tries = 5

// Credentials prove who calls: a token, or a user and a password.
type Credentials struct {
	Token          string // sent as a Bearer token (RFC 6750) when there is one
	User, Password string // else sent by HTTP Basic (RFC 7617), unless both are empty
}

// LogValue keeps secrets out of logs.
func (Credentials) LogValue() slog.Value { return slog.StringValue("credentials") }

// Options are what a client is made of.
type Options struct {
	URL         string       // the server, or its discovery: others are found from here
	HTTP        *http.Client // made by outbound.New
	Credentials Credentials
	Purpose     string // why it reads, for servers that are Tocsin hubs; "" when nothing is said
}

// A Client calls one TAXII server. It is safe for concurrent use.
type Client struct {
	base        *url.URL
	http        *http.Client
	credentials Credentials
	purpose     string
	old         atomic.Bool // the server speaks TAXII 2.0 and nothing newer
}

// New returns a client. It calls nobody yet.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.URL)
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "this is no address of a TAXII server", Hint: "write it like https://taxii.example.com/taxii2/"}
	}
	base.User, base.RawQuery, base.Fragment = nil, "", ""
	return &Client{base: base, http: o.HTTP, credentials: o.Credentials, purpose: o.Purpose}, nil
}

// A Discovery says which API roots a server has (TAXII 2.1 §4.1.1).
type Discovery struct {
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Default     string   `json:"default"`
	APIRoots    []string `json:"api_roots"` // absolute URLs, or paths on the server
}

// A Root is an API root (TAXII 2.1 §4.2.1).
type Root struct {
	Title            string   `json:"title"`
	Description      string   `json:"description"`
	Versions         []string `json:"versions"`
	MaxContentLength int64    `json:"max_content_length"` // the largest body that it takes, in bytes
}

// A Collection is TAXII 2.1 §5.2.1.
type Collection struct {
	ID          string   `json:"id"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Alias       string   `json:"alias"`
	CanRead     bool     `json:"can_read"`
	CanWrite    bool     `json:"can_write"`
	MediaTypes  []string `json:"media_types"`
}

// A Status is what became of a submission (TAXII 2.1 §4.3.1).
type Status struct {
	ID           string   `json:"id"`
	Status       string   `json:"status"` // "complete" or "pending"
	TotalCount   int      `json:"total_count"`
	SuccessCount int      `json:"success_count"`
	Successes    []Detail `json:"successes"`
	FailureCount int      `json:"failure_count"`
	Failures     []Detail `json:"failures"`
	PendingCount int      `json:"pending_count"`
	Pendings     []Detail `json:"pendings"`
}

// A Detail is what became of one object.
type Detail struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Message string `json:"message"`
}

// Discover asks which API roots there are. The client's URL may be that of the
// discovery or the server's own: then /taxii2/ is asked (TAXII 2.1 §4.1), and
// /taxii/ of an older server (TAXII 2.0 §4.1).
func (c *Client) Discover(ctx context.Context) (Discovery, error) {
	at := *c.base
	whole := strings.Trim(at.Path, "/") == ""
	if whole {
		at.Path = "/taxii2/"
	}
	var d Discovery
	err := c.resource(ctx, slashed(&at), &d)
	if e, ok := isError(err); ok && whole && (e.Kind == tocsin.NotFound || speaksOld(err)) {
		at.Path = "/taxii/"
		was := c.old.Swap(true)
		if c.resource(ctx, &at, &d) == nil {
			return d, nil
		}
		c.old.Store(was)
	}
	return d, err
}

// Root describes an API root, which is given as in [Discovery].
func (c *Client) Root(ctx context.Context, root string) (Root, error) {
	var r Root
	err := c.find(ctx, &r, root)
	return r, err
}

// Collections lists the collections of an API root.
func (c *Client) Collections(ctx context.Context, root string) ([]Collection, error) {
	var list struct {
		Collections []Collection `json:"collections"`
	}
	err := c.find(ctx, &list, root, "collections")
	return list.Collections, err
}

// Collection describes one collection, by id or alias.
func (c *Client) Collection(ctx context.Context, root, collection string) (Collection, error) {
	var found Collection
	err := c.find(ctx, &found, root, "collections", collection)
	return found, err
}

// Status asks what became of a submission.
func (c *Client) Status(ctx context.Context, root, id string) (Status, error) {
	var s Status
	err := c.find(ctx, &s, root, "status", id)
	return s, err
}

// Add submits objects, each as it is. The server's status may still be pending.
// Adding the same objects twice does no harm (TAXII 2.1 §5.5).
func (c *Client) Add(ctx context.Context, root, collection string, objects [][]byte) (Status, error) {
	at, err := c.resolve(root, "collections", collection, "objects")
	if err != nil {
		return Status{}, err
	}
	envelope := append([]byte(`{"objects":[`), bytes.Join(objects, []byte{','})...)
	envelope = append(envelope, `]}`...)
	if c.old.Load() {
		return Status{}, notWritten()
	}
	res, err := c.call(ctx, request{method: http.MethodPost, at: at, body: envelope, accept: mediaType})
	if err != nil {
		return Status{}, err
	}
	var s Status
	return s, decode(res, &s)
}

func (c *Client) find(ctx context.Context, into any, root string, elements ...string) error {
	at, err := c.resolve(root, elements...)
	if err != nil {
		return err
	}
	return c.resource(ctx, at, into)
}

func (c *Client) resource(ctx context.Context, at *url.URL, into any) error {
	kind := mediaType
	if c.old.Load() {
		kind = oldMediaType
	}
	res, err := c.call(ctx, request{method: http.MethodGet, at: at, accept: kind})
	if speaksOld(err) && c.older() {
		return c.resource(ctx, at, into)
	}
	if err != nil {
		return err
	}
	return decode(res, into)
}

// resolve returns the URL of a resource below an API root, which is absolute or
// a path on the server.
func (c *Client) resolve(root string, elements ...string) (*url.URL, error) {
	at, err := c.base.Parse(root)
	if err != nil {
		return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "this is no address of an API root", Hint: "take one that discovery names"}
	}
	for _, e := range elements {
		if e == "" || e == "." || e == ".." { // JoinPath would resolve them
			return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "an empty name stands for no collection, object or status"}
		}
		at = at.JoinPath(url.PathEscape(e))
	}
	return slashed(at), nil
}

// slashed makes a URL end as TAXII URLs do (TAXII 2.1 §1.6.5).
func slashed(at *url.URL) *url.URL {
	if strings.HasSuffix(at.Path, "/") {
		return at
	}
	return at.JoinPath("/")
}

// An answer is what a server said, read to its end.
type answer struct {
	status int
	header http.Header
	text   []byte
}

// A request is one call of the server.
type request struct {
	method string
	at     *url.URL
	body   []byte
	accept string
	items  string // Range, as TAXII 2.0 has it; "" for none
}

// call makes a call, patiently, and returns the answer if it is a good one.
func (c *Client) call(ctx context.Context, q request) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, q.method, q.at.String(), bytes.NewReader(q.body))
	if err != nil {
		return answer{}, fmt.Errorf("request: %w", err)
	}
	r.Header.Set("Accept", q.accept)
	if q.method == http.MethodPost {
		r.Header.Set("Content-Type", mediaType)
	}
	if q.items != "" {
		r.Header.Set("Range", q.items)
	}
	switch k := c.credentials; {
	case k.Token != "":
		r.Header.Set("Authorization", "Bearer "+k.Token)
	case k.User != "" || k.Password != "":
		r.SetBasicAuth(k.User, k.Password)
	}
	if c.purpose != "" {
		r.Header.Set("Tocsin-Purpose", c.purpose)
	}
	res, err := outbound.Do(c.http, r, tries)
	if err != nil {
		return answer{}, err //nolint:wrapcheck // it explains itself
	}
	defer func() { _ = res.Body.Close() }() // read to its end, or given up
	text, err := io.ReadAll(res.Body)
	if err != nil {
		if ctx.Err() != nil {
			return answer{}, ctx.Err() //nolint:wrapcheck // callers compare it
		}
		return answer{}, outbound.Explain(err)
	}
	beyond := q.items != "" && res.StatusCode == http.StatusRequestedRangeNotSatisfiable
	if (res.StatusCode < 200 || res.StatusCode > 299) && !beyond {
		return answer{}, refusal(res.StatusCode, text)
	}
	return answer{res.StatusCode, res.Header, text}, nil
}

// refusal is an error in the server's own words (TAXII 2.1 §3.6.1).
func refusal(status int, text []byte) *tocsin.Error {
	e := &tocsin.Error{Kind: outbound.KindOf(status), Message: "the server answered " + strconv.Itoa(status) + " " + http.StatusText(status)}
	if v, err := stix.Parse(text, stix.Limits{}); err == nil {
		for _, name := range []string{"title", "description"} {
			if said := printable(v.Get(name).Text()); said != "" {
				e.Message += ": " + said
			}
		}
	}
	switch e.Kind { //nolint:exhaustive // the others explain themselves
	case tocsin.Unauthenticated:
		e.Hint = "check the user and the password or token"
	case tocsin.NotFound:
		e.Hint = "check the address, the API root and the collection, and that you may read there"
	case tocsin.TooMany, tocsin.Busy:
		e.Hint = "try again later"
	}
	return e
}

// mostSaid bounds what is repeated of a server's words, in characters.
const mostSaid = 300

// printable makes a server's words fit to show: one line, nothing that moves a
// cursor, not too long.
func printable(s string) string {
	shown := make([]rune, 0, min(len(s), mostSaid))
	for _, r := range s {
		if len(shown) == mostSaid {
			return string(shown) + "…"
		}
		if unicode.IsSpace(r) {
			r = ' '
		}
		if unicode.IsPrint(r) {
			shown = append(shown, r)
		}
	}
	return strings.TrimSpace(string(shown))
}

func isError(err error) (*tocsin.Error, bool) { return errors.AsType[*tocsin.Error](err) }

func decode(a answer, into any) error {
	if err := json.Unmarshal(a.text, into); err != nil {
		return notTAXII()
	}
	return nil
}

func notTAXII() *tocsin.Error {
	return &tocsin.Error{Kind: tocsin.Invalid, Message: "the answer is not what a TAXII 2.1 server says", Hint: "check the address"}
}
