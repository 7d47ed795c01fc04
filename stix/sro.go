package stix

import (
	"slices"
	"strings"
)

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
		target := c.catalog.named(to).kind
		if c.catalog.named(from).kind == custom || target == custom {
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
				if r.name == string(is) && (slices.Contains(r.targets, string(to)) || target == sco && slices.Contains(r.targets, "sco")) {
					return
				}
			}
		}
		c.warn(name, "STIX 2.1 §5.1.2", "the standard does not list this relationship for a source and a target of these types")
	}
}

// A listedRelationship may lead from its source to these types.
type listedRelationship struct {
	name    string
	targets []string
}

// listedRelationships returns the relationships of the standard by source.
func listedRelationships() map[string][]listedRelationship {
	all := map[string][]listedRelationship{}
	for line := range strings.Lines(relationshipSummary) {
		if f := strings.Fields(line); len(f) > 0 {
			all[f[0]] = append(all[f[0]], listedRelationship{name: f[1], targets: f[2:]})
		}
	}
	return all
}

// relationshipSummary is the table of STIX 2.1 appendix B: source, type and
// targets. All cyber-observable objects are sco.
const relationshipSummary = `
attack-pattern    delivers             malware
attack-pattern    targets              identity location vulnerability
attack-pattern    uses                 malware tool
campaign          attributed-to        intrusion-set threat-actor
campaign          compromises          infrastructure
campaign          originates-from      location
campaign          targets              identity location vulnerability
campaign          uses                 attack-pattern infrastructure malware tool
course-of-action  investigates         indicator
course-of-action  mitigates            attack-pattern indicator malware tool vulnerability
course-of-action  remediates           malware vulnerability
domain-name       resolves-to          domain-name ipv4-addr ipv6-addr
identity          located-at           location
indicator         indicates            attack-pattern campaign infrastructure intrusion-set malware threat-actor tool
indicator         based-on             observed-data
infrastructure    communicates-with    infrastructure ipv4-addr ipv6-addr domain-name url
infrastructure    consists-of          infrastructure observed-data sco
infrastructure    controls             infrastructure malware
infrastructure    delivers             malware
infrastructure    has                  vulnerability
infrastructure    hosts                tool malware
infrastructure    located-at           location
infrastructure    uses                 infrastructure
intrusion-set     attributed-to        threat-actor
intrusion-set     compromises          infrastructure
intrusion-set     hosts                infrastructure
intrusion-set     owns                 infrastructure
intrusion-set     originates-from      location
intrusion-set     targets              identity location vulnerability
intrusion-set     uses                 attack-pattern infrastructure malware tool
ipv4-addr         belongs-to           autonomous-system
ipv4-addr         resolves-to          mac-addr
ipv6-addr         belongs-to           autonomous-system
ipv6-addr         resolves-to          mac-addr
malware           authored-by          threat-actor intrusion-set
malware           beacons-to           infrastructure
malware           exfiltrates-to       infrastructure
malware           communicates-with    ipv4-addr ipv6-addr domain-name url
malware           controls             malware
malware           downloads            malware tool file
malware           drops                malware tool file
malware           exploits             vulnerability
malware           originates-from      location
malware           targets              identity infrastructure location vulnerability
malware           uses                 attack-pattern infrastructure malware tool
malware           variant-of           malware
malware-analysis  characterizes        malware
malware-analysis  av-analysis-of       malware
malware-analysis  static-analysis-of   malware
malware-analysis  dynamic-analysis-of  malware
threat-actor      attributed-to        identity
threat-actor      compromises          infrastructure
threat-actor      hosts                infrastructure
threat-actor      owns                 infrastructure
threat-actor      impersonates         identity
threat-actor      located-at           location
threat-actor      targets              identity location vulnerability
threat-actor      uses                 attack-pattern infrastructure malware tool
tool              delivers             malware
tool              drops                malware
tool              has                  vulnerability
tool              targets              identity infrastructure location vulnerability
tool              uses                 infrastructure
`

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
