package penstock

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// CopyBoth relays between two connections, as two Copies with half-close: when one side ends, the other is told, and may go
// on sending. It returns when both directions are done; forward is a to b, backward b to a.
//
// An error joins those of the directions, each an [*OpError] in a [*DirectionError] that says which. Where a source fails,
// its connection is dead, and the other direction, which leads there, is ended with ErrPeerFailed; what was in
// flight is in its error. Where a sink fails, the other direction goes on: what that side has sent may still come.
//
// The options are those of either direction, but for WithIdleTimeout, which waits for both to be quiet, WithProgress,
// whose reports are those of both directions in turn, and WithHeader and WithTee, which are the forward direction's alone.
// The connections are the caller's to close.
func CopyBoth(ctx context.Context, a, b io.ReadWriter, opts ...Option) (forward, backward Report, err error) {
	there := NewTransfer(b, a, append(opts[:len(opts):len(opts)], WithHalfClose())...)
	back := NewTransfer(a, b, append(opts[:len(opts):len(opts)], WithHalfClose(), forwardOnly)...)
	idle := there.idle
	there.idle, back.idle = 0, 0
	there.interruptible, back.interruptible = true, true
	if idle > 0 && there.bad == nil {
		defer every(max(idle/8, time.Millisecond), bothIdle(there, back))()
	}

	var wg sync.WaitGroup
	var backErr error
	wg.Go(func() {
		backward, backErr = back.Run(ctx)
		endOther(there, backErr)
	})
	forward, err = there.Run(ctx)
	endOther(back, err)
	wg.Wait()
	return forward, backward, errors.Join(direction("forward", err), direction("backward", backErr))
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
func forwardOnly(o *options) { o.header, o.tees = nil, nil }

// endOther ends a direction that leads to a connection whose reading has failed. One that cannot be refused at all ends
// the other, too.
func endOther(t *Transfer, err error) {
	if side, ok := SideOf(err); ok && side != SideSink {
		t.stop(ErrPeerFailed)
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
