package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock"
)

// breaking is a kind of sink that fails behind so many bytes.
type breaking struct {
	name  string
	cause []error // one of which the error is
	exact bool    // got tells every byte that was delivered, and not only what a reader saw before it went
	open  func(t *testing.T, after int) breach
}

// breach is one of them.
type breach struct {
	w    io.Writer
	got  func() []byte
	late func(*penstock.Transfer) // does what breaks it, while the transfer runs; nil if it breaks by itself
}

// leaves reads so many bytes of what a sink is given and then goes away.
func leaves(t *testing.T, r io.Reader, after int, leave func()) (got func() []byte) {
	t.Helper()
	all := make(chan []byte, 1)
	go func() {
		b := make([]byte, after)
		n, err := io.ReadFull(r, b)
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			t.Errorf("reading what the sink got: %v", err)
		}
		leave()
		all <- b[:n]
	}()
	over := sync.OnceValue(func() []byte { return <-all })
	t.Cleanup(func() { over() })
	return over
}

// standsStill reads so many bytes, and the rest when the test asks for what the sink has got.
func standsStill(t *testing.T, r io.Reader, after int, end func()) (got func() []byte) {
	t.Helper()
	first := leaves(t, r, after, func() {})
	return func() []byte {
		end()
		b := first()
		rest, err := io.ReadAll(r)
		if err != nil {
			t.Errorf("reading what the sink got: %v", err)
		}
		return append(b, rest...)
	}
}

func breakings() []breaking {
	gone := []error{syscall.EPIPE, syscall.ECONNRESET}
	late := []error{os.ErrDeadlineExceeded}
	return []breaking{
		{"plain writer", []error{errTest}, true, func(_ *testing.T, after int) breach {
			w := &stubborn{takes: after}
			return breach{w: w, got: w.Bytes}
		}},
		{"writer that comes short", []error{io.ErrShortWrite}, true, func(_ *testing.T, after int) breach {
			var b bytes.Buffer
			w := writing(func(p []byte) (int, error) { return b.Write(p[:min(len(p), after-b.Len())]) })
			return breach{w: w, got: b.Bytes}
		}},
		{"FIFO whose reader goes", gone, false, func(t *testing.T, after int) breach {
			r, w := fifo(t)
			return breach{w: w, got: leaves(t, r, after, func() { r.Close() })}
		}},
		{"TCP whose peer resets", gone, false, func(t *testing.T, after int) breach {
			near, far := socket(t, "tcp")
			squeeze(t, near, far)
			return breach{w: near, got: leaves(t, far, after, func() { reset(far) })}
		}},
		{"Unix whose peer goes", gone, false, func(t *testing.T, after int) breach {
			near, far := socket(t, "unix")
			return breach{w: near, got: leaves(t, far, after, func() { far.Close() })}
		}},
		{"Pipe whose reader goes", gone, false, func(t *testing.T, after int) breach {
			p := penstock.NewPipe(2)
			t.Cleanup(func() { p.Close() })
			return breach{w: p, got: leaves(t, p, after, func() { p.CloseRead() })}
		}},
		{"TCP with a deadline", late, true, func(t *testing.T, after int) breach {
			near, far := socket(t, "tcp")
			squeeze(t, near, far)
			return breach{
				w:    near,
				got:  standsStill(t, far, after, func() { near.Close() }),
				late: func(tr *penstock.Transfer) { stalled(t, tr, penstock.SideSink); near.SetWriteDeadline(time.Now()) },
			}
		}},
		{"Unix with a deadline", late, true, func(t *testing.T, after int) breach {
			near, far := socket(t, "unix")
			return breach{
				w:    near,
				got:  standsStill(t, far, after, func() { near.Close() }),
				late: func(tr *penstock.Transfer) { stalled(t, tr, penstock.SideSink); near.SetWriteDeadline(time.Now()) },
			}
		}},
		{"FIFO with a deadline", late, true, func(t *testing.T, after int) breach {
			r, w := fifo(t)
			shrink(t, w)
			return breach{
				w:    w,
				got:  standsStill(t, r, after, func() { w.Close() }),
				late: func(tr *penstock.Transfer) { stalled(t, tr, penstock.SideSink); w.SetWriteDeadline(time.Now()) },
			}
		}},
	}
}

