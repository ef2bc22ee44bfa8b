package penstock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
)

// device is a page as somebody else would write one: memory that has to be mapped, ready when told so. It checks that a
// pipe keeps to the contract.
type device struct {
	t      *testing.T
	memory []byte
	ready  chan struct{}
	pipe   *Pipe // whose lock nobody may hold who calls Release

	mu         sync.Mutex
	refs, maps int
	released   int
	failure    error
}

func newDevice(t *testing.T, p *Pipe, memory string) *device {
	d := &device{t: t, memory: []byte(memory), ready: make(chan struct{}), pipe: p, refs: 1}
	t.Cleanup(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.refs != 0 || d.maps != 0 || d.released != 1 {
			t.Errorf("%d references and %d mappings are left; released %d times", d.refs, d.maps, d.released)
		}
	})
	return d
}

func (d *device) Confirm(ctx context.Context) error {
	select {
	case <-d.ready:
		return d.failure
	default:
	}
	select {
	case <-d.ready:
		return d.failure
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *device) Map() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.ready:
	default:
		d.t.Error("mapped before it was confirmed")
	}
	d.maps++
	return d.memory, nil
}

func (d *device) Unmap() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.maps--
}

func (d *device) Get() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refs <= 0 {
		d.t.Error("a reference to what has been released")
	}
	d.refs++
}

func (d *device) Release() {
	d.pipe.Len() // would deadlock with the lock held
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refs--; d.refs == 0 {
		d.released++
	}
}

func (d *device) Steal() bool          { return false }
func (d *device) Stability() Stability { return Shared }

