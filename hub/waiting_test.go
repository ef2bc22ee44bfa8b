package hub_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// Who is waited for, for how long, and who is not.

// endless is a source that always has some bytes, until it is interrupted.
type endless struct{ read, end chan struct{} }

func newEndless() *endless { return &endless{make(chan struct{}), make(chan struct{})} }

func (e *endless) SpliceRead(p penstock.Conduit, _ int, _ penstock.Flags) (int, error) {
	select {
	case e.read <- struct{}{}:
		return p.Write(make([]byte, 8<<10))
	case <-e.end:
		return 0, os.ErrDeadlineExceeded
	}
}

func (e *endless) Path(penstock.Conduit) (penstock.Path, string) {
	return penstock.PathReadWrite, "a test"
}
func (e *endless) Polls() bool                     { return true }
func (e *endless) Wait() error                     { return nil }
func (e *endless) SetReadDeadline(time.Time) error { close(e.end); return nil }

// chunks lets n chunks through, and tells whether the publisher asked for that many.
func (e *endless) chunks(t *testing.T, n int) bool {
	t.Helper()
	for i := range n {
		select {
		case <-e.read:
		case <-time.After(time.Second):
			t.Errorf("the publisher waits, after %d chunks of %d", i, n)
			return false
		}
	}
	return true
}

// published publishes src until the returned function is called, which waits for the end.
func published(h *hub.Hub, src penstock.Source) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { h.Publish(ctx, src, hub.PublishConfig{}) })
	return func() { cancel(); done.Wait() }
}

// TestAHubThatBlocksWaitsOnlyForThoseWhoMayBlockIt has a stuck viewer with a policy of its own in a hub whose others are
// waited for.
func TestAHubThatBlocksWaitsOnlyForThoseWhoMayBlockIt(t *testing.T) {
	for _, policy := range []hub.Policy{hub.Disconnect, hub.Skip} {
		t.Run(policy.String(), func(t *testing.T) {
			backings(t, func(t *testing.T, cfg hub.Config) {
				cfg.OnSlow, cfg.Ring = hub.Block, 1<<20
				h := hub.New(cfg)
				v, err := h.Attach(&stuckSink{quit: make(chan struct{})}, hub.SinkConfig{OnSlow: policy})
				if err != nil {
					t.Fatal(err)
				}
				in, err := h.Attach(penstock.SinkOf(io.Discard), hub.SinkConfig{})
				if err != nil {
					t.Fatal(err)
				}
				src := newEndless()
				stop := published(h, src)
				if src.chunks(t, 1<<8) && policy == hub.Disconnect && !errors.Is(v.Err(), hub.ErrTooSlow) {
					t.Errorf("the stuck viewer left with %v", v.Err())
				}
				v.Leave(errTired)
				in.Leave(errTired)
				stop()
				h.End()
				h.Wait()
			})
		})
	}
}

// TestACutViewerThatThePublisherCarriesLeaves has one with a limit of its own, while the source always has bytes.
func TestACutViewerThatThePublisherCarriesLeaves(t *testing.T) {
	h := hub.New(hub.Config{OnSlow: hub.Block, NoSplice: true})
	src := newEndless()
	v, err := h.Attach(&stuckSink{quit: make(chan struct{})}, hub.SinkConfig{Limits: hub.Limits{Bytes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	stop := published(h, src)
	src.chunks(t, 20)
	select {
	case <-v.Done():
	case <-time.After(time.Second):
		t.Error("a viewer beyond its limits has not left")
	}
	stop()
	h.End()
	h.Wait()
}

// deaf is a sink whose write cannot be interrupted.
type deaf struct {
	stuckSink
	writing chan struct{}
}

func (d *deaf) SpliceWrite(penstock.Conduit, int, penstock.Flags) (int, error) {
	close(d.writing)
	<-d.quit
	return 0, os.ErrDeadlineExceeded
}
func (d *deaf) Polls() bool { return false }
func (d *deaf) Interrupt()  {}

// TestWhoWasToldToLeaveIsNotWaitedFor has a recording whose write hangs.
func TestWhoWasToldToLeaveIsNotWaitedFor(t *testing.T) {
	h := hub.New(hub.Config{OnSlow: hub.Block, NoSplice: true})
	sink := &deaf{stuckSink{quit: make(chan struct{})}, make(chan struct{})}
	v, err := h.Attach(sink, hub.SinkConfig{MustHave: true})
	if err != nil {
		t.Fatal(err)
	}
	src := newEndless()
	stop := published(h, src)
	src.chunks(t, 1)
	<-sink.writing
	v.Leave(errTired)
	src.chunks(t, 100)
	close(sink.quit)
	if err := v.Err(); !errors.Is(err, errTired) {
		t.Errorf("%v", err)
	}
	stop()
	h.End()
	h.Wait()
}

// TestPatienceIsNotLongerForLongerLimits: behind the end nobody is waited for, whatever others or they themselves have as
// limits in time.
func TestPatienceIsNotLongerForLongerLimits(t *testing.T) {
	for name, limits := range map[string]hub.Limits{"time": {Time: time.Hour}, "stall": {Stall: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := hub.New(hub.Config{NoSplice: true, Limits: limits})
				v, err := h.Attach(&stuckSink{quit: make(chan struct{})}, hub.SinkConfig{})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := h.Publish(t.Context(), penstock.SourceOf(bytes.NewReader([]byte("never taken"))), hub.PublishConfig{}); err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				h.End()
				if err := v.Err(); !errors.Is(err, hub.ErrStalled) || time.Since(begin) > time.Minute {
					t.Errorf("%v after %v", err, time.Since(begin))
				}
				h.Wait()
			})
		})
	}
}

