package hub_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// testViewer is a viewer of a schedule: a sink with room for so much, which is made by fits and starts.
type testViewer struct {
	s      *schedule
	policy hub.Policy
	limits hub.Limits
	header string
	ago    bool
	polls  bool

	mu       sync.Mutex
	cond     sync.Cond
	got      []byte
	room     int
	broken   error // what a write fails with
	cut      bool  // interrupted
	skips    [][2]int64
	leaving  bool // on its own account
	finished bool
	left     error
	in       *hub.Viewer
}

var errBroken = errors.New("connection reset by peer")

func (s *schedule) attach() {
	r := s.fork()
	v := &testViewer{s: s, policy: hub.Policy(r.IntN(5)), polls: r.IntN(4) > 0, room: r.IntN(1 << r.IntN(18))}
	v.cond.L = &v.mu
	cfg := hub.SinkConfig{Name: "viewer", OnSlow: v.policy}
	if v.policy == hub.Inherit {
		v.policy = s.cfg.OnSlow
	}
	if v.policy == hub.Inherit {
		v.policy = hub.Disconnect
	}
	if r.IntN(3) == 0 {
		cfg.Limits.Bytes = int64(1 + r.IntN(1<<16))
	}
	if r.IntN(3) == 0 {
		cfg.Limits.Time = time.Duration(1+r.IntN(200)) * time.Millisecond
	}
	if r.IntN(8) == 0 {
		cfg.Limits.Stall = time.Duration(20+r.IntN(200)) * time.Millisecond
	}
	if r.IntN(6) == 0 && s.archive != nil && s.unit > 0 {
		cfg.Ago, v.ago = time.Nanosecond, true
	}
	v.limits = cfg.Limits
	if r.IntN(2) == 0 {
		v.header = "[header]"
		cfg.Header = func() []byte { return []byte(v.header) }
	}
	cfg.OnSkip = func(from, to int64) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.skips = append(v.skips, [2]int64{from, to})
	}
	s.viewers.Add(1)
	cfg.OnLeave = func(err error) {
		v.mu.Lock()
		v.finished, v.left = true, err
		v.cond.Broadcast()
		v.mu.Unlock()
	}
	in, err := s.h.Attach(v, cfg)
	if err != nil {
		if !(v.ago && errors.Is(err, hub.ErrNoArchive)) {
			s.fault("attach: %v", err)
		}
		s.viewers.Done()
		return
	}
	go v.live(in, r)
}

// live makes room for a while, fails, leaves, or stays to the end.
func (v *testViewer) live(in *hub.Viewer, r *rand.Rand) {
	defer v.s.viewers.Done()
	end := r.IntN(6) // 0: leaves, 1: breaks, 2: stalls; else stays
	for i, steps := 0, 1+r.IntN(60); ; i++ {
		if r.IntN(4) == 0 {
			time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond) // a schedule, not a synchronisation
		}
		v.mu.Lock()
		if v.finished {
			v.mu.Unlock()
			break
		}
		v.room += 1 + r.IntN(1<<r.IntN(17))
		if i == steps && end == 1 {
			v.broken = errBroken
		}
		v.cond.Broadcast()
		v.mu.Unlock()
		if i == steps && end == 0 {
			v.mu.Lock()
			v.leaving = true
			v.mu.Unlock()
			in.Leave(errTired)
		}
		if i >= steps && end == 2 && (v.policy == hub.Disconnect || v.policy == hub.Skip) {
			break // and takes nothing any more
		}
	}
	if end == 2 {
		timer := time.AfterFunc(50*time.Millisecond, func() { in.Leave(errTired) })
		defer timer.Stop()
		v.mu.Lock()
		v.leaving = true
		v.mu.Unlock()
	}
	_ = in.Err()
	v.in = in
	v.mu.Lock()
	for !v.finished {
		v.cond.Wait()
	}
	v.mu.Unlock()
	v.check()
}

var errTired = errors.New("tired")

