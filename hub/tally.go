package hub

import (
	"errors"
	"sync/atomic"
	"syscall"

	"github.com/penstock-io/penstock"
)

// paths orders the counters of a tally.
var paths = [...]penstock.Path{
	penstock.PathSplice, penstock.PathTeeSplice, penstock.PathSendfile, penstock.PathPages, penstock.PathReadWrite,
}

// tally counts what serving a viewer took. Whoever serves it writes, without a lock; anybody may read.
type tally struct {
	by       [len(paths)]atomic.Int64 // bytes
	calls    atomic.Int64             // of tee and of the sink
	stalls   atomic.Int64             // times that the sink would block
	skips    atomic.Int64
	archived atomic.Int64 // times that it went to the archive
}

// bump adds to a counter that has one writer.
func bump(c *atomic.Int64, n int64) { c.Store(c.Load() + n) }

func (t *tally) called() { bump(&t.calls, 1) }

func (t *tally) gave(by penstock.Path, n int) {
	for i, p := range paths {
		if p == by {
			bump(&t.by[i], int64(n))
			return
		}
	}
	bump(&t.by[len(paths)-1], int64(n)) // a sink of somebody else's that has a word of its own
}

// add counts another one in. Precondition: nobody else writes to t.
func (t *tally) add(o *tally) {
	for i := range t.by {
		bump(&t.by[i], o.by[i].Load())
	}
	bump(&t.calls, o.calls.Load())
	bump(&t.stalls, o.stalls.Load())
	bump(&t.skips, o.skips.Load())
	bump(&t.archived, o.archived.Load())
}

// Carried is how many bytes went one way.
type Carried struct {
	Path  penstock.Path
	Bytes int64
}

// carried returns the ways that any bytes went.
func (t *tally) carried() (c []Carried) {
	for i, p := range paths {
		if n := t.by[i].Load(); n > 0 {
			c = append(c, Carried{p, n})
		}
	}
	return c
}

// Reason is why viewers have left, and how many.
type Reason struct {
	Why string // "end of the stream" where it came to that
	N   int64
}

// mostReasons is how many are told apart: owners may have any number of their own.
const mostReasons = 32

// reasons counts leaving viewers, guarded by Hub.mu.
type reasons struct{ list []Reason }

func (r *reasons) note(err error) {
	why := reasonFor(err)
	for i := range r.list {
		if r.list[i].Why == why {
			r.list[i].N++
			return
		}
	}
	if len(r.list) < mostReasons-1 {
		r.list = append(r.list, Reason{why, 1})
		return
	}
	if len(r.list) == mostReasons-1 {
		r.list = append(r.list, Reason{Why: "other"})
	}
	r.list[mostReasons-1].N++
}

// reasonFor leaves out of an error what is one viewer's alone.
func reasonFor(err error) string {
	if err == nil {
		return "end of the stream"
	}
	for _, known := range []error{ErrTooSlow, ErrStalled} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}
