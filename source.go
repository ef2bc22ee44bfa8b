package penstock

import (
	"errors"
	"io"
	"syscall"
	"time"
)

// SourceOf makes a Source of r, which it reads but does not close. On Linux a *net.TCPConn, a *net.UnixConn and an
// *os.File are spliced, and everywhere a pipe is; everything else is read, and so are those where splice is refused.
//
// If r has SetReadDeadline, so does the Source: a deadline in the past interrupts a wait.
func SourceOf(r io.Reader) Source {
	if p, ok := bare(r); ok {
		return &pipeSource{p}
	}
	if s := descriptorSource(r); s != nil {
		return s
	}
	return &readerSource{r: r}
}

// readerSource reads. Into a memory pipe that is one copy, straight into its page; into a kernel pipe it is two.
type readerSource struct {
	r      io.Reader
	buf    []byte
	rest   []byte // of buf: what a pipe failed to take
	failed error  // told along with bytes, which go first; the next call's
}

// maxEmptyReads is how often in a row a reader may have nothing to say, as in bufio.
const maxEmptyReads = 100

func (s *readerSource) SpliceRead(p Conduit, n int, _ Flags) (m int, err error) {
	if n <= 0 {
		return 0, opErr("splice", SideSource, "", syscall.EINVAL)
	}
	if s.failed != nil {
		return 0, heldBack(p, s)
	}
	path := PathReadWrite
	for range maxEmptyReads {
		if pages, ok := p.(*Pipe); ok {
			path = PathPages
			m, _, err = pages.fill(n, s.r.Read)
		} else {
			m, err = s.copyInto(p, n)
		}
		switch {
		case m > 0:
			s.failed = err
			return m, nil
		case err != nil:
			return 0, sourceErr(p, path, err)
		}
	}
	return 0, sourceErr(p, path, io.ErrNoProgress)
}

// copyInto reads and writes. What the pipe fails to take is the first to go the next time.
func (s *readerSource) copyInto(p Conduit, n int) (int, error) {
	if s.buf == nil {
		s.buf = make([]byte, DefaultPageSize)
	}
	room := min(n, len(s.buf), surelyFree(p))
	if len(s.rest) > 0 {
		m, err := p.Write(s.rest[:min(room, len(s.rest))])
		s.rest = s.rest[m:]
		return m, opErr("splice", SideSink, PathReadWrite, bareCause(err))
	}
	m, err := counted(s.r.Read, s.buf[:room])
	if m > 0 {
		written, werr := p.Write(s.buf[:m])
		if werr != nil {
			s.rest = s.buf[written:m]
			return written, opErr("splice", SideSink, PathReadWrite, bareCause(werr))
		}
	}
	return m, err
}

// heldBack returns the error that a Source has met behind bytes that went first, and that it would tell at its next
// call.
func heldBack(p Conduit, s Source) (err error) {
	switch s := s.(type) {
	case *readerSource:
		err, s.failed = s.failed, nil
	case interface{ heldBack(p Conduit) error }:
		err = s.heldBack(p)
	}
	return sourceErr(p, PathPages, err)
}

// counted reads, and holds the reader to what io.Reader says of its count.
func counted(read func([]byte) (int, error), b []byte) (int, error) {
	n, err := read(b)
	if n < 0 || n > len(b) {
		return 0, errors.New("the reader returned an impossible count")
	}
	return n, err
}

// surelyFree returns how many bytes a kernel pipe takes without waiting that can be written to at all: it does not tell
// how many of its slots are in use, but one is free, and holds a page.
func surelyFree(p Conduit) int {
	if p.Len() == 0 {
		return p.Cap()
	}
	return MinPageSize
}

func (s *readerSource) Path(p Conduit) (Path, string) {
	if _, ok := p.(*Pipe); ok {
		return PathPages, "read into pages of a memory pipe"
	}
	return PathReadWrite, "a plain reader"
}

func (s *readerSource) Polls() bool { return false }
func (s *readerSource) Wait() error { return nil }

func (s *readerSource) SetReadDeadline(t time.Time) error { return setReadDeadline(s.r, t) }

// sourceErr blames the source, except that its end is nobody's fault and an error that has a side keeps it.
func sourceErr(p Conduit, path Path, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if _, ok := SideOf(err); ok {
		return err
	}
	e := &OpError{Op: "splice", Side: SideSource, Path: path, Err: err}
	if p, ok := p.(*Pipe); ok {
		e.Offset, _ = p.offsets()
	}
	return e
}

func setReadDeadline(r any, t time.Time) error {
	if d, ok := r.(readDeadliner); ok {
		return d.SetReadDeadline(t)
	}
	return ErrCannotInterrupt
}

// InterruptReads makes a wait of the source return with os.ErrDeadlineExceeded, and ResumeReads undoes it. Both return
// ErrCannotInterrupt if the source has no deadlines.
func InterruptReads(s Source) error { return setReadDeadline(s, past) }

// ResumeReads undoes InterruptReads.
func ResumeReads(s Source) error { return setReadDeadline(s, time.Time{}) }

// Limit is a Source of the first n bytes of src: then io.EOF, and src stands behind them.
func Limit(src Source, n int64) Source { return &limitSource{src, n} }

type limitSource struct {
	Source
	left int64
}

func (s *limitSource) SpliceRead(p Conduit, n int, flags Flags) (int, error) {
	if s.left <= 0 {
		return 0, io.EOF
	}
	m, err := s.Source.SpliceRead(p, int(min(int64(n), s.left)), flags)
	s.left -= int64(m)
	if err == io.EOF && s.left > 0 {
		err = opErr("splice", SideSource, "", io.ErrUnexpectedEOF)
	}
	return m, err
}

func (s *limitSource) Wait() error {
	if s.left <= 0 {
		return nil
	}
	return s.Source.Wait()
}

func (s *limitSource) SetReadDeadline(t time.Time) error { return setReadDeadline(s.Source, t) }

// Prefix is a Source of head and then src: what a parser has read ahead goes first, and the raw descriptor is spliced
// behind it.
func Prefix(head []byte, src Source) Source { return &prefixSource{src, head} }

type prefixSource struct {
	Source
	head []byte
}

func (s *prefixSource) SpliceRead(p Conduit, n int, flags Flags) (int, error) {
	if len(s.head) == 0 || n <= 0 { // which the source refuses
		return s.Source.SpliceRead(p, n, flags)
	}
	head := s.head[:min(n, len(s.head))]
	m, err := 0, error(nil)
	switch p := p.(type) {
	case *Pipe:
		m, err = p.TryWrite(head)
	default:
		m, err = p.Write(head[:min(len(head), surelyFree(p))])
	}
	if s.head = s.head[m:]; m > 0 {
		return m, nil // an error will be told again
	}
	if err == error(errWriteWouldBlock) {
		err = errPipeWouldBlock
	}
	return 0, err
}

func (s *prefixSource) Wait() error {
	if len(s.head) > 0 {
		return nil
	}
	return s.Source.Wait()
}

func (s *prefixSource) SetReadDeadline(t time.Time) error { return setReadDeadline(s.Source, t) }
