package stix

import (
	"bytes"
	_ "embed" // the registries
)

// This file has the names that other standards' registries give. Where the
// files come from, registry/README.md says.

var (
	//go:embed registry/charsets.txt
	charsets string
	//go:embed registry/media-types.txt
	mediaTypes string
	//go:embed registry/protocols.txt
	protocols string
	//go:embed registry/ipfix.txt
	ipfixElements string
	//go:embed registry/http-fields.txt
	httpFields string
	//go:embed registry/socket-options.txt
	socketOptions string
)

// listed reports whether a name is a line of a list that is in the order of its
// bytes.
func listed(list string, name []byte) bool {
	low, high := 0, len(list) // the line, if it is there, begins in list[low:high]
	for low < high {
		middle := (low + high) / 2
		for middle > low && list[middle-1] != '\n' {
			middle--
		}
		end := middle
		for list[end] != '\n' {
			end++
		}
		switch line := list[middle:end]; {
		case line == string(name):
			return true
		case line < string(name):
			low = end + 1
		default:
			high = middle
		}
	}
	return false
}

// listedAnyCase does so for a list in lower case and a name in any.
func listedAnyCase(list string, name []byte) bool {
	var lower [128]byte
	if len(name) > len(lower) {
		return false
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
	}
	return listed(list, lower[:len(name)])
}

func isCharset(s []byte) bool { return listed(charsets, s) }

// isMediaType reports whether s is a registered media type, with parameters or
// without.
func isMediaType(s []byte) bool {
	s, _, _ = bytes.Cut(s, []byte(";"))
	return listedAnyCase(mediaTypes, bytes.TrimSpace(s))
}

// shouldBeMediaType warns of MIME types that no registry has.
func shouldBeMediaType(c *checker, _, v Value) {
	if !c.options.ErrorsOnly && !isMediaType(v.inside()) {
		c.warn(v, "STIX 2.1 §6.1.1", "a media type of the IANA registry should be used")
	}
}

// shouldBeProtocols warns of protocols that the registry of service names does
// not have in that spelling, and of a network protocol that stands inside of
// what it carries.
func shouldBeProtocols(c *checker, _, v Value) {
	const clause = "STIX 2.1 §6.12.1"
	if c.options.ErrorsOnly {
		return
	}
	transport := Value{}
	for _, e := range v.Elements() {
		s := e.inside()
		if !listed(protocols, s) {
			c.warn(e, clause, "a protocol should be a service name of the IANA registry, in lower case")
		}
		switch string(s) {
		case "ipv4", "ipv6", "ip":
			if transport.Exists() {
				c.warn(transport, clause, "protocols are listed from the outer to the inner: a network protocol stands before those that it carries")
			}
			return // what follows may be a tunnel
		case "tcp", "udp", "sctp", "dccp":
			transport = e
		}
	}
}

// protocolOf says which protocol an extension of network traffic stands for.
var protocolOf = map[string][]string{ //nolint:gochecknoglobals // immutable table
	"http-request-ext": {"http", "https", "http2", "http3"},
	"tcp-ext":          {"tcp"},
	"icmp-ext":         {"icmp", "icmpv6", "ipv6-icmp", "icmp6"},
}

// shouldListProtocols warns of extensions of network traffic whose protocol is
// not among the protocols (STIX 2.1 §6.12.1).
func shouldListProtocols(c *checker, o, _ Value) {
	if c.options.ErrorsOnly {
		return
	}
	for name, e := range o.Get("extensions").Members() {
		names := protocolOf[name]
		found := len(names) == 0
		for _, p := range o.Get("protocols").Elements() {
			for _, n := range names {
				found = found || p.Is(n)
			}
		}
		if !found {
			c.warn(e, "STIX 2.1 §6.12.1", "the protocol of this extension should be listed in protocols")
		}
	}
}

// isIPFIX reports whether a key is the name of an IPFIX information element.
func isIPFIX(key []byte) bool { return listed(ipfixElements, key) }

// isHTTPField reports whether a key is the name of a header field of HTTP.
func isHTTPField(key []byte) bool { return listedAnyCase(httpFields, key) }

// isSocketOption reports whether a key is the name of a socket option.
func isSocketOption(key []byte) bool { return listed(socketOptions, key) }
