package stix_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"tocsin/stix"
)

func TestParseTakesJSON(t *testing.T) {
	for name, text := range map[string]string{
		"a string":              `"a"`,
		"an empty string":       `""`,
		"a number":              `42`,
		"a negative zero":       `-0`,
		"a fraction":            `-0.5e-10`,
		"an exponent":           `1E+2`,
		"a tiny number":         `1e-400`,
		"a long integer":        strings.Repeat("9", 300),
		"true":                  `true`,
		"false":                 `false`,
		"null":                  `null`,
		"an empty list":         `[]`,
		"an empty object":       `{}`,
		"white space":           " \t\r\n[ 1 ,\n2 ] \n",
		"escapes":               `"\"\\\/\b\f\n\r\t\u0041\u00e9"`,
		"a surrogate pair":      `"\ud83d\ude00"`,
		"a NUL escape":          `"\u0000"`,
		"DEL":                   "\"\x7f\"",
		"other scripts":         `"löß 攻撃 😀"`,
		"a noncharacter":        "\"\uffff\"",
		"eight bytes and more":  `"0123456789abcdef"`,
		"an escape in a name":   `{"na\u006de": 1, "nam": 2}`,
		"an empty name":         `{"": 1}`,
		"names in other case":   `{"a": 1, "A": 2}`,
		"64 lists":              strings.Repeat("[", 64) + strings.Repeat("]", 64),
		"the same name deeper":  `{"a": {"a": {"a": [{"a": 1}]}}}`,
		"names that look alike": `{"name_a": 1, "name_b": 2, "nbme_a": 3}`,
	} {
		v, err := stix.Parse([]byte(text), stix.Limits{})
		if err != nil {
			t.Errorf("%s: Parse(%q) = %v, want a value", name, text, err)
			continue
		}
		if want := strings.Trim(text, " \t\r\n"); string(v.Raw()) != want {
			t.Errorf("%s: Parse(%q).Raw() = %q, want %q", name, text, v.Raw(), want)
		}
	}
}

