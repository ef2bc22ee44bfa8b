package recording

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// ErrOutside says that an offset is not of the stream.
var ErrOutside = errors.New("recording: outside of the stream")

// End returns how far the stream has come, in bytes from its beginning: each byte before is in a segment or in a gap.
func (r *Recording) End() int64 { return r.end.Load() }

// Open opens the segment that holds the byte at an offset, at that byte: n > 0 bytes can be read from there now, and
// no more are to be, although there may be. The file is the caller's, who closes it. At End and after it, where somebody
// may be who had the stream from elsewhere, there is nothing yet: f is nil, n 0 and err nil. The error is a [*GapError]
// where the bytes were dropped, ErrOutside before 0, else that of opening: fs.ErrNotExist where somebody has deleted the
// segment.
func (r *Recording) Open(off int64) (f *os.File, n int64, err error) {
	name, at, n, err := r.locate(off)
	if n == 0 || err != nil {
		return nil, 0, err
	}
	if f, err = r.cfg.Open(name); err != nil {
		return nil, 0, err
	}
	if _, err = f.Seek(at, io.SeekStart); err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, n, nil
}

// locate returns the file that an offset is in, where in it, and how many bytes there are from there.
func (r *Recording) locate(off int64) (name string, at, n int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := r.end.Load() // of what is told: a segment's end is known before End is past it
	if off >= end {
		return "", 0, 0, nil
	}
	if off < 0 {
		return "", 0, 0, fmt.Errorf("%w: offset %d", ErrOutside, off)
	}
	if i := before(r.state.segments, off, func(s *segment) int64 { return s.from }); i >= 0 {
		s := r.state.segments[i]
		to := s.to
		if to == growing {
			to = end
		}
		if off < to {
			return s.name, off - s.from, to - off, nil
		}
	}
	i := before(r.state.gaps, off, func(g *gap) int64 { return g.from }) // what is in no segment is in a gap
	g := r.state.gaps[i]
	to := g.to
	if to == growing {
		to = end
	}
	return "", 0, 0, &GapError{From: g.from, To: to, Err: g.err}
}

// before returns the index of the last that begins at an offset or before it, -1 if none does.
func before[T any](runs []T, off int64, from func(T) int64) int {
	i, _ := slices.BinarySearchFunc(runs, off, func(run T, off int64) int {
		if from(run) <= off {
			return -1
		}
		return 1
	})
	return i - 1
}

// Find returns the newest join point that is not after t and is recorded, and when its first byte arrived; in a stream
// without join points the newest place that is known, of which there is one every 500 ms or MiB. Of long ago fewer are
// known. Where there is none, it is where the recording begins. ok is false if nothing is recorded.
func (r *Recording) Find(t time.Time) (off int64, at time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k, ok := r.state.places.find(r.since(t))
	if !ok {
		return 0, time.Time{}, false
	}
	return k.off, r.base.Add(k.at), true
}
