package stix

// metas are the STIX meta objects (STIX 2.1 §7).
func metas() []objectType {
	return []objectType{languageContent(), markingDefinition(), extensionDefinition()}
}

// anyObject takes identifiers of STIX objects, which bundles are not.
func anyObject() check {
	return target{kinds: []kind{sdo, sro, sco, metaType}, what: "the identifier of a STIX object"}.check()
}

// anyObservable takes identifiers of cyber-observable objects.
func anyObservable() check {
	return target{kinds: []kind{sco}, what: "the identifier of a cyber-observable object"}.local()
}

func languageContent() objectType {
	return objectType{name: "language-content", kind: metaType, table: table{
		clause: "STIX 2.1 §7.1.1",
		rows: []row{
			optional("lang", notApplicable(languageTag)),
			required("object_ref", target{
				kinds: []kind{sdo, sro, sco, metaType}, but: []string{"language-content"},
				what: "the identifier of the STIX object that is translated",
			}.check()),
			optional("object_modified", timestamp),
			required("contents", translations),
		},
	}}
}

// translations takes a dictionary by language of dictionaries by property.
func translations(c *checker, v Value) {
	if !c.isDictionary(v, "STIX 2.1 §7.1.1", "a dictionary of translations by language was expected") {
		return
	}
	for i := v.i + 1; i < v.node().next; i = v.d.nodes[i].next {
		translation := Value{v.d, i}
		if !isLanguage(v.d.name(i)) {
			c.fail(translation, "STIX 2.1 §7.1.1", "a language tag of RFC 5646 was expected as the key")
		}
		if !c.isDictionary(translation, "STIX 2.1 §7.1.1", "a dictionary of properties was expected") {
			continue
		}
		for i := translation.i + 1; i < translation.node().next; i = v.d.nodes[i].next {
			if !isPropertyName(v.d.name(i)) {
				c.fail(Value{v.d, i}, "STIX 2.1 §7.1.1", "the name of a property was expected as the key")
			}
			anything(c, Value{v.d, i})
		}
	}
}

func extensionDefinition() objectType {
	const clause = "STIX 2.1 §7.3.1"
	return objectType{name: "extension-definition", kind: metaType, table: table{
		clause: clause,
		rows: []row{
			required("created_by_ref", objectRef("identity")),
			optional("confidence", notApplicable(integerIn(0, 100, "STIX 2.1 §3.2"))),
			optional("lang", notApplicable(languageTag)),
			optional("extensions", notApplicable(extensions())),
			required("name", text),
			optional("description", text),
			required("schema", text),
			required("version", text),
			required("extension_types", list(extensionType()), shouldNameProperties),
			optional("extension_properties", list(propertyName), addsProperties),
		},
		rules: []rule{should(clause, "description")},
	}}
}

func propertyName(c *checker, v Value) {
	if !isPropertyName(v.inside()) {
		c.fail(v, "STIX 2.1 §7.3.2", "a property name was expected: 3 to 250 characters of a-z, 0-9 and underscore, a letter first")
	}
}

// addsProperties demands that an extension which names top-level properties is
// one that adds them.
func addsProperties(c *checker, o, v Value) {
	if !hasTopLevel(o) {
		c.fail(v, "STIX 2.1 §7.3.1", "this property needs toplevel-property-extension among the extension_types")
	}
}

func shouldNameProperties(c *checker, o, v Value) {
	if hasTopLevel(o) && !o.Get("extension_properties").Exists() {
		c.warn(v, "STIX 2.1 §7.3.1", "extension_properties should name the properties that the extension adds")
	}
}

func hasTopLevel(o Value) bool {
	for _, is := range o.Get("extension_types").Elements() {
		if is.Is("toplevel-property-extension") {
			return true
		}
	}
	return false
}
