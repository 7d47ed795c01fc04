package taxii

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"tocsin"
	"tocsin/internal/hub/hubtest"
)

// A served hub is the cast's network behind a TAXII server.
type served struct {
	*hubtest.Parts

	server *Server
}

func serve(t testing.TB, maxPage int) *served {
	t.Helper()
	p := hubtest.Open(t)
	base, err := url.Parse("https://hub.example.com")
	if err != nil {
		t.Fatal(err)
	}
	return &served{p, New(Options{
		Authenticator: p.Directory, Directory: p.Directory, Feed: p.Feed, Submitter: p.Submit, Prover: p.Prover, Withdrawer: p.Withdrawer,
		Cursors: p.Cursors, Intake: p.Intake, URL: base, Title: "Test", MaxPage: maxPage, Log: slog.New(slog.DiscardHandler),
	})}
}

// do sends a request as one of the cast. Headers come in pairs of name and
// value; an empty value takes a header out.
func (s *served) do(t testing.TB, as, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "https://hub.example.com", strings.NewReader(body))
	var err error
	if r.URL, err = url.ParseRequestURI(target); err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("anybody", s.Tokens[as])
	r.Header.Set("Accept", mediaType)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", mediaType)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		} else {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, r)
	return w
}

// get asks for a resource that must be there and reads it.
func get[Resource any](t testing.TB, s *served, as, target string) Resource {
	t.Helper()
	w := s.do(t, as, http.MethodGet, target, "")
	if w.Code != http.StatusOK {
		t.Fatalf("GET %s as %s = %d %s, want 200", target, as, w.Code, w.Body)
	}
	return read[Resource](t, w)
}

