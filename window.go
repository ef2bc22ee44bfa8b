package penstock

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// Peeker is a source that can show its buffer: "show me some data", and "I have consumed some". A *bufio.Reader is one.
type Peeker interface {
	// Peek returns the next n bytes without consuming them, valid until the next call; fewer only with an error.
	Peek(n int) ([]byte, error)

	// Buffered returns how many bytes Peek can show without reading more.
	Buffered() int

	// Discard consumes n bytes.
	Discard(n int) (int, error)
}

// Reserver is a sink that can offer space: "give me some space", and "I have filled some".
type Reserver interface {
	// Reserve returns space for n bytes or, where it has less in one piece, for at least one.
	Reserve(n int) ([]byte, error)

	// Commit takes the first n bytes of the space. If it fails nothing was taken, and what is in the space is still
	// there: it may be tried again. Commit(0) gives the space up.
	Commit(n int) error
}

var _ Reserver = (*Pipe)(nil)

// share is Splice between two that are no pipes, at least one of which has a buffer to share. The copy in between
// disappears: the sink gets the source's buffer to write from, or the source the sink's space to read into. Where both
// have one the sink's space wins, because what is behind it, a device's window say, is written to faster than read from.
// (seed of 19 January 2005)
func share(ctx context.Context, dst io.Writer, src io.Reader, n int) (m int, err error) {
	space, offers := spaceOf(dst)
	shown, shows := src.(Peeker)
	if !offers && !shows {
		return 0, opErr("splice", SidePipe, "", ErrCannotSplice)
	}
	if ctx.Err() != nil {
		return 0, opErr("splice", SideSource, "", context.Cause(ctx))
	}
	interrupted := interruptible(ctx,
		func() { _ = setReadDeadline(src, past); setWriteDeadline(dst, past) }, // who has no deadline is waited for
		func() { _ = setReadDeadline(src, time.Time{}); setWriteDeadline(dst, time.Time{}) },
		func() {
			switch {
			case offers && shows:
				m, err = fromShown(shown, n, func(b []byte) (int, error) { return commit(space, b) })
			case offers:
				m, err = intoSpace(space, src, n)
			default:
				m, err = fromShown(shown, n, func(b []byte) (int, error) { return writeAll(dst, b) })
			}
		})
	if op := (*OpError)(nil); interrupted && errors.As(err, &op) && errors.Is(err, os.ErrDeadlineExceeded) {
		op.Err = context.Cause(ctx)
	}
	return m, err
}

// spaceOf returns w as what offers space of its own. What embeds a pipe does not: the space is the pipe's, and the Write
// its own.
func spaceOf(w io.Writer) (Reserver, bool) {
	if _, embeds := w.(Conduit); embeds {
		return nil, false
	}
	r, ok := w.(Reserver)
	return r, ok
}

// fromShown gives what the source shows to write, and consumes what that took.
func fromShown(src Peeker, n int, write func([]byte) (int, error)) (int, error) {
	b, err := src.Peek(1)
	if len(b) == 0 {
		return 0, sourceErr(nil, PathPages, err)
	}
	if b, err = src.Peek(min(n, src.Buffered())); len(b) == 0 {
		return 0, sourceErr(nil, PathPages, err)
	}
	m, err := write(b)
	if _, derr := src.Discard(m); derr != nil {
		return m, opErr("splice", SideSource, PathPages, derr)
	}
	return m, opErr("splice", SideSink, PathPages, err)
}

// commit copies b into a sink's space, as much as that offers.
func commit(dst Reserver, b []byte) (int, error) {
	space, err := dst.Reserve(len(b))
	if err != nil {
		return 0, err
	}
	m := copy(space, b)
	if err := dst.Commit(m); err != nil {
		_ = dst.Commit(0) // the bytes are the source's still
		return 0, err
	}
	return m, nil
}

