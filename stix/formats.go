package stix

import (
	"bytes"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

// This file has the formats that other standards define and tables demand of
// some strings.

// fits reports a value that is no string which the given function accepts.
func (c *checker) fits(v Value, is func(s []byte) bool, clause, message string) {
	if v.Kind() != String || !is(v.inside()) {
		c.fail(v, clause, message)
	}
}

// format does so for the data of observables. Of data that says to be defanged
// no form can be demanded: it is not what it was (STIX 2.1 §3.2).
func (c *checker) format(v Value, is func(s []byte) bool, clause, message string) {
	if v.Kind() == String && is(v.inside()) {
		return
	}
	if c.defanged == unasked {
		c.defanged = no
		if c.self.Get("defanged").True() {
			c.defanged = yes
		}
	}
	if v.Kind() != String || c.defanged == no {
		c.fail(v, clause, message)
	}
}

func ipv4(c *checker, v Value) {
	c.format(v, func(s []byte) bool { return isNetwork(s, netip.Addr.Is4) },
		"STIX 2.1 §6.8.1", "an IPv4 address was expected, or a block of them in CIDR notation, without leading zeros")
}

func ipv6(c *checker, v Value) {
	c.format(v, func(s []byte) bool { return isNetwork(s, netip.Addr.Is6) },
		"STIX 2.1 §6.9.1", "an IPv6 address was expected, or a block of them in CIDR notation, without a zone")
}

func mac(c *checker, v Value) {
	c.format(v, isMAC, "STIX 2.1 §6.10.1", "six octets in lower case with colons between were expected")
}

func domain(c *checker, v Value) {
	c.format(v, isDomain, "STIX 2.1 §6.4.1", "a domain name was expected: labels of at most 63 characters with dots between")
}

func mailbox(c *checker, v Value) {
	c.format(v, isMailbox, "STIX 2.1 §6.5.1", "an e-mail address was expected, without a display name")
}

func url(c *checker, v Value) {
	c.format(v, isURL, "STIX 2.1 §6.15.1", "a URL was expected: a scheme, a colon, and no white space")
	if c.options.ErrorsOnly {
		return
	}
	if s := v.inside(); isURL(s) && !isEscaped(s) {
		c.warn(v, "STIX 2.1 §6.15.1", "characters that a URL cannot have should be escaped (RFC 3986 §2)")
	}
}

func cpe(c *checker, v Value) {
	c.fits(v, isCPE, "STIX 2.1 §6.14.1", "a CPE 2.3 formatted string was expected: cpe:2.3: and eleven components")
}

func registryKey(c *checker, v Value) {
	c.format(v, isRegistryKey, "STIX 2.1 §6.17.1", "a registry key was expected, with the name of its hive in full")
}

func languageTag(c *checker, v Value) {
	c.fits(v, isLanguage, "STIX 2.1 §3.2", "a language tag of RFC 5646 was expected, with registered subtags")
}

func characterSet(c *checker, v Value) {
	c.fits(v, isCharset, "STIX 2.1 §3.9.1", "the preferred name of a character set in the IANA registry was expected")
}

// isNetwork reports whether s is an address, or a block of addresses in CIDR
// notation, of a family. Leading zeros are refused: readers disagree on what
// they mean.
func isNetwork(s []byte, family func(netip.Addr) bool) bool {
	if bytes.IndexByte(s, '/') < 0 {
		a, err := netip.ParseAddr(string(s))
		return err == nil && family(a) && a.Zone() == ""
	}
	p, err := netip.ParsePrefix(string(s))
	return err == nil && family(p.Addr())
}

// isDomain reports whether s is a domain name: labels of 1 to 63 characters
// with dots between, at most 253 bytes (RFC 1034 §3.1). Within a label it takes
// letters, digits, hyphens, the underscores that the DNS has in use, and the
// letters, marks and digits of other scripts (RFC 5892 §2.1). It takes nothing
// else, so that a domain cannot break out of where it is written; the few names
// with joiners (RFC 5892 §A) can be given in their ASCII form.
func isDomain(s []byte) bool {
	s = bytes.TrimSuffix(s, []byte("."))
	if len(s) > 253 {
		return false
	}
	label := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRune(s[i:])
		i += size
		switch {
		case r == '.' && label > 0:
			label = 0
			continue
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
		case r > unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r)):
		default:
			return false
		}
		if label++; label > 63 {
			return false
		}
	}
	return label > 0
}

