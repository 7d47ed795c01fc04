package indicator

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/internal/match"
	"tocsin/stix/pattern"
	"tocsin/tlp"
)

const iepPolicy = `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--11111111-2222-4333-8444-555555555555","created":"2026-01-01T00:00:00Z",
	"extensions":{"extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a":{"extension_type":"property-extension","permitted_actions":"internally-visible-actions"}}}`

// stixOf is an indicator with more properties.
func stixOf(version, pattern, more string) string {
	return `{"type":"indicator","spec_version":"2.1","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2026-01-01T00:00:00Z","modified":"` + version +
		`","pattern":"` + pattern + `","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"` + more + `}`
}

func TestAnAddressAndItsPortAreOneValue(t *testing.T) {
	for text, want := range map[string]string{
		"[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 443]":                                                            "192.0.2.1:443",
		"[ network-traffic:dst_port = 443 AND network-traffic:dst_ref.value = '2001:db8::1' ]":                                                        "[2001:db8::1]:443",
		"[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = '443']":           "192.0.2.1:443", // as MISP writes it
		"[network-traffic:dst_ref.type = 'ipv6-addr' AND network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 443]":             "",
		"[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_ref.type = 'ipv4-addr']":                                                "",
		"[network-traffic:dst_port = 443 AND network-traffic:dst_ref.type = 'ipv4-addr']":                                                             "",
		"[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 0]":                                                              "",
		"[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 65536]":                                                          "",
		"[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port != 443]":                                                           "",
		"[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port NOT = 443]":                                                        "",
		"[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:src_port = 443]":                                                            "",
		"[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 443] REPEATS 5 TIMES":                                            "",
		"[network-traffic:dst_ref.value = '192.0.2.1'] AND [network-traffic:dst_port = 443]":                                                          "",
		"[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 443 AND network-traffic:dst_port = 80]":                          "",
		"[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 443] START t'2026-01-01T00:00:00Z' STOP t'2026-02-01T00:00:00Z'": "",
	} {
		p, err := pattern.Parse(text)
		if err != nil {
			if want != "" {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		got := ""
		if found, _ := Values(p); len(found) > 0 {
			got = found[0].Text()
		}
		if got != want {
			t.Errorf("Values(%s) = %q, want %q", text, got, want)
		}
	}
}

func TestSourcesAreRead(t *testing.T) {
	const first, second = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
	for name, test := range map[string]struct {
		text   string
		want   []string
		action Action // of the first
		unread int
	}{
		"list":          {"# c\n192.0.2.1\nevil.example # C2\n192.0.2.1:443\nhttp://evil.example/a\nnothing at all\n", []string{"192.0.2.1", "evil.example", "192.0.2.1:443", "http://evil.example/a"}, Any, 1},
		"CSV":           {"type,value,note\r\ndomain,evil.example,\"a, b\"\r\nmd5,d41d8cd98f00b204e9800998ecf8427e,\r\n", []string{"evil.example", "d41d8cd98f00b204e9800998ecf8427e"}, Any, 0},
		"STIX":          {`{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d","objects":[` + stixOf(first, "[domain-name:value = 'old.example']", "") + "," + stixOf(second, "[domain-name:value = 'new.example']", "") + "]}", []string{"new.example"}, Any, 0},
		"STIX lines":    {stixOf(first, "[ipv4-addr:value = '192.0.2.1']", `,"labels":["PAP:RED"]`) + "\n", []string{"192.0.2.1"}, Detect, 0},
		"an IEP policy": {"[" + stixOf(first, "[ipv4-addr:value = '192.0.2.1']", `,"object_marking_refs":["marking-definition--11111111-2222-4333-8444-555555555555"]`) + "," + iepPolicy + "]", []string{"192.0.2.1"}, Detect, 0},
		"unknown IEP":   {stixOf(first, "[ipv4-addr:value = '192.0.2.1']", `,"extensions":{"extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a":{"permitted_actions":"whatever"}}`), []string{"192.0.2.1"}, Keep, 0},
		"unknown mark":  {stixOf(first, "[ipv4-addr:value = '192.0.2.1']", `,"object_marking_refs":["marking-definition--22222222-2222-4333-8444-555555555555"]`), []string{"192.0.2.1"}, Keep, 0},
		"a statement": {"[" + stixOf(first, "[ipv4-addr:value = '192.0.2.1']", `,"object_marking_refs":["marking-definition--22222222-2222-4333-8444-555555555555"]`) +
			`,{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--22222222-2222-4333-8444-555555555555","created":"2026-01-01T00:00:00Z","definition_type":"statement","definition":{"statement":"Copyright"}}]`, []string{"192.0.2.1"}, Any, 0},
		"a language":  {stixOf(first, "[ipv4-addr:value = '192.0.2.1']", `,"granular_markings":[{"lang":"en","selectors":["pattern"]}]`), []string{"192.0.2.1"}, Any, 0},
		"unknown PAP": {stixOf(first, "[ipv4-addr:value = '192.0.2.1']", `,"labels":["pap:ultraviolet"]`), []string{"192.0.2.1"}, Keep, 0},
		"not alone":   {stixOf(first, "[ipv4-addr:value = '192.0.2.1' AND ipv4-addr:value = '192.0.2.2']", ""), nil, Any, 0},
		"MISP":        {`{"response":[{"Event":{"info":"x","Tag":[{"name":"PAP:AMBER"},{"name":"tlp:amber"}],"Attribute":[{"uuid":"8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","type":"ip-dst|port","value":"192.0.2.1|443","to_ids":true},{"type":"domain","value":"benign.example","to_ids":false}],"Object":[{"Attribute":[{"type":"filename|md5","value":"x.exe|d41d8cd98f00b204e9800998ecf8427e","to_ids":true}]}]}}]}`, []string{"192.0.2.1:443", "d41d8cd98f00b204e9800998ecf8427e"}, Ask, 0},
		"nothing":     {"", nil, Any, 0},
	} {
		r, err := Read(strings.NewReader(test.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, in := range r.Indicators {
			for _, v := range in.Values {
				got = append(got, v.Text())
			}
		}
		if !slices.Equal(got, test.want) || r.Unread != test.unread {
			t.Errorf("%s: read %v, %d unread, want %v, %d", name, got, r.Unread, test.want, test.unread)
		}
		if len(r.Indicators) > 0 && r.Indicators[0].Action != test.action {
			t.Errorf("%s: allows to %s, want %s", name, r.Indicators[0].Action, test.action)
		}
		if name == "MISP" && r.Indicators[0].TLP != tlp.Amber {
			t.Errorf("%s: marked %s, want AMBER", name, r.Indicators[0].TLP)
		}
	}
}

func TestWhatIsBrokenIsSaid(t *testing.T) {
	for _, text := range []string{`{"type":"bundle","objects":[`, `{"type":5}`, "[1]", strings.Repeat("x", 2<<20)} {
		if _, err := Read(strings.NewReader(text)); err == nil || strings.Contains(err.Error(), "xxx") {
			t.Errorf("Read(%.20q) = %v, want an error without the text", text, err)
		}
	}
}

func TestValidityEnds(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		in   Indicator
		want bool
	}{
		"always": {Indicator{}, true}, "not yet": {Indicator{From: now.Add(time.Second)}, false}, "no more": {Indicator{Until: now}, false},
		"still": {Indicator{Until: now.Add(1)}, true}, "revoked": {Indicator{Revoked: true}, false}, "benign": {Indicator{Benign: true}, false},
	} {
		if got := test.in.Valid(now); got != test.want {
			t.Errorf("%s: Valid = %v, want %v", name, got, test.want)
		}
	}
}

func TestRealMISPEventsAreRead(t *testing.T) {
	dir := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // where the data is, is the environment's business
	if dir == "" {
		t.Skip("TOCSIN_DATA does not name the shared test data")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "misp", "eset", "*.json.gz"))
	total, unread := 0, 0
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Read(z)
		_ = f.Close()
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
		total, unread = total+len(r.Indicators), unread+r.Unread
	}
	t.Logf("%d events, %d indicators, %d attributes for detection that are no value", len(files), total, unread)
	if len(files) > 0 && total < 700 {
		t.Errorf("only %d indicators were read", total)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("a,value\nx,192.0.2.1\n"))
	f.Add([]byte(`{"Event":{"Attribute":[{"type":"domain","value":"a.example","to_ids":true}]}}`))
	f.Add([]byte(stixOf("2026-01-01T00:00:00Z", "[url:value = 'http://a.example/']", "")))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, _ := Read(strings.NewReader(string(text)))
		for _, in := range r.Indicators {
			for _, v := range in.Values {
				if again, ok := match.Parse(v.Kind(), v.Text()); !ok || again != v {
					t.Errorf("%q is no value", v.Text())
				}
			}
		}
	})
}
