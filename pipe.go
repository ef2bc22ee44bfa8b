package penstock

import (
	"context"
	"errors"
	"io"
	"math/bits"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// DefaultSlots is the length of a pipe's ring where none is asked for: the kernel's PIPE_DEF_BUFFERS.
const DefaultSlots = 16

// Pipe is the pipe in this process's memory: a ring of buffers, each a run of bytes on a reference-counted page.
//
//	slots: a power of two; head and tail only ever count up, and are cut to the ring by a mask
//
//	         ▼── tail, the oldest buffer: readers consume here, tee starts here
//	  ┌────┬────┬────┬────┬────┬────┬────┬────┐
//	  │    │ ██ │ █▒ │ ██ │ ▒█ │    │    │    │      █ bytes of a buffer   ▒ the rest of its page
//	  └────┴────┴────┴────┴────┴────┴────┴────┘
//	                             ▲── head, a free slot: writers fill here; full when head - tail == slots
//
// Fullness is counted in slots, not bytes, as in the kernel: sixteen one-byte buffers fill sixteen slots. Write fills
// pages of the pipe's own; the bytes that do not fill a page it appends to the newest, if all of them fit there. Everything
// else moves references.
//
// A Pipe is made by NewPipe, OpenPipe or Arena.NewPipe; the zero Pipe has no slots.
//
// All methods may be called from any goroutine, and none of them holds one pipe's lock while it waits for another. What
// takes bytes out is exclusive: while a [Sink] is being given the first bytes they stay in the pipe until it has taken
// them, and other readers wait. Where not said otherwise, what waits obeys the deadline of its side and ends when that
// end is closed.
//
// The rules are those of Linux's fs/pipe.c and fs/splice.c, and are compared with the running kernel's by test; see
// "Differences from the kernel" in the package's documentation for the few that are not.
type Pipe struct {
	mu sync.Mutex // guards everything below but what never changes

	// The ring.
	ring       []Buffer // its length is a power of two; what is not between tail and head is zero
	head, tail uint     // the next slot to fill, the oldest filled slot
	limit      uint     // how many slots may be filled: len(ring), or less after an Unread into a full ring
	in, out    int64    // bytes ever put in and taken out; those held are the difference

	// The ends, and who waits at them.
	readable, writable      waitQueue
	readClosed, writeClosed bool
	endErr                  error    // what readers get at the end, in place of io.EOF
	fault                   *OpError // the first buffer's bytes cannot be had; cleared when that is dropped

	// What goes on without the lock.
	reserved   uint                    // free slots that are promised: somebody is filling a page for each
	claimed    bool                    // somebody is taking the first bytes out; see loan
	interrupt  context.CancelCauseFunc // ends that one's wait for them to arrive
	watch      *watch                  // the select loops' wait for the same
	handedOver bool                    // a reader is expected back, for a large write to be handed to; see handover.go
	gone       []Buffer                // to be released when the lock is given up; see unlock

	// Memory.
	spare   *page // one page that a read has freed, for the next write
	space   frag  // the page that Reserve offers from
	offered int   // what Reserve has offered, 0 if nothing
	charged int   // slots that the quota was charged for

	// What never changes.
	id       uint64 // locks of several pipes are taken in the order of their ids
	packet   bool   // each write is a packet
	pageSize int
	class    int    // of pageSize
	shard    *shard // where its own pages come from
	arena    *Arena // where pages for what is spliced in come from
	own      Arena  // that one, unless the pipe shares another's
	quota    *Quota
}

var _ Conduit = (*Pipe)(nil)

// PipeConfig is what a pipe is opened with. The zero PipeConfig is a pipe of 16 slots of 64 KiB.
type PipeConfig struct {
	Slots    int    // rounded up to a power of two; 0 is DefaultSlots
	PageSize int    // bytes, rounded up to a power of two from MinPageSize to MaxPageSize; 0 is DefaultPageSize
	Packet   bool   // each write is a packet, or one per page, and each read takes one (O_DIRECT); not what is spliced in
	Arena    *Arena // where what is spliced in gets its pages from; nil is an arena of the pipe's own
	Quota    *Quota // what the pipe's slots are charged to; nil is nothing
}

// maxSlots bounds a ring: 16 GiB of slots of 4 KiB.
const maxSlots = 1 << 22

var lastID atomic.Uint64

// NewPipe returns an empty pipe of at least so many slots, 16 if it is 0 and no more than 4 Mi, with pages of
// DefaultPageSize. The caller closes it.
func NewPipe(slots int) *Pipe {
	p := newPipe(PipeConfig{Slots: slots})
	p.ring = make([]Buffer, p.limit)
	return p
}

// OpenPipe returns an empty pipe. Its error is EINVAL for sizes that cannot be, and ENFILE if the quota has nothing
// left; a quota that is nearly used up grants 2 slots, see [Quota]. The caller closes it.
func OpenPipe(c PipeConfig) (*Pipe, error) {
	if c.Slots < 0 || c.Slots > maxSlots || c.PageSize < 0 || c.PageSize > MaxPageSize {
		return nil, opErr("open", SidePipe, "", syscall.EINVAL)
	}
	p := newPipe(c)
	if err := p.charge(); err != nil {
		return nil, opErr("open", SidePipe, "", err)
	}
	p.ring = make([]Buffer, p.limit)
	return p, nil
}

// newPipe makes a pipe that has no ring so far.
func newPipe(c PipeConfig) *Pipe {
	if c.Slots <= 0 {
		c.Slots = DefaultSlots
	}
	c.Slots = min(c.Slots, maxSlots)
	if c.PageSize <= 0 {
		c.PageSize = DefaultPageSize
	}
	p := &Pipe{
		limit:  uint(powerOfTwo(c.Slots)),
		id:     lastID.Add(1),
		packet: c.Packet,
		class:  sizeClass(c.PageSize),
		shard:  pickShard(),
		arena:  c.Arena,
		quota:  c.Quota,
	}
	if p.arena == nil {
		p.arena = &p.own
	}
	p.pageSize = MinPageSize << p.class
	return p
}

// powerOfTwo rounds up.
func powerOfTwo(n int) int { return 1 << bits.Len(uint(n-1)) }

func (p *Pipe) slot(i uint) *Buffer { return &p.ring[i&uint(len(p.ring)-1)] }
func (p *Pipe) emptyLocked() bool   { return p.head == p.tail }
func (p *Pipe) fullLocked() bool    { return p.head-p.tail+p.reserved >= p.limit }

// endedLocked tells whether all that will ever come has been taken out: nobody writes any more, nor is filling a page.
func (p *Pipe) endedLocked() bool { return p.writeClosed && p.emptyLocked() && p.promisedLocked() == 0 }

// promisedLocked counts the slots promised for pages that are being filled, but for that of a reservation, whose Commit
// can fail.
func (p *Pipe) promisedLocked() uint {
	if p.offered > 0 {
		return p.reserved - 1
	}
	return p.reserved
}

func (p *Pipe) heldLocked() int { return int(p.in - p.out) }
func (p *Pipe) backing() string { return "memory" }

// Len returns the bytes held, those included that have not arrived yet.
func (p *Pipe) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heldLocked()
}

