package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// watch serves GET /live/NAME: it takes the connection over from net/http and gives it to the stream's hub. The body
// ends when the connection does. Where the connection is not to be had, as with HTTP/2, see respond.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if err := CheckName(name); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ago, err := agoOf(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	st := s.find(name)
	if st == nil {
		http.Error(w, fmt.Sprintf("nobody has published %q", name), http.StatusNotFound)
		return
	}
	h, err := st.watchable(ago)
	if err != nil {
		refuse(w, err)
		return
	}
	if r.Method == http.MethodHead {
		st.watchHeader(w.Header())
		return
	}
	if !s.enter() {
		http.Error(w, errShutdown.Error(), http.StatusServiceUnavailable)
		return
	}
	if err := s.admit(); err != nil {
		s.running.Done()
		s.log.Warn("viewer refused", "stream", name, "viewer", r.RemoteAddr, "reason", err)
		refuse(w, err)
		return
	}
	v := &viewer{srv: s, st: st, name: r.RemoteAddr}
	conn, _, err := takeOver(w) // a client has nothing to say behind its request
	if err != nil {
		defer s.running.Done()
		v.respond(w, r, h, ago)
		return
	}
	v.conn = conn
	if err := v.attach(h, sinkOf(conn), hub.SinkConfig{Ago: ago, Header: v.header, OnLeave: v.left}); err != nil {
		_, _ = io.WriteString(conn, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\r\nthe stream has ended\n")
		conn.Close()
		s.running.Done()
		return
	}
	go v.waitForHangup() // and let net/http's goroutine and its buffers go
}

// agoOf returns how long ago in the stream a viewer wants to begin, 0 for now.
func agoOf(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("ago")
	if text == "" {
		return 0, nil
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 {
		return 0, fmt.Errorf("ago=%q: want a duration such as 30s", text)
	}
	return ago, nil
}

// Why a viewer cannot watch now.
var (
	errEnded   = errors.New("the stream has ended; it may begin again")
	errFull    = errors.New("there are as many viewers as may be; try again")
	errNoPast  = errors.New("the stream is not recorded, so that it can be watched from now on only")
	errNoBytes = errors.New("nothing of the stream is recorded yet, so that it can be watched from now on only")
)

// refuse answers a viewer with why it cannot watch.
func refuse(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	if errors.Is(err, errNoPast) || errors.Is(err, errNoBytes) {
		status = http.StatusNotFound
	} else {
		w.Header().Set("Retry-After", "5")
	}
	http.Error(w, err.Error(), status)
}

// watchable returns the hub that viewers may join, from so long ago on.
func (st *stream) watchable(ago time.Duration) (*hub.Hub, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.state == offline:
		return nil, errEnded
	case ago == 0:
		return st.hub, nil
	case st.rec == nil:
		return nil, errNoPast
	}
	if _, _, ok := st.rec.Find(time.Now()); !ok {
		return nil, errNoBytes
	}
	return st.hub, nil
}

// admit counts a viewer, if there may be another.
func (s *Server) admit() error {
	if n := s.viewers.Add(1); s.cfg.MaxViewers > 0 && n > int64(s.cfg.MaxViewers) {
		s.viewers.Add(-1)
		return errFull
	}
	return nil
}

// watchHeader sets what a viewer is told. Whatever a publisher declares, a browser runs nothing of it.
func (st *stream) watchHeader(h http.Header) {
	h.Set("Content-Type", st.currentFormat().ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox")
}

// viewer is a client that watches.
type viewer struct {
	srv  *Server
	st   *stream
	conn net.Conn // nil: it is net/http's, see respond
	name string
	in   *hub.Viewer
	all  atomic.Bool // it has been sent everything, to the end of the stream

	audience *atomic.Int64 // that it is one of

	skips, skipped int64 // written by whoever serves it, read when it has left
}

// viewerPrefix begins what the hub calls the edge to a viewer.
const viewerPrefix = "viewer "

// attach makes v a viewer of the hub; with an error it has left already.
func (v *viewer) attach(h *hub.Hub, sink penstock.Sink, cfg hub.SinkConfig) (err error) {
	cfg.Name, cfg.OnSkip = viewerPrefix+v.name, v.skip
	v.audience = v.st.audienceOf(h)
	v.audience.Add(1)
	v.in, err = h.Attach(sink, cfg)
	if err != nil { // the stream ended in this very moment
		v.audience.Add(-1)
		v.srv.viewers.Add(-1)
		return err
	}
	v.st.fill()
	v.srv.log.Debug("viewer joined", "stream", v.st.name, "viewer", v.name, "ago", cfg.Ago)
	return nil
}

// header is the response up to the data, made when the first data is there and the format known.
func (v *viewer) header() []byte {
	h := make(http.Header)
	v.st.watchHeader(h)
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	h.Set("Connection", "close")
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\n")
	_ = h.Write(&b) // a bytes.Buffer takes everything
	b.WriteString("\r\n")
	return b.Bytes()
}

// skip counts what v has missed. Each is told on the level of debugging, and all of them when it leaves.
func (v *viewer) skip(from, to int64) {
	v.skips++
	v.skipped += to - from
	v.srv.log.Debug("viewer skipped", "stream", v.st.name, "viewer", v.name, "from", from, "bytes", to-from)
}

// leave notes that the hub is done with v.
func (v *viewer) leave(err error) {
	v.audience.Add(-1)
	v.srv.viewers.Add(-1)
	log := v.srv.log.With("stream", v.st.name, "viewer", v.name)
	if v.skips > 0 {
		log = log.With("skips", v.skips, "skipped", v.skipped)
	}
	switch {
	case err != nil:
		log.Info("viewer left", "reason", err)
	case v.skips > 0:
		log.Info("viewer left", "reason", "end of the stream")
	default:
		log.Debug("viewer left", "reason", "end of the stream")
	}
}

// waitForHangup notices that the client has gone, also while nothing is being sent, and owns the connection. A client
// that half-closes counts as gone, as net/http has it: the two cannot be told apart.
func (v *viewer) waitForHangup() {
	defer v.srv.running.Done()
	stop := context.AfterFunc(v.srv.cut, v.close)
	defer stop()
	drain(v.conn)
	v.in.Leave(errViewerClosed)
	<-v.in.Done()
	v.close()
}

// close ends the connection. A body that was cut short ends with a reset, so that it is never taken for a whole one.
func (v *viewer) close() {
	if v.all.Load() {
		v.conn.Close()
	} else {
		reset(v.conn)
	}
}

// left is called when the hub is done with the connection. At the stream's end everything was delivered to the socket:
// the client gets a FIN behind it and time to close.
func (v *viewer) left(err error) {
	v.leave(err)
	if err == nil {
		v.all.Store(true)
		finish(v.conn)
		return
	}
	_ = v.conn.SetReadDeadline(time.Unix(1, 0)) // so that waitForHangup closes it
}
