// Package coding compresses answers, each once, and decompresses bodies within bounds.
package coding

import (
	"strconv"
	"strings"
)

// A Coding is how content is written for the way (RFC 9110 §8.4.1).
type Coding uint8

// The codings that are spoken here, in the order in which they are preferred
// when a client likes several alike, least first.
const (
	Identity Coding = iota // as it is
	Gzip                   // RFC 1952
	Zstd                   // RFC 8878, with windows as RFC 9659 bounds them
	codings
)

// String returns the coding's name as Content-Encoding has it.
func (c Coding) String() string {
	switch c {
	case Gzip:
		return "gzip"
	case Zstd:
		return "zstd"
	case Identity, codings:
	}
	return "identity"
}

// Parse returns the coding with a name, false when it is not spoken here.
func Parse(name string) (Coding, bool) {
	switch name = strings.TrimSpace(name); {
	case strings.EqualFold(name, "identity"), name == "":
		return Identity, true
	case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"): // RFC 9110 §8.4.1.3: the same
		return Gzip, true
	case strings.EqualFold(name, "zstd"):
		return Zstd, true
	}
	return Identity, false
}

// Negotiate returns the coding that an Accept-Encoding header likes best, false
// when it takes none that is spoken here (RFC 9110 §12.5.3). Without the header
// the answer is not compressed, because clients that say nothing are often
// those that cannot decompress.
func Negotiate(header string) (Coding, bool) {
	switch header { // what nearly all clients send
	case "", "identity":
		return Identity, true
	case "gzip", "gzip, deflate", "gzip, deflate, br":
		return Gzip, true
	}
	const unsaid = -1
	weights := [codings]float64{unsaid, unsaid, unsaid}
	others := float64(unsaid)
	for part := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(part, ";")
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		if c, ok := Parse(name); ok {
			weights[c] = max(weights[c], weight(parameters))
		} else if name == "*" {
			others = weight(parameters)
		}
	}
	best, most := Identity, float64(0)
	for c := range codings {
		w := weights[c]
		switch {
		case w == unsaid && others != unsaid:
			w = others
		case w == unsaid && c == Identity:
			w = 0.0001 // taken unless excluded, and less than anything that is named
		}
		if w > 0 && w >= most {
			best, most = c, w
		}
	}
	return best, most > 0
}

// weight returns the q of one member of a list: 1 when it has none, 0 when it
// cannot be understood.
func weight(parameters string) float64 {
	name, value, found := strings.Cut(strings.TrimSpace(parameters), "=")
	if !found && strings.TrimSpace(name) == "" {
		return 1
	}
	w, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if !strings.EqualFold(strings.TrimSpace(name), "q") || err != nil || !(w >= 0 && w <= 1) {
		return 0
	}
	return w
}
