package hub_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

var (
	schedules = flag.Int("schedules", 300, "random schedules to run over each backing")
	seedFlag  = flag.Uint64("seed", 0, "the first schedule's seed, and each has the next; 0 is another each time")
)

// TestEverySinkGetsWhatItsPolicyPromises runs random schedules of publishers that come, go, fail and take over, and of
// viewers with every policy and limit that join, dawdle, stall, fail and leave, beside an archive that has gaps. Each 8
// bytes of the stream say where they are. What a viewer has got must be one run of it, from a join point on, but for
// the skips that it was told of; and only who may skip may be made to. All that can happen must have happened: while
// something has not, more schedules are run, up to four times as many.
//
// A schedule's seed says what is to happen, and not which of it first: to see a failure again takes several runs.
func TestEverySinkGetsWhatItsPolicyPromises(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64N(1<<63) | 1
	}
	fmt.Printf("schedules from -seed %d on\n", seed) // not by t.Log, which a panic elsewhere swallows
	backings(t, func(t *testing.T, cfg hub.Config) {
		w := newWitness()
		all := expected(cfg.NoSplice)
		whole := *schedules >= 50 // fewer need not show everything
		for first := uint64(0); ; first += uint64(*schedules) {
			runSchedules(t, cfg, w, seed+first)
			missing := w.missing(all)
			if t.Failed() || !whole || len(missing) == 0 {
				break
			}
			if first >= 3*uint64(*schedules) {
				t.Errorf("in %d schedules from %d on there was not once %s", first, seed, strings.Join(missing, ", nor "))
				break
			}
		}
		t.Logf("seen from seed %d on:\n%s", seed, w)
	})
}

// runSchedules runs as many as are asked for, a few at a time: they dawdle a lot.
func runSchedules(t *testing.T, cfg hub.Config, w *witness, seed uint64) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range 3 {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(*schedules) && !t.Failed(); i = next.Add(1) - 1 {
				s := newSchedule(t, seed+uint64(i), cfg, w)
				s.run()
				if len(s.faults) > 0 {
					t.Errorf("run it again with -run '%s$' -args -schedules 1 -seed %d", t.Name(), s.seed)
				}
			}
		})
	}
	workers.Wait()
}

// kernelHasPipes tells whether a pool has one to lend.
func kernelHasPipes() bool {
	pool := penstock.NewPool(0)
	defer pool.Close()
	kp, err := pool.Get(64 << 10)
	if err == nil {
		pool.Put(kp)
	}
	return err == nil
}

// What goes in front of the stream of a schedule that has units, of which some are join points.
const tablesText = "[tables]"

// schedule is one random history of a hub, and at times of one that follows it.
type schedule struct {
	*witness
	t    *testing.T
	seed uint64
	r    *rand.Rand
	side
	sides []side // the hub's own, and the follower's

	unit  int64 // bytes of a unit; 0: the stream may be joined anywhere
	joins int64 // a unit of so many is a join point
	crowd int   // viewers that are in step from the beginning

	total   int64 // to publish
	all     []*testViewer
	viewers sync.WaitGroup
	mu      sync.Mutex
	faults  []string
}

// side is a hub and what it was made with.
type side struct {
	s       *schedule
	h       *hub.Hub
	cfg     hub.Config
	archive faultyArchive // nil: it has none
	serving *atomic.Int32 // fast loops that are giving something to a sink
}

// resolve returns what a viewer's policy comes to.
func (d *side) resolve(p hub.Policy) hub.Policy {
	if p == hub.Inherit {
		p = d.cfg.OnSlow
	}
	switch {
	case p == hub.Inherit:
		return hub.Disconnect
	case p != hub.Auto:
		return p
	case d.archive != nil:
		return hub.CatchUp
	case d.s.unit > 0:
		return hub.Skip
	default:
		return hub.Disconnect
	}
}

func newSchedule(t *testing.T, seed uint64, cfg hub.Config, w *witness) *schedule {
	r := rand.New(rand.NewPCG(seed, 0))
	s := &schedule{witness: w, t: t, seed: seed, r: r, total: int64(1+r.IntN(6)) << (10 + r.IntN(8))}
	if r.IntN(4) > 0 {
		s.unit, s.joins = int64(8+r.IntN(600)), int64(1+r.IntN(20))
	}
	if r.IntN(4) == 0 {
		cfg.Budget = hub.NewBudget(int64(1+r.IntN(64)) << 12)
	}
	if !cfg.NoSplice && r.IntN(3) == 0 {
		cfg.Pool = penstock.NewPool(max(0, r.IntN(8)-1) * 64 << 10) // too little at times, and none at all
	}
	s.side = s.newSide(cfg, r.IntN(2) == 0)
	s.sides = []side{s.side}
	if r.IntN(4) == 0 {
		s.sides = append(s.sides, s.newSide(cfg, false))
	}
	if r.IntN(16) == 0 {
		s.crowd, s.total = 2*hub.LeastBatch*len(s.sides)+r.IntN(100), min(s.total, 128<<10)
	}
	return s
}

