package tell

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Event is facts that a page is told every second.
type Event struct {
	Name  string
	Facts func() any // those of now; it is called from any goroutine
}

// every is how often a page is told.
const every = time.Second

// Events serves server-sent events: all of them at once, and then every second, until the client has gone or done is
// closed.
func Events(log *slog.Logger, done <-chan struct{}, events ...Event) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		rc := http.NewResponseController(w)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			for _, e := range events {
				b, err := json.Marshal(e.Facts())
				if err != nil {
					log.Error("cannot tell the page", "of", e.Name, "error", err)
					return
				}
				if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", e.Name, b); err != nil {
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
			case <-done:
				return
			}
		}
	})
}