func (d *device) buffer(off, n int) Buffer {
	b, err := NewBuffer(d, off, n, 0)
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

var background = context.Background()

func TestAnyonesPageGoesThroughEveryVerb(t *testing.T) {
	leakless(t)
	verbs := map[string]func(t *testing.T, p, q *Pipe) string{
		"read":   func(t *testing.T, p, _ *Pipe) string { return mustRead(t, p, 4) },
		"write":  func(t *testing.T, p, _ *Pipe) string { return spliced(t, p) },
		"splice": func(t *testing.T, p, q *Pipe) string { Splice(background, q, p, 4, 0); return mustRead(t, q, 4) },
		"tee":    func(t *testing.T, p, q *Pipe) string { Tee(background, q, p, 4, 0); return mustRead(t, q, 4) },
		"peek": func(t *testing.T, p, _ *Pipe) string {
			b, err := p.Peek(4)
			if err != nil {
				t.Error(err)
			}
			return string(b)
		},
		"peek into": func(t *testing.T, p, _ *Pipe) string {
			b := make([]byte, 4)
			p.PeekInto(b)
			return string(b)
		},
		"pull": func(t *testing.T, p, _ *Pipe) string {
			b, err := p.Pull(background, 4, 0)
			if err == nil {
				b, err = b.Stabilise(background)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer b.Release()
			data, err := b.Map()
			if err != nil {
				t.Fatal(err)
			}
			defer b.Unmap()
			return string(data)
		},
		"kernel pipe": func(t *testing.T, p, _ *Pipe) string {
			kp, err := NewKernelPipe(0)
			if errors.Is(err, errors.ErrUnsupported) {
				t.Skip("this system has no splice")
			}
			if err != nil {
				t.Fatal(err)
			}
			defer kp.Close()
			Splice(background, kp, p, 4, 0)
			return mustRead(t, kp, 4)
		},
	}
	for name, verb := range verbs {
		t.Run(name, func(t *testing.T) {
			p, q := openPipe(t, 0), openPipe(t, 0)
			d := newDevice(t, p, "..window..")
			close(d.ready)
			if err := p.Push(background, d.buffer(2, 6), 0); err != nil {
				t.Fatal(err)
			}
			if got := verb(t, p, q); got != "wind" {
				t.Errorf("%q", got)
			}
			p.Close()
			q.Close()
		})
	}
}

func spliced(t *testing.T, p *Pipe) string {
	var b bytes.Buffer
	if n, err := Splice(background, &b, p, 4, 0); n != 4 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	return b.String()
}

// TestWhatHasNotArrivedIsNotWaitedForWithTheLock has a reader wait for a device while everything else goes on.
func TestWhatHasNotArrivedIsNotWaitedForWithTheLock(t *testing.T) {
	leakless(t)
	synctest.Test(t, func(t *testing.T) {
		p := openPipe(t, 0)
		d := newDevice(t, p, "late")
		p.Push(background, d.buffer(0, 4), 0)
		var got string
		var wg sync.WaitGroup
		wg.Go(func() { got = mustRead(t, p, 9) })
		synctest.Wait()
		if n, err := p.TryRead(make([]byte, 1)); n != 0 || !errors.Is(err, ErrWouldBlock) {
			t.Errorf("read: %d, %v", n, err)
		}
		if n, err := p.Discard(1); n != 0 || !errors.Is(err, ErrWouldBlock) {
			t.Errorf("discard: %d, %v", n, err)
		}
		p.Write([]byte(" news"))
		if err := p.Resize(4); err != nil {
			t.Error(err)
		}
		close(d.ready)
		wg.Wait()
		if got != "late news" {
			t.Errorf("%q", got)
		}
	})
}

func TestAWindowIsMappedOnlyWhileSomebodyLooks(t *testing.T) {
	leakless(t)
	name := filepath.Join(t.TempDir(), "device")
	size := os.Getpagesize()
	if err := os.WriteFile(name, bytes.Repeat([]byte("registers"), 2*size), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	released := 0
	pg, err := MapWindow(f, int64(size), size, func() { released++ })
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBuffer(pg, 0, 9, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := openPipe(t, 0)
	if err := p.Push(background, b, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("REGISTERS"), int64(size)); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, p, 4); got != "REGI" {
		t.Errorf("%q", got)
	}
	if w := pg.(*windowPage); w.maps != 0 || w.data != nil {
		t.Errorf("still mapped: %d", w.maps)
	}
	if err := f.Truncate(int64(size)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(make([]byte, 9)); !errors.Is(err, ErrTruncated) {
		t.Errorf("behind the end: %v", err)
	}
	p.Close()
	if released != 1 {
		t.Errorf("released %d times", released)
	}
	for _, bad := range []struct {
		off int64
		n   int
	}{{-1, 1}, {1, 1}, {0, 0}} {
		if _, err := MapWindow(f, bad.off, bad.n, nil); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestOnlyASoleOwnerSteals(t *testing.T) {
	leakless(t)
	p, q := openPipe(t, 0), openPipe(t, 0)
	p.Write([]byte("mine"))
	Tee(background, q, p, 4, 0)
	b, err := p.Pull(background, 4, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := b.Steal(); ok {
		t.Error("stolen from a viewer")
	}
	q.Discard(4)
	data, ok := b.Steal()
	if !ok {
		t.Fatal("not to be had")
	}
	copy(data, "MINE")
	b.Unmap()
	if err := q.Push(background, b, 0); err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, q, 4); got != "MINE" {
		t.Errorf("%q", got)
	}
	gift, _ := GiftBuffer([]byte("gift"))
	if _, ok := gift.Steal(); !ok {
		t.Error("a gift is not the taker's")
	}
	gift.Release()
	lent, _ := LentBuffer([]byte("lent"), nil)
	if _, ok := lent.Steal(); ok {
		t.Error("what was lent was stolen")
	}
	lent.Release()
}

func TestStabiliseCopiesWhatMayChange(t *testing.T) {
	leakless(t)
	memory := []byte("before")
	back := false
	lent, err := LentBuffer(memory, func() { back = true })
	if err != nil {
		t.Fatal(err)
	}
	stable, err := lent.Stabilise(background)
	if err != nil || stable.Stability() != Stable || !back {
		t.Fatalf("%v, %v, given back: %v", stable.Stability(), err, back)
	}
	copy(memory, "after!")
	p := openPipe(t, 0)
	p.Push(background, stable, 0)
	if got := mustRead(t, p, 6); got != "before" {
		t.Errorf("%q", got)
	}
}

func TestReadAheadKeepsToItsBounds(t *testing.T) {
	leakless(t)
	const size = MinPageSize
	want := bytes.Repeat([]byte("abcdefgh"), 5*size) // 40 pages
	gate := &gatedFile{Reader: bytes.NewReader(want), open: make(chan struct{})}
	src, err := ReadAhead(gate, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := OpenPipe(PipeConfig{Slots: 32, PageSize: size})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	n, err := src.SpliceRead(p, 1<<20, NonBlock)
	if n != maxInFlight*size || err != nil {
		t.Errorf("%d bytes in flight, %v", n, err)
	}
	if n, err := src.SpliceRead(p, 1<<20, NonBlock); n != 0 || !errors.Is(err, ErrWouldBlock) {
		t.Errorf("one more: %d, %v", n, err)
	}
	if p.Len() != maxInFlight*size {
		t.Errorf("%d bytes held", p.Len())
	}
	if _, err := p.TryRead(make([]byte, 1)); !errors.Is(err, ErrWouldBlock) {
		t.Errorf("before the first has landed: %v", err)
	}
	close(gate.open)
	<-p.Readable()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if _, err := src.SpliceRead(p, 1<<20, 0); err == io.EOF {
				break
			} else if err != nil && !errors.Is(err, ErrWouldBlock) {
				t.Error(err)
				break
			}
			<-p.Writable()
		}
		p.CloseWrite()
	})
	got, err := io.ReadAll(p)
	wg.Wait()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
}

// gatedFile is read only once it is open.
type gatedFile struct {
	*bytes.Reader
	open chan struct{}
}

func (g *gatedFile) ReadAt(b []byte, off int64) (int, error) {
	<-g.open
	return g.Reader.ReadAt(b, off)
}
