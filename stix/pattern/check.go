package pattern

import (
	"net/netip"
	"slices"
	"strings"
)

// check applies the rules that go beyond the grammar to one comparison.
func (p *parser) check(a *Atom) error {
	switch {
	case a.Op == Matches:
		size := regexpSize(a.Values[0].Value)
		if p.regexps += size; size > MaxRegexpSteps || p.regexps > maxRegexpTotal {
			return located(p.text, a.Values[0].Start, RegexpTooLarge, "regexp too large", "")
		}
	case (a.Op == Equal || a.Op == In) && !a.Negated:
		algorithm := hashAlgorithm(a.Steps)
		for _, l := range a.Values {
			if algorithm != "" && !validHash(algorithm, l) {
				return located(p.text, l.Start, BadHash, "no "+algorithm+" hash looks like this", "STIX 2.1 §2.7")
			}
		}
	}
	return nil
}

// hashAlgorithm returns the algorithm that a path ending in hashes.X names,
// in the letters of the vocabulary (STIX 2.1 §10.7) without its hyphens; ""
// when it is none that has a fixed form.
func hashAlgorithm(steps []Step) string {
	if len(steps) < 2 || steps[len(steps)-2].Key != "hashes" || steps[len(steps)-1].Kind != KeyStep {
		return ""
	}
	name := strings.ReplaceAll(strings.ToUpper(steps[len(steps)-1].Key), "-", "")
	if !hashSize(name, 0) {
		return ""
	}
	return name
}

// hashSize reports whether a hash of the algorithm may have so many hex
// digits, or, for 0, whether the algorithm is known at all.
func hashSize(algorithm string, size int) bool {
	var want int
	switch algorithm {
	case "MD5":
		want = 32
	case "SHA1", "RIPEMD160":
		want = 40
	case "SHA224", "SHA3224":
		want = 56
	case "SHA256", "SHA3256":
		want = 64
	case "SHA384", "SHA3384":
		want = 96
	case "SHA512", "SHA3512", "WHIRLPOOL":
		want = 128
	case "MD6":
		return size == 0 || size == 32 || size == 40 || size == 56 || size == 64 || size == 96 || size == 128
	default:
		return false
	}
	return size == 0 || size == want
}

// validHash lets the empty string pass: it names no hash of another algorithm,
// it asks for a property that is there and empty.
func validHash(algorithm string, l Literal) bool {
	return l.Kind != String || l.Value == "" ||
		hashSize(algorithm, len(l.Value)) && strings.Trim(l.Value, "0123456789abcdefABCDEF") == ""
}

// Check reports why a text is no pattern to publish, or nil: what [Parse]
// reports, and names that no object type or property can have. The grammar takes
// those, and so does Parse, since they do no harm to who matches: they match
// nothing. But the part before the colon MUST be the type of an observable, and
// what follows the name of a property (STIX 2.1 §9.7), and both have 3 to 250
// characters (§3.1), but for id.
func Check(text string) error {
	p, err := Parse(text)
	if err != nil {
		return err
	}
	for i := range p.atoms {
		a := &p.atoms[i]
		first := a.Steps[0].Key
		switch {
		case !isName(a.ObjectType, '-'):
			return located(p.text, a.Start, BadName, "the name of an object type was expected: 3 to 250 characters of a-z, 0-9 and hyphen", "STIX 2.1 §9.7")
		case !isName(first, '_') && first != "id":
			return located(p.text, a.Start, BadName, "the name of a property was expected after the colon: 3 to 250 characters of a-z, 0-9 and underscore", "STIX 2.1 §9.7")
		}
	}
	return nil
}

// isName reports whether s has the form of names of types and properties, with
// the character that joins their words.
func isName(s string, joint byte) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != joint {
			return false
		}
	}
	return len(s) >= 3 && len(s) <= 250
}

// Problems returns what the standard forbids and [Parse] still reads, in the
// order of the text; the OASIS reference reads it too. MixedTypes is an AND
// between comparisons that no single object can satisfy: that AND matches
// nothing. BadAddress is an ISSUBSET or ISSUPERSET without an address, and
// NoSuchDate a 30 February: they make the whole pattern match nothing
// (STIX 2.1 §9.4).
func (p *Pattern) Problems() []*SyntaxError {
	var found []*SyntaxError
	for i := range p.atoms {
		a := &p.atoms[i]
		for _, l := range a.Values {
			switch {
			case !realTime(l):
				found = append(found, p.noSuchDate(l))
			case a.Op == IsSubset || a.Op == IsSuperset:
				if _, ok := parseNetwork(l.Value); !ok {
					found = append(found, located(p.text, l.Start, BadAddress, "neither an IP address nor a network in CIDR notation", "STIX 2.1 §9.6.1"))
				}
			}
		}
	}
	found = p.exprProblems(found, &p.root)
	slices.SortStableFunc(found, func(a, b *SyntaxError) int { return a.Offset - b.Offset })
	return found
}

func (p *Pattern) noSuchDate(l Literal) *SyntaxError {
	return located(p.text, l.Start, NoSuchDate, "a day that is in no calendar", "STIX 2.1 §2.16")
}

func realTime(l Literal) bool {
	if l.Kind != Timestamp {
		return true
	}
	_, _, real := parseTime(l.Value)
	return real
}

func (p *Pattern) exprProblems(found []*SyntaxError, e *expr) []*SyntaxError {
	for _, q := range e.quals {
		for _, l := range []Literal{q.value, q.stop} {
			if !realTime(l) {
				found = append(found, p.noSuchDate(l))
			}
		}
	}
	for i := range e.kids {
		found = p.exprProblems(found, &e.kids[i])
	}
	if e.join == leaf {
		_, found = p.testTypes(found, &e.test)
	}
	return found
}

// testTypes returns the object types that can satisfy a test, sorted, and
// reports each AND that none can (STIX 2.1 §9.5: all operands of AND must be
// satisfiable with the same object).
func (p *Pattern) testTypes(found []*SyntaxError, t *test) ([]string, []*SyntaxError) {
	if t.join == leaf {
		return []string{p.atoms[t.atom].ObjectType}, found
	}
	var types, kid []string
	broken := false
	for i := range t.kids {
		kid, found = p.testTypes(found, &t.kids[i])
		switch {
		case i == 0:
			types = kid
		case t.join == joinOr:
			types = append(types, kid...)
		case len(types) > 0 && len(kid) > 0: // AND; what cannot be satisfied at all is reported where it stands
			types = slices.DeleteFunc(types, func(s string) bool {
				_, shared := slices.BinarySearch(kid, s)
				return !shared
			})
			broken = broken || len(types) == 0
		default:
			types = nil
		}
	}
	if broken {
		at := p.atoms[firstAtom(t)].Start
		found = append(found, located(p.text, at, MixedTypes, "AND between comparisons of different object types", "STIX 2.1 §9.5"))
	}
	slices.Sort(types)
	return slices.Compact(types), found
}

func firstAtom(t *test) int {
	for t.join != leaf {
		t = &t.kids[0]
	}
	return t.atom
}

// parseNetwork reads an IP address or a network in CIDR notation, as a masked
// prefix. Zones have no place in either.
func parseNetwork(s string) (netip.Prefix, bool) {
	if strings.IndexByte(s, '/') >= 0 {
		prefix, err := netip.ParsePrefix(s)
		return prefix.Masked(), err == nil
	}
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, addr.BitLen()), true
}
