package penstock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestConformanceBlocking starts a call that has to wait, sees that it does, does what it waits for, and looks at what
// it returns. In the bubble "it waits" is exact: no goroutine can go on.
func TestConformanceBlocking(t *testing.T) {
	const full = 4096
	one := PipeConfig{Slots: 1}
	splice := func(n int) func(r *rig) (int, error) {
		return func(r *rig) (int, error) { return Splice(context.Background(), r.q, r.p, n, 0) }
	}
	tee := func(n int) func(r *rig) (int, error) {
		return func(r *rig) (int, error) { return Tee(context.Background(), r.q, r.p, n, 0) }
	}
	write := func(n int) func(r *rig) (int, error) {
		return func(r *rig) (int, error) { return r.p.Write(bytesOf(n)) }
	}
	read := func(r *rig) (int, error) { return r.p.Read(make([]byte, 100)) }
	fillQ := func(r *rig) { r.write(r.q, bytesOf(full)) }
	fillP := func(r *rig) { r.write(r.p, bytesOf(full)) }
	feedP := func(r *rig) { r.put(r.p, "abc") }
	endP := func(r *rig) { r.p.CloseWrite() }
	readQ := func(r *rig) { r.read(r.q, full, bytesOf(full)) }

	for _, tt := range []struct {
		name    string
		before  []func(r *rig)
		call    func(r *rig) (int, error)
		release func(r *rig)
		n       int
		err     error
		after   func(r *rig)
	}{
		{"gvisor splice.cc Splice Blocking", nil, splice(100), feedP, 3, nil, func(r *rig) { r.holds(r.q, "abc", 1) }},
		{"gvisor splice.cc Tee Blocking", nil, tee(100), feedP, 3, nil, func(r *rig) {
			r.holds(r.q, "abc", 1)
			r.holds(r.p, "abc", 1)
		}},
		{"gvisor splice.cc Tee BlockingWrite", []func(*rig){feedP, fillQ}, tee(3), readQ, 3, nil, func(r *rig) {
			r.holds(r.p, "abc", 1)
			r.holds(r.q, "abc", 1)
		}},
		{"splice waits for room, too", []func(*rig){feedP, fillQ}, splice(3), readQ, 3, nil, nil},
		{"measured: splice at the end into a full pipe", []func(*rig){endP, fillQ}, splice(1), readQ, 0, io.EOF, nil},
		{"measured: tee at the end into a full pipe", []func(*rig){endP, fillQ}, tee(1), readQ, 0, io.EOF, nil},
		{"measured: at the end, into a full pipe that loses its reader", []func(*rig){endP, fillQ}, splice(1), func(r *rig) { r.q.CloseRead() }, 0, syscall.EPIPE, nil},
		{"the source ends while splice waits", nil, splice(1), endP, 0, io.EOF, nil},
		{"the source ends while tee waits", nil, tee(1), endP, 0, io.EOF, nil},
		{"the reader leaves while splice waits for room", []func(*rig){feedP, fillQ}, splice(3), func(r *rig) { r.q.CloseRead() }, 0, syscall.EPIPE, func(r *rig) { r.holds(r.p, "abc", 1) }},
		{"measured: splice of an empty pipe to a file", nil, func(r *rig) (int, error) {
			return Splice(context.Background(), new(bytes.Buffer), r.p, 100, 0)
		}, feedP, 3, nil, nil},
		{"measured: splice of a file to a full pipe", []func(*rig){fillP}, func(r *rig) (int, error) {
			return Splice(context.Background(), r.p, bytes.NewReader(bytesOf(10)), 10, 0)
		}, func(r *rig) { r.read(r.p, full, bytesOf(full)) }, 10, nil, nil},
		{"measured: splice of a file's end to a full pipe", []func(*rig){fillP}, func(r *rig) (int, error) {
			return Splice(context.Background(), r.p, bytes.NewReader(nil), 10, 0)
		}, func(r *rig) { r.read(r.p, full, bytesOf(full)) }, 0, io.EOF, nil},
		{"ltp vmsplice/vmsplice04: a full pipe", []func(*rig){fillP}, func(r *rig) (int, error) {
			return Vmsplice(context.Background(), r.p, bytesOf(10), nil, 0)
		}, func(r *rig) { r.read(r.p, full, bytesOf(full)) }, 10, nil, nil},
		{"ltp pipe2/pipe2_04: a full pipe of one page", []func(*rig){fillP}, write(1), func(r *rig) { r.read(r.p, full, bytesOf(full)) }, 1, nil, nil},
		{"the hole in a page is no room", []func(*rig){fillP}, write(1), func(r *rig) {
			r.read(r.p, full-1, bytesOf(full)[:full-1])
			synctest.Wait()
			r.slots(r.p, 1) // poll: "r full, read 100 B: no event; slot freed: event"
			r.read(r.p, 1, bytesOf(full)[full-1:])
		}, 1, nil, nil},
		{"ltp fcntl: growing wakes a writer", []func(*rig){fillP}, write(full), func(r *rig) { r.p.Resize(2) }, full, nil, nil},
		{"ltp pipe01: a reader", nil, read, feedP, 3, nil, nil},
		{"gvisor pipe.cc WriterSideCloses", nil, read, endP, 0, io.EOF, nil},
		{"gvisor pipe.cc BlockWriteClosed", []func(*rig){fillP}, write(1), func(r *rig) { r.p.CloseRead() }, 0, syscall.EPIPE, nil},
		{"gvisor pipe.cc BlockPartialWriteClosed", nil, write(full + 1), func(r *rig) { r.p.CloseRead() }, full, syscall.EPIPE, func(r *rig) {
			if n, err := r.p.Write([]byte("x")); n != 0 || !errors.Is(err, syscall.EPIPE) {
				r.t.Errorf("the next write: %d, %v", n, err)
			}
		}},
		{"gvisor pipe.cc ReadFromClosedFd: here a read ends with its pipe", nil, read, func(r *rig) { r.p.Close() }, 0, io.ErrClosedPipe, nil},
		{"netbsd t_pipe pipe_restart: a write that is interrupted tells how much it wrote", nil, write(2 << 20), func(r *rig) {
			r.read(r.p, full, bytesOf(full))
			synctest.Wait()
			r.p.SetWriteDeadline(time.Now())
		}, 2 * full, os.ErrDeadlineExceeded, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leakless(t)
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, one, one)
				for _, do := range tt.before {
					do(r)
				}
				var n int
				var err error
				done := false
				go func() { n, err = tt.call(r); done = true }()
				synctest.Wait()
				if done {
					t.Fatalf("it did not wait: %d, %v", n, err)
				}
				tt.release(r)
				synctest.Wait()
				if !done {
					r.p.Close() // so that the bubble can end
					r.q.Close()
					t.Fatal("it waits still")
				}
				if n != tt.n || !errors.Is(err, tt.err) {
					t.Errorf("%d, %v; want %d, %v", n, err, tt.n, tt.err)
				}
				if tt.after != nil {
					tt.after(r)
				}
			})
		})
	}
}