func TestParseRefusesWhatCannotBeTrusted(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		offset int
		at     string
	}{
		"nothing":                        {``, 0, ""},
		"white space":                    {` `, 1, ""},
		"a byte order mark":              {"\xef\xbb\xbf{}", 0, ""},
		"UTF-16":                         {"\xff\xfe{\x00}\x00", 0, ""},
		"no JSON":                        {`hello`, 0, ""},
		"a second value":                 {`{} {}`, 3, ""},
		"text after the value":           {`[1] x`, 4, ""},
		"a NUL after the value":          {"1\x00", 1, ""},
		"an object without its end":      {`{"a": 1`, 7, "/a"},
		"a list without its end":         {`[1, 2`, 5, "/1"},
		"a string without its end":       {`"abc`, 4, ""},
		"a name without its end":         {`{"abc`, 5, ""},
		"a name without a value":         {`{"abc"}`, 6, ""},
		"a colon without a value":        {`{"abc":}`, 7, "/abc"},
		"a name without quotes":          {`{abc: 1}`, 1, ""},
		"single quotes":                  {`{'a': 1}`, 1, ""},
		"a number for a name":            {`{1: 1}`, 1, ""},
		"a comma too many":               {`[1,]`, 3, "/1"},
		"a comma before":                 {`[,1]`, 1, "/0"},
		"a comma at the end of names":    {`{"a": 1,}`, 8, "/a"},
		"a semicolon":                    {`{"a": 1; "b": 2}`, 7, "/a"},
		"no comma":                       {`[1 2]`, 3, "/0"},
		"a comment":                      {`{/**/}`, 1, ""},
		"a bracket for a brace":          {`{"a": [1}`, 8, "/a/0"},
		"after a nested object":          {`{"a": {"b": 1} x}`, 15, "/a"},
		"after a nested list in a list":  {`[[1, 2], [3] 4]`, 13, "/1"},
		"NaN":                            {`NaN`, 0, ""},
		"Infinity":                       {`-Infinity`, 1, ""},
		"a number beyond a float":        {`{"n": 1e400}`, 11, "/n"},
		"a long number beyond a float":   {strings.Repeat("9", 400), 400, ""},
		"a plus sign":                    {`+1`, 0, ""},
		"a leading zero":                 {`[010]`, 2, "/0"},
		"a point without digits":         {`1.`, 2, ""},
		"a point first":                  {`.1`, 0, ""},
		"an exponent without digits":     {`1e`, 2, ""},
		"hexadecimal":                    {`0x1F`, 1, ""},
		"a lone minus":                   {`-`, 1, ""},
		"an upper-case literal":          {`True`, 0, ""},
		"half a literal":                 {`nul`, 0, ""},
		"a literal that goes on":         {`[nulls]`, 5, "/0"},
		"an unknown escape":              {`"\x41"`, 1, ""},
		"three digits in an escape":      {`"\u12"`, 1, ""},
		"an escape at the end":           {`"\`, 1, ""},
		"half a surrogate pair":          {`"\ud83d"`, 7, ""},
		"the other half":                 {`"\ude00"`, 7, ""},
		"two first halves":               {`"\ud83d\ud83d"`, 7, ""},
		"half a pair and a letter":       {`"\ud83dabcdef"`, 7, ""},
		"a line break in a string":       {"\"a\nb\"", 2, ""},
		"a control character late":       {"\"0123456789\x1f\"", 11, ""},
		"invalid UTF-8":                  {"\"\xff\"", 1, ""},
		"overlong UTF-8":                 {"\"\xc0\xaf\"", 1, ""},
		"a surrogate in UTF-8":           {"\"\xed\xa0\x80\"", 1, ""},
		"beyond Unicode":                 {"\"\xf4\x90\x80\x80\"", 1, ""},
		"half a character":               {"\"abcdefgh\xe2\x82\"", 9, ""},
		"a name twice":                   {`{"a": 1, "b": 2, "a": 3}`, 18, "/a"},
		"an escaped name twice":          {`{"name": 1, "na\u006de": 2}`, 13, "/name"},
		"an escaped name twice, first":   {`{"na\u006de": 1, "x": 0, "name": 2}`, 26, "/name"},
		"the markings twice":             {`{"object_marking_refs": ["red"], "object_marking_refs": []}`, 34, "/object_marking_refs"},
		"an empty name twice":            {`{"": 1, "": 2}`, 9, ""},
		"a name twice inside":            {`{"a": [{"b": 1, "b": 2}]}`, 17, "/a/0/b"},
		"65 lists":                       {strings.Repeat("[", 65) + strings.Repeat("]", 65), 64, ""},
		"100,000 lists":                  {strings.Repeat("[", 100_000), 64, ""},
		"50,000 objects":                 {strings.Repeat(`{"a":`, 50_000), 320, ""},
		"a name of 251 bytes in the way": {`{"` + strings.Repeat("n", 251) + `": {"b": x}}`, 262, ""},
		"a name with a line break":       {`{"a": {"b\nc": x}}`, 15, "/a"},
		"a name in another script":       {`{"a": {"é": x}}`, 13, "/a"},
		"a name to be escaped":           {`{"a/b~c": x}`, 10, "/a~1b~0c"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := stix.Parse([]byte(c.text), stix.Limits{})
			var p *stix.Problem
			if !errors.As(err, &p) {
				t.Fatalf("Parse(%.80q) = %v, want a *Problem", c.text, err)
			}
			if p.Class != stix.ClassSyntax || p.Offset != c.offset || p.At != c.at {
				t.Errorf("Parse(%.80q) = %v, class %d, offset %d, at %q, want class %d, offset %d, at %q",
					c.text, p, p.Class, p.Offset, p.At, stix.ClassSyntax, c.offset, c.at)
			}
		})
	}
}

// many returns an object of n properties.
func many(n int) []byte {
	b := []byte{'{'}
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `"p%d":%d`, i, i)
	}
	return append(b, '}')
}

func TestLimitsHold(t *testing.T) {
	for name, c := range map[string]struct {
		text   []byte
		limits stix.Limits
		fits   bool
	}{
		"10,000 properties":          {many(10_000), stix.Limits{}, true},
		"10,001 properties":          {many(10_001), stix.Limits{}, false},
		"100,000 properties":         {many(100_000), stix.Limits{}, false},
		"100,000 when allowed":       {many(100_000), stix.Limits{Members: 100_000}, true},
		"three of three":             {many(3), stix.Limits{Members: 3}, true},
		"four of three":              {many(4), stix.Limits{Members: 3}, false},
		"all bytes":                  {[]byte(`[1, 2]`), stix.Limits{Bytes: 6}, true},
		"a byte too many":            {[]byte(`[1, 2]`), stix.Limits{Bytes: 5}, false},
		"a string of 10 MiB":         {[]byte(`"` + strings.Repeat("a", stix.DefaultBytes-2) + `"`), stix.Limits{}, true},
		"a string of more":           {[]byte(`"` + strings.Repeat("a", stix.DefaultBytes-1) + `"`), stix.Limits{}, false},
		"a list is not limited":      {[]byte(`[` + strings.Repeat("1,", 100_000) + `1]`), stix.Limits{}, true},
		"a large name in one object": {[]byte(`{"` + strings.Repeat("n", 1<<20) + `": 1}`), stix.Limits{}, true},
	} {
		_, err := stix.Parse(c.text, c.limits)
		var p *stix.Problem
		switch {
		case c.fits && err != nil:
			t.Errorf("%s: Parse = %v, want a value", name, err)
		case !c.fits && (!errors.As(err, &p) || p.Class != stix.ClassTooLarge):
			t.Errorf("%s: Parse = %v, want a problem of class %d", name, err, stix.ClassTooLarge)
		}
	}
	deep := []byte(`[[1]]`)
	if _, err := stix.Parse(deep, stix.Limits{Depth: 1}); err == nil {
		t.Errorf("Parse(%s) with depth 1 = nil, want an error", deep)
	}
}

// TestNamesAreToldApartInLinearTime has names that a weak hash or a comparison
// of each with each would be slow for: it hangs when they are.
func TestNamesAreToldApartInLinearTime(t *testing.T) {
	const n = 200_000
	var b bytes.Buffer
	b.WriteString(`[{`)
	for i := range n {
		fmt.Fprintf(&b, `"a%07dz":1,`, i)
	}
	b.WriteString(`"end":1}`)
	for range 10_000 { // objects of few names, all of them escaped
		b.WriteString(`,{`)
		for i := range 20 {
			fmt.Fprintf(&b, `"\u0061%02d":1,`, i)
		}
		b.WriteString(`"end":1}`)
	}
	b.WriteString(`]`)
	v, err := stix.Parse(b.Bytes(), stix.Limits{Bytes: 1 << 30, Members: n + 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Len(); got != 10_001 {
		t.Errorf("Len() = %d, want 10001", got)
	}
	twice := bytes.Replace(b.Bytes(), []byte(`"end"`), []byte(`"a0000007z"`), 1)
	if _, err := stix.Parse(twice, stix.Limits{Bytes: 1 << 30, Members: n + 1}); err == nil {
		t.Error("Parse(a name twice among 200,001) = nil, want an error")
	}
}

func TestPointersAreBounded(t *testing.T) {
	name := strings.Repeat("/", 250) // each slash is two bytes of a pointer
	deep := []byte(strings.Repeat(`{"`+name+`":`, 50) + "x")
	_, err := stix.Parse(deep, stix.Limits{})
	var p *stix.Problem
	if !errors.As(err, &p) || len(p.At) > 1000 || len(p.At) < 500 {
		t.Errorf("Parse(long names) = %v, want a pointer of 500 to 1,000 bytes", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, e := range examples(f) {
		f.Add([]byte(e.Object))
	}
	for _, text := range []string{`{"a":1,"\u0061":2}`, `"\ud83d\ude00"`, `[1e400]`, "\"\xff\"", `{"a":[{"b":null}]} x`, `-0.0e+1`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		limits := stix.Limits{Bytes: 1 << 20}
		v, err := stix.Parse(text, limits)
		valid := jsontext.Value(text).IsValid()
		if err != nil {
			var p *stix.Problem
			if !errors.As(err, &p) {
				t.Fatalf("Parse(%q) = %v, want a *Problem", text, err)
			}
			if p.Offset > len(text) || len(p.At) > 1000 {
				t.Errorf("Parse(%q) = %v at byte %d, want a place in the text", text, p, p.Offset)
			}
			// Only these are JSON and refused all the same.
			if strict := p.Class == stix.ClassTooLarge || strings.Contains(p.Message, "nested deeper") ||
				strings.Contains(p.Message, "64-bit float"); valid && !strict {
				t.Errorf("Parse(%q) = %v, want a value", text, p)
			}
			return
		}
		if !valid {
			t.Fatalf("Parse(%q) = a value, want an error", text)
		}
		again, err := stix.Parse(rebuilt(nil, v), limits)
		if err != nil || !equal(v, again) {
			t.Errorf("Parse(%q), written again, = %v, want an equal value", text, err)
		}
		for _, p := range stix.Validate(v, stix.Options{}) {
			if p.Message == "" || p.Clause == "" || p.Class == stix.ClassSyntax {
				t.Errorf("Validate(%q) = %+v, want a message, a clause and no syntax problem", text, p)
			}
		}
	})
}

// rebuilt writes a value from what its methods say of it.
func rebuilt(dst []byte, v stix.Value) []byte {
	switch v.Kind() {
	case stix.Array:
		dst = append(dst, '[')
		for i, e := range v.Elements() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = rebuilt(dst, e)
		}
		return append(dst, ']')
	case stix.Object:
		dst = append(dst, '{')
		for name, e := range v.Members() {
			if dst[len(dst)-1] != '{' {
				dst = append(dst, ',')
			}
			dst, _ = jsontext.AppendQuote(dst, name)
			dst = append(dst, ':')
			dst = rebuilt(dst, e)
		}
		return append(dst, '}')
	case stix.String:
		dst, _ = jsontext.AppendQuote(dst, v.Text())
		return dst
	case stix.Absent, stix.Null, stix.Bool, stix.Number:
	}
	return append(dst, v.Raw()...)
}

// equal reports whether two values say the same, in the same order.
func equal(a, b stix.Value) bool {
	if a.Kind() != b.Kind() || a.Len() != b.Len() || a.Text() != b.Text() {
		return false
	}
	switch a.Kind() {
	case stix.Array:
		var other []stix.Value
		for _, e := range b.Elements() {
			other = append(other, e)
		}
		for i, e := range a.Elements() {
			if !equal(e, other[i]) {
				return false
			}
		}
	case stix.Object:
		for name, e := range a.Members() {
			if got := a.Get(name); got != e || !equal(e, b.Get(name)) {
				return false
			}
		}
	case stix.Bool, stix.Number, stix.Null:
		return bytes.Equal(a.Raw(), b.Raw())
	case stix.Absent, stix.String:
	}
	return true
}

func TestValuesAreReadAsTheyAre(t *testing.T) {
	v, err := stix.Parse([]byte(`{"s": "a\u00e9\n\ud83d\ude00", "t": true, "f": false, "n": null, "i": -9007199254740991,
		"big": 9007199254740992, "r": 1.0, "e": 1e3, "l": [1, [2, 3], {"x": 4}], "o": {}, "\u0074wo": 2}`), stix.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Get("s").Text(); got != "aé\n😀" {
		t.Errorf("Text() = %q, want the escapes resolved", got)
	}
	if !v.Get("s").Is("aé\n😀") || v.Get("s").Is("a") || v.Get("i").Is("-9007199254740991") {
		t.Error("Is() does not compare the text of strings only")
	}
	if !v.Get("t").True() || v.Get("f").True() || v.Get("s").True() {
		t.Error("True() is not true for true only")
	}
	for name, want := range map[string]bool{"i": true, "big": false, "r": false, "e": false, "s": false, "none": false} {
		if n, ok := v.Get(name).Int(); ok != want || ok && n != -9007199254740991 {
			t.Errorf("Get(%q).Int() = %d, %v, want %v", name, n, ok, want)
		}
	}
	if f, ok := v.Get("e").Float(); f != 1000 || !ok {
		t.Errorf("Float() = %v, %v, want 1000", f, ok)
	}
	if _, ok := v.Get("s").Float(); ok {
		t.Error("Float() of a string = true, want false")
	}
	for name, want := range map[string]stix.Kind{
		"s": stix.String, "t": stix.Bool, "n": stix.Null, "i": stix.Number, "l": stix.Array, "o": stix.Object, "none": stix.Absent, "two": stix.Number,
	} {
		if got := v.Get(name); got.Kind() != want || got.Exists() != (want != stix.Absent) {
			t.Errorf("Get(%q) has kind %d, want %d", name, got.Kind(), want)
		}
	}
	var pointers []string
	for _, e := range v.Get("l").Elements() {
		pointers = append(pointers, e.Pointer())
		for _, inner := range e.Members() {
			pointers = append(pointers, inner.Pointer())
		}
	}
	if want := []string{"/l/0", "/l/1", "/l/2", "/l/2/x"}; !slices.Equal(pointers, want) {
		t.Errorf("Pointer() = %q, want %q", pointers, want)
	}
	if got := v.Get("l").Len() + v.Get("o").Len() + v.Get("s").Len() + v.Len(); got != 3+0+0+11 {
		t.Errorf("Len() adds up to %d, want 14", got)
	}
	for range v.Get("s").Elements() {
		t.Error("Elements() of a string yields, want nothing")
	}
	for range v.Get("l").Members() {
		t.Error("Members() of a list yields, want nothing")
	}
	for name := range v.Members() {
		if name != "s" {
			t.Errorf("Members() yields %q after a break, want s only", name)
		}
		break
	}
	if absent := (stix.Value{}); absent.Raw() != nil || absent.Text() != "" || absent.Pointer() != "" || absent.Len() != 0 || absent.Get("a").Exists() {
		t.Error("the zero Value is not absent in everything")
	}
	var o map[string]any
	if err := json.Unmarshal(v.Raw(), &o); err != nil || len(o) != v.Len() {
		t.Errorf("Raw() is no JSON of %d properties: %v", v.Len(), err)
	}
}
