package penstock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// becomes waits for a state that another goroutine brings about.
func becomes(t *testing.T, what string, is func() bool) {
	t.Helper()
	endsSoon(t, func() error {
		for deadline := time.Now().Add(5 * time.Second); !is(); runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Errorf("never: %s", what)
				break
			}
		}
		return nil
	})
}

// TestNobodyWaitsForAClosedPipe: the goroutine that waits for those who asked ends with the end.
func TestNobodyWaitsForAClosedPipe(t *testing.T) {
	for range 50 {
		p := newKernelPipe(t, 4096)
		p.Write(make([]byte, 4096))
		full := p.Writable()
		p.Discard(4096)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { <-p.Readable() })
		}
		ctx, cancel := context.WithCancel(background)
		wg.Go(func() { p.ReadContext(ctx, make([]byte, 1)) })
		cancel()
		p.Close()
		endsSoon(t, func() error { wg.Wait(); <-full; return nil })
		for _, e := range []*end{&p.r, &p.w} {
			becomes(t, "no call is in progress", func() bool { return e.state.Load() == endClosed })
		}
	}
}

// TestAPeekForMoreDisturbsNoReader: it waits for as many bytes as it was asked for, while others take the few there are.
func TestAPeekForMoreDisturbsNoReader(t *testing.T) {
	p := newKernelPipe(t, 0)
	p.Write([]byte("abc"))
	peeked := make(chan error, 1)
	go func() {
		b, err := p.Peek(10)
		if err == nil && string(b) != "0123456789" {
			err = errors.New(string(b))
		}
		peeked <- err
	}()
	becomes(t, "the peek is in progress", func() bool { return p.r.state.Load() == 1 })
	if got := mustRead(t, p, 3); got != "abc" {
		t.Errorf("%q", got)
	}
	for range 3 { // a reader waits, and gets what comes, which is too little for the other
		read := make(chan string, 1)
		go func() {
			b := make([]byte, 9)
			n, _ := p.Read(b)
			read <- string(b[:n])
		}()
		waitsIn(&p.r, 2)
		p.Write([]byte("few"))
		endsSoon(t, func() error {
			if got := <-read; got != "few" {
				t.Errorf("%q", got)
			}
			return nil
		})
	}
	p.Write([]byte("0123456789"))
	if err := endsSoon(t, func() error { return <-peeked }); err != nil {
		t.Error(err)
	}
}

// TestAPeekEndsWhereNoMoreCanCome, be it that the slots are full of single bytes.
func TestAPeekEndsWhereNoMoreCanCome(t *testing.T) {
	src, p := newKernelPipe(t, 0), newKernelPipe(t, 2*4096)
	if p.Slots() != 2 {
		t.Skipf("%d slots", p.Slots())
	}
	go func() {
		for range 2 {
			src.Write([]byte("x"))
			for n := 0; n == 0; {
				n, _ = Splice(background, p, src, 1, 0) // a slot each: a write would be appended
			}
		}
	}()
	var b []byte
	err := endsSoon(t, func() (err error) { b, err = p.Peek(100); return err })
	if !errors.Is(err, syscall.ENOBUFS) || string(b) != "xx" {
		t.Errorf("%q, %v", b, err)
	}
	if p.Len() != 2 {
		t.Errorf("%d bytes are left", p.Len())
	}
}

// TestADeadlineDoesNotUndoAClose that has come after the call that sets it had begun.
func TestADeadlineDoesNotUndoAClose(t *testing.T) {
	p := newKernelPipe(t, 4096)
	if _, ok := p.r.enter(); !ok {
		t.Fatal("closed")
	}
	p.Close()
	if err := p.r.applyDeadline(time.Time{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v", err)
	}
	err := endsSoon(t, func() error { return p.r.wait(background, p.r.fd) }) // a call that has entered, too
	if !errors.Is(err, os.ErrClosed) {
		t.Errorf("a wait: %v", err)
	}
	p.r.leave()
	for range 50 { // and whoever is how far
		p := newKernelPipe(t, 4096)
		var wg sync.WaitGroup
		wg.Go(func() { p.Read(make([]byte, 1)) })
		wg.Go(func() { p.SetReadDeadline(time.Time{}) })
		wg.Go(func() { p.Close() })
		endsSoon(t, func() error { wg.Wait(); return nil })
	}
}

// TestAWaitInheritsNoDeadlineThatIsGone from the wait that it shares with others, be that ended by it or about to be.
func TestAWaitInheritsNoDeadlineThatIsGone(t *testing.T) {
	p := newKernelPipe(t, 0)
	for n := range 200 {
		ctx, cancel := context.WithCancel(background)
		first := make(chan error, 1)
		go func() { _, err := p.ReadContext(ctx, make([]byte, 1)); first <- err }()
		becomes(t, "the read and the wait on its behalf", func() bool { return p.r.state.Load() >= 2 })
		p.SetReadDeadline(past)
		for range n % 50 { // it depends on who is how far
			runtime.Gosched()
		}
		p.SetReadDeadline(time.Time{})
		second, cancelSecond := context.WithTimeoutCause(background, time.Millisecond, errCancelled)
		if _, err := p.ReadContext(second, make([]byte, 1)); !errors.Is(err, errCancelled) {
			t.Fatalf("%d: %v", n, err)
		}
		cancelSecond()
		cancel()
		if err := <-first; !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.Canceled) {
			t.Fatalf("%d, the first: %v", n, err)
		}
	}
}

