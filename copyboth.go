package penstock

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// CopyBoth relays between two connections, as two Copies with half-close: when one side ends, the other is told, and may
// go on sending. It returns when both directions are done; forward is a to b, backward b to a.
//
// An error joins those of the directions, each an [*OpError] in a [*DirectionError] that says which. Where a source
// fails, its connection is dead, and the other direction, which leads there, is ended with ErrPeerFailed; what was in
// flight is in its error. Where a sink fails, the other direction goes on: what that side has sent may still come. But if
// it was reset, and who is to get that takes nothing for a second, the other direction is ended likewise: nobody would
// ever tell a peer that only writes.
//
// The options are those of either direction, but for WithIdleTimeout, which waits for both to be quiet, WithProgress,
// whose reports are those of either direction in turn, and WithHeader and WithTee, which are the forward direction's
// alone, with the queues of those outputs; [WithBackward] has some for the other. The connections are the caller's to close.
func CopyBoth(ctx context.Context, a, b io.ReadWriter, opts ...Option) (forward, backward Report, err error) {
	both := NewBoth(a, b, opts...)
	err = moveBoth(ctx, both.there, both.back)
	both.there.tell(&forward)
	both.back.tell(&backward)
	return forward, backward, err
}

// Both is one [CopyBoth], for those who want to look at it, or to change it, while it runs. It runs once.
type Both struct{ there, back *Transfer }

// NewBoth prepares a CopyBoth. [Both.Run] tells of options that make no sense.
//
//go:noinline
func NewBoth(a, b io.ReadWriter, opts ...Option) Both {
	opts = append(opts[:len(opts):len(opts)], WithHalfClose())
	there := NewTransfer(b, a, opts...)
	back := NewTransfer(a, b, append(append(opts, forwardOnly), there.backward...)...)
	there.backward, back.backward = nil, nil
	return Both{there, back}
}

// WithBackward is of CopyBoth: what is to be so for its backward direction besides, such as a sink that is teed to.
func WithBackward(opts ...Option) Option {
	return func(o *options) { o.backward = append(o.backward, opts...) }
}

// Run moves the bytes, both ways, as CopyBoth tells. A second call fails.
func (b Both) Run(ctx context.Context) (forward, backward Report, err error) {
	err = moveBoth(ctx, b.there, b.back)
	forward, backward = b.Report()
	return forward, backward, err
}

// Report tells how far either direction is. It may be called from any goroutine, at any time, and holds nothing up.
func (b Both) Report() (forward, backward Report) { return b.there.Report(), b.back.Report() }

// SetRate changes the rate limit of either direction, in bytes per second; 0 lifts it. It may be called at any time.
func (b Both) SetRate(bytesPerSecond int64) {
	b.there.SetRate(bytesPerSecond)
	b.back.SetRate(bytesPerSecond)
}

// Stop ends both directions as a context does that is done: their errors tell cause, nil being context.Canceled. It may be
// called at any time, also before Run, and does not wait. Where there are many connections it is cheaper than a context
// for each.
func (b Both) Stop(cause error) {
	if cause == nil {
		cause = context.Canceled
	}
	b.there.stop(cause)
	b.back.stop(cause)
}

// moveBoth moves both ways. Like [Transfer.move] it stands on the stack of connections that are quiet, and is kept
// small.
func moveBoth(ctx context.Context, there, back *Transfer) error {
	if err := bothErrors(there.check(), back.check()); err != nil {
		return err // before either begins
	}
	defer coupled(there, back)()
	done := make(chan error, 1)
	go moveBack(ctx, there, back, done)
	err := there.move(ctx)
	endOther(there, back, err)
	return bothErrors(err, <-done)
}

func moveBack(ctx context.Context, there, back *Transfer, done chan<- error) {
	err := back.move(ctx)
	endOther(back, there, err)
	done <- err
}

// coupled makes of what each direction would do for itself what they do together: idle are they when both are.
//
//go:noinline
func coupled(there, back *Transfer) (release func()) {
	idle := there.idle
	there.idle, back.idle = 0, 0
	there.unwatched, back.unwatched = func() {}, func() {}
	there.interruptible, back.interruptible = true, true
	there.peer, back.peer = back, there
	if f := there.moved; f != nil {
		var one atomic.Int32
		there.moved = func() {
			if one.Add(1) == 2 {
				f()
			}
		}
		back.moved = there.moved
	}
	if f := there.progress; f != nil {
		var one sync.Mutex
		there.progress = func(r Report) {
			one.Lock()
			defer one.Unlock()
			f(r)
		}
		back.progress = there.progress
	}
	unwatched := func() {}
	if idle > 0 && there.bad == nil {
		unwatched = every(max(idle/8, time.Millisecond), bothIdle(there, back))
	}
	return func() {
		unwatched()
		there.unwatched()
		back.unwatched()
	}
}

//go:noinline
func bothErrors(forward, backward error) error {
	return errors.Join(direction("forward", forward), direction("backward", backward))
}

// ErrPeerFailed says that the other direction of a CopyBoth has found this one's sink dead.
var ErrPeerFailed = errors.New("the connection has failed in the other direction")

// DirectionError says which direction of a CopyBoth it was.
type DirectionError struct {
	Direction string // "forward" or "backward"
	Err       error
}

// Error reads "forward: cause".
func (e *DirectionError) Error() string { return e.Direction + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DirectionError) Unwrap() error { return e.Err }

func direction(name string, err error) error {
	if err == nil {
		return nil
	}
	return &DirectionError{name, err}
}

// forwardOnly takes away what only one direction is to do.
func forwardOnly(o *options) {
	o.header, o.tees = nil, nil
	maps.DeleteFunc(o.queues, func(output int, _ Queue) bool { return output > 0 })
}

// endOther ends the direction that leads to a connection whose reading has failed. What stopped the one stops the other.
//
//go:noinline
func endOther(failed, other *Transfer, err error) {
	if cause := failed.cause(); cause == ErrPeerFailed { // of whom it is: what is left for further outputs may still go
	} else if cause != nil {
		other.stop(cause)
	} else if side, ok := SideOf(err); failed.carriage.sourceFailed || ok && side == SideSource {
		other.stop(ErrPeerFailed)
	} else if ok && side == SideSink && failed.wasReset(err) {
		other.unwatched = every(lastWords/8, other.whenStuck(func() { other.stop(ErrPeerFailed) }))
	}
}

// lastWords is how long who is left may take nothing of what a peer has said before it was reset.
const lastWords = time.Second

// wasReset tells whether the sink's connection is dead, both ways. That nobody reads from a Unix socket, which EPIPE says
// there, is told of one way only.
func (t *Transfer) wasReset(err error) bool {
	_, tcp := t.carriage.dst.(*net.TCPConn)
	return errors.Is(err, syscall.ECONNRESET) || tcp && errors.Is(err, syscall.EPIPE)
}

// whenStuck returns what is to be called eight times per lastWords: it calls f when the sink has taken nothing for that
// long, and not when there was nothing to take.
func (t *Transfer) whenStuck(f func()) func() {
	idle := t.idleFor()
	return func() {
		if quiet := idle(); quiet && t.since.Load() != 0 && Side(t.side.Load()) == SideSink {
			f()
		}
	}
}

// bothIdle returns what is to be called eight times per idle timeout: it ends both when neither has moved.
func bothIdle(there, back *Transfer) func() {
	a, b := there.idleFor(), back.idleFor()
	return func() {
		if quietA, quietB := a(), b(); quietA && quietB {
			there.stop(ErrIdle)
			back.stop(ErrIdle)
		}
	}
}
