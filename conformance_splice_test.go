package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
)

// TestConformanceSplice is what moves, and what is left, between two pipes of a backing.
func TestConformanceSplice(t *testing.T) {
	ctx := context.Background()
	type verb func(ctx context.Context, dst, src penstock.Conduit, n int, flags penstock.Flags) (int, error)
	splice := func(ctx context.Context, dst, src penstock.Conduit, n int, flags penstock.Flags) (int, error) {
		return penstock.Splice(ctx, dst, src, n, flags)
	}
	page := pattern(pageSize)
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, open opener)
	}{
		{"ltp splice/splice04: up to 64 KB in a loop", func(t *testing.T, open opener) {
			p, q := open(t, 16), open(t, 16)
			for n := 1; n <= min(64<<10, 16*pageSize); n += 1009 {
				want := pattern(n)
				put(t, p, want)
				for left := n; left > 0; {
					m, err := penstock.Splice(ctx, q, p, left, 0)
					if err != nil {
						t.Fatal(err)
					}
					left -= m
				}
				take(t, q, want)
			}
		}},
		{"gvisor splice.cc TwoPipes: a page in two halves", func(t *testing.T, open opener) {
			p, q := open(t, 2), open(t, 2)
			put(t, p, page)
			for range 2 {
				n, err := penstock.Splice(ctx, q, p, pageSize/2, 0)
				result{n: pageSize / 2}.check(t, n, err)
			}
			take(t, q, page)
		}},
		{"gvisor splice.cc Splice and Tee TwoPipesPartialRead: half a page is there", func(t *testing.T, open opener) {
			for _, do := range []verb{splice, penstock.Tee} {
				p, q := open(t, 2), open(t, 2)
				put(t, p, page[:pageSize/2])
				n, err := do(ctx, q, p, pageSize, 0)
				result{n: pageSize / 2}.check(t, n, err)
				take(t, q, page[:pageSize/2])
			}
		}},
		{"gvisor splice.cc Splice and Tee TwoPipesPartialWrite: one page fits", func(t *testing.T, open opener) {
			for _, do := range []verb{splice, penstock.Tee} {
				p, q := open(t, 4), open(t, 2)
				put(t, q, []byte("x"))
				put(t, p, append(page, page...))
				n, err := do(ctx, q, p, 2*pageSize, 0)
				result{n: pageSize}.check(t, n, err)
				take(t, q, append([]byte("x"), page...))
			}
		}},
		{"gvisor splice.cc Tee MultiPage: 8 pages in one call", func(t *testing.T, open opener) {
			p, q := open(t, 8), open(t, 8)
			want := pattern(8 * pageSize)
			put(t, p, want)
			n, err := penstock.Tee(ctx, q, p, len(want), 0)
			result{n: len(want)}.check(t, n, err)
			take(t, q, want)
			take(t, p, want)
		}},
		{"gvisor splice.cc Splice and Tee NonBlocking: EAGAIN", func(t *testing.T, open opener) {
			for _, do := range []verb{splice, penstock.Tee} {
				n, err := do(ctx, open(t, 1), open(t, 1), 1, penstock.NonBlock)
				noData.check(t, n, err)
			}
		}},
		{"measured: tee copies what fits, always from the head", func(t *testing.T, open opener) {
			p, q := open(t, 16), open(t, 2)
			want := pattern(7*pageSize + 1)
			put(t, p, want)
			n, err := penstock.Tee(ctx, q, p, len(want), 0)
			result{n: 2 * pageSize}.check(t, n, err)
			n, err = penstock.Tee(ctx, q, p, len(want), penstock.NonBlock)
			noRoom.check(t, n, err)
			n, err = penstock.Splice(ctx, q, p, len(want), penstock.NonBlock)
			noRoom.check(t, n, err)
			take(t, q, want[:2*pageSize])
			n, err = penstock.Tee(ctx, q, p, 10, 0)
			result{n: 10}.check(t, n, err)
			take(t, q, want[:10])
			take(t, p, want)
		}},
		{"measured: 16 one-byte splices fill 16 slots", func(t *testing.T, open opener) {
			p, q := open(t, 2), open(t, 16)
			put(t, p, pattern(20))
			for range 16 {
				n, err := penstock.Splice(ctx, q, p, 1, penstock.NonBlock)
				result{n: 1}.check(t, n, err)
			}
			n, err := penstock.Splice(ctx, q, p, 1, penstock.NonBlock)
			noRoom.check(t, n, err)
			take(t, q, pattern(20)[:16])
			take(t, p, pattern(20)[16:])
		}},
		{"measured: what was teed is not appended to, in either pipe", func(t *testing.T, open opener) {
			p, q := open(t, 4), open(t, 4)
			put(t, p, []byte("0123456789"))
			n, err := penstock.Tee(ctx, q, p, 10, 0)
			result{n: 10}.check(t, n, err)
			put(t, q, []byte("yes"))
			put(t, p, []byte("MORE"))
			take(t, p, []byte("0123456789MORE"))
			take(t, q, []byte("0123456789yes"))
		}},
		{"ltp pipe15: two slots: fill, read all but one, write one", func(t *testing.T, open opener) {
			p, want := open(t, 2), pattern(2*pageSize)
			put(t, p, want)
			if _, err := io.ReadFull(p, make([]byte, len(want)-1)); err != nil {
				t.Fatal(err)
			}
			n, err := promptly(t, func() (int, error) { return p.Write([]byte("!")) })
			result{n: 1}.check(t, n, err)
			take(t, p, []byte{want[len(want)-1], '!'})
		}},
		{"freebsd kern/pipe pipe_wraparound", func(t *testing.T, open opener) {
			p, want := open(t, 16), pattern(4096+4096+4000+3000+3000)
			sent, got := 0, []byte(nil)
			write := func(n int) { t.Helper(); put(t, p, want[sent:sent+n]); sent += n }
			write(4096)
			write(4096)
			write(4000)
			got = append(got, make([]byte, 8192)...)
			if _, err := io.ReadFull(p, got); err != nil {
				t.Fatal(err)
			}
			write(3000)
			write(3000)
			take(t, p, want[8192:])
			if !bytes.Equal(got, want[:8192]) {
				t.Error("the first two pages differ")
			}
		}},
		{"ltp pipe01, pipe14; gvisor pipe.cc Write, ZeroSize, FionRead, WriterSideClosesReadDataFirst, CloseTwice", func(t *testing.T, open opener) {
			p := open(t, 1)
			put(t, p, nil)
			if n, err := p.Read(nil); n != 0 || err != nil || p.Len() != 0 {
				t.Errorf("%d, %v, %d held", n, err, p.Len())
			}
			put(t, p, page[:10])
			closeWrite(t, p)
			take(t, p, page[:10])
			for range 2 {
				n, err := p.Read(make([]byte, 1))
				ended.check(t, n, err)
			}
			for range 2 {
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
		}},
		{"gvisor splice.cc FromPipeWithWriterToDevNull", func(t *testing.T, open opener) {
			p := open(t, 1)
			put(t, p, []byte("x"))
			n, err := penstock.Splice(ctx, io.Discard, p, 100, penstock.NonBlock)
			result{n: 1}.check(t, n, err)
			n, err = penstock.Splice(ctx, io.Discard, p, 100, penstock.NonBlock)
			noData.check(t, n, err)
		}},
		{"gvisor splice.cc FromPipeMaxFileSize: EFBIG, and all is still there", func(t *testing.T, open opener) {
			p := open(t, 1)
			put(t, p, page)
			n, err := penstock.Splice(ctx, tooBig{}, p, pageSize, 0)
			result{0, syscall.EFBIG, penstock.SideSink}.check(t, n, err)
			take(t, p, page)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { slotted(t, tt.do) })
	}
}

type tooBig struct{}

func (tooBig) Write([]byte) (int, error) { return 0, syscall.EFBIG }

// TestConformanceConcurrent has goroutines at both ends.
func TestConformanceConcurrent(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, open opener, wg *sync.WaitGroup)
	}{
		{"gvisor splice.cc Splice and Tee Blocking: a writer comes", func(t *testing.T, open opener, wg *sync.WaitGroup) {
			p, teed, spliced := open(t, 1), open(t, 1), open(t, 1)
			wg.Go(func() { put(t, p, []byte("abc")) })
			n, err := penstock.Tee(ctx, teed, p, 100, 0)
			moved.check(t, n, err)
			n, err = penstock.Splice(ctx, spliced, p, 100, 0)
			moved.check(t, n, err)
			take(t, teed, []byte("abc"))
			take(t, spliced, []byte("abc"))
		}},
		{"gvisor splice.cc Tee BlockingWrite: a reader makes room", func(t *testing.T, open opener, wg *sync.WaitGroup) {
			p, q := open(t, 1), open(t, 1)
			put(t, p, []byte("abc"))
			put(t, q, pattern(pageSize))
			wg.Go(func() { io.ReadFull(q, make([]byte, pageSize)) })
			n, err := penstock.Tee(ctx, q, p, 100, 0)
			moved.check(t, n, err)
			take(t, p, []byte("abc"))
		}},
		{"gvisor splice.cc TwoPipesCircular: byte by byte, 1000 times", func(t *testing.T, open opener, wg *sync.WaitGroup) {
			p, q, want := open(t, 16), open(t, 16), 16
			put(t, p, pattern(want))
			for _, to := range [][2]penstock.Conduit{{q, p}, {p, q}} {
				wg.Go(func() {
					for range 1000 {
						if n, err := penstock.Splice(ctx, to[0], to[1], 1, 0); n != 1 || err != nil {
							t.Errorf("%d, %v", n, err)
							return
						}
					}
				})
			}
			wg.Wait()
			if p.Len()+q.Len() != want {
				t.Errorf("%d and %d bytes, want %d together", p.Len(), q.Len(), want)
			}
		}},
		{"gvisor pipe.cc Streaming: four times the capacity", func(t *testing.T, open opener, wg *sync.WaitGroup) {
			streams(t, open(t, 4), 16*pageSize, wg)
		}},
		{"netbsd t_pipe pipe_restart: a write of 2 MB", func(t *testing.T, open opener, wg *sync.WaitGroup) {
			streams(t, open(t, 16), 2<<20, wg)
		}},
		{"ltp pipe09: the bytes of two writers all arrive, and each write in one piece", func(t *testing.T, open opener, wg *sync.WaitGroup) {
			const each, length = 500, 97
			p := open(t, 2)
			var writers sync.WaitGroup
			for _, c := range []byte{'1', '2'} {
				writers.Go(func() {
					for range each {
						put(t, p, bytes.Repeat([]byte{c}, length))
					}
				})
			}
			wg.Go(func() { writers.Wait(); closeWriteOnce(p) })
			got, err := io.ReadAll(p)
			if err != nil || len(got) != 2*each*length {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			for i := 0; i+length <= len(got); i += length {
				if !bytes.Equal(got[i:i+length], bytes.Repeat(got[i:i+1], length)) {
					t.Fatalf("a write is torn at %d", i)
				}
			}
		}},
		{"ltp pipe11: one write feeds 50 readers", func(t *testing.T, open opener, wg *sync.WaitGroup) {
			p, share := open(t, 1), pageSize/50
			for range 50 {
				wg.Go(func() {
					if n, err := p.Read(make([]byte, share)); n != share || err != nil {
						t.Errorf("%d, %v", n, err)
					}
				})
			}
			put(t, p, pattern(50*share))
		}},
		{"ltp pipe13: closing the last writer wakes 100 readers", func(t *testing.T, open opener, wg *sync.WaitGroup) {
			p := open(t, 1)
			for range 100 {
				wg.Go(func() {
					n, err := p.Read(make([]byte, 1))
					ended.check(t, n, err)
				})
			}
			closeWrite(t, p)
		}},
		{"gvisor pipe.cc BlockPartialWriteClosed: the count is the capacity", func(t *testing.T, open opener, wg *sync.WaitGroup) {
			p := open(t, 2)
			wg.Go(func() {
				if n, err := p.Write(pattern(3 * pageSize)); n != 2*pageSize || err == nil {
					t.Errorf("%d, %v", n, err)
				}
			})
			for p.Len() < 2*pageSize {
				runtime.Gosched()
			}
			p.Close()
		}},
		{"gvisor splice.cc FromPipeWithConcurrentIo: a file that others seek in and read", func(t *testing.T, open opener, wg *sync.WaitGroup) {
			p, f := open(t, 16), fileWith(t, "")
			stop := make(chan struct{})
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						f.Seek(0, io.SeekStart)
						f.Read(make([]byte, 10))
					}
				}
			})
			for range 200 {
				put(t, p, pattern(100))
				n, err := penstock.Splice(ctx, f, p, 100, 0)
				result{n: 100}.check(t, n, err)
			}
			close(stop)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			slotted(t, func(t *testing.T, open opener) {
				var wg sync.WaitGroup
				tt.do(t, open, &wg)
				promptly(t, func() (int, error) { wg.Wait(); return 0, nil })
			})
		})
	}
}

