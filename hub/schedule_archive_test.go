package hub_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
	"github.com/penstock-io/penstock/recording"
)

// Archives of a schedule: on a disk that fails at times, so that they have gaps.

// gap is a run of the stream that an archive does not have.
type gap struct{ from, to int64 }

// faultyArchive is what a schedule asks of its archive besides.
type faultyArchive interface {
	penstock.Sink
	hub.Archive
	size() int64
	gaps() []gap
	marked() []int64
	end() error // there is nothing more to come; it can be read as before
	remove()
}

// diskArchive is a recording of the simplest kind: one file. Where it is to fail it has holes.
type diskArchive struct {
	penstock.Sink
	f *os.File

	mu    sync.Mutex
	n     int64
	marks []int64
	holes []gap
	r     *rand.Rand // nil: the disk never fails
	wrong bool       // it does now
}

func newDiskArchive(t *testing.T) *diskArchive {
	f, err := os.Create(filepath.Join(t.TempDir(), "recording"))
	if err != nil {
		t.Fatal(err)
	}
	return &diskArchive{Sink: penstock.SinkOf(f), f: f}
}

// SpliceWrite fails, or recovers, anywhere in a run.
func (a *diskArchive) SpliceWrite(p penstock.Conduit, n int, flags penstock.Flags) (done int, err error) {
	if a.r == nil {
		return a.record(p, n, flags)
	}
	for done < n && err == nil {
		if a.r.IntN(6) == 0 {
			a.wrong = !a.wrong
		}
		part, m := 1+a.r.IntN(n-done), 0
		if a.wrong {
			m, err = a.lose(p, part)
		} else {
			m, err = a.record(p, part, flags)
		}
		done += m
	}
	return done, err
}

func (a *diskArchive) record(p penstock.Conduit, n int, flags penstock.Flags) (int, error) {
	m, err := a.Sink.SpliceWrite(p, n, flags)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n += int64(m)
	return m, err
}

// lose makes the next n bytes a hole, or a longer one.
func (a *diskArchive) lose(p penstock.Conduit, n int) (int, error) {
	m, err := p.Discard(n)
	a.mu.Lock()
	defer a.mu.Unlock()
	if last := len(a.holes) - 1; last >= 0 && a.holes[last].to == a.n {
		a.holes[last].to += int64(m)
	} else {
		a.holes = append(a.holes, gap{a.n, a.n + int64(m)})
	}
	a.n += int64(m)
	_, seekErr := a.f.Seek(a.n, io.SeekStart)
	return m, errors.Join(err, seekErr)
}

func (a *diskArchive) size() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

func (a *diskArchive) gaps() []gap {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.holes)
}

func (a *diskArchive) Mark(off int64, _ time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.marks = append(a.marks, off)
}

func (a *diskArchive) marked() []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.marks)
}

func (a *diskArchive) Find(time.Time) (int64, time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.marks) == 0 {
		return 0, time.Time{}, false
	}
	return a.marks[rand.IntN(len(a.marks))], time.Time{}, true
}

// Open returns a file up to the next hole only.
func (a *diskArchive) Open(off int64) (*os.File, int64, error) {
	a.mu.Lock()
	n := a.n - off
	for _, g := range a.holes {
		if off >= g.from && off < g.to {
			a.mu.Unlock()
			return nil, 0, &recording.GapError{From: g.from, To: g.to, Err: syscall.EIO}
		}
		if off < g.from {
			n = min(n, g.from-off)
		}
	}
	a.mu.Unlock()
	if n <= 0 {
		return nil, 0, nil
	}
	f, err := os.Open(a.f.Name())
	if err != nil {
		return nil, 0, err
	}
	_, err = f.Seek(off, io.SeekStart)
	return f, n, err
}

func (a *diskArchive) end() error { return a.f.Close() }
func (a *diskArchive) remove()    { os.Remove(a.f.Name()) }

// recordedArchive is a real recording, whose disk is full at times.
type recordedArchive struct {
	*recording.Recording
	dir  string
	full bool // it may be

	mu    sync.Mutex
	r     *rand.Rand
	lost  []gap
	marks []int64
}

func newRecordedArchive(t *testing.T, r *rand.Rand, full bool) *recordedArchive {
	a := &recordedArchive{dir: t.TempDir(), full: full, r: r}
	a.Recording = recording.New(recording.Config{
		Create: a.create, Open: os.Open, Remove: func(name string) error {
			if name == os.DevNull || name == fullDisk {
				return nil
			}
			return os.Remove(name)
		},
		SegmentBytes: int64(1+r.IntN(64)) << 10, Retry: 100 * time.Microsecond,
		OnEvent: func(e recording.Event) {
			if e.Kind != recording.GapEnded {
				return
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			a.lost = append(a.lost, gap{e.From, e.To})
		},
	})
	return a
}

// fullDisk is a file that takes nothing.
const fullDisk = "/dev/full"

func (a *recordedArchive) create(time.Time) (*os.File, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.full {
		switch a.r.IntN(6) {
		case 0:
			return nil, syscall.EMFILE
		case 1:
			if f, err := os.OpenFile(fullDisk, os.O_WRONLY, 0); err == nil {
				return f, nil
			}
			return nil, syscall.ENOSPC
		}
	}
	return os.CreateTemp(a.dir, "segment")
}

func (a *recordedArchive) Mark(off int64, at time.Time) {
	a.mu.Lock()
	a.marks = append(a.marks, off)
	a.mu.Unlock()
	a.Recording.Mark(off, at)
}

func (a *recordedArchive) marked() []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.marks)
}

func (a *recordedArchive) size() int64 { return a.End() }

// gaps returns those that have ended.
func (a *recordedArchive) gaps() []gap {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.lost)
}

func (a *recordedArchive) end() error { return a.Close(nil) }
func (a *recordedArchive) remove()    { os.RemoveAll(a.dir) }

// newArchive returns one of either kind, with gaps or without.
func (s *schedule) newArchive() faultyArchive {
	r := s.fork()
	switch r.IntN(4) {
	case 0:
		return newDiskArchive(s.t)
	case 1:
		a := newDiskArchive(s.t)
		a.r = r
		return a
	default:
		return newRecordedArchive(s.t, r, r.IntN(4) > 0)
	}
}

// checkArchive reads all of it: what is not in a gap must be the stream, and the gaps those that were told.
func (s *schedule) checkArchive(a faultyArchive) {
	told := a.gaps()
	for off, end := int64(0), a.size(); off < end; {
		f, n, err := a.Open(off)
		if g := (*recording.GapError)(nil); errors.As(err, &g) {
			s.saw(sawGap)
			if g.To != end && !slices.Contains(told, gap{g.From, g.To}) || g.From != off {
				s.fault("the archive has a gap from %d to %d, but told of %v", g.From, g.To, told)
			}
			off = g.To
			continue
		}
		if err != nil || n <= 0 {
			s.fault("the archive has %d bytes at %d of %d: %v", n, off, end, err)
			return
		}
		got, want := make([]byte, n), make([]byte, n)
		word(want, off)
		if _, err := io.ReadFull(f, got); err != nil || !bytes.Equal(got, want) {
			s.fault("the archive's bytes from %d to %d are not the stream's: %v", off, off+n, err)
		}
		if err := f.Close(); err != nil {
			s.fault("%v", err)
		}
		off += n
	}
}
