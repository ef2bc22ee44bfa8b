package penstock

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"time"
)

// carriage carries the bytes of one transfer, chunk by chunk, by the fastest way there is between its ends. It belongs
// to one goroutine, but for interrupt and resume.
//
// Invariant: between two chunks nothing is in hand. So whatever a chunk's delivery leaves is all that can be in flight.
type carriage struct {
	t     *Transfer
	src   io.Reader
	dst   io.Writer
	in    edge // of src
	outs  []outlet
	queue *queue    // what this is the carriage of, instead of src; nil of all others
	one   [1]outlet // what outs is in most transfers

	ahead  aheadReader     // what a bufio.Reader has read ahead of src, nil if none
	settle []func(n int64) // tell src's wrappers how much was taken from them
	aside  int64           // bytes delivered that came from elsewhere than src
	left   int64           // of the limit; -1 for none

	source Source  // where the destination is a pipe
	sink   stepper // where the source is one, or what was in flight

	hand
	failed error   // met behind bytes that went first
	fallen []error // of the outlets that the transfer has gone on without

	sourceFailed bool // which a sink's failure along with it may hide

	reads *reads
	late  *Pipe // gets what a Read left behind still brings
	steps
}

// outlet is one sink of a transfer.
type outlet struct {
	index int
	w     io.Writer
	edge  edge
	queue *queue // of its own; nil if it is in step

	err  error  // what it failed with
	lost []byte // what it lacks of that which has left the source
	gone bool   // the transfer goes on without it

	fed   int64 // of an output with a queue that has a Queue.Most: bytes that it was to get
	sated bool  // those are all
}

// open looks at the ends.
func (c *carriage) open(t *Transfer) error {
	c.t, c.left = t, t.limit
	c.unwrap()
	if c.src == nil {
		return opErr("copy", SideSource, "", fmt.Errorf("no source: %w", syscall.EINVAL))
	}
	if c.in.of(c.src); c.in.datagram || isDatagram(c.src) {
		return opErr("copy", SideSource, "", errDatagrams)
	}
	if c.settle != nil && (c.abandons() || t.first != nil && t.first.filling()) {
		c.wrapUp()
	}
	c.in.unblock(false)
	c.outs = c.one[:]
	if len(t.tees) > 0 {
		c.outs = make([]outlet, 1+len(t.tees))
	}
	for i := range c.outs {
		o := &c.outs[i]
		o.index, o.w = i, t.sink(i)
		if o.edge.of(o.w); o.edge.datagram {
			return sinkError(i, errDatagrams)
		}
		if o.queue = t.queue(i); o.queue == nil {
			o.edge.unblock(true)
		}
	}
	if _, pipe := bare(c.src); pipe || t.first != nil {
		c.sink = SinkOf(c.dst).(stepper)
	}
	if _, pipe := bare(c.dst); pipe && !c.abandons() && c.queue == nil {
		c.source = SourceOf(c.src)
	}
	return nil
}

// close gives everything back.
func (c *carriage) close() {
	c.letGo()
	c.dropQueues()
	if c.reads != nil {
		c.reads.stop()
	}
	c.in.close()
	for i := range c.outs {
		c.outs[i].edge.close()
	}
	for _, settle := range c.settle {
		settle(c.t.in.Load() - c.aside)
	}
}

// interrupt ends the waits at both ends, and those to come, with os.ErrDeadlineExceeded. A deadline in the past does
// that, and for a descriptor that has none its edge.
func (c *carriage) interrupt() {
	c.in.interrupt()
	_ = setReadDeadline(c.src, past) // who has no deadlines is waited for, or left behind: the doc says so
	if c.source != nil {
		_ = InterruptReads(c.source)
	}
	if c.t.first != nil {
		_ = c.t.first.SetReadDeadline(past) // never fails
	}
	for i := range c.outs {
		if q := c.outs[i].queue; q != nil {
			if i > 0 && q.Linger > 0 && c.t.cause() == ErrPeerFailed {
				q.tell(&q.halted, true) // what came before that it may still have
			} else {
				q.interrupt(c.t.cause())
			}
			continue
		}
		c.outs[i].edge.interrupt()
		setWriteDeadline(c.outs[i].w, past)
	}
	if c.sink != nil {
		c.sink.Interrupt()
	}
}

func (c *carriage) resume() {
	c.in.resume()
	_ = setReadDeadline(c.src, time.Time{})
	if c.source != nil {
		_ = ResumeReads(c.source)
	}
	if c.t.first != nil {
		_ = c.t.first.SetReadDeadline(time.Time{})
	}
	for i := range c.outs {
		if c.outs[i].queue != nil {
			continue // its own transfer does
		}
		c.outs[i].edge.resume()
		setWriteDeadline(c.outs[i].w, time.Time{})
	}
	if c.sink != nil {
		c.sink.Resume()
	}
}

// carry moves everything.
func (c *carriage) carry() error {
	if c.queue != nil {
		return c.relay()
	}
	err := c.carryIn()
	if err == nil && c.t.most && c.left == 0 && !c.unwanted() {
		err = c.overMost()
	}
	inStep := c.t.queue(0) == nil
	if err == nil && inStep { // it does not wait for others to have what is in their queues
		err = c.t.closeSink()
		c.t.complete.Store(err == nil)
	}
	if inStep {
		c.t.tellMoved()
	}
	if err = c.endQueues(err); err == nil && !inStep {
		err = c.t.closeSink()
		c.t.complete.Store(err == nil)
	}
	if !inStep {
		c.t.tellMoved()
	}
	return err
}

