package penstock

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"syscall"
	"testing"
)

// ringOf opens a pipe of either backing that holds n bytes written at once.
func ringOf(t *testing.T, backing string, n int) Conduit {
	t.Helper()
	if backing == "memory" {
		return smallPipe(t, n/MinPageSize+1)
	}
	p, err := NewKernelPipe(n)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// TestCopyMovesAllBetweenPipes of whichever backing and size of pages.
func TestCopyMovesAllBetweenPipes(t *testing.T) {
	want := bytes.Repeat([]byte("penstock"), 1000)
	for _, from := range []string{"memory", "kernel"} {
		for _, to := range []string{"memory", "kernel"} {
			t.Run(from+" to "+to, func(t *testing.T) {
				leakless(t)
				src, dst := ringOf(t, from, len(want)), ringOf(t, to, len(want))
				src.Write(want)
				if err := src.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if n, err := io.Copy(dst, src); n != int64(len(want)) || err != nil {
					t.Fatalf("%d, %v", n, err)
				}
				if got := mustRead(t, dst, len(want)); got != string(want) {
					t.Error("other bytes")
				}
			})
		}
	}
	t.Run("large pages to small", func(t *testing.T) {
		leakless(t)
		src, dst := openPipe(t, 0), smallPipe(t, 1)
		src.Write(want)
		src.CloseWrite()
		if n, err := io.Copy(dst, src); n != int64(len(want)) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if got := mustRead(t, dst, len(want)); got != string(want) {
			t.Error("other bytes")
		}
	})
}

// TestCopyBetweenPipesMovesReferences: what was lent is given back when the destination has been read, not before.
func TestCopyBetweenPipesMovesReferences(t *testing.T) {
	for _, c := range []struct {
		name string
		copy func(dst, src *Pipe) (int64, error)
	}{
		{"io.Copy", func(dst, src *Pipe) (int64, error) { return io.Copy(dst, src) }},
		{"WriteTo", func(dst, src *Pipe) (int64, error) { return src.WriteTo(dst) }},
		{"ReadFrom", func(dst, src *Pipe) (int64, error) { return dst.ReadFrom(src) }},
		{"a Source", func(dst, src *Pipe) (int64, error) {
			n, err := SourceOf(src).SpliceRead(dst, 1<<20, 0)
			return int64(n), err
		}},
		{"a Sink", func(dst, src *Pipe) (int64, error) {
			n, err := SinkOf(dst).SpliceWrite(src, src.Len(), 0)
			return int64(n), err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			leakless(t)
			// Room is waited for before the end is looked for: there are two slots.
			src, dst := smallPipe(t, 1), smallPipe(t, 2)
			memory, back := bytes.Repeat([]byte("x"), 25*MinPageSize), false // more than the pipes' own pages hold
			if _, err := Vmsplice(background, src, memory, func() { back = true }, 0); err != nil {
				t.Fatal(err)
			}
			src.CloseWrite()
			if n, err := c.copy(dst, src); n != int64(len(memory)) || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
			if src.Close(); back {
				t.Error("it was given back while the destination holds it")
			}
			if got := mustRead(t, dst, len(memory)); got != string(memory) || !back {
				t.Errorf("%d bytes; given back: %v", len(got), back)
			}
		})
	}
}

// TestCopiesIntoOnePipeLoseNothing: each finds room that the other then takes.
func TestCopiesIntoOnePipeLoseNothing(t *testing.T) {
	leakless(t)
	const pages = 16
	for range 50 {
		dst := smallPipe(t, 4)
		var copies, reader sync.WaitGroup
		for _, c := range []byte("ab") {
			src := smallPipe(t, pages)
			src.Write(bytes.Repeat([]byte{c}, pages*MinPageSize))
			src.CloseWrite()
			copies.Go(func() {
				if n, err := io.Copy(dst, src); n != pages*MinPageSize || err != nil {
					t.Errorf("%d, %v", n, err)
				}
			})
		}
		reader.Go(func() {
			got, err := io.ReadAll(dst)
			if a, b := bytes.Count(got, []byte("a")), bytes.Count(got, []byte("b")); a != pages*MinPageSize || a != b || err != nil {
				t.Errorf("%d and %d of %d bytes, %v", a, b, pages*MinPageSize, err)
			}
		})
		copies.Wait()
		dst.CloseWrite()
		reader.Wait()
	}
}

// TestAPipeIsNoSinkOfItself, by whatever way: nor is anything lost.
func TestAPipeIsNoSinkOfItself(t *testing.T) {
	for _, c := range []struct {
		name string
		move func(p *Pipe) error
	}{
		{"WriteTo", func(p *Pipe) error { _, err := p.WriteTo(p); return err }},
		{"ReadFrom", func(p *Pipe) error { _, err := p.ReadFrom(p); return err }},
		{"SpliceWrite", func(p *Pipe) error { _, err := SinkOf(p).SpliceWrite(p, 4, 0); return err }},
		{"SpliceRead", func(p *Pipe) error { _, err := SourceOf(p).SpliceRead(p, 4, 0); return err }},
		{"Splice", func(p *Pipe) error { _, err := Splice(background, p, p, 4, 0); return err }},
		{"Tee", func(p *Pipe) error { _, err := Tee(background, p, p, 4, 0); return err }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := smallPipe(t, 4)
				p.Write([]byte("kept"))
				if err := c.move(p); !errors.Is(err, syscall.EINVAL) {
					t.Errorf("%v", err)
				}
				if got := mustRead(t, p, p.Len()); got != "kept" {
					t.Errorf("%q", got)
				}
			})
		})
	}
}

