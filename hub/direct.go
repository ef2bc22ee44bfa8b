package hub

import (
	"context"
	"errors"

	"github.com/penstock-io/penstock"
)

// A chunk that is in memory from the start is written to the sinks in step from where it is, one call each, without
// references and pipes for each of them.

// show makes the views, where the chunk is in memory. Precondition: the caller is the fast loop, whose claim keeps the
// chunk's pages.
func (h *Hub) show(c *chunk) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.pipe.(*penstock.Pipe)
	if !ok {
		return
	}
	views, bufs := c.viewsOf[:0], h.shown[:0]
	for left := c.n; left > 0; {
		b, err := p.Pull(context.Background(), left, penstock.NonBlock)
		if err != nil {
			break
		}
		bufs = append(bufs, b)
		view, err := b.Map()
		if err != nil {
			break
		}
		views = append(views, view)
		if left -= len(view); left == 0 {
			c.views = views
		}
	}
	if err := p.Unread(bufs...); err != nil {
		c.views, c.err = nil, errors.Join(c.err, err) // not expected of a pipe that nobody else writes to
	}
	clear(bufs)
	h.shown = bufs
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
		v.tally.stalls.Add(1)
		v.loaded = n
		h.fallBehind(v, c, false)
	default:
		l.failed, l.causes = append(l.failed, v), append(l.causes, err)
	}
	return true
}
