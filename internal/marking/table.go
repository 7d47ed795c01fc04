package marking

import (
	"slices"
	"strings"
	"time"

	"tocsin/tlp"
)

// A Row is one rule of the decision table. A row concerns some markings and some
// actions; whoever wants to take one of the actions has to meet it.
type Row struct {
	ID      string   // names the row, in decisions and in docs/markings.md
	Kind    Kind     // the family under which it is documented
	If      string   // which markings it concerns, for people
	Actions []Action // which actions it concerns
	Needs   string   // what it demands, for people
	Source  string   // the clause it comes from, or "ours"

	concerns func(m *Marking) bool
	met      func(q *question) (ok bool, until time.Time)
}

// A question is what a row is asked.
type question struct {
	marking *Marking
	reader  *Attributes
	action  Action
	now     time.Time
}

// Table returns the decision table: all the rules there are. Every row that
// concerns a marking and an action has to be met, so a further marking can only
// take readers away. What no row forbids is allowed.
func Table() []Row {
	return slices.Concat(tlpRows(), statementRows(), actionRows(), iepRows(), aisRows(), acsSetRows(), acsPrivilegeRows(), cuiRows(), []Row{{
		ID: "unknown", Kind: Unknown, If: "the hub does not have its definition, or does not understand every word of it",
		Actions: toThePart(), Needs: "nobody but the organization that shared the object", Source: "ours: unknown means no",
		concerns: func(m *Marking) bool { return m.Kind == "" || m.Kind == Unknown }, met: never,
	}})
}

// toThePart are all actions on what is marked itself.
func toThePart() []Action {
	return slices.DeleteFunc(Actions(), func(a Action) bool { return a == TearLine })
}

func never(*question) (bool, time.Time) { return false, time.Time{} }

// when makes a condition that time does not change.
func when(ok func(q *question) bool) func(*question) (bool, time.Time) {
	return func(q *question) (bool, time.Time) { return ok(q), time.Time{} }
}

func level(l tlp.Label) func(*Marking) bool { return func(m *Marking) bool { return m.TLP == l } }

func tlpRows() []Row {
	const source = "FIRST TLP 2.0 (August 2022)"
	return []Row{{
		ID: "tlp-red-see", Kind: TLP, If: "TLP:RED, or an IEP with tlp red", Actions: []Action{See},
		Needs: "organizations that the sharer named as recipients", Source: source + ": for the eyes and ears of individual recipients only",
		concerns: level(tlp.Red), met: when(func(q *question) bool { return q.reader.Named }),
	}, {
		ID: "tlp-red-reshare", Kind: TLP, If: "TLP:RED, or an IEP with tlp red", Actions: []Action{Reshare},
		Needs: "nobody", Source: source, concerns: level(tlp.Red), met: never,
	}, {
		ID: "tlp-amber-strict-reshare", Kind: TLP, If: "TLP:AMBER+STRICT", Actions: []Action{Reshare},
		Needs: "nobody", Source: source + ": the recipient's organization only", concerns: level(tlp.AmberStrict), met: never,
	}, {
		ID: "tlp-amber-reshare", Kind: TLP, If: "TLP:AMBER, or an IEP with tlp amber", Actions: []Action{Reshare},
		Needs:  "nobody: clients who need to know are told by people, not by the hub",
		Source: source + ": the recipient's organization and its clients", concerns: level(tlp.Amber), met: never,
	}}
}

func statementRows() []Row {
	return []Row{{
		ID: "chatham-name", Kind: Chatham, If: "a statement that says Chatham House Rule, or tlp:ex:chr", Actions: []Action{Name},
		Needs: "nobody", Source: "Chatham House Rule (2002): neither the identity nor the affiliation of the speaker may be revealed",
		concerns: func(m *Marking) bool { return m.Kind == Chatham }, met: never,
	}}
}

