package relays

import (
	"cmp"
	"errors"
	"net/netip"
	"time"
	"unicode/utf8"

	"github.com/penstock-io/penstock/internal/mirror"
	"github.com/penstock-io/penstock/relay"
)

// Setting is one thing that can be said of a relay: a flag, and a key of the file.
type Setting struct {
	Name  string // the flag's, without its dashes
	Key   string // the file's, if that is another: of what there may be several
	Kind  string // what is to be written, in capitals; empty is a switch
	Usage string
	Words []string // what it can be, if that is few words
	List  bool     // there may be several

	set  func(b *build, text string) error
	safe func(text string) string // what of a text may be shown; nil is that all may
}

// key is what the setting is called in a file.
func (s *Setting) key() string {
	if s.Key != "" {
		return s.Key
	}
	return s.Name
}

// build is a Relay in the making.
type build struct {
	Relay
	ratio float64 // of the mirrors that do not say their own
}

// The settings that have arguments of the command line instead of flags.
const (
	keyListen  = "listen"
	keyTargets = "targets"
)

// Settings that are of no use without each other.
const (
	keyMirrors     = "mirrors"
	keyMirrorRatio = "mirror-ratio"
)

// arguments are those settings.
var arguments = []Setting{
	{Name: keyListen, set: func(b *build, text string) (err error) {
		b.Listen, b.Config.TLS, err = parseListen(text)
		return err
	}},
	{Name: keyTargets, List: true, set: func(b *build, text string) error {
		t, err := parseTarget(text)
		if err != nil {
			return err
		}
		for _, other := range b.Config.Targets {
			if other.Address == t.Address { // by which it is told of, whatever its network is
				return errors.New("is there already")
			}
		}
		b.Config.Targets = append(b.Config.Targets, t)
		return nil
	}},
}

