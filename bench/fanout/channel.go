package main

import (
	"io"
	"sync"
	"sync/atomic"
)

// channelDepth is how many buffers a viewer of relayChannel may have waiting before the source has to wait for it.
const channelDepth = 4

// sharedBuffer is one piece of the stream on its way to every viewer; the last one to write it returns it to the pool.
type sharedBuffer struct {
	data  []byte
	users atomic.Int32
}

// relayChannel is the other usual way: a goroutine and a channel for each viewer, and reference-counted buffers from a
// pool, so that the bytes are read once and written N times. A full channel holds up the source. The recording is as a
// viewer.
func relayChannel(d duty) error {
	writers := d.writers()
	pool := sync.Pool{New: func() any { return &sharedBuffer{data: make([]byte, copyBuffer)} }}
	failed := make(chan error, len(writers))
	queues := make([]chan *sharedBuffer, len(writers))
	var done sync.WaitGroup
	for i, w := range writers {
		queues[i] = make(chan *sharedBuffer, channelDepth)
		done.Go(func() {
			var err error
			for b := range queues[i] {
				if err == nil {
					if _, err = w.Write(b.data); err != nil {
						failed <- err
					}
				}
				if b.users.Add(-1) == 0 {
					pool.Put(b)
				}
			}
		})
	}

	err := func() error {
		for {
			b := pool.Get().(*sharedBuffer)
			b.data = b.data[:cap(b.data)]
			n, err := d.src.Read(b.data)
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			b.data = b.data[:n]
			b.users.Store(int32(len(writers)))
			for _, q := range queues {
				q <- b
			}
		}
	}()
	for _, q := range queues {
		close(q)
	}
	done.Wait()
	if err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
		return closeAll(d.viewers)
	}
}
