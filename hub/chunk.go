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
	off  int64 // of its first byte in the stream
	n    int
	join bool // a viewer may begin here

	claims int // viewers that have not taken it yet; guarded by Hub.mu

	// mu is held while the pipe is teed, moved or taken. Never while waiting for anything, and never together with
	// Hub.mu.
	mu   sync.Mutex
	pipe penstock.Conduit // nil once taken or given up
	err  error            // why the bytes were lost; not expected of any kernel
	why  string           // why it is in memory; empty for a kernel pipe
}

// capacity is how much may be read into the chunk. A kernel pipe says itself when it has no slot left, and a socket's
// slots may hold several pages each: it is filled with whatever goes in.
func (c *chunk) capacity() int {
	if _, ok := c.pipe.(*penstock.KernelPipe); ok {
		return math.MaxInt32
	}
	return c.pipe.Cap()
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

// toMemoryLocked moves the bytes from a kernel pipe to pages and returns the pipe, empty, for the pool. It returns nil
// if there is nothing to move. Precondition: c.mu is held.
func (c *chunk) toMemoryLocked(arena *penstock.Arena, why string) *penstock.KernelPipe {
	kp, ok := c.pipe.(*penstock.KernelPipe)
	if !ok {
		return nil
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
	c.pipe, c.why = mem, why
	return kp
}

// ring is the chunks that somebody may still claim, oldest first, by sequence number.
type ring struct {
	chunks []*chunk
	first  uint64 // sequence number of chunks[0]
}

// next is the sequence number of the chunk to come.
func (r *ring) next() uint64 { return r.first + uint64(len(r.chunks)) }

// at returns the chunk of that number. Precondition: seq >= first.
func (r *ring) at(seq uint64) *chunk {
	if i := seq - r.first; i < uint64(len(r.chunks)) {
		return r.chunks[i]
	}
	return nil
}

func (r *ring) push(c *chunk) { r.chunks = append(r.chunks, c) }

// trim drops chunks without claims from the old end.
func (r *ring) trim() {
	i := 0
	for i < len(r.chunks) && r.chunks[i].claims == 0 {
		r.chunks[i] = nil
		i++
	}
	r.chunks, r.first = r.chunks[i:], r.first+uint64(i)
}
