package hub

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-io/penstock"
)

// Policy says what becomes of a viewer that does not keep up.
type Policy uint8

const (
	// Disconnect cuts a viewer that falls off the ring, with ErrTooSlow. Nobody waits for it.
	Disconnect Policy = iota
	// Block makes the publisher wait for it: everybody gets everything.
	Block
)

// DefaultRing is how many bytes of stream a viewer may be behind where Config does not say.
const DefaultRing = 64 << 20

// The sizes of things.
const (
	smallChunk = 64 << 10 // for streams that trickle: the kernel's default pipe
	largeChunk = 1 << 20  // for streams that fill small ones: the most that an unprivileged user may ask for

	minCost      = 4 << 10 // of a chunk in the ring, however short
	kernelChunks = 8       // in the ring, before the oldest is moved to memory
	blockWindow  = 2       // chunks that a publisher runs ahead of the slowest viewer, if that may block it
)

// patience is how long, after the end of the stream, a viewer that may be disconnected can take nothing at all.
const patience = 10 * time.Second

// Errors that viewers leave with, and that Publish and Attach return.
var (
	ErrTooSlow    = errors.New("too slow: fell off the ring")
	ErrStalled    = errors.New("stalled: took nothing after the end of the stream")
	ErrEnded      = errors.New("the stream has ended")
	ErrPublishing = errors.New("the stream has a publisher already")
)

// Config is what a hub is made with. The zero Config is ready for use.
type Config struct {
	Ring     int64          // bytes that a viewer may be behind; 0 is DefaultRing
	OnSlow   Policy         // for viewers that do not choose their own
	NoSplice bool           // memory pipes only
	Pool     *penstock.Pool // of kernel pipes; nil is one of the hub's own
}

// Hub is one stream: at most one publisher at a time, any number of viewers. All methods may be called from any
// goroutine.
type Hub struct {
	cfg   Config
	pool  *penstock.Pool // nil: memory pipes only
	arena penstock.Arena

	in  atomic.Int64 // bytes published
	out atomic.Int64 // bytes delivered to viewers that have left

	intake atomic.Pointer[way] // the way in

	mu      sync.Mutex
	room    sync.Cond // the ring has become shorter, or the hub ended: the publisher waits here
	left    sync.Cond // a viewer has left
	ring    ring
	bytes   int64  // in the ring: claimed chunks
	claimed int    // chunks in the ring that are claimed
	memory  uint64 // chunks before this number are in memory, or gone
	size    int    // of the next chunk's pipe
	narrow  int    // small runs in a row

	viewers    map[*Viewer]struct{}
	holders    int       // viewers that hold claims: all but those that were cut and have not left yet
	parked     []*Viewer // in step: the next chunk is theirs
	batch      []*Viewer // storage: parked as it was before the last chunk, for the next
	spare      penstock.Conduit
	carried    *Viewer // see carry.go
	carrying   bool
	publishing bool
	ended      bool
}

// New returns a hub without a publisher and without viewers.
func New(cfg Config) *Hub {
	if cfg.Ring <= 0 {
		cfg.Ring = DefaultRing
	}
	h := &Hub{cfg: cfg, pool: cfg.Pool, size: smallChunk, viewers: make(map[*Viewer]struct{})}
	if cfg.NoSplice {
		h.pool = nil
	} else if h.pool == nil {
		h.pool = penstock.NewPool(0)
	}
	h.room.L, h.left.L = &h.mu, &h.mu
	return h
}

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
		h.giveUpChunks(free)
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
	c.pipe = penstock.NewPipe(0, &h.arena)
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
	batch := h.parked
	h.parked, h.batch = h.batch[:0], batch
	for _, v := range batch {
		v.parked = -1
	}
	unwanted := c.claims == 0
	if unwanted {
		h.ring.trim()
	} else {
		h.bytes += c.cost()
		h.claimed++
	}
	h.mu.Unlock()

	if unwanted {
		h.giveUpChunks([]*chunk{c})
		return
	}
	h.serve(batch)
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

// giveUpChunks recycles the pipes of chunks that are nobody's.
func (h *Hub) giveUpChunks(free []*chunk) {
	for _, c := range free {
		p, _ := c.take()
		h.giveUp(p)
	}
}

// giveUp recycles a pipe that nobody needs any more; nil is none.
func (h *Hub) giveUp(p penstock.Conduit) {
	switch p := p.(type) {
	case *penstock.KernelPipe:
		h.pool.Put(p)
	case *penstock.Pipe:
		p.Close()
	}
}

// End says that no publisher will come back: viewers get what the ring holds and then leave with a nil error. Nobody
// waits for a viewer any more, so one that may be disconnected and takes nothing for 10 seconds leaves with ErrStalled.
// A Publish in progress ends with its next run.
func (h *Hub) End() {
	h.mu.Lock()
	h.ended = true
	batch := h.parked
	h.parked = nil
	for _, v := range batch {
		v.parked = -1
	}
	h.room.Broadcast()
	h.tidyLocked()
	h.mu.Unlock()
	for _, v := range batch {
		go v.pump()
	}
	time.AfterFunc(patience, func() { h.cutStalled(nil) })
}

// cutStalled cuts the viewers that have taken nothing since before was noted, and comes back for the others.
func (h *Hub) cutStalled(before map[*Viewer]int64) {
	now := make(map[*Viewer]int64)
	var stalled []*Viewer
	h.mu.Lock()
	for v := range h.viewers {
		now[v] = v.sent.Load()
		if last, known := before[v]; known && last == now[v] && v.policy == Disconnect {
			stalled = append(stalled, v)
		}
	}
	h.mu.Unlock()
	for _, v := range stalled {
		v.Leave(ErrStalled)
	}
	if len(now) > 0 {
		time.AfterFunc(patience, func() { h.cutStalled(now) })
	}
}

// Abort makes every viewer leave now, with err.
func (h *Hub) Abort(err error) {
	h.mu.Lock()
	all := make([]*Viewer, 0, len(h.viewers))
	for v := range h.viewers {
		all = append(all, v)
	}
	h.mu.Unlock()
	for _, v := range all {
		v.Leave(err)
	}
}

// Wait waits until every viewer has left.
func (h *Hub) Wait() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.viewers) > 0 {
		h.left.Wait()
	}
}

// tidyLocked gives back what a hub keeps for the next chunk, once it has ended and nobody is left.
func (h *Hub) tidyLocked() {
	if !h.ended || len(h.viewers) > 0 || h.publishing {
		return
	}
	h.arena.Close()
	if h.cfg.Pool == nil && h.pool != nil {
		h.pool.Close()
	}
}
