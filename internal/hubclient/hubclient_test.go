package hubclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin"
	"tocsin/internal/api"
	"tocsin/internal/distribute"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/member"
	"tocsin/internal/minimize"
	"tocsin/internal/outbound"
	"tocsin/internal/taxii"
	"tocsin/internal/taxii/client"
)

// A hub is a real one's two APIs, with the cast of hubtest.
type hub struct {
	*hubtest.Parts

	url string
}

func open(t *testing.T) hub {
	t.Helper()
	p := hubtest.Open(t)
	s := httptest.NewServer(nil)
	t.Cleanup(s.Close)
	base, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	mux := http.NewServeMux()
	mux.Handle("/api/v1/", api.New(api.Options{
		Authenticator: p.Directory, Directory: p.Directory, Administrator: p.Directory, Registry: p.Directory, Admissions: p.Directory, Confirmer: p.Directory, Feed: p.Feed, Submitter: p.Submit, Prover: p.Prover,
		Cursors: p.Cursors, Intake: p.Intake, URL: base, Log: log,
	}))
	mux.Handle("/", taxii.New(taxii.Options{
		Authenticator: p.Directory, Directory: p.Directory, Feed: p.Feed, Submitter: p.Submit, Prover: p.Prover, Withdrawer: p.Withdrawer,
		Cursors: p.Cursors, Intake: p.Intake, URL: base, Title: "Hub", Log: log,
	}))
	s.Config.Handler = mux
	return hub{p, s.URL}
}

func dial(t *testing.T, address, token string) *Client {
	t.Helper()
	only, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	door, err := outbound.New(outbound.Options{Only: only})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(door.CloseIdleConnections)
	c, err := New(Options{URL: address + "/ignored?this#too", Token: token, HTTP: door})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (h hub) as(t *testing.T, name string) *Client { return dial(t, h.url, h.Tokens[name]) }

func TestAHubIsUnderstood(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	writer := h.as(t, hubtest.Writer)

	me, err := writer.Me(ctx)
	if err != nil || me.Organization.Name != "acme" || !strings.HasPrefix(me.Organization.Identity, "identity--") || len(me.Communities) != 1 || me.Communities[0].Role != "writer" {
		t.Fatalf("Me = %+v, %v, want acme, a writer of one community", me, err)
	}
	made, err := writer.Submit(ctx, "finance", "indicators", []byte(hubtest.Envelope(hubtest.Indicator(1, 1), `{"type":"indicator"}`)), nil)
	if err != nil || len(made.Successes) != 1 || made.Successes[0].ID != hubtest.ID("indicator", 1) || made.Successes[0].Seq == 0 ||
		len(made.Failures) != 1 || made.Failures[0].Detail == "" || made.First == 0 || made.Last == 0 {
		t.Fatalf("Submit = %+v, %v, want one success and one failure that says why", made, err)
	}
	again, err := writer.Submission(ctx, made.ID)
	made.Findings = nil
	if err != nil || !cmp.Equal(again, made) {
		t.Errorf("Submission = %+v, %v, want %+v", again, err, made)
	}
	if text, err := writer.Receipt(ctx, made.ID); err != nil || !bytes.HasPrefix(text, []byte("c2sp.org/tlog-proof@v1\n")) {
		t.Errorf("Receipt = %q, %v, want a proof", text, err)
	}
	seen := `{"type":"sighting","spec_version":"2.1","id":"` + hubtest.ID("sighting", 1) + `","created":"2026-01-02T00:00:00.000Z",` +
		`"modified":"2026-01-02T00:00:00.000Z","count":3,"sighting_of_ref":"` + hubtest.ID("indicator", 1) + `"}`
	if _, err := writer.Submit(ctx, "finance", "indicators", []byte(seen), nil); err != nil {
		t.Fatal(err)
	}
	if s, err := h.as(t, hubtest.Reader).Sightings(ctx, "finance", "indicators", hubtest.ID("indicator", 1)); err != nil || s.Count != 3 || len(s.Sightings) != 1 || string(s.Sightings[0]) != seen {
		t.Errorf("Sightings = %+v, %v, want a count of 3 and the object as it was sent", s, err)
	}
	if a, err := writer.Audience(ctx, "finance", "amber+strict", []string{"bravo"}); err != nil || a.TLP != "TLP:AMBER+STRICT" || len(a.Organizations) != 2 {
		t.Errorf("Audience = %+v, %v, want the caller and bravo", a, err)
	}

	for _, err := range h.as(t, hubtest.Agency).Objects(ctx, "finance", "indicators", client.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
	}
	d, err := writer.Disclosures(ctx, "finance", 0)
	if err != nil || len(d.Disclosures) != 1 || d.Disclosures[0].Organization != "bureau" || d.Disclosures[0].Purpose != "cybersecurity" {
		t.Fatalf("Disclosures = %+v, %v, want the agency's read", d, err)
	}
	if text, err := writer.RecordReceipt(ctx, d.Disclosures[0].Leaf); err != nil || !bytes.HasPrefix(text, []byte("c2sp.org/tlog-proof@v1\n")) {
		t.Errorf("RecordReceipt = %q, %v, want a proof", text, err)
	}
	var ids []string
	for page, err := range writer.Manifest(ctx, "finance", "indicators", client.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Objects {
			ids = append(ids, o.ID)
		}
	}
	if want := []string{hubtest.ID("indicator", 1), hubtest.ID("sighting", 1)}; !cmp.Equal(ids, want) {
		t.Errorf("Manifest = %v, want %v", ids, want)
	}
}

func TestAnOperatorChangesTheNetwork(t *testing.T) {
	h := open(t)
	ctx := t.Context()
	operator := h.as(t, hubtest.Hub)
	document := []byte("organizations:\n  - {name: echo, title: Echo, kind: company, users: [{name: u, tokens: [{name: laptop}]}]}\n")
	planned, err := operator.ApplyNetwork(ctx, document, true)
	if err != nil || len(planned.Changes) == 0 || len(planned.Tokens) != 1 || planned.Tokens[0].Token != "" {
		t.Fatalf("a plan is %+v, %v, want changes and no secret", planned, err)
	}
	applied, err := operator.ApplyNetwork(ctx, document, false)
	if err != nil || len(applied.Tokens) != 1 || applied.Tokens[0].Token == "" {
		t.Fatalf("ApplyNetwork = %+v, %v, want a token", applied, err)
	}
	if text, err := operator.Network(ctx); err != nil || !bytes.Contains(text, []byte(`"echo"`)) {
		t.Errorf("Network = %s, %v, want a document that names echo", text, err)
	}
	echo := dial(t, h.url, applied.Tokens[0].Token)
	if _, err := echo.Me(ctx); err != nil {
		t.Errorf("with the new token: %v", err)
	}
	if err := operator.RevokeToken(ctx, applied.Tokens[0].ID); err != nil {
		t.Errorf("RevokeToken: %v", err)
	}
	if _, err := echo.Me(ctx); kind(err) != tocsin.Unauthenticated {
		t.Errorf("with the revoked token: %v, want unauthenticated", err)
	}
	_, err = operator.ApplyNetwork(ctx, []byte("organizations:\n  - {name: UPPER}\n  - {name: b, kind: nonsense}\n"), false)
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) < 2 {
		t.Errorf("a document with two faults: %v, want both", err)
	}
}

