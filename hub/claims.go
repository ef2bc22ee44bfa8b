package hub

import "time"

// Who holds what. Viewers in step hold nothing: the hub parks them, and the fast loop claims each chunk for them all. A
// viewer that is behind claims every chunk from its place on, or stands in the archive and claims none.

// turn is what a viewer that is behind does next.
type turn struct {
	c       *chunk // load it
	last    bool   // nobody else needs it, nor can come to
	archive bool   // read the archive
	tidy    bool   // give back what it has, and ask again
	err     error  // leave; ErrEnded is the end of the stream
} // the zero turn: it has been parked, and is the caller's no more

// next finds out what v does next. Who is parked has given its pipe back before: at that moment it may leave, and the
// hub be done.
func (h *Hub) next(v *Viewer) turn {
	h.mu.Lock()
	t, free := h.nextLocked(v)
	h.mu.Unlock()
	h.giveUpChunks(free)
	return t
}

func (h *Hub) nextLocked(v *Viewer) (t turn, free []*chunk) {
	if v.cause != nil {
		return turn{err: v.cause}, nil
	}
	if !v.holding && !h.rejoinLocked(v) {
		return turn{archive: true}, nil
	}
	h.landLocked(v)
	c := h.ring.at(v.seq)
	for c != nil && !v.joined && !c.join { // not here
		if h.passedLocked(v, c) {
			free = append(free, c)
		}
		c = h.ring.at(v.seq)
	}
	switch {
	case c != nil:
		v.busy = true
		t.c = c
		if c.claims == 1 && !c.kept {
			t.last, c.gone = true, true
		}
	case h.ended:
		t.err = ErrEnded
	case v.own != nil || len(free) > 0:
		t.tidy = true
	default:
		h.catchUpLocked(v)
		h.parkLocked(v)
	}
	return t, free
}

// parkLocked makes v the hub's, in step.
func (h *Hub) parkLocked(v *Viewer) {
	v.place = parked
	v.index = len(h.parked)
	h.parked = append(h.parked, v)
}

// takeParkedLocked makes all that are parked the caller's. Who comes to be parked from now on is noted in storage, which
// may be nil and must be nobody's any more.
func (h *Hub) takeParkedLocked(storage []*Viewer) []*Viewer {
	batch := h.parked
	h.parked = storage[:0]
	for _, v := range batch {
		v.place = served
	}
	return batch
}

// unparkLocked makes v the caller's.
func (h *Hub) unparkLocked(v *Viewer) {
	h.parked = without(h.parked, v)
	v.place = served
}

// without takes v out of the list that has it at v.index.
func without(list []*Viewer, v *Viewer) []*Viewer {
	last := list[len(list)-1]
	list[v.index], last.index = last, v.index
	list[len(list)-1] = nil
	return list[:len(list)-1]
}

// fallBehindLocked notes that v, which is the caller's, is not in step any more, and has its place at seq; it claims what
// is there from seq on.
func (h *Hub) fallBehindLocked(v *Viewer, seq uint64) {
	v.place = behind
	v.index = len(h.behind)
	h.behind = append(h.behind, v)
	v.since, v.lastMoved = clock(), time.Time{}
	h.claimLocked(v, seq)
	h.patrolLocked()
}

// catchUpLocked undoes fallBehindLocked for v, which has everything.
func (h *Hub) catchUpLocked(v *Viewer) {
	h.behind = without(h.behind, v)
	v.place, v.since = served, 0
	if v.holding {
		h.holdsLocked(v, false)
	}
}

// holdsLocked notes whether v holds claims.
func (h *Hub) holdsLocked(v *Viewer, holding bool) {
	n := -1
	if holding {
		n = 1
	}
	v.holding = holding
	h.holders += n
	if v.policy == Block {
		h.blockers += n
	}
}

// claimLocked gives v claims on all chunks from seq on, those to come included.
func (h *Hub) claimLocked(v *Viewer, seq uint64) {
	v.seq = seq
	h.holdsLocked(v, true)
	for ; seq < h.ring.next(); seq++ {
		c := h.ring.at(seq)
		c.claims++
		if v.policy == Block {
			if c.awaited == 0 {
				h.awaited++
			}
			c.awaited++
		}
	}
}

