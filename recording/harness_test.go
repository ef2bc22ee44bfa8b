package recording_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/recording"
)

// world is a directory, a recording into it, and the pipe that the stream comes through.
type world struct {
	t    testing.TB
	dir  string
	pipe penstock.Conduit
	rec  *recording.Recording
	off  int64 // offered so far

	mu      sync.Mutex
	made    []string // by Create
	events  []recording.Event
	refuse  error // what Create fails with
	asked   int   // calls of Create
	noIndex error // what CreateIndex fails with
}

// backings runs a test over both kinds of pipe.
func backings(t *testing.T, test func(t *testing.T, open func(testing.TB) penstock.Conduit)) {
	t.Run("kernel", func(t *testing.T) {
		test(t, func(t testing.TB) penstock.Conduit {
			p, err := penstock.NewKernelPipe(64 << 10)
			if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, penstock.ErrNoKernelPipe) {
				t.Skip("no kernel pipe on " + runtime.GOOS)
			}
			if err != nil {
				t.Fatal(err)
			}
			return p
		})
	})
	t.Run("memory", func(t *testing.T) {
		test(t, func(testing.TB) penstock.Conduit { return penstock.NewPipe(0) })
	})
}

// record begins a recording in a directory, with callbacks where cfg has none. The test closes it.
func record(t testing.TB, dir string, p penstock.Conduit, cfg recording.Config) *world {
	w := &world{t: t, dir: dir, pipe: p}
	if cfg.Create == nil {
		cfg.Create = w.create
	}
	cfg.Open = os.Open
	if cfg.Remove == nil {
		cfg.Remove = os.Remove
	}
	cfg.CreateIndex = func(time.Time) (*os.File, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.noIndex != nil {
			return nil, w.noIndex
		}
		return os.OpenFile(filepath.Join(dir, "index"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	}
	cfg.OnEvent = func(e recording.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	}
	w.rec = recording.New(cfg)
	return w
}

func (w *world) create(time.Time) (*os.File, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if w.refuse != nil {
		return nil, w.refuse
	}
	name := filepath.Join(w.dir, fmt.Sprintf("%04d", len(w.made)))
	w.made = append(w.made, name)
	return os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
}

// refusing makes Create fail from now on, or no more.
func (w *world) refusing(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse = err
}

// said returns the events of some kinds so far.
func (w *world) said(kinds ...recording.EventKind) (said []recording.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events {
		for _, k := range kinds {
			if e.Kind == k {
				said = append(said, e)
			}
		}
	}
	return said
}

// saying is n bytes of the stream from an offset: every 8 of them say their own offset.
func saying(off int64, n int) []byte {
	b := make([]byte, 0, n+16)
	for at := off &^ 7; int64(len(b)) < off-off&^7+int64(n); at += 8 {
		b = binary.BigEndian.AppendUint64(b, uint64(at))
	}
	return b[off-off&^7:][:n]
}

// offer puts the next n bytes of the stream into the pipe and has the recording take them all.
func (w *world) offer(n int) {
	w.t.Helper()
	if m, err := w.pipe.Write(saying(w.off, n)); m != n || err != nil {
		w.t.Fatalf("the pipe took %d of %d bytes: %v", m, n, err)
	}
	m, err := w.rec.SpliceWrite(w.pipe, n, 0)
	if m != n || err != nil {
		w.t.Fatalf("SpliceWrite of %d bytes at %d: %d, %v", n, w.off, m, err)
	}
	w.off += int64(n)
	if left := w.pipe.Len(); left != 0 {
		w.t.Fatalf("%d bytes are left in the pipe", left)
	}
	if end := w.rec.End(); end != w.off {
		w.t.Fatalf("End is %d after %d bytes", end, w.off)
	}
}

// offerMany offers n bytes in runs of at most so many.
func (w *world) offerMany(n, run int) {
	w.t.Helper()
	for ; n > 0; n -= min(n, run) {
		w.offer(min(n, run))
	}
}

// mark marks the place where the next byte will be.
func (w *world) mark() { w.rec.Mark(w.off, time.Now()) }

// stop closes the recording without an error, and its pipe.
func (w *world) stop() {
	w.t.Helper()
	if err := w.rec.Close(nil); err != nil {
		w.t.Errorf("Close: %v", err)
	}
	if err := w.pipe.Close(); err != nil {
		w.t.Error(err)
	}
}

// run is a run of the stream that is in a file or in a gap.
type run struct{ from, to int64 }

func (r run) len() int64 { return r.to - r.from }

// tiles reads the recording from 0 to End by Open, checks every byte, and returns the pieces in files and the gaps.
func (w *world) tiles() (files, gaps []run) {
	w.t.Helper()
	for off := int64(0); off < w.rec.End(); {
		f, n, err := w.rec.Open(off)
		if gap := (*recording.GapError)(nil); errors.As(err, &gap) {
			if gap.From != off || gap.To <= off || gap.Err == nil {
				w.t.Fatalf("at %d: %+v", off, gap)
			}
			gaps = append(gaps, run{gap.From, gap.To})
			off = gap.To
			continue
		}
		if err != nil || n <= 0 {
			w.t.Fatalf("Open(%d): %d bytes, %v", off, n, err)
		}
		got := make([]byte, n)
		_, err = io.ReadFull(f, got)
		if err = errors.Join(err, f.Close()); err != nil {
			w.t.Fatalf("%d bytes from %d: %v", n, off, err)
		}
		w.same(fmt.Sprintf("Open(%d)", off), got, off)
		files = append(files, run{off, off + n})
		off += n
	}
	st := w.rec.Status()
	if sum(gaps) != st.GapBytes || sum(files) != st.Bytes {
		w.t.Errorf("status says %d and %d in gaps, found are %d and %d", st.Bytes, st.GapBytes, sum(files), sum(gaps))
	}
	return files, gaps
}

func sum(runs []run) (n int64) {
	for _, r := range runs {
		n += r.len()
	}
	return n
}

func (w *world) same(what string, got []byte, off int64) {
	w.t.Helper()
	want := saying(off, len(got))
	if bytes.Equal(got, want) {
		return
	}
	for i := range got {
		if got[i] != want[i] {
			w.t.Fatalf("%s: byte %d of the stream is not what it was", what, off+int64(i))
		}
	}
}

// index reads the index of a recording that has ended, and checks each file that it names against the stream: all of
// it, and nothing else.
func (w *world) index() recording.Index {
	w.t.Helper()
	f, err := os.Open(filepath.Join(w.dir, "index"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	x, err := recording.ReadIndex(f)
	if err != nil {
		w.t.Fatal(err)
	}
	if x.End == nil || x.End.Off != w.off {
		w.t.Fatalf("the index ends with %+v after %d bytes", x.End, w.off)
	}
	total := int64(0)
	for _, s := range x.Segments {
		b, err := os.ReadFile(filepath.Join(w.dir, s.Name))
		if err != nil {
			w.t.Fatal(err)
		}
		if int64(len(b)) != s.To-s.From {
			w.t.Errorf("segment %+v has %d bytes", s, len(b))
		}
		w.same(s.Name, b, s.From)
		total += int64(len(b))
	}
	for _, g := range x.Gaps {
		total += g.To - g.From
	}
	if total != w.off {
		w.t.Errorf("segments and gaps are %d bytes of %d", total, w.off)
	}
	return x
}

// starts returns where the segments of the index begin.
func starts(x recording.Index) (offs []int64) {
	for _, s := range x.Segments {
		offs = append(offs, s.From)
	}
	return offs
}
