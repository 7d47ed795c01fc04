package export

import (
	"net/netip"
	"slices"
	"strings"

	"tocsin/internal/guard"
	"tocsin/internal/match"
)

func edlURL(w *writer, s *Set) {
	for _, u := range s.of(match.URL) {
		_, rest, _ := strings.Cut(u, "://")
		w.printf("%s\n", rest)
	}
}

// hostsFile writes for each name 0.0.0.0, which goes nowhere. What is below a
// name is not blocked: hosts files cannot say that.
func hostsFile(w *writer, s *Set) {
	for _, d := range s.of(match.Domain) {
		w.printf("0.0.0.0 %s\n", d)
	}
}

func dnsmasq(w *writer, s *Set) {
	for _, d := range s.of(match.Domain) {
		w.printf("local=/%s/\n", d)
	}
}

func unbound(w *writer, s *Set) {
	w.printf("server:\n")
	for _, d := range topmost(s.of(match.Domain)) { // a zone covers what is below it, and may be given once
		w.printf("\tlocal-zone: \"%s.\" always_nxdomain\n", d)
	}
}

// topmost leaves out names below others.
func topmost(names []string) (kept []string) {
	have := make(map[string]bool, len(names))
	for _, n := range names {
		have[n] = true
	}
	for _, n := range names {
		covered := false
		for _, rest, ok := strings.Cut(n, "."); ok && !covered; _, rest, ok = strings.Cut(rest, ".") {
			covered = have[rest]
		}
		if !covered {
			kept = append(kept, n)
		}
	}
	return kept
}

// rpz writes a response policy zone (draft-vixie-dnsop-dns-rpz-00). Names that
// are too long with the zone's own behind them are left out by their parents.
func rpz(w *writer, s *Set) {
	w.printf("$TTL 300\n@ SOA localhost. hostmaster.localhost. %d 300 60 604800 60\n@ NS localhost.\n", uint32(s.Made.Unix()))
	const longest = 253 - len("rpz.tocsin.") - len("*.")
	for _, d := range s.of(match.Domain) {
		if len(d) > longest {
			continue
		}
		w.printf("%s CNAME .\n*.%s CNAME .\n", d, d)
	}
	for _, a := range s.of(match.Address, match.Network) {
		w.printf("%s CNAME .\n", rpzAddress(guard.PrefixOf(a)))
	}
}

// rpzAddress is an address as an owner name: 32.1.2.0.192.rpz-ip, and for IPv6
// 128.1.zz.db8.2001.rpz-ip, where zz stands for "::".
func rpzAddress(p netip.Prefix) string {
	var parts []string
	if p.Addr().Is4() {
		parts = strings.Split(p.Addr().String(), ".")
	} else {
		text := p.Addr().String()
		switch {
		case text == "::":
			text = "zz"
		case strings.HasPrefix(text, "::"):
			text = "zz:" + text[2:]
		case strings.HasSuffix(text, "::"):
			text = text[:len(text)-2] + ":zz"
		default:
			text = strings.Replace(text, "::", ":zz:", 1)
		}
		parts = strings.Split(text, ":")
	}
	slices.Reverse(parts)
	bits := p.Bits()
	return itoa(bits) + "." + strings.Join(parts, ".") + ".rpz-ip"
}

