package api

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tocsin"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/lists"
	"tocsin/internal/member"
	"tocsin/internal/receive"
	"tocsin/receipt"
)

// A served hub is the cast's network behind the API.
type served struct {
	*hubtest.Parts

	server *Server
}

func serve(t testing.TB) *served {
	t.Helper()
	p := hubtest.Open(t)
	base, err := url.Parse("https://hub.example.com")
	if err != nil {
		t.Fatal(err)
	}
	return &served{p, New(Options{
		Authenticator: p.Directory, Directory: p.Directory, Administrator: p.Directory, Registry: p.Directory, Admissions: p.Directory, Confirmer: p.Directory, Feed: p.Feed, Policy: p.Policy, Submitter: p.Submit, Prover: p.Prover,
		Reviewer: p.Restore, Withdrawer: p.Withdrawer, Deployer: p.Deploy, Lists: lists.New(p.Feed, base.Hostname()), Cursors: p.Cursors, Intake: p.Intake, URL: base, Log: slog.New(slog.DiscardHandler),
	})}
}

// do sends a request as one of the cast. Headers come in pairs of name and
// value.
func (s *served) do(t testing.TB, as, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "https://hub.example.com", strings.NewReader(body))
	var err error
	if r.URL, err = url.ParseRequestURI(target); err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Tokens[as])
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, r)
	return w
}

func read[Resource any](t testing.TB, w *httptest.ResponseRecorder, status int) Resource {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status = %d %s, want %d", w.Code, w.Body, status)
	}
	want := "application/json"
	if status >= 400 {
		want = "application/problem+json"
	}
	if got := w.Header().Get("Content-Type"); got != want {
		t.Errorf("Content-Type = %q, want %q", got, want)
	}
	var v Resource
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

const (
	indicators  = "/api/v1/communities/finance/collections/indicators/"
	submissions = indicators + "submissions"
)

