package penstock

import (
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/penstock-io/penstock/internal/kernel"
)

// steps is what the Linux side of a carriage holds: the pipe in hand, and the call in progress. The steps are bound
// once, so that a call allocates nothing.
type steps struct {
	pipe  *KernelPipe // what a bulk chunk is in; nil while nothing is in hand
	spare *KernelPipe // of the same capacity: what a tee goes into
	held  int         // bytes in pipe
	stuck bool        // something may be left in a pipe that could not be read out
	bulk  bool        // the next chunk goes by splice
	few   int         // small chunks in a row, by splice
	more  bool        // what is written now is not the last

	follows int64 // of a file behind a header: its bytes when the header went out

	denied  bool // there was no pipe to be had
	doubt   int  // large chunks that are still to come before splice is tried again
	caution int  // the next doubt: a stream that goes to and fro is left alone

	step func(fd uintptr) bool // does, for package syscall, what is to be done with the descriptor
	do   func(c *carriage, fd int) (done bool)

	n     int
	moved int
	err   error
	from  *KernelPipe
	file  *fileRange
	fd    int              // the other descriptor of a call that has two
	call  func(fd uintptr) // such a call
	outer func(fd uintptr) // and what gets at that descriptor

	look         func(fd uintptr) // at the source, for what follows
	empty, ended bool

	waitsAt *edge // what await is for
	side    Side
	to      *outlet
	rest    []byte
}

const (
	largePipe = 1 << 20 // a socket's slot may hold one byte: slots are what counts

	bulkChunk = 4 << 10 // from here on splice is no dearer than a copy, by measurement, and the cheaper the larger
	fewChunks = 8       // so many smaller ones in a row, and the stream is no bulk
	notNow    = 64      // bulk chunks before a pipe is asked for again that was not to be had
)

// with does something with an edge's descriptor, again and again until it says that it is done, waiting in between in
// the runtime's poller.
func (c *carriage) with(e *edge, side Side, do func(c *carriage, fd int) bool) error {
	if c.step == nil {
		c.step = func(fd uintptr) bool { return c.do(c, int(fd)) }
	}
	c.do, c.err = do, nil
	wait := e.raw.Write
	if side == SideSource {
		wait = e.raw.Read
	}
	err := wait(c.step)
	if e.unknown(err) {
		err = wait(c.step)
	}
	c.t.going()
	if err == nil {
		err = c.err
	}
	return err
}

func (c *carriage) pool() *Pool {
	if c.t.pool != nil {
		return c.t.pool
	}
	return defaultPool()
}

// canSplice tells whether splice is a way for the next chunk, and if it is not, why.
func (c *carriage) canSplice() (bool, string) {
	switch {
	case c.t.noSplice:
		return false, "splice is switched off"
	case c.t.stable && !c.in.isSocket():
		return false, "its bytes may change after splice, and stable ones are wanted"
	case c.in.refused != "":
		return false, c.in.refused
	}
	why := "no descriptor"
	for i := range c.outs {
		o := &c.outs[i]
		switch {
		case !o.edge.known():
		case o.edge.refused != "":
			why = o.edge.refused
		default:
			return true, ""
		}
	}
	return false, why
}

// takeDescriptor gets a chunk, by read or by splice.
func (c *carriage) takeDescriptor(n int) (int, error) {
	c.n, c.moved = n, 0
	err := c.with(&c.in, SideSource, (*carriage).doTake)
	if err != nil {
		err = closedFile(c.src, err)
	}
	switch {
	case c.moved > 0:
		c.failed = err
		c.judge(c.moved)
		return c.moved, nil
	case err == nil:
		return 0, io.EOF
	default:
		return 0, err
	}
}

// doTake tries, and while the source has nothing waits with empty hands.
func (c *carriage) doTake(fd int) bool {
	for {
		c.t.going()
		c.tryTake(fd)
		switch {
		case c.moved > 0 || c.err == nil:
			return true
		case c.err == syscall.EAGAIN && (c.in.polls || c.in.parks()):
			c.letGo()
			c.t.wait(SideSource)
			if c.in.polls {
				c.err = nil
				return false
			}
			if c.err = c.in.awaitReadable(fd); c.err != nil {
				return true
			}
		case c.pipe != nil && c.in.refuse(c.err):
			c.bulk = false
		default:
			return true
		}
	}
}

