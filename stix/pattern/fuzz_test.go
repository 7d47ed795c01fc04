package pattern_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"tocsin/stix/pattern"
)

// FuzzMatch asks for one verdict in several ways, which must agree: of the
// pattern as it is given, as it is printed and in normal form; of the
// observations in both orders; of the witness by itself.
func FuzzMatch(f *testing.F) {
	const objects = `{"type":"ipv4-addr","id":"ipv4-addr--1","value":"198.51.100.1"},
		{"type":"network-traffic","id":"n","dst_ref":"ipv4-addr--1","dst_port":443,"protocols":["ipv4","tcp"],"is_active":false},
		{"type":"file","id":"f","name":"e\u0301.exe","size":1024,"hashes":{"MD5":"79054025255fb1a26e4bc422aef54eb4"},"magic_number_hex":"ffd8","contains_refs":["f","n"]},
		{"type":"artifact","id":"a","payload_bin":"/w==","created":"2024-05-01T12:00:00.5Z"}`
	const seen = `{"type":"bundle","objects":[` + objects + `,
		{"type":"observed-data","id":"o1","first_observed":"2024-05-01T12:00:00Z","last_observed":"2024-05-01T12:00:01.5Z","number_observed":2,"object_refs":["ipv4-addr--1","n"]},
		{"type":"observed-data","id":"o2","first_observed":"2024-05-01T12:00:04Z","last_observed":"2024-05-01T12:00:04Z","number_observed":1,"object_refs":["f","n","a"]},
		{"type":"observed-data","id":"o3","first_observed":"2024-05-01T12:00:02Z","last_observed":"2024-05-01T12:00:06Z","number_observed":1,"objects":{"0":{"type":"process","pid":1},"1":{"type":"process","parent_ref":"0","arguments":["-x"]}}}]}`
	for _, c := range syntaxCases(f) {
		f.Add(c.Pattern, []byte(seen))
	}
	for _, text := range []string{
		`([network-traffic:dst_ref.value = '198.51.100.1'] FOLLOWEDBY [file:size NOT > 5.0 OR file:name LIKE '%.e_e']) WITHIN 5 SECONDS`,
		`[network-traffic:protocols[*] IN ('tcp', 'x')] REPEATS 2 TIMES AND [ipv4-addr:value ISSUBSET '198.51.100.9/24']`,
		`[file:name MATCHES '^[\\W\\d]$' OR file:magic_number_hex = b'/9g=' OR artifact:payload_bin < 'ÿ' OR artifact:created >= t'2024-05-01T12:00:00.5Z']`,
		`[file:contains_refs[*].contains_refs[*].name NOT = 'x' AND NOT EXISTS file:ctime] START t'2024-05-01T12:00:00Z' STOP t'2024-05-01T12:00:05Z'`,
		`(([process:pid = 1] OR [process:parent_ref.pid = 1] AND [ipv4-addr:value != 'x']) REPEATS 2 TIMES) WITHIN 3.5 SECONDS`,
	} {
		f.Add(text, []byte(seen))
	}
	f.Fuzz(func(t *testing.T, text string, data []byte) {
		p, err := pattern.Parse(text)
		if err != nil {
			return
		}
		var bundle map[string]any
		if len(data) > 1<<14 || json.Unmarshal(data, &bundle) != nil {
			return
		}
		observations, err := pattern.FromBundle(bundle)
		if err != nil {
			return
		}
		m, err := p.Compile()
		if err != nil {
			if !errors.Is(err, pattern.ErrNotEvaluable) {
				t.Errorf("Compile(%q) = %v, want ErrNotEvaluable", text, err)
			}
			return
		}
		want, err := m.Match(observations)
		if err != nil {
			if !errors.Is(err, pattern.ErrTooComplex) || want.Matched {
				t.Errorf("Match(%q) = %v, %v, want ErrTooComplex", text, want, err)
			}
			return
		}
		agree := func(route, text string, m *pattern.Matcher, seen []pattern.Observation) {
			t.Helper()
			if got, err := m.Match(seen); err == nil && got.Matched != want.Matched {
				t.Errorf("Match(%q) = %v, but %s %q = %v", p.Text(), want, route, text, got)
			}
		}
		for route, other := range map[string]string{"printed": p.String(), "normal": p.Normal()} {
			q, err := pattern.Parse(other)
			if err != nil || route == "normal" && hasNames(p) {
				continue // too long; FuzzParse looks after the rest
			}
			n, err := q.Compile()
			if err != nil {
				t.Fatalf("Compile(%q) = %v, but %q can be", other, err, text)
			}
			agree(route, other, n, observations)
		}
		backward := slices.Clone(observations)
		slices.Reverse(backward)
		agree("backward", text, m, backward)
		checkParts(t, p, m, observations, want)
	})
}

// checkParts compares the verdict on all observations with those on some.
func checkParts(t *testing.T, p *pattern.Pattern, m *pattern.Matcher, observations []pattern.Observation, want pattern.Result) {
	t.Helper()
	if want.Matched {
		var witness []pattern.Observation
		for _, i := range want.Observations {
			witness = append(witness, observations[i])
		}
		if got, err := m.Match(witness); len(witness) == 0 || err == nil && !got.Matched {
			t.Errorf("Match(%q) = %v, which do not match by themselves", p.Text(), want)
		}
	}
	for i := range observations {
		one, err := m.MatchOne(&observations[i])
		if err != nil {
			continue
		}
		if one && !want.Matched {
			t.Errorf("MatchOne(%q) of observation %d is true, but Match of all is false", p.Text(), i)
		}
		if got, err := m.Match(observations[i : i+1]); err == nil && got.Matched != one {
			t.Errorf("MatchOne(%q) of observation %d = %v, but Match = %v", p.Text(), i, one, got)
		}
	}
}
