package live

import (
	"bytes"
	"context"
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
// ends when the connection does.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if err := CheckName(name); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	st := s.find(name)
	if st == nil {
		http.Error(w, fmt.Sprintf("nobody has published %q", name), http.StatusNotFound)
		return
	}
	h := st.watchable()
	if h == nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, fmt.Sprintf("stream %q has ended; it may begin again", name), http.StatusServiceUnavailable)
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
	conn, _, err := takeOver(w) // a client has nothing to say behind its request
	if err != nil {
		s.running.Done()
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	v := &viewer{srv: s, st: st, conn: conn, name: conn.RemoteAddr().String()}
	v.in, err = h.Attach(penstock.SinkOf(conn), hub.SinkConfig{Name: "viewer " + v.name, Header: v.header, OnLeave: v.left})
	if err != nil { // the stream ended in this very moment
		_, _ = io.WriteString(conn, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\r\nthe stream has ended\n")
		v.left(nil)
		conn.Close()
		s.running.Done()
		return
	}
	s.log.Debug("viewer joined", "stream", name, "viewer", v.name)
	go v.waitForHangup() // and let net/http's goroutine and its buffers go
}

// watchable returns the hub that viewers may join, nil while the stream is offline.
func (st *stream) watchable() *hub.Hub {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.state == offline {
		return nil
	}
	return st.hub
}

// watchHeader sets what a viewer is told. Whatever a publisher declares, a browser runs nothing of it.
func (st *stream) watchHeader(h http.Header) {
	h.Set("Content-Type", st.currentFormat().ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox")
}

// viewer is a connection that watches.
type viewer struct {
	srv  *Server
	st   *stream
	conn net.Conn
	name string
	in   *hub.Viewer
	all  atomic.Bool // it has been sent everything, to the end of the stream
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
	if err == nil {
		v.all.Store(true)
		finish(v.conn)
		return
	}
	v.srv.log.Info("viewer left", "stream", v.st.name, "viewer", v.name, "reason", err)
	_ = v.conn.SetReadDeadline(time.Unix(1, 0)) // so that waitForHangup closes it
}
