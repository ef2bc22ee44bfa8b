package penstock

import (
	"errors"
	"io"
	"sync"
)

// carriage carries the bytes of one transfer, chunk by chunk, by the fastest way there is between its ends. It belongs to
// one goroutine.
//
// Invariant: between two chunks nothing is in hand. So whatever a chunk's delivery leaves is all that can be in flight.
type carriage struct {
	t    *Transfer
	src  io.Reader
	in   *edge // src's descriptor, nil if it has none
	outs []*outlet

	ahead  aheadReader     // what a bufio.Reader has read ahead of src, nil if none
	settle []func(n int64) // tell src's wrappers how much was taken
	left   int64           // of the limit; -1 for none

	hand
	failed error // met behind bytes that went first
	reads  *reads
	late   *Pipe // gets what a Read left behind still brings
	steps
}

// outlet is one sink of a transfer.
type outlet struct {
	index int
	w     io.Writer
	edge  *edge // w's descriptor, nil if it has none

	err  error  // what it failed with
	lost []byte // what it lacks of that which has left the source
}

// hand is what a carriage holds while bytes are under way, and only then: idle transfers hold neither.
type hand struct {
	buf   *[]byte // from one of the buffer pools
	bytes []byte  // of buf: what is to be delivered

	roomy bool // a larger buffer is worth it
}

const (
	smallBuffer = 32 << 10
	largeBuffer = 256 << 10 // measured: larger ones leave the cache
)

var (
	smallBuffers = sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }}
	largeBuffers = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}
)

// space returns the buffer, which the carriage has from now on.
func (h *hand) space() []byte {
	if h.buf == nil {
		pool := &smallBuffers
		if h.roomy {
			pool = &largeBuffers
		}
		h.buf = pool.Get().(*[]byte)
	}
	return *h.buf
}

// letGoBuffer returns the buffer to its pool. Nothing is in it any more.
func (h *hand) letGoBuffer() {
	if h.buf == nil {
		return
	}
	if len(*h.buf) == smallBuffer {
		smallBuffers.Put(h.buf)
	} else {
		largeBuffers.Put(h.buf)
	}
	h.buf, h.bytes = nil, nil
}

func newCarriage(t *Transfer) *carriage {
	c := &carriage{t: t, src: t.src, left: t.limit}
	c.unwrap()
	for i, w := range t.sinks() {
		c.outs = append(c.outs, &outlet{index: i, w: w, edge: edgeOf(w)})
	}
	c.in = edgeOf(c.src)
	return c
}

// ends returns what the carriage may wait at.
func (c *carriage) ends() []interrupter {
	ends := []interrupter{readEnd{c.src, c.in}}
	for _, o := range c.outs {
		ends = append(ends, writeEnd{o.w, o.edge})
	}
	return ends
}

func (c *carriage) close() {
	c.letGo()
	if c.reads != nil {
		c.reads.stop()
	}
	taken := max(c.t.meter.in.Load()-int64(len(c.t.header)), 0)
	for _, settle := range c.settle {
		settle(taken)
	}
}

// carry moves everything.
func (c *carriage) carry() error {
	if err := c.carryHead(); err != nil {
		return err
	}
	if err := c.carryFirst(); err != nil {
		return err
	}
	if err := c.carryAhead(); err != nil || c.left == 0 {
		return err
	}
	if done, err := c.betweenPipes(); done || err != nil {
		return err
	}
	if done, err := c.byDescriptor(); done || err != nil {
		return err
	}
	return c.relay()
}

