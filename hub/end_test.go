package hub_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// TestWhatComesAfterTheEndIsNobodys ends a hub while its publisher waits for the source: whoever was in step has left when
// that has more, and so nobody gets it, a slow viewer and the count included.
func TestWhatComesAfterTheEndIsNobodys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Config{NoSplice: true})
		var skips int
		onSkip := func(from, to int64) { skips++ }
		swift, slow := &gate{open: make(chan struct{})}, &gate{open: make(chan struct{})}
		close(swift.open)
		for _, g := range []*gate{swift, slow} {
			if _, err := h.Attach(g, hub.SinkConfig{OnSlow: hub.Block, OnSkip: onSkip}); err != nil {
				t.Fatal(err)
			}
		}
		p := newPacer()
		var n int64
		done := make(chan error)
		go func() {
			var err error
			n, err = h.Publish(context.Background(), p.src, hub.PublishConfig{})
			done <- err
		}()
		p.pipe.Write([]byte("before"))
		synctest.Wait()
		h.End()
		p.pipe.Write([]byte("after"))
		if err := <-done; !errors.Is(err, hub.ErrEnded) || n != 6 {
			t.Errorf("published %d, %v", n, err)
		}
		close(slow.open)
		h.Wait()
		same(t, "swift viewer", swift.bytes(), []byte("before"))
		same(t, "slow viewer", slow.bytes(), []byte("before"))
		if in := h.Stats().BytesIn; in != n || skips != 0 {
			t.Errorf("%d bytes in, %d skips", in, skips)
		}
		p.pipe.Close()
	})
}

// TestAnEndedHubLeavesItsBudgetOnce has publishers come all the same. The other hub's bound is half of the budget, then.
func TestAnEndedHubLeavesItsBudgetOnce(t *testing.T) {
	budget := hub.NewBudget(16 << 20)
	var hubs []*hub.Hub
	for range 3 {
		hubs = append(hubs, hub.New(hub.Config{NoSplice: true, Budget: budget, Ring: 64 << 20}))
	}
	hubs[0].End()
	for range 5 {
		if _, err := hubs[0].Publish(t.Context(), penstock.SourceOf(bytes.NewReader([]byte("late"))), hub.PublishConfig{}); !errors.Is(err, hub.ErrEnded) {
			t.Error(err)
		}
	}
	for _, h := range hubs[1:] {
		if _, err := h.Attach(&stuckSink{quit: make(chan struct{})}, hub.SinkConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range hubs[1:] { // the stuck viewer of each would hold 12 MiB, which one may and both may not
		if _, err := h.Publish(t.Context(), penstock.SourceOf(io.LimitReader(blank{}, 12<<20)), hub.PublishConfig{}); err != nil {
			t.Error(err)
		}
	}
	if n := hubs[2].Stats().Ring; n > 10<<20 {
		t.Errorf("%d bytes are held by one of two hubs, of a budget of %d", n, budget.Limit())
	}
	for _, h := range hubs[1:] {
		h.Abort(errTired)
		h.End()
		h.Wait()
	}
}

// blank is a Reader without an end.
type blank struct{}

func (blank) Read(b []byte) (int, error) { clear(b); return len(b), nil }
