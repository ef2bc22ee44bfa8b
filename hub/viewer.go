package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-io/penstock"
)

// SinkConfig is how a sink is attached.
type SinkConfig struct {
	Name   string // for reports
	OnSlow Policy // what becomes of it if it does not keep up; 0 is as the hub has it
	Limits Limits // how far behind it may be; where they are zero, as the hub has it

	// MustHave makes the publisher wait for this sink whatever the hub's policy is: for recordings. It begins with
	// the next byte, also in the middle of a unit.
	MustHave bool

	// Ago is how long ago in the stream the sink begins: at a join point, read from the hub's Archive. 0 is now, at
	// the newest join point that is still kept, or the next one that comes.
	Ago time.Duration

	// Header is called once, before the first data, for bytes that go into the same pipe in front of it: one write,
	// one packet where it fits. With what the stream itself wants in front it is at most 32 KiB.
	Header func() []byte

	// OnSkip is called, by whoever serves the viewer, when it has missed a part of the stream. It must not wait.
	OnSkip func(from, to int64)

	// OnLeave is called once, when the viewer has left and the sink is not used any more: with nil after the end of
	// the stream, else with the reason. Hub.Wait waits for it.
	OnLeave func(error)
}

// place says whose a viewer is.
type place uint8

const (
	served place = iota // in the hands of whoever is about to park it, or to let it fall behind, or to end it
	parked              // in step, and the hub's
	behind              // it has a goroutine, or the publisher carries it
)

// Viewer is one sink of a hub, at its own place in the stream. A recording is a viewer whose sink is a file.
//
// At any time a viewer is either parked, in step and owned by the hub, or it is owned by one goroutine: a fast loop, or
// one of its own.
type Viewer struct {
	h      *Hub
	sink   penstock.Sink
	cfg    *SinkConfig
	policy Policy
	limits Limits
	polls  bool
	direct penstock.BytesSink // the sink, if it takes bytes without a pipe; nil else

	records bool // its sink is the hub's archive

	// Guarded by Hub.mu.
	place    place
	busy     bool   // the chunk at its place is in hand
	holding  bool   // claims on the chunks from seq on
	index    int    // in Hub.parked or Hub.behind
	seq      uint64 // the next chunk, while it is behind and holding
	loaded   int    // bytes of that which it has taken already; the owner reads it without the lock
	skipFrom uint64 // where a skip begins: it has no claims from there to skipTo
	skipTo   uint64 // 0: none
	since    int64  // when it fell behind, by clock; 0 in step
	cause    error  // why it is to leave
	over     bool   // it has left, or is about to

	// Others who interrupt its sink or give up its chunks, having said so under Hub.mu before it was over. It does not
	// leave before them: then its sink is its owner's again.
	others sync.WaitGroup

	// The patrol's, guarded by Hub.mu.
	lastSent   int64
	lastQueued int
	lastMoved  time.Time

	// The owner's.
	own     penstock.Conduit // its own pipe, nil where it has none
	n       int              // bytes in it
	head    int              // of these, that are no part of the stream
	started bool             // what goes in front of the first byte is written
	landed  bool             // the run being loaded does not follow on the last one
	joined  bool             // it stands at a join point, or behind one
	stalled bool             // its sink would block, and has taken nothing since
	pages   bool             // its sink is written to: it is better served from memory
	expect  int64            // the offset of the next byte to load, once begun
	tables  []byte           // what of the stream's own it was sent in front
	news    bool             // the run in own came another way than the last one:
	kernel  bool             // in a kernel pipe,
	teed    bool             // that others read too,
	reason  string           // or why in memory

	at    atomic.Int64 // offset in the stream of the next byte for the sink, once begun
	start atomic.Int64 // where it began, once begun
	begun atomic.Bool
	idle  atomic.Bool // behind, with nothing to do: it waits for the archive

	sent    atomic.Int64 // bytes that the sink took, headers included
	skipped atomic.Int64
	tally   tally
	way     atomic.Pointer[way]
	done    chan struct{}
	err     error // after done
}

