package match

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// A Kind is a sort of value.
type Kind uint8

// The kinds of values.
const (
	Address     Kind = iota + 1 // an IPv4 or IPv6 address
	Network                     // a block of addresses
	Domain                      // a domain name, which stands for all names below it as well
	URL                         // an absolute URL with a host
	Hash                        // an MD5, SHA-1, SHA-256 or SHA-512 sum of a file
	Email                       // an e-mail address
	Endpoint                    // an IPv4 or IPv6 address with a port
	JA3                         // the MD5 sum of a TLS client's hello
	JA4                         // a TLS client's fingerprint, as FoxIO writes it
	ASN                         // an autonomous system: AS64496
	FileName                    // the name of a file, without folders
	RegistryKey                 // a key of the Windows registry
	Mutex                       // the name of a mutex
	UserAgent                   // what an HTTP client calls itself

	kinds = int(UserAgent) + 1
)

// String returns the kind's name, "" for none.
func (k Kind) String() string {
	names := [...]string{"", "address", "network", "domain", "url", "hash", "email", "endpoint", "ja3", "ja4", "asn", "file-name", "registry-key", "mutex", "user-agent"}
	if int(k) < len(names) {
		return names[k]
	}
	return ""
}

// A Value is something to look for, in the one spelling that all of its
// spellings come down to. Its text is printable ASCII without spaces, quotes
// and backslashes, but for free text (from [FileName] on), which has any
// character that is not a control character. Only [Parse] makes one.
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
	case Endpoint:
		text, ok = parseEndpoint(text)
	case JA3:
		text, ok = strings.ToLower(text), len(text) == 32 && isHash(text)
	case JA4:
		text, ok = strings.ToLower(text), isJA4(text)
	case ASN:
		text, ok = parseASN(text)
	case FileName:
		ok = isFreeText(text) && len(text) > 3 && !strings.ContainsAny(text, `/\`)
	case RegistryKey:
		ok = isFreeText(text) && strings.Contains(text, `\`)
	case Mutex, UserAgent:
		ok = isFreeText(text)
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

// parseEndpoint reads an address and a port: "192.0.2.1:443", "[2001:db8::1]:443".
func parseEndpoint(text string) (string, bool) {
	a, err := netip.ParseAddrPort(text)
	if err != nil || a.Addr().Zone() != "" || a.Port() == 0 {
		return "", false
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String(), true
}

// ja4Length is the length of a JA4: "t13d1516h2_8daaf6152771_02713d6af862".
const ja4Length = 36

func isJA4(text string) bool {
	if len(text) != ja4Length || text[10] != '_' || text[23] != '_' {
		return false
	}
	for i := range len(text) {
		c := class[text[i]]
		if i == 10 || i == 23 {
			continue
		}
		if i < 10 && c&(digit|letter) == 0 || i > 10 && c&(digit|hex) == 0 {
			return false
		}
	}
	return true
}

// parseASN reads the number of an autonomous system, with or without "AS"
// before it (RFC 5396 §2, asplain).
func parseASN(text string) (string, bool) {
	text = strings.TrimPrefix(strings.ToUpper(text), "AS")
	n, err := strconv.ParseUint(text, 10, 32)
	return "AS" + text, err == nil && n > 0 && text[0] != '0'
}

// longestText bounds free text, in bytes.
const longestText = 1024

// isFreeText reports whether a text can be looked for: it has a word, and no
// control character, and nothing that turns the direction of what follows.
func isFreeText(text string) bool {
	if len(text) < 4 || len(text) > longestText || !utf8.ValidString(text) || strings.TrimSpace(text) != text {
		return false
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
		return false
	}
	found := false
	words(text, func(string) { found = true })
	return found
}
