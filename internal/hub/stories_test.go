package hub

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tocsin"
	"tocsin/internal/member"
)

// sealed are positions that a hub seals anew each time it writes them.
var sealed = regexp.MustCompile(`"next":"[^"]*"`)

// TestTwoWorlds compares two hubs that differ only in what a reader may not see:
// every door answers that reader with the same status, headers and bytes.
func TestTwoWorlds(t *testing.T) {
	folder := t.TempDir()
	one, shut := openNetwork(t, folder)
	one.admit(2)
	g := &generator{names: []string{"r0", "r1"}}
	one.share("acme", nil, g.definitions("acme")...)
	for n := range 30 {
		one.share("acme", nil, plain(n, ""))
	}
	shut()
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ledger.key", "hub.key"} { // CopyFS forgets who may read
		if err := os.Chmod(filepath.Join(copied, name), 0o600); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	one1, _ := openNetwork(t, folder)
	two, _ := openNetwork(t, copied)
	one1.tokens, two.tokens, one1.col, two.col = one.tokens, one.tokens, one.col, one.col
	var hidden []string
	for n := range 30 {
		marked := `,"object_marking_refs":["` + markingOf("acme", []string{"S", "unknown", "red"}[n%3]) + `"]`
		two.share("acme", nil, plain(100+n, marked))
		hidden = append(hidden, idOf(100+n))
	}
	// A version of what is seen that is not, and something for another reader.
	two.share("acme", []string{"r1"}, plain(200, ""))
	hidden = append(hidden, idOf(200))

	root := "/finance/collections/" + one.col + "/"
	own := "/api/v1/communities/finance/"
	paths := []string{
		root + "objects/", root + "objects/?limit=7", root + "objects/?match[version]=all", root + "manifest/", root, own + "disclosures/",
		own + "collections/" + one.col + "/lists/csv/", "/api/v1/me/", "/api/v1/markings/", own + "audience/",
	}
	for _, id := range append(hidden, idOf(3)) {
		paths = append(paths, root+"objects/"+id+"/", root+"objects/"+id+"/versions/", root+"objects/?match[id]="+id, own+"collections/"+one.col+"/objects/"+id+"/sightings/")
	}
	for _, path := range paths {
		c1, h1, b1 := one1.get("r0", path)
		c2, h2, b2 := two.get("r0", path)
		b1, b2 = sealed.ReplaceAllString(b1, ""), sealed.ReplaceAllString(b2, "")
		for _, h := range []http.Header{h1, h2} {
			h.Del("Date")
			h.Del("Tocsin-Request")
		}
		if c1 != c2 || len(b1) != len(b2) || neutral(b1) != neutral(b2) || len(h1) != len(h2) {
			t.Errorf("GET %s = %d %v %s\nin the other world %d %v %s", path, c1, h1, b1, c2, h2, b2)
		}
	}
}

// neutral takes out what differs between any two answers: the id of an error.
func neutral(body string) string {
	return regexp.MustCompile(`"(error_id|instance)":"[^"]*"`).ReplaceAllString(body, "")
}

func idOf(n int) string { return "campaign--" + string(idDigits(n)) }

func idDigits(n int) []byte {
	text := []byte("00000000-0000-4000-8000-000000000000")
	for i := 7; n > 0; i-- {
		text[i] = byte('0' + n%10)
		n /= 10
	}
	return text
}

func plain(n int, rest string) string {
	return `{"type":"campaign","spec_version":"2.1","id":"` + idOf(n) + `","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"Name"` + rest + `}`
}

// TestASecretReportWithThreePortions is read by four organizations: each gets all
// that it may see, at once.
func TestASecretReportWithThreePortions(t *testing.T) {
	w := newNetwork(t, 4) // r1: cleared; r2: USA; r3: cleared, USA; r0: neither
	g := &generator{}
	w.share("acme", nil, g.definitions("acme")...)
	w.share("acme", nil, plain(1, ""), `{"type":"report","spec_version":"2.1","id":"report--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z",`+
		`"modified":"2026-01-01T00:00:00.000Z","name":"Wolf","description":"portion-s","x_source":"portion-nf","x_advice":"portion-u","published":"2026-01-01T00:00:00Z",`+
		`"object_refs":["`+idOf(1)+`"],"granular_markings":[{"marking_ref":"`+markingOf("acme", "S")+`","selectors":["description"]},`+
		`{"marking_ref":"`+markingOf("acme", "NF")+`","selectors":["x_source"]}]}`)
	ids := map[string]string{}
	for who, want := range map[string]string{
		"acme": "portion-s portion-nf portion-u", "r0": "portion-u", "r1": "portion-s portion-u", "r2": "portion-nf portion-u", "r3": "portion-s portion-nf portion-u",
	} {
		_, _, body := w.get(who, "/finance/collections/"+w.col+"/objects/?match[type]=report")
		if got := strings.Join(regexp.MustCompile(`portion-[a-z]+`).FindAllString(body, -1), " "); got != want {
			t.Errorf("%s reads %q, want %q", who, got, want)
		}
		id := regexp.MustCompile(`report--[0-9a-f-]{36}`).FindString(body)
		if other, known := ids[id]; known && other != want {
			t.Errorf("%q and %q have one id", other, want)
		}
		ids[id] = want
	}
	if len(ids) != 4 {
		t.Errorf("%d ids for four contents", len(ids))
	}
}

// TestAClearanceThatEndsMidStream: what is shared after it ended does not come.
func TestAClearanceThatEndsMidStream(t *testing.T) {
	w := newNetwork(t, 2)
	w.share("acme", nil, (&generator{}).definitions("acme")...)
	marked := `,"object_marking_refs":["` + markingOf("acme", "S") + `"]`
	w.share("acme", nil, plain(1, marked))
	var got []string
	for news, err := range w.hub.feed.Follow(t.Context(), w.who("r1"), "finance", w.col, 0, 20*time.Millisecond) {
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range news.Objects {
			if o.Type() == "campaign" {
				got = append(got, o.ID())
			}
		}
		if len(got) == 0 || len(news.Objects) > 0 && news.Objects[len(news.Objects)-1].Type() == "campaign" && len(got) == 1 {
			if len(got) == 1 { // the clearance is taken back while the stream is open
				n := member.Network{Organizations: []member.OrganizationEntry{{Name: "r1", Handling: &member.HandlingEntry{}}}}
				if _, err := w.hub.directory.Apply(t.Context(), tocsin.Member{Operator: true}, n); err != nil {
					t.Fatal(err)
				}
				w.share("acme", nil, plain(2, marked))
				w.share("acme", nil, plain(3, ""))
			}
			continue
		}
		if len(got) > 1 {
			break
		}
	}
	if want := idOf(1) + " " + idOf(3); strings.Join(got, " ") != want {
		t.Errorf("the stream brought %v, want %s", got, want)
	}
	if code, _, _ := w.get("r1", "/finance/collections/"+w.col+"/objects/"+idOf(1)+"/"); code != http.StatusNotFound {
		t.Errorf("GET of what was seen before = %d, want 404", code)
	}
}
