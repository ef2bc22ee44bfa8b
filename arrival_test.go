package penstock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// slowDisk is a ReaderAt each of whose reads waits until it is let go by its number, and may fail.
type slowDisk struct {
	mu    sync.Mutex
	data  string
	size  int64 // of a read
	gates map[int64]chan error
}

func (d *slowDisk) gate(i int64) chan error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gates == nil {
		d.gates = map[int64]chan error{}
	}
	if d.gates[i] == nil {
		d.gates[i] = make(chan error, 1)
	}
	return d.gates[i]
}

func (d *slowDisk) ReadAt(b []byte, off int64) (int, error) {
	if err := <-d.gate(off / d.size); err != nil {
		return 0, err
	}
	return strings.NewReader(d.data).ReadAt(b, off)
}

// land lets the i-th read end, and waits until that has been seen.
func (d *slowDisk) land(i int64, err error) {
	d.gate(i) <- err
	synctest.Wait()
}

// inFlight puts n pages into p whose reads are in flight: the i-th is full of the i-th letter.
func inFlight(t *testing.T, p *Pipe, n int) *slowDisk {
	t.Helper()
	d := &slowDisk{size: MinPageSize}
	for i := range n {
		d.data += strings.Repeat(string(rune('a'+i)), MinPageSize)
	}
	src, err := ReadAhead(d, 0, int64(len(d.data)))
	if err != nil {
		t.Fatal(err)
	}
	if m, err := src.SpliceRead(p, len(d.data), 0); m != len(d.data) || err != nil {
		t.Fatalf("%d bytes took off: %v", m, err)
	}
	return d
}

// arrivals are the verbs that wait for bytes to arrive, and not only for a buffer.
var arrivals = []verb{
	takers[0], // Read
	takers[2], // Splice into a writer
	{"WriteTo a Sink", func(_ *testing.T, _ context.Context, p *Pipe) error {
		_, err := SinkOf(io.Discard).SpliceWrite(p, 1, 0)
		return err
	}},
	{"Peek", func(_ *testing.T, _ context.Context, p *Pipe) error { _, err := p.Peek(1); return err }},
}

func TestWhoWantsBytesInFlightWaitsUntilTheyLand(t *testing.T) {
	for _, v := range append(slices.Clone(arrivals), verb{"Readable", func(_ *testing.T, _ context.Context, p *Pipe) error {
		<-p.Readable()
		return nil
	}}) {
		t.Run(v.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := smallPipe(t, 4)
				d := inFlight(t, p, 2)
				if _, err := p.TryRead(make([]byte, 1)); !errors.Is(err, ErrWouldBlock) {
					t.Errorf("a read that does not wait: %v", err)
				}
				if n, err := p.PeekInto(make([]byte, 9)); n != 0 || err != nil {
					t.Errorf("%d bytes are shown, %v", n, err)
				}
				woken := waits(t, func() error { return v.call(t, background, p) })
				d.land(1, nil) // is not what is wanted
				d.land(0, nil)
				woken(nil)
			})
		})
	}
}

// TestAWaitForBytesInFlightIsInterrupted by whatever ends any other wait, and nothing is lost.
func TestAWaitForBytesInFlightIsInterrupted(t *testing.T) {
	for _, v := range arrivals {
		for _, by := range []struct {
			name      string
			interrupt func(p *Pipe, cancel context.CancelCauseFunc)
			want      error
		}{
			{"a deadline", func(p *Pipe, _ context.CancelCauseFunc) { p.SetReadDeadline(time.Now()) }, os.ErrDeadlineExceeded},
			{"a context", func(_ *Pipe, cancel context.CancelCauseFunc) { cancel(errCancelled) }, errCancelled},
			{"CloseRead", func(p *Pipe, _ context.CancelCauseFunc) { p.CloseRead() }, io.ErrClosedPipe},
			{"Close", func(p *Pipe, _ context.CancelCauseFunc) { p.Close() }, io.ErrClosedPipe},
		} {
			if by.want == errCancelled && (v.name == "Peek" || v.name == "WriteTo a Sink") { // have no context
				continue
			}
			t.Run(v.name+" by "+by.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := smallPipe(t, 4)
					d := inFlight(t, p, 1)
					ctx, cancel := context.WithCancelCause(background)
					woken := waits(t, func() error { return v.call(t, ctx, p) })
					by.interrupt(p, cancel)
					woken(by.want)
					d.land(0, nil)
					if by.want == io.ErrClosedPipe {
						return
					}
					p.SetReadDeadline(time.Time{})
					if p.Len() != len(d.data) {
						t.Errorf("%d bytes are left", p.Len())
					} else if got := mustRead(t, p, len(d.data)); got != d.data {
						t.Error("other bytes than were read")
					}
				})
			})
		}
	}
}

