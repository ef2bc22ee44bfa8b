package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
	"github.com/penstock-io/penstock/internal/page"
	"github.com/penstock-io/penstock/internal/tell"
)

// The defaults of a Config.
const (
	DefaultGrace = 30 * time.Second
	DefaultDrain = 5 * time.Second
	DefaultStall = 5 * time.Minute // a player that is paused for longer begins anew
)

// The limits that a client can run into.
const (
	maxStreams     = 1000             // known at a time; the longest offline is forgotten for a new one
	maxHeaderBytes = 16 << 10         // of a request
	headerTimeout  = 10 * time.Second // for a request's header
	idleTimeout    = 60 * time.Second // between requests on a connection
	linger         = 5 * time.Second  // for a client to close after us
	diskPatience   = 2 * time.Second  // at the end of the drain, for a disk that does not answer
)

// Config is what a server is made with. The zero Config records nothing and waits for nobody.
type Config struct {
	Grace    time.Duration // that viewers wait for a publisher to return; 0 is not at all
	Drain    time.Duration // that a shutdown waits for what is in flight; 0 is not at all
	NoSplice bool          // memory pipes only
	Log      *slog.Logger  // nil logs nothing

	Record       string        // directory to record to; empty is no recording
	SegmentBytes int64         // when a recording's segment is long enough; 0 is never
	SegmentTime  time.Duration // likewise
	Sync         time.Duration // as recording.Config.Sync: 0 is never
	Retry        time.Duration // that a recording waits at least before it tries a disk again that failed; 0 is 1 s

	OnSlow hub.Policy // 0 is hub.Auto; for viewers
	Limits hub.Limits // of theirs
	Ring   int64      // bytes that a viewer may be behind in memory; 0 is hub.DefaultRing
	Memory int64      // bytes that all streams together keep in memory for their viewers; 0 is no limit

	Filler *Filler // what viewers are shown that wait for a publisher; nil is nothing

	TakeOver   bool // a publisher that comes takes over from the present one, instead of being refused
	MaxViewers int  // of all streams at a time; 0 is no limit

	// Hosts are names that the server may be asked for by on this machine's loopback, besides localhost and
	// addresses: of a proxy in front of it that passes the Host on as it came. Requests for others are refused there,
	// by 421: they may be of a page that has its name resolve to 127.0.0.1.
	Hosts []string

	HeaderTimeout time.Duration // for a request's header; 0 is 10 s

	Beside Beside // what the page, the API and the metrics tell of besides; nil is nothing
}

// Reasons for a viewer's or a publisher's end that are the server's or the client's own doing.
var (
	errShutdown     = errors.New("the server is shutting down")
	errViewerClosed = errors.New("the viewer closed its connection")
)

// Server holds the streams. Make one with New, serve its Handler or call Serve, and Close it.
type Server struct {
	cfg    Config
	log    *slog.Logger
	pool   *penstock.Pool
	budget *hub.Budget // nil: none
	store  *store      // nil: nothing is recorded

	stopping context.Context // done when the server begins to shut down
	stop     context.CancelCauseFunc
	ending   context.Context // done halfway through the drain: uploads that have an end must have come to it
	endNow   context.CancelCauseFunc
	cut      context.Context // done at the end of the drain: connections are closed outright
	cutNow   context.CancelFunc
	viewers  atomic.Int64
	running  sync.WaitGroup // publishers, recordings, viewers' connections, listeners; see enter

	mu      sync.Mutex
	streams map[string]*stream
}

// New makes a server, and fails if it could not record.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, log: cfg.Log, streams: make(map[string]*stream)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Record != "" {
		st, err := openStore(cfg.Record)
		if err != nil {
			return nil, err
		}
		s.store = st
	}
	if cfg.Memory > 0 {
		s.budget = hub.NewBudget(cfg.Memory)
	}
	if !cfg.NoSplice {
		s.pool = penstock.NewPool(0)
	}
	s.stopping, s.stop = context.WithCancelCause(context.Background())
	s.ending, s.endNow = context.WithCancelCause(context.Background())
	s.cut, s.cutNow = context.WithCancel(context.Background())
	return s, nil
}