// isMailbox reports whether s is an addr-spec (RFC 5322 §3.4.1): no display
// name and no angle brackets. What the quotes of a quoted local part may hold
// is not looked at but for control characters.
func isMailbox(s []byte) bool {
	at := bytes.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 {
		return false
	}
	local, host := s[:at], s[at+1:]
	quoted := len(local) > 1 && local[0] == '"' && local[len(local)-1] == '"'
	for _, c := range local {
		if c < ' ' || c == 0x7f || !quoted && strings.IndexByte(" \"(),:;<>@[\\]", c) >= 0 {
			return false
		}
	}
	if host[0] == '[' && host[len(host)-1] == ']' {
		a, err := netip.ParseAddr(strings.TrimPrefix(string(host[1:len(host)-1]), "IPv6:"))
		return err == nil && a.Zone() == ""
	}
	return isDomain(host)
}

// isMAC reports whether s is six octets in lower case with colons between.
func isMAC(s []byte) bool {
	for i, c := range s {
		if i%3 == 2 && c != ':' || i%3 != 2 && classes[c]&ofHex == 0 {
			return false
		}
	}
	return len(s) == 17
}

// isURL reports whether s is a scheme and something after it without white
// space and control characters (RFC 3986 §3). That other characters should be
// escaped is only warned of: malicious URLs are reported as they are found.
func isURL(s []byte) bool {
	colon := bytes.IndexByte(s, ':')
	if colon < 1 || colon == len(s)-1 {
		return false
	}
	for i, c := range s {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		switch {
		case i == 0 && !letter, c <= ' ', c == 0x7f:
			return false
		case i < colon && !letter && (c < '0' || c > '9') && c != '+' && c != '-' && c != '.':
			return false
		}
	}
	return true
}

// isEscaped reports whether a URL has only characters that a URL may have.
func isEscaped(s []byte) bool {
	for i, c := range s {
		switch {
		case c >= 0x80 || strings.IndexByte("\"<>\\^`{|}", c) >= 0:
			return false
		case c == '%' && (i+2 >= len(s) || !isHexAnyCase(s[i+1:i+3], 2)):
			return false
		}
	}
	return true
}

// isCPE reports whether s is a CPE 2.3 formatted string: thirteen components
// between colons that no backslash escapes (NISTIR 7695 §6.2).
func isCPE(s []byte) bool {
	if !bytes.HasPrefix(s, []byte("cpe:2.3:")) {
		return false
	}
	components, length := 1, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ':':
			if length == 0 {
				return false
			}
			components++
			length = 0
			continue
		case c == '\\':
			i++
		case c <= ' ' || c > '~':
			return false
		}
		length++
	}
	part := s[len("cpe:2.3:"):]
	return components == 13 && length > 0 && part[1] == ':' && strings.IndexByte("aho*-", part[0]) >= 0
}

// isLanguage reports whether s is a language tag whose subtags are registered
// (RFC 5646 §2.2.9). Longer ones than any that is in use are refused unread.
func isLanguage(s []byte) bool {
	const longest = 100
	if string(s) == "en" {
		return true
	}
	if len(s) > longest || bytes.IndexByte(s, '_') >= 0 {
		return false
	}
	_, err := language.Parse(string(s))
	return err == nil
}

// isRegistryKey reports whether the hive of a registry key is not abbreviated.
func isRegistryKey(s []byte) bool {
	hive, _, _ := bytes.Cut(s, []byte(`\`))
	switch strings.ToUpper(string(hive)) {
	case "HKLM", "HKCU", "HKCR", "HKU", "HKCC":
		return false
	}
	return true
}

// headerField takes the values of one header field of an e-mail or a request,
// a list of strings. A lone string is warned of: the standard's examples have
// it in e-mails, and it loses nothing.
func headerField(clause string) check {
	of := list(text)
	return func(c *checker, v Value) {
		if v.Kind() == String {
			c.warn(v, clause, "a list of strings should be used, for header fields that are repeated")
			return
		}
		of(c, v)
	}
}

// isCAPEC reports whether s is "CAPEC-" and a number.
func isCAPEC(s []byte) bool {
	number, ok := bytes.CutPrefix(s, []byte("CAPEC-"))
	return ok && isDigits(number, 1)
}

// isCVE reports whether s is "CVE-", a year, a hyphen and a number of four
// digits or more.
func isCVE(s []byte) bool {
	rest, ok := bytes.CutPrefix(s, []byte("CVE-"))
	year, number, cut := bytes.Cut(rest, []byte("-"))
	return ok && cut && len(year) == 4 && isDigits(year, 4) && isDigits(number, 4)
}

func isDigits(s []byte, least int) bool { return len(s) >= least && are(s, ofNumber) }

// numbered demands that references to a source have the form of its numbers.
func numbered(source, form, clause string, fits func(s []byte) bool) rule {
	message := "the form " + form + " was expected of a reference to " + source
	return func(c *checker, _, v Value) {
		for _, e := range v.Elements() {
			if id := e.Get("external_id"); id.Exists() && e.Get("source_name").Is(source) && !fits(id.inside()) {
				c.fail(e, clause, message)
			}
		}
	}
}
