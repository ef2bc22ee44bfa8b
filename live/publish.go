package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// ListenTCP accepts publishers of the named stream on l until the server shuts down, one at a time: of two, as
// Config.TakeOver has it, one is closed, and logged. It takes ownership of l, and returns at once.
func (s *Server) ListenTCP(name string, l net.Listener) error {
	if err := CheckName(name); err != nil {
		l.Close()
		return err
	}
	if !s.enter() {
		l.Close()
		return errShutdown
	}
	l = newSpareListener(l, "", s.log.With("stream", name))
	stop := context.AfterFunc(s.stopping, func() { l.Close() })
	go func() {
		defer s.running.Done()
		defer stop()
		s.acceptTCP(name, l)
	}()
	return nil
}

func (s *Server) acceptTCP(name string, l net.Listener) {
	const slowest = time.Second
	for pause := time.Duration(0); ; {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors, say: come back for the next when there may be some
			pause = min(max(2*pause, 5*time.Millisecond), slowest)
			s.log.Error("cannot accept a publisher", "stream", name, "err", err, "again in", pause)
			select {
			case <-time.After(pause):
			case <-s.stopping.Done():
			}
			continue
		}
		pause = 0
		tuned(conn)
		p, err := s.claim(name, conn.RemoteAddr().String())
		if err != nil {
			s.log.Warn("publisher refused", "stream", name, "publisher", conn.RemoteAddr().String(), "reason", err)
			conn.Close()
			continue
		}
		go func() {
			defer conn.Close()
			_, _ = p.run(s.stopping, "", penstock.SourceOf(conn)) // which logs how it ended
		}()
	}
}

// publishHTTP serves PUT and POST /live/NAME. A body with a length is spliced from the connection; a chunked one, and one
// of HTTP/2, is read through net/http, which alone knows the framing.
func (s *Server) publishHTTP(w http.ResponseWriter, r *http.Request) {
	if err := crossOrigin.Check(r); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	name := r.PathValue("name")
	if err := CheckName(name); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p, err := s.claim(name, r.RemoteAddr)
	if err != nil {
		s.log.Warn("publisher refused", "stream", name, "publisher", r.RemoteAddr, "reason", err)
		status := http.StatusServiceUnavailable
		if busy := (*errBusy)(nil); errors.As(err, &busy) {
			status = http.StatusConflict
		}
		http.Error(w, err.Error(), status)
		return
	}
	declared := r.Header.Get("Content-Type")
	if r.ContentLength > 0 {
		if conn, ahead, err := takeOver(w); err == nil {
			p.runHijacked(conn, ahead, r, declared)
			return
		}
	}
	body := &bodySource{penstock.SourceOf(r.Body), http.NewResponseController(w), "copied: chunked HTTP framing"}
	if r.ProtoMajor > 1 {
		body.why = "copied: " + r.Proto + " framing"
	}
	n, err := p.run(s.stopping, declared, body)
	status, text := outcome(n, err)
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a publisher that is gone does not hear it
}

// crossOrigin keeps pages of other sites from publishing with their visitors' browsers.
var crossOrigin = http.NewCrossOriginProtection()

// outcome is the answer to a publisher.
func outcome(n int64, err error) (status int, text string) {
	switch {
	case err == nil:
		return http.StatusOK, fmt.Sprintf("published %d bytes\n", n)
	case errors.Is(err, hub.ErrTakenOver):
		return http.StatusConflict, fmt.Sprintf("%v: published %d bytes\n", err, n)
	case errors.Is(err, errShutdown):
		return http.StatusServiceUnavailable, fmt.Sprintf("%v: published %d bytes\n", err, n)
	default:
		return http.StatusBadRequest, fmt.Sprintf("published %d bytes: %v\n", n, err)
	}
}

// bodySource is a request's body, as net/http takes it out of its framing.
type bodySource struct {
	penstock.Source
	rc  *http.ResponseController
	why string // it is copied
}

func (b *bodySource) SetReadDeadline(t time.Time) error { return b.rc.SetReadDeadline(t) }

func (b *bodySource) Path(p penstock.Conduit) (penstock.Path, string) {
	path, _ := b.Source.Path(p)
	return path, b.why
}

// runHijacked splices a body of known length: first what net/http has read ahead, then the connection itself. Because it
// has an end, a shutdown gives it time to come to that, and to the answer behind it.
func (p *publication) runHijacked(conn net.Conn, ahead []byte, r *http.Request, declared string) {
	p.st.srv.running.Add(1) // p.run leaves before the publisher has its answer
	defer p.st.srv.running.Done()
	defer conn.Close()
	stop := context.AfterFunc(p.st.srv.cut, func() { conn.Close() })
	defer stop()
	if strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n") // a failed write shows as a failed read
	}
	src := penstock.Limit(penstock.Prefix(ahead, penstock.SourceOf(conn)), r.ContentLength)
	n, err := p.run(p.st.srv.ending, declared, src)
	status, text := outcome(n, err)
	_ = conn.SetDeadline(time.Now().Add(linger))
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), len(text), text)
	finish(conn)
	drain(conn)
}
