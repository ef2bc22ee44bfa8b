package main

import (
	"io"
	"net"
	"slices"
	"sync"
)

// queued is the other usual way: a goroutine and a channel for each viewer, who is dropped when the channel is full.
type queued struct {
	mu      sync.Mutex
	viewers map[*queue]struct{}
}

// queue is one viewer's. Whoever takes it out of queued.viewers closes it.
type queue struct {
	conn   *net.TCPConn
	pieces chan []byte // shared by all viewers, and never changed
}

// queueDepth is in pieces, which are messages where these come one by one.
const queueDepth = 64

func (c *queued) join(conn *net.TCPConn) {
	q := &queue{conn, make(chan []byte, queueDepth)}
	c.mu.Lock()
	c.viewers[q] = struct{}{}
	c.mu.Unlock()
	go func() {
		for b := range q.pieces {
			if _, err := conn.Write(b); err != nil {
				break
			}
		}
		c.mu.Lock()
		delete(c.viewers, q)
		c.mu.Unlock()
		conn.Close()
	}()
}

func (c *queued) carry(publisher *net.TCPConn) error {
	b := make([]byte, publisherBuffer)
	for {
		n, err := publisher.Read(b)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		piece := slices.Clone(b[:n])
		c.mu.Lock()
		for q := range c.viewers {
			select {
			case q.pieces <- piece:
			default:
				delete(c.viewers, q)
				close(q.pieces)
				q.conn.Close() // it may be in a write
			}
		}
		c.mu.Unlock()
	}
}
