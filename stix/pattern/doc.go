// Package pattern parses STIX patterns, matches observations with them and lists the values that could make one match.
//
// # Patterns
//
// A STIX indicator carries a pattern (STIX 2.1 §9):
//
//	[ipv4-addr:value = '198.51.100.1' OR domain-name:value LIKE '%.example.com']
//	[file:hashes.'SHA-256' = 'aec0…'] FOLLOWEDBY [process:name IN ('a', 'b')] WITHIN 300 SECONDS
//
// The package is a Level 3 STIX Patterning Implementation (§12.7.3): it has all
// operators and qualifiers, for pattern producers and consumers. [Parse] reads the whole language. What it refuses is a [*SyntaxError] with a
// place and a reason, which never quotes the pattern and so may be shown and
// logged. It accepts and refuses what the OASIS reference validator does, and
// what the standard forbids beyond that is listed by [Pattern.Problems]. Time
// and memory are linear in the text and bounded by [MaxBytes], [MaxDepth],
// [MaxComparisons], [MaxRegexpBytes] and [MaxRegexpSteps]: the worst text takes
// some megabytes and tens of milliseconds.
//
// # Values
//
// [Pattern.Atoms] lists all comparisons, and each [Literal] knows where it
// stands in the text, so that a constant can be replaced in place by what
// [Quote] makes. [Pattern.Alone] lists the comparisons of which each value
// makes the pattern match by itself: only these may be looked up, or blocked,
// by value alone. [Pattern.Normal] recognizes patterns that mean the same,
// and [Pattern.String] writes a pattern uniformly without changing its order.
//
// # Matching
//
// [Pattern.Compile] makes a [Matcher]. It is given an [Observation] for each
// observed-data object, which [FromBundle] and [NewObservation] make of decoded
// JSON. Where the standard leaves a choice, or is often misread:
//
//   - An observation with number_observed n counts as n different observations.
//   - When the observations were made between first_observed and last_observed
//     is not known: START … STOP, WITHIN and FOLLOWEDBY hold if there are
//     moments for which they do. WITHIN does not include the end of its window,
//     and FOLLOWEDBY is satisfied by two observations of the same moment.
//   - A comparison with a property that is not there is false, with NOT as well
//     (§9.6); only NOT EXISTS is then true. A comparison with a value of another
//     type is false, and so true with NOT, and != is true (§9.6.1).
//   - [*] is true if the comparison is true of any element: x[*] NOT IN ('a')
//     asks for an element that is not a.
//   - A property whose name ends in _ref or _refs leads to the object itself, if
//     the observed-data object names it (§9.7.4). A property whose name ends in
//     _hex or _bin is decoded (§9.6.4).
//   - =, !=, <, > and IN compare code points; LIKE and MATCHES compare NFC
//     (§9.6.2).
//   - A constant that is not valid, such as a 30 February or an ISSUBSET of what
//     is no network, makes the whole pattern match nothing (§9.4).
//
// # What cannot be decided
//
// A pattern that cannot be evaluated is never taken for one that does not
// match. MATCHES is PCRE in the standard and RE2 here, so that no expression
// takes more than linear time: \d, \w, \s and $ mean what they do in PCRE, and
// what RE2 leaves out (look-around, back-references) makes Compile return
// [ErrNotEvaluable]. One difference remains: to \b and \B a letter is an ASCII
// letter. A search that takes too long, since AND, REPEATS and WITHIN together
// can ask for any puzzle, ends with [ErrTooComplex].
package pattern
