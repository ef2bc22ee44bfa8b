package penstock

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/penstock-io/penstock/internal/kernel"
)

// Pipes that others made, and ends for others to have.
//
// Whether reads and writes block is a flag of the open file description, which processes share: to set it on a shell's
// pipe makes the shell's own reads fail. A description of our own costs an open of /proc/self/fd/N.

// AdoptKernelPipe makes a KernelPipe of the ends of a pipe that exists: stdin, stdout, a FIFO, those of os.Pipe or of an
// exec.Cmd's StdoutPipe and StdinPipe. Either may be nil: calls on that end fail with EBADF then.
//
// As with net.FileConn the files stay the caller's, who may close them at once; the KernelPipe has descriptors of its
// own, and Close closes those. (So readers see the end only when the file is closed, too.) Flags that others see are not
// changed. An end is opened anew, or if that cannot be done (a FIFO, no /proc, no permission) shares the description of
// the file, which others may make block at any time: os.File.Fd does, and exec.Cmd by way of it. Where it blocks it is
// waited for in a thread, with deadlines and contexts as ever. It never sleeps in a read(2) or write(2), but for one
// case: on a FIFO that blocks, a call for which the pipe was ready until somebody else, who has the same end, was
// faster. So a FIFO is written to 4096 bytes (PIPE_BUF) at a time.
//
// Its error is EINVAL if a file is no pipe, the two are not the same one, or both are nil, EBADF if one cannot be read or
// written as its place says, EMFILE or ENFILE without a descriptor to be had, and as of [NewKernelPipe] ErrNoKernelPipe
// where splice or tee is refused: the files serve as they are then. It does not wait.
func AdoptKernelPipe(r, w *os.File) (*KernelPipe, error) {
	p, err := adopt(r, w)
	if err != nil {
		return nil, opErr("adopt", SidePipe, PathSplice, err)
	}
	return p, nil
}

func adopt(r, w *os.File) (_ *KernelPipe, err error) {
	if r == nil && w == nil {
		return nil, syscall.EINVAL
	}
	if err := kernelPipesRefused(); err != nil {
		return nil, rootCause(err)
	}
	p := new(KernelPipe)
	p.w.out = true
	defer func() {
		if err != nil {
			_ = p.Close()
		}
	}()
	var rid, wid kernel.PipeID
	if rid, err = p.r.adopt(r); err == nil {
		wid, err = p.w.adopt(w)
	} else {
		p.w.omit()
	}
	if err != nil {
		return nil, err
	}
	if r != nil && w != nil && rid != wid {
		return nil, fmt.Errorf("the files are the ends of different pipes: %w", syscall.EINVAL)
	}
	if p.measure() == 0 {
		return nil, fmt.Errorf("a pipe without a size: %w", syscall.EINVAL)
	}
	return p, nil
}

// adopt makes a descriptor of its own for the end. With an error, or without a file, there is no end.
func (e *end) adopt(f *os.File) (id kernel.PipeID, err error) {
	if f != nil {
		var raw syscall.RawConn
		if raw, err = f.SyscallConn(); err == nil {
			cerr := raw.Control(func(fd uintptr) { e.fd, e.shared, id, err = kernel.OwnEnd(int(fd), e.out) })
			if cerr != nil {
				err = closedFile(f, cerr)
			}
		}
		if errors.Is(err, syscall.EINVAL) {
			err = fmt.Errorf("%s is no pipe: %w", f.Name(), err)
		}
	}
	if f == nil || err != nil {
		e.omit()
	}
	return id, err
}

// ReadEnd returns a file of the read end that blocks, for a child process: exec.Cmd's Stdin or ExtraFiles. It has an
// open file description of its own, and is the caller's to close, after Start. The pipe is then no longer this process's
// alone: it ends for writers when the child is gone, too, and no [Pool] lends it again.
//
// Its error is os.ErrClosed, or why /proc/self/fd cannot be opened: not mounted, no permission. It does not wait.
func (p *KernelPipe) ReadEnd() (*os.File, error) { return p.file(&p.r) }

// WriteEnd returns a file of the write end that blocks, for a child process: exec.Cmd's Stdout, Stderr or ExtraFiles. As
// for the rest, see ReadEnd. Readers see the end when the child is gone, the file closed, and CloseWrite called. Without
// a reader a FIFO's is ENXIO.
func (p *KernelPipe) WriteEnd() (*os.File, error) { return p.file(&p.w) }

func (p *KernelPipe) file(e *end) (*os.File, error) {
	fd, ok := e.enter()
	if !ok {
		return nil, opErr("open", SidePipe, "", e.whyClosed())
	}
	defer e.leave()
	p.lease.shared.Store(true)
	own, err := kernel.BlockingEnd(fd, e.out)
	if err != nil {
		return nil, opErr("open", SidePipe, "", err)
	}
	return os.NewFile(uintptr(own), "pipe"), nil
}
