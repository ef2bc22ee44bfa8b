package hub

import (
	"context"

	"github.com/penstock-io/penstock"
)

// Follow publishes what another hub carries, as one of that one's viewers, until that has ended, or ctx is done. The pipe
// between the two is all that this one may lag behind without that one noticing. It returns what Publish does, or why it
// had to leave the other hub: ErrTooSlow, say. The viewer's OnLeave is called as ever.
func (h *Hub) Follow(ctx context.Context, from *Hub, as SinkConfig, cfg PublishConfig) (int64, error) {
	p := newLink(h, from)
	defer p.Close()
	ours := as.OnLeave
	as.OnLeave = func(err error) {
		p.CloseWrite()
		if ours != nil {
			ours(err)
		}
	}
	v, err := from.Attach(penstock.SinkOf(p), as)
	if err != nil {
		return 0, err
	}
	n, err := h.Publish(ctx, penstock.SourceOf(p), cfg)
	if err != nil {
		v.Leave(err)
		p.Close() // whoever writes to it is told
		<-v.Done()
		return n, err
	}
	return n, v.Err()
}

// link is a pipe between two hubs.
type link interface {
	penstock.Conduit
	CloseWrite() error
}

// newLink returns the kernel's if both hubs use such and there is one.
func newLink(to, from *Hub) link {
	if to.pool != nil && from.pool != nil {
		if p, err := penstock.NewKernelPipe(largeChunk); err == nil {
			return p
		}
	}
	return penstock.NewPipe(0)
}
