package live

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// Beside is another service of the same process, which the server's own HTTP tells of, too. Its methods may be called
// from any goroutine.
type Beside interface {
	Route(mux *http.ServeMux)               // adds what programs ask for; called once for each Handler
	Event() (name string, facts func() any) // what the page is told each second, in JSON
	Collect(ch chan<- prometheus.Metric)    // puts there what Prometheus is told
	Health() error                          // why /healthz is not to be ok; nil is that all is well
}
