//go:build !linux

package main

import (
	"context"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// startPeers lets goroutines be the peers. What is returned waits for their end, which is that of what they are the
// peers of.
func (b *bench) startPeers() (stop func(), err error) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, p := range b.peers {
		all.Go(func() {
			_ = p.serve(ctx) // the other end tells what it has come to
			_ = p.end.Close()
		})
	}
	return func() {
		cancel()
		all.Wait()
	}, nil
}

func newBenchPeers() *cobra.Command { return nil }

// processorTime is not told: it would be that of the peers, too.
func processorTime() (time.Duration, bool) { return 0, false }

func freeSpace(string) (int64, bool) { return 0, false }