func read[Resource any](t testing.TB, w *httptest.ResponseRecorder) Resource {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != mediaType {
		t.Errorf("Content-Type = %q, want %q", got, mediaType)
	}
	var v Resource
	d := json.NewDecoder(w.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// envelope is what clients read of an envelope.
type envelope struct {
	More    bool              `json:"more"`
	Next    string            `json:"next"`
	Objects []json.RawMessage `json:"objects"`
}

const objectsPath = "/finance/collections/indicators/objects/"

func TestEveryRouteKnowsWhoMayCallIt(t *testing.T) {
	s := serve(t, 0)
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	made := s.do(t, hubtest.Writer, "POST", objectsPath, hubtest.Envelope(hubtest.Indicator(2, 1)))
	status := "/finance/status/" + read[statusResource](t, made).ID + "/"
	one := objectsPath + hubtest.ID("indicator", 1) + "/"
	type answers map[string]int // by member of the cast
	readers := answers{"": 401, "stranger": 404, "hub": 404, "reader": 200, "writer": 200, "curator": 200, "operator": 200, "agency": 200, "silent": 403}
	// What has no content needs no purpose.
	resources := answers{"": 401, "stranger": 404, "hub": 404, "reader": 200, "writer": 200, "curator": 200, "operator": 200, "agency": 200, "silent": 200}
	own := answers{"": 401, "stranger": 404, "hub": 404, "reader": 404, "writer": 200, "colleague": 404, "curator": 404, "operator": 404, "silent": 404}
	writers := answers{"": 401, "stranger": 404, "hub": 404, "reader": 403, "agency": 403, "writer": 202, "colleague": 202, "curator": 202, "operator": 202}
	for name, tt := range map[string]struct {
		method, target, body string
		want                 answers
	}{
		"discovery":         {"GET", "/taxii2/", "", answers{"": 401, "stranger": 200, "hub": 200, "reader": 200}},
		"api root":          {"GET", "/finance/", "", resources},
		"status":            {"GET", status, "", own},
		"collections":       {"GET", "/finance/collections/", "", resources},
		"collection":        {"GET", "/finance/collections/indicators/", "", resources},
		"manifest":          {"GET", "/finance/collections/indicators/manifest/", "", readers},
		"objects":           {"GET", objectsPath, "", readers},
		"add":               {"POST", objectsPath, hubtest.Envelope(hubtest.Indicator(3, 1)), writers},
		"object":            {"GET", one, "", readers},
		"versions":          {"GET", one + "versions/", "", readers},
		"delete":            {"DELETE", one, "", answers{"": 401, "stranger": 404, "hub": 404, "reader": 403, "agency": 403, "colleague": 403}},
		"no such path":      {"GET", "/finance/nothing/", "", answers{"": 401, "stranger": 404, "hub": 404, "operator": 404}},
		"no such method":    {"PUT", objectsPath, "", answers{"": 401, "stranger": 405, "operator": 405}},
		"delete collection": {"DELETE", "/finance/collections/indicators/", "", answers{"": 401, "operator": 405}},
		"other community":   {"GET", "/energy/collections/indicators/objects/", "", answers{"": 401, "stranger": 200, "hub": 404, "reader": 404, "writer": 404, "operator": 404}},
	} {
		t.Run(name, func(t *testing.T) {
			for as, want := range tt.want {
				for _, target := range []string{tt.target, strings.TrimSuffix(tt.target, "/")} {
					w := s.do(t, as, tt.method, target, tt.body)
					if w.Code != want {
						t.Errorf("%s %s as %q = %d %s, want %d", tt.method, target, as, w.Code, w.Body, want)
					}
				}
			}
		})
	}
}

// DESIGN promise 5: what a reader may not see does not exist for them.
func TestAskingAsAStrangerFindsNothing(t *testing.T) {
	s := serve(t, 0)
	made := s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	c := s.collectionID(t)
	one := hubtest.ID("indicator", 1)
	for name, tt := range map[string]struct{ method, real, unreal string }{
		"api root":    {"GET", "/finance/", "/nowhere/"},
		"status":      {"GET", "/finance/status/" + made.ID + "/", "/finance/status/00000000-0000-4000-8000-000000000000/"},
		"collections": {"GET", "/finance/collections/", "/nowhere/collections/"},
		"collection":  {"GET", "/finance/collections/" + c + "/", "/finance/collections/00000000-0000-4000-8000-000000000000/"},
		"alias":       {"GET", "/finance/collections/indicators/", "/finance/collections/nothing/"},
		"manifest":    {"GET", "/finance/collections/indicators/manifest/", "/finance/collections/nothing/manifest/"},
		"objects":     {"GET", objectsPath, "/finance/collections/nothing/objects/"},
		"bad filter":  {"GET", objectsPath + "?limit=0", "/nowhere/collections/nothing/objects/?limit=0"},
		"add":         {"POST", objectsPath, "/finance/collections/nothing/objects/"},
		"object":      {"GET", objectsPath + one + "/", objectsPath + hubtest.ID("indicator", 99) + "/"},
		"versions":    {"GET", objectsPath + one + "/versions/", objectsPath + hubtest.ID("indicator", 99) + "/versions/"},
		"delete":      {"DELETE", objectsPath + one + "/", objectsPath + hubtest.ID("indicator", 99) + "/"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, as := range []string{hubtest.Stranger, hubtest.Hub} {
				real, unreal := s.do(t, as, tt.method, tt.real, ""), s.do(t, as, tt.method, tt.unreal, "")
				if real.Code != http.StatusNotFound || real.Body.String() != unreal.Body.String() || real.Code != unreal.Code {
					t.Errorf("%s %s as %s = %d %s; of what is not there %d %s", tt.method, tt.real, as, real.Code, real.Body, unreal.Code, unreal.Body)
				}
			}
		})
	}
}

// The same for an object in a community that the reader belongs to.
func TestAnObjectForOthersIsNotFound(t *testing.T) {
	s := serve(t, 0)
	red := `"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`
	s.Share(t, hubtest.Writer, []string{"delta"}, hubtest.Indicator(1, 1, red))
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(2, 1))
	for as, want := range map[string]int{"reader": 404, "curator": 404, "operator": 404, "agency": 404, "writer": 200, "colleague": 200} {
		for _, suffix := range []string{"", "versions/", "?match[version]=all", "?added_after=2030-01-01T00:00:00Z"} {
			real := s.do(t, as, "GET", objectsPath+hubtest.ID("indicator", 1)+"/"+suffix, "")
			unreal := s.do(t, as, "GET", objectsPath+hubtest.ID("indicator", 99)+"/"+suffix, "")
			if real.Code != want || want == 404 && real.Body.String() != unreal.Body.String() {
				t.Errorf("GET object %s as %s = %d %s, want %d", suffix, as, real.Code, real.Body, want)
			}
		}
		if as != "reader" && as != "agency" {
			w := s.do(t, as, "DELETE", objectsPath+hubtest.ID("indicator", 1)+"/?match[version]=2020-01-01T00:00:00Z", "")
			if w.Code != http.StatusNotFound { // nobody has that version
				t.Errorf("DELETE as %s = %d, want 404", as, w.Code)
			}
		}
		listed := get[envelope](t, s, as, objectsPath)
		manifest := get[manifestResource](t, s, as, "/finance/collections/indicators/manifest/")
		count := map[int]int{404: 1, 200: 2}[want]
		if len(listed.Objects) != count || len(manifest.Objects) != count || listed.More {
			t.Errorf("as %s: %d objects and %d in the manifest, want %d", as, len(listed.Objects), len(manifest.Objects), count)
		}
	}
	if w := s.do(t, "curator", "DELETE", objectsPath+hubtest.ID("indicator", 1)+"/", ""); w.Code != http.StatusNotFound {
		t.Errorf("DELETE as curator = %d, want 404", w.Code)
	}
}

