package penstock

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// The tests of this file are for the race detector: many goroutines, for a number of operations rather than for a time.

// TestBytesInACircleAreConserved: 35 goroutines move them among five pipes, by whatever moves.
func TestBytesInACircleAreConserved(t *testing.T) {
	leakless(t)
	const operations = 400
	var pipes [5]*Pipe
	var before, after [256]int
	for i := range pipes {
		pipes[i] = smallPipe(t, 8)
		for range 3 {
			b := bytes.Repeat([]byte{byte('a' + i)}, 1000+rand.IntN(3000))
			before[b[0]] += len(b)
			if _, err := pipes[i].TryWrite(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	ctx, cancel := context.WithCancel(background)
	var bounded, waiting sync.WaitGroup
	for g := range 30 {
		rng := rand.New(rand.NewPCG(uint64(g), 2005))
		bounded.Go(func() {
			for i := range operations {
				from := rng.IntN(len(pipes))
				src, dst := pipes[from], pipes[(from+1+rng.IntN(len(pipes)-1))%len(pipes)]
				n := 1 + rng.IntN(5000)
				switch {
				case g%3 < 2: // one in three takes out and puts in
					_, _ = Splice(ctx, dst, src, n, NonBlock)
				case i%2 == 0:
					if b, err := src.Pull(ctx, n, NonBlock); err == nil && dst.Push(ctx, b, NonBlock) != nil {
						if err := src.Unread(b); err != nil {
							t.Error(err)
						}
					}
				default:
					b := make([]byte, n)
					m, _ := src.TryRead(b)
					w, _ := dst.TryWrite(b[:m])
					if w == m {
						continue
					}
					if rest, err := GiftBuffer(b[w:m]); err != nil || src.Unread(rest) != nil {
						t.Error("cannot be put back")
					}
				}
			}
		})
	}
	for g := range 5 {
		waiting.Go(func() {
			for {
				_, err := Splice(ctx, pipes[(g+1)%5], pipes[g], 700, 0)
				if errors.Is(err, context.Canceled) || ctx.Err() != nil {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	bounded.Wait()
	cancel()
	waiting.Wait()
	for _, p := range pipes {
		p.CloseWrite()
		all, err := io.ReadAll(p)
		if err != nil {
			t.Error(err)
		}
		for _, c := range all {
			after[c]++
		}
	}
	if after != before {
		t.Errorf("%v of each before, %v after", before['a':'f'], after['a':'f'])
	}
}

// TestATreeOfTeesGivesEveryLeafEverything forks a stream three times over, by TeeMany and by Tee and Splice.
func TestATreeOfTeesGivesEveryLeafEverything(t *testing.T) {
	leakless(t)
	want := make([]byte, 1<<18)
	for i := range want {
		want[i] = byte(i ^ i>>8 ^ i>>16)
	}
	var wg sync.WaitGroup
	// fork moves src into both outputs, in step, until it ends.
	fork := func(src *Pipe, outs []*Pipe, together bool) {
		for {
			n, err := 0, error(nil)
			if together {
				n, err = TeeMany(background, []Conduit{outs[0], outs[1]}, src, 1<<20, 0)
				if err == nil {
					_, err = src.Discard(n)
				}
			} else if n, err = Tee(background, outs[0], src, 1<<20, 0); err == nil {
				for moved, m := 0, 0; err == nil && moved < n; moved += m {
					m, err = Splice(background, outs[1], src, n-moved, 0)
				}
			}
			if err != nil {
				if err != io.EOF {
					t.Error(err)
				}
				for _, out := range outs {
					out.CloseWrite()
				}
				return
			}
		}
	}
	root := smallPipe(t, 4)
	wg.Go(func() {
		for b := want; len(b) > 0; {
			n := min(1+rand.IntN(9000), len(b))
			if _, err := root.Write(b[:n]); err != nil {
				t.Error(err)
			}
			b = b[n:]
		}
		root.CloseWrite()
	})
	level := []*Pipe{root}
	for depth := range 3 {
		var next []*Pipe
		for i, src := range level {
			outs := []*Pipe{smallPipe(t, 2<<i), smallPipe(t, 4)}
			wg.Go(func() { fork(src, outs, depth%2 == 0) })
			next = append(next, outs...)
		}
		level = next
	}
	for i, leaf := range level {
		wg.Go(func() {
			if got, err := io.ReadAll(leaf); !bytes.Equal(got, want) || err != nil {
				t.Errorf("leaf %d: %d bytes of %d, %v", i, len(got), len(want), err)
			}
		})
	}
	wg.Wait()
}

// TestAPipeIsResizedAndClosedUnderATransfer: what comes out is the beginning of what went in, all of it if the end was
// orderly.
func TestAPipeIsResizedAndClosedUnderATransfer(t *testing.T) {
	leakless(t)
	want := make([]byte, 1<<16)
	for i := range want {
		want[i] = byte(i ^ i>>8)
	}
	closes := []func(a, b *Pipe) error{
		nil, // the writer's end closes when all is written
		func(a, _ *Pipe) error { return a.CloseWrite() },
		func(a, _ *Pipe) error { return a.Close() },
		func(_, b *Pipe) error { return b.CloseRead() },
		func(_, b *Pipe) error { return b.Close() },
		func(a, _ *Pipe) error { return a.CloseWithError(io.ErrNoProgress) },
	}
	for round := range 60 {
		a, b := smallPipe(t, 2), smallPipe(t, 4)
		end := closes[round%len(closes)]
		var wg sync.WaitGroup
		over := make(chan struct{})
		wg.Go(func() {
			for i := 0; i < len(want); i += 512 {
				if _, err := a.Write(want[i : i+512]); err != nil {
					break
				}
			}
			a.CloseWrite()
		})
		wg.Go(func() {
			for {
				if _, err := Splice(background, b, a, 1+rand.IntN(10000), 0); err != nil {
					a.CloseRead()
					b.CloseWrite()
					return
				}
			}
		})
		var got bytes.Buffer
		wg.Go(func() {
			buf := make([]byte, 3000)
			for {
				n, err := b.Read(buf)
				got.Write(buf[:n])
				if got.Len() > len(want)/2 && end != nil {
					end(a, b)
				}
				if err != nil {
					close(over)
					return
				}
			}
		})
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-over:
					return
				default:
				}
				for _, p := range []*Pipe{a, b} {
					err := p.Resize(2 << (i % 4))
					if err != nil && !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.EBADF) {
						t.Error(err)
					}
				}
				runtime.Gosched()
			}
		})
		wg.Wait()
		if !bytes.HasPrefix(want, got.Bytes()) || end == nil && got.Len() != len(want) {
			t.Fatalf("round %d: %d bytes came out, of %d", round, got.Len(), len(want))
		}
	}
}

// records checks that each of the numbers from 0 on has been had once.
type records struct {
	mu  sync.Mutex
	had []int
}

func (r *records) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := 0; i+8 <= len(b); i += 8 {
		if n := binary.BigEndian.Uint64(b[i:]); n < uint64(len(r.had)) {
			r.had[n]++
		}
	}
	return len(b), nil
}

// TestTakersOfOnePipeShareItsBytes: each byte is had by exactly one of them, and none that waits is told that it would.
func TestTakersOfOnePipeShareItsBytes(t *testing.T) {
	read := func(p *Pipe, all io.Writer) error {
		b := make([]byte, 8*(1+rand.IntN(60)))
		n, err := p.Read(b)
		all.Write(b[:n])
		return err
	}
	spliceWrite := func(p *Pipe, all io.Writer) error {
		_, err := SinkOf(all).SpliceWrite(p, 8*(1+rand.IntN(60)), 0)
		if errors.Is(err, io.ErrUnexpectedEOF) { // the others had it
			return io.EOF
		}
		return err
	}
	splice := func(p *Pipe, all io.Writer) error {
		_, err := Splice(background, all, p, 8*(1+rand.IntN(60)), 0)
		return err
	}
	pull := func(p *Pipe, all io.Writer) error {
		b, err := p.Pull(background, 8*(1+rand.IntN(60)), 0)
		if err != nil {
			return err
		}
		defer b.Release()
		bytes, err := b.Map()
		all.Write(bytes)
		return err
	}
	type taker = func(p *Pipe, all io.Writer) error
	for i, takers := range [][]taker{
		{read, spliceWrite},
		{spliceWrite, spliceWrite},
		{splice, read},
		{splice, splice, splice, splice},
		{read, spliceWrite, splice, pull},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			leakless(t)
			p, all := smallPipe(t, 4), &records{had: make([]int, 20_000)}
			var wg sync.WaitGroup
			for _, take := range takers {
				wg.Go(func() {
					for {
						err := take(p, all)
						if err == io.EOF {
							return
						}
						if err != nil {
							t.Error(err)
							p.CloseRead() // or the writer would wait for ever
							return
						}
					}
				})
			}
			var b []byte
			for i := range all.had {
				if b = binary.BigEndian.AppendUint64(b, uint64(i)); len(b) >= 8*(1+rand.IntN(100)) || i == len(all.had)-1 {
					if _, err := p.Write(b); err != nil {
						break // said by who closed it
					}
					b = b[:0]
				}
			}
			p.CloseWrite()
			wg.Wait()
			if t.Failed() {
				return
			}
			for i, n := range all.had {
				if n != 1 {
					t.Fatalf("record %d was had %d times", i, n)
				}
			}
		})
	}
}

