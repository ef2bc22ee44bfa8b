package main

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/socket"
)

// A relay delivers everything that src sends to every viewer, nobody skipped and nothing dropped, ends every viewer's
// stream where src ends, and returns once the last byte is handed to the kernel. It may take ownership of the
// connections.
type relay func(src *net.TCPConn, viewers []*net.TCPConn) error

// kinds are the relays that can be compared. The first in the list of -kinds is what the others' ratios refer to.
var kinds = map[string]relay{
	"multiwriter": relayMultiWriter,
	"channel":     relayChannel,
	"hub":         relayHub,
	"raw":         rawLoop{chunk: mib, ahead: rawAhead}.relay,
	"rawpoll":     rawPoll{chunk: mib, ahead: rawAhead}.relay,
}

const (
	kib = 1 << 10
	mib = 1 << 20

	// copyBuffer is the buffer of the relays that copy.
	copyBuffer = 256 * kib

	// rawAhead is how many chunks the raw relays have in flight unless told otherwise.
	rawAhead = 1
)

// findRelay returns the relay called name. The raw relays take options behind a slash, see parseRaw.
func findRelay(name string) (relay, error) {
	if r, ok := kinds[name]; ok {
		return r, nil
	}
	o, err := parseRaw(name)
	if err != nil {
		return nil, fmt.Errorf("%w; there are %s", err, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	}
	if strings.HasPrefix(name, "rawpoll") {
		return rawPoll{chunk: o.chunk, once: o.once, ahead: o.ahead}.relay, nil
	}
	return rawLoop{chunk: o.chunk, once: o.once, ahead: o.ahead}.relay, nil
}

// relayed is what the relay's process tells about one run.
type relayed struct {
	Begin time.Duration // the first byte could be read; on the monotonic clock
	CPU   time.Duration // user and system time from there to the relay's return
}

// measureRelay waits for the source's first byte, runs r and takes the CPU time of this process between the two.
func measureRelay(r relay, src *net.TCPConn, viewers []*net.TCPConn) (relayed, error) {
	if err := socket.AwaitReadable(src); err != nil {
		return relayed{}, err
	}
	begin, spent := machine.Monotonic(), machine.ProcessCPU()
	if err := r(src, viewers); err != nil {
		return relayed{}, err
	}
	return relayed{Begin: begin, CPU: machine.ProcessCPU() - spent}, nil
}

func closeAll(conns []*net.TCPConn) error {
	for _, c := range conns {
		if err := c.Close(); err != nil {
			return err
		}
	}
	return nil
}

// takeDescriptor moves a connection out of Go's poller: the descriptor it returns is the caller's to close.
func takeDescriptor(c *net.TCPConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var failure error
	err = raw.Control(func(old uintptr) {
		fd, failure = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil {
		err = failure
	}
	if err != nil {
		return -1, err
	}
	return fd, c.Close()
}
