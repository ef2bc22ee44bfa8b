package penstock

import (
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/penstock-io/penstock/internal/kernel"
)

// spliceKernel is splice(2) between two pipes: whole slots move, a split slot's page is shared.
func spliceKernel(dst, src *KernelPipe, n int) (int, error) {
	return inKernel(dst, src, n, kernel.Splice, "splice")
}

// teeKernel is tee(2).
func teeKernel(dst, src *KernelPipe, n int) (int, error) {
	return inKernel(dst, src, n, kernel.Tee, "tee")
}

func inKernel(dst, src *KernelPipe, n int, call func(dst, src, n int) (int, error), op string) (int, error) {
	in, ok := src.r.enter()
	if !ok {
		return 0, opErr(op, SideSource, PathSplice, src.r.whyClosed())
	}
	defer src.r.leave()
	out, ok := dst.w.enter()
	if !ok {
		return 0, opErr(op, SideSink, PathSplice, dst.w.whyClosed())
	}
	defer dst.w.leave()
	m, err := call(out, in, n)
	if err == nil && m == 0 {
		if kernel.Ended(in) {
			return 0, io.EOF
		}
		err = syscall.EAGAIN // a race with another reader gives 0, too
	}
	if err == nil {
		return m, nil
	}
	side := SideSink
	if err == syscall.EAGAIN {
		// EAGAIN is either side's: the source has nothing, or the destination no slot. At its end a source has
		// nothing, and it is the destination's all the same.
		if !kernel.Readable(in) {
			side = SideSource
		}
	}
	return m, opErr(op, side, PathSplice, err)
}

// readNow reads what the pipe holds, without waiting. Of a packet that is longer than b it leaves the rest, which a
// read(2) would drop.
func (p *KernelPipe) readNow(b []byte) (int, error) {
	fd, ok := p.r.enter()
	if !ok {
		return 0, opErr("read", SideSource, PathPages, p.r.whyClosed())
	}
	defer p.r.leave()
	n, err := p.readWhole(fd, b)
	return n, opErr("read", SideSource, PathPages, err)
}

// readWhole is a read(2) of no more than is held, or else of what splice(2) has moved to a side pipe: nothing tells
// whether there are packets, which stay ones wherever they are spliced or teed. It is a read(2) all the same where no
// pipe is to be had.
func (p *KernelPipe) readWhole(fd int, b []byte) (int, error) {
	held, err := kernel.Buffered(fd)
	switch {
	case err != nil:
		return 0, err
	case held > len(b):
		n, err := p.readPart(fd, b)
		if errors.Is(err, ErrNoKernelPipe) || refusal(err) {
			return p.r.read(fd, b)
		}
		return n, err
	case held > 0:
		return p.r.read(fd, b[:held]) // and nothing of what has come since
	case kernel.Ended(fd):
		return 0, nil
	default:
		return 0, syscall.EAGAIN
	}
}

func (p *KernelPipe) readPart(fd int, b []byte) (int, error) {
	side, err := sidePipe(p)
	if err != nil {
		return 0, err
	}
	defer defaultPool().Put(side)
	n, err := kernel.Splice(side.w.fd, fd, len(b))
	if err == nil && n == 0 {
		err = syscall.EAGAIN // another reader was faster
	}
	if err != nil {
		return 0, err
	}
	return io.ReadFull(side, b[:n])
}

// writePages writes what fits of the buffers, without waiting.
func (p *KernelPipe) writePages(views [][]byte) (int, error) {
	fd, ok := p.w.enter()
	if !ok {
		return 0, opErr("write", SideSink, PathPages, p.w.whyClosed())
	}
	defer p.w.leave()
	n, err := p.w.writev(fd, views[:min(len(views), kernel.MaxVector)])
	return n, opErr("write", SideSink, PathPages, err)
}

// gone tells whether nothing can ever be written.
func (p *KernelPipe) gone() error {
	switch {
	case p.w.absent:
		return syscall.EBADF
	case p.w.closed():
		return errors.Join(os.ErrClosed, syscall.EPIPE)
	default:
		return nil
	}
}

// takesAll tells whether there surely is room for what a pipe of that capacity holds: ErrWouldBlock if not.
func (p *KernelPipe) takesAll(capacity int) error {
	fd, ok := p.w.enter()
	if !ok {
		return p.gone()
	}
	defer p.w.leave()
	held, err := kernel.Buffered(fd)
	switch {
	case err != nil:
		return err
	case kernel.Broken(fd):
		return syscall.EPIPE
	case held > 0 || p.measure() < capacity:
		return ErrWouldBlock
	default:
		return nil
	}
}
