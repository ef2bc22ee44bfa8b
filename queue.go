package penstock

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// Queue gives an output of a [Copy] a buffer of its own: it need not keep in step with the others, and takes what is in
// its queue at its own pace. What is queued stays in kernel pipes where it goes by splice and the pool has any to give,
// and lies in memory otherwise.
type Queue struct {
	Size int64     // bytes that it holds at most, or a single chunk if that is more; more than 0
	Full FullQueue // what becomes of bytes for which there is no room

	// Start is how many bytes there must be before the first of them goes out, once it has been empty, unless no more
	// come; 0 is one. It spares a sink that is slow to start, like a tape.
	Start int64

	// Most is after how many bytes the output gets no more, and is over; 0 is never. The destination has [WithLimit].
	Most int64

	// Refill is how far a queue that has been full must go down before it takes more; 0 is as soon as there is room.
	Refill int64

	// Linger is how long it may take, once no more comes, until the output has had everything; then it fails with
	// ErrQueueLate. 0 is for ever.
	Linger time.Duration
}

// FullQueue says what becomes of bytes for which a queue has no room.
type FullQueue uint8

// What becomes of them.
const (
	QueueWaits FullQueue = iota // the source waits, and with it all other outputs
	QueueSkips                  // they are dropped, and counted; the output goes on behind them
	QueueFails                  // the output fails with ErrQueueFull, once a Write that nothing can end has returned; what it lacks is in flight
)

// ErrQueueFull is what an output fails with that has fallen further behind than its queue has room for.
var ErrQueueFull = errors.New("too slow: its queue is full")

// ErrQueueLate is what an output fails with that has not had everything within its queue's Linger.
var ErrQueueLate = errors.New("too slow: its queue is not empty in time")

// WithQueue gives an output a queue: 0 is the destination, 1 the first of [WithTee]. The transfer ends when all queues
// are empty. Writes to the output are a goroutine's of its own, which begins with the first byte: a writer that is an
// output twice must bear that.
func WithQueue(output int, q Queue) Option {
	return func(o *options) {
		switch {
		case output < 0, q.Size <= 0, q.Most < 0, output == 0 && q.Most > 0, q.Start < 0,
			q.Refill < 0, q.Linger < 0, q.Start > q.Size, q.Refill > q.Size, q.Full > QueueFails:
			o.refuse("output %d with a queue of %+v", output, q)
		}
		if o.queues == nil {
			o.queues = make(map[int]Queue)
		}
		o.queues[output] = q
	}
}

// queue is what an output has still to get. The transfer puts chunks in; a transfer of the queue's own, whose source it
// is, takes them out.
type queue struct {
	Queue
	own  *Transfer
	done chan struct{} // closed when that has ended

	mu      sync.Mutex
	changed sync.Cond // of mu; told with every change that somebody may wait for
	parcels []parcel  // oldest first
	bytes   int64     // in them
	skipped int64

	running  bool  // somebody takes: from the first byte on
	started  bool  // Start has been reached since it was empty
	full     bool  // and has not gone down to Refill since
	ended    bool  // no more will come
	halted   bool  // whoever puts is not to wait
	late     bool  // whoever takes is not to wait
	left     bool  // nobody takes any more
	leftWith error // and why, if it was a failure
	panicked any   // what the output's Write panicked with: it goes on in who puts, or waits for the end
}

// parcel is a chunk that belongs to nobody but whoever has it.
type parcel struct {
	pipe  *KernelPipe // a pool's, and what it holds
	held  int
	buf   *[]byte // or one of the buffer pools'
	bytes []byte
}

func (p *parcel) len() int64 { return int64(p.held + len(p.bytes)) }

// newQueue makes the queue of an output, and the transfer that empties it, with what concerns that of opts.
func newQueue(q Queue, w io.Writer, opts *options) *queue {
	made := &queue{Queue: q, done: make(chan struct{})}
	made.changed.L = &made.mu
	made.own = NewTransfer(w, made)
	made.own.noSplice, made.own.pipeSize, made.own.pool = opts.noSplice, opts.pipeSize, opts.pool
	made.own.interruptible = true
	made.own.carriage.queue = made
	return made
}

// run empties the queue until it has ended.
func (q *queue) run() {
	err := errAbandoned // if a Write ends the goroutine
	defer func() {
		panicked := recover()
		q.mu.Lock()
		q.left, q.leftWith, q.panicked = true, err, panicked
		q.changed.Broadcast()
		q.mu.Unlock()
		close(q.done)
	}()
	if oerr := q.open(); oerr != nil {
		err = oerr
		return
	}
	err = q.own.move(context.Background())
}