// intoSpace reads into a sink's space. What a failed Commit leaves there is the sink's to be committed again: the count
// returned with its error says how much.
func intoSpace(dst Reserver, src io.Reader, n int) (int, error) {
	space, err := dst.Reserve(n)
	if err != nil {
		return 0, opErr("splice", SideSink, PathPages, err)
	}
	m, err := counted(src.Read, space[:min(n, len(space))])
	if cerr := dst.Commit(m); cerr != nil {
		return m, opErr("splice", SideSink, PathPages, cerr)
	}
	if m > 0 {
		return m, nil // an error will be told again
	}
	return 0, sourceErr(nil, PathPages, err)
}

// Peek returns the next n bytes without consuming them, in one piece: where they lie on several pages they are first
// brought together on one. It waits until there are so many; fewer come with the reason: io.EOF at the end, ENOBUFS from a
// pipe of one slot that takes no more, EMSGSIZE of a packet that is shorter, or why the next page cannot be had. n may be up to
// MaxPageSize, else the error is EINVAL.
//
// The bytes are valid until the next Peek, or any call on whatever goroutine that takes bytes out or closes the pipe. They
// lie outside the heap: a slice that is kept for longer reads other bytes, or faults.
func (p *Pipe) Peek(n int) ([]byte, error) {
	if n < 0 || n > MaxPageSize {
		return nil, opErr("peek", SidePipe, PathPages, syscall.EINVAL)
	}
	if n == 0 {
		return nil, nil
	}
	p.mu.Lock()
	defer p.unlock()
	for {
		if err := p.awaitDataLocked(context.Background(), 0); err != nil {
			return p.shownLocked(), p.readError("peek", SidePipe, err)
		}
		p.chainReadersLocked() // nothing is taken: another may be waiting for as much as there is
		head := p.slot(p.tail)
		want := n
		if head.flags&BufPacket != 0 {
			want = min(n, head.Len())
		}
		pg, plain := head.page.(*page)
		one := p.head-p.tail == 1
		switch held := p.heldLocked(); {
		case plain && head.Len() >= n:
			return head.bytes(pg)[:n:n], nil
		case plain && head.flags&BufPacket != 0:
			return head.bytes(pg), opErr("peek", SidePipe, PathPages, syscall.EMSGSIZE)
		case plain && one && p.writeClosed && p.promisedLocked() == 0:
			return head.bytes(pg), p.readError("peek", SidePipe, io.EOF)
		case plain && one && p.limit == 1 && (head.flags&BufMerge == 0 || p.writable.first != nil):
			return head.bytes(pg), opErr("peek", SidePipe, PathPages, syscall.ENOBUFS)
		case held < want && (one && plain || !p.writeClosed && !p.fullLocked()):
			p.waitAnyLocked(&p.readable)
			continue
		}
		if head.flags&BufPacket != 0 {
			want = head.Len() // or the rest would be a packet, too
		}
		if err := p.gatherLocked(min(want, p.heldLocked())); err != nil {
			return p.shownLocked(), p.readError("peek", SidePipe, err)
		}
	}
}

// shownLocked returns the bytes that a Peek can show at once.
func (p *Pipe) shownLocked() []byte {
	if p.emptyLocked() {
		return nil
	}
	head := p.slot(p.tail)
	pg, plain := head.page.(*page)
	if !plain {
		return nil
	}
	return head.bytes(pg)
}

// gatherLocked brings the first n bytes together on one page, waiting for those that have not arrived. It gives the lock
// up meanwhile.
func (p *Pipe) gatherLocked(n int) error {
	l := loan{all: true}
	if err := l.takeLocked(context.Background(), p, n, 0); err != nil {
		return err
	}
	pg, m := anonymous(l.held), 0
	for _, v := range l.views {
		m += copy(pg.data[m:], v)
	}
	packet := l.bufs[0].flags & BufPacket
	p.mu.Unlock()
	l.cut(0)
	p.mu.Lock()
	p.claimed = false
	if p.readClosed {
		pg.Release()
		return io.ErrClosedPipe
	}
	p.dropLocked(m)
	p.putBackLocked(Buffer{page: pg, length: uint32(m), flags: packet})
	if m < n {
		return l.short
	}
	return nil
}

