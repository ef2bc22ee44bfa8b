package penstock

import (
	"context"
	"errors"
	"io"
	"os"
	"time"
)

// waitQueue is who waits for one state of a pipe, readable or writable: callers, who wake one by one, each chaining to
// the next while there is reason to, and select loops, who share a channel that is closed. The pipe's lock guards it.
type waitQueue struct {
	first, last *waiter
	spare       *waiter // recycled, so that waiting allocates nothing

	poll chan struct{} // what Readable or Writable handed out, until it is closed

	deadline *time.Timer
	expired  bool // the deadline has passed
}

// waiter is one caller. ready holds a token once it has been woken, and it is off the queue then.
type waiter struct {
	ready      chan struct{}
	prev, next *waiter

	into []byte // a reader's buffer, for a writer to fill; see handover.go
	n    int    // how many bytes of it have been filled, or are being filled
}

// closedChan is what is ready already.
var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// wakeLocked is signalLocked where there usually is nobody to wake.
func (q *waitQueue) wakeLocked() {
	if q.first != nil || q.poll != nil {
		q.signalLocked()
	}
}

// signalLocked wakes one caller, and all select loops.
func (q *waitQueue) signalLocked() {
	if q.first != nil {
		w := q.first
		q.removeLocked(w)
		w.ready <- struct{}{} // has room: a waiter is woken once
	}
	if q.poll != nil {
		close(q.poll)
		q.poll = nil
	}
}

// wakeAllLocked is for what changes a state for good: everybody has to look.
func (q *waitQueue) wakeAllLocked() {
	for q.first != nil {
		q.signalLocked()
	}
	q.signalLocked()
}

func (q *waitQueue) removeLocked(w *waiter) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.last = w.prev
	}
	w.prev, w.next = nil, nil
}

func (q *waitQueue) enqueueLocked() *waiter {
	w := q.spare
	if w == nil {
		w = &waiter{ready: make(chan struct{}, 1)}
	}
	q.spare = nil
	if w.prev = q.last; w.prev != nil {
		w.prev.next = w
	} else {
		q.first = w
	}
	q.last = w
	return w
}

// waitLocked gives up the pipe's lock until somebody signals q, or ctx is done; its error is then the context's cause.
// What was waited for may be gone again.
func (p *Pipe) waitLocked(ctx context.Context, q *waitQueue) error {
	_, err := p.waitIntoLocked(ctx, q, nil)
	return err
}

// waitIntoLocked is waitLocked for a reader whose buffer a writer may fill meanwhile: with n bytes, and no error then.
func (p *Pipe) waitIntoLocked(ctx context.Context, q *waitQueue, into []byte) (n int, err error) {
	w := q.enqueueLocked()
	w.into = into
	p.unlock()
	if done := ctx.Done(); done == nil {
		<-w.ready
		p.mu.Lock()
	} else {
		select {
		case <-w.ready:
			p.mu.Lock()
		case <-done:
			p.mu.Lock()
			if w.n > 0 { // too late: a writer is filling the buffer
				p.mu.Unlock()
				<-w.ready
				p.mu.Lock()
				break
			}
			err = context.Cause(ctx)
			select {
			case <-w.ready: // woken all the same: the token is for whoever is next
				q.signalLocked()
			default:
				q.removeLocked(w)
			}
		}
	}
	n, w.n, w.into = w.n, 0, nil
	q.spare = w
	return n, err
}

// waitAnyLocked gives up the pipe's lock until anything is signalled, without taking the place of one who was to be
// woken by that. It is for those who wait for more than there is, or for less.
func (p *Pipe) waitAnyLocked(q *waitQueue) {
	changed := q.pollLocked(false)
	p.unlock()
	<-changed
	p.mu.Lock()
}

// chainReadersLocked and chainWritersLocked wake one more, if there is something left for it: bytes, or the end; room.
// Whoever was woken and leaves that wakes the next.

func (p *Pipe) chainReadersLocked() {
	if !p.emptyLocked() || p.endedLocked() {
		p.readable.wakeLocked()
	}
}

func (p *Pipe) chainWritersLocked() {
	if !p.fullLocked() {
		p.writable.wakeLocked()
	}
}

// SetDeadline sets both deadlines; see SetReadDeadline and SetWriteDeadline.
func (p *Pipe) SetDeadline(t time.Time) error {
	err := p.SetReadDeadline(t)
	if err == nil {
		err = p.SetWriteDeadline(t)
	}
	return err
}

// SetReadDeadline is when calls that take from the pipe fail with os.ErrDeadlineExceeded, those that wait included,
// until it is set anew. The zero time is never.
func (p *Pipe) SetReadDeadline(t time.Time) error { return p.setDeadline(&p.readable, t) }

// SetWriteDeadline is when calls that put into the pipe fail with os.ErrDeadlineExceeded, those that wait included,
// until it is set anew. The zero time is never.
func (p *Pipe) SetWriteDeadline(t time.Time) error { return p.setDeadline(&p.writable, t) }

