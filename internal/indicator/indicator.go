// Package indicator reads what can be looked for, and what may be done with it, from STIX, MISP, CSV and plain lists.
package indicator

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/internal/match"
	"tocsin/stix"
	"tocsin/stix/pattern"
	"tocsin/tlp"
)

// An Indicator is a value, or several of which each decides alone, and what its
// producer allows to be done with it.
type Indicator struct {
	ID      string // of the STIX object or the MISP attribute; "" when the source has none
	Name    string // for people; it may be any text
	Values  []match.Value
	From    time.Time // when it becomes valid; zero: always was
	Until   time.Time // when it is no longer valid; zero: never
	Action  Action    // what may be done at most
	TLP     tlp.Label
	Rule    string // a YARA, Sigma, Suricata or Snort rule that it carries
	Kind    string // of the rule: the STIX pattern_type
	Benign  bool   // it shows what is harmless: nothing to look for
	Revoked bool
	Version time.Time // the STIX property modified
	Creator string    // id of the identity that says so; "" when the source has none

	// Confidence is the producer's own, from 1 to 100 (STIX 2.1 Appendix A); 0: none is stated.
	Confidence int
	// Marked are the markings that only a policy explains, see [Policy]. Until
	// then they allow nothing.
	Marked []string
	// Quiet says that to tell of it would tell too many that it exists: TLP:RED.
	Quiet  bool
	Unread int // constants of its pattern that are no value
	// Pattern is the STIX pattern when Values are not all that can make it match:
	// it joins comparisons, or events, or is about times. It may be no pattern.
	Pattern string
}

// Valid reports whether it is to be used at a moment.
func (in *Indicator) Valid(now time.Time) bool {
	return !in.Revoked && !in.Benign && !now.Before(in.From) && (in.Until.IsZero() || now.Before(in.Until))
}

// An Action is what may be done with an indicator, by PAP (MISP taxonomy) and
// by the permitted_actions of FIRST IEP 2.0. Each includes those before it.
type Action uint8

// The actions.
const (
	Keep   Action = iota // store and read it: IEP none, contact-for-instruction
	Detect               // look for it where nobody outside can notice: PAP:RED, internally-visible-actions
	Ask                  // ask third parties about it: PAP:AMBER
	Block                // block it, which the other side can notice: PAP:GREEN, externally-visible-indirect-actions
	Any                  // PAP:CLEAR, externally-visible-direct-actions
)

// String returns the action's name.
func (a Action) String() string {
	return [...]string{"keep", "detect", "ask", "block", "any"}[a]
}

// iepExtension is the STIX extension of FIRST IEP 2.0.
const iepExtension = "extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a"

// pap returns what a label allows, false for what is no PAP label.
func pap(label string) (Action, bool) {
	label = strings.ToUpper(strings.Trim(label, `"`))
	label = strings.ReplaceAll(label, `"`, "")
	name, ok := strings.CutPrefix(strings.Replace(label, "=", ":", 1), "PAP:")
	if !ok {
		return 0, false
	}
	switch name {
	case "RED":
		return Detect, true
	case "AMBER":
		return Ask, true
	case "GREEN":
		return Block, true
	case "CLEAR", "WHITE":
		return Any, true
	}
	return Keep, true // a label of a later version: the most restrictive
}

// iep returns what permitted_actions allows. What is unknown allows least
// (FIRST IEP 2.0).
func iep(permitted string) Action {
	switch permitted {
	case "internally-visible-actions":
		return Detect
	case "externally-visible-indirect-actions":
		return Block
	case "externally-visible-direct-actions":
		return Any
	}
	return Keep
}

// Policies are the actions that marking-definitions allow, by their ids.
type Policies map[string]Action

// Policy reads a marking-definition with an IEP policy, a PAP statement, or a
// statement that is text only. It reports false for any other object: what a
// marking of another kind allows is not known.
func Policy(v stix.Value) (id string, allowed Action, ok bool) {
	id = v.Get("id").Text()
	if kind, _, isID := stix.SplitID(id); !isID || kind != "marking-definition" || !v.Get("type").Is("marking-definition") {
		return "", 0, false
	}
	if ext := v.Get("extensions").Get(iepExtension); ext.Exists() {
		return id, iep(ext.Get("permitted_actions").Text()), true
	}
	if a, ok := pap(v.Get("definition").Get("statement").Text()); ok {
		return id, a, true
	}
	if a, ok := pap(v.Get("name").Text()); ok {
		return id, a, true
	}
	if v.Get("definition_type").Is("statement") && !v.Get("extensions").Exists() {
		return id, Any, true // text for people (STIX 2.1 §7.2.1.3)
	}
	return "", 0, false
}