func (s *served) collectionID(t testing.TB) string {
	t.Helper()
	for _, c := range get[collectionsResource](t, s, hubtest.Reader, "/finance/collections/").Collections {
		if c.Alias == "indicators" {
			return c.ID
		}
	}
	t.Fatal("no collection")
	return ""
}

func TestDiscoveryNamesTheCallersCommunitiesOnly(t *testing.T) {
	s := serve(t, 0)
	for as, want := range map[string]string{
		hubtest.Reader: "https://hub.example.com/finance/", hubtest.Stranger: "https://hub.example.com/energy/", hubtest.Hub: "",
	} {
		d := get[discoveryResource](t, s, as, "/taxii2/")
		if got := strings.Join(d.APIRoots, " "); got != want || d.Default != want || d.Title == "" {
			t.Errorf("discovery as %s = %+v, want %q", as, d, want)
		}
	}
	root := get[apiRootResource](t, s, hubtest.Reader, "/finance/")
	if root.Title != "Finance" || root.MaxContentLength != 10<<20 || len(root.Versions) != 1 || root.Versions[0] != mediaType {
		t.Errorf("API root = %+v", root)
	}
	for as, write := range map[string]bool{hubtest.Reader: false, hubtest.Writer: true, hubtest.Curator: true} {
		c := get[collectionResource](t, s, as, "/finance/collections/indicators/")
		if !c.CanRead || c.CanWrite != write || c.MediaTypes[0] != contentType {
			t.Errorf("collection as %s = %+v", as, c)
		}
	}
}

