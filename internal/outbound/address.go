package outbound

import "net/netip"

// special are the blocks that are not for hosts on the Internet, or that lead
// to other addresses (IANA special-purpose address registries; RFC 6890). What
// is not in 2000::/3 is not public either.
var special = prefixes( //nolint:gochecknoglobals // immutable table: parsed once
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23",     // protocol assignments, Teredo among them, which leads to IPv4
	"2001:db8::/32", // documentation
	"2002::/16",     // 6to4, which leads to IPv4
	"3fff::/20",     // documentation
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		all[i] = netip.MustParsePrefix(t)
	}
	return all
}

// public reports whether an address belongs to a host on the Internet. The
// services that clouds offer to whoever runs inside them (169.254.169.254,
// fd00:ec2::254) do not. The address must be unmapped.
func public(a netip.Addr) bool {
	if !a.IsValid() || a.Is6() && !netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20}), 3).Contains(a) {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
