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
// there. The first call decides.
func (p *Pipe) CloseWithError(err error) error {
	p.mu.Lock()
	defer p.unlock()
	if p.writeClosed {
		return nil
	}
	p.writeClosed, p.endErr = true, err
	p.dropSpareLocked()
	p.wakeAllLocked()
	return nil
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
	p.interruptLocked(io.ErrClosedPipe)
	if p.watch != nil {
		p.watch(io.ErrClosedPipe)
	}
	p.wakeAllLocked()
}

func (p *Pipe) dropSpareLocked() {
	if p.spare != nil {
		p.spare.Release()
		p.spare = nil
	}
}

// Close closes both ends and releases what is held. It may be called again.
func (p *Pipe) Close() error {
	p.mu.Lock()
	defer p.unlock()
	p.closeReadLocked()
	if !p.writeClosed {
		p.writeClosed = true
		p.wakeAllLocked()
	}
	p.stopTimersLocked()
	p.creditLocked()
	return nil
}

// wakeAllLocked is for what changes a state for good.
func (p *Pipe) wakeAllLocked() {
	p.readable.wakeAllLocked()
	p.writable.wakeAllLocked()
}

// readError and writeError make of a cause the error that the caller gets: the end is bare, would-block is made once,
// and a fault is told as it is.
func (p *Pipe) readError(op string, err error) error { return p.wrap(op, err, p.out) }

func (p *Pipe) writeError(op string, err error) error { return p.wrap(op, err, p.in) }

func (p *Pipe) wrap(op string, err error, offset int64) error {
	switch {
	case err == io.EOF && p.endErr != nil:
		return p.endErr
	case err == io.EOF:
		return err
	case err == ErrWouldBlock && op == "read":
		return errReadWouldBlock
	case err == ErrWouldBlock && op == "write":
		return errWriteWouldBlock
	}
	if fault, ok := err.(*OpError); ok {
		return fault
	}
	return &OpError{Op: op, Side: SidePipe, Offset: offset, Err: err}
}

func (p *Pipe) awaitReadable(ctx context.Context) error {
	p.mu.Lock()
	defer p.unlock()
	if err := p.awaitDataLocked(ctx, 0); err != nil {
		return blame("splice", SideSource, p.readError("splice", err))
	}
	p.readable.wakeLocked() // nothing has been taken so far: another may be faster
	return nil
}

func (p *Pipe) awaitWritable(ctx context.Context) error {
	p.mu.Lock()
	defer p.unlock()
	if err := p.awaitRoomLocked(ctx, 0); err != nil {
		return blame("splice", SideSink, p.writeError("splice", err))
	}
	p.writable.wakeLocked()
	return nil
}

func (p *Pipe) whyEmpty() error {
	p.mu.Lock()
	defer p.unlock()
	if err := p.awaitDataLocked(now, NonBlock); err != nil {
		return blame("splice", SideSource, p.readError("splice", err))
	}
	return errSourceWouldBlock // it has just been filled
}
