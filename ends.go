package penstock

import (
	"context"
	"io"
)

// The ends of a pipe: how they are closed, what is told to whom at the other, and how a transfer between several pipes
// waits at either.

// CloseWrite says that no more will be written: readers drain what is there and then get io.EOF.
func (p *Pipe) CloseWrite() error { return p.CloseWithError(nil) }

// CloseWithError is CloseWrite, but for the error that readers get in place of io.EOF when they have drained what is
// there: Read returns it as it is, the other verbs in an *OpError. Writers that wait get io.ErrClosedPipe. The first call
// decides; later ones do nothing.
func (p *Pipe) CloseWithError(err error) error {
	p.mu.Lock()
	defer p.unlock()
	if p.writeClosed {
		return nil
	}
	p.endErr = err
	p.closeWriteLocked()
	return nil
}

func (p *Pipe) closeWriteLocked() {
	p.writeClosed = true
	p.dropSpareLocked()
	p.wakeAllLocked()
	p.closedLocked()
}

// CloseRead says that no more will be read: what is held is released, and writers get EPIPE.
func (p *Pipe) CloseRead() error {
	p.mu.Lock()
	defer p.unlock()
	p.closeReadLocked()
	return nil
}

func (p *Pipe) closeReadLocked() {
	if p.readClosed {
		return
	}
	p.readClosed = true
	p.dropLocked(p.heldLocked())
	p.dropSpareLocked()
	p.dropSpaceLocked()
	p.own.retire()
	p.interruptLocked(io.ErrClosedPipe)
	if p.watch != nil {
		p.watch.cancel(nil)
	}
	p.wakeAllLocked()
	p.closedLocked()
}

// closedLocked is for an end that has been closed: if it was the last, the pipe is.
func (p *Pipe) closedLocked() {
	if p.readClosed && p.writeClosed {
		p.stopTimersLocked()
		p.creditLocked()
	}
}

func (p *Pipe) dropSpareLocked() {
	if p.spare != nil {
		p.spare.Release()
		p.spare = nil
	}
}

// Close closes both ends, as CloseRead and CloseWrite do together, and releases what is held: all but the space of a
// reservation, which Commit(0) gives up. It may be called again.
func (p *Pipe) Close() error {
	p.mu.Lock()
	defer p.unlock()
	p.closeReadLocked()
	if !p.writeClosed {
		p.closeWriteLocked()
	}
	return nil
}

// wakeAllLocked is for what changes a state for good.
func (p *Pipe) wakeAllLocked() {
	p.readable.wakeAllLocked()
	p.writable.wakeAllLocked()
}

// readError and writeError make of a cause the error that the caller of a verb gets; the pipe is of that side in it. The
// end is bare, and a fault is told as it is.
func (p *Pipe) readError(op string, side Side, err error) error { return p.wrap(op, side, p.out, err) }

func (p *Pipe) writeError(op string, side Side, err error) error { return p.wrap(op, side, p.in, err) }

func (p *Pipe) wrap(op string, side Side, offset int64, err error) error {
	switch {
	case err == io.EOF && p.endErr == nil:
		return err
	case err == io.EOF && op == "read":
		return p.endErr
	case err == io.EOF:
		err = p.endErr
	case err == ErrWouldBlock:
		return wouldBlock(op, side)
	}
	if p.fault != nil && err == error(p.fault) {
		return err
	}
	e := &OpError{Op: op, Side: side, Offset: offset, Err: err}
	if side != SidePipe {
		e.Path = PathPages
	}
	return e
}

// offsets returns how many bytes have ever been put in and taken out.
func (p *Pipe) offsets() (in, out int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.in, p.out
}

func (p *Pipe) available(ctx context.Context, flags Flags) (int, error) {
	p.mu.Lock()
	defer p.unlock()
	err := p.awaitDataLocked(ctx, flags)
	if err == nil {
		if _, plain := p.slot(p.tail).page.(*page); !plain {
			err = p.arrivedLocked(ctx, flags)
		}
	}
	if err != nil {
		return 0, p.readError("splice", SideSource, err)
	}
	if p.emptyLocked() { // closed while it arrived
		return 0, p.readError("splice", SideSource, io.ErrClosedPipe)
	}
	p.chainReadersLocked() // nothing has been taken so far: another may be faster
	return p.heldLocked(), nil
}

// arrivedLocked waits for the first buffer's bytes. It gives the lock up meanwhile.
func (p *Pipe) arrivedLocked(ctx context.Context, flags Flags) error {
	var l loan
	if err := l.takeLocked(ctx, p, 1, flags); err != nil {
		return err
	}
	p.mu.Unlock()
	l.cut(0)
	p.mu.Lock()
	p.unclaimLocked()
	return nil
}

func (p *Pipe) room(ctx context.Context, flags Flags) error {
	return prepareSink(ctx, "splice", p, flags)
}

// interruptible does something that only a deadline in the past ends, and sets one when ctx is done. It tells whether it
// did; afterwards there is none.
func interruptible(ctx context.Context, interrupt, resume func(), do func()) bool {
	if ctx.Done() == nil {
		do()
		return false
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		interrupt()
		close(interrupted)
	})
	do()
	if stop() {
		return false
	}
	<-interrupted
	resume()
	return true
}
