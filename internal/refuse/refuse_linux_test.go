package refuse_test

import (
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/internal/refuse"
)

// TestAFilterHoldsForEveryThread, those that were there before and those that come later, and for no other call.
func TestAFilterHoldsForEveryThread(t *testing.T) {
	var (
		inside bool
		begin  = make(chan struct{})
		done   sync.WaitGroup
	)
	thread := func() {
		ready := make(chan struct{})
		done.Go(func() {
			runtime.LockOSThread()
			close(ready)
			if <-begin; !inside {
				return
			}
			if _, err := unix.Tee(-1, -1, 1, 0); err != syscall.ENOTNAM {
				t.Errorf("tee: %v", err)
			}
			if _, err := unix.Splice(-1, nil, -1, nil, 1, 0); err != syscall.EBADF {
				t.Errorf("splice: %v", err)
			}
		})
		<-ready
	}
	thread()
	thread()
	inside = refuse.Reexec(t, syscall.ENOTNAM, "tee", "vmsplice")
	thread()
	close(begin)
	done.Wait()
}

// TestAFilterOutlivesExec is what Run is built on.
func TestAFilterOutlivesExec(t *testing.T) {
	refuse.Run(t, "^TestUnderAFilter$", syscall.ENOTNAM, "tee")
}

func TestUnderAFilter(t *testing.T) {
	if os.Getenv("PENSTOCK_REFUSED_TEST") != "TestAFilterOutlivesExec" {
		t.Skip("runs under the filter of another test")
	}
	if _, err := unix.Tee(-1, -1, 1, 0); err != syscall.ENOTNAM {
		t.Errorf("%v", err)
	}
}
