package hub

import (
	"context"
	"errors"

	"github.com/penstock-io/penstock"
)

// A chunk that is in memory from the start is written to the sinks in step from where it is, one call each, without
// references and pipes for each of them.

// atOnce is done: with it Confirm only looks.
var atOnce = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// show makes the views, where the chunk is in memory and its bytes have arrived. Precondition: the caller is the fast
// loop, whose claim keeps the chunk's pages; nobody takes its pipe before hide.
func (h *Hub) show(c *chunk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.pipe.(*penstock.Pipe)
	if !ok {
		return
	}
	views, bufs := c.viewsOf[:0], h.shown[:0]
	left := c.n
	for left > 0 {
		b, err := p.Pull(context.Background(), left, penstock.NonBlock)
		if err != nil {
			break
		}
		bufs = append(bufs, b)
		if b.Confirm(atOnce) != nil { // on its way, or it never comes: that is for who waits for it
			break
		}
		view, err := b.Map()
		if err != nil {
			break
		}
		views = append(views, view)
		left -= len(view)
	}
	err := p.Unread(bufs...)
	h.shown, c.views = bufs[:len(views)], views
	if left > 0 || err != nil { // the latter is not expected of a pipe that nobody else writes to
		c.err = errors.Join(c.err, err)
		h.hide(c)
	}
	clear(bufs[len(views):])
}

// hide undoes show.
func (h *Hub) hide(c *chunk) {
	if c.views == nil {
		return
	}
	for _, b := range h.shown {
		b.Unmap()
	}
	clear(h.shown)
	clear(c.views)
	c.views = nil
}

// offerBytes gives v, which is in step, what its sink takes of c's bytes at once, and tells whether it did: else it is to
// be offered c in the other way.
func (h *Hub) offerBytes(l *loop, v *Viewer, c *chunk) bool {
	n, err := v.direct.TryWritev(c.views)
	v.tally.called()
	if n > 0 {
		bump(&v.at, int64(n))
		bump(&v.sent, int64(n))
		v.expect = c.off + int64(n)
		v.took(c.pipe, c.why, false)
		v.tally.gave(v.noteWay(c.pipe), n)
	}
	switch {
	case n == c.n:
		l.kept = append(l.kept, v)
	case n == 0 && errors.Is(err, penstock.ErrCannotSplice):
		v.direct = nil
		return false
	case err == nil, errors.Is(err, penstock.ErrWouldBlock):
		v.stall()
		v.loaded = n
		h.fallBehind(v, c, false)
	default:
		l.failed, l.causes = append(l.failed, v), append(l.causes, err)
	}
	return true
}
