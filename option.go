package penstock

import (
	"fmt"
	"io"
	"syscall"
	"time"
)

// Option changes how a [Copy] goes. None of them turns splice off but the two that say so, and none costs a system call
// per chunk.
type Option func(*options)

type options struct {
	limit          int64 // bytes; -1 for none
	most           bool  // more than these is an error
	bytesPerSecond int64 // 0 for no limit
	idle           time.Duration
	timeout        time.Duration
	every          time.Duration
	moved          func()
	progress       func(Report)

	pipeSize  int
	noSplice  bool
	stable    bool
	halfClose bool

	header    []byte
	tees      []io.Writer
	queues    map[int]Queue       // by output
	backward  []Option            // of a CopyBoth: what its backward direction has besides
	goWithout func(*OpError) bool // nil: an output's failure ends the transfer
	pool      *Pool

	bad error // the first option that makes no sense
}

func (o *options) refuse(format string, args ...any) {
	if o.bad == nil {
		o.bad = fmt.Errorf(format+": %w", append(args, syscall.EINVAL)...)
	}
}

// WithMoved calls f once, when the transfer needs its source and its destination no more: all has been moved between
// them that will be, and they may be closed. Further outputs may still have something in their queues, which the
// transfer waits for. Of a CopyBoth it is when that is so in both directions. f is called from a goroutine of the
// transfer, unless the options make no sense, or the context was done before it began.
func WithMoved(f func()) Option { return func(o *options) { o.moved = f } }

// WithLimit ends the transfer after n bytes. The source stands behind them.
func WithLimit(n int64) Option {
	return func(o *options) {
		if n < 0 {
			o.refuse("limit of %d bytes", n)
		}
		o.limit, o.most = n, false
	}
}

// WithMost bounds what the source may give: more than n bytes is the source's error, ErrTooMuch, with the first one that is
// too many in flight. The sink has the n then, and is not told an end by WithHalfClose.
func WithMost(n int64) Option {
	return func(o *options) {
		if n < 0 {
			o.refuse("%d bytes at most", n)
		}
		o.limit, o.most = n, true
	}
}

// WithRate holds the transfer to so many bytes per second; 0 is no limit. Up to a tenth of a second's worth goes at
// once. [Transfer.SetRate] changes it while the transfer runs.
func WithRate(bytesPerSecond int64) Option {
	return func(o *options) {
		if bytesPerSecond < 0 {
			o.refuse("rate of %d bytes per second", bytesPerSecond)
		}
		o.bytesPerSecond = bytesPerSecond
	}
}

// WithIdleTimeout ends the transfer with ErrIdle when no byte has moved for d, give or take an eighth. Being held up by
// a rate limit does not count.
func WithIdleTimeout(d time.Duration) Option {
	return func(o *options) {
		if d <= 0 {
			o.refuse("idle timeout of %v", d)
		}
		o.idle = d
	}
}

// WithTimeout bounds the whole transfer; then its error is os.ErrDeadlineExceeded, as with a deadline of the context.
func WithTimeout(d time.Duration) Option {
	return func(o *options) {
		if d <= 0 {
			o.refuse("timeout of %v", d)
		}
		o.timeout = d
	}
}

// WithProgress calls f every so often while the transfer runs, also while it waits, and once at its end, with the report
// as it is then. The calls come one at a time, the last one before the transfer returns.
func WithProgress(every time.Duration, f func(Report)) Option {
	return func(o *options) {
		if every <= 0 || f == nil {
			o.refuse("progress every %v", every)
		}
		o.every, o.progress = every, f
	}
}

// WithPipeSize sets the capacity in bytes of the kernel pipe that a bulk transfer takes, a power of two of pages.
// Without it that is 1 MiB, or what the pool has left.
func WithPipeSize(n int) Option {
	return func(o *options) {
		if n < MinPageSize || n&(n-1) != 0 {
			o.refuse("pipe of %d bytes", n)
		}
		o.pipeSize = n
	}
}

// WithoutSplice moves the bytes through this process's memory.
func WithoutSplice() Option { return func(o *options) { o.noSplice = true } }

// WithStable delivers what the source held when it was read, even if somebody writes to the source's file or memory
// before the sink's peer has seen it. Such sources are copied; a socket's bytes are stable as they are, and still
// spliced.
func WithStable() Option { return func(o *options) { o.stable = true } }

// WithHalfClose closes the sink for writing when the source has ended, so that the peer sees the end and can still
// answer. A sink that cannot is refused before anything has moved. After a failure nothing is closed. Further sinks are
// the caller's to close.
func WithHalfClose() Option { return func(o *options) { o.halfClose = true } }

// WithHeader delivers b before the source's bytes: with the first of them in one packet, where they are a file's and the
// sink is a TCP socket. It is counted as consumed like them, but not against a limit. b is the transfer's until that
// returns.
func WithHeader(b []byte) Option { return func(o *options) { o.header = b } }

// WithTee delivers the same bytes to further sinks, all in step: the slowest sets the pace. When one fails, each of the
// others still gets what has left the source, and then the transfer ends with an error that names it by an
// [OutputError], the first of ws being output 1; what it lacks is in flight. See [WithOutputErrors].
func WithTee(ws ...io.Writer) Option { return func(o *options) { o.tees = append(o.tees, ws...) } }

// WithOutputErrors lets a transfer with several outputs go on without those that fail. f is called for each as it does,
// with the error that will be told in the end, and its InFlight; from the goroutine of the transfer, which goes on
// without that output if f returns true and others are left. So an error of the transfer may be one of outputs alone,
// while the others have everything: [Failures] takes it apart.
func WithOutputErrors(f func(*OpError) bool) Option { return func(o *options) { o.goWithout = f } }

// WithPool takes kernel pipes from p rather than from the pool that all transfers share.
func WithPool(p *Pool) Option { return func(o *options) { o.pool = p } }
