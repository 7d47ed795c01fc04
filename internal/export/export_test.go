package export

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ulikunitz/xz"
	"go.yaml.in/yaml/v3"

	"tocsin/internal/guard"
	"tocsin/internal/indicator"
	"tocsin/internal/match"
)

func newGuard(t testing.TB) *guard.Guard {
	t.Helper()
	g, err := guard.New([]string{"198.51.100.0/24", "ours.example"}, "hub.example.org")
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// hostile are texts that want to be more than a value: in a rule, a zone, a
// script, a table or a terminal.
func hostile() []string {
	return []string{
		`evil.example"; sid:1;) alert ip any any -> any any (msg:"x`, "evil.example\nalert ip any any -> any any (sid:2;)", "evil.example\n0.0.0.0 google.com", "$INCLUDE /etc/passwd",
		"192.0.2.1 } ; flush ruleset", "192.0.2.1; add rule", `=HYPERLINK("http://x","y")`, "@SUM(1)", "+1", "-1", "evil.example\tIntel::DOMAIN", "#fields\tx", "!!python/object/apply:os.system [id]",
		"<img src=x onerror=alert(1)>", "javascript:alert(1)", "{{.}} ${7*7}", "\x1b]0;x\x07", "a\u202eb.example", "evil.example\r\nX: y", "' OR 1=1 --", "../../etc/passwd", "http://evil.example/\"; sid:3;)",
		"http://evil.example/a;b|c`id`", "http://evil.example/$(id)", "http://evil.example/%0aalert", "http://evil.example/';drop--", "http://evil.example/#{x}", "http://evil.example/]]>", "*.evil.example", "evil.example.",
		"local=/x/", "server=/google.com/1.2.3.4", "10.0.0.0/8", "0.0.0.0/0", "::/0", "com", "co.uk", "WWW.Google.com", "::ffff:8.8.8.8", "010.8.8.8", "8.8.8.8", "127.0.0.1", "xn--", "a..b", "evil_name.example",
		"HKLM\\Software\\x' OR '1'='1", "bob@evil.example", "bob@evil.example OK", "o'brien@evil.example", "http://[2001:db8::1]:8080/x?y=[1]&z=(2)", "http://evil.example/a+b*c.d^e",
	}
}

// fuzzed makes n hostile texts out of pieces of those.
func fuzzed(n int) (texts []string) {
	random := rand.New(rand.NewPCG(7, 11))
	pieces := append(hostile(), "evil", ".example", "192.0.2.", "7", "http://", "/", ";", "\"", "'", "\n", "\r", "\t", " ", "\\", "#", "|", "(", ")", "{", "}", "[", "]", "`", "$", "%", "=", "*", "?", "&", "\x00", "é", "а")
	for range n {
		var b strings.Builder
		for range 1 + random.IntN(5) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		texts = append(texts, b.String())
	}
	return texts
}

// indicatorsOf reads texts as values of every kind that they can be.
func indicatorsOf(texts []string) (all []indicator.Indicator) {
	for n, text := range texts {
		in := indicator.Indicator{ID: fmt.Sprintf("indicator--%08x-1111-4222-8333-000000000000", n), Action: indicator.Any, Kind: "stix"}
		for k := match.Address; k <= match.UserAgent; k++ {
			if v, ok := match.Parse(k, text); ok {
				in.Values = append(in.Values, v)
			}
		}
		if len(in.Values) > 0 {
			all = append(all, in)
		}
	}
	return all
}

// samples are values of every kind that may be exported.
func samples() []string {
	return []string{
		"192.0.2.1", "192.0.2.128/25", "192.0.2.200", "2001:db8::1", "2001:db8:1::/48", "::7:1", "evil.example", "a.evil.example", "xn--bcher-kva.example", "_x.evil2.example", "http://evil.example/a?b=c;d",
		"https://evil.example:8443/x(y)'z", "d41d8cd98f00b204e9800998ecf84271", strings.Repeat("a1", 20), strings.Repeat("b2", 32), "bob@evil.example", "192.0.2.1:443", "[2001:db8::1]:443",
		"t13d1516h2_8daaf6152771_02713d6af862", "AS64496", "evil tool.exe", `HKLM\Software\Evil "q"`, `Global\{x}`, "Evil/1.0 (x; 'y')",
	}
}

func exported(t testing.TB, f Format, all []indicator.Indicator, g *guard.Guard) (text []byte, set Set) {
	t.Helper()
	set = Select(slices.Values(all), f, Terms{Now: time.Now(), Guard: g})
	var b bytes.Buffer
	if err := f.Write(&b, set, Options{}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), set
}

// wanted are the texts that a format should have.
func wanted(f Format, s Set) (texts []string) {
	for _, i := range s.Items {
		texts = append(texts, i.Value.Text())
	}
	slices.Sort(texts)
	return texts
}

// readBack reads an export as its target does, by a grammar that knows nothing
// else: a line that is no rule of ours is an error.
func readBack(t testing.TB, name string, text []byte) (values []string, ok bool) {
	t.Helper()
	line := map[string]string{
		"blocklist": `^(\S+)$`, "edl-ip": `^([0-9a-f.:/]+)$`, "edl-domain": `^([a-z0-9._-]+)$`, "hosts": `^0\.0\.0\.0 ([a-z0-9._-]+)$`, "dnsmasq": `^local=/([a-z0-9._-]+)/$`,
		"postfix": `^(\S+) REJECT$`, "haproxy": `^([a-z0-9._-]+) deny$`, "haproxy-ip": `^([0-9a-f.:/]+) deny$`,
	}[name]
	if line != "" {
		one := regexp.MustCompile(line)
		for l := range strings.Lines(string(text)) {
			m := one.FindStringSubmatch(strings.TrimSuffix(l, "\n"))
			if m == nil {
				t.Errorf("%s: this is no line of it: %q", name, l)
				continue
			}
			values = append(values, m[1])
		}
		return values, true
	}
	switch name {
	case "csv", "splunk", "sentinel":
		rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, r := range rows[1:] {
			if strings.ContainsAny(r[0][:1], "=+-@\t\r") {
				t.Errorf("%s: a spreadsheet would compute %q", name, r[0])
			}
			values = append(values, strings.TrimPrefix(r[0], "'"))
		}
	case "json":
		for d := json.NewDecoder(bytes.NewReader(text)); ; {
			var e entry
			if err := d.Decode(&e); errors.Is(err, io.EOF) {
				return values, true
			} else if err != nil {
				t.Fatalf("json: %v", err)
			}
			values = append(values, e.Indicator)
		}
	case "misp":
		r, err := indicator.Read(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range r.Indicators {
			values = append(values, in.Values[0].Text())
		}
	case "zeek":
		for l := range strings.Lines(string(text)) {
			cells := strings.Split(strings.TrimSuffix(l, "\n"), "\t")
			if strings.HasPrefix(l, "#fields\tindicator\t") {
				cells = cells[1:]
			}
			if len(cells) != 4 {
				t.Errorf("zeek: %d columns in %q", len(cells), l)
			}
		}
		return nil, false
	case "suricata-dataset":
		for l := range strings.Lines(string(text)) {
			d, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(l, "\n"))
			if err != nil {
				t.Errorf("suricata-dataset: %v", err)
			}
			values = append(values, string(d))
		}
	case "sigma":
		for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var rule struct {
				Title     string
				Detection struct{ Selection map[string][]string }
			}
			if err := d.Decode(&rule); errors.Is(err, io.EOF) {
				return nil, false
			} else if err != nil {
				t.Fatalf("sigma: %v", err)
			}
		}
	default:
		return nil, false
	}
	return values, true
}

