package live

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/penstock-io/penstock/hub"
)

// routeAPI adds what programs ask for.
func (s *Server) routeAPI(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /api/v1/streams", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(s.facts(everyViewer)) // a client that is gone does not read it
	})
	mux.HandleFunc("GET /api/v1/events", s.events)
	mux.Handle("GET /metrics", s.metrics())
}

// streamFacts is what the API and the page tell of a stream.
type streamFacts struct {
	Name         string          `json:"name"`
	State        state           `json:"state"`
	Since        time.Time       `json:"since"`
	Publisher    string          `json:"publisher"` // empty: none now
	Epoch        int             `json:"epoch"`     // publishers so far
	ContentType  string          `json:"content_type"`
	Viewers      int             `json:"viewers"`
	BytesIn      int64           `json:"bytes_in"`
	BytesOut     int64           `json:"bytes_out"` // to viewers; the recording is not one
	Ring         int64           `json:"ring_bytes"`
	Recording    *recordingFacts `json:"recording"` // null: none
	Edges        []edgeFacts     `json:"edges"`
	EdgesOmitted int             `json:"edges_omitted,omitempty"` // viewers left out of edges
}

// edgeFacts is one arm of a stream: where the bytes go, which way, and why that way.
type edgeFacts struct {
	To    string `json:"to"`
	Path  string `json:"path"`
	Why   string `json:"why"`
	Bytes int64  `json:"bytes"`
	Lag   int64  `json:"lag"`
}

// Bounds on the viewers' edges that are told of.
const (
	everyViewer = 1 << 30
	pageViewers = 50
)

// facts tells of every stream, by name, with at most so many viewers' edges each.
func (s *Server) facts(viewers int) []streamFacts {
	all := []streamFacts{} // and never null
	for _, st := range s.all() {
		all = append(all, st.facts(viewers))
	}
	slices.SortFunc(all, func(a, b streamFacts) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (st *stream) facts(viewers int) streamFacts {
	st.mu.Lock()
	st.foldLocked()
	f := streamFacts{
		Name: st.name, State: st.state, Since: st.since.UTC(), Publisher: st.publisher, Epoch: st.epoch,
		ContentType: st.format.ContentType, BytesIn: st.inBefore, BytesOut: st.outBefore, Edges: []edgeFacts{},
	}
	h, rec, past := st.hub, st.rec, slices.Clone(st.past)
	st.mu.Unlock()
	if h == nil {
		return f
	}
	if rec != nil { // nil: nothing is recorded
		f.Recording = recordingFactsOf(rec)
	}
	now := h.Stats()
	if now.Intake.Path != "" {
		f.Edges = append(f.Edges, factsOf(now.Intake))
	}
	f.add(now, viewers)
	for _, h := range past {
		f.add(h.Stats(), viewers)
	}
	return f
}

// add counts a hub's bytes and sinks in. A past hub's recording goes by the name of the present one: it is the same
// kind of edge, and soon done.
func (f *streamFacts) add(s hub.Stats, viewers int) {
	f.BytesIn += s.BytesIn
	f.BytesOut += s.BytesOut
	f.Ring += s.Ring
	for _, e := range s.Viewers {
		if e.To == recordingName {
			if f.Recording != nil && f.Recording.File != "" {
				e.To += " " + f.Recording.File
			}
			f.Edges = append(f.Edges, factsOf(e))
			continue
		}
		f.Viewers++
		if f.Viewers > viewers {
			f.EdgesOmitted++
			continue
		}
		f.Edges = append(f.Edges, factsOf(e))
	}
}

func factsOf(e hub.Edge) edgeFacts {
	return edgeFacts{e.To, string(e.Path), e.Why, e.Bytes, e.Lag}
}

// events serves the page's server-sent events: the facts, at once and then every second.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	const every = time.Second
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	rc := http.NewResponseController(w)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		b, err := json.Marshal(s.facts(pageViewers))
		if err != nil {
			s.log.Error("cannot tell the page of the streams", "err", err)
			return
		}
		if _, err := fmt.Fprintf(w, "event: streams\ndata: %s\n\n", b); err != nil {
			return
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