// shrink leaves a pipe one slot: with sixteen a TCP source may put half a megabyte into it.
func shrink(t *testing.T, w *os.File) {
	t.Helper()
	raw, err := w.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var serr error
	err = raw.Control(func(fd uintptr) { _, serr = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 4096) })
	if err := errors.Join(err, serr); err != nil {
		t.Fatal(err)
	}
}

func fifo(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// reset closes a connection by a reset. What its own side has not sent yet is dropped.
func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// squeeze makes the buffers of a connection small, so that little is under way.
func squeeze(t *testing.T, near, far net.Conn) {
	t.Helper()
	err := errors.Join(near.(*net.TCPConn).SetWriteBuffer(32<<10), far.(*net.TCPConn).SetReadBuffer(32<<10))
	if err != nil {
		t.Fatal(err)
	}
}

// TestWhatASinkDidNotTakeComesBackAndIsResumed fails every kind of sink behind every kind of source, at offsets about
// the ends of pages and buffers and in the middle of a stream.
func TestWhatASinkDidNotTakeComesBackAndIsResumed(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 10) // so much that no sink behind any of these offsets takes it all
	offsets := []int{0, 1, 4095, 32<<10 + 1, 64 << 10, 150_000, 200_001}
	turn := 0
	for _, from := range origins() {
		for _, to := range breakings() {
			for i, after := range offsets {
				if turn++; !exhaustive && ((i+turn)%len(offsets) > 1 || from.name == "gzip" && turn%4 > 0) {
					continue
				}
				for i, how := range manners(t) {
					if !exhaustive && i != turn%4 {
						continue
					}
					t.Run(fmt.Sprintf("%s to %s at %d, %s", from.name, to.name, after, how.name), func(t *testing.T) {
						src := from.open(t, data)
						brokenAndResumed(t, data, src, to, after, how.opts)
					})
				}
			}
		}
	}
}

func brokenAndResumed(t *testing.T, data []byte, src io.Reader, to breaking, after int, opts []penstock.Option) {
	t.Helper()
	broken := to.open(t, after)
	tr := penstock.NewTransfer(broken.w, src, opts...)
	if broken.late != nil {
		over := make(chan struct{})
		go func() { defer close(over); broken.late(tr) }()
		defer func() { <-over }()
	}
	rep, err := tr.Run(background)
	op := failedAt(t, err, penstock.SideSink, rep.Delivered, to.cause...)
	accounted(t, data, rep, op)
	completes(t, data[rep.Delivered:], src, err, opts...)
	got := broken.got()
	if to.exact && int64(len(got)) != rep.Delivered || int64(len(got)) > rep.Delivered || len(got) < after {
		t.Errorf("the sink was to fail at %d, got %d bytes, and is said to have got %d", after, len(got), rep.Delivered)
	}
	if !bytes.Equal(got, data[:len(got)]) {
		t.Error("the sink got other bytes")
	}
}

// TestResumeThatFailsAgainKeepsWhatIsLeft fails from sink to sink, so many bytes apart, until the last takes all.
func TestResumeThatFailsAgainKeepsWhatIsLeft(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 12)
	for _, how := range manners(t) {
		t.Run(how.name, func(t *testing.T) {
			src := tcpSource(t, data)
			var all bytes.Buffer
			var err error
			for step := 0; ; step++ {
				w := &stubborn{takes: 50_000 + step}
				var rep penstock.Report
				rep, err = penstock.Resume(background, w, src, err, how.opts...)
				if rep.Delivered != int64(w.Len()) {
					t.Fatalf("sink %d got %d, and is said to have got %d", step, w.Len(), rep.Delivered)
				}
				all.Write(w.Bytes())
				if err == nil {
					break
				}
				failedAt(t, err, penstock.SideSink, rep.Delivered, errTest)
			}
			if !bytes.Equal(all.Bytes(), data) {
				t.Errorf("all sinks together got %d bytes of %d, or others", all.Len(), len(data))
			}
		})
	}
}