// check compares what the viewer got, and what it was told, with what it was promised.
func (v *testViewer) check() {
	s, got := v.s, v.got
	stats := s.h.Stats().BytesIn
	if v.header != "" && (len(got) > 0 || v.left == nil) {
		rest, ok := bytes.CutPrefix(got, []byte(v.header))
		if !ok && len(got) >= len(v.header) {
			s.fault("no header: %.40q", got)
		}
		got = rest
		if !ok {
			got = nil
		}
	}
	if s.unit > 0 {
		rest, ok := bytes.CutPrefix(got, []byte(tablesText))
		if ok {
			got = rest
		} else if bytes.HasPrefix([]byte(tablesText), got) {
			return
		} else if len(got) >= len(tablesText) && !v.ago {
			s.fault("no tables: %.40q", got)
		}
	}
	if len(got) == 0 {
		return
	}
	at, begun := v.in.Start()
	if !begun {
		s.fault("%d bytes before it began", len(got))
		return
	}
	if !s.isJoin(at) {
		s.fault("%s viewer begins at %d", v.policy, at)
		return
	}
	skips := v.skips
	for len(got) > 0 {
		n := int64(len(got))
		if len(skips) > 0 {
			n = min(n, skips[0][0]-at)
		}
		if n < 0 {
			s.fault("a skip from %d was told behind %d", skips[0][0], at)
			return
		}
		want := make([]byte, n)
		word(want, at)
		if !bytes.Equal(got[:n], want) {
			i := 0
			for got[i] == want[i] {
				i++
			}
			s.fault("%s viewer: at %d: not the stream: %x in place of %x", v.policy, at+int64(i), got[i:min(i+16, int(n))], want[i:min(i+16, int(n))])
			return
		}
		got, at = got[n:], at+n
		if len(got) == 0 {
			break
		}
		if to := skips[0][1]; to <= at || s.unit > 0 && (!s.isJoin(to) || at%s.unit != 0 && v.wholeUnits()) {
			s.fault("%s viewer: a skip from %d to %d (units of %d, join points each %d)", v.policy, at, to, s.unit, s.unit*s.joins)
		}
		at, skips = skips[0][1], skips[1:]
		if bytes.HasPrefix([]byte(tablesText), got) && s.unit > 0 {
			return // cut within
		}
		got = bytes.TrimPrefix(got, []byte(tablesText))
	}
	if len(v.skips) > 0 && v.policy != hub.Skip && (v.policy != hub.CatchUp || s.archive != nil) {
		s.fault("%s viewer was made to skip", v.policy)
	}
	switch {
	case v.left == nil:
		if len(skips) > 0 {
			at = skips[len(skips)-1][1]
		}
		if at != stats {
			s.fault("%s viewer came to the end of the stream at %d of %d", v.policy, at, stats)
		}
	case errors.Is(v.left, errTired) && v.leaving, errors.Is(v.left, errBroken), errors.Is(v.left, hub.ErrStalled):
	case errors.Is(v.left, hub.ErrTooSlow):
		if v.policy == hub.Block && v.limits == (hub.Limits{}) && s.cfg.Limits == (hub.Limits{}) {
			s.fault("a viewer that the publisher waits for was too slow")
		}
	default:
		s.fault("%s viewer left with %v", v.policy, v.left)
	}
}

// wholeUnits is false where an epoch that was broken off has left the stream with a part of a unit.
func (v *testViewer) wholeUnits() bool { return false }

func (v *testViewer) SpliceWrite(p penstock.Conduit, n int, flags penstock.Flags) (done int, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for done < n {
		switch {
		case v.broken != nil:
			return done, &penstock.OpError{Op: "splice", Side: penstock.SideSink, Err: v.broken}
		case v.cut:
			return done, &penstock.OpError{Op: "splice", Side: penstock.SideSink, Err: os.ErrDeadlineExceeded}
		case v.room > 0:
			b := make([]byte, min(n-done, v.room))
			m, err := p.Read(b) // holds n: does not wait
			v.got = append(v.got, b[:m]...)
			v.room -= m
			done += m
			if err != nil {
				return done, err
			}
		case v.polls && flags&penstock.NonBlock != 0:
			return done, &penstock.OpError{Op: "splice", Side: penstock.SideSink, Err: penstock.ErrWouldBlock}
		default:
			v.cond.Wait()
		}
	}
	return done, nil
}

func (v *testViewer) Path(p penstock.Conduit) (penstock.Path, string) {
	return penstock.PathReadWrite, "a test"
}
func (v *testViewer) Polls() bool { return v.polls }

func (v *testViewer) Interrupt() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cut = true
	v.cond.Broadcast()
}

func (v *testViewer) Resume() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cut = false
}
