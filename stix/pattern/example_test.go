package pattern_test

import (
	"encoding/json"
	"errors"
	"fmt"

	"tocsin/stix/pattern"
)

func ExampleParse() {
	p, err := pattern.Parse("[ipv4-addr:value = '198.51.100.1' OR file:hashes.'SHA-1' = h'00'] // seen in May")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range p.Atoms() {
		fmt.Println(a.ObjectType, a.Path, a.Op, p.Text()[a.Start:a.End])
	}
	// Output:
	// ipv4-addr value = ipv4-addr:value = '198.51.100.1'
	// file hashes.'SHA-1' = file:hashes.'SHA-1' = h'00'
}

func ExampleSyntaxError() {
	_, err := pattern.Parse("[file:name = 'salary.xlsx'\n AND file:size 1024]")
	if wrong, ok := errors.AsType[*pattern.SyntaxError](err); ok {
		fmt.Println(wrong.Line, wrong.Column, wrong.Message)
	}
	fmt.Println(err)
	// Output:
	// 2 16 expected a comparison operator
	// line 2, column 16: expected a comparison operator, found a number (STIX 2.1 §9.6.1)
}

func ExamplePattern_Alone() {
	for _, text := range []string{
		"[ipv4-addr:value IN ('192.0.2.1', '192.0.2.2') OR url:value = 'http://example.com/x']",
		"[ipv4-addr:value = '192.0.2.1' AND ipv4-addr:x_role = 'c2']",
		"[ipv4-addr:value = '192.0.2.1'] REPEATS 10 TIMES",
	} {
		p, err := pattern.Parse(text)
		if err != nil {
			fmt.Println(err)
			return
		}
		var values []string
		for _, a := range p.Alone() {
			for _, l := range a.Values {
				values = append(values, l.Value)
			}
		}
		fmt.Printf("%q\n", values)
	}
	// Output:
	// ["192.0.2.1" "192.0.2.2" "http://example.com/x"]
	// []
	// []
}

func ExampleQuote() {
	const text = "[email-message:subject = 'Invoice for Jane' AND email-message:is_multipart = true]"
	p, err := pattern.Parse(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	name := p.Atoms()[0].Values[0]
	fmt.Println(text[:name.Start] + pattern.Quote("Invoice for Jane's 'friend'") + text[name.End:])
	// Output:
	// [email-message:subject = 'Invoice for Jane\'s \'friend\'' AND email-message:is_multipart = true]
}

func ExamplePattern_Normal() {
	for _, text := range []string{
		"[url:value = 'a' OR url:value = 'b']",
		"[url:value IN ('b','a','b')]",
		"([url:'value' == 'b']) OR [url:value = 'a'] /* the same again */",
	} {
		p, err := pattern.Parse(text)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(p.Normal())
	}
	// Output:
	// [url:value IN ('a', 'b')]
	// [url:value IN ('a', 'b')]
	// [url:value IN ('a', 'b')]
}

func ExampleMatcher_Match() {
	const text = `{"type": "bundle", "objects": [
		{"type": "observed-data", "id": "observed-data--1", "first_observed": "2024-05-01T12:00:00Z", "last_observed": "2024-05-01T12:00:00Z",
		 "number_observed": 1, "object_refs": ["domain-name--1", "ipv4-addr--1"]},
		{"type": "domain-name", "id": "domain-name--1", "value": "www.example.com", "resolves_to_refs": ["ipv4-addr--1"]},
		{"type": "ipv4-addr", "id": "ipv4-addr--1", "value": "198.51.100.7"},
		{"type": "observed-data", "id": "observed-data--2", "first_observed": "2024-05-01T12:04:00Z", "last_observed": "2024-05-01T12:04:00Z",
		 "number_observed": 1, "object_refs": ["process--1"]},
		{"type": "process", "id": "process--1", "command_line": "powershell -enc AAAA"}
	]}`
	var bundle map[string]any
	if err := json.Unmarshal([]byte(text), &bundle); err != nil {
		fmt.Println(err)
		return
	}
	seen, err := pattern.FromBundle(bundle)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := pattern.Parse(`([domain-name:resolves_to_refs[*].value ISSUBSET '198.51.100.0/24']
		FOLLOWEDBY [process:command_line MATCHES '^powershell\\b.*-enc']) WITHIN 300 SECONDS`)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := p.Compile()
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := m.Match(seen)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, i := range found.Observations {
		fmt.Println(found.Matched, seen[i].ID)
	}
	// Output:
	// true observed-data--1
	// true observed-data--2
}
