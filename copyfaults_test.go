package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// failingReader gives data, and at its end an error, once: with the last bytes or behind them. Then it looks like at
// its end, as a socket does after a reset.
type failingReader struct {
	data  []byte
	err   error
	along bool // the error comes with the last bytes
	max   int  // bytes at a time
	calls int
}

func (r *failingReader) Read(b []byte) (int, error) {
	r.calls++
	n := copy(b[:min(len(b), r.max)], r.data)
	r.data = r.data[n:]
	if len(r.data) > 0 || n > 0 && !r.along {
		return n, nil
	}
	err := r.err
	r.err = io.EOF
	return n, err
}

// TestWhatAFailingReaderGaveIsDelivered fails a reader at every kind of place: what it gave has reached the sink, and
// the error blames it and tells how much that was.
func TestWhatAFailingReaderGaveIsDelivered(t *testing.T) {
	data := pattern(100_000)
	for _, at := range []int{0, 1, 4095, 4096, 4097, 32 << 10, 32<<10 + 1, 99_999, 100_000} {
		for _, along := range []bool{false, true} {
			for _, size := range []int{1000, 1 << 20} {
				t.Run(fmt.Sprintf("at %d, along %v, %d at a time", at, along, size), func(t *testing.T) {
					sinks(t, func(t *testing.T, open func() (io.Writer, func() []byte)) {
						w, got := open()
						rep, err := penstock.Copy(background, w, &failingReader{data[:at], syscall.EIO, along, size, 0})
						op := failedAt(t, err, penstock.SideSource, int64(at), syscall.EIO)
						if op.InFlight != nil || rep.Consumed != int64(at) || rep.Delivered != int64(at) {
							t.Errorf("%+v, in flight %v", rep, op.InFlight)
						}
						if b := got(); !bytes.Equal(b, data[:at]) {
							t.Errorf("the sink got %d bytes of %d, or others", len(b), at)
						}
					})
				})
			}
		}
	}
}

// sinks runs a test with a sink in memory of each kind: a writer, and a pipe.
func sinks(t *testing.T, test func(t *testing.T, open func() (io.Writer, func() []byte))) {
	t.Run("writer", func(t *testing.T) {
		test(t, func() (io.Writer, func() []byte) {
			var b bytes.Buffer
			return &b, b.Bytes
		})
	})
	conduits(t, func(t *testing.T, open func() penstock.Conduit) {
		test(t, func() (io.Writer, func() []byte) {
			p := open()
			all := make(chan []byte, 1)
			go func() { b, _ := io.ReadAll(p); all <- b }()
			return p, func() []byte { closeWrite(t, p); return <-all }
		})
	})
}

// TestASinkFailsBehindEveryByte fails a writer behind each byte of a short stream of chunks.
func TestASinkFailsBehindEveryByte(t *testing.T) {
	data := pattern(700)
	for at := range len(data) {
		src := &failingReader{data, io.EOF, at%2 == 0, 100, 0}
		w := &stubborn{takes: at}
		rep, err := penstock.Copy(background, w, src)
		op := failedAt(t, err, penstock.SideSink, int64(at), errTest)
		accounted(t, data, rep, op)
		if want := int64(at/100*100 + 100); rep.Consumed != want || !bytes.Equal(w.Bytes(), data[:at]) {
			t.Fatalf("consumed %d, not %d; delivered %d of %d", rep.Consumed, want, w.Len(), at)
		}
		completes(t, data[at:], src, err)
	}
}

// TestAnErrorThatCameWithBytesOutlivesThem: a reset is told once, and then looks like an end. So where the sink does
// not take the bytes that it came with, or may not get them any more, the source's error is told as well.
func TestAnErrorThatCameWithBytesOutlivesThem(t *testing.T) {
	data := pattern(1000)
	t.Run("the sink fails", func(t *testing.T) {
		src := &failingReader{data, syscall.ECONNRESET, true, 1000, 0}
		rep, err := penstock.Copy(background, &stubborn{takes: 10}, src)
		if !errors.Is(err, errTest) || !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("%v", err)
		}
		accounted(t, data, rep, failedAt(t, err, penstock.SideSink, 10, errTest))
		completes(t, data[10:], src, err)
	})
	t.Run("the transfer is cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(background)
		src := &failingReader{data, syscall.ECONNRESET, true, 1000, 0}
		interrupted := make(chan struct{})
		w := deadlined{func(b []byte) (int, error) {
			cancel(errGone)
			<-interrupted
			return len(b), nil
		}, sync.OnceFunc(func() { close(interrupted) })}
		rep, err := penstock.Copy(ctx, w, src)
		if !errors.Is(err, syscall.ECONNRESET) || rep.Delivered != 1000 {
			t.Errorf("%+v, %v", rep, err)
		}
	})
}

