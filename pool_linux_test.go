package penstock

import (
	"context"
	"errors"
	"math"
	"os"
	"syscall"
	"testing"
	"time"
)

// smallPool lends pipes of one page.
func smallPool(t *testing.T) (*Pool, func() *KernelPipe) {
	t.Helper()
	pool := NewPool(0)
	t.Cleanup(func() { pool.Close() })
	return pool, func() *KernelPipe {
		t.Helper()
		p, err := pool.Get(os.Getpagesize())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
}

func TestPoolRefusesWhatIsNoSizeAndGoesOn(t *testing.T) {
	pool, get := smallPool(t)
	for _, size := range []int{0, -1, -4096, 1, 4095, 5000, 3 * os.Getpagesize(), math.MaxInt} {
		if _, err := pool.Get(size); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if pool.Stats().Denied {
		t.Error("everybody is denied")
	}
	pool.Put(get())
}

// TestPoolDeniesOnlyWhatIsTooLarge: what the kernel refuses in one size it has in another.
func TestPoolDeniesOnlyWhatIsTooLarge(t *testing.T) {
	pool, get := smallPool(t)
	p, err := pool.Get(32 << 20)
	if err == nil {
		pool.Put(p)
		t.Skip("this user may have pipes of any size")
	}
	if !errors.Is(err, ErrNoKernelPipe) || !pool.Stats().Denied {
		t.Errorf("%v", err)
	}
	pool.Put(get())
}

// TestAPipeThatIsPutIntoAnotherPoolIsNotChargedToItsOwnForEver: it is closed, once.
func TestAPipeThatIsPutIntoAnotherPoolIsNotChargedToItsOwnForEver(t *testing.T) {
	pool, get := smallPool(t)
	other, _ := smallPool(t)
	p := get()
	for range 2 {
		other.Put(p)
		if s := pool.Stats(); s.Held != 0 {
			t.Errorf("its own: %+v", s)
		}
		if s := other.Stats(); s.Held != 0 {
			t.Errorf("the other: %+v", s)
		}
	}
	if _, err := p.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestPoolKeepsItsIdlePipesForWhatItCannotHave(t *testing.T) {
	pool := NewPool(2 * os.Getpagesize())
	defer pool.Close()
	p, err := pool.Get(os.Getpagesize())
	if err != nil {
		t.Fatal(err)
	}
	pool.Put(p)
	if _, err := pool.Get(4 * os.Getpagesize()); !errors.Is(err, ErrNoKernelPipe) {
		t.Errorf("beyond the limit: %v", err)
	}
	if s := pool.Stats(); s.Idle != os.Getpagesize() {
		t.Errorf("%+v", s)
	}
}

func TestPoolLendsAPipeToOneAtATime(t *testing.T) {
	pool, get := smallPool(t)
	p := get()
	pool.Put(p)
	pool.Put(p)
	pool.putEmpty(p)
	if a, b := get(), get(); a == b {
		t.Error("one pipe is lent twice")
	}
}

// TestPoolDoesNotLendWhatIsNotAsItWasLent.
func TestPoolDoesNotLendWhatIsNotAsItWasLent(t *testing.T) {
	background := context.Background()
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, p *KernelPipe)
	}{
		{"closed", func(_ *testing.T, p *KernelPipe) { p.Close() }},
		{"without a write end", func(_ *testing.T, p *KernelPipe) { p.CloseWrite() }},
		{"without a read end", func(_ *testing.T, p *KernelPipe) { p.CloseRead() }},
		{"resized", func(t *testing.T, p *KernelPipe) {
			if err := p.Resize(2); err != nil {
				t.Skip(err)
			}
		}},
		{"in use", func(t *testing.T, p *KernelPipe) {
			go p.ReadContext(background, make([]byte, 1))
			waitsIn(&p.r, 1)
		}},
		{"watched", func(_ *testing.T, p *KernelPipe) { p.Readable() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, put := range []func(*Pool, *KernelPipe){(*Pool).Put, (*Pool).putEmpty} {
				pool, get := smallPool(t)
				p := get()
				tt.spoil(t, p)
				put(pool, p)
				if s := pool.Stats(); s.Held != 0 || s.Idle != 0 {
					t.Errorf("%+v", s)
				}
				if _, err := p.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
					t.Errorf("it is open: %v", err)
				}
			}
		})
	}
}

func TestPoolTakesDeadlinesBack(t *testing.T) {
	pool, get := smallPool(t)
	p := get()
	p.SetDeadline(time.Now())
	pool.Put(p)
	if again := get(); again != p {
		t.Fatal("another pipe")
	}
	if _, err := p.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := p.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

// TestPoolClosesWhatIsNotItsOwn, and does not count it.
func TestPoolClosesWhatIsNotItsOwn(t *testing.T) {
	pool, get := smallPool(t)
	other, getOther := smallPool(t)
	defer pool.Put(get())
	for _, p := range []*KernelPipe{newKernelPipe(t, 4096), getOther()} {
		pool.Put(p)
		if _, err := p.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
			t.Errorf("it is open: %v", err)
		}
		other.Put(p)
	}
	if s := other.Stats(); s.Held != 0 {
		t.Errorf("%+v", s)
	}
	if s := pool.Stats(); s.Held != os.Getpagesize() {
		t.Errorf("%+v", s)
	}
}
