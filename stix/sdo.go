package stix

import "golang.org/x/text/language"

// sdos are the STIX domain objects (STIX 2.1 §4).
func sdos() []objectType {
	return []objectType{
		attackPattern(), campaign(), courseOfAction(), grouping(), identity(), incident(), indicator(), infrastructure(),
		intrusionSet(), location(), malware(), malwareAnalysis(), note(), observedData(), opinionObject(), report(),
		threatActor(), tool(), vulnerability(),
	}
}

func attackPattern() objectType {
	return objectType{name: "attack-pattern", kind: sdo, table: table{
		clause: "STIX 2.1 §4.1.1",
		rows: []row{
			optional("external_references", list(structure(externalReference())), numbered("capec", "CAPEC-[id]", "STIX 2.1 §4.1.1", isCAPEC)),
			required("name", text),
			optional("description", text),
			optional("aliases", list(text)),
			optional("kill_chain_phases", list(structure(killChainPhase()))),
		},
	}}
}

func campaign() objectType {
	return objectType{name: "campaign", kind: sdo, table: table{
		clause: "STIX 2.1 §4.2.1",
		rows: []row{
			required("name", text),
			optional("description", text),
			optional("aliases", list(text)),
			optional("first_seen", timestamp),
			optional("last_seen", timestamp, notBefore("first_seen", "STIX 2.1 §4.2.1")),
			optional("objective", text),
		},
	}}
}

func courseOfAction() objectType {
	return objectType{name: "course-of-action", kind: sdo, table: table{
		clause: "STIX 2.1 §4.3.1",
		rows: []row{
			required("name", text),
			optional("description", text),
			optional("action", forbidden("STIX 2.1 §4.3.1", "this property is reserved")),
		},
	}}
}

func grouping() objectType {
	return objectType{name: "grouping", kind: sdo, table: table{
		clause: "STIX 2.1 §4.4.1",
		rows: []row{
			required("name", text),
			optional("description", text),
			required("context", groupingContext()),
			required("object_refs", list(anyObject())),
		},
	}}
}

func identity() objectType {
	return objectType{name: "identity", kind: sdo, table: table{
		clause: "STIX 2.1 §4.5.1",
		rows: []row{
			required("name", text),
			optional("description", text),
			optional("roles", list(text)),
			optional("identity_class", identityClass()),
			optional("sectors", list(industrySector())),
			optional("contact_information", text),
		},
	}}
}

func incident() objectType {
	return objectType{name: "incident", kind: sdo, table: table{
		clause: "STIX 2.1 §4.6.1",
		rows: []row{
			required("name", text),
			optional("description", text),
		},
	}}
}

func indicator() objectType {
	return objectType{name: "indicator", kind: sdo, table: table{
		clause: "STIX 2.1 §4.7.1",
		rows: []row{
			optional("name", text),
			optional("description", text),
			optional("indicator_types", list(indicatorType())),
			required("pattern", text, matchesPatternType),
			required("pattern_type", patternType()),
			optional("pattern_version", text),
			required("valid_from", timestamp),
			optional("valid_until", timestamp, after("valid_from", "STIX 2.1 §4.7.1")),
			optional("kill_chain_phases", list(structure(killChainPhase()))),
		},
		rules: []rule{should("STIX 2.1 §4.7.1", "name", "description")},
	}}
}

// matchesPatternType demands that a pattern is one in its language, where the
// language is STIX's own.
func matchesPatternType(c *checker, o, v Value) {
	if v.Kind() != String || !o.Get("pattern_type").Is("stix") {
		return
	}
	if c.options.Pattern != nil {
		if err := c.options.Pattern(v.Text()); err != nil {
			c.fail(v, "STIX 2.1 §9", "a STIX pattern was expected, as pattern_type says: "+err.Error())
			return
		}
	}
	if c.options.DoubtfulPattern != nil && !c.options.ErrorsOnly {
		for _, err := range c.options.DoubtfulPattern(v.Text()) {
			c.warn(v, "STIX 2.1 §9.4", "a part of the pattern matches nothing: "+err.Error())
		}
	}
}

func infrastructure() objectType {
	return objectType{name: "infrastructure", kind: sdo, table: table{
		clause: "STIX 2.1 §4.8.1",
		rows: []row{
			required("name", text),
			optional("description", text),
			optional("infrastructure_types", list(infrastructureType())),
			optional("aliases", list(text)),
			optional("kill_chain_phases", list(structure(killChainPhase()))),
			optional("first_seen", timestamp),
			optional("last_seen", timestamp, notBefore("first_seen", "STIX 2.1 §4.8.1")),
		},
	}}
}

