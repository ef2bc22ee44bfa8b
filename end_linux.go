package penstock

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/penstock-io/penstock/internal/kernel"
)

// end is one descriptor of a pipe, with the count of calls that are using its number.
//
// Its state counts calls in progress; endClosed is added by close. Whoever brings the state to endClosed alone closes
// the descriptor, so that its number is never given to somebody else while a call still uses it.
type end struct {
	fd    int
	state atomic.Int64
	gone  sync.Once

	// file is made when somebody first waits on this end, not before: the runtime's poller is told of every change
	// of a registered pipe, and a pipe that is only spliced through would wake it with each chunk for nobody.
	file  atomic.Pointer[os.File]
	birth sync.Mutex
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

func (e *end) close() error {
	for {
		s := e.state.Load()
		if s&endClosed != 0 {
			return os.ErrClosed
		}
		if e.state.CompareAndSwap(s, s|endClosed) {
			break
		}
	}
	if f := e.file.Load(); f != nil {
		_ = f.SetDeadline(past) // wake those who wait; the last of them closes
	}
	if e.state.Load() == endClosed {
		e.destroy()
	}
	return nil
}

// closeOnce is close for whom it does not matter that the end was closed already.
func (e *end) closeOnce() error {
	if err := e.close(); err != nil && !errors.Is(err, os.ErrClosed) {
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

// promote returns the end as a file of the runtime's poller. Precondition: the caller has entered.
func (e *end) promote() *os.File {
	e.birth.Lock()
	defer e.birth.Unlock()
	f := e.file.Load()
	if f == nil {
		f = os.NewFile(uintptr(e.fd), "pipe")
		e.file.Store(f)
	}
	if e.state.Load()&endClosed != 0 {
		_ = f.SetDeadline(past)
	}
	return f
}

func (e *end) setDeadline(t time.Time) error {
	if _, ok := e.enter(); !ok {
		return os.ErrClosed
	}
	defer e.leave()
	return e.promote().SetDeadline(t)
}

// do tries the bare call, and waits in the poller only when it would block.
func (e *end) do(b []byte, try func(int, []byte) (int, error), wait func(*os.File, []byte) (int, error)) (int, error) {
	fd, ok := e.enter()
	if !ok {
		return 0, os.ErrClosed
	}
	defer e.leave()
	if e.file.Load() == nil {
		n, err := try(fd, b)
		if err != syscall.EAGAIN {
			return n, err
		}
	}
	n, err := wait(e.promote(), b)
	if err != nil && err != io.EOF {
		if e.state.Load()&endClosed != 0 {
			return n, os.ErrClosed
		}
		if cause := (*os.PathError)(nil); errors.As(err, &cause) {
			err = cause.Err
		}
	}
	return n, err
}

// await waits in the poller until the end is ready. A context that is done ends it with its cause.
func (e *end) await(ctx context.Context, wait func(syscall.RawConn, func(uintptr) bool) error, ready func(fd int) bool) error {
	fd, ok := e.enter()
	if !ok {
		return os.ErrClosed
	}
	defer e.leave()
	if ready(fd) {
		return nil
	}
	f := e.promote()
	if ctx.Done() != nil { // a deadline of one's own to interrupt, and not everybody's
		own, err := kernel.Dup(fd)
		if err != nil {
			return err
		}
		f = os.NewFile(uintptr(own), "pipe")
		defer f.Close()
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	interrupted := interruptible(ctx,
		func() { _ = f.SetDeadline(past) },
		func() { _ = f.SetDeadline(time.Time{}) },
		func() { err = wait(raw, func(fd uintptr) bool { return ready(int(fd)) }) })
	if interrupted && err != nil {
		err = context.Cause(ctx)
	}
	if err != nil && e.state.Load()&endClosed != 0 {
		return os.ErrClosed
	}
	return err
}