func kind(err error) tocsin.Kind {
	if e, ok := errors.AsType[*tocsin.Error](err); ok {
		return e.Kind
	}
	return 0
}

func TestTheHubsTypesAreReadWhole(t *testing.T) {
	for name, test := range map[string]struct{ theirs, ours any }{
		"applied": {
			member.Applied{Changes: []member.Step{{Kind: "a", Name: "b", Action: "c", Detail: "d", ID: "e"}}, Tokens: []member.NewToken{{Organization: "a", User: "b", Name: "c", ID: "d", Token: "e"}}, Warnings: []string{"w"}, Proposal: "p"},
			&Applied{},
		},
		"finding": {minimize.Finding{Object: "a", At: "b", Class: "c", Rule: "d", Action: "e", Why: "f", Count: 1}, &Finding{}},
	} {
		text, err := json.Marshal(test.theirs)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(test.ours); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := json.Marshal(test.ours)
		if err != nil || !bytes.Equal(again, text) {
			t.Errorf("%s: read and written again it is %s, %v, want %s", name, again, err, text)
		}
	}
}

func TestTheStreamBringsWhatIsShared(t *testing.T) {
	h := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	raw := strings.ReplaceAll(hubtest.Indicator(1, 1), `,"`, ",\n\t\"")
	h.Share(t, hubtest.Writer, nil, raw)
	h.Share(t, hubtest.Colleague, nil, hubtest.Indicator(2, 1))

	var got []string
	var cursor string
	for e, err := range h.as(t, hubtest.Reader).Stream(ctx, "finance", "indicators", "") {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == Moved {
			continue
		}
		got, cursor = append(got, e.Kind), e.Cursor
		if e.Kind == Object && len(got) == 2 {
			if string(e.Data) != raw {
				t.Errorf("the first object is %s, want it as it was sent", e.Data)
			}
			break
		}
	}
	if want := []string{Opened, Object}; !cmp.Equal(got, want) {
		t.Errorf("the events are %v, want %v", got, want)
	}

	for e, err := range h.as(t, hubtest.Reader).Stream(ctx, "finance", "indicators", cursor) {
		if err != nil {
			t.Fatal(err)
		}
		switch e.Kind {
		case Object:
			if !strings.Contains(string(e.Data), hubtest.ID("indicator", 2)) {
				t.Errorf("after the cursor came %s, want number 2", e.Data)
			}
			who, err := h.Directory.Authenticate(ctx, h.Tokens[hubtest.Colleague])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Withdrawer.Withdraw(ctx, who, "finance", "indicators", hubtest.ID("indicator", 2), allVersions()); err != nil {
				t.Fatal(err)
			}
		case Withdrawn:
			if w, ok := e.Withdrawal(); !ok || w.ID != hubtest.ID("indicator", 2) || w.Version != "2026-01-01T00:00:00.000Z" {
				t.Errorf("withdrawn was %s, want number 2 and its version", e.Data)
			}
			return
		}
	}
}

