package pipes

import (
	"bytes"
	"io"
	"testing"
)

var sizes = []struct {
	name  string
	bytes int
}{
	{"64B", 64},
	{"4KiB", 4 << 10},
	{"32KiB", 32 << 10},
	{"1MiB", 1 << 20},
}

const (
	ring      = 64 << 10
	largeRing = 2 << 20 // where one goroutine writes more than a ring
)

func ringFor(size int) int {
	if size > ring {
		return largeRing
	}
	return ring
}

// BenchmarkSame writes and then reads.
func BenchmarkSame(b *testing.B) {
	eachOpen(b, ringFor, func(b *testing.B, size int, peer peer, p pipe, holds int) {
		if holds < size {
			b.Skip("a write of this size waits for a read")
		}
		out, in := make([]byte, size), make([]byte, size)
		for b.Loop() {
			if n, err := p.Write(out); n != size || err != nil {
				b.Fatal(n, err)
			}
			if n, err := io.ReadFull(p, in); n != size || err != nil {
				b.Fatal(n, err)
			}
		}
	})
}

// BenchmarkTwo writes on one goroutine and reads on another, which go on as fast as the ring lets them.
func BenchmarkTwo(b *testing.B) {
	eachOpen(b, func(int) int { return ring }, func(b *testing.B, size int, peer peer, p pipe, _ int) {
		if peer.alone {
			b.Skip("not to be shared by two goroutines")
		}
		written := make(chan error, 1)
		out, in := make([]byte, size), make([]byte, size)
		b.ResetTimer()
		go func() { written <- writeTimes(p, out, b.N) }()
		for range b.N {
			if n, err := io.ReadFull(p, in); n != size || err != nil {
				b.Fatal(n, err)
			}
		}
		if err := <-written; err != nil {
			b.Fatal(err)
		}
	})
}

func writeTimes(w io.Writer, b []byte, times int) error {
	for range times {
		if n, err := w.Write(b); err != nil {
			return err
		} else if n != len(b) {
			return io.ErrShortWrite
		}
	}
	return nil
}

// eachOpen runs a benchmark for each size and, next to each other, each peer.
func eachOpen(b *testing.B, ring func(size int) int, run func(b *testing.B, size int, peer peer, p pipe, holds int)) {
	for _, size := range sizes {
		for _, peer := range peers {
			b.Run("size="+size.name+"/pipe="+peer.name, func(b *testing.B) {
				p, holds := peer.open(b, ring(size.bytes))
				defer p.Close()
				b.SetBytes(int64(size.bytes))
				b.ReportAllocs()
				run(b, size.bytes, peer, p, holds)
			})
		}
	}
}

func TestEveryPipeDeliversWhatWasWritten(t *testing.T) {
	want := make([]byte, 300<<10)
	for i := range want {
		want[i] = byte(i % 251)
	}
	for _, peer := range peers {
		t.Run(peer.name, func(t *testing.T) {
			p, _ := peer.open(t, largeRing)
			defer p.Close()
			write := func() error { return writeTimes(p, want, 3) }
			written := make(chan error, 1)
			if peer.alone {
				written <- write()
			} else {
				go func() { written <- write() }()
			}
			for range 3 {
				got := make([]byte, len(want))
				if n, err := io.ReadFull(p, got); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%d bytes, %v, or other ones", n, err)
				}
			}
			if err := <-written; err != nil {
				t.Fatal(err)
			}
		})
	}
}
