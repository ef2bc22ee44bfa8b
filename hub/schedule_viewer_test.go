package hub_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/penstock-io/penstock/hub"
)

// testViewer is a viewer of a schedule: a sink with room for so much, which is made by fits and starts.
type testViewer struct {
	at     *side
	r      *rand.Rand
	policy hub.Policy
	limits hub.Limits
	header string
	ago    bool
	quick  bool   // it takes everything at once
	writes bool   // its sink is a mere writer
	kind   string // of its sink, for reports
	near   *net.TCPConn
	far    *net.TCPConn // nil: it is in memory
	in     atomic.Pointer[hub.Viewer]

	mu       sync.Mutex
	cond     sync.Cond
	got      []byte
	room     int
	breakAt  int   // bytes; 0: it does not by itself
	broken   error // what a write fails with
	cut      bool  // interrupted
	deaf     bool  // it reads no more, whatever it is sent
	skips    []gap
	leaving  bool // on its own account
	finished bool
	left     error
}

var (
	errBroken = errors.New("it is broken")
	errTired  = errors.New("tired")
)

// attach adds a viewer of any kind to the hub, or to the one that follows it. One that is quick is in step for as long
// as it stays.
func (s *schedule) attach(quick bool) {
	r := s.fork()
	at := &s.sides[r.IntN(len(s.sides))]
	v := &testViewer{at: at, r: r, policy: hub.Policy(r.IntN(6)), room: r.IntN(1 << r.IntN(18)), quick: quick}
	if at.archive != nil && r.IntN(3) == 0 {
		v.policy = hub.CatchUp
	}
	v.cond.L = &v.mu
	cfg := hub.SinkConfig{Name: "viewer", OnSlow: v.policy}
	v.policy = at.resolve(v.policy)
	if r.IntN(3) == 0 && !quick {
		cfg.Limits.Bytes = int64(1 + r.IntN(1<<16))
	}
	if r.IntN(3) == 0 && !quick {
		cfg.Limits.Time = time.Duration(1+r.IntN(200)) * time.Millisecond
	}
	if r.IntN(3) == 0 && !quick {
		cfg.Limits.Stall = time.Duration(10+r.IntN(30)) * time.Millisecond
	}
	if r.IntN(4) == 0 && at.archive != nil && s.unit > 0 {
		cfg.Ago, v.ago = time.Nanosecond, true
	}
	if v.limits = cfg.Limits; v.limits == (hub.Limits{}) {
		v.limits = at.cfg.Limits
	}
	if r.IntN(2) == 0 {
		v.header = "[header]"
		cfg.Header = func() []byte { return []byte(v.header) }
	}
	if quick {
		v.room = math.MaxInt
		if r.IntN(4) == 0 {
			v.breakAt = 1 + r.IntN(1<<r.IntN(20))
		}
	}
	cfg.OnSkip = func(from, to int64) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.skips = append(v.skips, gap{from, to})
	}
	sink := v.newSink()
	v.kind = fmt.Sprintf("%T (polls %t)", sink, sink.Polls())
	cfg.OnLeave = func(err error) {
		if v.near != nil {
			v.near.Close()
		}
		v.mu.Lock()
		v.finished, v.left = true, err
		v.cond.Broadcast()
		v.mu.Unlock()
	}
	in, err := at.h.Attach(sink, cfg)
	if err != nil {
		if !(v.ago && errors.Is(err, hub.ErrNoArchive)) {
			s.fault("attach: %v", err)
		}
		if v.near != nil {
			v.near.Close()
			v.far.Close()
		}
		return
	}
	v.in.Store(in)
	s.all = append(s.all, v)
	s.viewers.Go(v.live)
}

// live makes room for a while, fails, leaves, or stays to the end.
func (v *testViewer) live() {
	end, steps := v.r.IntN(6), 1+v.r.IntN(60) // 0: leaves, 1: breaks, 2: stalls; else stays
	switch {
	case v.quick:
	case v.far != nil:
		v.receive(end, steps)
	default:
		v.makeRoom(end, steps)
	}
	if end == 2 && v.mayStall() {
		left := make(chan struct{})
		timer := time.AfterFunc(100*time.Millisecond, func() { v.leave(); close(left) })
		defer func() {
			if !timer.Stop() {
				<-left
			}
		}()
	}
	v.mu.Lock()
	for !v.finished {
		v.cond.Wait()
	}
	v.mu.Unlock()
	if v.far != nil {
		v.far.Close()
	}
}

