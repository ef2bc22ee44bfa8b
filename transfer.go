package penstock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Transfer is one [Copy], for those who want to look at it, or to change it, while it runs. It runs once.
type Transfer struct {
	dst io.Writer
	src io.Reader
	options
	meter

	claimed, started atomic.Bool // Run has been called, and the meter can be read

	teed  []atomic.Int64 // bytes that each further sink has taken
	pace  pace
	first *Pipe // of a Resume: what was in flight

	interruptible bool // something may stop it before its end

	stopped atomic.Pointer[error] // why it was interrupted
	done    chan struct{}         // closed when it has been

	mu   sync.Mutex    // guards ends; never held while bytes move
	ends []interrupter // what a wait of this transfer may be at; the caller's again when it is over
}

// interrupter is an end that may be waited for.
type interrupter interface {
	interrupt() // makes the wait, and every later one, end promptly with os.ErrDeadlineExceeded; from any goroutine
	resume()
}

// NewTransfer prepares a transfer. [Transfer.Run] tells of options that make no sense.
func NewTransfer(dst io.Writer, src io.Reader, opts ...Option) *Transfer {
	t := &Transfer{dst: dst, src: src, options: options{limit: -1}, done: make(chan struct{})}
	for _, opt := range opts {
		opt(&t.options)
	}
	t.pace.init(t.rate)
	t.teed = make([]atomic.Int64, len(t.tees))
	return t
}

// Report tells how far the transfer is. It may be called from any goroutine, at any time, and holds nothing up.
func (t *Transfer) Report() Report {
	if !t.started.Load() {
		return Report{}
	}
	return t.report()
}

func (t *Transfer) report() Report {
	r := t.meter.report()
	for i := range t.teed {
		r.Tees = append(r.Tees, t.teed[i].Load())
	}
	return r
}

// SetRate changes the rate limit, in bytes per second; 0 lifts it. It may be called at any time, from any goroutine.
func (t *Transfer) SetRate(bytesPerSecond int64) { t.pace.set(max(bytesPerSecond, 0)) }

// Run moves the bytes, as [Copy] tells. A second call fails.
func (t *Transfer) Run(ctx context.Context) (Report, error) {
	if !t.claimed.CompareAndSwap(false, true) {
		return Report{}, opErr("copy", SidePipe, "", errors.New("a transfer runs once"))
	}
	t.meter.began = time.Now()
	t.started.Store(true)
	err := t.check()
	if err == nil {
		err = t.run(ctx)
	}
	t.meter.end()
	rep := t.report()
	if t.progress != nil && t.bad == nil {
		t.progress(rep)
	}
	return rep, err
}

// check refuses what cannot be done, before anything has moved.
func (t *Transfer) check() error {
	switch {
	case t.bad != nil:
		return opErr("copy", SidePipe, "", t.bad)
	case t.src == nil:
		return opErr("copy", SideSource, "", fmt.Errorf("no source: %w", syscall.EINVAL))
	case t.dst == nil:
		return opErr("copy", SideSink, "", fmt.Errorf("no sink: %w", syscall.EINVAL))
	case t.first != nil && len(t.tees) > 0:
		return opErr("copy", SideSink, "", fmt.Errorf("a Resume has one sink: %w", syscall.EINVAL))
	}
	for i, w := range t.tees {
		if w == nil {
			return opErr("copy", SideSink, "", &OutputError{i + 1, fmt.Errorf("no sink: %w", syscall.EINVAL)})
		}
	}
	if err := refuseDatagrams(t.src); err != nil {
		return opErr("copy", SideSource, "", err)
	}
	for i, w := range t.sinks() {
		if err := refuseDatagrams(w); err != nil {
			return t.sinkError(i, "", err)
		}
		if _, can := w.(closeWriter); t.halfClose && !can {
			return t.sinkError(i, "", fmt.Errorf("half-close: %w", errors.ErrUnsupported))
		}
	}
	return nil
}

