package hub

import (
	"context"
	"io"
	"time"

	"github.com/penstock-io/penstock"
)

// PublishConfig is how a publisher publishes. The zero PublishConfig is ready for use.
type PublishConfig struct {
	Name string // for reports

	// TakeOver makes a present publisher end, with ErrTakenOver, instead of this one being refused. One whose source
	// cannot be interrupted ends with its next bytes, and is waited for.
	TakeOver bool

	// Scan is called with the first bytes, whatever has arrived, and returns what finds the places in the stream where a
	// viewer may begin; nil is everywhere. A source that is a Joiner knows that by itself. Looking costs one copy of what
	// comes in. The stream's very beginning is a join point if it is that of a unit; and where none has come for 15 s
	// viewers begin with the next unit.
	Scan func(head []byte) Scanner
}

// Scanner finds in a stream the places where a viewer may begin. Package format has some.
type Scanner interface {
	// Scan looks at a run of the stream, valid during the call only, and returns offsets from its beginning, or -1:
	// join is the newest join point in it; cut the first place where a viewer may stop, so that what it has had is
	// whole units; and the bytes behind end are an unfinished unit, of less than 4 KiB, that is given again at the head
	// of the next run.
	Scan(run []byte) (join, cut, end int)

	// Header returns what goes in front of the bytes from the newest join point on for who begins there. It is never
	// changed; one that differs is another slice.
	Header() []byte
}

// Joiner is a Source that knows where a viewer may begin. A stream from any other may be joined anywhere, unless there is
// a Scanner for it.
type Joiner interface {
	// AtJoin tells whether the run last read begins at a join point.
	AtJoin() bool
}

// publication is a publisher while it publishes: an epoch of the stream.
type publication struct {
	cfg    PublishConfig
	cancel context.CancelCauseFunc
}

// Publish carries the source's bytes to the viewers until the source ends, and returns how many there were; it blocks
// all that time. Its error is nil at the source's end, the context's cause if that was cancelled, ErrEnded after End,
// ErrTakenOver, or the source's own. The stream goes on with the next Publish; there can be one at a time. A source that
// cannot be interrupted (see [penstock.InterruptReads]) sees the cancellation with its next bytes.
func (h *Hub) Publish(ctx context.Context, src penstock.Source, cfg PublishConfig) (total int64, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if err := h.beginPublish(ctx, &publication{cfg, cancel}); err != nil {
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

	in := newIntake(h, src, cfg.Scan)
	for {
		if err := h.waitForRoom(ctx); err != nil {
			total += h.publishAll(in.rest())
			return total, err
		}
		run, err := in.read()
		total += h.publishAll(run)
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

func (h *Hub) beginPublish(ctx context.Context, p *publication) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.publishing != nil && !p.cfg.TakeOver {
		return ErrPublishing
	}
	stop := context.AfterFunc(ctx, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.vacant.Broadcast()
	})
	defer stop()
	for h.publishing != nil {
		h.publishing.cancel(ErrTakenOver)
		h.vacant.Wait()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	h.publishing = p
	h.epochs++
	return nil
}

func (h *Hub) endPublish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.handOverLocked()
	h.publishing = nil
	h.vacant.Broadcast()
	h.tidyLocked()
}

// waitForRoom waits until the ring may take another chunk, and sees to it that no viewer is further behind than it may
// be.
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
		full := h.fullLocked()
		if !full && !h.lateLocked() {
			return nil
		}
		m := h.policeLocked(clock(), h.bytes >= h.boundLocked())
		if full && h.fullLocked() && h.bytes >= h.boundLocked() {
			m.free = append(m.free, h.forgetBacklogLocked()...)
		}
		if !m.none() {
			h.mu.Unlock()
			m.carryOut(h)
			h.mu.Lock()
			continue
		}
		switch {
		case !h.fullLocked():
			return nil
		case h.carried != nil:
			h.carryLocked(ctx)
		default:
			h.room.Wait()
		}
	}
}

// boundLocked returns how many bytes the ring may hold now.
func (h *Hub) boundLocked() int64 { return h.cfg.Budget.bound(h.cfg.Ring) }

// fullLocked tells whether the next chunk must wait. With Block the window is short: what everybody waits for is best
// kept in the cache. Who may not block the publisher has the ring all the same.
func (h *Hub) fullLocked() bool {
	if h.bytes >= h.boundLocked() {
		return true
	}
	return h.cfg.OnSlow == Block && h.awaited >= blockWindow
}

// lateLocked tells whether somebody may be behind by more than the tightest of limits.
func (h *Hub) lateLocked() bool {
	if len(h.behind) == 0 || h.tight.Bytes == 0 && h.tight.Time == 0 {
		return false
	}
	if h.holders < len(h.behind) { // somebody is in the archive
		return true
	}
	c := h.ring.at(h.ring.oldestClaim())
	return c != nil && h.tight.exceeded(h.in.Load()-c.off, 2*tick+time.Duration(clock()-c.at))
}

func (h *Hub) publishAll(run []*chunk) (total int64) {
	for _, c := range run {
		if h.publish(c) {
			total += int64(c.n)
		}
	}
	return total
}

// publish appends a chunk and serves the viewers in step. After the end it does not: some viewers have left with all that
// there was.
func (h *Hub) publish(c *chunk) bool {
	c.at = clock()
	if h.cfg.Archive != nil && c.scanned && c.join {
		h.cfg.Archive.Mark(h.in.Load(), time.Now())
	}
	h.mu.Lock()
	if h.ended {
		h.mu.Unlock()
		c.giveUp(h)
		return false
	}
	h.resizeLocked(c.n)
	c.off = h.in.Add(int64(c.n)) - int64(c.n)
	h.timeline.note(c.off, c.at)
	batch := h.takeParkedLocked(h.batch) // the batch before this one has been served
	h.batch = batch
	c.claims, c.awaited = h.holders, h.blockers
	if len(batch) > 0 {
		c.claims++ // the fast loop's
	}
	h.ring.push(c)
	h.bytes += c.cost()
	h.cfg.Budget.charge(c.cost())
	if c.awaited > 0 {
		h.awaited++
	}
	free := h.keepLocked(c)
	if h.dropLocked(c) {
		free = append(free, c)
	}
	h.mu.Unlock()

	h.giveUpChunks(free)
	if len(batch) > 0 {
		h.serve(batch, c)
		clear(batch) // Hub.batch is storage: it must not keep who has left
	}
	h.demote()
	return true
}

// demote moves chunks that only slow viewers still need, or those to come, from kernel pipes to memory, oldest first.
func (h *Hub) demote() {
	for {
		h.mu.Lock()
		h.memory = max(h.memory, h.ring.first())
		if h.ring.next()-h.memory <= kernelChunks {
			h.mu.Unlock()
			return
		}
		c := h.ring.at(h.memory)
		h.memory++
		h.mu.Unlock()
		if c == nil {
			continue
		}
		c.mu.Lock()
		kp := c.toMemoryLocked(&h.arena, "moved to memory for a slow viewer")
		c.mu.Unlock()
		if kp != nil {
			h.pool.Put(kp)
		}
	}
}
