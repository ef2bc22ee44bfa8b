package live

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics serves the same facts as the API, to Prometheus.
func (s *Server) metrics() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		&collector{s},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// collector reads the streams when it is asked, so that nothing is counted twice.
type collector struct{ s *Server }

var (
	byStream = []string{"stream"}

	descLive      = prometheus.NewDesc("penstock_stream_live", "1 while the stream has a publisher.", byStream, nil)
	descViewers   = prometheus.NewDesc("penstock_stream_viewers", "Viewers connected.", byStream, nil)
	descIn        = prometheus.NewDesc("penstock_stream_in_bytes_total", "Bytes published.", byStream, nil)
	descOut       = prometheus.NewDesc("penstock_stream_out_bytes_total", "Bytes that viewers' sockets took.", byStream, nil)
	descRing      = prometheus.NewDesc("penstock_stream_ring_bytes", "Bytes held for viewers that have not got them yet.", byStream, nil)
	descGap       = prometheus.NewDesc("penstock_stream_recording_gap", "1 while nothing can be written to the recording.", byStream, nil)
	descGaps      = prometheus.NewDesc("penstock_stream_recording_gaps_total", "Runs of the stream that could not be written.", byStream, nil)
	descGapBytes  = prometheus.NewDesc("penstock_stream_recording_gap_bytes_total", "Bytes in these.", byStream, nil)
	descDoubt     = prometheus.NewDesc("penstock_stream_recording_doubt_bytes_total", "Bytes written that a failed sync leaves in doubt.", byStream, nil)
	descRecorded  = prometheus.NewDesc("penstock_stream_recording_bytes_total", "Bytes written to the recording.", byStream, nil)
	descPath      = prometheus.NewDesc("penstock_stream_edges", "Edges of the stream by the path that their bytes take.", []string{"stream", "path"}, nil)
	descPipes     = prometheus.NewDesc("penstock_pipe_bytes", "Capacity of the kernel pipes that exist.", nil, nil)
	descPipesIdle = prometheus.NewDesc("penstock_pipe_idle_bytes", "Capacity of those that are not in use.", nil, nil)
)

// Describe describes nothing: which series there are depends on the streams.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	for _, f := range c.s.facts(everyViewer) {
		gauge(descLive, truth(f.State == live), f.Name)
		gauge(descViewers, float64(f.Viewers), f.Name)
		counter(descIn, float64(f.BytesIn), f.Name)
		counter(descOut, float64(f.BytesOut), f.Name)
		gauge(descRing, float64(f.Ring), f.Name)
		if r := f.Recording; r != nil {
			gauge(descGap, truth(r.GapSince != nil), f.Name)
			counter(descGaps, float64(r.Gaps), f.Name)
			counter(descGapBytes, float64(r.GapBytes), f.Name)
			counter(descDoubt, float64(r.DoubtBytes), f.Name)
			counter(descRecorded, float64(r.Bytes), f.Name)
		}
		paths := make(map[string]int)
		for _, e := range f.Edges {
			if e.Path != "" {
				paths[e.Path]++
			}
		}
		for path, n := range paths {
			gauge(descPath, float64(n), f.Name, path)
		}
	}
	if c.s.pool != nil {
		p := c.s.pool.Stats()
		gauge(descPipes, float64(p.Held))
		gauge(descPipesIdle, float64(p.Idle))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
