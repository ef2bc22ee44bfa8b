package penstock

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestALargeWriteGoesToTheReaderWhoWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leakless(t)
		p := openPipe(t, 0)
		want := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
		var wg sync.WaitGroup
		got := make([]byte, 40<<10)
		wg.Go(func() {
			if n, err := p.Read(got); n != len(got) || err != nil {
				t.Error(n, err)
			}
		})
		synctest.Wait()
		if n, err := p.Write(want); n != len(want) || err != nil {
			t.Fatal(n, err)
		}
		if rest := p.slot(p.tail); p.head != 1 || rest.offset != 0 || rest.Len() != len(want)-len(got) {
			t.Errorf("%d buffers, %d bytes from %d on", p.head, rest.Len(), rest.offset)
		}
		wg.Wait()
		if rest := mustRead(t, p, p.Len()); string(got)+rest != string(want) {
			t.Error("other bytes")
		}
	})
}

func TestAtomicWritesStayWholeWhenHandedOver(t *testing.T) {
	leakless(t)
	p := openPipe(t, 2)
	const size, writers, times = 40 << 10, 3, 3000
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			b := bytes.Repeat([]byte{byte(w)}, size)
			for range times {
				if n, err := p.Write(b); n != size || err != nil {
					t.Error(n, err)
				}
			}
		})
	}
	go func() { wg.Wait(); p.CloseWrite() }()
	buf, run, last, total := make([]byte, 100<<10), 0, byte(0), 0
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(60))*time.Microsecond)
		n, err := p.ReadContext(ctx, buf[:1+rand.IntN(len(buf))])
		cancel()
		if n > 0 && err != nil {
			t.Fatal(n, err)
		}
		for _, c := range buf[:n] {
			if c != last && run%size != 0 {
				t.Fatalf("a write was torn after %d", run)
			}
			if c != last {
				run, last = 0, c
			}
			run++
		}
		total += n
		if err == io.EOF {
			break
		}
	}
	if total != size*writers*times {
		t.Error(total)
	}
}
