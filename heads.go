package penstock

import (
	"bytes"
	"errors"
	"io"
)

// What goes before the source's own bytes: a header, what was in flight when the Copy before this one failed, and what a
// bufio.Reader had read ahead.

func (c *carriage) carryHeads() error {
	if err := c.carryHead(c.t.header); err != nil {
		return c.beforeFirst(err)
	}
	if err := c.carryFirst(); err != nil {
		return err
	}
	return c.carryAhead()
}

// carryHead delivers the header. It is in hand from the beginning, so that what is not delivered of it is in flight.
// Where the source's bytes follow at once the socket is told so, and sends them in one packet.
func (c *carriage) carryHead(head []byte) error {
	if len(head) == 0 {
		return nil
	}
	c.t.took(len(head))
	c.aside += int64(len(head))
	c.t.now.Store(wayHeader)
	cork := c.left != 0 && c.t.first == nil && c.ahead == nil && c.corks()
	for len(head) > 0 {
		n := c.t.grant(&c.t.meter, len(head))
		if cause := c.t.cause(); cause != nil {
			e := c.opError(Side(c.t.stuckAt.Load()), cause)
			e.InFlight = heapPipe(bytes.Clone(head)) // the caller has it back
			return e
		}
		c.more = cork || n < len(head)
		for i := range c.outs {
			c.write(&c.outs[i], head[:n])
		}
		c.more = false
		c.t.spend(n)
		head = head[n:]
		if !c.failing() {
			continue
		}
		for i := range c.outs {
			c.write(&c.outs[i], head) // it has left the source: the others get it, the pace notwithstanding
		}
		return c.verdict()
	}
	return nil
}

// carryFirst delivers what was in flight when the Copy before this one failed. What does not go stays in its pipe.
func (c *carriage) carryFirst() error {
	p := c.t.first
	if p == nil {
		return nil
	}
	before, limit := c.t.in.Load(), c.left
	c.left = -1 // the limit is the source's
	err := c.outOfPipe(c.sink, p)
	c.left = limit
	c.aside += c.t.in.Load() - before
	return c.t.keepFirst(err)
}

// beforeFirst puts what is in flight of a header before what was in flight already: one pipe has all that is to go.
func (c *carriage) beforeFirst(err error) error {
	var op *OpError
	if c.t.first == nil || !errors.As(err, &op) {
		return err
	}
	if head := op.InFlight; head != nil {
		b, rerr := io.ReadAll(head)
		if rerr == nil {
			rerr = c.t.first.Unread(Buffer{page: loosePage(b), length: uint32(len(b))})
		}
		if rerr != nil {
			return errors.Join(err, rerr)
		}
	}
	op.InFlight = c.t.first
	return err
}

// carryAhead delivers what was read ahead of the source.
func (c *carriage) carryAhead() error {
	for c.ahead != nil && c.ahead.Buffered() > 0 {
		n, err := c.allow(largeChunk)
		if n == 0 {
			return err
		}
		space := c.space()
		n, _ = c.ahead.Read(space[:min(n, len(space), c.ahead.Buffered())]) // of what it holds it tells no error
		c.t.now.Store(wayAhead)
		c.bytes = space[:n]
		c.took(n)
		if err := c.deliver(); err != nil {
			return err
		}
	}
	c.letGo()
	return nil
}
