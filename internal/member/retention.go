package member

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A RetentionRule says for how long a community keeps what is of some types. What
// no rule names is kept. A rule that names a type goes before the one that names
// every other ("*").
type RetentionRule struct {
	Types []string `json:"types" yaml:"types"`         // STIX types, or "*" for every other one
	Days  int      `json:"days,omitempty" yaml:"days"` // after date_added, 1 to 36,500
	Keep  bool     `json:"keep,omitempty" yaml:"keep"` // instead of days: for good, whatever "*" says
	Why   string   `json:"why" yaml:"why"`             // the law, agreement or decision that says so; stands in the ledger
}

// EveryType is the type of the rule for what no other rule names.
const EveryType = "*"

// Explaining types are never expired: without its marking-definition an object
// is closed to everybody but its owner, and what extension-definitions explain
// outlives them.
func explaining(kind string) bool {
	return kind == "marking-definition" || kind == "extension-definition"
}

// A Kept says for how long objects of one type of one community are kept.
type Kept struct {
	Community   string
	Collections []Collection
	Type        string   // or [EveryType]
	But         []string // types that are not meant by [EveryType]
	Time        time.Duration
	Rule        string // for the ledger: what the rule says, and why
}

// Retention returns what expires, by community and rule, in the hub's whole
// directory.
func (s *Service) Retention() (kept []Kept) {
	d := s.present()
	for _, c := range sorted(d.communities) {
		g := d.groups[c.Name]
		if g == nil {
			continue
		}
		but := []string{"marking-definition", "extension-definition"}
		for _, r := range c.Retention {
			but = append(but, r.Types...)
		}
		for _, r := range c.Retention {
			for _, kind := range r.Types {
				if r.Keep {
					continue
				}
				k := Kept{Community: c.Name, Collections: g.collections, Type: kind, Time: time.Duration(r.Days) * 24 * time.Hour}
				k.Rule = kind + " is kept for " + strconv.Itoa(r.Days) + " days: " + r.Why
				if kind == EveryType {
					k.But = but
				}
				kept = append(kept, k)
			}
		}
	}
	return kept
}

// What the rules of one community may be.
const (
	mostRetentionRules = 64
	mostRetentionTypes = 64
	mostRetentionDays  = 36_500
	longestWhy         = 500
)

var typePattern = regexp.MustCompile(`^[a-z0-9-]{3,250}$`) // STIX 2.1 §3.1

func (c *checker) retention(at string, rules []RetentionRule) {
	if len(rules) > mostRetentionRules {
		c.add(at, "there are more than 64 rules", "put types that are kept equally long into one")
		return
	}
	var seen []string
	for i, r := range rules {
		at := at + "/" + strconv.Itoa(i)
		if len(r.Types) == 0 || len(r.Types) > mostRetentionTypes {
			c.add(at+"/types", "a rule is for between 1 and 64 types", `write [observed-data, sighting], or ["*"] for every other`)
		}
		for _, kind := range r.Types {
			switch {
			case explaining(kind):
				c.add(at+"/types", "definitions do not expire: what they explain would be closed to everybody", "leave it out")
			case kind != EveryType && !typePattern.MatchString(kind):
				c.add(at+"/types", "this is no type of STIX objects", `write it like observed-data, or "*" for every other`)
			case slices.Contains(seen, kind):
				c.add(at+"/types", "a type stands in two rules", "keep one of them")
			}
			seen = append(seen, kind)
		}
		if r.Keep != (r.Days == 0) || r.Days < 0 || r.Days > mostRetentionDays {
			c.add(at+"/days", "a rule has either days, 1 to 36500, or keep", "write days: 365, or keep: true")
		}
		c.text(at+"/why", r.Why, longestWhy)
		if strings.TrimSpace(r.Why) == "" {
			c.add(at+"/why", "the rule has no reason", "cite the law, the agreement or the decision that it follows")
		}
	}
}
