package penstock

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/penstock-io/penstock/internal/kernel"
)

// KernelPipe is pipe(2): the ring of page buffers is the kernel's, and what is spliced through it never enters this
// process. It has the verbs of [Pipe] that the kernel has.
//
// All methods may be called from any goroutine, and Close at any time. Where not said otherwise, what waits does so in
// the runtime's poller, obeys the deadline of its side, and ends when that end is closed. Calls on an end that has been
// closed fail with os.ErrClosed, on one that an adopted pipe does not have with EBADF.
type KernelPipe struct {
	r, w end

	sizing sync.Mutex   // held from the change of a size until it has been read back
	size   atomic.Int64 // bytes, as read back

	lease lease
}

var _ Conduit = (*KernelPipe)(nil)

// NewKernelPipe makes a pipe and asks for a capacity of size bytes; 0 is the kernel's default of 64 KiB. The kernel
// may grant less, see [KernelPipe.Cap]. The caller closes it. Its error is ErrNoKernelPipe where splice or tee is refused,
// else that of pipe(2). (pipe(2), pipe(7))
func NewKernelPipe(size int) (*KernelPipe, error) {
	if err := kernelPipesRefused(); err != nil {
		return nil, err
	}
	r, w, granted, err := kernel.Pipe(size)
	if err != nil {
		return nil, opErr("open", SidePipe, PathSplice, err)
	}
	p := new(KernelPipe)
	p.r.fd, p.w.fd, p.w.out = r, w, true
	p.size.Store(int64(granted))
	return p, nil
}

func (p *KernelPipe) backing() string { return "kernel" }

// Cap returns the capacity in bytes that the kernel granted, as it was last read back. It counts slots of a page each: a
// slot holding one byte is as full as one holding 4096.
func (p *KernelPipe) Cap() int { return int(p.size.Load()) }

// Slots returns the length of the ring: how many pages of the system's size Cap is.
func (p *KernelPipe) Slots() int { return p.Cap() / os.Getpagesize() }

// Resize makes the ring at least so many slots long, rounded up to a power of two, keeping what is in it. Growing wakes
// writers. What the kernel granted is read back, see Slots. Its error is EBUSY if more slots are in use, EINVAL for what
// is no number of slots, EPERM if the kernel refuses (beyond /proc/sys/fs/pipe-max-size, or the user's budget is used
// up), EBADF if the pipe is closed. (F_SETPIPE_SZ)
func (p *KernelPipe) Resize(slots int) error {
	if slots <= 0 || slots > maxSlots || powerOfTwo(slots) > math.MaxInt32/os.Getpagesize() {
		return opErr("resize", SidePipe, "", syscall.EINVAL)
	}
	fd, leave, ok := p.either()
	if !ok {
		return opErr("resize", SidePipe, "", syscall.EBADF)
	}
	defer leave()
	p.sizing.Lock()
	defer p.sizing.Unlock()
	granted, err := kernel.Resize(fd, powerOfTwo(slots)*os.Getpagesize())
	if granted > 0 {
		p.size.Store(int64(granted))
	}
	return opErr("resize", SidePipe, "", err)
}

// measure is Cap for a pipe that another process may have resized.
func (p *KernelPipe) measure() int {
	fd, leave, ok := p.either()
	if !ok {
		return p.Cap()
	}
	defer leave()
	p.sizing.Lock()
	defer p.sizing.Unlock()
	if n, err := kernel.Size(fd); err == nil {
		p.size.Store(int64(n))
	}
	return p.Cap()
}

// either enters an end that is open.
func (p *KernelPipe) either() (fd int, leave func(), ok bool) {
	if fd, ok = p.w.enter(); ok {
		return fd, p.w.leave, true
	}
	fd, ok = p.r.enter()
	return fd, p.r.leave, ok
}

// Len returns the bytes held, and 0 once the read end is closed.
func (p *KernelPipe) Len() int {
	from := &p.r
	if from.absent {
		from = &p.w // whoever has the other end, this one tells
	}
	fd, ok := from.enter()
	if !ok {
		return 0
	}
	defer from.leave()
	n, err := kernel.Buffered(fd)
	if err != nil {
		return 0
	}
	return n
}

// Read reads the oldest bytes into b, waiting while the pipe is empty and its write end open. Then its error is io.EOF.
// It is os.ErrDeadlineExceeded past the deadline, also where there are bytes. Of a packet it consumes all. (read(2))
func (p *KernelPipe) Read(b []byte) (int, error) { return p.read(context.Background(), b, 0) }

