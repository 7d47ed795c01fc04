package guard

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the warning lists
	"io"
	"net/netip"
	"strings"
	"sync"

	"github.com/gaissmai/bart"
)

// warningLists are a reason and a value a line, made of the MISP warning lists
// (CC0; see README.md) by 'go test -update'.
//
//go:embed warninglists.txt.gz
var warningLists []byte

// lists are what is the same for every guard.
type lists struct {
	networks bart.Table[string]
	names    map[string]string
	hashes   map[string]string
}

// embedded returns the warning lists. They are read once: nobody changes them.
var embedded = sync.OnceValue(func() *lists { //nolint:gochecknoglobals // immutable
	z, err := gzip.NewReader(bytes.NewReader(warningLists))
	if err != nil {
		panic("guard: the embedded lists: " + err.Error())
	}
	text, err := io.ReadAll(z)
	if err != nil {
		panic("guard: the embedded lists: " + err.Error())
	}
	l := &lists{names: map[string]string{}, hashes: map[string]string{}}
	reason := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if heading, ok := strings.CutPrefix(line, "# "); ok {
			reason = heading
			continue
		}
		switch {
		case reason == FalsePositive:
			l.hashes[line] = reason
		case line[len(line)-1] >= '0' && line[len(line)-1] <= '9' || strings.Contains(line, ":"):
			l.networks.Insert(PrefixOf(line), reason)
		default:
			l.names[line] = reason
		}
	}
	return l
})

// PrefixOfAny reads an address or a network, false for what is neither.
func prefixOfAny(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}
