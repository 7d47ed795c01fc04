//go:build !linux

package behind

// lower does nothing: priorities are of processes here.
func lower() {}
