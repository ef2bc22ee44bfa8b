package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// verbs is what pipes of both backings have, and mean the same by.
type verbs interface {
	penstock.Conduit

	Slots() int
	Resize(slots int) error
	ReadContext(ctx context.Context, b []byte) (int, error)
	WriteContext(ctx context.Context, b []byte) (int, error)
	TryRead(b []byte) (int, error)
	TryWrite(b []byte) (int, error)
	Peek(n int) ([]byte, error)
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	CloseRead() error
	CloseWrite() error
	Readable() <-chan struct{}
	Writable() <-chan struct{}
}

var (
	_ verbs = (*penstock.Pipe)(nil)
	_ verbs = (*penstock.KernelPipe)(nil)
)

var (
	emptyNow  = result{err: penstock.ErrWouldBlock, side: penstock.SidePipe}
	overdue   = result{err: os.ErrDeadlineExceeded, side: penstock.SidePipe}
	abandoned = result{err: errAbandoned, side: penstock.SidePipe}
	broken    = result{err: syscall.EPIPE, side: penstock.SidePipe}
	invalid   = result{err: syscall.EINVAL, side: penstock.SidePipe}
)

// with is want for another count.
func (want result) with(n int) result {
	want.n = n
	return want
}

// pages are n pages of bytes that differ.
func pages(n int) []byte {
	b := make([]byte, n*pageSize)
	for i := range b {
		b[i] = byte(i ^ i>>8)
	}
	return b
}

// shown is Peek as a call that returns a count, which checks the bytes.
func shown(t *testing.T, p verbs, n int, want []byte) func() (int, error) {
	return func() (int, error) {
		b, err := p.Peek(n)
		if !bytes.HasPrefix(want, b) {
			t.Errorf("peek of %d: %d bytes that differ", n, len(b))
		}
		return len(b), err
	}
}

// isReady checks a channel of Readable or Writable: one that is to be ready may take its time.
func isReady(t *testing.T, what string, c <-chan struct{}, want bool) {
	t.Helper()
	if !want {
		select {
		case <-c:
			t.Errorf("%s: ready", what)
		default:
		}
		return
	}
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Errorf("%s: not ready", what)
	}
}

// untilHeld returns when the pipe holds so much.
func untilHeld(p verbs, n int) {
	for p.Len() != n {
		runtime.Gosched()
	}
}

// TestBothBackingsMeanTheSame by the verbs of a pipe.
func TestBothBackingsMeanTheSame(t *testing.T) {
	for _, tt := range verbTable {
		t.Run(tt.name, func(t *testing.T) {
			slotted(t, func(t *testing.T, open opener) { tt.do(t, open(t, 2).(verbs)) })
		})
	}
}

