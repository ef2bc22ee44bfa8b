package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	patience = 5 * time.Second        // for a peer, from the beginning to the end
	atOnce   = 8                      // clients that are attended to; others wait
	pause    = 100 * time.Millisecond // before the next try to accept, where there was no descriptor for it
)

// Server answers those who ask this process.
type Server struct {
	socket   *net.UnixListener
	trusted  func(*net.UnixConn) bool
	handle   func(Request) Response
	patience time.Duration

	turn    sync.Mutex    // handle's
	places  chan struct{} // a client holds one
	clients sync.WaitGroup
	over    chan struct{} // closed by Close

	mu     sync.Mutex
	open   map[*net.UnixConn]struct{}
	closed bool
}

// Serve lets others ask this process, until the context is done or Close. It returns at once, and handle is called
// from other goroutines, by one at a time, and is not to wait, since Close waits for it; a request that it gets
// makes sense in itself. Its error is errors.ErrUnsupported where there is no such thing, and in an abstract
// namespace somebody else may have taken the name (EADDRINUSE): a copy goes on without.
func Serve(ctx context.Context, handle func(Request) Response) (*Server, error) {
	socket, err := listen(os.Getpid())
	if err != nil {
		return nil, err
	}
	s := newServer(socket, trusted, handle, patience)
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return s, nil
}

func newServer(
	socket *net.UnixListener, trusted func(*net.UnixConn) bool, handle func(Request) Response, patience time.Duration,
) *Server {
	s := &Server{
		socket: socket, trusted: trusted, handle: handle, patience: patience,
		places: make(chan struct{}, atOnce), over: make(chan struct{}), open: make(map[*net.UnixConn]struct{}),
	}
	s.clients.Add(1)
	go s.accept()
	return s
}

func (s *Server) accept() {
	defer s.clients.Done()
	for {
		select {
		case s.places <- struct{}{}:
		case <-s.over:
			return
		}
		c, err := s.socket.AcceptUnix()
		if err != nil {
			<-s.places
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select {
			case <-time.After(pause):
				continue
			case <-s.over:
				return
			}
		}
		if !s.enter(c) {
			c.Close()
			continue
		}
		s.clients.Go(func() {
			defer s.leave(c)
			s.answer(c)
		})
	}
}

// enter gives a client its time. It is false after Close.
func (s *Server) enter(c *net.UnixConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || c.SetDeadline(time.Now().Add(s.patience)) != nil {
		<-s.places
		return false
	}
	s.open[c] = struct{}{}
	return true
}

func (s *Server) leave(c *net.UnixConn) {
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	c.Close() // an error of it is the client's
	<-s.places
}

// answer takes a request and answers it. To strangers, and those who say nothing, there is nothing to say.
func (s *Server) answer(c *net.UnixConn) {
	if !s.trusted(c) {
		return
	}
	var q Request
	err := receive(c, mostRequest, &q)
	if ne := net.Error(nil); err == io.EOF || errors.As(err, &ne) {
		return
	}
	if err == nil {
		err = q.check()
	}
	var r Response
	if err != nil {
		r.Error = "request: " + err.Error()
	} else {
		s.turn.Lock()
		r = s.handle(q)
		s.turn.Unlock()
	}
	b, err := json.Marshal(r)
	if err != nil { // a report that is no JSON
		b, _ = json.Marshal(Response{Error: "answer: " + err.Error()})
	}
	_, _ = c.Write(b) // the client has gone, then
}

// Close ends it. Who is being answered still gets the answer; who has not said yet what it wants gets none.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.clients.Wait()
		return nil
	}
	s.closed = true
	close(s.over)
	err := s.socket.Close()
	for c := range s.open {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // it is closed, then
	}
	s.mu.Unlock()
	s.clients.Wait()
	return err
}
