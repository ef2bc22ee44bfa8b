package penstock_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
)

// pipesPerWorld is how many pipes there are for the steps to go from and to.
const pipesPerWorld = 3

// verb names a step. The verbs of splice(2) and its relatives are spelled like the calls.
type verb string

const (
	doOpen       verb = "open" // n slots, in place of the pipe that was there
	doWrite      verb = "write"
	doRead       verb = "read"
	doSplice     verb = "splice"
	doTee        verb = "tee"
	doVmsplice   verb = "vmsplice"
	doDiscard    verb = "discard" // to the kernel: splice into /dev/null
	doPeek       verb = "peek"    // to the kernel: tee into another pipe, and read that
	doResize     verb = "resize"  // n slots
	doFill       verb = "fill"    // one-byte buffers, which never share a slot, until it would block
	doCloseRead  verb = "close read"
	doCloseWrite verb = "close write"
)

// op is one step, the same to both worlds.
type op struct {
	verb verb
	p, q int  // the pipe it is about; the one that gets the bytes
	n    int  // bytes asked for, or slots
	at   int  // where in the pattern the bytes that are put in begin
	flag bool // a gift; a packet pipe
}

func (o op) String() string {
	switch o.verb {
	case doOpen:
		return fmt.Sprintf("open p%d: %d slots, packets: %t", o.p, o.n, o.flag)
	case doSplice, doTee:
		return fmt.Sprintf("%s p%d -> p%d, %d", o.verb, o.p, o.q, o.n)
	case doWrite:
		return fmt.Sprintf("write p%d, %d (at %d)", o.p, o.n, o.at)
	case doVmsplice:
		return fmt.Sprintf("vmsplice p%d, %d (at %d), gift: %t", o.p, o.n, o.at, o.flag)
	case doFill, doCloseRead, doCloseWrite:
		return fmt.Sprintf("%s p%d", o.verb, o.p)
	default:
		return fmt.Sprintf("%s p%d, %d", o.verb, o.p, o.n)
	}
}

// outcome is what a step came to.
type outcome struct {
	n    int
	err  error // nil, io.EOF or a syscall.Errno
	data []byte
}

func (o outcome) String() string { return fmt.Sprintf("%d, %v, %d bytes", o.n, o.err, len(o.data)) }

// state is what can be seen of a pipe without touching it.
type state struct {
	held, slots        int // held only while the read end is open, slots while either is
	readable, writable bool
}

// newPattern returns memory of whole pages, filled with what is not periodic and from then on only read: buffers of it
// are lent to both worlds for as long as they like.
func newPattern(t testing.TB, pages int) []byte {
	t.Helper()
	mem, err := unix.Mmap(-1, 0, pages*os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(mem) }) // a page that is still in a pipe lives on there
	_, _ = rand.NewChaCha8([32]byte{}).Read(mem)
	return mem
}

// memoryWorld is the world of Pipe.
type memoryWorld struct {
	pattern []byte
	into    []byte // what reads read into
	arena   penstock.Arena
	pipes   [pipesPerWorld]*penstock.Pipe
	asleep  [pipesPerWorld]struct{ readable, writable <-chan struct{} } // channels that have not been closed yet
	lent    int                                                         // buffers not released
}

func (w *memoryWorld) do(o op) outcome {
	p, ctx := w.pipes[o.p], context.Background()
	switch o.verb {
	case doOpen:
		if p != nil {
			p.Close()
		}
		p, err := penstock.OpenPipe(penstock.PipeConfig{
			Slots: o.n, PageSize: os.Getpagesize(), Packet: o.flag, Arena: &w.arena,
		})
		w.pipes[o.p], w.asleep[o.p].readable, w.asleep[o.p].writable = p, nil, nil
		return w.outcome(o.n, err)
	case doWrite:
		n, err := p.TryWrite(w.pattern[o.at : o.at+o.n])
		if n > 0 && errors.Is(err, penstock.ErrWouldBlock) {
			err = nil // as an io.Writer it has to say why it is short, which write(2) leaves open
		}
		return w.outcome(n, err)
	case doRead:
		n, err := p.TryRead(w.into[:o.n])
		r := w.outcome(n, err)
		r.data = w.into[:n]
		return r
	case doSplice:
		return w.outcome(penstock.Splice(ctx, w.pipes[o.q], p, o.n, penstock.NonBlock))
	case doTee:
		return w.outcome(penstock.Tee(ctx, w.pipes[o.q], p, o.n, penstock.NonBlock))
	case doVmsplice:
		return w.outcome(w.vmsplice(p, o))
	case doDiscard:
		return w.outcome(p.Discard(o.n))
	case doPeek:
		n, err := p.PeekInto(w.into[:o.n])
		r := w.outcome(n, err)
		r.data = w.into[:n]
		return r
	case doResize:
		return w.outcome(0, p.Resize(o.n))
	case doFill:
		return w.fill(p, o)
	case doCloseRead:
		return w.outcome(0, p.CloseRead())
	case doCloseWrite:
		return w.outcome(0, p.CloseWrite())
	}
	panic(o.verb)
}

