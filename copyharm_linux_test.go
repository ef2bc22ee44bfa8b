package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
)

// What would lose bytes, deliver too many, or deliver another's: each was so once.

// TestWhatAPanickedTransferLeftInAPipeIsNobodysElse: a sink's panic is recovered, as net/http does, while the pipe still
// holds bytes. Put back as it is, the pool's next user would send them to its own peer.
func TestWhatAPanickedTransferLeftInAPipeIsNobodysElse(t *testing.T) {
	pool := penstock.NewPool(0)
	defer pool.Close()
	secret, other := bytes.Repeat([]byte("SECRET"), 100_000), bytes.Repeat(pattern(64<<10), 8)
	src := tcpSource(t, secret)
	first, _ := opened(t, termini()[0])
	last, _ := opened(t, termini()[0])
	bomb := writing(func(b []byte) (int, error) {
		if pool.Stats().Held > 0 { // the bytes are in a pipe
			panic(errTest)
		}
		return len(b), nil
	})
	func() {
		defer func() {
			if v := recover(); v != error(errTest) {
				t.Errorf("recovered %v", v)
			}
		}()
		rep, err := penstock.Copy(background, first, src, penstock.WithTee(bomb, last), penstock.WithPool(pool))
		t.Errorf("no panic: %v, %v", rep, err)
	}()
	if s := pool.Stats(); s.Idle != s.Held {
		t.Errorf("the pool has lent %d bytes", s.Held-s.Idle)
	}
	if _, err := io.Copy(io.Discard, src); err != nil {
		t.Error(err)
	}
	var o outputs // two, so that it takes as many pipes
	o.add(opened(t, termini()[0]))
	o.add(opened(t, termini()[0]))
	if _, err := o.transfer(tcpSource(t, other), penstock.WithPool(pool)).Run(background); err != nil {
		t.Error(err)
	}
	for _, got := range o.got {
		if b := got(); !bytes.Equal(b, other) {
			t.Errorf("another transfer delivered %d bytes of %d, with SECRET: %v",
				len(b), len(other), bytes.Contains(b, []byte("SECRET")))
		}
	}
}

// whenStalled does something when a transfer waits for a side.
func whenStalled(t *testing.T, tr *penstock.Transfer, side penstock.Side, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		stalled(t, tr, side)
		do()
	}()
	t.Cleanup(func() { <-done })
}

// fills writes to a sink until it takes no more.
func fills(t *testing.T, w io.Writer) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(background)
	defer cancel(nil)
	tr := penstock.NewTransfer(w, forever{}, penstock.WithoutSplice())
	_, err := promptly(t, func() (int, error) {
		whenStalled(t, tr, penstock.SideSink, func() { cancel(errGone) })
		_, err := tr.Run(ctx)
		return 0, err
	})
	if !errors.Is(err, errGone) {
		t.Fatalf("filling the sink: %v", err)
	}
}

// resetHasCome waits until a connection has been reset, and takes nothing from it: the error is told once.
func resetHasCome(t *testing.T, c net.Conn) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	got := int16(0)
	err = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		for n := 0; n < 100 && got&unix.POLLERR == 0; n++ { // EINTR ends a poll early
			_, _ = unix.Poll(fds, 5000)
			got = fds[0].Revents
		}
	})
	if err != nil || got&unix.POLLERR == 0 {
		t.Fatalf("no reset: %#x, %v", got, err)
	}
}

// TestAResetIsNoEndWhereTheSinkIsFull: whether the source has ended is looked at while the sink has no room. A look that
// took the reset would leave an end, and a stream cut short would be told as whole.
func TestAResetIsNoEndWhereTheSinkIsFull(t *testing.T) {
	for _, to := range valves() {
		if to.name == "TCP" || to.name == "blocking TCP" {
			continue // which takes a little more from time to time
		}
		for _, by := range manners(t) {
			t.Run(to.name+", "+by.name, func(t *testing.T) {
				dst, r, end := to.open(t)
				fills(t, dst)
				near, far := socket(t, "tcp")
				reset(far)
				resetHasCome(t, near)
				over := make(chan error, 1)
				room := make(chan struct{})
				progress := penstock.WithProgress(time.Millisecond, func(r penstock.Report) {
					if r.Since > 0 {
						select {
						case <-room:
						default:
							close(room)
						}
					}
				})
				go func() {
					_, err := penstock.Copy(background, dst, near, append(by.opts, progress)...)
					over <- err
				}()
				var err error
				select {
				case <-room:
					got := drink(t, r)
					_, err = promptly(t, func() (int, error) { return 0, <-over })
					end()
					got()
				case err = <-over:
				}
				failedAt(t, err, penstock.SideSource, 0, syscall.ECONNRESET)
			})
		}
	}
}

