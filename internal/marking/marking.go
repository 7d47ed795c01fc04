// Package marking reads data markings and decides, by one table, what a reader may do with what carries them.
package marking

import (
	"time"

	"tocsin/tlp"
)

// A Kind is the family that a marking is of.
type Kind string

// The families. Of what is Unknown nobody may do anything: a marking that is not
// understood could forbid it.
const (
	Unknown   Kind = "unknown"
	TLP       Kind = "TLP"       // Traffic Light Protocol 1.0 and 2.0 (FIRST)
	Statement Kind = "statement" // text for people (STIX 2.1 §7.2.1.3)
	Chatham   Kind = "Chatham House Rule"
	PAP       Kind = "PAP" // Permissible Actions Protocol (MISP taxonomy, OASIS extension)
	IEP       Kind = "IEP" // FIRST Information Exchange Policy 2.0
	AIS       Kind = "AIS consent"
	ACS       Kind = "ACS" // Access Control Specification 3.0a of the US government
	CUI       Kind = "CUI" // Controlled Unclassified Information (32 CFR 2002)
)

// Kinds returns the families in the order in which they are documented.
func Kinds() []Kind { return []Kind{TLP, Statement, Chatham, PAP, IEP, AIS, ACS, CUI, Unknown} }

// A Level is a classification of the US government (EO 13526 §1.2), in its
// order; the zero value is unclassified.
type Level uint8

// The levels.
const (
	Unclassified Level = iota
	Confidential
	Secret
	TopSecret
)

// String returns the level as ACS writes it: U, C, S or TS.
func (l Level) String() string {
	return [...]string{"U", "C", "S", "TS"}[min(l, TopSecret)]
}

// ParseLevel reads U, C, S or TS.
func ParseLevel(s string) (Level, bool) {
	for l := Unclassified; l <= TopSecret; l++ {
		if l.String() == s {
			return l, true
		}
	}
	return TopSecret, false
}

// A Marking is what a marking-definition says, as far as the table asks for it.
// The zero value is unknown.
type Marking struct {
	Kind Kind
	TLP  tlp.Label // of TLP and IEP; None says nothing about the audience

	Actions Permitted // of PAP and IEP: the most that may be done
	Hidden  bool      // of IEP: the provider must not be named
	From    time.Time // of IEP: in force from here on; zero: always
	To      time.Time // of IEP: in force until here; zero: always

	Consent     string // of AIS: who may learn who submitted: "everyone", "usg" or "none"
	Proprietary bool   // of AIS

	ACS *Control
	CUI []string // dissemination controls, in the words of the registry
}

// Level returns the classification that the marking gives.
func (m *Marking) Level() Level {
	if m.ACS == nil {
		return Unclassified
	}
	return m.ACS.Classification
}

// ID returns the id by which [WellKnown] knows a marking of AIS consent, "" for
// any other.
func (m *Marking) ID() string {
	switch {
	case m.Kind != AIS:
		return ""
	case m.Proprietary:
		return consentPrefix + m.Consent + proprietarySuffix
	}
	return consentPrefix + m.Consent
}

// Permitted is how far one may act on what is marked. Each includes those
// before it.
type Permitted uint8

// The steps, which PAP and IEP share.
const (
	OnlyKeep   Permitted = iota // IEP none, contact-for-instruction
	OnlyDetect                  // PAP:RED, IEP internally-visible-actions
	OnlyLookUp                  // PAP:AMBER
	OnlyBlock                   // PAP:GREEN, IEP externally-visible-indirect-actions
	Anything                    // PAP:CLEAR, IEP externally-visible-direct-actions, and where nothing is said
)

// A Control is an ACS 3.0a marking.
type Control struct {
	Classification Level
	Compartments   []string // sci_controls
	Authority      []string // logical_authority_category
	Determination  []string // formal_determination
	Caveat         []string
	Sensitivity    []string
	Scope          Scope
	Privileges     []Privilege
	Sharing        []Sharing
	DefaultAccess  bool // privdefault=permit in every policy that is referred to
	DefaultSharing bool // sharedefault=permit in every policy that is referred to
}

// A Scope says of whom something holds. An empty list demands nothing.
type Scope struct {
	Nationalities []string // GENC
	Organizations []string // dotted, such as USA.DHS, or groups
	Shareability  []string // NCC, EM, LE, IC
	Entity        []string // MIL, GOV, CTR, SVR, SVC, DEV, NET
}

// A Privilege permits or denies an action to a scope (ACS access_privilege).
type Privilege struct {
	Action string
	Scope  Scope
	Permit bool
}

// A Sharing permits or denies sharing with others (ACS further_sharing).
type Sharing struct {
	Scope  []string // organizations, FOREIGNGOV, SECTOR
	Permit bool
}

// Attributes are what the hub knows of a reader. The hub records clearances that
// others assert; it grants none.
type Attributes struct {
	Organization string
	Kind         string   // "company", "government", "nonprofit" or "other"
	Nationality  string   // GENC, which is ISO 3166-1 alpha-3 for countries; "" is unknown
	Sector       string   // one of the 16 sectors of critical infrastructure; "" is none
	Path         string   // the organization in ACS, such as USA.DHS.US-CERT; "" is none
	Entity       string   // MIL, GOV, CTR, SVR, SVC, DEV or NET; "" is none
	Shareability []string // NCC, EM, LE, IC
	Groups       []string // CDC, CIKR, DIB, FIN, ISAC: what cannot be told from the rest
	Agreements   []string // what it has signed, such as PCII or CUI
	Clearances   []Clearance

	// Named says that whoever shared the object named this reader as a recipient.
	Named bool
}

// A Clearance is somebody's assertion that a reader is cleared.
type Clearance struct {
	Level   Level
	Caveats []string  // compartments and caveats that it includes
	Sponsor string    // who asserts it
	Expires time.Time // from this moment on it counts no more; zero: it stays
}

// An Action is what a reader wants to do.
type Action string

// The actions. Whoever may not see may do nothing else.
const (
	See      Action = "see"       // have it served
	Detect   Action = "detect"    // look for it where nobody outside can notice
	LookUp   Action = "look up"   // ask third parties about it
	Block    Action = "block"     // block it, which the other side can notice
	Contact  Action = "contact"   // approach, take down, sinkhole
	Reshare  Action = "re-share"  // be given it by the hub outside of the community it was shared in
	Name     Action = "name"      // learn from the hub who it came from
	TearLine Action = "tear-line" // be given the rest, where this marks a part that the reader may not see
)

// Actions returns all actions, in the order in which they are documented.
func Actions() []Action {
	return []Action{See, Detect, LookUp, Block, Contact, Reshare, Name, TearLine}
}

// A Decision is the answer to one question, and how long it is good for.
type Decision struct {
	Yes    bool
	Row    string    // the row of the table that forbids it; "" for yes
	Reason string    // what that row demands, for people; "" for yes
	Until  time.Time // from then on the answer may be another one; zero: it is good until the directory or the definitions change
}
