package relay

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/penstock-io/penstock"
	"github.com/penstock-io/penstock/internal/shortage"
)

// conn is one connection that is being forwarded.
type conn struct {
	r      *Relay
	c      *configured
	id     uint64
	began  time.Time
	client net.Conn
	from   netip.AddrPort // the client, or whom its PROXY header names
	to     netip.AddrPort // what it connected to, likewise
	cancel context.CancelCauseFunc

	target  *target // nil before there is one
	server  net.Conn
	ready   time.Duration // from the beginning until the target was connected
	both    penstock.Both
	moving  bool // both is there
	counted bool // it is over, and in the counters; guarded by the relay's lock
	mirrors []*mirroring

	clientTold, serverTold bool // the other's end

	parting  sync.Once
	parted   bool          // what is left is its mirrors'; guarded by the relay's lock
	lasted   time.Duration // until then; likewise
	admitted bool          // by the gate
}

// forward is a connection from its beginning to its end.
func (r *Relay) forward(client net.Conn) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	c := &conn{r: r, c: r.config.Load(), id: ids.Add(1), began: time.Now(), client: client, cancel: cancel}
	c.from, c.to = addrOf(client.RemoteAddr()), addrOf(client.LocalAddr())
	defer c.part()
	if !r.add(c) {
		return
	}
	defer r.remove(c)
	r.counters.accepted.Add(1)
	end, err := c.run(ctx)
	c.part() // whoever is told that it is over finds it closed
	c.over(end, err)
}

// stop ends the connection, whatever it is at.
func (c *conn) stop(cause error) {
	c.cancel(cause)
	c.r.mu.Lock()
	both, moving := c.both, c.moving
	c.r.mu.Unlock()
	if moving {
		both.Stop(cause)
	}
}

// probesAfter is how long a connection lasts before its peers are asked whether they are still there: what is over before
// does not pay for that.
const probesAfter = time.Second

// probe sets how often a side that is quiet is asked whether it is still there.
func (c *conn) probe(side net.Conn) {
	if t, is := side.(*tls.Conn); is {
		side = t.NetConn()
	}
	every := cmp.Or(c.c.KeepAlive, DefaultKeepAlive)
	if tcp, is := side.(*net.TCPConn); is { // errors are a connection's that is broken, which reading tells
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: every > 0, Idle: every, Interval: every})
	}
}

// run forwards, and says how it ended.
func (c *conn) run(ctx context.Context) (Termination, error) {
	if c.c.Timeout > 0 {
		stop := time.AfterFunc(c.c.Timeout, func() { c.stop(errTooLong) })
		defer stop.Stop()
	}
	if err := c.hello(ctx); err != nil {
		return Termination{c.atFault(ctx, err, byClient), inHello}, err
	}
	if err := c.connect(ctx); err != nil {
		return Termination{c.atFault(ctx, err, byServer), inConnect}, err
	}
	c.r.mu.Lock()
	c.ready = time.Since(c.began)
	c.r.mu.Unlock()
	return c.move(ctx)
}

// part closes both sides, and gives up the connection's place, once. Mirrors may still be getting what they have not had.
func (c *conn) part() {
	c.parting.Do(func() {
		c.r.hangUp(c.client, c.clientTold)
		if c.server != nil {
			c.r.hangUp(c.server, c.serverTold)
			c.c.targets.leave(c.target)
		}
		if c.admitted {
			c.r.gate.dismiss(c.from.Addr().Unmap())
		}
		c.r.gate.leave()
		c.r.mu.Lock()
		c.parted, c.lasted = true, time.Since(c.began)
		c.r.mu.Unlock()
	})
}

// atFault says whose fault it is that something before the data has failed, if nothing else is known that of who.
func (c *conn) atFault(ctx context.Context, err error, who byte) byte {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errKilled):
		return byAdministrator
	case errors.Is(cause, errDrained):
		return byDrain
	case errors.Is(cause, errTooLong):
		return byProxy
	case errors.Is(err, errDenied) || errors.Is(err, errTooMany):
		return byProxy
	case shortage.Is(err) || noPort(err):
		return byResources
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded):
		if who == byClient {
			return byClientTimeout
		}
		return byServerTimeout
	default:
		return who
	}
}

