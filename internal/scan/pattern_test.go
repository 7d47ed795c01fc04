package scan

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/logs"
	"tocsin/internal/match"
	"tocsin/internal/observe"
	"tocsin/stix/pattern"
)

// soughtFor returns what is looked for of patterns, by their texts.
func soughtFor(t testing.TB, window time.Duration, patterns ...string) Sought {
	t.Helper()
	s := Sought{Values: match.NewSet(), Patterns: observe.NewPatterns(), Events: observe.NewWindow(window)}
	for _, text := range patterns {
		p, err := observe.Compile(text, nil)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if refused := s.Patterns.Add(text, p, s.Values); refused > 0 || p.Missing > 0 {
			t.Fatalf("%s: %d anchors are refused, %d missing", text, refused, p.Missing)
		}
	}
	return s
}

// patternHits returns "line pattern" for every hit.
func patternHits(t testing.TB, s Sought, log string) (found []string) {
	t.Helper()
	_, err := Run(context.Background(), s, strings.NewReader(log), func(h Hit) error {
		found = append(found, fmt.Sprintf("%d %s", h.Line, h.Indicator))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// formatCases have one event in every format, patterns that it matches, and
// some that it would match were it read carelessly.
func formatCases() map[string]struct {
	log     string
	yes, no []string
} {
	return map[string]struct {
		log     string
		yes, no []string
	}{
		"Zeek conn": {
			"#separator \\x09\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\torig_bytes\n1772359503.0\t10.0.0.5\t50000\t198.51.100.7\t8443\ttcp\tssl\t4096\n",
			[]string{
				"[ipv4-addr:value = '198.51.100.7' AND network-traffic:dst_port = 8443]", // no valid pattern, and yet often published
				"[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:src_ref.value = '10.0.0.5' AND network-traffic:protocols[*] = 'tcp']",
				"[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:src_byte_count > 4000]",
				"[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:protocols[0] = 'ipv4']",
			},
			[]string{
				"[ipv4-addr:value = '198.51.100.7' AND network-traffic:dst_port = 50000]", "[network-traffic:src_ref.value = '198.51.100.7' AND network-traffic:dst_port = 8443]",
				"[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:protocols[*] = 'udp']",
			},
		},
		"Zeek dns": {
			`{"ts":1772359503.0,"id.orig_h":"10.0.0.5","id.resp_h":"10.0.0.1","id.resp_p":53,"proto":"udp","query":"C2.Evil.example","answers":["198.51.100.7","198.51.100.8"]}` + "\n",
			[]string{
				"[domain-name:value = 'c2.evil.example' AND domain-name:resolves_to_refs[*].value = '198.51.100.8']",
				"[domain-name:value = 'C2.EVIL.example' AND domain-name:resolves_to_refs[*].type = 'ipv4-addr']",
			},
			[]string{"[domain-name:value = 'evil.example' AND domain-name:resolves_to_refs[*].value = '198.51.100.8']", "[network-traffic:dst_ref.value = 'c2.evil.example' AND network-traffic:dst_port = 53]"},
		},
		"Zeek http": {
			`{"ts":1772359503.0,"id.orig_h":"10.0.0.5","id.resp_h":"198.51.100.7","id.resp_p":8080,"method":"POST","host":"c2.evil.example","uri":"/gate.php?a=1","user_agent":"Evil \"Agent\" 1.0"}` + "\n",
			[]string{
				"[url:value = 'http://c2.evil.example:8080/gate.php?a=1' AND url:value LIKE '%gate%']",
				"[network-traffic:dst_ref.value = 'c2.evil.example' AND network-traffic:extensions.'http-request-ext'.request_method = 'POST']",
				"[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'Evil \"Agent\" 1.0' AND network-traffic:dst_port = 8080]",
				"[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:extensions.'http-request-ext'.request_value MATCHES '^/gate']",
			},
			[]string{"[network-traffic:dst_ref.value = 'c2.evil.example' AND network-traffic:extensions.'http-request-ext'.request_method = 'GET']"},
		},
		"Zeek ssl": {
			`{"ts":1772359503.0,"id.orig_h":"10.0.0.5","id.resp_h":"198.51.100.7","id.resp_p":443,"server_name":"c2.evil.example","subject":"CN=evil","issuer":"CN=Evil CA"}` + "\n",
			[]string{
				"[network-traffic:dst_ref.type = 'domain-name' AND network-traffic:dst_ref.value = 'c2.evil.example' AND network-traffic:dst_port = 443]",
				"[x509-certificate:issuer = 'CN=Evil CA' AND x509-certificate:subject = 'CN=evil']",
			},
			[]string{"[x509-certificate:issuer = 'CN=Evil CA' AND x509-certificate:subject = 'CN=good']"},
		},
		"Zeek files": {
			"#separator \\x09\n#fields\tts\tfuid\ttx_hosts\trx_hosts\tmime_type\tfilename\ttotal_bytes\tmd5\n1772359503.0\tF1\t198.51.100.7\t10.0.0.5\tapplication/x-dosexec\tBad.EXE\t512\td41d8cd98f00b204e9800998ecf8427e\n",
			[]string{"[file:hashes.MD5 = 'D41D8CD98F00B204E9800998ECF8427E' AND file:size < 1000]", "[file:name = 'bad.exe' AND file:mime_type = 'application/x-dosexec']"},
			[]string{"[file:hashes.'SHA-1' = 'd41d8cd98f00b204e9800998ecf8427e00000000' AND file:size < 1000]", "[file:name = 'bad.exe' AND file:size = 513]"},
		},
		"EVE": {
			`{"timestamp":"2026-03-01T10:05:03.000000+0000","event_type":"http","src_ip":"10.0.0.5","src_port":50000,"dest_ip":"198.51.100.7","dest_port":80,"proto":"TCP","http":{"hostname":"c2.evil.example","url":"\/gate.php","http_method":"GET"},"fileinfo":{"filename":"/gate.php","md5":"d41d8cd98f00b204e9800998ecf8427e"}}` + "\n",
			[]string{
				"[url:value = 'http://c2.evil.example/gate.php' AND url:value LIKE 'http:%']", "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e' AND file:name = 'gate.php']",
				"[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:dst_port = 80 AND network-traffic:protocols[*] = 'tcp']",
			},
			[]string{"[url:value = 'https://c2.evil.example/gate.php' AND url:value LIKE 'http%']"},
		},
		"EVE dns": {
			`{"timestamp":"2026-03-01T10:05:03.000000+0000","event_type":"dns","src_ip":"10.0.0.5","dest_ip":"10.0.0.1","dns":{"type":"answer","rrname":"c2.evil.example","answers":[{"rrname":"c2.evil.example","rdata":"198.51.100.7"}]}}` + "\n",
			[]string{"[domain-name:value = 'c2.evil.example' AND domain-name:resolves_to_refs[*].value = '198.51.100.7']"},
			nil,
		},
		"CEF": {
			"CEF:0|v|p|1|2|n|3|rt=Mar 01 2026 10:05:03 src=10.0.0.5 dst=198.51.100.7 dpt=8443 proto=TCP request=https://c2.evil.example/a?b\\=c requestClientApplication=Evil Agent 1.0 fname=a b.exe fileHash=d41d8cd98f00b204e9800998ecf8427e\n",
			[]string{
				"[ipv4-addr:value = '198.51.100.7' AND network-traffic:dst_port = 8443]", "[file:name = 'a b.exe' AND file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']",
				"[network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'Evil Agent 1.0' AND network-traffic:dst_port = 8443]",
			},
			[]string{"[ipv4-addr:value = '198.51.100.7' AND network-traffic:dst_port = 443]"},
		},
		"LEEF": {
			"LEEF:1.0|v|p|1|2|devTime=2026-03-01T10:05:03Z\tsrc=10.0.0.5\tdst=198.51.100.7\tdstPort=8443\tusrName=jane doe\n",
			[]string{"[ipv4-addr:value = '198.51.100.7' AND network-traffic:dst_port = 8443]", "[ipv4-addr:value = '198.51.100.7' AND user-account:account_login = 'jane doe']"},
			[]string{"[network-traffic:src_ref.value = '198.51.100.7' AND network-traffic:dst_port = 8443]"},
		},
		"IIS": {
			"#Software: Microsoft IIS\r\n#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port c-ip cs(User-Agent)\r\n2026-03-01 10:05:03 10.0.0.1 GET /shell.aspx cmd=whoami 443 198.51.100.7 Evil+Agent\r\n",
			[]string{
				"[network-traffic:src_ref.value = '198.51.100.7' AND network-traffic:extensions.'http-request-ext'.request_value = '/shell.aspx?cmd=whoami']",
				"[network-traffic:src_ref.value = '198.51.100.7' AND network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'Evil Agent']",
			},
			[]string{"[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:dst_port = 443]"},
		},
		"access": {
			`198.51.100.7 - - [01/Mar/2026:10:05:03 +0000] "POST /wp-login.php HTTP/1.1" 200 5 "-" "Evil/1.0"` + "\n",
			[]string{
				"[ipv4-addr:value = '198.51.100.7' AND network-traffic:extensions.'http-request-ext'.request_method = 'POST']",
				"[network-traffic:src_ref.value = '198.51.100.7' AND network-traffic:extensions.'http-request-ext'.request_value LIKE '/wp-%' AND network-traffic:extensions.'http-request-ext'.request_header.'User-Agent' = 'Evil/1.0']",
			},
			[]string{"[network-traffic:src_ref.value = '198.51.100.7' AND network-traffic:extensions.'http-request-ext'.request_method = 'GET']"},
		},
		"Sysmon process": {
			`{"EventID":1,"UtcTime":"2026-03-01 10:05:03.000","Image":"C:\\Users\\x\\A.exe","CommandLine":"a.exe -enc ZQBjAGgAbwA=","ProcessId":4242,"User":"CORP\\jane","ParentImage":"C:\\Windows\\winword.exe","Hashes":"MD5=D41D8CD98F00B204E9800998ECF8427E,IMPHASH=00000000000000000000000000000000"}` + "\n",
			[]string{
				`[file:name = 'a.exe' AND file:parent_directory_ref.path = 'C:\\Users\\x']`, "[process:image_ref.name = 'a.exe' AND process:parent_ref.image_ref.name = 'WINWORD.EXE']",
				"[process:name = 'a.exe' AND process:pid = 4242]", "[process:image_ref.hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e' AND process:command_line LIKE '%-enc %']", "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e' AND file:name = 'a.exe']",
				`[process:image_ref.name = 'a.exe' AND process:creator_user_ref.account_login = 'CORP\\jane' AND process:pid = 4242]`,
			},
			[]string{`[file:name = 'a.exe' AND file:parent_directory_ref.path = 'C:\\Users']`, "[process:image_ref.name = 'winword.exe' AND process:pid = 4242]", "[file:name = 'winword.exe' AND file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']"},
		},
		"Sysmon registry": {
			`<Event xmlns='x'><System><TimeCreated SystemTime='2026-03-01T10:05:03.0000000Z'/></System><EventData><Data Name='Image'>C:\x\a.exe</Data><Data Name='TargetObject'>HKLM\Software\Microsoft\Windows\CurrentVersion\Run\Evil</Data><Data Name='Details'>C:\x\a.exe &amp; b</Data></EventData></Event>` + "\n",
			[]string{`[windows-registry-key:key = 'HKEY_LOCAL_MACHINE\\Software\\Microsoft\\Windows\\CurrentVersion\\Run' AND windows-registry-key:values[*].name = 'evil']`, `[file:name = 'a.exe' AND file:parent_directory_ref.path = 'C:\\x']`},
			[]string{`[windows-registry-key:key = 'HKEY_CURRENT_USER\\Software\\Microsoft\\Windows\\CurrentVersion\\Run' AND windows-registry-key:values[*].name = 'evil']`},
		},
		"Sysmon network": {
			`{"Event":{"System":{"EventID":3},"EventData":{"UtcTime":"2026-03-01 10:05:03.000","Image":"C:\\x\\a.exe","Protocol":"tcp","SourceIp":"10.0.0.5","DestinationIp":"198.51.100.7","DestinationPort":"8443","DestinationHostname":"c2.evil.example"}}}` + "\n",
			[]string{"[ipv4-addr:value = '198.51.100.7' AND network-traffic:dst_port = 8443]", "[network-traffic:dst_ref.value = 'c2.evil.example' AND network-traffic:dst_port = 8443]"},
			nil,
		},
		"BIND": {
			"01-Mar-2026 10:05:03.000 queries: info: client @0x7f 192.0.2.9#53 (c2.evil.example): query: c2.evil.example IN A +\n",
			[]string{"[domain-name:value = 'c2.evil.example' AND domain-name:value LIKE 'c2%']", "[domain-name:value = 'c2.evil.example' AND ipv4-addr:value = '192.0.2.9']"},
			nil,
		},
		"dnsmasq": {
			"Mar  1 10:05:03 gw dnsmasq[1]: reply c2.evil.example is 198.51.100.7\n",
			[]string{"[domain-name:value = 'c2.evil.example' AND domain-name:resolves_to_refs[*].value = '198.51.100.7']"},
			nil,
		},
		"netfilter": {
			"Mar  1 10:05:03 gw kernel: IN=eth0 OUT= SRC=198.51.100.7 DST=10.0.0.1 PROTO=TCP SPT=4444 DPT=22\n",
			[]string{"[network-traffic:src_ref.value = '198.51.100.7' AND network-traffic:dst_port = 22]"},
			[]string{"[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:dst_port = 22]"},
		},
		"ECS": {
			`{"@timestamp":"2026-03-01T10:05:03Z","source":{"ip":"10.0.0.5"},"destination":{"ip":"198.51.100.7","port":8443},"network":{"transport":"tcp"},"process":{"executable":"/tmp/evil","command_line":"evil -x"}}` + "\n",
			[]string{"[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:dst_port = 8443]", "[process:command_line = 'evil -x' AND process:image_ref.name = 'evil']"},
			nil,
		},
	}
}

func TestPatternsMatchTheEventsOfEveryFormat(t *testing.T) {
	for name, test := range formatCases() {
		for _, p := range test.yes {
			if got := patternHits(t, soughtFor(t, time.Hour, p), test.log); len(got) != 1 {
				t.Errorf("%s: %s is found %d times, want once", name, p, len(got))
			}
		}
		for _, p := range test.no {
			if got := patternHits(t, soughtFor(t, time.Hour, p), test.log); len(got) != 0 {
				t.Errorf("%s: %s is found", name, p)
			}
		}
	}
}

// at writes a Zeek line of DNS or HTTP at a second.
func dnsAt(second int, name string) string {
	return fmt.Sprintf(`{"ts":%d,"id.orig_h":"10.0.0.5","id.resp_h":"10.0.0.1","query":"%s"}`+"\n", 1772359500+second, name)
}

func TestPatternsOfSeveralEventsHaveTheirTimes(t *testing.T) {
	const follow = "([domain-name:value = 'a.example'] FOLLOWEDBY [domain-name:value = 'b.example']) WITHIN 300 SECONDS"
	const loose = "[domain-name:value = 'a.example'] FOLLOWEDBY [domain-name:value = 'b.example'] WITHIN 300 SECONDS" // WITHIN is about b alone (STIX 2.1 §9.5)
	const repeats = "[domain-name:value = 'a.example'] REPEATS 3 TIMES WITHIN 60 SECONDS"
	const window = "[domain-name:value = 'a.example'] START t'2026-03-01T10:05:00Z' STOP t'2026-03-01T10:06:00Z'"
	const both = "[domain-name:value = 'a.example'] AND [domain-name:value = 'b.example']"
	a, b := func(n int) string { return dnsAt(n, "a.example") }, func(n int) string { return dnsAt(n, "b.example") }
	for name, test := range map[string]struct {
		pattern, log string
		want         []int64 // lines that complete a match
	}{
		"in time":                {follow, a(0) + dnsAt(1, "c.example") + b(299), []int64{3}},
		"too late":               {follow, a(0) + b(300), nil},
		"WITHIN of one event":    {loose, a(0) + b(300), []int64{2}},
		"the other way round":    {follow, b(0) + a(1), nil},
		"in another file order":  {follow, b(10) + a(1), []int64{2}},
		"one b for two a":        {follow, a(0) + a(1) + b(2) + b(3) + b(4), []int64{3, 4}},
		"below it is another":    {follow, dnsAt(0, "www.a.example") + b(2), nil},
		"often enough":           {repeats, a(0) + a(10) + a(20) + a(30), []int64{3}},
		"often, but too slowly":  {repeats, a(0) + a(40) + a(80) + a(120), nil},
		"in START and STOP":      {window, a(-1) + a(0) + a(59) + a(60), []int64{2, 3}},
		"without an order":       {both, b(0) + a(1000), []int64{2}},
		"further than is kept":   {both, b(0) + a(4000), nil},
		"a line from the future": {both, b(0) + `{"ts":4102444800,"id.orig_h":"10.0.0.5","query":"b.example"}` + "\n" + a(1), []int64{3}},
	} {
		var got []int64
		_, err := Run(context.Background(), soughtFor(t, time.Hour, test.pattern), strings.NewReader(test.log), func(h Hit) error {
			got = append(got, h.Line)
			if h.Events < 1 {
				t.Errorf("%s: a match of %d events", name, h.Events)
			}
			return nil
		})
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: matches end in lines %v, want %v (%v)", name, got, test.want, err)
		}
	}
}

// A slowPattern is looked for as plainly as it can be done: every event of a
// log is compared with it, and every set of events that may be a match.
type slowPattern struct {
	text    string
	matcher *pattern.Matcher
	seen    []pattern.Observation
}

// slow returns "line pattern" for every match, and the patterns for which the
// search is too long.
func slow(t testing.TB, format logs.Format, log string, patterns []string) (found, complex []string) {
	t.Helper()
	all := make([]*slowPattern, 0, len(patterns))
	for _, text := range patterns {
		parsed, err := pattern.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		m, err := parsed.Compile()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &slowPattern{text: text, matcher: m})
	}
	reader, n := observe.NewPatterns(), 0
	var header []byte
	for text := range strings.Lines(log) {
		n++
		line := []byte(strings.TrimRight(text, "\n"))
		if strings.HasPrefix(text, "#fields") {
			header = line
		}
		event := logs.Parse(format, line, header)
		seen := reader.Event(format, line, &event)
		for _, p := range all {
			if slices.Contains(complex, p.text) {
				continue
			}
			o := pattern.NewObservation("", event.Time, event.Time, 1, seen.Objects())
			p.seen = append(p.seen, o)
			result, err := p.matcher.Match(p.seen)
			if err != nil {
				complex = append(complex, p.text)
				continue
			}
			if result.Matched {
				found = append(found, fmt.Sprintf("%d %s", n, p.text))
				for _, i := range slices.Backward(result.Observations) {
					p.seen = slices.Delete(p.seen, i, i+1)
				}
			}
		}
	}
	return found, complex
}

// randomLog writes events about few values, so that patterns match some.
func randomLog(r *rand.Rand, format logs.Format, lines int) string {
	var b strings.Builder
	if format == logs.ZeekTSV {
		b.WriteString("#separator \\x09\n#fields\tts\tid.orig_h\tid.resp_h\tid.resp_p\tquery\thost\turi\tmd5\tfilename\n")
	}
	second := 0
	for range lines {
		second += r.IntN(40)
		when := 1772359500 + second
		source, target, port := fmt.Sprintf("10.0.0.%d", r.IntN(3)), fmt.Sprintf("198.51.100.%d", r.IntN(4)), []int{80, 443, 8443}[r.IntN(3)]
		name, path := fmt.Sprintf("%s%c.example", []string{"", "www."}[r.IntN(2)], 'a'+rune(r.IntN(3))), fmt.Sprintf("/p%d", r.IntN(2))
		hash, file := strings.Repeat(fmt.Sprint(r.IntN(3)), 32), fmt.Sprintf("file%d.exe", r.IntN(2))
		if format == logs.ZeekTSV {
			fmt.Fprintf(&b, "%d\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", when, source, target, port, name, name, path, hash, file)
			continue
		}
		if format == logs.CEF {
			fmt.Fprintf(&b, "CEF:0|v|p|1|2|n|3|rt=%d src=%s dst=%s dpt=%d dhost=%s request=http://%s%s fname=%s fileHash=%s\n", when*1000, source, target, port, name, name, path, file, hash)
			continue
		}
		fmt.Fprintf(&b, `{"timestamp":"%s","event_type":"http","src_ip":"%s","dest_ip":"%s","dest_port":%d,"dns":{"rrname":"%s"},"http":{"hostname":"%s","url":"%s"},"fileinfo":{"filename":"C:\\x\\%s","md5":"%s"}}`+"\n",
			time.Unix(int64(when), 0).UTC().Format(time.RFC3339), source, target, port, name, name, path, file, hash)
	}
	return b.String()
}

// randomTest is what stands in brackets; its constants are in the spelling that
// the objects of lines have.
func randomTest(r *rand.Rand) string {
	atoms := []string{
		fmt.Sprintf("network-traffic:dst_ref.value = '198.51.100.%d'", r.IntN(5)), fmt.Sprintf("network-traffic:src_ref.value = '10.0.0.%d'", r.IntN(3)),
		fmt.Sprintf("network-traffic:dst_port = %d", []int{80, 443, 8443}[r.IntN(3)]), "network-traffic:dst_port > 1000",
		fmt.Sprintf("network-traffic:dst_ref.value = 'www.%c.example'", 'a'+rune(r.IntN(3))), "network-traffic:dst_port NOT IN (80, 8443)",
	}
	switch r.IntN(4) {
	case 0:
		return fmt.Sprintf("[domain-name:value = '%c.example' OR domain-name:value = 'www.%c.example']", 'a'+rune(r.IntN(3)), 'a'+rune(r.IntN(3)))
	case 1:
		return fmt.Sprintf("[file:hashes.MD5 = '%s' AND file:name = 'file%d.exe']", strings.Repeat(fmt.Sprint(r.IntN(3)), 32), r.IntN(2))
	case 2:
		return fmt.Sprintf("[url:value IN ('http://a.example/p%d', 'http://www.b.example/p1')]", r.IntN(2))
	}
	r.Shuffle(len(atoms), func(i, j int) { atoms[i], atoms[j] = atoms[j], atoms[i] })
	join := []string{" AND ", " OR "}[min(1, r.IntN(4)/3)]
	return "[" + strings.Join(atoms[:1+r.IntN(3)], join) + "]"
}

func randomPattern(r *rand.Rand) string {
	text := randomTest(r)
	for range r.IntN(3) {
		text = "(" + text + []string{" AND ", " OR ", " FOLLOWEDBY "}[r.IntN(3)] + randomTest(r) + ")"
	}
	if r.IntN(3) == 0 {
		text += fmt.Sprintf(" REPEATS %d TIMES", 2+r.IntN(3))
	}
	if r.IntN(2) == 0 {
		text += fmt.Sprintf(" WITHIN %d SECONDS", 30+r.IntN(300))
	}
	if r.IntN(4) == 0 {
		text += fmt.Sprintf(" START t'2026-03-01T10:0%d:00Z' STOP t'2026-03-01T10:20:00Z'", r.IntN(10))
	}
	return text
}

// TestPatternsAreFoundAsTheSlowReferenceFindsThem compares the engine, which
// looks at lines with an anchor only, with one that looks at all.
func TestPatternsAreFoundAsTheSlowReferenceFindsThem(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	found, sought := 0, 0
	for round := range 24 {
		format := []logs.Format{logs.JSON, logs.ZeekTSV, logs.CEF}[round%3]
		log := randomLog(r, format, 60)
		for range 4 {
			var patterns []string
			s := Sought{Values: match.NewSet(), Patterns: observe.NewPatterns(), Events: observe.NewWindow(24 * time.Hour)}
			for range 8 {
				text := randomPattern(r)
				p, err := observe.Compile(text, nil)
				if err != nil || p.Missing > 0 || slices.Contains(patterns, text) {
					continue // it has nothing to be found by
				}
				s.Patterns.Add(text, p, s.Values)
				patterns = append(patterns, text)
			}
			want, complex := slow(t, format, log, patterns)
			got := patternHits(t, s, log)
			given := func(hit string) bool {
				_, text, _ := strings.Cut(hit, " ")
				return slices.Contains(complex, text)
			}
			want, got = slices.DeleteFunc(want, given), slices.DeleteFunc(got, given)
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s (-slow +engine):\n%s\n%s", format, diff, log)
			}
			found, sought = found+len(got), sought+len(patterns)
			if lost := s.Events.Lost(); len(complex) == 0 && lost != (observe.Lost{}) {
				t.Fatalf("%+v was not looked at", lost)
			}
		}
	}
	t.Logf("%d patterns, %d matches", sought, found)
	if found < 300 || sought < 300 {
		t.Errorf("%d patterns with %d matches are too few to show anything", sought, found)
	}
}

