// Package tlp is the Traffic Light Protocol 1.0 and 2.0: labels, their order, and the STIX objects that stand for them.
package tlp

// A Label is a level of the Traffic Light Protocol 2.0 (FIRST, August 2022),
// from the least to the most restrictive, so that the more restrictive of two
// is their maximum.
type Label uint8

// The labels. None is the absence of one, not a label: the hub's community
// policy says what it means.
const (
	None Label = iota
	Clear
	Green
	Amber
	AmberStrict
	Red
)

// names by value, as TLP 2.0 spells them after "TLP:".
func names() [6]string { return [6]string{"", "CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"} }

// String returns the label as TLP 2.0 writes it, such as "TLP:AMBER+STRICT",
// and "" for None.
func (l Label) String() string {
	if all := names(); l != None && int(l) < len(all) {
		return "TLP:" + all[l]
	}
	return ""
}

// Parse reads a label in upper or lower case, with or without "TLP:"; WHITE of
// TLP 1.0 is CLEAR.
func Parse(s string) (Label, bool) {
	upper := make([]byte, 0, len(s))
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper = append(upper, c)
	}
	if len(upper) > 4 && string(upper[:4]) == "TLP:" {
		upper = upper[4:]
	}
	if string(upper) == "WHITE" {
		return Clear, true
	}
	all := names()
	for l, n := range all {
		if n != "" && n == string(upper) {
			return Label(l), true
		}
	}
	return None, false
}

// FromMarking returns the label that a STIX marking-definition's id stands for:
// the four instances of TLP 1.0 (STIX 2.1 §7.2.1.4) and the five of TLP 2.0
// (OASIS extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d). TLP 1.0
// AMBER lets an organization's clients see, as AMBER of TLP 2.0 does.
func FromMarking(id string) (Label, bool) {
	switch id {
	case "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
		"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487":
		return Clear, true
	case "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
		"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb":
		return Green, true
	case "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
		"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421":
		return Amber, true
	case "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003":
		return AmberStrict, true
	case "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
		"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1":
		return Red, true
	}
	return None, false
}

// Marking returns the id of the TLP 2.0 marking-definition for a label, "" for
// None.
func (l Label) Marking() string {
	switch l {
	case Clear:
		return "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"
	case Green:
		return "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
	case Amber:
		return "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
	case AmberStrict:
		return "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"
	case Red:
		return "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"
	case None:
	}
	return ""
}
