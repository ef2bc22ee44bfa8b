package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/format"
	"github.com/penstock-io/penstock/hub"
)

// errBusy is for a second publisher.
type errBusy struct{ name, publisher string }

func (e *errBusy) Error() string {
	return fmt.Sprintf("stream %q has a publisher already: %s", e.name, e.publisher)
}

// errForgotten is for a publisher who obtained the stream in the moment it was dropped; obtaining it anew helps.
var errForgotten = errors.New("stream was forgotten")

// publication is a claimed stream: the one publisher's right to it, until another takes it over. Each waits for the one
// before to have left the hub, so that they come to it in the order in which they claimed.
type publication struct {
	st        *stream
	hub       *hub.Hub
	publisher string
	before    *publication // nil: none, or long gone

	stopped context.Context
	stop    func(why error)
	gone    chan struct{} // closed when it has left the hub, or will not come to it
}

func newPublication(st *stream, publisher string) *publication {
	p := &publication{st: st, hub: st.hub, publisher: publisher, gone: make(chan struct{})}
	p.stopped, p.stop = context.WithCancelCause(context.Background())
	return p
}

// claim makes the publisher the stream's, or fails with *errBusy. Whoever claims runs, or releases.
func (s *Server) claim(name, publisher string) (*publication, error) {
	if !s.enter() {
		return nil, errShutdown
	}
	for {
		var p *publication
		st, err := s.obtain(name)
		if err == nil {
			p, err = st.begin(publisher)
		}
		switch {
		case err == nil:
			return p, nil
		case !errors.Is(err, errForgotten):
			s.running.Done()
			return nil, err
		}
	}
}

// begin is a publisher's arrival: it continues the hub that viewers wait at, or makes a new one. A present publisher is
// told to stop.
func (st *stream) begin(publisher string) (*publication, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.forgotten:
		return nil, errForgotten
	case st.state == live && !st.srv.cfg.TakeOver:
		return nil, &errBusy{st.name, st.publisher}
	case st.state == waiting:
		st.grace.Stop()
	case st.state == offline:
		st.renewLocked()
	}
	p := st.beginLocked(publisher)
	st.setLocked(live)
	st.publisher, st.unfit = publisher, false
	st.epoch++
	return p, nil
}

// beginLocked makes a publication the present one.
func (st *stream) beginLocked(publisher string) *publication {
	p := newPublication(st, publisher)
	if before := st.present; before != nil && before.hub == p.hub {
		before.stop(hub.ErrTakenOver)
		p.before = before
	}
	st.present = p
	return p
}

// run carries the source to the stream's viewers until it ends, gives the stream back, and returns the bytes that it
// carried. declared is the content type that the publisher says it sends, or empty. ctx is one of the server's.
func (p *publication) run(ctx context.Context, declared string, src penstock.Source) (int64, error) {
	log := p.st.srv.log.With("stream", p.st.name, "publisher", p.publisher)
	log.Info("publisher joined")
	began := time.Now()
	n, err := p.publish(ctx, declared, src)
	took := time.Since(began)
	p.release()
	log = log.With("bytes", n, "seconds", took.Seconds())
	if err != nil {
		log.Warn("publisher left", "reason", err)
	} else {
		log.Info("publisher left", "reason", "end of its stream")
	}
	return n, err
}

// publish waits for its turn, and is done when the source has ended, or somebody else's turn has come.
func (p *publication) publish(ctx context.Context, declared string, src penstock.Source) (int64, error) {
	defer close(p.gone)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(p.stopped, func() { cancel(context.Cause(p.stopped)) })
	defer stop()
	if p.before != nil {
		<-p.before.gone
		p.before = nil
	}
	if err := context.Cause(p.stopped); err != nil {
		return 0, err
	}
	if _, ok := src.(hub.Joiner); ok { // it is not looked at
		p.st.noteFormat(format.Detect(nil, declared))
	}
	return p.hub.Publish(ctx, src, hub.PublishConfig{
		Name: p.publisher,
		Scan: func(head []byte) hub.Scanner { return p.st.noteFormat(format.Detect(head, declared)).Scanner() },
	})
}

// release is a publisher's departure: the grace begins, unless another has taken the stream over.
func (p *publication) release() {
	st := p.st
	st.mu.Lock()
	defer st.mu.Unlock()
	defer st.srv.running.Done()
	if st.present != p {
		return
	}
	st.publisher = ""
	st.setLocked(waiting)
	grace := st.srv.cfg.Grace
	if st.srv.stopping.Err() != nil {
		grace = 0
	}
	if grace <= 0 {
		st.endLocked()
		return
	}
	epoch := st.epoch
	st.grace = time.AfterFunc(grace, func() {
		st.mu.Lock()
		defer st.mu.Unlock()
		if st.state == waiting && st.epoch == epoch {
			st.srv.log.Info("no publisher within the grace: the stream has ended", "stream", st.name, "grace", grace)
			st.endLocked()
		}
	})
	st.fillLocked()
}
