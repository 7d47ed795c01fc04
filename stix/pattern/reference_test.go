package pattern_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"tocsin/stix/pattern"
)

// A comparison is a comparison expression that the test made up. What it means
// is computed here from the text of STIX 2.1 §9.6 and §9.7, with other means
// than the package's: exact fractions, compiled templates, other parsers.
type comparison struct {
	join  string // "AND", "OR" or, of one comparison, ""
	kids  []comparison
	kind  string // of the object
	path  []any  // names, indexes, and "*" for any element
	op    string
	not   bool
	right []constant
}

// A constant is text in a pattern, and what it stands for: a string, a
// *big.Rat, a bool, a time.Time or octets.
type constant struct {
	text  string
	value any
}

func (c comparison) String() string {
	if c.join != "" {
		var kids []string
		for _, k := range c.kids {
			kids = append(kids, "("+k.String()+")")
		}
		return strings.Join(kids, " "+c.join+" ")
	}
	var path strings.Builder
	for i, step := range c.path {
		switch s := step.(type) {
		case int:
			fmt.Fprintf(&path, "[%d]", s)
		case string:
			switch {
			case s == "*":
				path.WriteString("[*]")
				continue
			case i > 0:
				path.WriteByte('.')
			}
			path.WriteString(pattern.Quote(s))
		}
	}
	not := ""
	if c.not {
		not = "NOT "
	}
	if c.op == "EXISTS" {
		return not + "EXISTS " + c.kind + ":" + path.String()
	}
	var right []string
	for _, r := range c.right {
		right = append(right, r.text)
	}
	constants := strings.Join(right, ",")
	if c.op == "IN" {
		constants = "(" + constants + ")"
	}
	return c.kind + ":" + path.String() + " " + not + c.op + " " + constants
}

// holds evaluates the comparison on one object among others.
func (c comparison) holds(object obj, all map[string]map[string]any) bool {
	switch c.join {
	case "AND":
		for _, k := range c.kids {
			if !k.holds(object, all) {
				return false
			}
		}
		return true
	case "OR":
		for _, k := range c.kids {
			if k.holds(object, all) {
				return true
			}
		}
		return false
	}
	if object["type"] != c.kind {
		return false
	}
	values := reach(object, c.path, all, c.op == "EXISTS")
	if c.op == "EXISTS" {
		return (len(values) > 0) != c.not
	}
	name := ""
	for _, step := range c.path {
		if s, ok := step.(string); ok && s != "*" {
			name = s
		}
	}
	for _, v := range values {
		binary := false
		if s, ok := v.(string); ok && (strings.HasSuffix(name, "_hex") || strings.HasSuffix(name, "_bin")) {
			octets, err := hex.DecodeString(s)
			if strings.HasSuffix(name, "_bin") {
				octets, err = base64.StdEncoding.DecodeString(s)
			}
			if err != nil {
				continue // there is no value (§9.6)
			}
			v, binary = octets, true
		}
		if c.compare(v, binary) != c.not {
			return true
		}
	}
	return false
}

// reach returns all values that a path leads to (§9.7). The last step stays a
// reference when only its existence is asked for.
func reach(v any, path []any, all map[string]map[string]any, exists bool) []any {
	if len(path) == 0 {
		return []any{v}
	}
	var next []any
	list := false
	switch s := path[0].(type) {
	case int:
		if l, ok := v.([]any); ok && s < len(l) {
			next = append(next, l[s])
		}
	case string:
		if s == "*" {
			l, _ := v.([]any)
			next = append(next, l...)
			break
		}
		if m, ok := v.(map[string]any); ok {
			if member, ok := m[s]; ok {
				next = append(next, member)
			}
		}
		// A reference stands for the object that it names (§9.7.4).
		list = strings.HasSuffix(s, "_refs")
		if strings.HasSuffix(s, "_ref") && (!exists || len(path) > 1) {
			next = follow(next, all)
		}
	}
	var found []any
	for _, n := range next {
		if list && len(path) > 1 {
			// The elements of the list are the references.
			for _, e := range reach(n, path[1:2], all, true) {
				if exists && len(path) == 2 {
					found = append(found, e)
					continue
				}
				for _, o := range follow([]any{e}, all) {
					found = append(found, reach(o, path[2:], all, exists)...)
				}
			}
			continue
		}
		found = append(found, reach(n, path[1:], all, exists)...)
	}
	return found
}

