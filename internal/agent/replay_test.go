package agent

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ulikunitz/xz"

	"tocsin/internal/distribute"
	"tocsin/internal/guard"
	"tocsin/internal/hub/hubtest"
	"tocsin/internal/match"
	"tocsin/stix"
	"tocsin/stix/pattern"
)

// A feedChange is one commit of a public feed: ["value", "family"] each.
type feedChange struct {
	T        time.Time
	Add, Del [][2]string
}

// readFeed reads ten days of changes to the lists of maltrail (MIT), as its
// repository has them.
func readFeed(t *testing.T) []feedChange {
	t.Helper()
	data := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // only tests ask where the corpora are
	if data == "" {
		t.Skip("TOCSIN_DATA is not set: the feed's history is not part of the repository")
	}
	f, err := os.Open(filepath.Join(data, "intel/feed_replay_maltrail_2026-03-01_03-11.json.xz"))
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	x, err := xz.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	var feed struct{ Events []feedChange }
	if err := json.NewDecoder(x).Decode(&feed); err != nil {
		t.Fatal(err)
	}
	return feed.Events
}

// A feedState is what the feed lists: entry → how often it came, for a name of
// its own each time. What was revoked stays so.
type feedState struct {
	listed map[[2]string]int
	times  map[[2]string]int
}

// id names an entry's indicator.
func (s *feedState) id(e [2]string) string {
	return "indicator--" + stix.UUIDv5([16]byte{15: 1}, fmt.Appendf(nil, "%s %s %d", e[0], e[1], s.times[e]))
}

// entryKind says what an entry of the feed is, and how it is written: a part of
// a URL that is on no host of its own is nothing that can be looked up or blocked.
func entryKind(text string) (kind, written string) {
	text = strings.ToLower(text[:strings.IndexAny(text+"/", "/")]) + text[strings.IndexAny(text+"/", "/"):]
	if a, err := netip.ParseAddrPort(text); err == nil { // the feed has a port "0207"
		return "endpoint", a.String()
	}
	rest, isURL := strings.CutPrefix(text, "http:/")
	switch {
	case isURL && strings.Count(rest, "/") == 1:
		return "url", text + "/"
	case isURL:
		return "url", text
	case strings.HasPrefix(text, "/"):
		return "part", text
	case strings.Contains(text, "/"):
		return "url", "http://" + text
	}
	return "domain", text
}

// indicator writes an entry as STIX.
func (s *feedState) indicator(e [2]string, at time.Time, more string) string {
	kind, text := entryKind(e[0])
	switch q := pattern.Quote(text); kind {
	case "domain":
		text = "[domain-name:value = " + q + "]"
	case "url":
		text = "[url:value = " + q + "]"
	case "part":
		text = "[url:value LIKE " + pattern.Quote("%"+text+"%") + "]"
	default:
		a := netip.MustParseAddrPort(text)
		text = fmt.Sprintf("[network-traffic:dst_ref.value = '%s' AND network-traffic:dst_port = %d]", a.Addr(), a.Port())
	}
	quoted, _ := json.Marshal(text)
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":%q,"created":%q,"modified":%q,"name":%q,"pattern":%s,"pattern_type":"stix","valid_from":%q%s}`,
		s.id(e), "2026-03-01T00:00:00.000Z", timestamp(at), e[1], quoted, timestamp(at), more)
}

// values are what is listed, as text, of some kinds.
func (s *feedState) values(kinds ...string) (all []string) {
	seen := map[string]bool{}
	for e := range s.listed {
		if kind, text := entryKind(e[0]); slices.Contains(kinds, kind) && !seen[text] {
			seen[text] = true
			all = append(all, text)
		}
	}
	slices.Sort(all)
	return all
}

