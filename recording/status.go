package recording

import (
	"fmt"
	"time"
)

// state is what readers see. Recording.mu guards it.
type state struct {
	segments []*segment // only the last may be growing
	gaps     []*gap     // only the last may be open
	places   places
	begun    time.Time // the first byte
	dropped  int64     // in gaps that are not open
	doubts   int
	doubted  int64
	lastErr  error
	indexErr error
	closed   bool
}

// growing returns the segment that is being written to, or nil.
func (s *state) growing() *segment {
	if n := len(s.segments); n > 0 && s.segments[n-1].to == growing {
		return s.segments[n-1]
	}
	return nil
}

// openGap returns the gap in which the stream is, or nil.
func (s *state) openGap() *gap {
	if n := len(s.gaps); n > 0 && s.gaps[n-1].to == growing {
		return s.gaps[n-1]
	}
	return nil
}

// Status is a recording at one moment.
type Status struct {
	File     string        // being written, as Create named it; empty before the first data, in a gap and after Close
	Segments int           // so far, that one included
	Bytes    int64         // in them
	Begun    time.Time     // when the first byte was recorded; zero before
	Duration time.Duration // from then to the last byte so far, gaps included

	Gaps     int       // runs that were dropped
	GapBytes int64     // in them
	GapSince time.Time // when the one began that the stream is in; zero where it is recorded

	Doubts     int   // times that a sync or a close failed
	DoubtBytes int64 // recorded, but maybe not on the disk

	Err      error // the last one of the disk, which may be long over; nil if there was none
	IndexErr error // the last one of the index
	Closed   bool
}

// Status tells how the recording is.
func (r *Recording) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := r.end.Load()
	st := Status{
		Segments: len(r.state.segments), Begun: r.state.begun, Gaps: len(r.state.gaps), GapBytes: r.state.dropped,
		Doubts: r.state.doubts, DoubtBytes: r.state.doubted, Err: r.state.lastErr, IndexErr: r.state.indexErr,
		Closed: r.state.closed,
	}
	if s := r.state.growing(); s != nil {
		st.File = s.name
	}
	if g := r.state.openGap(); g != nil {
		st.GapSince = g.since
		st.GapBytes += end - g.from
	}
	st.Bytes = end - st.GapBytes
	if st.Segments > 0 {
		st.Duration = max(0, time.Duration(r.last.Load())-r.since(st.Begun))
	}
	return st
}

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	SegmentBegun EventKind = iota // its file has taken its first bytes
	SegmentEnded                  // its file is closed, and synced if that is wanted; maybe after the next has begun
	GapBegun                      // Err: nothing can be written
	GapEnded                      // a segment begins, or the recording ends. Err: as when it began
	SyncFailed                    // Err: the bytes are in the file, but maybe not on the disk
	IndexFailed                   // Err: the index goes on with the next segment, if it can
)

func (k EventKind) String() string {
	switch k {
	case SegmentBegun:
		return "segment begun"
	case SegmentEnded:
		return "segment ended"
	case GapBegun:
		return "gap begun"
	case GapEnded:
		return "gap ended"
	case SyncFailed:
		return "sync failed"
	case IndexFailed:
		return "index failed"
	default:
		return fmt.Sprintf("EventKind(%d)", uint8(k))
	}
}

// Event is something that happened to a recording.
type Event struct {
	Kind     EventKind
	File     string    // the segment's; empty for gaps and the index
	From, To int64     // the bytes of the stream that it is about; To is From of what only begins
	At       time.Time // when that began
	Err      error
}

func (r *Recording) emit(e Event) {
	if r.cfg.OnEvent != nil {
		r.cfg.OnEvent(e)
	}
}
