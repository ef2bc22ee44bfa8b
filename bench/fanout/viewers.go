package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/socket"
)

// drainBuffer is the size of a viewer's reused buffer.
const drainBuffer = 512 << 10

// drained is what the viewers' process tells: bytes received by all viewers, and when the last of them saw the end.
type drained struct {
	Bytes int64
	End   time.Duration // on the monotonic clock, see machine.Monotonic
}

// drainStreams reads every connection to its end, all at the same time. How: "discard" lets the kernel throw the bytes
// away (recv with MSG_TRUNC); "read" copies them into a reused buffer; "pattern" reads and compares them with the
// verified stream, pausing now and then so that viewers fall behind.
func drainStreams(conns []*net.TCPConn, how string) (drained, error) {
	drain := map[string]func(*net.TCPConn) (int64, error){
		"discard": discardStream,
		"read":    readStream,
		"pattern": checkStream,
	}[how]
	if drain == nil {
		return drained{}, fmt.Errorf("viewers: unknown way to drain %q", how)
	}
	var (
		mu    sync.Mutex
		total drained
		first error
		all   sync.WaitGroup
	)
	for i, c := range conns {
		all.Go(func() {
			n, err := drain(c)
			end := machine.Monotonic()
			mu.Lock()
			defer mu.Unlock()
			total.Bytes += n
			total.End = max(total.End, end)
			if err != nil && first == nil {
				first = fmt.Errorf("viewer %d: after %d bytes: %w", i, n, err)
			}
		})
	}
	all.Wait()
	return total, first
}

func discardStream(c *net.TCPConn) (int64, error) { return socket.Discard(c, -1) }

func readStream(c *net.TCPConn) (n int64, err error) {
	b := make([]byte, drainBuffer)
	for {
		got, err := c.Read(b)
		n += int64(got)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func checkStream(c *net.TCPConn) (n int64, err error) {
	b := make([]byte, drainBuffer)
	for {
		got, err := c.Read(b[:1+rand.IntN(len(b))])
		if mismatch := checkPattern(b[:got], n); mismatch != nil {
			return n, mismatch
		}
		n += int64(got)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if rand.IntN(64) == 0 {
			time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		}
	}
}
