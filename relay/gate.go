package relay

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/penstock-io/penstock/internal/shortage"
)

// gate decides who comes in, and when.
type gate struct {
	mu      sync.Mutex           // guards what follows
	sources map[netip.Prefix]int // connections that are admitted, by sourceOf
	open    int                  // connections that are in
	turn    chan struct{}        // closed when one goes, or the limits are others; made for who waits
	have    float64              // of the accept rate: connections that may come in now
	at      time.Time            // when that was so
	warned  time.Time            // when it was last said that nothing could be accepted
}

// complains tells whether it is to be said once more that nothing can be accepted.
func (g *gate) complains() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if !g.warned.IsZero() && now.Sub(g.warned) < complaintEvery {
		return false
	}
	g.warned = now
	return true
}

// accept waits until one more may come in, and accepts it. Descriptors that are used up are waited for: the clients
// wait in the listener's backlog.
func (g *gate) accept(ctx context.Context, l net.Listener, r *Relay) (net.Conn, error) {
	if err := g.await(ctx, r, g.mayAccept); err != nil {
		return nil, err
	}
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		c, err := l.Accept()
		switch {
		case err == nil:
			// Another listener may have accepted meanwhile: one connection of each may have to wait here.
			if err := g.await(ctx, r, g.mayEnter); err != nil {
				c.Close()
				return nil, err
			}
			return c, nil
		case !shortage.Is(err):
			return nil, err
		}
		r.counters.scarce.Add(1)
		r.relieve()
		if g.complains() {
			r.log().Warn("cannot accept", "error", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, net.ErrClosed
		case <-r.draining:
			return nil, net.ErrClosed
		}
	}
}

// await waits until may tells of nothing that is to be waited for.
func (g *gate) await(ctx context.Context, r *Relay, may func(*Config) (<-chan struct{}, time.Duration)) error {
	for {
		turn, wait := may(&r.config.Load().Config)
		if turn == nil {
			return nil
		}
		var passed <-chan time.Time
		if wait > 0 {
			passed = time.After(wait)
		}
		select {
		case <-turn:
		case <-passed:
		case <-ctx.Done():
			return net.ErrClosed
		case <-r.draining:
			return net.ErrClosed
		}
	}
}

// mayAccept tells what is to be waited for before one more connection is accepted: its turn, or, if it is sooner, for a
// time; nil if for nothing. The turn may turn out to be no turn, but other limits.
func (g *gate) mayAccept(c *Config) (turn <-chan struct{}, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.MaxConns > 0 && g.open >= c.MaxConns {
		return g.turnLocked(), 0
	}
	if c.AcceptRate <= 0 {
		return nil, 0
	}
	now := time.Now()
	if g.at.IsZero() {
		g.have = 1
	} else {
		g.have = min(g.have+c.AcceptRate*now.Sub(g.at).Seconds(), max(c.AcceptRate/10, 1))
	}
	g.at = now
	if g.have < 1 {
		seconds := min((1-g.have)/c.AcceptRate, 3600) // then it is looked at again
		return g.turnLocked(), max(time.Duration(seconds*float64(time.Second)), time.Microsecond)
	}
	g.have--
	return nil, 0
}

// mayEnter lets a connection in, or tells what it is to wait for.
func (g *gate) mayEnter(c *Config) (turn <-chan struct{}, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.MaxConns > 0 && g.open >= c.MaxConns {
		return g.turnLocked(), 0
	}
	g.open++
	return nil, 0
}

func (g *gate) turnLocked() <-chan struct{} {
	if g.turn == nil {
		g.turn = make(chan struct{})
	}
	return g.turn
}

// lookAgain wakes who waits.
func (g *gate) lookAgain() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lookAgainLocked()
}

func (g *gate) lookAgainLocked() {
	if g.turn != nil {
		close(g.turn)
		g.turn = nil
	}
}

// enter is for a connection that nobody asks whether it may.
func (g *gate) enter() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open++
}

// leave is for a connection that is over.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open--
	g.lookAgainLocked()
}

var (
	errDenied  = errors.New("this address is not let in")
	errTooMany = errors.New("as many connections from this address as there may be")
)

// admit decides about a client by its address. Who has been admitted leaves by dismiss.
func (g *gate) admit(c *Config, from netip.Addr) error {
	if from.IsValid() {
		bare := from.WithZone("") // no prefix has one
		within := func(p netip.Prefix) bool { return p.Contains(bare) }
		if slices.ContainsFunc(c.Deny, within) {
			return errDenied
		}
		allowed := len(c.Allow) == 0 || slices.ContainsFunc(c.Allow, within)
		if !allowed {
			return errDenied
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	source := sourceOf(from)
	if c.MaxPerSource > 0 && from.IsValid() && g.sources[source] >= c.MaxPerSource {
		return errTooMany
	}
	if g.sources == nil {
		g.sources = make(map[netip.Prefix]int)
	}
	g.sources[source]++
	return nil
}

// sourceOf is what counts as one source: of IPv4 an address. Of IPv6 it is a /64, all of whose addresses a single host
// may have for its own, one after the other (RFC 8981); but for link-local ones: different hosts share the one /64 that
// there is of them. The zero one is that of a client without an address.
func sourceOf(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() && !a.IsLinkLocalUnicast() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

func (g *gate) dismiss(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	source := sourceOf(from)
	if g.sources[source]--; g.sources[source] <= 0 {
		delete(g.sources, source)
	}
}
