package live

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-io/penstock/format"
	"github.com/penstock-io/penstock/hub"
	"github.com/penstock-io/penstock/recording"
)

// state is where a stream is in its life.
type state string

const (
	live    state = "live"    // has a publisher
	waiting state = "waiting" // its publisher is gone; viewers are held for the grace
	offline state = "offline" // has ended, and may begin anew
)

// stream is a name that somebody published. It outlives its publishers: each of them is an epoch.
type stream struct {
	srv  *Server
	name string

	mu        sync.Mutex
	state     state
	forgotten bool // dropped from the server
	publisher string
	since     time.Time            // of the state
	epoch     int                  // publishers so far
	hub       *hub.Hub             // while live or waiting, and the last one's while offline
	rec       *recording.Recording // of the hub; nil: nothing is recorded
	grace     *time.Timer          // while waiting
	format    format.Format
	present   *publication // the one that was begun last

	audience *atomic.Int64 // viewers of the hub
	filling  *publication  // the filler's, while it is shown
	unfit    bool          // the filler cannot be shown behind the last publisher

	past   []*hub.Hub // that have ended, while viewers or a recording still take the rest
	before counters   // of hubs before those
}

func newStream(s *Server, name string) *stream {
	return &stream{srv: s, name: name, state: offline, since: time.Now(), format: format.Raw}
}

// renewLocked makes a new hub, and its recording if the server records.
func (st *stream) renewLocked() {
	if st.hub != nil {
		st.past = append(st.past, st.hub)
		st.foldLocked()
	}
	cfg := st.srv.cfg.hubConfig()
	cfg.Pool, cfg.Budget = st.srv.pool, st.srv.budget
	st.format = format.Raw
	st.rec = nil
	if st.srv.store != nil {
		st.rec = st.srv.store.record(st)
		cfg.Archive = st.rec
	}
	st.hub = hub.New(cfg)
	st.audience, st.filling, st.unfit = new(atomic.Int64), nil, false
	if st.rec != nil {
		st.attachRecording(st.rec)
	}
}

// foldLocked forgets the past hubs that nobody is at any more, but for their counters.
func (st *stream) foldLocked() {
	st.past = slices.DeleteFunc(st.past, func(h *hub.Hub) bool {
		s := h.Slowest(0)
		if s.Sinks > 0 {
			return false
		}
		st.before.add(s)
		return true
	})
}

// end is for a shutdown: a stream that waits waits no longer; a live one ends when its publisher has been stopped.
func (st *stream) end() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.state == waiting {
		st.endLocked()
	}
}

func (st *stream) endLocked() {
	if st.grace != nil {
		st.grace.Stop()
	}
	st.setLocked(offline)
	if st.filling != nil {
		st.filling.stop(hub.ErrEnded)
		st.publisher = ""
	}
	st.hub.End()
}

// abort makes the viewers and the recording leave now.
func (st *stream) abort(err error) {
	for _, h := range st.hubs() {
		h.Abort(err)
	}
}

// hubs returns those that somebody may be at, the present one last.
func (st *stream) hubs() []*hub.Hub {
	st.mu.Lock()
	defer st.mu.Unlock()
	hubs := slices.Clone(st.past)
	if st.hub != nil {
		hubs = append(hubs, st.hub)
	}
	return hubs
}

func (st *stream) setLocked(s state) { st.state, st.since = s, time.Now() }

func (st *stream) offlineSince() (time.Time, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.since, st.state == offline
}

// forget makes the stream unusable, if it is still offline and nobody is taking the rest of it.
func (st *stream) forget() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.foldLocked()
	busy := len(st.past) > 0 || st.hub != nil && st.hub.Slowest(0).Sinks > 0
	st.forgotten = st.state == offline && !busy
	return st.forgotten
}

// audienceOf counts the viewers of h, which is the present hub; of a hub that was one a moment ago nobody needs the
// count.
func (st *stream) audienceOf(h *hub.Hub) *atomic.Int64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.hub != h {
		return new(atomic.Int64)
	}
	return st.audience
}

// currentFormat is what the stream's bytes have shown, or its publisher declared.
func (st *stream) currentFormat() format.Format {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.format
}

// noteFormat takes f for the stream's format. What a returning publisher's first bytes happen to look like does not
// replace something that was better known: viewers and the recording go on with that. It returns what the stream's
// format is then.
func (st *stream) noteFormat(f format.Format) format.Format {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.format == format.Raw || !f.Vague() {
		st.format = f
	}
	return st.format
}
