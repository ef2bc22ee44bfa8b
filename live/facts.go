package live

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/penstock-io/penstock/hub"
)

// serverFacts is what the API and the page tell of all streams together.
type serverFacts struct {
	Memory      int64 `json:"memory_bytes"`       // that streams keep for their viewers
	MemoryLimit int64 `json:"memory_limit_bytes"` // 0: none
	Viewers     int64 `json:"viewers"`
	MaxViewers  int   `json:"max_viewers"` // 0: no limit
	Pipes       int64 `json:"pipe_bytes"`  // capacity of the kernel pipes that exist
	PipesIdle   int64 `json:"pipe_idle_bytes"`
}

func (s *Server) serverFacts() serverFacts {
	f := serverFacts{Viewers: s.viewers.Load(), MaxViewers: s.cfg.MaxViewers}
	if s.budget != nil {
		f.Memory, f.MemoryLimit = s.budget.Used(), s.budget.Limit()
	} else {
		for _, st := range s.all() {
			for _, h := range st.hubs() {
				f.Memory += h.Slowest(0).Ring
			}
		}
	}
	if s.pool != nil {
		p := s.pool.Stats()
		f.Pipes, f.PipesIdle = int64(p.Held), int64(p.Idle)
	}
	return f
}

// streamFacts is what the API and the page tell of a stream. Its counters never go back while the server knows it.
type streamFacts struct {
	Name        string    `json:"name"`
	State       state     `json:"state"`
	Since       time.Time `json:"since"`
	Publisher   string    `json:"publisher"` // empty: none now
	Epoch       int       `json:"epoch"`     // publishers so far
	ContentType string    `json:"content_type"`
	Policy      string    `json:"policy"` // for slow viewers, as configured; an edge has what it comes to

	Viewers int `json:"viewers"`
	Slow    int `json:"slow"` // sinks that are not in step now, the recording included
	counters

	Ring         int64           `json:"ring_bytes"`
	Recording    *recordingFacts `json:"recording"` // null: none
	Edges        []edgeFacts     `json:"edges"`
	EdgesOmitted int             `json:"edges_omitted,omitempty"` // viewers left out of edges, the least slow ones
}

// edgeFacts is one arm of a stream: where the bytes go, which way, and why that way; and how far behind it is.
type edgeFacts struct {
	To     string           `json:"to"`
	Path   string           `json:"path"`
	Why    string           `json:"why"`
	Policy string           `json:"policy,omitempty"` // should it be too slow; the publisher's edge has none
	Bytes  int64            `json:"bytes"`
	By     map[string]int64 `json:"by,omitempty"` // of these, by path
	Calls  int64            `json:"calls"`        // to the system

	Lag      int64   `json:"lag"`            // bytes behind; 0 in step
	Behind   float64 `json:"behind_seconds"` // how long ago the oldest of these was published
	Slow     float64 `json:"slow_seconds"`   // how long it has not been in step; 0 in step
	Archived bool    `json:"archived"`       // it reads the recording

	Stalls  int64 `json:"stalls"` // times that it took nothing at once
	Skips   int64 `json:"skips"`  // times that it missed something
	Skipped int64 `json:"skipped_bytes"`
}

// pageViewers is how many of a stream's viewers the page is told of.
const pageViewers = 50

// facts tells of every stream, by name, with the edges of so many of its viewers at most, slowest first; with all of
// them, by name, if viewers is negative.
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
		ContentType: st.format.ContentType, Policy: st.srv.cfg.hubConfig().OnSlow.String(),
		counters: st.before.clone(), Edges: []edgeFacts{},
	}
	h, rec, past := st.hub, st.rec, slices.Clone(st.past)
	st.mu.Unlock()
	if h == nil {
		return f
	}
	if rec != nil { // nil: nothing is recorded
		f.Recording = recordingFactsOf(rec)
	}
	now := statsOf(h, viewers)
	if now.Intake.Path != "" {
		f.Edges = append(f.Edges, factsOf(now.Intake))
	}
	f.add(now)
	for _, h := range past {
		f.add(statsOf(h, viewers))
	}
	f.omit(viewers)
	return f
}

func statsOf(h *hub.Hub, viewers int) hub.Stats {
	if viewers < 0 {
		return h.Stats()
	}
	return h.Slowest(viewers)
}

// add counts a hub in. A past hub's recording goes by the name of the present one: it is the same kind of edge, and
// soon done.
func (f *streamFacts) add(s hub.Stats) {
	f.counters.add(s)
	f.Ring += s.Ring
	f.Slow += s.Slow
	f.Viewers += s.Sinks
	for _, e := range s.Viewers {
		if e.To == recordingName {
			f.Viewers--
			if f.Recording != nil && f.Recording.File != "" {
				e.To += " " + f.Recording.File
			}
		}
		f.Edges = append(f.Edges, factsOf(e))
	}
}

// omit leaves out the edges of more than so many viewers, which past hubs have.
func (f *streamFacts) omit(viewers int) {
	told := 0
	f.Edges = slices.DeleteFunc(f.Edges, func(e edgeFacts) bool {
		if !strings.HasPrefix(e.To, viewerPrefix) {
			return false
		}
		told++
		return viewers >= 0 && told > viewers
	})
	if viewers >= 0 {
		f.EdgesOmitted = max(0, f.Viewers-viewers)
	}
}

func factsOf(e hub.Edge) edgeFacts {
	f := edgeFacts{
		To: e.To, Path: string(e.Path), Why: e.Why, Bytes: e.Bytes, Calls: e.Calls,
		Lag: e.Lag, Behind: e.Behind.Seconds(), Slow: e.Slow.Seconds(), Archived: e.Archived,
		Stalls: e.Stalls, Skips: e.Skips, Skipped: e.Skipped,
	}
	if e.Policy != hub.Inherit {
		f.Policy = e.Policy.String()
	}
	for _, c := range e.By {
		if f.By == nil {
			f.By = make(map[string]int64)
		}
		f.By[string(c.Path)] += c.Bytes
	}
	return f
}