// PageSize returns the size of the pipe's own pages, in bytes.
func (p *Pipe) PageSize() int { return p.pageSize }

// Write copies b into the pipe, waiting for room as it must, and returns how much it copied. Its error is EPIPE, after
// a partial count or none, once the read end is closed, io.ErrClosedPipe if its own is, os.ErrDeadlineExceeded, or the
// fault of a page that could not be had (see [Pipe.Refill]). A write of up to PageSize bytes is atomic.
func (p *Pipe) Write(b []byte) (int, error) { return p.write(context.Background(), b, 0) }

// WriteContext is Write, and ends with the context's cause when that is done.
func (p *Pipe) WriteContext(ctx context.Context, b []byte) (int, error) { return p.write(ctx, b, 0) }

// TryWrite is Write without waiting: ErrWouldBlock comes with what there was room for, if that was not all.
func (p *Pipe) TryWrite(b []byte) (int, error) { return p.write(context.Background(), b, NonBlock) }

func (p *Pipe) write(ctx context.Context, b []byte, flags Flags) (n int, err error) {
	if len(b) == 0 {
		return 0, nil // before anything is looked at
	}
	p.mu.Lock()
	if n, err = p.writeLocked(ctx, b, flags); err != nil {
		err = p.writeError("write", SidePipe, err)
	}
	p.unlock()
	return n, err
}