func follow(names []any, all map[string]map[string]any) []any {
	var objects []any
	for _, n := range names {
		if name, ok := n.(string); ok && all[name] != nil {
			objects = append(objects, all[name])
		}
	}
	return objects
}

// compare applies the operator without NOT. It is false of incompatible types,
// but for != (§9.6.1).
func (c comparison) compare(v any, binary bool) bool {
	if c.op == "IN" {
		for _, r := range c.right {
			if order, ok := compareWith(v, r.value); ok && order == 0 {
				return true
			}
		}
		return false
	}
	order, comparable := compareWith(v, c.right[0].value)
	switch c.op {
	case "=":
		return comparable && order == 0
	case "!=":
		return !comparable || order != 0
	case "<":
		return comparable && order < 0
	case "<=":
		return comparable && order <= 0
	case ">":
		return comparable && order > 0
	case ">=":
		return comparable && order >= 0
	}
	text, ok := v.(string)
	if octets, is := v.([]byte); is {
		text, ok = wide(octets), true
	}
	if !ok {
		return false
	}
	right, _ := c.right[0].value.(string)
	switch c.op {
	case "LIKE":
		if !binary {
			text = norm.NFC.String(text)
		}
		template := strings.NewReplacer("%", "(?s:.*)", "_", "(?s:.)").Replace(regexp.QuoteMeta(norm.NFC.String(right)))
		return regexp.MustCompile(`\A(?:` + template + `)\z`).MatchString(text)
	case "MATCHES":
		if !binary {
			text = norm.NFC.String(text)
		}
		return regexp.MustCompile("(?s)" + norm.NFC.String(right)).MatchString(text)
	case "ISSUBSET":
		return inside(text, right)
	case "ISSUPERSET":
		return inside(right, text)
	}
	return false
}

// compareWith orders a value of an object and a constant; false when their
// types do not compare (§9.2).
func compareWith(v, constant any) (order int, ok bool) {
	switch want := constant.(type) {
	case *big.Rat:
		if n, is := v.(float64); is {
			return new(big.Rat).SetFloat64(n).Cmp(want), true
		}
	case bool:
		if b, is := v.(bool); is && b == want {
			return 0, true
		} else if is {
			return 1, true
		}
	case time.Time:
		if s, is := v.(string); is {
			at, err := time.Parse(time.RFC3339Nano, s)
			return at.Compare(want), err == nil
		}
	case string:
		switch is := v.(type) {
		case string:
			return strings.Compare(is, want), true // UTF-8 has the order of code points
		case []byte:
			octets, narrow := narrowed(want)
			return strings.Compare(string(is), string(octets)), narrow
		}
	case []byte:
		switch is := v.(type) {
		case string:
			octets, narrow := narrowed(is)
			return strings.Compare(string(octets), string(want)), narrow
		case []byte:
			return strings.Compare(string(is), string(want)), true
		}
	}
	return 0, false
}

// wide returns octets as code points, narrowed the other way round (§9.2).
func wide(octets []byte) string {
	var runes []rune
	for _, b := range octets {
		runes = append(runes, rune(b))
	}
	return string(runes)
}

func narrowed(text string) ([]byte, bool) {
	octets := make([]byte, 0, utf8.RuneCountInString(text))
	for _, r := range text {
		if r > 0xFF {
			return nil, false
		}
		octets = append(octets, byte(r))
	}
	return octets, true
}

// inside reports whether all addresses of a are in b.
func inside(a, b string) bool {
	left, right := network(a), network(b)
	if left == nil || right == nil || len(left.IP) != len(right.IP) {
		return false
	}
	l, _ := left.Mask.Size()
	r, _ := right.Mask.Size()
	return l >= r && right.Contains(left.IP)
}

