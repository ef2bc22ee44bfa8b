package penstock

import (
	"errors"
	"io"
)

// What a transfer fails with, and whom it blames.

// failing tells whether an outlet has failed just now.
func (c *carriage) failing() bool {
	for i := range c.outs {
		if o := &c.outs[i]; o.err != nil && !o.gone {
			return true
		}
	}
	return false
}

// verdict is the error of the outlets that have failed, each with what is in flight to it; nil if the transfer goes on
// without them. One that was interrupted does, too, as far as it gets: it ends with that error besides, or with all.
func (c *carriage) verdict() error {
	if !c.failing() {
		return nil
	}
	goOn := false // with whom
	for i := range c.outs {
		goOn = goOn || c.outs[i].err == nil && !c.outs[i].sated
	}
	goOn = goOn && c.t.goWithout != nil
	for i := range c.outs {
		o := &c.outs[i]
		if o.err == nil || o.gone {
			continue
		}
		e := c.outletError(o)
		c.fallen = append(c.fallen, e)
		o.gone, o.lost = true, nil
		goOn = goOn && c.t.goWithout(e)
	}
	if goOn {
		return nil
	}
	return c.withFallen(nil)
}

func (c *carriage) outletError(o *outlet) *OpError {
	c.t.fell(o.index)
	e := c.opError(SideSink, o.err)
	if o.queue != nil {
		var err error
		if e.InFlight, err = o.queue.leftOver(e.Err, o.lost); err != nil {
			e.Err = errors.Join(e.Err, err)
		}
	} else {
		e.InFlight = heapPipe(o.lost)
	}
	e.Offset = c.t.delivered(o.index)
	if o.index > 0 {
		e.Err = &OutputError{o.index, e.Err}
	}
	return e
}

// withFallen adds to an error, if there is one, those of the outlets that have failed.
func (c *carriage) withFallen(err error) error {
	errs := c.fallen
	c.fallen = nil
	if err != nil {
		errs = append(errs, err)
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// opError is the error of a transfer at its present place.
func (c *carriage) opError(side Side, err error) *OpError {
	e := &OpError{Op: "copy", Side: side, Err: c.t.because(bareCause(err)), InFlight: c.late}
	if w := c.t.now.Load(); w != nil {
		e.Path = w.path
	}
	e.Offset = c.t.delivered(0)
	if side == SideSource {
		e.Offset = c.t.in.Load()
	}
	return e
}

func (c *carriage) sourceError(err error) error {
	if err == nil || err == io.EOF {
		return nil
	}
	c.sourceFailed = true
	return c.opError(SideSource, err)
}

// bareCause takes an error out of the *OpError that it came in, which the transfer's own replaces.
func bareCause(err error) error {
	if op, ok := err.(*OpError); ok {
		return op.Err
	}
	return err
}
