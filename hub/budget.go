package hub

import "sync/atomic"

// Budget bounds the bytes that several hubs hold in their rings together. While it is used up a hub keeps no more than
// its share: viewers that are far behind meet their policies earlier, and viewers to come start less fast. Nothing fails.
//
// A chunk counts as in the ring's bound. What viewers have on the way besides is bounded by the pool of kernel pipes.
type Budget struct {
	limit int64
	used  atomic.Int64
	hubs  atomic.Int64
}

// leastShare is what a hub may hold in any case: less, and nothing would move.
const leastShare = 4 * largeChunk

// NewBudget returns a budget of so many bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Used returns how many bytes are held now. It may be more than the limit by what is in hand.
func (b *Budget) Used() int64 { return b.used.Load() }

// Limit returns what the budget was made with.
func (b *Budget) Limit() int64 { return b.limit }

// The methods below take a nil Budget for none.

func (b *Budget) join() {
	if b != nil {
		b.hubs.Add(1)
	}
}

func (b *Budget) leave() {
	if b != nil {
		b.hubs.Add(-1)
	}
}

func (b *Budget) charge(n int64) {
	if b != nil {
		b.used.Add(n)
	}
}

func (b *Budget) refund(n int64) { b.charge(-n) }

// bound returns how much a hub may hold whose own bound is ring.
func (b *Budget) bound(ring int64) int64 {
	if b == nil || b.used.Load() < b.limit {
		return ring
	}
	return min(ring, max(leastShare, b.limit/max(1, b.hubs.Load())))
}
