package soak

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

const smallBuffer = 32 << 10 // bytes that are on their way to a viewer that is not to get far behind unnoticed

// stranger believes every certificate: the servers' are made for a test.
var stranger = &tls.Config{InsecureSkipVerify: true}

// dial connects, by TLS where that is what is spoken there.
func (s *stream) dial(to string) (net.Conn, error) {
	conn, err := net.Dial("tcp", to)
	if err != nil || to != s.TLS {
		return conn, err
	}
	secure := tls.Client(conn, stranger)
	_ = secure.SetDeadline(time.Now().Add(patience)) // fails only on what is closed, as the handshake then does
	if err := secure.Handshake(); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, secure.SetDeadline(time.Time{})
}

// reset closes a connection such that the other end is told at once.
func reset(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // fails only on what is closed
	}
	c.Close()
}

// line is a viewer's way to the server.
type line interface {
	ask(path string) (*http.Response, error)
	hangUp(hard bool) // also while it asks, or reads the answer
}

// plain is a connection of its own.
type plain struct{ net.Conn }

func (p plain) ask(path string) (*http.Response, error) {
	if _, err := fmt.Fprintf(p, "GET %s HTTP/1.1\r\nHost: soak\r\n\r\n", path); err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(p), nil)
}

func (p plain) hangUp(hard bool) {
	if hard {
		reset(p.Conn)
	} else {
		p.Close()
	}
}

// narrow makes little fit into the connection.
func (p plain) narrow() error {
	c := p.Conn
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return c.(*net.TCPConn).SetReadBuffer(smallBuffer)
}

// shared is one request of a connection that has several.
type shared struct {
	web    *web
	ctx    context.Context
	cancel context.CancelFunc
	client *http.Client
}

func (w *web) line() *shared {
	ctx, cancel := context.WithCancel(context.Background())
	return &shared{w, ctx, cancel, w.client()}
}

func (s *shared) ask(path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, "https://"+s.web.tls+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Do(req)
	if err == nil && answer.ProtoMajor != 2 {
		err = fmt.Errorf("answered with %s", answer.Proto)
	}
	return answer, err
}

func (s *shared) hangUp(bool) { s.cancel() }

// web is clients for HTTP/2: each has a connection, and is given up for another one after a while.
type web struct {
	tls string

	mu      sync.Mutex
	present *http.Client
	lent    int // how often
}

const perClient = 12 // requests of a connection, in all

func newWeb(d door) *web { return &web{tls: d.TLS} }

// client returns one for the next request. Its connection ends by itself.
func (w *web) client() *http.Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lent%perClient == 0 {
		w.present = &http.Client{Transport: &http.Transport{
			TLSClientConfig: stranger.Clone(), ForceAttemptHTTP2: true, IdleConnTimeout: time.Second,
			HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: smallBuffer},
		}}
	}
	w.lent++
	return w.present
}
