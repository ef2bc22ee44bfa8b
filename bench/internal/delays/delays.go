// Package delays counts how long things took, and tells the quantiles.
package delays

import (
	"math/bits"
	"time"
)

// Delays counts durations of up to some 70 seconds in buckets that are a 32nd as wide as they are far from zero, so a
// quantile is right to 3 %. The zero Delays is empty. It travels as JSON.
type Delays struct {
	Count   int64
	Max     time.Duration
	Buckets []int64
}

// Of a duration in ns the highest fine+1 bits choose the bucket.
const (
	fine    = 5
	highest = 36 // the bit of what is longest
	buckets = (highest - fine + 2) << fine
)

// Add counts one duration; one that is below zero, by a clock's fault, counts as zero.
func (d *Delays) Add(t time.Duration) {
	if d.Buckets == nil {
		d.Buckets = make([]int64, buckets)
	}
	t = max(t, 0)
	d.Count++
	d.Max = max(d.Max, t)
	d.Buckets[bucketOf(uint64(t))]++
}

func bucketOf(ns uint64) int {
	ns = min(ns, 1<<(highest+1)-1)
	shift := max(bits.Len64(ns)-fine-1, 0)
	return shift<<fine + int(ns>>shift)
}

// most is the longest duration that falls into a bucket.
func most(bucket int) time.Duration {
	shift := max(bucket>>fine-1, 0)
	return time.Duration(bucket-shift<<fine+1)<<shift - 1
}

// Quantile returns the duration that the share q of all took at most, 0 of none. It is at least the true one.
func (d *Delays) Quantile(q float64) time.Duration {
	rank := int64(q * float64(d.Count))
	for b, n := range d.Buckets {
		if rank -= n; rank < 0 {
			return min(most(b), d.Max)
		}
	}
	return d.Max
}

// Merge adds what another has counted.
func (d *Delays) Merge(other Delays) {
	d.Count += other.Count
	d.Max = max(d.Max, other.Max)
	if other.Buckets == nil {
		return
	}
	if d.Buckets == nil {
		d.Buckets = make([]int64, buckets)
	}
	for b, n := range other.Buckets {
		d.Buckets[b] += n
	}
}
