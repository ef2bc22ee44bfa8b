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

// stalled returns when a transfer waits for that side, and has for a while.
func stalled(t *testing.T, tr *penstock.Transfer, side penstock.Side) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	give := time.After(20 * time.Second)
	for {
		if r := tr.Report(); r.Waiting == side && r.Since > 5*time.Millisecond {
			return
		}
		select {
		case <-look.C:
		case <-give:
			t.Errorf("it does not wait for the %v: %+v", side, tr.Report())
			return
		}
	}
}

// reading and writing are a reader and a writer that are one function.
type (
	reading func([]byte) (int, error)
	writing func([]byte) (int, error)
)

func (f reading) Read(b []byte) (int, error)  { return f(b) }
func (f writing) Write(b []byte) (int, error) { return f(b) }

var errGone = errors.New("the caller has gone")

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
			return breach{
				w:    w,
				got:  standsStill(t, r, after, func() { w.Close() }),
				late: func(tr *penstock.Transfer) { stalled(t, tr, penstock.SideSink); w.SetWriteDeadline(time.Now()) },
			}
		}},
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

// manner is how a transfer is made to move its bytes.
type manner struct {
	name string
	opts []penstock.Option
}

func manners(t *testing.T) []manner {
	t.Helper()
	none := penstock.NewPool(1)
	t.Cleanup(func() { none.Close() })
	return []manner{
		{"any way", nil},
		{"no splice", []penstock.Option{penstock.WithoutSplice()}},
		{"no pipe to be had", []penstock.Option{penstock.WithPool(none)}},
		{"pipes of two slots", []penstock.Option{penstock.WithPipeSize(8 << 10)}},
	}
}

// inFlightOf returns what is in flight of a failed transfer, and leaves it there.
func inFlightOf(t *testing.T, op *penstock.OpError) []byte {
	t.Helper()
	if op.InFlight == nil {
		return nil
	}
	b := make([]byte, op.InFlight.Len()+1)
	n, err := op.InFlight.PeekInto(b)
	if err != nil || n == 0 {
		t.Errorf("in flight: %d bytes, %v", n, err)
	}
	return b[:n]
}

// failedAt takes the error of a transfer, and looks at its side, its offset and its cause.
func failedAt(t *testing.T, err error, side penstock.Side, offset int64, causes ...error) *penstock.OpError {
	t.Helper()
	var op *penstock.OpError
	if !errors.As(err, &op) {
		t.Fatalf("the error is %v", err)
	}
	if op.Side != side || op.Offset != offset {
		t.Errorf("it failed on the %v at %d, not on the %v at %d: %v", op.Side, op.Offset, side, offset, err)
	}
	known := len(causes) == 0
	for _, cause := range causes {
		known = known || errors.Is(err, cause)
	}
	if !known {
		t.Errorf("the cause is %v, and should be one of %v", err, causes)
	}
	return op
}

// accounted looks whether what is in flight is all that has left the source and not reached the sink.
func accounted(t *testing.T, data []byte, rep penstock.Report, op *penstock.OpError) {
	t.Helper()
	if rep.Delivered > rep.Consumed || rep.Consumed > int64(len(data)) {
		t.Fatalf("delivered %d, consumed %d, of %d", rep.Delivered, rep.Consumed, len(data))
	}
	if b := inFlightOf(t, op); !bytes.Equal(b, data[rep.Delivered:rep.Consumed]) {
		t.Fatalf("delivered %d, consumed %d, and in flight are %d bytes, or others", rep.Delivered, rep.Consumed, len(b))
	}
}

// completes resumes a failed transfer to a second sink, and looks whether that gets just what is missing.
func completes(t *testing.T, missing []byte, src io.Reader, failed error, opts ...penstock.Option) {
	t.Helper()
	var second bytes.Buffer
	rep, err := penstock.Resume(background, &second, src, failed, opts...)
	if err != nil {
		t.Fatalf("resumed: %v", err)
	}
	if !bytes.Equal(second.Bytes(), missing) {
		t.Fatalf("the second sink got %d bytes, not the %d that were missing, or others", second.Len(), len(missing))
	}
	if n := int64(len(missing)); rep.Consumed != n || rep.Delivered != n {
		t.Errorf("resumed: consumed %d, delivered %d, of %d", rep.Consumed, rep.Delivered, n)
	}
	if op := (*penstock.OpError)(nil); errors.As(failed, &op) && op.InFlight != nil && op.InFlight.Len() != 0 {
		t.Errorf("%d bytes are still in flight to the first", op.InFlight.Len())
	}
}

// exhaustive makes the tests of offsets try each manner at each offset. That takes minutes.
var exhaustive = os.Getenv("PENSTOCK_EXHAUSTIVE") != ""

// TestWhatASinkDidNotTakeComesBackAndIsResumed fails every kind of sink behind every kind of source, at offsets about
// the ends of pages and buffers and in the middle of a stream.
func TestWhatASinkDidNotTakeComesBackAndIsResumed(t *testing.T) {
	data := bytes.Repeat(pattern(64<<10), 8)
	offsets := []int{0, 1, 4095, 32<<10 + 1, 64 << 10, 200_001, len(data) / 2}
	turn := 0
	for _, from := range origins() {
		for _, to := range breakings() {
			for i, after := range offsets {
				if turn++; !exhaustive && (i+turn)%len(offsets) > 2 {
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
		t.Errorf("the sink got %d bytes behind which it was to fail at %d, and is said to have got %d", len(got), after, rep.Delivered)
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
