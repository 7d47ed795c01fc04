package observe

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/logs"
	"tocsin/internal/match"
)

func TestAPatternIsFoundByItsRarestValues(t *testing.T) {
	for text, want := range map[string]string{
		"[network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:dst_port = 443]":         "address 198.51.100.7",
		"[file:name = 'svchost.exe' AND file:hashes.MD5 = 'D41D8CD98F00B204E9800998ECF8427E']":        "hash d41d8cd98f00b204e9800998ecf8427e",
		"[domain-name:value = 'A.example'] FOLLOWEDBY [url:value = 'http://a.example/x']":             "domain a.example, url http://a.example/x",
		"[file:name = 'a.exe' AND file:parent_directory_ref.path = 'C:\\\\x\\\\y']":                   "file-name a.exe",
		"[windows-registry-key:key = 'HKEY_LOCAL_MACHINE\\\\Software\\\\Evil']":                       `registry-key Software\Evil`,
		"[process:command_line = 'evil -x' OR process:command_line LIKE 'evil%']":                     "mutex evil -x, 1 missing",
		"[url:value LIKE 'http://a.example/%']":                                                       "no exact value",
		"[network-traffic:dst_port = 443]":                                                            "no exact value",
		"[network-traffic:dst_ref.value ISSUBSET '198.51.100.0/24' AND network-traffic:dst_port = 1]": "no exact value",
		"[domain-name:value = 'a.example'] FOLLOWEDBY [url:value LIKE 'http://%']":                    "no exact value",
		"[domain-name:value = 'a.example'] REPEATS 1001 TIMES":                                        "more than 1,000 events",
		"[domain-name:value = 'a.example' AND domain-name:value MATCHES '(?=x)y']":                    "regular expression",
		"domain-name = 'a.example'":                                                                   "no STIX pattern",
		"[domain-name:value = 'a.example' AND file:size = 3] OR [domain-name:value = 'b.example']":    "domain a.example, domain b.example, 1 missing",
	} {
		p, err := Compile(text, nil)
		if err != nil {
			if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "example") {
				t.Errorf("Compile(%s) = %v, want %q", text, err, want)
			}
			continue
		}
		var got []string
		for _, v := range p.Anchors {
			got = append(got, v.Kind().String()+" "+v.Text())
		}
		if p.Missing > 0 {
			got = append(got, fmt.Sprint(p.Missing, " missing"))
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("Compile(%s) has anchors %q, want %q", text, s, want)
		}
	}
}

func TestValuesThatDecideAloneAreNoAnchors(t *testing.T) {
	v, _ := match.Parse(match.Address, "198.51.100.7")
	p, err := Compile("[ipv4-addr:value = '198.51.100.7'] OR [file:name = 'a.exe' AND file:size = 3]", []match.Value{v})
	if err != nil || len(p.Anchors) != 1 || p.Anchors[0].Text() != "a.exe" {
		t.Errorf("the anchors are %v, want a.exe only (%v)", p, err)
	}
}

// eventAt is an event in which a name was asked for.
func eventAt(s *Patterns, second int, name string) *Event {
	line := fmt.Appendf(nil, `{"ts":%d,"id.orig_h":"10.0.0.5","query":"%s"}`, 1772359500+second, name)
	parsed := logs.Parse(logs.JSON, line, nil)
	e := s.Event(logs.JSON, line, &parsed)
	return &e
}

// add compares an event with a pattern, and takes it.
func add(t *testing.T, w *Window, p *Pattern, e *Event) int {
	t.Helper()
	part, ok, err := p.Part(e)
	if w.Note(err); !ok {
		return 0
	}
	return w.Add(part)
}