// newSide makes a hub of any kind.
func (s *schedule) newSide(cfg hub.Config, archived bool) side {
	cfg.Ring = 1 << (12 + s.r.IntN(9))
	cfg.OnSlow = hub.Policy(s.r.IntN(6))
	cfg.FastStart = int64(s.r.IntN(3)-1) << 15
	cfg.Loops = 1 + s.r.IntN(3)
	if s.r.IntN(8) == 0 {
		cfg.Limits.Bytes = int64(1 + s.r.IntN(1<<18))
	}
	d := side{s: s, serving: new(atomic.Int32)}
	if archived {
		d.archive = s.newArchive()
		cfg.Archive = d.archive
	}
	d.h, d.cfg = hub.New(cfg), cfg
	return d
}

func (s *schedule) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// fork returns randomness for another goroutine.
func (s *schedule) fork() *rand.Rand { return rand.New(rand.NewPCG(s.r.Uint64(), 1)) }

func (s *schedule) run() {
	if s.archive != nil {
		s.recorded()
	}
	if len(s.sides) > 1 {
		s.follow()
	}
	for range s.crowd {
		s.attach(true)
	}
	for range s.r.IntN(4) {
		s.attach(false)
	}
	s.publishAll()
	s.h.End()
	done := make(chan struct{})
	go func() {
		s.viewers.Wait()
		for _, d := range s.sides {
			d.h.Wait()
		}
		close(done)
	}()
	select {
	case <-done:
		s.checkLeftovers()
	case <-time.After(time.Minute):
		stacks := make([]byte, 1<<20)
		s.fault("it does not come to its end: %+v\n%s", s.h.Stats(), stacks[:runtime.Stack(stacks, true)])
	}
	for _, f := range s.faults {
		s.t.Errorf("seed %d: %s", s.seed, f)
	}
}

// publishAll has publishers come until the stream is as long as it is to be.
func (s *schedule) publishAll() {
	var publishers sync.WaitGroup
	for s.h.Stats().BytesIn < s.total {
		for range s.r.IntN(5) {
			s.attach(false)
		}
		left := max(1, min(s.total-s.h.Stats().BytesIn, 1+s.r.Int64N(s.total)))
		e := &epoch{s: s, r: s.fork(), left: left}
		over := s.r.IntN(4) == 0
		if !over && s.r.IntN(8) > 0 {
			publishers.Wait() // else it takes over, or is refused
		}
		publishers.Go(func() { s.publish(e, over) })
		if s.r.IntN(3) == 0 {
			publishers.Wait()
		}
	}
	publishers.Wait()
	if s.h.Stats().Epochs > 1 {
		s.saw(sawEpochs)
	}
}

func (s *schedule) publish(e *epoch, over bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if e.r.IntN(6) == 0 {
		e.cancel = cancel
	}
	var cfg hub.PublishConfig
	cfg.TakeOver = over
	if s.unit > 0 {
		cfg.Scan = func([]byte) hub.Scanner { return &unitScanner{s: s, at: e.start} }
	}
	src, done := s.newSource(e)
	n, err := s.h.Publish(ctx, src, cfg)
	done()
	if s.unit > 0 && n > 0 && (e.start+n)%s.unit != 0 {
		s.saw(sawTorn)
	}
	switch {
	case err == nil:
	case errors.Is(err, hub.ErrTakenOver):
		s.saw(sawTakeover)
	case errors.Is(err, hub.ErrPublishing):
		s.saw(sawRefused)
	case errors.Is(err, context.Canceled):
		s.saw(sawCancelled)
	case errors.Is(err, errCamera):
		s.saw(sawFailed)
	case errors.Is(err, syscall.ECONNRESET):
		s.saw(sawSourceRST)
	default:
		s.fault("publish: %v", err)
	}
}

// follow has the second hub publish what the first carries, to its end.
func (s *schedule) follow() {
	second := s.sides[1]
	attached := make(chan struct{})
	var cfg hub.PublishConfig
	if s.unit > 0 {
		cfg.Scan = func([]byte) hub.Scanner { return &unitScanner{s: s} }
	}
	before := s.h.Stats().Sinks
	s.viewers.Go(func() {
		close(attached)
		_, err := second.h.Follow(context.Background(), s.h, hub.SinkConfig{Name: "second", MustHave: true}, cfg)
		if err != nil {
			s.fault("follow: %v", err)
		}
		second.h.End()
		if a, b := s.h.Stats().BytesIn, second.h.Stats().BytesIn; a != b {
			s.fault("the second hub has %d bytes of %d", b, a)
		}
	})
	<-attached
	until(s.h, func(st hub.Stats) bool { return st.Sinks > before })
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
		s.viewers.Done()
	}
}

// checkLeftovers looks at what is there once everybody has left.
func (s *schedule) checkLeftovers() {
	for _, d := range s.sides {
		st := d.h.Stats()
		if st.Ring != 0 || st.Sinks != 0 {
			s.fault("left behind: %+v", st)
		}
		for _, c := range st.By {
			if c.Path == penstock.PathSendfile {
				s.saw(sawSendfile)
			}
		}
		if strings.Contains(st.Intake.Why, "no kernel pipe") {
			s.saw(sawNoPipe)
		}
	}
	if s.archive != nil {
		if err := s.archive.end(); err != nil {
			s.fault("%v", err)
		}
		s.checkArchive(s.archive)
		defer s.archive.remove()
	}
	for _, v := range s.all {
		v.check()
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
}

func (s *schedule) isJoin(off int64) bool { return s.unit == 0 || off%(s.unit*s.joins) == 0 }
