package hub

import (
	"cmp"
	"slices"
	"time"

	"github.com/penstock-io/penstock"
)

// Edge is one arm of the hub as it stands: where bytes go, which way, and why that way; and how far behind it is.
type Edge struct {
	To     string
	Path   penstock.Path
	Why    string
	Policy Policy

	Bytes int64     // delivered
	By    []Carried // which ways
	Calls int64     // of tee and of the sink, which are system calls unless it is somebody else's

	Lag      int64         // bytes of stream that were published and not delivered yet
	Behind   time.Duration // how long ago the oldest of these was published, to a tenth of a second
	Slow     time.Duration // how long it has not been in step; 0 in step
	Archived bool          // it reads the archive

	Stalls  int64 // times that the sink would block
	Skips   int64 // times that it missed something,
	Skipped int64 // and how many bytes that was
}

// Stats is a hub at one moment.
type Stats struct {
	BytesIn    int64
	BytesOut   int64     // to all viewers, those that have left included; not to sinks that MustHave, which are recordings
	By         []Carried // which ways BytesOut went
	Calls      int64     // that this took, and the intake
	Ring       int64     // bytes that somebody still needs, or may come to
	Epochs     int       // publishers so far
	Publishing string    // the present one's name
	Stalls     int64     // times that a viewer's sink would block
	Skips      int64     // times that a viewer missed something,
	Skipped    int64     // and how many bytes these were
	Sinks      int       // attached now, recordings included
	Slow       int       // of these, not in step
	Left       []Reason  // why viewers have left, most often first
	Intake     Edge      // from the publisher
	Viewers    []Edge    // as asked for
}

// Stats returns the hub's counters, and all its edges in the order of their names.
func (h *Hub) Stats() Stats {
	s := h.count(-1)
	slices.SortFunc(s.Viewers, func(a, b Edge) int { return cmp.Compare(a.To, b.To) })
	return s
}

// Slowest returns the hub's counters, and the n edges that are furthest behind, those first; recordings come before
// all others, and are not counted in n.
func (h *Hub) Slowest(n int) Stats { return h.count(n) }

// count takes the hub's lock, but not for longer than it takes to read the counters.
func (h *Hub) count(most int) Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := clock()
	s := Stats{
		BytesIn: h.in.Load(), BytesOut: h.out, Ring: h.bytes, Epochs: h.epochs, Skipped: h.skippedBefore,
		Sinks: len(h.viewers), Slow: len(h.behind), Left: slices.Clone(h.reasons.list),
	}
	slices.SortFunc(s.Left, func(a, b Reason) int { return cmp.Compare(b.N, a.N) })
	if h.publishing != nil {
		s.Publishing = h.publishing.cfg.Name
	}
	if w := h.way.Load(); w != nil {
		s.Intake = Edge{To: "hub", Path: w.path, Why: w.why, Bytes: s.BytesIn, Calls: h.calls.Load()}
		if w.reason != "" {
			s.Intake.Why += ": " + w.reason
		}
	}
	var sum tally
	sum.add(&h.past)
	for v := range h.viewers {
		if !v.cfg.MustHave {
			s.BytesOut += v.sent.Load()
			s.Skipped += v.skipped.Load()
			sum.add(&v.tally)
		}
	}
	s.By, s.Calls = sum.carried(), sum.calls.Load()+h.calls.Load()
	s.Stalls, s.Skips = sum.stalls.Load(), sum.skips.Load()
	for _, v := range h.chooseLocked(most) {
		s.Viewers = append(s.Viewers, h.edgeLocked(v, now))
	}
	return s
}

// chooseLocked returns the n viewers that are furthest behind, after all recordings; everybody if n is negative.
func (h *Hub) chooseLocked(n int) []*Viewer {
	all := make([]*Viewer, 0, len(h.viewers))
	for v := range h.viewers {
		all = append(all, v)
	}
	if n < 0 {
		return all
	}
	recordings := 0
	for i, v := range all {
		if v.cfg.MustHave {
			all[i], all[recordings] = all[recordings], v
			recordings++
		}
	}
	in := h.in.Load()
	lag := func(v *Viewer) int64 {
		if v.place != behind {
			return 0
		}
		return in - v.at.Load()
	}
	slices.SortFunc(all[recordings:], func(a, b *Viewer) int {
		return cmp.Or(cmp.Compare(lag(b), lag(a)), cmp.Compare(a.cfg.Name, b.cfg.Name))
	})
	return all[:min(len(all), recordings+n)]
}

// edgeLocked describes v.
func (h *Hub) edgeLocked(v *Viewer, now int64) Edge {
	e := Edge{
		To: v.cfg.Name, Policy: h.chosenLocked(v), Bytes: v.sent.Load(), By: v.tally.carried(), Calls: v.tally.calls.Load(),
		Stalls: v.tally.stalls.Load(), Skips: v.tally.skips.Load(), Skipped: v.skipped.Load(),
		Archived: v.place == behind && !v.holding,
	}
	e.Lag, e.Behind = h.lagLocked(v, now)
	if v.since != 0 {
		e.Slow = time.Duration(now - v.since)
	}
	if w := v.way.Load(); w != nil {
		e.Path, e.Why = w.path, w.why
	} else {
		e.Why = "in step; nothing to send yet"
	}
	return e
}
