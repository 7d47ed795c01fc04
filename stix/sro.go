package stix

import "slices"

// sros are the STIX relationship objects (STIX 2.1 §5).
func sros() []objectType { return []objectType{relationship(), sighting()} }

func relationship() objectType {
	end := target{kinds: []kind{sdo, sco}, what: "the identifier of a domain or cyber-observable object"}.check()
	return objectType{name: "relationship", kind: sro, table: table{
		clause: "STIX 2.1 §5.1.2",
		rows: []row{
			required("relationship_type", relationshipType),
			optional("description", text),
			required("source_ref", end),
			required("target_ref", end),
			optional("start_time", timestamp),
			optional("stop_time", timestamp, after("start_time", "STIX 2.1 §5.1.2")),
		},
		rules: []rule{linksTwo, shouldBeListed()},
	}}
}

func relationshipType(c *checker, v Value) {
	s := v.inside()
	for _, b := range s {
		if (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '-' {
			s = nil
			break
		}
	}
	if len(s) == 0 {
		c.fail(v, "STIX 2.1 §5.1.2", "the name of a relationship was expected: a-z, 0-9 and hyphen")
	}
}

// linksTwo demands that a relationship is between two objects.
func linksTwo(c *checker, o, _ Value) {
	target := o.Get("target_ref")
	if id := target.inside(); id != nil && string(id) == string(o.Get("source_ref").inside()) {
		c.fail(target, "STIX 2.1 §5.1", "another object than the source was expected: a relationship links two")
	}
}

// shouldBeListed warns of relationships between types of the standard that the
// standard does not list (STIX 2.1 §5.1.2).
func shouldBeListed() rule {
	listed := listedRelationships()
	return func(c *checker, o, _ Value) {
		if c.options.ErrorsOnly {
			return
		}
		name := o.Get("relationship_type")
		from, to := typeOf(o.Get("source_ref").inside()), typeOf(o.Get("target_ref").inside())
		if c.catalog.named(from).kind == custom || c.catalog.named(to).kind == custom {
			return // or no identifiers at all
		}
		switch is := name.inside(); string(is) {
		case "related-to":
			return
		case "derived-from", "duplicate-of":
			if string(from) == string(to) {
				return
			}
		default:
			for _, r := range listed[string(from)] {
				if r.name == string(is) && (len(r.targets) == 0 && c.catalog.named(to).kind == sco || slices.Contains(r.targets, string(to))) {
					return
				}
			}
		}
		c.warn(name, "STIX 2.1 §5.1.2", "the standard does not list this relationship for a source and a target of these types")
	}
}

// A listed relationship may lead from its source to these types; with none, to
// all cyber-observable objects.
type listed struct {
	name    string
	targets []string
}

// listedRelationships is the table of STIX 2.1 appendix B by source.
func listedRelationships() map[string][]listed {
	victims := []string{"identity", "location", "vulnerability"}
	means := []string{"attack-pattern", "infrastructure", "malware", "tool"}
	actorAndInfrastructure := []listed{
		{"compromises", []string{"infrastructure"}},
		{"hosts", []string{"infrastructure"}},
		{"owns", []string{"infrastructure"}},
		{"targets", victims},
		{"uses", means},
	}
	address := []listed{
		{"belongs-to", []string{"autonomous-system"}},
		{"resolves-to", []string{"mac-addr"}},
	}
	return map[string][]listed{
		"attack-pattern": {
			{"delivers", []string{"malware"}},
			{"targets", victims},
			{"uses", []string{"malware", "tool"}},
		},
		"campaign": {
			{"attributed-to", []string{"intrusion-set", "threat-actor"}},
			{"compromises", []string{"infrastructure"}},
			{"originates-from", []string{"location"}},
			{"targets", victims},
			{"uses", means},
		},
		"course-of-action": {
			{"investigates", []string{"indicator"}},
			{"mitigates", []string{"attack-pattern", "indicator", "malware", "tool", "vulnerability"}},
			{"remediates", []string{"malware", "vulnerability"}},
		},
		"domain-name": {{"resolves-to", []string{"domain-name", "ipv4-addr", "ipv6-addr"}}},
		"identity":    {{"located-at", []string{"location"}}},
		"indicator": {
			{"indicates", []string{"attack-pattern", "campaign", "infrastructure", "intrusion-set", "malware", "threat-actor", "tool"}},
			{"based-on", []string{"observed-data"}},
		},
		"infrastructure": {
			{"communicates-with", []string{"infrastructure", "ipv4-addr", "ipv6-addr", "domain-name", "url"}},
			{"consists-of", []string{"infrastructure", "observed-data"}},
			{"consists-of", nil},
			{"controls", []string{"infrastructure", "malware"}},
			{"delivers", []string{"malware"}},
			{"has", []string{"vulnerability"}},
			{"hosts", []string{"tool", "malware"}},
			{"located-at", []string{"location"}},
			{"uses", []string{"infrastructure"}},
		},
		"intrusion-set": append([]listed{
			{"attributed-to", []string{"threat-actor"}},
			{"originates-from", []string{"location"}},
		}, actorAndInfrastructure...),
		"ipv4-addr": address,
		"ipv6-addr": address,
		"malware": {
			{"authored-by", []string{"threat-actor", "intrusion-set"}},
			{"beacons-to", []string{"infrastructure"}},
			{"exfiltrates-to", []string{"infrastructure"}},
			{"communicates-with", []string{"ipv4-addr", "ipv6-addr", "domain-name", "url"}},
			{"controls", []string{"malware"}},
			{"downloads", []string{"malware", "tool", "file"}},
			{"drops", []string{"malware", "tool", "file"}},
			{"exploits", []string{"vulnerability"}},
			{"originates-from", []string{"location"}},
			{"targets", append([]string{"infrastructure"}, victims...)},
			{"uses", means},
			{"variant-of", []string{"malware"}},
		},
		"malware-analysis": {
			{"characterizes", []string{"malware"}},
			{"av-analysis-of", []string{"malware"}},
			{"static-analysis-of", []string{"malware"}},
			{"dynamic-analysis-of", []string{"malware"}},
		},
		"threat-actor": append([]listed{
			{"attributed-to", []string{"identity"}},
			{"impersonates", []string{"identity"}},
			{"located-at", []string{"location"}},
		}, actorAndInfrastructure...),
		"tool": {
			{"delivers", []string{"malware"}},
			{"drops", []string{"malware"}},
			{"has", []string{"vulnerability"}},
			{"targets", append([]string{"infrastructure"}, victims...)},
			{"uses", []string{"infrastructure"}},
		},
	}
}

func sighting() objectType {
	return objectType{name: "sighting", kind: sro, table: table{
		clause: "STIX 2.1 §5.2.1",
		rows: []row{
			optional("description", text),
			optional("first_seen", timestamp),
			optional("last_seen", timestamp, notBefore("first_seen", "STIX 2.1 §5.2.1")),
			optional("count", integerIn(0, 999_999_999, "STIX 2.1 §5.2.1")),
			required("sighting_of_ref", target{kinds: []kind{sdo}, what: "the identifier of a domain object"}.check()),
			optional("observed_data_refs", list(objectRef("observed-data"))),
			optional("where_sighted_refs", list(objectRef("identity", "location"))),
			// The table says string; the standard's example, its default value
			// false and its schema say boolean.
			optional("summary", boolean),
		},
	}}
}
