package hub

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"

	"github.com/penstock-io/penstock"
)

// chunk is one pipe holding a run of the stream. Its bytes never change; its pipe does when it moves to memory, is
// taken by the last viewer, or is given up.
type chunk struct {
	seq     uint64
	off     int64 // of its first byte in the stream
	n       int
	at      int64  // when it was published, by clock
	scanned bool   // the stream has shown where it may be joined
	clean   bool   // it begins with a unit of the stream: who stops before it has had whole ones
	join    bool   // a viewer may begin here,
	header  []byte // behind this

	// Guarded by Hub.mu.
	claims  int  // viewers that have not taken it yet, and the fast loop while that serves it
	awaited int  // of these, the viewers whose policy is Block
	kept    bool // for viewers to come
	gone    bool // its last reader has it: nobody may claim it any more

	// Of the fast loop while it serves the chunk: its bytes, if they are in memory. Its claim keeps them there.
	views   [][]byte
	viewsOf [2][]byte // storage

	// mu is held while the pipe is teed, moved or taken. Never while waiting for anything, and never together with
	// Hub.mu.
	mu   sync.Mutex
	pipe penstock.Conduit // nil once taken or given up
	twin *penstock.Pipe   // its bytes in memory as well, for sinks that are written to; nil before the first
	err  error            // why the bytes were lost; not expected of any kernel
	why  string           // why it is in memory; empty for a kernel pipe
}

// capacity is how much may be read into a pipe. A kernel pipe says itself when it has no slot left, and a socket's slots
// may hold several pages each: it is filled with whatever goes in.
func capacity(p penstock.Conduit) int {
	if _, ok := p.(*penstock.KernelPipe); ok {
		return math.MaxInt32
	}
	return p.Cap()
}

// cost is what the chunk counts for against the ring's bound: what it holds, but no less than a page for holding it at
// all. A stream that arrives byte by byte must not cost a thousand times its bytes.
func (c *chunk) cost() int64 { return max(int64(c.n), minCost) }

// take hands the pipe to the caller, nil if there is none any more.
func (c *chunk) take() (penstock.Conduit, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pipe
	c.pipe = nil
	return p, c.err
}

// giveUp recycles what is left of the chunk.
func (c *chunk) giveUp(h *Hub) {
	c.mu.Lock()
	p, twin := c.pipe, c.twin
	c.pipe, c.twin = nil, nil
	c.mu.Unlock()
	h.giveUp(p)
	if twin != nil {
		twin.Close()
	}
}

// toMemoryLocked moves the bytes from a kernel pipe to pages and returns the pipe for the pool. It returns nil if there
// is nothing to move. Precondition: c.mu is held.
func (c *chunk) toMemoryLocked(arena *penstock.Arena, why string) *penstock.KernelPipe {
	kp, ok := c.pipe.(*penstock.KernelPipe)
	if !ok {
		return nil
	}
	c.why = why
	if c.twin != nil {
		c.pipe, c.twin = c.twin, nil
		return kp
	}
	mem := arena.NewPipe(c.n/penstock.DefaultPageSize + 2)
	for moved := 0; moved < c.n; {
		n, err := penstock.Splice(context.Background(), mem, kp, c.n-moved, penstock.NonBlock)
		moved += n
		if moved < c.n && mem.FreeSlots() == 0 { // pages that others have begun hold less than a whole one
			err = mem.Resize(2 * mem.Slots())
			n = 1
		}
		if n == 0 || err != nil {
			c.err = errors.Join(io.ErrUnexpectedEOF, err)
			break
		}
	}
	c.pipe = mem
	return kp
}

// forWritersLocked returns a pipe to tee from for a sink that is written to and not spliced into: with the bytes in
// memory, once for all of these. It is the chunk's own where that cannot be done. Precondition: c.mu is held.
func (c *chunk) forWritersLocked(arena *penstock.Arena) penstock.Conduit {
	kp, ok := c.pipe.(*penstock.KernelPipe)
	if !ok {
		return c.pipe
	}
	if c.twin == nil {
		twin := arena.NewPipe(2 * (c.n/penstock.DefaultPageSize + 1))
		if n, err := penstock.Tee(context.Background(), twin, kp, c.n, penstock.NonBlock); n < c.n || err != nil {
			twin.Close()
			return c.pipe
		}
		c.twin = twin
	}
	return c.twin
}