func intrusionSet() objectType {
	return objectType{name: "intrusion-set", kind: sdo, table: table{
		clause: "STIX 2.1 §4.9.1",
		rows: []row{
			required("name", text),
			optional("description", text),
			optional("aliases", list(text)),
			optional("first_seen", timestamp),
			optional("last_seen", timestamp, notBefore("first_seen", "STIX 2.1 §4.9.1")),
			optional("goals", list(text)),
			optional("resource_level", attackResourceLevel()),
			optional("primary_motivation", attackMotivation()),
			optional("secondary_motivations", list(attackMotivation())),
		},
	}}
}

func location() objectType {
	return objectType{name: "location", kind: sdo, table: table{
		clause: "STIX 2.1 §4.10.1",
		rows: []row{
			optional("name", text),
			optional("description", text),
			optional("latitude", floatIn(-90, 90, "STIX 2.1 §4.10.1"), with("STIX 2.1 §4.10.1", "longitude")),
			optional("longitude", floatIn(-180, 180, "STIX 2.1 §4.10.1"), with("STIX 2.1 §4.10.1", "latitude")),
			optional("precision", float, with("STIX 2.1 §4.10.1", "latitude", "longitude")),
			optional("region", region()),
			optional("country", text, shouldBeCountry),
			optional("administrative_area", text),
			optional("city", text),
			optional("street_address", text),
			optional("postal_code", text),
		},
		rules: []rule{oneOf("STIX 2.1 §4.10", "region", "country", "latitude", "longitude"), shouldBePrecise},
	}}
}

// shouldBePrecise warns of coordinates that do not say how precise they are.
func shouldBePrecise(c *checker, o, _ Value) {
	if !c.options.ErrorsOnly && o.Get("latitude").Exists() && !o.Get("precision").Exists() {
		c.warn(o, "STIX 2.1 §4.10", "the precision of the coordinates should be there")
	}
}

// shouldBeCountry warns of countries that are no code of ISO 3166-1 alpha-2.
// The standard's own vocabularies and examples have them in lower case too.
func shouldBeCountry(c *checker, _, v Value) {
	if !c.options.ErrorsOnly && !isCountry(v.inside()) {
		c.warn(v, "STIX 2.1 §4.10.1", "a code of two letters (ISO 3166-1) should be used")
	}
}

func isCountry(s []byte) bool {
	if len(s) != 2 {
		return false
	}
	r, err := language.ParseRegion(string(s))
	return err == nil && r.IsCountry()
}

func malware() objectType {
	return objectType{name: "malware", kind: sdo, table: table{
		clause: "STIX 2.1 §4.11.1",
		rows: []row{
			optional("name", text),
			optional("description", text),
			optional("malware_types", list(malwareType())),
			optional("is_family", boolean, familyHasName),
			optional("aliases", list(text)),
			optional("kill_chain_phases", list(structure(killChainPhase()))),
			optional("first_seen", timestamp),
			optional("last_seen", timestamp, notBefore("first_seen", "STIX 2.1 §4.11.1")),
			optional("operating_system_refs", list(ref("software"))),
			optional("architecture_execution_envs", list(processorArchitecture())),
			optional("implementation_languages", list(implementationLanguage())),
			optional("capabilities", list(malwareCapabilities())),
			optional("sample_refs", list(ref("file", "artifact"))),
		},
		// Required by STIX 2.1 of June 2021 and its schemas, optional by the
		// table of Errata 01.
		rules: []rule{should("STIX 2.1 §4.11.1", "is_family")},
	}}
}

func familyHasName(c *checker, o, v Value) {
	if v.True() && !o.Get("name").Exists() {
		c.failMissing(o, "name", "STIX 2.1 §4.11.1", "a malware family has a name")
	}
}

