package penstock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"syscall"
)

// Splice moves up to n bytes from src to dst, at least one, and returns how many. It waits for the source's first byte
// and for room for it, never for more: no call blocks once it has moved something. With NonBlock it does not wait at
// all, and ErrWouldBlock says on which side it would have. At the end of the source its error is io.EOF. n = 0 moves
// nothing and succeeds, whatever the arguments.
//
// One side is a pipe of either backing; the other may be a pipe, too, or a socket, a file, or any reader or writer:
//
//   - From pipe to pipe references move. Buffers that are wanted whole move with their flags, one that is wanted in part
//     is shared and the piece goes without the flags that are the original's alone. Between backings bytes are copied.
//   - Into and out of anything else see [SourceOf] and [SinkOf]. For more than one transfer make the Source or the Sink
//     once and use that.
//   - Where neither side is a pipe, but one is a [Peeker] or a [Reserver], one copy is made from buffer to buffer. What
//     has no buffer either is ErrCannotSplice.
//
// Bytes may come with an error: of the source, that it told along with them. NonBlock is obeyed by pipes, sockets and
// files that can be polled; a plain Reader, Writer, [Peeker] or [Reserver] is called all the same, and may wait (see
// [Source.Polls]). A context that is done ends a wait with its cause, where what is waited for is a pipe or has
// SetReadDeadline or SetWriteDeadline. It is a deadline that ends the wait, and no deadline that the caller had set there is
// left.
//
// Closing a pipe does not end a wait for a source or a sink that is no pipe.
//
// The rules are those of splice(2): a pipe into itself is EINVAL, a pipe without a reader EPIPE.
func Splice(ctx context.Context, dst io.Writer, src io.Reader, n int, flags Flags) (int, error) {
	if n == 0 {
		return 0, nil
	}
	if n < 0 {
		return 0, opErr("splice", SidePipe, "", syscall.EINVAL)
	}
	d, intoPipe := bare(dst)
	s, outOfPipe := bare(src)
	switch {
	case intoPipe && outOfPipe:
		if d, ok := d.(*Pipe); ok {
			if s, ok := s.(*Pipe); ok {
				return splicePages(ctx, d, s, n, flags)
			}
		}
		return patiently(ctx, "splice", d, s, n, flags)
	case intoPipe:
		return spliceIn(ctx, d, src, n, flags)
	case outOfPipe:
		return spliceOut(ctx, dst, s, n, flags)
	default:
		return share(ctx, dst, src, n)
	}
}

// bare returns v as a pipe if it is one itself. A type that embeds one has its own Read and Write, which are used.
func bare(v any) (Conduit, bool) {
	switch v := v.(type) {
	case *Pipe:
		return v, true
	case *KernelPipe:
		return v, true
	default:
		return nil, false
	}
}

// splicePages is splice_pipe_to_pipe: it tries, and where nothing can move it waits, without a lock, for what was missing.
func splicePages(ctx context.Context, dst, src *Pipe, n int, flags Flags) (int, error) {
	if dst == src {
		return 0, opErr("splice", SidePipe, PathPages, syscall.EINVAL)
	}
	for {
		lockBoth(dst, src)
		moved := moveLocked(dst, src, n)
		src.mu.Unlock()
		dst.mu.Unlock()
		if moved > 0 {
			return moved, nil
		}
		if err := prepare(ctx, "splice", dst, src, flags); err != nil {
			return 0, err
		}
	}
}