func network(s string) *net.IPNet {
	if !strings.Contains(s, "/") {
		bits := "/128"
		if strings.Contains(s, ".") {
			bits = "/32"
		}
		s += bits
	}
	_, n, err := net.ParseCIDR(s)
	if err != nil {
		return nil
	}
	return n
}

// A world is where the test draws objects and comparisons from, so that they
// meet often.
type world struct{ *rand.Rand }

func pick[T any](w world, from ...T) T { return from[w.IntN(len(from))] }

func (w world) text() string {
	if w.IntN(2) == 0 {
		return pick(w, "a", "b", "10.0.0.1")
	}
	return pick(w, "", "a", "b", "ab", "A", "é", "e\u0301", "ÿ", "Ā", "a\nb", "%", "_", "it's", `\`, "10.0.0.1", "10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "2001:db8::1", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00.5Z")
}

func (w world) number() float64 {
	return pick(w, 0.0, 1, 1, 1, 2, 2, -1, 1.5, 2, 1e15, 0.1, 9007199254740991)
}

// thing returns an object, or a value inside one.
func (w world) thing(depth int) any {
	switch w.IntN(6 + 2*depth) {
	case 0, 1, 2:
		return w.text()
	case 3, 4:
		return w.number()
	case 5:
		return w.IntN(2) == 0
	case 6, 7:
		var list []any
		for range w.IntN(3) {
			list = append(list, w.thing(depth-1))
		}
		return list
	default:
		return w.properties(depth - 1)
	}
}

func (w world) properties(depth int) obj {
	o := obj{}
	for range 3 + w.IntN(5) {
		switch name := pick(w, "x", "y", "z-z", "d_hex", "d_bin", "o_ref", "o_refs"); name {
		case "d_hex":
			o[name] = pick(w, "", "61", "FF", "c3a9", "zz", "6")
		case "d_bin":
			o[name] = pick(w, "", "YQ==", "/w==", "w6k=", "?", "YQ")
		case "o_ref":
			o[name] = pick[any](w, "0", "1", "2", "9", 1.0)
		case "o_refs":
			o[name] = pick[any](w, []any{"0", "1"}, []any{"2", "9", "1"}, []any{}, []any{1.0, "0"}, "0")
		default:
			o[name] = w.thing(depth)
		}
	}
	return o
}

// objects returns the objects of one observation, by name.
func (w world) objects() map[string]map[string]any {
	all := map[string]map[string]any{}
	for i := range 1 + w.IntN(3) {
		o := w.properties(2)
		o["type"] = pick(w, "a", "b")
		all[strconv.Itoa(i)] = o
	}
	return all
}

func (w world) comparison(depth int) comparison {
	if depth > 0 && w.IntN(3) == 0 {
		c := comparison{join: pick(w, "AND", "OR")}
		for range 2 + w.IntN(2) {
			c.kids = append(c.kids, w.comparison(depth-1))
		}
		return c
	}
	c := comparison{kind: pick(w, "a", "a", "b"), not: w.IntN(4) == 0}
	c.path = []any{pick(w, "x", "y", "z-z", "d_hex", "d_bin", "o_ref", "o_refs")}
	for w.IntN(5) < 2 && len(c.path) < 5 {
		c.path = append(c.path, pick[any](w, 0, 1, "*", "x", "y", "d_hex", "o_ref", "o_refs"))
	}
	c.op = pick(w, "=", "!=", "<", "<=", ">", ">=", "IN", "IN", "LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET", "EXISTS")
	switch c.op {
	case "IN":
		first := w.constant(true)
		c.right = append(c.right, first)
		for range w.IntN(10) {
			if next := w.constant(true); fmt.Sprintf("%T", next.value) == fmt.Sprintf("%T", first.value) {
				c.right = append(c.right, next)
			}
		}
	case "LIKE":
		s := pick(w, "%", "_", "a%", "%b", "é", "e\u0301%", "a_b", "", "1_.%", "%ÿ", "__")
		c.right = []constant{{pattern.Quote(s), s}}
	case "MATCHES":
		s := pick(w, "a", "^a", "b$", "^.$", "a.b", "^é$", "^$", "[0-9]+", "^(a|b)*$", "ÿ")
		if s == "b$" || s == "^.$" || s == "^é$" || s == "^$" || s == "^(a|b)*$" {
			s = strings.ReplaceAll(s, "$", `(?:\z|\n\z)`) // what PCRE takes $ for
		}
		c.right = []constant{{pattern.Quote(s), s}}
	case "ISSUBSET", "ISSUPERSET":
		s := pick(w, "10.0.0.0/8", "10.0.0.1", "10.0.0.1/32", "0.0.0.0/0", "2001:db8::/32", "::/0", "10.1.2.3/16")
		c.right = []constant{{pattern.Quote(s), s}}
	case "EXISTS":
	default:
		c.right = []constant{w.constant(c.op == "=" || c.op == "!=")}
	}
	return c
}

func (w world) constant(booleans bool) constant {
	switch w.IntN(8) {
	case 0, 1, 2:
		s := w.text()
		return constant{pattern.Quote(s), s}
	case 3, 4:
		n := w.number()
		text := strconv.FormatFloat(n, 'f', -1, 64)
		exact, _ := new(big.Rat).SetString(text)
		if f, _ := exact.Float64(); f == n {
			exact = new(big.Rat).SetFloat64(n) // numbers are 64-bit floats in both
		}
		return constant{text, exact}
	case 5:
		octets := pick(w, "", "a", "\xff", "é")
		if w.IntN(2) == 0 {
			return constant{"h'" + hex.EncodeToString([]byte(octets)) + "'", []byte(octets)}
		}
		return constant{"b'" + base64.StdEncoding.EncodeToString([]byte(octets)) + "'", []byte(octets)}
	case 6:
		if booleans {
			b := w.IntN(2) == 0
			return constant{strconv.FormatBool(b), b}
		}
	}
	s := pick(w, "2020-01-01T00:00:00Z", "2020-01-01T00:00:00.500Z", "1999-12-31T23:59:59Z")
	at, _ := time.Parse(time.RFC3339Nano, s)
	return constant{"t'" + s + "'", at}
}

// TestMatcherAgreesWithTheTextOfTheStandard compares verdicts on random
// patterns over random observations.
func TestMatcherAgreesWithTheTextOfTheStandard(t *testing.T) {
	w := world{rand.New(rand.NewPCG(3, 4))}
	found := map[bool]int{}
	for range 10_000 {
		leaves := []comparison{w.comparison(2), w.comparison(1), w.comparison(0)}
		e := tree{op: "leaf"}
		if w.IntN(3) == 0 {
			e = randomTree(w.Rand, 2)
		}
		text := e.String()
		for i, c := range leaves {
			text = strings.ReplaceAll(text, fmt.Sprintf("[a:b[*] = %d]", i), "["+c.String()+"]")
		}
		var instances []sight
		var observations []pattern.Observation
		for len(instances) < 1+w.IntN(4) {
			all := w.objects()
			s := sight{first: w.IntN(10), count: 1 + w.IntN(2)}
			s.last = s.first + w.IntN(3)
			for i, c := range leaves {
				for _, o := range all {
					if c.holds(o, all) {
						s.values |= 1 << i
					}
				}
			}
			for range s.count {
				instances = append(instances, s)
			}
			observations = append(observations, s.of(all))
		}
		want := len(e.bindings(instances)) > 0
		p := mustParse(t, text)
		for _, text := range []string{text, p.String(), p.Normal()} {
			m, err := mustParse(t, text).Compile()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := m.Match(observations); err != nil || got.Matched != want {
				t.Fatalf("Match(%q) of %v = %v, %v, want %t (from %q)", text, observations, got, err, want, p.Text())
			}
		}
		found[want]++
	}
	if found[true] < 1000 || found[false] < 1000 {
		t.Errorf("%v of the random patterns match, want at least 1,000 of each", found)
	}
}

// of returns the observation of objects.
func (s sight) of(objects map[string]map[string]any) pattern.Observation {
	second := func(n int) time.Time { return time.Date(2024, 5, 1, 12, 0, n, 0, time.UTC) }
	return pattern.NewObservation("", second(s.first), second(s.last), s.count, objects)
}