// TestCapIsWhatTheKernelSaysWhoeverResizes at the same time.
func TestCapIsWhatTheKernelSaysWhoeverResizes(t *testing.T) {
	p := newKernelPipe(t, 0)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 50 {
				_ = p.Resize(1 << i)
				_ = p.Cap()
			}
		})
	}
	wg.Wait()
	if got, measured := p.Cap(), p.measure(); got != measured {
		t.Errorf("%d bytes, and the kernel says %d", got, measured)
	}
}

func TestResizeBeyondTheSystemsLimitIsRefused(t *testing.T) {
	p := newKernelPipe(t, 4096)
	if err := p.Resize(1 << 14); err == nil {
		t.Skip("this user may have pipes of any size")
	} else if side, _ := SideOf(err); !errors.Is(err, syscall.EPERM) || side != SidePipe {
		t.Errorf("%v", err)
	}
	if p.Cap() != 4096 {
		t.Errorf("%d bytes", p.Cap())
	}
}

// TestASidePipeIsUsedAgain, and none is left with anything in it.
func TestASidePipeIsUsedAgain(t *testing.T) {
	p := newKernelPipe(t, 4096)
	p.Write([]byte("head and tail"))
	mem := smallPipe(t, 1)
	b := make([]byte, 4)
	before := defaultPool().Stats()
	for range 100 {
		if n, err := p.PeekInto(b); n != 4 || string(b) != "head" || err != nil {
			t.Fatalf("%d, %q, %v", n, b, err)
		}
		if n, err := Tee(background, mem, p, 8, NonBlock); n != 8 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if got := mustRead(t, mem, 8); got != "head and" {
			t.Fatalf("%q", got)
		}
	}
	after := defaultPool().Stats()
	if after.Held > before.Held+p.Cap() || after.Held != after.Idle {
		t.Errorf("%+v, and before %+v", after, before)
	}
}

// TestASidePipeShowsAllThatAResizedPipeHolds.
func TestASidePipeShowsAllThatAResizedPipeHolds(t *testing.T) {
	p := newKernelPipe(t, 4096)
	if err := p.Resize(64); err != nil {
		t.Skip(err)
	}
	want := bytes.Repeat([]byte("slot"), 16<<10)
	p.Write(want)
	got := make([]byte, len(want))
	if n, err := p.PeekInto(got); err != nil || !bytes.Equal(got[:n], want) {
		t.Errorf("%d bytes of %d, %v", n, len(want), err)
	}
}

// TestWithoutDescriptorsNothingIsLost: a peek and a tee that find no side pipe say so, and work again later.
func TestWithoutDescriptorsNothingIsLost(t *testing.T) {
	if !inChild(t, nil) {
		return
	}
	p, mem := newKernelPipe(t, 0), smallPipe(t, 1)
	p.Write([]byte("kept"))
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	_, into := p.PeekInto(make([]byte, 4))
	_, peek := p.Peek(4)
	_, tee := Tee(background, mem, p, 4, 0)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{into, peek, tee} {
		if !errors.Is(err, ErrNoKernelPipe) {
			t.Errorf("%v", err)
		}
	}
	becomes(t, "a side pipe", func() bool { b, err := p.Peek(4); return err == nil && string(b) == "kept" })
	if got := mustRead(t, p, 4); got != "kept" || mem.Len() != 0 {
		t.Errorf("%q, and %d bytes teed", got, mem.Len())
	}
}

func TestReadableAndWritableShareOneWaitForEachEnd(t *testing.T) {
	p := newKernelPipe(t, 4096)
	p.Write(make([]byte, 4096))
	defer p.Close()
	ctx, cancel := context.WithCancel(background)
	var wg sync.WaitGroup
	for range 20 {
		_ = p.Writable()
		wg.Go(func() {
			if _, err := p.WriteContext(ctx, []byte("x")); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	waitsIn(&p.w, 20+1)
	becomes(t, "one goroutine for all", func() bool { return p.w.state.Load() == 20+1 })
	cancel()
	wg.Wait()
	if n := p.w.state.Load(); n != 1 {
		t.Errorf("%d calls in progress", n)
	}
	if _, err := io.ReadFull(p, make([]byte, 4096)); err != nil {
		t.Error(err)
	}
	becomes(t, "nobody waits", func() bool { return p.w.state.Load() == 0 })
}
