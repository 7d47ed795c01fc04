package export

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"tocsin/internal/indicator"
	"tocsin/internal/match"
)

var update = flag.Bool("update", false, "write testdata anew")

// A back is how an export is read back: what its target takes from it, and what
// of a set it should take.
type back struct {
	read func(t *testing.T, text string) []string
	want func(s Set) []string
}

// lines reads a text by a grammar of its lines: what is neither a value's nor
// one of the others is an error.
func lines(t *testing.T, text, value string, others ...string) (values []string) {
	t.Helper()
	one := regexp.MustCompile(value)
	for l := range strings.Lines(text) {
		l = strings.TrimSuffix(l, "\n")
		if m := one.FindStringSubmatch(l); m != nil {
			values = append(values, strings.Join(m[1:], " "))
		} else if !slices.ContainsFunc(others, func(o string) bool { return regexp.MustCompile(o).MatchString(l) }) {
			t.Errorf("this is no line of it: %q", l)
		}
	}
	return values
}

// texts returns the values of some kinds.
func texts(s Set, kinds ...match.Kind) []string { return s.of(kinds...) }

// widest leaves out addresses and networks within others, one by one.
func widest(all []string) (kept []string) {
	prefix := func(text string) netip.Prefix {
		if a, err := netip.ParseAddr(text); err == nil {
			return netip.PrefixFrom(a, a.BitLen())
		}
		return netip.MustParsePrefix(text)
	}
	for _, text := range all {
		p := prefix(text)
		if !slices.ContainsFunc(all, func(other string) bool { o := prefix(other); return o.Bits() < p.Bits() && o.Contains(p.Addr()) }) {
			kept = append(kept, text)
		}
	}
	return kept
}

// highest leaves out names below others, one by one.
func highest(all []string) (kept []string) {
	for _, name := range all {
		if !slices.ContainsFunc(all, func(other string) bool { return strings.HasSuffix(name, "."+other) }) {
			kept = append(kept, name)
		}
	}
	return kept
}

// sums leaves out those that few programs compute.
func sums(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(text string) bool { return len(text) == 128 })
}

const name = `[a-z0-9_-]+(?:\.[a-z0-9_-]+)*`

// unquoted reads the content of a rule: what stands between bars is hexadecimal.
func unquoted(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	for i, part := range strings.Split(text, "|") {
		if i%2 == 0 {
			b.WriteString(part)
			continue
		}
		for digits := range strings.FieldsSeq(part) {
			c, err := strconv.ParseUint(digits, 16, 8)
			if err != nil {
				t.Errorf("%q is no hexadecimal", digits)
			}
			b.WriteByte(byte(c))
		}
	}
	return b.String()
}

// networkRules reads Suricata or Snort rules.
func networkRules(t *testing.T, text string) (values []string) {
	t.Helper()
	header := regexp.MustCompile(`^alert (\w+) (?:\$HOME_NET any -> (\S+) (\S+) )?\((.*)\)$`)
	option := regexp.MustCompile(`content:"([^"]*)"`)
	for l := range strings.Lines(text) {
		m := header.FindStringSubmatch(strings.TrimSuffix(l, "\n"))
		if m == nil {
			t.Errorf("this is no rule: %q", l)
			continue
		}
		var contents []string
		for _, c := range option.FindAllStringSubmatch(m[4], -1) {
			contents = append(contents, unquoted(t, c[1]))
		}
		to := strings.Trim(m[2], "[]")
		switch {
		case len(contents) == 2: // a URL
			values = append(values, "url "+contents[0]+" "+contents[1])
		case m[1] == "udp":
			var labels []string
			for wire := contents[0]; len(wire) > 1; wire = wire[1+wire[0]:] {
				labels = append(labels, wire[1:1+wire[0]])
			}
			values = append(values, "domain "+strings.Join(labels, "."))
		case m[1] == "dns":
			values = append(values, "domain "+strings.TrimPrefix(contents[0], "."))
		case m[1] == "tls":
			values = append(values, "tls "+contents[0])
		case m[3] == "any":
			values = append(values, "address "+to)
		default:
			values = append(values, "endpoint "+to+" "+m[3])
		}
	}
	return values
}

