package marking

import (
	"slices"
	"strings"

	"tocsin/stix"
)

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// texts reads a list of strings; an absent one is empty. It reports false for
// anything else.
func texts(v stix.Value) ([]string, bool) {
	if !v.Exists() {
		return nil, true
	}
	if v.Kind() == stix.String { // examples have a word where the schema has a list
		return []string{v.Text()}, true
	}
	if v.Kind() != stix.Array {
		return nil, false
	}
	var all []string
	for _, e := range v.Elements() {
		if e.Kind() != stix.String || e.Text() == "" {
			return nil, false
		}
		all = append(all, e.Text())
	}
	return all, true
}

// words reads a list of which every word is known.
func words(v stix.Value, known ...string) ([]string, bool) {
	all, ok := texts(v)
	for _, w := range all {
		ok = ok && contains(known, w)
	}
	return all, ok
}

// parseACS reads the extension of isa-acs-3-0.json.
func parseACS(v stix.Value) (Marking, bool) {
	c := &Control{}
	ok := only(v, "extension_type", "identifier", "name", "create_date_time", "responsible_entity_custodian", "responsible_entity_originator",
		"authority_reference", "policy_reference", "original_classification", "derivative_classification", "declassification",
		"resource_disposition", "public_release", "access_privilege", "further_sharing", "control_set") &&
		c.policy(v.Get("policy_reference").Text()) && c.set(v.Get("control_set")) &&
		c.privileges(v.Get("access_privilege")) && c.sharing(v.Get("further_sharing"))
	return Marking{Kind: ACS, Actions: Anything, ACS: c}, ok
}

// policy reads the defaults: of several policies every one has to permit.
func (c *Control) policy(reference string) bool {
	all := strings.Fields(reference)
	c.DefaultAccess, c.DefaultSharing = true, true
	for _, p := range all {
		rest, ok := strings.CutPrefix(p, "urn:isa:policy:acs:ns:v3.0?privdefault=")
		access, sharing, cut := strings.Cut(rest, "&sharedefault=")
		if !ok || !cut || !isEffect(access) || !isEffect(sharing) {
			return false
		}
		c.DefaultAccess = c.DefaultAccess && access == permit
		c.DefaultSharing = c.DefaultSharing && sharing == permit
	}
	return len(all) > 0
}

const permit = "permit"

func isEffect(s string) bool { return s == permit || s == "deny" }

func (c *Control) set(v stix.Value) bool {
	if !only(v, "classification", "sci_controls", "logical_authority_category", "formal_determination", "caveat", "sensitivity",
		"shareability", "entity", "permitted_nationalities", "permitted_organizations") {
		return false
	}
	var ok [6]bool
	c.Classification, ok[0] = ParseLevel(v.Get("classification").Text())
	c.Compartments, ok[1] = texts(v.Get("sci_controls"))
	c.Authority, ok[2] = texts(v.Get("logical_authority_category"))
	c.Determination, ok[3] = words(v.Get("formal_determination"), "PUBREL", noForeigners, "AIS", "PII-NECESSARY-TO-UNDERSTAND-THREAT",
		"NO-PII-PRESENT", "FOUO", "INFORMATION-DIRECTLY-RELATED-TO-CYBERSECURITY-THREAT")
	c.Caveat, ok[4] = words(v.Get("caveat"), fisa, "POSSIBLEPII", "CISAPROPRIETARY")
	c.Sensitivity, ok[5] = words(v.Get("sensitivity"), "NTOC_DHS_ECYBER_SVC_SHARE.NSA.NSA", "PCII", lawEnforcement, "INT", "PII", "PR", "TEI")
	return !slices.Contains(ok[:], false) && c.Scope.read(v)
}

const (
	noForeigners   = "NF"
	fisa           = "FISA"
	lawEnforcement = "LES"
	everybody      = "ALL"
)

func (s *Scope) read(v stix.Value) bool {
	var ok [4]bool
	s.Nationalities, ok[0] = texts(v.Get("permitted_nationalities"))
	s.Organizations, ok[1] = texts(v.Get("permitted_organizations"))
	s.Shareability, ok[2] = words(v.Get("shareability"), everybody, "NCC", "EM", "LE", "IC")
	s.Entity, ok[3] = words(v.Get("entity"), everybody, "MIL", "GOV", "CTR", "SVR", "SVC", "DEV", "NET")
	return !slices.Contains(ok[:], false)
}

