package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
)

// relay is a CopyBoth between two connections, whose far ends are the client's and the server's.
type relay struct {
	client, server    net.Conn
	a, b              net.Conn
	forward, backward penstock.Report
	err               error
	over              chan struct{}
}

func relayed(t *testing.T, ctx context.Context, network string, opts ...penstock.Option) *relay {
	t.Helper()
	r := &relay{over: make(chan struct{})}
	r.a, r.client = socket(t, network)
	r.b, r.server = socket(t, network)
	go func() {
		defer close(r.over)
		r.forward, r.backward, r.err = penstock.CopyBoth(ctx, r.a, r.b, opts...)
		r.a.Close()
		r.b.Close()
	}()
	return r
}

// ends waits for the relay to be over.
func (r *relay) ends(t *testing.T) {
	t.Helper()
	select {
	case <-r.over:
	case <-time.After(10 * time.Second):
		r.client.Close()
		r.server.Close()
		t.Fatal("the relay does not end")
	}
}

func (r *relay) counted(t *testing.T, forward, backward int) {
	t.Helper()
	for name, c := range map[string]struct {
		penstock.Report
		want int
	}{"forward": {r.forward, forward}, "backward": {r.backward, backward}} {
		if n := int64(c.want); c.Consumed != n || c.Delivered != n {
			t.Errorf("%s: consumed %d and delivered %d of %d", name, c.Consumed, c.Delivered, n)
		}
	}
}

// exchange sends and tells the end, and returns what comes back until that ends.
func exchange(t *testing.T, c net.Conn, send []byte) (got []byte) {
	t.Helper()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		if _, err := c.Write(send); err != nil {
			t.Error(err)
		}
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			t.Error(err)
		}
	}()
	got, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	<-sent
	return got
}

// answer reads to the end and only then sends, and tells the end.
func answer(t *testing.T, c net.Conn, send []byte) (got []byte) {
	t.Helper()
	got, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	if _, err := c.Write(send); err != nil {
		t.Error(err)
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Error(err)
	}
	return got
}

// TestCopyBothLosesNothingAtAHalfClose lets one side end before the other begins to answer, in either order, and both
// end at once; and counts every byte.
func TestCopyBothLosesNothingAtAHalfClose(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 4)
	rounds := 200
	for round := range rounds {
		network := []string{"tcp", "unix"}[round%2]
		by := manners(t)[round/2%4]
		request, reply := data[:round*997%len(data)], data[:round*round*31%len(data)]
		t.Run(fmt.Sprintf("%d, %s, %s", round, network, by.name), func(t *testing.T) {
			r := relayed(t, background, network, by.opts...)
			first, second, back := exchange, answer, round/8%3
			if back == 2 {
				second = exchange
			}
			near, far := r.client, r.server
			if back == 1 {
				near, far = r.server, r.client
			}
			answered := make(chan []byte, 1)
			go func() { answered <- second(t, far, reply) }()
			gotReply := first(t, near, request)
			if got := <-answered; !bytes.Equal(got, request) {
				t.Errorf("%d bytes arrived of %d, or others", len(got), len(request))
			}
			if !bytes.Equal(gotReply, reply) {
				t.Errorf("%d bytes came back of %d, or others", len(gotReply), len(reply))
			}
			r.ends(t)
			if r.err != nil {
				t.Error(r.err)
			}
			if back == 1 {
				request, reply = reply, request
			}
			r.counted(t, len(request), len(reply))
		})
	}
}

// TestAResetEndsBothDirections at whatever offset and on whichever side it comes: the other peer is not left waiting,
// and what had come before the reset has arrived.
func TestAResetEndsBothDirections(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 4)
	for i, after := range []int{0, 1, 1000, 32 << 10, 65_537, 200_000} {
		for _, side := range []string{"client", "server"} {
			for _, quiet := range []bool{true, false} {
				by := manners(t)[i%4]
				t.Run(fmt.Sprintf("%s, %d, quiet %v, %s", side, after, quiet, by.name), func(t *testing.T) {
					r := relayed(t, background, "tcp", by.opts...)
					bad, good := r.client, r.server
					if side == "server" {
						bad, good = r.server, r.client
					}
					if _, err := bad.Write(data[:after]); err != nil {
						t.Fatal(err)
					}
					got := make([]byte, after)
					if _, err := io.ReadFull(good, got); err != nil || !bytes.Equal(got, data[:after]) {
						t.Errorf("%v, or other bytes", err)
					}
					if !quiet { // and the other side sends when it comes, which nobody reads
						squeeze(t, r.a, r.client)
						squeeze(t, r.b, r.server)
						go io.Copy(good, forever{})
					}
					reset(bad)
					r.ends(t)
					var direction *penstock.DirectionError
					if !errors.As(r.err, &direction) {
						t.Fatalf("the error is %v", r.err)
					}
					if quiet && (!errors.Is(r.err, syscall.ECONNRESET) || !errors.Is(r.err, penstock.ErrPeerFailed)) {
						t.Errorf("the error is %v", r.err)
					}
				})
			}
		}
	}
}

// forever is a stream of zeros.
type forever struct{}

func (forever) Read(b []byte) (int, error) { return len(b), nil }