func (p *Pipe) writeLocked(ctx context.Context, b []byte, flags Flags) (n int, err error) {
	if err := p.writableLocked(); err != nil {
		return 0, err
	}
	n = p.mergeLocked(b)
	for n < len(b) {
		if m := p.handOverLocked(b, n, flags); m > 0 {
			n += m
			continue
		}
		full := p.fullLocked()
		if err := p.awaitRoomLocked(ctx, flags); err != nil {
			return n, err
		}
		if !full { // else a reader may be waiting by now
			n += p.appendLocked(b[n:])
		}
	}
	p.chainWritersLocked()
	return n, nil
}

// mergeLocked appends to the newest buffer's page the odd bytes of b, those that do not fill pages of their own, if all
// of them fit and the buffer may be appended to. The rest of b follows in pages. (anon_pipe_write)
func (p *Pipe) mergeLocked(b []byte) int {
	odd := len(b) & (p.pageSize - 1)
	if odd == 0 || p.emptyLocked() {
		return 0
	}
	last := p.slot(p.head - 1)
	if last.flags&BufMerge == 0 {
		return 0
	}
	pg := last.page.(*page) // only such are marked
	end := int(last.offset + last.length)
	if odd > len(pg.data)-end {
		return 0
	}
	copy(pg.data[end:], b[:odd])
	last.length += uint32(odd)
	p.in += int64(odd)
	p.readable.wakeLocked()
	return odd
}

// appendLocked fills one page with what of b it holds. Precondition: a slot is free.
func (p *Pipe) appendLocked(b []byte) int {
	pg := p.spare
	if p.spare = nil; pg == nil {
		pg = p.shard.get(p.class)
	}
	n := copy(pg.data, b)
	flags := BufMerge
	if p.packet {
		flags = BufPacket
	}
	p.pushLocked(Buffer{page: pg, length: uint32(n), flags: flags})
	return n
}

// pushLocked takes over b's reference. A slot is always filled by assigning a whole buffer, so no flag can outlive the
// page that it was true of. Precondition: a slot is free.
func (p *Pipe) pushLocked(b Buffer) {
	*p.slot(p.head) = b
	p.head++
	p.in += int64(b.length)
	p.readable.wakeLocked()
}

// Read copies the oldest bytes into b and consumes them, waiting while the pipe is empty and its write end open. Then
// its error is io.EOF, or what CloseWithError said. It is io.ErrClosedPipe once the read end is closed,
// os.ErrDeadlineExceeded, or why the next page cannot be had (see [Pipe.Refill]). Of a packet it consumes all.
func (p *Pipe) Read(b []byte) (int, error) { return p.read(context.Background(), b, 0) }

// ReadContext is Read, and ends with the context's cause when that is done.
func (p *Pipe) ReadContext(ctx context.Context, b []byte) (int, error) { return p.read(ctx, b, 0) }

// TryRead is Read without waiting: its error is ErrWouldBlock while there is nothing.
func (p *Pipe) TryRead(b []byte) (int, error) { return p.read(context.Background(), b, NonBlock) }

func (p *Pipe) read(ctx context.Context, b []byte, flags Flags) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	p.mu.Lock()
	if n, err = p.readLocked(ctx, b, flags); err == errNotPlain {
		p.unlock()
		return p.readSlow(ctx, b, flags)
	}
	if err != nil {
		err = p.readError("read", SidePipe, err)
	}
	p.unlock()
	return n, err
}

// errNotPlain is for a first buffer on somebody else's page, which is not to be touched with the lock held.
var errNotPlain = errors.New("not plain memory")

func (p *Pipe) readLocked(ctx context.Context, b []byte, flags Flags) (n int, err error) {
	if n, err = p.awaitBytesLocked(ctx, b, flags); n > 0 || err != nil {
		return n, err
	}
	held := p.writable.first != nil
	for n < len(b) && !p.emptyLocked() {
		head := p.slot(p.tail)
		pg, plain := head.page.(*page)
		if !plain { // its bytes may not have arrived: not to be waited for with the lock held
			if n > 0 {
				break
			}
			return 0, errNotPlain
		}
		m := copy(b[n:], head.bytes(pg))
		n += m
		if head.flags&BufPacket != 0 {
			p.dropLocked(int(head.length))
			break
		}
		p.dropLocked(m)
	}
	if held && n >= minHandOver && p.emptyLocked() {
		p.handedOver = true // the writer that waited may as well wait for the next Read
	}
	p.chainReadersLocked()
	return n, nil
}

