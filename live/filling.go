package live

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/format"
)

// filling is a filler that is shown to the viewers of one stream: a source that ends, behind a whole unit, when it is
// told to or when nobody watches.
type filling struct {
	filler   *Filler
	audience *atomic.Int64 // viewers

	next  int           // step
	begun time.Time     // this round
	step  []byte        // storage of a step
	rest  []byte        // what of it is still to be read
	quit  chan struct{} // closed by stop
	once  sync.Once
}

func newFilling(f *Filler, audience *atomic.Int64) *filling {
	return &filling{filler: f, audience: audience, begun: time.Now(), quit: make(chan struct{})}
}

// stop makes the source end as soon as it is between two units.
func (f *filling) stop() { f.once.Do(func() { close(f.quit) }) }

// SpliceRead waits for the next step's time and writes the step, or what of it fits.
func (f *filling) SpliceRead(p penstock.Conduit, n int, _ penstock.Flags) (int, error) {
	if len(f.rest) == 0 {
		if err := f.load(); err != nil {
			return 0, err
		}
	}
	m, err := p.Write(f.rest[:min(n, len(f.rest), p.Cap())])
	f.rest = f.rest[m:]
	return m, err
}

// load waits for the next step's time and reads it. Who is late goes on from now: a stream that was held up is not
// hurried.
func (f *filling) load() error {
	due := f.begun.Add(f.filler.steps[f.next].at)
	wait := time.Until(due)
	if wait < -time.Second {
		f.begun = f.begun.Add(-wait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.quit:
	}
	select {
	case <-f.quit: // also if it was time
		return io.EOF
	default:
	}
	if f.audience.Load() == 0 {
		return io.EOF
	}
	b, err := f.filler.read(f.step, f.next)
	if err != nil {
		return &penstock.OpError{Op: "read", Side: penstock.SideSource, Err: err}
	}
	f.step, f.rest = b, b
	if f.next++; f.next == len(f.filler.steps) {
		f.next, f.begun = 0, f.begun.Add(f.filler.length)
	}
	return nil
}

func (f *filling) Path(penstock.Conduit) (penstock.Path, string) {
	return penstock.PathReadWrite, "the filler, at its own speed"
}

// Polls is false: the next step is waited for.
func (f *filling) Polls() bool { return false }

// Wait does not: see Polls.
func (f *filling) Wait() error { return nil }

// SetReadDeadline stops it if t has gone by; no other deadline is kept.
func (f *filling) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && t.Before(time.Now()) {
		f.stop()
	}
	return nil
}

// fillerPublisher is what a filler goes by.
const fillerPublisher = "filler"

// fill shows the filler if there is reason to. It is for viewers that come while there is no publisher.
func (st *stream) fill() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.fillLocked()
}

// fillLocked shows the filler, if there is one, nobody publishes and somebody waits. It goes on until either changes,
// or the grace is over. As any publication it is in the order of those, but no epoch: a publisher that comes stops it,
// and begins behind it. Precondition: the caller has entered the server.
func (st *stream) fillLocked() {
	srv := st.srv
	filler := srv.cfg.Filler
	switch {
	case filler == nil, st.state != waiting, srv.stopping.Err() != nil:
		return
	case st.filling != nil, st.unfit, st.audience.Load() == 0:
		return
	case st.format == format.Raw: // maybe nothing has come yet
		return
	}
	if st.format.ContentType != filler.format.ContentType {
		st.unfit = true
		srv.log.Warn("the filler is not shown: it is of another format", "stream", st.name,
			"format", st.format.ContentType, "filler", filler.format.ContentType)
		return
	}
	src := newFilling(filler, st.audience)
	p := st.beginLocked(fillerPublisher)
	p.stop = func(error) { src.stop() }
	st.filling, st.publisher = p, fillerPublisher
	srv.running.Add(1)
	go p.runFiller(src)
}

func (p *publication) runFiller(src *filling) {
	st := p.st
	srv := st.srv
	defer srv.running.Done()
	log := srv.log.With("stream", st.name)
	log.Info("filler begins")
	n, err := p.publish(srv.stopping, src.filler.format.ContentType, src)
	log.Info("filler ended", "bytes", n)

	st.mu.Lock()
	defer st.mu.Unlock()
	if st.hub != p.hub {
		return
	}
	st.filling = nil
	if st.present == p {
		st.publisher = ""
	}
	if err != nil && st.state == waiting && srv.stopping.Err() == nil { // it would fail again
		st.unfit = true
		log.Error("the filler is shown no more", "err", err)
	}
	st.fillLocked() // for who has come in the meantime
}
