package hub

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/penstock-io/penstock"
)

// TestAChunkMovesToMemoryWholeWhileOthersUseTheArena: then any page of it may be one that somebody else has begun.
func TestAChunkMovesToMemoryWholeWhileOthersUseTheArena(t *testing.T) {
	var arena penstock.Arena
	var stop atomic.Bool
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for !stop.Load() {
				mem := arena.NewPipe(16)
				for range 8 {
					_, _ = penstock.Splice(context.Background(), mem, bytes.NewReader(make([]byte, 50_000)), 50_000, penstock.NonBlock)
				}
				mem.Close()
			}
		})
	}
	defer func() {
		stop.Store(true)
		wg.Wait()
		arena.Close()
	}()
	n := 15*penstock.DefaultPageSize - 1
	for range 300 {
		kp, err := penstock.NewKernelPipe(1 << 20)
		if err != nil {
			t.Skip(err)
		}
		if kp.Cap() < n {
			kp.Close()
			t.Skip("this user's pipe budget is used up")
		}
		if _, err := kp.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		c := &chunk{n: n, pipe: kp}
		c.toMemoryLocked(&arena, "test")
		got := c.pipe.Len()
		kp.Close()
		c.pipe.Close()
		if c.err != nil || got != n {
			t.Fatalf("%d of %d: %v", got, n, c.err)
		}
	}
}
