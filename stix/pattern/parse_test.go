package pattern_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tocsin/stix/pattern"
)

// mustParse parses a pattern that the test knows to be right.
func mustParse(t testing.TB, text string) *pattern.Pattern {
	t.Helper()
	p, err := pattern.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q) = %v, want a pattern", text, err)
	}
	return p
}

type syntaxCase struct {
	Pattern string
	Valid   bool
}

func syntaxCases(t testing.TB) []syntaxCase {
	t.Helper()
	data, err := os.ReadFile("testdata/pattern_syntax_cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []syntaxCase }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != 65 {
		t.Fatalf("%d cases, want 65", len(file.Cases))
	}
	return file.Cases
}

func TestAgreesWithTheReferenceValidator(t *testing.T) {
	for i, c := range syntaxCases(t) {
		t.Run(fmt.Sprintf("%02d %.60s", i, c.Pattern), func(t *testing.T) {
			p, err := pattern.Parse(c.Pattern)
			if (err == nil) != c.Valid {
				t.Fatalf("Parse(%q) = %v, want valid = %t", c.Pattern, err, c.Valid)
			}
			if err != nil {
				checkError(t, c.Pattern, err)
				return
			}
			checkRoundTrip(t, p)
		})
	}
}

// checkError sees that an error has a place in the text and quotes none of it.
func checkError(t *testing.T, text string, err error) {
	t.Helper()
	var s *pattern.SyntaxError
	if !errors.As(err, &s) {
		t.Fatalf("Parse(%q) = %T, want a *SyntaxError", text, err)
	}
	if s.Offset < 0 || s.Offset > len(text) || s.Line < 1 || s.Column < 1 || s.Kind == 0 || s.Message == "" {
		t.Errorf("Parse(%q) = %+v, which has no place in the text", text, s)
	}
}

// checkRoundTrip sees that the printed pattern means what the given one does.
func checkRoundTrip(t *testing.T, p *pattern.Pattern) {
	t.Helper()
	printed := p.String()
	if len(printed) > pattern.MaxBytes { // uniform spelling can be longer
		return
	}
	again, err := pattern.Parse(printed)
	if err != nil {
		t.Fatalf("Parse(%q) = %v, printed from %q", printed, err, p.Text())
	}
	if got := again.String(); got != printed {
		t.Errorf("String() = %q, want %q", got, printed)
	}
	places := cmpopts.IgnoreFields(pattern.Atom{}, "Start", "End")
	literals := cmp.Comparer(func(a, b pattern.Literal) bool {
		return a.Kind == b.Kind && a.Number() == b.Number() && (a.Value == b.Value || a.Kind != pattern.String)
	})
	if d := cmp.Diff(p.Atoms(), again.Atoms(), places, literals); d != "" {
		t.Errorf("Parse(String()).Atoms() differs (-first +again):\n%s", d)
	}
}

