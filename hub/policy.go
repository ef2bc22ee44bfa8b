package hub

import (
	"cmp"
	"slices"
	"time"
)

// Policy says what becomes of a viewer that does not keep up: when it has fallen off the ring, and when it is behind by
// more than its Limits.
//
//	             off the ring                        beyond its limits
//	Disconnect   cut, with ErrTooSlow                likewise
//	Block        the publisher waits                 cut
//	Skip         goes to the newest join point       likewise
//	CatchUp      goes on from the archive            cut
//
// A viewer that skips gets whole units, as the stream's Scanner has them: it ends the one it is in, and what it misses
// is counted and told.
type Policy uint8

// The policies.
const (
	Inherit    Policy = iota // of a sink: the hub's. Of a hub: Disconnect
	Disconnect               // nobody waits for it
	Block                    // everybody gets everything
	Skip                     // it stays, at the price of gaps
	CatchUp                  // it gets everything, late; without an archive, and before its beginning, as Skip
	Auto                     // CatchUp with an archive; else Skip in a stream that has join points; else Disconnect
)

func (p Policy) String() string {
	switch p {
	case Inherit:
		return "inherit"
	case Disconnect:
		return "disconnect"
	case Block:
		return "block"
	case Skip:
		return "skip"
	case CatchUp:
		return "catchup"
	case Auto:
		return "auto"
	default:
		return "unknown policy"
	}
}

// Limits bound how far behind a viewer may be. The zero Limits are none but the ring's.
type Limits struct {
	Bytes int64         // published, and not put on its way to the sink yet; 0 is no limit
	Time  time.Duration // since the oldest of them was published, to a tenth of a second; 0 is no limit

	// Stall is how long a sink may take nothing at all, while there is something for it; 0 is forever, but for
	// the 30 s that it has at most after the end. Beyond it the viewer leaves with ErrStalled, whatever its policy.
	Stall time.Duration
}

// tighter returns the smaller of each, 0 being the largest.
func (l Limits) tighter(o Limits) Limits {
	least := func(a, b int64) int64 {
		if a == 0 || b != 0 && b < a {
			return b
		}
		return a
	}
	return Limits{
		Bytes: least(l.Bytes, o.Bytes),
		Time:  time.Duration(least(int64(l.Time), int64(o.Time))),
		Stall: time.Duration(least(int64(l.Stall), int64(o.Stall))),
	}
}

// exceeded tells whether someone is further behind than the limits.
func (l Limits) exceeded(bytes int64, age time.Duration) bool {
	return l.Bytes > 0 && bytes > l.Bytes || l.Time > 0 && age > l.Time
}

// measures is what is to be done, outside the lock, about viewers that are too slow.
type measures struct {
	cut  []*Viewer // to be interrupted
	free []*chunk  // to be given up
}

func (m *measures) carryOut(h *Hub) {
	h.giveUpChunks(m.free)
	for _, v := range m.cut {
		v.sink.Interrupt()
		v.others.Done()
	}
}

func (m *measures) none() bool { return len(m.cut) == 0 && len(m.free) == 0 }

// policeLocked applies their policies to the viewers that are too far behind. full says that the ring may hold no
// more: then those who hold its oldest chunk are, too.
func (h *Hub) policeLocked(now int64, full bool) (m measures) {
	oldest := h.ring.oldestClaim()
	for _, v := range h.behind {
		if v.cause != nil {
			continue
		}
		bytes, age := h.lagLocked(v, now)
		over := v.limits.exceeded(bytes, age)
		if over || full && v.holding && v.seq == oldest {
			h.applyLocked(v, over, &m)
		}
	}
	if c := h.ring.at(oldest); full && c != nil && c.awaited == 0 && h.ring.oldestClaim() == oldest {
		h.relieveLocked(&m)
		if h.bytes >= h.boundLocked() {
			h.cutOldestLocked(oldest, &m)
		}
	}
	return m
}

// relieveLocked makes room for who holds the ring's oldest chunk and has to end a unit first: it makes others that can skip
// or go to the archive do so, those furthest behind first, until the ring is not full.
func (h *Hub) relieveLocked(m *measures) {
	byPlace := slices.SortedFunc(slices.Values(h.behind), func(v, w *Viewer) int { return cmp.Compare(v.seq, w.seq) })
	for _, v := range byPlace {
		if h.bytes < h.boundLocked() {
			return
		}
		if policy := h.chosenLocked(v); v.cause == nil && v.holding && (policy == Skip || policy == CatchUp) {
			h.applyLocked(v, false, m)
		}
	}
}

// applyLocked does with v, which is off the ring or over its limits, as its policy says.
func (h *Hub) applyLocked(v *Viewer, over bool, m *measures) {
	switch policy := h.chosenLocked(v); {
	case policy == Skip, policy != Block && !v.begun.Load(): // who has had nothing misses nothing
		m.free = append(m.free, h.skipLocked(v)...)
	case over || policy == Disconnect:
		h.cutLocked(v, ErrTooSlow, m)
	case policy == CatchUp && h.aheadOfRecorderLocked(v): // it holds nothing that the recording would not, nor could it read on
	case policy == CatchUp && h.cfg.Archive != nil:
		m.free = append(m.free, h.toArchiveLocked(v)...)
	case policy == CatchUp:
		m.free = append(m.free, h.skipLocked(v)...)
	}
}

