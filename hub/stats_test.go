package hub_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// TestCountersAreOfViewersAndOutliveThem has a recording, which is none, and two viewers that leave for different
// reasons.
func TestCountersAreOfViewersAndOutliveThem(t *testing.T) {
	h := hub.New(hub.Config{NoSplice: true})
	attach := func(cfg hub.SinkConfig) *hub.Viewer {
		v, err := h.Attach(penstock.SinkOf(io.Discard), cfg)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	attach(hub.SinkConfig{Name: "recording", MustHave: true})
	early := attach(hub.SinkConfig{Name: "early"})
	attach(hub.SinkConfig{Name: "late"})
	publish := func(n int64) {
		src := penstock.SourceOf(bytes.NewReader(make([]byte, n)))
		if got, err := h.Publish(t.Context(), src, hub.PublishConfig{}); got != n || err != nil {
			t.Fatalf("%d bytes, %v", got, err)
		}
	}
	publish(1000)
	until(h, func(s hub.Stats) bool { return s.BytesOut == 2000 })
	early.Leave(errors.New("enough"))
	<-early.Done()
	publish(500)
	h.End()
	h.Wait()

	s := h.Stats()
	var by int64
	for _, c := range s.By {
		by += c.Bytes
	}
	if s.BytesIn != 1500 || s.BytesOut != 2500 || by != s.BytesOut || s.Calls == 0 || s.Sinks != 0 {
		t.Errorf("%+v", s)
	}
	left := make(map[string]int64)
	for _, r := range s.Left {
		left[r.Why] += r.N
	}
	if len(left) != 2 || left["enough"] != 1 || left["end of the stream"] != 1 {
		t.Errorf("left: %v", left)
	}
}

// TestAStallIsCountedWhereverItComes has a viewer that reads nothing of what is kept for a fast start: it is behind from
// the first, in no fast loop.
func TestAStallIsCountedWhereverItComes(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		cfg.FastStart, cfg.Ring, cfg.OnSlow = 32<<20, 64<<20, hub.Disconnect
		h := hub.New(cfg)
		src := penstock.SourceOf(bytes.NewReader(append([]byte("#"), make([]byte, 16<<20)...)))
		if _, err := h.Publish(t.Context(), src, hub.PublishConfig{Scan: ofMarks}); err != nil {
			t.Fatal(err)
		}
		v, far := attach(t, h, hub.SinkConfig{Name: "viewer"})
		until(h, func(s hub.Stats) bool { return s.Stalls > 0 })
		if s := h.Stats(); s.Viewers[0].Stalls == 0 || s.Viewers[0].Lag == 0 {
			t.Errorf("told of who stalls: %+v", s.Viewers[0])
		}
		got := receive(far)
		h.End()
		if err := v.Err(); err != nil {
			t.Error(err)
		}
		h.Wait()
		if n := len(got.all(t)); n != 1+16<<20 {
			t.Errorf("%d bytes", n)
		}
	})
}
