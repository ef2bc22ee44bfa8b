package penstock

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/penstock-io/penstock/internal/kernel"
	"github.com/penstock-io/penstock/internal/park"
)

// end is one descriptor of a pipe, with the count of calls that are using its number.
//
// Its state counts calls in progress; endClosed is added by close. Whoever brings the state to endClosed alone closes
// the descriptor, so that its number is never given to somebody else while a call still uses it.
//
// Every call tries first and waits only when it would block: in the runtime's poller, or, where the description is not
// ours alone and blocks when it is first waited for, in a thread. Whoever can be interrupted by a context waits for the
// lookout, which waits for all of them.
type end struct {
	fd     int
	out    bool // the write end
	absent bool // a pipe was adopted without this end
	shared bool // others have the description, too, and may make it block at any time

	state atomic.Int64
	gone  sync.Once

	deadline atomic.Pointer[time.Time] // nil is none

	// file is made when somebody first waits on this end, not before: the runtime's poller is told of every change
	// of a registered pipe, and a pipe that is only spliced through would wake it with each chunk for nobody.
	file atomic.Pointer[os.File]
	raw  syscall.RawConn // the file's; nil if the runtime's poller does not take it

	waiter park.Waiter // waits where the runtime's poller does not

	mu   sync.Mutex // guards the making of file, raw and look; and a deadline against close, which is one for good
	look *lookout   // the wait in progress that is shared
}

const endClosed = 1 << 32

func (e *end) enter() (fd int, ok bool) {
	if e.state.Add(1)&endClosed != 0 {
		e.leave()
		return -1, false
	}
	return e.fd, true
}

func (e *end) leave() {
	if e.state.Add(-1) == endClosed {
		e.destroy()
	}
}

// closed tells whether the end is, or was never there.
func (e *end) closed() bool { return e.state.Load()&endClosed != 0 }

// whyClosed is the error of a call that could not enter.
func (e *end) whyClosed() error {
	if e.absent {
		return syscall.EBADF
	}
	return os.ErrClosed
}

func (e *end) close() error {
	for {
		s := e.state.Load()
		if s&endClosed != 0 {
			return e.whyClosed()
		}
		if e.state.CompareAndSwap(s, s|endClosed) {
			break
		}
	}
	e.mu.Lock()
	if f := e.file.Load(); f != nil {
		_ = f.SetDeadline(past) // wake those who wait; the last of them closes
	}
	e.waiter.Close()
	e.mu.Unlock()
	if e.state.Load() == endClosed {
		e.destroy()
	}
	return nil
}

// closeOnce is close for whom it does not matter that the end was closed already, or was never there.
func (e *end) closeOnce() error {
	if err := e.close(); err != nil && err != e.whyClosed() {
		return err
	}
	return nil
}

func (e *end) destroy() {
	e.gone.Do(func() {
		if f := e.file.Load(); f != nil {
			_ = f.Close()
		} else {
			_ = kernel.Close(e.fd)
		}
	})
}

// omit makes an end that is not there.
func (e *end) omit() {
	e.fd, e.absent = -1, true
	e.state.Store(endClosed)
	e.gone.Do(func() {})
}

// promote returns the end as the runtime's poller knows it, or nil if that cannot wait for it. Precondition: the caller
// has entered.
func (e *end) promote() syscall.RawConn {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.promoteLocked()
}

func (e *end) promoteLocked() syscall.RawConn {
	f := e.file.Load()
	if f == nil {
		f = os.NewFile(uintptr(e.fd), "pipe")
		// It has no deadlines if the description blocks, or epoll has refused it.
		if raw, err := f.SyscallConn(); err == nil && f.SetDeadline(time.Time{}) == nil {
			e.raw = raw
		}
		e.file.Store(f)
	}
	if e.closed() {
		_ = f.SetDeadline(past)
	}
	return e.raw
}

// setDeadline sets what ends waits on this end, and calls to come.
func (e *end) setDeadline(t time.Time) error {
	if _, ok := e.enter(); !ok {
		return e.whyClosed()
	}
	defer e.leave()
	return e.applyDeadline(t)
}

// applyDeadline is setDeadline for who has entered. The end may have been closed since.
func (e *end) applyDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed() { // close has set the last one
		return e.whyClosed()
	}
	if t.IsZero() {
		e.deadline.Store(nil)
	} else {
		t = time.Now().Add(time.Until(t)) // by the clock of timers, which nobody sets: overdue is what they say
		e.deadline.Store(&t)
	}
	e.waiter.SetDeadline(t) // a Peek for more than there is waits there
	if e.promoteLocked() != nil {
		return e.file.Load().SetDeadline(t)
	}
	return nil
}

// overdue tells whether the deadline has passed.
func (e *end) overdue() bool {
	t := e.deadline.Load()
	return t != nil && !time.Now().Before(*t)
}

