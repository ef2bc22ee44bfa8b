package hub_test

import (
	"context"
	"errors"
	"testing"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/hub"
)

func TestAHubFollowsAnother(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		cfg.OnSlow = hub.Block
		first, second := hub.New(cfg), hub.New(cfg)
		_, far := attach(t, second, hub.SinkConfig{})
		got := receive(far)
		followed := make(chan error, 1)
		ready := make(chan struct{})
		go func() {
			close(ready)
			_, err := second.Follow(t.Context(), first, hub.SinkConfig{Name: "second"}, hub.PublishConfig{Name: "first"})
			second.End()
			followed <- err
		}()
		<-ready
		for first.Stats().Sinks == 0 {
			yield() // there is no event for somebody else's attaching
		}
		want := offsets(5 << 20)
		near, pub := tcpPair(t)
		go func() { pub.Write(want); pub.Close() }()
		if _, err := first.Publish(t.Context(), penstock.SourceOf(near), hub.PublishConfig{}); err != nil {
			t.Error(err)
		}
		first.End()
		if err := <-followed; err != nil {
			t.Error(err)
		}
		first.Wait()
		second.Wait()
		same(t, "viewer of the second", got.all(t), want)
	})
}

func TestAHubStopsFollowing(t *testing.T) {
	backings(t, func(t *testing.T, cfg hub.Config) {
		first, second := hub.New(cfg), hub.New(cfg)
		ctx, cancel := context.WithCancelCause(t.Context())
		followed := make(chan error, 1)
		go func() {
			_, err := second.Follow(ctx, first, hub.SinkConfig{}, hub.PublishConfig{})
			followed <- err
		}()
		cancel(errTired)
		if err := <-followed; !errors.Is(err, errTired) {
			t.Error(err)
		}
		first.End()
		second.End()
		first.Wait()
		second.Wait()
	})
}
