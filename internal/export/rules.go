package export

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"tocsin/internal/match"
)

func itoa(n int) string { return strconv.Itoa(n) }

// FirstSID begins the range of our rule numbers: above those of Snort, Emerging
// Threats and local rules.
const (
	FirstSID = 3_900_000_000
	lastSID  = 1<<32 - 1
)

// SIDs give every value a number of its own that it keeps: rules of the same
// value have the same number after each export, and a number of a value that
// has gone is not given to another.
type SIDs struct {
	Next    uint32            `json:"next"`
	Numbers map[string]uint32 `json:"numbers"` // kind and text → number

	hashed bool // nobody keeps the numbers
	taken  map[uint32]bool
}

// Of returns the number of a value. Where nobody keeps the numbers it follows
// from the value, and from the others only where two would have the same: of
// 100,000 values about a dozen.
func (s *SIDs) Of(v match.Value) uint32 {
	key := v.Kind().String() + " " + v.Text()
	if n, ok := s.Numbers[key]; ok {
		return n
	}
	if s.Numbers == nil {
		s.Numbers = map[string]uint32{}
	}
	if s.hashed {
		n := s.free(key)
		s.Numbers[key] = n
		return n
	}
	s.Next = max(s.Next, FirstSID)
	n := s.Next
	if s.Next < lastSID {
		s.Next++
	}
	s.Numbers[key] = n
	return n
}

// free returns a number for a value that no other has.
func (s *SIDs) free(key string) uint32 {
	const numbers = lastSID - FirstSID + 1
	sum := sha256.Sum256([]byte(key))
	n := binary.BigEndian.Uint64(sum[:]) % numbers
	for s.taken[uint32(FirstSID+n)] {
		n = (n + 1) % numbers
	}
	if s.taken == nil {
		s.taken = map[uint32]bool{}
	}
	s.taken[uint32(FirstSID+n)] = true
	return uint32(FirstSID + n)
}

func (w *writer) sid(v match.Value) uint32 {
	if w.SIDs == nil {
		w.SIDs = &SIDs{hashed: true}
	}
	return w.SIDs.Of(v)
}

func (w *writer) verb() string {
	if w.Drop {
		return "drop"
	}
	return "alert"
}

