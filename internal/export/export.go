// Package export writes indicators as rules and lists for defenses, and nothing else into them.
package export

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"tocsin"
	"tocsin/internal/guard"
	"tocsin/internal/indicator"
	"tocsin/internal/match"
)

// An Item is a value that may be exported.
type Item struct {
	Value match.Value
	ID    string // of the indicator that names it; its value when that has none
	Until time.Time
}

// A Rule is one that an indicator carries: YARA, Sigma and so on.
type Rule struct{ ID, Kind, Text string }

// A Set is what may be exported, in order, each value once.
type Set struct {
	Items []Item
	Rules []Rule
	Held  map[string]int // how many values are left out, by reason
	Made  time.Time
}

// The reasons to leave a value out, beside those of the guard.
const (
	NotAllowed = "its producer does not allow it (PAP, IEP)"
	NotValid   = "not valid now"
	NoPlace    = "the format has no place for it"
	TooFew     = "named by too few organizations"
	TooUnsure  = "its producer is not sure enough"
	TooOld     = "too old for its kind"
)

// Terms are what a value has to meet, besides what its producer allows.
type Terms struct {
	Now   time.Time
	Guard *guard.Guard // asked by formats that block; to see a call to a well-known site does no harm
	// Sources is how many organizations have to name a value, each by itself; up
	// to 1: one.
	Sources int
	// Confidence is the least that counts, from 1 to 100 (STIX 2.1 Appendix A). An
	// indicator without one has none that would count. 0: any, and none.
	Confidence int
	Decay      Decay
}

// Select takes what a format has a place for and that meets the terms. A value
// that several indicators name is there when one of them, or as many as the
// terms ask for, would be there alone.
func Select(all iter.Seq[indicator.Indicator], f Format, t Terms) Set {
	s := selection{Set: Set{Held: map[string]int{}, Made: t.Now}, format: f, terms: t, seen: map[match.Value]int{}}
	if t.Sources > 1 {
		s.few = map[match.Value]*few{}
	}
	for in := range all {
		switch reason := s.refuses(&in); {
		case reason != "":
			s.Held[reason] += max(1, len(in.Values))
		case in.Rule != "" && in.Kind == f.Carries:
			s.Rules = append(s.Rules, Rule{in.ID, in.Kind, in.Rule})
		default:
			for _, v := range in.Values {
				s.value(&in, v)
			}
		}
	}
	if len(s.few) > 0 {
		s.Held[TooFew] += len(s.few)
	}
	slices.SortFunc(s.Items, func(x, y Item) int {
		return cmp.Or(cmp.Compare(x.Value.Kind(), y.Value.Kind()), cmp.Compare(x.Value.Text(), y.Value.Text()))
	})
	slices.SortFunc(s.Rules, func(x, y Rule) int { return cmp.Or(cmp.Compare(x.ID, y.ID), cmp.Compare(x.Text, y.Text)) })
	return s.Set
}

// A selection is a set being made.
type selection struct {
	Set

	format Format
	terms  Terms
	seen   map[match.Value]int  // value → place among the items
	few    map[match.Value]*few // values that too few name so far
}

// few is a value and who names it.
type few struct {
	item Item
	by   []string
}

// refuses says why an indicator does not count at all, "" when it does. A rule
// that it carries is one organization's word.
func (s *selection) refuses(in *indicator.Indicator) string {
	switch {
	case !in.Valid(s.terms.Now):
		return NotValid
	case in.Action < s.format.Needs:
		return NotAllowed
	case in.Confidence < s.terms.Confidence:
		return TooUnsure
	case s.few != nil && in.Rule != "" && in.Kind == s.format.Carries:
		return TooFew
	}
	return ""
}

