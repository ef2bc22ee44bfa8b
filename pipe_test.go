package penstock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
)

// leakless fails the test if it leaves pages behind.
func leakless(t *testing.T) {
	t.Helper()
	before := PagesInUse()
	t.Cleanup(func() {
		if after := PagesInUse(); after != before {
			t.Errorf("pages in use: %d before, %d after", before, after)
		}
	})
}

func openPipe(t *testing.T, slots int) *Pipe {
	t.Helper()
	p := NewPipe(slots)
	t.Cleanup(func() { p.Close(); p.arena.Close() })
	return p
}

func mustRead(t *testing.T, r io.Reader, n int) string {
	t.Helper()
	b := make([]byte, n)
	m, err := io.ReadFull(r, b)
	if err != nil {
		t.Fatalf("read %d of %d: %v", m, n, err)
	}
	return string(b)
}

func TestSmallWritesMergeIntoOneSlot(t *testing.T) {
	leakless(t)
	p := openPipe(t, 0)
	for range 1000 {
		if _, err := p.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if p.head-p.tail != 1 || p.Len() != 1000 {
		t.Errorf("%d slots, %d bytes", p.head-p.tail, p.Len())
	}
}

func TestNothingIsAppendedToAPageThatWasTeed(t *testing.T) {
	leakless(t)
	p, q := openPipe(t, 0), openPipe(t, 0)
	p.Write([]byte("shared"))
	if n, err := Tee(context.Background(), q, p, 6, NonBlock); n != 6 || err != nil {
		t.Fatal(n, err)
	}
	p.Write([]byte(" more"))
	q.Write([]byte(" other"))
	if got := mustRead(t, p, 11); got != "shared more" {
		t.Errorf("p: %q", got)
	}
	if got := mustRead(t, q, 12); got != "shared other" {
		t.Errorf("q: %q", got)
	}
}

func TestReadDrainsAndThenEnds(t *testing.T) {
	leakless(t)
	p := openPipe(t, 0)
	p.Write([]byte("rest"))
	p.CloseWrite()
	if got, err := io.ReadAll(p); string(got) != "rest" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := p.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("write behind the end: %v", err)
	}
}

func TestWriterWaitsForRoomAndReaderForData(t *testing.T) {
	leakless(t)
	synctest.Test(t, func(t *testing.T) {
		p := openPipe(t, 2)
		want := bytes.Repeat([]byte("0123456789abcdef"), DefaultPageSize/4) // twice what fits
		var wg sync.WaitGroup
		wg.Go(func() {
			if n, err := p.Write(want); n != len(want) || err != nil {
				t.Errorf("wrote %d, %v", n, err)
			}
			p.CloseWrite()
		})
		synctest.Wait() // the writer is blocked
		if p.Len() != p.Cap() {
			t.Errorf("%d bytes in a full pipe of %d", p.Len(), p.Cap())
		}
		got, err := io.ReadAll(p)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		wg.Wait()
	})
}

func TestCloseWakesWhoWaits(t *testing.T) {
	leakless(t)
	synctest.Test(t, func(t *testing.T) {
		empty, full := openPipe(t, 1), openPipe(t, 1)
		full.Write(make([]byte, DefaultPageSize))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := empty.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("reader: %v", err)
				}
			})
			wg.Go(func() {
				if n, err := full.Write([]byte("xx")); n != 0 || !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("writer: %d, %v", n, err)
				}
			})
		}
		synctest.Wait()
		empty.Close()
		full.Close()
		wg.Wait()
	})
}

func TestSplitSharesThePage(t *testing.T) {
	leakless(t)
	p, q := openPipe(t, 0), openPipe(t, 0)
	p.Write([]byte("headtail"))
	if n, err := Splice(context.Background(), q, p, 4, NonBlock); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	if p.slot(p.tail).page != q.slot(q.tail).page {
		t.Error("the bytes were copied")
	}
	if a, b := mustRead(t, q, 4), mustRead(t, p, 4); a != "head" || b != "tail" {
		t.Errorf("%q, %q", a, b)
	}
}