func (c *carriage) tryTake(fd int) {
	if c.in.parks() && (c.in.blocks() || !c.bulk) && !kernel.Readable(fd) {
		c.letGo()
		c.t.wait(SideSource)
		if c.err = c.in.awaitReadable(fd); c.err != nil {
			return
		}
		c.t.going()
	}
	if (c.bulk || c.splits()) && c.load() {
		c.splice(fd)
		return
	}
	space := c.space()
	c.t.called()
	c.moved, c.err = c.in.read(fd, space[:min(c.n, len(space))])
	c.bytes = space[:c.moved]
}

// splits tells whether the next chunk may be part of a packet: of a FIFO nobody knows whether it holds some. A read
// would lose the packet's rest, and a splice does not. (pipe(2), O_DIRECT)
func (c *carriage) splits() bool {
	return c.in.isFIFO() && c.n < os.Getpagesize() && !c.t.noSplice && !c.t.stable && c.in.refused == ""
}

// splice fills the pipe, which is empty: so EAGAIN can only be the source's. One call takes all that is there, or all
// that there is room for.
func (c *carriage) splice(fd int) {
	n := min(c.n, c.pipe.Cap()) // slots may hold more, and all of it would be in flight
	c.moved, c.err = c.in.splice(c.pipe.w.fd, fd, n, fd)
	c.t.called()
	c.held = c.moved
	if c.moved > 0 {
		c.in.moved = true
	}
}

// load gets the pipe of a chunk, and the spare that it is teed into. Where there is none to be had the bytes are copied.
func (c *carriage) load() bool {
	if c.pipe != nil {
		return true
	}
	if can, _ := c.canSplice(); !can && !c.splits() {
		c.bulk = false
		return false
	}
	size := largePipe
	if c.t.pipeSize > 0 {
		size = c.t.pipeSize
	}
	for ; size >= os.Getpagesize(); size /= 4 {
		p, err := c.pool().Get(size)
		if err != nil {
			continue
		}
		if len(c.outs) > 1 && (c.spare == nil || c.spare.Cap() != size) {
			if c.spare != nil {
				c.pool().putEmpty(c.spare)
			}
			if c.spare, err = c.pool().Get(size); err != nil {
				c.spare = nil
				c.pool().Put(p)
				continue
			}
		}
		c.pipe, c.denied = p, false
		c.letGoBuffer()
		return true
	}
	c.bulk, c.denied, c.doubt = false, true, notNow
	return false
}

// judge decides by the size of a chunk how the next one goes.
func (c *carriage) judge(n int) {
	if c.held > 0 {
		c.nowBy(c.splicePath())
		if n >= bulkChunk || !c.in.isSocket() {
			c.few = 0
		} else if c.few++; c.few >= fewChunks {
			c.bulk, c.few = false, 0
			c.doubt, c.caution = c.caution, min(2*c.caution+1, notNow)
		}
		return
	}
	c.nowBy(PathReadWrite)
	if n >= bulkChunk {
		if c.doubt--; c.doubt <= 0 {
			c.bulk, _ = c.canSplice()
		}
	}
	if !c.bulk {
		c.grow(n)
	}
}

// splicePath is how bytes go out of a pipe.
func (c *carriage) splicePath() Path {
	if len(c.outs) > 1 {
		return PathTeeSplice
	}
	return PathSplice
}

// nowBy notes that the next bytes go from end to end by that path.
func (c *carriage) nowBy(p Path) {
	now := c.t.now.Load()
	if now != nil && now.path == p && now.to != "" {
		return
	}
	w := &way{path: p, from: c.in.what, to: c.outs[0].edge.what}
	if c.queue != nil {
		w.from = "its queue"
	}
	if w.to == "" {
		w.to = "a plain writer"
	}
	if p == PathReadWrite {
		can, why := c.canSplice()
		switch {
		case !can:
			w.but = why
		case c.denied:
			w.but = "no kernel pipe to be had"
			if err := kernelPipesRefused(); err != nil {
				w.but = bareCause(err).Error()
			}
		default:
			w.but = "small messages"
		}
	}
	c.t.now.Store(w)
}

// deliverPipe gives what the pipe holds to every outlet: the last takes the pipe itself, the others a tee of it.
func (c *carriage) deliverPipe() {
	last := len(c.outs) - 1
	for c.outs[last].over() {
		last-- // one is left, or the transfer would be over
	}
	for c.held > 0 {
		run, teed := c.held, false
		for i := range c.outs[:last] {
			o := &c.outs[i]
			if o.over() {
				continue
			}
			m, err := kernel.Tee(c.spare.w.fd, c.pipe.r.fd, run)
			c.t.called()
			if err != nil || m < run && teed {
				// The spare is empty and has as many slots as the pipe: this cannot be, but for a kernel that
				// refuses tee.
				c.withoutTee(i)
				return
			}
			run, teed = m, true
			c.drain(o, c.spare, run)
		}
		c.drain(&c.outs[last], c.pipe, run)
		c.held -= run
	}
}

