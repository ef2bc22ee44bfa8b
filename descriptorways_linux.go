package penstock

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/internal/kernel"
)

// The ways that need no pipe in between: one system call from descriptor to descriptor. Nothing is ever in flight then:
// what the sink has not taken is still in the source.

// fileChunk bounds one call on a file, so that an interruption is seen.
const fileChunk = 4 << 20

// byDescriptor takes such a way if there is one, and tells whether that carried everything. It is given up only before
// it has moved anything.
func (c *carriage) byDescriptor() (done bool, err error) {
	if len(c.outs) > 1 || c.t.noSplice || c.outs[0].edge == nil {
		return false, nil
	}
	in, out := c.in, c.outs[0].edge
	if f, ok := c.window(); ok {
		return f.carry(c)
	}
	switch {
	case in == nil:
		return false, nil
	case c.t.stable:
		return false, nil
	case in.isFile() && !out.isFIFO():
		f := fileRange{file: in}
		return f.carry(c)
	case in.isFIFO() || out.isFIFO():
		return c.direct()
	default:
		return false, nil
	}
}

// fileRange is a file as a source: from its position on, or a window of it.
type fileRange struct {
	file *edge
	off  *int64 // nil for the file's own position
	left int64  // of the window; of no meaning without off
}

// window returns what a SectionReader has left of a file.
func (c *carriage) window() (f fileRange, ok bool) {
	s, ok := c.src.(*io.SectionReader)
	if !ok || c.t.stable {
		return f, false
	}
	base, begin, n := s.Outer()
	file, ok := base.(*os.File)
	if !ok {
		return f, false
	}
	at, err := s.Seek(0, io.SeekCurrent)
	if err != nil || at > n {
		return f, false
	}
	if f.file = edgeOf(file); f.file == nil || !f.file.isFile() {
		return f, false
	}
	off := begin + at
	f.off, f.left = &off, n-at
	c.settle = append(c.settle, func(n int64) {
		_, _ = s.Seek(at+n, io.SeekStart) // within the window
	})
	return f, true
}

// carry sends the range to a socket, or copies it to a file.
func (f *fileRange) carry(c *carriage) (done bool, err error) {
	out := c.outs[0].edge
	way := &way{path: PathSendfile, why: "file to " + out.what}
	call := func(fd, file, n int) (int, error) { return kernel.Sendfile(fd, file, f.off, n) }
	switch {
	case out.isSocket():
	case out.isFile():
		way.path = PathCopyFileRange
		call = func(fd, file, n int) (int, error) { return kernel.CopyFileRange(fd, nil, file, f.off, n) }
	default:
		return false, nil
	}
	m := &c.t.meter
	before := m.now.Load()
	m.take(way)
	s := fileStep{c: c, call: call, file: f.file, out: out}
	step := s.step
	for total := int64(0); ; total += int64(s.moved) {
		n, err := c.allow(fileChunk)
		if n == 0 {
			return true, err
		}
		if f.off != nil {
			if n = int(min(int64(n), f.left)); n == 0 {
				return true, nil
			}
		}
		s.n, s.moved, s.err = n, 0, nil
		err = out.raw.Write(step)
		c.t.going()
		if err == nil {
			err = s.err
		}
		f.left -= int64(s.moved)
		c.across(s.moved)
		switch {
		case s.moved > 0 && err == nil:
		case total == 0 && s.moved == 0 && (err == nil || refusal(err) || errors.Is(err, syscall.EBADF)):
			m.now.Store(before) // an empty file, or a kind that has no such way: a read finds out
			return false, nil
		case err == nil:
			return true, nil
		default:
			return true, f.blame(c, err)
		}
	}
}

// blame finds the side of an error of a call with two descriptors. EIO may be either file's: it is the source's if reading on
// there gives it again.
func (f *fileRange) blame(c *carriage, err error) error {
	switch {
	case errors.Is(err, errSourceClosed):
		return c.opError(SideSource, closedFile(c.src, err))
	case errors.Is(err, syscall.EIO) && f.unreadable():
		return c.opError(SideSource, err)
	default:
		return c.opError(SideSink, closedFile(c.t.dst, err))
	}
}

func (f *fileRange) unreadable() bool {
	var err error
	cerr := f.file.raw.Control(func(fd uintptr) {
		at := int64(0)
		if f.off != nil {
			at = *f.off
		} else if at, err = unix.Seek(int(fd), 0, io.SeekCurrent); err != nil {
			return
		}
		_, err = unix.Pread(int(fd), make([]byte, 1), at)
	})
	return err != nil || cerr != nil
}

