package relay

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// gate decides who comes in, and when.
type gate struct {
	mu      sync.Mutex // guards what follows
	sources map[netip.Addr]int
	open    int           // connections that are in
	left    chan struct{} // told when one goes; made for who waits
	have    float64       // of the accept rate: connections that may come in now
	at      time.Time     // when that was so
}

// accept waits until one more may come in, and accepts it. Descriptors that are used up are waited for: the clients
// wait in the listener's backlog.
func (g *gate) accept(l net.Listener, r *Relay) (net.Conn, error) {
	if err := g.await(r); err != nil {
		return nil, err
	}
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		c, err := l.Accept()
		switch {
		case err == nil:
			g.enter()
			return c, nil
		case !scarce(err):
			return nil, err
		}
		r.counters.scarce.Add(1)
		if pause == 5*time.Millisecond {
			r.log.Warn("cannot accept", "error", err)
		}
		select {
		case <-time.After(pause):
		case <-r.draining:
			return nil, net.ErrClosed
		}
	}
}

// scarce tells errors that pass when something is closed.
func scarce(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS) ||
		errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ECONNABORTED)
}

// await waits for the limits of connections and of their rate.
func (g *gate) await(r *Relay) error {
	for {
		c := r.config.Load()
		left, wait := g.mayEnter(&c.Config)
		if left == nil && wait == 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		if wait == 0 {
			timer.Stop()
		}
		select {
		case <-left:
		case <-timer.C:
		case <-r.draining:
			timer.Stop()
			return net.ErrClosed
		}
		timer.Stop()
	}
}

// mayEnter tells what is to be waited for before another one may come in: that one leaves, or for a time.
func (g *gate) mayEnter(c *Config) (left <-chan struct{}, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.MaxConns > 0 && g.open >= c.MaxConns {
		if g.left == nil {
			g.left = make(chan struct{})
		}
		return g.left, 0
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
		return nil, max(time.Duration((1-g.have)/c.AcceptRate*float64(time.Second)), time.Microsecond)
	}
	g.have--
	return nil, 0
}

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
	if g.left != nil {
		close(g.left)
		g.left = nil
	}
}

var (
	errDenied  = errors.New("this address is not let in")
	errTooMany = errors.New("as many connections from this address as there may be")
)

// admit decides about a client by its address. Who has been admitted leaves by dismiss.
func (g *gate) admit(c *Config, from netip.Addr) error {
	if from.IsValid() {
		for _, p := range c.Deny {
			if p.Contains(from) {
				return errDenied
			}
		}
		allowed := len(c.Allow) == 0
		for _, p := range c.Allow {
			allowed = allowed || p.Contains(from)
		}
		if !allowed {
			return errDenied
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.MaxPerSource > 0 && from.IsValid() && g.sources[from] >= c.MaxPerSource {
		return errTooMany
	}
	if g.sources == nil {
		g.sources = make(map[netip.Addr]int)
	}
	g.sources[from]++
	return nil
}

func (g *gate) dismiss(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sources[from]--; g.sources[from] <= 0 {
		delete(g.sources, from)
	}
}
