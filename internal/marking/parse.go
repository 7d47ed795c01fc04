package marking

import (
	"strings"
	"time"

	"tocsin/stix"
	"tocsin/tlp"
)

// The extensions by which marking-definitions say more than the standard can;
// OASIS publishes them (cti-stix-common-objects).
const (
	tlpExtension = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
	acsExtension = "extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce"
	iepExtension = "extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a"
	cuiExtension = "extension-definition--dff17fb3-edcb-4f99-ad1b-4b751c95738a"
	papExtension = "extension-definition--f8d78575-edfd-406e-8e84-6162a8450f5b"
)

// WellKnown returns the marking that an id stands for by itself: TLP 1.0 and 2.0,
// PAP of the OASIS extension, and the labels by which AIS consent is written
// ([Consent]). Whatever a definition with such an id says, it means this.
func WellKnown(id string) (Marking, bool) {
	if level, ok := tlp.FromMarking(id); ok {
		return Marking{Kind: TLP, TLP: level, Actions: Anything}, true
	}
	switch id {
	case "marking-definition--ad15a0cd-55b6-4588-a14c-a66105329b92", "marking-definition--a3bea94c-b469-41dc-9cfe-d6e7daba7730":
		return Marking{Kind: PAP, Actions: Anything}, true
	case "marking-definition--c43594d1-4b11-4c59-93ab-1c9b14d53ce9":
		return Marking{Kind: PAP, Actions: OnlyBlock}, true
	case "marking-definition--60f8932b-e51e-4458-b265-a2e8be9a80ab":
		return Marking{Kind: PAP, Actions: OnlyLookUp}, true
	case "marking-definition--740d36e5-7714-4c30-961a-3ae632ceee0e":
		return Marking{Kind: PAP, Actions: OnlyDetect}, true
	}
	return Consent(id)
}

const consentPrefix, proprietarySuffix = "ais-consent-", "-cisa-proprietary"

// Consent returns the marking that a label on a submitter's identity is: in STIX
// 2.1 AIS consent is a label (OASIS elevator). A consent that is not known is
// none.
func Consent(label string) (Marking, bool) {
	rest, ok := strings.CutPrefix(label, consentPrefix)
	if !ok {
		return Marking{}, false
	}
	m := Marking{Kind: AIS, Actions: Anything}
	rest, m.Proprietary = strings.CutSuffix(rest, proprietarySuffix)
	switch rest {
	case "everyone", "usg":
		m.Consent = rest
	default:
		m.Consent = "none"
	}
	return m, true
}

// Parse reads a marking-definition. It reports false for what it does not
// understand, all of it: a definition with one word that it does not know could
// forbid with that word.
func Parse(v stix.Value) (Marking, bool) {
	if !v.Get("type").Is("marking-definition") {
		return Marking{}, false
	}
	if m, ok := WellKnown(v.Get("id").Text()); ok {
		return m, true
	}
	m, ok := parse(v)
	if !ok {
		return Marking{}, false
	}
	return m, true
}

func parse(v stix.Value) (Marking, bool) {
	extensions := v.Get("extensions")
	if !extensions.Exists() {
		return plain(v)
	}
	if extensions.Len() != 1 || v.Get("definition").Exists() || v.Get("definition_type").Exists() {
		return Marking{}, false
	}
	for id, ext := range extensions.Members() {
		if !ext.Get("extension_type").Is("property-extension") && ext.Get("extension_type").Exists() {
			return Marking{}, false
		}
		switch id {
		case tlpExtension:
			level, ok := tlp.Parse(ext.Get("tlp_2_0").Text())
			return Marking{Kind: TLP, TLP: level, Actions: Anything}, ok && only(ext, "extension_type", "tlp_2_0")
		case papExtension:
			actions, ok := papLevel(ext.Get("pap").Text())
			return Marking{Kind: PAP, Actions: actions}, ok && only(ext, "extension_type", "pap")
		case iepExtension:
			return parseIEP(ext)
		case acsExtension:
			return parseACS(ext)
		case cuiExtension:
			return parseCUI(ext)
		}
	}
	return Marking{}, false
}

// plain reads a definition without extensions: a statement, and PAP as MISP and
// OpenCTI write it. A statement that is nothing but the name of a label is that
// label: whoever wrote it meant it.
func plain(v stix.Value) (Marking, bool) {
	kind, definition := v.Get("definition_type").Text(), v.Get("definition")
	if strings.EqualFold(kind, "pap") {
		for name, text := range definition.Members() {
			actions, ok := papLevel(text.Text())
			return Marking{Kind: PAP, Actions: actions}, ok && definition.Len() == 1 && strings.EqualFold(name, "pap")
		}
		return Marking{}, false
	}
	if kind != "statement" || definition.Get("statement").Kind() != stix.String {
		return Marking{}, false
	}
	text := strings.TrimSpace(definition.Get("statement").Text())
	switch strings.ToLower(text) {
	case "tlp:ex:chr", "chatham house rule", "chatham house":
		return Marking{Kind: Chatham, Actions: Anything}, true
	}
	if level, ok := tlp.Parse(text); ok && len(text) > 4 && strings.EqualFold(text[:4], "tlp:") {
		return Marking{Kind: TLP, TLP: level, Actions: Anything}, true
	}
	if len(text) > 4 && strings.EqualFold(text[:4], "pap:") {
		actions, ok := papLevel(text)
		return Marking{Kind: PAP, Actions: actions}, ok
	}
	return Marking{Kind: Statement, Actions: Anything}, true
}