// TestResumeThatDoesNotBeginHasWhatWasInFlightInItsError: who resumes in a loop, each time with the last error, would
// lose all that was in flight at the first attempt that is refused.
func TestResumeThatDoesNotBeginHasWhatWasInFlightInItsError(t *testing.T) {
	gone, cancel := context.WithCancelCause(background)
	cancel(errGone)
	udp := datagrams(t)["UDP"]
	data := pattern(100_000)
	src := bytes.NewReader(data)
	_, err := penstock.Copy(background, &stubborn{takes: 7}, src)
	before := inFlightOf(t, failedAt(t, err, penstock.SideSink, 7, errTest))
	for name, resume := range map[string]func(failed error) (penstock.Report, error){
		"a context that is done": func(failed error) (penstock.Report, error) {
			return penstock.Resume(gone, io.Discard, src, failed)
		},
		"an option that makes no sense": func(failed error) (penstock.Report, error) {
			return penstock.Resume(background, io.Discard, src, failed, penstock.WithRate(-1))
		},
		"no sink": func(failed error) (penstock.Report, error) { return penstock.Resume(background, nil, src, failed) },
		"datagrams": func(failed error) (penstock.Report, error) {
			return penstock.Resume(background, udp, src, failed)
		},
	} {
		_, again := resume(err)
		var op *penstock.OpError
		if !errors.As(again, &op) || op.InFlight == nil || !bytes.Equal(inFlightOf(t, op), before) {
			t.Fatalf("%s: %v has not what was in flight", name, again)
		}
		err = again
	}
	completes(t, data[7:], src, err)
}

// TestAHeaderInFlightIsNotTheCallersMemory: the caller has the header's slice back, and writes the next one into it. What
// is in flight would change.
func TestAHeaderInFlightIsNotTheCallersMemory(t *testing.T) {
	header, want := []byte("0123456789"), "0123456789"
	ctx, cancel := context.WithCancelCause(background)
	defer cancel(nil)
	tr := penstock.NewTransfer(io.Discard, strings.NewReader("x"), penstock.WithHeader(header), penstock.WithRate(2))
	whenStalled(t, tr, penstock.SidePipe, func() { cancel(errGone) }) // the rate
	rep, err := tr.Run(ctx)
	var op *penstock.OpError
	if !errors.As(err, &op) || op.InFlight == nil {
		t.Fatalf("%v, %v", rep, err)
	}
	clear(header)
	if b := inFlightOf(t, op); string(b) != want[rep.Delivered:] {
		t.Errorf("in flight is %q, and should be %q", b, want[rep.Delivered:])
	}
}

// TestAReadLeftBehindCountsForALimitedReader: what it brings late is delivered first when the copy goes on. If the
// LimitedReader did not know of it as many again would be read, from the message behind.
func TestAReadLeftBehindCountsForALimitedReader(t *testing.T) {
	const message = "0123456789"
	limited := func(r io.Reader) io.Reader { return &io.LimitedReader{R: r, N: int64(len(message))} }
	for name, wrap := range map[string]func(r io.Reader) io.Reader{
		"one limit":  limited,
		"two limits": func(r io.Reader) io.Reader { return io.LimitReader(limited(r), 100) },
	} {
		for _, when := range []string{"before it goes on", "while it goes on"} {
			t.Run(name+", "+when, func(t *testing.T) {
				answer := make(chan struct{})
				left := []byte(message + "the next message")
				src := wrap(reading(func(b []byte) (int, error) {
					<-answer
					n := copy(b[:min(len(b), 4)], left)
					left = left[n:]
					return n, nil
				}))
				ctx, cancel := context.WithCancelCause(background)
				defer cancel(nil)
				var got bytes.Buffer
				tr := penstock.NewTransfer(&got, src)
				whenStalled(t, tr, penstock.SideSource, func() { cancel(errGone) })
				_, err := tr.Run(ctx)
				op := failedAt(t, err, penstock.SideSource, 0, errGone)
				var opts []penstock.Option
				if answers := sync.OnceFunc(func() { close(answer) }); when == "while it goes on" {
					opts = append(opts, penstock.WithProgress(time.Millisecond, func(r penstock.Report) {
						if r.Since > 0 {
							answers()
						}
					}))
				} else if answers(); true {
					if _, err := op.InFlight.Peek(4); err != nil {
						t.Fatal(err)
					}
				}
				_, err = promptly(t, func() (int, error) {
					_, err := penstock.Resume(background, &got, src, err, opts...)
					return 0, err
				})
				if err != nil || got.String() != message {
					t.Errorf("%q, %v", got.String(), err)
				}
			})
		}
	}
}

// TestAReadLeftBehindFindsItsPipeFull of a header, which a Resume has put back into it: there is room for what the Read
// brings all the same.
func TestAReadLeftBehindFindsItsPipeFull(t *testing.T) {
	asked, answer := make(chan struct{}), make(chan struct{})
	src := reading(func(b []byte) (int, error) {
		close(asked)
		<-answer
		return copy(b, "body"), io.EOF
	})
	ctx, cancel := context.WithCancelCause(background)
	go func() {
		<-asked
		cancel(errGone)
	}()
	_, err := penstock.Copy(ctx, io.Discard, src)
	_, err = penstock.Resume(background, &stubborn{takes: 1}, src, err, penstock.WithHeader([]byte("header")))
	close(answer)
	op := failedAt(t, err, penstock.SideSink, 1, errTest)
	for op.InFlight.Len() < len("eaderbody") {
		runtime.Gosched()
	}
	if b, err := io.ReadAll(op.InFlight); string(b) != "eaderbody" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}