// disjoint returns networks in order, without those within others: a set of
// intervals takes no overlaps.
func disjoint(texts []string, four bool) []netip.Prefix {
	var all []netip.Prefix
	for _, t := range texts {
		if p := guard.PrefixOf(t); p.Addr().Is4() == four {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	kept := all[:0]
	for _, p := range all {
		if n := len(kept); n == 0 || !kept[n-1].Overlaps(p) {
			kept = append(kept, p)
		}
	}
	return kept
}

func short(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// nftables writes a table that is made anew in one transaction: 'nft -f FILE'.
// A comment has the size of each set, for whoever checks that it is there.
func nftables(w *writer, s *Set) {
	texts := s.of(match.Address, match.Network)
	w.printf("add table inet tocsin_export\ndelete table inet tocsin_export\ntable inet tocsin_export {\n")
	for _, family := range [...]struct {
		name, kind string
		four       bool
	}{{"blocked4", "ipv4_addr", true}, {"blocked6", "ipv6_addr", false}} {
		all := disjoint(texts, family.four)
		w.printf("\t# %d elements\n\tset %s {\n\t\ttype %s\n\t\tflags interval\n", len(all), family.name, family.kind)
		for i, p := range all {
			before := ", "
			if i == 0 {
				before = "\t\telements = { "
			}
			w.printf("%s%s", before, short(p))
		}
		if len(all) > 0 {
			w.printf(" }\n")
		}
		w.printf("\t}\n")
	}
	for _, hook := range [...]struct{ name, ends string }{{"input", "saddr"}, {"output", "daddr"}, {"forward", "saddr daddr"}} {
		w.printf("\tchain %s {\n\t\ttype filter hook %s priority -10; policy accept;\n", hook.name, hook.name)
		for end := range strings.FieldsSeq(hook.ends) {
			w.printf("\t\tip %s @blocked4 counter drop\n\t\tip6 %s @blocked6 counter drop\n", end, end)
		}
		w.printf("\t}\n")
	}
	w.printf("}\n")
}

// ipset writes sets beside the ones in use and swaps them: 'ipset restore -! <
// FILE'. The size is that of what is in them.
func ipset(w *writer, s *Set) {
	texts := s.of(match.Address, match.Network)
	for _, family := range [...]struct {
		name, kind string
		four       bool
	}{{"tocsin4", "inet", true}, {"tocsin6", "inet6", false}} {
		all := disjoint(texts, family.four)
		size := max(1024, len(all))
		for _, name := range [...]string{family.name, family.name + "-new"} {
			w.printf("create %s hash:net family %s maxelem %d -exist\n", name, family.kind, size)
		}
		w.printf("flush %s-new\n", family.name)
		for _, p := range all {
			w.printf("add %s-new %s\n", family.name, short(p))
		}
		w.printf("swap %s-new %s\ndestroy %s-new\n", family.name, family.name, family.name)
	}
}

// squid writes a configuration to include. A regular expression that is
// anchored at both ends stands for each URL.
func squid(w *writer, s *Set) {
	groups := false
	for _, p := range disjoint(s.of(match.Address, match.Network), true) {
		w.printf("acl tocsin_dst dst %s\n", short(p))
		groups = true
	}
	for _, p := range disjoint(s.of(match.Address, match.Network), false) {
		w.printf("acl tocsin_dst dst %s\n", short(p))
		groups = true
	}
	if groups {
		w.printf("http_access deny tocsin_dst\n")
	}
	groups = false
	for _, d := range topmost(s.of(match.Domain)) { // squid refuses a name below another
		w.printf("acl tocsin_domain dstdomain .%s\n", d)
		groups = true
	}
	if groups {
		w.printf("http_access deny tocsin_domain\n")
	}
	groups = false
	for _, u := range s.of(match.URL) {
		w.printf("acl tocsin_url url_regex ^%s(\\?.*)?$\n", quoteRegexp(u))
		groups = true
	}
	if groups {
		w.printf("http_access deny tocsin_url\n")
	}
}

// quoteRegexp escapes what means something in a POSIX expression. Squid also
// takes a # for a comment, a % for a macro and a quote for a quoted text.
func quoteRegexp(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("/:=&-_~,;@!", c) >= 0:
			b.WriteByte(c)
		default:
			b.WriteString("[" + string(rune(c)) + "]")
		}
	}
	return b.String()
}

func postfix(w *writer, s *Set) {
	for _, t := range s.of(match.Address, match.Domain, match.Email) {
		w.printf("%s REJECT\n", t)
	}
}

func spaced(w *writer, s *Set, kinds []match.Kind, answer string) {
	for _, t := range s.of(kinds...) {
		w.printf("%s %s\n", t, answer)
	}
}

// nginx writes two variables to test: $tocsin_address and $tocsin_host.
func nginx(w *writer, s *Set) {
	w.printf("geo $tocsin_address {\n\tdefault 0;\n")
	for _, t := range s.of(match.Address, match.Network) {
		w.printf("\t%s 1;\n", t)
	}
	names := s.of(match.Domain)
	longest := 64
	for _, d := range names {
		longest = max(longest, len(d)+1)
	}
	w.printf("}\nmap_hash_bucket_size %d;\nmap_hash_max_size %d;\nmap $host $tocsin_host {\n\thostnames;\n\tdefault 0;\n", power(longest+32), power(2*len(names)+2048))
	for _, d := range names {
		w.printf("\t.%s 1;\n", d)
	}
	w.printf("}\n")
}

// power returns the next power of two.
func power(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

// modsecurity writes one rule for a hundred addresses.
func modsecurity(w *writer, s *Set) {
	texts, id := s.of(match.Address, match.Network), firstModSecurity
	for some := range slices.Chunk(texts, 100) {
		w.printf("SecRule REMOTE_ADDR \"@ipMatch %s\" \"id:%d,phase:1,deny,log,msg:'Tocsin: shared indicator'\"\n", strings.Join(some, ","), id)
		id++
	}
}

// firstModSecurity begins a range of rule numbers that is for local use.
const firstModSecurity = 90_000
