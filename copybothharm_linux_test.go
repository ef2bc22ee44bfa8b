package penstock_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// bothEnds runs a CopyBoth, and fails the test if that does not return.
func bothEnds(t *testing.T, a, b io.ReadWriter, opts ...penstock.Option) (forward, backward penstock.Report, err error) {
	t.Helper()
	_, err = promptly(t, func() (n int, err error) {
		forward, backward, err = penstock.CopyBoth(background, a, b, opts...)
		return 0, err
	})
	return forward, backward, err
}

// TestCopyBothRefusesASideThatCannotHalfCloseAtOnce, before a byte has moved in either direction: if only the one that
// leads there were refused the other would go on beside it, and nobody would hear of it before its end.
func TestCopyBothRefusesASideThatCannotHalfCloseAtOnce(t *testing.T) {
	for _, back := range []bool{false, true} {
		near, far := socket(t, "tcp")
		send(t, far, []byte("kept"))
		local, remote := net.Pipe() // has no CloseWrite
		defer local.Close()
		defer remote.Close()
		ends := [2]net.Conn{near, local}
		name := "forward"
		if back {
			ends = [2]net.Conn{local, near}
			name = "backward"
		}
		forward, backward, err := bothEnds(t, ends[0], ends[1])
		var direction *penstock.DirectionError
		if !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &direction) || direction.Direction != name {
			t.Errorf("%v", err)
		}
		if forward.Consumed != 0 || backward.Consumed != 0 {
			t.Errorf("forward %v, backward %v", forward, backward)
		}
		receive(t, near, []byte("kept"))
	}
}

// TestATeeOfCopyBothNeedNotHalfClose: a log file cannot, and a socket that could is the caller's: closing it for writing
// would end what he still has to say there.
func TestATeeOfCopyBothNeedNotHalfClose(t *testing.T) {
	request, reply := bytes.Repeat(pattern(64<<10), 4), pattern(1000)
	log, logged := opened(t, termini()[2])
	mirror, mirrored := opened(t, termini()[0])
	r := relayed(t, background, "tcp", penstock.WithTee(log, mirror))
	answered := make(chan []byte, 1)
	go func() { answered <- answer(t, r.server, reply) }()
	if b := exchange(t, r.client, request); !bytes.Equal(b, reply) {
		t.Errorf("%d bytes came back, or others", len(b))
	}
	if b := <-answered; !bytes.Equal(b, request) {
		t.Errorf("%d bytes arrived, or others", len(b))
	}
	r.ends(t)
	if r.err != nil {
		t.Error(r.err)
	}
	if _, err := mirror.Write([]byte("and more")); err != nil {
		t.Errorf("the mirror has been closed: %v", err)
	}
	if b := mirrored(); !bytes.Equal(b, append(request, "and more"...)) {
		t.Errorf("the mirror got %d bytes of %d, or others", len(b), len(request))
	}
	if b := logged(); !bytes.Equal(b, request) {
		t.Errorf("the log got %d bytes of %d, or others", len(b), len(request))
	}
}

// TestProgressOfBothDirectionsComesOneCallAtATime: what the callback writes it writes without a lock, as the option
// promises. The race detector sees it, too.
func TestProgressOfBothDirectionsComesOneCallAtATime(t *testing.T) {
	var inside atomic.Int32
	calls := 0
	enough := make(chan struct{})
	closing := sync.OnceFunc(func() { close(enough) })
	r := relayed(t, background, "tcp", penstock.WithProgress(time.Microsecond, func(penstock.Report) {
		if inside.Add(1) > 1 {
			t.Error("two calls at a time")
		}
		defer inside.Add(-1)
		for range 100 { // long enough for another to come
			runtime.Gosched()
		}
		if calls++; calls >= 400 {
			closing()
		}
	}))
	if _, err := promptly(t, func() (int, error) { <-enough; return 0, nil }); err != nil {
		t.Error(err)
	}
	for _, c := range []net.Conn{r.client, r.server} {
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Error(err)
		}
	}
	r.ends(t)
	if r.err != nil {
		t.Error(r.err)
	}
}

// TestAHalfCloseOfWhatHasBeenResetIsNoFailure: all has been delivered, and that the peer has gone since is its own
// business. There is nothing left to be told.
func TestAHalfCloseOfWhatHasBeenResetIsNoFailure(t *testing.T) {
	for _, by := range manners(t) {
		for _, src := range []io.Reader{bytes.NewReader(nil), tempDevice(t, os.DevNull), tempFile(t, nil, os.O_RDONLY)} {
			near, far := socket(t, "tcp")
			reset(far)
			resetHasCome(t, near)
			if rep, err := penstock.Copy(background, near, src, append(by.opts, penstock.WithHalfClose())...); err != nil {
				t.Errorf("%s, %T: %v, %v", by.name, src, rep, err)
			}
		}
	}
}

// failsBoth is a connection whose last bytes come with an error, and which takes none.
type failsBoth struct{ net.Conn }

func (f failsBoth) CloseWrite() error           { return nil }
func (f failsBoth) Read(b []byte) (int, error)  { return copy(b, "x"), io.ErrUnexpectedEOF }
func (f failsBoth) Write(b []byte) (int, error) { return 0, errTest }

// failsWrites is one that takes none.
type failsWrites struct{ net.Conn }

func (f failsWrites) CloseWrite() error           { return nil }
func (f failsWrites) Write(b []byte) (int, error) { return 0, errTest }

// TestASourceThatFailsAlongWithItsSinkEndsBothDirections: the sink's error is told first, but the source's connection is
// dead all the same, and the other direction, which leads there, would wait for ever.
func TestASourceThatFailsAlongWithItsSinkEndsBothDirections(t *testing.T) {
	for _, back := range []bool{false, true} {
		a, _ := socket(t, "tcp")
		b, _ := socket(t, "tcp")
		ends := [2]net.Conn{failsBoth{a}, failsWrites{b}}
		if back {
			ends[0], ends[1] = ends[1], ends[0]
		}
		_, _, err := bothEnds(t, ends[0], ends[1])
		for _, cause := range []error{errTest, io.ErrUnexpectedEOF, penstock.ErrPeerFailed} {
			if !errors.Is(err, cause) {
				t.Errorf("backward %v: %v is not in %v", back, cause, err)
			}
		}
	}
}
