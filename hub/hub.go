package hub

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-io/penstock"
)

// The defaults of a Config.
const (
	DefaultRing      = 64 << 20 // bytes of stream that a viewer may be behind
	DefaultFastStart = 8 << 20  // bytes that are kept for viewers to come
)

// The sizes of things.
const (
	smallChunk = 64 << 10 // for streams that trickle: the kernel's default pipe
	largeChunk = 1 << 20  // for streams that fill small ones: the most that an unprivileged user may ask for

	minCost      = 4 << 10  // of a chunk in the ring, however short
	kernelChunks = 8        // in the ring, before the oldest is moved to memory
	writeStep    = 16 << 10 // for a sink of whose progress nothing else is to be seen; a record of TLS, a frame of HTTP/2
	blockWindow  = 2        // chunks that a publisher runs ahead of the slowest viewer, if that may block it
)

// patience is how long, after the end of the stream, a viewer that nobody waits for can take nothing at all. One that
// reads slowly lets its window open in steps, of a few hundred KiB.
const patience = 30 * time.Second

// Errors that viewers leave with, and that Publish and Attach return.
var (
	ErrTooSlow    = errors.New("too slow: too far behind the stream")
	ErrStalled    = errors.New("stalled: took nothing for too long")
	ErrEnded      = errors.New("the stream has ended")
	ErrPublishing = errors.New("the stream has a publisher already")
	ErrTakenOver  = errors.New("another publisher has taken the stream over")
)

// Config is what a hub is made with. The zero Config is ready for use.
type Config struct {
	Ring      int64          // bytes that a viewer may be behind in the ring; 0 is DefaultRing
	FastStart int64          // bytes kept since the newest join point; 0 is DefaultFastStart, negative none
	OnSlow    Policy         // for viewers that do not choose their own; 0 is Disconnect
	Limits    Limits         // likewise
	Archive   Archive        // where the stream's past can be read; nil is nowhere
	NoSplice  bool           // memory pipes only
	Pool      *penstock.Pool // of kernel pipes; nil is one of the hub's own
	Budget    *Budget        // shared with other hubs; nil is none
	Loops     int            // fast loops that serve many viewers at once; 0 is one per processor
}

// Hub is one stream: at most one publisher at a time, any number of viewers. All methods may be called from any
// goroutine.
type Hub struct {
	cfg   Config
	pool  *penstock.Pool // nil: memory pipes only
	arena penstock.Arena
	ways  ways

	// The publisher's own.
	loops []loop
	judge judge
	shown []penstock.Buffer // storage of show

	in    atomic.Int64 // bytes published
	calls atomic.Int64 // of the intake: reads
	way   atomic.Pointer[way]

	mu       sync.Mutex
	room     sync.Cond // the ring has become shorter, or the hub ended: the publisher waits here
	archived sync.Cond // the archive has more: viewers that catch up wait here
	left     sync.Cond // a viewer has left
	vacant   sync.Cond // the publisher has left
	ring     ring
	bytes    int64  // in the ring: chunks that are claimed, or kept
	awaited  int    // chunks in the ring that are claimed by who may block the publisher
	memory   uint64 // chunks before this number are in memory, or gone
	size     int    // of the next chunk's pipe
	narrow   int    // small runs in a row

	viewers  map[*Viewer]struct{}
	parked   []*Viewer     // in step: the next chunk is theirs
	behind   []*Viewer     // not in step
	holders  int           // of these, who have claims,
	blockers int           // and of those, whose policy is Block
	batch    []*Viewer     // storage: parked as it was before the last chunk, for the next
	tight    Limits        // no viewer's are tighter
	patrol   *time.Timer   // looks after limits in time; nil while nobody needs it
	rounds   time.Duration // after which it does so
	looking  bool          // it does so now

	timeline timeline

	backlog  uint64 // the newest join point's chunk
	keeps    bool   // chunks from backlog on are kept for viewers to come
	keptSize int64
	tables   []byte // of the newest join point
	joins    bool   // the stream has join points

	recorder *Viewer       // whose sink is the archive
	archive  atomic.Uint64 // how often that has grown
	waiting  atomic.Int32  // viewers for it to grow

	carried    *Viewer // see carry.go
	carrying   bool
	publishing *publication // nil: nobody is
	epochs     int
	ended      bool
	tidied     bool

	out           int64 // bytes delivered to viewers that have left
	past          tally // of viewers that have left
	skippedBefore int64
	reasons       reasons
}

// New returns a hub without a publisher and without viewers.
func New(cfg Config) *Hub {
	if cfg.Ring <= 0 {
		cfg.Ring = DefaultRing
	}
	if cfg.FastStart == 0 {
		cfg.FastStart = DefaultFastStart
	}
	cfg.FastStart = min(cfg.FastStart, cfg.Ring/2)
	if cfg.OnSlow == Inherit {
		cfg.OnSlow = Disconnect
	}
	if cfg.Loops <= 0 {
		cfg.Loops = runtime.GOMAXPROCS(0)
	}
	h := &Hub{cfg: cfg, pool: cfg.Pool, size: smallChunk, viewers: make(map[*Viewer]struct{})}
	h.loops = make([]loop, cfg.Loops)
	if cfg.NoSplice {
		h.pool = nil
	} else if h.pool == nil {
		h.pool = penstock.NewPool(0)
	}
	h.cfg.Budget.join()
	h.room.L, h.archived.L, h.left.L, h.vacant.L = &h.mu, &h.mu, &h.mu, &h.mu
	return h
}

// giveUpChunks recycles the pipes of chunks that are nobody's.
func (h *Hub) giveUpChunks(free []*chunk) {
	for _, c := range free {
		c.giveUp(h)
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

// End says that no publisher will come back: viewers get what the ring and the archive hold and then leave with a nil
// error. Nobody waits for a viewer any more, so one whose policy is not Block and that takes nothing for 30 seconds
// leaves with ErrStalled. A Publish in progress ends with its next run, which nobody gets.
func (h *Hub) End() {
	h.mu.Lock()
	if h.ended {
		h.mu.Unlock()
		return
	}
	h.ended = true
	free := h.forgetBacklogLocked()
	batch := h.takeParkedLocked(nil)
	for _, v := range batch {
		h.fallBehindLocked(v, h.ring.next())
	}
	h.interruptCarryingLocked()
	h.room.Broadcast()
	h.archived.Broadcast()
	h.patrolLocked()
	h.tidyLocked()
	h.mu.Unlock()
	h.giveUpChunks(free)
	for _, v := range batch {
		go v.pump()
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
	for len(h.viewers) > 0 || h.looking {
		h.left.Wait()
	}
}

// tidyLocked gives back what a hub keeps for the next chunk, once it has ended and nobody is left.
func (h *Hub) tidyLocked() {
	if !h.ended || h.tidied || len(h.viewers) > 0 || h.publishing != nil {
		return
	}
	h.tidied = true
	for i := range h.loops {
		h.giveUp(h.loops[i].spare)
		h.loops[i].spare = nil
	}
	h.cfg.Budget.leave()
	h.arena.Close()
	if h.cfg.Pool == nil && h.pool != nil {
		h.pool.Close()
	}
}
