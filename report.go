package penstock

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// Report tells what a transfer has done, so far or in all.
type Report struct {
	Consumed  int64   // bytes that have left the source, but for those of a Read that was left behind
	Delivered int64   // bytes that the sink has taken; what is missing to Consumed is in flight
	Tees      []int64 // bytes that each further sink has taken, in the order of [WithTee]

	Outputs []OutputReport // the destination, and then the further sinks; nil if there is but the one, in step

	Ended bool // the source has come to its end, or to the limit, and the sink has it all, and has been told if that was wanted

	Path Path   // the way taken, the last one if there were several
	Why  string // in words, what it leads through, or why it is no faster one

	Calls int64 // system calls that moved bytes, or tried to; of a plain Reader or Writer its calls

	SourceStalled time.Duration // how long the source had nothing to give
	SinkStalled   time.Duration // how long a sink had no room
	Limited       time.Duration // how long a rate limit held the transfer up

	Waiting Side          // of a transfer that runs, the side it waits for; SidePipe if for none
	Since   time.Duration // and how long it has done so

	Output int // which sink it waits for, if it is for one: as in Outputs

	Elapsed time.Duration // from the beginning to the end, or to now

	by [len(pathIndex)]int64
}

// OutputReport tells how far one output of a transfer is.
type OutputReport struct {
	Delivered int64 // bytes that it has taken
	Queued    int64 // bytes in its queue, if it has one
	Skipped   int64 // bytes that its queue had no room for
	Failed    bool  // the transfer goes on without it

	Path Path   // the way that bytes go to it
	Why  string // in words

	Stalled time.Duration // how long it had no room for what there was
	Since   time.Duration // how long it has had none; 0 if it has some
}

// By returns how many of the delivered bytes went that way.
func (r Report) By(p Path) int64 { return r.by[p.index()] }

// Rate returns the bytes per second that were delivered, on average.
func (r Report) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Delivered) / r.Elapsed.Seconds()
}

// String reads "1048576 bytes in 1.2ms by splice (TCP socket to TCP socket)".
func (r Report) String() string {
	s := fmt.Sprintf("%d bytes in %v", r.Delivered, r.Elapsed.Round(time.Microsecond))
	if r.Path != "" {
		s += fmt.Sprintf(" by %s (%s)", r.Path, r.Why)
	}
	return s
}

// way is a path with its reason, which is put into words for those who ask.
type way struct {
	path     Path
	from, to string // what it leads between; or from alone says it all
	but      string // why it is no faster one
}

func (w *way) why() string {
	s := w.from
	if w.to != "" {
		s += " to " + w.to
	}
	if w.but != "" {
		s += ": " + w.but
	}
	return s
}

// pathIndex orders the counters of a meter.
var pathIndex = [...]Path{PathReadWrite, PathSplice, PathTeeSplice, PathSendfile, PathCopyFileRange, PathPages}

func (p Path) index() int {
	for i, known := range pathIndex {
		if p == known {
			return i
		}
	}
	panic("penstock: a path without a counter: " + string(p))
}

// sideLimit is what a transfer waits for when that is neither its source nor its sink.
const sideLimit = SidePipe

// meter counts what a transfer does. Its owner is the goroutine that moves the bytes and that alone writes; anybody may
// read at any time, and gets each figure as it was a moment ago.
type meter struct {
	began atomic.Int64 // by clock; 0 before
	ended atomic.Int64 // by clock; 0 while it runs, and ending until the clock has been looked at

	in, out  atomic.Int64
	calls    atomic.Int64
	complete atomic.Bool // nothing is to come any more
	now      atomic.Pointer[way]
	by       [len(pathIndex)]atomic.Int64

	stalled [SideSink + 1]atomic.Int64 // nanoseconds by side, without the wait in progress
	since   atomic.Int64               // when the wait in progress began, by clock; 0 for none
	side    atomic.Uint32              // what is waited for

	outputs []outputMeter // of several, or with queues; nil if there is but one, in step
	facing  atomic.Int32  // the output that gets something now
}

// outputMeter counts what one output of several has got.
type outputMeter struct {
	out     atomic.Int64 // not of the first, and not of one with a queue
	stalled atomic.Int64 // nanoseconds, without the wait in progress; not of one with a queue
	fallen  atomic.Bool  // the transfer goes on without it
	queue   *queue       // nil if it is in step
}

// delivered returns how many bytes an output has taken.
func (m *meter) delivered(output int) int64 {
	if m.outputs != nil {
		if o := &m.outputs[output]; o.queue != nil {
			return o.queue.own.out.Load()
		} else if output > 0 {
			return o.out.Load()
		}
	}
	return m.out.Load()
}

