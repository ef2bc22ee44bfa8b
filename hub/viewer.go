package hub

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/penstock-io/penstock"
)

// SinkConfig is how a sink is attached.
type SinkConfig struct {
	Name string // for reports

	// MustHave makes the publisher wait for this sink whatever the hub's policy is: for recordings.
	MustHave bool

	// Header is called once, before the first data, for bytes that go into the same pipe in front of it: one write,
	// one packet where it fits. At most penstock.DefaultPageSize bytes.
	Header func() []byte

	// OnLeave is called once, when the viewer has left and the sink is not used any more: with nil after the end of
	// the stream, else with the reason. Hub.Wait waits for it.
	OnLeave func(error)
}

// Viewer is one sink of a hub, at its own place in the stream. A recording is a viewer whose sink is a file.
//
// At any time a viewer is either parked, in step and owned by the hub, or busy, and owned by one goroutine: the
// publisher's in the fast loop, or one of its own.
type Viewer struct {
	h      *Hub
	sink   penstock.Sink
	cfg    SinkConfig
	policy Policy
	polls  bool

	// Guarded by Hub.mu.
	seq     uint64 // the next chunk
	holding bool   // claims on the chunks from seq on
	parked  int    // index in Hub.parked, -1 while busy
	cause   error  // why it is to leave

	// The owner's.
	own     penstock.Conduit // its own pipe, nil where it has none
	n       int              // bytes in it
	loaded  int              // bytes of the chunk at its place that went out already; not 0 only behind a header
	started bool             // the header is written
	joined  bool             // it has passed a join point
	next    *way             // of the run in own, if that differs from the last one's

	sent  atomic.Int64 // bytes that the sink took, the header included
	start atomic.Int64 // where sent counts from, as an offset in the stream: its first byte less the header
	begun atomic.Bool  // start is known
	way   atomic.Pointer[way]
	done  chan struct{}
	err   error // after done
}

// Attach adds a sink, which joins at the next chunk that may be joined. The hub does not close what is behind the sink;
// it has done with it when the viewer is Done. After End the error is ErrEnded.
func (h *Hub) Attach(sink penstock.Sink, cfg SinkConfig) (*Viewer, error) {
	v := &Viewer{h: h, sink: sink, cfg: cfg, policy: h.cfg.OnSlow, polls: sink.Polls(), done: make(chan struct{})}
	if cfg.MustHave {
		v.policy = Block
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return nil, ErrEnded
	}
	h.viewers[v] = struct{}{}
	v.seq, v.holding = h.ring.next(), true
	h.holders++
	h.parkLocked(v)
	return v, nil
}

// Done is closed when the viewer has left.
func (v *Viewer) Done() <-chan struct{} { return v.done }

// Err returns, after Done, why: nil is the end of the stream.
func (v *Viewer) Err() error { <-v.done; return v.err }

// Leave makes the viewer leave with err, whatever it is doing. It does not wait.
func (v *Viewer) Leave(err error) {
	h := v.h
	h.mu.Lock()
	v.causeLocked(err)
	parked := v.parked >= 0
	if parked {
		h.unparkLocked(v)
	}
	h.mu.Unlock()
	if parked {
		v.finish(nil)
	} else {
		v.sink.Interrupt()
	}
}

// causeLocked notes the first reason to leave.
func (v *Viewer) causeLocked(err error) {
	if v.cause == nil {
		v.cause = err
	}
}

// pump carries the viewer on, chunk after chunk, waiting for its sink, until it is in step again and parked.
// Precondition: the caller owns v; afterwards it does not.
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
		c, last, err := v.h.next(v)
		if errors.Is(err, ErrEnded) && !v.started && v.cfg.Header != nil {
			if err := v.loadHeader(); err != nil {
				return err
			}
			continue
		}
		if c == nil {
			return err
		}
		all, err := v.load(c, last)
		if err != nil {
			return err
		}
		if all {
			v.h.passed(v, c)
		}
	}
}

// flush moves what the viewer's own pipe holds to its sink.
func (v *Viewer) flush(flags penstock.Flags) error {
	if v.n == 0 {
		return nil
	}
	n, err := v.sink.SpliceWrite(v.own, v.n, flags)
	v.n -= n
	v.sent.Add(int64(n))
	if n > 0 {
		v.noteWay()
	}
	return err
}

