package soak

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"slices"
	"time"
)

// publication is one publisher's connection.
type publication interface {
	io.Writer
	room() int64   // how many bytes are still to be written; endless if it does not matter
	finish() error // ends it as it should be ended, and waits until the server has done with it
	gone() error   // waits until the server has done with it, because of another
	reset()        // ends it as a crash would
}

const (
	endless   = 1 << 50
	mostKnown = 4 << 20 // bytes of a publication whose length is told beforehand
)

// arrive begins a publication in one of the ways that there are; without one that is a failure, and the result nil.
func (s *stream) arrive(r *rand.Rand) publication {
	begin := pick(r, []weighted[func(*rand.Rand) (publication, error)]{
		{40, s.byTCP}, {20, s.byLength}, {20, s.byChunks}, {20, s.byHTTP2},
	})
	p, err := begin(r)
	if err != nil {
		s.fail("%s: beginning to publish: %v", s.name, err)
		return nil
	}
	return p
}

func (s *stream) byTCP(*rand.Rand) (publication, error) {
	conn, err := net.Dial("tcp", s.Publish[s.name])
	if err != nil {
		return nil, err
	}
	return &connected{conn: conn, body: conn, left: endless, end: conn.(*net.TCPConn).CloseWrite}, nil
}

func (s *stream) byLength(r *rand.Rand) (publication, error) {
	p := &connected{left: 1 + r.Int64N(mostKnown), answers: true, end: func() error { return nil }}
	return p, s.request(p, s.HTTP, fmt.Sprintf("Content-Length: %d", p.left))
}

// byChunks is by TLS half of the times.
func (s *stream) byChunks(r *rand.Rand) (publication, error) {
	to := s.HTTP
	if r.IntN(2) == 0 {
		to = s.TLS
	}
	p := &connected{left: endless, answers: true}
	if err := s.request(p, to, "Transfer-Encoding: chunked"); err != nil {
		return nil, err
	}
	body := httputil.NewChunkedWriter(p.conn)
	p.body = body
	p.end = func() error {
		_, err := io.WriteString(p.conn, "0\r\n\r\n")
		return err
	}
	return p, nil
}

// request connects p and sends the request's header.
func (s *stream) request(p *connected, to, framing string) (err error) {
	if p.conn, err = s.dial(to); err != nil {
		return err
	}
	p.body = p.conn
	kind := ""
	if s.content == parts {
		kind = "Content-Type: " + partsType + "\r\n"
	}
	_, err = fmt.Fprintf(p.conn, "PUT /live/%s HTTP/1.1\r\nHost: soak\r\n%s%s\r\n\r\n", s.name, kind, framing)
	return err
}

const partsType = "multipart/x-mixed-replace; boundary=frame"

// connected is a publication that has a connection of its own.
type connected struct {
	conn    net.Conn
	body    io.Writer
	left    int64 // bytes to be written
	end     func() error
	answers bool // it is HTTP
}

func (c *connected) room() int64 { return c.left }

func (c *connected) Write(b []byte) (int, error) {
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience)) // on a connection that is closed the write fails
	n, err := c.body.Write(b)
	if c.left != endless {
		c.left -= int64(n)
	}
	return n, err
}

func (c *connected) finish() error {
	if err := c.end(); err != nil {
		return errors.Join(err, c.conn.Close())
	}
	return c.await("200")
}

func (c *connected) gone() error {
	if c.left == 0 { // it may have been over already
		return c.await("200", "409")
	}
	return c.await("409")
}

// await reads up to the end, and sees whether the status is one that it may be, where there is one.
func (c *connected) await(statuses ...string) error {
	defer c.conn.Close()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience)) // fails only on what is closed, as the read then does
	answer, err := io.ReadAll(c.conn)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the server has not done with it: %w", err)
	case c.answers && !slices.ContainsFunc(statuses, func(s string) bool {
		return bytes.HasPrefix(answer, []byte("HTTP/1.1 "+s+" "))
	}):
		return fmt.Errorf("answered %.100q, %v", answer, err)
	case !c.answers && len(answer) > 0:
		return fmt.Errorf("answered %.100q", answer)
	}
	return nil
}

func (c *connected) reset() { reset(c.conn) }

// multiplexed is a publication that is a request of HTTP/2.
type multiplexed struct {
	*io.PipeWriter
	cancel context.CancelFunc
	answer chan string // the status, or an error
}

func (s *stream) byHTTP2(*rand.Rand) (publication, error) {
	ctx, cancel := context.WithCancel(context.Background())
	body, w := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+s.TLS+"/live/"+s.name, body)
	if err != nil {
		cancel()
		return nil, err
	}
	if s.content == parts {
		req.Header.Set("Content-Type", partsType)
	}
	client := s.web.client()
	m := &multiplexed{w, cancel, make(chan string, 1)}
	go func() {
		answer, err := client.Do(req)
		if err != nil {
			body.CloseWithError(err)
			m.answer <- err.Error()
			return
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err == nil {
			err = io.ErrClosedPipe
		}
		body.CloseWithError(err) // a write from now on is one too many
		m.answer <- fmt.Sprintf("%s %s", answer.Status, text)
	}()
	return m, nil
}

func (m *multiplexed) room() int64 { return endless }

func (m *multiplexed) finish() error {
	if err := m.Close(); err != nil {
		return err
	}
	return m.await("200 ")
}

func (m *multiplexed) gone() error { return m.await("409 ") }

func (m *multiplexed) await(status string) error {
	defer m.cancel()
	select {
	case answer := <-m.answer:
		if len(answer) < len(status) || answer[:len(status)] != status {
			return errors.New("answered " + answer)
		}
		return nil
	case <-time.After(patience):
		return errors.New("the server has not done with it")
	}
}

func (m *multiplexed) reset() {
	m.cancel()
	<-m.answer
}
