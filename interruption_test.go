package penstock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var errCancelled = errors.New("the test's own reason")

// TestContextsEndAWaitWithTheirCause cancels each verb that waits.
func TestContextsEndAWaitWithTheirCause(t *testing.T) {
	for full, verbs := range [][]verb{slices.Concat(takers, lookers), putters} {
		for _, v := range verbs {
			if v.name == "Peek" { // has no context
				continue
			}
			t.Run(v.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := smallPipe(t, 1)
					lend(t, p, full)
					ctx, cancel := context.WithCancelCause(background)
					woken := waits(t, func() error { return v.call(t, ctx, p) })
					cancel(errCancelled)
					woken(errCancelled)
				})
			})
		}
	}
}

// TestDeadlinesEndEveryWait lets a deadline pass that was set before the wait, one that was set meanwhile, and one that
// had passed.
func TestDeadlinesEndEveryWait(t *testing.T) {
	reserve := verb{name: "Reserve", call: func(_ *testing.T, _ context.Context, p *Pipe) error {
		_, err := p.Reserve(1)
		return err
	}}
	for _, side := range []struct {
		verbs []verb
		full  int
		set   func(*Pipe, time.Time) error
	}{
		{slices.Concat(takers, lookers), 0, (*Pipe).SetReadDeadline},
		{slices.Concat(putters, []verb{reserve}), 1, (*Pipe).SetWriteDeadline},
	} {
		for _, v := range side.verbs {
			t.Run(v.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := smallPipe(t, 1)
					lend(t, p, side.full)
					call := func() error { return v.call(t, background, p) }

					side.set(p, time.Now().Add(time.Hour))
					woken := waits(t, call)
					time.Sleep(time.Hour)
					woken(os.ErrDeadlineExceeded)

					if err := call(); !errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("behind the deadline: %v", err)
					}
					side.set(p, time.Time{})
					woken = waits(t, call)
					side.set(p, time.Now().Add(time.Second))
					time.Sleep(time.Second)
					woken(os.ErrDeadlineExceeded)

					side.set(p, time.Now().Add(time.Second))
					woken = waits(t, call)
					side.set(p, time.Now().Add(time.Hour)) // put off
					time.Sleep(time.Minute)
					side.set(p, time.Now())
					woken(os.ErrDeadlineExceeded)
				})
			})
		}
	}
}

// TestAWaiterThatGivesUpPassesItsWakeUpOn: a write and a cancellation meet, and somebody else waits, too.
func TestAWaiterThatGivesUpPassesItsWakeUpOn(t *testing.T) {
	for range 50 { // it depends on who is first
		bubble(t, func(t *testing.T) {
			p := smallPipe(t, 2)
			ctx, cancel := context.WithCancel(background)
			took := 0
			go func() {
				if _, err := p.ReadContext(ctx, make([]byte, 1)); err == nil {
					took++
				}
			}()
			synctest.Wait()
			woken := waits(t, func() error { _, err := p.Read(make([]byte, 1)); return err })
			go p.Write([]byte("x"))
			cancel()
			if synctest.Wait(); took == 1 {
				p.Write([]byte("y"))
			}
			woken(nil)
		})
	}
}

// TestSpliceIntoAStuckConnectionIsCancelled: what was not taken is still in the pipe, and the connection is as before.
func TestSpliceIntoAStuckConnectionIsCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		p := smallPipe(t, 2)
		p.Write([]byte("abcdef"))
		ctx, cancel := context.WithCancelCause(background)
		woken := waits(t, func() error {
			n, err := Splice(ctx, near, p, 6, 0)
			if n != 2 {
				t.Errorf("moved %d", n)
			}
			return err
		})
		if got := mustRead(t, far, 2); got != "ab" {
			t.Errorf("%q", got)
		}
		cancel(errCancelled)
		woken(errCancelled)
		if p.Len() != 4 {
			t.Errorf("%d bytes are left, want 4", p.Len())
		}
		go Splice(background, near, p, 4, 0)
		if got := mustRead(t, far, 4); got != "cdef" {
			t.Errorf("%q", got)
		}
		synctest.Wait()
	})
}

func TestSpliceFromAQuietConnectionIsCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		p := smallPipe(t, 2)
		ctx, cancel := context.WithCancelCause(background)
		woken := waits(t, func() error { _, err := Splice(ctx, p, near, 6, 0); return err })
		cancel(errCancelled)
		woken(errCancelled)
		go far.Write([]byte("later"))
		if n, err := Splice(background, p, near, 5, 0); n != 5 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// lateDeadline is a connection whose deadlines take a second to set, in which a read returns.
type lateDeadline struct {
	done <-chan struct{}
	last time.Time
}

func (c *lateDeadline) Read(b []byte) (int, error)  { <-c.done; return copy(b, "x"), nil }
func (c *lateDeadline) Write(b []byte) (int, error) { <-c.done; return len(b), nil }

func (c *lateDeadline) set(t time.Time) error {
	if !t.IsZero() {
		time.Sleep(time.Second)
	}
	c.last = t
	return nil
}

func (c *lateDeadline) SetReadDeadline(t time.Time) error  { return c.set(t) }
func (c *lateDeadline) SetWriteDeadline(t time.Time) error { return c.set(t) }

// TestACancellationThatComesLateLeavesNoDeadlineBehind: Splice returns only when the interruption it asked for is over.
func TestACancellationThatComesLateLeavesNoDeadlineBehind(t *testing.T) {
	for _, c := range []struct {
		name string
		call func(ctx context.Context, p *Pipe, c *lateDeadline) error
	}{
		{"into the pipe", func(ctx context.Context, p *Pipe, c *lateDeadline) error {
			_, err := Splice(ctx, p, c, 1, 0)
			return err
		}},
		{"out of the pipe", func(ctx context.Context, p *Pipe, c *lateDeadline) error {
			p.Write([]byte("x"))
			_, err := Splice(ctx, c, p, 1, 0)
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := smallPipe(t, 2)
				ctx, cancel := context.WithCancel(background)
				conn := &lateDeadline{done: ctx.Done()}
				over := make(chan error)
				go func() { over <- c.call(ctx, p, conn) }()
				synctest.Wait()
				cancel()
				<-over
				time.Sleep(time.Minute)
				if synctest.Wait(); !conn.last.IsZero() {
					t.Errorf("a deadline of %v is left", conn.last)
				}
			})
		})
	}
}

// TestWhoIsRefusedIsNamed closes one end under a transfer that waits.
func TestWhoIsRefusedIsNamed(t *testing.T) {
	for _, c := range []struct {
		name  string
		close func(dst, src *Pipe) error
		want  error
		side  Side
	}{
		{"the source's read end", func(_, src *Pipe) error { return src.CloseRead() }, io.ErrClosedPipe, SideSource},
		{"the sink's read end", func(dst, _ *Pipe) error { return dst.CloseRead() }, syscall.EPIPE, SideSink},
		{"the sink's write end", func(dst, _ *Pipe) error { return dst.CloseWrite() }, io.ErrClosedPipe, SideSink},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				dst, src := smallPipe(t, 1), smallPipe(t, 1)
				if c.side == SideSink {
					lend(t, dst, 1)
					lend(t, src, 1)
				}
				var err error
				woken := waits(t, func() error { _, err = Splice(background, dst, src, 1, 0); return err })
				c.close(dst, src)
				woken(c.want)
				if side, ok := SideOf(err); !ok || side != c.side {
					t.Errorf("%v blames the %v", err, side)
				}
			})
		})
	}
}

// TestAReadThatFailsTakesNothing: no error of a wait costs a byte.
func TestAReadThatFailsTakesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := smallPipe(t, 2)
		p.Write([]byte("kept"))
		p.SetReadDeadline(time.Now())
		for _, v := range takers {
			if err := v.call(t, background, p); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v", v.name, err)
			}
		}
		p.SetReadDeadline(time.Time{})
		var got bytes.Buffer
		if n, err := Splice(background, &got, p, 9, 0); n != 4 || got.String() != "kept" || err != nil {
			t.Errorf("%d, %q, %v", n, got.String(), err)
		}
	})
}
