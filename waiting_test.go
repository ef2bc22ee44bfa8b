package penstock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs a test whose goroutines are watched: synctest.Wait returns when all of them wait, and time passes only
// then.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	leakless(t)
	synctest.Test(t, test)
}

// smallPipe is a pipe of pages of MinPageSize.
func smallPipe(t *testing.T, slots int) *Pipe {
	t.Helper()
	arena := new(Arena)
	p, err := OpenPipe(PipeConfig{Slots: slots, PageSize: MinPageSize, Arena: arena})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); arena.Close() })
	return p
}

// lend puts n buffers of a byte each into p: nothing is appended to them.
func lend(t *testing.T, p *Pipe, n int) {
	t.Helper()
	for range n {
		if _, err := Vmsplice(background, p, []byte("x"), nil, NonBlock); err != nil {
			t.Fatal(err)
		}
	}
}

// verb is a call that may wait.
type verb struct {
	name string
	call func(t *testing.T, ctx context.Context, p *Pipe) error
}

// takers are the verbs that wait for bytes, each for one byte and leaving the rest.
var takers = []verb{
	{"Read", func(_ *testing.T, ctx context.Context, p *Pipe) error {
		_, err := p.ReadContext(ctx, make([]byte, 1))
		return err
	}},
	{"Splice into a pipe", func(t *testing.T, ctx context.Context, p *Pipe) error {
		_, err := Splice(ctx, smallPipe(t, 1), p, 1, 0)
		return err
	}},
	{"Splice into a writer", func(_ *testing.T, ctx context.Context, p *Pipe) error {
		_, err := Splice(ctx, io.Discard, p, 1, 0)
		return err
	}},
	{"Pull", func(_ *testing.T, ctx context.Context, p *Pipe) error {
		b, err := p.Pull(ctx, 1, 0)
		if err == nil {
			b.Release()
		}
		return err
	}},
}

// lookers are the verbs that wait for bytes and leave them.
var lookers = []verb{
	{"Tee", func(t *testing.T, ctx context.Context, p *Pipe) error {
		_, err := Tee(ctx, smallPipe(t, 1), p, 1, 0)
		return err
	}},
	{"TeeMany", func(t *testing.T, ctx context.Context, p *Pipe) error {
		_, err := TeeMany(ctx, []Conduit{smallPipe(t, 1), smallPipe(t, 1)}, p, 1, 0)
		return err
	}},
	{"Peek", func(_ *testing.T, _ context.Context, p *Pipe) error { // has no context
		_, err := p.Peek(1)
		return err
	}},
}

// putters are the verbs that wait for room, each for one slot.
var putters = []verb{
	{"Write", func(_ *testing.T, ctx context.Context, p *Pipe) error {
		_, err := p.WriteContext(ctx, make([]byte, p.PageSize())) // which fits behind nothing
		return err
	}},
	{"Splice from a pipe", func(t *testing.T, ctx context.Context, p *Pipe) error {
		src := smallPipe(t, 1)
		src.Write([]byte("x"))
		_, err := Splice(ctx, p, src, 1, 0)
		return err
	}},
	{"Splice from a reader", func(_ *testing.T, ctx context.Context, p *Pipe) error {
		_, err := Splice(ctx, p, bytes.NewReader([]byte("x")), 1, 0)
		return err
	}},
	{"Tee", func(t *testing.T, ctx context.Context, p *Pipe) error {
		src := smallPipe(t, 1)
		src.Write([]byte("x"))
		_, err := Tee(ctx, p, src, 1, 0)
		return err
	}},
	{"TeeMany", func(t *testing.T, ctx context.Context, p *Pipe) error {
		src := smallPipe(t, 1)
		src.Write([]byte("x"))
		_, err := TeeMany(ctx, []Conduit{smallPipe(t, 1), p}, src, 1, 0)
		return err
	}},
	{"Vmsplice", func(_ *testing.T, ctx context.Context, p *Pipe) error {
		_, err := Vmsplice(ctx, p, []byte("x"), nil, 0)
		return err
	}},
	{"Push", func(t *testing.T, ctx context.Context, p *Pipe) error {
		b, err := LentBuffer([]byte("x"), nil)
		if err == nil {
			err = p.Push(ctx, b, 0)
		}
		if err != nil {
			b.Release()
		}
		return err
	}},
}

// TestWhoWaitsForBytesIsWokenByWhateverBringsThem pairs everything that waits with everything that wakes it.
func TestWhoWaitsForBytesIsWokenByWhateverBringsThem(t *testing.T) {
	waiters := slices.Concat(takers, lookers, []verb{{"Readable", func(_ *testing.T, _ context.Context, p *Pipe) error { <-p.Readable(); return nil }}})
	bringers := slices.Concat(putters, []verb{{"Commit", func(_ *testing.T, _ context.Context, p *Pipe) error {
		if _, err := p.Reserve(1); err != nil {
			return err
		}
		return p.Commit(1)
	}}, {"Unread", func(_ *testing.T, _ context.Context, p *Pipe) error {
		b, err := GiftBuffer([]byte("x"))
		if err != nil {
			return err
		}
		return p.Unread(b)
	}}})
	for _, w := range waiters {
		for _, b := range bringers {
			t.Run(w.name+" by "+b.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := smallPipe(t, 2)
					woken := waits(t, func() error { return w.call(t, background, p) })
					if err := b.call(t, background, p); err != nil {
						t.Fatal(err)
					}
					woken(nil)
				})
			})
		}
	}
}