func TestEveryExportReadsBackAsTheSetAllowed(t *testing.T) {
	g := newGuard(t)
	for name, texts := range map[string][]string{"samples": samples(), "hostile": hostile(), "nothing": nil, "made up": fuzzed(100_000)} {
		all := indicatorsOf(texts)
		for _, f := range Formats() {
			text, set := exported(t, f, all, g)
			if got, ok := readBack(t, f.Name, text); ok {
				slices.Sort(got)
				if diff := cmp.Diff(wanted(f, set), got); diff != "" && f.Name != "misp" { // MISP has several kinds under one
					t.Errorf("%s of %s (-allowed +read):\n%.2000s", f.Name, name, diff)
				}
				if len(got) != len(set.Items) {
					t.Errorf("%s of %s: %d values read, %d allowed", f.Name, name, len(got), len(set.Items))
				}
			}
			if f.Name == "suricata" || f.Name == "snort3" {
				if n := rules(t, f.Name, text); n != len(set.Items) {
					t.Errorf("%s of %s: %d rules, want %d", f.Name, name, n, len(set.Items))
				}
			}
			for _, c := range text {
				if c < ' ' && c != '\n' && c != '\t' && c != '\r' || c == 0x7f {
					t.Errorf("%s of %s has the control character %#x", f.Name, name, c)
					break
				}
			}
		}
	}
}

