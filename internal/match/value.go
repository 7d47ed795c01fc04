package match

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// A Kind is a sort of value.
type Kind uint8

// The kinds of values.
const (
	Address Kind = iota + 1 // an IPv4 or IPv6 address
	Network                 // a block of addresses
	Domain                  // a domain name, which stands for all names below it as well
	URL                     // an absolute URL with a host
	Hash                    // an MD5, SHA-1, SHA-256 or SHA-512 sum of a file
	Email                   // an e-mail address
)

// String returns the kind's name, "" for none.
func (k Kind) String() string {
	names := [...]string{"", "address", "network", "domain", "url", "hash", "email"}
	if int(k) < len(names) {
		return names[k]
	}
	return ""
}

// A Value is something to look for, in the one spelling that all of its
// spellings come down to. Its text is printable ASCII without spaces, quotes
// and backslashes. Only [Parse] makes one.
type Value struct {
	kind Kind
	text string
}

// Kind returns what sort of value it is.
func (v Value) Kind() Kind { return v.kind }

// Text returns the value in its one spelling: addresses as RFC 5952 writes
// them, domains in lower case and in the ASCII form of RFC 5891, hashes in
// lower case.
func (v Value) Text() string { return v.text }

// Parse reads a value of a kind. It reports false for what is none, or what no
// line of a log could be compared with. A network of one address is an
// [Address], an IPv4 address that is mapped into IPv6 is the IPv4 address.
func Parse(kind Kind, text string) (Value, bool) {
	var ok bool
	switch kind {
	case Address, Network:
		return parseNetwork(text)
	case Domain:
		text, ok = parseDomain(text)
	case URL:
		text, ok = parseURL(text)
	case Hash:
		text, ok = strings.ToLower(text), isHash(text)
	case Email:
		text, ok = parseEmail(text)
	}
	return Value{kind, text}, ok
}

// parseNetwork reads an address, or a block of addresses in CIDR notation.
// Leading zeros are refused: readers disagree on what they mean.
func parseNetwork(text string) (Value, bool) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		return Value{Address, a.Unmap().String()}, err == nil && a.Zone() == ""
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return Value{}, false
	}
	const mapped = 96 // bits before an IPv4 address in an IPv6 one
	if a := p.Addr(); a.Is4In6() && p.Bits() >= mapped {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-mapped)
	}
	if p.IsSingleIP() {
		return Value{Address, p.Addr().String()}, true
	}
	return Value{Network, p.Masked().String()}, true
}

// longestDomain is the length of the longest domain name (RFC 1034 §3.1).
const longestDomain = 253

// parseDomain reads a domain name, with or without the last dot. Labels may
// have the underscores that the DNS has in use.
func parseDomain(text string) (string, bool) {
	if foreign := func(r rune) bool { return r >= utf8.RuneSelf }; strings.ContainsFunc(text, foreign) {
		// Symbols have an ASCII form too, but no registry has them (RFC 5892 §2.1).
		if strings.ContainsFunc(text, func(r rune) bool { return foreign(r) && !unicode.In(r, unicode.Letter, unicode.Mark, unicode.Nd) }) {
			return "", false
		}
		var err error
		if text, err = idna.Lookup.ToASCII(text); err != nil {
			return "", false
		}
	}
	text = strings.ToLower(strings.TrimSuffix(text, "."))
	if len(text) > longestDomain {
		return "", false
	}
	last := ""
	for label := range strings.SplitSeq(text, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "", false
		}
		for i := range len(label) {
			if class[label[i]]&(digit|letter) == 0 && label[i] != '-' && label[i] != '_' {
				return "", false
			}
		}
		last = label
	}
	return text, len(last) > 1 && strings.Trim(last, "0123456789") != "" && !strings.Contains(last, "_") // no top-level domain is one letter or a number
}

// longestURL bounds URLs, in bytes. Longer ones are cut by what writes logs.
const longestURL = 2000

func parseURL(text string) (string, bool) {
	if len(text) > longestURL {
		return "", false
	}
	var buffer [longestURL + 1]byte
	u, ok := normalizeURL(buffer[:0], []byte(text), false)
	if !ok || u.end != len(text) {
		return "", false
	}
	host := string(u.text[u.host:u.hostEnd])
	name, isName := parseDomain(host)
	if !isName {
		a, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil || a.Zone() != "" || a.Is6() == (host[0] != '[') {
			return "", false
		}
		name = host
	}
	return string(u.text[:u.host]) + name + string(u.text[u.hostEnd:]), true
}

func isHash(text string) bool {
	switch len(text) {
	case 32, 40, 64, 128:
	default:
		return false
	}
	for i := range len(text) {
		if class[text[i]]&(digit|hex) == 0 {
			return false
		}
	}
	return true
}

// longestEmail is the length of the longest e-mail address (RFC 5321 §4.5.3.1).
const longestEmail = 254

// parseEmail reads an addr-spec without quotes and comments (RFC 5322 §3.4.1).
// Letter case is left out of account, as every mail system does.
func parseEmail(text string) (string, bool) {
	at := strings.LastIndexByte(text, '@')
	if at < 1 || len(text) > longestEmail {
		return "", false
	}
	for i := range at {
		if class[text[i]]&(local|far) != local {
			return "", false
		}
	}
	host, ok := parseDomain(text[at+1:])
	return strings.ToLower(text[:at]) + "@" + host, ok
}
