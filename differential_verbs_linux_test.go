package penstock_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/penstock-io/penstock"
)

// pair is two pipes of one backing, to be driven by the verbs that both backings have.
type pair [2]verbs

// step does one thing to a pair, without waiting, and returns all that can be seen of it.
func (p pair) step(rng *rand.Rand, serial byte) string {
	background := context.Background()
	dst, src := p[0], p[1]
	if rng.IntN(2) == 0 {
		dst, src = src, dst
	}
	n := rng.IntN(3 * pageSize)
	if rng.IntN(2) == 0 {
		n = rng.IntN(100)
	}
	b := make([]byte, n)
	var m int
	var err error
	var what string
	switch rng.IntN(8) {
	case 0, 1:
		what = "write"
		m, err = dst.TryWrite(bytes.Repeat([]byte{serial}, n))
	case 2:
		what = "read"
		m, err = dst.TryRead(b)
	case 3:
		what = "peek"
		m, err = dst.PeekInto(b)
	case 4:
		what = "discard"
		m, err = dst.Discard(n)
	case 5:
		what = "resize"
		slots := 1 + rng.IntN(8)
		n, err = slots, dst.Resize(slots)
	case 6:
		what = "splice"
		m, err = penstock.Splice(background, dst, src, n, penstock.NonBlock)
	case 7:
		what = "tee"
		m, err = penstock.Tee(background, dst, src, n, penstock.NonBlock)
	}
	side, _ := penstock.SideOf(err)
	seen := fmt.Sprintf("%s %d: %d %q of the %v, bytes %x;", what, n, m, cause(err), side, b[:min(m, len(b))])
	for _, p := range p {
		seen += fmt.Sprintf(" %d bytes in %d slots, %v", p.Len(), p.Slots(), ready(p.Writable()))
		if p.Len() > 0 {
			seen += fmt.Sprint(ready(p.Readable()))
		}
	}
	return seen
}

func cause(err error) error {
	for _, e := range []error{syscall.EAGAIN, syscall.EBUSY, syscall.EPERM, syscall.EINVAL, io.EOF} {
		if errors.Is(err, e) {
			return e
		}
	}
	return err
}

func ready(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestTheVerbsOfBothBackingsDoTheSame drives random verbs through memory pipes and kernel pipes.
func TestTheVerbsOfBothBackingsDoTheSame(t *testing.T) {
	var arena penstock.Arena
	defer arena.Close()
	for seed := range uint64(30) {
		var mem, kernel pair
		for i := range mem {
			p, err := penstock.OpenPipe(penstock.PipeConfig{Slots: 4, PageSize: pageSize, Arena: &arena})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			k, err := penstock.NewKernelPipe(4 * pageSize)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			if k.Slots() != 4 {
				t.Skipf("%d slots: this user's budget is gone", k.Slots())
			}
			mem[i], kernel[i] = p, k
		}
		a, b := rand.New(rand.NewPCG(seed, 7)), rand.New(rand.NewPCG(seed, 7))
		for i := range 300 {
			if got, want := mem.step(a, byte(i)), kernel.step(b, byte(i)); got != want {
				t.Fatalf("seed %d, step %d:\nmemory %.300s\nkernel %.300s", seed, i, got, want)
			}
		}
		for i := range mem { // what is left is the same, and then the end
			closeWrite(t, mem[i])
			closeWrite(t, kernel[i])
			got, gerr := io.ReadAll(mem[i])
			want, werr := io.ReadAll(kernel[i])
			if gerr != nil || werr != nil || !bytes.Equal(got, want) {
				t.Errorf("seed %d: %d bytes, %v, and %d, %v", seed, len(got), gerr, len(want), werr)
			}
		}
	}
}