func (w *memoryWorld) outcome(n int, err error) outcome {
	if err == nil || err == io.EOF {
		return outcome{n: n, err: err}
	}
	var errno syscall.Errno
	switch op := (*penstock.OpError)(nil); {
	case !errors.As(err, &op): // compares as no errno does
	case errors.Is(err, io.ErrClosedPipe):
		err = syscall.EBADF
	case errors.As(err, &errno):
		err = errno
	}
	return outcome{n: n, err: err}
}

func (w *memoryWorld) vmsplice(p *penstock.Pipe, o op) (int, error) {
	b, ctx := w.pattern[o.at:o.at+o.n], context.Background()
	if o.flag {
		return penstock.Vmsplice(ctx, p, b, nil, penstock.NonBlock|penstock.Gift)
	}
	released := 0
	n, err := penstock.Vmsplice(ctx, p, b, func() {
		w.lent--
		if released++; released > 1 {
			panic("a buffer was released twice")
		}
	}, penstock.NonBlock)
	if err == nil {
		w.lent++
	}
	return n, err
}

func (w *memoryWorld) fill(p *penstock.Pipe, o op) outcome {
	free := p.FreeSlots()
	for n := 0; ; n++ {
		_, err := w.vmsplice(p, o)
		if err == nil {
			continue
		}
		r := w.outcome(n, err)
		if r.err == syscall.EAGAIN && n != free {
			r.err = fmt.Errorf("FreeSlots said %d", free)
		}
		return r
	}
}

func (w *memoryWorld) state(i int) (state, error) {
	p, asleep := w.pipes[i], &w.asleep[i]
	s := state{held: p.Len(), slots: p.Slots()}
	var missed bool
	s.readable, missed = poll(&asleep.readable, p.Readable())
	if missed {
		return s, fmt.Errorf("p%d is readable, and who waited for that was not woken", i)
	}
	s.writable, missed = poll(&asleep.writable, p.Writable())
	if missed {
		return s, fmt.Errorf("p%d is writable, and who waited for that was not woken", i)
	}
	return s, nil
}

// poll tells what the channel of now says, and whether the one of a step before has slept through it.
func poll(asleep *<-chan struct{}, now <-chan struct{}) (ready, missed bool) {
	before := *asleep
	if *asleep = nil; !isClosed(now) {
		*asleep = now
		return false, false
	}
	return true, before != nil && !isClosed(before)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (w *memoryWorld) close() {
	for _, p := range w.pipes {
		if p != nil {
			p.Close()
		}
	}
	w.arena.Close()
}

// kernelWorld is the world of pipe(2). A descriptor that is closed is -1, which the kernel answers with EBADF.
type kernelWorld struct {
	pattern []byte
	into    []byte
	pipes   [pipesPerWorld]ends
	side    ends // what is peeked at is teed into it
	null    int
}

type ends struct{ r, w int }

func (e *ends) close(fd *int) {
	if *fd >= 0 {
		_ = unix.Close(*fd)
	}
	*fd = -1
}

// open asks for so many slots, and returns how many it got: less, when the user's budget is used up.
func (e *ends) open(slots, flags int) (int, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], flags|unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return 0, err
	}
	e.r, e.w = fds[0], fds[1]
	if _, err := unix.FcntlInt(uintptr(e.r), unix.F_SETPIPE_SZ, slots*os.Getpagesize()); err != nil && err != unix.EPERM {
		return 0, err
	}
	return e.slots(), nil
}

func (e *ends) slots() int {
	n, err := unix.FcntlInt(uintptr(max(e.r, e.w)), unix.F_GETPIPE_SZ, 0)
	if err != nil {
		return -1
	}
	return n / os.Getpagesize()
}

func (e *ends) held() int {
	n, err := unix.IoctlGetInt(e.r, unix.TIOCINQ)
	if err != nil {
		return -1
	}
	return n
}