// makeRoom is the life of a viewer that is no socket's.
func (v *testViewer) makeRoom(end, steps int) {
	for i := 0; ; i++ {
		if v.r.IntN(4) == 0 {
			v.dawdle()
		}
		v.mu.Lock()
		if v.finished {
			v.mu.Unlock()
			return
		}
		v.room += 1 + v.r.IntN(1<<v.r.IntN(17))
		if i == steps && end == 1 {
			v.broken = errBroken
		}
		v.cond.Broadcast()
		v.mu.Unlock()
		if i == steps && end == 0 {
			v.leave()
		}
		if i >= steps && end == 2 && v.mayStall() {
			return
		}
	}
}

// mayStall tells whether nobody waits for it.
func (v *testViewer) mayStall() bool { return v.policy != hub.Block }

// leave makes it leave on its own account: a mere writer, too, which nothing can interrupt.
func (v *testViewer) leave() {
	v.mu.Lock()
	v.leaving = true
	if v.writes {
		v.broken = errTired
		v.cond.Broadcast()
	}
	v.mu.Unlock()
	v.in.Load().Leave(errTired)
}

// check compares what the viewer got, and what it was told, with what it was promised. Precondition: it has left, and
// so has everybody else.
func (v *testViewer) check() {
	s := v.at.s
	at, skips, ok := v.checkBytes()
	switch {
	case v.left == nil && ok && !v.deaf && !v.leaving:
		s.saw(sawEnd)
		if v.policy == hub.Block && v.limits == (hub.Limits{}) {
			s.saw(sawBlockStays)
		}
		if len(skips) > 0 {
			at = skips[len(skips)-1].to
		}
		if end := v.at.h.Stats().BytesIn; at != end {
			s.fault("%s came to the end of the stream at %d of %d", v, at, end)
		}
	case v.left == nil:
	case errors.Is(v.left, errTired) && v.leaving:
		s.saw(sawTired)
	case errors.Is(v.left, errBroken):
		s.saw(sawBroken)
	case v.deaf && (errors.Is(v.left, syscall.ECONNRESET) || errors.Is(v.left, syscall.EPIPE)):
		s.saw(sawReset)
	case errors.Is(v.left, hub.ErrStalled) && (v.limits.Stall > 0 || v.policy != hub.Block):
		s.saw(sawStalled)
	case errors.Is(v.left, hub.ErrTooSlow):
		s.saw(sawTooSlow)
		all := v.policy == hub.Block || v.policy == hub.CatchUp && v.at.archive != nil // it is to get
		if all && v.limits.Bytes == 0 && v.limits.Time == 0 {
			s.fault("%s was too slow: %v", v, v.left)
		}
	default:
		s.fault("%s left with %v", v, v.left)
	}
}