func TestGrammar(t *testing.T) {
	valid := map[string]string{
		"spaces of all sorts":           "\u00a0[\tfile:size\u2003=\n1\u3000]\r\n",
		"block comment":                 "[file:size /* [ ' */ = 1]",
		"line comment":                  "[file:size = // it's\n 1] // end",
		"no spaces at all":              "[file:size=1AND file:name='a'OR(file:name='b')]",
		"exists":                        "[EXISTS file:hashes.'SHA-256' AND NOT EXISTS file:name]",
		"not before every operator":     "[a:b NOT = 1 OR a:b NOT != 1 OR a:b NOT <> 1 OR a:b NOT >= 1 OR a:b NOT IN (1) OR a:b NOT LIKE 'x']",
		"empty set":                     "[a:b IN ()]",
		"integers and floats in a set":  "[a:b IN (1, -2, .5, +3)]",
		"hex and binary in a set":       "[a:b IN (h'00', b'AA==')]",
		"empty octets":                  "[a:b = h'' OR a:b = b'']",
		"line feeds in base64":          "[a:b = b'AB\nI=']",
		"upper-case hex":                "[a:b = h'FFD8']",
		"leap second":                   "[a:b = t'2016-12-31T23:59:60Z']",
		"escapes":                       `[a:b = 'it\'s a back\\slash']`,
		"line feed in a string":         "[a:b = 'one\ntwo']",
		"quoted keyword as a key":       "[a:'IN'.'true' = 1]",
		"empty key":                     "[a:'' = 1]",
		"type with hyphens":             "[x-usb-device:usbdrive.serial_number = '1']",
		"list index":                    "[a:b[0].c[*].d[12] = 1]",
		"fractional window":             "[a:b = 1] WITHIN .5 SECONDS",
		"one qualifier of each kind":    "[a:b = 1] REPEATS 2 TIMES WITHIN 3 SECONDS START t'2020-01-01T00:00:00Z' STOP t'2021-01-01T00:00:00Z'",
		"qualifiers around parentheses": "(([a:b = 1] WITHIN 3 SECONDS) WITHIN 4 SECONDS) WITHIN 5 SECONDS",
		"names that begin constants":    "[a:h = 1 OR a:b = 1 OR a:t.h = 1 OR h:b = 2]",
		"regexp that RE2 lacks":         `[a:b MATCHES '(?=x)y']`,
		"largest integer":               "[a:b = 9007199254740991]",
		"64 parentheses":                strings.Repeat("(", 64) + "[a:b = 1]" + strings.Repeat(")", 64),
		"64 needed parentheses":         strings.Repeat("[a:b = 1] AND ([a:b = 1] OR [a:b = 1] AND (", 32) + "[a:b = 1]" + strings.Repeat("))", 32),
		"64 parentheses inside":         "[" + strings.Repeat("(", 64) + "a:b = 1" + strings.Repeat(")", 64) + "]",
		"AND of one hash, negated":      "[file:hashes.MD5 != 'x' OR file:hashes.MD5 NOT = 'x' OR file:hashes.MD5 LIKE 'a%']",
		"hash of an unknown algorithm":  "[file:hashes.ssdeep = 'x']",
	}
	for name, text := range valid {
		t.Run(name, func(t *testing.T) { checkRoundTrip(t, mustParse(t, text)) })
	}
}

func TestRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text         string
		kind         pattern.ErrorKind
		line, column int
	}{
		"nothing":                     {"", pattern.Unexpected, 1, 1},
		"only a comment":              {"// x", pattern.Unexpected, 1, 5},
		"empty brackets":              {"[]", pattern.Unexpected, 1, 2},
		"empty parentheses":           {"()", pattern.Unexpected, 1, 2},
		"trailing operator":           {"[a:b = 1] AND", pattern.Unexpected, 1, 14},
		"trailing bracket":            {"[a:b = 1]]", pattern.Unexpected, 1, 10},
		"second line":                 {"[a:b = 1\n AND é]", pattern.BadConstant, 2, 6},
		"no type":                     {"[:b = 1]", pattern.Unexpected, 1, 2},
		"hyphen in a property":        {"[a:b-c = 1]", pattern.Unexpected, 1, 4},
		"keyword as a property":       {"[a:IN = 1]", pattern.Unexpected, 1, 4},
		"space in a type":             {"[a b:c = 1]", pattern.Unexpected, 1, 4},
		"NOT alone":                   {"[NOT a:b = 1]", pattern.Unexpected, 1, 6},
		"NOT twice":                   {"[a:b NOT NOT = 1]", pattern.Unexpected, 1, 10},
		"lower-case keyword":          {"[a:b = 1 and a:c = 1]", pattern.Unexpected, 1, 10},
		"upper-case boolean":          {"[a:b = TRUE]", pattern.Unexpected, 1, 8},
		"order of a boolean":          {"[a:b > true]", pattern.Unexpected, 1, 8},
		"LIKE a number":               {"[a:b LIKE 1]", pattern.Unexpected, 1, 11},
		"IN without parentheses":      {"[a:b IN 1]", pattern.Unexpected, 1, 9},
		"set with a comma at the end": {"[a:b IN (1,)]", pattern.Unexpected, 1, 12},
		"set of two types":            {"[a:b IN (1, true)]", pattern.MixedSet, 1, 13},
		"negative index":              {"[a:b[-1] = 1]", pattern.BadConstant, 1, 6},
		"string never closed":         {"[a:b = 'x]", pattern.BadConstant, 1, 8},
		"bad escape":                  {`[a:b = 'x\n']`, pattern.BadConstant, 1, 10},
		"backslash at the end":        {`[a:b = 'x\`, pattern.BadConstant, 1, 10},
		"comment never closed":        {"[a:b /* = 1]", pattern.BadConstant, 1, 6},
		"odd hex":                     {"[a:b = h'abc']", pattern.BadConstant, 1, 8},
		"base64 of three":             {"[a:b = b'abc']", pattern.BadConstant, 1, 8},
		"leading zeros":               {"[a:b = 007]", pattern.BadConstant, 1, 8},
		"sign alone":                  {"[a:b = -]", pattern.BadConstant, 1, 8},
		"exponent":                    {"[a:b = 1e5]", pattern.Unexpected, 1, 9},
		"dot without decimals":        {"[a:b = 1.]", pattern.Unexpected, 1, 9},
		"integer over 54 bits":        {"[a:b = 9007199254740992]", pattern.BadConstant, 1, 8},
		"float over 64 bits":          {"[a:b = 1" + strings.Repeat("0", 400) + ".0]", pattern.BadConstant, 1, 8},
		"single ampersand":            {"[a:b = 1 & a:c = 1]", pattern.BadConstant, 1, 10},
		"exclamation mark":            {"[a:b ! 1]", pattern.BadConstant, 1, 6},
		"ten decimals":                {"[a:b = t'2020-01-01T00:00:00.1234567890Z']", pattern.BadConstant, 1, 8},
		"decimal point alone":         {"[a:b = t'2020-01-01T00:00:00.Z']", pattern.BadConstant, 1, 8},
		"START of a string":           {"[a:b = 1] START '2020-01-01T00:00:00Z' STOP t'2020-01-01T00:00:00Z'", pattern.Unexpected, 1, 17},
		"START without STOP":          {"[a:b = 1] START t'2020-01-01T00:00:00Z'", pattern.Unexpected, 1, 40},
		"WITHIN zero":                 {"[a:b = 1] WITHIN 0 SECONDS", pattern.BadConstant, 1, 18},
		"REPEATS negative":            {"[a:b = 1] REPEATS -1 TIMES", pattern.BadConstant, 1, 19},
		"REPEATS a fraction":          {"[a:b = 1] REPEATS 1.5 TIMES", pattern.Unexpected, 1, 19},
		"qualifier twice":             {"[a:b = 1] REPEATS 2 TIMES WITHIN 1 SECONDS REPEATS 2 TIMES", pattern.DuplicateQualifier, 1, 44},
		"qualifier before brackets":   {"WITHIN 5 SECONDS [a:b = 1]", pattern.Unexpected, 1, 1},
		"FOLLOWEDBY inside":           {"[a:b = 1 FOLLOWEDBY a:c = 1]", pattern.Unexpected, 1, 10},
		"byte order mark":             {"\ufeff[a:b = 1]", pattern.BadConstant, 1, 1},
		"not UTF-8":                   {"[a:b = '\xff']", pattern.BadText, 1, 9},
		"too long":                    {"[a:b = '" + strings.Repeat("x", pattern.MaxBytes) + "']", pattern.TooLong, 1, pattern.MaxBytes + 1},
		"65 parentheses":              {strings.Repeat("(", 65) + "[a:b = 1]" + strings.Repeat(")", 65), pattern.TooDeep, 1, 65},
		"5,000 parentheses inside":    {"[" + strings.Repeat("(", 5000) + "a:b = 1" + strings.Repeat(")", 5000) + "]", pattern.TooDeep, 1, 66},
		"20,001 values":               {"[a:b IN (" + strings.Repeat("1,", 20_000) + "1)]", pattern.TooMany, 1, 10 + 40_000},
		"long regexp":                 {"[a:b MATCHES '" + strings.Repeat("x", 513) + "']", pattern.RegexpTooLarge, 1, 14},
		"large regexp":                {"[a:b MATCHES '(x{100}y{100}){12}']", pattern.RegexpTooLarge, 1, 14},
		"regexp of many repeats":      {"[a:b MATCHES 'x{1001}']", pattern.RegexpTooLarge, 1, 14},
		"regexp of many classes":      {`[a:b MATCHES '` + strings.Repeat(`\\w`, 100) + `']`, pattern.RegexpTooLarge, 1, 14},
		"regexp of many opposites":    {`[a:b MATCHES '[` + strings.Repeat(`\\W`, 20) + `]']`, pattern.RegexpTooLarge, 1, 14},
		"many large regexps":          {"[" + strings.Repeat("a:b MATCHES 'x{1000}' OR ", 50) + "a:b = 1]", pattern.RegexpTooLarge, 1, 1 + 39*25 + 13},
		"MD5 in a SHA-256":            {"[file:hashes.'SHA-256' = '79054025255fb1a26e4bc422aef54eb4']", pattern.BadHash, 1, 26},
		"hash in a set":               {"[file:hashes.MD5 IN ('79054025255fb1a26e4bc422aef54eb4', 'zz')]", pattern.BadHash, 1, 58},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pattern.Parse(c.text)
			var got *pattern.SyntaxError
			if !errors.As(err, &got) {
				t.Fatalf("Parse(%.80q) = %v, want a *SyntaxError", c.text, err)
			}
			checkError(t, c.text, err)
			if got.Kind != c.kind || got.Line != c.line || got.Column != c.column {
				t.Errorf("Parse(%.80q) = kind %d at %d:%d (%v), want kind %d at %d:%d",
					c.text, got.Kind, got.Line, got.Column, got, c.kind, c.line, c.column)
			}
		})
	}
}

func TestErrorsNeverQuoteThePattern(t *testing.T) {
	const secret = "zebra"
	for _, text := range []string{
		"[zebra]", "[zebra:zebra-zebra = 1]", "[a:b = zebra]", "[a:b = 'zebra", "[a:b = 'zebra\\z']", "zebra", "[a:b = h'zebra']",
		"[a:b = t'zebra']", "[file:hashes.MD5 = 'zebra']", "[a:b = 1] zebra", "[a:b MATCHES 'zebra(zebra{100}){999}']", "[a:b IN (1, 'zebra')]",
	} {
		_, err := pattern.Parse(text)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("Parse(%q) = %v, want an error that does not quote", text, err)
		}
	}
}

func TestErrorText(t *testing.T) {
	_, err := pattern.Parse("[file:name\n'x']")
	const want = "line 2, column 1: expected a comparison operator, found a string (STIX 2.1 §9.6.1)"
	if err == nil || err.Error() != want {
		t.Errorf("Parse = %v, want %s", err, want)
	}
}

func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []pattern.ErrorKind
	}{
		"none":                      {"[a:b = 1 AND a:c = 2 OR b:d = 3]", nil},
		"AND of two types":          {"[a:b = 1 AND b:c = 2]", []pattern.ErrorKind{pattern.MixedTypes}},
		"AND of OR with a way":      {"[(a:b = 1 OR b:c = 2) AND a:d = 1]", nil},
		"AND of OR without":         {"[(a:b = 1 OR b:c = 2) AND c:d = 1]", []pattern.ErrorKind{pattern.MixedTypes}},
		"reported once":             {"[(a:b = 1 AND b:c = 2) AND c:d = 1]", []pattern.ErrorKind{pattern.MixedTypes}},
		"two observations":          {"[a:b = 1] AND [b:c = 2]", nil},
		"address":                   {"[a:b ISSUBSET '192.0.2.0/33' OR a:b ISSUPERSET 'x' OR a:b ISSUBSET '2001:db8::/32']", []pattern.ErrorKind{pattern.BadAddress, pattern.BadAddress}},
		"zone":                      {"[a:b ISSUBSET 'fe80::1%eth0']", []pattern.ErrorKind{pattern.BadAddress}},
		"date":                      {"[a:b = t'2023-02-29T00:00:00Z' OR a:b = t'2024-02-29T00:00:00Z']", []pattern.ErrorKind{pattern.NoSuchDate}},
		"date of a qualifier":       {"[a:b = 1] START t'2024-02-30T00:00:00Z' STOP t'2024-04-31T00:00:00Z'", []pattern.ErrorKind{pattern.NoSuchDate, pattern.NoSuchDate}},
		"in the order of the text":  {"[a:b = 1 AND b:c = t'2024-02-30T00:00:00Z']", []pattern.ErrorKind{pattern.MixedTypes, pattern.NoSuchDate}},
		"century that is no leap":   {"[a:b = t'1900-02-29T00:00:00Z']", []pattern.ErrorKind{pattern.NoSuchDate}},
		"century that is a leap":    {"[a:b = t'2000-02-29T00:00:00Z']", nil},
		"last day of a year":        {"[a:b = t'2024-12-31T00:00:00Z']", nil},
		"below an unsatisfied AND":  {"[((a:b = 1 AND b:c = 1) OR c:d = 1) AND c:e = 1]", []pattern.ErrorKind{pattern.MixedTypes}},
		"thirty-first of September": {"[a:b = t'2024-09-31T00:00:00Z']", []pattern.ErrorKind{pattern.NoSuchDate}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []pattern.ErrorKind
			for _, e := range mustParse(t, c.text).Problems() {
				got = append(got, e.Kind)
				checkError(t, c.text, e)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("Problems(%q) (-want +got):\n%s", c.text, d)
			}
		})
	}
}

func TestAtomsListEveryComparison(t *testing.T) {
	const text = `[ ipv4-addr:value='192.0.2.1' OR file:hashes . 'SHA-256' NOT IN ( 'it\'s', 'b' ) OR EXISTS a:'x y'[*].z[3] ]`
	got := mustParse(t, text).Atoms()
	want := []pattern.Atom{
		{
			ObjectType: "ipv4-addr", Path: "value", Steps: []pattern.Step{{Key: "value"}}, Op: pattern.Equal,
			Values: []pattern.Literal{{Kind: pattern.String, Value: "192.0.2.1"}},
		},
		{
			ObjectType: "file", Path: "hashes.'SHA-256'", Steps: []pattern.Step{{Key: "hashes"}, {Key: "SHA-256"}}, Op: pattern.In, Negated: true,
			Values: []pattern.Literal{{Kind: pattern.String, Value: "it's"}, {Kind: pattern.String, Value: "b"}},
		},
		{
			ObjectType: "a", Path: "'x y'[*].z[3]", Op: pattern.Exists,
			Steps: []pattern.Step{{Key: "x y"}, {Kind: pattern.AnyStep}, {Key: "z"}, {Kind: pattern.IndexStep, Index: 3}},
		},
	}
	opts := cmp.Options{
		cmpopts.IgnoreUnexported(pattern.Literal{}),
		cmpopts.IgnoreFields(pattern.Literal{}, "Start", "End"), cmpopts.IgnoreFields(pattern.Atom{}, "Start", "End"),
	}
	if d := cmp.Diff(want, got, opts); d != "" {
		t.Errorf("Atoms() (-want +got):\n%s", d)
	}

	var places []string
	for _, a := range got {
		places = append(places, text[a.Start:a.End])
		for _, l := range a.Values {
			places = append(places, text[l.Start:l.End])
		}
	}
	wantPlaces := []string{
		"ipv4-addr:value='192.0.2.1'", "'192.0.2.1'",
		`file:hashes . 'SHA-256' NOT IN ( 'it\'s', 'b' )`, `'it\'s'`, "'b'",
		"EXISTS a:'x y'[*].z[3]",
	}
	if d := cmp.Diff(wantPlaces, places); d != "" {
		t.Errorf("places (-want +got):\n%s", d)
	}
}

func TestLiteralsAreDecoded(t *testing.T) {
	const text = `[a:b = 'é\\\'' OR a:b = -12 OR a:b = +.50 OR a:b = true OR a:b = h'00Ff' OR a:b = b'AP8=' OR a:b = t'2016-12-31T23:59:60.5Z']`
	atoms := mustParse(t, text).Atoms()
	for i, want := range []struct {
		kind   pattern.LiteralKind
		value  string
		number float64
	}{
		{pattern.String, `é\'`, 0},
		{pattern.Integer, "-12", -12},
		{pattern.Float, ".50", .5},
		{pattern.Boolean, "true", 0},
		{pattern.Hex, "\x00\xff", 0},
		{pattern.Binary, "\x00\xff", 0},
		{pattern.Timestamp, "2016-12-31T23:59:60.5Z", 0},
	} {
		got := atoms[i].Values[0]
		if got.Kind != want.kind || got.Value != want.value || got.Number() != want.number {
			t.Errorf("literal %d = %d %q %v, want %d %q %v", i, got.Kind, got.Value, got.Number(), want.kind, want.value, want.number)
		}
	}
	if !atoms[3].Values[0].Bool() {
		t.Error("true.Bool() = false")
	}
	if got, want := atoms[6].Values[0].Time(), time.Date(2017, 1, 1, 0, 0, 0, 5e8, time.UTC); !got.Equal(want) {
		t.Errorf("Time() = %v, want %v", got, want)
	}
}

