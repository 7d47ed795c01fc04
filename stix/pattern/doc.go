// Package pattern parses STIX patterns, matches observations with them and lists the values that could make one match.
package pattern
