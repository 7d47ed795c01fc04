package stix

import "bytes"

// mostBundleProblems is how many problems of each class are reported of one
// bundle.
const mostBundleProblems = 10_000

// ValidateBundle reports what is wrong with a bundle (STIX 2.1 §8): with its own
// properties, with every object in it as [Validate] does, and with the objects
// together, where the standard says how they fit:
//
//   - one version of an object has one content, its versions one creator and one
//     time of creation, and none is later than a revocation (§3.6);
//   - a UUID is not used by one creator for two types (§2.9), a warning;
//   - a translation is of the version that it names, and has lists of the same
//     length (§7.1);
//   - a malware family is no variant of an instance (§4.11.2);
//   - observed data is of observables that belong together (§4.14), a warning.
//
// Pointers start at the bundle. At most 100 errors and 100 warnings of each
// object, and 10,000 of each of the whole, are reported. What the bundle does
// not hold is not missed: references may lead out of it (§3.3), unless the
// options have a profile that says otherwise.
func ValidateBundle(v Value, options Options) []Problem {
	c := checker{options: options, catalog: standard, root: v, most: [2]int{mostBundleProblems, mostBundleProblems}}
	if v.Kind() != Object {
		c.fail(v, "STIX 2.1 §8", "a bundle was expected")
		return c.problems
	}
	c.part = part{self: v, selfType: &c.catalog.bundle}
	c.id = v.Get("id").inside()
	for name, p := range v.Members() {
		if name != "objects" { // whose integers are checked object by object
			c.integers(p)
		}
	}
	c.rows(&c.catalog.bundle.table, v)
	c.together(v)
	return c.problems
}

// bundleType is the table of STIX 2.1 §8.1. Of the common properties a bundle
// has type and id; others are taken as custom ones, which nobody keeps.
func bundleType() objectType {
	const clause = "STIX 2.1 §8.1"
	return objectType{name: "bundle", kind: metaType, table: table{clause: clause, rows: []row{
		required("type", exactly("bundle", clause)),
		required("id", ownID, shouldBeRandom),
		optional("objects", bundleObjects),
	}}.indexed()}
}

// bundleObjects checks the objects of a bundle one by one, each with a count of
// problems of its own.
func bundleObjects(c *checker, v Value) {
	if v.Kind() != Array || v.isEmpty() {
		list(anything)(c, v)
		return
	}
	whole := *c
	for i := v.i + 1; i < v.node().next && !c.full(); i = v.d.nodes[i].next {
		errors, warnings := c.errors, c.warnings
		c.errors, c.warnings = 0, 0
		c.most = [2]int{
			min(mostProblems, mostBundleProblems-min(errors, mostBundleProblems)),
			min(mostProblems, mostBundleProblems-min(warnings, mostBundleProblems)),
		}
		o := Value{v.d, i}
		if o.Get("type").Is("bundle") {
			c.fail(o, "STIX 2.1 §8.1", "a STIX object was expected, and a bundle is none")
		} else {
			c.object(o)
		}
		c.errors, c.warnings, c.most = c.errors+errors, c.warnings+warnings, whole.most
	}
	c.part = whole.part
}

// A version is one object of a bundle.
type bundled struct {
	object   Value
	id       []byte
	modified []byte
}

// together checks how the objects of a bundle fit each other.
func (c *checker) together(bundle Value) {
	objects := bundle.Get("objects")
	all := make(map[string][]bundled, objects.Len())
	for _, o := range objects.Elements() {
		if id := o.Get("id").inside(); cutID(id) > 0 {
			all[string(id)] = append(all[string(id)], bundled{o, id, o.Get("modified").inside()})
		}
	}
	kinds := make(map[string]Value, len(all))
	var links map[string][]string
	for _, o := range objects.Elements() {
		if c.full() {
			return
		}
		id := o.Get("id").inside()
		if cutID(id) < 0 {
			continue
		}
		if versions := all[string(id)]; len(versions) > 1 && versions[0].object == o {
			c.versionsFit(versions)
		}
		if !c.options.ErrorsOnly {
			c.uuidIsOfOneType(kinds, o, id)
		}
		switch {
		case o.Get("type").Is("language-content"):
			c.translates(o, all)
		case o.Get("type").Is("relationship"):
			c.familyIsNoVariant(o, all)
		case o.Get("type").Is("observed-data") && !c.options.ErrorsOnly:
			if links == nil {
				links = relationships(objects)
			}
			c.belongTogether(o, all, links)
		}
	}
	c.profileOfBundle(bundle, all)
}