// Allowed returns what may be done at most when all of an indicator's markings
// count. One that has no policy allows to keep the indicator and no more.
func (p Policies) Allowed(in *Indicator) Action {
	allowed := in.Action
	for _, ref := range in.Marked {
		allowed = min(allowed, p[ref]) // Keep for what is not known
	}
	return allowed
}

// Explain reports whether all of an indicator's markings are known.
func (p Policies) Explain(in *Indicator) bool {
	for _, ref := range in.Marked {
		if _, ok := p[ref]; !ok {
			return false
		}
	}
	return true
}

// FromSTIX reads a STIX indicator; its Action leaves out of account what its
// Marked say. It reports false for any other object.
func FromSTIX(v stix.Value) (Indicator, bool) {
	kind, _, ok := stix.SplitID(v.Get("id").Text())
	if !ok || kind != "indicator" || !v.Get("type").Is("indicator") {
		return Indicator{}, false
	}
	in := Indicator{
		ID: v.Get("id").Text(), Name: v.Get("name").Text(), Action: Any, Revoked: v.Get("revoked").True(), Creator: v.Get("created_by_ref").Text(),
	}
	in.Version, _ = stix.ParseTime(v.Get("modified").Text())
	in.From, _ = stix.ParseTime(v.Get("valid_from").Text())
	in.Until, _ = stix.ParseTime(v.Get("valid_until").Text())
	if n, ok := v.Get("confidence").Int(); ok && n >= 0 && n <= 100 {
		in.Confidence = int(n)
	}
	for _, t := range v.Get("indicator_types").Elements() {
		in.Benign = in.Benign || t.Is("benign") // STIX 2.1 §10.6
	}
	in.mark(v)
	if in.Kind = v.Get("pattern_type").Text(); in.Kind != "stix" {
		in.Rule = v.Get("pattern").Text()
		return in, true
	}
	text := v.Get("pattern").Text()
	parsed, err := pattern.Parse(text)
	if err == nil {
		in.Values, in.Unread = Values(parsed)
	}
	if err != nil || !whole(parsed, len(in.Values) > 0) {
		in.Pattern = text
	}
	return in, true
}

// mark notes what the markings allow: the most restrictive of them counts.
func (in *Indicator) mark(v stix.Value) {
	for _, l := range v.Get("labels").Elements() {
		if a, ok := pap(l.Text()); ok {
			in.Action = min(in.Action, a)
		}
	}
	note := func(ref string) {
		if label, ok := tlp.FromMarking(ref); ok {
			in.TLP = max(in.TLP, label)
			in.Quiet = in.Quiet || label == tlp.Red
			return
		}
		if !slices.Contains(in.Marked, ref) {
			in.Marked = append(in.Marked, ref)
		}
	}
	for _, ref := range v.Get("object_marking_refs").Elements() {
		note(ref.Text())
	}
	for _, g := range v.Get("granular_markings").Elements() {
		if ref := g.Get("marking_ref"); ref.Exists() { // else it tells a language
			note(ref.Text())
		}
	}
	if ext := v.Get("extensions").Get(iepExtension); ext.Exists() {
		in.Action = min(in.Action, iep(ext.Get("permitted_actions").Text()))
	}
}

// Values returns what makes a pattern match by itself, in the order of the
// pattern, and how many constants cannot be read as a value.
func Values(p *pattern.Pattern) (found []match.Value, unread int) {
	if v, ok := endpoint(p); ok {
		return []match.Value{v}, 0
	}
	atoms := p.Alone()
	if all := p.Atoms(); len(all) == 1 && isSubset(p.Text(), all[0]) {
		atoms = all
	}
	seen := map[match.Value]bool{}
	for _, a := range atoms {
		kinds := kindsOf(a)
		if len(kinds) == 0 || !a.Window.IsZero() {
			continue
		}
		for _, literal := range a.Values {
			if literal.Kind != pattern.String && literal.Kind != pattern.Integer {
				continue
			}
			ok := false
			for _, k := range kinds {
				var v match.Value
				if v, ok = match.Parse(k, literal.Value); ok {
					if !seen[v] {
						seen[v] = true
						found = append(found, v)
					}
					break
				}
			}
			if !ok {
				unread++
			}
		}
	}
	return found, unread
}

