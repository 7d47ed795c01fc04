package receive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"tocsin"
)

// door knows one member by the secret "letmein".
type door struct{}

func (door) Authenticate(_ context.Context, secret string) (tocsin.Member, error) {
	if secret != "letmein" {
		return tocsin.Member{}, &tocsin.Error{Kind: tocsin.Unauthenticated, Message: "no"}
	}
	return member("acme"), nil
}

func member(organization string) tocsin.Member {
	return tocsin.Member{
		Organization: tocsin.Organization{Name: organization}, User: "u", Token: "t1",
		Roles: map[string]tocsin.Role{"finance": tocsin.Writer},
	}
}

// desk refuses with the kind's number, to keep the statuses of the APIs out of
// these tests.
func desk(log io.Writer) *Desk {
	return &Desk{
		Authenticator: door{}, Log: slog.New(slog.NewTextHandler(log, nil)),
		Refuse: func(w http.ResponseWriter, _ *http.Request, refused Refusal) {
			switch {
			case refused.Allow != "":
				w.WriteHeader(http.StatusMethodNotAllowed)
			case refused.ID != "":
				w.WriteHeader(http.StatusInternalServerError)
			default:
				w.WriteHeader(600 + int(refused.Errors[0].Kind))
			}
		},
	}
}

func says(text string) Handler {
	return func(w http.ResponseWriter, r *http.Request, _ tocsin.Member) error {
		_, err := io.WriteString(w, text+r.PathValue("community"))
		return err
	}
}

func ask(t testing.TB, h http.Handler, method, target, secret string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRoutesAreFoundWithAndWithoutTheLastSlash(t *testing.T) {
	h := desk(io.Discard).Handler([]Route{
		{Method: "GET", Path: "/{community}/things/", May: AtLeast(tocsin.Reader), Do: says("things of ")},
		{Method: "POST", Path: "/{community}/things/", May: AtLeast(tocsin.Curator), Do: says("made for ")},
		{Method: "GET", Path: "/about/", May: Anyone, Do: says("about")},
	})
	const nobody, forbidden, missing = 600 + int(tocsin.Unauthenticated), 600 + int(tocsin.Forbidden), 600 + int(tocsin.NotFound)
	for name, tt := range map[string]struct {
		method, target, secret string
		want                   int
		body                   string
	}{
		"with":                  {"GET", "/finance/things/", "letmein", 200, "things of finance"},
		"without":               {"GET", "/finance/things", "letmein", 200, "things of finance"},
		"head":                  {"HEAD", "/finance/things", "letmein", 200, "things of finance"},
		"post is not enough":    {"POST", "/finance/things", "letmein", forbidden, ""},
		"other community":       {"GET", "/energy/things", "letmein", missing, ""},
		"other community, post": {"POST", "/energy/things", "letmein", missing, ""},
		"no rule":               {"GET", "/about/", "letmein", 200, "about"},
		"nobody":                {"GET", "/about/", "", nobody, ""},
		"nobody, nowhere":       {"GET", "/nowhere/", "", nobody, ""},
		"wrong secret":          {"GET", "/about/", "wrong", nobody, ""},
		"nowhere":               {"GET", "/nowhere/", "letmein", missing, ""},
		"below":                 {"GET", "/about/more", "letmein", missing, ""},
		"two slashes":           {"GET", "/about//", "letmein", missing, ""},
		"dots":                  {"GET", "/x/../about/", "letmein", missing, ""},
		"wrong method":          {"DELETE", "/about/", "letmein", 405, ""},
		"unknown method":        {"BREW", "/about/", "letmein", 405, ""},
		"asterisk":              {"OPTIONS", "*", "letmein", missing, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(t, h, tt.method, tt.target, tt.secret)
			if w.Code != tt.want || w.Body.String() != tt.body {
				t.Errorf("%s %s = %d %q, want %d %q", tt.method, tt.target, w.Code, w.Body, tt.want, tt.body)
			}
			if allow := w.Header().Get("Allow"); (allow != "") != (w.Code == 405) {
				t.Errorf("Allow = %q with %d", allow, w.Code)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control = %q, want no-store", got)
			}
		})
	}
}