// hello reads the client's PROXY header if there is to be one, asks whether such a client may come in, and shakes hands
// if that is to be.
func (c *conn) hello(ctx context.Context) error {
	if !c.c.ProxyIn && c.c.TLS == nil {
		return c.admit()
	}
	client := c.client // which becomes one of TLS
	timeout := c.c.HelloTimeout
	if timeout == 0 {
		timeout = DefaultHelloTimeout
	}
	stop := context.AfterFunc(ctx, func() { client.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := client.SetDeadline(c.began.Add(timeout)); err != nil {
		return err
	}
	if c.c.ProxyIn {
		from, to, err := c.readProxyHeader()
		if err != nil {
			return err
		}
		if from.IsValid() {
			c.r.mu.Lock()
			c.from, c.to = from, to
			c.r.mu.Unlock()
		}
	}
	if err := c.admit(); err != nil {
		return err
	}
	if c.c.TLS != nil {
		t := tls.Server(c.client, c.c.TLS)
		if err := t.HandshakeContext(ctx); err != nil {
			return err
		}
		c.client = t
	}
	if !stop() {
		return context.Cause(ctx)
	}
	return c.client.SetDeadline(time.Time{})
}

// admit asks the gate whether a client of this address may come in.
func (c *conn) admit() error {
	if err := c.r.gate.admit(&c.c.Config, c.from.Addr().Unmap()); err != nil {
		return err
	}
	c.admitted = true
	return nil
}

// move copies both ways until both sides have said all.
func (c *conn) move(ctx context.Context) (Termination, error) {
	var over sync.Once
	unstuck := func() {}
	var cause error // as it was when nothing more was to be moved: what mirrors still get changes no ending
	moved := func(forward, backward penstock.Report) {
		over.Do(func() {
			c.serverTold, c.clientTold = forward.Ended, backward.Ended
			if cause = context.Cause(ctx); len(c.mirrors) > 0 {
				unstuck = c.unstick(ctx)
			}
		})
		c.part()
	}
	opts, err := c.options(func() { moved(c.both.Report()) })
	if err != nil {
		return Termination{byInternal, inConnect}, err
	}
	probes := time.AfterFunc(probesAfter, func() {
		c.probe(c.client)
		c.probe(c.server)
	})
	defer probes.Stop()
	c.r.mu.Lock()
	c.both, c.moving = penstock.NewBoth(c.client.(readWriter), c.server.(readWriter), opts...), true
	c.r.mu.Unlock()
	if ctx.Err() != nil { // before there was something to be stopped
		c.both.Stop(context.Cause(ctx))
	}
	forward, backward, err := c.both.Run(context.Background())
	moved(forward, backward)
	unstuck()
	all := err
	if len(failures(err)) == 0 && len(allFailures(err)) > 0 { // of mirrors only
		err = nil
	}
	end := ended(forward, backward, err, cause)
	c.endMirrors(forward, backward, end, all)
	return end, err
}

// readWriter is what a connection is to a copy.
type readWriter interface {
	Read([]byte) (int, error)
	Write([]byte) (int, error)
}

// options are those of the copy. moved is called when that needs the connection no more.
func (c *conn) options(moved func()) ([]penstock.Option, error) {
	var opts []penstock.Option
	if c.c.IdleTimeout > 0 {
		opts = append(opts, penstock.WithIdleTimeout(c.c.IdleTimeout))
	}
	if c.c.MaxBytes > 0 {
		opts = append(opts, penstock.WithMost(c.c.MaxBytes))
	}
	if c.c.Rate > 0 {
		opts = append(opts, penstock.WithRate(c.c.Rate))
	}
	if c.c.NoSplice {
		opts = append(opts, penstock.WithoutSplice())
	}
	if mirrors := c.startMirrors(); mirrors != nil {
		opts = append(append(opts, mirrors...), penstock.WithMoved(moved))
	}
	return opts, nil
}