// ReadContext is Read, and ends with the context's cause when that is done.
func (p *KernelPipe) ReadContext(ctx context.Context, b []byte) (int, error) {
	return p.read(ctx, b, 0)
}

// TryRead is Read without waiting: its error is ErrWouldBlock while there is nothing.
func (p *KernelPipe) TryRead(b []byte) (int, error) { return p.read(context.Background(), b, NonBlock) }

func (p *KernelPipe) read(ctx context.Context, b []byte, flags Flags) (int, error) {
	if len(b) == 0 {
		return 0, nil // before anything is looked at
	}
	n, err := p.r.do(ctx, flags, func(fd int) (int, error) { return p.r.read(fd, b) })
	switch {
	case err == syscall.EAGAIN:
		return 0, errReadWouldBlock
	case err == nil && n == 0:
		return 0, io.EOF
	default:
		return n, opErr("read", SidePipe, PathReadWrite, err)
	}
}

// Write writes b, waiting for room as it must, and returns how much it wrote. Its error is EPIPE, after a partial count
// or none, without a reader, and os.ErrDeadlineExceeded past the deadline. A write of up to 4096 bytes (PIPE_BUF) is
// atomic. (write(2))
func (p *KernelPipe) Write(b []byte) (int, error) { return p.write(context.Background(), b, 0) }

// WriteContext is Write, and ends with the context's cause when that is done.
func (p *KernelPipe) WriteContext(ctx context.Context, b []byte) (int, error) {
	return p.write(ctx, b, 0)
}

// TryWrite is Write without waiting: ErrWouldBlock comes with what there was room for, if that was not all.
func (p *KernelPipe) TryWrite(b []byte) (int, error) {
	return p.write(context.Background(), b, NonBlock)
}

func (p *KernelPipe) write(ctx context.Context, b []byte, flags Flags) (n int, err error) {
	for n < len(b) {
		m, err := p.w.do(ctx, flags, func(fd int) (int, error) { return p.w.write(fd, b[n:]) })
		n += m
		if err == syscall.EAGAIN {
			return n, errWriteWouldBlock
		}
		if err != nil {
			return n, opErr("write", SidePipe, PathReadWrite, err)
		}
	}
	return n, nil
}

// SetDeadline sets both deadlines, each of the end that there is; see SetReadDeadline and SetWriteDeadline.
func (p *KernelPipe) SetDeadline(t time.Time) error {
	rerr, werr := p.r.setDeadline(t), p.w.setDeadline(t)
	if rerr != nil && werr != nil {
		return p.closedError("set deadline", rerr)
	}
	return nil
}

// SetReadDeadline is when Read and Peek fail with os.ErrDeadlineExceeded, and every call that waits for bytes ends with
// it, until it is set anew. The zero time is never. Unlike in a memory pipe, a splice or tee that need not wait does not
// look at it.
func (p *KernelPipe) SetReadDeadline(t time.Time) error {
	return p.closedError("set deadline", p.r.setDeadline(t))
}

// SetWriteDeadline is when Write fails with os.ErrDeadlineExceeded, and every call that waits for room ends with it,
// until it is set anew. The zero time is never. Unlike in a memory pipe, a splice or tee that need not wait does not
// look at it.
func (p *KernelPipe) SetWriteDeadline(t time.Time) error {
	return p.closedError("set deadline", p.w.setDeadline(t))
}

// closedError makes an *OpError of EBADF; os.ErrClosed is bare where a verb has always returned it so.
func (p *KernelPipe) closedError(op string, err error) error {
	if err == nil || err == os.ErrClosed {
		return err
	}
	return opErr(op, SidePipe, "", err)
}

// Readable returns a channel that is closed as soon as a read would not wait: there are bytes, or the end, or an error.
// It is for select; each call returns the channel for the state as it is now. A receive from it is a hint, as poll(2)'s
// answer is: another reader may be faster. While nothing comes a goroutine waits, one for all who have asked; it ends
// with Close at the latest.
func (p *KernelPipe) Readable() <-chan struct{} { return p.r.signal() }

// Writable returns a channel that is closed as soon as a write would not wait: a slot is free, or there is no reader, or
// an error. Room behind bytes that could be appended to does not count (poll(2)). As for the rest, see Readable.
func (p *KernelPipe) Writable() <-chan struct{} { return p.w.signal() }