func TestAlone(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"one value":                   {"[ipv4-addr:value = '192.0.2.1']", []string{"192.0.2.1"}},
		"OR inside":                   {"[url:value = 'a' OR domain-name:value = 'b']", []string{"a", "b"}},
		"OR outside":                  {"[url:value = 'a'] OR ([domain-name:value IN ('b', 'c')])", []string{"a", "b", "c"}},
		"AND inside":                  {"[file:name = 'a' AND file:size = 1]", nil},
		"AND outside":                 {"[file:name = 'a'] AND [file:size = 1]", nil},
		"FOLLOWEDBY":                  {"[file:name = 'a'] FOLLOWEDBY [file:size = 1]", nil},
		"beside an AND":               {"[file:name = 'a' OR file:name = 'b' AND file:size = 1] OR ([url:value = 'c'] AND [url:value = 'd'])", []string{"a"}},
		"negated":                     {"[file:name NOT = 'a' OR file:name != 'b' OR file:name NOT IN ('c')]", nil},
		"other operators":             {"[a:b LIKE 'x' OR a:b MATCHES 'x' OR a:b > 'x' OR a:b ISSUBSET '192.0.2.1' OR EXISTS a:b OR a:b IN ()]", nil},
		"REPEATS":                     {"[file:name = 'a'] REPEATS 1 TIMES", nil},
		"WITHIN":                      {"([file:name = 'a'] OR [file:name = 'b']) WITHIN 5 SECONDS", nil},
		"one operand under a WITHIN":  {"[file:name = 'a'] OR [file:name = 'b'] WITHIN 5 SECONDS", []string{"a"}},
		"START STOP":                  {"[file:name = 'a'] START t'2020-01-01T00:00:00Z' STOP t'2021-01-01T00:00:00Z'", []string{"a"}},
		"START STOP that is empty":    {"[file:name = 'a'] START t'2021-01-01T00:00:00Z' STOP t'2021-01-01T00:00:00Z'", nil},
		"START STOP that do not meet": {"([file:name = 'a'] START t'2020-01-01T00:00:00Z' STOP t'2021-01-01T00:00:00Z') START t'2022-01-01T00:00:00Z' STOP t'2023-01-01T00:00:00Z'", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, a := range mustParse(t, c.text).Alone() {
				for _, l := range a.Values {
					got = append(got, l.Value)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("Alone(%q) (-want +got):\n%s", c.text, d)
			}
		})
	}
}

