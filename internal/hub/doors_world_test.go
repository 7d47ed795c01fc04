package hub

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"

	"tocsin/internal/view"
	"tocsin/tlp"
)

type viewObject = view.Object

// A generator makes random bundles, and knows by a reading of its own who may see
// what of them.
type generator struct {
	rng      *rand.Rand
	names    []string
	all      []*made
	canaries []string
	owners   map[string]*made // canary → object
}

// A made object is written down once, as maps and lists.
type made struct {
	id, kind, owner string
	recipients      []string
	markings        []string
	parts           map[string][]string // property → markings of it
	texts           map[string][]string // property → canaries in it
	refs            map[string][]*made  // property → what it leads to
	doc             map[string]any
}

type bundled struct {
	owner      string
	recipients []string
	objects    []*made
}

func (b bundled) texts() (all []string) {
	for _, o := range b.objects {
		text, err := json.Marshal(o.doc)
		if err != nil {
			panic(err)
		}
		all = append(all, string(text))
	}
	return all
}

const acsID = "extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce"

// markingOf returns the id by which an owner writes a marking.
func markingOf(owner, name string) string {
	if level, ok := tlp.Parse(name); ok {
		return level.Marking()
	}
	n := map[string]int{"S": 1, "NF": 2, "text": 3, "unknown": 4}[name]
	return fmt.Sprintf("marking-definition--%08d-0000-4000-8000-%012d", n, len(owner))
}

func (g *generator) definitions(owner string) []string {
	definition := func(name, rest string) string {
		return `{"type":"marking-definition","spec_version":"2.1","id":"` + markingOf(owner, name) + `","created":"2026-01-01T00:00:00.000Z",` + rest + `}`
	}
	acs := func(set string) string {
		return `"extensions":{"` + acsID + `":{"extension_type":"property-extension","identifier":"isa:guide.19001.ACS3-1",` +
			`"create_date_time":"2026-01-01T00:00:00Z","responsible_entity_custodian":"USA.DHS",` +
			`"policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=permit&sharedefault=permit","control_set":{` + set + `}}}`
	}
	return []string{
		definition("S", acs(`"classification":"S"`)), definition("NF", acs(`"classification":"U","formal_determination":["NF"]`)),
		definition("text", `"definition_type":"statement","definition":{"statement":"Copyright"}`),
	}
}

func (g *generator) canary(o *made, property string) string {
	c := fmt.Sprintf("canary%dz", len(g.canaries))
	g.canaries = append(g.canaries, c)
	if g.owners == nil {
		g.owners = map[string]*made{}
	}
	g.owners[c] = o
	o.texts[property] = append(o.texts[property], c)
	return c
}

func (g *generator) where(c string) string {
	o := g.owners[c]
	for property, all := range o.texts {
		if slices.Contains(all, c) {
			return fmt.Sprintf("%s %s of %s, marked %v, parts %v, to %v, refs %v", o.kind, property, o.owner, o.markings, o.parts, o.recipients, o.refs)
		}
	}
	return o.kind
}

func (g *generator) uuid() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", g.rng.Uint32(), g.rng.IntN(1<<16), g.rng.IntN(1<<12), g.rng.IntN(1<<12), g.rng.Int64N(1<<48))
}

func (g *generator) bundle() bundled {
	b := bundled{owner: []string{"acme", "bravo"}[g.rng.IntN(2)]}
	if g.rng.IntN(4) == 0 {
		for _, name := range g.names {
			if g.rng.IntN(2) == 0 {
				b.recipients = append(b.recipients, name)
			}
		}
	}
	kinds := []string{"indicator", "malware", "ipv4-addr", "report", "note", "relationship", "campaign"}
	for i := range g.rng.IntN(6) + 2 {
		kind := "campaign" // at least two, for relationships
		if i > 1 {
			kind = kinds[g.rng.IntN(len(kinds))]
		}
		b.objects = append(b.objects, g.object(b, kind))
	}
	for _, o := range b.objects { // also forward, in cycles, and to itself
		g.link(o, b.objects)
	}
	g.all = append(g.all, b.objects...)
	return b
}

func (g *generator) object(b bundled, kind string) *made {
	o := &made{id: kind + "--" + g.uuid(), kind: kind, owner: b.owner, recipients: b.recipients, parts: map[string][]string{}, texts: map[string][]string{}, refs: map[string][]*made{}}
	o.doc = map[string]any{"type": kind, "spec_version": "2.1", "id": o.id}
	text := func(property string) { o.doc[property] = g.canary(o, property) }
	if kind != "ipv4-addr" {
		o.doc["created"], o.doc["modified"] = "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z"
		o.doc["labels"] = []any{g.canary(o, "labels"), g.canary(o, "labels")}
	}
	switch kind {
	case "indicator":
		text("name")
		text("description")
		o.doc["pattern"], o.doc["pattern_type"], o.doc["valid_from"] = "[file:name = '"+g.canary(o, "pattern")+"']", "stix", "2026-01-01T00:00:00Z"
	case "malware":
		text("name")
		text("description")
		o.doc["is_family"] = false
	case "campaign":
		text("name")
		text("objective")
	case "ipv4-addr":
		o.doc["value"] = fmt.Sprintf("198.51.%d.%d", g.rng.IntN(256), g.rng.IntN(256))
		text("x_remark")
	case "report":
		text("name")
		text("description")
		o.doc["published"] = "2026-01-01T00:00:00Z"
	case "note":
		text("content")
		text("abstract")
	case "relationship":
		text("description")
		o.doc["relationship_type"] = "related-to"
	}
	for range g.rng.IntN(3) {
		o.markings = append(o.markings, markingOf(b.owner, g.marking()))
	}
	slices.Sort(o.markings)
	if o.markings = slices.Compact(o.markings); len(o.markings) > 0 {
		o.doc["object_marking_refs"] = o.markings
	}
	g.mark(o)
	return o
}

