package stix

import (
	"slices"
	"strings"
)

// This file has the rules by which properties depend on each other, as the
// tables name them.

// after demands that a time is later than that of another property.
func after(other, clause string) rule {
	return ordered(other, clause, "a time later than "+other+" was expected", 1)
}

// notBefore demands that a time is not earlier than that of another property.
func notBefore(other, clause string) rule {
	return ordered(other, clause, "a time not earlier than "+other+" was expected", 0)
}

func ordered(other, clause, message string, least int) rule {
	return func(c *checker, o, v Value) {
		a, b := o.Get(other).inside(), v.inside()
		// What is no time is reported as such.
		if isTime(a) && isTime(b) && compareTimes(b, a) < least {
			c.fail(v, clause, message)
		}
	}
}

// with demands that other properties are there as well.
func with(clause string, others ...string) rule {
	return func(c *checker, o, v Value) {
		for _, other := range others {
			if !o.Get(other).Exists() {
				c.fail(v, clause, "this property needs "+other+" beside it")
			}
		}
	}
}

// notWhen demands that a property is absent while a boolean is as told.
func notWhen(clause, other string, is bool) rule {
	message := "this property cannot stand beside " + other + " true"
	if !is {
		message = "this property cannot stand beside " + other + " false"
	}
	return func(c *checker, o, v Value) {
		if b := o.Get(other); b.Kind() == Bool && b.True() == is {
			c.fail(v, clause, message)
		}
	}
}

// oneOf demands at least one of some properties of an object.
func oneOf(clause string, names ...string) rule {
	message := "at least one of these properties was expected: " + strings.Join(names, ", ")
	return func(c *checker, o, _ Value) {
		for i := o.i + 1; i < o.node().next; i = o.d.nodes[i].next {
			if slices.Contains(names, string(o.d.name(i))) {
				return
			}
		}
		c.fail(o, clause, message)
	}
}

// anyRow demands at least one of the given rows of an object.
func anyRow(clause string, rows []row) rule {
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.name
	}
	return oneOf(clause, names...)
}

// justOne demands one of two properties and not both.
func justOne(clause, a, b string) rule {
	return func(c *checker, o, _ Value) {
		if o.Get(a).Exists() == o.Get(b).Exists() {
			c.fail(o, clause, "one of "+a+" and "+b+" was expected, and not both")
		}
	}
}

// should warns of objects that lack properties which they should have.
func should(clause string, names ...string) rule {
	return func(c *checker, o, _ Value) {
		if c.options.ErrorsOnly {
			return
		}
		for _, name := range names {
			if !o.Get(name).Exists() {
				c.warn(o, clause, "the property "+name+" should be there")
			}
		}
	}
}

// deprecated warns that a property is there at all.
func deprecated(clause string) rule {
	return func(c *checker, _, v Value) { c.warn(v, clause, "this property is deprecated") }
}

// warnDefanged warns of observables that are not what they say
// (STIX 2.1 §3.2).
func warnDefanged(c *checker, _, v Value) {
	if v.True() {
		c.warn(v, "STIX 2.1 §3.2", "the data of this object was made harmless and does not match anything as it is")
	}
}

// shouldBeRandom warns of identifiers that are no UUIDv4 (STIX 2.1 §2.9).
func shouldBeRandom(c *checker, _, v Value) {
	if id := v.inside(); !c.options.ErrorsOnly && cutID(id) > 0 && versionOf(id) != '4' {
		c.warn(v, "STIX 2.1 §2.9", "a UUID of version 4 should be used")
	}
}

// shouldBeDeterministic compares an observable's id with the one that its
// contributing properties give (STIX 2.1 §2.9). Where they give none the UUID
// must be random. Where they give another the id is only warned of: the
// standard says SHOULD, its own examples differ, and so do the identifiers from
// before its errata. No reader may take equal ids for equal content.
func shouldBeDeterministic(c *checker, o, v Value) {
	id := v.inside()
	version := versionOf(id)
	if c.container != nil || cutID(id) < 0 || version == '4' && c.options.ErrorsOnly {
		return
	}
	contributes := c.contributes(o)
	switch {
	case !contributes && version != '4':
		c.fail(v, "STIX 2.1 §2.9", "a UUID of version 4 was expected: no property contributes to the id")
	case !contributes || c.options.ErrorsOnly:
	case version != '5':
		c.warn(v, "STIX 2.1 §2.9", "a UUID of version 5 should be used")
	default:
		if want, ok := deterministicID(c.selfType, o); ok && want != string(id) {
			c.warn(v, "STIX 2.1 §2.9", "the id is not the one that the object's contributing properties give")
		}
	}
}

// contributes reports whether the object has any ID contributing property.
func (c *checker) contributes(o Value) bool {
	for _, name := range c.selfType.contributing {
		if o.Get(name).Exists() {
			return true
		}
	}
	return false
}
