package address

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Listener accepts the connections of an address that listens.
type Listener struct {
	address  Address
	role     Role
	config   Config
	listener net.Listener

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
	l, err := retried(ctx, &Options{Retry: a.Options.Retry}, &c, "listen", func(ctx context.Context) (net.Listener, error) {
		return a.listen(ctx)
	})
	if err != nil {
		return nil, a.failed(err)
	}
	c.say("listening on %s", l.Addr())
	return &Listener{address: a, role: role, config: c, listener: l, left: a.Options.connections()}, nil
}

func (a *Address) listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	return lc.Listen(ctx, "tcp", a.HostPort)
}

// Addr returns where it listens.
func (l *Listener) Addr() net.Addr { return l.listener.Addr() }

// Close stops listening. An Accept that waits ends, and connections accepted live on.
func (l *Listener) Close() error { return l.address.failed(l.listener.Close()) }

// Accept waits for a connection until ctx is done, the first one for ?timeout at most. When there have been as many as
// the address allows, it returns io.EOF: one, or what ?accept says, and with ?fork, or ?accept=0, there is no end. Other
// errors are an *Error. Only one goroutine may call it at a time.
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
	e.Address = l.address
	if !l.role.reads() {
		e.Reader, e.Skip = nil, 0
	}
	if !l.role.writes() {
		e.Writer = nil
	}
	return e, nil
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

func (l *Listener) accept(ctx context.Context) (*End, error) {
	deadline, ok := l.listener.(interface{ SetDeadline(time.Time) error })
	if ok {
		stop := context.AfterFunc(ctx, func() { _ = deadline.SetDeadline(time.Unix(1, 0)) })
		defer func() {
			if !stop() {
				_ = deadline.SetDeadline(time.Time{})
			}
		}()
	}
	conn, err := l.listener.Accept()
	if err != nil {
		return nil, err
	}
	return connected(conn, l.role, &l.config), nil
}
