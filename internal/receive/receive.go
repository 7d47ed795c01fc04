// Package receive takes HTTP requests in, who asks, what they may call and how much they may send, and sends whole answers out.
package receive

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"tocsin"
	"tocsin/internal/coding"
)

// A Handler answers a request of a member. What it returns instead is turned
// into a refusal; after the first byte of an answer it is only logged.
type Handler func(w http.ResponseWriter, r *http.Request, who tocsin.Member) error

// A Rule says who may call a route: it is given the community that the path
// names, "" when it names none, and returns the refusal for anybody else.
type Rule func(who tocsin.Member, community string) error

// Anyone lets every member of anything call a route; the handler limits what
// they find there.
func Anyone(tocsin.Member, string) error { return nil }

// AtLeast lets those call a route who have a role in the path's community. Who
// has none learns nothing of it: the answer is the same whether it exists or
// not.
func AtLeast(role tocsin.Role) Rule {
	return func(who tocsin.Member, community string) error {
		switch has := who.Role(community); {
		case has == tocsin.Stranger:
			return notFound()
		case has < role:
			return &tocsin.Error{
				Kind: tocsin.Forbidden, Message: "this takes the role of " + role.String() + " in the community",
				Hint: "ask the community's operator for it",
			}
		}
		return nil
	}
}

func notFound() *tocsin.Error {
	return &tocsin.Error{Kind: tocsin.NotFound, Message: "there is nothing here for this token"}
}

// A Route is one entry of an API: what is called, who may call it, and what
// answers.
type Route struct {
	Method string // GET also answers HEAD
	Path   string // pattern of http.ServeMux that ends with "/"; the request may leave the last one out
	May    Rule
	Do     Handler
	Lasts  bool // a stream: it sets its own deadlines
	Bounds bool // it bounds its own work, so that no timer is started for an answer that takes no time
}

// A Refusal is why a request is not answered, as far as the caller may know.
type Refusal struct {
	Errors []*tocsin.Error // what the caller may read; none: an internal error
	ID     string          // names an internal error in the operator's log
	Allow  string          // the methods that the path has, when only the method is wrong
}

// An Authenticator knows whose secret it is.
type Authenticator interface {
	// Authenticate returns the member that a token stands for,
	// unauthenticated when it stands for nobody.
	Authenticate(ctx context.Context, secret string) (tocsin.Member, error)
}

// A Desk is where the requests of one API come in. All exported fields are
// required. It must not be copied.
type Desk struct {
	Authenticator Authenticator
	Log           *slog.Logger
	// Refuse writes a refusal in the API's own words, with its Status.
	Refuse func(w http.ResponseWriter, r *http.Request, refused Refusal)

	compressor coding.Compressor
}

// The time that a request may take. A body may come slowly; work may not.
const (
	workTime     = 30 * time.Second
	transferTime = 60 * time.Second
)

// Handler serves routes. A path answers with and without its last slash, since
// clients disagree, and never by a redirect: a POST would lose its body.
func (d *Desk) Handler(routes []Route) http.Handler {
	mux := http.NewServeMux()
	methods := map[string]map[string]Route{}
	for _, r := range routes {
		if methods[r.Path] == nil {
			methods[r.Path] = map[string]Route{}
			h := d.dispatch(methods[r.Path])
			mux.Handle(r.Path+"{$}", h)
			mux.Handle(strings.TrimSuffix(r.Path, "/"), h)
		}
		methods[r.Path][r.Method] = r
	}
	nowhere := d.member(func(http.ResponseWriter, *http.Request, tocsin.Member) error { return notFound() })
	mux.Handle("/", nowhere)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if plain(r.URL.EscapedPath()) {
			mux.ServeHTTP(w, r)
			return
		}
		nowhere(w, r) // ServeMux would redirect to the cleaned path
	})
}

// plain reports whether ServeMux takes the path as it is.
func plain(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.Contains(path, "//") && !strings.Contains(path+"/", "/./") && !strings.Contains(path+"/", "/../")
}

// dispatch picks the route by method.
func (d *Desk) dispatch(routes map[string]Route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet // net/http leaves the body out
		}
		route, ok := routes[method]
		d.member(func(w http.ResponseWriter, r *http.Request, who tocsin.Member) error {
			if !ok {
				return methodError{allow(routes)}
			}
			if err := route.May(who, r.PathValue("community")); err != nil {
				return err
			}
			if route.Lasts || route.Bounds {
				return route.Do(w, r, who)
			}
			ctx, cancel := context.WithTimeout(r.Context(), workTime+transferTime)
			defer cancel()
			return route.Do(w, r.WithContext(ctx), who)
		})(w, r)
	}
}

// A methodError says that a path exists, but not with that method.
type methodError struct{ allow string }

func (methodError) Error() string { return "this path does not take that method" }

