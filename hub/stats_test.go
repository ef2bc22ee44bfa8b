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