func malwareAnalysis() objectType {
	return objectType{name: "malware-analysis", kind: sdo, table: table{
		clause: "STIX 2.1 §4.12.1",
		rows: []row{
			required("product", text, shouldBeProduct),
			optional("version", text),
			optional("host_vm_ref", ref("software")),
			optional("operating_system_ref", ref("software")),
			optional("installed_software_refs", list(ref("software"))),
			optional("configuration_version", text),
			optional("modules", list(text)),
			optional("analysis_engine_version", text),
			optional("analysis_definition_version", text),
			optional("submitted", timestamp),
			optional("analysis_started", timestamp),
			optional("analysis_ended", timestamp),
			optional("result_name", text),
			optional("result", malwareResult()),
			optional("analysis_sco_refs", list(anyObservable())),
			optional("sample_ref", anyObservable()),
		},
		rules: []rule{oneOf("STIX 2.1 §4.12", "result", "analysis_sco_refs")},
	}}
}

func shouldBeProduct(c *checker, _, v Value) {
	if !isTerm(v.inside()) {
		c.warn(v, "STIX 2.1 §4.12.1", "product names should be in lower case with hyphens between words")
	}
}

func note() objectType {
	return objectType{name: "note", kind: sdo, table: table{
		clause: "STIX 2.1 §4.13.1",
		rows: []row{
			optional("abstract", text),
			required("content", text),
			optional("authors", list(text)),
			required("object_refs", list(anyObject())),
		},
	}}
}

func observedData() objectType {
	return objectType{name: "observed-data", kind: sdo, table: table{
		clause: "STIX 2.1 §4.14.1",
		rows: []row{
			required("first_observed", timestamp),
			required("last_observed", timestamp, notBefore("first_observed", "STIX 2.1 §4.14.1")),
			required("number_observed", integerIn(1, 999_999_999, "STIX 2.1 §4.14.1")),
			optional("objects", observableContainer, deprecated("STIX 2.1 §4.14.1")),
			optional("object_refs", list(target{kinds: []kind{sco, sro}, what: "the identifier of a cyber-observable or relationship object"}.check()),
				someObservable),
		},
		rules: []rule{justOne("STIX 2.1 §4.14", "objects", "object_refs")},
	}}
}

// someObservable demands that observed data refers to an observable at least.
func someObservable(c *checker, _, v Value) {
	for _, e := range v.Elements() {
		if c.catalog.named(typeOf(e.inside())).kind != sro {
			return
		}
	}
	c.fail(v, "STIX 2.1 §4.14.1", "at least one cyber-observable object was expected")
}

func opinionObject() objectType {
	return objectType{name: "opinion", kind: sdo, table: table{
		clause: "STIX 2.1 §4.15.1",
		rows: []row{
			optional("explanation", text),
			optional("authors", list(text)),
			required("opinion", opinion()),
			required("object_refs", list(anyObject())),
		},
	}}
}

func report() objectType {
	return objectType{name: "report", kind: sdo, table: table{
		clause: "STIX 2.1 §4.16.1",
		rows: []row{
			required("name", text),
			optional("description", text),
			optional("report_types", list(reportType())),
			required("published", timestamp),
			required("object_refs", list(anyObject())),
		},
	}}
}

func threatActor() objectType {
	return objectType{name: "threat-actor", kind: sdo, table: table{
		clause: "STIX 2.1 §4.17.1",
		rows: []row{
			required("name", text),
			optional("description", text),
			optional("threat_actor_types", list(threatActorType())),
			optional("aliases", list(text)),
			optional("first_seen", timestamp),
			optional("last_seen", timestamp, notBefore("first_seen", "STIX 2.1 §4.17.1")),
			optional("roles", list(threatActorRole())),
			optional("goals", list(text)),
			optional("sophistication", threatActorSophistication()),
			optional("resource_level", attackResourceLevel()),
			optional("primary_motivation", attackMotivation()),
			optional("secondary_motivations", list(attackMotivation())),
			optional("personal_motivations", list(attackMotivation())),
		},
	}}
}

func tool() objectType {
	return objectType{name: "tool", kind: sdo, table: table{
		clause: "STIX 2.1 §4.18.1",
		rows: []row{
			required("name", text),
			optional("description", text),
			optional("tool_types", list(toolType())),
			optional("aliases", list(text)),
			optional("kill_chain_phases", list(structure(killChainPhase()))),
			optional("tool_version", text),
		},
	}}
}

func vulnerability() objectType {
	return objectType{name: "vulnerability", kind: sdo, table: table{
		clause: "STIX 2.1 §4.19.1",
		rows: []row{
			optional("external_references", list(structure(externalReference())), numbered("cve", "CVE-[year]-[number]", "STIX 2.1 §4.19.1", isCVE)),
			required("name", text),
			optional("description", text),
		},
	}}
}
