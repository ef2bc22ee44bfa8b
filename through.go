package penstock

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"
)

// Pipes as sources and sinks of other pipes: references move, as with Splice.

type pipeSource struct{ pipe Conduit }

func (s *pipeSource) SpliceRead(p Conduit, n int, flags Flags) (int, error) {
	if n <= 0 {
		return 0, opErr("splice", SideSource, "", syscall.EINVAL)
	}
	for {
		m, err := Splice(context.Background(), p, s.pipe, n, NonBlock)
		if !errors.Is(err, ErrWouldBlock) {
			return m, err
		}
		if side, _ := SideOf(err); side != SideSource {
			return 0, errPipeWouldBlock
		}
		if flags&NonBlock != 0 {
			return 0, err
		}
		if _, err := s.pipe.available(context.Background(), 0); err != nil && err != io.EOF { // found by the next Splice
			return 0, err
		}
	}
}

func (s *pipeSource) Path(p Conduit) (Path, string) { return between(p, s.pipe) }
func (s *pipeSource) Polls() bool                   { return true }

func (s *pipeSource) Wait() error {
	if _, err := s.pipe.available(context.Background(), 0); err != io.EOF {
		return err
	}
	return nil
}

func (s *pipeSource) SetReadDeadline(t time.Time) error { return setReadDeadline(s.pipe, t) }

type pipeSink struct{ pipe Conduit }

func (s *pipeSink) SpliceWrite(p Conduit, n int, flags Flags) (int, error) {
	done := 0
	for done < n {
		m, err := Splice(context.Background(), s.pipe, p, n-done, flags)
		done += m
		if err == io.EOF {
			err = opErr("splice", SidePipe, "", io.ErrUnexpectedEOF)
		}
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (s *pipeSink) step(p Conduit, n int, flags Flags) (int, error) {
	m, err := Splice(context.Background(), s.pipe, p, n, flags)
	return m, emptied(err)
}

func (s *pipeSink) Path(p Conduit) (Path, string) { return between(s.pipe, p) }
func (s *pipeSink) Polls() bool                   { return true }
func (s *pipeSink) Interrupt()                    { setWriteDeadline(s.pipe, past) }
func (s *pipeSink) Resume()                       { setWriteDeadline(s.pipe, time.Time{}) }

// between tells the way from one pipe to another.
func between(dst, src Conduit) (Path, string) {
	switch {
	case dst.backing() != src.backing():
		return PathPages, "between a memory pipe and a kernel pipe"
	case dst.backing() == "kernel":
		return PathSplice, "kernel pipe to kernel pipe"
	default:
		return PathPages, "memory pipe to memory pipe, by reference"
	}
}
