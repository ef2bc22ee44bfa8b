package hub_test

import (
	"io"
	"testing"
	"testing/synctest"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// pieced is a source of pieces of one size, of which some begin a unit.
type pieced struct {
	left   int
	size   int
	begins func(left int) bool // with so many to come, itself included
}

func (p *pieced) SpliceRead(to penstock.Conduit, _ int, _ penstock.Flags) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	p.left--
	return to.Write(make([]byte, p.size))
}

func (p *pieced) AtJoin() bool { return p.begins(p.left + 1) }

func (p *pieced) Polls() bool { return false }
func (p *pieced) Wait() error { return nil }

func (p *pieced) Path(penstock.Conduit) (penstock.Path, string) {
	return penstock.PathReadWrite, "a test"
}

// TestWhoEndsItsUnitIsNotCutForWhatOthersHold has a viewer that is to end a unit of two pieces before it can skip, and one
// behind it that holds all the rest of the ring: it is the second that can make room.
func TestWhoEndsItsUnitIsNotCutForWhatOthersHold(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		const piece, ring = 32 << 10, 1 << 20
		cfg.Ring, cfg.FastStart, cfg.OnSlow = ring, -1, hub.Skip
		h := hub.New(cfg)
		publish := func(n int, begins func(int) bool) {
			t.Helper()
			if _, err := h.Publish(t.Context(), &pieced{n, piece, begins}, hub.PublishConfig{}); err != nil {
				t.Fatal(err)
			}
		}
		viewers := make([]*hub.Viewer, 2)
		for i := range viewers {
			var err error
			if viewers[i], err = h.Attach(&stuckSink{quit: make(chan struct{})}, hub.SinkConfig{}); err != nil {
				t.Fatal(err)
			}
			publish(2, func(left int) bool { return left == 2 })
		}
		publish(4*ring/piece, func(int) bool { return true })
		for i, v := range viewers {
			select {
			case <-v.Done():
				t.Errorf("viewer %d left with %v", i, v.Err())
			default:
				v.Leave(errTired)
			}
		}
		if held := h.Stats().Ring; held > ring {
			t.Errorf("the ring holds %d bytes", held)
		}
		h.End()
		h.Wait()
	})
}

// TestNobodySkipsForWhatThePublisherWaitsFor has a recording hold the ring's oldest chunk, and a viewer all but that: the
// publisher waits for the recording, and the viewer gets all.
func TestNobodySkipsForWhatThePublisherWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const piece, ring = 32 << 10, 1 << 20
		h := hub.New(hub.Config{NoSplice: true, Ring: ring, FastStart: -1, OnSlow: hub.Skip})
		disk := &gate{open: make(chan struct{})}
		if _, err := h.Attach(disk, hub.SinkConfig{MustHave: true}); err != nil {
			t.Fatal(err)
		}
		all := func(int) bool { return true }
		if _, err := h.Publish(t.Context(), &pieced{2, piece, all}, hub.PublishConfig{}); err != nil {
			t.Fatal(err)
		}
		slow := &gate{open: make(chan struct{})}
		v, err := h.Attach(slow, hub.SinkConfig{})
		if err != nil {
			t.Fatal(err)
		}
		const pieces = 2 * ring / piece
		wait := publishing(h, &pieced{pieces, piece, all})
		synctest.Wait() // the publisher has no room
		close(slow.open)
		synctest.Wait() // the viewer has all that there is
		close(disk.open)
		if err := wait(); err != nil {
			t.Error(err)
		}
		h.End()
		h.Wait()
		if err := v.Err(); err != nil || len(slow.bytes()) != pieces*piece {
			t.Errorf("the viewer got %d bytes, and left with %v", len(slow.bytes()), err)
		}
		if n := len(disk.bytes()); n != (2+pieces)*piece {
			t.Errorf("%d bytes were recorded", n)
		}
	})
}