// networkWants is what such rules should have. Neither looks at a URL's scheme,
// and Suricata's http.host has no port, but the brackets of an IPv6 address.
func networkWants(port bool) func(Set) []string {
	return func(s Set) (all []string) {
		for _, i := range s.Items {
			text := i.Value.Text()
			switch i.Value.Kind() {
			case match.Address, match.Network:
				all = append(all, "address "+text)
			case match.Domain:
				all = append(all, "domain "+text)
			case match.Endpoint:
				a := netip.MustParseAddrPort(text)
				all = append(all, fmt.Sprintf("endpoint %s %d", a.Addr(), a.Port()))
			case match.URL:
				_, rest, _ := strings.Cut(text, "://")
				host, path, _ := strings.Cut(rest, "/")
				if at := strings.LastIndexByte(host, ':'); !port && at > strings.LastIndexByte(host, ']') {
					host = host[:at]
				}
				all = append(all, "url "+host+" /"+path)
			case match.JA3, match.JA4:
				all = append(all, "tls "+text)
			case match.Hash, match.Email, match.ASN, match.FileName, match.RegistryKey, match.Mutex, match.UserAgent: // no place for it
			}
		}
		return all
	}
}

func backs() map[string]back {
	addresses := func(s Set) []string { return texts(s, match.Address, match.Network) }
	domains := func(s Set) []string { return texts(s, match.Domain) }
	all := func(s Set) []string { return wanted(Format{}, s) }
	rpzName := regexp.MustCompile(`^(\d+)\.(\S+)\.rpz-ip CNAME \.$`)
	return map[string]back{
		"ipset": {func(t *testing.T, text string) []string {
			return lines(t, text, `^add tocsin[46]-new ([0-9a-f.:/]+)$`, `^create tocsin[46](-new)? hash:net family inet6? maxelem \d+ -exist$`, `^flush tocsin[46]-new$`,
				`^swap tocsin[46]-new tocsin[46]$`, `^destroy tocsin[46]-new$`)
		}, func(s Set) []string { return widest(addresses(s)) }},
		"nftables": {func(t *testing.T, text string) (values []string) {
			for _, l := range lines(t, text, `^\t\telements = \{ ([0-9a-f.:/, ]+) \}$`, `^(add|delete) table inet tocsin_export$`, `^table inet tocsin_export \{$`, `^\t# \d+ elements$`,
				`^\tset blocked[46] \{$`, `^\t\ttype ipv[46]_addr$`, `^\t\tflags interval$`, `^\tchain (input|output|forward) \{$`, `^\t\ttype filter hook (input|output|forward) priority -10; policy accept;$`,
				`^\t\tip6? [sd]addr @blocked[46] counter drop$`, `^\t?\}$`) {
				values = append(values, strings.Split(l, ", ")...)
			}
			return values
		}, func(s Set) []string { return widest(addresses(s)) }},
		"modsecurity": {func(t *testing.T, text string) (values []string) {
			for n, l := range lines(t, text, `^SecRule REMOTE_ADDR "@ipMatch ([0-9a-f.:/,]+)" "id:(\d+),phase:1,deny,log,msg:'Tocsin: shared indicator'"$`) {
				list, id, _ := strings.Cut(l, " ")
				if id != strconv.Itoa(firstModSecurity+n) {
					t.Errorf("rule %d has the number %s", n, id)
				}
				values = append(values, strings.Split(list, ",")...)
			}
			return values
		}, addresses},
		"edl-url": {func(t *testing.T, text string) []string { return lines(t, text, `^([!-~]+)$`) }, func(s Set) (all []string) {
			for _, u := range texts(s, match.URL) {
				all = append(all, u[strings.Index(u, "://")+3:])
			}
			return all
		}},
		"unbound": {func(t *testing.T, text string) []string {
			return lines(t, text, `^\tlocal-zone: "(`+name+`)\." always_nxdomain$`, `^server:$`)
		}, func(s Set) []string { return highest(domains(s)) }},
		"rpz": {func(t *testing.T, text string) (values []string) {
			below := map[string]bool{}
			for _, l := range lines(t, text, `^(\S+ CNAME \.)$`, `^\$TTL 300$`, `^@ SOA localhost\. hostmaster\.localhost\. \d+ 300 60 604800 60$`, `^@ NS localhost\.$`) {
				owner, _, _ := strings.Cut(l, " ")
				m := rpzName.FindStringSubmatch(l)
				switch {
				case m != nil:
					values = append(values, addressOfRPZ(t, m[1], m[2]))
				case strings.HasPrefix(owner, "*."):
					below[owner[2:]] = true
				default:
					values = append(values, owner)
				}
			}
			for _, v := range values {
				if !strings.ContainsAny(v, ":/") && !below[v] && net.ParseIP(v) == nil {
					t.Errorf("what is below %s is not blocked", v)
				}
			}
			return values
		}, func(s Set) []string {
			return append(slices.DeleteFunc(domains(s), func(d string) bool { return len(d) > 253-len("*.rpz.tocsin.") }), addresses(s)...)
		}},
		"squid": {func(t *testing.T, text string) (values []string) {
			for _, l := range lines(t, text, `^acl tocsin_(?:dst dst|domain dstdomain|url url_regex) (\S+)$`, `^http_access deny tocsin_(dst|domain|url)$`) {
				if rest, ok := strings.CutPrefix(l, "^"); ok {
					l = regexp.MustCompile(`\[(.)\]`).ReplaceAllString(strings.TrimSuffix(rest, `(\?.*)?$`), "$1")
					l = strings.ReplaceAll(l, `\^`, "^")
				}
				values = append(values, strings.TrimPrefix(l, "."))
			}
			return values
		}, func(s Set) []string {
			return slices.Concat(widest(addresses(s)), highest(domains(s)), texts(s, match.URL))
		}},
		"nginx": {func(t *testing.T, text string) []string {
			return lines(t, text, `^\t\.?(`+name+`|[0-9a-f.:/]+) 1;$`, `^geo \$tocsin_address \{$`, `^\tdefault 0;$`, `^\}$`, `^map_hash_(bucket|max)_size \d+;$`, `^map \$host \$tocsin_host \{$`, `^\thostnames;$`)
		}, func(s Set) []string { return append(addresses(s), domains(s)...) }},
		"yara": {func(t *testing.T, text string) []string {
			return lines(t, text, `^        (?:or )?hash\.(?:md5|sha1|sha256)\(0, filesize\) == "([0-9a-f]+)"$`, `^import "hash"$`, `^$`, `^rule tocsin_(md5|sha1|sha256)_\d+ \{$`, `^    condition:$`, `^\}$`)
		}, func(s Set) []string { return sums(texts(s, match.Hash)) }},
		"zeek":  {readZeek, wantZeek},
		"sigma": {readSigma, all},
		"osquery": {readOsquery, func(s Set) []string {
			return slices.Concat(texts(s, match.Address, match.Domain), sums(texts(s, match.Hash)))
		}},
		"elastic": {readElastic, all},
		"stix": {func(t *testing.T, text string) (values []string) {
			r, err := indicator.Read(strings.NewReader(text))
			if err != nil || r.Unread > 0 {
				t.Fatalf("%d objects were not read: %v", r.Unread, err)
			}
			for _, in := range r.Indicators {
				if len(in.Values) != 1 {
					t.Errorf("%s has the values %v, want one", in.Name, in.Values)
					continue
				}
				values = append(values, in.Values[0].Text())
			}
			return values
		}, all},
		"suricata": {networkRules, networkWants(false)},
		"snort3":   {networkRules, networkWants(true)},
	}
}