// Settings are all that have flags, in the order in which people are told of them.
var Settings = []Setting{
	{
		Name: "name", Kind: "NAME", Usage: "what it is called in logs and metrics; its address if not given",
		set: func(b *build, text string) error {
			b.Config.Name = text
			return checkName(text)
		},
	},
	{
		Name: "mirror", Key: keyMirrors, Kind: "ADDRESS", List: true,
		Usage: "what gets a copy of what goes through (repeatable)",
		safe:  mirror.Safe,
		set: func(b *build, text string) error {
			if !utf8.ValidString(text) {
				return errNoUTF8
			}
			m, err := mirror.Parse(text)
			if err != nil {
				return cmp.Or(errors.Unwrap(err), err) // it begins with the text
			}
			b.Config.Mirrors = append(b.Config.Mirrors, m)
			return nil
		},
	},
	{
		Name: keyMirrorRatio, Kind: "PART",
		Usage: "of the connections that are mirrored, such as 0.1; of mirrors that do not say ?ratio",
		set: func(b *build, text string) (err error) {
			b.ratio, err = parseRatio(text)
			return err
		},
	},
	{
		Name: "balance", Kind: "WORD", Usage: "which target a connection gets: `round-robin`, or least-connections",
		Words: []string{"round-robin", "least-connections"},
		set: func(b *build, text string) (err error) {
			b.Config.Balance, err = oneOf(text, map[string]relay.Balance{
				"round-robin": relay.RoundRobin, "least-connections": relay.LeastConnections,
			}, "round-robin or least-connections")
			return err
		},
	},
	period("connect-timeout", "for each target that is tried (default 5s)", parseTimeout,
		func(c *relay.Config) *time.Duration { return &c.ConnectTimeout }),
	period("check-every", "how often to see whether targets are up; 0 is only those that were down", parseDuration,
		func(c *relay.Config) *time.Duration { return &c.Check.Every }),
	period("check-timeout", "of that (default 5s)", parseTimeout,
		func(c *relay.Config) *time.Duration { return &c.Check.Timeout }),
	period("check-backoff", "until a target that is down is tried again, doubled each time (default 1s)", parseTimeout,
		func(c *relay.Config) *time.Duration { return &c.Check.Backoff }),
	{
		Name: "keepalive", Kind: "DURATION", Usage: "between probes of a quiet client or target; 0 is none (default 15s)",
		set: func(b *build, text string) (err error) {
			if b.Config.KeepAlive, err = parseDuration(text); err == nil && b.Config.KeepAlive == 0 {
				b.Config.KeepAlive = -1
			}
			return err
		},
	},
	toggle("proxy-in", "clients begin with a PROXY header, v1 or v2, and who does not is refused.\n"+
		"Dangerous without --proxy-from: anybody may say to be anyone",
		func(c *relay.Config) *bool { return &c.ProxyIn }),
	prefixes("proxy-from", "with --proxy-in, proxies whose header is believed: all others are refused (repeatable)",
		func(c *relay.Config) *[]netip.Prefix { return &c.ProxyFrom }),
	{
		Name: "proxy-out", Kind: "VERSION", Usage: "send a PROXY header to targets: `v1` or v2",
		Words: []string{"v1", "v2", "none"},
		set: func(b *build, text string) (err error) {
			b.Config.ProxyOut, err = oneOf(text, map[string]int{"v1": 1, "1": 1, "v2": 2, "2": 2, "none": 0}, "v1, v2 or none")
			return err
		},
	},
	period("hello-timeout", "for a client's PROXY header and TLS handshake (default 10s)", parseTimeout,
		func(c *relay.Config) *time.Duration { return &c.HelloTimeout }),
	period("idle-timeout", "end a connection in which nothing has moved for so long; 0 is never", parseDuration,
		func(c *relay.Config) *time.Duration { return &c.IdleTimeout }),
	period("timeout", "end a connection after so long; 0 is never", parseDuration,
		func(c *relay.Config) *time.Duration { return &c.Timeout }),
	amount("max-bytes", "end a connection after `SIZE` in either direction; 0 is never",
		func(c *relay.Config) *int64 { return &c.MaxBytes }),
	amount("rate-limit", "hold each direction of a connection to `SIZE` per second; 0 is no limit",
		func(c *relay.Config) *int64 { return &c.Rate }),
	number("max-connections", "at a time; beyond it clients wait; 0 is no limit",
		func(c *relay.Config) *int { return &c.MaxConns }),
	number("max-per-source", "connections of one client at a time, which is an IPv4 address\n"+
		"or an IPv6 /64; beyond it they are refused; 0 is no limit",
		func(c *relay.Config) *int { return &c.MaxPerSource }),
	{
		Name: "accept-rate", Kind: "N", Usage: "connections accepted per second; beyond it clients wait; 0 is no limit",
		set: func(b *build, text string) (err error) {
			b.Config.AcceptRate, err = parsePerSecond(text)
			return err
		},
	},
	prefixes("allow", "clients that are let in, and no others but those of Unix sockets (repeatable)",
		func(c *relay.Config) *[]netip.Prefix { return &c.Allow }),
	prefixes("deny", "clients that are not let in (repeatable)",
		func(c *relay.Config) *[]netip.Prefix { return &c.Deny }),
	toggle("no-splice", "move bytes through this process's memory only",
		func(c *relay.Config) *bool { return &c.NoSplice }),
}

func period(
	name, usage string, parse func(string) (time.Duration, error), of func(*relay.Config) *time.Duration,
) Setting {
	return Setting{Name: name, Kind: "DURATION", Usage: usage, set: func(b *build, text string) (err error) {
		*of(&b.Config), err = parse(text)
		return err
	}}
}

func amount(name, usage string, of func(*relay.Config) *int64) Setting {
	return Setting{Name: name, Kind: "SIZE", Usage: usage, set: func(b *build, text string) (err error) {
		*of(&b.Config), err = parseRate(text)
		return err
	}}
}

func number(name, usage string, of func(*relay.Config) *int) Setting {
	return Setting{Name: name, Kind: "N", Usage: usage, set: func(b *build, text string) (err error) {
		*of(&b.Config), err = parseCount(text)
		return err
	}}
}

func prefixes(name, usage string, of func(*relay.Config) *[]netip.Prefix) Setting {
	return Setting{Name: name, Kind: "CIDR", List: true, Usage: usage, set: func(b *build, text string) error {
		p, err := parsePrefixes(text)
		*of(&b.Config) = append(*of(&b.Config), p...)
		return err
	}}
}

func toggle(name, usage string, of func(*relay.Config) *bool) Setting {
	return Setting{Name: name, Usage: usage, set: func(b *build, text string) (err error) {
		*of(&b.Config), err = parseSwitch(text)
		return err
	}}
}

// all are the settings of a relay, those that are arguments first.
func all() []Setting { return append(arguments[:len(arguments):len(arguments)], Settings...) }