// PeekInto copies the first bytes held into b without consuming them, and returns how many there were. It does not
// wait.
func (p *Pipe) PeekInto(b []byte) (int, error) {
	n, all := p.peekPlain(b)
	if all {
		return n, nil
	}
	var l loan
	if err := l.take(context.Background(), p, len(b), NonBlock); err != nil {
		return n, nil // it has not arrived, or is being taken out
	}
	n = 0
	for _, v := range l.views {
		n += copy(b[n:], v)
	}
	l.settle(0)
	return n, nil
}

// peekPlain copies from plain pages, and tells whether that was all there is to be copied.
func (p *Pipe) peekPlain(b []byte) (n int, all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := p.tail; i != p.head && n < len(b); i++ {
		head := p.slot(i)
		pg, plain := head.page.(*page)
		if !plain {
			return n, false
		}
		n += copy(b[n:], head.bytes(pg))
	}
	return n, true
}

// Discard drops up to n bytes from the head of the stream and returns how many. It does not wait: while a sink is being
// given them its error is ErrWouldBlock.
func (p *Pipe) Discard(n int) (int, error) {
	p.mu.Lock()
	defer p.unlock()
	if p.claimed && n > 0 {
		return 0, &OpError{Op: "discard", Side: SidePipe, Path: PathPages, Err: ErrWouldBlock}
	}
	n = max(min(n, p.heldLocked()), 0)
	p.dropLocked(n)
	p.chainReadersLocked()
	return n, nil
}

// Reserve offers space for n bytes, at most PageSize and else EINVAL, for the caller to fill and then to Commit. It
// offers more if the page has more, and waits for a free slot, which is kept for it. Each Reserve is followed by a Commit,
// also after Close. Only one writer may have a
// reservation, but others may Write meanwhile. A reservation is given up with Commit(0).
func (p *Pipe) Reserve(n int) ([]byte, error) {
	if n <= 0 || n > p.pageSize {
		return nil, opErr("reserve", SidePipe, PathPages, syscall.EINVAL)
	}
	p.mu.Lock()
	defer p.unlock()
	if p.offered == 0 {
		if err := p.awaitRoomLocked(context.Background(), 0); err != nil {
			return nil, p.writeError("reserve", SidePipe, err)
		}
		p.reserved++
		p.chainWritersLocked()
	}
	p.space.shard, p.space.class = p.shard, p.class
	if p.space.page != nil && len(p.space.page.data)-p.space.off < n {
		p.space.release()
	}
	b := p.space.space()
	p.offered = len(b)
	return b, nil
}

// Commit puts the first n bytes of what Reserve offered into the pipe. It does not wait. Its error is EPIPE if the read
// end is closed, and io.ErrClosedPipe if the write end is: the bytes are still in the space, which Commit(0) gives up.
// Without a reservation, or beyond it, it is EINVAL.
func (p *Pipe) Commit(n int) error {
	p.mu.Lock()
	defer p.unlock()
	if n < 0 || n > p.offered {
		return opErr("commit", SidePipe, PathPages, syscall.EINVAL)
	}
	if err := p.writableLocked(); n > 0 && (p.readClosed || p.writeClosed) {
		return p.writeError("commit", SidePipe, err)
	}
	if p.offered > 0 {
		p.offered = 0
		p.reserved--
	}
	if n > 0 && !p.extendLocked(n) {
		b := p.space.carve(n)
		if p.packet {
			b.flags = BufPacket
		}
		p.pushLocked(b)
	}
	if p.readClosed {
		p.space.release()
	}
	p.chainWritersLocked()
	return nil
}

// extendLocked makes the newest buffer n bytes longer, if it ends where the space begins: the space is ours alone.
func (p *Pipe) extendLocked(n int) bool {
	if p.emptyLocked() {
		return false
	}
	last := p.slot(p.head - 1)
	if last.page != Page(p.space.page) || int(last.offset+last.length) != p.space.off || last.flags&BufPacket != 0 {
		return false
	}
	last.length += uint32(n)
	p.space.off += n
	p.in += int64(n)
	p.readable.wakeLocked()
	return true
}

// dropSpaceLocked gives up the page that Reserve offers from, unless somebody is filling it.
func (p *Pipe) dropSpaceLocked() {
	if p.offered == 0 {
		p.space.release()
	}
}
