package penstock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// briefly is a context that is done before, while or after something happens.
func briefly() (context.Context, context.CancelFunc) {
	return context.WithTimeout(background, rand.N(100*time.Microsecond))
}

// moody takes all it is given, or a part of it, and not always at once.
type moody struct{}

func (moody) Write(b []byte) (int, error) {
	if rand.IntN(3) == 0 {
		runtime.Gosched()
	}
	if rand.IntN(4) == 0 {
		return rand.IntN(len(b) + 1), io.ErrShortWrite
	}
	return len(b), nil
}

// slowAt reads anything, later.
type slowAt struct{}

func (slowAt) ReadAt(b []byte, _ int64) (int, error) {
	for range rand.IntN(10) {
		runtime.Gosched()
	}
	return len(b), nil
}

// puts put up to n bytes into a pipe, in every way there is, and tell how many they put.
var puts = map[string]func(p *Pipe, n int) int{
	"Write": func(p *Pipe, n int) int {
		m, _ := p.Write(make([]byte, n))
		return m
	},
	"WriteContext": func(p *Pipe, n int) int {
		ctx, cancel := briefly()
		defer cancel()
		m, _ := p.WriteContext(ctx, make([]byte, n))
		return m
	},
	"Vmsplice": func(p *Pipe, n int) int {
		m, _ := Vmsplice(background, p, make([]byte, n), func() {}, 0)
		return m
	},
	"Splice from a reader": func(p *Pipe, n int) int {
		m, _ := Splice(background, p, bytes.NewReader(make([]byte, n)), n, 0)
		return m
	},
	"Splice from a pipe": func(p *Pipe, n int) int {
		q := NewPipe(2)
		defer q.Close()
		held, _ := q.TryWrite(make([]byte, n))
		m, _ := Splice(background, p, q, held, 0)
		return m
	},
	"ReadAhead": func(p *Pipe, n int) int {
		src, _ := ReadAhead(slowAt{}, 0, int64(n))
		m, _ := src.SpliceRead(p, n, 0)
		return m
	},
}

// reserveAndCommit is for one writer at a time.
func reserveAndCommit(p *Pipe, n int) int {
	b, err := p.Reserve(1 + n%p.PageSize())
	if err != nil {
		return 0
	}
	runtime.Gosched()
	if n = rand.IntN(len(b) + 1); p.Commit(n) != nil {
		return 0
	}
	return n
}

// takes take up to n bytes out of a pipe, in every way there is, and tell how many they took.
var takes = map[string]func(p *Pipe, n int) (int, error){
	"Read": func(p *Pipe, n int) (int, error) { return p.Read(make([]byte, n)) },
	"ReadContext": func(p *Pipe, n int) (int, error) {
		ctx, cancel := briefly()
		defer cancel()
		return p.ReadContext(ctx, make([]byte, n))
	},
	"TryRead when told": func(p *Pipe, n int) (int, error) {
		<-p.Readable()
		return p.TryRead(make([]byte, n))
	},
	"Pull": func(p *Pipe, n int) (int, error) {
		b, err := p.Pull(background, n, 0)
		if err != nil {
			return 0, err
		}
		if rand.IntN(3) == 0 {
			return 0, p.Unread(b)
		}
		defer b.Release()
		return b.Len(), nil
	},
	"Splice to a pipe": func(p *Pipe, n int) (int, error) {
		q := NewPipe(2)
		defer q.Close()
		return Splice(background, q, p, n, 0)
	},
	"Splice to a writer": func(p *Pipe, n int) (int, error) { return Splice(background, moody{}, p, n, 0) },
	"Discard":            func(p *Pipe, n int) (int, error) { return p.Discard(n) },
	"Tee": func(p *Pipe, n int) (int, error) {
		q := NewPipe(2)
		defer q.Close()
		_, err := Tee(background, q, p, n, NonBlock)
		return 0, err
	},
}

// peekAndDiscard is for one reader: what Peek shows is valid until bytes are taken out, which others do, so it is not looked at.
func peekAndDiscard(p *Pipe, n int) (int, error) {
	if _, err := p.Peek(n); err != nil && !errors.Is(err, io.EOF) {
		return 0, nil
	}
	return p.Discard(rand.IntN(n))
}

// pick returns any of them.
func pick[F any](all map[string]F) (name string, f F) {
	for i := rand.IntN(len(all)); ; i-- {
		for name, f = range all {
			if i--; i < 0 {
				return name, f
			}
		}
	}
}

// TestWhatGoesInComesOutByWhateverWay: some writers and some readers of one pipe, each in every way in turn, until the
// writers are done and the readers have been told of the end.
func TestWhatGoesInComesOutByWhateverWay(t *testing.T) {
	before := PagesInUse()
	for round := range 500 {
		p, err := OpenPipe(PipeConfig{Slots: 1 << rand.IntN(4), PageSize: MinPageSize << rand.IntN(4)})
		if err != nil {
			t.Fatal(err)
		}
		var in, out atomic.Int64
		var writers, readers sync.WaitGroup
		var last [2][4]atomic.Value // what each did last
		for w := range 1 + rand.IntN(4) {
			writers.Go(func() {
				for range 10 {
					name, put := pick(puts)
					if w == 0 && rand.IntN(7) == 0 {
						name, put = "Reserve", reserveAndCommit
					}
					last[0][w].Store(name)
					in.Add(int64(put(p, 1+rand.IntN(9000<<(3*rand.IntN(2))))))
				}
				last[0][w].Store("over")
			})
		}
		for r := range 1 + rand.IntN(4) {
			readers.Go(func() {
				for err := error(nil); err != io.EOF; {
					name, take := pick(takes)
					if r == 0 && rand.IntN(8) == 0 {
						name, take = "Peek", peekAndDiscard
					}
					last[1][r].Store(name)
					var n int
					n, err = take(p, 1+rand.IntN(80_000))
					out.Add(int64(n))
				}
				last[1][r].Store("over")
			})
		}
		over := make(chan struct{})
		go func() {
			writers.Wait()
			p.CloseWrite()
			readers.Wait()
			close(over)
		}()
		select {
		case <-over:
		case <-time.After(10 * time.Second):
			for side, who := range last {
				for i := range who {
					t.Logf("%s %d: %v", []string{"writer", "reader"}[side], i, who[i].Load())
				}
			}
			t.Fatalf("round %d is stuck with %d bytes held, %d slots of %d free", round, p.Len(), p.FreeSlots(), p.Slots())
		}
		if p.Close(); in.Load() != out.Load() {
			t.Fatalf("round %d: %d bytes went in, %d came out", round, in.Load(), out.Load())
		}
	}
	for end := time.Now().Add(10 * time.Second); PagesInUse() != before; runtime.Gosched() { // reads in flight of what was dropped
		if time.Now().After(end) {
			t.Fatalf("pages in use: %d before, %d after", before, PagesInUse())
		}
	}
}
