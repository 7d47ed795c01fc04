package agent

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/export"
	"tocsin/internal/guard"
	parsed "tocsin/internal/indicator"
	"tocsin/internal/match"
	"tocsin/stix"
	"tocsin/stix/pattern"
)

// bookOf returns a book with one indicator for each pattern.
func bookOf(t testing.TB, allow []string, patterns ...string) *book {
	t.Helper()
	g, err := guard.New(allow, "hub.example.org")
	if err != nil {
		t.Fatal(err)
	}
	b := newBook(g)
	for n, p := range patterns {
		b.take("c/l", read(t, indicatorOf(n, 1, p)), time.Now())
	}
	return b
}

func read(t testing.TB, object string) *indicator {
	t.Helper()
	v, err := stix.Parse([]byte(object), stix.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	in, ok := readIndicator(v)
	if !ok {
		t.Fatalf("%s was not read", object)
	}
	return in
}

// block decides on all that a book has, as a list of what is to be blocked does.
func (b *book) block() *gate {
	g := newGate(terms{parsed.Block, 1})
	for k := match.Address; k <= match.URL; k++ {
		g.kinds[k] = true
	}
	all := map[match.Value]change{}
	for _, s := range b.shelves {
		for _, in := range s.indicators {
			for _, v := range in.Values {
				if in.active || all[v].by == nil {
					all[v] = change{in, in.came}
				}
			}
		}
	}
	g.update(b, all, nil)
	return g
}

// texts returns what is to be blocked, in order.
func (b *book) texts() []string {
	texts := []string{}
	for _, list := range b.block().lists {
		for _, i := range list {
			texts = append(texts, i.Value.Text())
		}
	}
	slices.Sort(texts)
	return texts
}

// reasons counts what is held back.
func (b *book) reasons() map[string]int {
	held := b.block().reasons()
	if b.unread > 0 {
		held[guard.NotAValue] = b.unread
	}
	return held
}

func TestTheInternetIsNotCutOff(t *testing.T) {
	for pattern, reason := range map[string]string{
		"ipv4-addr:value = '8.8.8.8'":                                 guard.Resolver,
		"ipv6-addr:value = '::ffff:8.8.8.8'":                          guard.Resolver,
		"ipv6-addr:value = '2001:4860:4860:0:0:0:0:8888'":             guard.Resolver,
		"ipv4-addr:value = '1.1.1.0/24'":                              guard.Resolver,
		"ipv4-addr:value = '9.9.9.9'":                                 guard.Resolver,
		"ipv4-addr:value = '198.41.0.4'":                              guard.Resolver,
		"ipv4-addr:value = '10.0.0.1'":                                guard.Private,
		"ipv4-addr:value = '127.0.0.1'":                               guard.Private,
		"ipv4-addr:value = '172.20.0.0/16'":                           guard.Private,
		"ipv4-addr:value = '192.168.1.1'":                             guard.Private,
		"ipv4-addr:value = '169.254.169.254'":                         guard.Private,
		"ipv4-addr:value = '224.0.0.1'":                               guard.Private,
		"ipv4-addr:value = '255.255.255.255'":                         guard.Private,
		"ipv6-addr:value = '::1'":                                     guard.Private,
		"ipv6-addr:value = 'fe80::1'":                                 guard.Private,
		"ipv6-addr:value = 'fd00::1'":                                 guard.Private,
		"ipv6-addr:value = 'ff02::1'":                                 guard.Private,
		"ipv6-addr:value = '64:ff9b::808:808'":                        guard.Private,
		"ipv6-addr:value = '2002:808:808::'":                          guard.Private,
		"ipv4-addr:value = '0.0.0.0/0'":                               guard.Wide,
		"ipv4-addr:value = '198.0.0.0/15'":                            guard.Wide,
		"ipv6-addr:value = '::/0'":                                    guard.Wide,
		"ipv6-addr:value = '2001::/31'":                               guard.Wide,
		"ipv4-addr:value ISSUBSET '0.0.0.0/0'":                        guard.Wide,
		"ipv6-addr:value = '::ffff:0:0/96'":                           guard.Wide,
		"ipv6-addr:value = '2620:fe::/48'":                            guard.Resolver,
		"domain-name:value = 'com'":                                   guard.Suffix,
		"domain-name:value = 'co.uk'":                                 guard.Suffix,
		"domain-name:value = 'example'":                               guard.Suffix,
		"domain-name:value = 'github.io'":                             guard.Suffix,
		"domain-name:value = 'WWW.Google.com.'":                       guard.Site,
		"domain-name:value = 'google.com'":                            guard.Site,
		"domain-name:value = 'WWW.google.COM'":                        guard.Site,
		"domain-name:value = 'dns.google'":                            guard.Site,
		"domain-name:value = 'opendns.com'":                           guard.Site,
		"domain-name:value = 'apple.com'":                             guard.Site,
		"domain-name:value = 'localhost'":                             guard.Local,
		"domain-name:value = 'printer.local'":                         guard.Local,
		"domain-name:value = '8.8.8.8.in-addr.arpa'":                  guard.Local,
		"domain-name:value = 'hub.example.org'":                       guard.Allowed,
		"domain-name:value = 'example.org'":                           guard.Allowed, // it would take the hub with it
		"domain-name:value = 'ours.example'":                          guard.Allowed,
		"domain-name:value = 'www.ours.example'":                      guard.Allowed,
		"ipv4-addr:value = '203.0.113.7'":                             guard.Allowed,
		"ipv4-addr:value = '203.0.0.0/16'":                            guard.Allowed,
		"url:value = 'http://www.google.com/'":                        guard.Site,
		"url:value = 'https://WWW.GOOGLE.com:443'":                    guard.Site,
		"url:value = 'http://127.0.0.1:8080/x'":                       guard.Private,
		"url:value = 'http://[::1]/x'":                                guard.Private,
		"url:value = 'http://localhost/x'":                            guard.Local,
		"url:value = 'https://ours.example/login'":                    guard.Allowed,
		"ipv4-addr:value = '010.8.8.8'":                               guard.NotAValue,
		"ipv4-addr:value = '8.8.8.8; flush ruleset'":                  guard.NotAValue,
		"ipv4-addr:value = 'evil.example'":                            guard.NotAValue,
		"ipv6-addr:value = 'fe80::1%eth0'":                            guard.NotAValue,
		"domain-name:value = ''":                                      guard.NotAValue,
		"network-traffic:dst_ref.value = '8.8.8.8'":                   guard.Resolver,
		"domain-name:value = 'пример.рф' OR domain-name:value = 'рф'": guard.Suffix,
	} {
		b := bookOf(t, []string{"ours.example", "203.0.113.0/24"}, "["+pattern+"]")
		if b.reasons()[reason] != 1 {
			t.Errorf("%s is held back as %v and blocked as %v, want it held back as %q", pattern, b.reasons(), b.texts(), reason)
		}
		for id := range b.shelf("c/l").indicators {
			b.drop("c/l", id)
		}
		if len(b.reasons()) != 0 || len(b.texts()) != 0 || b.set.Len() != 0 {
			t.Errorf("%s leaves %v, %v and %d values when it goes", pattern, b.reasons(), b.texts(), b.set.Len())
		}
	}
}

func TestWhatIsBadIsBlocked(t *testing.T) {
	b := bookOf(t, nil,
		"[ipv4-addr:value = '192.0.2.1']", "[ipv4-addr:value = '198.51.0.0/16']", "[ipv4-addr:value = '203.0.113.77/24']", "[ipv4-addr:value = '8.8.9.9']",
		"[ipv6-addr:value = '2001:db8::/32']", "[ipv6-addr:value = '2a01:4f8:1::77']", "[domain-name:value = 'evil.blogspot.com']",
		"[domain-name:value = 'login.alpha-bank-secure.example']", "[domain-name:value = 'google.com.evil.example']", "[domain-name:value = 'notgoogle.com']",
		"[url:value = 'https://docs.google.com/forms/d/e/abc']", "[url:value = 'https://github.com/evil/loader']", "[url:value = 'http://192.0.2.1:8080/x']",
		"[domain-name:value = 'bücher.example']",
	)
	want := []string{
		"192.0.2.1", "198.51.0.0/16", "2001:db8::/32", "203.0.113.0/24", "2a01:4f8:1::77", "8.8.9.9", "evil.blogspot.com", "google.com.evil.example",
		"http://192.0.2.1:8080/x", "https://docs.google.com/forms/d/e/abc", "https://github.com/evil/loader", "login.alpha-bank-secure.example",
		"notgoogle.com", "xn--bcher-kva.example",
	}
	if diff := cmp.Diff(want, b.texts()); diff != "" || len(b.reasons()) != 0 {
		t.Errorf("blocked (-want +got), held back %v:\n%s", b.reasons(), diff)
	}
}

func TestWhatItsProducerDoesNotWantBlockedIsNot(t *testing.T) {
	g, err := guard.New(nil, "hub.example.org")
	if err != nil {
		t.Fatal(err)
	}
	const marking = "marking-definition--00000000-0000-4000-8000-000000000001"
	for more, want := range map[string]struct {
		held           map[string]int
		blocked, found int
	}{
		`"labels":["pap:amber"]`:                                   {map[string]int{export.NotAllowed: 1}, 0, 1},
		`"labels":["x","PAP:RED"]`:                                 {map[string]int{export.NotAllowed: 1}, 0, 1},
		`"labels":["PAP:GREEN"]`:                                   {map[string]int{}, 1, 1},
		`"labels":["PAP:ULTRAVIOLET"]`:                             {map[string]int{export.NotAllowed: 1}, 0, 0},
		`"indicator_types":["benign"]`:                             {map[string]int{}, 0, 0},
		`"indicator_types":["malicious-activity","anonymization"]`: {map[string]int{}, 1, 1},
		`"object_marking_refs":["` + marking + `"]`:                {map[string]int{export.NotAllowed: 1}, 0, 0},
	} {
		b := newBook(g)
		b.take("c/l", read(t, indicatorOf(1, 1, "[domain-name:value = 'a.example']", more)), time.Now())
		if !cmp.Equal(b.reasons(), want.held) || len(b.texts()) != want.blocked || b.set.Len() != want.found {
			t.Errorf("%s: held back %v, blocked %v, looked for %d; want %+v", more, b.reasons(), b.texts(), b.set.Len(), want)
		}
	}
}

// TestAMarkingIsExplainedWheneverItsPolicyComes has the policy come after the
// indicator, change hands, and go.
func TestAMarkingIsExplainedWheneverItsPolicyComes(t *testing.T) {
	const marking = "marking-definition--00000000-0000-4000-8000-000000000001"
	b := bookOf(t, nil)
	b.take("c/l", read(t, indicatorOf(1, 1, "[domain-name:value = 'a.example']", `"object_marking_refs":["`+marking+`"]`)), time.Now())
	state := func() string { return fmt.Sprint(len(b.texts()), b.set.Len(), b.secret(b.get("c/l "+indicatorID(1)))) }
	for _, step := range []struct {
		what string
		do   func() bool
		want string
	}{
		{"nothing", func() bool { return true }, "0 0 true"},
		{"may be blocked", func() bool { return b.explain("c/l", marking, parsed.Block) }, "1 1 false"},
		{"another source says: may be looked for", func() bool { return b.explain("c/other", marking, parsed.Detect) }, "0 1 false"},
		{"that is no news", func() bool { return !b.explain("c/other", marking, parsed.Block) }, "0 1 false"},
		{"one takes it back", func() bool { return b.forget("c/l", marking) }, "0 1 false"},
		{"the other too", func() bool { return b.forget("c/other", marking) }, "0 0 true"},
	} {
		if !step.do() || state() != step.want {
			t.Errorf("%s: blocked, looked for, secret: %s, want %s", step.what, state(), step.want)
		}
	}
}

func TestOnlyWhatDecidesAloneIsTaken(t *testing.T) {
	for text, want := range map[string][]string{
		"[domain-name:value = 'a.example']":                                                            {"domain a.example"},
		"[domain-name:value IN ('a.example','b.example')]":                                             {"domain a.example", "domain b.example"},
		"[domain-name:value = 'a.example' AND url:value = 'http://a.example/']":                        nil,
		"[domain-name:value = 'a.example'] FOLLOWEDBY [domain-name:value = 'b.example']":               nil,
		"[domain-name:value = 'a.example'] REPEATS 5 TIMES":                                            nil,
		"[domain-name:value != 'a.example']":                                                           nil,
		"[domain-name:value NOT = 'a.example']":                                                        nil,
		"[domain-name:value LIKE '%']":                                                                 nil,
		"[domain-name:value MATCHES '.*']":                                                             nil,
		"[ipv4-addr:value ISSUBSET '192.0.2.0/24']":                                                    {"network 192.0.2.0/24"},
		" [ ipv4-addr:value ISSUBSET '192.0.2.0/24' ] ":                                                {"network 192.0.2.0/24"},
		"[ipv4-addr:value ISSUBSET '192.0.2.0/24'] REPEATS 2 TIMES":                                    nil,
		"[ipv4-addr:value NOT ISSUBSET '192.0.2.0/24']":                                                nil,
		"[ipv4-addr:value ISSUPERSET '192.0.2.0/24']":                                                  nil,
		"[domain-name:value = 'a.example'] START t'2026-01-01T00:00:00Z' STOP t'2026-02-01T00:00:00Z'": nil,
		"[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']":                                       {"hash d41d8cd98f00b204e9800998ecf8427e"},
		"[file:hashes.'SHA-1' = 'DA39A3EE5E6B4B0D3255BFEF95601890AFD80709']":                           {"hash da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		"[file:name = 'evil.example']":                                                                 {"file-name evil.example"},
		"[email-addr:value = 'Bob@evil.example']":                                                      {"email bob@evil.example"},
		"[network-traffic:dst_ref.value = '192.0.2.1']":                                                {"address 192.0.2.1"},
		"[x509-certificate:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']":                           nil,
	} {
		p, err := pattern.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		found, _ := parsed.Values(p)
		for _, v := range found {
			got = append(got, v.Kind().String()+" "+v.Text())
		}
		if !slices.Equal(got, want) {
			t.Errorf("values(%s) = %v, want %v", text, got, want)
		}
	}
}

// hostile are values that mean something to one of the programs that lists are
// read by, or to whoever shows them.
func hostile() []string {
	return []string{
		"192.0.2.1\n8.8.8.8", "192.0.2.1 } ; flush ruleset", `evil.example"; sid:1;) alert tcp any`, "evil.example\n*.com", "$INCLUDE /etc/passwd", "=HYPERLINK(\"x\")",
		"evil\t.example", "#fields evil.example", "<img src=x onerror=alert(1)>.example", "javascript:alert(1)", "{{.}}.example", "${7*7}.example",
		"evil\x1b[31m.example", "e\u202evil.example", "ev\u200bil.example", "evil.example\r\nSet-Cookie: x", "'; DROP TABLE x; --.example", "../../etc/passwd",
		"evil.example,com", "evil.example|com", "evil.example;com", "*.example", "evil.example/../", "http://evil.example/\" onload=\"x", "http://evil.example/\n*",
		"http://evil.example/`id`", "http://evil.example/<script>", "evil..example", "-evil.example", "!!python/object:os.system", "\x00evil.example",
	}
}

func TestHostileTextIsNoValue(t *testing.T) {
	for _, text := range hostile() {
		for _, path := range []string{"ipv4-addr:value", "ipv6-addr:value", "domain-name:value", "url:value"} {
			b := bookOf(t, nil, "["+path+" = "+pattern.Quote(text)+"]")
			for _, got := range b.texts() {
				t.Errorf("%s = %q is blocked as %q", path, text, got)
			}
		}
	}
}

// FuzzListsHoldOnlyValues feeds any text as a value, and reads the lists back as
// a program would that knows nothing but lines.
func FuzzListsHoldOnlyValues(f *testing.F) {
	for _, text := range hostile() {
		f.Add(text)
	}
	f.Add("192.0.2.1/24")
	f.Add("http://user@EVIL.example:80/%2f#x")
	g, err := guard.New(nil, "hub.example.org")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted := pattern.Quote(text)
		p, err := json.Marshal("[ipv4-addr:value = " + quoted + " OR domain-name:value = " + quoted + " OR url:value = " + quoted + " OR ipv4-addr:value = '192.0.2.99']")
		if err != nil {
			t.Skip()
		}
		v, err := stix.Parse([]byte(strings.Replace(indicatorOf(1, 1, ""), `"pattern":""`, `"pattern":`+string(p), 1)), stix.Limits{})
		if err != nil {
			return
		}
		in, ok := readIndicator(v)
		if !ok || len(in.Values) == 0 {
			return // no pattern
		}
		b := newBook(g)
		b.take("c/l", in, time.Now())
		folder := t.TempDir()
		a := &agent{Options: Options{Lists: folder, State: folder, Log: slog.New(slog.DiscardHandler)}, book: b}
		e, err := newEnforcer(a)
		if err != nil {
			t.Fatal(err)
		}
		e.write(t.Context(), time.Now())
		wanted := b.texts()
		count := 0
		for name, kinds := range map[string][]match.Kind{ipsName: {match.Address, match.Network}, domainsName: {match.Domain}, urlsName: {match.URL}} {
			raw, err := os.ReadFile(folder + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(raw)) {
				count++
				line = strings.TrimSuffix(line, "\n")
				v, ok := match.Parse(kinds[0], line)
				if !ok || v.Text() != line || !slices.Contains(kinds, v.Kind()) {
					t.Errorf("%s has the line %q", name, line)
				}
			}
		}
		if count != len(wanted) || count < 1 {
			t.Errorf("%d lines for %d values: %v", count, len(wanted), fmt.Sprint(wanted))
		}
	})
}
