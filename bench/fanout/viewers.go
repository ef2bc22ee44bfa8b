package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/penstock-io/penstock/bench/internal/delays"
	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/socket"
)

// drainBuffer is the size of a viewer's reused buffer.
const drainBuffer = 512 << 10

// drained is what the viewers' process tells.
type drained struct {
	Bytes int64         // received by all viewers
	End   time.Duration // when the last of them saw the end, by machine.Monotonic
	Late  delays.Delays // messages, from when they were due until they were whole; see timed
}

// drainStreams reads every connection to its end, all at the same time. How: "discard" lets the kernel throw the bytes
// away (recv with MSG_TRUNC), but for TLS, which is read; "read" copies them into a reused buffer; "pattern" reads and
// compares them with the verified stream, pausing now and then so that viewers fall behind.
func drainStreams(conns []net.Conn, s runSpec) (drained, error) {
	drain := map[string]func(net.Conn) (int64, error){
		"discard": discardStream,
		"read":    readStream,
		"pattern": checkStream,
	}[s.Drain]
	if drain == nil {
		return drained{}, fmt.Errorf("viewers: unknown way to drain %q", s.Drain)
	}
	var (
		mu    sync.Mutex
		total drained
		first error
		all   sync.WaitGroup
	)
	for i, c := range conns {
		all.Go(func() {
			var n int64
			var err error
			var late delays.Delays
			if s.timed(i) {
				n, err = readStamps(c, s.Message, &late)
			} else {
				n, err = drain(c)
			}
			end := machine.Monotonic()
			mu.Lock()
			defer mu.Unlock()
			total.Bytes += n
			total.End = max(total.End, end)
			total.Late.Merge(late)
			if err != nil && first == nil {
				first = fmt.Errorf("viewer %d: after %d bytes: %w", i, n, err)
			}
		})
	}
	all.Wait()
	return total, first
}

func discardStream(c net.Conn) (int64, error) {
	if tcp, ok := c.(*net.TCPConn); ok {
		return socket.Discard(tcp, -1)
	}
	return readStream(c)
}

func readStream(c net.Conn) (n int64, err error) {
	b := make([]byte, drainBuffer)
	for {
		got, err := c.Read(b)
		n += int64(got)
		if err != nil {
			return n, notEnd(err)
		}
	}
}

func checkStream(c net.Conn) (n int64, err error) {
	b := make([]byte, drainBuffer)
	for {
		got, err := c.Read(b[:1+rand.IntN(len(b))])
		if mismatch := checkPattern(b[:got], n); mismatch != nil {
			return n, mismatch
		}
		n += int64(got)
		if err != nil {
			return n, notEnd(err)
		}
		if rand.IntN(64) == 0 {
			time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		}
	}
}

// notEnd is a read's error unless it is the stream's end.
func notEnd(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
