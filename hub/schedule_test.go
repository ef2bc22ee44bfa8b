package hub_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

var (
	schedules = flag.Int("schedules", 400, "random schedules to run over each backing")
	seedFlag  = flag.Uint64("seed", 0, "run the one schedule of this seed; 0 is others each time")
)

// TestEverySinkGetsWhatItsPolicyPromises runs random schedules of publishers that come, go, fail and take over, and of
// viewers with every policy and limit that join, dawdle, stall, fail and leave. Each 8 bytes of the stream say where they
// are. What a viewer has got must be one run of it, from a join point on, but for the skips that it was told of; and only
// who may skip may be made to.
func TestEverySinkGetsWhatItsPolicyPromises(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		for range *schedules {
			seed := *seedFlag
			if seed == 0 {
				seed = rand.Uint64() | 1
			}
			s := newSchedule(t, seed, cfg)
			s.run()
			if t.Failed() {
				t.Fatalf("run it again with -run 'TestEverySink.*/%s' -schedules 1 -seed %d", map[bool]string{false: "^splice", true: "no-splice"}[cfg.NoSplice], seed)
			}
		}
	})
}

// The stream of a schedule: units, of which some are join points. It may be joined anywhere if units is 0.
const tablesText = "[tables]"

// schedule is one random history of a hub.
type schedule struct {
	t    *testing.T
	seed uint64
	r    *rand.Rand
	h    *hub.Hub
	cfg  hub.Config

	unit    int64 // bytes of a unit; 0: the stream may be joined anywhere
	joins   int64 // a unit of so many is a join point
	archive *diskArchive

	total   int64 // to publish
	viewers sync.WaitGroup
	mu      sync.Mutex
	faults  []string
}

func newSchedule(t *testing.T, seed uint64, cfg hub.Config) *schedule {
	r := rand.New(rand.NewPCG(seed, 0))
	s := &schedule{t: t, seed: seed, r: r, total: int64(1+r.IntN(6)) << (10 + r.IntN(8))}
	if r.IntN(4) > 0 {
		s.unit, s.joins = int64(8+r.IntN(600)), int64(1+r.IntN(20))
	}
	cfg.Ring = 1 << (12 + r.IntN(9))
	cfg.OnSlow = hub.Policy(r.IntN(5))
	cfg.FastStart = int64(r.IntN(3)-1) << 15
	cfg.Loops = 1 + r.IntN(3)
	if r.IntN(4) == 0 {
		cfg.Budget = hub.NewBudget(int64(1+r.IntN(64)) << 12)
	}
	if !cfg.NoSplice && r.IntN(3) == 0 {
		cfg.Pool = penstock.NewPool(r.IntN(8) * 64 << 10) // too little at times, and none at all
	}
	if r.IntN(2) == 0 {
		s.archive = newDiskArchive(t)
		cfg.Archive = s.archive
	}
	s.cfg = cfg
	s.h = hub.New(cfg)
	return s
}

func (s *schedule) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

func (s *schedule) run() {
	if s.archive != nil {
		s.recorded()
	}
	for range s.r.IntN(4) {
		s.attach()
	}
	var publishers sync.WaitGroup
	for i := 0; s.h.Stats().BytesIn < s.total; i++ {
		for range s.r.IntN(5) {
			s.attach()
		}
		src := &wordSource{s: s, r: s.fork(), left: max(1, min(s.total-s.h.Stats().BytesIn, 1+s.r.Int64N(s.total))), polls: s.r.IntN(2) == 0}
		over := s.r.IntN(4) == 0
		if !over {
			publishers.Wait() // else it takes over
		}
		publishers.Go(func() { s.publish(src, over) })
		if s.r.IntN(3) == 0 {
			publishers.Wait()
		}
	}
	publishers.Wait()
	s.h.End()
	done := make(chan struct{})
	go func() {
		s.viewers.Wait()
		s.h.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		s.t.Fatalf("seed %d: it does not come to its end: %+v", s.seed, s.h.Stats())
	}
	if s.archive != nil {
		s.archive.close(s)
	}
	if st := s.h.Stats(); st.Ring != 0 || st.Sinks != 0 {
		s.fault("left behind: %+v", st)
	}
	if b := s.cfg.Budget; b != nil && b.Used() != 0 {
		s.fault("%d bytes of the budget are still in use", b.Used())
	}
	if s.cfg.Pool != nil {
		if st := s.cfg.Pool.Stats(); st.Held != st.Idle {
			s.fault("%d bytes of pipes are still lent", st.Held-st.Idle)
		}
		s.cfg.Pool.Close()
	}
	for _, f := range s.faults {
		s.t.Errorf("seed %d: %s", s.seed, f)
	}
}

// fork returns randomness for another goroutine.
func (s *schedule) fork() *rand.Rand { return rand.New(rand.NewPCG(s.r.Uint64(), 1)) }

func (s *schedule) publish(src *wordSource, over bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if src.r.IntN(6) == 0 {
		src.cancel = cancel
	}
	var cfg hub.PublishConfig
	cfg.TakeOver = over
	if s.unit > 0 {
		cfg.Scan = func([]byte) hub.Scanner { return &unitScanner{s: s, at: src.start} }
	}
	_, err := s.h.Publish(ctx, src, cfg)
	switch {
	case err == nil, errors.Is(err, hub.ErrTakenOver), errors.Is(err, hub.ErrPublishing), errors.Is(err, context.Canceled), errors.Is(err, errCamera):
	default:
		s.fault("publish: %v", err)
	}
}