// closeWriter is what can tell its peer that no more will come.
type closeWriter interface{ CloseWrite() error }

func (t *Transfer) sinks() []io.Writer { return append([]io.Writer{t.dst}, t.tees...) }

// sinkError blames sink i, the first of which is the destination.
func (t *Transfer) sinkError(i int, path Path, err error) *OpError {
	if i > 0 {
		err = &OutputError{i, err}
	}
	return &OpError{Op: "copy", Side: SideSink, Path: path, Err: err}
}

func (t *Transfer) run(ctx context.Context) error {
	if t.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, t.timeout, os.ErrDeadlineExceeded)
		defer cancel()
	}
	if ctx.Err() != nil {
		return opErr("copy", SidePipe, "", context.Cause(ctx))
	}
	t.interruptible = t.interruptible || ctx.Done() != nil || t.idle > 0
	c := newCarriage(t)
	defer c.close()
	t.arm(c.ends())
	defer t.disarm()
	defer t.watch(ctx)()

	err := c.carry()
	if err == nil && t.halfClose {
		for i, w := range t.sinks() {
			if cerr := w.(closeWriter).CloseWrite(); cerr != nil {
				err = errors.Join(err, t.sinkError(i, "", cerr))
			}
		}
	}
	return err
}

// watch arranges that whatever is to end the transfer interrupts its waits. What it returns undoes that.
func (t *Transfer) watch(ctx context.Context) (release func()) {
	stops := []func(){}
	if ctx.Done() != nil {
		done := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(done)
			t.stop(context.Cause(ctx))
		})
		stops = append(stops, func() {
			if !stop() {
				<-done
			}
		})
	}
	if t.idle > 0 {
		idle := t.idleFor()
		stops = append(stops, every(max(t.idle/8, time.Millisecond), func() {
			if idle() {
				t.stop(ErrIdle)
			}
		}))
	}
	if t.progress != nil {
		stops = append(stops, every(t.every, func() { t.progress(t.report()) }))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// arm names the ends, which an interruption may have come before.
func (t *Transfer) arm(ends []interrupter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends = ends
	if t.stopped.Load() != nil {
		t.interruptLocked()
	}
}

// disarm gives the ends back as they were.
func (t *Transfer) disarm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped.Load() != nil {
		for _, e := range t.ends {
			e.resume()
		}
	}
	t.ends = nil
}

func (t *Transfer) interruptLocked() {
	for _, e := range t.ends {
		e.interrupt()
	}
}

// stop interrupts the transfer. The first cause is the one that is told.
func (t *Transfer) stop(cause error) {
	if !t.stopped.CompareAndSwap(nil, &cause) {
		return
	}
	close(t.done)
	t.pace.interrupt()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.interruptLocked()
}

// cause returns why the transfer is to stop, nil if it is not.
func (t *Transfer) cause() error {
	if why := t.stopped.Load(); why != nil {
		return *why
	}
	return nil
}

// because tells an interruption by its cause: what a wait itself says is only that its deadline has passed.
func (t *Transfer) because(err error) error {
	if cause := t.cause(); cause != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return cause
	}
	return err
}

// idleFor returns what is to be called eight times per idle timeout, and then tells whether nothing has moved for one.
func (t *Transfer) idleFor() func() bool {
	var last, quiet int64 = -1, 0
	return func() bool {
		moved := t.meter.in.Load() + t.meter.out.Load()
		if moved != last || (t.meter.since.Load() != 0 && Side(t.meter.side.Load()) == sideLimit) {
			last, quiet = moved, 0
			return false
		}
		quiet++
		return quiet >= 8
	}
}

// every calls f at an interval, one call at a time, until stop is called, which waits for a call in progress.
func every(interval time.Duration, f func()) (stop func()) {
	var mu sync.Mutex
	var timer *time.Timer
	stopped := false
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(interval, func() {
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			f()
			timer.Reset(interval)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}
