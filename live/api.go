package live

import (
	"fmt"
	"net/http"

	"github.com/penstock-io/penstock/internal/tell"
)

// routeAPI adds what programs ask for.
func (s *Server) routeAPI(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /api/v1/streams", func(w http.ResponseWriter, _ *http.Request) { tell.JSON(w, s.facts(-1)) })
	mux.HandleFunc("GET /api/v1/server", func(w http.ResponseWriter, _ *http.Request) { tell.JSON(w, s.serverFacts()) })
	mux.Handle("GET /api/v1/events", tell.Events(s.log, s.stopping.Done(),
		tell.Event{Name: "streams", Facts: func() any { return s.facts(pageViewers) }},
		tell.Event{Name: "server", Facts: func() any { return s.serverFacts() }}))
	mux.Handle("GET /metrics", tell.Metrics(s.collect))
}
