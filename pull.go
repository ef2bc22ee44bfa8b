package penstock

import (
	"context"
	"os"
	"slices"
	"syscall"
)

// Buffers one by one: Push and Pull, Unread to take a Pull back, Refill to replace what could not be had.

// Push puts a buffer into the pipe and takes over its reference, waiting for a slot unless flags say NonBlock. With an
// error the buffer is still the caller's. It is the push of a loan or a gift, by what the buffer's page is.
func (p *Pipe) Push(ctx context.Context, b Buffer, flags Flags) error {
	if b.isZero() {
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
// have arrived yet; [Buffer.Confirm] waits for them. A piece shares its page with the rest, so it cannot be stolen while
// that is held. At the end the error is io.EOF, and EINVAL for n that is not positive.
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
// needs no free slot: a full pipe gets longer, which no quota is charged for, and writers wait until it is back to its
// size. It waits only for a sink that is being given the first bytes. With an error, EPIPE once the read end is closed, the buffers are the caller's.
func (p *Pipe) Unread(bufs ...Buffer) error {
	p.mu.Lock()
	defer p.unlock()
	return p.unreadLocked(bufs)
}

func (p *Pipe) unreadLocked(bufs []Buffer) error {
	if slices.ContainsFunc(bufs, Buffer.isZero) {
		return opErr("unread", SidePipe, PathPages, syscall.EINVAL)
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
	if p.fault == nil || slices.ContainsFunc(bufs, Buffer.isZero) {
		return opErr("refill", SidePipe, PathPages, syscall.EINVAL)
	}
	p.dropLocked(int(p.slot(p.tail).length))
	p.putBackLocked(bufs...)
	p.wakeAllLocked()
	return nil
}