// dropLocked consumes n bytes, which are held, from the tail.
func (p *Pipe) dropLocked(n int) {
	p.out += int64(n)
	freed := false
	for n > 0 {
		head := p.slot(p.tail)
		if n < int(head.length) {
			head.offset, head.length = head.offset+uint32(n), head.length-uint32(n)
			if p.fault != nil {
				rest := *p.fault // callers have the other
				rest.Offset = p.out
				p.fault = &rest
			}
			break
		}
		n -= int(head.length)
		p.recycleLocked(*head)
		*head = Buffer{}
		p.tail++
		p.fault = nil
		freed = true
	}
	if freed {
		p.chainWritersLocked()
	}
}

// recycleLocked gives up a buffer's reference: at once if all that is behind it is a page of ours, kept for the next
// write if it came from one; else when the lock is given up, because a page's Release may do anything.
func (p *Pipe) recycleLocked(b Buffer) {
	pg, plain := b.page.(*page)
	if !plain || pg.home == nil {
		p.gone = append(p.gone, b)
		return
	}
	if b.flags&(BufMerge|BufPacket) != 0 && p.spare == nil && pg.refs.Load() == 1 && len(pg.data) == p.pageSize && !p.writeClosed {
		poison(pg.data)
		p.spare = pg // with the one reference there is: nobody is left who could take another
		return
	}
	if pg.drop() {
		pg.free()
	}
}

// unlock gives the lock up, and then what was left to be released.
func (p *Pipe) unlock() {
	if len(p.gone) == 0 {
		p.mu.Unlock()
		return
	}
	p.unlockAndRelease()
}

func (p *Pipe) unlockAndRelease() {
	var few [4]Buffer
	if len(p.gone) > len(few) {
		many := p.gone
		p.gone = nil
		p.mu.Unlock()
		releaseAll(many)
		return
	}
	n := copy(few[:], p.gone)
	clear(p.gone)
	p.gone = p.gone[:0]
	p.mu.Unlock()
	releaseAll(few[:n])
}

// writableLocked is the error of an end that takes nothing any more, nil if it does.
func (p *Pipe) writableLocked() error {
	switch {
	case p.writeClosed:
		return io.ErrClosedPipe // the caller's own end is looked at first
	case p.readClosed:
		return syscall.EPIPE
	case p.writable.expired:
		return os.ErrDeadlineExceeded
	case p.fault != nil:
		return p.fault
	default:
		return nil
	}
}

// awaitRoomLocked waits until a slot is free.
func (p *Pipe) awaitRoomLocked(ctx context.Context, flags Flags) error {
	for {
		if err := p.writableLocked(); err != nil {
			return err
		}
		if !p.fullLocked() {
			return nil
		}
		if flags&NonBlock != 0 {
			return ErrWouldBlock
		}
		p.readable.wakeLocked() // a Peek that waits for more than fits
		if err := p.waitLocked(ctx, &p.writable); err != nil {
			return err
		}
	}
}

// dataLocked is nil if there is a buffer that nobody else is taking out, and ErrWouldBlock if there may be one later. The
// end of the stream is io.EOF, bare.
func (p *Pipe) dataLocked() error {
	switch {
	case p.readClosed:
		return io.ErrClosedPipe
	case p.readable.expired:
		return os.ErrDeadlineExceeded
	case p.fault != nil:
		return p.fault
	case !p.emptyLocked() && !p.claimed:
		return nil
	case p.endedLocked():
		p.readable.wakeLocked() // it is everybody's
		return io.EOF
	default:
		return ErrWouldBlock
	}
}

// awaitDataLocked waits until dataLocked says something else than ErrWouldBlock.
func (p *Pipe) awaitDataLocked(ctx context.Context, flags Flags) error {
	for {
		if err := p.dataLocked(); err != ErrWouldBlock || flags&NonBlock != 0 {
			return err
		}
		if err := p.waitLocked(ctx, &p.readable); err != nil {
			return err
		}
	}
}
