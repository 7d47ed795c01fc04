package stix

import "bytes"

// This file has the extensions by which markings beyond those of the standard
// are written. Their definitions are published by OASIS (cti-stix-common-objects);
// the clause of their problems is the name of the definition.

// tlp2 is the extension by which the Traffic Light Protocol 2.0 is written.
const tlp2 = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"

// acs3ID is the extension of the Access Control Specification 3.0a.
const acs3ID = "extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce"

// markingExtensions are the extensions of marking-definitions that are checked
// by tables.
func markingExtensions() map[string]check {
	return map[string]check{
		tlp2:   structure(tlp2Ext()),
		acs3ID: structure(acs3Ext()),
		"extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a": structure(iep2Ext()),
		"extension-definition--dff17fb3-edcb-4f99-ad1b-4b751c95738a": structure(cuiExt()),
	}
}

// extensionOf is the row that says what kind of extension it is: all four add
// properties of their own to a marking-definition.
func extensionOf(clause string) row {
	return required("extension_type", exactly("property-extension", clause))
}

func tlp2Ext() table {
	const clause = "TLP 2.0 STIX extension"
	return table{clause: clause, rows: []row{
		extensionOf(clause),
		required("tlp_2_0", enum("TLP 2.0", clause, "clear", "green", "amber", "amber+strict", "red")),
	}}
}

const (
	acs3 = "ACS 3.0a STIX extension"
	iep2 = "IEP 2.0 STIX extension"
	cui  = "CUI STIX extension"
)

// acs3Ext is the Access Control Specification 3.0a of the US government.
func acs3Ext() table {
	effect := enum("rule_effect", acs3, "permit", "deny")
	shareability := []string{"NCC", "EM", "LE", "IC"}
	entity := []string{"MIL", "GOV", "CTR", "SVR", "SVC", "DEV", "NET"}
	return table{clause: acs3, rows: []row{
		extensionOf(acs3),
		required("identifier", form(isISAGuide, acs3, "an identifier isa:guide.19001. and a unique name was expected")),
		optional("name", text),
		required("create_date_time", timestamp),
		required("responsible_entity_custodian", form(isOrganization, acs3, "an organization such as USA.DHS was expected")),
		optional("responsible_entity_originator", form(isOrganization, acs3, "an organization such as USA.DHS was expected")),
		optional("authority_reference", oneOrMore(form(isAuthority, acs3, "a reference urn:isa:authority: and a name was expected"))),
		required("policy_reference", form(isACSPolicy, acs3, "a policy was expected: urn:isa:policy:acs:ns:v3.0?privdefault=…&sharedefault=…, each permit or deny")),
		optional("original_classification", structure(table{clause: acs3, rows: []row{
			required("classified_by", text), optional("classified_on", timestamp),
			optional("classification_reason", oneOrMore(text)), optional("compilation_reason", text),
		}})),
		optional("derivative_classification", structure(table{clause: acs3, rows: []row{
			required("classified_by", text), optional("classified_on", timestamp), required("derived_from", text),
		}})),
		optional("declassification", structure(anyOf(acs3, []row{
			optional("declass_exemption", text), optional("declass_period", integer),
			optional("declass_date", timestamp), optional("declass_event", text),
		}))),
		optional("resource_disposition", structure(table{clause: acs3, rows: []row{
			required("disposition_date", timestamp), required("disposition_process", text),
		}})),
		optional("public_release", structure(table{clause: acs3, rows: []row{
			required("released_by", text), optional("released_on", timestamp),
		}})),
		optional("access_privilege", list(structure(table{clause: acs3, rows: []row{
			required("privilege_action", enum("privilege_action", acs3, "DSPLY", "IDSRC", "TENOT", "NETDEF", "LEGAL", "INTEL",
				"TEARLINE", "OPACTION", "REQUEST", "ANONYMOUSACCESS", "CISAUSES", "ALL")),
			required("privilege_scope", structure(anyOf(acs3, []row{
				optional("permitted_nationalities", list(text)),
				optional("permitted_organizations", list(form(isACSAudience, acs3, "ALL, an organization or a group of organizations was expected"))),
				optional("shareability", list(enum("shareability", acs3, append([]string{"ALL"}, shareability...)...))),
				optional("entity", list(enum("entity", acs3, append([]string{"ALL"}, entity...)...))),
			}))),
			required("rule_effect", effect),
		}}))),
		optional("further_sharing", list(structure(table{clause: acs3, rows: []row{
			required("sharing_scope", oneOrMore(form(isSharingScope, acs3, "FOREIGNGOV, SECTOR or an organization was expected"))),
			required("rule_effect", effect),
		}}))),
		required("control_set", structure(table{clause: acs3, rows: []row{
			required("classification", enum("classification", acs3, "U", "C", "S", "TS")),
			optional("sci_controls", list(text)),
			optional("logical_authority_category", list(text)),
			optional("formal_determination", list(enum("formal_determination", acs3, "PUBREL", "NF", "AIS",
				"PII-NECESSARY-TO-UNDERSTAND-THREAT", "NO-PII-PRESENT", "FOUO", "INFORMATION-DIRECTLY-RELATED-TO-CYBERSECURITY-THREAT"))),
			optional("caveat", list(enum("caveat", acs3, "FISA", "POSSIBLEPII", "CISAPROPRIETARY"))),
			optional("sensitivity", list(enum("sensitivity", acs3, "NTOC_DHS_ECYBER_SVC_SHARE.NSA.NSA", "PCII", "LES", "INT", "PII", "PR", "TEI"))),
			optional("shareability", list(enum("shareability", acs3, shareability...))),
			optional("entity", list(enum("entity", acs3, entity...))),
			optional("permitted_nationalities", list(text)),
			optional("permitted_organizations", list(form(isACSGroup, acs3, "an organization or a group of organizations was expected"))),
		}})),
	}}
}