// waits starts a call and sees it wait. What it returns sees that the call has ended, and with which error.
func waits(t *testing.T, call func() error) (woken func(want error)) {
	t.Helper()
	var err error
	var over atomic.Bool
	go func() {
		err = call()
		over.Store(true)
	}()
	synctest.Wait()
	if over.Load() {
		t.Fatalf("it did not wait: %v", err)
	}
	return func(want error) {
		t.Helper()
		if synctest.Wait(); !over.Load() {
			t.Error("it still waits")
		} else if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}

// TestWhoWaitsForRoomIsWokenByWhateverMakesIt pairs everything that waits with everything that wakes it.
func TestWhoWaitsForRoomIsWokenByWhateverMakesIt(t *testing.T) {
	makers := []verb{
		{"Discard", func(_ *testing.T, _ context.Context, p *Pipe) error { _, err := p.Discard(1); return err }},
		{"Resize", func(_ *testing.T, _ context.Context, p *Pipe) error { return p.Resize(4) }},
		{"Peek", func(_ *testing.T, _ context.Context, p *Pipe) error { _, err := p.Peek(2); return err }}, // brings them together
	}
	waiters := slices.Concat(putters, []verb{{"Reserve", func(_ *testing.T, _ context.Context, p *Pipe) error { _, err := p.Reserve(1); return err }}, {"Writable", func(_ *testing.T, _ context.Context, p *Pipe) error { <-p.Writable(); return nil }}})
	for _, w := range waiters {
		for _, m := range slices.Concat(makers, takers) {
			t.Run(w.name+" by "+m.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := smallPipe(t, 2)
					defer func() { p.Commit(0) }()
					lend(t, p, 2)
					woken := waits(t, func() error { return w.call(t, background, p) })
					if err := m.call(t, background, p); err != nil {
						t.Fatal(err)
					}
					woken(nil)
				})
			})
		}
	}
}

// served starts n calls, sees them wait, lets happen what is enough for all of them, and counts who still waits.
func served(t *testing.T, p *Pipe, n int, call func(i int) error, happen func()) {
	t.Helper()
	var waiting atomic.Int64
	var wg sync.WaitGroup
	waiting.Store(int64(n))
	for i := range n {
		wg.Go(func() {
			if err := call(i); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				t.Error(err)
			}
			waiting.Add(-1)
		})
		synctest.Wait() // in this order
	}
	if waiting.Load() != int64(n) {
		t.Errorf("%d of %d wait", waiting.Load(), n)
	}
	happen()
	synctest.Wait()
	if left := waiting.Load(); left > 0 {
		t.Errorf("%d of %d still wait: %d bytes are held, %d slots free", left, n, p.Len(), p.FreeSlots())
	}
	p.Close()
	wg.Wait()
}

// TestOneEventServesAllItIsEnoughFor: waiters are woken one at a time, and each wakes the next while there is reason to,
// whatever the two are.
func TestOneEventServesAllItIsEnoughFor(t *testing.T) {
	for _, first := range slices.Concat(takers, lookers) {
		for _, second := range takers {
			t.Run("bytes for "+first.name+" and "+second.name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := smallPipe(t, 4)
					served(t, p, 4, func(i int) error {
						if i%2 == 0 {
							return first.call(t, background, p)
						}
						return second.call(t, background, p)
					}, func() { p.Write([]byte("abcd")) })
				})
			})
		}
	}
	for _, first := range putters {
		for _, second := range putters {
			t.Run("room for "+first.name+" and "+second.name, func(t *testing.T) {
				for what, happen := range map[string]func(t *testing.T, p *Pipe){
					"discard":            func(_ *testing.T, p *Pipe) { p.Discard(4) },
					"read":               func(_ *testing.T, p *Pipe) { p.Read(make([]byte, 4)) },
					"resize":             func(_ *testing.T, p *Pipe) { p.Resize(8) },
					"splice to a pipe":   func(t *testing.T, p *Pipe) { Splice(background, smallPipe(t, 4), p, 4, NonBlock) },
					"splice to a writer": func(_ *testing.T, p *Pipe) { Splice(background, io.Discard, p, 4, NonBlock) },
				} {
					t.Run(what, func(t *testing.T) {
						bubble(t, func(t *testing.T) {
							p := smallPipe(t, 4)
							lend(t, p, 4)
							served(t, p, 4, func(i int) error {
								if i%2 == 0 {
									return first.call(t, background, p)
								}
								return second.call(t, background, p)
							}, func() { happen(t, p) })
						})
					})
				}
			})
		}
	}
}

