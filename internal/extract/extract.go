// Package extract reads indicators out of text that people write: reports, messages, tables.
package extract

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// A Kind is what an indicator is.
type Kind string

// The kinds of indicators.
const (
	URL      Kind = "url"
	Domain   Kind = "domain"
	IPv4     Kind = "ipv4" // an address, or a network with /
	IPv6     Kind = "ipv6"
	Email    Kind = "email"
	MD5      Kind = "md5"
	SHA1     Kind = "sha1"
	SHA224   Kind = "sha224"
	SHA256   Kind = "sha256"
	SHA384   Kind = "sha384"
	SHA512   Kind = "sha512"
	ASN      Kind = "asn"
	MAC      Kind = "mac"
	Registry Kind = "registry-key"
	Path     Kind = "path" // a file or a folder with where it is
	File     Kind = "file-name"
	CVE      Kind = "cve"
	Attack   Kind = "attack" // the number of an ATT&CK technique or tactic
	Bitcoin  Kind = "bitcoin"
	Ethereum Kind = "ethereum"
)

// An Indicator is a value that was found, as it works: without what people put
// into it so that it is no link.
type Indicator struct {
	Kind     Kind   `json:"type"`
	Value    string `json:"value"`
	Defanged bool   `json:"defanged"` // it was written so that nobody follows it, which says that it is malicious
	Alone    bool   `json:"alone"`    // it is all that stands on its line or in its cell
}

// Find returns the indicators in a text, each once, in the order of their
// kinds. It takes time linear in the length of the text (RE2).
func Find(text string) []Indicator {
	plain := Refang(text)
	found := scan(plain)
	if plain != text {
		open := map[string]bool{}
		for _, one := range scan(text) {
			open[string(one.Kind)+one.Value] = true
		}
		for i := range found {
			found[i].Defanged = !open[string(found[i].Kind)+found[i].Value]
		}
	}
	return found
}

// The forms of values. RE2 has no backtracking: each is linear in the text.
var (
	urlForm      = regexp.MustCompile(`(?i)\b(?:https?|ftps?|sftp|tcp|udp|ldaps?|wss?|smb)://[^\s<>"'` + "`" + `{}|\\^\[\]]+`)
	emailForm    = regexp.MustCompile(`[A-Za-z0-9_%+'-](?:[A-Za-z0-9._%+'-]{0,63})@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.)+[A-Za-z]{2,24}`)
	domainForm   = regexp.MustCompile(`(?i)(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)+(?:xn--[a-z0-9-]{2,59}|[a-z]{2,24})`)
	ipv4Form     = regexp.MustCompile(`\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,8})?`)
	ipv6Form     = regexp.MustCompile(`[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?:\d{1,3}(?:\.\d{1,3}){3})?(?:/\d{1,8})?`)
	hexForm      = regexp.MustCompile(`\b[0-9a-fA-F]{32,128}\b`)
	asnForm      = regexp.MustCompile(`(?i)\basn? ?\d{1,10}\b`)
	macForm      = regexp.MustCompile(`(?i)\b[0-9a-f]{2}(?:(?:-[0-9a-f]{2}){5}|(?::[0-9a-f]{2}){5})\b|\b[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}\b`)
	registryForm = regexp.MustCompile(`(?i)<?\b(?:HKEY_(?:LOCAL_MACHINE|CURRENT_USER|CLASSES_ROOT|USERS|CURRENT_CONFIG)|HKLM|HKCU|HKCR|HKU|HKCC)>?\\{1,2}(?:(?:<[^<>\\\n]{1,24}>|[^\s"'<>|,;:*?\\]{1,80}(?: [^\s"'<>|,;:*?\\]{1,80}){0,3})\\{1,2})*[^\s"'<>|,;:*?\\“”]{1,80}`)
	windowsForm  = regexp.MustCompile(`(?:\b[A-Za-z]:|%[A-Za-z0-9_()]{2,32}%|\\\\[A-Za-z0-9._?$-]{1,64})(?:\\{1,2}[^\\/:*?"<>|\s,;']{1,255})+`)
	unixForm     = regexp.MustCompile(`(?:^|[\s"'(=])((?:~|\.{1,2})?(?:/[A-Za-z0-9._+@%-]{1,255}){2,}/?)`)
	fileForm     = regexp.MustCompile(`(?i)\b[a-z0-9_][a-z0-9_.+@-]{0,80}\.(?:exe|dll|sys|scr|bat|cmd|ps1|psm1|vbs|vbe|jse?|hta|lnk|msi|cpl|ocx|docx?|docm|dotm|xlsx?|xlsm|xlam|pptx?|pptm|rtf|pdf|iso|img|vhdx?|zip|rar|7z|cab|jar|apk|elf|bin|dat|tmp|sh|py|php|aspx?|jspx?|war|chm|one|ink|so|dylib)\b`)
	cveForm      = regexp.MustCompile(`(?i)\bCVE[- ](?:19|20)\d\d-(\d{4}|[1-9]\d{4,6})\b`)
	attackForm   = regexp.MustCompile(`\b(?:T1\d{3}(?:\.\d{3})?|TA00\d\d)\b`)
	bitcoinForm  = regexp.MustCompile(`\b(?:[13][1-9A-HJ-NP-Za-km-z]{25,34}|bc1[02-9ac-hj-np-z]{38,59})\b`)
	ethereumForm = regexp.MustCompile(`\b0x[0-9a-fA-F]{40}\b`)
)

