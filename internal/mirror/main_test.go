package mirror_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// TestMain fails the whole run if any test has left a goroutine, a file, a socket or a page behind.
func TestMain(m *testing.M) {
	before := descriptors()
	code := m.Run()
	if code == 0 {
		code = leaks(before)
	}
	os.Exit(code)
}

// descriptors counts those that this process has open, where that can be told. Pipes may stay, in pools, and so does
// what they are emptied into.
func descriptors() (n int) {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	for _, one := range all {
		to, err := os.Readlink("/proc/self/fd/" + one.Name())
		if file := strings.HasPrefix(to, "/") && to != os.DevNull; err == nil && (file || strings.HasPrefix(to, "socket:")) {
			n++
		}
	}
	return n
}

// leaks says what is left, once what is about to go has gone.
func leaks(before int) int {
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		runtime.GC() // finalizers of what was dialed by tests
		goroutines, open, pages := runtime.NumGoroutine(), descriptors(), penstock.PagesInUse()
		if goroutines <= 2 && open <= before && pages == 0 {
			return 0
		}
		if time.Now().After(end) {
			b := make([]byte, 1<<20)
			fmt.Fprintf(os.Stderr, "left: %d goroutines, %d descriptors (%d before), %d pages\n%s\n",
				goroutines, open, before, pages, b[:runtime.Stack(b, true)])
			return 1
		}
	}
}