func (g *generator) marking() string {
	return []string{"green", "green", "amber", "text", "text", "red", "S", "S", "NF", "unknown"}[g.rng.IntN(10)]
}

// mark marks some of the properties that have canaries.
func (g *generator) mark(o *made) {
	if g.rng.IntN(2) == 0 {
		return
	}
	properties := make([]string, 0, len(o.texts))
	for p := range o.texts {
		properties = append(properties, p)
	}
	slices.Sort(properties)
	var entries []any
	for range g.rng.IntN(3) + 1 {
		p, m := properties[g.rng.IntN(len(properties))], markingOf(o.owner, g.marking())
		o.parts[p] = append(o.parts[p], m)
		entries = append(entries, map[string]any{"marking_ref": m, "selectors": []string{p}})
	}
	o.doc["granular_markings"] = entries
}

func (g *generator) link(o *made, among []*made) {
	pick := func() *made { return among[g.rng.IntN(len(among))] }
	switch o.kind {
	case "report", "note":
		var ids []string
		for range g.rng.IntN(3) + 1 {
			to := pick()
			o.refs["object_refs"] = append(o.refs["object_refs"], to)
			ids = append(ids, to.id)
		}
		o.doc["object_refs"] = ids
	case "relationship":
		ends := slices.DeleteFunc(slices.Clone(among), func(o *made) bool { return o.kind == "relationship" })
		g.rng.Shuffle(len(ends), func(i, j int) { ends[i], ends[j] = ends[j], ends[i] })
		from, to := ends[0], ends[1]
		o.refs["source_ref"], o.refs["target_ref"] = []*made{from}, []*made{to}
		o.doc["source_ref"], o.doc["target_ref"] = from.id, to.id
	}
}

func (g *generator) sample(n int) (ids []string) {
	for _, i := range g.rng.Perm(len(g.all))[:min(n, len(g.all))] {
		ids = append(ids, g.all[i].id)
	}
	return ids
}

// allows is the table of docs/markings.md for the markings used here.
func allows(reader string, o *made, m string) bool {
	if reader == o.owner {
		return true
	}
	h := attributesOf(reader)
	switch m {
	case tlp.Red.Marking():
		return slices.Contains(o.recipients, reader)
	case tlp.Green.Marking(), tlp.Amber.Marking(), markingOf(o.owner, "text"):
		return true
	case markingOf(o.owner, "S"):
		return h != nil && len(h.Clearances) > 0
	case markingOf(o.owner, "NF"):
		return h != nil && h.Nationality == "USA"
	}
	return false
}

// permitted returns the canaries that a reader may see, and the ids of the
// objects that it may see whole.
func (g *generator) permitted(reader string) (want, whole map[string]bool) {
	exists := map[*made]bool{}
	for _, o := range g.all {
		all := func(markings []string) bool {
			return !slices.ContainsFunc(markings, func(m string) bool { return !allows(reader, o, m) })
		}
		named := reader == o.owner || len(o.recipients) == 0 || slices.Contains(o.recipients, reader)
		exists[o] = named && all(o.markings) && all(o.parts["pattern"])
	}
	for changed := true; changed; { // what leads to nothing that exists does not exist
		changed = false
		for _, o := range g.all {
			if !exists[o] {
				continue
			}
			for _, list := range o.refs {
				if !slices.ContainsFunc(list, func(to *made) bool { return exists[to] }) {
					exists[o], changed = false, true
				}
			}
		}
	}
	want, whole = map[string]bool{}, map[string]bool{}
	for _, o := range g.all {
		whole[o.id] = exists[o]
		if !exists[o] {
			continue
		}
		for property, texts := range o.texts {
			seen := !slices.ContainsFunc(o.parts[property], func(m string) bool { return !allows(reader, o, m) })
			for _, c := range texts {
				if seen {
					want[c] = true
				}
			}
			whole[o.id] = whole[o.id] && seen
		}
	}
	for changed := true; changed; { // what leads to something that is not whole is not whole
		changed = false
		for _, o := range g.all {
			for _, list := range o.refs {
				for _, to := range list {
					if whole[o.id] && !whole[to.id] {
						whole[o.id], changed = false, true
					}
				}
			}
		}
	}
	for id, yes := range whole {
		if !yes {
			delete(whole, id)
		}
	}
	return want, whole
}