// whole reports whether Values has read all of a pattern: whatever matches it
// has one of them.
func whole(p *pattern.Pattern, any bool) bool {
	if _, ok := endpoint(p); ok {
		return true
	}
	all := p.Atoms()
	if len(all) == 1 && isSubset(p.Text(), all[0]) {
		return any
	}
	for _, a := range p.Alone() {
		if len(kindsOf(a)) == 0 || !a.Window.IsZero() {
			return false
		}
	}
	return len(p.Alone()) == len(all)
}

// isSubset reports whether a pattern is nothing but [address ISSUBSET network],
// which every address of the network matches alone.
func isSubset(text string, a pattern.Atom) bool {
	return a.Op == pattern.IsSubset && !a.Negated && strings.TrimSpace(text[:a.Start]) == "[" && strings.TrimSpace(text[a.End:]) == "]"
}

// endpoint reads a pattern that is nothing but an address and a port of where
// traffic goes to, with the address's type or without, in any order.
func endpoint(p *pattern.Pattern) (match.Value, bool) {
	all, text := p.Atoms(), p.Text()
	if len(all) < 2 || len(all) > 3 {
		return match.Value{}, false
	}
	var address netip.Addr
	var port uint64
	said := map[string]string{} // path → constant
	end := 0
	for i, a := range all {
		before := "AND"
		if i == 0 {
			before = "["
		}
		if a.ObjectType != "network-traffic" || a.Op != pattern.Equal || a.Negated || !a.Window.IsZero() || strings.TrimSpace(text[end:a.Start]) != before {
			return match.Value{}, false
		}
		end = a.End
		literal := a.Values[0].Value
		if _, twice := said[a.Path]; twice {
			return match.Value{}, false
		}
		said[a.Path] = literal
		var err error
		switch a.Path {
		case "dst_ref.value":
			address, err = netip.ParseAddr(literal)
		case "dst_port":
			port, err = strconv.ParseUint(literal, 10, 16)
		case "dst_ref.type":
		default:
			return match.Value{}, false
		}
		if err != nil {
			return match.Value{}, false
		}
	}
	if !address.IsValid() || strings.TrimSpace(text[end:]) != "]" {
		return match.Value{}, false
	}
	family := map[bool]string{true: "ipv4-addr", false: "ipv6-addr"}[address.Is4()]
	if kind, typed := said["dst_ref.type"]; typed && kind != family {
		return match.Value{}, false
	}
	return match.Parse(match.Endpoint, netip.AddrPortFrom(address, uint16(port)).String()) // refuses the port 0: no port was said
}

// kindsOf returns what a comparison's constants can be, the likelier first;
// nothing for what no log or list holds as a value.
func kindsOf(a pattern.Atom) []match.Kind {
	switch a.ObjectType + ":" + a.Path {
	case "ipv4-addr:value", "ipv6-addr:value":
		return []match.Kind{match.Address}
	case "domain-name:value":
		return []match.Kind{match.Domain}
	case "url:value":
		return []match.Kind{match.URL}
	case "email-addr:value", "email-message:from_ref.value", "email-message:sender_ref.value":
		return []match.Kind{match.Email}
	case "network-traffic:dst_ref.value", "network-traffic:src_ref.value":
		return []match.Kind{match.Address, match.Domain}
	case "network-traffic:x_ja3": // STIX has no property for these two; our own exports say them so
		return []match.Kind{match.JA3}
	case "network-traffic:x_ja4":
		return []match.Kind{match.JA4}
	case "autonomous-system:number":
		return []match.Kind{match.ASN}
	case "file:name":
		return []match.Kind{match.FileName}
	case "windows-registry-key:key":
		return []match.Kind{match.RegistryKey}
	case "mutex:name":
		return []match.Kind{match.Mutex}
	case "network-traffic:extensions.'http-request-ext'.request_header.'User-Agent'":
		return []match.Kind{match.UserAgent}
	}
	if len(a.Steps) == 2 && a.Steps[0].Kind == pattern.KeyStep && a.Steps[0].Key == "hashes" && (a.ObjectType == "file" || a.ObjectType == "artifact") {
		return []match.Kind{match.Hash}
	}
	return nil
}