// versionsFit compares the objects that have one id.
func (c *checker) versionsFit(versions []bundled) {
	const clause = "STIX 2.1 §3.6"
	first := versions[0]
	var revoked []byte
	for _, v := range versions {
		if v.object.Get("revoked").True() && isTime(v.modified) && (revoked == nil || compareTimes(v.modified, revoked) < 0) {
			revoked = v.modified
		}
	}
	seen := make(map[string]Value, len(versions))
	for _, v := range versions {
		// An observable without versions has one content at most.
		version := string(v.modified)
		if isTime(v.modified) {
			version = string(withoutZeros(v.modified))
		}
		if same, ok := seen[version]; ok {
			if bytes.Equal(same.Raw(), v.object.Raw()) {
				c.warn(v.object, clause, "this object stands in the bundle twice")
			} else if v.modified != nil && ContentHash(same) != ContentHash(v.object) {
				c.fail(v.object, clause, "one version of an object has one content, and this differs from that above")
			}
			continue
		}
		seen[version] = v.object
		if v.modified == nil {
			continue
		}
		if o := v.object; o != first.object {
			if !sameText(o, first.object, "created_by_ref") {
				c.fail(o, clause, "only the creator of an object makes versions of it, and this has another creator than that above")
			}
			if !sameTime(o.Get("created"), first.object.Get("created")) {
				c.fail(o.Get("created"), "STIX 2.1 §3.2", "created is the same in all versions of an object")
			}
		}
		if revoked != nil && isTime(v.modified) && compareTimes(v.modified, revoked) > 0 {
			c.fail(v.object, clause, "revocation is permanent, and this version is later than it")
		}
	}
}

// uuidIsOfOneType warns of a UUID that one creator uses for objects of two types
// (STIX 2.1 §2.9), as the standard's own examples do. Those of observables come
// from their content.
func (c *checker) uuidIsOfOneType(kinds map[string]Value, o Value, id []byte) {
	creator := o.Get("created_by_ref").inside()
	if creator == nil || versionOf(id) == '5' {
		return
	}
	uuid := string(id[len(id)-36:])
	other, ok := kinds[uuid]
	if !ok {
		kinds[uuid] = o
		return
	}
	if !sameText(o, other, "type") && sameText(o, other, "created_by_ref") {
		c.warn(o.Get("id"), "STIX 2.1 §2.9", "a UUID of its own should be used: the same creator has an object of another type with this one")
	}
}

// translates compares a translation with the object that it translates.
func (c *checker) translates(o Value, all map[string][]bundled) {
	const clause = "STIX 2.1 §7.1.1"
	versions := all[o.Get("object_ref").Text()]
	if len(versions) == 0 {
		return
	}
	of := versions[0].object
	if at := o.Get("object_modified"); at.Exists() {
		found := false
		for _, v := range versions {
			if isTime(at.inside()) && isTime(v.modified) && compareTimes(at.inside(), v.modified) == 0 {
				of, found = v.object, true
			}
		}
		if !found {
			c.fail(at, clause, "the modified time of the object that is translated was expected")
			return
		}
	} else if len(versions) > 1 {
		return
	}
	for _, translation := range o.Get("contents").Members() {
		for name, v := range translation.Members() {
			c.translation(v, of.Get(name))
		}
	}
}

