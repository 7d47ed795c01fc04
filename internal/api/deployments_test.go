package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tocsin/internal/cursor"
	"tocsin/internal/hub/hubtest"
)

const agent1 = `"agent":"00000000-0000-4000-8000-000000000001"`

// at returns the cursor of a position of finance's indicators.
func (s *served) at(t *testing.T, position int64) string {
	t.Helper()
	who, err := s.Directory.Authenticate(t.Context(), s.Tokens[hubtest.Reader])
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Directory.Collection(who, "finance", "indicators")
	if err != nil {
		t.Fatal(err)
	}
	return s.Cursors.Seal(cursor.Position{Seq: position}, streamScope(c.ID)...)
}

func TestAProducerSeesTheFunnelAndAStrangerDoesNot(t *testing.T) {
	s := serve(t)
	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1))
	head, _ := s.Store.Head("")
	body := fmt.Sprintf(`{%s,"cursor":%q,"fetched_ms_ago":2.5,"deployed_ms_ago":1}`, agent1, s.at(t, head))
	for as, want := range map[string]int{hubtest.Reader: 204, hubtest.Colleague: 204, hubtest.Agency: 204, hubtest.Stranger: 404, hubtest.Hub: 404} {
		if w := s.do(t, as, http.MethodPost, indicators+"deployments/", body); w.Code != want {
			t.Errorf("POST as %s = %d %s, want %d", as, w.Code, w.Body, want)
		}
	}
	path := indicators + "objects/" + hubtest.ID("indicator", 1) + "/deployment/"
	nothing := indicators + "objects/" + hubtest.ID("indicator", 2) + "/deployment/"
	for _, as := range []string{hubtest.Writer, hubtest.Curator, hubtest.Operator} {
		got := read[funnelResource](t, s.do(t, as, http.MethodGet, path, ""), 200)
		if got.Followers != 3 || got.Deployed.Organizations != 3 || got.Shared == "" || got.Holding != 0 {
			t.Errorf("the funnel for %s is %+v, want three organizations", as, got)
		}
	}
	for _, as := range []string{hubtest.Stranger, hubtest.Hub, hubtest.Reader, hubtest.Colleague, hubtest.Agency} {
		got, other := s.do(t, as, http.MethodGet, path, ""), s.do(t, as, http.MethodGet, nothing, "")
		if got.Code != 404 || got.Body.String() != other.Body.String() {
			t.Errorf("GET as %s = %d %s, want what an object that is not there gets: %s", as, got.Code, got.Body, other.Body)
		}
	}

	s.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 2, `"revoked":true`))
	got := read[funnelResource](t, s.do(t, hubtest.Writer, http.MethodGet, path, ""), 200)
	if got.Why != "revoked" || got.Ended == "" || got.Holding != 3 || len(got.Holders) != 0 {
		t.Errorf("the funnel for the producer is %+v, want three that hold it, without names", got)
	}
	if got := read[funnelResource](t, s.do(t, hubtest.Curator, http.MethodGet, path, ""), 200); len(got.Holders) != 3 || got.Holders[0].Seen == "" {
		t.Errorf("the holders for a curator are %+v, want three", got.Holders)
	}
}

func TestBadConfirmationsAreRefused(t *testing.T) {
	s := serve(t)
	good := s.at(t, 0)
	for body, want := range map[string]int{
		``: 400, `[]`: 400, `{`: 400, `{` + agent1 + `}`: 400, `{` + agent1 + `,"cursor":"1"}`: 400,
		`{` + agent1 + `,"cursor":"` + good + `"}`:                                                    204,
		`{"cursor":"` + good + `"}`:                                                                   422,
		`{` + agent1 + `,"cursor":"` + good + `","cursor":"` + good + `"}`:                            400,
		`{` + agent1 + `,"cursor":"` + good + `","fetched_ms_ago":-1}`:                                422,
		`{` + agent1 + `,"cursor":"` + good + `","fetched_ms_ago":1e300}`:                             422,
		`{` + agent1 + `,"cursor":"` + good + `","deployed_ms_ago":5}`:                                422,
		`{` + agent1 + `,"cursor":"` + good + `","idle":["x"]}`:                                       422,
		`{` + agent1 + `,"cursor":"` + good + `","idle":[` + strings.Repeat(`"x",`, 10_000) + `"x"]}`: 413,
	} {
		if w := s.do(t, hubtest.Reader, http.MethodPost, indicators+"deployments/", body); w.Code != want {
			t.Errorf("POST %.120s = %d %s, want %d", body, w.Code, w.Body, want)
		}
	}
	if w := s.do(t, hubtest.Reader, http.MethodPost, indicators+"deployments/", `{}`, "Content-Type", "text/plain"); w.Code != 415 {
		t.Errorf("POST as text = %d, want 415", w.Code)
	}
	if w := s.do(t, hubtest.Writer, http.MethodGet, indicators+"objects/x/deployment/", ""); w.Code != 404 {
		t.Errorf("GET of no id = %d, want 404", w.Code)
	}
}