var (
	suricataRule = regexp.MustCompile(`^alert (ip|dns|http|tls) \$HOME_NET any -> (any|\[[0-9a-f.:/]+\]) (any|\d+) \(msg:"Tocsin: [A-Za-z0-9 ]+"; ((dns\.query|dotprefix|nocase|endswith|http\.host|http\.uri\.raw|startswith|ja[34]\.hash|bsize:\d+|content:"([A-Za-z0-9./_-]|\|[0-9A-F]{2}( [0-9A-F]{2})*\|)+"); )*classtype:trojan-activity; sid:(\d+); rev:1;\)$`)
	snortRule    = regexp.MustCompile(`^alert (ip|udp|http) (\$HOME_NET any -> (any|\[[0-9a-f.:/]+\]) (any|\d+) )?\(msg:"Tocsin: [A-Za-z0-9 ]+"; ((http_header:field host|bufferlen:\d+|http_raw_uri|content:"([A-Za-z0-9./_-]|\|[0-9A-F]{2}( [0-9A-F]{2})*\|)+"(,nocase|,depth \d+)?); )*classtype:trojan-activity; sid:(\d+); rev:1;\)$`)
)

// rules counts rules by a strict grammar, and sees that no number is there
// twice.
func rules(t testing.TB, name string, text []byte) (n int) {
	t.Helper()
	grammar := map[string]*regexp.Regexp{"suricata": suricataRule, "snort3": snortRule}[name]
	seen := map[string]bool{}
	for l := range strings.Lines(string(text)) {
		l = strings.TrimSuffix(l, "\n")
		m := grammar.FindStringSubmatch(l)
		if m == nil {
			t.Errorf("%s: this is no rule: %q", name, l)
			continue
		}
		sid := m[len(m)-1]
		if seen[sid] {
			t.Errorf("%s: the number %s is there twice", name, sid)
		}
		seen[sid] = true
		n++
	}
	return n
}

func TestRulesKeepTheirNumbers(t *testing.T) {
	sids := &SIDs{}
	v := func(text string) match.Value { v, _ := indicator.Guess(text); return v }
	a, b := sids.Of(v("a.example")), sids.Of(v("b.example"))
	text, err := json.Marshal(sids)
	if err != nil {
		t.Fatal(err)
	}
	again := &SIDs{}
	if err := json.Unmarshal(text, again); err != nil {
		t.Fatal(err)
	}
	if again.Of(v("b.example")) != b || again.Of(v("c.example")) == a || a < FirstSID || a == b {
		t.Errorf("numbers changed: %v", again)
	}
}

