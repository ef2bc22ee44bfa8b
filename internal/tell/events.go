package tell

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Event is facts that a page is told every second.
type Event struct {
	Name  string
	Facts func() any // those of now; it is called from any goroutine, by one at a time
}

// How often a page is told, and how long it may take nothing of that.
const (
	every    = time.Second
	patience = time.Minute
)

// Events serves server-sent events: all of them at once, and then every second, until the client has gone or done is
// closed, or the client has taken nothing for a minute. Pages share what they are told: many cost hardly more than one.
func Events(log *slog.Logger, done <-chan struct{}, events ...Event) http.Handler {
	all := make([]shared, len(events))
	for i, e := range events {
		all[i].Event = e
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		rc := http.NewResponseController(w)
		tick := time.NewTicker(every)
		defer tick.Stop()
		defer func() { _ = rc.SetWriteDeadline(time.Time{}) }() // errors of that are writing's
		for {
			_ = rc.SetWriteDeadline(time.Now().Add(patience))
			for i := range all {
				text, err := all[i].now()
				if err != nil {
					log.Error("cannot tell the page", "of", all[i].Name, "error", err)
					return
				}
				if _, err := w.Write(text); err != nil {
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

// shared is an event as all pages get it.
type shared struct {
	Event

	mu   sync.Mutex // guards what follows, and is held while the facts are gathered
	text []byte     // as it is sent; it is replaced, never written to
	at   time.Time  // when these were the facts
}

// now returns the event of now, or of half an interval ago at most.
func (s *shared) now() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text != nil && time.Since(s.at) < every/2 {
		return s.text, nil
	}
	at := time.Now()
	b, err := json.Marshal(s.Facts())
	if err != nil {
		return nil, err
	}
	s.text, s.at = fmt.Appendf(nil, "event: %s\ndata: %s\n\n", s.Name, b), at
	return s.text, nil
}