func TestEveryRouteKnowsWhoMayCallIt(t *testing.T) {
	s := serve(t)
	made := s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	s.do(t, hubtest.Agency, "GET", indicators+"objects/"+hubtest.ID("indicator", 1)+"/sightings", "")
	disclosed := read[disclosuresResource](t, s.do(t, hubtest.Reader, "GET", "/api/v1/communities/finance/disclosures", ""), 200).Disclosures
	record := "/api/v1/records/" + strconv.FormatInt(disclosed[0].Leaf, 10) + "/receipt"
	body := hubtest.Envelope(hubtest.Indicator(2, 1))
	type answers map[string]int
	all := answers{"": 401, "stranger": 200, "reader": 200, "writer": 200, "silent": 200, "hub": 200}
	own := answers{"": 401, "stranger": 404, "reader": 404, "colleague": 404, "curator": 404, "operator": 404, "agency": 404, "hub": 404, "writer": 200}
	readers := answers{"": 401, "stranger": 404, "hub": 404, "reader": 200, "writer": 200, "curator": 200, "operator": 200, "agency": 200}
	for name, tt := range map[string]struct {
		method, target, body string
		want                 answers
	}{
		"me":                 {"GET", "/api/v1/me", "", all},
		"submit":             {"POST", submissions, body, answers{"": 401, "stranger": 404, "hub": 404, "reader": 403, "agency": 403, "writer": 201, "colleague": 201, "curator": 201, "operator": 201}},
		"submission":         {"GET", "/api/v1/submissions/" + made.ID, "", own},
		"submission receipt": {"GET", "/api/v1/submissions/" + made.ID + "/receipt", "", own},
		"stream":             {"HEAD", indicators + "stream", "", answers{"": 401, "stranger": 404, "hub": 404, "silent": 403, "reader": 200, "operator": 200, "agency": 200}},
		"sightings":          {"GET", indicators + "objects/" + hubtest.ID("indicator", 1) + "/sightings", "", answers{"": 401, "stranger": 404, "hub": 404, "silent": 403, "reader": 200, "writer": 200, "agency": 200}},
		"list":               {"GET", indicators + "lists/rpz", "", answers{"": 401, "stranger": 404, "hub": 404, "silent": 403, "reader": 200, "writer": 200, "agency": 200}},
		"audience":           {"GET", "/api/v1/communities/finance/audience", "", answers{"": 401, "stranger": 404, "hub": 404, "reader": 403, "agency": 403, "writer": 200, "curator": 200, "operator": 200}},
		"markings":           {"GET", "/api/v1/markings", "", all},
		"audiences":          {"POST", "/api/v1/communities/finance/audience", `{"labels":[{}]}`, answers{"": 401, "stranger": 404, "hub": 404, "reader": 403, "agency": 403, "writer": 200, "curator": 200, "operator": 200}},
		"disclosures":        {"GET", "/api/v1/communities/finance/disclosures", "", readers},
		"disclosure receipt": {"GET", record, "", readers},
		"network":            {"GET", "/api/v1/network", "", all},
		"proposals":          {"GET", "/api/v1/proposals", "", all},
		"confirm":            {"POST", "/api/v1/proposals/00000000", `{"action":"confirm"}`, answers{"": 401, "stranger": 404, "reader": 404, "operator": 404, "hub": 404}},
		"communities":        {"GET", "/api/v1/communities", "", all},
		"community":          {"GET", "/api/v1/communities/finance", "", answers{"": 401, "stranger": 404, "reader": 200, "hub": 200}},
		"agreement":          {"GET", "/api/v1/communities/finance/agreements/00", "", answers{"": 401, "stranger": 404, "reader": 404}},
		"acceptance":         {"PUT", "/api/v1/communities/finance/agreements/00/acceptance", "", answers{"": 401, "stranger": 404, "hub": 404, "reader": 422}},
		"members":            {"GET", "/api/v1/communities/finance/members", "", answers{"": 401, "stranger": 404, "reader": 200, "hub": 200}},
		"applications":       {"GET", "/api/v1/communities/finance/applications", "", answers{"": 401, "stranger": 404, "reader": 200, "hub": 200}},
		"apply to join":      {"POST", "/api/v1/communities/finance/applications", `{"statement":"a"}`, answers{"": 401, "stranger": 404, "reader": 409}},
		"sponsor":            {"POST", "/api/v1/communities/finance/applications/outsider/sponsors", `{"code":"a"}`, answers{"": 401, "stranger": 404, "hub": 404, "reader": 404}},
		"decide":             {"POST", "/api/v1/communities/finance/applications/outsider/decision", `{"action":"admit"}`, answers{"": 401, "stranger": 404, "reader": 404, "curator": 404, "hub": 404}},
		"leave":              {"DELETE", "/api/v1/communities/energy/membership", "", answers{"": 401, "reader": 404, "hub": 404}},
		"apply":              {"POST", "/api/v1/network?plan", `{"organizations":[{"name":"acme"}]}`, answers{"": 401, "stranger": 403, "reader": 403, "writer": 403, "curator": 403, "agency": 403, "hub": 200}},
		"revoke":             {"DELETE", "/api/v1/tokens/nothing", "", answers{"": 401, "stranger": 404, "reader": 404, "operator": 404, "hub": 404}},
		"no such path":       {"GET", "/api/v1/nothing", "", answers{"": 401, "reader": 404, "hub": 404}},
		"no such version":    {"GET", "/api/v2/me", "", answers{"": 401, "reader": 404}},
		"no such method":     {"PUT", "/api/v1/me", "", answers{"": 401, "reader": 405}},
	} {
		t.Run(name, func(t *testing.T) {
			for as, want := range tt.want {
				for _, slash := range []string{"", "/"} {
					path, query, _ := strings.Cut(tt.target, "?")
					target := path + slash
					if query != "" {
						target += "?" + query
					}
					w := s.do(t, as, tt.method, target, tt.body)
					if w.Code != want {
						t.Errorf("%s %s as %q = %d %s, want %d", tt.method, target, as, w.Code, w.Body, want)
					}
					if w.Code >= 400 && tt.method != "HEAD" {
						if p := read[problem](t, w, want); p.Status != want || p.Title == "" {
							t.Errorf("problem = %+v, want status %d", p, want)
						}
					}
				}
			}
		})
	}
}

