package penstock

import (
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/penstock-io/penstock/internal/kernel"
)

// descriptorSink returns a Sink that splices, or nil if w is no bare descriptor.
func descriptorSink(w io.Writer) Sink {
	s := &fdSink{v: w, w: writerSink{w: w}}
	if s.of(w); !s.known() {
		return nil
	}
	if f, ok := w.(*os.File); ok {
		s.w.w = &fileWriter{f, &s.edge}
	}
	s.spliceStep, s.writeStep, s.tryStep = s.doSplice, s.doWrite, s.tryWrite
	s.whySplice = "kernel pipe to " + s.what
	s.whyPages = "pages of a memory pipe written to a " + s.what
	s.whyRefused = s.what + " refused splice"
	return s
}

// refusal tells the errors that mean "not by this way", before anything has moved.
func refusal(err error) bool {
	for _, e := range []error{syscall.EINVAL, syscall.ENOSYS, syscall.EPERM, syscall.EOPNOTSUPP, syscall.EXDEV} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// fdSink splices to a descriptor, waiting in the runtime's poller. As in fdSource, the call in progress stands in the
// struct so that it allocates nothing.
type fdSink struct {
	v io.Writer
	w writerSink
	edge

	whySplice, whyPages, whyRefused string

	refuses bool // splice is not for this descriptor: O_APPEND, /dev/full

	spliceStep, writeStep func(fd uintptr) bool
	tryStep               func(fd uintptr)

	pipe  int      // read end of the pipe being emptied
	rest  [][]byte // what is still to be written
	n     int
	moved int
	flags Flags
	err   error
}

func (s *fdSink) SpliceWrite(p Conduit, n int, flags Flags) (int, error) {
	switch p := p.(type) {
	case *Pipe:
		if s.polls {
			return s.fromPages(p, n, flags, flags)
		}
	case *KernelPipe:
		if !s.refuses {
			m, err := s.splice(p, n, flags)
			if m > 0 || !refusal(err) {
				return m, err
			}
			s.refuses = true // and what is in the pipe goes through user space
		}
	}
	return s.w.SpliceWrite(p, n, flags)
}

// step tries without waiting, and if nothing would go waits for the first few bytes to.
func (s *fdSink) step(p Conduit, n int, flags Flags) (int, error) {
	if !s.polls {
		if _, ok := p.(*Pipe); ok || s.refuses {
			return s.w.step(p, n, flags)
		}
	}
	m, err := s.SpliceWrite(p, n, NonBlock)
	if kp, ok := p.(*KernelPipe); ok && m == 0 && kp.Len() == 0 {
		return 0, errPipeWouldBlock
	}
	if m == 0 && err == error(errSinkWouldBlock) && flags&NonBlock == 0 {
		if pages, ok := p.(*Pipe); ok {
			m, err = s.fromPages(pages, min(n, MinPageSize), 0, NonBlock)
		} else {
			m, err = s.SpliceWrite(p, min(n, p.Len(), MinPageSize), 0)
		}
	}
	if m > 0 && errors.Is(err, ErrWouldBlock) {
		return m, nil
	}
	return m, emptied(err)
}

func (s *fdSink) splice(p *KernelPipe, n int, flags Flags) (int, error) {
	fd, ok := p.r.enter()
	if !ok {
		return 0, opErr("splice", SidePipe, PathSplice, os.ErrClosed)
	}
	defer p.r.leave()
	s.pipe, s.n, s.moved, s.flags, s.err = fd, n, 0, flags, nil
	err := s.raw.Write(s.spliceStep)
	return s.result(PathSplice, err)
}

// doSplice moves until n is reached. The pipe holds what is asked for, so that EAGAIN can only be the sink's.
func (s *fdSink) doSplice(fd uintptr) bool {
	for s.moved < s.n {
		n := s.n - s.moved
		if s.blocks() {
			n = min(n, os.Getpagesize()) // what it takes that can be written to at all
			if s.err = s.awaitWritable(int(fd)); s.err != nil {
				return true
			}
		}
		m, err := kernel.Splice(int(fd), s.pipe, n)
		s.moved += m
		if err == syscall.EAGAIN {
			if !s.polls { // the runtime cannot wait for this one: a blocking stdout, say
				if err = s.awaitWritable(int(fd)); err == nil {
					continue
				}
			}
			s.err = err
			return !s.polls || s.flags&NonBlock != 0
		}
		if err == nil && m == 0 {
			err = io.ErrUnexpectedEOF // less in the pipe than was said
		}
		if err != nil {
			s.err = err
			return true
		}
	}
	s.err = nil
	return true
}

// fromPages is writev of the pages where they are. It waits for the socket as flags say, and for the pipe as pipe says.
func (s *fdSink) fromPages(p *Pipe, n int, flags, pipe Flags) (int, error) {
	done := 0
	for done < n { // once, unless not all of the bytes had arrived
		if err := s.w.loan.borrow(p, n-done, pipe); err != nil {
			return done, err
		}
		s.rest = s.w.loan.views
		s.n, s.moved, s.flags, s.err = s.w.loan.held, 0, flags, nil
		err := s.raw.Write(s.writeStep)
		s.rest = nil
		s.w.loan.settle(s.moved)
		done += s.moved
		if err != nil || s.err != nil {
			s.moved = done
			done, err = s.result(PathPages, err)
			if op := (*OpError)(nil); err != error(errSinkWouldBlock) && errors.As(err, &op) {
				_, op.Offset = p.offsets()
			}
			return done, err
		}
	}
	return done, nil
}

func (s *fdSink) doWrite(fd uintptr) bool {
	for s.moved < s.n {
		m, err := kernel.Writev(int(fd), s.rest[:min(len(s.rest), kernel.MaxVector)])
		s.moved += m
		for len(s.rest) > 0 && m >= len(s.rest[0]) {
			m -= len(s.rest[0])
			s.rest = s.rest[1:]
		}
		if len(s.rest) > 0 {
			s.rest[0] = s.rest[0][m:]
		}
		if err == syscall.EAGAIN {
			s.err = err
			return s.flags&NonBlock != 0
		}
		if err == nil && len(s.rest) == 0 && s.moved < s.n {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			s.err = err
			return true
		}
	}
	s.err = nil
	return true
}

// result makes of the poller's error, or else the call's, what SpliceWrite returns.
func (s *fdSink) result(path Path, err error) (int, error) {
	if err == nil {
		err = s.err
	}
	switch {
	case err == nil:
		return s.moved, nil
	case err == syscall.EAGAIN:
		return s.moved, errSinkWouldBlock
	case err == io.ErrUnexpectedEOF:
		return s.moved, opErr("splice", SidePipe, path, err)
	default:
		return s.moved, opErr("splice", SideSink, path, closedFile(s.v, err))
	}
}

func (s *fdSink) Path(p Conduit) (Path, string) {
	if _, ok := p.(*Pipe); ok {
		return PathPages, s.whyPages
	}
	if s.refuses {
		return PathReadWrite, s.whyRefused
	}
	return PathSplice, s.whySplice
}

func (s *fdSink) Polls() bool { return s.polls }

// Interrupt ends a wait in the runtime's poller, or the one that stands in for it.
func (s *fdSink) Interrupt() {
	s.edge.interrupt()
	s.w.Interrupt()
}

// Resume undoes Interrupt.
func (s *fdSink) Resume() {
	s.edge.resume()
	s.w.Resume()
}
