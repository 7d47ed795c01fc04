// Package guard knows what must not be blocked, whoever says so.
package guard

import (
	"cmp"
	_ "embed" // what is never blocked
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"
	"golang.org/x/net/publicsuffix"

	"tocsin"
	"tocsin/internal/match"
)

// The reasons not to block a value.
const (
	Private       = "not a public address"
	Wide          = "too wide"
	Resolver      = "name server"
	Suffix        = "public suffix"
	Site          = "well-known site"
	Local         = "local name"
	Allowed       = "allow list"
	Sinkhole      = "sinkhole" // the threat is gone, and only victims call there
	Shared        = "shared by many"
	FalsePositive = "known false positive" // the sum of an empty file, or of one that is everywhere
	NotAValue     = "not a value"          // nothing that could be compared with anything
)

// The widest networks that are blocked.
const (
	widest4 = 16
	widest6 = 32
)

// resolvers are addresses of public resolvers and of the DNS root; sites are
// names without which most people would say that the Internet is broken.
var (
	//go:embed resolvers.txt
	resolvers string
	//go:embed sites.txt
	sites string
)

// special are the networks that no block list should hold: those of the member
// itself, and those that are not for hosts (RFC 6890). Documentation networks
// are not among them: nobody uses them, and examples do.
func special() []string {
	return []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
		"::/8", "64:ff9b::/32", "2002::/16", // they lead to IPv4 addresses
		"fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	}
}

// A Guard knows what must not be blocked, whoever says so: a member that could
// be made to block its own name servers could be made to disappear.
type Guard struct {
	networks bart.Table[string] // network → reason
	names    map[string]string  // name that stays as a whole → reason; parents of such a name are names, too
	allowed  map[string]bool    // names that stay with all that is below them
	lists    *lists             // the same for everybody
}

// New returns a guard that also lets pass what entries name, and the hub.
func New(entries []string, hub string) (*Guard, error) {
	g := &Guard{names: map[string]string{}, allowed: map[string]bool{}, lists: embedded()}
	for _, text := range special() {
		g.networks.Insert(netip.MustParsePrefix(text), Private)
	}
	for _, text := range AllowList(resolvers) {
		g.networks.Insert(PrefixOf(text), Resolver)
	}
	for _, name := range AllowList(sites) {
		g.name(name, Site)
	}
	for _, entry := range entries {
		v, ok := ParseAny(entry)
		if !ok {
			return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "an entry of the allow list is no address, network or domain: " + Printable(entry)}
		}
		g.allow(v)
	}
	if v, ok := ParseAny(hub); ok { // or the next order to stop blocking would not arrive
		g.allow(v)
	}
	return g, nil
}

func (g *Guard) allow(v match.Value) {
	if v.Kind() != match.Domain {
		g.networks.Insert(PrefixOf(v.Text()), Allowed)
		return
	}
	g.allowed[v.Text()] = true
	g.name(v.Text(), Allowed)
}

// name protects a name, and its parents, which it would be blocked with.
func (g *Guard) name(name, reason string) {
	for ok := true; ok; _, name, ok = strings.Cut(name, ".") {
		if g.names[name] == "" {
			g.names[name] = reason
		}
	}
}

// Why returns why a value must not be blocked, "" when it may be.
func (g *Guard) Why(v match.Value) string {
	switch v.Kind() {
	case match.Address, match.Network:
		return g.network(PrefixOf(v.Text()))
	case match.Domain:
		return g.domain(v.Text())
	case match.URL:
		return g.url(v.Text())
	case match.Endpoint:
		return g.network(PrefixOf(netip.MustParseAddrPort(v.Text()).Addr().String()))
	case match.Hash:
		return g.lists.hashes[v.Text()]
	case match.Email, match.JA3, match.JA4, match.ASN, match.FileName, match.RegistryKey, match.Mutex, match.UserAgent: // no list has them
	}
	return ""
}

func (g *Guard) network(p netip.Prefix) string {
	if p.Addr().Is4() && p.Bits() < widest4 || p.Addr().Is6() && p.Bits() < widest6 {
		return Wide
	}
	if reason, ok := g.networks.LookupPrefix(p); ok {
		return reason
	}
	for _, reason := range g.networks.Subnets(p) { // it would take them with it
		return reason
	}
	if reason, ok := g.lists.networks.LookupPrefix(p); ok {
		return reason
	}
	for _, reason := range g.lists.networks.Subnets(p) {
		return reason
	}
	return ""
}

func (g *Guard) domain(name string) string {
	for rest, ok := name, true; ok; _, rest, ok = strings.Cut(rest, ".") {
		if g.allowed[rest] {
			return Allowed
		}
		switch rest {
		case "localhost", "local", "localdomain", "internal", "lan", "home.arpa", "in-addr.arpa", "ip6.arpa": // RFC 6761, 6762, 8375, 9476
			return Local
		}
	}
	if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name {
		return Suffix
	}
	if reason := g.names[name]; reason != "" {
		return reason
	}
	bare := strings.TrimPrefix(name, "www.")
	return cmp.Or(g.names[bare], g.lists.names[name], g.lists.names[bare])
}

// url looks at the host of a URL. One page of a well-known site may be blocked,
// but not its front page; on the member's own hosts nothing may.
func (g *Guard) url(text string) string {
	_, rest, _ := strings.Cut(text, "://")
	host, path, _ := strings.Cut(rest, "/")
	if bracket := strings.IndexByte(host, ']'); bracket >= 0 {
		host = host[1:bracket]
	} else {
		host, _, _ = strings.Cut(host, ":")
	}
	v, ok := ParseAny(host)
	if !ok {
		return NotAValue
	}
	reason := g.Why(v)
	if path != "" && (reason == Site || reason == Suffix || reason == Shared) {
		return ""
	}
	return reason
}

// PrefixOf reads an address or a network that was read before.
func PrefixOf(text string) netip.Prefix {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p
	}
	a := netip.MustParseAddr(text)
	return netip.PrefixFrom(a, a.BitLen())
}

// Printable makes a text of the agent's own configuration fit to show.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), 100)])
}

// AllowList reads what is never to be blocked: an address, network or domain a
// line, which stands for its subdomains as well. What follows a # is a comment.
func AllowList(text string) []string {
	var entries []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			entries = append(entries, line)
		}
	}
	return entries
}

// ParseAny reads an address, a network or a domain.
func ParseAny(text string) (match.Value, bool) {
	if v, ok := match.Parse(match.Network, text); ok {
		return v, true
	}
	return match.Parse(match.Domain, text)
}
