package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/socket"
	"github.com/penstock-io/penstock/hub"
)

// A relay delivers everything that the source sends to every viewer and to the recording, nobody skipped and nothing
// dropped, ends every viewer's stream where the source ends, and returns once the last byte is handed to the kernel. It
// may take ownership of the connections.
type relay func(duty) error

// duty is what a relay is given.
type duty struct {
	src     *net.TCPConn
	viewers []net.Conn // a *net.TCPConn or a *tls.Conn each
	record  *os.File   // nil: nothing is recorded; not the relay's to close
}

// writers are the viewers and the recording.
func (d duty) writers() []io.Writer {
	var ws []io.Writer
	for _, v := range d.viewers {
		ws = append(ws, v)
	}
	if d.record != nil {
		ws = append(ws, d.record)
	}
	return ws
}

// kinds are the relays that can be compared. The first in the list of -kinds is what the others' ratios refer to.
var kinds = map[string]relay{
	"multiwriter": relayMultiWriter,
	"channel":     relayChannel,
	"hub":         hubOf(hub.Config{OnSlow: hub.Block}),
	"hub/pages":   hubOf(hub.Config{OnSlow: hub.Block, NoSplice: true}),
	"raw":         bare(rawLoop{chunk: mib, ahead: rawAhead}.relay),
	"rawpoll":     bare(rawPoll{chunk: mib, ahead: rawAhead}.relay),
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
		return bare(rawPoll{chunk: o.chunk, once: o.once, ahead: o.ahead}.relay), nil
	}
	return bare(rawLoop{chunk: o.chunk, once: o.once, ahead: o.ahead}.relay), nil
}

// relayed is what the relay's process tells about one run.
type relayed struct {
	Begin time.Duration // the first byte could be read; on the monotonic clock
	CPU   time.Duration // user and system time from there to the relay's return
}

// isBare tells whether a kind moves bytes between TCP connections and nothing else.
func isBare(kind string) bool { return strings.HasPrefix(kind, "raw") }

var errBare = errors.New("the raw relays know TCP connections only: no TLS, no recording")

// bare makes a relay of one for TCP connections only.
func bare(r func(src *net.TCPConn, viewers []*net.TCPConn) error) relay {
	return func(d duty) error {
		viewers := make([]*net.TCPConn, len(d.viewers))
		for i, v := range d.viewers {
			tcp, ok := v.(*net.TCPConn)
			if !ok || d.record != nil {
				return errBare
			}
			viewers[i] = tcp
		}
		return r(d.src, viewers)
	}
}

// measureRelay waits for the source's first byte, runs r and takes the CPU time of this process between the two.
func measureRelay(r relay, d duty) (relayed, error) {
	if err := socket.AwaitReadable(d.src); err != nil {
		return relayed{}, err
	}
	begin, spent := machine.Monotonic(), machine.ProcessCPU()
	if err := r(d); err != nil {
		return relayed{}, err
	}
	return relayed{Begin: begin, CPU: machine.ProcessCPU() - spent}, nil
}

func closeAll[C io.Closer](conns []C) error {
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
