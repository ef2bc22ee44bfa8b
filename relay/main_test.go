package relay_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// again is what this process is started again for; nil if for the tests.
var again func() error

// TestMain fails the whole run if any test has left a goroutine, a socket or a page behind.
func TestMain(m *testing.M) {
	if again != nil {
		if err := again(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	before := sockets()
	code := m.Run()
	if code == 0 {
		code = leaks(before)
	}
	os.Exit(code)
}

// sockets counts those that this process has open, where that can be told. Pipes may stay, in pools.
func sockets() (n int) {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	for _, one := range all {
		if to, err := os.Readlink("/proc/self/fd/" + one.Name()); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// leaks says what is left, once what is about to go has gone.
func leaks(before int) int {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		runtime.GC() // finalizers of what was dialed by tests
		goroutines, open, pages := runtime.NumGoroutine(), sockets(), penstock.PagesInUse()
		if goroutines <= 2 && open <= before && pages == 0 {
			return 0
		}
		if time.Now().After(end) {
			b := make([]byte, 1<<20)
			fmt.Fprintf(os.Stderr, "left: %d goroutines, %d sockets (%d before), %d pages\n%s\n",
				goroutines, open, before, pages, b[:runtime.Stack(b, true)])
			return 1
		}
	}
}
