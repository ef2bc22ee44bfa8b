package live

import (
	"net/http"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/penstock-io/penstock/hub"
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

// collector reads the streams when it is asked, so that nothing is counted twice. No series is of one viewer: how many
// there are depends on the streams, of which there are at most maxStreams.
type collector struct{ s *Server }

// desc describes a series of the server's, or with "stream" and maybe others as labels, of a stream's.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("penstock_"+name, help, labels, nil)
}

var (
	descLive     = desc("stream_live", "1 while the stream has a publisher.", "stream")
	descViewers  = desc("stream_viewers", "Viewers connected.", "stream")
	descIn       = desc("stream_in_bytes_total", "Bytes published.", "stream")
	descOut      = desc("stream_out_bytes_total", "Bytes that viewers' sockets took.", "stream")
	descOutBy    = desc("stream_out_path_bytes_total", "Of these, by the path that they took.", "stream", "path")
	descPath     = desc("stream_edges", "Edges of the stream by the path that their bytes take.", "stream", "path")
	descCalls    = desc("stream_system_calls_total", "System calls that took the bytes in and out.", "stream")
	descRing     = desc("stream_ring_bytes", "Bytes held for viewers that have not got them yet.", "stream")
	descSlow     = desc("stream_slow_sinks", "Viewers that are not in step, and the recording if that is not.", "stream")
	descLag      = desc("stream_lag_bytes_max", "How far behind the slowest viewer is.", "stream")
	descBehind   = desc("stream_lag_seconds_max", "How long ago was published what the latest viewer gets next.", "stream")
	descStalls   = desc("stream_stalls_total", "Times that a viewer's socket took nothing at once.", "stream")
	descSkips    = desc("stream_skips_total", "Times that a viewer missed something.", "stream")
	descSkipped  = desc("stream_skipped_bytes_total", "Bytes that viewers missed.", "stream")
	descLeft     = desc("stream_viewer_leaves_total", "Viewers that have left, by the reason.", "stream", "reason")
	descGap      = desc("stream_recording_gap", "1 while nothing can be written to the recording.", "stream")
	descGaps     = desc("stream_recording_gaps_total", "Runs of the stream that could not be written.", "stream")
	descGapBytes = desc("stream_recording_gap_bytes_total", "Bytes in these.", "stream")
	descDoubt    = desc("stream_recording_doubt_bytes_total", "Bytes written that a failed sync puts in doubt.", "stream")
	descRecorded = desc("stream_recording_bytes_total", "Bytes written to the recording.", "stream")

	descMemory      = desc("memory_bytes", "Bytes that all streams keep in memory for their viewers.")
	descMemoryLimit = desc("memory_limit_bytes", "How many they may keep; 0 is no limit.")
	descMaxViewers  = desc("viewers_limit", "Viewers of all streams that there may be; 0 is no limit.")
	descPipes       = desc("pipe_bytes", "Capacity of the kernel pipes that exist.")
	descPipesIdle   = desc("pipe_idle_bytes", "Capacity of those that are not in use.")
)

// Describe describes nothing: which series there are depends on the streams.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// samples is where a collector puts what it has read.
type samples chan<- prometheus.Metric

func (ch samples) gauge(d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (ch samples) counter(d *prometheus.Desc, v int64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	ch := samples(out)
	for _, f := range c.s.facts(-1) {
		ch.stream(f)
	}
	f := c.s.serverFacts()
	ch.gauge(descMemory, float64(f.Memory))
	ch.gauge(descMemoryLimit, float64(f.MemoryLimit))
	ch.gauge(descMaxViewers, float64(f.MaxViewers))
	if c.s.pool != nil {
		ch.gauge(descPipes, float64(f.Pipes))
		ch.gauge(descPipesIdle, float64(f.PipesIdle))
	}
}

func (ch samples) stream(f streamFacts) {
	ch.gauge(descLive, truth(f.State == live), f.Name)
	ch.gauge(descViewers, float64(f.Viewers), f.Name)
	ch.gauge(descRing, float64(f.Ring), f.Name)
	ch.gauge(descSlow, float64(f.Slow), f.Name)
	ch.counter(descIn, f.BytesIn, f.Name)
	ch.counter(descOut, f.BytesOut, f.Name)
	for path, n := range f.By {
		ch.counter(descOutBy, n, f.Name, path)
	}
	ch.counter(descCalls, f.Calls, f.Name)
	ch.counter(descStalls, f.Stalls, f.Name)
	ch.counter(descSkips, f.Skips, f.Name)
	ch.counter(descSkipped, f.Skipped, f.Name)
	left := make(map[string]int64)
	for why, n := range f.Left {
		left[reasonLabel(why)] += n
	}
	for reason, n := range left {
		ch.counter(descLeft, n, f.Name, reason)
	}
	if r := f.Recording; r != nil {
		ch.gauge(descGap, truth(r.GapSince != nil), f.Name)
		ch.counter(descGaps, int64(r.Gaps), f.Name)
		ch.counter(descGapBytes, r.GapBytes, f.Name)
		ch.counter(descDoubt, r.DoubtBytes, f.Name)
		ch.counter(descRecorded, r.Bytes, f.Name)
	}
	var lag int64
	var behind float64
	paths := make(map[string]int)
	for _, e := range f.Edges {
		if e.Path != "" {
			paths[e.Path]++
		}
		if strings.HasPrefix(e.To, viewerPrefix) {
			lag, behind = max(lag, e.Lag), max(behind, e.Behind)
		}
	}
	ch.gauge(descLag, float64(lag), f.Name)
	ch.gauge(descBehind, behind, f.Name)
	for path, n := range paths {
		ch.gauge(descPath, float64(n), f.Name, path)
	}
}

// reasonLabel keeps the reasons few: what is not the server's own doing is "error", whatever the kernel calls it.
func reasonLabel(why string) string {
	switch why {
	case "end of the stream":
		return "end"
	case hub.ErrTooSlow.Error():
		return "slow"
	case hub.ErrStalled.Error():
		return "stalled"
	case errViewerClosed.Error(), syscall.EPIPE.Error(), syscall.ECONNRESET.Error():
		return "closed"
	case errShutdown.Error():
		return "shutdown"
	default:
		return "error"
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
