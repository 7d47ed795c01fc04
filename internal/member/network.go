package member

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tocsin"
	"tocsin/stix"
	"tocsin/tlp"
)

// A Network is a document that says which organizations and communities a hub
// has: communities as code. What it does not name stays as it is; an entry
// goes only when it says absent. A field that is empty in an entry that exists
// stays as it is too, so applying a document twice changes nothing. What an entry
// says of handling, privacy or retention replaces what was said before, whole.
type Network struct {
	Organizations []OrganizationEntry `json:"organizations,omitempty" yaml:"organizations"`
	Communities   []CommunityEntry    `json:"communities,omitempty" yaml:"communities"`
	TwoPeople     *bool               `json:"two_people,omitempty" yaml:"two_people"` // whether widening takes two people, when there are two; true

	lines map[string]int // JSON Pointer → line of the text it was read from
}

// An OrganizationEntry is somebody who may join communities.
type OrganizationEntry struct {
	Name     string      `json:"name" yaml:"name"` // [a-z0-9-]{1,63}
	Title    string      `json:"title,omitempty" yaml:"title"`
	Kind     string      `json:"kind,omitempty" yaml:"kind"`         // company, government, nonprofit or other
	Identity string      `json:"identity,omitempty" yaml:"identity"` // made by the hub
	Users    []UserEntry `json:"users,omitempty" yaml:"users"`
	Absent   bool        `json:"absent,omitempty" yaml:"absent"`

	Handling *HandlingEntry `json:"handling,omitempty" yaml:"handling"` // what markings ask of it
}

// A UserEntry is a person or a machine that acts for an organization.
type UserEntry struct {
	Name   string       `json:"name" yaml:"name"`
	Tokens []TokenEntry `json:"tokens,omitempty" yaml:"tokens"`
	Absent bool         `json:"absent,omitempty" yaml:"absent"`
}

// A TokenEntry is a secret by which the hub knows a user. The document never
// holds the secret itself.
type TokenEntry struct {
	Name     string `json:"name" yaml:"name"`
	ID       string `json:"id,omitempty" yaml:"id"`           // made by the hub
	Role     string `json:"role,omitempty" yaml:"role"`       // at most this role, in any community
	Purpose  string `json:"purpose,omitempty" yaml:"purpose"` // why it reads; needed where public power reads
	Expires  string `json:"expires,omitempty" yaml:"expires"` // a date (its end, UTC) or an RFC 3339 time
	Operator bool   `json:"operator,omitempty" yaml:"operator"`
	Absent   bool   `json:"absent,omitempty" yaml:"absent"`
}

// A CommunityEntry is an information-sharing group.
type CommunityEntry struct {
	Name        string            `json:"name" yaml:"name"` // [a-z0-9-]{1,63}; its TAXII API root
	Title       string            `json:"title,omitempty" yaml:"title"`
	Description string            `json:"description,omitempty" yaml:"description"`
	Default     string            `json:"default_tlp,omitempty" yaml:"default_tlp"` // amber when new
	Privacy     *Privacy          `json:"privacy,omitempty" yaml:"privacy"`         // replaces what was said before, whole; an empty one: the defaults
	Retention   []RetentionRule   `json:"retention,omitempty" yaml:"retention"`     // likewise; an empty list: everything is kept
	Rules       *string           `json:"rules,omitempty" yaml:"rules"`             // the text of its own rule file of the privacy gate; "": the hub's
	Members     []MemberEntry     `json:"members,omitempty" yaml:"members"`
	Collections []CollectionEntry `json:"collections,omitempty" yaml:"collections"`
	Absent      bool              `json:"absent,omitempty" yaml:"absent"`

	Charter   *Charter `json:"charter,omitempty" yaml:"charter"`       // what it says of itself
	TwoPeople *bool    `json:"two_people,omitempty" yaml:"two_people"` // whether what widens it takes two people; as in the hub
}

// A MemberEntry is an organization's part in a community.
type MemberEntry struct {
	Organization string `json:"organization" yaml:"organization"`
	Role         string `json:"role,omitempty" yaml:"role"`           // reader, writer, curator or operator
	Probation    string `json:"probation,omitempty" yaml:"probation"` // the last day on which it only reads, or "none"
	Status       string `json:"status,omitempty" yaml:"status"`       // active or suspended
	Reason       string `json:"reason,omitempty" yaml:"reason"`       // why it is suspended
	Absent       bool   `json:"absent,omitempty" yaml:"absent"`
}

