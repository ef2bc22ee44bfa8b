package address

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// linger is how long a peer that has everything is waited for to close, too.
const linger = 2 * time.Second

// past interrupts.
var past = time.Unix(1, 0)

// connected makes an end of a connection, which it takes over.
func connected(conn net.Conn, role Role, c *Config) *End {
	var reader io.Reader = conn
	if t, ok := conn.(*tls.Conn); ok {
		reader = &untilGoodbye{t}
	}
	e := endOf(reader, conn, &connEnding{conn: conn, written: role.writes()})
	e.Skip = c.Offset
	if addr := conn.RemoteAddr(); addr != nil && addr.String() != "@" { // "@" is a Unix socket without a name
		e.Peer = addr.String()
	}
	return e
}

// connEnding ends a connection.
type connEnding struct {
	conn    net.Conn
	written bool // it is a destination: what was written is seen through
}

func (c *connEnding) closeWrite() error {
	w, ok := c.conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	err := w.CloseWrite()
	if errors.Is(err, syscall.ENOTCONN) || errors.Is(err, net.ErrClosed) {
		return nil // a reset that came before is for whoever reads
	}
	return err
}

func (c *connEnding) finish(ctx context.Context) error {
	if !c.written {
		return closed(c.conn)
	}
	err := c.closeWrite()
	if err == nil {
		err = c.seeThrough(ctx)
	} else {
		err = firstOf(c.refusal(), err)
	}
	return firstOf(err, closed(c.conn))
}

// refusal is why a peer with TLS has closed a connection that cannot be written to any more, if it has said so: with
// TLS 1.3 it judges a client's certificate only after that is through with its handshake.
func (c *connEnding) refusal() error {
	t, ok := c.conn.(*tls.Conn)
	if !ok || t.SetReadDeadline(time.Now().Add(linger/20)) != nil {
		return nil
	}
	_, err := t.Read(make([]byte, 1))
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		return op
	}
	return nil
}

// closed closes what may be closed already.
func closed(c io.Closer) error {
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.EPIPE) &&
		!errors.Is(err, syscall.ECONNRESET) {
		return err
	}
	return nil
}

// seeThrough reads and drops what the peer says until it has closed. While its kernel has not got everything, only ctx
// ends that.
func (c *connEnding) seeThrough(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetReadDeadline(past) })
	defer stop()
	b := make([]byte, 32<<10)
	var enough time.Time // when the peer will have had time enough
	for {
		now := time.Now()
		switch {
		case unacknowledged(c.conn) > 0:
			enough = time.Time{}
		case enough.IsZero():
			enough = now.Add(linger)
		case now.After(enough):
			return nil
		}
		_ = c.conn.SetReadDeadline(now.Add(linger / 20))
		if ctx.Err() != nil { // its own deadline may have been overwritten
			return withOp("waiting for the peer to take the rest", context.Cause(ctx))
		}
		switch _, err := c.conn.Read(b); {
		case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
		case err == io.EOF, err == io.ErrUnexpectedEOF: // TLS without a goodbye: it was we who spoke
			return nil
		default:
			_, err = bare(err)
			return withOp("the peer may not have read it all", err)
		}
	}
}

// giveUp resets the connection: of a clean end the peer would take what it has for the whole. A Unix socket has no
// reset; its peer sees an end.
func (c *connEnding) giveUp() error {
	conn, why := c.conn, error(nil)
	if c.written {
		why = c.refusal()
	}
	conn = under(conn) // whose close says no goodbye of TLS
	if l, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0)
	}
	return firstOf(why, closed(conn))
}
