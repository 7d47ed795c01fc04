// Package e2e takes the real program on the journeys of its users.
package e2e
