package penstock

import (
	"context"
	"math"
	"os"
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
// Who would rather not wait for callbacks keeps a ring of memory with twice the bytes that the pipe's slots can hold:
// what is written over on the second way round has left the pipe. See the example. (vmsplice(2); Torvalds, 20 April 2006)
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

// Push puts a buffer into the pipe and takes over its reference, waiting for a slot unless flags say NonBlock. With an
// error the buffer is still the caller's. It is the push of a loan or a gift, by what the buffer's page is.
func (p *Pipe) Push(ctx context.Context, b Buffer, flags Flags) error {
	if b.page == nil {
		return opErr("push", SidePipe, PathPages, syscall.EINVAL)
	}
	p.mu.Lock()
	defer p.unlock()
	if err := p.awaitRoomLocked(ctx, flags); err != nil {
		return p.writeError("push", SidePipe, err)
	}
	p.pushLocked(b)
	p.chainWritersLocked()
	return nil
}

// Pull takes the oldest buffer out of the pipe, or its first n bytes if it is longer, waiting for one unless flags say
// NonBlock. The buffer is the caller's: to be passed on with Push, put back with Unread, or released. Its bytes may not
// have arrived yet; [Buffer.Confirm] waits for them.
func (p *Pipe) Pull(ctx context.Context, n int, flags Flags) (Buffer, error) {
	if n <= 0 {
		return Buffer{}, opErr("pull", SidePipe, PathPages, syscall.EINVAL)
	}
	p.mu.Lock()
	defer p.unlock()
	if err := p.awaitDataLocked(ctx, flags); err != nil {
		return Buffer{}, p.readError("pull", SidePipe, err)
	}
	head := p.slot(p.tail)
	if n < int(head.length) {
		b := head.dup(0, uint32(n))
		p.dropLocked(n)
		p.chainReadersLocked()
		return b, nil
	}
	b := *head
	*head = Buffer{}
	p.tail++
	p.out += int64(b.length)
	p.chainWritersLocked()
	p.chainReadersLocked()
	return b, nil
}

// Unread puts buffers back in front of what the pipe holds, in the order given, and takes over their references. It
// needs no free slot: a full pipe gets longer, and writers wait until it is back to its size. It waits only for a sink
// that is being given the first bytes. With an error, EPIPE once the read end is closed, the buffers are the caller's.
func (p *Pipe) Unread(bufs ...Buffer) error {
	p.mu.Lock()
	defer p.unlock()
	return p.unreadLocked(bufs)
}

func (p *Pipe) unreadLocked(bufs []Buffer) error {
	for _, b := range bufs {
		if b.page == nil {
			return opErr("unread", SidePipe, PathPages, syscall.EINVAL)
		}
	}
	for p.claimed && !p.readClosed {
		if p.readable.expired {
			return p.readError("unread", SidePipe, os.ErrDeadlineExceeded)
		}
		p.waitAnyLocked(&p.readable)
	}
	if p.readClosed {
		return opErr("unread", SidePipe, PathPages, syscall.EPIPE)
	}
	p.putBackLocked(bufs...)
	return nil
}

// putBackLocked puts buffers in front of the first, on a longer ring if they need one.
func (p *Pipe) putBackLocked(bufs ...Buffer) {
	if used := int(p.head-p.tail) + int(p.reserved); used+len(bufs) > len(p.ring) {
		p.moveRingLocked(powerOfTwo(used + len(bufs)))
	}
	for i := len(bufs) - 1; i >= 0; i-- {
		p.tail--
		*p.slot(p.tail) = bufs[i]
		p.out -= int64(bufs[i].length)
	}
	if len(bufs) > 0 {
		p.fault = nil // another buffer is first now
		p.readable.wakeLocked()
	}
}

// Refill replaces the pipe's first buffer, whose bytes could not be had, by others that have them, or by nothing: what
// was to be there is known from [OpError.Offset]. Then the pipe goes on, and who was refused because of the fault may
// try again. With an error the buffers are the caller's; it is EINVAL if the pipe has no fault.
func (p *Pipe) Refill(bufs ...Buffer) error {
	p.mu.Lock()
	defer p.unlock()
	if p.fault == nil {
		return opErr("refill", SidePipe, PathPages, syscall.EINVAL)
	}
	for _, b := range bufs {
		if b.page == nil {
			return opErr("refill", SidePipe, PathPages, syscall.EINVAL)
		}
	}
	p.dropLocked(int(p.slot(p.tail).length))
	p.putBackLocked(bufs...)
	p.wakeAllLocked()
	return nil
}