// content writes a text as rules have it: what is no letter, digit, dot, slash
// or dash is hexadecimal, so nothing in it can end it (MISP#9756).
func content(text string) string {
	var b strings.Builder
	inHex := false
	for _, c := range []byte(text) {
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '/' || c == '-' || c == '_'
		if plain == inHex {
			b.WriteByte('|')
			inHex = !plain
		} else if inHex {
			b.WriteByte(' ')
		}
		if plain {
			b.WriteByte(c)
			continue
		}
		const digits = "0123456789ABCDEF"
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	if inHex {
		b.WriteByte('|')
	}
	return b.String()
}

// address writes an address as rules have it: an IPv6 one needs brackets where
// more than one stands.
func address(text string) string { return "[" + text + "]" }

// urlParts takes a URL apart: its host, and its path with the query.
func urlParts(url string) (host, path string) {
	_, rest, _ := strings.Cut(url, "://")
	host, path, _ = strings.Cut(rest, "/")
	return host, "/" + path
}

// withoutPort is a host as Suricata's http.host has it: without its port, an IPv6
// address in its brackets.
func withoutPort(host string) string {
	if at := strings.LastIndexByte(host, ':'); at > strings.LastIndexByte(host, ']') {
		return host[:at]
	}
	return host
}

// suricata writes rules for Suricata 6 and later. Names are anchored: dotprefix
// and endswith match a name and what is below it, and no other that ends alike.
func suricata(w *writer, s *Set) {
	for _, i := range s.Items {
		v := i.Value
		end := `classtype:trojan-activity; sid:` + strconv.FormatUint(uint64(w.sid(v)), 10) + `; rev:1;)` + "\n"
		begin := w.verb() + " "
		text := v.Text()
		switch v.Kind() {
		case match.Address, match.Network:
			w.printf(`%sip $HOME_NET any -> %s any (msg:"Tocsin: address"; %s`, begin, address(text), end)
		case match.Endpoint:
			a := netip.MustParseAddrPort(text)
			w.printf(`%sip $HOME_NET any -> %s %d (msg:"Tocsin: endpoint"; %s`, begin, address(a.Addr().String()), a.Port(), end)
		case match.Domain:
			w.printf(`%sdns $HOME_NET any -> any any (msg:"Tocsin: domain"; dns.query; dotprefix; content:".%s"; nocase; endswith; %s`, begin, content(text), end)
		case match.URL:
			host, path := urlParts(text)
			host = withoutPort(host)
			w.printf(`%shttp $HOME_NET any -> any any (msg:"Tocsin: URL"; http.host; content:"%s"; bsize:%d; http.uri.raw; content:"%s"; startswith; %s`, begin, content(host), len(host), content(path), end)
		case match.JA3:
			w.printf(`%stls $HOME_NET any -> any any (msg:"Tocsin: JA3"; ja3.hash; content:"%s"; %s`, begin, text, end)
		case match.JA4:
			w.printf(`%stls $HOME_NET any -> any any (msg:"Tocsin: JA4"; ja4.hash; content:"%s"; %s`, begin, content(text), end)
		case match.Hash, match.Email, match.ASN, match.FileName, match.RegistryKey, match.Mutex, match.UserAgent:
		}
	}
}

// snort writes rules for Snort 3.
func snort(w *writer, s *Set) {
	for _, i := range s.Items {
		v := i.Value
		end := `classtype:trojan-activity; sid:` + strconv.FormatUint(uint64(w.sid(v)), 10) + `; rev:1;)` + "\n"
		text := v.Text()
		switch v.Kind() {
		case match.Address, match.Network:
			w.printf(`%s ip $HOME_NET any -> %s any (msg:"Tocsin: address"; %s`, w.verb(), address(text), end)
		case match.Endpoint:
			a := netip.MustParseAddrPort(text)
			w.printf(`%s ip $HOME_NET any -> %s %d (msg:"Tocsin: endpoint"; %s`, w.verb(), address(a.Addr().String()), a.Port(), end)
		case match.Domain:
			w.printf(`%s udp $HOME_NET any -> any 53 (msg:"Tocsin: domain"; content:"%s",nocase; %s`, w.verb(), wire(text), end)
		case match.URL:
			host, path := urlParts(text)
			// bufferlen counts from where the last content ended, so it comes first.
			w.printf(`%s http (msg:"Tocsin: URL"; http_header:field host; bufferlen:%d; content:"%s",nocase; http_raw_uri; content:"%s",depth %d; %s`,
				w.verb(), len(host), content(host), content(path), len(path), end)
		case match.Hash, match.Email, match.JA3, match.JA4, match.ASN, match.FileName, match.RegistryKey, match.Mutex, match.UserAgent:
		}
	}
}

// wire is a name as it goes over the wire (RFC 1035 §3.1), with its end: the
// first length anchors it at a label, the zero at the root.
func wire(name string) string {
	var b strings.Builder
	for label := range strings.SplitSeq(name, ".") {
		const digits = "0123456789ABCDEF"
		b.WriteByte('|')
		b.WriteByte(digits[len(label)>>4])
		b.WriteByte(digits[len(label)&15])
		b.WriteByte('|')
		b.WriteString(label)
	}
	b.WriteString("|00|")
	return b.String()
}

func suricataDataset(w *writer, s *Set) {
	for _, d := range s.of(match.Domain) {
		w.printf("%s\n", base64.StdEncoding.EncodeToString([]byte(d)))
	}
}

// zeek writes an intelligence file (Zeek's Intel framework): fields are divided
// by tabs, and what would divide or end them is escaped.
func zeek(w *writer, s *Set) {
	w.printf("#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\n")
	for _, i := range s.Items {
		text, kind := i.Value.Text(), ""
		switch i.Value.Kind() {
		case match.Address:
			kind = "Intel::ADDR"
		case match.Network:
			kind = "Intel::SUBNET"
		case match.Domain:
			kind = "Intel::DOMAIN"
		case match.URL: // without the scheme
			kind = "Intel::URL"
			_, text, _ = strings.Cut(text, "://")
		case match.Hash:
			kind = "Intel::FILE_HASH"
		case match.Email:
			kind = "Intel::EMAIL"
		case match.FileName:
			kind = "Intel::FILE_NAME"
		case match.UserAgent:
			kind = "Intel::SOFTWARE"
		case match.Endpoint, match.JA3, match.JA4, match.ASN, match.RegistryKey, match.Mutex:
			continue
		}
		w.printf("%s\t%s\ttocsin\t%s\n", zeekText(text), kind, zeekText(i.ID))
	}
}

func zeekText(text string) string {
	var b strings.Builder
	for n, c := range []byte(text) {
		if c < ' ' || c == 0x7f || c == '\\' || c == '#' && n == 0 {
			b.WriteString(`\x` + strconv.FormatUint(uint64(c)+0x100, 16)[1:])
			continue
		}
		b.WriteByte(c)
	}
	if text == "-" || text == "(empty)" {
		return `\x2d` + text[1:]
	}
	return b.String()
}