// TestResumeThatDoesNotBeginLeavesAllWhereItWas: with a context that is done, and with an option that makes no sense.
func TestResumeThatDoesNotBeginLeavesAllWhereItWas(t *testing.T) {
	data := pattern(100_000)
	src := bytes.NewReader(data)
	_, failed := penstock.Copy(background, &stubborn{takes: 7}, src)
	op := failedAt(t, failed, penstock.SideSink, 7, errTest)
	before := inFlightOf(t, op)
	ctx, cancel := context.WithCancelCause(background)
	cancel(errGone)

	var sink bytes.Buffer
	if rep, err := penstock.Resume(ctx, &sink, src, failed); !errors.Is(err, errGone) || rep.Consumed != 0 {
		t.Errorf("%+v, %v", rep, err)
	}
	if _, err := penstock.Resume(background, &sink, src, failed, penstock.WithRate(-1)); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("%v", err)
	}
	if _, err := penstock.Resume(background, nil, src, failed); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("%v", err)
	}
	if !bytes.Equal(inFlightOf(t, op), before) || sink.Len() != 0 {
		t.Errorf("in flight were %d bytes, and are %d; %d were delivered", len(before), op.InFlight.Len(), sink.Len())
	}
	completes(t, data[7:], src, failed)
}

// TestResumeDeliversTheCallersHeaderToo, which the second sink wants first; what was in flight is not lost by it.
func TestResumeDeliversTheCallersHeaderToo(t *testing.T) {
	data := pattern(100_000)
	src := bytes.NewReader(data)
	_, failed := penstock.Copy(background, &stubborn{takes: 7}, src)
	var second bytes.Buffer
	if _, err := penstock.Resume(background, &second, src, failed, penstock.WithHeader([]byte("head"))); err != nil {
		t.Fatal(err)
	}
	if want := append([]byte("head"), data[7:]...); !bytes.Equal(second.Bytes(), want) {
		t.Errorf("the second sink got %d bytes, not %d, or others", second.Len(), len(want))
	}
}

// TestWhatIsInFlightIsReadSplicedOrDropped: it ends with io.EOF, and holds neither page nor descriptor.
func TestWhatIsInFlightIsReadSplicedOrDropped(t *testing.T) {
	data := pattern(300_000)
	fail := func(t *testing.T) (int64, *penstock.Pipe) {
		t.Helper()
		rep, err := penstock.Copy(background, &stubborn{takes: 100_000}, bytes.NewReader(data))
		op := failedAt(t, err, penstock.SideSink, 100_000, errTest)
		if op.InFlight == nil {
			t.Fatal("nothing is in flight")
		}
		return rep.Consumed, op.InFlight
	}
	t.Run("read", func(t *testing.T) {
		end, p := fail(t)
		if b, err := io.ReadAll(p); err != nil || !bytes.Equal(b, data[100_000:end]) {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	})
	t.Run("spliced", func(t *testing.T) {
		end, p := fail(t)
		q := penstock.NewPipe(0)
		defer q.Close()
		n, err := penstock.Splice(background, q, p, len(data), 0)
		if err != nil || int64(n) != end-100_000 {
			t.Errorf("%d, %v", n, err)
		}
		if _, err := penstock.Splice(background, q, p, 1, 0); err != io.EOF {
			t.Errorf("behind it is %v", err)
		}
	})
	t.Run("dropped", func(t *testing.T) {
		pages := penstock.PagesInUse()
		for range 50 {
			fail(t)
		}
		if n := penstock.PagesInUse(); n != pages {
			t.Errorf("pages in use: %d before, %d after", pages, n)
		}
	})
}