// lockBoth locks two pipes in the one order that everybody keeps.
func lockBoth(a, b *Pipe) {
	if a.id > b.id {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
}

// moveLocked moves buffers while there are some, and slots for them.
func moveLocked(dst, src *Pipe, n int) (moved int) {
	if dst.writableLocked() != nil || src.claimed || !src.givesLocked() {
		return 0
	}
	freed := false
	for moved < n && !src.emptyLocked() && !dst.fullLocked() {
		head := src.slot(src.tail)
		b := *head
		if left := n - moved; left < int(b.length) {
			b = head.dup(0, uint32(left))
			head.offset, head.length = head.offset+uint32(left), head.length-uint32(left)
		} else {
			*head = Buffer{}
			src.tail++
			freed = true
		}
		src.out += int64(b.length)
		dst.pushLocked(b)
		moved += int(b.length)
	}
	if freed {
		src.chainWritersLocked()
	}
	src.chainReadersLocked()
	dst.chainWritersLocked()
	return moved
}

// givesLocked tells whether the first bytes may be had, if there are some.
func (p *Pipe) givesLocked() bool { return !p.readClosed && !p.readable.expired && p.fault == nil }

// prepare waits until the source has something and then until the destination has room, in the kernel's order, and
// returns the reason why neither will come. What it has seen may be gone again.
func prepare(ctx context.Context, op string, dst, src *Pipe, flags Flags) error {
	if err := dst.ownEnd(op); err != nil {
		return err
	}
	end, err := prepareSource(ctx, op, src, flags)
	if err == nil {
		err = prepareSink(ctx, op, dst, flags)
	}
	if err == nil {
		err = end
	}
	return err
}

// ownEnd fails if the destination's write end is closed, which is a mistake and is told before the source is waited for.
func (p *Pipe) ownEnd(op string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writeClosed {
		return &OpError{Op: op, Side: SideSink, Path: PathPages, Offset: p.in, Err: io.ErrClosedPipe}
	}
	return nil
}

// prepareSource waits for a buffer. The end of the stream is told apart: it does not matter as long as the destination
// has to be waited for. (ipipe_prep)
func prepareSource(ctx context.Context, op string, src *Pipe, flags Flags) (end, err error) {
	src.mu.Lock()
	defer src.unlock()
	if op == "tee" && src.givesLocked() && !src.emptyLocked() {
		return nil, nil // also what is being taken out
	}
	err = src.awaitDataLocked(ctx, flags)
	switch {
	case err == io.EOF:
		return src.readError(op, SideSource, err), nil
	case err != nil:
		return nil, src.readError(op, SideSource, err)
	default:
		src.readable.wakeLocked() // nothing has been taken so far: another may be faster
		return nil, nil
	}
}

// prepareSink waits for a slot. (opipe_prep)
func prepareSink(ctx context.Context, op string, dst *Pipe, flags Flags) error {
	dst.mu.Lock()
	defer dst.unlock()
	if err := dst.awaitRoomLocked(ctx, flags); err != nil {
		return dst.writeError(op, SideSink, err)
	}
	dst.chainWritersLocked() // nothing has been put in so far: another may be faster
	return nil
}

// patiently repeats a transfer between pipes, one at least the kernel's, until it moves something or fails, waiting in
// between for the side that would have blocked.
func patiently(ctx context.Context, op string, dst, src Conduit, n int, flags Flags) (int, error) {
	for {
		m, err := across(op, dst, src, n)
		if err == io.EOF { // a source at its end waits for room, too, as in the kernel
			if full := dst.room(ctx, NonBlock); full != nil {
				err = full
			}
		}
		if m > 0 || flags&NonBlock != 0 || !errors.Is(err, ErrWouldBlock) {
			return m, inTermsOf(op, err)
		}
		if side, _ := SideOf(err); side == SideSource {
			_, err = src.available(ctx, 0)
		} else {
			err = dst.room(ctx, 0)
		}
		if err != nil && err != io.EOF { // which the transfer will find, and the room before it
			return 0, inTermsOf(op, err)
		}
	}
}

// inTermsOf gives an error of a step, or of a wait, the verb that it stands in the way of.
func inTermsOf(op string, err error) error {
	own, ok := err.(*OpError)
	if !ok || own.Op == op {
		return err
	}
	if own.Err == ErrWouldBlock {
		return wouldBlock(op, own.Side)
	}
	e := *own
	e.Op = op
	return &e
}

// across moves or duplicates without waiting.
func across(op string, dst, src Conduit, n int) (int, error) {
	switch s := src.(type) {
	case *Pipe:
		return writeOut(op, dst.(*KernelPipe), s, n)
	case *KernelPipe:
		d, toKernel := dst.(*KernelPipe)
		switch {
		case toKernel && op == "tee":
			return teeKernel(d, s, n)
		case toKernel:
			return spliceKernel(d, s, n)
		case op == "tee":
			return teeIn(dst.(*Pipe), s, n)
		default:
			return readIn(dst.(*Pipe), s, n)
		}
	}
	panic("penstock: a Conduit of no known backing")
}

// writeOut writes pages of src into the kernel pipe dst. A splice consumes what was taken, a tee nothing.
func writeOut(op string, dst *KernelPipe, src *Pipe, n int) (int, error) {
	var l loan
	if err := l.take(context.Background(), src, n, NonBlock); err != nil {
		src.mu.Lock()
		defer src.mu.Unlock()
		return 0, src.readError(op, SideSource, err)
	}
	n, err := dst.writePages(l.views)
	if n > 0 {
		err = nil
	}
	if op == "tee" {
		l.settle(0)
	} else {
		l.settle(n)
	}
	return n, err
}

// readIn reads from the kernel pipe src into fresh pages of dst.
func readIn(dst *Pipe, src *KernelPipe, n int) (int, error) {
	total := 0
	for total < n {
		m, _, err := dst.fill(n-total, src.readNow)
		total += m
		if err == nil && m > 0 {
			continue
		}
		switch {
		case total > 0:
			return total, nil
		case err == nil:
			return 0, io.EOF
		case err == errPipeWouldBlock:
			return 0, errSinkWouldBlock
		default:
			return 0, err
		}
	}
	return total, nil
}

// spliceIn is Splice from what is no pipe.
func spliceIn(ctx context.Context, dst Conduit, src io.Reader, n int, flags Flags) (int, error) {
	s := SourceOf(src)
	for {
		if err := dst.room(ctx, flags); err != nil {
			return 0, err
		}
		if ctx.Err() != nil { // not every read can be interrupted
			return 0, opErr("splice", SideSource, "", context.Cause(ctx))
		}
		var m int
		var err error
		interrupted := interruptible(ctx,
			func() { _ = InterruptReads(s) }, // whoever cannot be interrupted is waited for
			func() { _ = ResumeReads(s) },
			func() { m, err = s.SpliceRead(dst, n, flags) })
		switch {
		case m == 0 && err == error(errPipeWouldBlock): // another writer was faster
			if flags&NonBlock == 0 {
				continue
			}
			return 0, errSinkWouldBlock
		case interrupted && m == 0 && errors.Is(err, os.ErrDeadlineExceeded):
			return 0, opErr("splice", SideSource, PathPages, context.Cause(ctx))
		case m > 0 && err == nil:
			return m, heldBack(dst, s) // there will be no next call of this Source
		default:
			return m, err
		}
	}
}

// stepper is a sink that can be made to take something and return.
type stepper interface {
	Sink

	// step gives the sink what the pipe has of the next n bytes, and waits for it to take some, unless flags say
	// NonBlock; but not for the pipe. A pipe that has been emptied meanwhile is errPipeWouldBlock.
	step(p Conduit, n int, flags Flags) (int, error)
}

// spliceOut is Splice into what is no pipe.
func spliceOut(ctx context.Context, dst io.Writer, src Conduit, n int, flags Flags) (int, error) {
	s := SinkOf(dst).(stepper)
	for {
		held, err := src.available(ctx, flags)
		if err != nil {
			return 0, err
		}
		if ctx.Err() != nil {
			return 0, opErr("splice", SideSink, "", context.Cause(ctx))
		}
		var m int
		interrupted := interruptible(ctx, s.Interrupt, s.Resume, func() { m, err = s.step(src, min(n, held), flags) })
		switch {
		case m == 0 && err == error(errPipeWouldBlock): // another reader was faster
			if flags&NonBlock == 0 {
				continue
			}
			return 0, errSourceWouldBlock
		case interrupted && errors.Is(err, os.ErrDeadlineExceeded):
			return m, opErr("splice", SideSink, PathPages, context.Cause(ctx))
		case m > 0 && errors.Is(err, ErrWouldBlock):
			return m, nil
		default:
			return m, err
		}
	}
}

// promise takes a slot for a page that is to be filled without the lock.
func (p *Pipe) promise() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.writableLocked(); err != nil {
		return p.writeError("splice", SideSink, err)
	}
	if p.fullLocked() {
		return errPipeWouldBlock
	}
	p.reserved++
	return nil
}

