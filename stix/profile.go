package stix

import (
	"strings"

	"tocsin/tlp"
)

// A Profile names rules that a community has beyond the standard: see the
// constants. The empty one has none.
//
// The interoperability profile may be followed by a persona, as in
// "interop:tip"; [ParseProfile] reads both.
type Profile string

// The profiles.
const (
	// Interop are the rules of the STIX/TAXII 2.1 Interoperability Test Document
	// for all personas: whoever creates an object is named and in the bundle, an
	// object has one TLP marking at most, and each type has the properties that
	// the OASIS interoperability schemas require of it.
	Interop Profile = "interop"
	// AIS are the rules for what is sent to CISA's Automated Indicator Sharing:
	// an identity that says by a label how far it may be named, markings of TLP
	// up to AMBER, none that is proprietary without full consent, and a warning
	// for each property that a person must review or that is dropped.
	AIS Profile = "ais"
)

// Personas of the interoperability profile and what they are.
func personas() map[string]string {
	return map[string]string{
		"aim":  "Adversary Infrastructure Mapping",
		"lim":  "Local Infrastructure Mapping",
		"mas":  "Malware Analysis System",
		"siem": "Security Incident and Event Management",
		"sxc":  "STIX Consumer",
		"sxp":  "STIX Producer",
		"tds":  "Threat Detection System",
		"tip":  "Threat Intelligence Platform",
		"tms":  "Threat Mitigation System",
	}
}

// ParseProfile reads the name of a profile: "", "ais", "interop", or "interop:"
// and one of the personas aim, lim, mas, siem, sxc, sxp, tds, tip and tms of the
// Interoperability Test Document.
func ParseProfile(name string) (Profile, bool) {
	base, persona, named := strings.Cut(strings.ToLower(name), ":")
	p := Profile(strings.ToLower(name))
	switch Profile(base) {
	case "", AIS:
		return p, !named
	case Interop:
		return p, !named || personas()[persona] != ""
	}
	return "", false
}

// parts returns the profile without the persona, and the persona.
func (p Profile) parts() (Profile, string) {
	base, persona, _ := strings.Cut(string(p), ":")
	return Profile(base), persona
}

const (
	interopDocument = "STIX 2.1 Interoperability Test Document, Part 1"
	interopSchemas  = "STIX 2.1 interoperability schemas"
	aisProfile      = "AIS profile"
)

// interopRequires are the properties that the OASIS interoperability schemas
// (cti-stix2-json-schemas, interop/) require of a type beyond the standard. Three
// names are misspelled there and are right here: architecture_execution_envs and
// capabilities of malware, external_references of vulnerabilities.
func interopRequires(kind string) []string {
	switch kind {
	case "attack-pattern":
		return []string{"external_references", "kill_chain_phases"}
	case "indicator":
		return []string{"name", "indicator_types"}
	case "infrastructure":
		return []string{"infrastructure_types"}
	case "intrusion-set":
		return []string{"resource_level", "primary_motivation"}
	case "location":
		return []string{"region"}
	case "malware":
		return []string{"name", "malware_types", "first_seen", "last_seen", "architecture_execution_envs", "implementation_languages", "capabilities"}
	case "malware-analysis":
		return []string{"version", "submitted", "analysis_started", "analysis_ended", "result"}
	case "observed-data":
		return []string{"object_refs"}
	case "report":
		return []string{"report_types"}
	case "sighting":
		return []string{"first_seen", "last_seen", "count"}
	case "threat-actor":
		return []string{"threat_actor_types", "roles", "sophistication", "resource_level", "primary_motivation"}
	case "tool":
		return []string{"tool_types"}
	case "vulnerability":
		return []string{"external_references"}
	}
	return nil
}