func newKernelWorld(t testing.TB, pattern []byte) *kernelWorld {
	t.Helper()
	w := &kernelWorld{pattern: pattern, into: make([]byte, len(pattern))}
	for i := range w.pipes {
		w.pipes[i] = ends{-1, -1}
	}
	var err error
	if w.null, err = unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	if _, err = w.side.open(2*maxSlots, 0); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *kernelWorld) do(o op) outcome {
	p, q := &w.pipes[o.p], &w.pipes[o.q]
	switch o.verb {
	case doOpen:
		p.close(&p.r)
		p.close(&p.w)
		flags := 0
		if o.flag {
			flags = unix.O_DIRECT
		}
		n, err := p.open(o.n, flags)
		return w.outcome(o, n, err)
	case doWrite:
		n, err := unix.Write(p.w, w.pattern[o.at:o.at+o.n])
		return w.outcome(o, n, err)
	case doRead:
		n, err := unix.Read(p.r, w.into[:o.n])
		r := w.outcome(o, n, err)
		r.data = w.into[:r.n]
		return r
	case doSplice:
		n, err := unix.Splice(p.r, nil, q.w, nil, o.n, unix.SPLICE_F_NONBLOCK)
		return w.outcome(o, int(n), err)
	case doTee:
		n, err := unix.Tee(p.r, q.w, o.n, unix.SPLICE_F_NONBLOCK)
		return w.outcome(o, int(n), err)
	case doVmsplice:
		n, err := w.vmsplice(p, o)
		return w.outcome(o, n, err)
	case doDiscard:
		n, err := unix.Splice(p.r, nil, w.null, nil, o.n, unix.SPLICE_F_NONBLOCK)
		if err == unix.EAGAIN || p.r < 0 {
			n, err = 0, nil // to drop nothing is no error
		}
		return outcome{n: int(n), err: err}
	case doPeek:
		return w.peek(p, o.n)
	case doResize:
		_, err := unix.FcntlInt(uintptr(max(p.r, p.w)), unix.F_SETPIPE_SZ, o.n*os.Getpagesize())
		return w.outcome(o, 0, err)
	case doFill:
		for n := 0; ; n++ {
			if _, err := w.vmsplice(p, o); err != nil {
				return w.outcome(o, n, err)
			}
		}
	case doCloseRead:
		p.close(&p.r)
		return outcome{}
	case doCloseWrite:
		p.close(&p.w)
		return outcome{}
	}
	panic(o.verb)
}

// outcome is the kernel's answer in Go's words: what takes bytes out and has got none is at the end.
func (w *kernelWorld) outcome(o op, n int, err error) outcome {
	takes := o.verb == doRead || o.verb == doSplice || o.verb == doTee
	switch {
	case err != nil && o.verb == doFill:
		return outcome{n: n, err: err}
	case err == unix.EBADF && o.n == 0:
		return outcome{} // nothing is looked at where nothing is to be moved, not even whether it is closed
	case err == unix.EBADF && (o.verb == doResize && o.n < 0 || (o.verb == doSplice || o.verb == doTee) && o.p == o.q):
		return outcome{err: syscall.EINVAL} // nor where the arguments are wrong whatever the pipe is like
	case err != nil:
		return outcome{err: err}
	case n == 0 && o.n > 0 && takes:
		return outcome{err: io.EOF}
	}
	return outcome{n: n}
}

func (w *kernelWorld) vmsplice(p *ends, o op) (int, error) {
	iov := []unix.Iovec{{Base: &w.pattern[o.at]}}
	iov[0].SetLen(o.n)
	flags := unix.SPLICE_F_NONBLOCK
	if o.flag {
		flags |= unix.SPLICE_F_GIFT
	}
	return unix.Vmsplice(p.w, iov, flags)
}

// peek shows less data than it counts where the side pipe is too short, because the user's budget is used up.
func (w *kernelWorld) peek(p *ends, n int) outcome {
	if n = min(n, p.held()); n <= 0 {
		return outcome{}
	}
	teed, err := unix.Tee(p.r, w.side.w, n, unix.SPLICE_F_NONBLOCK)
	if err != nil {
		return outcome{err: err}
	}
	got := 0
	for got < int(teed) { // packets come one by one
		m, err := unix.Read(w.side.r, w.into[got:teed])
		if err != nil {
			return outcome{err: err}
		}
		got += m
	}
	return outcome{n: n, data: w.into[:got]}
}

// state asks the kernel; of an end that is closed it is what poll(2) says of a bad descriptor: that no call waits.
func (w *kernelWorld) state(i int) (state, error) {
	p := &w.pipes[i]
	fds := []unix.PollFd{{Fd: int32(p.r), Events: unix.POLLIN}, {Fd: int32(p.w), Events: unix.POLLOUT}}
	_, err := unix.Poll(fds, 0)
	for err == unix.EINTR { // the one call here that is not restarted after a signal, as the Go runtime sends them
		_, err = unix.Poll(fds, 0)
	}
	if err != nil {
		return state{}, err
	}
	return state{
		held: p.held(), slots: p.slots(),
		readable: p.r < 0 || fds[0].Revents&(unix.POLLIN|unix.POLLHUP) != 0,
		writable: p.w < 0 || fds[1].Revents&(unix.POLLOUT|unix.POLLERR) != 0,
	}, nil
}

func (w *kernelWorld) close() {
	for _, p := range append(w.pipes[:], w.side) {
		p.close(&p.r)
		p.close(&p.w)
	}
	_ = unix.Close(w.null)
}
