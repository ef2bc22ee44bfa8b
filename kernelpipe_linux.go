package penstock

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/penstock-io/penstock/internal/kernel"
)

// KernelPipe is pipe(2): the ring of page buffers is the kernel's, and what is spliced through it never enters this
// process. All methods may be called from any goroutine, and Close at any time.
type KernelPipe struct {
	r, w end
	size int // bytes, as read back
}

var _ Conduit = (*KernelPipe)(nil)

// NewKernelPipe makes a pipe and asks for a capacity of size bytes; 0 is the kernel's default of 64 KiB. The kernel
// may grant less, see [KernelPipe.Cap]. The caller closes it.
func NewKernelPipe(size int) (*KernelPipe, error) {
	r, w, granted, err := kernel.Pipe(size)
	if err != nil {
		return nil, opErr("open", SidePipe, PathSplice, err)
	}
	p := &KernelPipe{size: granted}
	p.r.fd, p.w.fd = r, w
	return p, nil
}

func (p *KernelPipe) backing() string { return "kernel" }

// Cap returns the capacity in bytes that the kernel granted. It counts slots of a page each: a slot holding one byte is
// as full as one holding 4096.
func (p *KernelPipe) Cap() int { return p.size }

// Len returns the bytes held.
func (p *KernelPipe) Len() int {
	fd, ok := p.r.enter()
	if !ok {
		return 0
	}
	defer p.r.leave()
	n, err := kernel.Buffered(fd)
	if err != nil {
		return 0
	}
	return n
}

// Read reads from the pipe, waiting in the runtime's poller while it is empty and its write end open.
func (p *KernelPipe) Read(b []byte) (int, error) {
	n, err := p.r.do(b, kernel.Read, (*os.File).Read)
	if n == 0 && err == nil && len(b) > 0 {
		return 0, io.EOF
	}
	if err == io.EOF {
		return n, err
	}
	return n, opErr("read", SidePipe, PathReadWrite, err)
}

// Write writes to the pipe, waiting in the runtime's poller while it is full.
func (p *KernelPipe) Write(b []byte) (int, error) {
	n, err := p.w.do(b, kernel.Write, (*os.File).Write)
	for err == nil && n < len(b) {
		var m int
		m, err = p.w.do(b[n:], kernel.Write, (*os.File).Write)
		n += m
	}
	return n, opErr("write", SidePipe, PathReadWrite, err)
}

// SetReadDeadline bounds the waits of Read; the zero time is no bound.
func (p *KernelPipe) SetReadDeadline(t time.Time) error { return p.r.setDeadline(t) }

// SetWriteDeadline bounds the waits of Write; the zero time is no bound.
func (p *KernelPipe) SetWriteDeadline(t time.Time) error { return p.w.setDeadline(t) }

// PeekInto copies the first bytes held into b without consuming them: tee into a side pipe, then read that.
func (p *KernelPipe) PeekInto(b []byte) (int, error) {
	side, err := NewKernelPipe(p.size)
	if err != nil {
		return 0, err
	}
	defer side.Close()
	n, err := teeKernel(side, p, len(b))
	if errors.Is(err, ErrWouldBlock) {
		return 0, nil // empty
	}
	if err != nil || n == 0 {
		return 0, err
	}
	return side.Read(b[:n])
}

// discardChunk is how much Discard reads at a time where it has to read.
const discardChunk = 64 << 10

var devNull = sync.OnceValue(func() int {
	fd, err := syscall.Open("/dev/null", syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
})

// Discard drops up to n bytes: a splice to /dev/null, which only gives up the pages.
func (p *KernelPipe) Discard(n int) (int, error) {
	fd, ok := p.r.enter()
	if !ok {
		return 0, opErr("discard", SidePipe, PathSplice, os.ErrClosed)
	}
	defer p.r.leave()
	done := 0
	for done < n {
		m, err := kernel.Splice(devNull(), fd, n-done)
		if err != nil && err != syscall.EAGAIN { // no /dev/null, or no splice: read it away
			m, err = kernel.Read(fd, make([]byte, min(n-done, discardChunk)))
		}
		done += m
		if err == syscall.EAGAIN || (err == nil && m == 0) {
			break
		}
		if err != nil {
			return done, opErr("discard", SidePipe, PathSplice, err)
		}
	}
	return done, nil
}

// CloseWrite closes the write end: readers drain what is there and then get io.EOF.
func (p *KernelPipe) CloseWrite() error { return p.w.close() }

// Close closes both ends; what the pipe holds is gone. Calls in progress on another goroutine return, those that come
// later fail, both with os.ErrClosed.
func (p *KernelPipe) Close() error {
	return errors.Join(p.w.closeOnce(), p.r.closeOnce())
}

func (p *KernelPipe) available(ctx context.Context, flags Flags) (int, error) {
	for {
		switch n, ended, err := p.held(); {
		case err != nil:
			return 0, opErr("splice", SideSource, PathSplice, err)
		case n > 0:
			return n, nil
		case ended:
			return 0, io.EOF
		case flags&NonBlock != 0:
			return 0, errSourceWouldBlock
		}
		if err := p.r.await(ctx, syscall.RawConn.Read, kernel.Readable); err != nil {
			return 0, opErr("splice", SideSource, PathSplice, err)
		}
	}
}

// held returns the bytes held, and whether there never will be any again.
func (p *KernelPipe) held() (n int, ended bool, err error) {
	fd, ok := p.r.enter()
	if !ok {
		return 0, false, os.ErrClosed
	}
	defer p.r.leave()
	ended = kernel.Ended(fd) // before it is looked how much there is: something may come in between
	n, err = kernel.Buffered(fd)
	return n, ended && n == 0, err
}

func (p *KernelPipe) room(ctx context.Context, flags Flags) error {
	if flags&NonBlock == 0 {
		if err := p.w.await(ctx, syscall.RawConn.Write, kernel.Writable); err != nil {
			return opErr("splice", SideSink, PathSplice, err)
		}
	}
	fd, ok := p.w.enter()
	if !ok {
		return opErr("splice", SideSink, PathSplice, os.ErrClosed)
	}
	defer p.w.leave()
	switch {
	case kernel.Broken(fd):
		return opErr("splice", SideSink, PathSplice, syscall.EPIPE)
	case !kernel.Writable(fd):
		return errSinkWouldBlock
	default:
		return nil
	}
}
