package hub

import (
	"errors"
	"sync"

	"github.com/penstock-io/penstock"
)

// leastBatch is how many viewers are worth a fast loop of their own: waking it costs as much as serving a few.
const leastBatch = 64

// loop is a fast loop: it gives a chunk to viewers in step, one after the other, without waiting. It takes no lock of the
// hub's meanwhile: one claim of the publisher's stands for all of them, and what has become of them is noted at the end.
type loop struct {
	spare  penstock.Conduit // empty: the pipe of whoever is being served
	kept   []*Viewer        // have it
	ending []*Viewer        // have it, and the stream has ended meanwhile
	failed []*Viewer        // are at their end
	causes []error          // of failed
}

// serve gives c to the viewers in step. Those whose sinks cannot but block go on in goroutines of their own, and start
// first. The last to be served takes the chunk's pipe, if it is nobody else's
// and not shown.
func (h *Hub) serve(batch []*Viewer, c *chunk) {
	batch = h.startOthers(batch, c)
	h.show(c)
	if n := min(len(h.loops), len(batch)/leastBatch); n > 1 {
		h.serveTogether(batch, c, n)
	} else {
		l := &h.loops[0]
		for i, v := range batch {
			h.offer(l, v, c, i == len(batch)-1 && c.views == nil && h.lastClaim(c))
		}
	}
	h.hide(c)
	h.settleServed(c)
}

// serveTogether splits the batch between n loops, of which the first is the caller's.
func (h *Hub) serveTogether(batch []*Viewer, c *chunk, n int) {
	var all sync.WaitGroup
	part := (len(batch) + n - 1) / n
	for i := 1; i < n && i*part < len(batch); i++ {
		l, mine := &h.loops[i], batch[i*part:min((i+1)*part, len(batch))]
		all.Go(func() {
			for _, v := range mine {
				h.offer(l, v, c, false)
			}
		})
	}
	for _, v := range batch[:part] {
		h.offer(&h.loops[0], v, c, false)
	}
	all.Wait()
}

// startOthers lets those of the batch go on by themselves whose sinks do not poll, and returns the rest.
func (h *Hub) startOthers(batch []*Viewer, c *chunk) []*Viewer {
	polls := batch[:0]
	var others []*Viewer
	for _, v := range batch {
		if v.polls {
			polls = append(polls, v)
		} else {
			others = append(others, v)
		}
	}
	if len(others) == 0 {
		return polls
	}
	h.mu.Lock()
	for _, v := range others {
		h.fallBehindLocked(v, c.seq)
	}
	h.mu.Unlock()
	for _, v := range others {
		go v.pump()
	}
	return polls
}

// lastClaim tells whether the loop's claim on c is the only one, and lets nobody have another.
func (h *Hub) lastClaim(c *chunk) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.gone = c.gone || c.claims == 1 && !c.kept
	return c.gone
}

// offer gives v, which is in step, what its sink takes of c at once. If that is not all v falls behind, with what it was
// given in a pipe of its own, and goes on without the loop.
func (h *Hub) offer(l *loop, v *Viewer, c *chunk, last bool) {
	if !v.joined && !c.join {
		l.kept = append(l.kept, v)
		return
	}
	if c.views != nil && v.direct != nil && v.started && v.expect == c.off {
		if h.offerBytes(l, v, c) {
			return
		}
	}
	v.own, l.spare = l.spare, nil
	loaded, err := v.load(c, last)
	whole := loaded == c.n
	v.loaded = loaded
	if err == nil {
		err = v.flush(penstock.NonBlock)
	}
	switch {
	case errors.Is(err, penstock.ErrWouldBlock):
		h.fallBehind(v, c, whole)
	case err != nil:
		l.failed, l.causes = append(l.failed, v), append(l.causes, err)
	case !whole:
		h.fallBehind(v, c, false)
	default:
		v.loaded = 0
		l.spare, v.own = v.own, nil
		l.kept = append(l.kept, v)
	}
}

// fallBehind lets v, which has loaded some of c or the whole of it, go on in a goroutine of its own, or makes it the one
// that the publisher carries.
func (h *Hub) fallBehind(v *Viewer, c *chunk, whole bool) {
	seq := c.seq
	if whole {
		seq, v.loaded = seq+1, 0
	}
	h.mu.Lock()
	h.fallBehindLocked(v, seq)
	carry := h.carried == nil && v.policy == Block && h.cfg.OnSlow == Block && !h.ended
	if carry {
		h.carried = v
	}
	h.mu.Unlock()
	if !carry {
		go v.pump()
	}
}

// settleServed notes what has become of the viewers that were served c, and gives up the loop's claim on it.
func (h *Hub) settleServed(c *chunk) {
	h.mu.Lock()
	for i := range h.loops {
		h.settleLocked(&h.loops[i], c)
	}
	gone := h.dropClaimLocked(nil, c)
	h.mu.Unlock()
	if gone {
		c.giveUp(h)
	}
	for i := range h.loops {
		h.loops[i].release()
	}
}

func (h *Hub) settleLocked(l *loop, c *chunk) {
	for _, v := range l.kept {
		switch {
		case v.cause != nil:
			l.failed, l.causes = append(l.failed, v), append(l.causes, v.cause)
		case h.ended: // meanwhile: it comes to the end by itself
			h.fallBehindLocked(v, c.seq+1)
			l.ending = append(l.ending, v)
		default:
			h.parkLocked(v)
		}
	}
}

// release lets those go whom the loop does not keep.
func (l *loop) release() {
	for _, v := range l.ending {
		go v.pump()
	}
	for i, v := range l.failed {
		v.settle(l.causes[i])
	}
	for _, list := range []*[]*Viewer{&l.kept, &l.ending, &l.failed} {
		clear(*list) // nobody who has left is kept
		*list = (*list)[:0]
	}
	clear(l.causes)
	l.causes = l.causes[:0]
}
