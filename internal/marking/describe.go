package marking

import (
	"fmt"
	"strings"
)

// Describe returns the decision table for people, in Markdown.
func Describe() string {
	var b strings.Builder
	b.WriteString(preface)
	about := map[Kind]string{
		TLP: "Known by their ids, of version 1.0 and 2.0, whatever a definition with such an id says. WHITE is CLEAR. Everybody who reads a community is a member " +
			"of it, so that GREEN, AMBER and AMBER+STRICT are seen by the community. An object without any TLP level has the level that its community gives to what is " +
			"unmarked; where the community gives none, nobody but the sharer sees it. TLP says nothing about what may be done.",
		Statement: "Text for people (STIX 2.1 §7.2.1.3). It forbids nothing, unless it is nothing but the name of a label: `TLP:RED`, `PAP:AMBER`, `tlp:ex:chr`.",
		Chatham:   "What is said may be used; who said it may not be told.",
		PAP:       "What one may do about what one sees. Known by the ids of the OASIS extension, by that extension, and as MISP and OpenCTI write it. PAP:CLEAR forbids nothing.",
		IEP: "Its `tlp` counts as a TLP level, its `permitted_actions` as in the table of PAP. A policy that is only referred to by id is unknown, but for the four that FIRST " +
			"publishes for TLP. `encrypt_in_transit` is always met: the hub serves over TLS. `unmodified_resale` and `affected_party_notifications` are for people.",
		AIS: "In STIX 2.1 the consent to be named is a label on the identity of who submitted (OASIS elevator); it decides who sees that identity. ais-consent-everyone forbids nothing.",
		ACS: "`classification`, compartments and scopes decide who may see; `access_privilege` who may do what; `further_sharing` who may be given it. " +
			"`declassification`, `resource_disposition` and `public_release` change nothing by themselves. A hub has a ceiling (`--ceiling`, U unless it is told otherwise) and " +
			"refuses to store what is classified higher.",
		CUI:     "Categories are for people; the dissemination controls decide. A control that is not in the table is not understood.",
		Unknown: "",
	}
	for _, kind := range Kinds() {
		fmt.Fprintf(&b, "\n## %s\n\n", heading(kind))
		if about[kind] != "" {
			b.WriteString(about[kind] + "\n\n")
		}
		rows := rowsOf(kind)
		if len(rows) == 0 {
			continue
		}
		b.WriteString("| Row | Where it says | To | is for | Source |\n| --- | --- | --- | --- | --- |\n")
		for _, r := range rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.ID, r.If, actions(r.Actions), r.Needs, r.Source)
		}
	}
	return b.String()
}

func heading(k Kind) string {
	switch k {
	case Unknown:
		return "What the hub does not understand"
	case Statement:
		return "Statements"
	case TLP, Chatham, PAP, IEP, AIS, ACS, CUI:
	}
	return string(k)
}

func rowsOf(kind Kind) (rows []Row) {
	for _, r := range Table() {
		if r.Kind == kind {
			rows = append(rows, r)
		}
	}
	return rows
}

func actions(all []Action) string {
	if len(all) == len(toThePart()) {
		return "anything"
	}
	texts := make([]string, len(all))
	for i, a := range all {
		texts[i] = string(a)
	}
	return strings.Join(texts, ", ")
}

const preface = `# Markings

Which marking keeps what from whom: the decision table of the hub, whole. It is made from the rows that the program decides by
(` + "`internal/marking`" + `), and a test fails when the two differ. Nothing here is legal advice.

How to read it:

- Whoever shared an object sees it, whatever it is marked with.
- Every marking counts, and every row that concerns it: **the most restrictive wins**. STIX has no rule for combining markings; this one is ours. A further marking
  never lets more people see.
- What no row forbids is allowed. **Unknown means no**: a marking that is not understood is closed.
- A definition explains the markings of the organization that shared it, and nobody else's. Those of TLP and PAP are the same for all.
- Naming recipients only ever takes readers away.
- Whoever may not see may do nothing else. To whom something does not exist, it is "not found".
- A marking on a part of an object (granular marking) decides about that part; those on the object decide about all of it. Who may not see a part is served a copy of
  the rest, under another id; a reference to an object of the same submission counts as marked like that object.
- Where time matters (clearances, policies with dates) the hub's clock decides; at the moment of expiry it is over.

What the hub knows of a reader stands in its directory, under ` + "`handling`" + ` of the organization: nationality, sector, path (such as USA.DHS), entity,
shareability, groups, agreements, and the clearances that a sponsor asserts, each with a level, caveats and an expiry. The hub records clearances, it grants none.
What is not known of a reader is taken for whatever lets it see less.

The actions: **see**; **detect** (look for it in one's own logs, where nobody outside can notice); **look up** (ask third parties); **block** (which the other side
can notice); **contact** (approach, take down, sinkhole); **re-share** (the hub gives it to somebody outside of the community); **name** (learn from the hub who it
came from); **tear-line** (get the rest of an object of which a part is withheld). See, and tear-line where parts are marked, are what the hub enforces on every
read. The others are answered for whoever acts.
`