// checkBytes returns where in the stream the viewer has got to, and the skips that it was told of behind that. ok is
// false if it has no more than a part of what goes in front.
func (v *testViewer) checkBytes() (at int64, skips []gap, ok bool) {
	s, got := v.at.s, v.got
	if v.header != "" && (len(got) > 0 || v.left == nil && !v.deaf && !v.leaving) {
		rest, whole := bytes.CutPrefix(got, []byte(v.header))
		if !whole {
			if len(got) >= len(v.header) || v.left == nil && !v.deaf && !v.leaving {
				s.fault("no header: %.40q", got)
			}
			return 0, nil, false
		}
		got = rest
	}
	if s.unit > 0 {
		rest, whole := bytes.CutPrefix(got, []byte(tablesText))
		switch {
		case whole:
			got = rest
		case bytes.HasPrefix([]byte(tablesText), got):
			return 0, nil, false
		case len(got) >= len(tablesText) && !v.ago:
			s.fault("no tables: %.40q", got)
		}
	}
	at, begun := v.in.Load().Start()
	if len(got) == 0 {
		return 0, nil, false
	}
	if !begun || !s.isJoin(at) && !v.beginsAmidst(at) {
		s.fault("%s begins at %d (%v)", v, at, begun)
		return at, nil, false
	}
	if v.ago {
		s.saw(sawAgo)
	}
	if v.at != &s.sides[0] {
		s.saw(sawFollower)
	}
	if v.in.Load().ArchiveVisits() > 0 {
		s.saw(sawArchive)
	}
	for skips = v.skips; ; skips = skips[1:] {
		n := int64(len(got))
		if len(skips) > 0 {
			n = min(n, skips[0].from-at)
		}
		if n < 0 {
			s.fault("a skip from %d was told behind %d", skips[0].from, at)
			return at, nil, false
		}
		if !v.same(got[:n], at) {
			return at, nil, false
		}
		got, at = got[n:], at+n
		if len(got) == 0 {
			return at, skips, true
		}
		v.checkSkip(skips[0])
		at = skips[0].to
		if s.unit > 0 {
			rest, whole := bytes.CutPrefix(got, []byte(tablesText))
			next := make([]byte, len(got)) // the stream may begin as the tables do
			word(next, at)
			if !whole && bytes.HasPrefix([]byte(tablesText), got) && !bytes.Equal(next, got) {
				return at, nil, true // cut within
			}
			got = rest
		}
	}
}

// beginsAmidst tells whether it may begin in the midst of a unit: no join point before has been recorded.
func (v *testViewer) beginsAmidst(at int64) bool {
	if !v.ago {
		return false
	}
	gaps := v.at.archive.gaps()
	return !slices.ContainsFunc(v.at.archive.marked(), func(join int64) bool {
		lost := slices.ContainsFunc(gaps, func(g gap) bool { return join >= g.from && join < g.to })
		return join <= at && !lost
	})
}

// same tells whether these are the stream's bytes from at on.
func (v *testViewer) same(got []byte, at int64) bool {
	want := make([]byte, len(got))
	word(want, at)
	if bytes.Equal(got, want) {
		return true
	}
	i := 0
	for got[i] == want[i] {
		i++
	}
	v.at.s.fault("%s: at %d: not the stream: %x in place of %x", v, at+int64(i),
		got[i:min(i+16, len(got))], want[i:min(i+16, len(got))])
	return false
}

// checkSkip judges a skip in the midst of the stream: it is a part of a gap of the archive; or it goes from the end of
// a unit to a join point, and only some are made to.
func (v *testViewer) checkSkip(skip gap) {
	s := v.at.s
	if v.at.archive != nil && (v.ago || v.policy == hub.CatchUp) {
		for _, g := range v.at.archive.gaps() {
			if skip.from >= g.from && skip.from < skip.to && skip.to <= g.to {
				s.saw(sawGapTold)
				return
			}
		}
	}
	s.saw(sawSkip)
	if skip.to <= skip.from || s.unit > 0 && (!s.isJoin(skip.to) || skip.from%s.unit != 0) {
		s.fault("%s: a skip from %d to %d (units of %d, join points each %d)", v, skip.from, skip.to, s.unit, s.unit*s.joins)
	}
	if v.policy != hub.Skip && (v.policy != hub.CatchUp || v.at.archive != nil) {
		s.fault("%s was made to skip from %d to %d", v, skip.from, skip.to)
	}
}

// String says what kind of viewer it is, and what became of it.
func (v *testViewer) String() string {
	in := v.in.Load()
	start, begun := in.Start()
	name := "viewer"
	if v.at.h != v.at.s.h {
		name += " of the second hub"
	}
	const like = "%s by %s, policy %s, limits %+v, ago %t, quick %t, with %d bytes from %d (%t), skips %v, %d visits"
	return fmt.Sprintf(like, name, v.kind, v.policy, v.limits, v.ago, v.quick, len(v.got), start, begun, v.skips, in.ArchiveVisits())
}
