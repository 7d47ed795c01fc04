package stix

import (
	"slices"
	"strconv"
	"strings"
)

// This file has the types of values of STIX 2.1 §2 as checks.

// anything takes every value that may stand in a property whose type is not
// known: no null and no empty list or dictionary. What is wrong deeper inside is
// warned of only, since nobody says that it means the types of STIX; widely used
// content has it.
func anything(c *checker, v Value) {
	end := v.node().next
	if c.options.ErrorsOnly {
		end = v.i + 1
	}
	for i := v.i; i < end; i++ {
		n := &v.d.nodes[i]
		var clause, message string
		switch {
		case n.kind == Null:
			clause, message = "STIX 2.1 §2", "null is no value of STIX; leave the property out"
		case n.kind == Array && n.next == i+1:
			clause, message = "STIX 2.1 §2.12", noEmptyList
		case n.kind == Object && n.next == i+1:
			clause, message = "STIX 2.1 §2.3", noEmptyDictionary
		default:
			continue
		}
		if i == v.i {
			c.fail(v, clause, message)
		} else {
			c.warn(Value{v.d, i}, clause, message)
		}
	}
}

const (
	noEmptyList       = "a list has at least one value; leave the property out"
	noEmptyDictionary = "a dictionary has at least one key; leave the property out"
)

func text(c *checker, v Value) {
	if v.Kind() != String {
		c.fail(v, "STIX 2.1 §2.15", "a string was expected")
	}
}

func boolean(c *checker, v Value) {
	if v.Kind() != Bool {
		c.fail(v, "STIX 2.1 §2.2", "true or false was expected")
	}
}

// integer takes numbers that are written as integers. Their range is checked
// for every number of an object, see integers.
func integer(c *checker, v Value) {
	if !v.isInteger() {
		c.fail(v, "STIX 2.1 §2.10", "an integer was expected")
	}
}

// integerIn takes integers of a range. Those beyond ±(2^53−1) are reported
// already, see integers.
func integerIn(least, most int64, clause string) check {
	message := "an integer between " + strconv.FormatInt(least, 10) + " and " + strconv.FormatInt(most, 10) + " was expected"
	return func(c *checker, v Value) {
		if !v.isInteger() {
			c.fail(v, "STIX 2.1 §2.10", message)
		} else if n, ok := v.Int(); ok && (n < least || n > most) {
			c.fail(v, clause, message)
		}
	}
}

// notNegative takes integers from 0 on.
func notNegative(clause string) check { return integerIn(0, 1<<53-1, clause) }

func float(c *checker, v Value) {
	if v.Kind() != Number {
		c.fail(v, "STIX 2.1 §2.6", "a number was expected")
	}
}

func floatIn(least, most float64, clause string) check {
	message := "a number between " + strconv.FormatFloat(least, 'f', -1, 64) + " and " + strconv.FormatFloat(most, 'f', -1, 64) + " was expected"
	return func(c *checker, v Value) {
		if f, ok := v.Float(); !ok || f < least || f > most {
			c.fail(v, clause, message)
		}
	}
}

const aTime = "a time such as 2026-11-23T09:30:00.000Z was expected, with at most nine digits after the point"

func timestamp(c *checker, v Value) {
	if !isTime(v.inside()) {
		c.fail(v, "STIX 2.1 §2.16", aTime)
	}
}

// milliseconds takes timestamps with three digits after the point or more, as
// created and modified have.
func milliseconds(c *checker, v Value) {
	switch s := v.inside(); {
	case !isTime(s):
		c.fail(v, "STIX 2.1 §2.16", aTime)
	case !hasMilliseconds(s):
		c.fail(v, "STIX 2.1 §3.2", "at least three digits after the decimal point of the seconds were expected")
	}
}

func hasMilliseconds(timestamp []byte) bool {
	return len(timestamp) >= len("2006-01-02T15:04:05.000Z")
}

// binary takes base64 with padding and without line breaks (RFC 4648 §3, §4).
func binary(c *checker, v Value) {
	if v.Kind() != String || !isBase64(v.inside()) {
		c.fail(v, "STIX 2.1 §2.1", "base64 was expected, with padding and without line breaks")
	}
}

func isBase64(s []byte) bool {
	if len(s)%4 != 0 {
		return false
	}
	for range 2 {
		if len(s) > 0 && s[len(s)-1] == '=' {
			s = s[:len(s)-1]
		}
	}
	return are(s, ofBase64)
}

