package hub_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// What a viewer leaves behind, and when its sink is its owner's again.

// TestWhenAllHaveLeftNothingIsLent ends the hub while viewers come back into step, each with a pipe of its own.
func TestWhenAllHaveLeftNothingIsLent(t *testing.T) {
	pool := penstock.NewPool(0)
	defer pool.Close()
	for round := range 2000 {
		h := hub.New(hub.Config{Pool: pool, OnSlow: hub.Block})
		var took sync.WaitGroup
		for range 2 {
			took.Add(1)
			if _, err := h.Attach(penstock.SinkOf(&taker{took: &took}), hub.SinkConfig{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.Publish(t.Context(), penstock.SourceOf(bytes.NewReader([]byte("a piece"))), hub.PublishConfig{}); err != nil {
			t.Fatal(err)
		}
		took.Wait()
		h.End()
		h.Wait()
		if s := pool.Stats(); s.Held != s.Idle {
			t.Fatalf("round %d: %d bytes of pipes are still lent", round, s.Held-s.Idle)
		}
	}
}

// taker is a writer that says when it is written to for the first time.
type taker struct {
	once sync.Once
	took *sync.WaitGroup
}

func (w *taker) Write(b []byte) (int, error) {
	w.once.Do(w.took.Done)
	return len(b), nil
}