// personaSends are the types of which a bundle of a persona has one at least.
// The pairing follows what the personas are for; it has not been compared with
// the test cases of the document, so that a bundle without them is only warned
// of.
func personaSends(persona string) []string {
	switch persona {
	case "tds", "siem":
		return []string{"indicator", "sighting", "observed-data"}
	case "tms":
		return []string{"course-of-action", "sighting", "observed-data"}
	case "mas":
		return []string{"malware", "malware-analysis"}
	case "aim", "lim":
		return []string{"infrastructure"}
	}
	return nil
}

// profile checks one object against the rules of the profile.
func (c *checker) profile(o Value) {
	switch p, _ := c.options.Profile.parts(); p {
	case Interop:
		c.interop(o)
	case AIS:
		c.ais(o)
	}
}

func (c *checker) interop(o Value) {
	kind := c.selfType.kind
	if kind == sdo || kind == sro || kind == custom && o.Get("created").Exists() {
		for _, name := range interopRequires(c.selfType.name) {
			if !o.Get(name).Exists() {
				c.failMissing(o, name, interopSchemas, "this profile requires the property "+name)
			}
		}
		if c.selfType.name != "identity" && !o.Get("created_by_ref").Exists() {
			c.failMissing(o, "created_by_ref", interopDocument, "this profile requires created_by_ref of every object but identities")
		}
	}
	marked := false
	for _, m := range o.Get("object_marking_refs").Elements() {
		if _, is := tlp.FromMarking(m.Text()); is && marked {
			c.fail(m, interopSchemas, "this profile allows one TLP marking of an object")
		} else if is {
			marked = true
		}
	}
}

// profileOfBundle checks what a profile demands of the objects of a bundle
// together.
func (c *checker) profileOfBundle(bundle Value, all map[string][]bundled) {
	switch p, persona := c.options.Profile.parts(); p {
	case Interop:
		c.creatorsAreThere(bundle, all)
		c.personaIsServed(bundle, persona)
	case AIS:
		c.consents(bundle, all)
	}
}

// creatorsAreThere demands that the identity of every creator is in the bundle,
// and says itself who made it.
func (c *checker) creatorsAreThere(bundle Value, all map[string][]bundled) {
	for _, o := range bundle.Get("objects").Elements() {
		by := o.Get("created_by_ref")
		if !by.Exists() || c.full() || o.Get("type").Is("identity") {
			continue
		}
		if who := all[by.Text()]; len(who) == 0 {
			c.fail(by, interopDocument, "this profile requires the identity of the creator in the bundle")
		} else if !who[0].object.Get("created_by_ref").Exists() {
			c.fail(by, interopDocument, "this profile requires created_by_ref of the identity of a creator")
		}
	}
}

func (c *checker) personaIsServed(bundle Value, persona string) {
	wanted := personaSends(persona)
	if len(wanted) == 0 {
		return
	}
	for _, o := range bundle.Get("objects").Elements() {
		for _, kind := range wanted {
			if o.Get("type").Is(kind) {
				return
			}
		}
	}
	c.warn(bundle, interopDocument, "a bundle of this persona has an object of one of the types "+strings.Join(wanted, ", "))
}

// Consent labels of AIS, on the identity that submits.
const (
	consentProprietary = "ais-consent-everyone-cisa-proprietary"
	consentPrefix      = "ais-consent-"
)

// aisConsent returns an identity's label of consent.
func aisConsent(identity Value) Value {
	for _, l := range identity.Get("labels").Elements() {
		if strings.HasPrefix(l.Text(), consentPrefix) {
			return l
		}
	}
	return Value{}
}

