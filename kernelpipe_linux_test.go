package penstock

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func newKernelPipe(t *testing.T, size int) *KernelPipe {
	t.Helper()
	p, err := NewKernelPipe(size)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// needsBudget skips where this user has no more pages for pipes: a new one has two slots then.
func needsBudget(t *testing.T) {
	t.Helper()
	if p := newKernelPipe(t, 0); p.Cap() != 64<<10 {
		t.Skipf("a new pipe has %d bytes: this user's pipe budget is gone", p.Cap())
	}
}

func TestKernelPipeReadsItsSizeBack(t *testing.T) {
	needsBudget(t)
	if p := newKernelPipe(t, 100_000); p.Cap() != 128<<10 {
		t.Errorf("%d bytes for 100,000", p.Cap())
	}
	if p := newKernelPipe(t, math.MaxInt); p.Cap() != 64<<10 {
		t.Errorf("%d bytes where the kernel refuses", p.Cap())
	}
}

func TestKernelPipeWaitsWithDeadlines(t *testing.T) {
	p := newKernelPipe(t, 4096)
	p.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := p.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	p.SetWriteDeadline(time.Now().Add(time.Millisecond))
	if n, err := p.Write(make([]byte, 8192)); n != 4096 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("wrote %d, %v", n, err)
	}
	p.SetReadDeadline(time.Time{})
	if n, err := p.Read(make([]byte, 8192)); n != 4096 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	p.CloseWrite()
	if _, err := p.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("behind the end: %v", err)
	}
}

func TestKernelPipeCloseWakesAndNoDescriptorIsUsedAfterIt(t *testing.T) {
	for range 100 {
		p := newKernelPipe(t, 0)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := p.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) && err != io.EOF {
					t.Errorf("%v", err)
				}
			})
		}
		p.Close()
		wg.Wait()
		if _, err := p.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
			t.Fatalf("write to a closed pipe: %v", err)
		}
	}
}

func TestPoolLendsEmptyPipesWithinItsLimit(t *testing.T) {
	needsBudget(t)
	const size = 64 << 10
	pool := NewPool(2 * size)
	defer pool.Close()
	a, err := pool.Get(size)
	if err != nil {
		t.Fatal(err)
	}
	b, err := pool.Get(size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Get(size); !errors.Is(err, ErrNoKernelPipe) {
		t.Errorf("a third pipe: %v", err)
	}
	a.Write([]byte("residue"))
	pool.Put(a)
	pool.Put(b)
	for range 2 {
		p, err := pool.Get(size)
		if err != nil || p.Len() != 0 {
			t.Errorf("%v, %d bytes in it", err, p.Len())
		}
	}
}

func TestPoolMakesRoomForAnotherSize(t *testing.T) {
	needsBudget(t)
	pool := NewPool(128 << 10)
	defer pool.Close()
	small, err := pool.Get(64 << 10)
	if err != nil {
		t.Fatal(err)
	}
	pool.Put(small)
	large, err := pool.Get(128 << 10)
	if err != nil {
		t.Fatalf("with an idle pipe in the way: %v", err)
	}
	pool.Put(large)
	if s := pool.Stats(); s.Held != 128<<10 || s.Idle != s.Held {
		t.Errorf("%+v", s)
	}
}

func TestPoolClosesWhatNobodyNeeds(t *testing.T) {
	needsBudget(t)
	synctest.Test(t, func(t *testing.T) {
		pool := NewPool(0)
		defer pool.Close()
		p, err := pool.Get(64 << 10)
		if err != nil {
			t.Fatal(err)
		}
		pool.Put(p)
		time.Sleep(trimInterval / 2) // of the bubble's clock
		if p, err = pool.Get(64 << 10); err != nil {
			t.Fatal(err)
		}
		pool.Put(p)
		time.Sleep(trimInterval)
		if s := pool.Stats(); s.Idle == 0 {
			t.Error("a pipe was closed that had just been needed")
		}
		time.Sleep(2 * trimInterval)
		if s := pool.Stats(); s.Held != 0 {
			t.Errorf("%d bytes are held for nobody", s.Held)
		}
	})
}

// TestBlockingDescriptorsAreWaitedFor splices from a blocking stdin into a blocking stdout, as a shell hands them over:
// the runtime's poller cannot wait for either.
func TestBlockingDescriptorsAreWaitedFor(t *testing.T) {
	var in, out [2]int
	for _, p := range []*[2]int{&in, &out} {
		if err := syscall.Pipe(p[:]); err != nil {
			t.Fatal(err)
		}
	}
	stdin, feed := os.NewFile(uintptr(in[0]), "stdin"), os.NewFile(uintptr(in[1]), "feed")
	drain, stdout := os.NewFile(uintptr(out[0]), "drain"), os.NewFile(uintptr(out[1]), "stdout")
	want := bytes.Repeat([]byte("penstock"), 64<<10) // eight times what a pipe holds
	var wg sync.WaitGroup
	wg.Go(func() {
		feed.Write(want)
		feed.Close()
	})
	wg.Go(func() {
		defer drain.Close()
		if got, err := io.ReadAll(drain); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
	src, sink, p := SourceOf(stdin), SinkOf(stdout), newKernelPipe(t, 0)
	for {
		n, err := src.SpliceRead(p, p.Cap(), 0)
		if err == io.EOF {
			break
		}
		if err == nil {
			_, err = sink.SpliceWrite(p, n, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if path, why := src.Path(p); path != PathSplice {
		t.Errorf("%s: %s", path, why)
	}
	stdout.Close()
	stdin.Close()
	wg.Wait()
}
