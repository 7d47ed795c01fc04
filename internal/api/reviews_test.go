package api

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"tocsin/internal/hub/hubtest"
)

const queue = "/api/v1/communities/finance/reviews/"

// unsure is an indicator with a name that the gate is not sure of.
func unsure() string {
	return hubtest.Indicator(1, 1, `"description":"The mail that Svetlana opened"`)
}

type queueResource struct {
	Reviews []decidedResource `json:"reviews"`
	Next    int64             `json:"next"`
	More    bool              `json:"more"`
}

func TestACuratorReviews(t *testing.T) {
	s := serve(t)
	made := read[submissionResource](t, s.do(t, hubtest.Writer, http.MethodPost, "/api/v1/communities/finance/collections/indicators/submissions/", hubtest.Envelope(unsure())), 201)
	if made.Reviews != 1 {
		t.Errorf("the submitter is told of %d reviews, want 1", made.Reviews)
	}
	listed := s.do(t, hubtest.Curator, http.MethodGet, queue, "")
	if strings.Contains(listed.Body.String(), "Svetlana") {
		t.Errorf("the list has the value: %s", listed.Body)
	}
	list := read[queueResource](t, listed, 200)
	if len(list.Reviews) != 1 || list.Reviews[0].State != "pending" || !list.More {
		t.Fatalf("list = %+v", list)
	}
	if rest := read[queueResource](t, s.do(t, hubtest.Curator, http.MethodGet, queue+"?after="+strconv.FormatInt(list.Next, 10), ""), 200); len(rest.Reviews) != 0 || rest.More {
		t.Errorf("the rest = %+v, want nothing", rest)
	}
	id := list.Reviews[0].ID
	shown := s.do(t, hubtest.Curator, http.MethodGet, queue+id+"/", "")
	if one := read[reviewResource](t, shown, 200); one.Original != "Svetlana" || one.Text != "The mail that [person-name-1] opened" || shown.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("show = %+v", one)
	}
	decided := read[queueResource](t, s.do(t, hubtest.Curator, http.MethodPost, queue, `{"decisions":[{"id":"`+id+`","action":"approve","reason":"a tool"}]}`), 200)
	if r := decided.Reviews[0]; r.State != "approved" || r.Result == nil || len(r.Result.Successes) != 1 || r.Opinions[0].Reason != "a tool" || r.Original != "" {
		t.Errorf("decided = %+v", r)
	}
	if after := read[submissionResource](t, s.do(t, hubtest.Writer, http.MethodGet, "/api/v1/submissions/"+made.ID+"/", ""), 200); after.Reviews != 0 {
		t.Errorf("%d values wait after the decision", after.Reviews)
	}
	if ended := read[queueResource](t, s.do(t, hubtest.Curator, http.MethodGet, queue+"?ended=1", ""), 200); len(ended.Reviews) != 1 || ended.Reviews[0].State != "approved" {
		t.Errorf("ended = %+v", ended)
	}
}

func TestToOthersThereIsNoQueue(t *testing.T) {
	s := serve(t)
	s.Share(t, hubtest.Writer, nil, unsure())
	id := read[queueResource](t, s.do(t, hubtest.Curator, http.MethodGet, queue, ""), 200).Reviews[0].ID
	for _, as := range []string{hubtest.Stranger, hubtest.Reader, hubtest.Writer, hubtest.Agency, hubtest.Hub} {
		nowhere := s.do(t, as, http.MethodGet, "/api/v1/communities/nowhere/reviews/", "")
		for _, w := range []struct{ method, at, body string }{
			{http.MethodGet, queue, ""},
			{http.MethodGet, queue + id + "/", ""},
			{http.MethodPost, queue, `{"decisions":[{"id":"` + id + `","action":"approve"}]}`},
		} {
			if got := s.do(t, as, w.method, w.at, w.body); got.Code != 404 || got.Body.String() != nowhere.Body.String() {
				t.Errorf("%s %s as %s = %d %s, want what a community that is not gets", w.method, w.at, as, got.Code, got.Body)
			}
		}
	}
}

func TestBadDecisionsAreRefused(t *testing.T) {
	s := serve(t)
	for body, want := range map[string]int{
		``: 400, `[]`: 400, `{"decisions":[{"id":1}]}`: 400, `{"decisions":[],"decisions":[]}`: 400, `{"decisions":[]}`: 422,
	} {
		if w := s.do(t, hubtest.Curator, http.MethodPost, queue, body); w.Code != want {
			t.Errorf("POST %s = %d %s, want %d", body, w.Code, w.Body, want)
		}
	}
	for _, query := range []string{"?after=x", "?after=-1", "?ended=2", "?after=1&after=2"} {
		if w := s.do(t, hubtest.Curator, http.MethodGet, queue+query, ""); w.Code != 400 {
			t.Errorf("GET %s = %d, want 400", query, w.Code)
		}
	}
}

func TestARecallHasAReceipt(t *testing.T) {
	s := serve(t)
	s.Share(t, hubtest.Writer, nil, unsure(), hubtest.Indicator(2, 1), hubtest.Indicator(2, 2))
	recall := func(as string, ids ...string) (int, string) {
		w := s.do(t, as, http.MethodPost, "/api/v1/recalls/", `{"ids":["`+strings.Join(ids, `","`)+`"],"reason":"a mistake"}`)
		return w.Code, w.Body.String()
	}
	for as, want := range map[string]int{hubtest.Reader: 403, hubtest.Colleague: 403, hubtest.Stranger: 404, hubtest.Hub: 404} {
		if code, body := recall(as, hubtest.ID("indicator", 2)); code != want {
			t.Errorf("recall as %s = %d %s, want %d", as, code, body, want)
		}
	}
	w := s.do(t, hubtest.Writer, http.MethodPost, "/api/v1/recalls/", `{"ids":["`+hubtest.ID("indicator", 1)+`","`+hubtest.ID("indicator", 2)+`"],"reason":"a mistake"}`)
	done := read[struct {
		Recalled []recallResource `json:"recalled"`
	}](t, w, 200)
	versions := 0
	for _, r := range done.Recalled {
		versions += r.Versions
		path := strings.TrimPrefix(r.Receipt, "https://hub.example.com")
		for as, want := range map[string]int{hubtest.Writer: 200, hubtest.Curator: 200, hubtest.Reader: 404, hubtest.Stranger: 404} {
			if got := s.do(t, as, http.MethodGet, path, ""); got.Code != want {
				t.Errorf("GET %s as %s = %d, want %d", path, as, got.Code, want)
			}
		}
	}
	// The first one was published as a copy, under another id.
	if len(done.Recalled) != 2 || versions != 3 {
		t.Errorf("recalled %+v, want both objects and 3 versions", done.Recalled)
	}
	if code, _ := recall(hubtest.Writer, hubtest.ID("indicator", 2)); code != 404 {
		t.Errorf("recall again = %d, want 404", code)
	}
	if got := s.do(t, hubtest.Writer, http.MethodGet, "/api/v1/withdrawals/0/receipt/", ""); got.Code != 404 {
		t.Errorf("the receipt of another kind of record = %d, want 404", got.Code)
	}
	for body, want := range map[string]int{`{"ids":[]}`: 422, `{"ids":"x"}`: 400, ``: 400, `{"ids":["x"],"reason":"` + strings.Repeat("x", 1001) + `"}`: 422} {
		if w := s.do(t, hubtest.Writer, http.MethodPost, "/api/v1/recalls/", body); w.Code != want {
			t.Errorf("POST %.30s = %d %s, want %d", body, w.Code, w.Body, want)
		}
	}
}