// DESIGN promise 5: whoever may not know gets the same words whether the thing
// exists or not.
func TestAskingAsAStrangerFindsNothing(t *testing.T) {
	s := serve(t)
	made := s.Share(t, hubtest.Writer, []string{"delta"}, hubtest.Indicator(1, 1))
	const nothing = "00000000-0000-4000-8000-000000000000"
	for name, tt := range map[string]struct{ as, method, real, unreal string }{
		"submit":                          {hubtest.Stranger, "POST", submissions, "/api/v1/communities/nowhere/collections/x/submissions"},
		"submission":                      {hubtest.Reader, "GET", "/api/v1/submissions/" + made.ID, "/api/v1/submissions/" + nothing},
		"submission receipt":              {hubtest.Reader, "GET", "/api/v1/submissions/" + made.ID + "/receipt", "/api/v1/submissions/" + nothing + "/receipt"},
		"stream":                          {hubtest.Stranger, "GET", indicators + "stream", "/api/v1/communities/nowhere/collections/x/stream"},
		"sightings":                       {hubtest.Stranger, "GET", indicators + "objects/" + hubtest.ID("indicator", 1) + "/sightings", "/api/v1/communities/nowhere/collections/x/objects/" + hubtest.ID("indicator", 1) + "/sightings"},
		"sightings of what is for others": {hubtest.Reader, "GET", indicators + "objects/" + hubtest.ID("indicator", 1) + "/sightings", indicators + "objects/" + hubtest.ID("indicator", 9) + "/sightings"},
		"audience":                        {hubtest.Stranger, "GET", "/api/v1/communities/finance/audience?to=acme", "/api/v1/communities/nowhere/audience?to=acme"},
		"disclosures":                     {hubtest.Stranger, "GET", "/api/v1/communities/finance/disclosures", "/api/v1/communities/nowhere/disclosures"},
		"receipt of another record":       {hubtest.Reader, "GET", "/api/v1/records/" + strconv.FormatInt(made.Leaf, 10) + "/receipt", "/api/v1/records/999999/receipt"},
		"another's token":                 {hubtest.Reader, "DELETE", "/api/v1/tokens/" + s.Tokens[hubtest.Writer][4:12], "/api/v1/tokens/aaaaaaaa"},
	} {
		t.Run(name, func(t *testing.T) {
			real, unreal := s.do(t, tt.as, tt.method, tt.real, ""), s.do(t, tt.as, tt.method, tt.unreal, "")
			if real.Code != http.StatusNotFound || real.Body.String() != unreal.Body.String() || unreal.Code != real.Code {
				t.Errorf("%s %s as %s = %d %s; of what is not there %d %s", tt.method, tt.real, tt.as, real.Code, real.Body, unreal.Code, unreal.Body)
			}
		})
	}
}

func TestMeSaysWhoTheHubTakesTheCallerFor(t *testing.T) {
	s := serve(t)
	me := read[meResource](t, s.do(t, hubtest.Silent, "GET", "/api/v1/me", "", "Tocsin-Purpose", "case 12"), 200)
	if me.Organization.Name != "bureau" || me.Organization.Kind != "government" || me.User != "u" || me.Purpose != "case 12" || me.Operator ||
		!strings.HasPrefix(me.Organization.Identity, "identity--") || !strings.Contains(s.Tokens[hubtest.Silent], me.Token) || me.Token == s.Tokens[hubtest.Silent] {
		t.Errorf("me = %+v", me)
	}
	want := communityResource{Name: "finance", Title: "Finance", Role: "reader", DefaultTLP: "TLP:AMBER", TAXII: "https://hub.example.com/finance/"}
	if len(me.Communities) != 1 || me.Communities[0] != want {
		t.Errorf("communities = %+v, want %+v", me.Communities, want)
	}
	if hub := read[meResource](t, s.do(t, hubtest.Hub, "GET", "/api/v1/me", ""), 200); !hub.Operator || len(hub.Communities) != 0 {
		t.Errorf("me as the hub's operator = %+v", hub)
	}
}