// TestPuttersIntoOnePipeLoseNothing is TestTakersOfOnePipeShareItsBytes from the other side.
func TestPuttersIntoOnePipeLoseNothing(t *testing.T) {
	leakless(t)
	const each = 3000
	puts := []func(p *Pipe, b []byte) (int, error){
		func(p *Pipe, b []byte) (int, error) { return p.Write(b) },
		func(p *Pipe, b []byte) (int, error) { return Vmsplice(background, p, b, nil, 0) },
		func(p *Pipe, b []byte) (int, error) { return Splice(background, p, bytes.NewReader(b), len(b), 0) },
		func(p *Pipe, b []byte) (int, error) { return Splice(background, p, bytes.NewReader(b), len(b), 0) },
	}
	p, all := smallPipe(t, 2), &records{had: make([]int, each*len(puts))}
	var wg, putters sync.WaitGroup
	wg.Go(func() {
		if _, err := io.Copy(all, struct{ io.Reader }{p}); err != nil {
			t.Error(err)
		}
	})
	for g, put := range puts {
		putters.Go(func() {
			for i := range each {
				b := binary.BigEndian.AppendUint64(nil, uint64(g*each+i))
				if n, err := put(p, b); n != 8 || err != nil {
					t.Errorf("%d, %v", n, err)
					return
				}
			}
		})
	}
	putters.Wait()
	p.CloseWrite()
	wg.Wait()
	for i, n := range all.had {
		if n != 1 && !t.Failed() {
			t.Fatalf("record %d was had %d times", i, n)
		}
	}
}