// discardChunk is how much Discard reads at a time where it has to read.
const discardChunk = 64 << 10

var devNull = sync.OnceValue(func() int {
	fd, err := syscall.Open("/dev/null", syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
})

// Discard drops up to n bytes from the head, and returns how many. It does not wait. It is a splice to /dev/null, which
// only gives up the pages.
func (p *KernelPipe) Discard(n int) (int, error) {
	fd, ok := p.r.enter()
	if !ok {
		return 0, opErr("discard", SidePipe, PathSplice, p.r.whyClosed())
	}
	defer p.r.leave()
	done := 0
	for done < n {
		m, err := kernel.Splice(devNull(), fd, n-done)
		if err != nil && err != syscall.EAGAIN { // no /dev/null, or no splice: read it away
			m, err = p.r.read(fd, make([]byte, min(n-done, discardChunk)))
		}
		done += m
		if err == syscall.EAGAIN || (err == nil && m == 0) {
			break
		}
		if err != nil {
			return done, opErr("discard", SidePipe, PathSplice, err)
		}
	}
	return done, nil
}

// CloseRead closes the read end: what is held is gone, and writers get EPIPE, unless another process has the read end,
// too. Calls in progress on it end with os.ErrClosed. It may be called again.
func (p *KernelPipe) CloseRead() error { return p.closeEnd(&p.r) }

// CloseWrite closes the write end: readers drain what is there and then get io.EOF, unless another process has the write
// end, too. Calls in progress on it end with os.ErrClosed. It may be called again.
func (p *KernelPipe) CloseWrite() error { return p.closeEnd(&p.w) }

func (p *KernelPipe) closeEnd(e *end) error {
	if e.absent {
		return opErr("close", SidePipe, "", syscall.EBADF)
	}
	return e.closeOnce()
}

// Close closes both ends; what the pipe holds is gone, unless another process has an end. Calls in progress on another
// goroutine return, those that come later fail, both with os.ErrClosed. It may be called again.
func (p *KernelPipe) Close() error {
	return errors.Join(p.w.closeOnce(), p.r.closeOnce())
}

// asLent tells whether the pipe may be lent to somebody else as it was lent before.
func (p *KernelPipe) asLent() bool {
	return p.Cap() == p.lease.size && !p.lease.shared.Load() && p.r.reset() && p.w.reset()
}

func (p *KernelPipe) available(ctx context.Context, flags Flags) (int, error) {
	for {
		switch n, ended, err := p.held(); {
		case err != nil:
			return 0, opErr("splice", SideSource, PathSplice, err)
		case n > 0:
			return n, nil
		case ended:
			return 0, io.EOF
		case flags&NonBlock != 0:
			return 0, errSourceWouldBlock
		}
		if err := p.r.await(ctx); err != nil {
			return 0, opErr("splice", SideSource, PathSplice, err)
		}
	}
}

// Full tells whether a write would wait: no slot is free, however few bytes the slots hold. A closed pipe is not full.
// (poll(2))
func (p *KernelPipe) Full() bool {
	fd, ok := p.w.enter()
	if !ok {
		return false
	}
	defer p.w.leave()
	return !kernel.Writable(fd)
}

// held returns the bytes held, and whether there never will be any again.
func (p *KernelPipe) held() (n int, ended bool, err error) {
	fd, ok := p.r.enter()
	if !ok {
		return 0, false, p.r.whyClosed()
	}
	defer p.r.leave()
	ended = kernel.Ended(fd) // before it is looked how much there is: something may come in between
	n, err = kernel.Buffered(fd)
	return n, ended && n == 0, err
}

func (p *KernelPipe) room(ctx context.Context, flags Flags) error {
	if flags&NonBlock == 0 {
		if err := p.w.await(ctx); err != nil {
			return opErr("splice", SideSink, PathSplice, err)
		}
	}
	fd, ok := p.w.enter()
	if !ok {
		return opErr("splice", SideSink, PathSplice, p.w.whyClosed())
	}
	defer p.w.leave()
	switch {
	case kernel.Broken(fd):
		return opErr("splice", SideSink, PathSplice, syscall.EPIPE)
	case !kernel.Writable(fd):
		return errSinkWouldBlock
	default:
		return nil
	}
}
