package pattern_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tocsin/stix/pattern"
)

// A matchFile is a file of recorded verdicts of the OASIS reference matcher.
type matchFile struct {
	Sets  [][]map[string]any `json:"observation_sets"`
	Cases []struct {
		Name         string
		Pattern      string
		Observations int
		Expect       string
		Matched      [][]string `json:"matched_observed_data_ids"`
	}
}

func recorded(t *testing.T, name string, count int) matchFile {
	t.Helper()
	dir := os.Getenv("TOCSIN_DATA") //nolint:forbidigo // only tests ask where the recorded verdicts are
	if dir == "" {
		t.Skip("TOCSIN_DATA is not set: it names the folder with " + name)
	}
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var file matchFile
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != count {
		t.Fatalf("%s has %d cases, want %d", name, len(file.Cases), count)
	}
	return file
}

// verdict runs one pattern as the recorded cases name the outcome.
func verdict(t *testing.T, text string, bundles []map[string]any) (string, []string) {
	t.Helper()
	p, err := pattern.Parse(text)
	if err != nil {
		return "error", nil
	}
	m, err := p.Compile()
	if err != nil {
		return "error", nil
	}
	var seen []pattern.Observation
	for _, b := range bundles {
		o, err := pattern.FromBundle(b)
		if err != nil {
			t.Fatalf("FromBundle = %v", err)
		}
		seen = append(seen, o...)
	}
	got, err := m.Match(seen)
	if err != nil {
		return "error", nil
	}
	var ids []string
	for _, i := range got.Observations {
		ids = append(ids, seen[i].ID)
	}
	if got.Matched {
		return "match", ids
	}
	return "no-match", nil
}

// differs lists the recorded verdicts that are not ours: the clause of the
// standard that says otherwise, and our verdict.
func differs() map[string]struct{ clause, verdict string } {
	const (
		// "If the arguments to the Comparison Operators are of incompatible
		// types […], the results are false; the sole exception is the !=
		// operator in which case the result is true." The reference gives up.
		types = "STIX 2.1 §9.6.1"
		// "An Observation Expression MUST NOT have more than one Qualifier of a
		// particular type." So says the reference's own validator.
		qualifiers = "STIX 2.1 §9.5.1"
		// "The most recent Observation timestamp contained within that set
		// MUST NOT be equal to or later than the delta of the earliest
		// Observation timestamp within the set plus the specified time
		// window." The observations are exactly the window apart.
		within = "STIX 2.1 §9.5.1"
	)
	return map[string]struct{ clause, verdict string }{
		"[test:string = t'1965-07-19T22:41:38Z']":                                  {types, "no-match"},
		"[test:string != t'1965-07-19T22:41:38Z']":                                 {types, "match"},
		"[event:bad_ts[0] = t'1996-07-11T09:17:10Z']":                              {types, "no-match"},
		"[event:bad_ts[1] = t'1996-07-11T09:17:10Z']":                              {types, "no-match"},
		"[event:bad_ts[2] = t'1996-07-11T09:17:10Z']":                              {types, "no-match"},
		"[event:bad_ts[3] = t'1996-07-11T09:17:10Z']":                              {types, "no-match"},
		"[event:bad_ts[4] = t'1996-07-11T09:17:10Z']":                              {types, "no-match"},
		"[event:bad_ts[5] = t'1996-07-11T09:17:10Z']":                              {types, "no-match"},
		"[person:age < 20] REPEATS 2 TIMES REPEATS 2 TIMES":                        {qualifiers, "error"},
		"[person:age < 20] REPEATS 2 TIMES REPEATS 3 TIMES":                        {qualifiers, "error"},
		"([person:name = 'alice'] AND [person:name < 'carol']) WITHIN 5 SECONDS":   {within, "no-match"},
		"([person:name='alice'] AND [person:name='bob']) WITHIN 1 SECONDS, set 13": {within, "no-match"},
		"([person:name='alice'] AND [person:name='bob']) WITHIN 2 SECONDS, set 16": {within, "no-match"},
		"generated, two of START … STOP on one expression":                         {qualifiers, "error"},
		"generated, two of REPEATS on one expression":                              {qualifiers, "error"},
	}
}

