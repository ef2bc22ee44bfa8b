package relay

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/penstock-io/penstock/internal/shortage"
)

// targets are the servers that a Config names, and what is known of them.
type targets struct {
	all    []*target
	config *Config
	log    *slog.Logger
	ctx    context.Context // ends the checks
	cancel context.CancelFunc

	mu   *sync.Mutex // guards what follows, and what is known of each; the next Config's targets have the same
	next int         // whose turn it is
}

// target is one of them.
type target struct {
	Target
	dialer net.Dialer

	*known
	checked bool // a goroutine looks after it; guarded by the targets' lock
}

// known is what is known of a target. It is the same for all Configs that have it, one after the other, and is guarded by
// the lock of all their targets.
type known struct {
	conns   int       // that are open
	total   int64     // that there have been
	failed  int64     // that could not be made
	down    error     // why nobody is sent there; nil if it is up
	since   time.Time // when that began
	backoff time.Duration
}

// newTargets takes over from the targets of a Config before this one what is known of those that stay.
func newTargets(c *Config, old *targets, log *slog.Logger) *targets {
	ts := &targets{config: c, log: log, mu: new(sync.Mutex)}
	var before []*target
	if old != nil {
		ts.mu, before = old.mu, slices.Clone(old.all)
	}
	ts.ctx, ts.cancel = context.WithCancel(context.Background())
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range c.Targets {
		if t.Network == "" {
			t.Network = "tcp"
		}
		made := &target{Target: t, dialer: net.Dialer{KeepAlive: -1}, known: new(known)}
		same := func(o *target) bool { return o.Network == t.Network && o.Address == t.Address }
		if i := slices.IndexFunc(before, same); i >= 0 {
			made.known = before[i].known
			before = slices.Delete(before, i, i+1)
		}
		ts.all = append(ts.all, made)
		if c.Check.Every > 0 || made.down != nil {
			made.checked = true
			go ts.look(made)
		}
	}
	return ts
}

// stop ends the checks.
func (ts *targets) stop() { ts.cancel() }

// pick returns the target that a connection is to try next, and counts it there; nil if all have been tried. Those that
// are down are tried when no other is left.
func (ts *targets) pick(tried map[*target]bool) *target {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	var best *target
	better := func(t *target) bool {
		switch {
		case best == nil:
			return true
		case (t.down == nil) != (best.down == nil):
			return t.down == nil
		default:
			return ts.config.Balance == LeastConnections && t.conns < best.conns
		}
	}
	at := 0
	for i := range ts.all {
		n := (ts.next + i) % len(ts.all)
		if t := ts.all[n]; !tried[t] && better(t) {
			best, at = t, n
		}
	}
	if best == nil {
		return nil
	}
	ts.next = at + 1
	best.conns++
	best.total++
	return best
}

// leave is for a connection to a target that is over.
func (ts *targets) leave(t *target) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t.conns--
}

// connect finds a target that can be connected to: each is tried once, or again when descriptors are about to be given
// back.
func (c *conn) connect(ctx context.Context) error {
	ts := c.c.targets
	tried := map[*target]bool(nil)
	var errs []error
	began := time.Now()
	for again := false; ; again = true {
		t := ts.pick(tried)
		if t == nil {
			return errors.Join(errs...)
		}
		if again {
			c.r.counters.retried.Add(1)
		}
		server, err := t.dial(ctx, ts.config.ConnectTimeout, c.proxyHeader())
		ts.tried(ctx, t, err)
		if err == nil {
			c.r.mu.Lock()
			c.target, c.server = t, server
			c.r.mu.Unlock()
			return nil
		}
		ts.leave(t)
		if shortage.Is(err) && time.Since(began) < cmp.Or(ts.config.ConnectTimeout, DefaultConnectTimeout) && c.r.relieve() {
			select {
			case <-time.After(2 * grace):
				continue
			case <-ctx.Done():
			}
		}
		errs = append(errs, fmt.Errorf("%s: %w", t, causeOf(err)))
		if ctx.Err() != nil || shortage.Is(err) {
			return errors.Join(errs...)
		}
		if tried == nil {
			tried = make(map[*target]bool)
		}
		tried[t] = true
	}
}