// TestADirectionThatMovesKeepsTheOtherFromIdling: one is quiet for several timeouts, and then answers.
func TestADirectionThatMovesKeepsTheOtherFromIdling(t *testing.T) {
	const idle = 400 * time.Millisecond
	r := relayed(t, background, "tcp", penstock.WithIdleTimeout(idle))
	for range 15 { // one byte there and none back, every so often
		time.Sleep(idle / 8)
		if _, err := r.client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r.server, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.server.Write([]byte("answer")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(r.client, make([]byte, 6)); err != nil {
		t.Error(err)
	}
	r.ends(t) // now that both are quiet
	var timeout net.Error
	if !errors.Is(r.err, penstock.ErrIdle) || !errors.As(r.err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v", r.err)
	}
	r.counted(t, 15, 6)
}

// TestCopyBothEndsWithItsContext, both directions, and the connections work afterwards.
func TestCopyBothEndsWithItsContext(t *testing.T) {
	for _, by := range manners(t) {
		t.Run(by.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(background)
			a, client := socket(t, "tcp")
			b, server := socket(t, "unix")
			over := make(chan error, 1)
			go func() {
				_, _, err := penstock.CopyBoth(ctx, a, b, by.opts...)
				over <- err
			}()
			send(t, client, []byte("there"))
			receive(t, server, []byte("there"))
			cancel(errGone)
			err := <-over
			both := err.(interface{ Unwrap() []error }).Unwrap()
			if len(both) != 2 {
				t.Fatalf("%v", err)
			}
			for i, name := range []string{"forward", "backward"} {
				var direction *penstock.DirectionError
				if !errors.As(both[i], &direction) || direction.Direction != name || !errors.Is(direction, errGone) {
					t.Errorf("%v", both[i])
				}
			}
			send(t, a, []byte("still"))
			receive(t, client, []byte("still"))
			send(t, server, []byte("here"))
			receive(t, b, []byte("here"))
		})
	}
}

// TestCopyBothGivesBackWhatWasInFlight in either direction: each is resumed by its own error.
func TestCopyBothGivesBackWhatWasInFlight(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 8)
	for _, by := range manners(t) {
		t.Run(by.name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(background)
			a, client := socket(t, "unix")
			b, server := socket(t, "unix")
			feed(t, halfCloser{client}, data)
			feed(t, halfCloser{server}, data)
			over := make(chan struct{})
			var forward, backward penstock.Report
			var err error
			go func() {
				defer close(over)
				forward, backward, err = penstock.CopyBoth(ctx, a, b, by.opts...)
			}()
			// Neither peer reads: each direction stops where the buffers are full.
			stuck := func() bool { return !writable(t, a) && !writable(t, b) }
			for !stuck() {
				time.Sleep(time.Millisecond)
			}
			cancel(errGone)
			<-over
			both := err.(interface{ Unwrap() []error }).Unwrap()
			for i, d := range []struct {
				rep      penstock.Report
				src, dst net.Conn
				peer     net.Conn
			}{{forward, a, b, server}, {backward, b, a, client}} {
				var op *penstock.OpError
				if !errors.As(both[i], &op) {
					t.Fatal(both[i])
				}
				accounted(t, data, d.rep, op)
				got := drink(t, d.peer)
				opts := append(by.opts, penstock.WithHalfClose())
				if _, err := penstock.Resume(background, d.dst, d.src, both[i], opts...); err != nil {
					t.Error(err)
				}
				if b := got(); !bytes.Equal(b, data) {
					t.Errorf("direction %d: %d bytes arrived of %d, or others", i, len(b), len(data))
				}
			}
		})
	}
}

// halfCloser closes a connection for writing alone.
type halfCloser struct{ net.Conn }

func (h halfCloser) Close() error { return h.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// writable looks whether a connection would take more.
func writable(t *testing.T, c net.Conn) bool {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	events := int16(0)
	err = raw.Control(func(fd uintptr) { events = roomOf(int(fd)) })
	if err != nil {
		t.Fatal(err)
	}
	return events != 0
}

func roomOf(fd int) int16 {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	if _, err := unix.Poll(fds, 0); err != nil {
		return 0 // interrupted: it is looked at again
	}
	return fds[0].Revents
}

// TestEachDirectionMayBeTeed: what goes forward to one sink, what goes backward to another.
func TestEachDirectionMayBeTeed(t *testing.T) {
	data, answer := bytes.Repeat(pattern(64<<10), 5), bytes.Repeat(pattern(10_007), 9)
	for _, by := range manners(t) {
		t.Run(by.name, func(t *testing.T) {
			a, client := socket(t, "tcp")
			b, server := socket(t, "unix")
			var there, back bytes.Buffer
			both := penstock.NewBoth(a, b, append(by.opts, penstock.WithTee(&there),
				penstock.WithBackward(penstock.WithTee(&back), penstock.WithQueue(1, penstock.Queue{Size: 1000})))...)
			got := make(chan []byte, 2)
			for end, says := range map[net.Conn][]byte{client: data, server: answer} {
				go func() {
					go func() {
						_, err := end.Write(says)
						if err = errors.Join(err, end.(interface{ CloseWrite() error }).CloseWrite()); err != nil {
							t.Error(err)
						}
					}()
					b, err := io.ReadAll(end)
					if err != nil {
						t.Error(err)
					}
					got <- b
				}()
			}
			forward, backward, err := both.Run(background)
			if err != nil || forward.Delivered != int64(len(data)) || backward.Delivered != int64(len(answer)) {
				t.Errorf("%v, %v, %v", forward, backward, err)
			}
			if !bytes.Equal(there.Bytes(), data) || !bytes.Equal(back.Bytes(), answer) {
				t.Errorf("%d and %d bytes teed, or others", there.Len(), back.Len())
			}
			if x, y := <-got, <-got; len(x)+len(y) != len(data)+len(answer) {
				t.Errorf("%d and %d bytes arrived", len(x), len(y))
			}
		})
	}
}

// TestACopyHasNoBackwardDirection to have options of its own.
func TestACopyHasNoBackwardDirection(t *testing.T) {
	_, err := penstock.Copy(background, io.Discard, strings.NewReader("x"), penstock.WithBackward(penstock.WithLimit(1)))
	if !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}