// verbTable is what the verbs do, on a pipe of two slots.
var verbTable = func() []verbCase {
	background := context.Background()
	return []verbCase{
		{"TryRead and TryWrite do not wait", func(t *testing.T, p verbs) {
			b := make([]byte, 4*pageSize)
			try := func(want result, do func() (int, error)) {
				t.Helper()
				n, err := promptly(t, do)
				want.check(t, n, err)
			}
			try(emptyNow, func() (int, error) { return p.TryRead(b) })
			try(emptyNow.with(2*pageSize), func() (int, error) { return p.TryWrite(pages(3)) })
			try(emptyNow, func() (int, error) { return p.TryWrite(pages(1)) })
			try(result{n: 2 * pageSize}, func() (int, error) { return p.TryRead(b) })
			try(result{n: 1}, func() (int, error) { return p.TryWrite([]byte("x")) })
			closeWrite(t, p)
			try(result{n: 1}, func() (int, error) { return p.TryRead(b) })
			try(ended, func() (int, error) { return p.TryRead(b) })
		}},
		{"a length of nothing is looked at first", func(t *testing.T, p verbs) {
			p.Close()
			for _, call := range []func() (int, error){
				func() (int, error) { return p.Read(nil) },
				func() (int, error) { return p.TryRead(nil) },
				func() (int, error) { return p.ReadContext(background, nil) },
				func() (int, error) { return p.Write(nil) },
				func() (int, error) { return p.TryWrite(nil) },
				func() (int, error) { return p.WriteContext(background, nil) },
				shown(t, p, 0, nil),
			} {
				n, err := call()
				result{}.check(t, n, err)
			}
		}},
		{"a context ends a read with its cause", func(t *testing.T, p verbs) {
			ctx, cancel := context.WithCancelCause(background)
			time.AfterFunc(time.Millisecond, func() { cancel(errAbandoned) })
			n, err := promptly(t, func() (int, error) { return p.ReadContext(ctx, make([]byte, 1)) })
			abandoned.check(t, n, err)
			n, err = promptly(t, func() (int, error) { return p.ReadContext(ctx, make([]byte, 1)) })
			abandoned.check(t, n, err)
			put(t, p, []byte("abc"))
			n, err = p.ReadContext(ctx, make([]byte, 3)) // need not wait
			moved.check(t, n, err)
		}},
		{"a context ends a write with its cause, and the count is told", func(t *testing.T, p verbs) {
			ctx, cancel := context.WithCancelCause(background)
			go func() {
				untilHeld(p, 2*pageSize)
				cancel(errAbandoned)
			}()
			n, err := promptly(t, func() (int, error) { return p.WriteContext(ctx, pages(3)) })
			abandoned.with(2*pageSize).check(t, n, err)
			take(t, p, pages(2))
		}},
		{"with a context that lasts all is read and written", func(t *testing.T, p verbs) {
			ctx, cancel := context.WithCancel(background)
			defer cancel()
			want := pages(64)
			go func() {
				_, err := p.WriteContext(ctx, want)
				if err != nil {
					t.Error(err)
				}
				closeWriteOnce(p)
			}()
			var got []byte
			for b := make([]byte, 3*pageSize); ; {
				n, err := promptly(t, func() (int, error) { return p.ReadContext(ctx, b) })
				got = append(got, b[:n]...)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes of %d, or others", len(got), len(want))
			}
		}},
		{"a deadline that has passed fails every call, until it is set anew", func(t *testing.T, p verbs) {
			put(t, p, []byte("abc"))
			if err := p.SetDeadline(time.Now()); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 3)
			for _, call := range []func() (int, error){
				func() (int, error) { return p.Read(b) },
				func() (int, error) { return p.TryRead(b) },
				func() (int, error) { return p.ReadContext(background, b) },
				func() (int, error) { return p.Write(b) },
				func() (int, error) { return p.TryWrite(b) },
				func() (int, error) { return p.WriteContext(background, b) },
			} {
				n, err := promptly(t, call)
				overdue.check(t, n, err)
			}
			if _, err := p.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("peek: %v", err)
			}
			if err := p.SetDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
			take(t, p, []byte("abc"))
		}},
		{"a deadline ends a wait that goes on", func(t *testing.T, p verbs) {
			ctx, cancel := context.WithCancel(background)
			defer cancel()
			for _, call := range []func() (int, error){
				func() (int, error) { return p.Read(make([]byte, 1)) },
				func() (int, error) { return p.ReadContext(ctx, make([]byte, 1)) },
				shown(t, p, 1, nil),
			} {
				p.SetReadDeadline(time.Now().Add(time.Millisecond))
				n, err := promptly(t, call)
				overdue.check(t, n, err)
				p.SetReadDeadline(time.Time{})
				set := time.AfterFunc(time.Millisecond, func() { p.SetReadDeadline(time.Now()) })
				n, err = promptly(t, call)
				overdue.check(t, n, err)
				set.Stop()
				p.SetReadDeadline(time.Time{})
			}
			put(t, p, []byte("ab"))
			p.SetReadDeadline(time.Now().Add(time.Millisecond))
			n, err := promptly(t, shown(t, p, 3, []byte("ab")))
			overdue.with(n).check(t, n, err) // where there is one, what can be shown comes with it
			p.SetReadDeadline(time.Time{})
			take(t, p, []byte("ab"))

			put(t, p, pages(2))
			for _, call := range []func() (int, error){
				func() (int, error) { return p.Write(make([]byte, pageSize)) },
				func() (int, error) { return p.WriteContext(ctx, make([]byte, pageSize)) },
			} {
				p.SetWriteDeadline(time.Now().Add(time.Millisecond))
				n, err := promptly(t, call)
				overdue.check(t, n, err)
			}
			take(t, p, pages(2))
		}},
		{"without a reader a write breaks", func(t *testing.T, p verbs) {
			put(t, p, []byte("gone"))
			for range 2 { // the second does nothing
				if err := p.CloseRead(); err != nil {
					t.Fatal(err)
				}
			}
			n, err := p.Write([]byte("x"))
			broken.check(t, n, err)
			n, err = p.TryWrite([]byte("x"))
			broken.check(t, n, err)
			if p.Len() != 0 {
				t.Errorf("%d bytes for nobody", p.Len())
			}
		}},
		{"a writer that waits is told that its reader has left, and how much it wrote", func(t *testing.T, p verbs) {
			go func() {
				untilHeld(p, 2*pageSize)
				p.CloseRead()
			}()
			n, err := promptly(t, func() (int, error) { return p.Write(pages(3)) })
			broken.with(2*pageSize).check(t, n, err)
		}},
		{"behind the last writer there is the end", func(t *testing.T, p verbs) {
			put(t, p, []byte("abc"))
			for range 2 { // the second does nothing
				closeWrite(t, p)
			}
			n, err := p.Read(make([]byte, 9))
			moved.check(t, n, err)
			n, err = p.ReadContext(background, make([]byte, 9))
			ended.check(t, n, err)
		}},
		{"Readable: empty, bytes, drained, the end", func(t *testing.T, p verbs) {
			empty := p.Readable()
			isReady(t, "empty", empty, false)
			if p.Readable() != empty {
				t.Error("two who ask have a wait each")
			}
			put(t, p, []byte("x"))
			isReady(t, "bytes, asked before", empty, true)
			isReady(t, "bytes, asked now", p.Readable(), true)
			take(t, p, []byte("x"))
			drained := p.Readable()
			isReady(t, "drained", drained, false)
			closeWrite(t, p)
			isReady(t, "the end, asked before", drained, true)
			isReady(t, "the end, asked now", p.Readable(), true)
		}},
		{"Readable: a pipe that is closed, and a deadline", func(t *testing.T, p verbs) {
			open := p.Readable()
			isReady(t, "open", open, false)
			p.SetReadDeadline(time.Now())
			isReady(t, "overdue, asked before", open, true)
			isReady(t, "overdue, asked now", p.Readable(), true)
			p.SetReadDeadline(time.Time{})
			open = p.Readable()
			isReady(t, "no deadline", open, false)
			p.Close()
			isReady(t, "closed, asked before", open, true)
			isReady(t, "closed, asked now", p.Readable(), true)
			isReady(t, "closed", p.Writable(), true)
		}},
		{"Writable: empty, full, a hole, a slot", func(t *testing.T, p verbs) {
			isReady(t, "empty", p.Writable(), true)
			put(t, p, pages(2))
			full := p.Writable()
			isReady(t, "full", full, false)
			if _, err := p.Discard(100); err != nil {
				t.Error(err)
			}
			isReady(t, "full but for 100 bytes", p.Writable(), false)
			if _, err := p.Discard(pageSize - 100); err != nil {
				t.Error(err)
			}
			isReady(t, "a slot, asked before", full, true)
			isReady(t, "a slot, asked now", p.Writable(), true)
		}},
		{"Writable: without a reader", func(t *testing.T, p verbs) {
			put(t, p, pages(2))
			full := p.Writable()
			isReady(t, "full", full, false)
			p.CloseRead()
			isReady(t, "asked before", full, true)
			isReady(t, "asked now", p.Writable(), true)
		}},
		{"Writable: growing is an event", func(t *testing.T, p verbs) {
			mayGrow(t, p)
			put(t, p, pages(2))
			full := p.Writable()
			isReady(t, "full", full, false)
			if err := p.Resize(4); err != nil {
				t.Fatal(err)
			}
			isReady(t, "grown", full, true)
		}},
		{"Resize rounds up, keeps what is held, and says what it cannot", func(t *testing.T, p verbs) {
			mayGrow(t, p)
			put(t, p, pages(2))
			for _, to := range []struct {
				slots, get int
				err        error
			}{
				{3, 4, nil},
				{8, 8, nil},
				{1, 8, syscall.EBUSY},
				{0, 8, syscall.EINVAL},
				{-1, 8, syscall.EINVAL},
				{1 << 23, 8, syscall.EINVAL},
				{2, 2, nil},
			} {
				err := p.Resize(to.slots)
				if to.err != nil {
					result{err: to.err, side: penstock.SidePipe}.check(t, 0, err)
				} else if err != nil {
					t.Error(err)
				}
				if p.Slots() != to.get || p.Cap() != to.get*pageSize {
					t.Errorf("to %d: %d slots, %d bytes", to.slots, p.Slots(), p.Cap())
				}
			}
			take(t, p, pages(2))
			p.Close()
			result{err: syscall.EBADF, side: penstock.SidePipe}.check(t, 0, p.Resize(4))
		}},
		{"Resize wakes a writer", func(t *testing.T, p verbs) {
			mayGrow(t, p)
			go func() {
				untilHeld(p, 2*pageSize)
				if err := p.Resize(4); err != nil {
					t.Error(err)
				}
			}()
			n, err := promptly(t, func() (int, error) { return p.Write(pages(4)) })
			result{n: 4 * pageSize}.check(t, n, err)
			take(t, p, pages(4))
		}},
		{"Peek consumes nothing, over several pages", func(t *testing.T, p verbs) {
			want := pages(2)[:pageSize+100]
			put(t, p, want)
			for _, n := range []int{1, 100, pageSize, pageSize + 1, len(want)} {
				m, err := promptly(t, shown(t, p, n, want))
				result{n: n}.check(t, m, err)
			}
			take(t, p, want)
		}},
		{"Peek waits for as many bytes as it was asked for", func(t *testing.T, p verbs) {
			want := []byte("abcdef")
			go func() {
				for _, c := range want {
					put(t, p, []byte{c})
				}
			}()
			n, err := promptly(t, shown(t, p, len(want), want))
			result{n: len(want)}.check(t, n, err)
			take(t, p, want)
		}},
		{"Peek: fewer at the end", func(t *testing.T, p verbs) {
			put(t, p, []byte("abc"))
			time.AfterFunc(time.Millisecond, func() { closeWriteOnce(p) })
			n, err := promptly(t, shown(t, p, 4, []byte("abc")))
			result{n: 3, err: io.EOF}.check(t, n, err)
			take(t, p, []byte("abc"))
			n, err = promptly(t, shown(t, p, 1, nil))
			ended.check(t, n, err)
		}},
		{"Peek: what is no number of bytes", func(t *testing.T, p verbs) {
			for _, n := range []int{-1, penstock.MaxPageSize + 1} {
				m, err := p.Peek(n)
				invalid.check(t, len(m), err)
			}
		}},
		{"who waits ends with the pipe", func(t *testing.T, p verbs) {
			ctx, cancel := context.WithCancel(background)
			defer cancel()
			over := make(chan error, 3)
			go func() { _, err := p.Read(make([]byte, 1)); over <- err }()
			go func() { _, err := p.ReadContext(ctx, make([]byte, 1)); over <- err }()
			go func() { _, err := p.Peek(1); over <- err }()
			p.Close()
			for range cap(over) {
				_, err := promptly(t, func() (int, error) { return 0, <-over })
				if !errors.Is(err, os.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) && err != io.EOF {
					t.Errorf("%v", err)
				}
			}
		}},
	}
}()

type verbCase struct {
	name string
	do   func(t *testing.T, p verbs)
}

// mayGrow skips where a kernel pipe cannot be resized, for want of a budget.
func mayGrow(t *testing.T, p verbs) {
	t.Helper()
	if _, kernel := p.(*penstock.KernelPipe); !kernel {
		return
	}
	fresh, err := penstock.NewKernelPipe(0)
	if err != nil {
		t.Skip(err)
	}
	defer fresh.Close()
	if fresh.Cap() != 64<<10 {
		t.Skipf("a new pipe has %d bytes: this user's pipe budget is used up", fresh.Cap())
	}
}
