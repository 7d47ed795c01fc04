package member

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tocsin/internal/marking"
)

// A HandlingEntry is what markings ask of an organization before it may see what
// they mark (docs/markings.md). It replaces what was known before, whole; an empty
// one forgets it. The hub records what others vouch for: it grants nothing.
type HandlingEntry struct {
	Nationality  string           `json:"nationality,omitempty" yaml:"nationality"`   // GENC, three capital letters, such as USA
	Sector       string           `json:"sector,omitempty" yaml:"sector"`             // of critical infrastructure, such as financial-services
	Path         string           `json:"path,omitempty" yaml:"path"`                 // in ACS, such as USA.DHS.US-CERT
	Entity       string           `json:"entity,omitempty" yaml:"entity"`             // MIL, GOV, CTR, SVR, SVC, DEV or NET
	Shareability []string         `json:"shareability,omitempty" yaml:"shareability"` // NCC, EM, LE, IC
	Groups       []string         `json:"groups,omitempty" yaml:"groups"`             // CDC, CIKR, DIB, FIN, ISAC, NONFED, PRIVATESECTOR
	Agreements   []string         `json:"agreements,omitempty" yaml:"agreements"`     // such as PCII or CUI
	Clearances   []ClearanceEntry `json:"clearances,omitempty" yaml:"clearances"`
}

// A ClearanceEntry is somebody's assertion that an organization is cleared.
type ClearanceEntry struct {
	Level   string   `json:"level" yaml:"level"`               // C, S or TS
	Caveats []string `json:"caveats,omitempty" yaml:"caveats"` // compartments and caveats that it includes
	Sponsor string   `json:"sponsor" yaml:"sponsor"`           // who asserts it
	Expires string   `json:"expires" yaml:"expires"`           // a date (its end, UTC) or an RFC 3339 time
}

// leaves reports whether the entry of a document changes nothing of what is known.
func (h *HandlingEntry) leaves(known *HandlingEntry) bool {
	if h == nil {
		return true
	}
	if known == nil {
		known = &HandlingEntry{}
	}
	a, _ := json.Marshal(h) // texts and lists: nothing that can fail
	b, _ := json.Marshal(known)
	return bytes.Equal(a, b)
}

func sectors() []string {
	return []string{
		"chemical", "commercial-facilities", "communications", "critical-manufacturing", "dams", "dib", "emergency-services", "energy",
		"financial-services", "food-agriculture", "government-facilities", "healthcare-public", "it", "nuclear", "transport", "water",
	}
}

var (
	nationalityPattern = regexp.MustCompile(`^[A-Z]{3}$`)
	pathPattern        = regexp.MustCompile(`^[A-Z0-9]+(\.[A-Z0-9][A-Z0-9-]*){1,2}$`)
	wordPattern        = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._/-]{0,63}$`)
)

// mostHandling bounds each list of an entry.
const mostHandling = 64

func (c *checker) handling(at string, h *HandlingEntry) {
	if h == nil {
		return
	}
	c.matches(at+"/nationality", h.Nationality, nationalityPattern, "this is no country", "write three capital letters, such as USA")
	c.matches(at+"/path", h.Path, pathPattern, "this is no organization as ACS writes it", "write it like USA.DHS or USA.DHS.US-CERT")
	c.among(at+"/sector", h.Sector, sectors())
	c.among(at+"/entity", h.Entity, []string{"MIL", "GOV", "CTR", "SVR", "SVC", "DEV", "NET"})
	c.words(at+"/shareability", h.Shareability, []string{"NCC", "EM", "LE", "IC"})
	c.words(at+"/groups", h.Groups, []string{"CDC", "CIKR", "DIB", "FIN", "ISAC", "NONFED", "PRIVATESECTOR"})
	c.words(at+"/agreements", h.Agreements, nil)
	if len(h.Clearances) > mostHandling {
		c.add(at+"/clearances", "the list is too long", "keep those that count")
	}
	for i, e := range h.Clearances {
		at := at + "/clearances/" + strconv.Itoa(i)
		if l, ok := marking.ParseLevel(e.Level); !ok || l == marking.Unclassified {
			c.add(at+"/level", "this is no level of clearance", "write C, S or TS")
		}
		c.words(at+"/caveats", e.Caveats, nil)
		if e.Sponsor == "" {
			c.add(at+"/sponsor", "a clearance needs a sponsor", "say who vouches for it: the hub records clearances, it grants none")
		}
		c.text(at+"/sponsor", e.Sponsor, longestTitle)
		if t, err := expiry(e.Expires); err != nil || t.IsZero() {
			c.add(at+"/expires", "a clearance needs a date on which it ends", "write it like 2027-12-31 or 2027-12-31T12:00:00Z")
		}
	}
}

func (c *checker) matches(at, text string, p *regexp.Regexp, message, hint string) {
	if text != "" && !p.MatchString(text) {
		c.add(at, message, hint)
	}
}

func (c *checker) among(at, text string, known []string) {
	if text != "" && !slices.Contains(known, text) {
		c.add(at, "this word is not known here", "write one of "+list(known))
	}
}

// words checks a list of words; any word will do when none are known.
func (c *checker) words(at string, all, known []string) {
	if len(all) > mostHandling {
		c.add(at, "the list is too long", "keep what counts")
		return
	}
	for i, w := range all {
		at := at + "/" + strconv.Itoa(i)
		if c.matches(at, w, wordPattern, "this is no word", "use letters, digits, space and . _ / -"); w == "" {
			c.add(at, "this is empty", "remove it")
		}
		if known != nil {
			c.among(at, w, known)
		}
	}
}

func list(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// attributes returns what the decision table asks about an organization.
func (o organizationDoc) attributes() marking.Attributes {
	a := marking.Attributes{Organization: o.Name, Kind: o.Kind}
	h := o.Handling
	if h == nil || !o.Removed.IsZero() {
		return a
	}
	a.Nationality, a.Sector, a.Path, a.Entity = h.Nationality, h.Sector, h.Path, h.Entity
	a.Shareability, a.Groups, a.Agreements = h.Shareability, h.Groups, h.Agreements
	for _, e := range h.Clearances {
		level, ok := marking.ParseLevel(e.Level)
		until, err := expiry(e.Expires)
		if ok && err == nil && !until.IsZero() { // what cannot be read clears nobody
			a.Clearances = append(a.Clearances, marking.Clearance{Level: level, Caveats: e.Caveats, Sponsor: e.Sponsor, Expires: until})
		}
	}
	return a
}

// Attributes returns what is known of every organization as a reader of what is
// marked, by name.
func (s *Service) Attributes() map[string]marking.Attributes {
	all := map[string]marking.Attributes{}
	for name, o := range s.now.Load().organizations {
		all[name] = o.attributes()
	}
	return all
}
