package live

import (
	"os"
	"sync"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/live/testcard"
)

// The built-in demo: a test card as Motion-JPEG.
const (
	demoWidth, demoHeight = 640, 360
	demoInterval          = time.Second / 25
	demoPublisher         = "built-in test card"
)

// StartDemo publishes the test card under the name until the server shuts down. It returns at once.
func (s *Server) StartDemo(name string) error {
	p, err := s.claim(name, demoPublisher)
	if err != nil {
		return err
	}
	go func() {
		_, _ = p.run(s.stopping, testcard.ContentType, newDemo()) // which logs how it ended
	}()
	return nil
}

// demo is a source that draws: a frame each 1/25 s, as one multipart part.
type demo struct {
	card  *testcard.Card
	part  []byte // storage of a part
	rest  []byte // what of it is still to be read
	first bool   // rest began with the run last read
	n     uint64
	next  time.Time

	once sync.Once
	quit chan struct{} // closed by a deadline in the past
}

func newDemo() *demo {
	return &demo{card: testcard.New(demoWidth, demoHeight), next: time.Now(), quit: make(chan struct{})}
}

// SpliceRead waits for the next frame's time and writes the frame, or what of it fits.
func (d *demo) SpliceRead(p penstock.Conduit, n int, _ penstock.Flags) (int, error) {
	d.first = len(d.rest) == 0
	if d.first {
		if err := d.draw(); err != nil {
			return 0, &penstock.OpError{Op: "draw", Side: penstock.SideSource, Err: err}
		}
	}
	m, err := p.Write(d.rest[:min(n, len(d.rest), p.Cap())])
	d.rest = d.rest[m:]
	return m, err
}

func (d *demo) draw() error {
	timer := time.NewTimer(time.Until(d.next))
	defer timer.Stop()
	select {
	case <-d.quit:
		return os.ErrDeadlineExceeded
	case <-timer.C:
	}
	now := time.Now()
	d.part = d.card.Part(d.part[:0], d.n, now)
	d.rest = d.part
	d.n++
	if d.next = d.next.Add(demoInterval); now.After(d.next) { // held up: the clock on the card is what counts
		d.next = now
	}
	return nil
}

// AtJoin is true where a part begins: half a picture is no use to anybody.
func (d *demo) AtJoin() bool { return d.first }

func (d *demo) Path(p penstock.Conduit) (penstock.Path, string) {
	return penstock.PathReadWrite, "drawn in this process"
}

// Polls is false: the next frame is waited for.
func (d *demo) Polls() bool { return false }

// Wait does not: see Polls.
func (d *demo) Wait() error { return nil }

// SetReadDeadline ends the demo if t has gone by; no other deadline is kept.
func (d *demo) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && t.Before(time.Now()) {
		d.once.Do(func() { close(d.quit) })
	}
	return nil
}
