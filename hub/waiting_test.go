package hub_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

// Who is waited for, for how long, and who is not.

// endless is a source that always has some bytes.
type endless struct{ read chan struct{} }

func (e *endless) SpliceRead(p penstock.Conduit, _ int, _ penstock.Flags) (int, error) {
	select {
	case e.read <- struct{}{}:
		return p.Write(make([]byte, 8<<10))
	case <-time.After(10 * time.Second):
		return 0, io.EOF
	}
}

func (e *endless) Path(penstock.Conduit) (penstock.Path, string) {
	return penstock.PathReadWrite, "a test"
}
func (e *endless) Polls() bool { return true }
func (e *endless) Wait() error { return nil }

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
				src := &endless{make(chan struct{})}
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