// TestConformanceCancel is the kernel's EINTR: a signal ends a wait, here a context does. What has moved nothing says so.
func TestConformanceCancel(t *testing.T) {
	signal := errors.New("signal")
	for _, tt := range []struct {
		name string
		call func(ctx context.Context, r *rig) (int, error)
	}{
		{"gvisor splice.cc ToPipeWithSmallCapacityDoesNotSpin", func(ctx context.Context, r *rig) (int, error) {
			// 128 bytes of the one page are free, and no slot.
			r.write(r.p, bytesOf(4096-128))
			return Splice(ctx, r.p, bytes.NewReader(bytesOf(128)), 128, 0)
		}},
		{"measured: splice of an empty pipe", func(ctx context.Context, r *rig) (int, error) {
			return Splice(ctx, r.q, r.p, 1, 0)
		}},
		{"measured: splice at the end into a full pipe", func(ctx context.Context, r *rig) (int, error) {
			r.p.CloseWrite()
			r.write(r.q, bytesOf(4096))
			return Splice(ctx, r.q, r.p, 1, 0)
		}},
		{"measured: vmsplice to a full pipe", func(ctx context.Context, r *rig) (int, error) {
			r.write(r.p, bytesOf(4096))
			return Vmsplice(ctx, r.p, bytesOf(1), func() { r.t.Error("released what was not taken") }, 0)
		}},
		{"ltp pipe/pipe04: a writer that waits is killed", func(ctx context.Context, r *rig) (int, error) {
			r.write(r.p, bytesOf(4096))
			return r.p.WriteContext(ctx, bytesOf(1))
		}},
		{"a reader that waits is killed", func(ctx context.Context, r *rig) (int, error) {
			return r.p.ReadContext(ctx, make([]byte, 1))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leakless(t)
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, PipeConfig{Slots: 1}, PipeConfig{Slots: 1})
				ctx, cancel := context.WithCancelCause(context.Background())
				defer cancel(nil)
				var wg sync.WaitGroup
				done := false
				wg.Go(func() {
					if n, err := tt.call(ctx, r); n != 0 || !errors.Is(err, signal) {
						t.Errorf("%d, %v", n, err)
					}
					done = true
				})
				synctest.Wait() // what spins does not come to rest
				if done {
					t.Error("it did not wait")
				}
				cancel(signal)
				wg.Wait()
			})
		})
	}
}