// translation compares one translated property with the original. Properties
// that the original lacks are ignored (STIX 2.1 §7.1.1).
func (c *checker) translation(v, original Value) {
	const clause = "STIX 2.1 §7.1.1"
	switch original.Kind() {
	case Absent, Null, Bool, Number: // not there, or nothing to translate
	case String:
		if v.Kind() != String {
			c.fail(v, clause, "a string was expected, as in the object that is translated")
		}
	case Array:
		if v.Kind() != Array || v.Len() != original.Len() {
			c.fail(v, clause, "a list as long as that of the object that is translated was expected")
			return
		}
		next := v.i + 1
		for _, e := range original.Elements() {
			item := Value{v.d, next}
			c.translation(item, e)
			next = item.node().next
		}
	case Object:
		if v.Kind() != Object {
			c.fail(v, clause, "an object was expected, as in the object that is translated")
			return
		}
		for name, e := range v.Members() {
			c.translation(e, original.Get(name))
		}
	}
}

// familyIsNoVariant demands that a malware family is no variant of an instance
// (STIX 2.1 §4.11.2).
func (c *checker) familyIsNoVariant(o Value, all map[string][]bundled) {
	kind := o.Get("relationship_type")
	if !kind.Is("variant-of") {
		return
	}
	from, to := all[o.Get("source_ref").Text()], all[o.Get("target_ref").Text()]
	if len(from) == 0 || len(to) == 0 {
		return
	}
	a, b := from[0].object.Get("is_family"), to[0].object.Get("is_family")
	if a.True() && b.Kind() == Bool && !b.True() {
		c.fail(kind, "STIX 2.1 §4.11.2", "a malware family cannot be a variant of a malware instance")
	}
}

// belongTogether warns of observed data whose observables, as far as the bundle
// has them all, fall into groups that no reference and no relationship of it
// joins (STIX 2.1 §4.14.1).
func (c *checker) belongTogether(o Value, all map[string][]bundled, links map[string][]string) {
	refs := o.Get("object_refs")
	if refs.Len() < 2 {
		return
	}
	groups := newGroups(refs.Len())
	for _, e := range refs.Elements() {
		if len(all[e.Text()]) == 0 {
			return
		}
		groups.add(e.Text())
	}
	for _, e := range refs.Elements() {
		groups.joinReferences(e.Text(), all[e.Text()][0].object)
		for _, to := range links[e.Text()] {
			groups.join(e.Text(), to)
		}
	}
	if groups.count > 1 {
		c.warn(refs, "STIX 2.1 §4.14.1", "objects that nothing relates to each other should be in observed data of their own")
	}
}

// groups are disjoint sets of names.
type groups struct {
	parent map[string]string
	count  int
}

func newGroups(size int) *groups { return &groups{parent: make(map[string]string, size)} }

func (g *groups) add(name string) {
	if _, ok := g.parent[name]; !ok {
		g.parent[name] = name
		g.count++
	}
}

func (g *groups) of(name string) string {
	for g.parent[name] != name {
		g.parent[name] = g.parent[g.parent[name]]
		name = g.parent[name]
	}
	return name
}

// joinReferences joins an object with all that it refers to, at any depth.
func (g *groups) joinReferences(name string, o Value) {
	for i := o.i + 1; i < o.node().next; i++ {
		v := Value{o.d, i}
		if v.Kind() != String {
			continue
		}
		g.join(name, v.Text())
	}
}

func (g *groups) join(name, to string) {
	if _, ok := g.parent[to]; !ok || to == name {
		return
	}
	if a, b := g.of(name), g.of(to); a != b {
		g.parent[a] = b
		g.count--
	}
}

// relationships returns what the relationship objects link, by source.
func relationships(objects Value) map[string][]string {
	links := map[string][]string{}
	for _, o := range objects.Elements() {
		if o.Get("type").Is("relationship") {
			from := o.Get("source_ref").Text()
			links[from] = append(links[from], o.Get("target_ref").Text())
		}
	}
	return links
}