func TestAWindowIsBounded(t *testing.T) {
	s, w := NewPatterns(), NewWindow(time.Hour)
	var all []*Pattern
	for i := range 200 {
		p, err := Compile(fmt.Sprintf("([domain-name:value = 'a.example'] AND [domain-name:value = 'b%d.example']) WITHIN 7200 SECONDS", i), nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	for i := range 300 {
		for _, p := range all {
			if add(t, w, p, eventAt(s, i, "a.example")) != 0 {
				t.Fatal("a match of one half")
			}
		}
	}
	if n := w.order.Len(); n > mostKept || w.bytes > mostBytes || w.lost.Dropped != 200*300-int64(n) {
		t.Errorf("%d events are kept, which take %d bytes, and %d were dropped of %d", n, w.bytes, w.lost.Dropped, 200*300)
	}
	kept := 0
	for _, events := range w.kept {
		if kept += len(events); len(events) > leastKept {
			t.Errorf("%d events of one pattern are kept", len(events))
		}
	}
	if kept != w.order.Len() {
		t.Errorf("%d events are kept, and %d in order", kept, w.order.Len())
	}
	last := all[len(all)-1]
	if add(t, w, last, eventAt(s, 301, "c.example")) != 0 || add(t, w, last, eventAt(s, 302, "b199.example")) != 2 {
		t.Error("what is kept of the last pattern makes no match")
	}
	if add(t, w, all[0], eventAt(s, 3_000+3600, "b0.example")) != 0 || len(w.kept[all[0]]) != 1 {
		t.Errorf("%d events older than an hour are kept", len(w.kept[all[0]])-1)
	}
	for _, p := range all {
		w.Forget(p)
	}
	if w.order.Len() != 0 || w.bytes != 0 || len(w.kept) != 0 {
		t.Errorf("%d events and %d bytes are left of nothing", w.order.Len(), w.bytes)
	}
}

func TestEventsWithoutATimeAreCounted(t *testing.T) {
	s, w := NewPatterns(), NewWindow(time.Hour)
	p, err := Compile("[domain-name:value = 'a.example'] FOLLOWEDBY [domain-name:value = 'b.example']", nil)
	if err != nil {
		t.Fatal(err)
	}
	e := eventAt(s, 0, "a.example")
	e.when = time.Time{}
	if add(t, w, p, e) != 0 || w.Lost() != (Lost{Untimed: 1}) {
		t.Errorf("%+v was not looked at, want one event without a time", w.Lost())
	}
}

// TestTheTableIsTheDocumentation compares docs/patterns.md with what is read.
func TestTheTableIsTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/patterns.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{
		"Zeek": "zeek", "Suricata": "suricata", "Windows": "windows", "CEF": "cef", "LEEF": "leef", "W3C": "w3c", "Apache": "access", "Elastic": "pairs", "Query": "dns",
	}
	documented, section := table{}, ""
	for line := range strings.Lines(string(text)) {
		if title, ok := strings.CutPrefix(line, "### "); ok {
			word := strings.FieldsFunc(title, func(r rune) bool { return r == ' ' || r == '\n' })[0]
			section = sections[word]
			documented[section] = map[string]string{}
		}
		cells := strings.Split(line, "|")
		if len(cells) != 4 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		for field := range strings.SplitSeq(cells[1], ",") {
			documented[section][strings.Trim(field, " `")] = strings.Trim(cells[2], " `")
		}
	}
	if diff := cmp.Diff(newTable(), documented); diff != "" {
		t.Errorf("docs/patterns.md is not the table (-table +docs):\n%s", diff)
	}
}

// valid says what is wrong with the objects of a line, as STIX has them.
func valid(objects map[string]map[string]any) string {
	if len(objects) > mostObjects {
		return fmt.Sprint(len(objects), " objects")
	}
	for key, props := range objects {
		kind, _ := props["type"].(string)
		if kind == "" || len(props) < 2 {
			return "object " + key + " has no type, or nothing else"
		}
		for _, name := range slices.Sorted(maps.Keys(props)) {
			refs := []any{props[name]}
			if strings.HasSuffix(name, "_refs") {
				refs, _ = props[name].([]any)
			} else if !strings.HasSuffix(name, "_ref") {
				continue
			}
			for _, ref := range refs {
				target, _ := ref.(string)
				if objects[target] == nil || target == key {
					return kind + ":" + name + " leads nowhere"
				}
			}
		}
		if value, ok := props["value"].(string); ok {
			k := map[string]match.Kind{"ipv4-addr": match.Address, "ipv6-addr": match.Address, "domain-name": match.Domain, "email-addr": match.Email}[kind]
			if v, ok := match.Parse(k, value); k != 0 && (!ok || v.Text() != value) {
				return kind + " has a value that is none, or in another spelling"
			}
		}
	}
	return ""
}

func FuzzEveryLineBecomesValidObjects(f *testing.F) {
	for _, line := range []string{
		`{"ts":1,"id.orig_h":"10.0.0.5","id.resp_h":"198.51.100.7","query":"a.example","answers":["198.51.100.7","a.example"],"host":"a.example:80","uri":"/x"}`,
		`{"event_type":"x","src_ip":"::1","dns":{"rrname":"a.example"},"smtp":{"mail_from":"<a@b.example>","rcpt_to":["<c@d.example>"]}}`,
		`{"EventID":1,"Image":"C:\\a\\b.exe","Hashes":"MD5=d41d8cd98f00b204e9800998ecf8427e,SHA1=","ParentImage":"\\","ProcessId":"0x1f4","TargetObject":"HKLM\\a","Details":"x"}`,
		"CEF:0|a|b|c|d|e|f|src=10.0.0.1 request=http://a.example/?b=c d=e fname=/a/b", "LEEF:1.0|a|b|c|d|src=10.0.0.1\turl=http://a",
		"<Event><Data Name='Image'>C:\\a&amp;b</Data><Data Name='QueryResults'>type: 5 a.example;::ffff:1.2.3.4;</Data></Event>",
		`10.0.0.1 - - [01/Mar/2026:10:05:03 +0000] "GET /\x22 HTTP/1.1" 200 5 "-" "a"`, "query[A] a.example from 10.0.0.1", "SRC=1.2.3.4 DST=a.example SPT=-1",
	} {
		for format := range uint8(logs.Capture) + 1 {
			f.Add(format, []byte(line), []byte("#fields\tid.orig_h\tid.resp_h\tquery\tanswers\thost\turi"))
		}
	}
	s := NewPatterns()
	f.Fuzz(func(t *testing.T, format uint8, line, header []byte) {
		as := logs.Format(format % (uint8(logs.Capture) + 1))
		parsed := logs.Parse(as, line, header)
		e := s.Event(as, line, &parsed)
		if wrong := valid(e.Objects()); wrong != "" {
			t.Errorf("%s: %s: %v", as, wrong, e.Objects())
		}
		again := s.Event(as, line, &parsed)
		if diff := cmp.Diff(e.Objects(), again.Objects()); diff != "" {
			t.Errorf("%s: another time it is something else:\n%s", as, diff)
		}
	})
}

// FuzzPatternsAreReadOrRefused has any text as a pattern.
func FuzzPatternsAreReadOrRefused(f *testing.F) {
	f.Add("[ipv4-addr:value = '198.51.100.7' AND network-traffic:dst_port = 443]")
	f.Add("[windows-registry-key:key LIKE 'HKLM\\\\a%' AND windows-registry-key:values[*].name IN ('A', 'b')]")
	f.Add("([file:name MATCHES 'A' AND file:name = 'abcd'] FOLLOWEDBY [url:value = 'http://a.example']) WITHIN 5 SECONDS")
	s := NewPatterns()
	e := eventAt(s, 0, "a.example")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Compile(text, nil)
		if err != nil {
			return
		}
		if len(p.Anchors) == 0 {
			t.Errorf("%q is found by nothing", text)
		}
		if p.Events() {
			add(t, NewWindow(time.Hour), p, e)
		} else {
			_, _ = p.Match(e)
		}
	})
}