// iep2Ext is FIRST's Information Exchange Policy 2.0. A policy is in it whole,
// or referred to by its id (IEP 2.0 JSON §3), so that nothing but the id is
// demanded.
func iep2Ext() table {
	return table{clause: iep2, rows: []row{
		extensionOf(iep2),
		required("iep_id", form(isAnyUUID, iep2, "a UUID was expected")),
		optional("iep_version", isIEPVersion),
		optional("name", text),
		optional("description", text),
		optional("start_date", timestamp),
		optional("end_date", timestamp, notBefore("start_date", iep2)),
		optional("encrypt_in_transit", enum("encrypt_in_transit", iep2, "must", "may")),
		optional("permitted_actions", enum("permitted_actions", iep2, "none", "contact-for-instruction", "internally-visible-actions",
			"externally-visible-indirect-actions", "externally-visible-direct-actions")),
		optional("affected_party_notifications", enum("affected_party_notifications", iep2, "may", "must-not")),
		optional("tlp", enum("tlp", iep2, "red", "amber", "green", "white")),
		optional("provider_attribution", enum("provider_attribution", iep2, "may", "must", "must-not")),
		optional("unmodified_resale", enum("unmodified_resale", iep2, "may", "must-not")),
		optional("external_references", list(structure(externalReference()))),
	}}
}

// cuiExt is Controlled Unclassified Information of the US government (32 CFR
// 2002). Its categories are in a registry that changes; their order is checked.
func cuiExt() table {
	return table{clause: cui, rows: []row{
		extensionOf(cui),
		required("control", enum("the CUI control markings", cui, "CONTROLLED", "CUI")),
		required("designator_ref", objectRef("identity")),
		optional("categories", list(form(isCUICategory, cui, "a category marking in capital letters was expected")), specifiedFirst),
		optional("disseminations", list(text)),
		optional("required_statements", list(text)),
		optional("supplemental_administrative", list(text)),
	}}
}

// specifiedFirst demands that the categories of CUI Specified, which begin with
// SP-, stand before those of CUI Basic.
func specifiedFirst(c *checker, _, v Value) {
	basic := false
	for _, e := range v.Elements() {
		specified := bytes.HasPrefix(e.inside(), []byte("SP-"))
		if specified && basic {
			c.fail(e, cui, "specified categories (SP-) stand before basic ones")
			return
		}
		basic = basic || !specified
	}
}

// anyOf is a table of which at least one row must be there.
func anyOf(clause string, rows []row) table {
	return table{clause: clause, rows: rows, rules: []rule{anyRow(clause, rows)}}
}

// form takes strings that a function accepts.
func form(is func(s []byte) bool, clause, message string) check {
	return func(c *checker, v Value) { c.fits(v, is, clause, message) }
}

// oneOrMore takes a value, or a list of such: examples and schemas differ.
func oneOrMore(of check) check {
	many := list(of)
	return func(c *checker, v Value) {
		if v.Kind() == Array {
			many(c, v)
		} else {
			of(c, v)
		}
	}
}

func isISAGuide(s []byte) bool {
	rest, ok := bytes.CutPrefix(s, []byte("isa:guide."))
	number, name, cut := bytes.Cut(rest, []byte("."))
	return ok && cut && isDigits(number, 1) && len(name) > 0
}

func isAuthority(s []byte) bool {
	name, ok := bytes.CutPrefix(s, []byte("urn:isa:authority:"))
	return ok && len(name) > 0
}

// isACSPolicy takes one policy or more with white space between.
func isACSPolicy(s []byte) bool {
	for p := range bytes.FieldsSeq(s) {
		rest, ok := bytes.CutPrefix(p, []byte("urn:isa:policy:acs:ns:v3.0?privdefault="))
		privilege, sharing, cut := bytes.Cut(rest, []byte("&sharedefault="))
		if !ok || !cut || !isEffect(privilege) || !isEffect(sharing) {
			return false
		}
	}
	return len(bytes.TrimSpace(s)) > 0
}

func isEffect(s []byte) bool { return string(s) == "permit" || string(s) == "deny" }

// isOrganization takes names such as USA.DHS.US-CERT: two or three parts of
// capital letters and digits, with hyphens in the last of three.
func isOrganization(s []byte) bool {
	if string(s) == "NONFED" {
		return true
	}
	parts := bytes.Split(s, []byte("."))
	if len(parts) < 2 || len(parts) > 3 {
		return false
	}
	for i, p := range parts {
		for j, c := range p {
			if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && (c != '-' || i < 2 || j == 0) {
				return false
			}
		}
		if len(p) == 0 {
			return false
		}
	}
	return true
}

func isACSGroup(s []byte) bool {
	switch string(s) {
	case "CDC", "CIKR", "DIB", "FIN", "ISAC", "NONFED", "PRIVATESECTOR":
		return true
	}
	return isOrganization(s)
}

func isACSAudience(s []byte) bool { return string(s) == "ALL" || isACSGroup(s) }

func isSharingScope(s []byte) bool {
	return string(s) == "FOREIGNGOV" || string(s) == "SECTOR" || isACSAudience(s)
}

func isAnyUUID(s []byte) bool { return len(s) == 36 && isUUID(bytes.ToLower(s), 0) }

// isIEPVersion takes 2.0 as the standard's text and as its STIX examples have
// it.
func isIEPVersion(c *checker, v Value) {
	if f, ok := v.Float(); !v.Is("2.0") && (!ok || f != 2) {
		c.fail(v, iep2, "the version 2.0 was expected")
	}
}

func isCUICategory(s []byte) bool {
	for _, c := range s {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(s) > 0
}
