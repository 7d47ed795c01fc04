package scan

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"tocsin/internal/indicator"
	"tocsin/internal/logs"
	"tocsin/internal/match"
)

func dataDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // where the data is, is the environment's business
	if dir == "" {
		t.Skip("TOCSIN_DATA does not name the shared test data")
	}
	return dir
}

// sharedIndicators returns the 462,979 shared indicators as their file has
// them, and as a set.
func sharedIndicators(t testing.TB) (rows [][2]string, set *match.Set) {
	t.Helper()
	f, err := os.Open(filepath.Join(dataDir(t), "intel", "indicators.tsv.xz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	result, err := indicator.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	set = match.NewSet()
	for _, in := range result.Indicators {
		set.Add(in.Values[0].Text(), in.Values[0])
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "\t")
		rows = append(rows, [2]string{cells[0], cells[1]})
	}
	t.Logf("%d rows, %d values, %d cannot be looked for", len(rows)-1, set.Len(), result.Unread)
	return rows, set
}

// A reference looks for values as slowly and as plainly as it can be done: maps
// and the standard library, and nothing of this program.
type reference struct {
	exact     map[string]bool
	endpoints map[string]bool
	networks  []netip.Prefix
}

func newReference(rows [][2]string) *reference {
	r := &reference{exact: map[string]bool{}, endpoints: map[string]bool{}}
	for _, row := range rows[1:] {
		switch value := strings.ToLower(strings.TrimSuffix(row[1], ".")); row[0] {
		case "ipv4-port":
			r.endpoints[value] = true
		case "cidr":
			r.networks = append(r.networks, netip.MustParsePrefix(value))
		case "url": // whole or without a query; the test logs have none as a whole
		default:
			r.exact[value] = true
		}
	}
	return r
}

var (
	token    = regexp.MustCompile(`[A-Za-z0-9._-]+`)
	jsonPort = regexp.MustCompile(`"id\.(orig|resp)_h":\s*"([^"]+)".*?"id\.(orig|resp)_p":\s*(\d+)`)
	textPort = regexp.MustCompile(`(\d+\.\d+\.\d+\.\d+):(\d+)`)
)

// line returns what stands in a line.
func (r *reference) line(line string, zeek []string) (found []string) {
	add := func(s string) {
		if !slices.Contains(found, s) {
			found = append(found, s)
		}
	}
	for _, word := range token.FindAllString(line, -1) {
		name := strings.ToLower(strings.Trim(word, ".-"))
		if a, err := netip.ParseAddr(name); err == nil {
			if r.exact[name] {
				add(name)
				continue
			}
			for _, p := range r.networks {
				if p.Contains(a) {
					add(p.String())
				}
			}
			continue
		}
		for rest := name; strings.Contains(rest, ".") || len(rest) >= 32 && rest == name; {
			if r.exact[rest] {
				add(rest)
				break
			}
			_, after, ok := strings.Cut(rest, ".")
			if !ok {
				break
			}
			rest = after
		}
	}
	ports := textPort.FindAllString(line, -1)
	for _, m := range jsonPort.FindAllStringSubmatch(line, -1) {
		if m[1] == m[3] {
			ports = append(ports, m[2]+":"+m[4])
		}
	}
	var event map[string]any
	if json.Unmarshal([]byte(line), &event) == nil {
		for _, side := range []string{"orig", "resp"} {
			if port, ok := event["id."+side+"_p"].(float64); ok {
				ports = append(ports, fmt.Sprintf("%v:%.0f", event["id."+side+"_h"], port))
			}
		}
	}
	if cells := strings.Split(line, "\t"); len(cells) == len(zeek) {
		for _, side := range []string{"orig", "resp"} {
			h, p := slices.Index(zeek, "id."+side+"_h"), slices.Index(zeek, "id."+side+"_p")
			if h >= 0 && p >= 0 {
				ports = append(ports, cells[h]+":"+cells[p])
			}
		}
	}
	for _, p := range ports {
		if r.endpoints[p] {
			add(p)
		}
	}
	return found
}

// all returns what stands in a log, as "line value".
func (r *reference) all(text string) (found []string) {
	var zeek []string
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if names, ok := strings.CutPrefix(line, "#fields\t"); ok {
			zeek = strings.Split(names, "\t")
		}
		for _, v := range r.line(line, zeek) {
			found = append(found, fmt.Sprintf("%d %s", n, v))
		}
	}
	return found
}