// deadlined is a writer that is told when it is to give up.
type deadlined struct {
	writing
	told func()
}

func (d deadlined) SetWriteDeadline(at time.Time) error {
	if !at.IsZero() {
		d.told()
	}
	return nil
}

// TestAReaderThatBreaksTheRulesIsTheSourcesFault: one that has nothing to say is given up, as in bufio, and an
// impossible count is not believed.
func TestAReaderThatBreaksTheRulesIsTheSourcesFault(t *testing.T) {
	for name, c := range map[string]struct {
		read  func([]byte) (int, error)
		cause error
	}{
		"nothing, for ever": {func([]byte) (int, error) { return 0, nil }, io.ErrNoProgress},
		"too many":          {func(b []byte) (int, error) { return len(b) + 1, nil }, nil},
		"fewer than none":   {func([]byte) (int, error) { return -1, nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			sinks(t, func(t *testing.T, open func() (io.Writer, func() []byte)) {
				w, got := open()
				rep, err := penstock.Copy(background, w, reading(c.read))
				op := failedAt(t, err, penstock.SideSource, 0)
				if c.cause != nil && !errors.Is(err, c.cause) || op.InFlight != nil || rep.Consumed != 0 || len(got()) != 0 {
					t.Errorf("%+v, %v", rep, err)
				}
			})
		})
	}
}

// TestAWriterThatBreaksTheRulesIsTheSinksFault: what it claims beyond what it was given is not believed.
func TestAWriterThatBreaksTheRulesIsTheSinksFault(t *testing.T) {
	data := pattern(1000)
	for name, write := range map[string]writing{
		"too many":        func(b []byte) (int, error) { return len(b) + 1, nil },
		"fewer than none": func([]byte) (int, error) { return -1, nil },
		"nothing":         func([]byte) (int, error) { return 0, nil },
	} {
		t.Run(name, func(t *testing.T) {
			src := bytes.NewReader(data)
			rep, err := penstock.Copy(background, write, src)
			accounted(t, data, rep, failedAt(t, err, penstock.SideSink, 0, io.ErrShortWrite))
			completes(t, data, src, err)
		})
	}
}

// TestWhatASourceGaveToAPipeThatHasGoneIsInFlight: the reader is asked, and while it has not answered nobody will
// read any more what it gives, or the transfer is cancelled.
func TestWhatASourceGaveToAPipeThatHasGoneIsInFlight(t *testing.T) {
	data := pattern(100)
	asked := func() (src io.Reader, asked, answer chan struct{}) {
		asked, answer = make(chan struct{}, 100), make(chan struct{})
		left := data
		return reading(func(b []byte) (int, error) {
			asked <- struct{}{}
			<-answer
			n := copy(b, left)
			left = left[n:]
			if n == 0 {
				return 0, io.EOF
			}
			return n, nil
		}), asked, answer
	}
	t.Run("its reader closed", func(t *testing.T) {
		p := penstock.NewPipe(0)
		defer p.Close()
		src, asked, answer := asked()
		go func() { <-asked; p.CloseRead(); close(answer) }()
		rep, err := penstock.Copy(background, p, src)
		accounted(t, data, rep, failedAt(t, err, penstock.SideSink, 0, syscall.EPIPE))
		completes(t, data, src, err)
	})
	conduits(t, func(t *testing.T, open func() penstock.Conduit) {
		p := open()
		ctx, cancel := context.WithCancelCause(background)
		src, asked, answer := asked()
		src = deaf{src}
		go func() {
			<-asked
			cancel(errGone)
			n, err := p.Write(make([]byte, 2*p.Cap())) // which ends with the interruption
			if _, derr := p.Discard(n); derr != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v, %v", err, derr)
			}
			close(answer)
		}()
		rep, err := penstock.Copy(ctx, p, src)
		var op *penstock.OpError
		if !errors.As(err, &op) || !errors.Is(err, errGone) {
			t.Fatalf("%v", err)
		}
		accounted(t, data, rep, op)
		got := make([]byte, p.Len())
		if _, err := io.ReadFull(p, got); err != nil || !bytes.Equal(got, data[:rep.Delivered]) {
			t.Errorf("the pipe got %d bytes of %d, %v", len(got), rep.Delivered, err)
		}
		completes(t, data[rep.Delivered:], src, err)
	})
}