func (p *Pipe) setDeadline(q *waitQueue, t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readClosed && p.writeClosed {
		return io.ErrClosedPipe
	}
	if q.deadline != nil {
		q.deadline.Stop()
		q.deadline = nil
	}
	q.expired = false
	if t.IsZero() {
		return nil
	}
	if wait := time.Until(t); wait > 0 {
		var timer *time.Timer
		timer = time.AfterFunc(wait, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if q.deadline == timer { // not set anew in this very moment
				p.expireLocked(q)
			}
		})
		q.deadline = timer
		return nil
	}
	p.expireLocked(q)
	return nil
}

func (p *Pipe) expireLocked(q *waitQueue) {
	q.expired = true
	q.wakeAllLocked()
	if q == &p.readable {
		p.interruptLocked(os.ErrDeadlineExceeded)
	}
}

// stopTimersLocked is for a pipe that is closed.
func (p *Pipe) stopTimersLocked() {
	for _, q := range []*waitQueue{&p.readable, &p.writable} {
		if q.deadline != nil {
			q.deadline.Stop()
			q.deadline = nil
		}
	}
}

// Readable returns a channel that is closed as soon as a read would not wait: there are bytes, and the first of them
// have arrived, or the end, or an error. It is for select; each call returns the channel for the state as it is now. A
// receive from it is a hint, as poll(2)'s answer is: another reader may be faster.
func (p *Pipe) Readable() <-chan struct{} {
	p.mu.Lock()
	defer p.unlock()
	for {
		if p.readClosed || p.readable.expired || p.fault != nil || p.endedLocked() {
			return closedChan
		}
		if p.emptyLocked() || p.claimed {
			return p.readable.pollLocked(false)
		}
		pg := p.slot(p.tail).page
		if _, plain := pg.(*page); plain {
			return closedChan
		}
		if p.watch != nil && p.watch.page == pg {
			return p.readable.pollLocked(false)
		}
		landed, first := p.headLandedLocked()
		switch {
		case !first:
			continue
		case landed:
			return closedChan
		}
		p.watchLocked(pg)
	}
}

// headLandedLocked looks whether the first page has arrived. It gives the lock up meanwhile, and tells whether the page is
// still the first, and nobody is taking it out.
func (p *Pipe) headLandedLocked() (landed, first bool) {
	pg := p.slot(p.tail).page
	if _, plain := pg.(*page); plain {
		return true, true
	}
	pg.Get()
	p.unlock()
	err := func() error {
		defer func() { // also where somebody's Page panics
			p.mu.Lock()
			p.gone = append(p.gone, Buffer{page: pg})
		}()
		return pg.Confirm(now)
	}()
	return !tooEarly(err), !p.emptyLocked() && !p.claimed && p.slot(p.tail).page == pg
}

// Writable returns a channel that is closed as soon as a write would not wait: a slot is free, or the read end is
// closed, or there is an error. As with poll(2), room behind a buffer that could be appended to does not count.
func (p *Pipe) Writable() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	ready := p.writableLocked() != nil || !p.fullLocked()
	return p.writable.pollLocked(ready)
}

func (q *waitQueue) pollLocked(ready bool) <-chan struct{} {
	if ready {
		return closedChan
	}
	if q.poll == nil {
		q.poll = make(chan struct{})
	}
	return q.poll
}

// watch is a wait for a pipe's first page to arrive, on behalf of select loops.
type watch struct {
	page   Page
	cancel context.CancelCauseFunc
}

// watchLocked sees to it that the select loops are woken when the page has arrived. A watch on a page that was first
// before ends.
func (p *Pipe) watchLocked(pg Page) {
	if p.watch != nil {
		p.watch.cancel(nil)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	w := &watch{pg, cancel}
	p.watch = w
	pg.Get()
	go func() {
		_ = pg.Confirm(ctx) // whatever it says, whoever reads will be told
		pg.Release()
		cancel(nil)
		p.mu.Lock()
		if p.watch == w {
			p.watch = nil
			p.readable.wakeAllLocked()
		}
		p.mu.Unlock()
	}()
}

// now is a context that is done: a Confirm with it only looks.
var now = func() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errNotYet)
	return ctx
}()

var errNotYet = errors.New("the bytes have not arrived yet")

// tooEarly tells whether a Confirm that only looked has found nothing, rather than an error.
func tooEarly(err error) bool { return err == errNotYet || err == context.Canceled }

// confirm waits for the bytes of a buffer that the caller has claimed, but no longer than the read end and its deadline
// allow. It tells whether an error is the page's own, rather than that of the wait.
func (p *Pipe) confirm(ctx context.Context, b Buffer) (pages bool, err error) {
	if ctx == now {
		err := b.page.Confirm(now)
		return err != nil && !tooEarly(err), err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.mu.Lock()
	switch {
	case p.readClosed:
		cancel(io.ErrClosedPipe)
	case p.readable.expired:
		cancel(os.ErrDeadlineExceeded)
	}
	p.interrupt = cancel
	p.mu.Unlock()
	err = b.page.Confirm(ctx)
	p.mu.Lock()
	p.interrupt = nil
	p.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return err != nil, err
}

// interruptLocked ends a confirm in progress.
func (p *Pipe) interruptLocked(cause error) {
	if p.interrupt != nil {
		p.interrupt(cause)
	}
}
