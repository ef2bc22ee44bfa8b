package live

import (
	"context"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// respond serves a viewer whose connection is not its own: an HTTP/2 stream, or one behind somebody's middleware. The
// bytes are written through net/http, and it takes up net/http's goroutine.
func (v *viewer) respond(w http.ResponseWriter, r *http.Request, h *hub.Hub, ago time.Duration) {
	res := &response{w: w, rc: http.NewResponseController(w), header: v.st.watchHeader}
	defer res.end()
	if err := v.attach(h, penstock.SinkOf(res), hub.SinkConfig{Ago: ago, OnLeave: v.leave}); err != nil {
		refuse(w, errEnded)
		return
	}
	hangup := context.AfterFunc(r.Context(), func() { v.in.Leave(errViewerClosed) })
	defer hangup()
	cut := context.AfterFunc(v.srv.cut, func() { v.in.Leave(errShutdown) })
	defer cut()
	if v.in.Err() != nil {
		panic(http.ErrAbortHandler) // so that a body cut short is never taken for a whole one
	}
	res.begin()
}

// response is an http.ResponseWriter as a sink: what it is given goes out at once. It is the hub's until the viewer has
// left, and nobody's after end.
type response struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	header func(http.Header)
	begun  bool

	mu    sync.Mutex // net/http's writer must not be touched after the handler
	ended bool
}

// begin sends the header, unless it is sent. The stream's format is known with the first data, and not before.
func (r *response) begin() {
	if !r.begun {
		r.begun = true
		r.header(r.w.Header())
		r.w.WriteHeader(http.StatusOK)
	}
}

func (r *response) Write(b []byte) (int, error) {
	r.begin()
	n, err := r.w.Write(b)
	if err == nil {
		err = r.rc.Flush()
	}
	return n, err
}

// SetWriteDeadline is what interrupts a Write that waits for the client.
func (r *response) SetWriteDeadline(t time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return os.ErrClosed
	}
	return r.rc.SetWriteDeadline(t)
}

func (r *response) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}
