package relays

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/penstock-io/penstock/internal/tell"
)

// The limits that an HTTP client can run into.
const (
	headerTimeout = 10 * time.Second // for a request's header
	webIdle       = 60 * time.Second // between requests on a connection
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
	s := &http.Server{
		Handler: w.handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: webIdle, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	w.server = s
	log.Info("telling of relays", "url", "http://"+l.Addr().String()+"/")
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

// routes is all that can be asked for.
func (w *web) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", w.health)
	mux.HandleFunc("GET /api/v1/relays", func(rw http.ResponseWriter, _ *http.Request) { tell.JSON(rw, w.set.facts()) })
	mux.HandleFunc("GET /api/v1/connections", w.connections)
	mux.HandleFunc("DELETE /api/v1/connections/{id}", w.kill)
	mux.Handle("GET /api/v1/events", tell.Events(w.set.log, w.done,
		tell.Event{Name: "relays", Facts: func() any { return w.set.pageFacts() }}))
	mux.Handle("GET /metrics", tell.Metrics(w.set.collect))
	routePage(mux)
	return mux
}

// health is 503 while the relays are being shut down, so that a balancer in front sends nobody any more, and when one
// of them accepts nothing although it should.
func (w *web) health(rw http.ResponseWriter, _ *http.Request) {
	if w.set.isDraining() {
		http.Error(rw, "shutting down", http.StatusServiceUnavailable)
		return
	}
	for _, one := range w.set.all() {
		if one.failed != nil {
			http.Error(rw, fmt.Sprintf("%s: %v", one.spec.Config.Name, one.failed), http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(rw, "ok")
}

// connections lists them: those of a choice.
func (w *web) connections(rw http.ResponseWriter, r *http.Request) {
	c, err := parseChoice(r.URL.Query())
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	tell.JSON(rw, w.set.connections(c))
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
