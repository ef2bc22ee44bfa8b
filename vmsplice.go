package penstock

import (
	"context"
	"math"
	"syscall"
)

// Vmsplice lends b to the pipe, as one buffer in one slot however long it is, waiting for the slot unless flags say
// NonBlock. Nothing is copied: b stays the caller's, who does not write to it until released is called. That happens
// exactly once, when the last reference anywhere is gone (a tee makes more), from whatever goroutine gave it up and with
// no lock held. With Gift the memory is the pipe's for ever, may be stolen by whoever gets it, and released must be nil.
//
// It returns len(b), or 0 and an error, after which b is the caller's as before and released is not called: EPIPE
// without a reader, ErrWouldBlock, EINVAL for more than 2 GiB. An empty b is released at once.
//
// Who would rather not wait for callbacks keeps a ring of memory with twice as many entries as the pipe has slots: what is
// written over on the second way round has left the pipe. That holds for this pipe only: one that it is teed to, spliced
// into or pulled from holds the memory for longer. See the example. (vmsplice(2); Torvalds, 20 April 2006)
func Vmsplice(ctx context.Context, p *Pipe, b []byte, released func(), flags Flags) (int, error) {
	if len(b) > math.MaxInt32 || flags&Gift != 0 && released != nil {
		return 0, opErr("vmsplice", SideSource, PathPages, syscall.EINVAL)
	}
	if len(b) == 0 {
		if released != nil {
			released()
		}
		return 0, nil
	}
	p.mu.Lock()
	defer p.unlock()
	if err := p.awaitRoomLocked(ctx, flags); err != nil {
		return 0, p.writeError("vmsplice", SidePipe, err)
	}
	if flags&Gift != 0 {
		p.pushLocked(Buffer{page: foreignPage(b, false, nil), length: uint32(len(b)), flags: BufGift})
	} else {
		p.pushLocked(Buffer{page: foreignPage(b, true, released), length: uint32(len(b))})
	}
	p.chainWritersLocked()
	return len(b), nil
}
