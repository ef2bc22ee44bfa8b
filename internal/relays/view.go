package relays

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-io/penstock/internal/tell"
)

// View is what is told of a Set by a server that has other things to tell, too: it ends no connections, since others
// may get to that server than should.
type View struct{ set *Set }

// View returns the Set's.
func (s *Set) View() View { return View{s} }

// pageEvent is what the page's event of relays is called.
const pageEvent = "relays"

// Route adds what programs ask for.
func (v View) Route(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/relays", func(w http.ResponseWriter, _ *http.Request) { tell.JSON(w, v.set.facts()) })
	mux.HandleFunc("GET /api/v1/connections", func(w http.ResponseWriter, r *http.Request) {
		c, err := parseChoice(r.URL.Query())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		tell.JSON(w, v.set.connections(c))
	})
}

// Event returns what the page is told.
func (v View) Event() (name string, facts func() any) {
	return pageEvent, func() any { return v.set.pageFacts(false) }
}

// Collect tells Prometheus.
func (v View) Collect(ch chan<- prometheus.Metric) { v.set.collect(ch) }

// Health says why somebody should send his connections elsewhere: the relays are being shut down, or one of them has
// ceased to accept. nil is that all is well.
func (v View) Health() error {
	if v.set.isDraining() {
		return errors.New("shutting down")
	}
	for _, one := range v.set.all() {
		if one.failed != nil {
			return fmt.Errorf("%s: %w", one.spec.Config.Name, one.failed)
		}
	}
	return nil
}
