package live

import (
	"fmt"
	"net/http"

	"github.com/penstock-io/penstock/internal/tell"
)

// routeAPI adds what programs ask for.
func (s *Server) routeAPI(mux *http.ServeMux) {
	events := []tell.Event{
		{Name: "streams", Facts: func() any { return s.facts(pageViewers) }},
		{Name: "server", Facts: func() any { return s.serverFacts() }},
	}
	collect := []func(tell.Samples){s.collect}
	if b := s.cfg.Beside; b != nil {
		b.Route(mux)
		name, facts := b.Event()
		events = append(events, tell.Event{Name: name, Facts: facts})
		collect = append(collect, func(ch tell.Samples) { b.Collect(ch) })
	}
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /api/v1/streams", func(w http.ResponseWriter, _ *http.Request) { tell.JSON(w, s.facts(-1)) })
	mux.HandleFunc("GET /api/v1/server", func(w http.ResponseWriter, _ *http.Request) { tell.JSON(w, s.serverFacts()) })
	mux.Handle("GET /api/v1/events", tell.Events(s.log, s.stopping.Done(), events...))
	mux.Handle("GET /metrics", tell.Metrics(collect...))
}

// health is ok as long as the server answers, and what is beside it is well.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	if b := s.cfg.Beside; b != nil {
		if err := b.Health(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ok")
}
