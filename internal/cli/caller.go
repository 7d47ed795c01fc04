package cli

import (
	"bytes"
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
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin"
)

// hubFlags say which hub a command talks to, and as whom. A token is never a
// flag: other users of the machine can read those.
type hubFlags struct {
	hub       string
	tokenFile string
	purpose   string
}

const defaultHub = "http://127.0.0.1:8080"

func (h *hubFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&h.hub, "hub", "", "address of the hub (TOCSIN_HUB; "+defaultHub+" without it)")
	c.Flags().StringVar(&h.tokenFile, "token-file", "", "file that holds your token (TOCSIN_TOKEN holds the token itself; else 'token' in the configuration folder)")
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
	return &caller{base: base, token: token, purpose: h.purpose, http: &http.Client{CheckRedirect: noRedirect}}, nil
}

// noRedirect keeps the token from being sent to where a hub points.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

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
	for try := 1; ; try++ {
		wait, err := h.once(ctx, r, into)
		if err == nil || !r.again || wait == 0 || try == mostTries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait * time.Duration(try)):
		}
	}
}

// once makes a call. When trying again may help, wait says when.
func (h *caller) once(ctx context.Context, r request, into any) (wait time.Duration, err error) {
	u := h.base.JoinPath("api", "v1", r.path)
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return 0, fmt.Errorf("request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+h.token)
	if h.purpose != "" {
		req.Header.Set("Tocsin-Purpose", h.purpose)
	}
	if r.kind != "" {
		req.Header.Set("Content-Type", r.kind)
	}
	res, err := h.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return time.Second, h.unreachable(err)
	}
	defer func() { _ = res.Body.Close() }() // read to its end, or given up
	text, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer+1))
	if err != nil || len(text) > mostAnswer {
		return time.Second, &failure{code: ExitFault, what: "the hub's answer broke off", where: h.base.String(), err: err}
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return retryAfter(res), h.refusal(res.StatusCode, text)
	}
	if raw, ok := into.(*[]byte); ok {
		*raw = text
		return 0, nil
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			return 0, &failure{code: ExitFault, what: "this does not answer like a hub", where: h.base.String(), next: "check the address"}
		}
	}
	return 0, nil
}

func (h *caller) unreachable(err error) error {
	cause := err
	if u, ok := errors.AsType[*url.Error](err); ok {
		cause = u.Err
	}
	return &failure{
		code: ExitFault, what: "the hub cannot be reached", where: h.base.String(),
		next: "is it running, and is this its address? --hub or TOCSIN_HUB names another; 'tocsin serve' runs one here", err: cause,
	}
}

// retryAfter returns when the hub wants to be asked again; 0 when that would
// not help.
func retryAfter(res *http.Response) time.Duration {
	if res.StatusCode != http.StatusTooManyRequests && res.StatusCode < http.StatusInternalServerError {
		return 0
	}
	if s, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && s >= 0 && s <= 60 {
		return max(time.Duration(s)*time.Second, 100*time.Millisecond)
	}
	return time.Second
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
		return &failure{code: ExitFault, what: "this does not answer like a hub: " + http.StatusText(status), where: h.base.String(), next: "check the address"}
	}
	if p.ID != "" {
		return &failure{code: ExitFault, what: "the hub had an internal error", where: "error " + p.ID, next: "tell the hub's operator this id; the cause is in the hub's log"}
	}
	if len(p.Errors) == 0 {
		p.Errors = []problem{p}
	}
	var all []error
	for _, e := range p.Errors {
		all = append(all, &tocsin.Error{Kind: kindOf(orStatus(e.Status, status)), At: e.At, Clause: e.Clause, Message: orElse(e.Detail, e.Title), Hint: e.Hint})
	}
	return errors.Join(all...)
}

func orStatus(status, otherwise int) int {
	if status == 0 {
		return otherwise
	}
	return status
}

// kindOf is the kind of refusal that a status stands for.
func kindOf(status int) tocsin.Kind {
	switch status {
	case http.StatusUnauthorized:
		return tocsin.Unauthenticated
	case http.StatusForbidden:
		return tocsin.Forbidden
	case http.StatusNotFound:
		return tocsin.NotFound
	case http.StatusConflict:
		return tocsin.Conflict
	case http.StatusRequestEntityTooLarge:
		return tocsin.TooLarge
	case http.StatusUnprocessableEntity:
		return tocsin.Invalid
	case http.StatusTooManyRequests:
		return tocsin.TooMany
	}
	if status >= http.StatusInternalServerError {
		return tocsin.Busy
	}
	return tocsin.Malformed
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
