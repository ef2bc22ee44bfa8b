package live_test

import (
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock/live"
)

// TestViewersLeaveNothingBehind lets 2,000 viewers come and go, half of them by reset, some before and some after they
// got data.
func TestViewersLeaveNothingBehind(t *testing.T) {
	backings(t, func(t *testing.T, cfg live.Config) {
		const viewers, atOnce = 2000, 100
		s := start(t, cfg)
		pub := dial(t, s.listenTCP("cam"))
		s.until("cam", "live", func(f facts) bool { return f.State == "live" })
		publish := func() {
			if _, err := pub.Write(make([]byte, 100_000)); err != nil {
				t.Fatal(err)
			}
		}
		settle := func(what string, count func() int, want int) {
			t.Helper()
			deadline := time.Now().Add(30 * time.Second)
			for count() > want {
				if time.Now().After(deadline) {
					t.Fatalf("%s: %d, %d at the start", what, count(), want)
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		come := func(n int) {
			var wg sync.WaitGroup
			var conns []*net.TCPConn
			for range n {
				conns = append(conns, s.watch("cam").conn)
			}
			s.untilViewers("cam", n)
			publish()
			for i, c := range conns {
				wg.Go(func() {
					if i%4 < 2 {
						io.ReadFull(c, make([]byte, 50_000))
					}
					if i%2 == 0 {
						c.SetLinger(0)
					}
					c.Close()
				})
			}
			wg.Wait()
			s.untilViewers("cam", 0)
		}
		come(1) // whatever is made once is made
		quiet := descriptors(t, s)
		routines := runtime.NumGoroutine()
		for range viewers / atOnce {
			come(atOnce)
		}
		settle("descriptors", func() int { return descriptors(t, s) }, quiet)
		settle("goroutines", runtime.NumGoroutine, routines)
	})
}

// descriptors counts this process's, once the pool of pipes has nothing idle.
func descriptors(t *testing.T, s *server) int {
	t.Helper()
	s.untilNoIdlePipes()
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(dir)
}
