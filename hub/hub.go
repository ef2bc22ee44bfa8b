package hub

import (
	"errors"
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

// giveUpChunks recycles the pipes of chunks that are nobody's.
func (h *Hub) giveUpChunks(free ...*chunk) {
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
	batch := h.takeParkedLocked(nil)
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