func allow(routes map[string]Route) string {
	var methods []string
	for m := range routes {
		methods = append(methods, m)
		if m == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// member authenticates, calls h, refuses what h refused, and logs one event.
// Whoever is nobody gets the same answer on every path.
func (d *Desk) member(h Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		answer := &response{ResponseWriter: w, desk: d, request: r, reads: r.Method == http.MethodGet || r.Method == http.MethodHead}
		if r.Body != http.NoBody || r.ProtoMajor > 1 {
			defer deadlines(answer, began)()
		}
		header := w.Header()
		header["X-Content-Type-Options"] = []string{"nosniff"}
		header["Cache-Control"] = []string{"no-store"} // what is shared with one is not for a cache
		who, err := authenticate(r, d.Authenticator)
		if err == nil {
			err = h(answer, r, who)
		}
		var refused Refusal
		if err != nil {
			refused = refusal(err)
			if answer.status == 0 {
				if refused.Allow != "" {
					answer.Header().Set("Allow", refused.Allow)
				}
				if len(refused.Errors) > 0 && refused.Errors[0].Kind == tocsin.Unauthenticated {
					answer.Header().Add("WWW-Authenticate", `Basic realm="tocsin", charset="UTF-8"`)
					answer.Header().Add("WWW-Authenticate", `Bearer realm="tocsin"`)
				}
				d.Refuse(answer, r, refused)
			}
		}
		d.event(r, who, answer, refused, err, time.Since(began))
	}
}

// deadlines bounds how slowly a body may come and the answer to it may be taken.
// A request without a body needs none of its own: the server's write timeout
// bounds the answer. What it returns is called when the answer is written.
func deadlines(answer *response, began time.Time) func() {
	control := http.NewResponseController(answer)
	_ = control.SetReadDeadline(began.Add(transferTime)) // not every transport has deadlines
	_ = control.SetWriteDeadline(began.Add(workTime + transferTime))
	return func() { // net/http leaves the deadline for the connection's next request, which may not come here
		_ = control.Flush()
		_ = control.SetWriteDeadline(time.Time{})
	}
}

// event logs the request. Of a refusal it logs the message only, because the
// place may name properties that were submitted.
func (d *Desk) event(r *http.Request, who tocsin.Member, answer *response, refused Refusal, err error, took time.Duration) {
	level, cause := slog.LevelInfo, ""
	if refused.ID != "" {
		level = slog.LevelError
	}
	if !d.Log.Enabled(r.Context(), level) {
		return
	}
	if known := readable(err); len(known) > 0 {
		cause = known[0].Message
	} else if err != nil {
		cause = err.Error()
	}
	event := [...]slog.Attr{ // not pairs of any: each would be a piece of garbage, for every request
		slog.String("method", r.Method), slog.String("route", r.Pattern), slog.Int("status", answer.status),
		slog.Int64("bytes", answer.bytes), slog.Duration("took", took),
		slog.String("organization", who.Organization.Name), slog.String("user", who.User), slog.String("token", who.Token),
		slog.String("cause", cause), slog.String("error_id", refused.ID),
	}
	told := event[:len(event)-2]
	if err != nil {
		told = event[:len(event)-1]
	}
	if refused.ID != "" {
		told = event[:]
	}
	d.Log.LogAttrs(r.Context(), level, "request", told...)
}

// ErrGone says that the other side does not read any more. It is nobody's
// fault here.
var ErrGone = errors.New("the client is gone")

// A told error is one that the caller has been told of already.
type told struct {
	error

	refused Refusal
}

// Unwrap returns the error itself.
func (t told) Unwrap() error { return t.error }

// Tell is for a handler that has to tell of an error in the middle of an
// answer: it returns what the caller may know, and the error for the handler to
// return, so that the log has both under one id.
func Tell(err error) (Refusal, error) {
	refused := refusal(err)
	return refused, told{err, refused}
}

// refusal keeps of an error what the caller may know.
func refusal(err error) Refusal {
	if t, ok := errors.AsType[told](err); ok {
		return t.refused
	}
	if m, ok := errors.AsType[methodError](err); ok {
		return Refusal{Allow: m.allow}
	}
	if known := readable(err); len(known) > 0 {
		return Refusal{Errors: known}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, ErrGone) {
		return Refusal{Errors: []*tocsin.Error{{
			Kind: tocsin.Busy, Message: "the hub could not answer in time", Hint: "ask again; what was submitted twice is stored once",
		}}}
	}
	return Refusal{ID: rand.Text()}
}

// readable returns every error in the tree that a caller may read.
func readable(err error) []*tocsin.Error {
	if e, ok := err.(*tocsin.Error); ok { //nolint:errorlint // the tree is walked here
		return []*tocsin.Error{e}
	}
	switch e := err.(type) { //nolint:errorlint // the tree is walked here
	case interface{ Unwrap() error }:
		return readable(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []*tocsin.Error
		for _, inner := range e.Unwrap() {
			all = append(all, readable(inner)...)
		}
		return all
	}
	return nil
}

// A response remembers what was answered, for the log.
type response struct {
	http.ResponseWriter

	desk    *Desk
	request *http.Request
	reads   bool // GET or HEAD
	status  int
	bytes   int64
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err //nolint:wrapcheck // the writer's own error
}

// Unwrap lets http.ResponseController reach the connection.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
