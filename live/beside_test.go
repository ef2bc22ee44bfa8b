package live_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-io/penstock/live"
)

// neighbour is a service that is told of beside a server.
type neighbour struct{ ill atomic.Bool }

var _ live.Beside = (*neighbour)(nil)

func (*neighbour) Route(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/neighbour", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") })
}

func (*neighbour) Event() (string, func() any) {
	return "neighbour", func() any { return map[string]int{"rooms": 3} }
}

func (*neighbour) Collect(ch chan<- prometheus.Metric) {
	d := prometheus.NewDesc("neighbour_rooms", "Rooms.", nil, nil)
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, 3)
}

func (n *neighbour) Health() error {
	if n.ill.Load() {
		return errors.New("the neighbour is ill")
	}
	return nil
}

func TestAServerTellsOfItsNeighbour(t *testing.T) {
	var n neighbour
	s := start(t, live.Config{Beside: &n})
	if got := string(s.get("/api/v1/neighbour")); got != "here" {
		t.Errorf("its API says %q", got)
	}
	if m := s.metrics(); m["neighbour_rooms"] != 3 || m["go_goroutines"] == 0 {
		t.Errorf("its metrics are %v", m)
	}
	if got := s.firstEvent("neighbour"); got != `{"rooms":3}` {
		t.Errorf("the page is told %q", got)
	}
	if got := s.firstEvent("streams"); got != "[]" {
		t.Errorf("the page is told of the streams %q", got)
	}
	health := func() (int, string) {
		r, err := http.Get(s.url("/healthz"))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, strings.TrimSpace(string(b))
	}
	if code, text := health(); code != 200 || text != "ok" {
		t.Errorf("%d %s", code, text)
	}
	n.ill.Store(true)
	if code, text := health(); code != 503 || text != "the neighbour is ill" {
		t.Errorf("%d %s", code, text)
	}
}
