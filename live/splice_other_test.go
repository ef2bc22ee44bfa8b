//go:build !linux

package live_test

// spliceHere tells whether the fast paths are to be expected.
func spliceHere() bool { return false }