// value takes one value of an indicator that counts.
func (s *selection) value(in *indicator.Indicator, v match.Value) {
	if !slices.Contains(s.format.Kinds, v.Kind()) {
		s.Held[NoPlace]++
		return
	}
	if s.format.Needs >= indicator.Block {
		if reason := s.terms.Guard.Why(v); reason != "" {
			s.Held[reason]++
			return
		}
	}
	left, ends := s.terms.Decay.left(in, v.Kind(), s.terms.Now)
	switch {
	case left <= 0:
		s.Held[TooOld]++
		return
	case float64(in.Confidence)*left < float64(s.terms.Confidence):
		s.Held[TooUnsure]++
		return
	}
	until := earlier(in.Until, ends)
	if at, known := s.seen[v]; known {
		s.Items[at].Until = later(s.Items[at].Until, until)
		return
	}
	item := Item{v, cmp.Or(in.ID, v.Text()), until}
	if s.few != nil {
		w := s.few[v]
		if w == nil {
			w = &few{item: item}
			s.few[v] = w
		}
		w.item.Until = later(w.item.Until, until)
		if by := cmp.Or(in.Creator, "nobody in particular"); !slices.Contains(w.by, by) {
			w.by = append(w.by, by)
		}
		if len(w.by) < s.terms.Sources {
			return
		}
		item = w.item
		delete(s.few, v)
	}
	s.seen[v] = len(s.Items)
	s.Items = append(s.Items, item)
}

// earlier and later compare ends, of which zero is none.
func earlier(x, y time.Time) time.Time {
	if x.IsZero() || !y.IsZero() && y.Before(x) {
		return y
	}
	return x
}

func later(x, y time.Time) time.Time {
	if x.IsZero() || y.IsZero() {
		return time.Time{}
	}
	if y.After(x) {
		return y
	}
	return x
}

// of yields the texts of the values of some kinds.
func (s *Set) of(kinds ...match.Kind) (texts []string) {
	for _, i := range s.Items {
		if slices.Contains(kinds, i.Value.Kind()) {
			texts = append(texts, i.Value.Text())
		}
	}
	return texts
}

// A Format is a way to write indicators for a defense.
type Format struct {
	Name    string
	Title   string           // what it is for, in one line
	Kinds   []match.Kind     // what it has a place for
	Needs   indicator.Action // what a producer must allow
	Carries string           // the pattern_type of rules that it passes on; "" for none
	write   func(w *writer, s *Set)
}

// Write writes a set. What is written has a rule for each value and no other.
func (f Format) Write(w io.Writer, s Set, o Options) error {
	b := &writer{Writer: bufio.NewWriterSize(w, 64<<10), Options: o}
	f.write(b, &s)
	if b.err == nil {
		b.err = b.Flush()
	}
	if b.err != nil {
		return fmt.Errorf("export: %w", b.err)
	}
	return nil
}

// Options are what formats ask about.
type Options struct {
	SIDs *SIDs // numbers of Suricata and Snort rules; nil: such as follow from the values, see [SIDs.Of]
	Drop bool  // such rules drop, and do not only alert
}

// A writer remembers its first error.
type writer struct {
	*bufio.Writer
	Options

	err error
}

func (w *writer) printf(format string, arguments ...any) {
	if _, err := fmt.Fprintf(w.Writer, format, arguments...); w.err == nil {
		w.err = err
	}
}

func (w *writer) lines(texts []string) {
	for _, t := range texts {
		w.printf("%s\n", t)
	}
}

// Find returns the format of a name.
func Find(name string) (Format, error) {
	for _, f := range Formats() {
		if f.Name == name {
			return f, nil
		}
	}
	return Format{}, &tocsin.Error{Kind: tocsin.Invalid, Message: "there is no such format", Hint: "'tocsin export --help' lists them"}
}