func TestEachRequestIsOneEvent(t *testing.T) {
	cause := errors.New("disk on fire")
	for name, tt := range map[string]struct {
		do   Handler
		want int
		log  []string
	}{
		"answered": {says("x"), 200, []string{"level=INFO", "status=200", "bytes=1", "organization=acme", "token=t1", `route=/x`}},
		"refused": {func(http.ResponseWriter, *http.Request, tocsin.Member) error {
			return fmt.Errorf("a: %w", &tocsin.Error{Kind: tocsin.Invalid, At: "/secret-in-query", Message: "wrong"})
		}, 600 + int(tocsin.Invalid), []string{"level=INFO", "cause=wrong"}},
		"failed": {func(http.ResponseWriter, *http.Request, tocsin.Member) error { return cause }, 500, []string{"level=ERROR", "error_id=", "disk on fire"}},
		"out of time": {func(http.ResponseWriter, *http.Request, tocsin.Member) error {
			return fmt.Errorf("page: %w", context.DeadlineExceeded)
		}, 600 + int(tocsin.Busy), []string{"level=INFO", "deadline"}},
		"client gone": {func(w http.ResponseWriter, _ *http.Request, _ tocsin.Member) error {
			w.WriteHeader(http.StatusOK)
			return fmt.Errorf("%w: %w", ErrGone, io.ErrClosedPipe)
		}, 200, []string{"level=INFO", "gone"}},
		"too late to refuse": {func(w http.ResponseWriter, _ *http.Request, _ tocsin.Member) error {
			_, _ = io.WriteString(w, "half")
			return cause
		}, 200, []string{"level=ERROR", "disk on fire", "status=200"}},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			h := desk(&log).Handler([]Route{{Method: "GET", Path: "/x/", May: Anyone, Do: tt.do}})
			w := ask(t, h, "GET", "/x/?secret-in-query", "letmein")
			if w.Code != tt.want {
				t.Errorf("GET = %d, want %d", w.Code, tt.want)
			}
			if n := strings.Count(log.String(), "\n"); n != 1 {
				t.Errorf("%d events, want 1: %s", n, log.String())
			}
			for _, want := range tt.log {
				if !strings.Contains(log.String(), want) {
					t.Errorf("log = %s, want %s", log.String(), want)
				}
			}
			if strings.Contains(log.String(), "letmein") || strings.Contains(log.String(), "secret-in-query") {
				t.Errorf("the log holds what the caller sent: %s", log.String())
			}
		})
	}
}

func TestTellLogsUnderTheIDThatItTold(t *testing.T) {
	var log bytes.Buffer
	var told Refusal
	h := desk(&log).Handler([]Route{{Method: "GET", Path: "/x/", May: Anyone, Do: func(w http.ResponseWriter, _ *http.Request, _ tocsin.Member) error {
		w.WriteHeader(http.StatusOK)
		var err error
		told, err = Tell(errors.New("disk on fire"))
		return err
	}}})
	ask(t, h, "GET", "/x", "letmein")
	if told.ID == "" || !strings.Contains(log.String(), "error_id="+told.ID) {
		t.Errorf("told %q, log = %s", told.ID, log.String())
	}
}

func TestJoinedErrorsAreAllTold(t *testing.T) {
	one, two := &tocsin.Error{Kind: tocsin.Invalid, Message: "1"}, &tocsin.Error{Kind: tocsin.Invalid, Message: "2"}
	got := refusal(fmt.Errorf("document: %w", errors.Join(one, fmt.Errorf("deep: %w", two))))
	if len(got.Errors) != 2 || got.Errors[0] != one || got.Errors[1] != two {
		t.Errorf("refusal = %+v, want both", got)
	}
}

func TestAPurposeIsTakenFromTheHeaderOnce(t *testing.T) {
	var purpose string
	h := desk(io.Discard).Handler([]Route{{Method: "GET", Path: "/x/", May: Anyone, Do: func(_ http.ResponseWriter, _ *http.Request, who tocsin.Member) error {
		purpose = who.Purpose
		return nil
	}}})
	for name, tt := range map[string]struct {
		headers []string
		want    string
		code    int
	}{
		"none":    {nil, "", 200},
		"one":     {[]string{"Tocsin-Purpose", " incident é "}, "incident é", 200},
		"two":     {[]string{"Tocsin-Purpose", "a", "Tocsin-Purpose", "b"}, "", 600 + int(tocsin.Malformed)},
		"long":    {[]string{"Tocsin-Purpose", strings.Repeat("x", 201)}, "", 600 + int(tocsin.Malformed)},
		"control": {[]string{"Tocsin-Purpose", "a\tb"}, "", 600 + int(tocsin.Malformed)},
	} {
		purpose = ""
		w := ask(t, h, "GET", "/x", "letmein", tt.headers...)
		if w.Code != tt.code || purpose != tt.want {
			t.Errorf("%s: %d, purpose %q, want %d, %q", name, w.Code, purpose, tt.code, tt.want)
		}
	}
}

// body is a request with a body of a size; declared is what Content-Length says.
func body(t testing.TB, size int, declared bool) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(strings.Repeat("x", size)))
	if !declared {
		r.ContentLength = -1
	}
	return r
}

