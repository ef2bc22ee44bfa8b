package live

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// routeAPI adds what programs ask for.
func (s *Server) routeAPI(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /api/v1/streams", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(s.facts(-1)) // a client that is gone does not read it
	})
	mux.HandleFunc("GET /api/v1/server", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(s.serverFacts())
	})
	mux.HandleFunc("GET /api/v1/events", s.events)
	mux.Handle("GET /metrics", s.metrics())
}

// events serves the page's server-sent events: the facts of the streams and those of the server, at once and then every
// second.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	const every = time.Second
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	rc := http.NewResponseController(w)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		for _, e := range []struct {
			name  string
			facts any
		}{{"streams", s.facts(pageViewers)}, {"server", s.serverFacts()}} {
			b, err := json.Marshal(e.facts)
			if err != nil {
				s.log.Error("cannot tell the page", "of", e.name, "err", err)
				return
			}
			if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e.name, b); err != nil {
				return
			}
		}
		if err := rc.Flush(); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-s.stopping.Done():
			return
		}
	}
}
