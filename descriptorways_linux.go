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
	f := fileRange{file: &c.in}
	switch c.descriptorWay(&f) {
	case wayFIFO:
		return c.direct()
	case wayFile:
		if f.own {
			section, at := c.src.(*io.SectionReader), f.at
			c.settle = append(c.settle, func(n int64) {
				_, _ = section.Seek(at+n, io.SeekStart) // within the window
			})
		}
		return c.sendFile(&f)
	default:
		return false, nil
	}
}

// descriptorWay is one of these ways.
type descriptorWay int

const (
	wayNone descriptorWay = iota
	wayFIFO               // splice, as one of the two is a FIFO
	wayFile               // sendfile or copy_file_range
)

// descriptorWay chooses the way, and finds the file's range.
func (c *carriage) descriptorWay(f *fileRange) descriptorWay {
	if len(c.outs) > 1 || c.queued() || c.t.noSplice || !c.outs[0].edge.known() {
		return wayNone
	}
	in, out := &c.in, &c.outs[0].edge
	switch {
	case c.window(f):
		return wayFile
	case !in.known() || c.t.stable:
		return wayNone
	case (in.isFIFO() || out.isFIFO()) && out.refused == "":
		return wayFIFO
	case in.isFile():
		return wayFile
	default:
		return wayNone
	}
}

// fileRange is a file as a source: from its position on, or a window of it.
type fileRange struct {
	file *edge
	at   int64 // where the reader of the window stands in it
	off  int64 // and in the file
	left int64 // of the window
	own  bool  // it is a window, and not the file's position

	copies bool // to a file

	edge edge // of a window's file
}

// window finds what a SectionReader has left of a file.
func (c *carriage) window(f *fileRange) bool {
	s, ok := c.src.(*io.SectionReader)
	if !ok || c.t.stable {
		return false
	}
	base, begin, n := s.Outer()
	file, ok := base.(*os.File)
	if !ok {
		return false
	}
	at, err := s.Seek(0, io.SeekCurrent)
	if err != nil || at > n {
		return false
	}
	if f.edge.of(file); !f.edge.known() || !f.edge.isFile() {
		return false
	}
	f.file, f.at, f.off, f.left, f.own = &f.edge, at, begin+at, n-at, true
	return true
}

// sendFile sends the range to a socket, or copies it to a file.
func (c *carriage) sendFile(f *fileRange) (done bool, err error) {
	out := &c.outs[0].edge
	w := c.fileWay(f)
	if w == nil {
		return false, nil
	}
	before := c.t.now.Load()
	c.t.now.Store(w)
	c.file, c.to = f, &c.outs[0]
	c.call = func(file uintptr) { c.moved, c.err = f.call(c.fd, int(file), c.n) }
	for first := true; ; first = false {
		n, err := c.allow(fileChunk)
		if n == 0 {
			return true, err
		}
		if f.own {
			if n = int(min(int64(n), f.left)); n == 0 {
				return true, nil
			}
		}
		if first && c.follows > 0 {
			n = int(min(int64(n), c.follows))
		}
		c.n, c.moved = n, 0
		err = c.with(out, SideSink, (*carriage).doSendFile)
		f.left -= int64(c.moved)
		c.across(c.moved)
		switch {
		case first && c.moved > 0 && int64(c.moved) == c.follows:
			return true, err // where the file ended a moment ago
		case c.moved > 0 && err == nil:
		case first && c.moved == 0 && (err == nil || refusal(err) || elsewhere(err)):
			c.t.now.Store(before) // an empty file, or a kind that has no such way: a read finds out
			return false, nil
		case err == nil:
			return true, nil
		default:
			return true, c.blame(f, err)
		}
	}
}

// fileWay is the way from the range to what the sink is, nil if there is none.
func (c *carriage) fileWay(f *fileRange) *way {
	out := &c.outs[0].edge
	w := &way{path: PathSendfile, from: f.file.what, to: out.what}
	switch {
	case out.isSocket() && !out.parks():
	case out.isFile():
		w.path, f.copies = PathCopyFileRange, true
	default:
		return nil
	}
	return w
}

// elsewhere tells errors of sendfile and copy_file_range alone: EBADF is for a file that only appends, ENOMEM for the
// pipe that the kernel makes for itself, when this user may have no more.
func elsewhere(err error) bool {
	return errors.Is(err, syscall.EBADF) || errors.Is(err, syscall.ENOMEM)
}

func (c *carriage) doSendFile(fd int) bool {
	e := &c.to.edge
	for {
		c.t.going()
		if e.blocks() {
			c.n = min(c.n, os.Getpagesize()) // what it takes that can be written to at all
			c.t.wait(SideSink)
			if c.err = e.awaitWritable(fd); c.err != nil {
				return true
			}
			c.t.going()
		}
		c.fd = fd
		err := c.file.file.raw.Control(c.call)
		c.t.called()
		if err != nil {
			c.err = errors.Join(errSourceClosed, err)
		}
		if c.err != syscall.EAGAIN || !e.polls && !e.parks() {
			return true
		}
		if e.polls {
			c.err = nil
			c.t.wait(SideSink)
			return false
		}
	}
}

// call is one system call from file to descriptor.
func (f *fileRange) call(fd, file, n int) (int, error) {
	var off *int64
	if f.own {
		off = &f.off
	}
	if f.copies {
		return kernel.CopyFileRange(fd, nil, file, off, n)
	}
	return kernel.Sendfile(fd, file, off, n)
}

// blame finds the side of an error of a call with two descriptors. EIO may be either file's: it is the source's if
// reading on there gives it again.
func (c *carriage) blame(f *fileRange, err error) error {
	switch {
	case errors.Is(err, errSourceClosed):
		return c.opError(SideSource, closedFile(c.src, err))
	case errors.Is(err, syscall.EIO) && f.unreadable():
		return c.opError(SideSource, err)
	default:
		return c.opError(SideSink, closedFile(c.dst, err))
	}
}