// causeOf takes off what package net says of where: that is said already.
func causeOf(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// noPort tells that all ports for connections to that address are in use, or in TIME_WAIT.
func noPort(err error) bool { return errors.Is(err, syscall.EADDRNOTAVAIL) }

// dial connects to it, sends the header, and shakes hands if TLS is to be spoken: behind the header, as HAProxy and nginx
// do and as Config.ProxyIn has it. The header is no byte of the client's, which are counted and mirrored.
func (t *target) dial(ctx context.Context, timeout time.Duration, header []byte) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(timeout, DefaultConnectTimeout))
	defer cancel()
	server, err := t.reach(ctx)
	if err != nil {
		return nil, err
	}
	if header != nil {
		if _, err := server.Write(header); err != nil { // for which a new socket's buffer has room
			server.Close()
			return nil, err
		}
	}
	if t.TLS == nil {
		return server, nil
	}
	conf := t.TLS
	if conf.ServerName == "" && !conf.InsecureSkipVerify {
		conf = conf.Clone()
		conf.ServerName, _, _ = net.SplitHostPort(t.Address) // checked when it was dialed
	}
	s := tls.Client(server, conf)
	if err := s.HandshakeContext(ctx); err != nil {
		server.Close()
		return nil, err
	}
	return s, nil
}

// reach connects to it. Where a TCP server that is behind with accepting makes its clients wait, a Unix socket says
// EAGAIN: those wait here.
func (t *target) reach(ctx context.Context) (net.Conn, error) {
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		server, err := t.dialer.DialContext(ctx, t.Network, t.Address)
		if t.Network != "unix" || !errors.Is(err, syscall.EAGAIN) {
			return server, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// tried notes how a connection or a check went.
func (ts *targets) tried(ctx context.Context, t *target, err error) {
	if err != nil && (ctx.Err() != nil || shortage.Is(err) || noPort(err)) {
		return // which says nothing of the target
	}
	tell := func() {}
	defer func() { tell() }() // when nobody waits for the lock: a log may be slow
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.ctx.Err() != nil { // an older Config's: nobody of it would find out that the target is up again
		if err != nil {
			t.failed++
		}
		return
	}
	if err == nil {
		if t.down != nil {
			after := time.Since(t.since).Round(time.Millisecond)
			tell = func() { ts.log.Info("target is up", "target", t.Address, "after", after) }
			t.down, t.backoff = nil, 0
		}
		return
	}
	t.failed++
	if t.down == nil {
		tell = func() { ts.log.Warn("target is down", "target", t.Address, "error", causeOf(err)) }
		t.since = time.Now()
	}
	t.down = err
	if !t.checked {
		t.checked = true
		go ts.look(t)
	}
}

// look checks a target, again and again; without Check.Every only until it is up.
func (ts *targets) look(t *target) {
	c := ts.config.Check
	if c.Backoff == 0 {
		c.Backoff = time.Second
	}
	for {
		ts.mu.Lock()
		wait := c.Every
		if t.down != nil {
			t.backoff = min(max(2*t.backoff, c.Backoff), time.Minute)
			wait = t.backoff
			if c.Every > 0 {
				wait = min(wait, c.Every)
			}
		} else if c.Every == 0 {
			t.checked = false
			ts.mu.Unlock()
			return
		}
		ts.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-ts.ctx.Done():
			return
		}
		server, err := t.dial(ts.ctx, c.Timeout, ownProxyHeader(ts.config.ProxyOut))
		if err == nil {
			server.Close()
		}
		ts.tried(ts.ctx, t, err)
	}
}
