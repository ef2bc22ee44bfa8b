package main

import (
	"io"
	"net"
	"sync"
	"time"
)

// inTurn is what most Go programs do: one goroutine writes what it has read to every viewer in turn. Who takes nothing
// within the deadline is dropped; meanwhile the others wait.
type inTurn struct {
	mu     sync.Mutex
	joined []*net.TCPConn // since the last write
}

const writePatience = time.Second

func (c *inTurn) join(conn *net.TCPConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joined = append(c.joined, conn)
}

func (c *inTurn) carry(publisher *net.TCPConn) error {
	var viewers []*net.TCPConn
	b := make([]byte, publisherBuffer)
	for {
		n, err := publisher.Read(b)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		c.mu.Lock()
		viewers = append(viewers, c.joined...)
		c.joined = nil
		c.mu.Unlock()
		stay := viewers[:0]
		for _, v := range viewers {
			if writeInTime(v, b[:n]) == nil {
				stay = append(stay, v)
			} else {
				v.Close()
			}
		}
		clear(viewers[len(stay):])
		viewers = stay
	}
}

func writeInTime(v *net.TCPConn, b []byte) error {
	if err := v.SetWriteDeadline(time.Now().Add(writePatience)); err != nil {
		return err
	}
	_, err := v.Write(b)
	return err
}