// Capability 6: a receipt that proves offline what was shared.
func TestASubmissionIsAnsweredWithAReceipt(t *testing.T) {
	s := serve(t)
	bad := strings.Replace(hubtest.Indicator(2, 1), `"pattern_type":"stix",`, "", 1)
	w := s.do(t, hubtest.Writer, "POST", submissions+"?to=bravo&to=delta", hubtest.Envelope(hubtest.Indicator(1, 1), bad))
	made := read[submissionResource](t, w, 201)
	if len(made.Successes) != 1 || len(made.Failures) != 1 || made.First == 0 || made.First != made.Last || made.Successes[0].Seq != made.First {
		t.Errorf("submission = %+v", made)
	}
	if f := made.Failures[0]; f.ID != hubtest.ID("indicator", 2) || f.At == "" || f.Detail == "" {
		t.Errorf("failure = %+v", f)
	}
	if got := w.Header().Get("Location"); got != "https://hub.example.com/api/v1/submissions/"+made.ID {
		t.Errorf("Location = %q", got)
	}
	later := read[submissionResource](t, s.do(t, hubtest.Writer, "GET", "/api/v1/submissions/"+made.ID, ""), 200)
	if later.Receipt != made.Receipt || len(later.Failures) != 1 || later.First != made.First {
		t.Errorf("submission later = %+v", later)
	}
	file := s.do(t, hubtest.Writer, "GET", strings.TrimPrefix(made.Receipt, "https://hub.example.com"), "")
	if got := file.Header().Get("Content-Type"); file.Code != 200 || !strings.HasPrefix(got, "text/plain") {
		t.Fatalf("receipt = %d %s", file.Code, got)
	}
	if got := file.Header().Get("Content-Disposition"); !strings.HasSuffix(got, `.tlog-proof"`) {
		t.Errorf("Content-Disposition = %q", got)
	}
	proof, err := receipt.ParseProof(file.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	v, err := receipt.Verify(proof, s.VerifierKey)
	if err != nil || !strings.Contains(string(v.Statement()), made.ID) {
		t.Errorf("Verify = %s, %v", v.Statement(), err)
	}
	// Named recipients see it, others do not.
	for as, want := range map[string]int{hubtest.Reader: 200, hubtest.Colleague: 200, hubtest.Curator: 404, hubtest.Agency: 404} {
		if w := s.do(t, as, "GET", indicators+"objects/"+hubtest.ID("indicator", 1)+"/sightings", ""); w.Code != want {
			t.Errorf("GET as %s = %d, want %d", as, w.Code, want)
		}
	}
}

func TestWhatThePrivacyGateDidIsTold(t *testing.T) {
	s := serve(t)
	w := s.do(t, hubtest.Writer, "POST", submissions, hubtest.Envelope(hubtest.Indicator(1, 1, `"description":"seen by our colleague, SSN 219-09-9999, mail jane.roe@victim.example.org"`)))
	made := read[submissionResource](t, w, 201)
	if len(made.Findings) == 0 {
		t.Fatalf("submission = %s, want findings", w.Body)
	}
	for _, f := range made.Findings {
		if f.Object != hubtest.ID("indicator", 1) || f.Class == "" || f.Rule == "" || f.Action == "" || f.Why == "" || f.Count == 0 {
			t.Errorf("finding = %+v", f)
		}
	}
	if strings.Contains(w.Body.String(), "219-09-9999") {
		t.Error("the answer holds what was removed")
	}
}

func TestRefusedSubmissions(t *testing.T) {
	s := serve(t)
	good := hubtest.Envelope(hubtest.Indicator(1, 1))
	for name, tt := range map[string]struct {
		query, body, contentType string
		want                     int
	}{
		"unknown recipient":       {"?to=nobody", good, "application/json", 422},
		"recipient elsewhere":     {"?to=outsider", good, "application/json", 422},
		"empty recipient":         {"?to=", good, "application/json", 422},
		"101 recipients":          {"?" + strings.Repeat("to=bravo&", 101), good, "application/json", 400},
		"bad query":               {"?to=%zz", good, "application/json", 400},
		"form":                    {"", good, "application/x-www-form-urlencoded", 415},
		"not JSON":                {"", "hello", "application/json", 400},
		"not STIX":                {"", `{"objects":[{}]}`, "application/json", 422},
		"empty":                   {"", "", "application/json", 400},
		"too large":               {"", strings.Repeat(" ", 10<<20+1), "application/json", 413},
		"STIX media type":         {"", good, "application/stix+json;version=2.1", 201},
		"STIX 2.0 media type":     {"", good, "application/stix+json;version=2.0", 415},
		"TAXII media type":        {"", good, "application/taxii+json;version=2.1", 201},
		"one object, no envelope": {"", hubtest.Indicator(3, 1), "application/json", 201},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.do(t, hubtest.Writer, "POST", submissions+tt.query, tt.body, "Content-Type", tt.contentType)
			if w.Code != tt.want {
				t.Errorf("POST = %d %s, want %d", w.Code, w.Body, tt.want)
			}
		})
	}
}