func TestAStreamEndsWhenItsReadersRightsDo(t *testing.T) {
	h := open(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	me, err := h.as(t, hubtest.Reader).Me(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range h.as(t, hubtest.Reader).Stream(ctx, "finance", "indicators", "") {
		if err != nil {
			if kind(err) != tocsin.Unauthenticated {
				t.Errorf("the stream ended with %v, want unauthenticated", err)
			}
			return
		}
		if e.Kind == Opened {
			if err := h.as(t, hubtest.Hub).RevokeToken(ctx, me.Token); err != nil {
				t.Fatal(err)
			}
			h.Share(t, hubtest.Writer, nil, hubtest.Indicator(1, 1)) // wakes the stream
		}
	}
}

func TestRefusalsAreReadable(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		kind   tocsin.Kind
		text   string
	}{
		"one":          {403, `{"title":"Forbidden","status":403,"detail":"you may not","hint":"ask","at":"/x","clause":"c"}`, tocsin.Forbidden, "you may not at /x (c); ask"},
		"several":      {422, `{"title":"T","status":422,"errors":[{"title":"a","status":422,"detail":"one"},{"title":"two","status":422}]}`, tocsin.Invalid, "one\ntwo"},
		"internal":     {500, `{"title":"Internal","status":500,"error_id":"ABC"}`, tocsin.Busy, "the hub had an internal error; tell the hub's operator its id, which is in the hub's log: ABC"},
		"not a hub":    {404, `<html>`, tocsin.NotFound, "the answer was 404 Not Found, not in the words of a hub; check the address"},
		"escapes":      {404, `{"title":"a\u001b[2Jb\nc"}`, tocsin.NotFound, "a[2Jbc"},
		"not an error": {200, `<html>`, tocsin.Invalid, "the answer is not what a Tocsin hub says; check the address, and that both sides have the same version"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, test.body)
		}))
		_, err := dial(t, s.URL, "t").Me(t.Context())
		if kind(err) != test.kind || err.Error() != test.text {
			t.Errorf("%s: %v (kind %d), want %s (kind %d)", name, err, kind(err), test.text, test.kind)
		}
		s.Close()
	}
}

func TestWhatIsNoStreamIsRefused(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "data: x\n\n")
	}))
	defer s.Close()
	for _, err := range dial(t, s.URL, "t").Stream(t.Context(), "c", "l", "") {
		if kind(err) != tocsin.Invalid {
			t.Errorf("a page of HTML: %v, want an error", err)
		}
	}
}

