package park

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// blocking is a pipe whose ends block.
func blocking(t *testing.T) (r, w int) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

// parked returns when so many waits are in progress.
func (w *Waiter) parked(n int) {
	for {
		w.mu.Lock()
		waits := len(w.waits)
		w.mu.Unlock()
		if waits == n {
			return
		}
		runtime.Gosched()
	}
}

// waits begins a Wait, and returns where its error will be.
func (w *Waiter) start(ctx context.Context, fd int, events Events) <-chan error {
	over := make(chan error, 1)
	go func() { over <- w.WaitContext(ctx, fd, events) }()
	return over
}

func is(t *testing.T, over <-chan error, want error) {
	t.Helper()
	select {
	case err := <-over:
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for ever")
	}
}

var background = context.Background()

func TestWaitReturnsWhenTheDescriptorIsReady(t *testing.T) {
	r, w := blocking(t)
	var p Waiter
	is(t, p.start(background, w, Writable), nil)
	over := p.start(background, r, Readable)
	p.parked(1)
	if _, err := unix.Write(w, []byte("x")); err != nil {
		t.Fatal(err)
	}
	is(t, over, nil)
	is(t, p.start(background, r, Readable), nil)
	p.parked(0)
}

func TestWaitReturnsAtTheEndOfADescriptor(t *testing.T) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	var p Waiter
	over := p.start(background, fds[0], Readable)
	p.parked(1)
	_ = unix.Close(fds[1])
	is(t, over, nil)
}

func TestAFileIsAlwaysReady(t *testing.T) {
	f, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	is(t, new(Waiter).start(background, int(f.Fd()), Readable), nil)
}

func TestWhatIsNoDescriptorIsEBADF(t *testing.T) {
	is(t, new(Waiter).start(background, 1<<20, Readable), unix.EBADF)
}

// TestWaitsEnd each way, those in progress and those to come, and only as long as the reason is there.
func TestWaitsEnd(t *testing.T) {
	for _, tt := range []struct {
		name  string
		end   func(*Waiter)
		mend  func(*Waiter)
		cause error
	}{
		{"interrupted", (*Waiter).Interrupt, (*Waiter).Resume, ErrInterrupted},
		{
			"past the deadline", func(w *Waiter) { w.SetDeadline(time.Unix(1, 0)) },
			func(w *Waiter) { w.SetDeadline(time.Time{}) }, os.ErrDeadlineExceeded,
		},
		{
			"the deadline passes", func(w *Waiter) { w.SetDeadline(time.Now().Add(time.Millisecond)) },
			func(w *Waiter) { w.SetDeadline(time.Now().Add(time.Hour)) }, os.ErrDeadlineExceeded,
		},
		{"closed", (*Waiter).Close, nil, os.ErrClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, w := blocking(t)
			var p Waiter
			first, second := p.start(background, r, Readable), p.start(background, r, Readable)
			p.parked(2)
			tt.end(&p)
			is(t, first, tt.cause)
			is(t, second, tt.cause)
			is(t, p.start(background, r, Readable), tt.cause)
			p.parked(0)
			if tt.mend == nil {
				return
			}
			tt.mend(&p)
			over := p.start(background, r, Readable)
			p.parked(1)
			if _, err := unix.Write(w, []byte("x")); err != nil {
				t.Fatal(err)
			}
			is(t, over, nil)
		})
	}
}

