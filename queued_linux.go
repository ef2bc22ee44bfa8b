package penstock

import "github.com/penstock-io/penstock/internal/kernel"

// accept takes a parcel into the hand, which is empty.
func (c *carriage) accept(p *parcel) {
	c.buf, c.bytes, c.pipe, c.held = p.buf, p.bytes, p.pipe, p.held
	path, how := PathReadWrite, ""
	if o := &c.outs[0].edge; c.held > 0 && o.known() && o.refused == "" {
		path = PathSplice
	} else if c.held > 0 {
		how = "no descriptor"
		if o.refused != "" {
			how = o.refused
		}
	}
	if now := c.t.now.Load(); now == nil || now.path != path {
		to := c.outs[0].edge.what
		if to == "" {
			to = "a plain writer"
		}
		c.t.now.Store(&way{path: path, from: "its queue", to: to, but: how})
	}
}

// enqueuePipe puts n bytes of a pipe, all that it holds, into an output's queue, by giving away the pipe if another is
// to be had. Afterwards they are not in the pipe any more.
func (c *carriage) enqueuePipe(o *outlet, p *KernelPipe, n int) {
	wanted := c.wanted(o, n)
	room, err := c.room(o, wanted)
	if room && wanted < n {
		c.unload(o, p, wanted)
		n -= wanted
		room = false
	}
	switch {
	case err != nil:
		o.err = err
		b, rerr := c.readAll(p, n)
		if rerr != nil {
			o.err = rerr
		}
		o.lost = append(o.lost, b[:min(len(b), wanted)]...)
	case !room:
		if m, err := p.Discard(n); m < n {
			c.stuck = true
			o.err = err
		}
	case p == c.pipe && n == c.held:
		c.pipe = nil
		o.queue.put(parcel{pipe: p, held: n})
	case p == c.spare && c.renewSpare():
		o.queue.put(parcel{pipe: p, held: n})
	default:
		c.unload(o, p, n)
	}
}

// renewSpare gets another spare pipe in place of one that is to be given away.
func (c *carriage) renewSpare() bool {
	p, err := c.pool().Get(c.spare.Cap())
	if err != nil {
		return false
	}
	c.spare = p
	return true
}

// unload reads n bytes out of a pipe into an output's queue, which has room.
func (c *carriage) unload(o *outlet, p *KernelPipe, n int) {
	for n > 0 {
		h := hand{roomy: n > smallBuffer}
		space := h.space()
		m, err := kernel.Read(p.r.fd, space[:min(n, len(space))])
		c.t.called()
		if m == 0 {
			h.letGoBuffer()
			c.stuck, o.err = true, errLostInPipe(err)
			return
		}
		o.queue.put(parcel{buf: h.buf, bytes: space[:m]})
		n -= m
	}
}

// joinPipe moves what fits of a parcel behind this one, both in pipes, and tells whether that was all of it: then its
// pipe goes back to its pool.
func (p *parcel) joinPipe(small *parcel) bool {
	for small.held > 0 {
		m, err := kernel.Splice(p.pipe.w.fd, small.pipe.r.fd, small.held)
		if err != nil || m == 0 {
			return false
		}
		p.held += m
		small.held -= m
	}
	small.giveBack()
	return true
}