// A CollectionEntry is a TAXII collection.
type CollectionEntry struct {
	Alias       string `json:"alias" yaml:"alias"` // unique in the community
	ID          string `json:"id,omitempty" yaml:"id"`
	Title       string `json:"title,omitempty" yaml:"title"`
	Description string `json:"description,omitempty" yaml:"description"`
	Absent      bool   `json:"absent,omitempty" yaml:"absent"`
}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// reserved names are paths of the hub itself, now or likely to be one day; a
// community's name is a path beside them.
func reserved(community string) bool {
	return slices.Contains([]string{
		"about", "admin", "api", "assets", "auth", "debug", "docs", "favicon", "healthz", "help", "log", "login", "logout",
		"metrics", "openapi", "readyz", "robots", "static", "stream", "taxii2", "ui", "web", "well-known", "witness",
	}, community)
}

func organizationKinds() []string { return []string{"company", "government", "nonprofit", "other"} }

// The longest texts that a document may hold, in bytes.
const (
	longestTitle       = 200
	longestDescription = 2000
	longestPurpose     = 200
	longestReason      = 1000
	longestRules       = 512 << 10
)

// refuse makes an error about a place of the document.
func (n *Network) refuse(kind tocsin.Kind, at, message, hint string) *tocsin.Error {
	return refusal(kind, n.line(at), at, message, hint)
}

// line returns the line of a place, or of what is around it when the place
// itself is not in the text; 0 when there is no text.
func (n *Network) line(at string) int {
	for at != "" && n.lines[at] == 0 {
		at = at[:strings.LastIndexByte(at, '/')]
	}
	return n.lines[at]
}

func refusal(kind tocsin.Kind, line int, at, message, hint string) *tocsin.Error {
	if line > 0 {
		message += " (line " + strconv.Itoa(line) + ")"
	}
	return &tocsin.Error{Kind: kind, At: at, Message: message, Hint: hint}
}

// checker collects everything that is wrong with a document by itself.
type checker struct {
	n     *Network
	wrong []error
}

// check reports what can be known without a directory: every problem at once,
// each a [*tocsin.Error].
func (n *Network) check() error {
	c := &checker{n: n}
	c.document()
	return errors.Join(c.wrong...)
}

func (c *checker) document() {
	n, seen := c.n, map[string]bool{}
	for i, o := range n.Organizations {
		at := "/organizations/" + strconv.Itoa(i)
		c.name(at+"/name", o.Name, "organization", seen)
		c.text(at+"/title", o.Title, longestTitle)
		if o.Kind != "" && !slices.Contains(organizationKinds(), o.Kind) {
			c.add(at+"/kind", "this is no kind of organization", "write company, government, nonprofit or other")
		}
		c.handling(at+"/handling", o.Handling)
		users := map[string]bool{}
		for j, u := range o.Users {
			at := at + "/users/" + strconv.Itoa(j)
			c.name(at+"/name", u.Name, "user", users)
			tokens := map[string]bool{}
			for k, t := range u.Tokens {
				c.token(at+"/tokens/"+strconv.Itoa(k), t, tokens)
			}
		}
	}
	seen = map[string]bool{}
	for i, entry := range n.Communities {
		at := "/communities/" + strconv.Itoa(i)
		c.name(at+"/name", entry.Name, "community", seen)
		if reserved(entry.Name) {
			c.add(at+"/name", "this name belongs to the hub's own pages", "choose another; it becomes the path of the community's TAXII API root")
		}
		c.community(at, entry)
	}
}

func (c *checker) community(at string, entry CommunityEntry) {
	c.text(at+"/title", entry.Title, longestTitle)
	c.text(at+"/description", entry.Description, longestDescription)
	if _, ok := tlp.Parse(entry.Default); entry.Default != "" && !ok {
		c.add(at+"/default_tlp", "this is no TLP label", "write clear, green, amber, amber+strict or red")
	}
	c.privacy(at+"/privacy", entry.Privacy)
	c.retention(at+"/retention", entry.Retention)
	c.charter(at+"/charter", entry.Charter)
	if entry.Rules != nil && len(*entry.Rules) > longestRules {
		c.add(at+"/rules", "the rule file is larger than 512 KiB", "begin with 'tocsin minimize --print-rules'")
	}
	members := map[string]bool{}
	for j, m := range entry.Members {
		at := at + "/members/" + strconv.Itoa(j)
		c.name(at+"/organization", m.Organization, "organization", members)
		c.member(at, m)
	}
	aliases := map[string]bool{}
	for j, l := range entry.Collections {
		at := at + "/collections/" + strconv.Itoa(j)
		c.name(at+"/alias", l.Alias, "collection", aliases)
		if stix.UUID(l.Alias) {
			c.add(at+"/alias", "an alias may not look like a collection's id", "choose a word")
		}
		c.text(at+"/title", l.Title, longestTitle)
		c.text(at+"/description", l.Description, longestDescription)
	}
}

