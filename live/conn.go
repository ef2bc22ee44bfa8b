package live

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/penstock-io/penstock"
)

// What net/http leaves to us of a client's connection: to tell a client that is too slow with its header so, to notice
// one that has vanished without a word, and to take the bare connection over.

// keepAlive finds a peer that has vanished within some 11 seconds: well within the default grace, so that a publisher
// that returns is not told of its own ghost.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}

// tuned returns a connection that was just accepted, with the keepalive set.
func tuned(c net.Conn) net.Conn {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(keepAlive) // a system that lacks some of it keeps its own
	}
	return c
}

// httpListener accepts connections for net/http.
type httpListener struct{ net.Listener }

func (l httpListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &httpConn{Conn: tuned(c)}, nil
}

// fullAnswer is for clients that there is no descriptor for.
const fullAnswer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Type: text/plain; charset=utf-8\r\n" +
	"Connection: close\r\n\r\nthere are as many connections as may be; try again\n"

// httpConn answers 408 to a client whose request header does not come to an end in time; net/http would only close.
type httpConn struct {
	net.Conn
	handling atomic.Bool // a request's header is complete, and the request not done
	begun    atomic.Bool // some of a header has come
}

const slowHeaderAnswer = "the request's header did not come within the time for it\n"

func (c *httpConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.handling.Load() {
		return n, err
	}
	if n > 0 {
		c.begun.Store(true)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && c.begun.CompareAndSwap(true, false) {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(time.Second)) // it is closed next: whatever cannot be told is not
		_, _ = fmt.Fprintf(c.Conn, "HTTP/1.1 408 %s\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
			http.StatusText(http.StatusRequestTimeout), len(slowHeaderAnswer), slowHeaderAnswer)
	}
	return n, err
}

// connKey is where a request's context has its *httpConn.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// handling marks the connection while a handler runs: from then on a deadline is somebody else's.
func handling(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connKey{}).(*httpConn); ok {
			c.handling.Store(true)
			defer func() {
				c.begun.Store(false)
				c.handling.Store(false)
			}()
		}
		h.ServeHTTP(w, r)
	})
}

// takeOver hijacks a request's connection. What the client has sent behind the header so far, and net/http has read, is
// returned with it.
func takeOver(w http.ResponseWriter) (net.Conn, []byte, error) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("this connection cannot carry a stream: %w", err)
	}
	ahead, _ := buf.Reader.Peek(buf.Reader.Buffered()) // no more than there is: it cannot fail
	if c, ok := conn.(*httpConn); ok {
		conn = c.Conn
	}
	return conn, ahead, nil
}

// beneath returns the connection that c is carried by: without TLS, and without what takes care of a request's header.
func beneath(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if h, ok := c.(*httpConn); ok {
		c = h.Conn
	}
	return c
}

// sinkOf makes a sink of a viewer's connection. TLS does not know what of that which it has written the viewer has got; the
// connection beneath does, and without asking it a viewer that takes little at a time is not to be told from one that takes
// nothing: a socket's buffer makes room for more when a third of it is free, which may be megabytes.
func sinkOf(c net.Conn) penstock.Sink {
	sink := penstock.SinkOf(c)
	if under := beneath(c); under != c {
		if q, ok := penstock.SinkOf(under).(queuer); ok {
			return &tlsSink{sink, q}
		}
	}
	return sink
}

// queuer is a sink that tells how much of what it has taken its peer has not acknowledged, in bytes.
type queuer interface{ Queued() int }

// tlsSink is a sink, and what tells how far that has got.
type tlsSink struct {
	penstock.Sink
	queuer
}

// finish half-closes a connection and bounds the wait for the peer to do likewise: closing outright, with something of
// the peer's unread, would send a reset and lose the tail of what we sent.
func finish(c net.Conn) {
	if hc, ok := c.(interface{ CloseWrite() error }); ok {
		_ = hc.CloseWrite() // the peer has gone: as good
	}
	_ = c.SetReadDeadline(time.Now().Add(linger))
}

// reset closes a connection such that the peer cannot take what it has got for all there was: no FIN, and no
// close_notify of TLS.
func reset(c net.Conn) {
	c = beneath(c)
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails only on what is closed
	}
	c.Close()
}

// drain reads and drops until the peer closes, or the read deadline.
func drain(c net.Conn) {
	if drainBare(c) {
		return
	}
	var b [512]byte
	for {
		if _, err := c.Read(b[:]); err != nil {
			return
		}
	}
}