func TestATokenComesAsBasicPasswordOrBearer(t *testing.T) {
	s := serve(t, 0)
	token := s.Tokens[hubtest.Reader]
	for name, tt := range map[string]struct {
		header []string
		want   int
	}{
		"bearer":           {[]string{"Bearer " + token}, 200},
		"bearer, loosely":  {[]string{"bearer  " + token + " "}, 200},
		"none":             {nil, 401},
		"empty":            {[]string{""}, 401},
		"scheme only":      {[]string{"Bearer"}, 401},
		"another scheme":   {[]string{"Digest " + token}, 401},
		"not base64":       {[]string{"Basic !!!!"}, 401},
		"no password":      {[]string{"Basic dXNlcg=="}, 401},
		"wrong":            {[]string{"Bearer " + strings.Repeat("a", len(token))}, 401},
		"cut":              {[]string{"Bearer " + token[:60]}, 401},
		"very long":        {[]string{"Bearer " + strings.Repeat("a", 20000)}, 401},
		"two":              {[]string{"Bearer " + token, "Bearer " + token}, 401},
		"control bytes":    {[]string{"Bearer \x00\x01"}, 401},
		"the id only":      {[]string{"Bearer " + token[4:12]}, 401},
		"upper-case token": {[]string{"Bearer " + strings.ToUpper(token)}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/finance/", nil)
			r.Header["Authorization"] = tt.header
			w := httptest.NewRecorder()
			s.server.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("GET with %q = %d, want %d", tt.header, w.Code, tt.want)
			}
			if challenge := w.Header().Get("WWW-Authenticate"); (w.Code == 401) != strings.HasPrefix(challenge, "Basic ") {
				t.Errorf("WWW-Authenticate = %q with %d", challenge, w.Code)
			}
			if w.Code == 401 {
				read[errorResource](t, w)
			}
		})
	}
}

// 6 USC 1504(d)(5)(A): public power says why it reads.
func TestAnInstitutionStatesItsPurpose(t *testing.T) {
	s := serve(t, 0)
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	long := strings.Repeat("x", 201)
	for name, tt := range map[string]struct {
		as, header string
		want       int
		logged     string
	}{
		"bound":                        {hubtest.Agency, "", 200, "cybersecurity"},
		"bound, and another in header": {hubtest.Agency, "curiosity", 200, "cybersecurity"},
		"stated":                       {hubtest.Silent, "case 12/34", 200, "case 12/34"},
		"not stated":                   {hubtest.Silent, "", 403, ""},
		"blank":                        {hubtest.Silent, "  ", 403, ""},
		"too long":                     {hubtest.Silent, long, 400, ""},
		"does not print":               {hubtest.Silent, "a\x01b", 400, ""},
		"not UTF-8":                    {hubtest.Silent, "a\xffb", 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(s.disclosures(t))
			w := s.do(t, tt.as, "GET", objectsPath, "", "Tocsin-Purpose", tt.header)
			if w.Code != tt.want {
				t.Fatalf("GET as %s = %d %s, want %d", tt.as, w.Code, w.Body, tt.want)
			}
			logged := s.disclosures(t)
			if tt.want != 200 {
				if len(logged) != before {
					t.Errorf("a refused read is on record")
				}
				return
			}
			if len(logged) != before+1 || logged[before] != tt.logged {
				t.Errorf("purposes on record = %q, want %q at the end", logged, tt.logged)
			}
		})
	}
}

// disclosures returns the purposes that are on record.
func (s *served) disclosures(t *testing.T) []string {
	t.Helper()
	who, err := s.Directory.Authenticate(t.Context(), s.Tokens[hubtest.Writer])
	if err != nil {
		t.Fatal(err)
	}
	found, _, _, err := s.Prover.Disclosures(t.Context(), who, "finance", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var purposes []string
	for _, d := range found {
		purposes = append(purposes, d.Purpose)
	}
	return purposes
}

// A refusal says what to do, in TAXII's words, and never what was submitted.
func TestRefusalsAreTAXIIErrors(t *testing.T) {
	s := serve(t, 0)
	const secret = "s3cr3t-marker"
	for name, tt := range map[string]struct {
		method, target, body string
		want                 int
	}{
		"path":     {"GET", "/finance/" + secret + "/", "", 404},
		"id":       {"GET", objectsPath + secret + "/", "", 404},
		"filter":   {"GET", objectsPath + "?limit=" + secret, "", 400},
		"match":    {"GET", objectsPath + "?match[" + secret + "]=1", "", 400},
		"cursor":   {"GET", objectsPath + "?next=" + secret, "", 400},
		"not STIX": {"POST", objectsPath, `{"objects":[{"type":"` + secret + `"}]}`, 422},
		"syntax":   {"POST", objectsPath, `{"` + secret + `"`, 400},
		"method":   {"PATCH", objectsPath, secret, 405},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.do(t, hubtest.Writer, tt.method, tt.target, tt.body)
			if strings.Contains(w.Body.String(), secret) {
				t.Errorf("the answer quotes what was sent: %s", w.Body)
			}
			e := read[errorResource](t, w)
			if w.Code != tt.want || e.HTTPStatus != strconv.Itoa(tt.want) || e.Title == "" {
				t.Errorf("%s %s = %d %+v, want %d", tt.method, tt.target, w.Code, e, tt.want)
			}
		})
	}
}

