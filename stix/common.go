package stix

import "bytes"

// commonProperties is the table of STIX 2.1 §3.2. It differs for the objects of
// chapter 6, which are neither made by anybody nor versioned; the objects of
// chapter 7 refine it in their own tables.
func commonProperties(k kind) []row {
	if k == sco {
		return []row{
			required("type", anything),
			optional("spec_version", exactly("2.1", "STIX 2.1 §3.2")),
			required("id", ownID, shouldBeDeterministic),
			optional("object_marking_refs", list(markingRef())),
			optional("granular_markings", list(structure(granularMarking()))),
			optional("defanged", boolean, warnDefanged),
			optional("extensions", extensions()),

			optional("created_by_ref", notApplicable(identifier), shouldBeIdentity),
			optional("created", notApplicable(timestamp)),
			optional("modified", notApplicable(timestamp), notBefore("created", "STIX 2.1 §3.2")),
			optional("revoked", notApplicable(boolean)),
			optional("labels", notApplicable(list(text))),
			optional("confidence", notApplicable(integerIn(0, 100, "STIX 2.1 §3.2"))),
			optional("lang", notApplicable(languageTag)),
			optional("external_references", notApplicable(list(structure(externalReference())))),
		}
	}
	return []row{
		required("type", anything),
		required("spec_version", exactly("2.1", "STIX 2.1 §3.2")),
		required("id", ownID, shouldBeRandom),
		optional("created_by_ref", identifier, shouldBeIdentity),
		required("created", milliseconds),
		required("modified", milliseconds, notBefore("created", "STIX 2.1 §3.2")),
		optional("revoked", boolean),
		optional("labels", list(text)),
		optional("confidence", integerIn(0, 100, "STIX 2.1 §3.2")),
		optional("lang", languageTag),
		optional("external_references", list(structure(externalReference()))),
		optional("object_marking_refs", list(markingRef())),
		optional("granular_markings", list(structure(granularMarking()))),
		optional("defanged", forbidden("STIX 2.1 §3.2", "only cyber-observable objects may have this property")),
		optional("extensions", extensions()),
	}
}

// shouldBeIdentity warns of creators that are no identity: the text speaks of
// one, but has no MUST (STIX 2.1 §3.2, §3.4).
func shouldBeIdentity(c *checker, _, v Value) {
	id := v.inside()
	if cut := cutID(id); cut > 0 && string(id[:cut]) != "identity" {
		c.warn(v, "STIX 2.1 §3.2", "the identifier of an object of type identity is expected")
	}
}

// customTable is what holds for objects of types that the standard does not
// define (STIX 2.1 §7.3.2, §11.2.1): they support the common properties.
func customTable() table {
	t := table{clause: "STIX 2.1 §11.2.1", rules: []rule{versioned, undeclaredType, shouldHaveOwn}}
	for _, r := range commonProperties(sdo) {
		// Whether it is like a domain object, which needs them all, or like an
		// observable shows in the object only: see versioned.
		r.required = r.name == "type" || r.name == "id"
		switch r.name {
		case "id":
			r.rules = nil
		case "defanged":
			r.check = boolean
		}
		t.rows = append(t.rows, r)
	}
	return t
}

// versioned demands what a domain or relationship object needs of custom
// objects that look or call themselves so.
func versioned(c *checker, o, _ Value) {
	must := o.Get("created").Exists() || o.Get("modified").Exists()
	for _, e := range o.Get("extensions").Members() {
		is := e.Get("extension_type")
		must = must || is.Is("new-sdo") || is.Is("new-sro")
	}
	if !must {
		return
	}
	for _, name := range [...]string{"spec_version", "created", "modified"} {
		if !o.Get(name).Exists() {
			c.failMissing(o, name, "STIX 2.1 §3.2", "objects with versions have spec_version, created and modified")
		}
	}
}

// undeclaredType warns of custom objects that no extension declares.
func undeclaredType(c *checker, o, _ Value) {
	for _, e := range o.Get("extensions").Members() {
		is := e.Get("extension_type")
		if is.Is("new-sdo") || is.Is("new-sro") || is.Is("new-sco") {
			return
		}
	}
	c.warn(o.Get("type"), "STIX 2.1 §11.2", "a custom type of object should be declared by an extension")
}

// shouldHaveOwn warns of custom objects that have nothing but the common
// properties, and so say nothing (STIX 2.1 §7.3.3, §11.2.1).
func shouldHaveOwn(c *checker, o, _ Value) {
	if c.options.ErrorsOnly {
		return
	}
	for i := o.i + 1; i < o.node().next; i = o.d.nodes[i].next {
		if name := o.d.name(i); c.selfType.row(name) < 0 || string(name) == "extensions" {
			return
		}
	}
	c.warn(o, "STIX 2.1 §11.2.1", "a custom object has one property or more besides the common ones")
}

