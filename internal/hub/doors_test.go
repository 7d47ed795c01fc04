package hub

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin"
	"tocsin/internal/authorize"
	"tocsin/internal/marking"
	"tocsin/internal/member"
	"tocsin/tlp"
)

// How much the property test tries; the whole of it is
//
//	go test ./internal/hub -run Doors -objects 100000 -readers 50 -timeout 24h
var (
	doorObjects = flag.Int("objects", 600, "random objects of TestDoors")
	doorReaders = flag.Int("readers", 8, "readers of TestDoors")
)

// A network is a hub whose every door a reader can look through.
type network struct {
	t       *testing.T
	hub     *hub
	handler http.Handler
	tokens  map[string]string // organization → token
	col     string            // the collection's id
}

// openNetwork opens the hub in a folder. It is closed with the test, or before.
func openNetwork(t *testing.T, data string) (w *network, shut func()) {
	t.Helper()
	h, err := open(t.Context(), Options{Data: data, Ceiling: marking.TopSecret})
	if err != nil {
		t.Fatal(err)
	}
	w = &network{t: t, hub: h, tokens: map[string]string{}}
	background, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { h.feed.Run(background, slog.New(slog.DiscardHandler)); close(done) }()
	shut = sync.OnceFunc(func() {
		stop()
		<-done
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(shut)
	base, err := url.Parse("http://127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	w.handler = h.routes(Options{Log: slog.New(slog.DiscardHandler)}, base)
	return w, shut
}

// newNetwork opens a hub with acme and bravo, who share, and readers r0, r1 ….
func newNetwork(t *testing.T, readers int) *network {
	t.Helper()
	w, _ := openNetwork(t, t.TempDir())
	w.admit(readers)
	return w
}

// admit makes the community and its members.
func (w *network) admit(readers int) {
	t, h := w.t, w.hub
	t.Helper()
	n := member.Network{Communities: []member.CommunityEntry{{Name: "finance", Default: "amber", Collections: []member.CollectionEntry{{Alias: "all"}}}}}
	for _, name := range append([]string{"acme", "bravo"}, readerNames(readers)...) {
		e := member.OrganizationEntry{Name: name, Kind: "company", Users: []member.UserEntry{{Name: "u", Tokens: []member.TokenEntry{{Name: "t"}}}}}
		if h := attributesOf(name); h != nil {
			e.Handling = h
		}
		n.Organizations = append(n.Organizations, e)
		n.Communities[0].Members = append(n.Communities[0].Members, member.MemberEntry{Organization: name, Role: "writer"})
	}
	applied, err := h.directory.Apply(t.Context(), tocsin.Member{Operator: true}, n)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range applied.Tokens {
		w.tokens[token.Organization] = token.Token
	}
	c, err := h.directory.Collection(w.who("acme"), "finance", "all")
	if err != nil {
		t.Fatal(err)
	}
	w.col = c.ID
}

func readerNames(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint("r", i))
	}
	return names
}

// attributesOf gives readers every combination of a clearance and a nationality.
func attributesOf(name string) *member.HandlingEntry {
	var i int
	if _, err := fmt.Sscanf(name, "r%d", &i); err != nil {
		return nil
	}
	h := &member.HandlingEntry{Nationality: []string{"", "USA", "DEU"}[i/2%3]}
	if i%2 == 1 {
		h.Clearances = []member.ClearanceEntry{{Level: "S", Sponsor: "DHS", Expires: "2999-01-01"}}
	}
	return h
}

func (w *network) who(organization string) tocsin.Member {
	w.t.Helper()
	who, err := w.hub.directory.Authenticate(w.t.Context(), w.tokens[organization])
	if err != nil {
		w.t.Fatal(err)
	}
	return who
}

func (w *network) share(as string, recipients []string, objects ...string) {
	w.t.Helper()
	to := authorize.Target{Community: "finance", Collection: w.col, Default: tlp.Amber, Recipients: recipients}
	out, err := w.hub.submit.Submit(w.t.Context(), w.who(as), to, []byte(`{"objects":[`+strings.Join(objects, ",")+`]}`))
	if err != nil || len(out.Failures) > 0 {
		w.t.Fatal(err, out.Failures, objects)
	}
}

func (w *network) get(as, path string) (int, http.Header, string) {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer "+w.tokens[as])
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec.Code, rec.Header(), rec.Body.String()
}

// everything asks for all there is, through every door, and returns it by door.
func (w *network) everything(as string, ids []string) map[string]string {
	w.t.Helper()
	out := map[string]string{}
	root := "/finance/collections/" + w.col + "/"
	for name, query := range map[string]string{"objects": "objects/?limit=100", "all versions": "objects/?limit=100&match[version]=all", "manifest": "manifest/?limit=100"} {
		next := ""
		for {
			code, _, body := w.get(as, root+query+next)
			if code != http.StatusOK {
				w.t.Fatalf("GET %s as %s = %d %s", query, as, code, body)
			}
			out[name] += body
			var page struct {
				More bool   `json:"more"`
				Next string `json:"next"`
			}
			if err := json.Unmarshal([]byte(body), &page); err != nil {
				w.t.Fatal(err)
			}
			if !page.More {
				break
			}
			next = "&next=" + url.QueryEscape(page.Next)
		}
	}
	head, err := w.hub.feed.Head(w.who(as), "finance", w.col)
	if err != nil {
		w.t.Fatal(err)
	}
	position := int64(0)
	for news, err := range w.hub.feed.Follow(w.t.Context(), w.who(as), "finance", w.col, 0, time.Millisecond) {
		if err != nil {
			w.t.Fatal(err)
		}
		for _, o := range news.Objects {
			out["stream"] += string(o.Once(func(o viewObject) []byte { return o.Raw() })) + o.ID() + "\n"
		}
		if position = news.Position; position >= head {
			break
		}
	}
	_, _, out["list"] = w.get(as, "/api/v1/communities/finance/collections/"+w.col+"/lists/csv/")
	_, _, out["disclosures"] = w.get(as, "/api/v1/communities/finance/disclosures/")
	for _, id := range ids {
		for name, path := range map[string]string{
			"one": root + "objects/" + id + "/", "versions": root + "objects/" + id + "/versions/", "match": root + "objects/?match[id]=" + id,
			"manifest of one": root + "manifest/?match[id]=" + id,
			"sightings":       "/api/v1/communities/finance/collections/" + w.col + "/objects/" + id + "/sightings/",
		} {
			code, _, body := w.get(as, path)
			if code != http.StatusOK && code != http.StatusNotFound {
				w.t.Fatalf("GET %s as %s = %d %s", path, as, code, body)
			}
			out[name] += body
		}
	}
	return out
}

var identifier = regexp.MustCompile(`[a-z0-9-]+--[0-9a-f-]{36}`)

var canary = regexp.MustCompile(`canary[0-9]+z`)

func canaries(text string) []string {
	all := canary.FindAllString(text, -1)
	slices.Sort(all)
	return slices.Compact(all)
}

// TestDoors shares random objects with a canary in every text, and looks through
// every door as every reader: what comes out is what the naive reading of
// docs/markings.md permits, no more and no less.
func TestDoors(t *testing.T) {
	w := newNetwork(t, *doorReaders)
	g := &generator{rng: rand.New(rand.NewPCG(6, 2026)), names: append(readerNames(*doorReaders), "acme", "bravo")}
	for _, owner := range []string{"acme", "bravo"} {
		w.share(owner, nil, g.definitions(owner)...)
	}
	for len(g.all) < *doorObjects {
		b := g.bundle()
		w.share(b.owner, b.recipients, b.texts()...)
	}
	ids := g.sample(120)
	known := map[string]bool{}
	for _, o := range g.all {
		known[o.id] = true
	}
	partial, hidden := 0, 0
	for _, reader := range append(readerNames(*doorReaders), "acme") {
		want, originals := g.permitted(reader)
		out := w.everything(reader, ids)
		found := map[string]bool{} // ids of what comes out whole or as a copy
		for _, o := range objectsIn(t, out["all versions"]) {
			found[o] = true
		}
		for door, text := range out {
			for _, c := range canaries(text) {
				if !want[c] {
					t.Errorf("leak: %s sees %s of %s through %q", reader, c, g.where(c), door)
				}
			}
			for _, id := range identifier.FindAllString(text, -1) {
				if known[id] && !originals[id] {
					t.Errorf("leak: %s sees the id %s, which it may not see whole, through %q", reader, id, door)
				}
			}
			if t.Failed() {
				t.FailNow()
			}
		}
		for door, text := range map[string]string{"objects": out["objects"], "stream": out["stream"]} {
			got := canaries(text)
			if len(got) != len(want) {
				for c := range want {
					if _, ok := slices.BinarySearch(got, c); !ok {
						t.Fatalf("needless: %s does not see %s of %s through %q", reader, c, g.where(c), door)
					}
				}
			}
		}
		hidden += len(g.canaries) - len(want)
		for id := range found {
			if !originals[id] && !strings.HasPrefix(id, "marking-definition") {
				partial++
			}
		}
		// What comes out as a copy can be asked for by its id, and is the same there.
		n := 0
		for id := range found {
			if n++; n > 50 {
				break
			}
			code, _, body := w.get(reader, "/finance/collections/"+w.col+"/objects/"+id+"/")
			if code != http.StatusOK || !strings.Contains(body, id) {
				t.Fatalf("GET %s as %s = %d %s, want the object", id, reader, code, body)
			}
		}
	}
	if hidden == 0 || partial <= 0 {
		t.Errorf("%d canaries hidden, %d objects as copies: the test tests nothing", hidden, partial)
	}
	t.Logf("%d objects, %d readers: %d canaries hidden, %d objects as copies", len(g.all), *doorReaders+1, hidden, partial)
}

func objectsIn(t *testing.T, pages string) (ids []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(pages))
	for d.More() {
		var page struct {
			Objects []struct {
				ID string `json:"id"`
			} `json:"objects"`
		}
		if err := d.Decode(&page); err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Objects {
			ids = append(ids, o.ID)
		}
	}
	return ids
}
