//go:build !linux

package penstock

// defaultPoolLimit is moot: there are no kernel pipes to be held.
func defaultPoolLimit() int { return 0 }

// warmPool has nothing to open.
func warmPool() {}
