package penstock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fan is a source and three outputs, pipes of the kernel with so many slots each.
func fan(t *testing.T, slots int) (src *KernelPipe, outs []*KernelPipe, dsts []Conduit) {
	t.Helper()
	for range 4 {
		p := newKernelPipe(t, slots*systemPage)
		if p.Slots() != slots {
			t.Skipf("%d slots: this user's budget is gone", p.Slots())
		}
		outs = append(outs, p)
	}
	src, outs = outs[0], outs[1:]
	for _, p := range outs {
		dsts = append(dsts, p)
	}
	return src, outs, dsts
}

// TestTeeManyGivesEveryKernelPipeTheSame, also where the slots hold a byte each.
func TestTeeManyGivesEveryKernelPipeTheSame(t *testing.T) {
	src, outs, dsts := fan(t, 4)
	feed := newKernelPipe(t, 0)
	for i := range 4 { // fills all slots with a byte or a page
		want := bytes.Repeat([]byte{byte('a' + i)}, 1+i%2*(systemPage-1))
		feed.Write(want)
		for n := 0; n < len(want); {
			m, err := Splice(background, src, feed, len(want)-n, NonBlock)
			if err != nil {
				t.Fatal(err)
			}
			n += m
		}
	}
	held := src.Len()
	for _, n := range []int{1, systemPage, 1 << 20} {
		m, err := TeeMany(background, dsts, src, n, 0)
		if m != min(n, held) || err != nil {
			t.Fatalf("%d of %d, %v", m, n, err)
		}
		want := mustPeek(t, src, m)
		for i, out := range outs {
			if out.Len() != m {
				t.Fatalf("output %d: %d bytes of %d", i, out.Len(), m)
			}
			if got := mustRead(t, out, m); got != want {
				t.Errorf("output %d has other bytes", i)
			}
		}
	}
	if src.Len() != held {
		t.Errorf("%d bytes of %d are left", src.Len(), held)
	}
}

func mustPeek(t *testing.T, p *KernelPipe, n int) string {
	t.Helper()
	b := make([]byte, n)
	if m, err := p.PeekInto(b); m != n || err != nil {
		t.Fatalf("%d of %d, %v", m, n, err)
	}
	return string(b)
}

// TestTeeManyNamesTheOutputThatIsInTheWay, at once, and nothing has moved.
func TestTeeManyNamesTheOutputThatIsInTheWay(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, out *KernelPipe)
		cause error
	}{
		{"not empty", func(_ *testing.T, out *KernelPipe) { out.Write([]byte("x")) }, ErrWouldBlock},
		{"full", func(_ *testing.T, out *KernelPipe) { out.Write(make([]byte, out.Cap())) }, ErrWouldBlock},
		{"fewer slots", func(t *testing.T, out *KernelPipe) {
			if err := out.Resize(2); err != nil {
				t.Skip(err)
			}
		}, ErrWouldBlock},
		{"no reader", func(_ *testing.T, out *KernelPipe) { out.CloseRead() }, syscall.EPIPE},
		{"write end closed", func(_ *testing.T, out *KernelPipe) { out.CloseWrite() }, syscall.EPIPE},
		{"closed", func(_ *testing.T, out *KernelPipe) { out.Close() }, os.ErrClosed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for at := range 3 {
				for _, ended := range []bool{false, true} {
					src, outs, dsts := fan(t, 4)
					tt.spoil(t, outs[at])
					before := outs[at].Len()
					if ended {
						src.CloseWrite() // the end does not count while an output is in the way
					} else {
						src.Write([]byte("kept"))
					}
					for _, flags := range []Flags{0, NonBlock} {
						var n int
						err := endsSoon(t, func() (err error) {
							n, err = TeeMany(background, dsts, src, 1<<20, flags)
							return err
						})
						var output *OutputError
						side, _ := SideOf(err)
						if n != 0 || !errors.Is(err, tt.cause) || side != SideSink ||
							!errors.As(err, &output) || output.Output != at {
							t.Errorf("output %d: %d, %v", at, n, err)
						}
					}
					for i, out := range outs {
						if i != at && out.Len() != 0 || i == at && out.Len() != before {
							t.Errorf("output %d has %d bytes", i, out.Len())
						}
					}
				}
			}
		})
	}
}

