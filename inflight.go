package penstock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"syscall"
)

// flightPage is a page of a file whose read is in flight. It is in a pipe before its bytes are; Confirm waits for them.
type flightPage struct {
	*page                // the memory, with the references of the buffers and one of the read in flight
	landed chan struct{} // closed when the read is over
	err    error         // its outcome, set before that
	want   int           // bytes
}

func (f *flightPage) Confirm(ctx context.Context) error {
	select {
	case <-f.landed:
		return f.err
	default:
	}
	select {
	case <-f.landed:
		return f.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// read is the flight.
func (f *flightPage) read(r io.ReaderAt, off int64) {
	n, err := io.ReadFull(io.NewSectionReader(r, off, int64(f.want)), f.data[:f.want])
	switch {
	case n == f.want:
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		f.err = ErrTruncated
	default:
		f.err = fmt.Errorf("read at %d: %w", off, err)
	}
	f.page.Release()
	close(f.landed)
}

// ReadAhead is a Source of the bytes of r from off on, n of them, or all to its present end if n is negative and r tells
// its size as an *os.File or a *bytes.Reader does. Its pages go into a memory pipe while their reads are in flight, as
// many at a time as the pipe has slots but no more than 8: SpliceRead does not wait for the disk, whoever wants the
// bytes does, and [Pipe.Readable] makes a file something that can be waited for. A file that has become shorter than it
// was fails with [ErrTruncated] where the page is wanted.
//
// Into a kernel pipe the bytes are read and written.
func ReadAhead(r io.ReaderAt, off, n int64) (Source, error) {
	if r == nil {
		return nil, opErr("splice", SideSource, "", fmt.Errorf("no reader: %w", syscall.EINVAL))
	}
	if off < 0 {
		return nil, opErr("splice", SideSource, "", fmt.Errorf("negative offset: %w", syscall.EINVAL))
	}
	if n < 0 {
		size, err := sizeOf(r)
		if err != nil {
			return nil, opErr("splice", SideSource, "", err)
		}
		n = max(size-off, 0)
	}
	n = min(n, math.MaxInt64-off)
	return &aheadSource{r: r, off: off, end: off + n, flying: make(chan struct{}, maxInFlight)}, nil
}

// maxInFlight bounds the reads of one source that are in flight.
const maxInFlight = 8

func sizeOf(r io.ReaderAt) (int64, error) {
	switch r := r.(type) {
	case interface{ Size() int64 }:
		return r.Size(), nil
	case *os.File:
		fi, err := r.Stat()
		if err != nil {
			return 0, err
		}
		if !fi.Mode().IsRegular() {
			return 0, errors.New("only a regular file has a size to read to")
		}
		return fi.Size(), nil
	default:
		return 0, errors.New("this reader does not tell its size")
	}
}

type aheadSource struct {
	r        io.ReaderAt
	off, end int64
	flying   chan struct{} // holds a token for each read in flight
	buf      []byte        // for a kernel pipe
}

func (s *aheadSource) SpliceRead(p Conduit, n int, flags Flags) (int, error) {
	if n <= 0 {
		return 0, opErr("splice", SideSource, "", syscall.EINVAL)
	}
	if s.off >= s.end {
		return 0, io.EOF
	}
	n = int(min(int64(n), s.end-s.off))
	if p, ok := p.(*Pipe); ok {
		return s.launch(p, n, flags)
	}
	if s.buf == nil {
		s.buf = make([]byte, DefaultPageSize)
	}
	m, err := counted(func(b []byte) (int, error) { return s.r.ReadAt(b, s.off) }, s.buf[:min(n, len(s.buf), surelyFree(p))])
	if m == 0 {
		if err == io.EOF {
			err = ErrTruncated
		}
		return 0, &OpError{Op: "splice", Side: SideSource, Path: PathReadWrite, Offset: s.off, Err: err}
	}
	m, err = p.Write(s.buf[:m])
	s.off += int64(m)
	return m, err
}

// launch puts pages into the free slots and sends a read off for each. It waits only for one of the reads in flight to
// land, if there are as many as there may be.
func (s *aheadSource) launch(p *Pipe, n int, flags Flags) (total int, err error) {
	for total < n {
		if err := p.promise(); err != nil {
			if total > 0 {
				break
			}
			return 0, err
		}
		if !s.board(total > 0 || flags&NonBlock != 0) {
			p.keep(Buffer{})
			if total > 0 {
				break
			}
			return 0, errSourceWouldBlock
		}
		f := &flightPage{page: p.shard.get(p.class), want: min(n-total, p.pageSize), landed: make(chan struct{})}
		f.Get()
		if !p.keep(Buffer{page: f, length: uint32(f.want)}) {
			f.page.Release() // the read's
			f.page.Release() // and the buffer's
			<-s.flying
			return total, opErr("splice", SideSink, PathPages, syscall.EPIPE)
		}
		go func(off int64) {
			f.read(s.r, off)
			<-s.flying
		}(s.off)
		s.off += int64(f.want)
		total += f.want
	}
	return total, nil
}

// board gets a token for one more flight, without waiting if told so.
func (s *aheadSource) board(nonblock bool) bool {
	select {
	case s.flying <- struct{}{}:
		return true
	default:
	}
	if !nonblock {
		s.flying <- struct{}{}
	}
	return !nonblock
}

func (s *aheadSource) Path(p Conduit) (Path, string) {
	if _, ok := p.(*Pipe); ok {
		return PathPages, "pages of a memory pipe, read ahead"
	}
	return PathReadWrite, "read ahead is for memory pipes"
}

func (s *aheadSource) Polls() bool { return true }
func (s *aheadSource) Wait() error { return nil }
