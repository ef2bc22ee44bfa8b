package penstock

import (
	"errors"
	"time"
)

// The two ends of an output's queue: the carriage that puts chunks in, and the one that takes them out.

// queued tells whether an output has a queue.
func (c *carriage) queued() bool { return len(c.t.queues) > 0 }

// dropQueues is for a transfer that has panicked: else its queues have ended, and are empty. A Write in progress is not
// waited for: what it has in hand is given back when it has returned.
func (c *carriage) dropQueues() {
	for i := range c.outs {
		q := c.outs[i].queue
		if q == nil {
			continue
		}
		if !q.over() {
			q.interrupt(errAbandoned)
		}
		for _, p := range q.empty() {
			p.giveBack()
		}
	}
}

// errAbandoned is of a goroutine that has ended with its work undone: by a panic, or by runtime.Goexit.
var errAbandoned = errors.New("the transfer was abandoned")

// endQueues waits until the outputs have had what is in their queues, and adds to err what failed with that.
func (c *carriage) endQueues(err error) error {
	if !c.queued() {
		return err
	}
	if peer := c.t.peer; peer != nil && err != nil {
		endOther(c.t, peer, err) // which has nothing to do with what is in queues
	}
	for i := range c.outs { // all at once: who waits for the first may want something of the last first
		q := c.outs[i].queue
		if q == nil {
			continue
		}
		q.tell(&q.ended, true)
		if q.Linger > 0 {
			timer := time.AfterFunc(q.Linger, func() { q.own.stop(ErrQueueLate) })
			defer timer.Stop()
		}
	}
	for i := range c.outs {
		o := &c.outs[i]
		if o.queue == nil || o.gone {
			continue
		}
		c.t.face(o.index)
		c.t.wait(SideSink)
		if qerr := o.queue.end(); o.err == nil && !c.hadAll(o.queue, qerr) {
			o.err = qerr
		}
		c.t.going()
	}
	v := c.verdict()
	switch {
	case v == nil:
		return err
	case err == nil:
		return v
	}
	err = errors.Join(v, err)
	if len(c.outs) == 1 {
		gather(err)
	}
	return err
}

// hadAll tells whether a queue's transfer has only been interrupted, and that with nothing left to do: its output lacks
// nothing of what has come in.
func (c *carriage) hadAll(q *queue, err error) bool {
	cause := c.t.cause()
	left, _ := q.held()
	ended := cause != nil && errors.Is(err, cause) || errors.Is(err, ErrQueueLate)
	return ended && left == 0 && inFlightOf(err) == nil
}

// enqueue puts a copy of b into an output's queue, or what is in the hand itself if no other output wants it.
func (c *carriage) enqueue(o *outlet, b []byte) {
	b = b[:c.wanted(o, len(b))]
	for len(b) > 0 {
		piece := b[:min(len(b), largeBuffer)]
		room, err := c.room(o, len(piece))
		if err != nil {
			o.err = err
			o.lost = append(o.lost, b...)
			return
		}
		if room {
			o.queue.put(c.boxed(piece))
		}
		b = b[len(piece):]
	}
}

// wanted tells how many of n bytes an output with a queue is to get, and whether it is over with them.
func (c *carriage) wanted(o *outlet, n int) int {
	if most := o.queue.Most; most > 0 {
		n = int(min(int64(n), most-o.fed))
		o.fed += int64(n)
		o.sated = o.fed == most
	}
	return n
}

// room waits for room in an output's queue, and tells whether there is some: else n bytes are to be skipped.
func (c *carriage) room(o *outlet, n int) (bool, error) {
	if o.err != nil {
		return false, o.err
	}
	c.t.face(o.index)
	room, err := o.queue.await(int64(n), func() { c.t.wait(SideSink) })
	c.t.going()
	return room, err
}

// boxed makes a parcel of b.
func (c *carriage) boxed(b []byte) parcel {
	if len(c.outs) == 1 && len(b) == len(c.bytes) && 2*len(b) >= cap(c.bytes) {
		p := parcel{buf: c.buf, bytes: c.bytes}
		c.buf, c.bytes = nil, nil
		return p
	}
	h := hand{roomy: len(b) > smallBuffer}
	space := h.space()
	return parcel{buf: h.buf, bytes: append(space[:0], b...)}
}

// takeQueued gets a chunk that is in the queue into the hand.
func (c *carriage) takeQueued() (int, error) {
	c.letGo()
	c.t.wait(SideSource)
	p, err := c.queue.next()
	c.t.going()
	if err != nil {
		return 0, err
	}
	c.accept(&p)
	return int(p.len()), nil
}

// leftOver is what an output with a queue lacks, in a pipe: what is in flight of the queue's transfer, what is in the
// queue, and rest. The transfer is over, or ends.
func (q *queue) leftOver(cause error, rest []byte) (*Pipe, error) {
	q.own.stop(cause)
	err := q.end()
	var parts [][]byte
	var errs []error
	if p := inFlightOf(err); p != nil {
		b := make([]byte, p.Len())
		n, _ := p.PeekInto(b) // it is a heap pipe: all of it
		parts = append(parts, b[:n])
	}
	for _, p := range q.empty() {
		b, err := p.read()
		parts, errs = append(parts, b), append(errs, err)
	}
	parts = append(parts, rest)
	return heapPipe(parts...), errors.Join(errs...)
}