// actionRows are the ladder of PAP and of IEP permitted_actions.
func actionRows() []Row {
	const source = "MISP taxonomy PAP 3; FIRST IEP 2.0 §3"
	below := func(p Permitted) func(*Marking) bool {
		return func(m *Marking) bool { return (m.Kind == PAP || m.Kind == IEP) && m.Actions < p }
	}
	row := func(id, says string, action Action, needed Permitted) Row {
		return Row{ID: id, Kind: PAP, If: says, Actions: []Action{action}, Needs: "nobody", Source: source, concerns: below(needed), met: never}
	}
	return []Row{
		row("act-detect", "IEP permitted_actions none or contact-for-instruction", Detect, OnlyDetect),
		row("act-look-up", "PAP:RED; IEP internally-visible-actions or less", LookUp, OnlyLookUp),
		row("act-block", "PAP:RED or AMBER; IEP internally-visible-actions or less", Block, OnlyBlock),
		row("act-contact", "PAP:RED, AMBER or GREEN; IEP externally-visible-indirect-actions or less", Contact, Anything),
	}
}

func iepRows() []Row {
	return []Row{{
		ID: "iep-name", Kind: IEP, If: "provider_attribution must-not", Actions: []Action{Name}, Needs: "nobody", Source: "FIRST IEP 2.0 §3",
		concerns: func(m *Marking) bool { return m.Hidden }, met: never,
	}, {
		ID: "iep-in-force", Kind: IEP, If: "start_date or end_date", Actions: toThePart(),
		Needs:    "the policy is in force: after start_date, before end_date; out of force nobody but the sharer",
		Source:   "FIRST IEP 2.0 §3; what holds after the end it does not say, so nothing is allowed (ours)",
		concerns: func(m *Marking) bool { return !m.From.IsZero() || !m.To.IsZero() },
		met: func(q *question) (bool, time.Time) {
			m := q.marking
			switch {
			case q.now.Before(m.From):
				return false, m.From
			case m.To.IsZero():
				return true, time.Time{}
			case q.now.Before(m.To):
				return true, m.To
			}
			return false, time.Time{}
		},
	}}
}

func aisRows() []Row {
	consent := func(to string) func(*Marking) bool {
		return func(m *Marking) bool { return m.Kind == AIS && m.Consent == to }
	}
	return []Row{{
		ID: "ais-usg", Kind: AIS, If: "label ais-consent-usg on the submitter's identity", Actions: []Action{See, Name},
		Needs: "organizations of the federal government of the US", Source: "CISA AIS: AISConsent USG",
		concerns: consent("usg"), met: when(func(q *question) bool { return q.reader.federal() }),
	}, {
		ID: "ais-none", Kind: AIS, If: "label ais-consent-none, or one that is not known", Actions: []Action{See, Name},
		Needs: "nobody but the submitter", Source: "CISA AIS: AISConsent NONE", concerns: consent("none"), met: never,
	}, {
		ID: "ais-proprietary", Kind: AIS, If: "label ais-consent-…-cisa-proprietary", Actions: []Action{Reshare},
		Needs: "nobody", Source: "6 USC 1504(d)(2): proprietary when so designated",
		concerns: func(m *Marking) bool { return m.Proprietary }, met: never,
	}}
}

// acs wraps a condition on a control, so that it concerns ACS markings only.
func acs(has func(c *Control) bool) func(*Marking) bool {
	return func(m *Marking) bool { return m.ACS != nil && has(m.ACS) }
}