// Attach adds a sink. The hub does not close what is behind the sink; it has done with it when the viewer is Done. After
// End the error is ErrEnded; with Ago, and no archive that holds anything, it is ErrNoArchive.
func (h *Hub) Attach(sink penstock.Sink, cfg SinkConfig) (*Viewer, error) {
	v := &Viewer{h: h, sink: sink, cfg: &cfg, polls: sink.Polls(), done: make(chan struct{}), joined: cfg.MustHave}
	v.policy, v.limits = cfg.OnSlow, cfg.Limits
	if v.policy == Inherit {
		v.policy = h.cfg.OnSlow
	}
	if v.limits == (Limits{}) && !cfg.MustHave {
		v.limits = h.cfg.Limits
	}
	if cfg.MustHave {
		v.policy = Block
	}
	if v.polls {
		v.direct, _ = sink.(penstock.BytesSink)
	}
	ago := int64(-1)
	if cfg.Ago > 0 {
		off, err := h.find(cfg.Ago)
		if err != nil {
			return nil, err
		}
		ago = off
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return nil, ErrEnded
	}
	h.viewers[v] = struct{}{}
	if v.records = h.cfg.Archive != nil && any(sink) == any(h.cfg.Archive); v.records {
		h.recorder = v
	}
	h.tight = h.tight.tighter(v.limits)
	switch {
	case ago >= 0:
		h.startInArchiveLocked(v, ago)
	case h.keeps && !cfg.MustHave:
		h.fallBehindLocked(v, h.backlog)
		go v.pump()
	default:
		h.parkLocked(v)
	}
	return v, nil
}

// Done is closed when the viewer has left.
func (v *Viewer) Done() <-chan struct{} { return v.done }

// Err returns, after Done, why: nil is the end of the stream.
func (v *Viewer) Err() error { <-v.done; return v.err }

// Start returns where in the stream the viewer's first byte is, once that is known.
func (v *Viewer) Start() (off int64, known bool) { return v.start.Load(), v.begun.Load() }

// Leave makes the viewer leave with err, whatever it is doing. It does not wait.
func (v *Viewer) Leave(err error) {
	h := v.h
	h.mu.Lock()
	if v.over {
		h.mu.Unlock()
		return
	}
	mine := v.place == parked
	if mine {
		h.unparkLocked(v)
	}
	free := h.expelLocked(v, err)
	if !mine {
		v.others.Add(1)
	}
	h.mu.Unlock()
	h.giveUpChunks(free)
	if mine {
		v.finish(nil)
	} else {
		v.sink.Interrupt()
		v.others.Done()
	}
}

// causeLocked notes the first reason to leave.
func (v *Viewer) causeLocked(err error) {
	if v.cause == nil {
		v.cause = err
	}
}

// pump carries the viewer on, chunk after chunk, waiting for its sink, until it is in step again and parked.
// Preconditions: the caller owns v, which is behind; afterwards it does not.
func (v *Viewer) pump() { v.settle(v.advance(0)) }

// settle ends what advance began, but for a sink that would block.
func (v *Viewer) settle(err error) {
	switch {
	case err == nil:
	case errors.Is(err, ErrEnded):
		v.finish(nil)
	default:
		v.finish(err)
	}
}

// advance returns nil when v is parked, ErrEnded at the end of the stream; with any other error v is still the
// caller's.
func (v *Viewer) advance(flags penstock.Flags) error {
	for {
		if err := v.flush(flags); err != nil {
			return err
		}
		t := v.h.next(v)
		switch {
		case t.tidy:
			v.dropOwn()
		case t.archive:
			if err := v.readArchive(flags); err != nil {
				return err
			}
		case errors.Is(t.err, ErrEnded) && v.begun.Load() && v.expect < v.h.in.Load(): // no join point came any more
			v.noteSkip(v.h.in.Load())
			return t.err
		case errors.Is(t.err, ErrEnded) && !v.started && v.cfg.Header != nil:
			if err := v.write(v.withHeader(nil), nil); err != nil {
				return err
			}
		case t.c == nil:
			return t.err
		default:
			loaded, err := v.load(t.c, t.last)
			v.h.passed(v, t.c, loaded)
			if err != nil {
				return err
			}
		}
	}
}