// ais checks one object against the rules for what is sent to AIS.
func (c *checker) ais(o Value) {
	for _, m := range o.Get("object_marking_refs").Elements() {
		if l, is := tlp.FromMarking(m.Text()); is && l > tlp.Amber {
			c.fail(m, aisProfile, "TLP CLEAR, GREEN or AMBER was expected: AIS takes nothing more restricted")
		}
	}
	if l := aisConsent(o); l.Exists() {
		switch l.Text() {
		case "ais-consent-everyone", "ais-consent-usg", "ais-consent-none", consentProprietary:
		default:
			c.fail(l, aisProfile, "a label of consent was expected: ais-consent-everyone, -usg, -none or -everyone-cisa-proprietary (proprietary needs consent to everyone)")
		}
		if c.selfType.name != "identity" {
			c.fail(l, aisProfile, "the label of consent stands on the identity that submits")
		}
	}
	if c.selfType.kind == sdo || c.selfType.kind == sro {
		if !o.Get("object_marking_refs").Exists() {
			c.failMissing(o, "object_marking_refs", aisProfile, "a TLP marking is required")
		}
		if c.selfType.name != "identity" && !o.Get("created_by_ref").Exists() {
			c.failMissing(o, "created_by_ref", aisProfile, "the identity that submits is required, with its label of consent")
		}
	}
	if acs := o.Get("extensions").Get(acs3ID).Get("control_set"); acs.Exists() {
		c.aisACS(acs)
	}
	if c.options.ErrorsOnly {
		return
	}
	for i := o.i + 1; i < o.node().next; i = o.d.nodes[i].next {
		v := Value{o.d, i}
		if aisConsent(o).Exists() && string(o.d.name(i)) == "labels" && v.Len() == 1 {
			continue
		}
		switch aisClass(c.selfType, o.d.name(i)) {
		case aisReview:
			c.warn(v, aisProfile, "free text: a person reviews it before it is sent on")
		case aisDrop:
			c.warn(v, aisProfile, "personal data or a secret: it is dropped before it is sent on")
		case aisPass:
		}
	}
}

// aisACS checks the access control markings of what is sent to AIS: nothing
// classified, and said to be about a threat.
func (c *checker) aisACS(control Value) {
	if level := control.Get("classification"); level.Exists() && !level.Is("U") {
		c.fail(level, aisProfile, "the classification U was expected: AIS takes nothing classified")
	}
	for _, d := range control.Get("formal_determination").Elements() {
		if d.Is("INFORMATION-DIRECTLY-RELATED-TO-CYBERSECURITY-THREAT") {
			return
		}
	}
	c.failMissing(control, "formal_determination", aisProfile, "the formal determination INFORMATION-DIRECTLY-RELATED-TO-CYBERSECURITY-THREAT was expected")
}

// An aisTreatment is what happens to a property on its way through AIS.
type aisTreatment uint8

const (
	aisPass   aisTreatment = iota // restricted by its type or a vocabulary
	aisReview                     // free text
	aisDrop                       // personal by nature
)

// aisClass says how AIS treats a property of a type.
func aisClass(t *objectType, name []byte) aisTreatment {
	switch string(name) {
	case "display_name", "to_refs", "cc_refs", "bcc_refs", "credential", "contact_information":
		return aisDrop
	case "user_id", "account_login":
		if t.name == "user-account" {
			return aisDrop
		}
	case "name":
		// The name of a file or program is data; that of everything else is a
		// title.
		if t.kind != sco {
			return aisReview
		}
	case "description", "abstract", "content", "explanation", "labels", "aliases", "goals", "objective", "authors",
		"body", "subject", "body_multipart", "additional_header_fields", "received_lines", "payload_bin", "extensions":
		return aisReview
	}
	if t.row(name) < 0 {
		return aisReview // nobody knows what is in it
	}
	return aisPass
}

// consents demands that whoever submits to AIS says how far they may be named.
func (c *checker) consents(bundle Value, all map[string][]bundled) {
	asked := map[string]bool{}
	for _, o := range bundle.Get("objects").Elements() {
		by := o.Get("created_by_ref")
		if !by.Exists() || c.full() || asked[by.Text()] {
			continue
		}
		asked[by.Text()] = true
		if who := all[by.Text()]; len(who) == 0 {
			c.fail(by, aisProfile, "the identity that submits was expected in the bundle")
		} else if !aisConsent(who[0].object).Exists() {
			c.warn(by, aisProfile, "a label of consent should be on the identity: without one it is ais-consent-none")
		}
	}
}
