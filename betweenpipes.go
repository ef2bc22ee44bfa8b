package penstock

import (
	"context"
	"errors"
	"io"
)

// betweenPipes carries the bytes where an end is a pipe of either backing already, as [Splice] does. Nothing is ever in
// flight then: what the sink has not taken is still in the source, or in the pipe that is the sink.
func (c *carriage) betweenPipes() (done bool, err error) {
	src, dst := c.pipeEnd()
	switch {
	case src != nil:
		if err := c.outOfPipe(c.sink, src); !errors.Is(err, ErrNoKernelPipe) {
			return true, err
		}
		return false, nil // a sink that refuses splice, and no side pipe to look at the bytes: they are read
	case dst != nil:
		return true, c.intoPipe(dst, c.source)
	default:
		return false, nil
	}
}

// pipeEnd returns the end that is a pipe and lets the other be its sink, or its source; neither if the pipe is to be read
// and written like anything else.
func (c *carriage) pipeEnd() (src, dst Conduit) {
	if len(c.outs) > 1 || c.queued() || c.t.noSplice || c.t.stable {
		return nil, nil
	}
	src, out := bare(c.src)
	dst, in := bare(c.dst)
	switch {
	case out && !c.peeks(src):
		return src, nil
	case in && c.source != nil && !c.parts(): // else a Read may be left behind, and wants a buffer that is
		return nil, dst
	default:
		return nil, nil
	}
}

func (c *carriage) outOfPipe(sink stepper, src Conduit) error {
	for {
		n, err := c.allow(largeChunk)
		if n == 0 {
			return err
		}
		held, err := waiting(c, SideSource, true, func(flags Flags) (int, error) {
			return src.available(context.Background(), flags)
		})
		if err != nil {
			return c.sourceError(err)
		}
		m, err := waiting(c, SideSink, sink.Polls(), func(flags Flags) (int, error) {
			return sink.step(src, min(n, held), flags)
		})
		c.t.called()
		c.taking(sink.Path(src))
		c.across(m)
		if err != nil && err != error(errPipeWouldBlock) { // another reader was faster
			return c.sideError(SideSink, err)
		}
	}
}

func (c *carriage) intoPipe(dst Conduit, source Source) error {
	for {
		n, err := c.allow(largeChunk)
		if n == 0 {
			return err
		}
		if dst.room(context.Background(), NonBlock) == error(errSinkWouldBlock) {
			if err := c.awaitSource(source); err != nil {
				return c.sourceError(err)
			}
		}
		_, err = waiting(c, SideSink, true, func(flags Flags) (int, error) {
			return 0, dst.room(context.Background(), flags)
		})
		if err != nil {
			return c.stranded(source, c.opError(SideSink, err))
		}
		m, err := waiting(c, SideSource, source.Polls(), func(flags Flags) (int, error) {
			return source.SpliceRead(dst, n, flags)
		})
		c.t.called()
		c.taking(source.Path(dst))
		c.across(m)
		switch {
		case err == io.EOF:
			return nil
		case err != nil && err != error(errPipeWouldBlock): // another writer was faster
			return c.stranded(source, c.sideError(SideSource, err))
		}
	}
}

// across accounts for bytes that have left the source and reached the sink in one.
func (c *carriage) across(n int) {
	c.took(n)
	c.gave(&c.outs[0], n, c.t.now.Load().path)
}

// awaitSource waits until a source has something, or has ended: then its error is io.EOF, and a sink without room need
// not be waited for.
func (c *carriage) awaitSource(source Source) error {
	c.t.wait(SideSource)
	defer c.t.going()
	err := source.Wait()
	if err == nil && c.in.known() && !source.Polls() {
		err = c.awaitDescriptor()
	}
	if err != nil {
		return err
	}
	if c.in.atEnd() {
		return io.EOF
	}
	return nil
}

// parts tells whether a FIFO may be asked for part of a packet, which a read into a page would lose the rest of.
func (c *carriage) parts() bool { return c.in.isFIFO() && (c.left >= 0 || c.t.bytesPerSecond > 0) }

// peeks tells whether a pipe's bytes would have to be looked at, by way of a side pipe, before they are written: then it
// is as well to read them.
func (c *carriage) peeks(src Conduit) bool {
	_, pipe := bare(c.dst)
	return src.backing() == "kernel" && !pipe && !c.outs[0].edge.known()
}

// stranded adds what has left the source and found no pipe to take it.
func (c *carriage) stranded(source Source, op *OpError) error {
	if op.InFlight == nil {
		op.InFlight = heapPipe(leftover(source))
	}
	if op.InFlight != nil && op.InFlight != c.late {
		c.took(op.InFlight.Len())
	}
	return op
}

// waiting does something without waiting, and if that cannot be done waits, and says for whom. What cannot be tried may
// always wait.
func waiting(c *carriage, side Side, polls bool, do func(Flags) (int, error)) (int, error) {
	if polls {
		n, err := do(NonBlock)
		if n > 0 || !errors.Is(err, ErrWouldBlock) || err == error(errPipeWouldBlock) {
			return n, err
		}
	}
	c.t.wait(side)
	defer c.t.going()
	return do(0)
}

// sideError keeps the side that an error already has.
func (c *carriage) sideError(side Side, err error) *OpError {
	if own, ok := SideOf(err); ok && own != SidePipe {
		side = own
	}
	e := c.opError(side, err)
	if e.InFlight == nil {
		e.InFlight = inFlightOf(err)
	}
	return e
}
