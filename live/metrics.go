package live

import (
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-io/penstock/hub"
	"github.com/penstock-io/penstock/internal/tell"
)

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

// collect tells the same facts as the API. No series is of one viewer: how many there are depends on the streams, of
// which there are at most maxStreams.
func (s *Server) collect(ch tell.Samples) {
	for _, f := range s.facts(-1) {
		f.collect(ch)
	}
	f := s.serverFacts()
	ch.Gauge(descMemory, float64(f.Memory))
	ch.Gauge(descMemoryLimit, float64(f.MemoryLimit))
	ch.Gauge(descMaxViewers, float64(f.MaxViewers))
	if s.pool != nil {
		ch.Gauge(descPipes, float64(f.Pipes))
		ch.Gauge(descPipesIdle, float64(f.PipesIdle))
	}
}

func (f *streamFacts) collect(ch tell.Samples) {
	ch.Truth(descLive, f.State == live, f.Name)
	ch.Gauge(descViewers, float64(f.Viewers), f.Name)
	ch.Gauge(descRing, float64(f.Ring), f.Name)
	ch.Gauge(descSlow, float64(f.Slow), f.Name)
	ch.Counter(descIn, f.BytesIn, f.Name)
	ch.Counter(descOut, f.BytesOut, f.Name)
	for path, n := range f.By {
		ch.Counter(descOutBy, n, f.Name, path)
	}
	ch.Counter(descCalls, f.Calls, f.Name)
	ch.Counter(descStalls, f.Stalls, f.Name)
	ch.Counter(descSkips, f.Skips, f.Name)
	ch.Counter(descSkipped, f.Skipped, f.Name)
	left := make(map[string]int64)
	for why, n := range f.Left {
		left[reasonLabel(why)] += n
	}
	for reason, n := range left {
		ch.Counter(descLeft, n, f.Name, reason)
	}
	if r := f.Recording; r != nil {
		ch.Truth(descGap, r.GapSince != nil, f.Name)
		ch.Counter(descGaps, int64(r.Gaps), f.Name)
		ch.Counter(descGapBytes, r.GapBytes, f.Name)
		ch.Counter(descDoubt, r.DoubtBytes, f.Name)
		ch.Counter(descRecorded, r.Bytes, f.Name)
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
	ch.Gauge(descLag, float64(lag), f.Name)
	ch.Gauge(descBehind, behind, f.Name)
	for path, n := range paths {
		ch.Gauge(descPath, float64(n), f.Name, path)
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
