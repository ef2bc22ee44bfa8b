package penstock

import (
	"context"
	"io"
)

// loan is the first buffers of a pipe, lent to whoever takes their bytes out: references, so that the bytes stay where
// they are, and the memory behind them, confirmed and mapped. From take to settle the pipe is claimed: nobody else takes
// bytes out, so what is settled is what was lent, and whatever is not settled is still in the pipe.
//
// A loan is used again and again by its owner, and then allocates nothing.
type loan struct {
	pipe  *Pipe
	bufs  []Buffer
	views [][]byte // the bytes of each
	held  int      // bytes in all
	all   bool     // wait for all the bytes to arrive, not for the first only
	short error    // why it has become shorter than what was asked for, if all
}

// take borrows up to n bytes, at least one, waiting for them as flags say. It waits for the first buffer's bytes to
// arrive and takes along what has arrived behind it.
func (l *loan) take(ctx context.Context, p *Pipe, n int, flags Flags) error {
	p.mu.Lock()
	defer p.unlock()
	if err := p.awaitDataLocked(ctx, flags); err != nil {
		return err
	}
	return l.takeLocked(ctx, p, n, flags)
}

// borrow is take for a sink, which has been told that the bytes are there.
func (l *loan) borrow(p *Pipe, n int, flags Flags) error {
	p.mu.Lock()
	defer p.unlock()
	err := p.awaitDataLocked(context.Background(), flags)
	if err == nil {
		err = l.takeLocked(context.Background(), p, n, flags)
	}
	switch {
	case err == nil:
		return nil
	case err == io.EOF:
		return opErr("splice", SidePipe, PathPages, io.ErrUnexpectedEOF)
	default:
		return p.readError("splice", SidePipe, err)
	}
}

// takeLocked gives the lock up where it has to wait. Precondition: the pipe is neither empty nor claimed.
func (l *loan) takeLocked(ctx context.Context, p *Pipe, n int, flags Flags) error {
	if flags&NonBlock != 0 { // looked at without a claim: its end would wake those who only look, too
		if landed, first := p.headLandedLocked(); !landed || !first {
			return ErrWouldBlock
		}
	}
	l.pipe, l.held = p, 0
	p.claimed = true
	plain := true
	for i := p.tail; i != p.head && n > 0; i++ {
		b := p.slot(i).dup(0, uint32(min(n, p.slot(i).Len())))
		pg, ok := b.page.(*page)
		plain = plain && ok
		if ok {
			l.views = append(l.views, b.bytes(pg))
		} else {
			l.views = append(l.views, nil)
		}
		l.bufs = append(l.bufs, b)
		l.held += b.Len()
		n -= b.Len()
	}
	if plain {
		return nil
	}
	if flags&NonBlock != 0 {
		ctx = now
	}
	landed := false
	p.mu.Unlock()
	defer func() {
		if !landed { // or somebody's Page has panicked
			l.cut(0)
		}
		p.mu.Lock()
		if !landed {
			p.unclaimLocked()
		}
	}()
	if err := l.arrive(ctx); err != nil {
		return err
	}
	landed = true
	return nil
}

// arrive waits for the first buffer and maps what there is.
func (l *loan) arrive(ctx context.Context) error {
	for i, b := range l.bufs {
		if l.views[i] != nil {
			if !l.all {
				ctx = now // of the rest, what has arrived
			}
			continue
		}
		pages, err := l.pipe.confirm(ctx, b)
		if err == nil {
			pages = true
			l.views[i], err = b.Map()
		}
		if err == nil {
			if !l.all {
				ctx = now
			}
			continue
		}
		l.cut(i)
		switch {
		case i > 0:
			l.short = err
			return nil
		case pages:
			return l.pipe.faulted(err)
		case ctx == now:
			return ErrWouldBlock
		default:
			return err
		}
	}
	return nil
}

// cut gives up the buffers from the i-th on.
func (l *loan) cut(i int) {
	for j := i; j < len(l.bufs); j++ {
		l.held -= l.bufs[j].Len()
		if _, plain := l.bufs[j].page.(*page); !plain && l.views[j] != nil {
			l.bufs[j].Unmap()
		}
		l.bufs[j].Release()
	}
	clear(l.bufs[i:])
	clear(l.views[i:])
	l.bufs, l.views = l.bufs[:i], l.views[:i]
}

// settle ends the loan: the first n of its bytes have been taken and are consumed.
func (l *loan) settle(n int) {
	l.cut(0)
	p := l.pipe
	p.mu.Lock()
	p.settleLocked(n)
	p.unlock()
}

// settleLocked consumes what a claim has taken out, if the pipe has not been closed meanwhile.
func (p *Pipe) settleLocked(n int) {
	p.dropLocked(min(n, p.heldLocked()))
	p.unclaimLocked()
}

func (p *Pipe) unclaimLocked() {
	p.claimed = false
	p.readable.wakeLocked()
}

// faulted makes a page's error the pipe's: readers stop before that page and writers are refused, until it has been
// replaced or dropped. Precondition: the caller has claimed the pipe, and the page is its first.
func (p *Pipe) faulted(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.emptyLocked() { // closed meanwhile
		return io.ErrClosedPipe
	}
	p.fault = &OpError{Op: "confirm", Side: SideSource, Path: PathPages, Offset: p.out, Err: err}
	p.wakeAllLocked()
	return p.fault
}

// readSlow is Read of a first buffer that is not plain memory.
func (p *Pipe) readSlow(ctx context.Context, b []byte, flags Flags) (n int, err error) {
	var l loan
	if err := l.take(ctx, p, len(b), flags); err != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		return 0, p.readError("read", SidePipe, err)
	}
	n = copy(b, l.views[0])
	packet := l.bufs[0].flags&BufPacket != 0
	l.cut(0)
	p.mu.Lock()
	defer p.unlock()
	if packet && !p.emptyLocked() {
		p.settleLocked(p.slot(p.tail).Len())
	} else {
		p.settleLocked(n)
	}
	return n, nil
}