// recorded attaches the archive's sink, and checks that it got everything.
func (s *schedule) recorded() {
	s.viewers.Add(1)
	_, err := s.h.Attach(s.archive, hub.SinkConfig{Name: "recording", MustHave: true, OnLeave: func(err error) {
		defer s.viewers.Done()
		if err != nil {
			s.fault("recording: %v", err)
		}
		if n := s.archive.size(); n != s.h.Stats().BytesIn {
			s.fault("recorded %d of %d bytes", n, s.h.Stats().BytesIn)
		}
	}})
	if err != nil {
		s.fault("recording: %v", err)
	}
}

// word writes the stream's bytes from off on.
func word(b []byte, off int64) {
	for i := range b {
		var w [8]byte
		binary.BigEndian.PutUint64(w[:], uint64(off+int64(i))&^7)
		b[i] = w[(off+int64(i))&7]
	}
}

var errCamera = errors.New("the camera failed")

// wordSource is a publisher: it goes on where the one before it ended.
type wordSource struct {
	s      *schedule
	r      *rand.Rand
	left   int64
	start  int64
	at     int64
	begun  bool
	polls  bool
	empty  bool // the last read had nothing
	cancel context.CancelFunc
	mu     sync.Mutex
	past   bool // interrupted
}

func (w *wordSource) SpliceRead(p penstock.Conduit, n int, flags penstock.Flags) (int, error) {
	if !w.begun {
		w.begun = true
		w.start = w.s.h.Stats().BytesIn
		w.at = w.start
	}
	w.mu.Lock()
	past := w.past
	w.mu.Unlock()
	switch {
	case past:
		return 0, &penstock.OpError{Op: "read", Side: penstock.SideSource, Err: os.ErrDeadlineExceeded}
	case w.left == 0 && w.r.IntN(4) == 0:
		return 0, errCamera
	case w.left == 0:
		return 0, io.EOF
	case w.cancel != nil && w.r.IntN(8) == 0:
		w.cancel()
		return 0, &penstock.OpError{Op: "read", Side: penstock.SideSource, Err: os.ErrDeadlineExceeded}
	case w.polls && flags&penstock.NonBlock != 0 && !w.empty && w.r.IntN(8) == 0:
		w.empty = true
		return 0, &penstock.OpError{Op: "splice", Side: penstock.SideSource, Err: penstock.ErrWouldBlock}
	}
	w.empty = false
	b := make([]byte, min(int64(n), w.left, int64(p.Cap()), int64(1+w.r.IntN(1<<w.r.IntN(18)))))
	word(b, w.at)
	m, err := p.Write(b)
	w.at += int64(m)
	w.left -= int64(m)
	return m, err
}

func (w *wordSource) Path(penstock.Conduit) (penstock.Path, string) {
	return penstock.PathReadWrite, "a test"
}
func (w *wordSource) Polls() bool { return w.polls }

func (w *wordSource) Wait() error { return nil }

func (w *wordSource) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.past = !t.IsZero()
	return nil
}

// unitScanner knows the stream by its offsets.
type unitScanner struct {
	s  *schedule
	at int64
}

func (u *unitScanner) Scan(run []byte) (join, cut, end int) {
	join, cut, end = -1, -1, 0
	first := (u.at + u.s.unit - 1) / u.s.unit * u.s.unit
	for off := first; off <= u.at+int64(len(run)); off += u.s.unit {
		i := int(off - u.at)
		end = i
		if i == len(run) {
			break
		}
		if cut < 0 {
			cut = i
		}
		if u.s.isJoin(off) {
			join = i
		}
		var want [8]byte
		word(want[:], off)
		if got := run[i:min(i+8, len(run))]; !bytes.HasPrefix(want[:], got) {
			u.s.fault("the scanner sees %x at %d", got, off)
		}
	}
	if u.at%u.s.unit != 0 && end == 0 { // an epoch that begins in the middle of a unit, and no end of that yet
		end = len(run)
	}
	u.at += int64(end)
	if join >= end {
		join = -1
	}
	return join, cut, end
}

func (u *unitScanner) Header() []byte { return []byte(tablesText) }

func (s *schedule) isJoin(off int64) bool { return s.unit == 0 || off%(s.unit*s.joins) == 0 }

// diskArchive is a recording of the simplest kind.
type diskArchive struct {
	penstock.Sink
	f     *os.File
	mu    sync.Mutex
	n     int64
	marks []int64
}

func newDiskArchive(t *testing.T) *diskArchive {
	f, err := os.Create(filepath.Join(t.TempDir(), "recording"))
	if err != nil {
		t.Fatal(err)
	}
	return &diskArchive{Sink: penstock.SinkOf(f), f: f}
}

func (a *diskArchive) SpliceWrite(p penstock.Conduit, n int, flags penstock.Flags) (int, error) {
	m, err := a.Sink.SpliceWrite(p, n, flags)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n += int64(m)
	return m, err
}

func (a *diskArchive) size() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

func (a *diskArchive) Mark(off int64, _ time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.marks = append(a.marks, off)
}

func (a *diskArchive) Find(time.Time) (int64, time.Time, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.marks) == 0 {
		return 0, time.Time{}, false
	}
	return a.marks[rand.IntN(len(a.marks))], time.Time{}, true
}

func (a *diskArchive) Open(off int64) (*os.File, int64, error) {
	n := a.size() - off
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

func (a *diskArchive) close(s *schedule) {
	if err := a.f.Close(); err != nil {
		s.fault("%v", err)
	}
	if err := os.Remove(a.f.Name()); err != nil {
		s.fault("%v", err)
	}
}