// hexadecimal takes an even number of digits. Those in upper case, which an
// example of the standard has (§6.7.1), are warned of.
func hexadecimal(c *checker, v Value) {
	const want = "an even number of digits 0-9 and a-f was expected"
	s := v.inside()
	switch {
	case v.Kind() != String || len(s)%2 != 0 || !isHexAnyCase(s, len(s)):
		c.fail(v, "STIX 2.1 §2.8", want)
	case !isHex(s):
		c.warn(v, "STIX 2.1 §2.8", want)
	}
}

func isHex(s []byte) bool { return len(s)%2 == 0 && are(s, ofHex) }

// isHexAnyCase reports whether s is n hexadecimal digits of either case: the
// standards that define the hashes allow both.
func isHexAnyCase(s []byte, n int) bool { return len(s) == n && are(s, ofAnyHex) }

// exactly takes one text.
func exactly(want, clause string) check {
	message := "\"" + want + "\" was expected"
	return func(c *checker, v Value) {
		if !v.Is(want) {
			c.fail(v, clause, message)
		}
	}
}

// list takes arrays of one value or more that all pass.
func list(of check) check {
	return func(c *checker, v Value) {
		if v.Kind() != Array {
			c.fail(v, "STIX 2.1 §2.12", "a list was expected")
			return
		}
		if v.isEmpty() {
			c.fail(v, "STIX 2.1 §2.12", noEmptyList)
		}
		for i := v.i + 1; i < v.node().next && !c.full(); i = v.d.nodes[i].next {
			of(c, Value{v.d, i})
		}
	}
}

// isDictionary reports whether v is an object of one key or more, and the
// problem when it is not.
func (c *checker) isDictionary(v Value, clause, want string) bool {
	switch {
	case v.Kind() != Object:
		c.fail(v, clause, want)
	case v.isEmpty():
		c.fail(v, "STIX 2.1 §2.3", noEmptyDictionary)
	default:
		return true
	}
	return false
}

// dictionary takes objects of one key or more, with values that all pass.
func dictionary(of check) check {
	return func(c *checker, v Value) {
		if !c.isDictionary(v, "STIX 2.1 §2.3", "a dictionary was expected") {
			return
		}
		for i := v.i + 1; i < v.node().next; i = v.d.nodes[i].next {
			if !isKey(v.d.name(i), 1) {
				c.fail(Value{v.d, i}, "STIX 2.1 §2.3", "a dictionary key was expected: at most 250 characters of a-z, A-Z, 0-9, hyphen and underscore")
			}
			of(c, Value{v.d, i})
		}
	}
}

func isKey(name []byte, least int) bool {
	return len(name) >= least && len(name) <= 250 && are(name, ofKey)
}

// integerOrText takes integers and strings.
func integerOrText(c *checker, v Value) {
	if v.Kind() != String && !v.isInteger() {
		c.fail(v, "STIX 2.1 §2.3", "an integer or a string was expected")
	}
}

// hashes takes the dictionaries of STIX 2.1 §2.7. The value is checked for the
// algorithms of hash-algorithm-ov (§10.7).
func hashes(c *checker, v Value) {
	if !c.isDictionary(v, "STIX 2.1 §2.7", "a dictionary of hashes was expected") {
		return
	}
	for i := v.i + 1; i < v.node().next; i = v.d.nodes[i].next {
		name, hash := v.d.name(i), Value{v.d, i}
		if !isKey(name, 3) {
			c.fail(hash, "STIX 2.1 §2.7", "a hash algorithm was expected: 3 to 250 characters of a-z, A-Z, 0-9, hyphen and underscore")
			continue
		}
		if hash.Kind() != String {
			c.fail(hash, "STIX 2.1 §2.7", "a string was expected")
			continue
		}
		s, fits := hash.inside(), true
		switch string(name) {
		case "MD5":
			fits = isHexAnyCase(s, 32)
		case "SHA-1":
			fits = isHexAnyCase(s, 40)
		case "SHA-256", "SHA3-256":
			fits = isHexAnyCase(s, 64)
		case "SHA-512", "SHA3-512":
			fits = isHexAnyCase(s, 128)
		case "SSDEEP":
			fits = isSSDEEP(s)
		case "TLSH":
			fits = isTLSH(s)
		default:
			c.warn(hash, "STIX 2.1 §10.7", "this hash algorithm is not one of hash-algorithm-ov")
		}
		if !fits {
			c.fail(hash, "STIX 2.1 §10.7", "a hash of this algorithm has another length or other characters")
		}
	}
}

// isSSDEEP reports whether s is a block size and two base64 signatures joined
// by colons.
func isSSDEEP(s []byte) bool {
	colons := 0
	for _, c := range s {
		if c == ':' {
			colons++
		} else if classes[c]&ofBase64 == 0 {
			return false
		}
	}
	return colons == 2 && len(s) <= 160
}