// enter counts something that a shutdown waits for; it is false once that has begun. Whoever has entered leaves with
// running.Done, and may add to running meanwhile.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Err() != nil {
		return false
	}
	s.running.Add(1)
	return true
}

// Handler returns the server's HTTP surface: /, /live/NAME, /api/v1/…, /metrics, /healthz. It takes
// connections over where that can be done, as from net/http's HTTP/1.1; else, as with HTTP/2, bytes go through net/http.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /live/{name}", s.watch)
	mux.HandleFunc("PUT /live/{name}", s.publishHTTP)
	mux.HandleFunc("POST /live/{name}", s.publishHTTP)
	s.routeAPI(mux)
	page.Route(mux)
	return tell.OwnHost(mux, s.cfg.Hosts...)
}

// Serve serves HTTP on l until ctx is done, and then shuts down: nothing new is accepted, publishers are stopped, what
// is in flight goes out within the drain, recordings are closed. It takes ownership of l. Its error is nil after a
// shutdown, complete or not; what had to be cut is logged.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           handling(s.Handler()),
		ConnContext:       withConn,
		ReadHeaderTimeout: cmp.Or(s.cfg.HeaderTimeout, headerTimeout),
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	l = newSpareListener(l, fullAnswer, s.log)
	go func() { failed <- srv.Serve(httpListener{l}) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.log.Info("shutting down", "drain", s.cfg.Drain)
	drain, cancel := context.WithTimeout(context.Background(), s.cfg.Drain)
	defer cancel()
	l.Close()
	s.shutdown(drain)
	if err := srv.Shutdown(drain); err != nil {
		s.log.Warn("connections were cut at the end of the drain", "err", err)
		srv.Close()
	}
	return s.Close()
}

// shutdown ends every stream and waits until all is delivered or the drain is done.
func (s *Server) shutdown(drain context.Context) {
	s.mu.Lock()
	s.stop(errShutdown)
	s.mu.Unlock()
	half := time.AfterFunc(s.cfg.Drain/2, func() { s.endNow(errShutdown) })
	defer half.Stop()
	for _, st := range s.all() {
		st.end()
	}
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return
	case <-drain.Done():
	}
	for _, st := range s.all() {
		st.abort(errShutdown)
	}
	s.endNow(errShutdown)
	s.cutNow()
	select {
	case <-done:
	case <-time.After(diskPatience):
		s.log.Error("a recording is still being written to a disk that does not answer: it is left as it is")
	}
}

// Close ends every stream at once and waits for its publishers, viewers and recordings to be gone.
func (s *Server) Close() error {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	s.shutdown(now)
	if s.pool != nil {
		s.pool.Close()
	}
	if s.store != nil {
		return s.store.Close()
	}
	return nil
}

// all returns the known streams, in no order.
func (s *Server) all() []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*stream, 0, len(s.streams))
	for _, st := range s.streams {
		all = append(all, st)
	}
	return all
}

// find returns the stream of that name, or nil if nobody ever published it.
func (s *Server) find(name string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[name]
}

// obtain returns the stream of that name, which it makes if there is none.
func (s *Server) obtain(name string) (*stream, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[name]; st != nil {
		return st, nil
	}
	if len(s.streams) >= maxStreams && !s.forgetOneLocked() {
		return nil, fmt.Errorf("there are %d streams already, all of them in use", maxStreams)
	}
	st := newStream(s, name)
	s.streams[name] = st
	return st, nil
}

// forgetOneLocked drops the stream that has been offline for longest.
func (s *Server) forgetOneLocked() bool {
	var oldest *stream
	var since time.Time
	for _, st := range s.streams {
		if off, ok := st.offlineSince(); ok && (oldest == nil || off.Before(since)) {
			oldest, since = st, off
		}
	}
	if oldest == nil || !oldest.forget() {
		return false
	}
	delete(s.streams, oldest.name)
	return true
}
