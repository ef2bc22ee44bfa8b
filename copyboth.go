package penstock

import (
	"context"
	"errors"
	"io"
	"maps"
	"sync"
	"time"
)

// CopyBoth relays between two connections, as two Copies with half-close: when one side ends, the other is told, and may
// go on sending. It returns when both directions are done; forward is a to b, backward b to a.
//
// An error joins those of the directions, each an [*OpError] in a [*DirectionError] that says which. Where a source
// fails, its connection is dead, and the other direction, which leads there, is ended with ErrPeerFailed; what was in
// flight is in its error. Where a sink fails, the other direction goes on: what that side has sent may still come.
//
// The options are those of either direction, but for WithIdleTimeout, which waits for both to be quiet, WithProgress,
// whose reports are those of either direction in turn, and WithHeader and WithTee, which are the forward direction's
// alone, with the queues of those outputs. The connections are the caller's to close.
func CopyBoth(ctx context.Context, a, b io.ReadWriter, opts ...Option) (forward, backward Report, err error) {
	there, back := bothWays(a, b, opts)
	err = moveBoth(ctx, there, back)
	there.tell(&forward)
	back.tell(&backward)
	return forward, backward, err
}

//go:noinline
func bothWays(a, b io.ReadWriter, opts []Option) (there, back *Transfer) {
	opts = append(opts[:len(opts):len(opts)], WithHalfClose())
	return NewTransfer(b, a, opts...), NewTransfer(a, b, append(opts, forwardOnly)...)
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
	there.interruptible, back.interruptible = true, true
	if f := there.progress; f != nil {
		var one sync.Mutex
		there.progress = func(r Report) {
			one.Lock()
			defer one.Unlock()
			f(r)
		}
		back.progress = there.progress
	}
	if idle == 0 || there.bad != nil {
		return func() {}
	}
	return every(max(idle/8, time.Millisecond), bothIdle(there, back))
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
	if cause := failed.cause(); cause != nil {
		other.stop(cause)
	} else if side, ok := SideOf(err); failed.carriage.sourceFailed || ok && side == SideSource {
		other.stop(ErrPeerFailed)
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