// DESIGN promise 10, RELIABILITY A6.
func TestBodiesAreBoundedInAllAndPerOrganization(t *testing.T) {
	in := NewIntake(100)
	w := httptest.NewRecorder()
	kind := func(err error) tocsin.Kind {
		e, _ := errors.AsType[*tocsin.Error](err)
		if e == nil {
			return 0
		}
		return e.Kind
	}
	for name, tt := range map[string]struct {
		r    *http.Request
		want tocsin.Kind
	}{
		"fits":                {body(t, 100, true), 0},
		"fits, undeclared":    {body(t, 100, false), 0},
		"over":                {body(t, 101, true), tocsin.TooLarge},
		"over, undeclared":    {body(t, 101, false), tocsin.TooLarge},
		"over by a lot":       {body(t, 1<<20, false), tocsin.TooLarge},
		"empty":               {body(t, 0, true), 0},
		"nothing, undeclared": {body(t, 0, false), 0},
	} {
		text, release, err := in.Read(w, tt.r, member("acme"))
		release()
		release() // twice is once
		if kind(err) != tt.want || len(text) > 100 {
			t.Errorf("%s: Read = %d bytes, %v, want kind %d", name, len(text), err, tt.want)
		}
		if in.held != 0 || len(in.heldBy) != 0 {
			t.Errorf("%s: %d bytes are held after release", name, in.held)
		}
	}
	var releases []func()
	hold := func(organization string) error {
		_, release, err := in.Read(w, body(t, 100, true), member(organization))
		releases = append(releases, release)
		return err
	}
	for i := range bodiesPerOrganization {
		if err := hold("acme"); err != nil {
			t.Fatalf("body %d of acme: %v", i, err)
		}
	}
	if err := hold("acme"); kind(err) != tocsin.TooMany {
		t.Errorf("one body more of acme: %v, want too many", err)
	}
	for i := range bodiesInAll - bodiesPerOrganization {
		if err := hold("o" + strconv.Itoa(i)); err != nil {
			t.Fatalf("body of o%d while acme has all it may: %v", i, err)
		}
	}
	if err := hold("late"); kind(err) != tocsin.Busy {
		t.Errorf("one body more than the hub holds: %v, want busy", err)
	}
	for _, release := range releases {
		release()
	}
	if err := hold("late"); err != nil || in.held != 100 {
		t.Errorf("after all were released: %v, %d bytes held, want 100", err, in.held)
	}
}

// slow is a body that comes too slowly.
type slow struct{}

func (slow) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

func TestASlowBodyIsTheSendersFault(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/", slow{})
	_, release, err := NewIntake(100).Read(httptest.NewRecorder(), r, member("acme"))
	release()
	if e, ok := errors.AsType[*tocsin.Error](err); !ok || e.Kind != tocsin.Malformed || !strings.Contains(e.Message, "slowly") {
		t.Errorf("Read = %v, want malformed, because it came too slowly", err)
	}
}

func TestMediaTypesOfBodies(t *testing.T) {
	taxii := MediaType{Name: "application/taxii+json", Version: "2.1"}
	yaml := MediaType{Name: "application/yaml"}
	for name, tt := range map[string]struct {
		header []string
		ok     bool
	}{
		"exact":            {[]string{"application/taxii+json;version=2.1"}, true},
		"second type":      {[]string{"application/yaml"}, true},
		"versioned yaml":   {[]string{"application/yaml;version=1.2"}, false},
		"old":              {[]string{"application/taxii+json;version=2.0"}, false},
		"charset":          {[]string{"application/yaml;charset=latin1"}, false},
		"none":             {nil, false},
		"twice":            {[]string{"application/yaml", "application/yaml"}, false},
		"a list":           {[]string{"application/yaml, application/taxii+json"}, false},
		"prefix":           {[]string{"application/yamlx"}, false},
		"nothing but a ; ": {[]string{";"}, false},
	} {
		r := body(t, 1, true)
		r.Header["Content-Type"] = tt.header
		if err := ContentType(r, taxii, yaml); (err == nil) != tt.ok {
			t.Errorf("%s: ContentType(%q) = %v, want ok %v", name, tt.header, err, tt.ok)
		}
	}
}

func FuzzAccepts(f *testing.F) {
	f.Add("application/taxii+json;version=2.1;q=0.5, */*;q=0")
	f.Fuzz(func(t *testing.T, accept string) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.Header["Accept"] = []string{accept + ", application/json"}
		if err := Accepts(r, MediaType{Name: "application/json"}); err != nil && !strings.ContainsAny(accept, `"\`) {
			t.Errorf("Accepts(%q, application/json) = %v", accept, err)
		}
	})
}