func papLevel(text string) (Permitted, bool) {
	switch strings.TrimPrefix(strings.ToUpper(text), "PAP:") {
	case "RED":
		return OnlyDetect, true
	case "AMBER":
		return OnlyLookUp, true
	case "GREEN":
		return OnlyBlock, true
	case "CLEAR", "WHITE":
		return Anything, true
	}
	return OnlyKeep, false
}

// only reports whether an object has no other properties than these.
func only(v stix.Value, names ...string) bool {
	for name := range v.Members() {
		if !contains(names, name) {
			return false
		}
	}
	return true
}

// parseIEP reads a policy that is there whole. Of one that is only referred to by
// its id nothing is known, but of the four that FIRST publishes for TLP.
func parseIEP(v stix.Value) (Marking, bool) {
	m := Marking{Kind: IEP}
	if m.TLP = firstPolicy(strings.ToLower(v.Get("iep_id").Text())); m.TLP != tlp.None && only(v, "extension_type", "iep_id", "iep_version", "external_references") {
		m.Actions = Anything
		return m, true
	}
	if !only(v, "extension_type", "iep_id", "iep_version", "name", "description", "start_date", "end_date", "encrypt_in_transit",
		"permitted_actions", "affected_party_notifications", "tlp", "provider_attribution", "unmodified_resale", "external_references") {
		return Marking{}, false
	}
	level, ok := tlp.Parse(v.Get("tlp").Text())
	if !ok || level == tlp.AmberStrict { // IEP 2.0 knows red, amber, green and white
		return Marking{}, false
	}
	m.TLP = level
	switch v.Get("permitted_actions").Text() {
	case "none", "contact-for-instruction":
		m.Actions = OnlyKeep
	case "internally-visible-actions":
		m.Actions = OnlyDetect
	case "externally-visible-indirect-actions":
		m.Actions = OnlyBlock
	case "externally-visible-direct-actions":
		m.Actions = Anything
	default:
		return Marking{}, false
	}
	switch v.Get("provider_attribution").Text() {
	case "may", "must":
	case "must-not":
		m.Hidden = true
	default:
		return Marking{}, false
	}
	var ok1, ok2 bool
	m.From, ok1 = date(v.Get("start_date"))
	m.To, ok2 = date(v.Get("end_date"))
	return m, ok1 && ok2
}

func date(v stix.Value) (time.Time, bool) {
	if !v.Exists() {
		return time.Time{}, true
	}
	return stix.ParseTime(v.Text())
}

// firstPolicy returns the label of the policies at first.org/iep/2.0/first-tlp-iep.iepj.
func firstPolicy(id string) tlp.Label {
	switch id {
	case "5e607e88-ab70-4977-8c1b-ee3a16b0f68c":
		return tlp.Red
	case "01bc4353-4829-4d55-8d52-0ab7e0790df9":
		return tlp.Amber
	case "3903ce63-674c-4b70-9457-8c5527dd9115":
		return tlp.Green
	case "0d783790-b221-40c1-840a-5787330612c1":
		return tlp.Clear
	}
	return tlp.None
}

// parseCUI reads the dissemination controls (CUI registry: limited dissemination
// controls); one that is not known is not understood.
func parseCUI(v stix.Value) (Marking, bool) {
	m := Marking{Kind: CUI, Actions: Anything}
	if !only(v, "extension_type", "control", "designator_ref", "categories", "disseminations", "required_statements", "supplemental_administrative") {
		return Marking{}, false
	}
	if c := v.Get("control"); !c.Is("CUI") && !c.Is("CONTROLLED") {
		return Marking{}, false
	}
	controls, ok := texts(v.Get("disseminations"))
	for _, c := range controls {
		if !contains([]string{"NOFORN", "FED ONLY", "FEDCON", "NOCON"}, c) && !relTo(c) {
			return Marking{}, false
		}
	}
	m.CUI = controls
	return m, ok
}

// relTo reports whether a control is REL TO and a list of trigraphs.
func relTo(control string) bool {
	list, ok := strings.CutPrefix(control, "REL TO ")
	for c := range strings.SplitSeq(list, ", ") {
		ok = ok && isNationality(c)
	}
	return ok
}

func isNationality(s string) bool {
	return len(s) == 3 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}
