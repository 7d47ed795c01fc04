package stix

// Options say how [Validate] checks. The zero value checks everything that
// this package can check by itself.
type Options struct {
	// Pattern reports why a text is no STIX pattern (STIX 2.1 §9), or nil. It
	// checks the pattern of indicators whose pattern_type is stix; without it
	// any text passes. Its text becomes part of a message, so it must not quote
	// the pattern.
	Pattern func(text string) error
	// DoubtfulPattern returns what makes a pattern, or a part of it, match
	// nothing. It becomes warnings, under the same condition.
	DoubtfulPattern func(text string) []error
	// Profile adds the rules of a community; the empty one adds none.
	Profile Profile
	// ErrorsOnly leaves warnings out, for callers that show them to nobody.
	ErrorsOnly bool
}

// mostProblems is how many errors, and how many warnings, are reported of one
// object: the first ones are enough to repair it, and a hostile object must not
// buy megabytes of report.
const mostProblems = 100

// Validate reports what is wrong with one STIX object, a parse of [Parse] or
// any value inside one. Errors are what breaks a MUST of the standard; warnings
// ([ClassWarning]) are what breaks a SHOULD, is deprecated, or breaks a MUST in
// a way that widely used producers and the standard's own examples have. No
// problems, or only warnings, mean that the object may be taken. At most 100 of
// each are reported, with pointers from the object; no message quotes it.
//
// Objects of types that the standard does not define are checked against the
// common properties, and properties that it does not define against what holds
// for every value: no null, no empty list or dictionary, no integer beyond
// ±(2^53−1). A bundle is not a STIX object (STIX 2.1 §8) and is refused; for it
// there is [ValidateBundle].
func Validate(v Value, options Options) []Problem {
	c := checker{options: options, catalog: standard, root: v, most: [2]int{mostProblems, mostProblems}}
	c.object(v)
	return c.problems
}

// A checker goes over one object and collects problems.
type checker struct {
	options  Options
	catalog  *catalog
	root     Value // what Validate was given; pointers start here
	problems []Problem
	errors   int
	warnings int
	most     [2]int // errors and warnings that are reported

	part
}

// A part is the object that is being checked: root, or one in root's deprecated
// objects property.
type part struct {
	self      Value
	selfType  *objectType
	id        []byte         // of self, when it is of a length that identifiers have
	container *container     // holds self, when self is not root
	declares  answer         // whether an extension adds properties to self
	defanged  answer         // whether self says that its data is
	selectors *selectorIndex // of self, once a granular marking needs it
}

// An answer is looked for once, when it is needed: a hostile object can have
// very many values that need it.
type answer uint8

const (
	unasked answer = iota
	no
	yes
)

// full reports whether enough errors were found to stop looking.
func (c *checker) full() bool { return c.errors > c.most[0] }

// fail reports that v breaks a MUST.
func (c *checker) fail(v Value, clause, message string) {
	if c.errors++; c.errors <= c.most[0] {
		c.add(ClassInvalid, v.pointerFrom(c.root.i), clause, message)
	}
}

// failMissing reports that the object o lacks a property.
func (c *checker) failMissing(o Value, name, clause, message string) {
	if c.errors++; c.errors <= c.most[0] {
		c.add(ClassInvalid, o.pointerFrom(c.root.i)+"/"+name, clause, message)
	}
}

// warn reports that v breaks a SHOULD.
func (c *checker) warn(v Value, clause, message string) {
	if c.options.ErrorsOnly {
		return
	}
	if c.warnings++; c.warnings <= c.most[1] {
		c.add(ClassWarning, v.pointerFrom(c.root.i), clause, message)
	}
}

func (c *checker) add(class Class, at, clause, message string) {
	if c.problems == nil {
		c.problems = make([]Problem, 0, 8) // one allocation for most objects
	}
	c.problems = append(c.problems, Problem{Class: class, At: at, Clause: clause, Message: message})
}

// object checks a whole STIX object.
func (c *checker) object(v Value) {
	if v.Kind() != Object {
		c.fail(v, "STIX 2.1 §3.2", "a STIX object was expected")
		return
	}
	name := v.Get("type")
	if !name.Exists() {
		c.failMissing(v, "type", "STIX 2.1 §3.2", "the required property type is missing")
		return
	}
	inside := name.inside()
	switch {
	case string(inside) == "bundle":
		c.fail(name, "STIX 2.1 §8", "a bundle is not a STIX object; check it as a bundle")
		return
	case !isTypeName(inside, len(inside)):
		c.fail(name, "STIX 2.1 §3.1", "a type name was expected: 3 to 250 characters of a-z, 0-9 and single hyphens, a letter first")
		return
	}
	c.part = part{self: v, selfType: c.catalog.named(inside), container: c.container}
	if id := v.Get("id"); len(id.Raw()) < 1000 {
		c.id = id.inside()
	}
	if c.container == nil {
		c.integers(v)
	}
	c.rows(&c.selfType.table, v)
	if c.options.Profile != "" && c.container == nil {
		c.profile(v)
	}
}

// integers checks the range of all integers of an object, in properties that
// nobody knows as well: beyond it, readers round them each in their own way.
func (c *checker) integers(v Value) {
	nodes := v.d.nodes
	for i := v.i; i < nodes[v.i].next; i++ {
		if nodes[i].kind != Number {
			continue
		}
		if n := (Value{v.d, i}); n.isInteger() {
			if _, ok := n.Int(); !ok {
				c.fail(n, "STIX 2.1 §2.10", "an integer between -(2^53-1) and 2^53-1 was expected")
			}
		}
	}
}

// rows checks the properties of o against a table.
func (c *checker) rows(t *table, o Value) {
	var seen uint64
	for i := o.i + 1; i < o.node().next && !c.full(); i = o.d.nodes[i].next {
		name, v := o.d.name(i), Value{o.d, i}
		at := t.row(name)
		if at < 0 {
			c.unknown(t, name, v)
			continue
		}
		seen |= 1 << at
		r := &t.rows[at]
		r.check(c, v)
		for _, rule := range r.rules {
			rule(c, o, v)
		}
	}
	if missing := t.must &^ seen; missing != 0 {
		for i := range t.rows {
			if missing&(1<<i) != 0 && !c.excused(t, o, t.rows[i].name) {
				c.failMissing(o, t.rows[i].name, t.clause, "the required property "+t.rows[i].name+" is missing")
			}
		}
	}
	for _, rule := range t.rules {
		rule(c, o, o)
	}
}

// excused reports whether a required property may be missing: objects of the
// deprecated container have their key for an id (STIX 2.1 §2.13).
func (c *checker) excused(t *table, o Value, name string) bool {
	return c.container != nil && o == c.self && t == &c.selfType.table && name == "id"
}
