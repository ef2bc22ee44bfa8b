package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
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
	conn, err := takeOver(w)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if !s.enter() {
		conn.Close()
		return
	}
	v := &viewer{srv: s, st: st, conn: conn}
	v.in, err = h.Attach(penstock.SinkOf(conn), hub.SinkConfig{
		Name:    "viewer " + conn.RemoteAddr().String(),
		Header:  v.header,
		OnLeave: v.left,
	})
	if err != nil { // the stream ended in this moment
		v.left(nil)
		conn.Close()
		s.running.Done()
		return
	}
	s.log.Debug("viewer joined", "stream", name, "viewer", conn.RemoteAddr().String())
	go v.waitForHangup() // and let net/http's goroutine and its buffers go
}

// takeOver hijacks the connection. What a client sent behind its request is dropped.
func takeOver(w http.ResponseWriter) (net.Conn, error) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, fmt.Errorf("this connection cannot carry a stream: %w", err)
	}
	return conn, nil
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
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox")
}

// viewer is a connection that watches.
type viewer struct {
	srv  *Server
	st   *stream
	conn net.Conn
	in   *hub.Viewer
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

// waitForHangup notices that the client has gone, also while nothing is being sent. It owns the connection.
func (v *viewer) waitForHangup() {
	defer v.srv.running.Done()
	stop := context.AfterFunc(v.srv.cut, func() { v.conn.Close() })
	defer stop()
	drain(v.conn)
	v.in.Leave(errViewerClosed)
	<-v.in.Done()
	v.conn.Close()
}

// drain reads and drops until the peer closes, or the read deadline.
func drain(c net.Conn) {
	var b [512]byte
	for {
		if _, err := c.Read(b[:]); err != nil {
			return
		}
	}
}

// left is called when the hub is done with the connection. At the stream's end everything was delivered to the socket:
// the client gets a FIN behind it and time to close. Otherwise the body is cut short, and a reset tells so.
func (v *viewer) left(err error) {
	if err == nil {
		finish(v.conn)
		return
	}
	if tcp, ok := v.conn.(*net.TCPConn); ok && !errors.Is(err, errViewerClosed) {
		_ = tcp.SetLinger(0) // fails only on what is closed
	}
	v.srv.log.Info("viewer left", "stream", v.st.name, "viewer", v.conn.RemoteAddr().String(), "reason", err)
	_ = v.conn.SetReadDeadline(time.Unix(1, 0))
}

// finish half-closes a connection and bounds the wait for the peer to do likewise: closing outright, with something of
// the peer's unread, would send a reset and lose the tail of what we sent.
func finish(c net.Conn) {
	if hc, ok := c.(interface{ CloseWrite() error }); ok {
		_ = hc.CloseWrite() // the peer has gone: as good
	}
	_ = c.SetReadDeadline(time.Now().Add(linger))
}
