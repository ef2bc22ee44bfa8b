package penstock

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/penstock-io/penstock/internal/kernel"
)

// descriptorSource returns a Source that splices, or nil if r is no bare descriptor. Only the types themselves count: a
// wrapper that embeds one may hold bytes back.
func descriptorSource(r io.Reader) Source {
	s := &fdSource{r: readerSource{r: r}}
	if s.of(r); !s.known() {
		return nil
	}
	s.spliceStep, s.readStep, s.waitStep, s.readNow = s.doSplice, s.doRead, s.doWait, s.rawRead
	_, s.drains = r.(*net.TCPConn)
	s.whySplice = s.what + " to kernel pipe"
	s.whyPages = s.what + " read into pages of a memory pipe"
	s.whyRefused = s.what + " refused splice"
	return s
}

// descriptor returns the raw descriptor of what can be spliced, and what it is in words.
func descriptor(v any) (syscall.RawConn, string) {
	var c syscall.Conn
	var kind string
	switch v := v.(type) {
	case *net.TCPConn:
		c, kind = v, "TCP socket"
	case *net.UnixConn:
		if a := v.LocalAddr(); a == nil || a.Network() != "unix" {
			return nil, "" // datagrams: a short length would lose the tail
		}
		c, kind = v, "Unix socket"
	case *os.File:
		c, kind = v, "file"
	case *under:
		c, kind = v, "descriptor"
	case *bareConn:
		c, kind = v, "connection"
	default:
		return nil, ""
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, ""
	}
	return raw, kind
}

// fdSource splices from a descriptor, waiting in the runtime's poller. The fields of the call in progress stand in the
// struct, and its steps are bound once, so that a call allocates nothing.
type fdSource struct {
	r readerSource
	edge

	whySplice, whyPages, whyRefused string

	refusal error // why splice is not used any more
	failed  error // met behind bytes that go first; the next call's

	spliceStep, readStep, waitStep func(fd uintptr) bool
	readNow                        func([]byte) (int, error)

	drains bool // a splice takes all there is, if the pipe has room: TCP's
	looked bool // the wait in progress has

	pipe  int // write end of the pipe being filled
	space []byte
	n     int // asked for
	flags Flags
	moved int
	err   error
}

func (s *fdSource) SpliceRead(p Conduit, n int, flags Flags) (int, error) {
	s.flags = flags
	if err := s.failed; err != nil {
		s.failed = nil
		return 0, sourceErr(p, PathPages, err)
	}
	if n <= 0 {
		return 0, opErr("splice", SideSource, "", syscall.EINVAL)
	}
	switch p := p.(type) {
	case *Pipe:
		return s.intoPages(p, n)
	case *KernelPipe:
		if s.refusal == nil {
			m, err := s.splice(p, n)
			if m > 0 || !refusal(err) {
				return m, err
			}
			s.refusal = err
		}
	}
	return s.r.SpliceRead(p, n, flags)
}

func (s *fdSource) heldBack(p Conduit) (err error) {
	err, s.failed = s.failed, nil
	if err == nil {
		err = heldBack(p, &s.r)
	}
	return err
}

func (s *fdSource) leftover() []byte {
	b := leftover(&s.r)
	if p := inFlightOf(s.failed); p != nil { // met behind bytes that went first
		more, _ := io.ReadAll(p) // of memory
		b, s.failed = append(b, more...), nil
	}
	return b
}

// Polls is false for files, which are always ready, and for what refused splice, which is read plainly.
func (s *fdSource) Polls() bool { return s.polls && s.refusal == nil }

// splice fills an empty pipe. Because it is empty, EAGAIN can only be the source's.
func (s *fdSource) splice(p *KernelPipe, n int) (int, error) {
	fd, ok := p.w.enter()
	if !ok {
		return 0, opErr("splice", SidePipe, PathSplice, os.ErrClosed)
	}
	defer p.w.leave()
	s.pipe, s.n, s.moved, s.err = fd, n, 0, nil
	err := s.raw.Read(s.spliceStep)
	if err == nil {
		err = s.err
	}
	switch {
	case s.moved > 0:
		if err != nil && err != syscall.EAGAIN {
			s.failed = err // a socket tells an error once, and then looks like at its end
		}
		return s.moved, nil
	case err == syscall.EAGAIN:
		return 0, errSourceWouldBlock
	case err == syscall.EPIPE: // no source says so: the pipe has no reader
		return 0, opErr("splice", SideSink, PathSplice, err)
	case err != nil:
		return 0, opErr("splice", SideSource, PathSplice, closedFile(s.r.r, err))
	default:
		return 0, io.EOF
	}
}