func (f *fileRange) unreadable() bool {
	var err error
	cerr := f.file.raw.Control(func(fd uintptr) {
		at := f.off
		if !f.own {
			if at, err = unix.Seek(int(fd), 0, io.SeekCurrent); err != nil {
				return
			}
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

// corks tells whether a header is followed at once by a file's bytes, in the same packet: by sendfile, as carryHead
// comes before byDescriptor.
func (c *carriage) corks() bool {
	out := &c.outs[0].edge
	if len(c.outs) > 1 || c.queued() || !out.isSocket() || c.t.noSplice || c.t.stable {
		return false
	}
	if f := (fileRange{}); c.window(&f) {
		c.follows = max(min(f.left, f.edge.size-f.off), 0)
		return c.follows > 0
	}
	if !c.in.isFile() {
		return false
	}
	err := c.in.raw.Control(func(fd uintptr) {
		if at, err := unix.Seek(int(fd), 0, io.SeekCurrent); err == nil {
			c.follows = max(c.in.size-at, 0)
		}
	})
	return err == nil && c.follows > 0
}

// direct splices between two descriptors one of which is a FIFO.
func (c *carriage) direct() (done bool, err error) {
	in, out := &c.in, &c.outs[0].edge
	before := c.t.now.Load()
	c.t.now.Store(&way{path: PathSplice, from: in.what, to: out.what})
	for total := int64(0); ; {
		n, err := c.allow(largePipe)
		if n == 0 {
			return true, err
		}
		if in.blocks() || out.blocks() {
			if err := c.await(SideSource, in, c.src); err != nil {
				return true, err
			}
		}
		if out.blocks() {
			n = min(n, os.Getpagesize()) // what it takes that can be written to at all
			if err := c.await(SideSink, out, c.dst); err != nil {
				return true, err
			}
		}
		m, err := c.spliceEdges(n)
		c.t.called()
		c.across(m)
		total += int64(m)
		switch {
		case m > 0:
		case err == nil:
			return true, nil
		case err == syscall.EAGAIN:
			empty, ended := c.lookAtSource()
			if ended {
				return true, nil
			}
			if empty {
				err = c.await(SideSource, in, c.src)
			} else {
				err = c.await(SideSink, out, c.dst)
			}
			if err != nil {
				return true, err
			}
		case total == 0 && out.refuse(err):
			c.t.now.Store(before)
			return false, nil
		case err == syscall.EPIPE && c.nothingLeft(): // splice(2) looks at the reader before it looks at the source
			return true, nil
		case errors.Is(err, errSourceClosed), out.isFIFO() && err != syscall.EPIPE && !errors.Is(err, errSinkClosed):
			return true, c.opError(SideSource, closedFile(c.src, err)) // all a FIFO says of itself is EPIPE
		default:
			return true, c.opError(SideSink, closedFile(c.dst, err))
		}
	}
}

// spliceEdges is one splice(2), without waiting. Its steps are bound once.
func (c *carriage) spliceEdges(n int) (int, error) {
	out := c.outs[0].edge.raw
	if c.call == nil {
		c.call = func(to uintptr) { c.moved, c.err = kernel.Splice(int(to), c.fd, c.n) }
		c.outer = func(from uintptr) {
			c.fd = int(from)
			if err := out.Control(c.call); err != nil {
				c.err = errors.Join(errSinkClosed, err)
			}
		}
	}
	c.n, c.moved, c.err = n, 0, nil
	if err := c.in.raw.Control(c.outer); err != nil {
		c.err = errors.Join(errSourceClosed, err)
	}
	return c.moved, c.err
}

// nothingLeft tells whether the source is at its end: then it is no loss that nobody reads what comes from it.
func (c *carriage) nothingLeft() bool {
	if _, ended := c.lookAtSource(); ended {
		return true
	}
	in := &c.in
	if !in.isFile() && (in.mode != unix.S_IFCHR || in.waiter != nil) {
		return false
	}
	n, err := 1, error(nil)
	_ = in.raw.Control(func(fd uintptr) { // closed: its use says so
		at, _ := unix.Seek(int(fd), 0, io.SeekCurrent) // a device has none, and does not mind
		n, err = unix.Pread(int(fd), make([]byte, 1), at)
	})
	return n == 0 && err == nil
}

// lookAtSource tells whether the source has nothing now, or never will have again: of the two sides that would block
// that finds out which. If it is closed its use says so.
func (c *carriage) lookAtSource() (empty, ended bool) {
	if c.look == nil {
		c.look = func(fd uintptr) { c.empty, c.ended = !kernel.Readable(int(fd)), c.in.ended(int(fd)) }
	}
	c.empty, c.ended = false, false
	_ = c.in.raw.Control(c.look)
	return c.empty, c.ended
}

// awaitDescriptor waits for a source outside the runtime's poller.
func (c *carriage) awaitDescriptor() error { return c.await(SideSource, &c.in, c.src) }

// await waits for one side, which is v.
func (c *carriage) await(side Side, e *edge, v any) error {
	c.waitsAt, c.side = e, side
	c.t.wait(side)
	if err := c.with(e, side, (*carriage).doAwait); err != nil {
		return c.opError(side, closedFile(v, err))
	}
	return nil
}

func (c *carriage) doAwait(fd int) bool {
	ready, block := kernel.Writable, c.waitsAt.awaitWritable
	if c.side == SideSource {
		ready, block = kernel.Readable, c.waitsAt.awaitReadable
	}
	if c.waitsAt.polls {
		return ready(fd)
	}
	c.err = block(fd)
	return true
}