// A scanner collects what it finds in one text. What one form has taken, no
// later one looks at.
type scanner struct {
	text  string
	taken []byte // 1 for bytes of a value
	found []Indicator
	seen  map[string]bool
}

func scan(text string) []Indicator {
	s := &scanner{text: text, taken: make([]byte, len(text)), seen: map[string]bool{}}
	s.each(urlForm, s.url)
	s.each(emailForm, s.email)
	s.each(registryForm, func(i, j int) (Kind, string, int) {
		return Registry, strings.NewReplacer("<", "", ">", "", `\\`, `\`).Replace(strings.TrimRight(text[i:j], ".)]")), j
	})
	s.each(windowsForm, func(i, j int) (Kind, string, int) {
		return Path, strings.TrimRight(text[i:j], ".)]"), j
	})
	s.each(macForm, s.mac)
	s.each(ipv6Form, s.ipv6)
	s.each(ipv4Form, s.ipv4)
	s.each(hexForm, s.hash)
	s.each(cveForm, func(i, j int) (Kind, string, int) {
		return CVE, strings.ReplaceAll(strings.ToUpper(text[i:j]), " ", "-"), j
	})
	s.each(attackForm, func(i, j int) (Kind, string, int) {
		if c := s.at(j); c == '.' && digit(s.at(j+1)) {
			return "", "", j
		}
		return Attack, text[i:j], j
	})
	s.each(bitcoinForm, func(i, j int) (Kind, string, int) {
		if !strings.HasPrefix(text[i:j], "bc1") && !base58Check(text[i:j]) {
			return "", "", j
		}
		return Bitcoin, text[i:j], j
	})
	s.each(ethereumForm, func(i, j int) (Kind, string, int) { return Ethereum, text[i:j], j })
	s.each(asnForm, s.asn)
	for _, m := range unixForm.FindAllStringSubmatchIndex(text, -1) {
		s.add(Path, strings.TrimRight(text[m[2]:m[3]], "."), m[2], m[3])
	}
	s.each(domainForm, s.domain)
	s.each(fileForm, func(i, j int) (Kind, string, int) { return File, text[i:j], j })
	return s.found
}

func (s *scanner) at(i int) byte {
	if i < 0 || i >= len(s.text) {
		return 0
	}
	return s.text[i]
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
func word(c byte) bool {
	return digit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

// each offers every match of a form that nothing has taken yet.
func (s *scanner) each(form *regexp.Regexp, read func(i, j int) (Kind, string, int)) {
	for _, m := range form.FindAllStringIndex(s.text, -1) {
		i, j := m[0], m[1]
		if s.taken[i] != 0 || s.taken[j-1] != 0 {
			continue
		}
		if kind, value, end := read(i, j); kind != "" {
			s.add(kind, value, i, end)
		}
	}
}

func (s *scanner) add(kind Kind, value string, i, j int) {
	if value == "" || i < len(s.taken) && s.taken[i] != 0 {
		return
	}
	for k := i; k < j; k++ {
		s.taken[k] = 1
	}
	if key := string(kind) + value; !s.seen[key] {
		s.seen[key] = true
		s.found = append(s.found, Indicator{Kind: kind, Value: value, Alone: s.alone(i, j)})
	}
}

// alone reports whether nothing but separators of cells stands beside a value
// on its line.
func (s *scanner) alone(i, j int) bool {
	for i > 0 && strings.IndexByte(" \t\"'|-*", s.text[i-1]) >= 0 {
		i--
	}
	for j < len(s.text) && strings.IndexByte(" \t\"'|", s.text[j]) >= 0 {
		j++
	}
	before, after := s.at(i-1), s.at(j)
	return (before == 0 || before == '\n' || before == ',' || before == ';') && (after == 0 || after == '\n' || after == '\r' || after == ',' || after == ';')
}

// url cuts off what belongs to the sentence around a URL.
func (s *scanner) url(i, j int) (Kind, string, int) {
	v := s.text[i:j]
	for v != "" {
		last := v[len(v)-1]
		if last == ')' && strings.Count(v, "(") >= strings.Count(v, ")") {
			break
		}
		if strings.IndexByte(".,;:!?)'*_…", last) < 0 {
			break
		}
		v = v[:len(v)-1]
	}
	_, rest, _ := strings.Cut(v, "://")
	host := rest
	if n := strings.IndexAny(host, "/?#"); n >= 0 {
		host = host[:n]
	}
	if host == "" || !strings.Contains(host, ".") {
		return "", "", j
	}
	return URL, v, i + len(v)
}

func (s *scanner) email(i, j int) (Kind, string, int) {
	v := strings.TrimLeft(s.text[i:j], "-'%.")
	_, host, _ := strings.Cut(v, "@")
	if !known(host) || s.at(j) == '.' && word(s.at(j+1)) {
		return "", "", j
	}
	return Email, v, j
}

func (s *scanner) ipv4(i, j int) (Kind, string, int) {
	if word(s.at(i-1)) || s.at(i-1) == '.' && digit(s.at(i-2)) || word(s.at(j)) || s.at(j) == '.' && digit(s.at(j+1)) || s.at(j) == '/' && digit(s.at(j+1)) {
		return "", "", j
	}
	v := s.text[i:j]
	if strings.Contains(v, "/") {
		if p, err := netip.ParsePrefix(v); err == nil {
			return IPv4, p.String(), j
		}
		return "", "", j
	}
	a, err := netip.ParseAddr(v)
	if err != nil {
		return "", "", j
	}
	return IPv4, a.String(), j
}

func (s *scanner) ipv6(i, j int) (Kind, string, int) {
	if word(s.at(i-1)) || s.at(i-1) == ':' || word(s.at(j)) || s.at(j) == ':' && word(s.at(j+1)) {
		return "", "", j
	}
	v := s.text[i:j]
	if len(v) < 6 || strings.Trim(v, ":") == "" {
		return "", "", j
	}
	if strings.Contains(v, "/") {
		if p, err := netip.ParsePrefix(v); err == nil {
			return IPv6, p.String(), j
		}
		return "", "", j
	}
	a, err := netip.ParseAddr(v)
	if err != nil || !a.Is6() {
		return "", "", j
	}
	return IPv6, a.String(), j
}

func (s *scanner) mac(i, j int) (Kind, string, int) {
	if c := s.at(j); (c == ':' || c == '-') && word(s.at(j+1)) || (s.at(i-1) == ':' || s.at(i-1) == '-') && word(s.at(i-2)) {
		return "", "", j
	}
	digits := strings.ToLower(strings.NewReplacer("-", "", ":", "", ".", "").Replace(s.text[i:j]))
	var v strings.Builder
	v.WriteString(digits[:2])
	for k := 2; k < len(digits); k += 2 {
		v.WriteString(":" + digits[k:k+2])
	}
	return MAC, v.String(), j
}

func (s *scanner) hash(i, j int) (Kind, string, int) {
	v := strings.ToLower(s.text[i:j])
	if strings.Trim(v, v[:1]) == "" {
		return "", "", j // 0000…
	}
	kinds := map[int]Kind{32: MD5, 40: SHA1, 56: SHA224, 64: SHA256, 96: SHA384, 128: SHA512}
	return kinds[len(v)], v, j
}

func (s *scanner) asn(i, j int) (Kind, string, int) {
	n, err := strconv.ParseUint(strings.TrimLeft(s.text[i:j], "ASNasn "), 10, 32)
	if err != nil || n == 0 || n == 1<<32-1 { // RFC 7300
		return "", "", j
	}
	return ASN, "AS" + strconv.FormatUint(n, 10), j
}

func (s *scanner) domain(i, j int) (Kind, string, int) {
	v := strings.ToLower(s.text[i:j])
	if c := s.at(i - 1); c == '@' || c == '/' || c == '\\' || c == '.' || c == '$' || c >= 0x80 || s.at(j) == '\\' || s.at(j) == '(' || s.at(j) == '@' || word(s.at(j)) {
		return "", "", j
	}
	if !known(v) || fileEnding(v) {
		return "", "", j
	}
	return Domain, v, j
}

// known reports whether a name is below a top-level domain that exists, or one
// of those that only Tor and the like resolve.
func known(host string) bool {
	host = strings.ToLower(strings.TrimRight(host, "."))
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "onion" || last == "i2p" || last == "bit" {
		return strings.Contains(host, ".")
	}
	suffix, icann := publicsuffix.PublicSuffix(host)
	for !icann && strings.Contains(suffix, ".") { // a private rule: look at what it is below
		suffix = suffix[strings.IndexByte(suffix, '.')+1:]
		_, icann = publicsuffix.PublicSuffix(suffix)
	}
	return icann && suffix != host
}

// fileEnding reports whether the last label is a country or a brand that in
// reports is a program's ending nearly always: build.sh, loader.py, a.zip.
func fileEnding(host string) bool {
	ending := host[strings.LastIndexByte(host, '.')+1:]
	return strings.Count(host, ".") == 1 && slices.Contains([]string{"sh", "py", "zip", "pl", "so", "rs", "md", "mov", "ps"}, ending)
}