func acsSetRows() []Row {
	const source = "ISA ACS 3.0a control_set"
	see := []Action{See}
	scope := func(id, property, needs string, has func(s *Scope) bool, met func(s *Scope, a *Attributes) bool) Row {
		return Row{
			ID: id, Kind: ACS, If: property, Actions: see, Needs: needs, Source: source,
			concerns: acs(func(c *Control) bool { return has(&c.Scope) }),
			met:      when(func(q *question) bool { return met(&q.marking.ACS.Scope, q.reader) }),
		}
	}
	return []Row{
		{
			ID: "acs-classification", Kind: ACS, If: "classification C, S or TS, or sci_controls, or caveat FISA", Actions: see,
			Needs:  "one clearance, not expired, of that level or higher, whose caveats name each of sci_controls and caveat FISA",
			Source: source + "; EO 13526 §4.1: eligibility, agreement and need to know",
			concerns: acs(func(c *Control) bool {
				return c.Classification > Unclassified || len(c.Compartments) > 0 || contains(c.Caveat, fisa)
			}),
			met: cleared,
		},
		{
			ID: "acs-nf", Kind: ACS, If: "formal_determination NF", Actions: see, Needs: "nationality USA", Source: source + ": not releasable to foreign nationals",
			concerns: acs(func(c *Control) bool { return contains(c.Determination, noForeigners) }),
			met:      when(func(q *question) bool { return q.reader.Nationality == "USA" }),
		},
		{
			ID: "acs-les", Kind: ACS, If: "sensitivity LES", Actions: see, Needs: "shareability LE: law enforcement", Source: source,
			concerns: acs(func(c *Control) bool { return contains(c.Sensitivity, lawEnforcement) }),
			met:      when(func(q *question) bool { return contains(q.reader.Shareability, "LE") }),
		},
		{
			ID: "acs-sensitivity", Kind: ACS, If: "any other sensitivity, or logical_authority_category", Actions: see,
			Needs:  "an agreement of each such name",
			Source: source + "; 6 USC 673 for PCII; that an agreement is what shows the authority is ours",
			concerns: acs(func(c *Control) bool {
				return len(c.Authority) > 0 || slices.ContainsFunc(c.Sensitivity, func(s string) bool { return s != lawEnforcement })
			}),
			met: when(func(q *question) bool {
				needs := slices.Concat(q.marking.ACS.Sensitivity, q.marking.ACS.Authority)
				return !slices.ContainsFunc(needs, func(s string) bool { return s != lawEnforcement && !contains(q.reader.Agreements, s) })
			}),
		},
		scope("acs-nationality", "permitted_nationalities", "a nationality that is listed, or the list is ALL",
			func(s *Scope) bool { return len(s.Nationalities) > 0 }, (*Scope).nationality),
		scope("acs-organization", "permitted_organizations", "an organization that is listed, or part of one, or of a group that is listed",
			func(s *Scope) bool { return len(s.Organizations) > 0 }, (*Scope).organization),
		scope("acs-shareability", "shareability", "one of the groups that are listed",
			func(s *Scope) bool { return len(s.Shareability) > 0 }, (*Scope).shareability),
		scope("acs-entity", "entity", "one of the kinds of entity that are listed",
			func(s *Scope) bool { return len(s.Entity) > 0 }, (*Scope).entity),
	}
}

// cleared looks for the clearance that lasts longest.
func cleared(q *question) (ok bool, until time.Time) {
	c := q.marking.ACS
	needs := c.Compartments
	if contains(c.Caveat, fisa) {
		needs = append(slices.Clone(needs), fisa)
	}
	for _, has := range q.reader.Clearances {
		expired := !has.Expires.IsZero() && !q.now.Before(has.Expires)
		if expired || has.Level < c.Classification || slices.ContainsFunc(needs, func(n string) bool { return !contains(has.Caveats, n) }) {
			continue
		}
		if has.Expires.IsZero() {
			return true, time.Time{}
		}
		if ok = true; has.Expires.After(until) {
			until = has.Expires
		}
	}
	return ok, until
}

func acsPrivilegeRows() []Row {
	const source = "ISA ACS 3.0a access_privilege: a rule that denies wins, then one that permits, then privdefault; what is not known of a reader may be what a rule denies"
	every := acs(func(*Control) bool { return true })
	row := func(id, privilege string, actions ...Action) Row {
		return Row{
			ID: id, Kind: ACS, If: "every ACS marking", Actions: actions, Needs: "the privilege " + privilege + ", CISAUSES or ALL", Source: source,
			concerns: every,
			met:      when(func(q *question) bool { return q.marking.ACS.access(q.reader, privilege, "CISAUSES", everybody) }),
		}
	}
	return []Row{
		row("acs-display", "DSPLY", See),
		row("acs-source", "IDSRC", Name),
		row("acs-defense", "NETDEF", Detect, LookUp, Block),
		row("acs-operations", "OPACTION", Contact),
		{
			ID: "acs-tear-line", Kind: ACS, If: "a rule that denies TEARLINE", Actions: []Action{TearLine},
			Needs: "a scope that cannot mean the reader; otherwise the object is withheld whole", Source: "ISA ACS 3.0a access_privilege TEARLINE",
			concerns: acs(func(c *Control) bool {
				return slices.ContainsFunc(c.Privileges, func(p Privilege) bool { return p.Action == "TEARLINE" && !p.Permit })
			}),
			met: when(func(q *question) bool {
				return !slices.ContainsFunc(q.marking.ACS.Privileges, func(p Privilege) bool {
					return p.Action == "TEARLINE" && !p.Permit && p.Scope.touches(q.reader)
				})
			}),
		},
		{
			ID: "acs-sharing", Kind: ACS, If: "every ACS marking", Actions: []Action{Reshare},
			Needs:  "no rule of further_sharing that denies the receiver, and one that permits it or sharedefault=permit",
			Source: "ISA ACS 3.0a further_sharing", concerns: every,
			met: when(func(q *question) bool { return q.marking.ACS.shares(q.reader) }),
		},
	}
}