// chosenLocked returns what Auto comes to: only its first bytes say whether a stream has join points.
func (h *Hub) chosenLocked(v *Viewer) Policy {
	switch {
	case v.policy != Auto:
		return v.policy
	case h.cfg.Archive != nil:
		return CatchUp
	case h.joins:
		return Skip
	default:
		return Disconnect
	}
}

// cutOldestLocked cuts who holds the ring's oldest chunk although everybody has been made to skip who can: the units that
// they have to end do not fit into the ring.
func (h *Hub) cutOldestLocked(oldest uint64, m *measures) {
	for _, v := range h.behind {
		if v.policy == Block || v.cause != nil || !v.holding || v.busy || v.seq != oldest {
			continue
		}
		if h.chosenLocked(v) != CatchUp || !h.aheadOfRecorderLocked(v) { // which the publisher waits for
			h.cutLocked(v, ErrTooSlow, m)
		}
	}
}

// cutLocked makes v leave.
func (h *Hub) cutLocked(v *Viewer, why error, m *measures) {
	m.cut = append(m.cut, v)
	v.others.Add(1)
	m.free = append(m.free, h.expelLocked(v, why)...)
}

// skipLocked moves v's place to the newest join point that it has not reached, or if there is none to the next one that
// comes. Before that it ends the unit that it is in: it keeps its claims up to the first chunk that begins one.
func (h *Hub) skipLocked(v *Viewer) (free []*chunk) {
	if !v.holding || v.busy { // with a chunk in hand, for a moment: the next time, then
		return nil
	}
	from := v.seq
	if v.loaded > 0 {
		from++
	}
	for c := h.ring.at(from); c != nil && !c.clean && v.begun.Load(); c = h.ring.at(from) { // who has not begun is in none
		from++
	}
	to := h.ring.next()
	if h.keeps && h.backlog >= from {
		to = h.backlog
	}
	if v.skipTo > from { // it has been sent on its way already
		from = v.skipTo
	}
	for seq := from; seq < to; seq++ {
		if c := h.ring.at(seq); c != nil && h.dropClaimLocked(v, c) {
			free = append(free, c)
		}
	}
	if from < to {
		if v.skipTo == 0 {
			v.skipFrom = from
		}
		v.skipTo = to
	}
	h.landLocked(v)
	return free
}

// landLocked ends a skip, once v stands where that begins.
func (h *Hub) landLocked(v *Viewer) {
	if v.skipTo != 0 && v.seq == v.skipFrom && v.loaded == 0 {
		v.seq, v.skipFrom, v.skipTo = v.skipTo, 0, 0
		v.joined = false
	}
}

// patrolLocked sees to it that limits in time are looked after while the publisher is quiet, and stalls at any time.
func (h *Hub) patrolLocked() {
	least := h.tight
	if h.ended {
		least = least.tighter(Limits{Stall: patience})
	}
	least = least.tighter(Limits{Time: least.Stall})
	if least.Time == 0 || len(h.behind) == 0 {
		return
	}
	every := max(least.Time/4, 10*time.Millisecond)
	if h.patrol != nil && (every >= h.rounds || !h.patrol.Stop()) {
		return // it is on its way in time
	}
	h.patrol, h.rounds = time.AfterFunc(every, h.lookAround), every
}

// lookAround is the patrol.
func (h *Hub) lookAround() {
	now := time.Now()
	h.mu.Lock()
	h.looking = true
	m := h.policeLocked(clock(), false)
	for _, v := range h.behind {
		if v.cause != nil || !v.stalledLocked(now, h.ended) {
			continue
		}
		h.cutLocked(v, ErrStalled, &m)
	}
	h.mu.Unlock()
	m.carryOut(h)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.patrol, h.looking = nil, false
	h.patrolLocked()
	h.left.Broadcast() // who waits for all to have left waits for the patrol, too
}

// stalledLocked tells whether v's sink has taken nothing for longer than it may.
func (v *Viewer) stalledLocked(now time.Time, ended bool) bool {
	sent, queued := v.sent.Load(), v.queued()
	if sent != v.lastSent || queued != v.lastQueued || v.lastMoved.IsZero() || v.idle.Load() {
		v.lastSent, v.lastQueued, v.lastMoved = sent, queued, now
		return false
	}
	limit := v.limits.Stall
	if ended && v.policy != Block && (limit == 0 || limit > patience) {
		limit = patience
	}
	return limit > 0 && now.Sub(v.lastMoved) >= limit
}

// queued returns how much of what its sink has taken is still on the way, where the sink can tell: it goes down while the
// other side takes something.
func (v *Viewer) queued() int {
	if s, ok := v.sink.(queuer); ok {
		return s.Queued()
	}
	return 0
}

// queuer is a sink that can tell how much of what it has taken is still on the way.
type queuer interface{ Queued() int }
