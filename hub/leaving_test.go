package hub_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

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
		src := penstock.SourceOf(bytes.NewReader([]byte("a piece")))
		if _, err := h.Publish(t.Context(), src, hub.PublishConfig{}); err != nil {
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

// reluctant is a sink whose interruption takes until it is let.
type reluctant struct {
	stuckSink
	interrupted, let chan struct{}
}

func (r *reluctant) Interrupt() {
	r.stuckSink.Interrupt()
	close(r.interrupted)
	<-r.let
}

// TestASinkThatHasLeftIsNotInterrupted: once OnLeave is called the sink is its owner's, who may use it for something
// else.
func TestASinkThatHasLeftIsNotInterrupted(t *testing.T) {
	for name, cut := range map[string]func(*hub.Hub, *hub.Viewer){
		"by its owner":       func(_ *hub.Hub, v *hub.Viewer) { v.Leave(errTired) },
		"with all others":    func(h *hub.Hub, _ *hub.Viewer) { h.Abort(errTired) },
		"for being too late": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hub.New(hub.Config{NoSplice: true, Ring: 4 << 10})
				sink := &reluctant{stuckSink{quit: make(chan struct{})}, make(chan struct{}), make(chan struct{})}
				left := false
				v, err := h.Attach(sink, hub.SinkConfig{OnLeave: func(error) { left = true }})
				if err != nil {
					t.Fatal(err)
				}
				src := newEndless()
				stop := published(h, src)
				src.chunks(t, 1)
				synctest.Wait()
				if cut != nil {
					go cut(h, v)
				} else {
					go src.chunks(t, 1)
				}
				<-sink.interrupted
				synctest.Wait() // its write has returned
				if left {
					t.Error("it has left while it is being interrupted")
				}
				close(sink.let)
				if err := v.Err(); !errors.Is(err, errTired) && !errors.Is(err, hub.ErrTooSlow) {
					t.Error(err)
				}
				stop()
				h.End()
				h.Wait()
			})
		})
	}
}