// The preview before a submission: who will see it.
func TestTheAudienceIsWhoWouldSeeIt(t *testing.T) {
	s := serve(t)
	const everybody = "acme bravo bureau delta isac staff"
	for name, tt := range map[string]struct {
		query string
		want  int
		tlp   string
		names string
	}{
		"unmarked":           {"", 200, "TLP:AMBER", everybody},
		"clear":              {"?tlp=clear", 200, "TLP:CLEAR", everybody},
		"red":                {"?tlp=red", 200, "TLP:RED", "acme"},
		"red, named":         {"?tlp=TLP:RED&to=bureau", 200, "TLP:RED", "acme bureau"},
		"amber, named":       {"?tlp=amber&to=bravo&to=delta", 200, "TLP:AMBER", "acme bravo delta"},
		"amber+strict":       {"?tlp=amber%2Bstrict", 200, "TLP:AMBER+STRICT", everybody},
		"in a collection":    {"?collection=reports", 200, "TLP:AMBER", everybody},
		"no such collection": {"?collection=nothing", 404, "", ""},
		"no label":           {"?tlp=purple", 400, "", ""},
		"two labels":         {"?tlp=red&tlp=clear", 400, "", ""},
		"no member":          {"?to=outsider", 422, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.do(t, hubtest.Writer, "GET", "/api/v1/communities/finance/audience"+tt.query, "")
			if w.Code != tt.want {
				t.Fatalf("GET = %d %s, want %d", w.Code, w.Body, tt.want)
			}
			if tt.want != 200 {
				return
			}
			a := read[audienceResource](t, w, 200)
			var names []string
			for _, o := range a.Organizations {
				names = append(names, o.Name)
			}
			slices.Sort(names)
			if got := strings.Join(names, " "); got != tt.names || a.TLP != tt.tlp {
				t.Errorf("audience = %s %q, want %s %q", a.TLP, got, tt.tlp, tt.names)
			}
		})
	}
}

