package tell

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics serves, in the text format of Prometheus, what collect has to tell each time that it is asked, so that
// nothing is counted twice; and what there is to tell of any Go process.
func Metrics(collect ...func(Samples)) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	for _, c := range collect {
		reg.MustRegister(collector(c))
	}
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
}

// collector is a prometheus.Collector of series that depend on what there is at the time.
type collector func(Samples)

// Describe describes nothing: so the registry takes any series.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect is called when somebody asks.
func (c collector) Collect(ch chan<- prometheus.Metric) { c(ch) }

// Samples is where what has been read goes. It panics if there are more labels, or fewer, than the series has.
type Samples chan<- prometheus.Metric

// Gauge adds a value that goes up and down.
func (ch Samples) Gauge(d *prometheus.Desc, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// Counter adds a value that only grows.
func (ch Samples) Counter(d *prometheus.Desc, v int64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

// Truth adds a value that is 1 or 0.
func (ch Samples) Truth(d *prometheus.Desc, is bool, labels ...string) {
	v := 0.0
	if is {
		v = 1
	}
	ch.Gauge(d, v, labels...)
}