func TestAtomsKnowTheirWindow(t *testing.T) {
	p := mustParse(t, `([a:b = 1] START t'2020-01-01T00:00:00Z' STOP t'2020-06-01T00:00:00Z' OR [a:c = 1])
		START t'2020-03-01T00:00:00Z' STOP t'2020-09-01T00:00:00Z' OR [a:d = 1]`)
	day := func(month time.Month) time.Time { return time.Date(2020, month, 1, 0, 0, 0, 0, time.UTC) }
	want := []pattern.Window{{Start: day(3), Stop: day(6)}, {Start: day(3), Stop: day(9)}, {}}
	for i, a := range p.Atoms() {
		if a.Window != want[i] {
			t.Errorf("window of %s = %v, want %v", a.Path, a.Window, want[i])
		}
	}
	w := want[0]
	if !w.Contains(day(3)) || w.Contains(day(6)) || w.Contains(day(2)) || !(pattern.Window{}).Contains(day(1)) {
		t.Error("a window contains its start and not its stop, and the zero window everything")
	}
}

func TestQuoteMakesOneConstant(t *testing.T) {
	for _, s := range []string{"", "plain", "it's", `C:\Windows\`, `\'`, "a\nb", "é\u0000"} {
		p := mustParse(t, "[a:b = "+pattern.Quote(s)+" OR a:"+pattern.Quote(s)+" = 1]")
		if got := p.Atoms()[0].Values[0].Value; got != s {
			t.Errorf("Quote(%q) is read as %q", s, got)
		}
		if got := p.Atoms()[1].Steps[0].Key; got != s {
			t.Errorf("Quote(%q) is read as the key %q", s, got)
		}
	}
	if got := pattern.Quote("\xff"); got != "'\uFFFD'" {
		t.Errorf("Quote of a bad byte = %q, want U+FFFD", got)
	}
}

