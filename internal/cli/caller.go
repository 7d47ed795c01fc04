package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin"
	"tocsin/internal/outbound"
)

// hubFlags say which hub a command talks to, and as whom. A token is never a
// flag: other users of the machine can read those.
type hubFlags struct {
	hub       string
	tokenFile string
	purpose   string
	caFile    string
}

const defaultHub = "http://127.0.0.1:8080"

func (h *hubFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&h.hub, "hub", "", "address of the hub (TOCSIN_HUB; "+defaultHub+" without it)")
	c.Flags().StringVar(&h.tokenFile, "token-file", "", "file that holds your token (TOCSIN_TOKEN holds the token itself; else 'token' in the configuration folder)")
	c.Flags().StringVar(&h.caFile, "ca-file", "", "PEM file with a private authority that vouches for the hub")
}

// addPurpose is for commands that read: looking leaves a trace.
func (h *hubFlags) addPurpose(c *cobra.Command) {
	c.Flags().StringVar(&h.purpose, "purpose", "", "why you read: government readers must say so, unless their token does")
}

// A caller speaks to a hub's own API.
type caller struct {
	base    *url.URL
	token   string
	purpose string
	http    *http.Client
}

// connect finds out which hub is meant and with which token. It sends nothing.
func (a *app) connect(h hubFlags) (*caller, error) {
	address := h.hub
	if address == "" {
		address = orElse(a.Getenv("TOCSIN_HUB"), defaultHub)
	}
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, &failure{code: ExitUsage, what: "this is no address of a hub", where: address, next: "write it like https://hub.example.org"}
	}
	if base.Scheme == "http" && !loopback(base.Hostname()) {
		return nil, &failure{code: ExitUsage, what: "a token is not sent over a connection that others can read", where: address, next: "use https"}
	}
	token, err := a.findToken(h.tokenFile)
	if err != nil {
		return nil, err
	}
	door, err := outbound.New(outbound.Options{Only: base, CAFile: h.caFile, Timeout: callTime})
	if err != nil {
		return nil, fmt.Errorf("outbound: %w", err)
	}
	return &caller{base: base, token: token, purpose: h.purpose, http: door}, nil
}

// callTime bounds one call: 8 MiB over a slow line take a while.
const callTime = 5 * time.Minute

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// findToken returns the token of --token-file, of the environment, or of the
// file in the configuration folder.
func (a *app) findToken(file string) (string, error) {
	if file == "" {
		if token := a.Getenv("TOCSIN_TOKEN"); token != "" {
			return strings.TrimSpace(token), nil
		}
		dir, err := a.configDir("")
		if err == nil {
			file = filepath.Join(dir, "token")
			if _, err := os.Stat(file); err != nil {
				file = ""
			}
		}
	}
	if file == "" {
		return "", usage("a token is needed", "put it into a file and name that with --token-file, or set TOCSIN_TOKEN; the hub's operator makes tokens")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fileError(file, err)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().Perm()&0o077 != 0 {
		a.note("%s others on this machine can read %s; chmod 600 it", a.paint(a.StderrTerminal, yellow, "careful:"), safe(file))
	}
	return strings.TrimSpace(string(text)), nil
}

// configDir returns the folder of the user's own configuration.
func (a *app) configDir(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	dir, err := a.ConfigDir()
	if err != nil {
		return "", &failure{code: ExitUsage, what: "there is no folder for your configuration", next: "name one with --config-dir", err: err}
	}
	return filepath.Join(dir, "tocsin"), nil
}

// mostAnswer bounds what a hub may answer, in bytes.
const mostAnswer = 64 << 20

// A request is one call of the hub's API.
type request struct {
	method string
	path   string // below /api/v1/
	query  url.Values
	body   []byte
	kind   string // media type of the body
	again  bool   // repeating it does no harm, so it is repeated when the hub is busy
}

// mostTries is how often a call is made in all before it is given up.
const mostTries = 6

// call makes a call and decodes its answer, unless into is nil; a *[]byte takes
// the answer as it is.
func (h *caller) call(ctx context.Context, r request, into any) error {
	u := h.base.JoinPath("api", "v1", r.path)
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	if h.purpose != "" {
		req.Header.Set("Tocsin-Purpose", h.purpose)
	}
	if r.kind != "" {
		req.Header.Set("Content-Type", r.kind)
	}
	tries := 1
	if r.again {
		tries = mostTries
	}
	res, err := outbound.Do(h.http, req, tries)
	if err != nil {
		return h.unreachable(err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end, or given up
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return h.unreachable(outbound.Explain(err))
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return h.refusal(res.StatusCode, text)
	}
	switch to := into.(type) {
	case nil:
	case *[]byte:
		*to = text
	default:
		if err := json.Unmarshal(text, into); err != nil {
			return h.stranger("")
		}
	}
	return nil
}

// unreachable says which hub it was that did not answer.
func (h *caller) unreachable(err error) error {
	e, ok := errors.AsType[*tocsin.Error](err)
	if !ok { // the context's
		return err
	}
	return &failure{
		code: ExitFault, what: e.Message, where: h.base.String(),
		next: e.Hint + " --hub or TOCSIN_HUB names another; 'tocsin serve' runs one here",
	}
}

// stranger says that what answers is no hub.
func (h *caller) stranger(why string) error {
	return &failure{code: ExitFault, what: "this does not answer like a hub" + why, where: h.base.String(), next: "check the address"}
}

// A problem is the hub's refusal (RFC 9457).
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

// refusal turns an answer that is a refusal into errors.
func (h *caller) refusal(status int, text []byte) error {
	var p problem
	if err := json.Unmarshal(text, &p); err != nil || p.Title == "" {
		return h.stranger(": " + http.StatusText(status))
	}
	if p.ID != "" {
		return &failure{code: ExitFault, what: "the hub had an internal error", where: "error " + p.ID, next: "tell the hub's operator this id; the cause is in the hub's log"}
	}
	if len(p.Errors) == 0 {
		p.Errors = []problem{p}
	}
	var all []error
	for _, e := range p.Errors {
		all = append(all, &tocsin.Error{Kind: outbound.KindOf(cmp.Or(e.Status, status)), At: e.At, Clause: e.Clause, Message: orElse(e.Detail, e.Title), Hint: e.Hint})
	}
	return errors.Join(all...)
}

// me is who the hub takes the caller for.
type me struct {
	Organization struct {
		Name     string `json:"name"`
		Title    string `json:"title"`
		Kind     string `json:"kind"`
		Identity string `json:"identity"`
	} `json:"organization"`
	User        string `json:"user"`
	Operator    bool   `json:"operator"`
	Communities []struct {
		Name       string `json:"name"`
		Role       string `json:"role"`
		DefaultTLP string `json:"default_tlp"`
	} `json:"communities"`
}

func (h *caller) me(ctx context.Context) (me, error) {
	var m me
	err := h.call(ctx, request{method: http.MethodGet, path: "me/", again: true}, &m)
	return m, err
}