// Of two descriptors in one call, the one that was closed.
var (
	errSourceClosed = errors.New("the source is closed")
	errSinkClosed   = errors.New("the sink is closed")
)

// fileStep is the call in progress.
type fileStep struct {
	c         *carriage
	call      func(fd, file, n int) (int, error)
	file, out *edge

	n, moved int
	err      error
}

func (s *fileStep) step(fd uintptr) bool {
	s.c.t.going()
	err := s.file.raw.Control(func(file uintptr) { s.moved, s.err = s.call(int(fd), int(file), s.n) })
	s.c.t.called()
	if err != nil {
		s.err = errors.Join(errSourceClosed, err)
	}
	if s.err != syscall.EAGAIN {
		return true
	}
	s.c.t.wait(SideSink)
	if s.out.polls {
		s.err = nil
		return false
	}
	if s.err = s.out.awaitWritable(int(fd)); s.err == nil {
		return s.step(fd)
	}
	return true
}

// corks tells whether a header is followed at once by a file's bytes, in the same packet: by sendfile, as carryHead
// comes before byDescriptor.
func (c *carriage) corks() bool {
	out := c.outs[0].edge
	if len(c.outs) > 1 || out == nil || !out.isSocket() || c.t.noSplice || c.t.stable || c.in == nil || !c.in.isFile() {
		return false
	}
	follows := false
	err := c.in.raw.Control(func(fd uintptr) {
		var st unix.Stat_t
		at, err := unix.Seek(int(fd), 0, io.SeekCurrent)
		follows = err == nil && unix.Fstat(int(fd), &st) == nil && at < st.Size
	})
	return err == nil && follows
}

// direct splices between two descriptors one of which is a FIFO.
func (c *carriage) direct() (done bool, err error) {
	in, out := c.in, c.outs[0].edge
	before := c.t.meter.now.Load()
	c.t.meter.take(&way{PathSplice, in.what + " to " + out.what})
	for total := int64(0); ; {
		n, err := c.allow(largePipe)
		if n == 0 {
			return true, err
		}
		if in.blocks() {
			if err := c.awaitEither(in, out); err != nil {
				return true, err
			}
		}
		if out.blocks() {
			n = min(n, os.Getpagesize()) // what it takes that can be written to at all
			if err := c.awaitEither(in, out); err != nil {
				return true, err
			}
		}
		m, err := spliceEdges(out, in, n)
		c.t.called()
		c.across(m)
		total += int64(m)
		switch {
		case m > 0:
		case err == nil:
			return true, nil
		case err == syscall.EAGAIN:
			if err := c.awaitEither(in, out); err != nil {
				return true, err
			}
		case total == 0 && refusal(err):
			c.t.meter.now.Store(before)
			out.refused, in.refused = out.what+" refused splice: "+err.Error(), ""
			return false, nil
		case errors.Is(err, errSourceClosed), out.isFIFO() && err != syscall.EPIPE && !errors.Is(err, errSinkClosed):
			return true, c.opError(SideSource, closedFile(c.src, err)) // all a FIFO says of itself is EPIPE
		default:
			return true, c.opError(SideSink, closedFile(c.t.dst, err))
		}
	}
}

// spliceEdges is one splice(2), without waiting.
func spliceEdges(out, in *edge, n int) (m int, err error) {
	cerr := in.raw.Control(func(from uintptr) {
		cerr := out.raw.Control(func(to uintptr) { m, err = kernel.Splice(int(to), int(from), n) })
		if cerr != nil {
			err = errors.Join(errSinkClosed, cerr)
		}
	})
	if cerr != nil {
		err = errors.Join(errSourceClosed, cerr)
	}
	return m, err
}

// awaitEither waits for the side that would have blocked: the source if it has nothing, else the sink.
func (c *carriage) awaitEither(in, out *edge) error {
	var empty bool
	err := in.raw.Control(func(fd uintptr) { empty = !kernel.Readable(int(fd)) })
	if err != nil {
		return c.opError(SideSource, closedFile(c.src, err))
	}
	side, end, wait := SideSink, out, out.raw.Write
	ready, block, v := kernel.Writable, out.awaitWritable, any(c.t.dst)
	if empty {
		side, end, wait = SideSource, in, in.raw.Read
		ready, block, v = kernel.Readable, in.awaitReadable, any(c.src)
	}
	c.t.wait(side)
	defer c.t.going()
	var berr error
	err = wait(func(fd uintptr) bool {
		if end.polls {
			return ready(int(fd))
		}
		berr = block(int(fd))
		return true
	})
	if err == nil {
		err = berr
	}
	if err != nil {
		return c.opError(side, closedFile(v, err))
	}
	return nil
}
