package penstock

import "io"

// Explanation tells which way the bytes of a [Copy] will go, and why.
type Explanation struct {
	Path Path   // as the [Report] would tell it; empty if nothing is to be moved
	Why  string // in words, what it leads through, or why it is no faster one

	// Outputs tells it of each sink, the destination being the first, where there are several; nil where there is one.
	// A sink that no tee can be spliced to is written to.
	Outputs []Explanation
}

// String reads "splice (TCP socket to TCP socket)".
func (e Explanation) String() string {
	if e.Path == "" {
		return e.Why
	}
	return string(e.Path) + " (" + e.Why + ")"
}

// Explain tells which way a [Copy] of much data with the same arguments, under a context that may end, would take, and
// why, without moving a byte, and without waiting. The two ends are as they were when it returns, and its errors are
// those that Copy would begin with.
//
// It decides as Copy does, and asks the kernel what Copy would find out by trying, by calls that can move nothing: a
// splice of a pipe that is empty, a copy of no bytes. What it cannot foresee is a source that refuses to be spliced,
// as files of /proc do, and a way given up for messages that are small: where that may be, Why says so. A header, and
// what a bufio.Reader has read ahead, are written before the way that is told begins.
func Explain(dst io.Writer, src io.Reader, opts ...Option) (Explanation, error) {
	t := NewTransfer(dst, src, opts...)
	if err := t.check(); err != nil {
		return Explanation{}, err
	}
	t.interruptible = true
	c := &t.carriage
	defer c.close()
	if err := c.open(t); err != nil {
		return Explanation{}, err
	}
	if c.left == 0 {
		return Explanation{Why: "nothing is to be moved"}, nil
	}
	c.foresee()
	w := t.now.Load()
	e := Explanation{Path: w.path, Why: w.why()}
	if len(c.outs) > 1 {
		for i := range c.outs {
			w := c.foreseeOutlet(&c.outs[i], w)
			e.Outputs = append(e.Outputs, Explanation{Path: w.path, Why: w.why()})
		}
	}
	return e, nil
}

// foresee notes the way that carry would take, as carry does when it takes it.
func (c *carriage) foresee() {
	c.tryRefusals()
	src, dst := c.pipeEnd()
	switch {
	case src != nil:
		c.taking(c.sink.Path(src))
	case dst != nil:
		c.taking(c.source.Path(dst))
	default:
		c.foreseeRelay()
	}
}
