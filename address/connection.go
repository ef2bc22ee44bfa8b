package address

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// linger is how long a peer that has everything is waited for to close, too.
const linger = 2 * time.Second

// connected makes an end of a connection, which it takes over.
func connected(conn net.Conn, role Role, c *Config) *End {
	e := endOf(conn, conn, &connEnding{conn: conn, written: role.writes()})
	if addr := conn.RemoteAddr(); addr != nil {
		e.Peer = addr.String()
	}
	return e.skipping(c)
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
	if err := w.CloseWrite(); err != nil && !errors.Is(err, syscall.ENOTCONN) && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (c *connEnding) finish(ctx context.Context) error {
	if !c.written {
		return c.close()
	}
	err := c.closeWrite()
	if err == nil {
		err = c.seeThrough(ctx)
	}
	return errors.Join(err, c.close())
}

func (c *connEnding) close() error {
	if err := c.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// seeThrough reads and drops what the peer says until it has closed. While its kernel has not got everything, only ctx
// ends that.
func (c *connEnding) seeThrough(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	b := make([]byte, 32<<10)
	var quiet time.Time // when it will have been long enough
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		now := time.Now()
		if unacknowledged(c.conn) > 0 {
			quiet = time.Time{}
		} else if quiet.IsZero() {
			quiet = now.Add(linger)
		}
		if !quiet.IsZero() && now.After(quiet) {
			return nil
		}
		_ = c.conn.SetReadDeadline(now.Add(linger / 20))
		if ctx.Err() != nil { // it may have set its own before
			return context.Cause(ctx)
		}
		_, err := c.conn.Read(b)
		switch {
		case err == io.EOF:
			return nil
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
	}
}

// giveUp resets the connection: the peer of a clean end would take what it has for the whole.
func (c *connEnding) giveUp() error {
	if l, ok := c.conn.(interface{ SetLinger(sec int) error }); ok {
		_ = l.SetLinger(0)
	}
	return c.close()
}