// open opens an output that is to be opened late.
func (q *queue) open() error {
	late, is := q.own.carriage.dst.(*Late)
	if !is {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	opened := make(chan struct{})
	defer close(opened)
	go func() {
		select {
		case <-q.own.whenStopped():
			cancel()
		case <-opened:
		}
	}()
	w, err := late.open(ctx)
	if err != nil {
		if cause := q.own.cause(); cause != nil {
			err = cause // it was not to be waited for
		}
		return opErr("copy", SideSink, "", err)
	}
	q.own.carriage.dst = w
	return nil
}

// await waits for room for n bytes, and tells whether there is some. There is not if they are to be skipped, or with an
// error: the output's, or ErrQueueFull, or os.ErrDeadlineExceeded if the waiting is to end. waits is called before it
// waits.
func (q *queue) await(n int64, waits func()) (room bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for ; ; q.changed.Wait() {
		if q.full = q.full && q.Refill > 0 && q.bytes > q.Refill; !q.full {
			q.full = q.bytes > 0 && q.bytes+n > q.Size
		}
		if q.full && !q.started {
			q.changed.Broadcast() // Start may be more than there will ever be
		}
		switch {
		case q.panicked != nil:
			panic(q.panicked)
		case q.left:
			return false, q.leftWith
		case !q.full:
			return true, nil
		case q.Full == QueueSkips:
			q.skipped += n
			return false, nil
		case q.Full == QueueFails:
			return false, ErrQueueFull
		case q.halted:
			return false, os.ErrDeadlineExceeded
		}
		waits()
	}
}

// put adds a chunk for which there is room.
func (q *queue) put(p parcel) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.running {
		q.running = true
		go q.run()
	}
	q.bytes += p.len()
	if last := len(q.parcels) - 1; last < 0 || !q.parcels[last].join(&p) {
		q.parcels = append(q.parcels, p)
	}
	q.changed.Broadcast()
}

// join puts behind a parcel what fits of a small one, and tells whether that was all of it.
func (p *parcel) join(small *parcel) bool {
	switch {
	case p.pipe != nil && small.pipe != nil:
		return small.held <= smallBuffer && p.joinPipe(small)
	case p.buf != nil && small.buf != nil && len(p.bytes)+len(small.bytes) <= cap(p.bytes):
		p.bytes = append(p.bytes, small.bytes...)
		small.giveBack()
		return true
	default:
		return false
	}
}

// next takes out the oldest chunk, waiting for one as the queue's watermark has it. Its error is io.EOF at the end, and
// os.ErrDeadlineExceeded if the waiting is to end.
func (q *queue) next() (parcel, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for ; ; q.changed.Wait() {
		if q.bytes == 0 {
			q.started = false
		} else if q.bytes >= q.Start || q.full || q.ended {
			q.started = true
		}
		switch {
		case q.late:
			return parcel{}, os.ErrDeadlineExceeded
		case q.started:
			p := q.parcels[0]
			q.parcels[0] = parcel{}
			q.parcels = q.parcels[1:]
			q.bytes -= p.len()
			q.changed.Broadcast()
			return p, nil
		case q.ended:
			return parcel{}, io.EOF
		}
	}
}

// tell changes one of the queue's flags.
func (q *queue) tell(flag *bool, is bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	*flag = is
	q.changed.Broadcast()
}

// interrupt ends the waiting on both sides.
func (q *queue) interrupt(cause error) {
	q.tell(&q.halted, true)
	q.own.stop(cause)
}

// end waits until the queue, which gets no more, is empty, or its output has failed, and returns that failure.
func (q *queue) end() error {
	q.mu.Lock()
	q.ended = true
	if !q.running {
		q.running, q.left = true, true
		close(q.done)
	}
	q.changed.Broadcast()
	q.mu.Unlock()
	<-q.done
	if q.panicked != nil {
		panic(q.panicked)
	}
	return q.leftWith
}

// Read is for the queue to be a source: its transfer takes whole chunks.
func (q *queue) Read([]byte) (int, error) { return 0, syscall.ENOSYS }

// SetReadDeadline ends the waiting of whoever takes, or lets him wait.
func (q *queue) SetReadDeadline(t time.Time) error {
	q.tell(&q.late, !t.IsZero())
	return nil
}

// over tells whether nobody takes any more.
func (q *queue) over() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.left
}

// held returns how many bytes there are, and how many have been skipped.
func (q *queue) held() (bytes, skipped int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes, q.skipped
}

// empty takes out everything, for which there is no output any more.
func (q *queue) empty() []parcel {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.parcels
	q.parcels, q.bytes = nil, 0
	return all
}

// read takes the bytes out of a parcel, which is given back.
func (p *parcel) read() ([]byte, error) {
	defer p.giveBack()
	b := make([]byte, p.len())
	n := copy(b, p.bytes)
	for n < len(b) {
		m, err := p.pipe.TryRead(b[n:])
		if n += m; err != nil {
			return b[:n], err
		}
		p.held -= m
	}
	return b, nil
}

// giveBack returns to the pools what a parcel lies in.
func (p *parcel) giveBack() {
	if p.buf != nil {
		(&hand{buf: p.buf}).letGoBuffer()
	}
	if p.pipe != nil {
		p.pipe.lease.pool.Put(p.pipe)
	}
	*p = parcel{}
}