// difference returns the key of differs for a case.
func difference(text string, set int, generated bool) string {
	if generated {
		var failed *pattern.SyntaxError
		if _, err := pattern.Parse(text); errors.As(err, &failed) && failed.Kind == pattern.DuplicateQualifier {
			if strings.HasPrefix(text[failed.Offset:], "REPEATS") {
				return "generated, two of REPEATS on one expression"
			}
			return "generated, two of START … STOP on one expression"
		}
	}
	if _, ok := differs()[text]; ok {
		return text
	}
	return fmt.Sprintf("%s, set %d", text, set)
}

func TestAgreesWithTheReferenceMatcher(t *testing.T) {
	used := make(map[string]bool)
	for _, file := range []struct {
		name  string
		count int
	}{
		{"stix/pattern_match_cases.json", 293},
		{"stix/pattern_match_generated.json", 1420},
	} {
		data := recorded(t, file.name, file.count)
		for i, c := range data.Cases {
			t.Run(fmt.Sprintf("%s %d", filepath.Base(file.name), i), func(t *testing.T) {
				want := c.Expect
				key := difference(c.Pattern, c.Observations, c.Name == "")
				if d, ok := differs()[key]; ok {
					used[key] = true
					want = d.verdict
				}
				bundles := data.Sets[c.Observations]
				got, ids := verdict(t, c.Pattern, bundles)
				if got != want {
					t.Fatalf("Match(%q) = %s, want %s", c.Pattern, got, want)
				}
				if got == "match" {
					checkWitness(t, c.Pattern, bundles, ids)
				}
				if p, err := pattern.Parse(c.Pattern); err == nil && !hasNames(p) {
					if normal, _ := verdict(t, p.Normal(), bundles); normal != got {
						t.Errorf("Match(%q) = %s, but %s before it was made normal", p.Normal(), normal, got)
					}
				}
			})
		}
	}
	for key := range differs() {
		if !used[key] {
			t.Errorf("no recorded case is %q", key)
		}
	}
}

// checkWitness sees that the observations which are said to make the match do.
func checkWitness(t *testing.T, text string, bundles []map[string]any, ids []string) {
	t.Helper()
	var those []map[string]any
	for _, b := range bundles {
		seen, err := pattern.FromBundle(b)
		if err != nil || len(seen) != 1 {
			t.Fatalf("FromBundle = %v, %v, want one observation", seen, err)
		}
		if slices.Contains(ids, seen[0].ID) {
			those = append(those, b)
		}
	}
	if got, _ := verdict(t, text, those); len(those) == 0 || got != "match" {
		t.Errorf("Match(%q) = %s with nothing but what was said to match", text, got)
	}
}

// at returns an observation at some second, of objects that are numbered from 0.
func at(second int, objects ...map[string]any) pattern.Observation {
	moment := time.Date(2024, 5, 1, 12, 0, second, 0, time.UTC)
	numbered := make(map[string]map[string]any)
	for i, o := range objects {
		numbered[strconv.Itoa(i)] = o
	}
	return pattern.NewObservation("observed-data--"+strconv.Itoa(second), moment, moment, 1, numbered)
}

type obj = map[string]any