// flush moves what the viewer's own pipe holds to its sink. A sink that takes less without saying why is asked again: what
// stays in the pipe would come to whoever has it next.
func (v *Viewer) flush(flags penstock.Flags) error {
	for v.n > 0 {
		try := flags
		if v.polls && !v.stalled { // first without waiting: so it is known that it has to
			try |= penstock.NonBlock
		}
		n, err := v.sink.SpliceWrite(v.own, v.step(), try)
		if err == nil && (n <= 0 || n > v.n) {
			err = fmt.Errorf("hub: a sink says that it took %d bytes of %d: %w", n, v.n, io.ErrShortWrite)
		}
		v.gave(max(0, min(n, v.n)))
		v.stalled = v.stalled && n <= 0
		if v.records {
			v.h.archiveGrew()
		}
		if errors.Is(err, penstock.ErrWouldBlock) {
			v.stall()
			if try != flags {
				continue
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// stall counts that the sink would block.
func (v *Viewer) stall() {
	v.stalled = true
	v.tally.stalls.Add(1)
}

// step is how much the sink is given at a time: all there is, unless that it has taken some of it is the only sign that it
// is not stalled. Such a sink is a writer of some sort, which may be long over a chunk.
func (v *Viewer) step() int {
	if _, tells := v.sink.(queuer); v.polls || tells || v.cfg.MustHave {
		return v.n
	}
	return min(v.n, writeStep)
}

// gave counts bytes that the sink took of the own pipe.
func (v *Viewer) gave(n int) {
	v.tally.called()
	v.n -= n
	if n == 0 {
		return
	}
	head := min(n, v.head)
	v.head -= head
	bump(&v.at, int64(n-head))
	bump(&v.sent, int64(n))
	v.tally.gave(v.noteWay(v.own), n)
}

// load puts what it has not had of a chunk into the viewer's own pipe, and returns how much of the chunk it has had
// then: a tee behind the header may find too few slots, and the rest is loaded next. The last viewer takes the chunk's pipe for its
// own; the others tee it. Precondition: the own pipe is empty.
func (v *Viewer) load(c *chunk, last bool) (loaded int, err error) {
	v.joined = true
	v.noteSkip(c.off + int64(v.loaded))
	front, tables := v.front(c)
	if v.loaded > 0 && len(front) > 0 { // it goes alone: of what goes behind it a part is to be dropped
		return v.loaded, v.write(front, tables)
	}
	if last && len(front) == 0 {
		v.started = true
		return c.n, v.take(c)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pipe == nil {
		return v.loaded, ErrTooSlow // cut in this very moment
	}
	from, err := v.roomLocked(c, len(front))
	if err != nil {
		return v.loaded, err
	}
	if err := v.write(front, tables); err != nil {
		return v.loaded, err
	}
	head := v.n
	n, err := penstock.Tee(context.Background(), v.own, from, c.n, penstock.NonBlock)
	v.tally.called()
	if err != nil && head == 0 {
		return v.loaded, err
	}
	if n == 0 { // no slot behind the header
		return v.loaded, c.err
	}
	v.n += n
	v.took(v.own, c.why, true)
	if err := v.dropLoaded(n); err != nil {
		return v.loaded, err
	}
	v.expect = c.off + int64(n)
	return n, c.err
}

// take makes the chunk's pipe v's own.
func (v *Viewer) take(c *chunk) error {
	p, err := c.take()
	if p == nil {
		return ErrTooSlow
	}
	v.dropOwn()
	v.own, v.n = p, c.n
	v.took(v.own, c.why, false)
	v.expect = c.off + int64(c.n)
	return errors.Join(err, v.dropLoaded(c.n))
}

// noteSkip notes where in the stream the next byte for the sink is, and what the viewer misses if it was to have
// another.
func (v *Viewer) noteSkip(off int64) {
	v.landed = !v.begun.Load() || off > v.expect
	if !v.begun.Load() {
		v.beginAt(off)
		return
	}
	if from := v.expect; off > from {
		bump(&v.skipped, off-from)
		v.tally.skips.Add(1)
		v.at.Store(off)
		v.expect = off
		if v.cfg.OnSkip != nil {
			v.cfg.OnSkip(from, off)
		}
	}
}

// beginAt notes where in the stream the viewer's first byte is.
func (v *Viewer) beginAt(off int64) {
	v.start.Store(off)
	v.at.Store(off)
	v.expect = off
	v.begun.Store(true)
}

var errPartialTee = errors.New("hub: a tee into an empty pipe of the same capacity did not get further than the last")

// dropLoaded drops from the own pipe, which has just got the first n bytes of a chunk, what of these it had before: tee
// always begins at a pipe's head. There is no header in front of them then: who wants one waits until it is gone.
func (v *Viewer) dropLoaded(n int) error {
	if v.loaded == 0 {
		return nil
	}
	if n <= v.loaded {
		return errPartialTee
	}
	m, err := v.own.Discard(v.loaded)
	v.n -= m
	if m < v.loaded && err == nil {
		err = errPartialTee
	}
	return err
}

// roomLocked sees to it that the viewer's own pipe has room for all of the chunk, and for so much in front of it, and
// returns the pipe to tee that from, which has the same backing. Where no kernel pipe is to be had the chunk moves to
// memory. Precondition: c.mu is held, the own pipe is empty.
func (v *Viewer) roomLocked(c *chunk, front int) (from penstock.Conduit, err error) {
	from = c.pipe
	if v.pages {
		from = c.forWritersLocked(&v.h.arena)
	}
	if kp, kernel := from.(*penstock.KernelPipe); kernel {
		if own, ok := v.own.(*penstock.KernelPipe); ok && own.Cap() >= kp.Cap() {
			return from, nil
		}
		v.dropOwn()
		own, err := v.h.pool.Get(kp.Cap())
		if err == nil {
			v.own = own
			return from, nil
		}
		v.h.pool.Put(c.toMemoryLocked(&v.h.arena, "no kernel pipe to be had"))
		if c.err != nil {
			return nil, c.err
		}
		from = c.pipe
	}
	if own, ok := v.own.(*penstock.Pipe); !ok || own.Cap() < from.Cap()+front {
		v.dropOwn()
		v.own = v.h.arena.NewPipe((from.Cap()+2*front)/penstock.DefaultPageSize + 1) // what goes in front has slots of its own
	}
	return from, nil
}

func (v *Viewer) dropOwn() {
	v.h.giveUp(v.own)
	v.own = nil
}

// finish is the end of a viewer: its claims and its pipe go back, and its owner is told. Precondition: the caller owns
// v.
func (v *Viewer) finish(err error) {
	h := v.h
	v.dropOwn()
	h.mu.Lock()
	free := h.unclaimLocked(v)
	if v.place == behind {
		h.catchUpLocked(v)
	}
	if v.cause != nil {
		err = v.cause
	}
	v.over = true
	h.mu.Unlock()
	h.giveUpChunks(free)
	v.others.Wait()
	v.err = err
	close(v.done)
	if v.cfg.OnLeave != nil {
		v.cfg.OnLeave(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !v.cfg.MustHave {
		h.reasons.note(err)
		h.out += v.sent.Load()
		h.past.add(&v.tally)
		h.skippedBefore += v.skipped.Load()
	}
	delete(h.viewers, v)
	if h.recorder == v {
		h.recorder = nil
	}
	h.tidyLocked()
	h.left.Broadcast() // last: who waits finds nothing of the viewer left
	h.archived.Broadcast()
}