// deaf has deadlines, and does not hear of them: it is waited for.
type deaf struct{ io.Reader }

func (deaf) SetReadDeadline(time.Time) error { return nil }

// TestAReadThatIsLeftBehindBringsWhatItBringsToInFlight: the transfer ends before it does, and is resumed when it has
// come.
func TestAReadThatIsLeftBehindBringsWhatItBringsToInFlight(t *testing.T) {
	data := pattern(100_000)
	for name, with := range map[string]struct {
		opts  []penstock.Option
		cause error
	}{
		"cancelled":   {nil, errGone},
		"out of time": {[]penstock.Option{penstock.WithTimeout(100 * time.Millisecond)}, os.ErrDeadlineExceeded},
		"idle":        {[]penstock.Option{penstock.WithIdleTimeout(100 * time.Millisecond)}, penstock.ErrIdle},
	} {
		t.Run(name, func(t *testing.T) {
			sinks(t, func(t *testing.T, open func() (io.Writer, func() []byte)) {
				dst, got := open()
				asked, answer := make(chan struct{}, 1000), make(chan struct{})
				left := data
				src := reading(func(b []byte) (int, error) {
					if len(left) < 50_000 {
						asked <- struct{}{}
						<-answer
					}
					n := copy(b[:min(len(b), 10_000)], left)
					left = left[n:]
					if n == 0 {
						return 0, io.EOF
					}
					return n, nil
				})
				ctx, cancel := context.WithCancelCause(background)
				go func() {
					<-asked
					if with.cause == errGone {
						cancel(errGone)
					}
				}()
				rep, err := penstock.Copy(ctx, dst, src, with.opts...)
				failedAt(t, err, penstock.SideSource, 60_000, with.cause)
				if rep.Delivered != 60_000 || rep.Consumed != 60_000 {
					t.Errorf("%+v", rep)
				}
				close(answer)
				var second bytes.Buffer
				if rep, err := penstock.Resume(background, &second, src, err); err != nil {
					t.Errorf("%+v, %v", rep, err)
				}
				if all := append(got(), second.Bytes()...); !bytes.Equal(all, data) {
					t.Errorf("both sinks got %d bytes of %d, or others", len(all), len(data))
				}
			})
		})
	}
}

// TestPartialProgressIsCountedOnce: a writer that comes short fails at each offset in turn, and each time the rest is
// resumed to itself. No byte is there twice.
func TestPartialProgressIsCountedOnce(t *testing.T) {
	data := pattern(5000)
	for _, step := range []int{1, 7, 999, 1000, 4096} {
		var got bytes.Buffer
		src := &failingReader{slices.Clone(data), io.EOF, false, 1000, 0}
		var err error
		total := int64(0)
		for round := 0; round == 0 || err != nil; round++ {
			room := step
			w := writing(func(b []byte) (int, error) {
				n := min(len(b), room)
				room -= n
				got.Write(b[:n])
				return n, nil
			})
			var rep penstock.Report
			rep, err = penstock.Resume(background, w, src, err)
			total += rep.Delivered
			if total != int64(got.Len()) {
				t.Fatalf("%d bytes at a time: %d counted, %d delivered", step, total, got.Len())
			}
			if round > len(data) {
				t.Fatalf("%d bytes at a time: no end", step)
			}
		}
		if !bytes.Equal(got.Bytes(), data) {
			t.Errorf("%d bytes at a time: %d of %d, or others", step, got.Len(), len(data))
		}
	}
}