func TestMatch(t *testing.T) {
	connection := at(0,
		obj{"type": "ipv4-addr", "value": "198.51.100.7"},
		obj{"type": "network-traffic", "dst_ref": "0", "dst_port": 443.0, "protocols": []any{"ipv4", "tcp", "tls"}, "is_active": false, "gone_ref": "9"},
		obj{"type": "domain-name", "value": "www.example.com", "resolves_to_refs": []any{"9", "0"}},
		obj{"type": "ipv6-addr", "value": "2001:db8::/48"},
	)
	file := at(10,
		obj{"type": "file", "name": "r\u00e9port.pdf", "size": 1024, "magic_number_hex": "ffd8", "created": "2024-04-01T00:00:00.5Z", "hashes": obj{"MD5": "79054025255fb1a26e4bc422aef54eb4"}},
		obj{"type": "artifact", "payload_bin": "dGhpcyBpcyBhIHRlc3Q=", "broken_bin": "%%%", "wide_bin": "/w=="},
	)
	process := func(second int, pid int64) pattern.Observation {
		return at(second, obj{"type": "process", "pid": pid})
	}
	for name, c := range map[string]struct {
		text string
		seen []pattern.Observation
		want []int // the observations that make the match; nil is none
	}{
		"string":                           {"[ipv4-addr:value = '198.51.100.7']", []pattern.Observation{file, connection}, []int{1}},
		"other type with the same value":   {"[ipv6-addr:value = '198.51.100.7']", []pattern.Observation{connection}, nil},
		"one object for all of AND":        {"[network-traffic:dst_port = 443 AND network-traffic:protocols[*] = 'tls']", []pattern.Observation{connection}, []int{0}},
		"not two objects for one AND":      {"[ipv4-addr:value = '198.51.100.7' AND domain-name:value = 'www.example.com']", []pattern.Observation{connection}, nil},
		"OR of types":                      {"[file:name = 'x' OR domain-name:value = 'www.example.com']", []pattern.Observation{connection}, []int{0}},
		"reference":                        {"[network-traffic:dst_ref.value = '198.51.100.7']", []pattern.Observation{connection}, []int{0}},
		"list of references":               {"[domain-name:resolves_to_refs[*].value = '198.51.100.7']", []pattern.Observation{connection}, []int{0}},
		"index of a list of references":    {"[domain-name:resolves_to_refs[1].value = '198.51.100.7']", []pattern.Observation{connection}, []int{0}},
		"reference to nothing":             {"[domain-name:resolves_to_refs[0].value != 'x' OR network-traffic:gone_ref.value != 'x']", []pattern.Observation{connection}, nil},
		"index":                            {"[network-traffic:protocols[1] = 'tcp']", []pattern.Observation{connection}, []int{0}},
		"index out of range":               {"[network-traffic:protocols[3] != 'tcp']", []pattern.Observation{connection}, nil},
		"path that is not there":           {"[network-traffic:nothing != 1 OR network-traffic:nothing NOT = 1 OR file:size.x != 1]", []pattern.Observation{connection, file}, nil},
		"integer and float":                {"[file:size = 1024.0 AND file:size < 1024.5]", []pattern.Observation{file}, []int{0}},
		"types that do not compare":        {"[file:size = '1024' OR file:size < '2' OR network-traffic:is_active = 0]", []pattern.Observation{file, connection}, nil},
		"types that do not compare, !=":    {"[file:size != '1024']", []pattern.Observation{file}, []int{0}},
		"boolean":                          {"[network-traffic:is_active = false]", []pattern.Observation{connection}, []int{0}},
		"timestamp":                        {"[file:created = t'2024-04-01T00:00:00.500Z']", []pattern.Observation{file}, []int{0}},
		"hex property, hex constant":       {"[file:magic_number_hex = h'FFD8']", []pattern.Observation{file}, []int{0}},
		"binary property, string constant": {"[artifact:payload_bin = 'this is a test']", []pattern.Observation{file}, []int{0}},
		"binary property, binary constant": {"[artifact:payload_bin = b'dGhpcyBpcyBhIHRlc3Q=']", []pattern.Observation{file}, []int{0}},
		"binary property, hex constant":    {"[artifact:payload_bin = h'7468697320697320612074657374']", []pattern.Observation{file}, []int{0}},
		"binary property as it is written": {"[artifact:payload_bin = 'dGhpcyBpcyBhIHRlc3Q=']", []pattern.Observation{file}, nil},
		"binary property, wide constant":   {"[artifact:payload_bin < '\u0103' OR artifact:payload_bin = '\u0103']", []pattern.Observation{file}, nil},
		"binary property, wide, !=":        {"[artifact:payload_bin != '\u0103']", []pattern.Observation{file}, []int{0}},
		"binary property, MATCHES":         {`[artifact:wide_bin MATCHES '^\\xff$' AND artifact:payload_bin MATCHES '^this\\sis']`, []pattern.Observation{file}, []int{0}},
		"binary property, not binary":      {"[artifact:broken_bin != 'x' OR artifact:broken_bin NOT LIKE 'x']", []pattern.Observation{file}, nil},
		"IN":                               {"[network-traffic:dst_port IN (80, 443)]", []pattern.Observation{connection}, []int{0}},
		"IN of many":                       {"[ipv4-addr:value IN ('1','2','3','4','5','6','7','8','9','198.51.100.7') AND ipv4-addr:value NOT IN ('1','2','3','4','5','6','7','8','9','10')]", []pattern.Observation{connection}, []int{0}},
		"NOT IN an empty set":              {"[ipv4-addr:value NOT IN ()]", []pattern.Observation{connection}, []int{0}},
		"NOT of any element":               {"[network-traffic:protocols[*] NOT IN ('ipv4', 'tcp')]", []pattern.Observation{connection}, []int{0}},
		"LIKE":                             {"[file:name LIKE 're\u0301p%.p_f' AND file:name LIKE '%' AND file:name LIKE 'r_port.pdf%']", []pattern.Observation{file}, []int{0}},
		"LIKE is not a part":               {"[file:name LIKE 'port' OR file:name LIKE '%.pd' OR file:name LIKE '']", []pattern.Observation{file}, nil},
		"MATCHES":                          {`[file:name MATCHES '^r\\w+\\.(exe|pdf)$']`, []pattern.Observation{file}, []int{0}},
		"MATCHES no number":                {"[file:size MATCHES '1']", []pattern.Observation{file}, nil},
		"ISSUBSET":                         {"[ipv4-addr:value ISSUBSET '198.51.0.0/16' AND ipv4-addr:value ISSUBSET '198.51.100.7']", []pattern.Observation{connection}, []int{0}},
		"ISSUBSET of another family":       {"[ipv4-addr:value ISSUBSET '::/0' OR domain-name:value ISSUBSET '0.0.0.0/0']", []pattern.Observation{connection}, nil},
		"ISSUPERSET":                       {"[ipv6-addr:value ISSUPERSET '2001:db8:0:1::/64' AND ipv6-addr:value ISSUPERSET '2001:db8::1']", []pattern.Observation{connection}, []int{0}},
		"bad address in any part":          {"[ipv4-addr:value = '198.51.100.7' OR ipv4-addr:value ISSUBSET 'x']", []pattern.Observation{connection}, nil},
		"bad date in any part":             {"[ipv4-addr:value = '198.51.100.7' OR file:created = t'2024-02-30T00:00:00Z']", []pattern.Observation{connection}, nil},
		"bad date in a qualifier":          {"[ipv4-addr:value = '198.51.100.7'] START t'2024-02-30T00:00:00Z' STOP t'2025-02-28T00:00:00Z'", []pattern.Observation{connection}, nil},
		"EXISTS":                           {"[EXISTS file:hashes.MD5 AND NOT EXISTS file:hashes.'SHA-256' AND EXISTS file:name]", []pattern.Observation{file}, []int{0}},
		"EXISTS of a reference to nothing": {"[EXISTS network-traffic:gone_ref AND NOT EXISTS network-traffic:gone_ref.value]", []pattern.Observation{connection}, []int{0}},
		"NOT EXISTS needs the type":        {"[NOT EXISTS process:pid]", []pattern.Observation{file}, nil},
		"AND of two observations":          {"[file:size = 1024] AND [network-traffic:dst_port = 443]", []pattern.Observation{connection, file}, []int{0, 1}},
		"AND needs different observations": {"[file:size = 1024] AND [artifact:payload_bin = 'this is a test']", []pattern.Observation{connection, file}, nil},
		"AND passes observations on":       {"[process:pid > 0] AND [process:pid = 1] AND [process:pid < 3]", []pattern.Observation{process(0, 1), process(1, 2), process(2, 3)}, []int{0, 1, 2}},
		"OR of observations":               {"[file:size = 1] OR [file:size = 1024] AND [file:size = 2] OR [file:size > 1]", []pattern.Observation{file}, []int{0}},
		"FOLLOWEDBY":                       {"[network-traffic:dst_port = 443] FOLLOWEDBY [file:size = 1024]", []pattern.Observation{file, connection}, []int{0, 1}},
		"FOLLOWEDBY in the wrong order":    {"[file:size = 1024] FOLLOWEDBY [network-traffic:dst_port = 443]", []pattern.Observation{file, connection}, nil},
		"FOLLOWEDBY at the same moment":    {"[process:pid = 1] FOLLOWEDBY [process:pid = 2]", []pattern.Observation{process(5, 2), process(5, 1)}, []int{0, 1}},
		"FOLLOWEDBY of three":              {"[process:pid = 1] FOLLOWEDBY [process:pid = 2] FOLLOWEDBY [process:pid = 1]", []pattern.Observation{process(3, 1), process(2, 2), process(1, 1)}, []int{0, 1, 2}},
		"WITHIN":                           {"([process:pid = 1] AND [process:pid = 2]) WITHIN 3.1 SECONDS", []pattern.Observation{process(0, 1), process(4, 2), process(7, 1)}, []int{1, 2}},
		"WITHIN does not have its end":     {"([process:pid = 1] AND [process:pid = 2]) WITHIN 3 SECONDS", []pattern.Observation{process(0, 1), process(4, 2), process(7, 1)}, nil},
		"WITHIN of a lifetime":             {"([process:pid = 1] AND [process:pid = 2]) WITHIN 99999999999999 SECONDS", []pattern.Observation{process(0, 1), process(4, 2)}, []int{0, 1}},
		"REPEATS":                          {"[process:pid = 1] REPEATS 2 TIMES", []pattern.Observation{process(0, 1), process(1, 2), process(2, 1)}, []int{0, 2}},
		"REPEATS too often":                {"[process:pid = 1] REPEATS 3 TIMES", []pattern.Observation{process(0, 1), process(1, 2), process(2, 1)}, nil},
		"REPEATS of pairs":                 {"([process:pid = 1] FOLLOWEDBY [process:pid = 2]) REPEATS 2 TIMES", []pattern.Observation{process(0, 1), process(1, 2), process(2, 1), process(3, 2)}, []int{0, 1, 2, 3}},
		"REPEATS of pairs that cross":      {"([process:pid = 1] FOLLOWEDBY [process:pid = 2]) REPEATS 2 TIMES", []pattern.Observation{process(0, 1), process(1, 2), process(2, 2), process(3, 1)}, nil},
		"REPEATS of pairs within":          {"(([process:pid = 1] AND [process:pid = 2]) WITHIN 2 SECONDS) REPEATS 2 TIMES", []pattern.Observation{process(0, 1), process(1, 2), process(8, 2), process(9, 1)}, []int{0, 1, 2, 3}},
		"START STOP":                       {"[process:pid = 1] START t'2024-05-01T12:00:01Z' STOP t'2024-05-01T12:00:03Z'", []pattern.Observation{process(0, 1), process(3, 1), process(1, 1)}, []int{2}},
		"START STOP at the zero time":      {"[process:pid = 1] START t'0001-01-01T00:00:00Z' STOP t'0001-01-01T00:00:00Z'", []pattern.Observation{process(0, 1)}, nil},
		"START STOP around REPEATS":        {"([process:pid = 1] REPEATS 2 TIMES) START t'2024-05-01T12:00:01Z' STOP t'2024-05-01T12:00:03Z'", []pattern.Observation{process(0, 1), process(1, 1), process(3, 1)}, nil},
		"no observations":                  {"[process:pid = 1]", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := mustParse(t, c.text).Compile()
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Match(c.seen)
			if err != nil || got.Matched != (c.want != nil) || !slices.Equal(got.Observations, c.want) {
				t.Errorf("Match(%q) = %v, %v, want %v", c.text, got, err, c.want)
			}
			if len(c.seen) == 1 {
				one, err := m.MatchOne(&c.seen[0])
				if err != nil || one != got.Matched {
					t.Errorf("MatchOne(%q) = %t, %v, want %t", c.text, one, err, got.Matched)
				}
			}
		})
	}
}