// The preview must not differ from what happens.
func TestTheAudienceIsWhoSeesIt(t *testing.T) {
	s := serve(t)
	cast := map[string]string{"acme": hubtest.Writer, "bravo": hubtest.Reader, "delta": hubtest.Colleague, "isac": hubtest.Curator, "staff": hubtest.Operator, "bureau": hubtest.Agency}
	n := 0
	for _, label := range []string{"", "clear", "green", "amber", "amber%2Bstrict", "red"} {
		for _, to := range []string{"", "&to=bravo", "&to=isac&to=bureau"} {
			n++
			var markings []string
			if label != "" {
				id := map[string]string{
					"clear": "94868c89-83c2-464b-929b-a1a8aa3c8487", "green": "bab4a63c-aed9-4cf5-a766-dfca5abac2bb", "amber": "55d920b0-5e8b-4f79-9ee9-91f868d9b421",
					"amber%2Bstrict": "939a9414-2ddd-4d32-a0cd-375ea402b003", "red": "e828b379-4e03-4974-9ac4-e53a884c97c1",
				}[label]
				markings = append(markings, `"object_marking_refs":["marking-definition--`+id+`"]`)
			}
			a := read[audienceResource](t, s.do(t, hubtest.Writer, "GET", "/api/v1/communities/finance/audience?tlp="+label+to, ""), 200)
			read[submissionResource](t, s.do(t, hubtest.Writer, "POST", submissions+"?"+to, hubtest.Envelope(hubtest.Indicator(n, 1, markings...))), 201)
			for organization, as := range cast {
				sees := s.do(t, as, "GET", indicators+"objects/"+hubtest.ID("indicator", n)+"/sightings", "").Code == 200
				said := slices.ContainsFunc(a.Organizations, func(o organizationResource) bool { return o.Name == organization })
				if sees != said {
					t.Errorf("tlp=%s%s: %s sees it: %v, the audience said %v", label, to, organization, sees, said)
				}
			}
		}
	}
}

func TestSightingsAreCounted(t *testing.T) {
	s := serve(t)
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	sighting := func(n, day int, more string) string {
		return `{"type":"sighting","spec_version":"2.1","id":"` + hubtest.ID("sighting", n) + `","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-0` +
			strconv.Itoa(day) + `T00:00:00.000Z","sighting_of_ref":"` + hubtest.ID("indicator", 1) + `"` + more + `}`
	}
	count := func(as string) (sum sightingsResource, objects int) {
		t.Helper()
		w := s.do(t, as, "GET", indicators+"objects/"+hubtest.ID("indicator", 1)+"/sightings", "")
		var list struct{ Sightings []json.RawMessage }
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		return read[sightingsResource](t, w, 200), len(list.Sightings)
	}
	if sum, n := count(hubtest.Reader); sum.Count != 0 || n != 0 {
		t.Errorf("before: %+v, %d", sum, n)
	}
	odd := strings.Replace(sighting(1, 1, `,"count":3,"first_seen":"2026-01-02T00:00:00Z","last_seen":"2026-01-03T00:00:00.5Z"`), `{"type"`, `{ "x_a" : "<&>" , "type"`, 1)
	s.Share(t, hubtest.Writer, nil, odd)
	s.Share(t, hubtest.Colleague, nil, sighting(2, 1, ""))
	s.Share(t, hubtest.Colleague, nil, sighting(3, 1, `,"count":0`))
	s.Share(t, hubtest.Colleague, nil, sighting(4, 1, `,"count":100`), sighting(4, 2, `,"count":7,"first_seen":"2026-01-01T12:00:00Z"`))
	s.Share(t, hubtest.Colleague, nil, sighting(5, 1, `,"count":1000`), sighting(5, 2, `,"count":1000,"revoked":true`))
	s.Share(t, hubtest.Colleague, []string{"acme"}, sighting(6, 1, `,"count":10000`))
	want := sightingsResource{Count: 3 + 1 + 0 + 7, FirstSeen: "2026-01-01T12:00:00Z", LastSeen: "2026-01-03T00:00:00.5Z"}
	if sum, n := count(hubtest.Reader); sum != want || n != 4 {
		t.Errorf("sightings = %+v, %d objects, want %+v, 4", sum, n, want)
	}
	want.Count += 10000
	if sum, n := count(hubtest.Writer); sum != want || n != 5 {
		t.Errorf("sightings for a named recipient = %+v, %d objects, want %+v, 5", sum, n, want)
	}
	if w := s.do(t, hubtest.Reader, "GET", indicators+"objects/"+hubtest.ID("indicator", 1)+"/sightings", ""); !strings.Contains(w.Body.String(), odd) {
		t.Errorf("sightings = %s, want the bytes that were submitted", w.Body)
	}
	if w := s.do(t, hubtest.Reader, "GET", indicators+"objects/nonsense/sightings", ""); w.Code != 404 {
		t.Errorf("GET of no id = %d, want 404", w.Code)
	}
}

