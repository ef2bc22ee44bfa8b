// Package spread says what repeated measurements came to.
package spread

import "slices"

// Spread is a median and the range it came from.
type Spread struct{ Median, Low, High float64 }

// Of returns the spread of at least one value.
func Of(values []float64) Spread {
	v := slices.Sorted(slices.Values(values))
	m := len(v) / 2
	median := v[m]
	if len(v)%2 == 0 {
		median = (v[m-1] + v[m]) / 2
	}
	return Spread{median, v[0], v[len(v)-1]}
}