func (p *Pipe) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fullLocked()
}

// keep makes a promise good with b, or lets it go if b is the zero Buffer. It is false if nobody will read b any more;
// then it is still the caller's.
func (p *Pipe) keep(b Buffer) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reserved--
	switch {
	case b.isZero():
		p.writable.wakeLocked()
		if p.writeClosed {
			p.readable.wakeAllLocked() // who waited for this, and for the end behind it
		}
	case p.readClosed:
		return false
	default:
		p.pushLocked(b)
	}
	return true
}

// fill reads once, up to n bytes, into the arena's page in progress and puts what came into the pipe as a buffer. It
// tells whether the read got all the room there was, so that more may follow. It does not wait for a slot: without one
// its error is errPipeWouldBlock, and nothing was read.
func (p *Pipe) fill(n int, read func([]byte) (int, error)) (m int, all bool, err error) {
	if err := p.promise(); err != nil {
		return 0, false, err
	}
	f := p.arena.borrow(p.pageSize)
	var b Buffer
	defer func() {
		p.arena.giveBack(f)
		if !p.keep(b) {
			m, all, err = 0, false, unwanted(b)
		}
	}()
	space := f.space()
	space = space[:min(n, len(space))]
	if m, err = counted(read, space); m <= 0 {
		return 0, false, err
	}
	b = f.carve(m)
	return m, m == len(space), err
}

// unwanted is the error of a pipe whose read end was closed while b was read. b has left its source, and is in flight.
func unwanted(b Buffer) error {
	e := &OpError{Op: "splice", Side: SideSink, Path: PathPages, Err: syscall.EPIPE}
	if mem, err := b.Map(); err == nil {
		e.InFlight = heapPipe(bytes.Clone(mem))
		b.Unmap()
	}
	b.Release()
	return e
}

func releaseAll(bufs []Buffer) {
	for _, b := range bufs {
		b.Release()
	}
}