// do tries a call that does not wait, and again whenever the end has become ready, until it does not say EAGAIN. With
// NonBlock it tries once.
func (e *end) do(ctx context.Context, flags Flags, try func(fd int) (int, error)) (int, error) {
	fd, ok := e.enter()
	if !ok {
		return 0, e.whyClosed()
	}
	defer e.leave()
	for {
		if e.overdue() {
			return 0, os.ErrDeadlineExceeded
		}
		if e.closed() { // by now
			return 0, e.whyClosed()
		}
		n, err := try(fd)
		if err != syscall.EAGAIN || flags&NonBlock != 0 {
			return n, err
		}
		if err := e.wait(ctx, fd); err != nil {
			return n, err
		}
	}
}

// read is a read(2) that does not wait.
func (e *end) read(fd int, b []byte) (int, error) {
	if e.shared {
		return kernel.ReadNow(fd, b)
	}
	return kernel.Read(fd, b)
}

// write is a write(2) that does not wait.
func (e *end) write(fd int, b []byte) (int, error) {
	if e.shared {
		return kernel.WriteNow(fd, [][]byte{b})
	}
	return kernel.Write(fd, b)
}

// writev is a writev(2) that does not wait.
func (e *end) writev(fd int, views [][]byte) (int, error) {
	if e.shared {
		return kernel.WriteNow(fd, views)
	}
	return kernel.Writev(fd, views)
}

// ready only looks whether a call would not wait.
func (e *end) ready(fd int) bool {
	if e.out {
		return kernel.Writable(fd)
	}
	return kernel.Readable(fd)
}

// await waits until the end is ready. A context that is done ends it with its cause.
func (e *end) await(ctx context.Context) error {
	fd, ok := e.enter()
	if !ok {
		return e.whyClosed()
	}
	defer e.leave()
	if e.ready(fd) {
		return nil
	}
	return e.wait(ctx, fd)
}

// wait is await for who has looked. Precondition: the caller has entered.
func (e *end) wait(ctx context.Context, fd int) error {
	if ctx.Done() == nil {
		return e.poll(ctx, fd)
	}
	if e.promote() == nil {
		return e.poll(ctx, fd) // a thread is not left behind
	}
	l := e.lookOut(fd)
	select {
	case <-l.over:
		return l.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// poll waits, and in the runtime's poller without regard to the context. Precondition: the caller has entered.
func (e *end) poll(ctx context.Context, fd int) (err error) {
	if raw := e.promote(); raw != nil {
		err = e.parkIn(raw, func() bool { return e.ready(fd) })
	} else {
		events := park.Readable
		if e.out {
			events = park.Writable
		}
		err = e.waiter.WaitContext(ctx, fd, events)
	}
	if err != nil && e.closed() {
		return e.whyClosed()
	}
	return err
}

// parkIn waits in the runtime's poller until ready says so, which is asked again at each change.
func (e *end) parkIn(raw syscall.RawConn, ready func() bool) error {
	park := raw.Read
	if e.out {
		park = raw.Write
	}
	return park(func(uintptr) bool { return ready() })
}

// lookout is one wait on behalf of all who may leave before it ends.
type lookout struct {
	over chan struct{}
	err  error // why it ended, if not because the end is ready
}

// lookOut returns the wait in progress, or begins one. It goes on until the end is ready, overdue or closed, whoever
// leaves: a goroutine for each end at most. Precondition: the caller has entered.
func (e *end) lookOut(fd int) *lookout {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.look != nil {
		return e.look
	}
	l := &lookout{over: make(chan struct{})}
	e.look = l
	e.state.Add(1) // the goroutine has entered, too
	go func() {
		defer e.leave()
		for !e.settled(l, e.poll(context.Background(), fd)) {
		}
		close(l.over)
	}()
	return l
}

// settled ends a lookout, so that whoever waits from now on begins another. A deadline that has been taken back
// meanwhile ends nothing: some may have come after it.
func (e *end) settled(l *lookout, err error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if errors.Is(err, os.ErrDeadlineExceeded) && !e.overdue() {
		return false
	}
	l.err, e.look = err, nil
	return true
}

// signal returns a channel that is closed as soon as a call would not wait.
func (e *end) signal() <-chan struct{} {
	fd, ok := e.enter()
	if !ok {
		return closedChan
	}
	defer e.leave()
	if e.overdue() || e.ready(fd) {
		return closedChan
	}
	return e.lookOut(fd).over
}

// reset takes the deadline back, and tells whether the end is as new: open, and used by nobody.
func (e *end) reset() bool {
	if e.deadline.Load() != nil && e.setDeadline(time.Time{}) != nil {
		return false
	}
	return e.state.Load() == 0
}