// unknown checks a property that the table does not have.
func (c *checker) unknown(t *table, name []byte, v Value) {
	top := t == &c.selfType.table
	if top && isReserved(name) {
		c.fail(v, "STIX 2.1 §3.8", "this property name is reserved for a future version of the standard")
		return
	}
	anything(c, v)
	// An id of two letters is at home everywhere.
	if !isPropertyName(name) && string(name) != "id" {
		c.fail(v, "STIX 2.1 §3.1", "a property name was expected: 3 to 250 characters of a-z, 0-9 and underscore, a letter first")
		return
	}
	if c.options.ErrorsOnly {
		return
	}
	c.warnSuffix(name, v)
	if top && (c.selfType.kind == custom || c.declaresProperties()) {
		return
	}
	c.warn(v, "STIX 2.1 §11.1", "a custom property should be declared by an extension")
}

// declaresProperties reports whether an extension of the object adds properties
// at its top level (STIX 2.1 §7.3). Which ones, only the extension's
// definition says, and that may be elsewhere.
func (c *checker) declaresProperties() bool {
	if c.declares == unasked {
		c.declares = no
		for _, e := range c.self.Get("extensions").Members() {
			if e.Get("extension_type").Is("toplevel-property-extension") {
				c.declares = yes
				break
			}
		}
	}
	return c.declares == yes
}

func isReserved(name []byte) bool {
	switch string(name) {
	case "severity", "username", "phone_number", "action":
		return true
	}
	return false
}

func isPropertyName(name []byte) bool {
	return len(name) >= 3 && len(name) <= 250 && name[0] >= 'a' && name[0] <= 'z' && are(name, ofProperty)
}

// warnSuffix warns of custom properties whose names promise a type that their
// values do not have: the standard's rule goes the other way round, but readers
// of the object go by the name.
func (c *checker) warnSuffix(name []byte, v Value) {
	cut := len(name) - 1
	for cut > 0 && name[cut] != '_' {
		cut--
	}
	fits, what := true, ""
	switch string(name[cut:]) {
	case "_ref":
		fits, what = cutID(v.inside()) > 0, "an identifier is expected of a property with this suffix"
	case "_refs":
		what = "a list of identifiers is expected of a property with this suffix"
		fits = v.Kind() == Array
		for _, e := range v.Elements() {
			fits = fits && cutID(e.inside()) > 0
		}
	case "_hex":
		fits, what = v.Kind() == String && isHex(v.inside()), "hexadecimal digits are expected of a property with this suffix"
	case "_bin":
		fits, what = v.Kind() == String && isBase64(v.inside()), "base64 is expected of a property with this suffix"
	}
	if !fits {
		c.warn(v, "STIX 2.1 §3.1", what)
	}
}

// extensions takes the extensions property: predefined extensions by their
// tables, others by their form (STIX 2.1 §3.2, §7.3, §11.3).
func extensions() check {
	is := extensionType()
	return func(c *checker, v Value) {
		if !c.isDictionary(v, "STIX 2.1 §3.2", "a dictionary of extensions was expected") {
			return
		}
		for i := v.i + 1; i < v.node().next; i = v.d.nodes[i].next {
			name, e := v.d.name(i), Value{v.d, i}
			predefined, ok := c.selfType.extensions[string(name)]
			cut := cutID(name)
			switch {
			case ok:
				predefined(c, e)
			case !c.isDictionary(e, "STIX 2.1 §3.2", "an object with the contents of the extension was expected"):
			case cut > 0 && string(name[:cut]) == "extension-definition":
				if t := e.Get("extension_type"); t.Exists() {
					is(c, t)
				} else {
					c.failMissing(e, "extension_type", "STIX 2.1 §3.2", "an extension has an extension_type")
				}
				c.contents(e)
			case isTypeName(name, len(name)) && bytes.HasSuffix(name, []byte("-ext")):
				c.warn(e, "STIX 2.1 §11.3", "a custom extension should be declared by an extension-definition and have its id for a key")
				c.contents(e)
			default:
				c.fail(e, "STIX 2.1 §3.2", "the id of an extension-definition or the name of an extension, which ends in -ext, was expected as the key")
			}
		}
	}
}

// contents checks the properties of an extension that the standard does not
// define.
func (c *checker) contents(extension Value) {
	for i := extension.i + 1; i < extension.node().next; i = extension.d.nodes[i].next {
		v := Value{extension.d, i}
		if name := v.d.name(i); !isPropertyName(name) && string(name) != "id" {
			c.fail(v, "STIX 2.1 §7.3.2", "an extension's property name was expected: 3 to 250 characters of a-z, 0-9 and underscore")
		}
		anything(c, v)
	}
}
