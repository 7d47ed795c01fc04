package extract

import (
	"bytes"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/stix"
)

// A Document is what was read out of a file, and what it is proposed to share.
type Document struct {
	Title      string      // of the report
	Text       string      // for the report's description; "" for tables and messages
	Indicators []Indicator // that are proposed
	Context    []Indicator // that were found, and are left out: references, recipients, addresses that anybody has
}

// MostBytes is the size of the largest file that is read.
const MostBytes = 16 << 20

// ErrEmpty says that there is nothing in a file to propose.
var ErrEmpty = errors.New("no indicator was found")

// Reads reports whether a file of that name is text to read indicators out of:
// a report (.txt, .md), a message (.eml) or a table (.csv).
func Reads(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".txt", ".md", ".markdown", ".eml", ".csv":
		return true
	}
	return false
}

// Read reads a file by the ending of its name. Its errors do not quote the
// file.
func Read(name string, text []byte) (Document, error) {
	ending := strings.ToLower(filepath.Ext(name))
	if ending == ".eml" {
		return message(text)
	}
	if !utf8.Valid(text) {
		return Document{}, errors.New("the file is not UTF-8 text")
	}
	d := Document{Title: headline(string(text))}
	found := Find(string(text))
	if ending == ".csv" {
		d.Title = "Indicators of a table"
	} else {
		d.Text = string(text)
	}
	d.choose(found)
	if len(d.Indicators) == 0 {
		return d, ErrEmpty
	}
	return d, nil
}

// headline returns the first line that says something, without Markdown's
// marks.
func headline(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "#*=-_> "))
		if line == "" {
			continue
		}
		if len(line) > 120 {
			line = strings.ToValidUTF8(line[:120], "") + "…"
		}
		return line
	}
	return "Report"
}

// choose tells what is proposed from what is context. Who writes a report takes
// care that nobody follows what is malicious: when anything in the text is
// defanged, links that work are references. An e-mail address is somebody's
// until the text says that it is the attacker's, by defanging it or by giving
// it a line of its own.
func (d *Document) choose(found []Indicator) {
	careful := false
	for _, i := range found {
		careful = careful || i.Defanged
	}
	for _, i := range found {
		proposed := true
		switch i.Kind {
		case URL, Domain:
			proposed = !careful || i.Defanged || i.Alone
		case IPv4, IPv6:
			proposed = public(i.Value) && (!careful || i.Defanged || i.Alone)
		case Email:
			proposed = i.Defanged || i.Alone
		case CVE, Attack, ASN, File, Path, Registry:
			proposed = i.Kind == Registry
		case MD5, SHA1, SHA224, SHA256, SHA384, SHA512:
		case MAC, Bitcoin, Ethereum:
			proposed = false // STIX 2.1 has no pattern for a wallet, and a MAC address does not leave its network
		}
		if proposed && i.pattern() != "" {
			d.Indicators = append(d.Indicators, i)
		} else {
			d.Context = append(d.Context, i)
		}
	}
}

// public reports whether an address or a network may be somebody else's.
func public(value string) bool {
	p, err := netip.ParsePrefix(value)
	if err != nil {
		a, err := netip.ParseAddr(value)
		if err != nil {
			return false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	a := p.Addr()
	return p.Bits() >= 8 && !a.IsPrivate() && !a.IsLoopback() && !a.IsUnspecified() && !a.IsLinkLocalUnicast() && !a.IsMulticast()
}

// pattern returns the STIX pattern that finds an indicator (STIX 2.1 §9), ""
// when there is none.
func (i Indicator) pattern() string {
	path := map[Kind]string{
		URL: "url:value", Domain: "domain-name:value", IPv4: "ipv4-addr:value", IPv6: "ipv6-addr:value", Email: "email-addr:value",
		MD5: "file:hashes.MD5", SHA1: "file:hashes.'SHA-1'", SHA256: "file:hashes.'SHA-256'", SHA512: "file:hashes.'SHA-512'",
		Registry: "windows-registry-key:key", File: "file:name",
	}[i.Kind]
	if path == "" {
		return ""
	}
	return "[" + path + " = '" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(i.Value) + "']"
}

// Objects returns the document as STIX: an indicator for each value, and a
// report that holds them together.
func (d Document) Objects(now time.Time) [][]byte {
	at := now.UTC().Format("2006-01-02T15:04:05.000Z")
	var all [][]byte
	var refs []string
	for _, i := range d.Indicators {
		id := "indicator--" + stix.UUIDv4()
		refs = append(refs, id)
		all = append(all, object("indicator", id, at,
			"name", i.Value, "pattern", i.pattern(), "pattern_type", "stix", "valid_from", at))
	}
	fields := []string{"name", d.Title, "published", at}
	if d.Text != "" {
		fields = append(fields, "description", d.Text)
	}
	report := object("report", "report--"+stix.UUIDv4(), at, fields...)
	report = report[:len(report)-1]
	report = append(report, `,"object_refs":["`+strings.Join(refs, `","`)+`"]}`...)
	return append(all, report)
}

// object writes an object with text properties, given as name and value.
func object(kind, id, at string, fields ...string) []byte {
	var b bytes.Buffer
	b.WriteString(`{"type":"` + kind + `","spec_version":"2.1","id":"` + id + `","created":"` + at + `","modified":"` + at + `"`)
	for pair := range slices.Chunk(fields, 2) {
		b.WriteString(`,"` + pair[0] + `":`)
		b.Write(quote(pair[len(pair)-1]))
	}
	b.WriteByte('}')
	return b.Bytes()
}

// quote writes a text as a JSON string (RFC 8259 §7).
func quote(s string) []byte {
	const hex = "0123456789abcdef"
	b := append(make([]byte, 0, len(s)+2), '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, '\\', 'n')
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
