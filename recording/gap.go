package recording

import (
	"errors"
	"fmt"
	"time"
)

// gap is a run of the stream that was dropped.
type gap struct {
	from, to int64 // to is growing while it is open
	since    time.Time
	err      error
}

// GapError says that an offset lies in a gap, from From to To. While the gap is open To is End.
type GapError struct {
	From, To int64
	Err      error // what it began with
}

func (e *GapError) Error() string {
	return fmt.Sprintf("recording: the bytes from %d to %d were dropped: %v", e.From, e.To, e.Err)
}

// Gap returns From and To.
func (e *GapError) Gap() (from, to int64) { return e.From, e.To }

// Unwrap returns what the gap began with.
func (e *GapError) Unwrap() error { return e.Err }

// failed ends the segment, if there is one, with an error at an offset, which End has reached: from there on bytes are
// dropped until the next segment takes some.
func (r *Recording) failed(off int64, err error) {
	now, begins := time.Now(), r.inStep()
	if s := r.seg; s != nil && s.told {
		r.retire(off)
	} else if s != nil {
		err = errors.Join(err, r.abandon())
	}
	if r.backoff == 0 || begins && now.Sub(r.resumed) >= patience*r.cfg.Retry {
		r.backoff = r.cfg.Retry
	} else {
		r.backoff = min(2*r.backoff, patience*r.cfg.Retry)
	}
	r.retryAt = now.Add(r.backoff)

	r.mu.Lock()
	r.state.lastErr = err
	if begins {
		r.state.gaps = append(r.state.gaps, &gap{from: off, to: growing, since: now, err: err})
	}
	r.mu.Unlock()
	if begins {
		r.emit(Event{Kind: GapBegun, From: off, To: off, At: now, Err: err})
	}
}

// mayResume tells whether a new segment may begin: after the backoff, and where join points come at one, unless none
// does.
func (r *Recording) mayResume(now time.Time, joining bool) bool {
	if r.inStep() {
		return true
	}
	wait := r.retryAt
	if r.marks.ever() && !joining {
		wait = wait.Add(patience * r.cfg.Retry)
	}
	return !now.Before(wait)
}

// inStep tells whether a segment has ended where the next one begins. Only the writer changes that.
func (r *Recording) inStep() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state.openGap() == nil
}

// endGap closes the gap at an offset, if one is open.
func (r *Recording) endGap(off int64) {
	r.mu.Lock()
	g := r.state.openGap()
	if g != nil {
		g.to = off
		r.state.dropped += off - g.from
	}
	r.mu.Unlock()
	if g == nil {
		return
	}
	r.resumed = time.Now()
	if r.index != nil {
		r.index.gap(g)
	}
	r.emit(Event{Kind: GapEnded, From: g.from, To: off, At: g.since, Err: g.err})
}
