package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-io/penstock/bench/internal/delays"
	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/pace"
)

// How a stream arrives decides how much a relay finds at once. In bulk it is as much as there is room for; else the
// source sends messages of one size. At a pace each of them arrives on its own, and is stamped with when it was due, so
// that viewers know how late it is; as fast as can be, a relay that lags finds several.

// What is offered unless told otherwise, summed over the viewers: what all kinds sustain with two CPUs for everything.
const (
	offeredBytes    = 150e6  // per second
	offeredMessages = 25_000 // per second
)

// stampSize is what begins a message that is sent at a pace: its due time in ns, little endian.
const stampSize = 8

// parseArrivals reads a message's size; 0 is bulk.
func parseArrivals(text string) (int, error) {
	if text == "bulk" {
		return 0, nil
	}
	unit := 1
	digits, thousands := strings.CutSuffix(text, "k")
	if thousands {
		unit = kib
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n*unit < stampSize || n*unit > sourceBuffer {
		return 0, fmt.Errorf("-arrivals: %q is neither bulk nor a size of %d bytes to %d KiB", text, stampSize, sourceBuffer/kib)
	}
	return n * unit, nil
}

// arrivals is what is said of it in a table.
func (s runSpec) arrivals() string {
	switch {
	case s.Message == 0:
		return "bulk"
	case s.Message%kib == 0:
		return fmt.Sprintf("%d KiB", s.Message/kib)
	default:
		return fmt.Sprintf("%d bytes", s.Message)
	}
}

// paced tells whether messages come one by one.
func (s runSpec) paced() bool { return s.Every > 0 }

// every is the time from one message to the next such that offer bytes are delivered in a second, of all viewers
// together; a negative offer is the default.
func every(message, viewers int, offer float64) time.Duration {
	if message == 0 || offer == 0 {
		return 0
	}
	if offer < 0 {
		offer = min(offeredBytes, offeredMessages*float64(message))
	}
	return time.Duration(float64(message) * float64(viewers) / offer * float64(time.Second))
}

// sendMessages sends the stream in messages, size bytes in all, at the pace if there is one.
func sendMessages(conn *net.TCPConn, s runSpec, pattern bool) error {
	var beat *pace.Beat
	if s.paced() {
		var err error
		if beat, err = pace.Start(s.Every); err != nil {
			return err
		}
	}
	b := make([]byte, s.Message)
	for off := int64(0); off < s.Size; {
		b = b[:min(s.Size-off, int64(s.Message))]
		if beat != nil {
			due, err := beat.Next()
			if err != nil {
				return err
			}
			if len(b) >= stampSize {
				binary.LittleEndian.PutUint64(b, uint64(due))
			}
		}
		if pattern {
			fillPattern(b, off)
		}
		if _, err := conn.Write(b); err != nil {
			return err
		}
		off += int64(len(b))
	}
	return nil
}

// stopwatches are how many viewers look at the stamps. They are spread over all, the first and the last among them: a
// relay serves somebody last.
const stopwatches = 8

// timed tells whether the viewer with that number looks at the stamps.
func (s runSpec) timed(viewer int) bool {
	if !s.paced() || s.Drain == "pattern" {
		return false
	}
	if s.Viewers <= stopwatches {
		return true
	}
	for i := range stopwatches {
		if viewer == i*(s.Viewers-1)/(stopwatches-1) {
			return true
		}
	}
	return false
}

// readStamps reads a stream of messages to its end, and counts how late each of them is when it is whole. The first is
// left out, because the relay only begins with it.
func readStamps(c net.Conn, message int, late *delays.Delays) (n int64, err error) {
	b := make([]byte, drainBuffer)
	var stamp [stampSize]byte
	for {
		got, err := c.Read(b)
		now := machine.Monotonic()
		for rest := b[:got]; len(rest) > 0; {
			at := int(n % int64(message)) // within the message
			if at < stampSize {
				copy(stamp[at:], rest)
			}
			take := min(len(rest), message-at)
			n, rest = n+int64(take), rest[take:]
			if at+take == message && n > int64(message) {
				late.Add(now - time.Duration(binary.LittleEndian.Uint64(stamp[:])))
			}
		}
		if err != nil {
			return n, notEnd(err)
		}
	}
}
