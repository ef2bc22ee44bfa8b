package relays

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// TestAConfigThatNobodyWritesIsWaitedForNoLongerThanAnybodyWants, such as one that is to come through a FIFO.
func TestAConfigThatNobodyWritesIsWaitedForNoLongerThanAnybodyWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		written := make(chan struct{})
		defer close(written)
		from := Source{Load: func() (Config, error) {
			<-written
			return Config{}, nil
		}}
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		go func() {
			synctest.Wait()
			cancel(enough)
		}()
		if _, err := from.Begin(ctx); !errors.Is(err, enough) {
			t.Error(err)
		}
	})
}