// TestTheWritersErrorGoesThroughACopy, behind the bytes before it.
func TestTheWritersErrorGoesThroughACopy(t *testing.T) {
	for _, c := range []struct {
		name string
		copy func(dst, src *Pipe) (int64, error)
	}{
		{"to a pipe", func(dst, src *Pipe) (int64, error) { return io.Copy(dst, src) }},
		{"from a pipe", func(dst, src *Pipe) (int64, error) { return dst.ReadFrom(src) }},
		{"to a writer", func(dst, src *Pipe) (int64, error) { return io.Copy(struct{ io.Writer }{dst}, src) }},
		{"from a reader", func(dst, src *Pipe) (int64, error) { return io.Copy(dst, struct{ io.Reader }{src}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				dst, src := smallPipe(t, 4), smallPipe(t, 4)
				src.Write([]byte("before"))
				src.CloseWithError(errCancelled)
				n, err := c.copy(dst, src)
				if side, ok := SideOf(err); n != 6 || !errors.Is(err, errCancelled) || !ok || side != SideSource {
					t.Errorf("%d, %v", n, err)
				}
				if _, err := src.Read(make([]byte, 1)); err != errCancelled {
					t.Errorf("read: %v", err)
				}
				if got := mustRead(t, dst, 6); got != "before" {
					t.Errorf("%q", got)
				}
			})
		})
	}
}

// wrapped is a pipe with a Read and a Write of its own.
type wrapped struct {
	*Pipe
	reads, writes int
}

func (w *wrapped) Read(b []byte) (int, error) {
	w.reads++
	return w.Pipe.Read(b)
}

func (w *wrapped) Write(b []byte) (int, error) {
	w.writes++
	return w.Pipe.Write(b)
}

// TestWhatEmbedsAPipeIsAReaderAndAWriter: the methods that it has in place of the pipe's are there for a reason.
func TestWhatEmbedsAPipeIsAReaderAndAWriter(t *testing.T) {
	leakless(t)
	p, w := smallPipe(t, 4), &wrapped{Pipe: smallPipe(t, 4)}
	p.Write([]byte("round"))
	if n, err := Splice(background, w, p, 5, 0); n != 5 || err != nil || w.writes != 1 {
		t.Errorf("into it: %d, %v, %d writes", n, err, w.writes)
	}
	if n, err := Splice(background, p, w, 5, 0); n != 5 || err != nil || w.reads != 1 {
		t.Errorf("out of it: %d, %v, %d reads", n, err, w.reads)
	}
	for _, c := range []struct {
		dst, src Conduit
		side     Side
	}{{w, p, SideSink}, {smallPipe(t, 4), w, SideSource}} {
		n, err := Tee(background, c.dst, c.src, 5, NonBlock)
		if side, _ := SideOf(err); n != 0 || !errors.Is(err, syscall.EINVAL) || side != c.side {
			t.Errorf("tee: %d, %v", n, err)
		}
	}
	if got := mustRead(t, p, 5); got != "round" {
		t.Errorf("%q", got)
	}
}
