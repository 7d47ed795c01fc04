package stix

import (
	"time"

	"tocsin/tlp"
)

func markingDefinition() objectType {
	const clause = "STIX 2.1 §7.2.1"
	return objectType{name: "marking-definition", kind: metaType, extensions: markingExtensions(), table: table{
		clause: clause,
		rows: []row{
			required("created", timestamp, shouldHaveMilliseconds),
			optional("modified", notApplicable(timestamp)),
			optional("revoked", notApplicable(boolean)),
			optional("labels", notApplicable(list(text))),
			optional("confidence", notApplicable(integerIn(0, 100, "STIX 2.1 §3.2"))),
			optional("lang", notApplicable(languageTag)),
			optional("name", text),
			optional("definition_type", text, with(clause, "definition")),
			optional("definition", anything, with(clause, "definition_type")),
		},
		rules: []rule{oneOf(clause, "definition", "extensions"), definitionFits, tlpIsFixed},
	}}
}

// shouldHaveMilliseconds warns of creation times that are not as precise as
// they must be (STIX 2.1 §3.2): published markings of the US government have
// whole seconds, and a marking that is refused protects nothing.
func shouldHaveMilliseconds(c *checker, _, v Value) {
	if s := v.inside(); isTime(s) && !hasMilliseconds(s) {
		c.warn(v, "STIX 2.1 §3.2", "at least three digits should stand after the decimal point of the seconds")
	}
}

// definitionFits checks a definition against the type that it says to have.
func definitionFits(c *checker, o, _ Value) {
	is, definition := o.Get("definition_type"), o.Get("definition")
	if !is.Exists() || !definition.Exists() {
		return
	}
	if definition.Kind() != Object {
		c.fail(definition, "STIX 2.1 §7.2.1", "an object was expected")
		return
	}
	switch is.Text() {
	case "statement":
		if definition.Get("statement").Kind() != String {
			c.fail(definition, "STIX 2.1 §7.2.1.3", "a statement was expected")
		}
	case "tlp":
		if definition.Get("tlp").Kind() != String {
			c.fail(definition, "STIX 2.1 §7.2.1.4", "a tlp was expected")
		}
	default:
		c.warn(is, "STIX 2.1 §7.2.1", "markings of other types should be defined by an extension")
	}
}

// tlpIsFixed demands that the markings of the Traffic Light Protocol mean what
// their identifiers do: programs go by these, so that another content under such
// an identifier deceives people, and such a content under another identifier
// deceives programs. Other spellings of the same level are warned of: widely
// used producers have them.
func tlpIsFixed(c *checker, o, _ Value) {
	is, definition := o.Get("definition_type"), o.Get("definition")
	id, second := o.Get("id"), o.Get("extensions").Get(tlp2).Get("tlp_2_0")
	label, fixed := tlp.FromMarking(id.Text())
	if !fixed {
		if is.Is("tlp") {
			c.fail(id, "STIX 2.1 §7.2.1.4", "the identifier of one of the four TLP markings of the standard was expected")
		}
		if second.Exists() {
			c.fail(id, "TLP 2.0 STIX extension", "the identifier of one of the five TLP 2.0 markings was expected")
		}
		return
	}
	clause, created := "STIX 2.1 §7.2.1.4", time.Date(2017, 1, 20, 0, 0, 0, 0, time.UTC)
	if id.Is(label.Marking()) {
		clause, created = "TLP 2.0 STIX extension", time.Date(2022, 10, 1, 0, 0, 0, 0, time.UTC)
	}
	levels := [...]Value{second, definition.Get("tlp"), definition.Get("TLP"), o.Get("name"), is}
	stated := false
	for i, v := range levels {
		if !v.Exists() || i == len(levels)-1 && (v.Is("tlp") || v.Is("TLP")) {
			continue
		}
		l, ok := tlp.Parse(v.Text())
		if !ok || l != label {
			c.fail(v, clause, "the level that this TLP marking's identifier stands for was expected")
		}
		stated = true
	}
	if !stated {
		c.fail(o, clause, "the level of this TLP marking was expected")
	}
	t, ok := ParseTime(o.Get("created").Text())
	if canonical := second.Exists() || is.Is("tlp") && definition.Get("tlp").Exists(); !canonical || ok && !t.Equal(created) {
		c.warn(o, clause, "this TLP marking should be written exactly as its definition is")
	}
}

// markingRef takes identifiers of marking-definitions other than the object
// itself (STIX 2.1 §3.2).
func markingRef() check {
	is := objectRef("marking-definition")
	return func(c *checker, v Value) {
		is(c, v)
		if c.selfType.name == "marking-definition" && v.Kind() == String && string(v.inside()) == string(c.id) {
			c.fail(v, "STIX 2.1 §3.2", "another marking was expected: a marking cannot mark itself")
		}
	}
}

// granularMarking is the table of STIX 2.1 §7.2.3.
func granularMarking() table {
	const clause = "STIX 2.1 §7.2.3"
	return table{
		clause: clause,
		rows: []row{
			optional("lang", languageTag),
			optional("marking_ref", markingRef()),
			required("selectors", list(selector)),
		},
		rules: []rule{justOne(clause, "lang", "marking_ref")},
	}
}

func selector(c *checker, v Value) {
	s := v.inside()
	steps, ok := ParseSelector(string(s))
	if v.Kind() != String || !ok {
		c.fail(v, "STIX 2.1 §7.2.3", "a selector was expected: names and [n] with dots between")
		return
	}
	if c.selectors == nil {
		c.selectors = &selectorIndex{}
	}
	if !c.selectors.find(c.self, steps).Exists() {
		c.fail(v, "STIX 2.1 §7.2.3", "a selector of something that is in the object was expected")
	}
}