// TestBytesThatAreThereDoNotWaitForThoseInFlight: no call waits once it could move something.
func TestBytesThatAreThereDoNotWaitForThoseInFlight(t *testing.T) {
	for _, c := range []struct {
		name string
		take func(p *Pipe, got *bytes.Buffer) error
	}{
		{"Read", func(p *Pipe, got *bytes.Buffer) error {
			b := make([]byte, 99)
			n, err := p.Read(b)
			got.Write(b[:n])
			return err
		}},
		{"Splice", func(p *Pipe, got *bytes.Buffer) error { _, err := Splice(background, got, p, 99, 0); return err }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := smallPipe(t, 4)
				p.Write([]byte("here"))
				d := inFlight(t, p, 1)
				var got bytes.Buffer
				over := make(chan error, 1)
				go func() { over <- c.take(p, &got) }()
				synctest.Wait()
				if got.String() != "here" {
					t.Errorf("%q was had", got.String())
				}
				select {
				case err := <-over:
					if err != nil {
						t.Error(err)
					}
				default:
					t.Error("it waits")
				}
				d.land(0, nil)
			})
		})
	}
}

// TestASinkGetsWhatIsThereBeforeItWaits: a SpliceWrite is for all that was asked, but has no reason to hold back.
func TestASinkGetsWhatIsThereBeforeItWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := smallPipe(t, 4)
		p.Write([]byte("here"))
		d := inFlight(t, p, 1)
		var got bytes.Buffer
		n := p.Len()
		woken := waits(t, func() error { _, err := SinkOf(&got).SpliceWrite(p, n, 0); return err })
		if got.String() != "here" {
			t.Errorf("%q was had", got.String())
		}
		d.land(0, nil)
		woken(nil)
		if got.String() != "here"+d.data {
			t.Errorf("%d bytes in the end", got.Len())
		}
	})
}

// TestReadableFollowsTheFirstBytes: those that were waited for have been dropped, and the next ones land.
func TestReadableFollowsTheFirstBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := smallPipe(t, 4)
		d := inFlight(t, p, 2)
		p.Readable()
		p.Discard(MinPageSize)
		woken := waits(t, func() error { <-p.Readable(); return nil })
		d.land(1, nil)
		woken(nil)
		d.land(0, nil)
	})
}

// TestAClosedPipeTakesNoReadAhead: the read end goes while a source waits for one of its reads to land.
func TestAClosedPipeTakesNoReadAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := smallPipe(t, 16)
		d := &slowDisk{size: MinPageSize, data: strings.Repeat("x", 9*MinPageSize)}
		src, err := ReadAhead(d, 0, int64(len(d.data)))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := src.SpliceRead(p, len(d.data), 0); n != maxInFlight*MinPageSize || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		woken := waits(t, func() error { _, err := src.SpliceRead(p, len(d.data), 0); return err })
		p.CloseRead()
		for i := range int64(maxInFlight) {
			d.land(i, nil)
		}
		woken(syscall.EPIPE)
	})
}