// TestTeeManyWaitsForTheSource, obeys NonBlock, contexts and deadlines, and finds the end.
func TestTeeManyWaitsForTheSource(t *testing.T) {
	src, outs, dsts := fan(t, 4)
	is := func(err, cause error) {
		t.Helper()
		if side, _ := SideOf(err); !errors.Is(err, cause) || side != SideSource {
			t.Errorf("%v, want %v", err, cause)
		}
	}
	_, err := TeeMany(background, dsts, src, 9, NonBlock)
	is(err, ErrWouldBlock)
	_, err = TeeMany(soon(t), dsts, src, 9, 0)
	is(err, errCancelled)
	src.SetReadDeadline(time.Now())
	err = endsSoon(t, func() error { _, err := TeeMany(background, dsts, src, 9, 0); return err })
	is(err, os.ErrDeadlineExceeded)
	src.SetReadDeadline(time.Time{})

	time.AfterFunc(time.Millisecond, func() { src.Write([]byte("abc")) })
	var n int
	err = endsSoon(t, func() (err error) { n, err = TeeMany(background, dsts, src, 9, 0); return err })
	if n != 3 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, p := range append(outs, src) {
		if got := mustRead(t, p, 3); got != "abc" {
			t.Errorf("%q", got)
		}
	}
	src.CloseWrite()
	if n, err := TeeMany(background, dsts, src, 9, 0); n != 0 || err != io.EOF {
		t.Errorf("%d, %v", n, err)
	}
}

// TestTeeManyTakesPipesOfOneBackingAndEachOnce.
func TestTeeManyTakesPipesOfOneBackingAndEachOnce(t *testing.T) {
	k, l, m := newKernelPipe(t, 0), newKernelPipe(t, 0), newKernelPipe(t, 0)
	p, q := smallPipe(t, 1), smallPipe(t, 1)
	k.Write([]byte("abc"))
	p.Write([]byte("abc"))
	type embeds struct{ *KernelPipe }
	for i, tt := range []struct {
		dsts []Conduit
		src  Conduit
		n    int
	}{
		{[]Conduit{l, q}, k, 1},
		{[]Conduit{q, l}, p, 1},
		{[]Conduit{q}, k, 1},
		{[]Conduit{l}, p, 1},
		{[]Conduit{l, l}, k, 1},
		{[]Conduit{l, k}, k, 1},
		{[]Conduit{q, q}, p, 1},
		{[]Conduit{l, nil}, k, 1},
		{[]Conduit{embeds{l}}, k, 1},
		{[]Conduit{l}, embeds{k}, 1},
		{[]Conduit{l}, nil, 1},
		{[]Conduit{l, m}, k, -1},
	} {
		if n, err := TeeMany(background, tt.dsts, tt.src, tt.n, 0); n != 0 || !errors.Is(err, syscall.EINVAL) {
			t.Errorf("case %d: %d, %v", i, n, err)
		}
	}
	if n, err := TeeMany(background, []Conduit{l, q}, k, 0, 0); n != 0 || err != nil { // nothing is looked at
		t.Errorf("%d, %v", n, err)
	}
	if n, err := TeeMany(background, nil, k, 1, 0); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// TestAFanOfKernelPipesGivesEveryLeafEverything, in step.
func TestAFanOfKernelPipesGivesEveryLeafEverything(t *testing.T) {
	src, outs, dsts := fan(t, 4)
	want := make([]byte, 1<<20)
	for i := range want {
		want[i] = byte(i ^ i>>8 ^ i>>16)
	}
	ctx, cancel := context.WithTimeout(background, 30*time.Second)
	defer cancel()
	go func() {
		src.WriteContext(ctx, want)
		src.CloseWrite()
	}()
	var got [3]bytes.Buffer
	for {
		n, err := TeeMany(ctx, dsts, src, 1<<20, 0)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if m, err := src.Discard(n); m != n || err != nil {
			t.Fatal(m, err)
		}
		var wg sync.WaitGroup
		for i, out := range outs {
			wg.Go(func() { got[i].WriteString(mustRead(t, out, n)) })
		}
		wg.Wait()
	}
	for i := range got {
		if !bytes.Equal(got[i].Bytes(), want) {
			t.Errorf("output %d: %d bytes of %d, or others", i, got[i].Len(), len(want))
		}
	}
}

// TestTeeManySaysWhichOutputGotLess where another writer fills it meanwhile.
func TestTeeManySaysWhichOutputGotLess(t *testing.T) {
	src, outs, _ := fan(t, 4)
	src.Write(make([]byte, 4*systemPage))
	for at := 1; at < 3; at++ { // teeAll is what comes behind the looking
		outs[at].Write(make([]byte, 2*systemPage))
		n, err := teeAll(outs, src, 4*systemPage)
		var output *OutputError
		if n != 2*systemPage || !errors.Is(err, io.ErrShortWrite) || !errors.As(err, &output) || output.Output != at {
			t.Errorf("output %d: %d, %v", at, n, err)
		}
		for _, out := range outs {
			out.Discard(1 << 20)
		}
	}
}