// TestWithoutDescriptorsAWaitIsAsEver: it ends with what comes, and with what interrupts it.
func TestWithoutDescriptorsAWaitIsAsEver(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	cause := errors.New("the test's own reason")
	for name, tt := range map[string]struct {
		end  func(p *Waiter, w int, cancel context.CancelCauseFunc)
		want error
	}{
		"a byte":    {func(_ *Waiter, w int, _ context.CancelCauseFunc) { _, _ = unix.Write(w, []byte("x")) }, nil},
		"interrupt": {func(p *Waiter, _ int, _ context.CancelCauseFunc) { p.Interrupt(); p.Resume() }, ErrInterrupted},
		"close":     {func(p *Waiter, _ int, _ context.CancelCauseFunc) { p.Close() }, os.ErrClosed},
		"context":   {func(_ *Waiter, _ int, cancel context.CancelCauseFunc) { cancel(cause) }, cause},
		"deadline": {
			func(p *Waiter, _ int, _ context.CancelCauseFunc) { p.SetDeadline(time.Unix(1, 0)) },
			os.ErrDeadlineExceeded,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := blocking(t)
			none := limit
			none.Cur = 1 // which is taken; and of none poll(2) could look at nothing
			if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
				t.Fatal(err)
			}
			defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
			var p Waiter
			ctx, cancel := context.WithCancelCause(background)
			defer cancel(nil)
			over := p.start(ctx, r, Readable)
			select {
			case err := <-over:
				t.Fatalf("it does not wait: %v", err)
			case <-p.begun():
			}
			tt.end(&p, w, cancel)
			is(t, over, tt.want)
		})
	}
}

// begun returns a channel that is closed when a wait is in progress.
func (w *Waiter) begun() <-chan struct{} {
	begun := make(chan struct{})
	go func() { w.parked(1); close(begun) }()
	return begun
}

func TestAContextEndsItsOwnWaitOnly(t *testing.T) {
	r, w := blocking(t)
	var p Waiter
	cause := errors.New("the test's own reason")
	ctx, cancel := context.WithCancelCause(background)
	mine, others := p.start(ctx, r, Readable), p.start(background, r, Readable)
	p.parked(2)
	cancel(cause)
	is(t, mine, cause)
	p.parked(1)
	is(t, p.start(ctx, r, Readable), cause)
	if _, err := unix.Write(w, []byte("x")); err != nil {
		t.Fatal(err)
	}
	is(t, others, nil)
}

func TestAnInterruptIsNotLostBetweenWaits(t *testing.T) {
	r, _ := blocking(t)
	for range 200 { // it depends on who is how far
		var p Waiter
		over := p.start(background, r, Readable)
		p.Interrupt()
		is(t, over, ErrInterrupted)
	}
}

// TestAKickWhoseReasonIsGoneEndsNoWait: a deadline's that was set anew before the wait could look.
func TestAKickWhoseReasonIsGoneEndsNoWait(t *testing.T) {
	r, _ := blocking(t)
	var p Waiter
	over := p.start(background, r, Readable)
	p.parked(1)
	for range 3 {
		p.mu.Lock()
		p.kickAllLocked()
		p.mu.Unlock()
		p.unkicked()
	}
	p.Close()
	is(t, over, os.ErrClosed)
}

// unkicked returns when every wait in progress has seen its kick.
func (w *Waiter) unkicked() {
	for kicked := true; kicked; runtime.Gosched() {
		kicked = false
		w.mu.Lock()
		for own := range w.waits {
			fds := []unix.PollFd{{Fd: int32(own.kick), Events: unix.POLLIN}}
			kicked = kicked || poll(fds, 0) != nil || fds[0].Revents != 0
		}
		w.mu.Unlock()
	}
}

// TestAnInterruptEndsTheWaitsInProgress although it is taken back before they look.
func TestAnInterruptEndsTheWaitsInProgress(t *testing.T) {
	r, _ := blocking(t)
	for range 200 {
		var p Waiter
		over := p.start(background, r, Readable)
		p.parked(1)
		p.Interrupt()
		p.Resume()
		is(t, over, ErrInterrupted)
	}
}

// TestNoDescriptorIsLeftBehind by waits that end in every way at the same time.
func TestNoDescriptorIsLeftBehind(t *testing.T) {
	open := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(names)
	}
	r, w := blocking(t)
	before := open()
	var p Waiter
	var wg sync.WaitGroup
	for i := range 50 {
		ctx, cancel := context.WithCancel(background)
		defer cancel()
		wg.Go(func() { _ = p.WaitContext(ctx, r, Readable) })
		if i%2 == 0 {
			wg.Go(cancel)
		}
	}
	if _, err := unix.Write(w, []byte("x")); err != nil {
		t.Fatal(err)
	}
	p.Interrupt()
	wg.Wait()
	if after := open(); after > before {
		t.Errorf("%d descriptors, and %d before", after, before)
	}
}
