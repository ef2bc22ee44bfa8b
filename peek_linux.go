package penstock

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/penstock-io/penstock/internal/kernel"
	"github.com/penstock-io/penstock/internal/park"
)

// Looking into a kernel pipe: tee(2) into a side pipe, which is then read.

// PeekInto copies the first bytes held into b without consuming them, and returns how many: fewer than are held where
// the pipe that is to be had for the way is a smaller one. Its error is ErrNoKernelPipe where there is none at all;
// nothing is lost then. It does not wait.
func (p *KernelPipe) PeekInto(b []byte) (int, error) {
	n, _, err := p.show(b)
	if n > 0 && errors.Is(err, ErrNoKernelPipe) {
		err = nil
	}
	return n, err
}

// show is PeekInto, and tells whether all slots of the pipe were in use, if b was long enough to show what is in them.
// It is ErrNoKernelPipe, with what there was room for, if it cannot tell.
func (p *KernelPipe) show(b []byte) (n int, full bool, err error) {
	if len(b) == 0 {
		return 0, false, nil
	}
	side, err := sidePipe(p)
	if err != nil {
		return 0, false, err
	}
	n, err = teeKernel(side, p, len(b))
	if errors.Is(err, ErrWouldBlock) || err == io.EOF {
		err = nil // empty
	}
	if own := (*OpError)(nil); errors.As(err, &own) {
		err = opErr("peek", SidePipe, PathSplice, own.Err)
	}
	if n > 0 {
		full = !kernel.Writable(side.w.fd)
		small := full && side.Cap() < p.Cap() // else the copy has a slot for each of the pipe's
		var m int
		if m, err = io.ReadFull(side, b[:n]); m < n {
			defaultPool().Put(side)
			return m, full, opErr("peek", SidePipe, PathReadWrite, err)
		}
		if small {
			full, err = false, opErr("peek", SidePipe, PathSplice, ErrNoKernelPipe)
		}
	}
	defaultPool().putEmpty(side)
	return n, full, err
}

// Peek returns the next n bytes without consuming them. It waits until there are so many; fewer come with the reason:
// io.EOF at the end, ENOBUFS from a pipe whose slots are all in use, so that no more will come, os.ErrDeadlineExceeded or
// os.ErrClosed, or ErrNoKernelPipe where there is no pipe to be had for the way, or none that is long enough. n may be up
// to MaxPageSize, else the error is EINVAL. The end of a packet is not told.
//
// Unlike those of a memory pipe the bytes are a copy, and the caller's. To wait for more than there is takes a thread and
// two descriptors: the poller tells only that there is something. Without any the error is EMFILE.
func (p *KernelPipe) Peek(n int) ([]byte, error) {
	if n < 0 || n > MaxPageSize {
		return nil, opErr("peek", SidePipe, PathSplice, syscall.EINVAL)
	}
	if n == 0 {
		return nil, nil
	}
	fd, ok := p.r.enter()
	if !ok {
		return nil, opErr("peek", SidePipe, PathSplice, p.r.whyClosed())
	}
	defer p.r.leave()
	if p.r.overdue() {
		return nil, opErr("peek", SidePipe, PathSplice, os.ErrDeadlineExceeded)
	}
	if !p.r.ready(fd) {
		if err := p.r.wait(context.Background(), fd); err != nil {
			return nil, opErr("peek", SidePipe, PathSplice, err)
		}
	}
	b, known, err := p.glance(fd, n)
	if known {
		return b, err
	}
	changes, err := kernel.Changes(fd)
	if err != nil {
		return b, opErr("peek", SidePipe, PathSplice, err)
	}
	defer kernel.Close(changes)
	for {
		kernel.Seen(changes) // before it is looked: what comes after is a change again
		if b, known, err = p.glance(fd, n); known {
			return b, err
		}
		if err := p.r.waiter.Wait(changes, park.Readable); err != nil {
			if p.r.closed() {
				err = p.r.whyClosed()
			}
			return b, opErr("peek", SidePipe, PathSplice, err)
		}
	}
}

// glance is Peek for who cannot wait. It is known if there will be no more bytes than these.
func (p *KernelPipe) glance(fd, n int) (b []byte, known bool, err error) {
	for {
		ended := kernel.HungUp(fd) // before it is looked how much there is
		held, err := kernel.Buffered(fd)
		if err != nil {
			return nil, true, opErr("peek", SidePipe, PathSplice, err)
		}
		if held == 0 {
			if ended {
				return nil, true, io.EOF
			}
			return nil, false, nil
		}
		b = make([]byte, min(n, held))
		m, full, err := p.show(b)
		switch {
		case m == n:
			return b, true, nil
		case err != nil:
			return b[:m], true, err
		case m < len(b): // another reader was faster
			continue
		case ended:
			return b, true, io.EOF
		case full:
			return b, true, opErr("peek", SidePipe, PathSplice, syscall.ENOBUFS)
		default:
			return b, false, nil
		}
	}
}