// closedFile returns os.ErrClosed for the error that the runtime's poller has for a file that has been closed, which it
// keeps to itself.
func closedFile(v any, err error) error {
	if f, ok := v.(*os.File); ok {
		if _, serr := f.Stat(); errors.Is(serr, os.ErrClosed) {
			return os.ErrClosed
		}
	}
	return err
}

// doSplice takes all there is, until the source has no more or the pipe no slot: which of the two makes no difference
// once something has moved. A socket's slot may hold several pages, so that a run can be longer than the pipe's Cap.
func (s *fdSource) doSplice(fd uintptr) bool {
	for s.moved < s.n {
		if s.blocks() {
			if s.moved > 0 {
				break
			}
			if s.err = s.awaitReadable(int(fd)); s.err != nil {
				return true
			}
		}
		m, err := kernel.Splice(s.pipe, int(fd), s.n-s.moved)
		s.moved += m
		if err == syscall.EAGAIN && s.moved == 0 && !s.polls && s.flags&NonBlock == 0 {
			err = s.awaitReadable(int(fd)) // the runtime cannot wait for this one: a blocking stdin, say
			if err == nil {
				continue
			}
		}
		if err != nil || m == 0 {
			s.err = err
			break
		}
		if m < MinPageSize && s.drains {
			break // nor is there more: asking costs as much as this did
		}
	}
	return s.moved > 0 || s.err != syscall.EAGAIN || s.flags&NonBlock != 0
}

// intoPages reads a page and, while pages come back full, the next without waiting.
func (s *fdSource) intoPages(p *Pipe, n int) (int, error) {
	read := s.r.r.Read
	switch {
	case s.flags&NonBlock != 0 && s.polls:
		read = s.readNow
	case s.parks(): // a Read would wait, where nothing ends it
		if err := s.awaitRead(); err != nil {
			return 0, sourceErr(p, PathPages, err)
		}
	}
	total, more, err := p.fill(n, read)
	for more && err == nil && total < n && !p.full() {
		var m int
		m, more, err = p.fill(n-total, s.readNow)
		total += m
	}
	if total > 0 {
		if err != nil && err != syscall.EAGAIN && err != io.EOF {
			s.failed = err // a reset is told once, and then looks like an end
		}
		return total, nil
	}
	switch {
	case err == nil:
		return 0, io.EOF // a bare read of nothing
	case err == syscall.EAGAIN:
		return 0, errSourceWouldBlock
	default:
		return 0, sourceErr(p, PathPages, err)
	}
}

// awaitRead waits outside the runtime's poller.
func (s *fdSource) awaitRead() error {
	s.err = nil
	err := s.raw.Read(func(fd uintptr) bool {
		s.err = s.awaitReadable(int(fd))
		return true
	})
	if err == nil {
		err = s.err
	}
	return err
}

func (s *fdSource) rawRead(b []byte) (int, error) {
	s.space, s.moved, s.err = b, 0, nil
	if err := s.raw.Read(s.readStep); err != nil {
		return 0, err
	}
	return s.moved, s.err
}

func (s *fdSource) doRead(fd uintptr) bool {
	s.moved, s.err = s.read(int(fd), s.space)
	return true
}

func (s *fdSource) Path(p Conduit) (Path, string) {
	if _, ok := p.(*Pipe); ok {
		return PathPages, s.whyPages
	}
	if s.refusal != nil {
		return PathReadWrite, s.whyRefused
	}
	return PathSplice, s.whySplice
}

// Wait waits in the runtime's poller. It looks first, because the poller tells of changes only.
func (s *fdSource) Wait() error {
	if !s.Polls() || s.failed != nil {
		return nil
	}
	s.looked = false
	if err := s.raw.Read(s.waitStep); err != nil {
		return opErr("wait", SideSource, PathSplice, err)
	}
	return nil
}

func (s *fdSource) doWait(fd uintptr) bool {
	ready := s.looked || kernel.Readable(int(fd))
	s.looked = true
	return ready
}

// SetReadDeadline serves to interrupt, also where the descriptor itself has no deadlines.
func (s *fdSource) SetReadDeadline(t time.Time) error {
	if s.waiter != nil {
		s.waiter.SetDeadline(t)
	}
	if s.parks() {
		return nil
	}
	return setReadDeadline(s.r.r, t)
}
