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
//
// All of it is one allocation: a server makes one for each request, and holds thousands that are quiet.
type Transfer struct {
	options
	meter
	pace

	src     io.Reader   // as it was given
	claimed atomic.Bool // Run has been called

	first         *Pipe // of a Resume: what was in flight
	interruptible bool  // something may stop it before its end

	peer      *Transfer // the other direction of a CopyBoth; nil if there is none
	unwatched func()    // ends what looks at a direction of a CopyBoth whose other has failed

	stopped atomic.Pointer[error] // why it was interrupted
	stuckAt atomic.Uint32         // the side that it waited for then; SidePipe for none

	mu    sync.Mutex    // guards what follows; never held while bytes move
	armed bool          // the ends may be interrupted; they are the caller's again when it is over
	told  bool          // of having been stopped
	done  chan struct{} // closed when told; made for who selects on it

	carriage carriage
}

// NewTransfer prepares a transfer. [Transfer.Run] tells of options that make no sense.
func NewTransfer(dst io.Writer, src io.Reader, opts ...Option) *Transfer {
	t := &Transfer{options: options{limit: -1}}
	t.src, t.carriage.src, t.carriage.dst = src, src, dst
	for _, opt := range opts {
		if opt != nil {
			opt(&t.options)
		}
	}
	t.rate.Store(t.bytesPerSecond)
	if len(t.tees) > 0 || len(t.queues) > 0 {
		t.outputs = make([]outputMeter, 1+len(t.tees))
		for i := range t.outputs {
			if q, ok := t.queues[i]; ok {
				t.outputs[i].queue = newQueue(q, t.sink(i), &t.options)
			}
		}
	}
	return t
}

// Report tells how far the transfer is. It may be called from any goroutine, at any time, and holds nothing up.
func (t *Transfer) Report() (r Report) {
	t.tell(&r)
	return r
}

// tell is Report into memory that is there already.
//
//go:noinline
func (t *Transfer) tell(r *Report) {
	var tees []int64
	for i := range t.tees {
		tees = append(tees, t.delivered(i+1))
	}
	r.Tees = tees
	t.meter.report(r) // after them, as they are never more than was consumed
}

// SetRate changes the rate limit, in bytes per second; 0 lifts it. It may be called at any time, from any goroutine.
func (t *Transfer) SetRate(bytesPerSecond int64) { t.pace.set(max(bytesPerSecond, 0)) }

// Run moves the bytes, as [Copy] tells. A second call fails.
func (t *Transfer) Run(ctx context.Context) (Report, error) {
	err := t.move(ctx)
	if err == errRunsOnce {
		return Report{}, err
	}
	return t.Report(), err
}

var errRunsOnce = opErr("copy", SidePipe, "", errors.New("a transfer runs once"))

// move is Run without the report. It is what stands on the stack of a transfer that waits: so it is kept small, and what
// is to be done before and after stands elsewhere.
func (t *Transfer) move(ctx context.Context) error {
	release, err := t.begin(ctx)
	if err != nil {
		return err
	}
	defer t.end(release)
	return t.carriage.withFallen(t.carriage.carry())
}

// begin makes everything ready. What it returns is for end.
//
//go:noinline
func (t *Transfer) begin(ctx context.Context) (release func(), err error) {
	if !t.claimed.CompareAndSwap(false, true) {
		return nil, errRunsOnce
	}
	t.meter.began.Store(clock())
	release = func() {}
	if err = t.check(); err == nil {
		ctx, release = t.withTimeout(ctx)
		if ctx.Err() != nil {
			err = opErr("copy", SidePipe, "", context.Cause(ctx))
		}
	}
	if err == nil {
		t.interruptible = t.interruptible || ctx.Done() != nil || t.idle > 0
		if err = t.carriage.open(t); err != nil {
			t.carriage.close()
		}
	}
	if err != nil {
		release()
		t.meter.end()
		return nil, t.keepFirst(err)
	}
	t.arm()
	if ctx.Done() != nil || t.idle > 0 || t.progress != nil {
		unwatch, cancel := t.watch(ctx), release
		release = func() {
			unwatch()
			cancel()
		}
	}
	return release, nil
}

// keepFirst makes what was in flight when a Resume began so in its error, too.
func (t *Transfer) keepFirst(err error) error {
	if op := (*OpError)(nil); t.first != nil && errors.As(err, &op) {
		op.InFlight = t.first
	}
	return err
}