// The states of a membership.
const (
	Active    = "active"
	Suspended = "suspended"
)

func (c *checker) member(at string, m MemberEntry) {
	if _, ok := tocsin.ParseRole(m.Role); !ok && (m.Role != "" || !m.Absent && m.Status == "" && m.Probation == "") {
		c.add(at+"/role", "a member needs a role", "write reader, writer, curator or operator")
	}
	if _, err := expiry(m.Probation); err != nil && m.Probation != "none" {
		c.add(at+"/probation", "this is no date", `write it like 2027-12-31, or "none"`)
	}
	c.among(at+"/status", m.Status, []string{Active, Suspended})
	c.text(at+"/reason", m.Reason, longestReason)
	if m.Status == Suspended && strings.TrimSpace(m.Reason) == "" {
		c.add(at+"/reason", "a suspension needs a reason", "say why, for the record and for whom it concerns")
	}
}

func (c *checker) privacy(at string, p *Privacy) {
	if p == nil {
		return
	}
	switch p.Path {
	case "", PathAutomatic, PathStrict:
	default:
		c.add(at+"/path", "this is no path of free text", "write automatic or strict")
	}
	if n := p.Reviewers; n < 0 || n > 2 {
		c.add(at+"/reviewers", "one or two people decide on a masked value", "write 1 or 2")
	}
	if n := p.WindowMinutes; n < 0 || n > 1440 {
		c.add(at+"/window_minutes", "anonymous submissions become visible every 1 to 1,440 minutes", "write a number of minutes, or 0 for at once")
	}
	if n := p.ReviewDays; n < 0 || n > 365 {
		c.add(at+"/review_days", "a value waits between 1 and 365 days for review", "write a number of days")
	}
}

func (c *checker) token(at string, t TokenEntry, seen map[string]bool) {
	c.name(at+"/name", t.Name, "token", seen)
	c.text(at+"/purpose", t.Purpose, longestPurpose)
	if _, ok := tocsin.ParseRole(t.Role); t.Role != "" && !ok {
		c.add(at+"/role", "this is no role", "write reader, writer, curator or operator, or leave it out for no limit")
	}
	if _, err := expiry(t.Expires); err != nil {
		c.add(at+"/expires", "this is no date", "write it like 2027-12-31 or 2027-12-31T12:00:00Z")
	}
}

func (c *checker) add(at, message, hint string) {
	c.wrong = append(c.wrong, c.n.refuse(tocsin.Invalid, at, message, hint))
}

func (c *checker) addLine(line int, at, message, hint string) {
	c.wrong = append(c.wrong, refusal(tocsin.Invalid, line, at, message, hint))
}

func (c *checker) name(at, name, what string, seen map[string]bool) {
	switch {
	case !namePattern.MatchString(name):
		c.add(at, "this is no name for "+article(what), "use 1 to 63 characters of a-z, 0-9 and hyphen, and begin with a letter or digit")
	case seen[name]:
		c.add(at, "the same "+what+" stands here twice", "put everything about it into one entry")
	}
	seen[name] = true
}

func article(what string) string {
	if strings.ContainsRune("aeiou", rune(what[0])) && what != "user" {
		return "an " + what
	}
	return "a " + what
}

// text refuses what does not print: titles reach terminals and pages.
func (c *checker) text(at, text string, most int) {
	switch {
	case len(text) > most:
		c.add(at, "the text is longer than "+strconv.Itoa(most)+" bytes", "shorten it")
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }):
		c.add(at, "the text holds characters that do not print", "remove them")
	}
}

// expiry reads when a token ends: a date is good until its last second, UTC.
func expiry(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, 1).Add(-time.Second), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("expiry: %w", err)
	}
	return t.UTC().Truncate(time.Second), nil
}
