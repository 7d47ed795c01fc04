// Package arch holds the tests that keep the code and docs/architecture.md the same.
package arch
