package member

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"tocsin"
)

// A Charter is what a community says of itself: what it is for, who may find it,
// for how long it is there and what its members agree to. In a document it
// replaces the one before, whole.
type Charter struct {
	Public       bool         `json:"public,omitempty" yaml:"public"`                 // organizations of the hub that are not members find it, and may apply
	Basis        string       `json:"basis,omitempty" yaml:"basis"`                   // sector, sub-sector, region, affinity or threat (EO 13691 §2(a))
	Scope        string       `json:"scope,omitempty" yaml:"scope"`                   // which one: "retail banks", "Ohio"
	MemberList   string       `json:"member_list,omitempty" yaml:"member_list"`       // who sees the names of members: "members", or "nobody" but operators; members
	Ends         string       `json:"ends,omitempty" yaml:"ends"`                     // a date (its end, UTC) or an RFC 3339 time: from then on nothing is accepted; empty: it stands
	Closes       string       `json:"closes,omitempty" yaml:"closes"`                 // likewise: from then on nothing is read; 30 days after it ends
	Probation    int          `json:"probation_days,omitempty" yaml:"probation_days"` // how long who is admitted only reads, 0 to 3,650
	Agreement    *Agreement   `json:"agreement,omitempty" yaml:"agreement"`           // what who applies accepts
	Capabilities []Capability `json:"capabilities,omitempty" yaml:"capabilities"`     // the capability statement of an ISAO
}

// An Agreement is the text that members accept. Its hash says which version
// somebody has accepted.
type Agreement struct {
	Version string `json:"version" yaml:"version"` // for people, such as "2026-1"; another text has another version
	Text    string `json:"text" yaml:"text"`
}

// SHA256 returns the hash of the text, lower-case hexadecimal; "" without one.
func (a *Agreement) SHA256() string {
	if a == nil {
		return ""
	}
	sum := sha256.Sum256([]byte(a.Text))
	return hex.EncodeToString(sum[:])
}

// A Capability is one line of a capability statement, as ISAO 100-2 and 200-1
// list what an ISAO can do.
type Capability struct {
	Name      string `json:"name" yaml:"name"`
	Statement string `json:"statement" yaml:"statement"` // what the community has of it
}

func capabilities() []string {
	return []string{
		"onboarding", "agreement", "governance", "handling", "anonymity", "analysis", "alerts", "automation", "human-channel", "directory",
		"liaison", "coordination", "privacy", "security", "metrics", "exercises", "sustainability",
	}
}

func bases() []string { return []string{"sector", "sub-sector", "region", "affinity", "threat"} }

// Who may see the names of a community's members, besides its operators.
const (
	ListMembers = "members"
	ListNobody  = "nobody"
)

// closesAfter is for how long a community that has ended is read, unless its
// charter says.
const closesAfter = 30 * 24 * time.Hour

const (
	longestScope     = 200
	longestStatement = 4000
	longestAgreement = 32 << 10
	longestVersion   = 64
	longestProbation = 3650
)

func (c *checker) charter(at string, h *Charter) {
	if h == nil {
		return
	}
	c.among(at+"/basis", h.Basis, bases())
	c.among(at+"/member_list", h.MemberList, []string{ListMembers, ListNobody})
	c.text(at+"/scope", h.Scope, longestScope)
	ends, err := expiry(h.Ends)
	if err != nil {
		c.add(at+"/ends", "this is no date", "write it like 2027-12-31 or 2027-12-31T12:00:00Z")
	}
	closes, err := expiry(h.Closes)
	switch {
	case err != nil:
		c.add(at+"/closes", "this is no date", "write it like 2027-12-31 or 2027-12-31T12:00:00Z")
	case h.Closes != "" && (h.Ends == "" || closes.Before(ends)):
		c.add(at+"/closes", "a community closes after it ends", "give ends an earlier date")
	}
	if h.Probation < 0 || h.Probation > longestProbation {
		c.add(at+"/probation_days", "probation lasts between 0 and 3650 days", "write a number of days")
	}
	if a := h.Agreement; a != nil {
		c.text(at+"/agreement/text", a.Text, longestAgreement)
		c.text(at+"/agreement/version", a.Version, longestVersion)
		if a.Text == "" || a.Version == "" {
			c.add(at+"/agreement", "an agreement has a version and a text", "write both")
		}
	}
	var seen []string
	for i, capability := range h.Capabilities {
		at := at + "/capabilities/" + strconv.Itoa(i)
		c.text(at+"/statement", capability.Statement, longestStatement)
		switch {
		case !slices.Contains(capabilities(), capability.Name):
			c.among(at+"/name", orElse(capability.Name, "-"), capabilities())
		case slices.Contains(seen, capability.Name):
			c.add(at+"/name", "the same capability stands here twice", "put all of it into one statement")
		}
		seen = append(seen, capability.Name)
	}
}

// A phase is how far a community's life has come.
type phase int

const (
	standing phase = iota
	ended          // nothing is accepted
	closed         // nothing is read
)

// life returns when a community ends and closes; the zero times are never.
func (c communityDoc) life() (ends, closes time.Time) {
	if c.Charter == nil || c.Charter.Ends == "" {
		return ends, closes
	}
	ends, _ = expiry(c.Charter.Ends) // checked when it was applied
	closes, _ = expiry(c.Charter.Closes)
	if closes.IsZero() {
		closes = ends.Add(closesAfter)
	}
	return ends, closes
}

// phase returns how far the community is, and when that changes; the zero time
// is never.
func (c communityDoc) phase(now time.Time) (phase, time.Time) {
	ends, closes := c.life()
	switch {
	case ends.IsZero():
		return standing, ends
	case now.Before(ends):
		return standing, ends
	case now.Before(closes):
		return ended, closes
	}
	return closed, time.Time{}
}

// role returns what a member may do at a time, and when that changes by itself;
// the zero time is never.
func (m membershipDoc) role(c communityDoc, now time.Time) (tocsin.Role, time.Time) {
	role, ok := tocsin.ParseRole(m.Role)
	at, next := c.phase(now)
	if !ok || m.Suspended != "" || at == closed {
		return tocsin.Stranger, next
	}
	if at == ended && role == tocsin.Writer { // curators still moderate
		role = tocsin.Reader
	}
	if now.Before(m.Probation) {
		role, next = min(role, tocsin.Reader), earlier(next, m.Probation)
	}
	return role, next
}

// earlier returns the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// hides reports whether the names of members are for operators only.
func (c communityDoc) hides() bool { return c.Charter != nil && c.Charter.MemberList == ListNobody }

// Accepts returns a refusal when a community has ended and takes nothing more.
func (s *Service) Accepts(community string) error {
	if at, _ := s.present().communities[community].phase(time.Now()); at != standing {
		return &tocsin.Error{Kind: tocsin.Forbidden, Message: "this community has ended: it is read, and accepts nothing more", Hint: "share with another community"}
	}
	return nil
}

// Hides reports whether a community keeps the names of its members from each
// other.
func (s *Service) Hides(community string) bool { return s.present().communities[community].hides() }