// carryIn moves everything that comes in.
func (c *carriage) carryIn() error {
	if len(c.t.header) > 0 || c.t.first != nil || c.ahead != nil {
		if err := c.carryHeads(); err != nil {
			return err
		}
	}
	if c.left == 0 {
		return nil
	}
	if done, err := c.betweenPipes(); done || err != nil {
		return err
	}
	if done, err := c.byDescriptor(); done || err != nil {
		return err
	}
	return c.relay()
}

// overMost waits for the source's end, behind all the bytes that it may give.
func (c *carriage) overMost() error {
	n, err := c.take(1)
	if n == 0 {
		return c.sourceError(err)
	}
	c.t.took(n)
	more, err := c.inHand()
	c.sourceFailed = true
	over := c.opError(SideSource, errors.Join(ErrTooMuch, err))
	over.InFlight = heapPipe(slices.Clone(more))
	return over
}

// relay takes a chunk and delivers it, until there is none.
func (c *carriage) relay() error {
	for {
		err := c.failed
		if err == nil {
			n := 0
			if n, err = c.allow(largeChunk); n == 0 {
				return err
			}
			n, err = c.take(n)
			if n > 0 {
				c.took(n)
				if derr := c.deliver(); derr != nil {
					if c.failed != nil { // a socket tells an error once, and then looks like at its end
						derr = errors.Join(derr, c.sourceError(c.failed))
					}
					return derr
				}
			}
		}
		if err != nil {
			return c.sourceError(err)
		}
	}
}

// largeChunk bounds what is asked for at a time.
const largeChunk = 1 << 30

// allow waits until bytes may go, and returns how many of n; 0 at the limit, or where nobody is to get more, or with the
// reason why none may any more.
func (c *carriage) allow(n int) (int, error) {
	if c.unwanted() {
		return 0, nil
	}
	if c.left >= 0 {
		if n = int(min(int64(n), c.left)); n == 0 {
			return 0, nil
		}
	}
	n = c.t.grant(&c.t.meter, n)
	if cause := c.t.cause(); cause != nil {
		return 0, c.opError(Side(c.t.stuckAt.Load()), cause)
	}
	return n, nil
}

// took accounts for bytes that have left the source.
func (c *carriage) took(n int) {
	c.t.took(n)
	c.t.spend(n)
	if c.left >= 0 {
		c.left -= int64(n)
	}
}

// take gets up to n bytes into the hand, waiting for the first of them, and io.EOF at the end. An error behind the bytes
// is in failed.
func (c *carriage) take(n int) (int, error) {
	switch {
	case c.queue != nil:
		return c.takeQueued()
	case c.in.known():
		return c.takeDescriptor(n)
	default:
		return c.takePlain(n)
	}
}

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
			c.t.now.Store(wayPlain)
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
		c.reads = startReads(c.src, c.t.whenStopped())
	}
	m, err, ok := c.reads.read(space)
	if !ok {
		c.buf, c.late = nil, c.reads.late() // the Read still has the buffer
		return 0, c.t.cause()
	}
	return m, err
}

// abandons tells whether a Read may have to be left behind: the transfer can be interrupted, and the reader cannot.
func (c *carriage) abandons() bool {
	_, has := c.src.(readDeadliner)
	return !has && !c.in.known() && c.t.interruptible
}

// deliver gives what is in hand to every outlet. Each gets all of it, or fails; that one does does not cut the others
// short.
func (c *carriage) deliver() error {
	if c.inPipe() {
		c.deliverPipe()
	} else {
		for i := range c.outs {
			c.write(&c.outs[i], c.bytes)
		}
	}
	c.delivered()
	return c.verdict()
}

// write gives bytes to an outlet. What a failed one does not take is lost to it.
func (c *carriage) write(o *outlet, b []byte) {
	switch {
	case o.over():
		return
	case o.queue != nil:
		c.enqueue(o, b)
		return
	}
	c.t.face(o.index)
	done := 0
	if o.err == nil {
		if o.edge.known() {
			done, o.err = c.writeDescriptor(o, b)
		} else {
			c.t.wait(SideSink)
			done, o.err = writeAll(o.w, b)
			c.t.going()
			c.t.called()
			c.gave(o, done, PathReadWrite)
		}
	}
	if o.err != nil {
		o.lost = append(o.lost, b[done:]...)
	}
}

// gave counts what an outlet has taken, as soon as it has: whoever looks sees a slow sink take it.
func (c *carriage) gave(o *outlet, n int, by Path) {
	if o.index == 0 {
		c.t.gave(n, by)
	} else {
		bump(&c.t.outputs[o.index].out, int64(n))
	}
}

// The ways that are always the same.
var (
	wayPlain  = &way{path: PathReadWrite, from: "a plain reader"}
	wayHeader = &way{path: PathReadWrite, from: "the header"}
	wayAhead  = &way{path: PathReadWrite, from: "what a bufio.Reader had read ahead"}
)

// taking notes the way, if it is another.
func (c *carriage) taking(path Path, from string) {
	if now := c.t.now.Load(); now == nil || now.path != path || now.from != from {
		c.t.now.Store(&way{path: path, from: from})
	}
}

// over tells whether an outlet gets no more.
func (o *outlet) over() bool { return o.gone || o.sated }

// unwanted tells whether no outlet gets any more: those that have not failed have had all that they were to get.
func (c *carriage) unwanted() bool {
	for i := range c.outs {
		if !c.outs[i].over() {
			return false
		}
	}
	return true
}