// addressOfRPZ reads an address that is an owner name, from behind.
func addressOfRPZ(t *testing.T, bits, reversed string) string {
	t.Helper()
	parts := strings.Split(reversed, ".")
	slices.Reverse(parts)
	text := strings.Join(parts, ".")
	if len(parts) != 4 || slices.Contains(parts, "zz") {
		text = strings.Join(parts, ":")
		text = strings.Replace(strings.Replace(strings.Replace(text, ":zz:", "::", 1), "zz:", "::", 1), ":zz", "::", 1)
	}
	p, err := netip.ParsePrefix(text + "/" + bits)
	if err != nil {
		t.Errorf("%s.%s is no address: %v", bits, reversed, err)
		return ""
	}
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func readZeek(t *testing.T, text string) (values []string) {
	t.Helper()
	escaped := regexp.MustCompile(`\\x([0-9a-f]{2})`)
	for _, l := range lines(t, text, `^([^\t]+\tIntel::[A-Z_]+)\ttocsin\t[^\t]+$`, `^#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc$`) {
		value, kind, _ := strings.Cut(l, "\t")
		value = escaped.ReplaceAllStringFunc(value, func(e string) string {
			c, _ := strconv.ParseUint(e[2:], 16, 8)
			return string([]byte{byte(c)})
		})
		values = append(values, strings.TrimPrefix(kind, "Intel::")+" "+value)
	}
	return values
}

func wantZeek(s Set) (all []string) {
	kinds := map[match.Kind]string{
		match.Address: "ADDR", match.Network: "SUBNET", match.Domain: "DOMAIN", match.URL: "URL", match.Hash: "FILE_HASH", match.Email: "EMAIL", match.FileName: "FILE_NAME", match.UserAgent: "SOFTWARE",
	}
	for _, i := range s.Items {
		text := i.Value.Text()
		if i.Value.Kind() == match.URL {
			_, text, _ = strings.Cut(text, "://")
		}
		all = append(all, kinds[i.Value.Kind()]+" "+text)
	}
	return all
}

func readSigma(t *testing.T, text string) (values []string) {
	t.Helper()
	var below []string
	for d := yaml.NewDecoder(strings.NewReader(text)); ; {
		var rule struct {
			Detection struct{ Selection map[string][]string }
		}
		if err := d.Decode(&rule); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for field, some := range rule.Detection.Selection {
			for _, v := range some {
				v = regexp.MustCompile(`\\([\\*?])`).ReplaceAllString(v, "$1")
				if field == "query|endswith" {
					below = append(below, strings.TrimPrefix(v, "."))
					continue
				}
				values = append(values, v)
			}
		}
	}
	for _, d := range below {
		if !slices.Contains(values, d) {
			t.Errorf("what is below %s is found, and it is not", d)
		}
	}
	return values
}

// readOsquery takes the constants out of a pack's queries, as SQL has them.
func readOsquery(t *testing.T, text string) (values []string) {
	t.Helper()
	var pack struct {
		Queries map[string]struct {
			Query    string
			Interval int
		}
	}
	if err := json.Unmarshal([]byte(text), &pack); err != nil {
		t.Fatal(err)
	}
	shape := regexp.MustCompile(`^SELECT [a-z0-9_., ]+ FROM [a-z_]+( p JOIN hash h ON h.path = p.path)? WHERE [a-z0-9_.]+ IN \((('(?:[^']|'')*'(?:,|\)))+);$`)
	constant := regexp.MustCompile(`'((?:[^']|'')*)'`)
	for n, q := range pack.Queries {
		m := shape.FindStringSubmatch(q.Query)
		if m == nil || q.Interval == 0 {
			t.Errorf("%s is no query of ours: %.300q", n, q.Query)
			continue
		}
		for _, c := range constant.FindAllStringSubmatch(m[2], -1) {
			values = append(values, strings.ReplaceAll(c[1], "''", "'"))
		}
	}
	return values
}

// readElastic reads what the bulk API takes: a line that says what to do, and
// one with the document.
func readElastic(t *testing.T, text string) (values []string) {
	t.Helper()
	ids := map[string]bool{}
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var action struct {
			Index struct {
				ID string `json:"_id"`
			}
		}
		if err := d.Decode(&action); errors.Is(err, io.EOF) {
			return values
		} else if err != nil || action.Index.ID == "" || ids[action.Index.ID] {
			t.Fatalf("action %+v: %v", action, err)
		}
		ids[action.Index.ID] = true
		var document struct {
			Threat struct {
				Indicator struct {
					Type, Name, IP string
					URL            struct{ Full, Domain string }
					Email          struct{ Address string }
					File           struct{ Hash map[string]string }
					Registry       struct{ Key string }
				}
			}
		}
		if err := d.Decode(&document); err != nil {
			t.Fatal(err)
		}
		i := document.Threat.Indicator
		var special strings.Builder
		special.WriteString(i.IP + i.URL.Full + i.URL.Domain + i.Email.Address + i.Registry.Key)
		for _, sum := range i.File.Hash {
			special.WriteString(sum)
		}
		if special.String() != "" && special.String() != i.Name || i.Type == "" {
			t.Errorf("the document of %q says %q", i.Name, special.String())
		}
		values = append(values, i.Name)
	}
}