// load puts a chunk into the viewer's own pipe and tells whether that was all of it: a tee behind the header may find too
// few slots, and the rest is loaded next. The last viewer takes the chunk's pipe for its own; the others tee it.
// Precondition: the own pipe is empty.
func (v *Viewer) load(c *chunk, last bool) (all bool, err error) {
	if !v.joined && !c.join {
		return true, nil
	}
	v.joined = true
	if last && (v.started || v.cfg.Header == nil) {
		v.begin(c.off)
		return true, v.take(c)
	}
	if v.own == nil {
		v.own = v.h.takeSpare()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pipe == nil {
		return false, ErrTooSlow // cut in this very moment
	}
	if err := v.roomLocked(c); err != nil {
		return false, err
	}
	head, err := v.writeHeader()
	if err != nil {
		return false, err
	}
	v.begin(c.off - int64(head))
	n, err := penstock.Tee(context.Background(), v.own, c.pipe, c.n, penstock.NonBlock)
	if err != nil && head == 0 {
		return false, err
	}
	v.n += n
	v.took(c.why, true)
	if err := v.dropLoaded(); err != nil {
		return false, err
	}
	if n < c.n {
		v.loaded = n
	}
	return n == c.n, c.err
}

func (v *Viewer) take(c *chunk) error {
	p, err := c.take()
	if p == nil {
		return ErrTooSlow
	}
	v.dropOwn()
	v.own, v.n = p, c.n
	v.took(c.why, false)
	return errors.Join(err, v.dropLoaded())
}

var errPartialTee = errors.New("hub: a tee into an empty pipe of the same capacity did not get further than the last")

// dropLoaded drops from the own pipe what of the chunk went out before: tee always begins at a pipe's head.
func (v *Viewer) dropLoaded() error {
	if v.loaded == 0 {
		return nil
	}
	if v.n <= v.loaded {
		return errPartialTee
	}
	n, err := v.own.Discard(v.loaded)
	v.n -= n
	if n < v.loaded && err == nil {
		err = errPartialTee
	}
	v.loaded = 0
	return err
}

// begin notes, once, where in the stream the viewer begins.
func (v *Viewer) begin(off int64) {
	if !v.begun.Load() {
		v.start.Store(off)
		v.begun.Store(true)
	}
}

// roomLocked sees to it that the viewer's own pipe has the chunk's backing and room for all of it. Where no kernel pipe
// is to be had the chunk moves to memory. Precondition: c.mu is held, the own pipe is empty.
func (v *Viewer) roomLocked(c *chunk) error {
	kp, kernel := c.pipe.(*penstock.KernelPipe)
	if kernel {
		if own, ok := v.own.(*penstock.KernelPipe); ok && own.Cap() >= kp.Cap() {
			return nil
		}
		v.dropOwn()
		own, err := v.h.pool.Get(kp.Cap())
		if err == nil {
			v.own = own
			return nil
		}
		v.h.pool.Put(c.toMemoryLocked(&v.h.arena, "no kernel pipe to be had"))
		if c.err != nil {
			return c.err
		}
	}
	if own, ok := v.own.(*penstock.Pipe); !ok || own.Cap() < c.pipe.Cap() {
		v.dropOwn()
		v.own = v.h.arena.NewPipe(c.pipe.Cap() / penstock.DefaultPageSize)
	}
	return nil
}

func (v *Viewer) dropOwn() {
	v.h.giveUp(v.own)
	v.own = nil
}

// writeHeader writes the header, once, to the viewer's own pipe, which is empty and takes it whole.
func (v *Viewer) writeHeader() (int, error) {
	if v.started || v.cfg.Header == nil {
		return 0, nil
	}
	v.started = true
	n, err := v.own.Write(v.cfg.Header())
	v.n += n
	return n, err
}

// loadHeader is for a stream that ended before any data came: the header goes alone.
func (v *Viewer) loadHeader() error {
	if v.own == nil {
		v.own = v.h.arena.NewPipe(0)
	}
	_, err := v.writeHeader()
	return err
}

// finish is the end of a viewer: its claims and its pipe go back, and its owner is told. Precondition: the caller owns
// v.
func (v *Viewer) finish(err error) {
	h := v.h
	v.dropOwn()
	h.mu.Lock()
	free := h.unclaimLocked(v)
	spare := h.spare
	h.spare = nil
	if v.cause != nil {
		err = v.cause
	}
	h.mu.Unlock()
	h.giveUpChunks(free...)
	h.giveUp(spare)
	v.err = err
	close(v.done)
	if v.cfg.OnLeave != nil {
		v.cfg.OnLeave(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !v.cfg.MustHave {
		h.out.Add(v.sent.Load())
	}
	delete(h.viewers, v)
	h.tidyLocked()
	h.left.Broadcast() // last: who waits finds nothing of the viewer left
}
