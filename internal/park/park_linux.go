package park

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Events is what of a descriptor is waited for. Its end and its failure always end a wait.
type Events int16

// The events.
const (
	Readable Events = unix.POLLIN | unix.POLLRDHUP // a read would not wait
	Writable Events = unix.POLLOUT                 // a write of a few bytes would not wait: PIPE_BUF on a pipe
)

// ErrInterrupted is the error of a Wait between Interrupt and Resume.
var ErrInterrupted = errors.New("the wait was interrupted")

// Waiter waits on descriptors. The zero Waiter is ready to use, costs nothing while nobody waits, and need not be
// closed. All methods may be called from any goroutine; it must not be copied after first use.
//
// What ends a wait is a state and not an event: it is there for the waits to come, too, until Resume, or a deadline set
// anew. Nothing of it is lost between two waits.
type Waiter struct {
	mu          sync.Mutex
	waits       map[*wait]struct{} // those in progress
	interrupted bool
	closed      bool
	deadline    time.Time
	timer       *time.Timer
}

// wait is one Wait in progress. Its eventfd is its own, so that a context ends that one and no other. Waiter.mu guards
// it: it is kicked only while it stands in Waiter.waits, and so never after its number has been given to somebody else.
type wait struct {
	kick  int   // -1 where there was no descriptor left for it: then the wait looks every now and then
	cause error // why it ends, whatever becomes of that: the context's, once it is done, or ErrInterrupted
}

// Wait waits until the descriptor has one of the events, its end, or an error, which all are nil here: the call that
// follows finds out. A descriptor that cannot be polled, a regular file, always has all. It looks before it waits, and
// makes an eventfd only to wait.
//
// Its error is os.ErrClosed after Close, ErrInterrupted until Resume, os.ErrDeadlineExceeded past the deadline, EBADF
// for what is no descriptor. Those end it also while it waits, at once, or where no descriptor is left for an eventfd
// within 10 ms. The caller sees to it that fd stays open meanwhile. (poll(2), eventfd(2))
func (w *Waiter) Wait(fd int, events Events) error {
	return w.WaitContext(context.Background(), fd, events)
}

// WaitContext is Wait, and ends with the context's cause when that is done.
func (w *Waiter) WaitContext(ctx context.Context, fd int, events Events) error {
	if err := w.state(); err != nil {
		return err
	}
	fds := [2]unix.PollFd{{Fd: int32(fd), Events: int16(events)}}
	if err := poll(fds[:1], 0); err != nil || fds[0].Revents != 0 {
		return verdict(fds[0].Revents, err)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	own, err := w.begin()
	if err != nil {
		return err
	}
	defer w.end(own)
	defer context.AfterFunc(ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		own.cause = context.Cause(ctx)
		w.kickLocked(own)
	})()
	fds[1] = unix.PollFd{Fd: int32(own.kick), Events: unix.POLLIN}
	both, patience := fds[:], -1
	if own.kick < 0 {
		both, patience = fds[:1], unkickable // poll refuses to look at more than there may be descriptors
	}
	for {
		err := poll(both, patience)
		if err != nil || fds[0].Revents != 0 && fds[1].Revents == 0 {
			return verdict(fds[0].Revents, err)
		}
		if err := w.whyKicked(own); err != nil {
			return err
		}
	}
}

// unkickable is for how many milliseconds a wait does not look that nobody can wake.
const unkickable = 10

// whyKicked is nil if the reason is gone again, a deadline that has been set anew: the wait goes on, as in the runtime's
// poller. So it does if there was no kick.
func (w *Waiter) whyKicked(own *wait) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if own.cause != nil {
		return own.cause
	}
	if own.kick >= 0 {
		_, _ = unix.Read(own.kick, make([]byte, 8)) // reset to 0
	}
	return w.stateLocked()
}

// poll retries EINTR: Go's preemption signals give it at any time.
func poll(fds []unix.PollFd, milliseconds int) error {
	for {
		if _, err := unix.Poll(fds, milliseconds); err != unix.EINTR {
			return err
		}
	}
}

func verdict(got int16, err error) error {
	if err == nil && got&unix.POLLNVAL != 0 {
		return unix.EBADF
	}
	return err
}

func (w *Waiter) state() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stateLocked()
}

// stateLocked says why no wait is to be begun, or to go on.
func (w *Waiter) stateLocked() error {
	switch {
	case w.closed:
		return os.ErrClosed
	case w.interrupted:
		return ErrInterrupted
	case !w.deadline.IsZero() && !time.Now().Before(w.deadline):
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}

func (w *Waiter) begin() (*wait, error) {
	own := &wait{kick: -1}
	if kick, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		own.kick = kick
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.stateLocked(); err != nil { // changed since it was looked at
		own.close()
		return nil, err
	}
	if w.waits == nil {
		w.waits = make(map[*wait]struct{})
	}
	w.waits[own] = struct{}{}
	return own, nil
}

func (w *Waiter) end(own *wait) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waits, own)
	own.close()
}

func (own *wait) close() {
	if own.kick >= 0 {
		_ = unix.Close(own.kick)
	}
}

func (w *Waiter) kickLocked(own *wait) {
	if _, waits := w.waits[own]; waits && own.kick >= 0 {
		_, _ = unix.Write(own.kick, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // EAGAIN after 2^64 kicks
	}
}

func (w *Waiter) kickAllLocked() {
	for own := range w.waits {
		w.kickLocked(own)
	}
}

// Interrupt ends all waits, and those to come, with ErrInterrupted, until Resume.
func (w *Waiter) Interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.interrupted = true
	for own := range w.waits {
		if own.cause == nil {
			own.cause = ErrInterrupted
		}
	}
	w.kickAllLocked()
}

// Resume undoes Interrupt. A wait that Interrupt has ended returns ErrInterrupted all the same.
func (w *Waiter) Resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.interrupted = false
}

// SetDeadline is when waits end with os.ErrDeadlineExceeded, those in progress included, until it is set anew. The zero
// time is never. One that is set anew before a wait in progress has seen that it passed does not end that.
func (w *Waiter) SetDeadline(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	w.deadline = t
	if t.IsZero() || w.closed {
		return
	}
	left := time.Until(t)
	w.deadline = time.Now().Add(left) // by the clock of the timer, whose kick would be for nothing before it
	var timer *time.Timer
	timer = time.AfterFunc(max(left, 0), func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.timer == timer { // not set anew in this very moment
			w.kickAllLocked()
		}
	})
	w.timer = timer
}

// Close ends all waits, and those to come, with os.ErrClosed. It does not close any descriptor that is waited on.
func (w *Waiter) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	w.kickAllLocked()
}