// queue returns an output's queue, nil if it is in step.
func (m *meter) queue(output int) *queue {
	if m.outputs == nil {
		return nil
	}
	return m.outputs[output].queue
}

// face says which output gets something now.
func (m *meter) face(output int) {
	if m.outputs != nil {
		m.facing.Store(int32(output))
	}
}

// fell notes that an output has failed.
func (m *meter) fell(output int) {
	if m.outputs != nil {
		m.outputs[output].fallen.Store(true)
	}
}

var epoch = time.Now()

// clock is the time in nanoseconds, never 0.
func clock() int64 { return int64(time.Since(epoch)) + 1 }

// bump adds to a counter that has one writer.
func bump(c *atomic.Int64, n int64) { c.Store(c.Load() + n) }

func (m *meter) took(n int) { bump(&m.in, int64(n)) }
func (m *meter) called()    { bump(&m.calls, 1) }

// gave counts bytes that have reached the sink that way.
func (m *meter) gave(n int, by Path) {
	bump(&m.out, int64(n))
	bump(&m.by[by.index()], int64(n))
}

// wait begins a wait, and going ends it. Both may be called twice.
func (m *meter) wait(side Side) {
	if m.since.Load() != 0 {
		return
	}
	m.side.Store(uint32(side))
	m.since.Store(clock())
}

func (m *meter) going() {
	since := m.since.Load()
	if since == 0 {
		return
	}
	m.since.Store(0)
	took, side := clock()-since, m.side.Load()
	bump(&m.stalled[side], took)
	if m.outputs != nil && Side(side) == SideSink {
		bump(&m.outputs[m.facing.Load()].stalled, took)
	}
}

func (m *meter) end() {
	m.going()
	m.ended.Store(ending) // whoever looks before this has an earlier time, and whoever does after it has that of the end
	m.ended.Store(clock())
}

const ending = -1

// report is a snapshot, from any goroutine, into a zero Report.
func (m *meter) report(r *Report) {
	r.Ended = m.complete.Load() // first: if it has, all that follows is as it is in the end
	by := &m.by
	if q := m.queue(0); q != nil {
		by = &q.own.by
	}
	for i := range r.by { // in the order opposite to that of counting: no part is more than its whole
		r.by[i] = by[i].Load()
	}
	r.Delivered = m.delivered(0)
	for i := range m.outputs {
		r.Outputs = append(r.Outputs, m.outputs[i].flow(r, i))
	}
	r.Consumed = m.in.Load()
	r.Calls = m.calls.Load()
	if w := m.now.Load(); w != nil {
		r.Path, r.Why = w.path, w.why()
	}
	var stalled [SideSink + 1]int64
	for side := range stalled {
		stalled[side] = m.stalled[side].Load()
	}
	since := m.since.Load() // after them: what has just become one of them is not counted twice
	began := m.began.Load()
	now := clock()
	for ended := m.ended.Load(); ended != 0; ended = m.ended.Load() {
		if ended != ending {
			now = ended
			break
		}
		runtime.Gosched() // for as long as it takes to look at the clock
	}
	if began != 0 {
		r.Elapsed = time.Duration(now - began)
	}
	if since != 0 {
		r.Waiting = Side(m.side.Load())
		r.Since = time.Duration(max(now-since, 1))
		stalled[r.Waiting] += int64(r.Since)
		if r.Waiting == SideSink {
			r.Output = int(m.facing.Load())
		}
	}
	for i := range r.Outputs {
		m.outputs[i].manner(r, &r.Outputs[i], i)
	}
	r.SourceStalled = time.Duration(stalled[SideSource])
	r.SinkStalled = time.Duration(stalled[SideSink])
	r.Limited = time.Duration(stalled[sideLimit])
}

// flow tells how far an output is. What it has taken is looked at first, and then what it is still to get: a byte that
// goes on meanwhile is not counted twice.
func (o *outputMeter) flow(r *Report, output int) (t OutputReport) {
	if t.Delivered = r.Delivered; output > 0 {
		t.Delivered = r.Tees[output-1]
	}
	if o.queue != nil {
		t.Queued, t.Skipped = o.queue.held()
	}
	t.Failed, t.Stalled = o.fallen.Load(), time.Duration(o.stalled.Load())
	return t
}

// manner tells how the bytes go to an output of a transfer that r is the report of, and whether they do.
func (o *outputMeter) manner(r *Report, t *OutputReport, output int) {
	if o.queue != nil {
		own := o.queue.own.Report()
		t.Path, t.Why, t.Stalled = own.Path, own.Why, own.SinkStalled
		if own.Waiting == SideSink {
			t.Since = own.Since
		}
		return
	}
	t.Path, t.Why = r.Path, r.Why
	if r.Waiting == SideSink && r.Output == output {
		t.Since = r.Since
		t.Stalled += r.Since
	}
}
