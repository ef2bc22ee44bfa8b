package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/hub"
)

// A crowd is what a server does with its viewers. Its viewers come and go while the publisher's stream is carried to
// whoever is there.
type crowd interface {
	// join adds a viewer, whose connection is the crowd's from then on. From any goroutine.
	join(conn *net.TCPConn)
	// carry returns when the publisher has ended its stream.
	carry(publisher *net.TCPConn) error
}

// crowds are the servers that are written here, with what a request is answered in front of them.
var crowds = map[string]func() crowd{
	"multiwriter": func() crowd { return new(inTurn) },
	"channel":     func() crowd { return &queued{viewers: make(map[*queue]struct{})} },
	"hub":         func() crowd { return hubCrowd{hub.New(hub.Config{OnSlow: hub.Disconnect})} },
}

// publisherBuffer is what the crowds that copy read at once.
const publisherBuffer = 64 << 10

const answer = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\r\n"

// playServer serves a crowd until it is killed.
func playServer(s spec, _ *json.Decoder, out *json.Encoder) error {
	if _, err := machine.AllowDescriptors(manyDescriptors); err != nil {
		return err
	}
	newCrowd, ok := crowds[s.Kind]
	if !ok {
		return fmt.Errorf("unknown kind %q", s.Kind)
	}
	viewers, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	publishers, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Publish, s.Watch = publishers.Addr().String(), viewers.Addr().String()
	s.WatchRequest = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
	c := newCrowd()
	failed := make(chan error, 2)
	go func() { failed <- acceptViewers(viewers, c) }()
	go func() {
		p, err := publishers.Accept()
		if err == nil {
			err = c.carry(p.(*net.TCPConn))
		}
		failed <- err
	}()
	if err := out.Encode(s); err != nil {
		return err
	}
	return <-failed
}

// manyDescriptors is for as many viewers as anybody asks for: more than the hard limit is what there is.
const manyDescriptors = 20_000

// acceptViewers gives the crowd every connection that has asked. No goroutine stays with it.
func acceptViewers(l net.Listener, c crowd) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			if err := answerRequest(conn); err != nil {
				conn.Close() // it went away before it had asked: nobody misses it
				return
			}
			c.join(conn.(*net.TCPConn))
		}()
	}
}

// answerRequest reads a request to its blank line and begins the answer.
func answerRequest(conn net.Conn) error {
	const patience = 10 * time.Second
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var b [1 << 10]byte
	for n := 0; !bytes.Contains(b[:n], []byte("\r\n\r\n")); {
		if n == len(b) {
			return errors.New("the request has no end")
		}
		got, err := conn.Read(b[n:])
		if err != nil {
			return err
		}
		n += got
	}
	if _, err := conn.Write([]byte(answer)); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

// hubCrowd is this project's hub: a viewer in step has neither a goroutine nor a buffer.
type hubCrowd struct{ *hub.Hub }

func (h hubCrowd) join(conn *net.TCPConn) {
	_, err := h.Attach(penstock.SinkOf(conn), hub.SinkConfig{OnLeave: func(error) { conn.Close() }})
	if err != nil { // the stream has ended
		conn.Close()
	}
}

func (h hubCrowd) carry(publisher *net.TCPConn) error {
	_, err := h.Publish(context.Background(), penstock.SourceOf(publisher), hub.PublishConfig{})
	return err
}
