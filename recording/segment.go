package recording

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/penstock-io/penstock"
)

// segment is one file. It is told to readers with its first byte: one that never takes any has never been.
type segment struct {
	name string
	from int64
	to   int64 // guarded by Recording.mu; growing: not known yet
	at   time.Time

	file    *os.File // written by SpliceWrite, synced and closed by the keeper
	told    bool     // the writer's
	began   time.Time
	suspect atomic.Int64 // when a sync failed, in nanoseconds since began, at least 1; 0: none did

	synced int64 // the keeper's: everything before is on the disk
	err    error // the keeper's: of its closing
}

// growing stands for an end that is not known yet.
const growing = -1

// ended tells whether a new segment begins at an offset. Where join points come it begins at one, unless that takes as
// long again as the segment was to last.
func (s *segment) ended(cfg *Config, off int64, at time.Time, joining, joins bool) bool {
	if off == s.from {
		return false
	}
	if joining || !joins {
		return s.due(cfg, off, at)
	}
	return cfg.SegmentBytes > 0 && off-s.from >= 2*cfg.SegmentBytes ||
		cfg.SegmentTime > 0 && at.Sub(s.at) >= 2*cfg.SegmentTime ||
		s.suspected() && time.Since(s.began)-time.Duration(s.suspect.Load()) >= patience*cfg.Retry
}

// due tells whether the segment has reached a limit, or is to be left because a sync failed.
func (s *segment) due(cfg *Config, off int64, at time.Time) bool {
	return cfg.SegmentBytes > 0 && off-s.from >= cfg.SegmentBytes ||
		cfg.SegmentTime > 0 && at.Sub(s.at) >= cfg.SegmentTime ||
		s.suspected()
}

func (s *segment) suspected() bool { return s.suspect.Load() != 0 }

// reach returns how many of n bytes at an offset certainly belong to the segment: up to where its size ends it, and up
// to the next join point where it may end.
func (q *marks) reach(s *segment, cfg *Config, off int64, n int) int {
	to := off + int64(n)
	if cfg.SegmentBytes > 0 {
		limit := cfg.SegmentBytes
		if q.ever() {
			limit *= 2
		}
		to = min(to, s.from+limit)
	}
	if cfg.SegmentBytes > 0 || cfg.SegmentTime > 0 || s.suspected() {
		for k, ok := q.from(off + 1); ok && k.off < to; k, ok = q.from(k.off + 1) {
			if s.due(cfg, k.off, k.at) {
				to = k.off
			}
		}
	}
	return int(to - off)
}

// begin makes the file of a segment. Precondition: there is none.
func (r *Recording) begin(off int64, at time.Time) error {
	f, err := r.cfg.Create(at)
	if err != nil {
		return err
	}
	r.seg = &segment{name: f.Name(), from: off, to: growing, at: at, file: f, began: time.Now(), synced: off}
	r.sink = penstock.SinkOf(f)
	return nil
}

// tell makes the segment known, now that its file has taken something; a gap ends where it begins. End is still there.
func (r *Recording) tell(now time.Time) {
	s := r.seg
	s.told = true
	if r.keeper == nil {
		r.keeper = r.keep()
	}
	r.endGap(s.from)
	r.mu.Lock()
	if len(r.state.segments) == 0 {
		r.state.begun = now
	}
	r.state.segments = append(r.state.segments, s)
	r.mu.Unlock()
	if r.index != nil {
		r.index.segment(s)
	}
	r.emit(Event{Kind: SegmentBegun, File: s.name, From: s.from, To: s.from, At: s.at})
}

// retire ends the segment at an offset, which End has reached. The keeper closes it.
func (r *Recording) retire(off int64) {
	s := r.seg
	r.seg = nil
	r.mu.Lock()
	s.to = off
	r.mu.Unlock()
	r.keeper.ended <- s
}

// abandon gets rid of a segment that took nothing.
func (r *Recording) abandon() error {
	s := r.seg
	r.seg = nil
	err := r.shut(s.file)
	if r.cfg.Remove != nil {
		err = errors.Join(err, r.cfg.Remove(s.name))
	}
	return err
}