// withTimeout bounds the context, if the transfer is bounded.
func (t *Transfer) withTimeout(ctx context.Context) (context.Context, func()) {
	if t.timeout == 0 {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, t.timeout, os.ErrDeadlineExceeded)
}

//go:noinline
func (t *Transfer) end(release func()) {
	release()
	t.disarm()
	t.carriage.close()
	t.meter.end()
	if t.progress != nil {
		t.progress(t.Report())
	}
}

// closeSink tells the sink's peer that no more will come, if that is wanted, and the transfer has not gone on without it.
//
//go:noinline
func (t *Transfer) closeSink() error {
	if !t.halfClose || t.carriage.outs[0].gone {
		return nil
	}
	err := t.carriage.dst.(closeWriter).CloseWrite()
	if err == nil || errors.Is(err, syscall.ENOTCONN) { // whose peer has gone already
		return nil
	}
	return sinkError(0, err)
}

func (t *Transfer) tellMoved() {
	if t.moved != nil {
		t.moved()
	}
}

// check refuses what cannot be done, before anything has moved.
func (t *Transfer) check() error {
	c := &t.carriage
	switch {
	case t.bad != nil:
		return opErr("copy", SidePipe, "", t.bad)
	case t.backward != nil:
		return opErr("copy", SidePipe, "", fmt.Errorf("options of a backward direction, which there is not: %w", syscall.EINVAL))
	case c.src == nil:
		return opErr("copy", SideSource, "", fmt.Errorf("no source: %w", syscall.EINVAL))
	case t.first != nil && (len(t.tees) > 0 || len(t.queues) > 0):
		return opErr("copy", SideSink, "", fmt.Errorf("a Resume has one sink, in step: %w", syscall.EINVAL))
	}
	for i := range t.queues {
		if i > len(t.tees) {
			return opErr("copy", SideSink, "", fmt.Errorf("a queue of output %d, which there is not: %w", i, syscall.EINVAL))
		}
	}
	for i := range 1 + len(t.tees) {
		w := t.sink(i)
		switch _, can := w.(closeWriter); {
		case w == nil:
			return sinkError(i, fmt.Errorf("no sink: %w", syscall.EINVAL))
		case isDatagram(w):
			return sinkError(i, errDatagrams)
		case i == 0 && t.halfClose && !can:
			return sinkError(i, fmt.Errorf("half-close: %w", errors.ErrUnsupported))
		}
	}
	return nil
}

// closeWriter is what can tell its peer that no more will come.
type closeWriter interface{ CloseWrite() error }

// sink returns the destination, and then the further sinks.
func (t *Transfer) sink(i int) io.Writer {
	if i == 0 {
		return t.carriage.dst
	}
	return t.tees[i-1]
}

// sinkError blames a sink.
func sinkError(i int, err error) *OpError {
	if i > 0 {
		err = &OutputError{i, err}
	}
	return &OpError{Op: "copy", Side: SideSink, Err: err}
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
		stops = append(stops, every(t.every, func() { t.progress(t.Report()) }))
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// arm lets the ends be interrupted, and does so if that has been asked for already.
func (t *Transfer) arm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed = true
	if t.told {
		t.carriage.interrupt()
	}
}

// disarm gives the ends back as they were.
func (t *Transfer) disarm() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed = false
	if t.told {
		t.carriage.resume()
	}
}

// stop interrupts the transfer. The first cause is the one that is told.
func (t *Transfer) stop(cause error) {
	if t.stopped.Load() == nil && t.since.Load() != 0 {
		t.stuckAt.Store(t.side.Load())
	}
	if !t.stopped.CompareAndSwap(nil, &cause) {
		return
	}
	t.pace.interrupt()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = true
	if t.done != nil {
		close(t.done)
	}
	if t.armed {
		t.carriage.interrupt()
	}
}

// whenStopped returns a channel that is closed when the transfer is stopped.
func (t *Transfer) whenStopped() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done == nil {
		t.done = make(chan struct{})
		if t.told {
			close(t.done)
		}
	}
	return t.done
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
		moved := t.in.Load()
		for i := range 1 + len(t.tees) {
			moved += t.delivered(i)
		}
		moved -= t.queued()
		if moved != last || (t.since.Load() != 0 && Side(t.side.Load()) == sideLimit) {
			last, quiet = moved, 0
			return false
		}
		quiet++
		return quiet >= 8
	}
}

// queued returns the bytes that are on their way to the peers of the sinks.
func (t *Transfer) queued() (n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.armed {
		return 0
	}
	for i := range t.carriage.outs {
		n += int64(t.carriage.outs[i].edge.queued())
	}
	return n
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
