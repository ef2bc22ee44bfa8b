package hub

import (
	"cmp"
	"slices"

	"github.com/penstock-io/penstock"
)

// Edge is one arm of the hub as it stands: where bytes go, which way, and why that way.
type Edge struct {
	To    string
	Path  penstock.Path
	Why   string
	Bytes int64 // delivered
	Lag   int64 // bytes of stream that were published and not delivered yet
}

// Stats is a hub at one moment.
type Stats struct {
	BytesIn  int64
	BytesOut int64  // to all viewers, those that have left included; not to sinks that MustHave, which are recordings
	Ring     int64  // bytes that somebody still needs
	Intake   Edge   // from the publisher
	Viewers  []Edge // in the order of their names
}

// Stats returns the hub's counters. It takes the hub's lock, but not for longer than it takes to read them.
func (h *Hub) Stats() Stats {
	s := h.count()
	slices.SortFunc(s.Viewers, func(a, b Edge) int { return cmp.Compare(a.To, b.To) })
	return s
}

func (h *Hub) count() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Stats{BytesIn: h.in.Load(), BytesOut: h.out.Load(), Ring: h.bytes}
	if e := h.intake.Load(); e != nil {
		s.Intake = Edge{To: "hub", Path: e.path, Why: e.why, Bytes: s.BytesIn}
		if e.reason != "" {
			s.Intake.Why += ": " + e.reason
		}
	}
	for v := range h.viewers {
		e := v.edge(s.BytesIn)
		if !v.cfg.MustHave {
			s.BytesOut += e.Bytes
		}
		s.Viewers = append(s.Viewers, e)
	}
	return s
}

// way is what an edge's bytes last took. Made anew when it changes, so that it can be read at any time.
type way struct {
	path penstock.Path
	why  string

	kernel, teed bool   // of the pipe
	reason       string // for the pipe's being in memory
}

// noteIntake notes the way in of a chunk.
func (h *Hub) noteIntake(src penstock.Source, c *chunk) {
	path, why := src.Path(c.pipe)
	if w := h.intake.Load(); w == nil || w.path != path || w.why != why || w.reason != c.why {
		h.intake.Store(&way{path: path, why: why, reason: c.why})
	}
}

// took notes how the run in the viewer's own pipe came there. Which way it goes on is for the sink to say, and it may
// only know once it has tried.
func (v *Viewer) took(reason string, teed bool) {
	_, kernel := v.own.(*penstock.KernelPipe)
	v.next = nil
	if last := v.way.Load(); last == nil || last.kernel != kernel || last.teed != teed || last.reason != reason {
		v.next = &way{kernel: kernel, teed: teed, reason: reason}
	}
}

// noteWay tells, after the sink has had a run, which way that went.
func (v *Viewer) noteWay() {
	w := v.next
	if w == nil {
		return
	}
	v.next = nil
	w.path, w.why = v.sink.Path(v.own)
	switch {
	case w.kernel && w.teed && w.path == penstock.PathSplice:
		w.path, w.why = penstock.PathTeeSplice, w.why+"; others read the chunk too"
	case w.kernel && !w.teed:
		w.why += "; the chunk's last reader takes its pipe"
	case w.reason != "":
		w.why += ": " + w.reason
	}
	v.way.Store(w)
}

// edge describes v where in bytes of the stream have been published.
func (v *Viewer) edge(in int64) Edge {
	e := Edge{To: v.cfg.Name, Bytes: v.sent.Load()}
	if v.begun.Load() {
		e.Lag = max(0, in-v.start.Load()-e.Bytes)
	}
	if w := v.way.Load(); w != nil {
		e.Path, e.Why = w.path, w.why
	} else {
		e.Why = "in step; nothing to send yet"
	}
	return e
}
