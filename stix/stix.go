// Package stix reads and writes STIX 2.1 objects without losing a byte of what it does not understand.
//
// [Parse] reads a text once, strictly, into a [Value]: a handle to the text's own
// bytes. Everything later works on that one parse: [Validate] checks an object
// against the standard, [ValidateBundle] a bundle and all that is in it, [Select]
// finds what granular markings select, [DeterministicID] computes the identifier
// of an observable, and [Edit] makes a changed copy in which what is not touched
// keeps its bytes. Objects are never decoded into structures and encoded again,
// which would lose unknown properties, the precision of times and the order of
// names, and with them the meaning of
// "the same version" (STIX 2.1 §3.6).
//
// Markings and versions have their own operations. [Markings], [IsMarked] and
// [EffectiveMarkings] say what an object or a part of it is marked with, and
// [Effects] does for all parts at once; [AddMarkings], [SetMarkings], [RemoveMarkings] and [ClearMarkings] make copies
// that are marked otherwise (§7.2). [Versions] puts the versions of an object in
// order, [History.Check] says what may join them, and [NewVersion] and [Revoke]
// make the next one (§3.6). [ContentHash] tells contents apart, which
// identifiers cannot.
//
// Problems are errors, for which the object should be refused, or warnings; each
// has the clause, a JSON Pointer and what was expected, and never quotes the
// text. A [Profile] in the [Options] adds the rules of a community: those of the
// interoperability tests, or of CISA's Automated Indicator Sharing.
//
// The rules are data. Each property table of the standard is a table here, in
// the file that is named for its chapter, with a row per property: its name, the
// type of its value, and what its description demands of other properties.
//
// [Validate] decides in these cases, where the standard leaves it open or widely
// used content breaks it:
//
//   - An observable whose UUIDv5 is not that of its contributing properties is
//     warned of, not refused: the standard says SHOULD (§2.9) and its own
//     examples do it. So equal identifiers never prove equal content.
//   - Identifiers are in lower case (RFC 9562 §4), because they are compared as
//     text (§3.3).
//   - Times have at most nine digits after the point, more than any time.Time
//     can order, and no leap seconds.
//   - Custom types and properties are taken, with a warning unless an extension
//     declares them (§11, §7.3); nulls and empty lists deep inside custom
//     properties are warned of.
//   - The nine marking-definitions of the Traffic Light Protocol mean what their
//     identifiers say; other spellings of the same level are warned of.
package stix