// DESIGN promise 7.
func TestDisclosuresAreListedWithReceipts(t *testing.T) {
	s := serve(t)
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	const list = "/api/v1/communities/finance/disclosures"
	if got := read[disclosuresResource](t, s.do(t, hubtest.Reader, "GET", list, ""), 200); len(got.Disclosures) != 0 || got.More {
		t.Errorf("before: %+v", got)
	}
	for _, as := range []string{hubtest.Reader, hubtest.Agency, hubtest.Writer} {
		s.do(t, as, "GET", indicators+"objects/"+hubtest.ID("indicator", 1)+"/sightings", "")
	}
	got := read[disclosuresResource](t, s.do(t, hubtest.Reader, "GET", list, ""), 200)
	if len(got.Disclosures) != 1 {
		t.Fatalf("disclosures = %+v, want one", got)
	}
	d := got.Disclosures[0]
	if d.Organization != "bureau" || d.Purpose != "cybersecurity" || d.Objects != 1 || d.From != 1 || d.To != 1 || got.Next <= d.Leaf {
		t.Errorf("disclosure = %+v, next %d", d, got.Next)
	}
	if after := read[disclosuresResource](t, s.do(t, hubtest.Reader, "GET", list+"?from="+strconv.FormatInt(got.Next, 10), ""), 200); len(after.Disclosures) != 0 {
		t.Errorf("from next: %+v", after)
	}
	w := s.do(t, hubtest.Writer, "GET", strings.TrimPrefix(d.Receipt, "https://hub.example.com"), "")
	proof, err := receipt.ParseProof(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := receipt.Verify(proof, s.VerifierKey); err != nil || v.Index() != d.Leaf || v.Kind() != receipt.KindDisclosure {
		t.Errorf("Verify = %+v, %v", v, err)
	}
	for _, from := range []string{"-1", "x", "99999999999999999999", "1&from=2"} {
		if w := s.do(t, hubtest.Reader, "GET", list+"?from="+from, ""); w.Code != 400 {
			t.Errorf("GET ?from=%s = %d, want 400", from, w.Code)
		}
	}
}

func TestTheNetworkIsAdministered(t *testing.T) {
	s := serve(t)
	const document = `{"organizations":[{"name":"newco","title":"New","kind":"company","users":[{"name":"u","tokens":[{"name":"t"}]}]}],
		"communities":[{"name":"finance","members":[{"organization":"newco","role":"reader"}]}]}`
	planned := read[member.Applied](t, s.do(t, hubtest.Hub, "POST", "/api/v1/network?plan", document), 200)
	if len(planned.Tokens) != 1 || planned.Tokens[0].Token != "" {
		t.Errorf("plan = %+v, want a token without a secret", planned)
	}
	applied := read[member.Applied](t, s.do(t, hubtest.Hub, "POST", "/api/v1/network", document), 200)
	if len(applied.Tokens) != 1 || applied.Tokens[0].Token == "" {
		t.Fatalf("applied = %+v, want a token", applied)
	}
	token := applied.Tokens[0]
	s.Tokens["newco"] = token.Token
	if me := read[meResource](t, s.do(t, "newco", "GET", "/api/v1/me", ""), 200); me.Organization.Name != "newco" || me.Communities[0].Role != "reader" {
		t.Errorf("me = %+v", me)
	}
	again := read[member.Applied](t, s.do(t, hubtest.Hub, "POST", "/api/v1/network", document), 200)
	if len(again.Tokens) != 0 {
		t.Errorf("applied again = %+v, want no token", again)
	}
	yaml := s.do(t, hubtest.Operator, "POST", "/api/v1/network", "communities:\n- name: finance\n  collections:\n  - alias: new\n", "Content-Type", "application/yaml")
	if yaml.Code != 200 {
		t.Errorf("POST of YAML by the community's operator = %d %s, want 200", yaml.Code, yaml.Body)
	}
	other := s.do(t, hubtest.Operator, "POST", "/api/v1/network", `{"communities":[{"name":"energy","collections":[{"alias":"new"}]}]}`)
	unreal := s.do(t, hubtest.Operator, "POST", "/api/v1/network", `{"communities":[{"name":"nowhere","collections":[{"alias":"new"}]}]}`)
	if other.Code != 404 || unreal.Code != 404 {
		t.Errorf("POST about another community = %d, about none %d, want 404", other.Code, unreal.Code)
	}
	wrong := read[problem](t, s.do(t, hubtest.Hub, "POST", "/api/v1/network", `{"organizations":[{"name":"A B"},{"name":"ok","kind":"club"}]}`), 422)
	if len(wrong.Errors) != 2 || wrong.Errors[1].At != "/organizations/1/kind" {
		t.Errorf("problem = %+v, want both", wrong)
	}
	for name, as := range map[string]string{"the hub's operator": hubtest.Hub, "a member": hubtest.Reader} {
		w := s.do(t, as, "GET", "/api/v1/network", "")
		for who, secret := range s.Tokens {
			if strings.Contains(w.Body.String(), secret) {
				t.Errorf("GET network as %s holds the secret of %s", name, who)
			}
		}
	}
	if w := s.do(t, hubtest.Reader, "GET", "/api/v1/network", ""); strings.Contains(w.Body.String(), "acme") {
		t.Errorf("GET network as a member names other members: %s", w.Body)
	}
	if w := s.do(t, hubtest.Hub, "DELETE", "/api/v1/tokens/"+token.ID, ""); w.Code != 204 {
		t.Errorf("DELETE token = %d %s, want 204", w.Code, w.Body)
	}
	if w := s.do(t, "newco", "GET", "/api/v1/me", ""); w.Code != 401 {
		t.Errorf("GET with the revoked token = %d, want 401", w.Code)
	}
}

func TestStatusesOfAllKinds(t *testing.T) {
	for kind, want := range map[tocsin.Kind]int{
		tocsin.Malformed: 400, tocsin.Unauthenticated: 401, tocsin.Forbidden: 403, tocsin.NotFound: 404, tocsin.NotAcceptable: 406, tocsin.Conflict: 409,
		tocsin.TooLarge: 413, tocsin.Unsupported: 415, tocsin.Invalid: 422, tocsin.TooMany: 429, tocsin.Busy: 503, 0: 500,
	} {
		refused := receive.Refusal{Errors: []*tocsin.Error{{Kind: kind, Message: "m"}}}
		if kind == 0 {
			refused = receive.Refusal{ID: "x"}
		}
		w := httptest.NewRecorder()
		refuse(w, nil, refused)
		if w.Code != want {
			t.Errorf("refuse(kind %d) = %d, want %d", kind, w.Code, want)
		}
		if retry := w.Header().Get("Retry-After"); (retry != "") != (want == 429 || want == 503) {
			t.Errorf("refuse(kind %d) has Retry-After %q", kind, retry)
		}
	}
}