func TestEventsAreReadAsTheStandardSays(t *testing.T) {
	type event struct{ Kind, Cursor, Data string }
	for name, test := range map[string]struct {
		text string
		want []event
	}{
		"plain":                       {"event: object\nid: 1\ndata: {}\n\n", []event{{"object", "1", "{}"}}},
		"carriage returns":            {"event: object\rid: 1\rdata: {}\r\revent: x\rdata: 2\r\r", []event{{"object", "1", "{}"}, {"x", "1", "2"}}},
		"both":                        {"event: object\r\nid: 1\r\ndata: {}\r\n\r\n", []event{{"object", "1", "{}"}}},
		"several lines":               {"data: {\ndata:  \"a\":\ndata:1\ndata\ndata: }\n\n", []event{{"message", "", "{\n \"a\":\n1\n\n}"}}},
		"comments":                    {": tocsin\n:\n\n: x\ndata: 1\n: in it\n\n", []event{{}, {}, {}, {"message", "", "1"}}},
		"the cursor alone":            {"id: 7\n\n", []event{{"", "7", ""}}},
		"the cursor holds":            {"id: 7\ndata: a\n\ndata: b\n\nid\ndata: c\n\n", []event{{"message", "7", "a"}, {"message", "7", "b"}, {"message", "", "c"}}},
		"no data, no event":           {"event: object\n\ndata: 1\n\n", []event{{"message", "", "1"}}},
		"NUL in an id":                {"id: a\x00b\ndata: 1\n\n", []event{{"message", "", "1"}}},
		"a byte order mark":           {"\xef\xbb\xbfdata: 1\n\ndata: 2\n\n", []event{{"message", "", "1"}, {"message", "", "2"}}},
		"retry and unknown fields":    {"retry: 10\nother: x\ndata: 1\n\n", []event{{"message", "", "1"}}},
		"cut off":                     {"data: 1\n\ndata: 2\n", []event{{"message", "", "1"}}},
		"longer than the buffer":      {"data: " + strings.Repeat("x", 200_000) + "\n\n", []event{{"message", "", strings.Repeat("x", 200_000)}}},
		"an empty line of data":       {"data\n\n", []event{{"message", "", ""}}},
		"only the first space is cut": {"data:  1\n\n", []event{{"message", "", " 1"}}},
	} {
		for _, wrap := range []func(io.Reader) io.Reader{
			func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader,
		} {
			var got []event
			s := newEvents(wrap(strings.NewReader(test.text)), "")
			for {
				e, err := s.next()
				if err != nil {
					break
				}
				got = append(got, event{e.Kind, e.Cursor, string(e.Data)})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
}

func TestAnEventDoesNotWaitForWhatComesAfterIt(t *testing.T) {
	r, w := io.Pipe()
	go func() { _, _ = io.WriteString(w, "data: 1\r\r") }() // and then nothing
	defer func() { _ = w.Close() }()
	if e, err := newEvents(r, "").next(); err != nil || string(e.Data) != "1" {
		t.Errorf("next = %+v, %v, want the event", e, err)
	}
}

func TestEndlessEventsAreRefused(t *testing.T) {
	for name, text := range map[string]string{"line": "data: xxxxxxxxxxxxxxx", "lines": "data: xxxxxxxxx\n", "other": "junk: xxxxxxxxxxxxx"} {
		s := newEvents(&endless{text: text}, "")
		if _, err := s.next(); kind(err) != tocsin.TooLarge {
			t.Errorf("%s: %v, want too large", name, err)
		}
	}
}

// endless repeats a text.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.text[e.at%len(e.text)]
		e.at++
	}
	return len(p), nil
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("event: object\nid: 1\ndata: {}\n\n: c\r\ndata: a\rdata: b\r\n\r\n"), byte(3))
	f.Add([]byte("\xef\xbb\xbfid\n\ndata\n\n"), byte(1))
	f.Fuzz(func(t *testing.T, text []byte, size byte) {
		read := func(r io.Reader) (all []Event) {
			s := newEvents(r, "")
			for {
				e, err := s.next()
				if err != nil {
					return all
				}
				if strings.ContainsAny(e.Cursor, "\x00\r\n") || bytes.ContainsRune(e.Data, '\r') {
					t.Errorf("event %q holds what no line can", e)
				}
				all = append(all, e)
			}
		}
		whole := read(bytes.NewReader(text))
		pieces := read(&chunks{text, int(size)%7 + 1})
		if diff := cmp.Diff(whole, pieces); diff != "" {
			t.Errorf("how the text arrives makes a difference (-whole +pieces):\n%s", diff)
		}
	})
}

// chunks hands out a text in pieces.
type chunks struct {
	text []byte
	size int
}

func (c *chunks) Read(p []byte) (int, error) {
	if len(c.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.text[:min(c.size, len(c.text))])
	c.text = c.text[n:]
	return n, nil
}

func allVersions() distribute.Which { return distribute.Which{All: true} }