// passed notes that v has taken or teed so much of c, the chunk at its place.
func (h *Hub) passed(v *Viewer, c *chunk, loaded int) {
	h.mu.Lock()
	v.busy = false
	if !v.holding { // cut meanwhile
		h.mu.Unlock()
		return
	}
	v.loaded = loaded
	gone := loaded == c.n && h.passedLocked(v, c)
	if loaded < c.n {
		h.room.Signal() // nothing was to be done about it while it was busy
	}
	h.mu.Unlock()
	if gone {
		c.giveUp(h)
	}
}

// passedLocked gives up v's claim on c, the chunk at its place, and tells whether c is nobody's now.
func (h *Hub) passedLocked(v *Viewer, c *chunk) bool {
	v.seq, v.loaded = v.seq+1, 0
	gone := h.dropClaimLocked(v, c)
	h.landLocked(v)
	return gone
}

// unclaimLocked gives up all of v's claims and returns the chunks that are nobody's now.
func (h *Hub) unclaimLocked(v *Viewer) (free []*chunk) {
	if !v.holding {
		return nil
	}
	h.holdsLocked(v, false)
	for ; v.seq < h.ring.next(); v.seq++ {
		if v.skipTo != 0 && v.seq >= v.skipFrom && v.seq < v.skipTo {
			continue // given up before
		}
		if c := h.ring.at(v.seq); h.dropClaimLocked(v, c) {
			free = append(free, c)
		}
	}
	v.skipFrom, v.skipTo = 0, 0
	return free
}

// expelLocked makes v, which is not parked, leave. Its claims go at once: nobody waits for it to notice.
func (h *Hub) expelLocked(v *Viewer, why error) (free []*chunk) {
	v.causeLocked(why)
	free = h.unclaimLocked(v)
	if v == h.carried && !h.carrying {
		h.handOverLocked()
	}
	h.archived.Broadcast()
	return free
}

// dropClaimLocked gives up a claim of v, or of the fast loop if that is nil. It tells whether the claim was the last, and
// the chunk is nobody's now.
func (h *Hub) dropClaimLocked(v *Viewer, c *chunk) bool {
	c.claims--
	if v != nil && v.policy == Block {
		if c.awaited--; c.awaited == 0 {
			h.awaited--
			h.room.Signal()
		}
	}
	return c.claims == 0 && h.dropLocked(c)
}

// dropLocked lets c go if nobody has a claim on it, and it is not kept.
func (h *Hub) dropLocked(c *chunk) bool {
	if c.claims > 0 || c.kept {
		return false
	}
	h.bytes -= c.cost()
	h.cfg.Budget.refund(c.cost())
	c.gone = true
	h.ring.trim()
	h.room.Signal()
	return true
}

// keepLocked notes that c was published, and keeps what a viewer to come needs for a fast start: the chunks since the
// newest join point, if they are not too many. A stream that may be joined anywhere keeps nothing.
func (h *Hub) keepLocked(c *chunk) (free []*chunk) {
	h.joins = c.scanned
	if !c.scanned || c.join {
		free = h.forgetBacklogLocked()
		h.tables = c.header
	}
	if c.scanned && c.join {
		h.backlog, h.keeps = c.seq, h.cfg.FastStart > 0 && !h.ended
	}
	if !h.keeps {
		return free
	}
	if h.keptSize += c.cost(); h.keptSize > h.cfg.FastStart {
		h.keptSize -= c.cost()
		return append(free, h.forgetBacklogLocked()...)
	}
	c.kept = true
	return free
}

// forgetBacklogLocked keeps nothing any more, and returns the chunks that are nobody's now.
func (h *Hub) forgetBacklogLocked() (free []*chunk) {
	if !h.keeps {
		return nil
	}
	h.keeps, h.keptSize = false, 0
	for seq := h.backlog; seq < h.ring.next(); seq++ {
		c := h.ring.at(seq)
		if c == nil || !c.kept {
			continue
		}
		c.kept = false
		if h.dropLocked(c) {
			free = append(free, c)
		}
	}
	return free
}