// Formats returns all formats, by name.
func Formats() []Format {
	const block, detect, any1 = indicator.Block, indicator.Detect, indicator.Keep
	addresses := []match.Kind{match.Address, match.Network}
	names := []match.Kind{match.Domain}
	urls := []match.Kind{match.URL}
	hosts := []match.Kind{match.Address, match.Network, match.Domain}
	web := []match.Kind{match.Address, match.Network, match.Domain, match.URL}
	network := []match.Kind{match.Address, match.Network, match.Domain, match.URL, match.Endpoint, match.JA3, match.JA4}
	var all []match.Kind
	for k := match.Address; k <= match.UserAgent; k++ {
		all = append(all, k)
	}
	formats := []Format{
		{Name: "blocklist", Title: "addresses, networks, domains and URLs, one a line", Kinds: web, Needs: block, write: func(w *writer, s *Set) { w.lines(s.of(web...)) }},
		{Name: "edl-ip", Title: "external dynamic list of addresses (Palo Alto and others)", Kinds: addresses, Needs: block, write: func(w *writer, s *Set) { w.lines(s.of(addresses...)) }},
		{Name: "edl-domain", Title: "external dynamic list of domains", Kinds: names, Needs: block, write: func(w *writer, s *Set) { w.lines(s.of(names...)) }},
		{Name: "edl-url", Title: "external dynamic list of URLs, without the scheme", Kinds: urls, Needs: block, write: edlURL},
		{Name: "hosts", Title: "hosts file", Kinds: names, Needs: block, write: hostsFile},
		{Name: "dnsmasq", Title: "dnsmasq configuration; answers that the name does not exist", Kinds: names, Needs: block, write: dnsmasq},
		{Name: "unbound", Title: "Unbound local zones", Kinds: names, Needs: block, write: unbound},
		{Name: "rpz", Title: "DNS response policy zone (BIND, Unbound, Knot, PowerDNS)", Kinds: hosts, Needs: block, write: rpz},
		{Name: "nftables", Title: "nftables sets and rules, replaced as one transaction", Kinds: addresses, Needs: block, write: nftables},
		{Name: "ipset", Title: "ipset sets, swapped in whole", Kinds: addresses, Needs: block, write: ipset},
		{Name: "squid", Title: "Squid ACLs", Kinds: web, Needs: block, write: squid},
		{Name: "postfix", Title: "Postfix access table: client, helo and sender", Kinds: []match.Kind{match.Address, match.Domain, match.Email}, Needs: block, write: postfix},
		{Name: "haproxy", Title: "HAProxy map of domains, for map_dom or map_end", Kinds: names, Needs: block, write: func(w *writer, s *Set) { spaced(w, s, names, "deny") }},
		{Name: "haproxy-ip", Title: "HAProxy map of addresses, for map_ip", Kinds: addresses, Needs: block, write: func(w *writer, s *Set) { spaced(w, s, addresses, "deny") }},
		{Name: "nginx", Title: "nginx geo and map blocks", Kinds: hosts, Needs: block, write: nginx},
		{Name: "modsecurity", Title: "ModSecurity and Coraza rules", Kinds: addresses, Needs: block, write: modsecurity},
		{Name: "suricata", Title: "Suricata rules", Kinds: network, Needs: detect, Carries: "suricata", write: suricata},
		{Name: "suricata-dataset", Title: "Suricata dataset of domains, base64", Kinds: names, Needs: detect, write: suricataDataset},
		{Name: "snort3", Title: "Snort 3 rules", Kinds: []match.Kind{match.Address, match.Network, match.Domain, match.URL, match.Endpoint}, Needs: detect, Carries: "snort", write: snort},
		{Name: "zeek", Title: "Zeek intelligence file", Kinds: []match.Kind{match.Address, match.Network, match.Domain, match.URL, match.Hash, match.Email, match.FileName, match.UserAgent}, Needs: detect, write: zeek},
		{Name: "sigma", Title: "Sigma rules", Kinds: []match.Kind{match.Address, match.Network, match.Domain, match.URL, match.Hash}, Needs: detect, Carries: "sigma", write: sigma},
		{Name: "yara", Title: "YARA rules that indicators carry, and one for sums of files", Kinds: []match.Kind{match.Hash}, Needs: detect, Carries: "yara", write: yara},
		{Name: "osquery", Title: "osquery pack", Kinds: []match.Kind{match.Address, match.Domain, match.Hash}, Needs: detect, write: osquery},
		{Name: "elastic", Title: "Elastic threat-indicator documents, for the bulk API", Kinds: all, Needs: detect, write: elastic},
		{Name: "splunk", Title: "Splunk lookup (CSV)", Kinds: all, Needs: detect, write: table},
		{Name: "sentinel", Title: "Microsoft Sentinel watchlist (CSV)", Kinds: all, Needs: detect, write: table},
		{Name: "csv", Title: "CSV, safe to open in a spreadsheet", Kinds: all, Needs: any1, write: table},
		{Name: "json", Title: "JSON lines", Kinds: all, Needs: any1, write: jsonLines},
		{Name: "misp", Title: "MISP event", Kinds: all, Needs: any1, write: misp},
		{Name: "stix", Title: "STIX 2.1 bundle of indicators", Kinds: all, Needs: any1, write: stixBundle},
	}
	slices.SortFunc(formats, func(x, y Format) int { return cmp.Compare(x.Name, y.Name) })
	return formats
}
