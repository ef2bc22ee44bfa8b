package address

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/penstock-io/penstock/internal/shortage"
)

// Listener accepts the connections of an address that listens.
type Listener struct {
	address  Address
	role     Role
	config   Config
	listener net.Listener
	tls      *tls.Config // nil is without

	mu   sync.Mutex
	left int // connections to come; negative is no end
	some bool
}

// Listen listens where the address says, and says so. Its error is an *Error.
func (a Address) Listen(ctx context.Context, role Role, c Config) (*Listener, error) {
	if err := a.Check(role); err != nil {
		return nil, err
	}
	if !a.Listens() {
		return nil, a.failed(errors.New("does not listen for connections"))
	}
	var secure *tls.Config
	if a.Scheme == TLSListen {
		var err error
		if secure, err = a.serverTrust(); err != nil {
			return nil, a.failed(err)
		}
	}
	l, err := retried(ctx, &Options{Retry: a.Options.Retry}, &c, "listen", a.listen)
	if err != nil {
		return nil, a.failed(err)
	}
	c.say("listening on %s", l.Addr())
	return &Listener{address: a, role: role, config: c, listener: l, tls: secure, left: a.Options.connections()}, nil
}

// NetListener listens where the address says, for who accepts by himself: handshakes, and options that are about single
// connections, are up to him. Its error is an *Error.
func (a Address) NetListener(ctx context.Context) (net.Listener, error) {
	if !a.Listens() {
		return nil, a.failed(errors.New("does not listen for connections"))
	}
	l, err := a.listen(ctx)
	if err != nil {
		return nil, a.failed(err)
	}
	return l, nil
}

// Addr returns where it listens.
func (l *Listener) Addr() net.Addr { return l.listener.Addr() }

// Close stops listening. An Accept that waits ends, and connections accepted live on.
func (l *Listener) Close() error { return l.address.failed(l.listener.Close()) }

// Accept waits for a connection until ctx is done, the first one for ?timeout at most. When there have been as many as
// the address allows, it returns io.EOF: one, or what ?accept says, and with ?fork, or ?accept=0, there is no end.
// A TLS handshake is done by then, but with ?fork: there it comes with the first byte. Other errors are an *Error. Only one goroutine may call it at a time.
func (l *Listener) Accept(ctx context.Context) (*End, error) {
	if !l.another() {
		return nil, io.EOF
	}
	var limit time.Duration
	if !l.some {
		limit = l.address.Options.Timeout
	}
	e, err := bounded(ctx, limit, l.accept)
	if err != nil {
		return nil, l.address.failed(err)
	}
	l.some = true
	return e.as(l.address, l.role), nil
}

// another counts a connection, if one more is allowed.
func (l *Listener) another() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left == 0 {
		return false
	}
	if l.left > 0 {
		l.left--
	}
	return true
}

// accept waits for a connection. A client whose handshake fails is none: that is said, and the next one waited for. Where
// there are no descriptors left, or no memory, those that there are may soon be over: that is waited for.
func (l *Listener) accept(ctx context.Context) (*End, error) {
	stop := context.AfterFunc(ctx, func() { l.setDeadline(past) })
	defer func() {
		if !stop() {
			l.setDeadline(time.Time{})
		}
	}()
	for backoff := time.Duration(0); ; {
		conn, err := l.listener.Accept()
		if err != nil && ctx.Err() == nil && shortage.Is(err) {
			if backoff == 0 {
				_, cause := bare(err)
				l.config.say("cannot accept yet: %v; trying again", cause)
			}
			backoff = min(max(firstBackoff, 2*backoff), lastBackoff)
			timer := time.NewTimer(backoff)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		backoff = 0
		conn = l.address.tuned(conn)
		if l.tls == nil {
			return connected(conn, l.role, &l.config), nil
		}
		if l.address.Options.Fork { // who does not shake hands keeps nobody out
			return connected(l.secureLater(conn), l.role, &l.config), nil
		}
		secured, err := l.secure(ctx, conn)
		if err == nil {
			return connected(secured, l.role, &l.config), nil
		}
		conn.Close()
		if ctx.Err() != nil {
			return nil, err
		}
		_, err = bare(err)
		l.config.say("%s: %v; waiting for another", conn.RemoteAddr(), err)
	}
}

// secure shakes hands.
func (l *Listener) secure(ctx context.Context, conn net.Conn) (net.Conn, error) {
	within, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	t := tls.Server(&witness{Conn: conn}, l.tls)
	if err := t.HandshakeContext(within); err != nil {
		return nil, handshakeFailed(err)
	}
	return t, nil
}

// secureLater leaves the handshake to the first read or write, within the time that it has.
func (l *Listener) secureLater(conn net.Conn) net.Conn {
	_ = conn.SetDeadline(time.Now().Add(handshakeTime)) // fails only if it is closed, and then so does its use
	config := l.tls.Clone()
	config.VerifyConnection = func(tls.ConnectionState) error { return conn.SetDeadline(time.Time{}) }
	return tls.Server(&witness{Conn: conn}, config)
}

func (l *Listener) setDeadline(t time.Time) {
	if d, ok := l.listener.(interface{ SetDeadline(time.Time) error }); ok {
		_ = d.SetDeadline(t) // fails only if it is closed, and then so does Accept
	}
}
