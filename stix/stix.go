// Package stix reads and writes STIX 2.1 objects without losing a byte of what it does not understand.
package stix