// shares answers whether further_sharing permits to give to the reader.
func (c *Control) shares(a *Attributes) bool {
	permitted := c.DefaultSharing
	for _, s := range c.Sharing {
		if slices.ContainsFunc(s.Scope, a.receives) {
			if !s.Permit {
				return false
			}
			permitted = true
		}
	}
	return permitted
}

func (a *Attributes) receives(scope string) bool {
	switch scope {
	case everybody:
		return true
	case "FOREIGNGOV":
		return a.Kind == "government" && a.Nationality != "USA"
	case "SECTOR":
		return a.Sector != ""
	}
	return a.belongs(scope)
}

func cuiRows() []Row {
	const source = "32 CFR 2002.16; CUI registry, limited dissemination controls"
	has := func(control string) func(*Marking) bool {
		return func(m *Marking) bool { return contains(m.CUI, control) }
	}
	row := func(id, control, needs string, met func(a *Attributes) bool) Row {
		return Row{
			ID: id, Kind: CUI, If: "dissemination " + control, Actions: []Action{See}, Needs: needs, Source: source,
			concerns: has(control), met: when(func(q *question) bool { return met(q.reader) }),
		}
	}
	return []Row{
		{
			ID: "cui-see", Kind: CUI, If: "every CUI marking", Actions: []Action{See},
			Needs:    "an organization of the federal government of the US, or an agreement named CUI",
			Source:   "32 CFR 2002.16(a): authorized holders, a lawful government purpose, an agreement where feasible",
			concerns: func(m *Marking) bool { return m.Kind == CUI },
			met:      when(func(q *question) bool { return q.reader.federal() || contains(q.reader.Agreements, "CUI") }),
		},
		row("cui-noforn", "NOFORN", "nationality USA", func(a *Attributes) bool { return a.Nationality == "USA" }),
		row("cui-fed-only", "FED ONLY", "an organization of the federal government of the US", (*Attributes).federal),
		row("cui-fedcon", "FEDCON", "the federal government of the US, or entity CTR: its contractors",
			func(a *Attributes) bool { return a.federal() || a.Entity == "CTR" }),
		row("cui-nocon", "NOCON", "an entity that is known and is not CTR", func(a *Attributes) bool { return a.Entity != "" && a.Entity != "CTR" }),
		{
			ID: "cui-rel-to", Kind: CUI, If: "dissemination REL TO", Actions: []Action{See}, Needs: "a nationality that is listed", Source: source,
			concerns: func(m *Marking) bool { return slices.ContainsFunc(m.CUI, relTo) },
			met: when(func(q *question) bool {
				return !slices.ContainsFunc(q.marking.CUI, func(control string) bool { return relTo(control) && !lists(control, q.reader.Nationality) })
			}),
		},
		{
			ID: "cui-reshare", Kind: CUI, If: "every CUI marking", Actions: []Action{Reshare}, Needs: "whoever may see it",
			Source: "32 CFR 2002.16", concerns: func(m *Marking) bool { return m.Kind == CUI },
			met: when(func(q *question) bool { return q.reader.federal() || contains(q.reader.Agreements, "CUI") }),
		},
	}
}

func lists(control, nationality string) bool {
	list, _ := strings.CutPrefix(control, "REL TO ")
	return nationality != "" && contains(strings.Split(list, ", "), nationality)
}
