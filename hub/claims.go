package hub

import "github.com/penstock-io/penstock"

// Who holds what. A viewer claims every chunk from its place on; the hub parks it when there is none.

// next returns the chunk at v's place and whether v's is the last claim on it: nobody can claim it anew, so it stays
// the last. If there is none, v is parked and the caller does not own it any more; or the stream has ended. The error
// is v's reason to leave, or ErrEnded.
func (h *Hub) next(v *Viewer) (c *chunk, last bool, err error) {
	h.mu.Lock()
	if v.cause != nil {
		h.mu.Unlock()
		return nil, false, v.cause
	}
	c = h.ring.at(v.seq)
	if c == nil && !h.ended {
		p := h.leaveSpareLocked(v)
		h.parkLocked(v)
		h.mu.Unlock()
		h.giveUp(p)
		return nil, false, nil
	}
	if c != nil {
		last = c.claims == 1
	} else {
		err = ErrEnded
	}
	h.mu.Unlock()
	return c, last, err
}

// parkLocked makes v the hub's, in step.
func (h *Hub) parkLocked(v *Viewer) {
	v.parked = len(h.parked)
	h.parked = append(h.parked, v)
}

// takeParkedLocked makes all that are parked the caller's. Who comes to be parked from now on is noted in storage, which
// may be nil and must be nobody's any more.
func (h *Hub) takeParkedLocked(storage []*Viewer) []*Viewer {
	batch := h.parked
	h.parked = storage[:0]
	for _, v := range batch {
		v.parked = -1
	}
	return batch
}

// unparkLocked makes v the caller's.
func (h *Hub) unparkLocked(v *Viewer) {
	last := h.parked[len(h.parked)-1]
	h.parked[v.parked], last.parked = last, v.parked
	h.parked[len(h.parked)-1] = nil
	h.parked = h.parked[:len(h.parked)-1]
	v.parked = -1
}

// leaveSpareLocked takes from v, which is in step, its own pipe, empty now, keeps the roomier of that and the spare for
// the next viewer, and returns the other.
func (h *Hub) leaveSpareLocked(v *Viewer) penstock.Conduit {
	p := v.own
	v.own = nil
	if p != nil && (h.spare == nil || p.Cap() > h.spare.Cap()) {
		p, h.spare = h.spare, p
	}
	return p
}

// takeSpare returns the spare pipe, which is empty, or nil.
func (h *Hub) takeSpare() penstock.Conduit {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.spare
	h.spare = nil
	return p
}

// passed gives up v's claim on c, the chunk at its place, which it has taken or teed.
func (h *Hub) passed(v *Viewer, c *chunk) {
	h.mu.Lock()
	if !v.holding { // cut meanwhile
		h.mu.Unlock()
		return
	}
	v.seq++
	gone := h.dropClaimLocked(c)
	h.mu.Unlock()
	if gone {
		h.giveUpChunks(c)
	}
}

// unclaimLocked gives up all of v's claims and returns the chunks that are nobody's now.
func (h *Hub) unclaimLocked(v *Viewer) (free []*chunk) {
	if !v.holding {
		return nil
	}
	v.holding = false
	h.holders--
	for c := h.ring.at(v.seq); c != nil; c = h.ring.at(v.seq) {
		v.seq++
		if h.dropClaimLocked(c) {
			free = append(free, c)
		}
	}
	return free
}

// dropClaimLocked tells whether the claim was the last, and the chunk is nobody's now.
func (h *Hub) dropClaimLocked(c *chunk) bool {
	c.claims--
	if c.claims > 0 {
		return false
	}
	h.bytes -= c.cost()
	h.claimed--
	h.ring.trim()
	h.room.Signal()
	return true
}