func TestProducersDecideWhatIsDone(t *testing.T) {
	g := newGuard(t)
	one, _ := indicator.Guess("evil.example")
	for action, want := range map[indicator.Action][]string{
		indicator.Keep: {"csv"}, indicator.Detect: {"csv", "zeek"}, indicator.Ask: {"csv", "zeek"}, indicator.Block: {"csv", "zeek", "rpz"}, indicator.Any: {"csv", "zeek", "rpz"},
	} {
		var got []string
		for _, name := range []string{"csv", "zeek", "rpz"} {
			f, _ := Find(name)
			if s := Select(slices.Values([]indicator.Indicator{{Values: []match.Value{one}, Action: action}}), f, Terms{Now: time.Now(), Guard: g}); len(s.Items) > 0 {
				got = append(got, name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("what may be used to %s is exported to %v, want %v", action, got, want)
		}
	}
}

// shared are the shared indicators.
func shared(t testing.TB) []indicator.Indicator {
	t.Helper()
	dir := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // where the data is, is the environment's business
	if dir == "" {
		t.Skip("TOCSIN_DATA does not name the shared test data")
	}
	f, err := os.Open(filepath.Join(dir, "intel", "indicators.tsv.xz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	r, err := indicator.Read(z)
	if err != nil {
		t.Fatal(err)
	}
	return r.Indicators
}

// TestRealTargetsTakeWhatIsExported has the real programs read exports of the
// samples, of hostile texts and of all shared indicators.
func TestRealTargetsTakeWhatIsExported(t *testing.T) {
	g := newGuard(t)
	inputs := map[string][]indicator.Indicator{"hostile": indicatorsOf(append(append(samples(), hostile()...), fuzzed(20_000)...))}
	if os.Getenv("TOCSIN_DATA") != "" { //nolint:forbidigo // where the data is, is the environment's business
		inputs["shared"] = shared(t)
	}
	for format, target := range map[string]struct {
		program string
		around  string // what the file is put into; %s is its path
		args    []string
	}{
		"nftables":   {"nft", "", []string{"-c", "-f", "%s"}},
		"rpz":        {"named-checkzone", "", []string{"-q", "rpz.tocsin", "%s"}},
		"unbound":    {"unbound-checkconf", "", []string{"%s"}},
		"dnsmasq":    {"dnsmasq", "", []string{"--test", "-C", "%s"}},
		"squid":      {"squid", "http_port 3128\ninclude %s\nhttp_access deny all\n", []string{"-k", "parse", "-f", "%s"}},
		"haproxy":    {"haproxy", "defaults\n  mode http\n  timeout client 1s\n  timeout server 1s\n  timeout connect 1s\nfrontend f\n  bind 127.0.0.1:1\n  http-request deny if { req.hdr(host),host_only,map_dom(%s) -m found }\n", []string{"-c", "-f", "%s"}},
		"haproxy-ip": {"haproxy", "defaults\n  mode http\n  timeout client 1s\n  timeout server 1s\n  timeout connect 1s\nfrontend f\n  bind 127.0.0.1:1\n  http-request deny if { src,map_ip(%s) -m found }\n", []string{"-c", "-f", "%s"}},
		"nginx":      {"nginx", "pid /dev/null;\nerror_log stderr;\nevents {}\nhttp {\n  access_log off;\n  include %s;\n}\n", []string{"-t", "-q", "-c", "%s"}},
		"postfix":    {"postmap", "", []string{"hash:%s"}},
		"yara":       {"yarac", "", []string{"%s", "/dev/null"}},
	} {
		t.Run(format, func(t *testing.T) {
			program, err := exec.LookPath(target.program)
			if err != nil {
				for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
					if _, err := os.Stat(dir + target.program); err == nil {
						program = dir + target.program
					}
				}
			}
			if program == "" {
				t.Skip(target.program + " is not installed")
			}
			f, err := Find(format)
			if err != nil {
				t.Fatal(err)
			}
			for name, all := range inputs {
				text, set := exported(t, f, all, g)
				if len(set.Items) == 0 {
					t.Fatalf("%s: nothing is exported", name)
				}
				dir := t.TempDir()
				path := filepath.Join(dir, "export")
				if err := os.WriteFile(path, text, 0o644); err != nil {
					t.Fatal(err)
				}
				if target.around != "" {
					config := filepath.Join(dir, "config")
					if err := os.WriteFile(config, fmt.Appendf(nil, target.around, path), 0o644); err != nil {
						t.Fatal(err)
					}
					path = config
				}
				var args []string
				for _, a := range target.args {
					args = append(args, strings.ReplaceAll(a, "%s", path))
				}
				began := time.Now()
				command := exec.Command(program, args...)
				out, err := command.CombinedOutput()
				if err != nil && strings.Contains(string(out), "Operation not permitted") {
					t.Skipf("%s may not run here: %.200s", program, out)
				}
				if err != nil {
					t.Errorf("%s, %d values: %s: %v\n%.1500s", name, len(set.Items), target.program, err, out)
					continue
				}
				t.Logf("%s: %s takes %d values in %v; left out: %v", name, target.program, len(set.Items), time.Since(began).Round(time.Millisecond), set.Held)
			}
		})
	}
}

func TestNetworksInSetsDoNotOverlap(t *testing.T) {
	got := disjoint([]string{"192.0.2.0/24", "192.0.2.7", "192.0.2.128/25", "192.0.3.1", "2001:db8::1"}, true)
	want := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("192.0.3.1/32")}
	if !slices.Equal(got, want) {
		t.Errorf("disjoint = %v, want %v", got, want)
	}
}
