package agent

import (
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
	heldPrivate  = "not a public address"
	heldWide     = "too wide"
	heldResolver = "name server"
	heldSuffix   = "public suffix"
	heldSite     = "well-known site"
	heldLocal    = "local name"
	heldAllowed  = "allow list"
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

// A guard knows what must not be blocked, whoever says so: a member that could
// be made to block its own name servers could be made to disappear.
type guard struct {
	networks bart.Table[string] // network → reason
	names    map[string]string  // name that stays as a whole → reason; parents of such a name are names, too
	allowed  map[string]bool    // names that stay with all that is below them
}

// newGuard returns a guard that also lets pass what entries name, and the hub.
func newGuard(entries []string, hub string) (*guard, error) {
	g := &guard{names: map[string]string{}, allowed: map[string]bool{}}
	for _, text := range special() {
		g.networks.Insert(netip.MustParsePrefix(text), heldPrivate)
	}
	for _, text := range AllowList(resolvers) {
		g.networks.Insert(prefixOf(text), heldResolver)
	}
	for _, name := range AllowList(sites) {
		g.name(name, heldSite)
	}
	for _, entry := range entries {
		v, ok := parseAny(entry)
		if !ok {
			return nil, &tocsin.Error{Kind: tocsin.Invalid, Message: "an entry of the allow list is no address, network or domain: " + printable(entry)}
		}
		g.allow(v)
	}
	if v, ok := parseAny(hub); ok { // or the next order to stop blocking would not arrive
		g.allow(v)
	}
	return g, nil
}

func (g *guard) allow(v match.Value) {
	if v.Kind() != match.Domain {
		g.networks.Insert(prefixOf(v.Text()), heldAllowed)
		return
	}
	g.allowed[v.Text()] = true
	g.name(v.Text(), heldAllowed)
}

// name protects a name, and its parents, which it would be blocked with.
func (g *guard) name(name, reason string) {
	for ok := true; ok; _, name, ok = strings.Cut(name, ".") {
		if g.names[name] == "" {
			g.names[name] = reason
		}
	}
}

// why returns why a value must not be blocked, "" when it may be.
func (g *guard) why(v match.Value) string {
	switch v.Kind() {
	case match.Address, match.Network:
		return g.network(prefixOf(v.Text()))
	case match.Domain:
		return g.domain(v.Text())
	case match.URL:
		return g.url(v.Text())
	case match.Hash, match.Email: // nothing blocks them by a list
	}
	return ""
}

func (g *guard) network(p netip.Prefix) string {
	if p.Addr().Is4() && p.Bits() < widest4 || p.Addr().Is6() && p.Bits() < widest6 {
		return heldWide
	}
	if reason, ok := g.networks.LookupPrefix(p); ok {
		return reason
	}
	for _, reason := range g.networks.Subnets(p) { // it would take them with it
		return reason
	}
	return ""
}

func (g *guard) domain(name string) string {
	for rest, ok := name, true; ok; _, rest, ok = strings.Cut(rest, ".") {
		if g.allowed[rest] {
			return heldAllowed
		}
		switch rest {
		case "localhost", "local", "localdomain", "internal", "lan", "home.arpa", "in-addr.arpa", "ip6.arpa": // RFC 6761, 6762, 8375, 9476
			return heldLocal
		}
	}
	if suffix, _ := publicsuffix.PublicSuffix(name); suffix == name {
		return heldSuffix
	}
	if reason := g.names[name]; reason != "" {
		return reason
	}
	return g.names[strings.TrimPrefix(name, "www.")]
}

// url looks at the host of a URL. One page of a well-known site may be blocked,
// but not its front page; on the member's own hosts nothing may.
func (g *guard) url(text string) string {
	_, rest, _ := strings.Cut(text, "://")
	host, path, _ := strings.Cut(rest, "/")
	if bracket := strings.IndexByte(host, ']'); bracket >= 0 {
		host = host[1:bracket]
	} else {
		host, _, _ = strings.Cut(host, ":")
	}
	v, ok := parseAny(host)
	if !ok {
		return barNoGood
	}
	reason := g.why(v)
	if path != "" && (reason == heldSite || reason == heldSuffix) {
		return ""
	}
	return reason
}

// prefixOf reads an address or a network that was read before.
func prefixOf(text string) netip.Prefix {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p
	}
	a := netip.MustParseAddr(text)
	return netip.PrefixFrom(a, a.BitLen())
}

// printable makes a text of the agent's own configuration fit to show.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), 100)])
}
