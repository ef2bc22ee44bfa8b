// Package pace keeps a beat: one thing every so often, without a busy loop.
package pace

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/bench/internal/machine"
)

// Beat is a beat that began at some time. Who is late for one is not waited for: the next ones are due when they were.
type Beat struct {
	begin, every time.Duration
	beats        int64
}

// Start starts a beat whose first is due now. The goroutine keeps its thread from here on, because Go's timers are
// coarser than a message in a thousandth of a second: the thread sleeps itself.
func Start(every time.Duration) (*Beat, error) {
	runtime.LockOSThread()
	const slack = 1 // ns that the kernel may sleep longer to save a wake-up; the default is 50 µs
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, slack, 0, 0, 0); err != nil {
		return nil, os.NewSyscallError("prctl", err)
	}
	return &Beat{begin: machine.Monotonic(), every: every}, nil
}

// Next waits for the next beat and returns when it was due, by machine.Monotonic.
func (b *Beat) Next() (due time.Duration, err error) {
	due = b.begin + time.Duration(b.beats)*b.every
	b.beats++
	if due <= machine.Monotonic() {
		return due, nil
	}
	for {
		at := unix.NsecToTimespec(int64(due))
		switch err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil); err {
		case nil:
			return due, nil
		case unix.EINTR:
		default:
			return due, os.NewSyscallError("clock_nanosleep", err)
		}
	}
}