func TestMatchesMeansWhatPCREMeans(t *testing.T) {
	for name, c := range map[string]struct {
		re, value string
		want      bool
	}{
		"search":                    {"b", "abc", true},
		"dot is a line feed too":    {"^a.c$", "a\nc", true},
		"end before a line feed":    {"c$", "abc\n", true},
		"end not before two":        {"c$", "abc\n\n", false},
		"end in an alternative":     {"(a|c$)b?", "xc\n", true},
		"dollar in a class":         {"[$]", "$", true},
		"dollar with an escape":     {`\$5`, "$5", true},
		"end of each line":          {"(?m)^b$", "a\nb\nc", true},
		"end of the text":           {`c\Z`, "c\n", true},
		"very end of the text":      {`c\z`, "c\n", false},
		"quoted":                    {`\Qa.$\E$`, "a.$", true},
		"quoted to the end":         {`\Q$`, "a$", true},
		"word is Unicode":           {`^\w+$`, "\u00e9t\u00e9", true},
		"word in a class":           {`^[\w.]+$`, "\u00e9.t", true},
		"no word":                   {`\W`, "\u00e9", false},
		"no word in a class":        {`[\W]`, "\u00e9", false},
		"no word in a class, found": {`^[\W_]+$`, "_-\u2014", true},
		"digit is Unicode":          {`^\d$`, "\u0664", true},
		"no digit":                  {`\D`, "\u0664", false},
		"space is Unicode":          {`^\s\S$`, "\u2003x", true},
		"vertical tab is space":     {`^[\s]$`, "\v", true},
		"no space in a class":       {`^[\S]+$`, "a b", false},
		"bracket first in a class":  {`^[]$]+$`, "]$", true},
		"bracket first in no class": {`^[^]$]+$`, "]", false},
		"class in a class":          {`^[[:alpha:]$]+$`, "a$", true},
		"text is normalized":        {"^\u00e9$", "e\u0301", true},
		"expression is normalized":  {"^e\u0301$", "\u00e9", true},
		"no case":                   {"(?i)ABC", "xabcx", true},
		"empty":                     {"", "", true},
		"named group":               {"(?P<x>a)b", "ab", true},
		"lazy":                      {"^a+?$", "aaa", true},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := mustParse(t, "[a:b MATCHES "+pattern.Quote(c.re)+"]").Compile()
			if err != nil {
				t.Fatal(err)
			}
			o := at(0, obj{"type": "a", "b": c.value})
			if got, err := m.MatchOne(&o); err != nil || got != c.want {
				t.Errorf("%q MATCHES %q = %t, %v, want %t", c.value, c.re, got, err, c.want)
			}
		})
	}
}

