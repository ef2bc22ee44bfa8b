package relay

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Relay forwards the connections that it is given to its targets. All methods may be called from any goroutine.
type Relay struct {
	config atomic.Pointer[configured]

	counters   counters
	gate       gate
	complaints complaints

	mu       sync.Mutex // guards what follows
	conns    map[uint64]*conn
	closed   bool
	draining chan struct{} // closed when no more connections are to be accepted
	closing  closing       // mirrors of connections that are over
	idle     sync.Cond     // of mu: told when a connection is over, or a mirror closed
}

// ids numbers the connections of all relays of this process, so that a number alone says which one is meant.
var ids atomic.Uint64

// configured is a Config with what lives as long as it.
type configured struct {
	Config
	log     *slog.Logger // with the relay's name
	targets *targets
}

// configure takes over from what was before, if there was anything.
func configure(c Config, before *configured) *configured {
	made := &configured{Config: c, log: c.Log}
	if made.log == nil {
		made.log = slog.Default()
	}
	if c.Name != "" {
		made.log = made.log.With("relay", c.Name)
	}
	var targets *targets
	if before != nil {
		targets = before.targets
	}
	made.targets = newTargets(&made.Config, targets, made.log)
	return made
}

// log is that of the Config as it is now.
func (r *Relay) log() *slog.Logger { return r.config.Load().log }

// New returns a Relay that accepts nothing yet. Its error says what of the Config makes no sense.
func New(c Config) (*Relay, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	r := &Relay{conns: make(map[uint64]*conn), closing: make(closing), draining: make(chan struct{})}
	r.counters.ends, r.counters.mirrors = make(map[Termination]int64), make(mirrorCounters)
	r.idle.L = &r.mu
	r.complaints.log = r.log
	r.config.Store(configure(c, nil))
	return r, nil
}

// Update changes what the Relay does with connections that come from now on; those that are there go on as they are.
// What is known of targets that stay is kept. Its error says what of the Config makes no sense, and nothing changes.
func (r *Relay) Update(c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return net.ErrClosed
	}
	old := r.config.Load()
	old.targets.stop() // before the new ones look at what it knows: nothing is found out between
	r.config.Store(configure(c, old))
	r.gate.lookAgain()
	return nil
}

// Serve forwards what l accepts, which it closes, until the context is done or Shutdown or Close is called; then its
// error is nil. Connections that are there go on. It may be called for several listeners.
func (r *Relay) Serve(ctx context.Context, l net.Listener) error {
	over := make(chan struct{})
	w := workers{r: r, next: make(chan net.Conn), over: over}
	var closing sync.WaitGroup
	defer closing.Wait() // the address is free when this returns
	defer close(over)
	closing.Go(func() {
		select {
		case <-ctx.Done():
		case <-r.draining:
		case <-over:
		}
		l.Close()
	})
	for {
		c, err := r.gate.accept(ctx, l, r)
		select {
		case <-ctx.Done():
			err = net.ErrClosed
		case <-r.draining:
			err = net.ErrClosed
		default:
		}
		if err != nil {
			if c != nil {
				c.Close()
				r.gate.leave()
			}
			if errors.Is(err, net.ErrClosed) && (ctx.Err() != nil || r.isDraining()) {
				return nil
			}
			return err
		}
		w.forward(c)
	}
}

// Forward forwards one connection, and returns when it is over. It takes ownership of it. MaxConns and AcceptRate are for
// those that are accepted by Serve: they count this one, and do not hold it up.
func (r *Relay) Forward(c net.Conn) {
	r.gate.enter()
	r.forward(c)
}

func (r *Relay) isDraining() bool {
	select {
	case <-r.draining:
		return true
	default:
		return false
	}
}

// Shutdown accepts no more, and waits until the connections that are there are over, and their mirrors closed. When ctx
// is done it ends the connections that are left, waits for no mirrors, and returns the context's cause.
func (r *Relay) Shutdown(ctx context.Context) error {
	r.stopAccepting()
	left := false // are those whose mirrors are stuck; guarded by r.mu
	stop := context.AfterFunc(ctx, func() {
		r.endAll(errDrained)
		time.AfterFunc(10*grace, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			left = true
			r.idle.Broadcast()
		})
	})
	defer stop()
	r.mu.Lock()
	for r.busyLocked(left) {
		r.idle.Wait()
	}
	r.config.Load().targets.stop()
	for len(r.closing) > 0 && ctx.Err() == nil {
		r.idle.Wait()
	}
	r.mu.Unlock()
	r.abandonMirrors()
	r.complaints.flush()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Idle tells whether there is nothing that Shutdown would wait for: neither a connection, nor a mirror that is being
// closed.
func (r *Relay) Idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns) == 0 && len(r.closing) == 0
}

// busyLocked tells whether there are connections that Shutdown waits for: all, or those that are not left behind with
// mirrors that neither a deadline nor Close gets out of a Write.
func (r *Relay) busyLocked(left bool) bool {
	for _, c := range r.conns {
		if !c.parted || !left {
			return true
		}
	}
	return false
}

// Close accepts no more, and ends the connections that are there.
func (r *Relay) Close() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = r.Shutdown(ctx) // which says that it did not wait
	return nil
}

func (r *Relay) stopAccepting() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		close(r.draining)
	}
}

// endAll ends every connection, and tells who waits for them.
func (r *Relay) endAll(cause error) {
	r.mu.Lock()
	all := slices.Collect(maps.Values(r.conns))
	r.idle.Broadcast()
	r.mu.Unlock()
	for _, c := range all {
		c.stop(cause)
	}
}

// relieve ends what connections that are over still do for their mirrors: their descriptors are needed. It tells whether
// there were any.
func (r *Relay) relieve() bool {
	r.mu.Lock()
	var over []*conn
	for _, c := range r.conns {
		if c.parted {
			over = append(over, c)
		}
	}
	r.mu.Unlock()
	for _, c := range over {
		c.stop(errNeeded)
	}
	return len(over) > 0
}

// Kill ends a connection, and tells whether there was one of that number.
func (r *Relay) Kill(id uint64) bool {
	r.mu.Lock()
	c := r.conns[id]
	r.mu.Unlock()
	if c != nil {
		c.stop(errKilled)
	}
	return c != nil
}

// add makes a connection known, unless no more are to be.
func (r *Relay) add(c *conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.conns[c.id] = c
	return true
}

func (r *Relay) remove(c *conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c.id)
	r.idle.Broadcast()
}

// addrOf returns the address of a peer: the zero one of a Unix socket.
func addrOf(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