func TestPatternsAreFoundAcrossChunks(t *testing.T) {
	var log strings.Builder
	for i := range 40_000 { // some megabytes, so that several processors look at once
		fmt.Fprintf(&log, `{"ts":%d.5,"id.orig_h":"10.0.0.5","id.resp_h":"192.0.2.%d","query":"%s"}`+"\n", 1772359500+i, i%250, []string{"a.example", "b.example", "x.example", "y.example"}[i%4])
	}
	const text = "[domain-name:value = 'a.example'] FOLLOWEDBY [domain-name:value = 'b.example'] WITHIN 2 SECONDS"
	for range 2 {
		got := patternHits(t, soughtFor(t, time.Hour, text), log.String())
		if len(got) != 10_000 {
			t.Fatalf("%d matches, want 10,000", len(got))
		}
		for i, hit := range got {
			if want := fmt.Sprintf("%d %s", 4*i+2, text); hit != want {
				t.Fatalf("match %d is %q, want %q", i, hit, want)
			}
		}
	}
}

// BenchmarkSearch looks through a Zeek log with one hit in a thousand lines:
// with values alone, and where each hit is an anchor of a pattern.
func BenchmarkSearch(b *testing.B) {
	var text strings.Builder
	for i := range 20_000 {
		target := fmt.Sprintf("192.0.2.%d", i%250)
		if i%1000 == 7 {
			target = "198.51.100.7"
		}
		fmt.Fprintf(&text, `{"ts":%d.5,"id.orig_h":"10.0.0.5","id.orig_p":50000,"id.resp_h":"%s","id.resp_p":443,"proto":"tcp","query":"host%d.test"}`+"\n", 1772359500+i, target, i)
	}
	chunk := logs.Chunk{Text: []byte(text.String())}
	value, _ := match.Parse(match.Address, "198.51.100.7")
	values := Sought{Values: match.NewSet()}
	values.Values.Add("x", value)
	for name, s := range map[string]Sought{
		"values":  values,
		"pattern": soughtFor(b, time.Hour, "[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:dst_port = 443 AND network-traffic:protocols[*] = 'tcp']"),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(chunk.Text)))
			for b.Loop() {
				hits, _ := s.Search(logs.JSON, chunk)
				if hits = s.Settle(hits); len(hits) != 20 {
					b.Fatal(errors.New("there are other hits"))
				}
			}
		})
	}
}
