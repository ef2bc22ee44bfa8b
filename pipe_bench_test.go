package penstock

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
)

// The peers are in bench/pipes; here is what only this pipe does, and what it must not cost: moving a reference takes
// the same time whatever the page's size, nothing allocates, and pipes share no lock.

var pageSizes = []int{4 << 10, 16 << 10, 64 << 10, 256 << 10, 2 << 20}

// sizeName is what benchstat shows best.
func sizeName(n int) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%dMiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%dKiB", n>>10)
	default:
		return fmt.Sprintf("%dB", n)
	}
}

func benchPipe(b *testing.B, pageSize int) *Pipe {
	b.Helper()
	p, err := OpenPipe(PipeConfig{PageSize: pageSize})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	return p
}

// filledPipe holds one page full of bytes.
func filledPipe(b *testing.B, pageSize int) *Pipe {
	b.Helper()
	p := benchPipe(b, pageSize)
	if n, err := p.Write(make([]byte, pageSize)); n != pageSize || err != nil {
		b.Fatal(n, err)
	}
	return p
}

func eachPageSize(b *testing.B, run func(b *testing.B, pageSize int)) {
	for _, pageSize := range pageSizes {
		b.Run("page="+sizeName(pageSize), func(b *testing.B) {
			b.ReportAllocs()
			run(b, pageSize)
		})
	}
}

// mustMove fails unless all n bytes moved.
func mustMove(b *testing.B, n, moved int, err error) {
	if moved != n || err != nil {
		b.Helper()
		b.Fatal(moved, err)
	}
}

// BenchmarkPipeSplice moves one page to and fro between two pipes.
func BenchmarkPipeSplice(b *testing.B) {
	eachPageSize(b, func(b *testing.B, pageSize int) {
		p, q, ctx := filledPipe(b, pageSize), benchPipe(b, pageSize), context.Background()
		for b.Loop() {
			n, err := Splice(ctx, q, p, pageSize, NonBlock)
			mustMove(b, pageSize, n, err)
			p, q = q, p
		}
	})
}

// BenchmarkPipeTee duplicates one page and drops the duplicate.
func BenchmarkPipeTee(b *testing.B) {
	eachPageSize(b, func(b *testing.B, pageSize int) {
		p, q, ctx := filledPipe(b, pageSize), benchPipe(b, pageSize), context.Background()
		for b.Loop() {
			n, err := Tee(ctx, q, p, pageSize, NonBlock)
			mustMove(b, pageSize, n, err)
			n, err = q.Discard(pageSize)
			mustMove(b, pageSize, n, err)
		}
	})
}

// BenchmarkPipeVmsplice lends memory to a pipe and drops it there. What it allocates is the loan's page.
func BenchmarkPipeVmsplice(b *testing.B) {
	eachPageSize(b, func(b *testing.B, pageSize int) {
		p, ctx, returned := benchPipe(b, pageSize), context.Background(), 0
		memory, released := make([]byte, pageSize), func() { returned++ }
		for b.Loop() {
			n, err := Vmsplice(ctx, p, memory, released, NonBlock)
			mustMove(b, pageSize, n, err)
			n, err = p.Discard(pageSize)
			mustMove(b, pageSize, n, err)
		}
		if returned != b.N {
			b.Fatalf("%d loans, %d came back", b.N, returned)
		}
	})
}

// BenchmarkPipeWriteRead writes and reads on one goroutine.
func BenchmarkPipeWriteRead(b *testing.B) {
	for _, size := range []int{64, 4 << 10, 32 << 10, 1 << 20} {
		b.Run("size="+sizeName(size), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			p := benchPipe(b, DefaultPageSize)
			out, in := make([]byte, size), make([]byte, size)
			for b.Loop() {
				writeThenRead(b, p, out, in)
			}
		})
	}
}

func writeThenRead(b *testing.B, p *Pipe, out, in []byte) {
	n, err := p.Write(out)
	mustMove(b, len(out), n, err)
	n, err = io.ReadFull(p, in)
	mustMove(b, len(in), n, err)
}

// BenchmarkPipePageSize writes on one goroutine and reads on another, through pages of each size.
func BenchmarkPipePageSize(b *testing.B) {
	for _, size := range []int{32 << 10, 1 << 20} {
		b.Run("size="+sizeName(size), func(b *testing.B) {
			eachPageSize(b, func(b *testing.B, pageSize int) {
				b.SetBytes(int64(size))
				p, written := benchPipe(b, pageSize), make(chan error, 1)
				out, in := make([]byte, size), make([]byte, size)
				b.ResetTimer()
				go func() {
					var err error
					for i := 0; i < b.N && err == nil; i++ {
						_, err = p.Write(out)
					}
					written <- err
				}()
				for range b.N {
					n, err := io.ReadFull(p, in)
					mustMove(b, size, n, err)
				}
				if err := <-written; err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkPipeParallel is the same work done by one goroutine and by eight, each with pipes of its own. An operation is
// one of any of them: if the pipes shared a lock or a cache line, that of eight would take longer than that of one,
// instead of as much less as there are processors.
func BenchmarkPipeParallel(b *testing.B) {
	works := []struct {
		name string
		open func(b *testing.B) func()
	}{
		{"write+read=64B", writeReadWork(64)},
		{"write+read=4KiB", writeReadWork(4 << 10)},
		{"write+splice+read=64B", spliceWork(64)},
	}
	for _, work := range works {
		for _, goroutines := range []int{1, 8} {
			b.Run(fmt.Sprintf("%s/goroutines=%d", work.name, goroutines), func(b *testing.B) {
				b.ReportAllocs()
				todo := make([]func(), goroutines)
				for i := range todo {
					todo[i] = work.open(b)
				}
				b.ResetTimer()
				sharedOut(b.N, todo)
			})
		}
	}
}

// sharedOut does n operations in all, each function on a goroutine of its own until none is left.
func sharedOut(n int, todo []func()) {
	const batch = 256 // operations, so that the count of what is left is no shared cost
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(n))
	for _, do := range todo {
		wg.Go(func() {
			for {
				before := left.Add(-batch) + batch
				for range min(before, batch) {
					do()
				}
				if before <= batch {
					return
				}
			}
		})
	}
	wg.Wait()
}

func writeReadWork(size int) func(*testing.B) func() {
	return func(b *testing.B) func() {
		p := benchPipe(b, DefaultPageSize)
		out, in := make([]byte, size), make([]byte, size)
		return func() { writeThenRead(b, p, out, in) }
	}
}

func spliceWork(size int) func(*testing.B) func() {
	return func(b *testing.B) func() {
		p, q, ctx := benchPipe(b, DefaultPageSize), benchPipe(b, DefaultPageSize), context.Background()
		out, in := make([]byte, size), make([]byte, size)
		return func() {
			n, err := p.Write(out)
			mustMove(b, size, n, err)
			n, err = Splice(ctx, q, p, size, NonBlock)
			mustMove(b, size, n, err)
			n, err = q.Read(in)
			mustMove(b, size, n, err)
		}
	}
}