// TestTheExportsFollowAFeed replays the changes of a real feed: a member submits
// each, and withdraws or revokes what the feed no longer lists; after each step,
// the exports of another member's agent are what the feed is then. The whole
// history goes through in 12 steps, or, with TOCSIN_REPLAY=all, in as many as
// the feed had commits.
func TestTheExportsFollowAFeed(t *testing.T) {
	feed := readFeed(t)
	steps := 12
	if os.Getenv("TOCSIN_REPLAY") == "all" { //nolint:forbidigo // only this test asks
		steps = len(feed)
	}
	protected, err := guard.New(nil, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	may := func(kind match.Kind, texts []string) []string { // be blocked
		return slices.DeleteFunc(texts, func(text string) bool {
			v, ok := match.Parse(kind, text)
			return !ok || protected.Why(v) != ""
		})
	}
	p, as := realHub(t)
	who, err := p.Directory.Authenticate(t.Context(), p.Tokens[hubtest.Writer])
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	var exports []Export
	for _, f := range []string{"json", "zeek", "suricata", "suricata-dataset", "edl-domain", "edl-url", "rpz"} {
		exports = append(exports, Export{Format: f, File: at(f)})
	}
	r := startAt(t, as(hubtest.Colleague), Options{Exports: exports})
	eventually(t, "the agent listens", func() bool { return len(r.obs.all(Connected)) == 1 })

	finder := as(hubtest.Writer)
	s := &feedState{listed: map[[2]string]int{}, times: map[[2]string]int{}}
	submit := func(objects []string) {
		t.Helper()
		for some := range slices.Chunk(objects, 500) {
			made, err := finder.Submit(t.Context(), "finance", "indicators", []byte(hubtest.Envelope(some...)), nil)
			if err != nil || len(made.Failures) > 0 {
				t.Fatalf("%v %v", err, made.Failures)
			}
		}
	}
	added, removed := 0, 0
	var took []time.Duration
	for n, c := range feed {
		var fresh, gone []string
		var deleted []string
		for _, e := range c.Add {
			if s.listed[e] == 0 {
				s.listed[e] = 1
				s.times[e]++
				fresh = append(fresh, s.indicator(e, c.T, ""))
				added++
			}
		}
		for _, e := range c.Del {
			if s.listed[e] == 0 {
				continue
			}
			delete(s.listed, e)
			if removed++; removed%2 == 0 {
				deleted = append(deleted, s.id(e))
			} else {
				gone = append(gone, s.indicator(e, c.T.Add(time.Millisecond), `,"revoked":true`))
			}
		}
		began := time.Now()
		submit(fresh)
		submit(gone)
		for _, id := range deleted {
			if _, err := p.Withdrawer.Withdraw(t.Context(), who, "finance", "indicators", id, distribute.Which{All: true}); err != nil {
				t.Fatal(err)
			}
		}
		if (n+1)*steps/len(feed) == n*steps/len(feed) {
			continue
		}
		all, domains, urls := s.values("domain", "endpoint", "url"), s.values("domain"), s.values("url")
		mayDomains := may(match.Domain, slices.Clone(domains))
		for name, want := range map[string][]string{
			"json": all, "zeek": s.values("domain", "url"), "suricata-dataset": domains, "edl-domain": mayDomains, "edl-url": may(match.URL, slices.Clone(urls)), "rpz": mayDomains,
		} {
			var got []string
			for limit := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				if got = exportedIn(t, name, at(name)); slices.Equal(got, sorted(want)) {
					break
				}
				if time.Now().After(limit) {
					t.Fatalf("commit %d of %s: %s has %d values, want %d; %s", n, c.T, name, len(got), len(want), firstDifference(want, got))
				}
			}
		}
		eventually(t, "there are as many Suricata rules", func() bool { return len(lines(t, at("suricata"))) == len(all) })
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("%d added and %d removed in %d commits, compared %d times: %d values at the end, %d that are not blocked; from a step's last commit until all exports were right: median %v, longest %v",
		added, removed, len(feed), len(took), len(s.values("domain", "endpoint", "url")), len(s.values("domain"))-len(may(match.Domain, s.values("domain"))),
		took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	if added != 21_119 || removed != 47 {
		t.Errorf("the feed added %d and removed %d, want 21,119 and 47", added, removed)
	}
}

// exportedIn returns the values in an export, in order.
func exportedIn(t *testing.T, format, path string) (all []string) {
	t.Helper()
	for _, l := range lines(t, path) {
		switch format {
		case "json":
			var e struct{ Indicator string }
			if err := json.Unmarshal([]byte(l), &e); err != nil {
				t.Fatal(err)
			}
			all = append(all, e.Indicator)
		case "zeek":
			value, rest, _ := strings.Cut(l, "\t")
			if strings.HasPrefix(l, "#") {
				continue
			}
			if strings.HasPrefix(rest, "Intel::URL") {
				value = "http://" + value
			}
			all = append(all, value)
		case "suricata-dataset":
			text, err := base64.StdEncoding.DecodeString(l)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(text))
		case "edl-url":
			all = append(all, "http://"+l)
		case "rpz":
			name, what, _ := strings.Cut(l, " ")
			if what == "CNAME ." && !strings.HasPrefix(name, "*.") {
				all = append(all, name)
			}
		default:
			all = append(all, l)
		}
	}
	slices.Sort(all)
	return all
}

// firstDifference tells of one value that one list has and the other has not.
func firstDifference(want, got []string) string {
	for _, v := range want {
		if !slices.Contains(got, v) {
			return v + " is missing"
		}
	}
	for _, v := range got {
		if !slices.Contains(want, v) {
			return v + " is too much"
		}
	}
	return "something is there twice"
}