// withoutTee reads what is in the pipe, and writes it to the outlets from i on; those before have had it.
func (c *carriage) withoutTee(i int) {
	c.in.refused = "the kernel refused tee"
	b, err := c.readAll(c.pipe, c.held)
	c.held = 0
	for ; i < len(c.outs); i++ {
		o := &c.outs[i]
		if o.err == nil {
			o.err = err
		}
		c.write(o, b)
	}
}

// drain gives n bytes of a pipe to an outlet. Afterwards they are not in the pipe any more: what a failed outlet did not
// take is lost to it.
func (c *carriage) drain(o *outlet, p *KernelPipe, n int) {
	if o.queue != nil {
		c.enqueuePipe(o, p, n)
		return
	}
	c.t.face(o.index)
	done := 0
	if o.err == nil && o.edge.known() && o.edge.refused == "" {
		done = c.give(o, p, n)
	}
	if done == n {
		return
	}
	b, err := c.readAll(p, n-done)
	if o.err == nil && err != nil {
		o.err = err
	}
	c.write(o, b)
}

// give splices out of a pipe that holds what is asked for: so EAGAIN can only be the sink's.
func (c *carriage) give(o *outlet, p *KernelPipe, n int) int {
	c.to, c.from, c.n, c.moved = o, p, n, 0
	err := c.with(&o.edge, SideSink, (*carriage).doGive)
	switch {
	case err == nil:
	case c.moved == 0 && o.edge.refuse(err):
		c.nowBy(PathReadWrite)
	default:
		o.err = closedFile(o.w, err)
	}
	if c.moved > 0 {
		o.edge.moved = true
	}
	return c.moved
}

func (c *carriage) doGive(fd int) bool {
	e := &c.to.edge
	c.t.going()
	for c.moved < c.n {
		n := c.n - c.moved
		if e.blocks() {
			n = min(n, os.Getpagesize()) // what it takes that can be written to at all
			c.t.wait(SideSink)
			if c.err = e.awaitWritable(fd); c.err != nil {
				return true
			}
			c.t.going()
		}
		m, err := e.splice(fd, c.from.r.fd, n, fd)
		c.t.called()
		c.moved += m
		c.gave(c.to, m, c.splicePath())
		switch {
		case err == syscall.EAGAIN && e.polls:
			c.t.wait(SideSink)
			return false
		case err == syscall.EAGAIN && e.parks():
			c.t.wait(SideSink)
			if c.err = e.awaitWritable(fd); c.err != nil {
				return true
			}
		case err != nil:
			c.err = err
			return true
		case m == 0:
			c.err = fmt.Errorf("the pipe has lost its bytes: %w", io.ErrUnexpectedEOF)
			return true
		}
	}
	return true
}

// writeDescriptor writes to a descriptor by write(2): os.File's own Write kills the process where the reader of its
// stdout has gone.
func (c *carriage) writeDescriptor(o *outlet, b []byte) (int, error) {
	c.to, c.rest, c.moved = o, b, 0
	err := c.with(&o.edge, SideSink, (*carriage).doWrite)
	if err != nil {
		err = closedFile(o.w, err)
	}
	return c.moved, err
}

func (c *carriage) doWrite(fd int) bool {
	e := &c.to.edge
	c.t.going()
	for c.moved < len(c.rest) {
		if e.parks() {
			c.t.wait(SideSink)
		}
		m, err := c.writeOnce(e, fd, c.rest[c.moved:])
		c.t.going()
		c.t.called()
		c.moved += m
		c.gave(c.to, m, PathReadWrite)
		switch {
		case err == syscall.EAGAIN && e.polls:
			c.t.wait(SideSink)
			return false
		case err != nil && (err != syscall.EAGAIN || !e.parks()):
			c.err = err
			return true
		}
	}
	return true
}

func (c *carriage) writeOnce(e *edge, fd int, b []byte) (int, error) {
	if c.more && e.isSocket() && !e.parks() {
		return kernel.SendMore(fd, b)
	}
	return e.write(fd, b)
}