func TestStringIsUniform(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"spacing":               {"[ a:b=1 ]OR[a:c<>2]", "[a:b = 1] OR [a:c != 2]"},
		"constants":             {"[a:b==+1 OR a:b=h'FF' OR a:b=t'2020-01-01T00:00:00.500Z']", "[a:b = 1 OR a:b = h'ff' OR a:b = t'2020-01-01T00:00:00.5Z']"},
		"needless apostrophes":  {"[a:'b'.'c-d' = 1]", "[a:b.'c-d' = 1]"},
		"needless parentheses":  {"(([((a:b = 1))]))", "[a:b = 1]"},
		"needed parentheses":    {"([a:b = 1] OR [a:c = 1]) AND [(a:d = 1 OR a:e = 1) AND a:f = 1]", "([a:b = 1] OR [a:c = 1]) AND [(a:d = 1 OR a:e = 1) AND a:f = 1]"},
		"precedence":            {"[a:b = 1] OR ([a:c = 1] AND [a:d = 1]) FOLLOWEDBY [(a:e = 1 AND a:f = 1) OR a:g = 1]", "[a:b = 1] OR [a:c = 1] AND [a:d = 1] FOLLOWEDBY [a:e = 1 AND a:f = 1 OR a:g = 1]"},
		"qualified parentheses": {"(([a:b = 1] WITHIN 2 SECONDS)) WITHIN 3 SECONDS", "([a:b = 1] WITHIN 2 SECONDS) WITHIN 3 SECONDS"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mustParse(t, c.text).String(); got != c.want {
				t.Errorf("String(%q) = %q, want %q", c.text, got, c.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range syntaxCases(f) {
		f.Add(c.Pattern)
	}
	f.Add(`([network-traffic:dst_ref.value = '198.51.100.1'] FOLLOWEDBY [domain-name:value IN ('a','www.example.com')]) REPEATS 2 TIMES`)
	f.Add(`([file:size NOT > 5.0 AND file:name LIKE '%e_e'] AND [file:name MATCHES '^[\\W\\d]$']) WITHIN 5 SECONDS OR [ipv4-addr:value ISSUBSET '198.51.100.9/24']`)
	f.Add(`[a:b[*].c NOT IN (h'00', b'AA==') AND EXISTS a:'x'] /* c */ REPEATS 2 TIMES // end`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := pattern.Parse(text)
		if err != nil {
			checkError(t, text, err)
			return
		}
		for _, a := range p.Atoms() {
			if a.Start < 0 || a.End > len(text) || a.Start >= a.End || len(a.Steps) == 0 {
				t.Fatalf("atom %+v has no place in %q", a, text)
			}
			for _, l := range a.Values {
				if l.Start < a.Start || l.End > a.End || l.Start >= l.End {
					t.Fatalf("literal %+v is outside of its atom in %q", l, text)
				}
			}
		}
		p.Alone()
		p.Problems()
		checkRoundTrip(t, p)
		checkNormal(t, p, []pattern.Observation{seen(t), seen(t)})
	})
}

// checkNormal sees that the normal form is its own, and matches what the
// pattern matches.
func checkNormal(t *testing.T, p *pattern.Pattern, seen []pattern.Observation) {
	t.Helper()
	normal, err := pattern.Parse(p.Normal())
	if err != nil { // too long, or REPEATS too often
		return
	}
	if got := normal.Normal(); got != normal.Text() {
		t.Errorf("Normal(%q) = %q, want what it was made from", normal.Text(), got)
	}
	m, err := p.Compile()
	if err != nil || hasNames(p) {
		return
	}
	n, err := normal.Compile()
	if err != nil {
		t.Fatalf("Compile(%q) = %v, but %q can be", normal.Text(), err, p.Text())
	}
	want, err := m.Match(seen)
	if err != nil {
		return
	}
	if got, err := n.Match(seen); err == nil && got.Matched != want.Matched {
		t.Errorf("Match(%q) = %v, but Match(%q) = %v", normal.Text(), got, p.Text(), want)
	}
}

// hasNames reports whether a pattern asks for what can be spelled in several
// ways, of which Normal makes one and = compares the text.
func hasNames(p *pattern.Pattern) bool {
	return slices.ContainsFunc(p.Atoms(), func(a pattern.Atom) bool {
		return (a.Op == pattern.Equal || a.Op == pattern.NotEqual || a.Op == pattern.In) &&
			(a.ObjectType == "ipv4-addr" || a.ObjectType == "ipv6-addr" || a.ObjectType == "windows-registry-key")
	})
}

// STIX 2.1 §9.7, §3.1: such names are read, and not to be published.
func TestCheckKnowsNamesThatNothingHas(t *testing.T) {
	for text, want := range map[string]pattern.ErrorKind{
		"[file:name = 'a']":        0,
		"[x-acme-widget:id = 'a']": 0,
		"[file:hashes.MD5 = '']":   0,
		"[file:extensions.'windows-pebinary-ext'.machine_hex = '1']": 0,
		"[f:name = 'a']":                       pattern.BadName,
		"[x-Acme:name = 'a']":                  pattern.BadName,
		"[file:n = 'a']":                       pattern.BadName,
		"[file:name = 'a' OR file:Name = 'a']": pattern.BadName,
		"[file:name = ]":                       pattern.Unexpected,
	} {
		var got pattern.ErrorKind
		if e, ok := errors.AsType[*pattern.SyntaxError](pattern.Check(text)); ok {
			got = e.Kind
		}
		if got != want {
			t.Errorf("Check(%q) = kind %d, want %d", text, got, want)
		}
		if _, err := pattern.Parse(text); (err != nil) != (want == pattern.Unexpected) {
			t.Errorf("Parse(%q) = %v", text, err)
		}
	}
}