// TestASpliceThatWaitsForRoomKeepsNobodyFromTheBytes: it has been woken by a write, and cannot use it.
func TestASpliceThatWaitsForRoomKeepsNobodyFromTheBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p, full := smallPipe(t, 2), smallPipe(t, 1)
		lend(t, full, 1)
		go Splice(background, full, p, 1, 0)
		synctest.Wait()
		woken := waits(t, func() error { _, err := p.Read(make([]byte, 1)); return err })
		p.Write([]byte("x"))
		woken(nil)
		p.Close()
		full.Close()
	})
}

// TestAPeekForMoreKeepsNobodyFromTheBytes: it has been woken by a write that is not enough for it.
func TestAPeekForMoreKeepsNobodyFromTheBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := smallPipe(t, 2)
		go p.Peek(10)
		synctest.Wait()
		woken := waits(t, func() error { _, err := p.Read(make([]byte, 1)); return err })
		p.Write([]byte("x"))
		woken(nil)
		p.Close()
	})
}

// TestTheLastCloseWakesEverybody closes beneath a crowd, of either end.
func TestTheLastCloseWakesEverybody(t *testing.T) {
	for _, n := range []int{2, 10, 27, 100} {
		for _, c := range []struct {
			name  string
			close func(p *Pipe) error
			want  error
		}{
			{"CloseWrite", (*Pipe).CloseWrite, io.EOF},
			{"CloseWithError", func(p *Pipe) error { return p.CloseWithError(io.ErrNoProgress) }, io.ErrNoProgress},
			{"CloseRead", (*Pipe).CloseRead, io.ErrClosedPipe},
			{"Close", (*Pipe).Close, io.ErrClosedPipe},
		} {
			t.Run(fmt.Sprint(c.name, " ", n), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					p := smallPipe(t, 1)
					var wg sync.WaitGroup
					for i := range n {
						wg.Go(func() {
							if err := takers[i%len(takers)].call(t, background, p); !errors.Is(err, c.want) {
								t.Errorf("%s: %v, want %v", takers[i%len(takers)].name, err, c.want)
							}
						})
					}
					poll := p.Readable()
					synctest.Wait()
					c.close(p)
					wg.Wait() // else the bubble says who is stuck
					<-poll
				})
			})
		}
	}
}

// TestSelectLoopsAreToldOfEveryChange follows a pipe from empty to full and back by its channels alone.
func TestSelectLoopsAreToldOfEveryChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := smallPipe(t, 2)
		isReady := func(c <-chan struct{}) bool {
			select {
			case <-c:
				return true
			default:
				return false
			}
		}
		if isReady(p.Readable()) || !isReady(p.Writable()) {
			t.Error("an empty pipe is written to, not read")
		}
		r1, r2 := p.Readable(), p.Readable()
		lend(t, p, 2)
		if !isReady(r1) || !isReady(r2) || !isReady(p.Readable()) || isReady(p.Writable()) {
			t.Error("a full pipe is read, not written to")
		}
		w := p.Writable()
		p.Read(make([]byte, 1))
		if !isReady(w) || !isReady(p.Writable()) || !isReady(p.Readable()) {
			t.Error("a pipe with something in it and room is both")
		}
		p.Read(make([]byte, 1))
		r := p.Readable()
		p.SetReadDeadline(time.Now().Add(time.Minute))
		time.Sleep(time.Minute + 1)
		if synctest.Wait(); !isReady(r) {
			t.Error("a deadline makes no ready")
		}
		p.SetReadDeadline(time.Time{})
		if r = p.Readable(); isReady(r) {
			t.Error("a deadline that was taken back")
		}
		p.CloseWrite()
		if !isReady(r) || !isReady(p.Writable()) {
			t.Error("a closed end is told at once")
		}
	})
}

// TestAPeekForMoreThanTheSlotsHold is served by a write that is appended, and told where none can be.
func TestAPeekForMoreThanTheSlotsHold(t *testing.T) {
	leakless(t)
	appended, lent, blocked := smallPipe(t, 1), smallPipe(t, 1), smallPipe(t, 1)
	appended.Write([]byte("a"))
	appended.SetDeadline(time.Now().Add(time.Minute)) // of real time: a goroutine that spins never lets a bubble's pass
	var wg sync.WaitGroup
	wg.Go(func() {
		if b, err := appended.Peek(2); string(b) != "ab" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	})
	if _, err := appended.Write([]byte("b")); err != nil {
		t.Error(err)
	}
	wg.Wait()

	lend(t, lent, 1)
	if b, err := lent.Peek(2); len(b) != 1 || !errors.Is(err, syscall.ENOBUFS) {
		t.Errorf("behind what is lent: %d bytes, %v", len(b), err)
	}

	blocked.Write([]byte("a"))
	wg.Go(func() {
		if b, err := blocked.Peek(2); len(b) != 1 || !errors.Is(err, syscall.ENOBUFS) {
			t.Errorf("before a write that does not fit: %d bytes, %v", len(b), err)
		}
		blocked.Discard(1)
	})
	if _, err := blocked.Write(make([]byte, blocked.PageSize())); err != nil {
		t.Error(err)
	}
	wg.Wait()
}