func TestFullPipeIsNamedAsTheSideThatWouldBlock(t *testing.T) {
	leakless(t)
	p, q := openPipe(t, 1), openPipe(t, 1)
	p.Write([]byte("x"))
	q.Write([]byte("y"))
	n, err := Splice(context.Background(), q, p, 1, NonBlock)
	if side, _ := SideOf(err); n != 0 || !errors.Is(err, ErrWouldBlock) || side != SideSink {
		t.Errorf("into a full pipe: %d, %v", n, err)
	}
	p.Read(make([]byte, 1))
	n, err = Splice(context.Background(), q, p, 1, NonBlock)
	if side, _ := SideOf(err); n != 0 || !errors.Is(err, ErrWouldBlock) || side != SideSource {
		t.Errorf("out of an empty pipe: %d, %v", n, err)
	}
	if got := mustRead(t, q, 1); got != "y" {
		t.Errorf("%q", got)
	}
}

func TestRunsOfOneArenaShareAPage(t *testing.T) {
	leakless(t)
	arena := new(Arena)
	defer arena.Close()
	src := SourceOf(readers("one", "two", "three"))
	var pipes []*Pipe
	for range 3 {
		p := arena.NewPipe(0)
		defer p.Close()
		if _, err := src.SpliceRead(p, DefaultPageSize, 0); err != nil {
			t.Fatal(err)
		}
		pipes = append(pipes, p)
	}
	if pg := pipes[0].slot(0).page; pipes[1].slot(0).page != pg || pipes[2].slot(0).page != pg {
		t.Error("three small runs take three pages")
	}
	for i, want := range []string{"one", "two", "three"} {
		if got := mustRead(t, pipes[i], len(want)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTheHotPathAllocatesNothing(t *testing.T) {
	leakless(t)
	p, q := openPipe(t, 0), openPipe(t, 0)
	out, in := make([]byte, DefaultPageSize+1), make([]byte, DefaultPageSize+1)
	for name, verb := range map[string]func(){
		"write and read": func() {
			p.Write(out)
			p.Read(in)
		},
		"splice": func() {
			p.Write(out)
			Splice(background, q, p, len(out), 0)
			q.Read(in)
		},
		"tee": func() {
			p.Write(out)
			Tee(background, q, p, len(out), 0)
			p.Discard(len(out))
			q.Discard(len(out))
		},
		"reserve and commit": func() {
			p.Reserve(64)
			p.Commit(64)
			p.Peek(64)
			p.Discard(64)
		},
		"pull and push": func() {
			p.Write(out)
			for range 2 {
				b, _ := p.Pull(background, len(out), 0)
				q.Push(background, b, 0)
			}
			q.Discard(len(out))
		},
		"would block": func() {
			p.TryRead(in)
			Splice(background, q, p, 1, NonBlock)
		},
	} {
		if n := testing.AllocsPerRun(100, verb); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestWaitingAllocatesNothing(t *testing.T) {
	leakless(t)
	p, q := openPipe(t, 1), openPipe(t, 1)
	go func() {
		b := make([]byte, 1)
		for {
			if _, err := p.Read(b); err != nil {
				return
			}
			q.Write(b)
		}
	}()
	b := make([]byte, 1)
	n := testing.AllocsPerRun(100, func() {
		p.Write(b)
		q.Read(b)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
	p.CloseWrite()
}

// readers returns each string in a Read of its own.
func readers(parts ...string) io.Reader { return &partReader{parts} }

type partReader struct{ parts []string }

func (r *partReader) Read(b []byte) (int, error) {
	if len(r.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(b, r.parts[0])
	r.parts[0] = r.parts[0][n:]
	if r.parts[0] == "" {
		r.parts = r.parts[1:]
	}
	return n, nil
}
