package hub

import (
	"context"
	"io"

	"github.com/penstock-io/penstock"
)

// Joiner is a Source that knows where a viewer may begin. A stream from any other may be joined anywhere.
type Joiner interface {
	// AtJoin tells whether the run last read begins at a join point.
	AtJoin() bool
}

// Publish carries the source's bytes to the viewers until the source ends, and returns how many there were; it blocks
// all that time. Its error is nil at the source's end, the context's cause if that was cancelled, ErrEnded after End,
// or the source's own. The stream goes on with the next Publish; there can be one at a time. A source that cannot be
// interrupted (see [penstock.InterruptReads]) sees the cancellation with its next bytes.
func (h *Hub) Publish(ctx context.Context, src penstock.Source) (total int64, err error) {
	if err := h.beginPublish(); err != nil {
		return 0, err
	}
	defer h.endPublish()
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = penstock.InterruptReads(src) // a source that cannot be is told of in the doc
		h.interruptPublisher()
	})
	defer func() {
		if !stop() {
			<-interrupted // the source is the caller's again
		}
	}()

	joiner, _ := src.(Joiner)
	for {
		if err := h.waitForRoom(ctx); err != nil {
			return total, err
		}
		c, n, err := h.read(src)
		if n > 0 {
			total += int64(n)
			c.n, c.join = n, joiner == nil || joiner.AtJoin()
			h.noteIntake(src, c)
			h.publish(c)
		} else {
			h.giveUp(c.pipe)
		}
		switch {
		case err == nil:
		case err == io.EOF:
			return total, nil
		case ctx.Err() != nil:
			return total, context.Cause(ctx)
		default:
			return total, err
		}
	}
}

func (h *Hub) beginPublish() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.publishing {
		return ErrPublishing
	}
	h.publishing = true
	return nil
}

func (h *Hub) endPublish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handOverLocked()
	h.publishing = false
	h.tidyLocked()
}

// waitForRoom waits until the ring may take another chunk, cutting who has fallen off it.
func (h *Hub) waitForRoom(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if h.ended {
			return ErrEnded
		}
		if !h.fullLocked() {
			return nil
		}
		cut, free := h.cutLocked()
		if len(cut) == 0 {
			if h.carried != nil {
				h.carryLocked(ctx)
			} else {
				h.room.Wait()
			}
			continue
		}
		h.mu.Unlock()
		for _, v := range cut {
			v.sink.Interrupt()
		}
		h.giveUpChunks(free...)
		h.mu.Lock()
	}
}

// fullLocked tells whether the next chunk must wait. With Block the window is short: what everybody waits for is best
// kept in the cache.
func (h *Hub) fullLocked() bool {
	if h.bytes >= h.cfg.Ring {
		return true
	}
	return h.cfg.OnSlow == Block && h.claimed >= blockWindow
}

// cutLocked takes their claims from the viewers that hold the oldest chunk and may not block the publisher. It returns
// those viewers, to be interrupted, and the chunks that are nobody's now.
func (h *Hub) cutLocked() (cut []*Viewer, free []*chunk) {
	if h.bytes < h.cfg.Ring {
		return nil, nil
	}
	for v := range h.viewers {
		if v.policy == Disconnect && v.holding && v.seq == h.ring.first {
			v.causeLocked(ErrTooSlow)
			cut = append(cut, v)
		}
	}
	for _, v := range cut {
		free = append(free, h.unclaimLocked(v)...)
	}
	return cut, free
}

// newChunk returns a chunk with an empty pipe: the kernel's if there is one.
func (h *Hub) newChunk() *chunk {
	c := new(chunk)
	if h.pool != nil {
		size := h.chunkSize()
		kp, err := h.pool.Get(size)
		if err != nil && size > smallChunk {
			kp, err = h.pool.Get(smallChunk)
		}
		if err == nil {
			c.pipe = kp
			return c
		}
		c.why = "no kernel pipe to be had"
	} else {
		c.why = "splice is off"
	}
	c.pipe = h.arena.NewPipe(0)
	return c
}

// chunkSize is the capacity for the next chunk's kernel pipe.
func (h *Hub) chunkSize() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.size
}

// resizeLocked follows the stream: what fills a third of a small pipe's bytes may have filled its slots, and gets
// larger ones; what has not been worth them for a while gets small ones again, which cost the user's pipe budget less.
func (h *Hub) resizeLocked(n int) {
	const enough = 64
	switch {
	case n >= smallChunk/3:
		h.size, h.narrow = largeChunk, 0
	case h.narrow < enough:
		h.narrow++
	default:
		h.size = smallChunk
	}
}

// publish appends a chunk and serves the viewers in step.
func (h *Hub) publish(c *chunk) {
	h.mu.Lock()
	h.resizeLocked(c.n)
	c.off = h.in.Add(int64(c.n)) - int64(c.n)
	c.claims = h.holders
	h.ring.push(c)
	batch := h.takeParkedLocked(h.batch) // the batch before this one has been served
	h.batch = batch
	unwanted := c.claims == 0
	if unwanted {
		h.ring.trim()
	} else {
		h.bytes += c.cost()
		h.claimed++
	}
	h.mu.Unlock()

	if unwanted {
		h.giveUpChunks(c)
		return
	}
	h.serve(batch)
	clear(batch) // Hub.batch is storage: it must not keep who has left
	h.demote()
}

// serve is the fast loop: each viewer of the batch gets what its sink takes at once. Those whose sinks cannot but block
// go on in goroutines of their own, and start first.
func (h *Hub) serve(batch []*Viewer) {
	for _, v := range batch {
		if !v.polls {
			go v.pump()
		}
	}
	for _, v := range batch {
		if v.polls {
			h.try(v)
		}
	}
}

// demote moves chunks that only slow viewers still need from kernel pipes to memory, oldest first.
func (h *Hub) demote() {
	for {
		h.mu.Lock()
		h.memory = max(h.memory, h.ring.first)
		if h.ring.next()-h.memory <= kernelChunks {
			h.mu.Unlock()
			return
		}
		c := h.ring.at(h.memory)
		h.memory++
		h.mu.Unlock()

		c.mu.Lock()
		kp := c.toMemoryLocked(&h.arena, "moved to memory for a slow viewer")
		c.mu.Unlock()
		if kp != nil {
			h.pool.Put(kp)
		}
	}
}