func (c *Control) privileges(v stix.Value) bool {
	if v.Exists() && v.Kind() != stix.Array {
		return false
	}
	for _, e := range v.Elements() {
		scope := e.Get("privilege_scope")
		p := Privilege{Action: e.Get("privilege_action").Text(), Permit: e.Get("rule_effect").Is(permit)}
		known := contains([]string{
			"DSPLY", "IDSRC", "TENOT", "NETDEF", "LEGAL", "INTEL", "TEARLINE", "OPACTION", "REQUEST",
			"ANONYMOUSACCESS", "CISAUSES", everybody,
		}, p.Action)
		if !known || !isEffect(e.Get("rule_effect").Text()) || !only(e, "privilege_action", "privilege_scope", "rule_effect") ||
			!only(scope, "permitted_nationalities", "permitted_organizations", "shareability", "entity") || scope.Len() == 0 || !p.Scope.read(scope) {
			return false
		}
		c.Privileges = append(c.Privileges, p)
	}
	return true
}

func (c *Control) sharing(v stix.Value) bool {
	if v.Exists() && v.Kind() != stix.Array {
		return false
	}
	for _, e := range v.Elements() {
		scope, ok := texts(e.Get("sharing_scope"))
		if !ok || len(scope) == 0 || !isEffect(e.Get("rule_effect").Text()) || !only(e, "sharing_scope", "rule_effect") {
			return false
		}
		c.Sharing = append(c.Sharing, Sharing{scope, e.Get("rule_effect").Is(permit)})
	}
	return true
}

// holds reports whether every dimension that the scope speaks of names the
// reader. What is not known of a reader is not named.
func (s *Scope) holds(a *Attributes) bool {
	return s.nationality(a) && s.organization(a) && s.shareability(a) && s.entity(a)
}

func (s *Scope) nationality(a *Attributes) bool {
	return named(s.Nationalities, func(n string) bool { return n == a.Nationality })
}

func (s *Scope) organization(a *Attributes) bool { return named(s.Organizations, a.belongs) }

func (s *Scope) shareability(a *Attributes) bool {
	return named(s.Shareability, func(g string) bool { return contains(a.Shareability, g) })
}

func (s *Scope) entity(a *Attributes) bool {
	return named(s.Entity, func(e string) bool { return e == a.Entity })
}

// touches reports whether the scope could mean the reader: what is not known of
// a reader may be what a rule that denies speaks of.
func (s *Scope) touches(a *Attributes) bool {
	unnamed := a.Path == "" && (a.Kind == "" || a.Kind == "government")
	return (a.Nationality == "" || s.nationality(a)) && (unnamed || s.organization(a)) &&
		(len(a.Shareability) == 0 || s.shareability(a)) && (a.Entity == "" || s.entity(a))
}

func named(list []string, is func(string) bool) bool {
	return len(list) == 0 || contains(list, everybody) || slices.ContainsFunc(list, func(s string) bool { return s != "" && is(s) })
}

// belongs reports whether the reader is, or is part of, an organization or group
// as ACS names it.
func (a *Attributes) belongs(name string) bool {
	switch name {
	case "PRIVATESECTOR":
		return a.Kind == "company" || contains(a.Groups, name)
	case "NONFED":
		return a.Kind != "" && !a.federal() || contains(a.Groups, name)
	case "DIB":
		return a.Sector == "dib" || contains(a.Groups, name)
	case "FIN":
		return a.Sector == "financial-services" || contains(a.Groups, name)
	case "CIKR":
		return a.Sector != "" || contains(a.Groups, name)
	case "USA.USG": // the federal government as a whole
		return a.federal()
	}
	return contains(a.Groups, name) || a.Path == name || strings.HasPrefix(a.Path, name+".")
}

// federal reports whether the reader is of the federal government of the US:
// states, counties and tribes are USA.SLTT.
func (a *Attributes) federal() bool {
	return a.Kind == "government" && strings.HasPrefix(a.Path, "USA.") && a.Path != "USA.SLTT" && !strings.HasPrefix(a.Path, "USA.SLTT.")
}

// access answers whether ACS privileges permit one of these actions: the first
// rule that denies wins, then one that permits, then the default.
func (c *Control) access(a *Attributes, actions ...string) bool {
	permitted := c.DefaultAccess
	for i := range c.Privileges {
		p := &c.Privileges[i]
		if !contains(actions, p.Action) {
			continue
		}
		if !p.Permit && p.Scope.touches(a) {
			return false
		}
		permitted = permitted || p.Permit && p.Scope.holds(a)
	}
	return permitted
}
