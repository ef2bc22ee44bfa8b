package penstock

import (
	"bytes"
	"errors"
	"testing"
)

// What is done by way of a side pipe where none of the size of the pipe is to be had.

// withoutPool makes all that the process's pool may hold be lent, during the test.
func withoutPool(t *testing.T) {
	t.Helper()
	pool := defaultPool()
	var lent []*KernelPipe
	pool.mu.Lock()
	for _, s := range pool.idle {
		for len(s.pipes) > 0 {
			lent = append(lent, s.pop())
		}
	}
	limit := pool.limit
	pool.limit = pool.held
	pool.mu.Unlock()
	t.Cleanup(func() {
		pool.mu.Lock()
		pool.limit = limit
		pool.mu.Unlock()
		for _, p := range lent {
			p.lease.lent.Store(true)
			pool.Put(p)
		}
	})
}

// TestWithoutAPoolWhatAPipeHoldsIsHadAllTheSame, if not as much at a time.
func TestWithoutAPoolWhatAPipeHoldsIsHadAllTheSame(t *testing.T) {
	for name, call := range map[string]func(p *KernelPipe) (string, error){
		"a glance": func(p *KernelPipe) (string, error) {
			b := make([]byte, 5)
			n, err := p.PeekInto(b)
			return string(b[:n]), err
		},
		"peek": func(p *KernelPipe) (string, error) {
			b, err := p.Peek(5)
			return string(b), err
		},
		"tee": func(p *KernelPipe) (string, error) {
			m := smallPipe(t, 1)
			_, err := Tee(background, m, p, 5, 0)
			return mustRead(t, m, m.Len()), err
		},
		"splice to a writer": func(p *KernelPipe) (string, error) {
			var b bytes.Buffer
			_, err := Splice(background, &b, p, 5, 0)
			return b.String(), err
		},
		"copy": func(p *KernelPipe) (string, error) {
			var b bytes.Buffer
			_, err := Copy(background, &b, p)
			return b.String(), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			withoutPool(t)
			p := newKernelPipe(t, 0)
			p.Write([]byte("hello"))
			p.CloseWrite()
			if got, err := call(p); got != "hello" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// TestALongPipeIsCopiedThroughAShortSidePipe, all of it.
func TestALongPipeIsCopiedThroughAShortSidePipe(t *testing.T) {
	withoutPool(t)
	p := newKernelPipe(t, 0)
	want := bytes.Repeat([]byte("penstock"), p.Cap()/8)
	p.Write(want)
	p.CloseWrite()
	var got bytes.Buffer
	if rep, err := Copy(background, &got, p); err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%d bytes of %d: %v, %v", got.Len(), len(want), rep, err)
	}
}

// TestAPeekSaysWhatASidePipeCannotShow, and does not wait, or spin, for what would be no better.
func TestAPeekSaysWhatASidePipeCannotShow(t *testing.T) {
	withoutPool(t)
	p := newKernelPipe(t, 0)
	want := bytes.Repeat([]byte("penstock"), p.Cap()/8)
	p.Write(want)
	for _, n := range []int{p.Cap(), p.Cap() + 1} {
		var b []byte
		err := endsSoon(t, func() (err error) { b, err = p.Peek(n); return err })
		if !errors.Is(err, ErrNoKernelPipe) || len(b) == 0 || !bytes.HasPrefix(want, b) {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	}
	b := make([]byte, p.Cap())
	if n, err := p.PeekInto(b); n == 0 || err != nil || !bytes.HasPrefix(want, b[:n]) {
		t.Errorf("%d bytes, %v", n, err)
	}
}
