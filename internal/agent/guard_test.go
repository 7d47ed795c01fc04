package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/guard"
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

func (b *book) texts() []string {
	texts := []string{}
	for v := range b.blocked {
		texts = append(texts, v.Text())
	}
	slices.Sort(texts)
	return texts
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
		if b.held[reason] != 1 {
			t.Errorf("%s is held back as %v and blocked as %v, want it held back as %q", pattern, b.held, b.texts(), reason)
		}
		for _, in := range b.shelves["c/l"] {
			b.drop("c/l", in.ID)
		}
		if len(b.held) != 0 || len(b.blocked) != 0 || b.set.Len() != 0 {
			t.Errorf("%s leaves %v, %v and %d values when it goes", pattern, b.held, b.blocked, b.set.Len())
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
	if diff := cmp.Diff(want, b.texts()); diff != "" || len(b.held) != 0 {
		t.Errorf("blocked (-want +got), held back %v:\n%s", b.held, diff)
	}
}

func TestWhatItsProducerDoesNotWantBlockedIsNot(t *testing.T) {
	g, err := guard.New(nil, "hub.example.org")
	if err != nil {
		t.Fatal(err)
	}
	for more, want := range map[string]map[string]int{
		`"labels":["pap:amber"]`:                                   {barPAP: 1},
		`"labels":["x","PAP:RED"]`:                                 {barPAP: 1},
		`"labels":["PAP:GREEN"]`:                                   {},
		`"indicator_types":["benign"]`:                             {barBenign: 1},
		`"indicator_types":["malicious-activity","anonymization"]`: {},
	} {
		b := newBook(g)
		b.take("c/l", read(t, indicatorOf(1, 1, "[domain-name:value = 'a.example']", more)), time.Now())
		if !cmp.Equal(b.held, want) || len(b.blocked) != 1-len(want) || b.set.Len() != 1 {
			t.Errorf("%s: held back %v, blocked %v, looked for %d; want %v held back, and it looked for", more, b.held, b.texts(), b.set.Len(), want)
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
		for _, v := range values(p) {
			got = append(got, v.Kind.String()+" "+v.Text)
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
		e := &enforcer{agent: &agent{Options: Options{Lists: folder}}, lists: map[string][]listed{}, stale: map[string]bool{ipsName: true, domainsName: true, urlsName: true}}
		wanted, _, _ := b.changes()
		e.update(wanted)
		if err := e.toFiles(); err != nil {
			t.Fatal(err)
		}
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
