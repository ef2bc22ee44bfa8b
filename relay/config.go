package relay

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"
)

// Config says what a [Relay] does. The zero value of everything but Targets is a plain relay without limits.
type Config struct {
	Name    string   // for logs and metrics
	Targets []Target // at least one
	Balance Balance  // which of them a connection gets
	Check   Check    // how it is found out which of them are up

	ConnectTimeout time.Duration // for each target that is tried; 0 is DefaultConnectTimeout
	KeepAlive      time.Duration // between probes of a quiet peer, of both sides; 0 is DefaultKeepAlive, negative is none

	TLS          *tls.Config    // to be spoken with clients; nil is none
	ProxyIn      bool           // clients begin with a PROXY header, of version 1 or 2, that says who they are; without one they are refused
	ProxyFrom    []netip.Prefix // with ProxyIn, whose header is believed: others are refused; empty is anybody's, a danger
	ProxyOut     int            // the version of the PROXY header that targets get, before TLS: 1 or 2; 0 is none
	HelloTimeout time.Duration  // for a client's PROXY header and TLS handshake; 0 is DefaultHelloTimeout

	IdleTimeout time.Duration // ends a connection in which nothing has moved for so long; 0 is never
	Timeout     time.Duration // ends a connection after so long; 0 is never
	MaxBytes    int64         // from either side; more end the connection; 0 is no limit
	Rate        int64         // bytes per second in either direction of a connection; 0 is no limit

	MaxConns     int            // at a time; beyond it clients wait to be accepted; 0 is no limit
	MaxPerSource int            // at a time from one IPv4 address, or IPv6 /64; beyond it they are refused; 0 is no limit
	AcceptRate   float64        // connections accepted per second; 0 is no limit
	Allow, Deny  []netip.Prefix // of client addresses: Deny refuses; if there is an Allow, all others are refused, but for those of a Unix socket, who have none

	Mirrors []Mirror

	NoSplice bool         // moves bytes through this process's memory only
	Log      *slog.Logger // what happens to targets and mirrors; nil is slog.Default
	Access   func(Record) // called with each connection that is over, from its goroutine; nil is nobody
}

// Defaults of a Config.
const (
	DefaultKeepAlive      = 15 * time.Second
	DefaultConnectTimeout = 5 * time.Second
	DefaultHelloTimeout   = 10 * time.Second
)

// Target is a server that connections are forwarded to.
type Target struct {
	Network string      // tcp or unix; empty is tcp
	Address string      // as package net takes it
	TLS     *tls.Config // to be spoken with it; nil is none
}

// String returns the address.
func (t Target) String() string { return t.Address }

// Balance says which target a connection gets.
type Balance uint8

// The ways to balance.
const (
	RoundRobin       Balance = iota // one after another
	LeastConnections                // the one that has fewest; among equals one after another
)

// Check says how it is found out whether a target is up. One to which a connection fails is down in any case, until a
// check, or a later connection when no other is up, succeeds.
type Check struct {
	Every   time.Duration // 0 is no checks but for targets that are down: those are tried again, at first after Backoff
	Timeout time.Duration // of a check: a connection, with TLS if the target has it, that is made and closed; 0 is DefaultConnectTimeout
	Backoff time.Duration // after which a target that is down is tried again, doubled each time up to a minute; 0 is a second
}

// check tells what of a Config makes no sense.
func (c *Config) check() error {
	switch {
	case len(c.Targets) == 0:
		return errors.New("no targets")
	case c.ProxyOut < 0 || c.ProxyOut > 2:
		return fmt.Errorf("PROXY version %d: want 1 or 2, or 0 for none", c.ProxyOut)
	case len(c.ProxyFrom) > 0 && !c.ProxyIn:
		return errors.New("PROXY headers are believed from some, and not wanted from anybody")
	case c.MaxConns < 0 || c.MaxPerSource < 0 || c.AcceptRate < 0 || c.MaxBytes < 0 || c.Rate < 0:
		return errors.New("a limit is less than nothing")
	case c.IdleTimeout < 0 || c.Timeout < 0 || c.ConnectTimeout < 0 || c.HelloTimeout < 0:
		return errors.New("a timeout is less than nothing")
	}
	for _, t := range c.Targets {
		if t.Network != "" && t.Network != "tcp" && t.Network != "unix" || t.Address == "" {
			return fmt.Errorf("target %q of network %q: want tcp or unix, and an address", t.Address, t.Network)
		}
		if t.Network == "unix" && t.TLS != nil && t.TLS.ServerName == "" && !t.TLS.InsecureSkipVerify {
			return fmt.Errorf("target %q: TLS on a Unix socket wants the name that is to be in the certificate", t.Address)
		}
	}
	for _, p := range slices.Concat(c.Allow, c.Deny, c.ProxyFrom) {
		if !p.IsValid() || p.Addr().Is4In6() {
			return fmt.Errorf("client addresses %v: want a prefix such as 10.0.0.0/8 or fd00::/8", p)
		}
	}
	for i := range c.Mirrors {
		if err := c.Mirrors[i].check(); err != nil {
			return fmt.Errorf("mirror %d: %w", i+1, err)
		}
	}
	return nil
}
