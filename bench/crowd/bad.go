package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The bad viewers are three:
//
//   - one that asks and never reads, and comes back after a while, whatever the server did with it;
//   - one that reads a kilobyte in a second;
//   - one that asks and resets its connection, over and over.
//
// They have small buffers and segments, as behind a modem: on loopback a server's socket would take tens of seconds of
// such a stream before it is full.

const (
	stallFor     = 4 * time.Second
	trickleEvery = time.Second
	trickleBytes = 1000
	resetEvery   = 10 * time.Millisecond

	smallSegment = 536  // bytes
	smallBuffer  = 2048 // bytes, of which the kernel makes the least there is
)

// playBad misbehaves until it is killed; it answers when all have begun.
func playBad(s spec, _ *json.Decoder, out *json.Encoder) error {
	failed := make(chan error, 3)
	begun := make(chan struct{}, 3)
	for _, misbehave := range []func(string, string, func()) error{stall, trickle, resetOften} {
		go func() {
			first := true
			failed <- misbehave(s.Watch, s.WatchRequest, func() {
				if first {
					first = false
					begun <- struct{}{}
				}
			})
		}()
	}
	for range cap(begun) {
		select {
		case <-begun:
		case err := <-failed:
			return err
		}
	}
	if err := out.Encode(s); err != nil {
		return err
	}
	return <-failed
}

// ask connects as a bad viewer does, and asks.
func ask(addr, request string) (*net.TCPConn, error) {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var failure error
		err := c.Control(func(fd uintptr) {
			failure = errors.Join(
				os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, smallBuffer)),
				os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, smallSegment)))
		})
		return errors.Join(err, failure)
	}}
	conn, err := d.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn.(*net.TCPConn), nil
}

// reset closes a connection such that the other end is told at once.
func reset(c *net.TCPConn) error { return errors.Join(c.SetLinger(0), c.Close()) }

func stall(addr, request string, begun func()) error {
	for {
		conn, err := ask(addr, request)
		if err != nil {
			return err
		}
		begun()
		time.Sleep(stallFor)
		if err := reset(conn); err != nil {
			return err
		}
	}
}

func trickle(addr, request string, begun func()) error {
	for {
		conn, err := ask(addr, request)
		if err != nil {
			return err
		}
		begun()
		var b [trickleBytes]byte
		for err == nil {
			time.Sleep(trickleEvery)
			_, err = conn.Read(b[:])
		}
		if err := conn.Close(); err != nil { // the server was tired of it, as it may
			return err
		}
	}
}

func resetOften(addr, request string, begun func()) error {
	for {
		conn, err := ask(addr, request)
		if err != nil {
			return err
		}
		begun()
		time.Sleep(resetEvery)
		if err := reset(conn); err != nil {
			return err
		}
	}
}
