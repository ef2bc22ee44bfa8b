package penstock

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"
)

func TestConformanceSize(t *testing.T) {
	resize := func(r *rig, slots int, want error) {
		r.t.Helper()
		if err := r.p.Resize(slots); !errors.Is(err, want) {
			r.t.Errorf("resize to %d: %v, want %v", slots, err, want)
		}
	}
	is := func(r *rig, slots int) {
		r.t.Helper()
		if r.p.Slots() != slots || r.p.Cap() != slots*kernelPage {
			r.t.Errorf("%d slots, %d bytes; want %d slots", r.p.Slots(), r.p.Cap(), slots)
		}
	}
	for _, tt := range []struct {
		name string
		do   func(r *rig)
	}{
		{"pipe(7): 16 slots", func(r *rig) {
			is(r, 16)
			if p := NewPipe(0); p.Slots() != 16 {
				r.t.Errorf("%d slots", p.Slots())
			}
		}},
		{"measured: rounding; ltp fcntl30, pipe2_04, gvisor pipe.cc SizeChange", func(r *rig) {
			for _, to := range [][2]int{{1, 1}, {2, 2}, {3, 4}, {4, 4}, {5, 8}, {16, 16}, {255, 256}, {256, 256}, {257, 512}} {
				resize(r, to[0], nil)
				is(r, to[1])
			}
		}},
		{"ltp fcntl37, gvisor pipe.cc SizeChangeMax: EINVAL", func(r *rig) {
			for _, no := range []int{0, -1, maxSlots + 1, math.MaxInt, math.MinInt} {
				resize(r, no, syscall.EINVAL)
			}
			is(r, 16)
		}},
		{"ltp fcntl37, gvisor pipe.cc SizeChangeFull: EBUSY below what is in use", func(r *rig) {
			r.write(r.p, bytesOf(65536))
			resize(r, 8, syscall.EBUSY)
			is(r, 16)
			r.read(r.p, 65536, bytesOf(65536))
		}},
		{"measured: EBUSY counts slots, not bytes", func(r *rig) {
			for range 3 {
				r.lend(r.p, []byte("x"), 0)
			}
			resize(r, 2, syscall.EBUSY)
			resize(r, 3, nil)
			is(r, 4)
			r.holds(r.p, "xxx", 3)
		}},
		{"measured: a full pipe grows", func(r *rig) {
			r.write(r.p, bytesOf(65536))
			resize(r, 32, nil)
			is(r, 32)
			r.write(r.p, bytesOf(65536))
			r.read(r.p, 65536, bytesOf(65536))
			r.read(r.p, 65536, bytesOf(65536))
		}},
		{"measured: shrink to one slot with 100 bytes in it", func(r *rig) {
			r.write(r.p, bytesOf(100))
			resize(r, 1, nil)
			is(r, 1)
			r.read(r.p, 4096, bytesOf(100))
		}},
		{"fs/pipe.c pipe_resize_ring: a ring that has wrapped keeps its order", func(r *rig) {
			resize(r, 4, nil)
			for i := range 4 * 7 {
				r.lend(r.p, []byte{'a' + byte(i%4)}, 0)
				if i%7 == 6 {
					resize(r, []int{4, 8}[i/7%2], nil)
				}
				if i >= 2 {
					r.read(r.p, 1, []byte{'a' + byte((i-2)%4)})
				}
			}
			r.holds(r.p, "cd", 2)
		}},
		{"ltp pipe2_04: a pipe of one slot is full with one page", func(r *rig) {
			resize(r, 1, nil)
			r.write(r.p, bytesOf(4096))
			r.short(r.p, 1, 0)
		}},
		{"one end may be closed, not both", func(r *rig) {
			r.p.CloseWrite()
			resize(r, 2, nil)
			r.p.CloseRead()
			resize(r, 4, syscall.EBADF)
		}},
		{"gvisor pipe.cc BadOptions: EINVAL", func(r *rig) {
			for _, c := range []PipeConfig{{Slots: -1}, {Slots: maxSlots + 1}, {PageSize: -1}, {PageSize: MaxPageSize + 1}} {
				if _, err := OpenPipe(c); !errors.Is(err, syscall.EINVAL) {
					r.t.Errorf("%+v: %v", c, err)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leakless(t)
			tt.do(newRig(t, PipeConfig{}, PipeConfig{}))
		})
	}
}

// TestConformanceQuota is pipe-user-pages-soft and -hard.
func TestConformanceQuota(t *testing.T) {
	open := func(t *testing.T, q *Quota, slots int) *Pipe {
		t.Helper()
		return openKernelLike(t, PipeConfig{Slots: slots, Quota: q})
	}
	used := func(t *testing.T, q *Quota, want int) {
		t.Helper()
		if q.Used() != want {
			t.Errorf("%d pages are charged, want %d", q.Used(), want)
		}
	}
	resize := func(t *testing.T, p *Pipe, slots int, want error) {
		t.Helper()
		if err := p.Resize(slots); !errors.Is(err, want) {
			t.Errorf("resize from %d to %d: %v, want %v", p.Slots(), slots, err, want)
		}
	}

	t.Run("measured: nobody's 1200 pipes with 16384 pages; ltp fcntl35, fcntl37", func(t *testing.T) {
		q := NewQuota(16384, 0)
		var pipes []*Pipe
		for i := range 1200 {
			p := open(t, q, 0)
			if want := []int{16, 2}[i/1024]; p.Slots() != want {
				t.Fatalf("pipe %d has %d slots, want %d", i, p.Slots(), want)
			}
			pipes = append(pipes, p)
		}
		used(t, q, 16384+176*2)
		resize(t, pipes[1024], 4, syscall.EPERM)
		resize(t, pipes[1024], 1, nil)
		resize(t, pipes[0], 1, nil)
		resize(t, pipes[0], 16, syscall.EPERM)
		for _, p := range pipes {
			p.Close()
		}
		used(t, q, 0)
	})
	t.Run("ltp pipe15, freebsd overcommit1: a pipe beyond the soft limit works", func(t *testing.T) {
		q := NewQuota(1, 0)
		r := &rig{t, open(t, q, 0), open(t, q, 0)}
		r.write(r.p, bytesOf(8192))
		r.read(r.p, 8191, bytesOf(8191))
		r.put(r.p, "!")
		r.splice(100, 2)
		r.read(r.q, 2, append(bytesOf(8192)[8191:], '!'))
	})
	t.Run("freebsd overcommit2: what was opened before the limit was reached keeps its size", func(t *testing.T) {
		q := NewQuota(16, 0)
		r := &rig{t, open(t, q, 0), open(t, q, 0)}
		r.write(r.p, bytesOf(65536))
		r.splice(65536, 8192)
		r.read(r.q, 65536, bytesOf(8192))
	})
	t.Run("a small pipe beyond the soft limit stays small", func(t *testing.T) {
		q := NewQuota(1, 0)
		open(t, q, 1)
		p := open(t, q, 1)
		if p.Slots() != 1 {
			t.Errorf("%d slots", p.Slots())
		}
		used(t, q, 2)
	})
	t.Run("pipe(7) pipe-user-pages-hard: no more pipes, no growing; ltp pipe07", func(t *testing.T) {
		q := NewQuota(0, 100)
		var pipes []*Pipe
		for range 6 {
			pipes = append(pipes, open(t, q, 16))
		}
		// pipe(2): "ENFILE The user hard limit on memory that can be allocated for pipes has been reached"
		if _, err := OpenPipe(PipeConfig{PageSize: kernelPage, Quota: q}); !errors.Is(err, syscall.ENFILE) {
			t.Errorf("the seventh: %v", err)
		}
		used(t, q, 96)
		resize(t, pipes[0], 32, syscall.EPERM)
		used(t, q, 96)
		resize(t, pipes[0], 8, nil)
		open(t, q, 8)
		used(t, q, 96)
		resize(t, pipes[0], 4, nil)
		resize(t, pipes[0], 8, nil)
		used(t, q, 96)
	})
	t.Run("fs/pipe.c free_pipe_info: the last end gives the pages back", func(t *testing.T) {
		q := NewQuota(0, 0)
		p := open(t, q, 16)
		used(t, q, 16)
		p.CloseRead()
		used(t, q, 16)
		p.CloseWrite()
		used(t, q, 0)
		p.Close()
		used(t, q, 0)
	})
	t.Run("an Unread into a full pipe is not charged, nor does it make the pipe larger", func(t *testing.T) {
		leakless(t)
		q := NewQuota(0, 0)
		r := &rig{t, open(t, q, 1), open(t, q, 1)}
		r.put(r.p, "b")
		r.put(r.q, "a")
		b, err := r.q.Pull(context.Background(), 1, NonBlock)
		if err == nil {
			err = r.p.Unread(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		used(t, q, 2)
		r.short(r.p, 4096, 0)
		resize(t, r.p, 1, syscall.EBUSY)
		r.read(r.p, 100, []byte("ab"))
		r.p.Close()
		used(t, q, 1)
	})
	t.Run("pages of another size are charged as what they are", func(t *testing.T) {
		q := NewQuota(0, 0)
		p, err := OpenPipe(PipeConfig{Slots: 4, PageSize: 64 << 10, Quota: q})
		if err != nil {
			t.Fatal(err)
		}
		used(t, q, 4*16)
		p.Close()
		used(t, q, 0)
	})
}

// TestConformanceQuotaIsExact opens, resizes and closes at random, from several goroutines and then from one alone, and
// counts.
func TestConformanceQuotaIsExact(t *testing.T) {
	for _, limits := range [][2]int{{0, 0}, {200, 0}, {0, 200}, {150, 220}} {
		t.Run(fmt.Sprintf("fs/pipe.c account_pipe_buffers: soft %d, hard %d", limits[0], limits[1]), func(t *testing.T) {
			leakless(t)
			q := NewQuota(limits[0], limits[1])
			withinHard := func([]*Pipe) {
				if used := q.Used(); limits[1] > 0 && used > limits[1] {
					t.Errorf("%d pages are charged, beyond the hard limit", used)
				}
			}
			var wg sync.WaitGroup
			for seed := range 4 {
				wg.Go(func() { churn(q, rand.New(rand.NewPCG(uint64(seed), 1)), withinHard) })
			}
			wg.Wait()
			if q.Used() != 0 {
				t.Fatalf("%d pages are charged and all pipes closed", q.Used())
			}
			churn(q, rand.New(rand.NewPCG(9, 1)), func(pipes []*Pipe) {
				sum := 0
				for _, p := range pipes {
					sum += p.Slots()
				}
				if q.Used() != sum {
					t.Fatalf("%d pages are charged for %d slots", q.Used(), sum)
				}
				withinHard(pipes)
			})
		})
	}
}

// churn calls look after each step, with the pipes that are open.
func churn(q *Quota, rng *rand.Rand, look func([]*Pipe)) {
	var pipes []*Pipe
	for range 400 {
		step := rng.IntN(4)
		if step == 0 || len(pipes) == 0 {
			p, err := OpenPipe(PipeConfig{Slots: 1 << rng.IntN(6), PageSize: kernelPage, Quota: q})
			if err == nil {
				pipes = append(pipes, p)
			}
		} else if i := rng.IntN(len(pipes)); step == 1 {
			pipes[i].Close()
			pipes[i].Close()
			pipes = slices.Delete(pipes, i, i+1)
		} else {
			_, _ = pipes[i].TryWrite(make([]byte, rng.IntN(4*kernelPage)))
			_ = pipes[i].Resize(rng.IntN(40)) // EINVAL, EBUSY, EPERM: whatever it says, the charge is for what there is
		}
		look(pipes)
	}
	for _, p := range pipes {
		p.Close()
	}
}