// TestAShorterLimitIsLookedAfterBesideALongerOne: the one with the longer limit falls behind first.
func TestAShorterLimitIsLookedAfterBesideALongerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Config{NoSplice: true})
		var v *hub.Viewer
		for _, stall := range []time.Duration{time.Hour, time.Second} {
			var err error
			v, err = h.Attach(&stuckSink{quit: make(chan struct{})}, hub.SinkConfig{Limits: hub.Limits{Stall: stall}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Publish(t.Context(), penstock.SourceOf(bytes.NewReader([]byte("never taken"))), hub.PublishConfig{}); err != nil {
				t.Fatal(err)
			}
		}
		begin := time.Now()
		if err := v.Err(); !errors.Is(err, hub.ErrStalled) || time.Since(begin) > 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		h.Abort(errTired)
		h.End()
		h.Wait()
	})
}

// midUnit knows of a stream that it is in the midst of one unit.
type midUnit struct{}

func (midUnit) Scan(run []byte) (join, cut, end int) { return -1, -1, len(run) }
func (midUnit) Header() []byte                       { return nil }

// TestWhoWaitsForAJoinPointIsNotTooSlow has viewers that do not poll, so that they are behind for a moment with each chunk,
// while no join point comes and the ring is full.
func TestWhoWaitsForAJoinPointIsNotTooSlow(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		cfg.Ring, cfg.FastStart = 4<<10, -1
		for range 50 {
			h := hub.New(cfg)
			var viewers []*hub.Viewer
			attached := func([]byte) hub.Scanner {
				for range 4 {
					v, err := h.Attach(penstock.SinkOf(io.Discard), hub.SinkConfig{})
					if err != nil {
						t.Error(err)
						break
					}
					viewers = append(viewers, v)
				}
				return midUnit{}
			}
			src := penstock.SourceOf(io.LimitReader(zeros{}, 1<<20))
			if _, err := h.Publish(t.Context(), src, hub.PublishConfig{Scan: attached}); err != nil {
				t.Fatal(err)
			}
			h.End()
			h.Wait()
			for _, v := range viewers {
				if err := v.Err(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// TestTheEndDoesNotWaitForWhomThePublisherCarries has a viewer that is waited for take nothing: the publisher ends all the
// same, and the viewer gets what there is, in its own time.
func TestTheEndDoesNotWaitForWhomThePublisherCarries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Config{OnSlow: hub.Block, NoSplice: true})
		slow := &testViewer{at: &side{s: &schedule{witness: newWitness()}, serving: new(atomic.Int32)}}
		slow.cond.L = &slow.mu
		v, err := h.Attach(&wordSink{slow, true}, hub.SinkConfig{})
		if err != nil {
			t.Fatal(err)
		}
		src := newEndless()
		ended := make(chan error, 1)
		go func() {
			_, err := h.Publish(t.Context(), src, hub.PublishConfig{})
			ended <- err
		}()
		for reads := true; reads; { // until the ring is full, and it carries the viewer
			synctest.Wait()
			select {
			case <-src.read:
			default:
				reads = false
			}
		}
		h.End()
		synctest.Wait()
		select {
		case err := <-ended:
			if !errors.Is(err, hub.ErrEnded) {
				t.Error(err)
			}
		default:
			t.Error("the publisher waits for the viewer")
		}
		slow.mu.Lock()
		slow.room = 1 << 20
		slow.cond.Broadcast()
		slow.mu.Unlock()
		h.Wait()
		if err := v.Err(); err != nil || int64(len(slow.got)) != h.Stats().BytesIn {
			t.Errorf("it has %d bytes of %d: %v", len(slow.got), h.Stats().BytesIn, err)
		}
	})
}
