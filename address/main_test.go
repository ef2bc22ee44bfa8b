package address_test

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// TestMain fails the whole run if any test has left a page, or a goroutine, behind.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	code := m.Run()
	if n := penstock.PagesInUse(); code == 0 && n != 0 {
		fmt.Fprintf(os.Stderr, "%d pages are in use after all tests\n", n)
		code = 1
	}
	if flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(code) // go test itself leaves one, that listens for Ctrl-C
	}
	for until := time.Now().Add(10 * time.Second); code == 0 && runtime.NumGoroutine() > before; {
		if time.Now().After(until) {
			_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
			code = 1
		}
		time.Sleep(10 * time.Millisecond) // until they are gone
	}
	os.Exit(code)
}