// relay takes a chunk and delivers it, until there is none.
func (c *carriage) relay() error {
	for {
		n, err := c.allow(largeChunk)
		if n == 0 {
			return err
		}
		n, err = c.take(n)
		if n > 0 {
			c.took(n)
			if derr := c.deliver(); derr != nil {
				if err != nil && err != io.EOF {
					derr = errors.Join(derr, c.sourceError(err))
				}
				return derr
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return c.sourceError(err)
		}
	}
}

// largeChunk bounds what is asked for at a time.
const largeChunk = 1 << 30

// allow waits until bytes may go, and returns how many of n; 0 at the limit, or with the reason why none may any more.
func (c *carriage) allow(n int) (int, error) {
	if c.left >= 0 {
		if n = int(min(int64(n), c.left)); n == 0 {
			return 0, nil
		}
	}
	n = c.t.pace.grant(&c.t.meter, n)
	if cause := c.t.cause(); cause != nil {
		return 0, c.opError(SidePipe, cause)
	}
	return n, nil
}

// took accounts for bytes that have left the source.
func (c *carriage) took(n int) {
	c.t.meter.took(n)
	c.t.pace.spend(n)
	if c.left >= 0 {
		c.left -= int64(n)
	}
}

// take gets up to n bytes into the hand, waiting for the first of them, and io.EOF at the end.
func (c *carriage) take(n int) (int, error) {
	if err := c.failed; err != nil {
		c.failed = nil
		return 0, err
	}
	if c.in != nil {
		return c.takeDescriptor(n)
	}
	return c.takePlain(n)
}

var wayPlain = &way{PathReadWrite, "a plain reader or writer"}

// takePlain reads a Reader, which may wait as long as it likes.
func (c *carriage) takePlain(n int) (int, error) {
	space := c.space()
	space = space[:min(n, len(space))]
	for range maxEmptyReads {
		c.t.wait(SideSource)
		m, err := c.read(space)
		c.t.going()
		c.t.called()
		if m > 0 {
			c.t.meter.take(wayPlain)
			c.bytes = space[:m]
			c.grow(m)
			c.failed = err
			return m, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// read reads where an interruption can end it, and else in a goroutine that an interruption leaves behind.
func (c *carriage) read(space []byte) (int, error) {
	if !c.abandons() {
		return counted(c.src.Read, space)
	}
	if c.reads == nil {
		c.reads = startReads(c.src)
	}
	m, err, ok := c.reads.read(space, c.t.done)
	if !ok {
		c.buf, c.late = nil, c.reads.late() // the Read still has the buffer
		return 0, c.t.cause()
	}
	return m, err
}

// abandons tells whether a Read may have to be left behind: the transfer can be interrupted, and the reader cannot.
func (c *carriage) abandons() bool {
	_, has := c.src.(readDeadliner)
	return !has && c.t.interruptible
}

// grow asks for a larger buffer when one has come back full.
func (c *carriage) grow(n int) {
	c.roomy = c.roomy && n > smallBuffer/2 || n == smallBuffer
}

// deliver gives what is in hand to every outlet. Each gets all of it, or fails; that one does does not cut the others
// short.
func (c *carriage) deliver() error {
	if c.inPipe() {
		c.deliverPipe()
	} else {
		for _, o := range c.outs {
			c.write(o, c.bytes)
		}
	}
	c.letGoFull()
	return c.verdict()
}

// letGoFull gives back a buffer that the next chunk has no use for.
func (c *carriage) letGoFull() {
	c.bytes = nil
	if c.buf != nil && c.roomy != (len(*c.buf) == largeBuffer) {
		c.letGoBuffer()
	}
}

// write gives bytes to an outlet. What a failed one does not take is lost to it.
func (c *carriage) write(o *outlet, b []byte) {
	done := 0
	if o.err == nil {
		if o.edge != nil {
			done, o.err = c.writeDescriptor(o, b)
		} else {
			c.t.wait(SideSink)
			done, o.err = writeAll(o.w, b)
			c.t.going()
			c.t.called()
		}
		c.gave(o, done, PathReadWrite)
	}
	if o.err != nil {
		o.lost = append(o.lost, b[done:]...)
	}
}

func (c *carriage) gave(o *outlet, n int, by Path) {
	if o.index == 0 {
		c.t.meter.gave(n, by)
	} else {
		bump(&c.t.teed[o.index-1], int64(n))
	}
}

// verdict is the error of the outlets that have failed, each with what is in flight to it.
func (c *carriage) verdict() error {
	var errs []error
	for _, o := range c.outs {
		if o.err == nil {
			continue
		}
		e := c.opError(SideSink, o.err)
		if o.index > 0 {
			e.Err = &OutputError{o.index, e.Err}
			e.Offset = c.t.teed[o.index-1].Load()
		}
		if len(o.lost) > 0 {
			e.InFlight = heapPipe(o.lost)
		}
		errs = append(errs, e)
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// opError is the error of a transfer at its present place.
func (c *carriage) opError(side Side, err error) *OpError {
	e := &OpError{Op: "copy", Side: side, Err: c.t.because(bareCause(err)), InFlight: c.late}
	if w := c.t.meter.now.Load(); w != nil {
		e.Path = w.path
	}
	e.Offset = c.t.meter.out.Load()
	if side == SideSource {
		e.Offset = c.t.meter.in.Load()
	}
	return e
}

func (c *carriage) sourceError(err error) error {
	if err == nil || err == io.EOF {
		return nil
	}
	return c.opError(SideSource, err)
}

// bareCause takes an error out of the *OpError that it came in, which the transfer's own replaces.
func bareCause(err error) error {
	if op, ok := err.(*OpError); ok {
		return op.Err
	}
	return err
}