func hitsOf(t testing.TB, set *match.Set, log []byte) (found []string, stats Stats) {
	t.Helper()
	stats, err := Run(context.Background(), Sought{Values: set}, bytes.NewReader(log), func(h Hit) error {
		if s := fmt.Sprintf("%d %s", h.Line, h.Value.Text()); !slices.Contains(found, s) {
			found = append(found, s)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, stats
}

// TestSharedLogsHaveTheirExactHits compares all shared logs with the recorded
// truth and with the reference, plain and in each compression.
func TestSharedLogsHaveTheirExactHits(t *testing.T) {
	rows, set := sharedIndicators(t)
	ref := newReference(rows)
	dir := filepath.Join(dataDir(t), "logs")
	var truth struct {
		Matches map[string][]struct {
			Line      int
			Field     string
			Indicator string
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "expected_matches.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &truth); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, pattern := range []string{"infection/*/*.log", "web/*.gz", "zeek/*/*.gz"} {
		some, _ := filepath.Glob(filepath.Join(dir, pattern))
		names = append(names, some...)
	}
	if len(names) < 10 {
		t.Fatalf("only %d logs were found", len(names))
	}
	total, lines := 0, int64(0)
	for _, path := range names {
		name, _ := filepath.Rel(dir, path)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		plain := raw
		if strings.HasSuffix(path, ".gz") {
			z, err := gzip.NewReader(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			if plain, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		var want []string
		for _, m := range truth.Matches[name] {
			want = append(want, fmt.Sprintf("%d %s", m.Line, m.Indicator))
		}
		slices.Sort(want)
		reference := ref.all(string(plain))
		slices.Sort(reference)
		if diff := cmp.Diff(want, reference); diff != "" {
			t.Errorf("%s: the reference (-truth +reference):\n%s", name, diff)
		}
		ways := map[string][]byte{"plain": plain, "as it lies there": raw}
		if len(want) > 0 {
			ways["gzip"], ways["zstd"], ways["xz"] = packGzip(t, plain), packZstd(t, plain), packXZ(t, plain)
			ways["CRLF"] = bytes.ReplaceAll(plain, []byte("\n"), []byte("\r\n"))
		}
		for how, packed := range ways {
			got, stats := hitsOf(t, set, packed)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, how, diff)
			}
			if how == "plain" {
				total += len(got)
				lines += stats.Lines
			}
		}
	}
	t.Logf("%d logs, %d lines, %d hits: 0 missed, 0 extra if nothing is reported above", len(names), lines, total)
	if total != 11 {
		t.Errorf("%d hits in all, want 11", total)
	}
}

func packGzip(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	return packed(t, w, &out, b)
}

func packZstd(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	return packed(t, w, &out, b)
}

func packXZ(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w, err := xz.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	return packed(t, w, &out, b)
}

func packed(t testing.TB, w io.WriteCloser, out *bytes.Buffer, b []byte) []byte {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestAHitSaysWhereAndWhen has one event in every format.
func TestAHitSaysWhereAndWhen(t *testing.T) {
	set := match.NewSet()
	for _, text := range []string{"192.0.2.1:443", "192.0.2.9", "evil.example"} {
		v, _ := indicator.Guess(text)
		set.Add(text, v)
	}
	at := time.Date(2026, 3, 1, 10, 5, 3, 0, time.UTC)
	for name, test := range map[string]struct {
		format  logs.Format
		log     string
		want    []string // line field value
		untimed bool
	}{
		"JSON":       {logs.JSON, `{"ts":1772359503.0,"id.orig_h":"10.0.0.1","id.orig_p":443,"id.resp_h":"192.0.2.1","id.resp_p":443,"query":"www.evil.example"}` + "\n", []string{"1 id.resp_h:port 192.0.2.1:443", "1 query evil.example"}, false},
		"other port": {logs.JSON, `{"ts":1772359503.0,"id.resp_h":"192.0.2.1","id.resp_p":444}` + "\n", nil, false},
		"EVE":        {logs.JSON, `{"timestamp":"2026-03-01T10:05:03.000000+0000","event_type":"alert","src_ip":"192.0.2.1","src_port":443,"dest_ip":"192.0.2.9","dns":{"query":[{"rrname":"evil.example"}]}}` + "\n", []string{"1 src_ip:port 192.0.2.1:443", "1 dest_ip 192.0.2.9", "1 dns.query.rrname evil.example"}, false},
		"Zeek":       {logs.ZeekTSV, "#separator \\x09\n#fields\tts\tid.orig_h\tid.resp_h\tid.resp_p\n1772359503.0\t192.0.2.9\t192.0.2.1\t443\n#fields\tts\thost\n1772359503.0\tevil.example\n", []string{"3 id.orig_h 192.0.2.9", "3 id.resp_h:port 192.0.2.1:443", "5 host evil.example"}, false},
		"CEF":        {logs.CEF, "CEF:0|v|p|1|2|n|3|rt=Mar 01 2026 10:05:03 src=192.0.2.9 dst=192.0.2.1 dpt=443 dhost=evil.example\n", []string{"1 src 192.0.2.9", "1 dst:port 192.0.2.1:443", "1 dhost evil.example"}, true},
		"LEEF":       {logs.LEEF, "LEEF:1.0|v|p|1|2|devTime=2026-03-01T10:05:03Z\tsrc=192.0.2.9\tdst=192.0.2.1\tdstPort=443\n", []string{"1 src 192.0.2.9", "1 dst:port 192.0.2.1:443"}, false},
		"RFC 5424":   {logs.Syslog, "<34>1 2026-03-01T10:05:03Z host app - - - denied SRC=192.0.2.1 SPT=443 to=evil.example\n", []string{"1 SRC:port 192.0.2.1:443", "1 to evil.example"}, false},
		"RFC 3164":   {logs.Syslog, "Mar  1 10:05:03 host sshd[1]: from 192.0.2.9 port 22\n", []string{"1 text 192.0.2.9"}, true},
		"W3C":        {logs.W3C, "#Software: Microsoft IIS\r\n#Fields: date time c-ip s-ip s-port cs-host\r\n2026-03-01 10:05:03 192.0.2.9 192.0.2.1 443 evil.example\r\n", []string{"3 c-ip 192.0.2.9", "3 s-ip:port 192.0.2.1:443", "3 cs-host evil.example"}, false},
		"access":     {logs.Access, `192.0.2.9 - - [01/Mar/2026:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "http://evil.example/" "curl"` + "\n", []string{"1 client 192.0.2.9", "1 referer evil.example"}, false},
		"CSV":        {logs.CSV, "time,src_ip,dest_ip,dest_port,\"note\"\n2026-03-01T10:05:03Z,192.0.2.9,192.0.2.1,443,\"a, \"\"evil.example\"\"\"\n", []string{"2 src_ip 192.0.2.9", "2 dest_ip:port 192.0.2.1:443", "2 note evil.example"}, false},
		"XML":        {logs.WindowsXML, `<Event xmlns='x'><System><TimeCreated SystemTime='2026-03-01T10:05:03.0000000Z'/></System><EventData><Data Name='DestinationIp'>192.0.2.1</Data><Data Name='DestinationPort'>443</Data><Data Name="QueryName">evil.example</Data></EventData></Event>` + "\n", []string{"1 DestinationIp:port 192.0.2.1:443", "1 QueryName evil.example"}, false},
		"DNS query":  {logs.Text, "01-Mar-2026 10:05:03.000 queries: info: client @0x7f 192.0.2.9#53 (evil.example): query: evil.example IN A +\n", []string{"1 text 192.0.2.9", "1 text evil.example", "1 text evil.example"}, true},
	} {
		var got []string
		stats, err := Run(context.Background(), Sought{Values: set}, strings.NewReader(test.log), func(h Hit) error {
			got = append(got, fmt.Sprintf("%d %s %s", h.Line, h.Field, h.Value.Text()))
			if !test.untimed && !h.Time.Equal(at) {
				t.Errorf("%s: the hit is at %v, want %v", name, h.Time, at)
			}
			if found := test.log[h.Offset : h.Offset+int64(len(h.Found))]; found != h.Found {
				t.Errorf("%s: at the offset stands %q, not %q", name, found, h.Found)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" || stats.Format != test.format {
			t.Errorf("%s, read as %s (-want +got):\n%s", name, stats.Format, diff)
		}
	}
}

func TestBadLogsLoseNothing(t *testing.T) {
	set := match.NewSet()
	v, _ := indicator.Guess("192.0.2.9")
	set.Add("x", v)
	good := bytes.Repeat([]byte("a line without anything in it, and a number 12345\n"), 50_000)
	good = append(append([]byte("first 192.0.2.9\n"), good...), "last 192.0.2.9"...)
	z := packGzip(t, good)
	for name, test := range map[string]struct {
		log    []byte
		hits   int
		damage bool
	}{
		"empty":                    {nil, 0, false},
		"no end of the last line":  {good, 2, false},
		"truncated gzip":           {z[:len(z)-20], 1, true},
		"gzip of nothing":          {[]byte{0x1f, 0x8b}, 0, true},
		"truncated zstd":           {packZstd(t, good)[:200], 1, true},
		"truncated xz":             {packXZ(t, good)[:100], 0, true},
		"NULs":                     {[]byte("\x00\x00192.0.2.9\x00\x00\n\x00"), 1, false},
		"bad UTF-8":                {[]byte("\xff\xfe 192.0.2.9 \xc3\n"), 1, false},
		"a line of 20 MB":          {append(bytes.Repeat([]byte("x "), 10_000_000), "192.0.2.9"...), 1, false},
		"a word of 20 MB":          {append(bytes.Repeat([]byte("x"), 20_000_000), " 192.0.2.9"...), 1, false},
		"JSON that is cut":         {[]byte(`{"a":"192.0.2.9","b":{"c":[1,` + "\n" + `{"a":"192.0.2.9"}` + "\n"), 2, false},
		"JSON of 10,000 brackets":  {[]byte(strings.Repeat(`{"a":[`, 10_000) + `"192.0.2.9"`), 1, false},
		"Zeek without field names": {[]byte("#separator \\x09\n1\t192.0.2.9\n"), 1, false},
	} {
		hits := 0
		stats, err := Run(context.Background(), Sought{Values: set}, bytes.NewReader(test.log), func(Hit) error { hits++; return nil })
		if hits != test.hits || (err != nil) != test.damage {
			t.Errorf("%s: %d hits in %d lines and %v, want %d hits and damage: %v", name, hits, stats.Lines, err, test.hits, test.damage)
		}
	}
}

func FuzzEveryFormatIsRead(f *testing.F) {
	set := match.NewSet()
	v, _ := indicator.Guess("192.0.2.9:443")
	set.Add("x", v)
	f.Add([]byte(`{"src_ip":"192.0.2.9","src_port":443}`))
	f.Add([]byte("#fields\tid.orig_h\tid.orig_p\n192.0.2.9\t443\n"))
	f.Add([]byte("a,src_ip,src_port\n\"x\",192.0.2.9,443\n"))
	f.Add([]byte("CEF:0|a|b|c|d|e|f|src=192.0.2.9 spt=443"))
	f.Add([]byte("<Event><Data Name='SourceIp'>192.0.2.9</Data></Event>"))
	f.Add([]byte("192.0.2.9 - - [01/Mar/2026:10:05:03 +0000] \"GET \\\" "))
	f.Fuzz(func(t *testing.T, log []byte) {
		_, _ = Run(context.Background(), Sought{Values: set}, bytes.NewReader(log), func(h Hit) error {
			if !strings.Contains(string(log), h.Found) {
				t.Errorf("%q was found in %q", h.Found, log)
			}
			return nil
		})
	})
}