// TestConformanceCrowd is about many who wait at one end.
func TestConformanceCrowd(t *testing.T) {
	for _, n := range []int{2, 10, 27, 100} {
		t.Run(fmt.Sprintf("ltp pipe/pipe13: closing the last writer wakes %d readers", n), func(t *testing.T) {
			crowd(t, func(r *rig, wg *sync.WaitGroup) {
				for range n {
					wg.Go(func() {
						if m, err := r.p.Read(make([]byte, 1)); m != 0 || err != io.EOF {
							r.t.Errorf("%d, %v", m, err)
						}
					})
				}
				synctest.Wait()
				r.p.CloseWrite()
			})
		})
	}
	for _, n := range []int{1, 2, 3, 4, 10, 50} {
		t.Run(fmt.Sprintf("ltp pipe/pipe11: one write feeds %d readers", n), func(t *testing.T) {
			crowd(t, func(r *rig, wg *sync.WaitGroup) {
				share := 4096 / n
				for range n {
					wg.Go(func() {
						if m, err := r.p.Read(make([]byte, share)); m != share || err != nil {
							r.t.Errorf("%d of %d, %v", m, share, err)
						}
					})
				}
				synctest.Wait()
				r.write(r.p, bytesOf(share*n))
			})
		})
	}
	t.Run("ltp fcntl: growing wakes all writers that fit", func(t *testing.T) {
		crowd(t, func(r *rig, wg *sync.WaitGroup) {
			r.write(r.p, bytesOf(4096))
			for range 3 {
				wg.Go(func() { r.p.Write(bytesOf(4096)) })
			}
			synctest.Wait()
			if err := r.p.Resize(4); err != nil {
				r.t.Error(err)
			}
			synctest.Wait()
			r.slots(r.p, 4)
		})
	})
	t.Run("fs/pipe.c: one that leaves room wakes the next, whatever it is", func(t *testing.T) {
		crowd(t, func(r *rig, wg *sync.WaitGroup) {
			r.p.Resize(8)
			r.write(r.p, bytesOf(8*4096))
			r.put(r.q, "ab")
			dst := r.p
			wg.Go(func() { dst.Write([]byte("w")) })
			wg.Go(func() { Vmsplice(context.Background(), dst, []byte("v"), nil, 0) })
			wg.Go(func() { Splice(context.Background(), dst, r.q, 1, 0) })
			wg.Go(func() { Tee(context.Background(), dst, r.q, 1, 0) })
			wg.Go(func() { Splice(context.Background(), dst, bytes.NewReader([]byte("f")), 1, 0) })
			wg.Go(func() { dst.Write([]byte("w")) })
			synctest.Wait()
			if n, err := dst.Discard(8 * 4096); n != 8*4096 || err != nil {
				r.t.Errorf("%d, %v", n, err)
			}
			synctest.Wait()
			if dst.Len() != 6 {
				r.t.Errorf("%d of 6 have written", dst.Len())
			}
		})
	})
	t.Run("fs/splice.c: one that is woken and finds its source empty passes the room on", func(t *testing.T) {
		crowd(t, func(r *rig, wg *sync.WaitGroup) {
			r.write(r.p, bytesOf(4096))
			r.put(r.q, "a")
			wg.Go(func() { Splice(context.Background(), r.p, r.q, 1, 0) })
			synctest.Wait()
			wg.Go(func() { r.p.Write([]byte("w")) })
			synctest.Wait()
			r.read(r.q, 1, []byte("a"))
			r.read(r.p, 4096, bytesOf(4096))
			synctest.Wait()
			r.read(r.p, 1, []byte("w"))
			r.q.CloseWrite()
		})
	})
	t.Run("fs/splice.c: one that is woken and finds its destination full passes the data on", func(t *testing.T) {
		crowd(t, func(r *rig, wg *sync.WaitGroup) {
			wg.Go(func() { Splice(context.Background(), r.q, r.p, 1, 0) })
			synctest.Wait()
			wg.Go(func() { r.p.Read(make([]byte, 1)) })
			synctest.Wait()
			r.write(r.q, bytesOf(4096))
			r.put(r.p, "a")
			synctest.Wait()
			r.holds(r.p, "", 0)
			r.p.CloseWrite()
			r.q.CloseRead()
		})
	})
}