// streams writes n bytes at once, and reads.
func streams(t *testing.T, p penstock.Conduit, n int, wg *sync.WaitGroup) {
	want := pattern(n)
	wg.Go(func() {
		put(t, p, want)
		closeWriteOnce(p)
	})
	if got, err := io.ReadAll(p); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), n, err)
	}
}

// TestConformanceNeverEndsEarly has others write and read meanwhile: what a call finds empty may be filled, and emptied
// again, before it looks for the reason. The source stays open, so it has no end.
func TestConformanceNeverEndsEarly(t *testing.T) {
	ctx := context.Background()
	for _, tt := range []struct {
		name    string
		readers int
		call    func(dst, src penstock.Conduit) (int, error)
	}{
		{"fs/splice.c link_pipe: 0 of tee in a race is not the end", 1, func(dst, src penstock.Conduit) (int, error) {
			return penstock.Tee(ctx, dst, src, 1, penstock.NonBlock)
		}},
		{"splice to a pipe", 1, func(dst, src penstock.Conduit) (int, error) {
			return penstock.Splice(ctx, dst, src, 1, penstock.NonBlock)
		}},
		{"splice to a writer, while a byte comes", 0, func(_, src penstock.Conduit) (int, error) {
			return penstock.Splice(ctx, io.Discard, src, 1, penstock.NonBlock)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			slotted(t, func(t *testing.T, open opener) {
				src, dst := open(t, 2), open(t, 2)
				var wg sync.WaitGroup
				stop := make(chan struct{})
				wg.Go(func() {
					defer closeWriteOnce(src)
					for {
						select {
						case <-stop:
							return
						default:
						}
						if tt.readers > 0 || src.Len() == 0 {
							src.Write([]byte("x"))
						}
					}
				})
				for range tt.readers {
					wg.Go(func() { io.Copy(io.Discard, struct{ io.Reader }{src}) })
				}
				defer wg.Wait()
				defer close(stop)
				for start := time.Now(); time.Since(start) < 300*time.Millisecond; {
					if n, err := tt.call(dst, src); err != nil && !errors.Is(err, penstock.ErrWouldBlock) {
						t.Fatalf("%d, %v", n, err)
					}
					dst.Discard(1)
				}
			})
		})
	}
}
