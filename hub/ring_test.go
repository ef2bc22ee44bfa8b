package hub_test

import (
	"testing"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// longUnit is a unit that is as long as 3 runs, and then one with each run: all are join points.
type longUnit struct{ runs int }

func (l *longUnit) Scan(run []byte) (join, cut, end int) {
	if l.runs++; l.runs == 2 || l.runs == 3 {
		return -1, -1, len(run)
	}
	return 0, 0, len(run)
}
func (l *longUnit) Header() []byte { return nil }

// TestWhoStaysForeverDoesNotMakeTheRingLonger has a viewer that may skip take nothing any more in the midst of a unit,
// while the stream goes on.
func TestWhoStaysForeverDoesNotMakeTheRingLonger(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		cfg.Ring = 1 << 20
		h := hub.New(cfg)
		v, err := h.Attach(&stuckSink{quit: make(chan struct{})}, hub.SinkConfig{OnSlow: hub.Skip})
		if err != nil {
			t.Fatal(err)
		}
		short := make([]string, 10_000)
		for i := range short {
			short[i] = "a short run"
		}
		scan := func([]byte) hub.Scanner { return &longUnit{} }
		if _, err := h.Publish(t.Context(), penstock.SourceOf(&pieces{short}), hub.PublishConfig{Scan: scan}); err != nil {
			t.Fatal(err)
		}
		if n := h.Chunks(); n > 1000 {
			t.Errorf("the ring remembers %d chunks, for %d bytes", n, h.Stats().Ring)
		}
		select {
		case <-v.Done():
			t.Errorf("it has left: %v", v.Err())
		default:
		}
		h.Abort(errTired)
		h.End()
		h.Wait()
	})
}
