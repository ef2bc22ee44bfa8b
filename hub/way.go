package hub

import (
	"sync"

	"github.com/penstock-io/penstock"
)

// way is what an edge's bytes last took. Thousands of edges share one: see ways.
type way struct {
	path penstock.Path
	why  string

	kernel, teed bool   // of the pipe
	reason       string // for the pipe's being in memory
}

// ways holds each way once.
type ways struct{ known sync.Map }

func (w *ways) get(like way) *way {
	if found, ok := w.known.Load(like); ok {
		return found.(*way)
	}
	found, _ := w.known.LoadOrStore(like, &like)
	return found.(*way)
}

// noteIntake notes the way in of a run.
func (h *Hub) noteIntake(src penstock.Source, p penstock.Conduit, reason string) {
	path, why := src.Path(p)
	if w := h.way.Load(); w == nil || w.path != path || w.why != why || w.reason != reason {
		h.way.Store(&way{path: path, why: why, reason: reason})
	}
}

// took notes how the run that goes to the sink came into p. Which way it goes on is for the sink to say, and it may only
// know once it has tried.
func (v *Viewer) took(p penstock.Conduit, reason string, teed bool) {
	_, kernel := p.(*penstock.KernelPipe)
	w := v.way.Load()
	if w == nil || w.kernel != kernel || w.teed != teed || w.reason != reason {
		v.news, v.kernel, v.teed, v.reason = true, kernel, teed, reason
	}
}

// noteWay tells, after the sink has had of the run in p, which way that went.
func (v *Viewer) noteWay(p penstock.Conduit) penstock.Path {
	if w := v.way.Load(); w != nil && !v.news {
		return w.path
	}
	v.news = false
	w := way{kernel: v.kernel, teed: v.teed, reason: v.reason}
	w.path, w.why = v.sink.Path(p)
	switch {
	case w.kernel && w.path == penstock.PathReadWrite:
		v.pages = true // each such sink would read the chunk anew
	case w.kernel && w.teed && w.path == penstock.PathSplice:
		w.path, w.why = penstock.PathTeeSplice, w.why+"; others read the chunk too"
	case w.kernel && !w.teed:
		w.why += "; the chunk's last reader takes its pipe"
	case w.reason != "":
		w.why += ": " + w.reason
	}
	shared := v.h.ways.get(w)
	v.way.Store(shared)
	return shared.path
}