// TestAFaultIsToldToBothSidesAndMended: what was before the page is had, the fault stops readers and writers, those that
// wait included, and with other bytes in its place the pipe goes on.
func TestAFaultIsToldToBothSidesAndMended(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := smallPipe(t, 4)
		p.Write([]byte("before"))
		d := inFlight(t, p, 2)
		p.Write([]byte("behind"))
		blocked := waits(t, func() error { _, err := p.Write(make([]byte, MinPageSize)); return err })
		d.land(0, syscall.EIO)
		d.land(1, nil)
		if got := mustRead(t, p, 6); got != "before" {
			t.Errorf("%q", got)
		}
		blocked(nil) // there was room, and no fault yet: nobody has asked for the page
		blocked = waits(t, func() error { _, err := p.Write(make([]byte, MinPageSize)); return err })

		_, err := p.Read(make([]byte, 1))
		var op *OpError
		if !errors.Is(err, syscall.EIO) || !errors.As(err, &op) || op.Offset != 6 || op.Side != SideSource {
			t.Errorf("%#v", err)
		}
		blocked(syscall.EIO)
		for _, v := range slices.Concat(takers, lookers, putters) {
			if err := v.call(t, background, p); !errors.Is(err, syscall.EIO) {
				t.Errorf("%s: %v", v.name, err)
			}
		}
		<-p.Readable()
		<-p.Writable()

		instead, err := GiftBuffer([]byte("instead"))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Refill(instead); err != nil {
			t.Fatal(err)
		}
		if err := p.Refill(); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("a pipe without a fault: %v", err)
		}
		p.CloseWrite()
		want := "instead" + strings.Repeat("b", MinPageSize) + "behind" + strings.Repeat("\x00", MinPageSize)
		if got, err := io.ReadAll(p); string(got) != want || err != nil {
			t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
		}
	})
}

// TestWhatIsUnreadBeforeAFaultIsHadFirst: and it is not what Refill replaces.
func TestWhatIsUnreadBeforeAFaultIsHadFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := smallPipe(t, 4)
		p.Write([]byte("before"))
		d := inFlight(t, p, 1)
		d.land(0, syscall.EIO)
		b, err := p.Pull(background, 6, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Read(make([]byte, 1)); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		if err := p.Unread(b); err != nil {
			t.Fatal(err)
		}
		if got := make([]byte, 99); true {
			n, err := p.Read(got)
			if string(got[:n]) != "before" || err != nil {
				t.Errorf("%q, %v", got[:n], err)
			}
		}
		if _, err := p.Read(make([]byte, 1)); !errors.Is(err, syscall.EIO) {
			t.Errorf("and then: %v", err)
		}
		if err := p.Refill(); err != nil || p.Len() != 0 {
			t.Errorf("%d bytes are left, %v", p.Len(), err)
		}
	})
}

// stalled is a page whose bytes arrive when it has been asked for them often, by somebody who should have waited.
type stalled struct {
	*page
	asked   atomic.Int32
	arrived chan struct{}
}

func (s *stalled) Confirm(ctx context.Context) error {
	if s.asked.Add(1) == 100 {
		close(s.arrived)
	}
	select {
	case <-s.arrived:
		return nil
	default:
	}
	select {
	case <-s.arrived:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// TestATransferToTheKernelWaitsWithoutSpinning for bytes that have not arrived.
func TestATransferToTheKernelWaitsWithoutSpinning(t *testing.T) {
	for _, c := range []struct {
		name     string
		transfer func(context.Context, *KernelPipe, *Pipe) (int, error)
	}{
		{"Splice", func(ctx context.Context, dst *KernelPipe, src *Pipe) (int, error) { return Splice(ctx, dst, src, 5, 0) }},
		{"Tee", func(ctx context.Context, dst *KernelPipe, src *Pipe) (int, error) { return Tee(ctx, dst, src, 5, 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			leakless(t)
			k, err := NewKernelPipe(0)
			if err != nil {
				t.Skip(err)
			}
			defer k.Close()
			p := smallPipe(t, 2)
			pg := &stalled{page: foreignPage([]byte("bytes"), true, nil), arrived: make(chan struct{})}
			b, err := NewBuffer(pg, 0, 5, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Push(background, b, 0); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(background, 20*time.Millisecond) // a spin is faster by far
			defer cancel()
			if n, err := c.transfer(ctx, k, p); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%d, %v, after having been asked %d times", n, err, pg.asked.Load())
			}
		})
	}
}