func TestWhatCannotBeEvaluatedSaysSo(t *testing.T) {
	for _, re := range []string{`(a)\1`, `(?=a)`, `(?<!a)b`, `a++`, `(?>a)`, `(`, `[a`, `\X`, `(?x) a`} {
		p := mustParse(t, "[a:b = 1 OR a:b NOT MATCHES "+pattern.Quote(re)+"]")
		if _, err := p.Compile(); !errors.Is(err, pattern.ErrNotEvaluable) || strings.Contains(err.Error(), re) {
			t.Errorf("Compile with %q = %v, want ErrNotEvaluable", re, err)
		}
	}
}

func TestHostilePatternsAreBounded(t *testing.T) {
	loop := make([]any, 50)
	for i := range loop {
		loop[i] = "0"
	}
	knows := at(0, obj{"type": "a", "b_refs": loop, "c": strings.Repeat("a", 1<<16)})
	many := knows
	many.Count = 999_999_999
	var crowd []pattern.Observation
	for i := range 300 {
		crowd = append(crowd, at(i, obj{"type": "a", "b": float64(i % 7), "c": float64(i % 11)}))
	}
	for name, c := range map[string]struct {
		text string
		seen []pattern.Observation
		want error
	}{
		"REPEATS for ever":              {"[a:c != 1] REPEATS 999999999 TIMES", []pattern.Observation{many}, nil},
		"REPEATS of REPEATS":            {strings.Repeat("(", 60) + "[a:c != 1]" + strings.Repeat(" REPEATS 9007199254740991 TIMES)", 60), []pattern.Observation{many}, nil},
		"REPEATS of a sequence":         {"([a:c != 1] FOLLOWEDBY [a:c != 2]) REPEATS 499999999 TIMES", []pattern.Observation{many}, nil},
		"references in a circle":        {"[a:" + strings.Repeat("b_refs[*].", 12) + "d = 1]", []pattern.Observation{knows}, pattern.ErrTooComplex},
		"references in a search":        {"[a:c != 1] AND [a:" + strings.Repeat("b_refs[*].", 12) + "d = 1]", []pattern.Observation{knows}, pattern.ErrTooComplex},
		"LIKE of many stars":            {"[a:c LIKE '" + strings.Repeat("%a", 1000) + "b']", []pattern.Observation{knows}, nil},
		"LIKE of long repeats":          {"[a:c LIKE '%" + strings.Repeat("a", 30_000) + "_b%']", []pattern.Observation{at(0, obj{"type": "a", "c": strings.Repeat(strings.Repeat("a", 60_000)+"c", 9)})}, pattern.ErrTooComplex},
		"regexp of much text":           {"[a:c MATCHES '(x{400}y?){2}b']", []pattern.Observation{at(0, obj{"type": "a", "c": strings.Repeat("x", 1<<20)})}, pattern.ErrTooComplex},
		"regexp of many stars":          {"[a:c MATCHES '(a*)*b']", []pattern.Observation{knows}, nil},
		"many operands":                 {strings.Repeat("[a:b=1]AND", 6000) + "[a:b=2]", crowd, nil},
		"many operands of OR":           {"([a:b = 1] AND [a:b = 2] OR [a:b = 8]) REPEATS 40 TIMES", crowd, nil},
		"many choices of moments":       {strings.Repeat("([a:b = 1] AND [a:c = 2]) WITHIN 8 SECONDS AND ", 40) + "[a:b = 3]", crowd, nil},
		"many choices of sequences":     {"(([a:b = 1] AND [a:c = 2]) WITHIN 4 SECONDS) REPEATS 20 TIMES", crowd, pattern.ErrTooComplex},
		"many comparisons of a set":     {"[a:b IN (" + strings.Repeat("9,", 19_000) + "9)]", crowd, nil},
		"many comparisons of many":      {manyDifferent(3800), slices.Repeat(crowd, 100), pattern.ErrTooComplex},
		"many operands of one OR":       {"[a:c = 'x' OR " + strings.Repeat("a:c = 'y' OR ", 4000) + "a:b = 9]", slices.Repeat(crowd, 60), nil},
		"many observations in a WITHIN": {"[a:b = 1] REPEATS 43 TIMES WITHIN 100 SECONDS", crowd, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := mustParse(t, c.text).Compile()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.Match(c.seen); !errors.Is(err, c.want) {
				t.Errorf("Match = %v, want %v", err, c.want)
			}
		})
	}
}

func TestSimplePatternsMatchWithoutAllocating(t *testing.T) {
	o := seen(t)
	for _, text := range []string{
		"[ipv4-addr:value = '198.51.100.1']", "[ipv4-addr:value = 'x' OR domain-name:value = 'y']", "[file:hashes.MD5 = '79054025255fb1a26e4bc422aef54eb4']",
		"[network-traffic:dst_ref.value = '198.51.100.1' AND network-traffic:dst_port = 443] WITHIN 5 SECONDS",
	} {
		m, err := mustParse(t, text).Compile()
		if err != nil {
			t.Fatal(err)
		}
		allocated := testing.AllocsPerRun(100, func() {
			if _, err := m.MatchOne(&o); err != nil {
				t.Fatal(err)
			}
		})
		if allocated != 0 {
			t.Errorf("MatchOne(%q) allocates %v times, want 0", text, allocated)
		}
	}
}

// manyDifferent returns a pattern of n observation expressions.
func manyDifferent(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[a:b=%d]OR", i+100)
	}
	return b.String() + "[a:b=1] AND [a:b=9]"
}