func TestHeadSaysWhatGetWould(t *testing.T) {
	s := serve(t, 0)
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	server := httptest.NewServer(s.server)
	defer server.Close()
	ask := func(method string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+objectsPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("", s.Tokens[hubtest.Reader])
		res, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	head, full := ask("HEAD"), ask("GET")
	defer head.Body.Close()
	defer full.Body.Close()
	empty, _ := io.ReadAll(head.Body)
	text, _ := io.ReadAll(full.Body)
	if head.StatusCode != http.StatusOK || len(empty) != 0 || head.ContentLength != int64(len(text)) {
		t.Errorf("HEAD = %d with %d bytes, Content-Length %d, want 200, 0 and %d", head.StatusCode, len(empty), head.ContentLength, len(text))
	}
	if a, b := head.Header.Get("X-TAXII-Date-Added-Last"), full.Header.Get("X-TAXII-Date-Added-Last"); a != b || a == "" {
		t.Errorf("X-TAXII-Date-Added-Last of HEAD = %q, of GET %q", a, b)
	}
}

// A fault is the operator's business: the caller gets an id, the log the cause.
func TestAFaultIsNotToldToTheCaller(t *testing.T) {
	s := serve(t, 0)
	var log bytes.Buffer
	o := s.server.Options
	o.Log = slog.New(slog.NewJSONHandler(&log, nil))
	o.Prover = broken{}
	s.server = New(o)
	w := s.do(t, hubtest.Writer, "GET", "/finance/status/00000000-0000-4000-8000-000000000000/", "")
	e := read[errorResource](t, w)
	if w.Code != 500 || e.ErrorID == "" || strings.Contains(e.Description, "disk") {
		t.Errorf("GET = %d %+v, want 500 with an id and no cause", w.Code, e)
	}
	if !strings.Contains(log.String(), e.ErrorID) || !strings.Contains(log.String(), "disk on fire") {
		t.Errorf("log = %s, want the id and the cause", log.String())
	}
	if strings.Contains(log.String(), s.Tokens[hubtest.Writer]) {
		t.Error("the log holds a secret")
	}
}

func TestStatusesOfAllKinds(t *testing.T) {
	for kind, want := range map[tocsin.Kind]int{
		tocsin.Malformed: 400, tocsin.Unauthenticated: 401, tocsin.Forbidden: 403, tocsin.NotFound: 404, tocsin.NotAcceptable: 406, tocsin.Conflict: 409,
		tocsin.TooLarge: 413, tocsin.Unsupported: 415, tocsin.Invalid: 422, tocsin.TooMany: 429, tocsin.Busy: 503, 0: 500,
	} {
		w := httptest.NewRecorder()
		refuse(w, nil, refusalOf(kind))
		if w.Code != want {
			t.Errorf("refuse(kind %d) = %d, want %d", kind, w.Code, want)
		}
		if retry := w.Header().Get("Retry-After"); (retry != "") != (want == 429 || want == 503) {
			t.Errorf("refuse(kind %d) has Retry-After %q", kind, retry)
		}
	}
}