func TestWhatTargetsTakeIsTheSetAllowed(t *testing.T) {
	g := newGuard(t)
	inputs := map[string][]indicator.Indicator{
		"samples": indicatorsOf(samples()), "hostile": indicatorsOf(hostile()), "nothing": nil, "made up": indicatorsOf(fuzzed(20_000)),
	}
	for format, b := range backs() {
		t.Run(format, func(t *testing.T) {
			f, err := Find(format)
			if err != nil {
				t.Fatal(err)
			}
			for input, all := range inputs {
				text, set := exported(t, f, all, g)
				got, want := b.read(t, string(text)), b.want(set)
				slices.Sort(got)
				slices.Sort(want)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-allowed +read):\n%.2000s", input, diff)
				}
			}
		})
	}
}

// TestRulesAreAsTheyWere compares rules that no parser here reads with those that
// were looked at when they changed last.
func TestRulesAreAsTheyWere(t *testing.T) {
	for _, format := range []string{"suricata", "snort3"} {
		f, err := Find(format)
		if err != nil {
			t.Fatal(err)
		}
		_, set := exported(t, f, indicatorsOf(samples()), newGuard(t))
		for _, drop := range []bool{false, true} {
			var b bytes.Buffer
			set.Made = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			if err := f.Write(&b, set, Options{SIDs: &SIDs{}, Drop: drop}); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", format+map[bool]string{true: "-drop"}[drop]+".rules")
			if *update {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("%s (-was +is; go test ./internal/export -update writes it anew):\n%s", file, diff)
			}
		}
	}
}