// isTLSH reports whether s is 70 hexadecimal digits, with or without the
// version T1 before them.
func isTLSH(s []byte) bool {
	if len(s) == 72 && s[0] == 'T' && s[1] == '1' {
		s = s[2:]
	}
	return isHexAnyCase(s, 70)
}

// killChainPhase is the table of STIX 2.1 §2.11.
func killChainPhase() table {
	return table{clause: "STIX 2.1 §2.11", rows: []row{
		required("kill_chain_name", text, shouldBeTerm),
		required("phase_name", text, shouldBeTerm),
	}}
}

// shouldBeTerm warns of names that are not written as vocabularies write them.
func shouldBeTerm(c *checker, _, v Value) {
	if !isTerm(v.inside()) {
		c.warn(v, "STIX 2.1 §2.11", "lower case and hyphens, not spaces or underscores, should be used")
	}
}

// externalReference is the table of STIX 2.1 §2.5.
func externalReference() table {
	return table{
		clause: "STIX 2.1 §2.5.1",
		rows: []row{
			required("source_name", text),
			optional("description", text),
			optional("url", text, shouldHaveHashes),
			optional("hashes", hashes),
			optional("external_id", text),
		},
		rules: []rule{oneOf("STIX 2.1 §2.5.2", "description", "url", "external_id")},
	}
}

func shouldHaveHashes(c *checker, o, v Value) {
	if !c.options.ErrorsOnly && !o.Get("hashes").Exists() {
		c.warn(v, "STIX 2.1 §2.5.1", "hashes should stand beside the url")
	}
}

// ownID takes the object's own identifier (STIX 2.1 §2.9, §3.2).
func ownID(c *checker, v Value) {
	id := v.inside()
	cut := cutID(id)
	if cut < 0 {
		c.fail(v, "STIX 2.1 §2.9", "an identifier was expected: the object's type, two hyphens and a UUID in lower case")
	} else if string(id[:cut]) != string(c.self.Get("type").inside()) {
		c.fail(v, "STIX 2.1 §2.9", "the identifier does not begin with the object's type")
	}
}

// identifier takes identifiers of objects of any type.
func identifier(c *checker, v Value) {
	if cutID(v.inside()) < 0 {
		c.fail(v, "STIX 2.1 §2.9", "an identifier was expected: a type, two hyphens and a UUID in lower case")
	}
}

// A target is what an identifier may refer to.
type target struct {
	names []string // types by name
	kinds []kind   // or all of some kinds
	but   []string // without these
	what  string   // for people
}

// allows reports whether an object of that type may be referred to. A type
// that the standard does not define may be of any kind.
func (t *target) allows(types *catalog, name []byte) bool {
	if len(t.kinds) == 0 {
		return slices.Contains(t.names, string(name))
	}
	k := types.named(name).kind
	return (slices.Contains(t.kinds, k) || k == custom && string(name) != "bundle") && !slices.Contains(t.but, string(name))
}

// ref takes identifiers of objects of the given types; in the deprecated
// container, where observables refer to each other by key, such keys
// (STIX 2.1 §2.13).
func ref(names ...string) check {
	return target{names: names, what: "the identifier of " + an(names)}.local()
}

// objectRef takes identifiers of objects that are in no container.
func objectRef(names ...string) check {
	return target{names: names, what: "the identifier of " + an(names)}.check()
}

// an names some types for people.
func an(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return "an object of type " + names[0]
	}
	return "an object of type " + strings.Join(names[:last], ", ") + " or " + names[last]
}

func (t target) check() check {
	message := t.what + " was expected"
	return func(c *checker, v Value) {
		id := v.inside()
		if cut := cutID(id); cut < 0 {
			c.fail(v, "STIX 2.1 §2.9", message)
		} else if !t.allows(c.catalog, id[:cut]) {
			c.fail(v, "STIX 2.1 §3.3", message)
		}
	}
}

func (t target) local() check {
	global := t.check()
	return func(c *checker, v Value) {
		if c.container == nil {
			global(c, v)
		} else {
			c.container.ref(c, &t, v)
		}
	}
}

// notApplicable takes values of common properties that are not for this type of
// object, and warns of them.
func notApplicable(is check) check {
	return func(c *checker, v Value) {
		c.warn(v, "STIX 2.1 §3.2", "this common property is not for objects of this type")
		is(c, v)
	}
}

// forbidden takes nothing.
func forbidden(clause, message string) check {
	return func(c *checker, v Value) { c.fail(v, clause, message) }
}
