package penstock_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// tap is a kind of source that gives what it is fed, and is quiet while that is nothing. valve is a kind of sink that
// takes little before its reader reads.
type (
	tap struct {
		name string
		open func(t *testing.T) (io.Reader, io.WriteCloser)
	}
	valve struct {
		name string
		open func(t *testing.T) (w io.Writer, r io.Reader, end func())
	}
)

// blockingFIFO is a FIFO whose ends block, as an inherited stdin and stdout do.
func blockingFIFO(t *testing.T) (r, w *os.File) {
	t.Helper()
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// blockingTCP is a connection as a file that blocks.
func blockingTCP(t *testing.T, c net.Conn) *os.File {
	t.Helper()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := syscall.SetNonblock(int(f.Fd()), false); err != nil {
		t.Fatal(err)
	}
	return f
}

func pipeOfKernel(t *testing.T, size int) *penstock.KernelPipe {
	t.Helper()
	p, err := penstock.NewKernelPipe(size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func memoryPipe(t *testing.T, slots int) *penstock.Pipe {
	t.Helper()
	p := penstock.NewPipe(slots)
	t.Cleanup(func() { p.Close() })
	return p
}

func taps() []tap {
	return []tap{
		{"TCP", func(t *testing.T) (io.Reader, io.WriteCloser) { return socket(t, "tcp") }},
		{"Unix", func(t *testing.T) (io.Reader, io.WriteCloser) { return socket(t, "unix") }},
		{"FIFO", func(t *testing.T) (io.Reader, io.WriteCloser) { return fifo(t) }},
		{"blocking FIFO", func(t *testing.T) (io.Reader, io.WriteCloser) { return blockingFIFO(t) }},
		{"blocking TCP", func(t *testing.T) (io.Reader, io.WriteCloser) {
			near, far := socket(t, "tcp")
			return blockingTCP(t, near), far
		}},
		{"Pipe", func(t *testing.T) (io.Reader, io.WriteCloser) {
			p := memoryPipe(t, 0)
			return p, writeCloser{p}
		}},
		{"KernelPipe", func(t *testing.T) (io.Reader, io.WriteCloser) {
			p := pipeOfKernel(t, 0)
			return p, writeCloser{p}
		}},
		{"wrapped connection", func(t *testing.T) (io.Reader, io.WriteCloser) {
			near, far := socket(t, "tcp")
			return &countingConn{Conn: near}, far
		}},
		{"limit over TCP", func(t *testing.T) (io.Reader, io.WriteCloser) {
			near, far := socket(t, "tcp")
			return io.LimitReader(near, 1<<40), far
		}},
	}
}

func valves() []valve {
	return []valve{
		{"TCP", func(t *testing.T) (io.Writer, io.Reader, func()) {
			near, far := socket(t, "tcp")
			squeeze(t, near, far)
			return near, far, func() { near.Close() }
		}},
		{"Unix", func(t *testing.T) (io.Writer, io.Reader, func()) {
			near, far := socket(t, "unix")
			return near, far, func() { near.Close() }
		}},
		{"FIFO", func(t *testing.T) (io.Writer, io.Reader, func()) {
			r, w := fifo(t)
			return w, r, func() { w.Close() }
		}},
		{"blocking FIFO", func(t *testing.T) (io.Writer, io.Reader, func()) {
			r, w := blockingFIFO(t)
			return w, r, func() { w.Close() }
		}},
		{"blocking TCP", func(t *testing.T) (io.Writer, io.Reader, func()) {
			near, far := socket(t, "tcp")
			squeeze(t, near, far)
			f := blockingTCP(t, near)
			return f, far, func() { f.Close(); near.Close() }
		}},
		{"Pipe", func(t *testing.T) (io.Writer, io.Reader, func()) {
			p := memoryPipe(t, 1)
			return p, p, func() { p.CloseWrite() }
		}},
		{"KernelPipe", func(t *testing.T) (io.Writer, io.Reader, func()) {
			p := pipeOfKernel(t, 8<<10)
			return p, p, func() { p.CloseWrite() }
		}},
		{"wrapped connection", func(t *testing.T) (io.Writer, io.Reader, func()) {
			near, far := socket(t, "unix")
			return &countingConn{Conn: near}, far, func() { near.Close() }
		}},
	}
}

// opened opens a sink, and waits for its reader when the test ends, however that is.
func opened(t *testing.T, to terminus) (w io.Writer, got func() []byte) {
	t.Helper()
	w, got = to.open(t)
	got = sync.OnceValue(got)
	t.Cleanup(func() { got() })
	return w, got
}

// ending is a way to end a transfer from outside: by its context, or by an option; or else it is cancelled.
type ending struct {
	name     string
	cause    error
	deadline time.Duration
	opts     []penstock.Option
}

func endings() []ending {
	const littleWhile = 60 * time.Millisecond
	return []ending{
		{name: "cancelled", cause: errGone},
		{name: "past its deadline", cause: context.DeadlineExceeded, deadline: littleWhile},
		{"out of time", os.ErrDeadlineExceeded, 0, []penstock.Option{penstock.WithTimeout(littleWhile)}},
		{"idle", penstock.ErrIdle, 0, []penstock.Option{penstock.WithIdleTimeout(littleWhile)}},
	}
}

// endedAt runs a transfer that waits for a side, and ends it there. If it does not end, free is to let it.
func endedAt(t *testing.T, e ending, side penstock.Side, tr *penstock.Transfer, free func()) (penstock.Report, error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(background)
	defer cancel(nil)
	if e.deadline > 0 {
		limited, done := context.WithTimeout(ctx, e.deadline)
		defer done()
		ctx = limited
	}
	over := make(chan struct{})
	var rep penstock.Report
	var err error
	go func() {
		defer close(over)
		rep, err = tr.Run(ctx)
	}()
	if e.cause == errGone {
		stalled(t, tr, side)
		cancel(errGone)
	}
	select {
	case <-over:
	case <-time.After(5 * time.Second):
		t.Errorf("it does not end: %+v", tr.Report())
		free()
		<-over
	}
	return rep, err
}

// TestACopyWhoseSourceIsQuietEndsAndGoesOn ends it in every way, with every kind of source; it can go on from there.
func TestACopyWhoseSourceIsQuietEndsAndGoesOn(t *testing.T) {
	data := pattern(150_000)
	turn := 0
	for _, from := range taps() {
		for _, to := range termini() {
			turn++
			for i, how := range endings() {
				if !exhaustive && (i != (turn+turn/8)%4 || turn%3 > 0 && from.name[:3] != "blo") {
					continue
				}
				by := manners(t)[(turn+turn/4+i)%4]
				t.Run(from.name+" to "+to.name+", "+how.name+", "+by.name, func(t *testing.T) {
					src, in := from.open(t)
					dst, got := opened(t, to)
					const first = 50_000
					if _, err := in.Write(data[:first]); err != nil {
						t.Fatal(err)
					}
					tr := penstock.NewTransfer(dst, src, append(how.opts, by.opts...)...)
					rep, err := endedAt(t, how, penstock.SideSource, tr, func() { in.Close() })
					op := failedAt(t, err, penstock.SideSource, first, how.cause)
					accounted(t, data, rep, op)
					if rep.Delivered != first {
						t.Errorf("delivered %d of %d", rep.Delivered, first)
					}
					feed(t, in, data[first:])
					if rep, err := penstock.Resume(background, dst, src, err, by.opts...); err != nil {
						t.Fatalf("it does not go on: %+v, %v", rep, err)
					}
					if b := got(); !bytes.Equal(b, data) {
						t.Errorf("the sink got %d bytes of %d, or others", len(b), len(data))
					}
				})
			}
		}
	}
}

// TestACopyWhoseSinkIsFullEndsAndGoesOn ends it in every way, with every kind of sink; what is in flight is what
// the same sink gets when it goes on.
func TestACopyWhoseSinkIsFullEndsAndGoesOn(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 8)
	turn := 0
	for _, to := range valves() {
		for _, from := range origins() {
			turn++
			for i, how := range endings() {
				if !exhaustive && (i != (turn+turn/8)%4 || (turn+turn/15)%3 > 0) {
					continue
				}
				by := manners(t)[(turn+turn/4+i)%4]
				t.Run(from.name+" to "+to.name+", "+how.name+", "+by.name, func(t *testing.T) {
					src := from.open(t, data)
					dst, r, end := to.open(t)
					tr := penstock.NewTransfer(dst, src, append(how.opts, by.opts...)...)
					rep, err := endedAt(t, how, penstock.SideSink, tr, func() { drink(t, r) })
					op := failedAt(t, err, penstock.SideSink, rep.Delivered, how.cause)
					accounted(t, data, rep, op)
					got := drink(t, r)
					if rep, err := penstock.Resume(background, dst, src, err, by.opts...); err != nil {
						t.Fatalf("it does not go on: %+v, %v", rep, err)
					}
					end()
					if b := got(); !bytes.Equal(b, data) {
						t.Errorf("the sink got %d bytes of %d, or others", len(b), len(data))
					}
				})
			}
		}
	}
}

// TestAResetSourceGivesWhatItHad and is then to blame: the bytes before the reset have reached the sink.
func TestAResetSourceGivesWhatItHad(t *testing.T) {
	data := pattern(200_000)
	turn := 0
	for _, to := range termini() {
		for _, after := range []int{0, 1, 4096, 32 << 10, 65_537, 200_000} {
			turn++
			by := manners(t)[turn%4]
			t.Run(to.name+", "+by.name, func(t *testing.T) {
				near, far := socket(t, "tcp")
				dst, got := opened(t, to)
				tr := penstock.NewTransfer(dst, near, by.opts...)
				if _, err := far.Write(data[:after]); err != nil {
					t.Fatal(err)
				}
				over := make(chan struct{})
				go func() {
					defer close(over)
					stalled(t, tr, penstock.SideSource)
					reset(far)
				}()
				rep, err := tr.Run(background)
				<-over
				accounted(t, data, rep, failedAt(t, err, penstock.SideSource, int64(after), syscall.ECONNRESET))
				if b := got(); !bytes.Equal(b, data[:after]) || rep.Delivered != int64(after) {
					t.Errorf("the sink got %d bytes, and is said to have got %d of %d", len(b), rep.Delivered, after)
				}
			})
		}
	}
}