// crowd runs a test of pipes of one slot in a bubble, and ends with everybody gone.
func crowd(t *testing.T, test func(r *rig, wg *sync.WaitGroup)) {
	leakless(t)
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, PipeConfig{Slots: 1}, PipeConfig{Slots: 1})
		var wg sync.WaitGroup
		test(r, &wg)
		synctest.Wait()
		waiting := make(chan struct{})
		go func() { wg.Wait(); close(waiting) }()
		synctest.Wait()
		select {
		case <-waiting:
		default:
			t.Error("somebody waits still")
			r.p.Close()
			r.q.Close()
			wg.Wait()
		}
	})
}

// TestConformanceReadiness is poll and epoll, which are Readable and Writable here.
func TestConformanceReadiness(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(r *rig)
	}{
		{"measured: write end: empty, full, full but for 100 bytes, but for a page", func(r *rig) {
			r.isReady("empty", r.p.Writable(), true)
			r.write(r.p, bytesOf(8192))
			r.isReady("full", r.p.Writable(), false)
			r.read(r.p, 100, bytesOf(8192)[:100])
			r.isReady("full but for 100 bytes", r.p.Writable(), false)
			r.read(r.p, 3996, bytesOf(8192)[100:4096])
			r.isReady("full but for a page", r.p.Writable(), true)
		}},
		{"measured: write end without a reader; freebsd kqueue closed_write_end", func(r *rig) {
			r.write(r.p, bytesOf(8192))
			full := r.p.Writable()
			r.p.CloseRead()
			r.isReady("asked before", full, true)
			r.isReady("asked after", r.p.Writable(), true)
		}},
		{"measured: read end: empty, data without a writer, the end; freebsd kqueue closed_read_end", func(r *rig) {
			empty := r.p.Readable()
			r.isReady("empty", empty, false)
			r.put(r.p, "x")
			r.isReady("data", empty, true)
			r.p.CloseWrite()
			r.isReady("data without a writer", r.p.Readable(), true)
			r.read(r.p, 1, []byte("x"))
			r.isReady("the end", r.p.Readable(), true)
		}},
		{"ltp epoll_wait/epoll_wait06, measured ET: each event once", func(r *rig) {
			ev := r.p.Readable()
			r.put(r.p, "x")
			r.isReady("the first write", ev, true)
			r.read(r.p, 1, []byte("x"))
			ev = r.p.Readable()
			r.isReady("drained", ev, false)
			r.lend(r.p, []byte("y"), 0)
			r.isReady("spliced in", ev, true)
			r.read(r.p, 1, []byte("y"))
			r.write(r.p, bytesOf(8192))
			ev = r.p.Writable()
			r.read(r.p, 100, bytesOf(8192)[:100])
			r.isReady("no slot is free yet", ev, false)
			r.read(r.p, 3996, bytesOf(8192)[100:4096])
			r.isReady("a slot is free", ev, true)
		}},
		{"freebsd kern/pipe big_pipe_test: writable means that a write does not EAGAIN", func(r *rig) {
			for range 1000 {
				r.isReady("writable", r.p.Writable(), true)
				if n, err := r.p.TryWrite(bytesOf(1500)); n == 0 {
					r.t.Fatalf("%d, %v", n, err)
				}
				select {
				case <-r.p.Writable():
				default:
					r.read(r.p, 4096, r.peek(r.p, 4096))
				}
			}
		}},
		{"growing is an event", func(r *rig) {
			r.write(r.p, bytesOf(8192))
			ev := r.p.Writable()
			r.p.Resize(4)
			r.isReady("writable", ev, true)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leakless(t)
			tt.do(newRig(t, PipeConfig{Slots: 2}, PipeConfig{Slots: 2}))
		})
	}
}
