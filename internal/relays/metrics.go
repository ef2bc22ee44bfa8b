package relays

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics serves the same facts as the API, to Prometheus.
func metrics(s *Set) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		&collector{s},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// collector reads the relays when it is asked, so that nothing is counted twice. No series is of one connection, or of
// one client.
type collector struct{ s *Set }

// ofRelay describes a series of a relay's: no two listen at one address, although one that leaves may have the name of
// another.
func ofRelay(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("penstock_relay_"+name, help, append([]string{"relay", "listen"}, labels...), nil)
}

func ofAll(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("penstock_"+name, help, nil, nil)
}

// The names are those that HAProxy gives the same things, where it has them, with the relay as label.
var (
	descUp          = ofRelay("up", "1 while the relay accepts connections.")
	descOpen        = ofRelay("current_connections", "Connections that are open.")
	descLimit       = ofRelay("limit_connections", "Connections that there may be; 0 is no limit.")
	descAccepted    = ofRelay("connections_total", "Connections accepted.")
	descRefused     = ofRelay("connections_refused_total", "Connections refused by a list or a limit.")
	descEnds        = ofRelay("connections_ended_total", "Connections that are over, by how they ended.", "termination")
	descIn          = ofRelay("bytes_in_total", "Bytes from clients that targets took.")
	descOut         = ofRelay("bytes_out_total", "Bytes from targets that clients took.")
	descSpliced     = ofRelay("spliced_bytes_total", "Bytes that did not enter the process.")
	descMirrored    = ofRelay("mirror_bytes_total", "Bytes that mirrors took.")
	descLost        = ofRelay("mirror_lost_bytes_total", "Bytes that mirrors should have had, and lack.")
	descRetries     = ofRelay("retries_total", "Attempts to connect to a target that failed.")
	descScarce      = ofRelay("accept_failures_total", "Times that nothing could be accepted for want of descriptors.")
	descTargetUp    = ofRelay("target_up", "1 while the target is up.", "target")
	descTargetOpen  = ofRelay("target_current_connections", "Connections to the target.", "target")
	descTargetTotal = ofRelay("target_connection_attempts_total", "Connections to the target, and attempts.", "target")
	descTargetFail  = ofRelay("target_connection_errors_total", "Connections and checks that failed.", "target")

	descAccessLost = ofAll("access_log_lost_lines_total", "Lines that the access log lacks.")
	descReload     = ofAll("config_last_reload_successful", "0 if the last configuration was refused.")
	descReloaded   = ofAll("config_last_reload_success_timestamp_seconds", "When a configuration was taken last.")
)

// Describe describes nothing: which series there are depends on the relays.
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
	for _, f := range c.s.facts() {
		ch.relay(f)
	}
	ch.counter(descAccessLost, c.s.access.lost.Load())
	last := c.s.lastChange()
	ch.gauge(descReload, truth(last.failed == nil))
	ch.gauge(descReloaded, float64(last.at.Unix()))
}

func (ch samples) relay(f facts) {
	listen := f.Key
	ch.gauge(descUp, truth(f.State == listening), f.Name, listen)
	ch.gauge(descOpen, float64(f.Open), f.Name, listen)
	ch.gauge(descLimit, float64(f.Limit), f.Name, listen)
	ch.counter(descAccepted, f.Accepted, f.Name, listen)
	ch.counter(descRefused, f.Refused, f.Name, listen)
	for how, n := range f.Ends {
		ch.counter(descEnds, n, f.Name, listen, how)
	}
	ch.counter(descIn, f.Forward, f.Name, listen)
	ch.counter(descOut, f.Backward, f.Name, listen)
	ch.counter(descSpliced, f.Spliced, f.Name, listen)
	ch.counter(descMirrored, f.Mirrored, f.Name, listen)
	ch.counter(descLost, f.Lost, f.Name, listen)
	ch.counter(descRetries, f.Retried, f.Name, listen)
	ch.counter(descScarce, f.Scarce, f.Name, listen)
	for _, t := range f.Targets {
		ch.gauge(descTargetUp, truth(t.Up), f.Name, listen, t.Target)
		ch.gauge(descTargetOpen, float64(t.Open), f.Name, listen, t.Target)
		ch.counter(descTargetTotal, t.Total, f.Name, listen, t.Target)
		ch.counter(descTargetFail, t.Failed, f.Name, listen, t.Target)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
