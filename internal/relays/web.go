package relays

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/penstock-io/penstock/internal/page"
	"github.com/penstock-io/penstock/internal/tell"
)

// The limits that an HTTP client can run into.
const (
	headerTimeout = 10 * time.Second // for a request's header
	webIdle       = 60 * time.Second // between requests on a connection
	webPatience   = time.Minute      // for a client to take an answer, but for that of events
	maxHeader     = 16 << 10         // bytes of a request's header
)

// web tells of a Set by HTTP, and ends connections if it is asked to.
type web struct {
	set     *Set
	handler http.Handler
	done    chan struct{} // closed when it is over

	mu     sync.Mutex // guards what follows
	addr   string     // as the Config has it
	server *http.Server
}

func newWeb(s *Set) *web {
	w := &web{set: s, done: make(chan struct{})}
	w.handler = http.NewCrossOriginProtection().Handler(w.routes())
	return w
}

// place is where it is served; empty is nowhere.
func (w *web) place() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.addr
}

// serves tells whether it is served at this address already.
func (w *web) serves(addr string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.server != nil && w.addr == addr
}

// serve serves at an address: with the listener, if there is one, or as before. It is served nowhere else from now on.
func (w *web) serve(l net.Listener, addr string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if l == nil && addr == w.addr {
		return
	}
	if w.server != nil {
		_ = w.server.Close() // its listener's error is of no use to anybody
	}
	w.server, w.addr = nil, addr
	if l == nil {
		return
	}
	log := w.set.log
	host, _, _ := net.SplitHostPort(addr) // it is being listened at
	s := &http.Server{
		Handler:           tell.OwnHost(w.handler, host),
		ReadHeaderTimeout: headerTimeout, IdleTimeout: webIdle, WriteTimeout: webPatience, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	w.server = s
	log.Info("telling of relays", "url", "http://"+l.Addr().String()+"/")
	if a, is := l.Addr().(*net.TCPAddr); is && !a.IP.IsLoopback() {
		log.Warn("whoever reaches this address can see and end connections: there is no password", "http", a.String())
	}
	go func() {
		if err := s.Serve(l); err != http.ErrServerClosed {
			log.Error("cannot tell of relays any more", "error", err)
		}
	}()
}

func (w *web) close() {
	close(w.done)
	w.serve(nil, "")
}

// routes is all that can be asked for, and to end connections.
func (w *web) routes() http.Handler {
	mux := http.NewServeMux()
	view := w.set.View()
	view.Route(mux)
	mux.HandleFunc("DELETE /api/v1/connections/{id}", w.kill)
	mux.HandleFunc("GET /healthz", w.health)
	mux.Handle("GET /api/v1/events", tell.Events(w.set.log, w.done,
		tell.Event{Name: pageEvent, Facts: func() any { return w.set.pageFacts(true) }}))
	mux.Handle("GET /metrics", tell.Metrics(w.set.collect))
	page.Route(mux)
	return mux
}

// health is 503 if something is not as it should be, so that a balancer in front sends nobody any more.
func (w *web) health(rw http.ResponseWriter, _ *http.Request) {
	if err := w.set.View().Health(); err != nil {
		http.Error(rw, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(rw, "ok")
}

// kill ends one.
func (w *web) kill(rw http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 64)
	if err != nil {
		http.Error(rw, "want the number of a connection", http.StatusBadRequest)
		return
	}
	if !w.set.kill(id) {
		http.Error(rw, "no such connection", http.StatusNotFound)
		return
	}
	w.set.log.Info("killed", "connection", id, "by", r.RemoteAddr)
	rw.WriteHeader(http.StatusNoContent)
}
