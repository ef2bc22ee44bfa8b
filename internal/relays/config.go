package relays

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/penstock-io/penstock/address"
	"github.com/penstock-io/penstock/relay"
)

// Config is what is to be said of a process's relays.
type Config struct {
	Relays []Relay
	HTTP   string        // where /metrics, the API and the page are; empty is nowhere
	Access Access        // who is told of connections that are over
	Drain  time.Duration // that a shutdown waits for connections to end by themselves; 0 is not at all
}

// Access says where the access log goes.
type Access struct {
	File string // "-" is the standard output; empty is nowhere
	JSON bool
}

// DefaultDrain is the Drain where nothing is said.
const DefaultDrain = 30 * time.Second

// Relay is what is said of one relay.
type Relay struct {
	Listen address.Address
	Config relay.Config // whose Log and Access are the Set's

	at Value // its listen, for what is wrong with the whole
}

// place is where a relay listens: what a listener is known by when the rest of what is said of it changes.
func (r *Relay) place() string { return cmp.Or(r.Listen.HostPort, r.Listen.Path) }

// FromFlags makes the Relay of a command line: of its two kinds of arguments, and of what was said by flags, by their
// names. Its error is of everything that is wrong.
func FromFlags(listen string, targets []string, flags map[string][]string) (Relay, error) {
	values := map[string][]Value{keyListen: {{name: "LISTEN", text: listen}}}
	for _, t := range targets {
		values[keyTargets] = append(values[keyTargets], Value{name: "TARGET", text: t})
	}
	for i := range Settings {
		s := &Settings[i]
		for _, text := range flags[s.Name] {
			values[s.key()] = append(values[s.key()], Value{name: "--" + s.Name, text: text})
		}
	}
	r, errs := newRelay(values, position{})
	return r, joined(errs)
}

// newRelay makes a Relay of values, by key. It returns everything that is wrong.
func newRelay(values map[string][]Value, at position) (Relay, []*Error) {
	var b build
	errs := b.take(values)
	for _, key := range []string{keyListen, keyTargets} {
		if _, said := values[key]; !said {
			errs = append(errs, &Error{at, key + ": is needed"})
		}
	}
	if v := values[keyListen]; len(v) > 0 {
		b.at = v[0]
	}
	if v := values[keyMirrorRatio]; b.ratio > 0 && !v[0].general && len(values[keyMirrors]) == 0 {
		errs = append(errs, v[0].wrong(errors.New("there is no mirror")))
	}
	b.Config.Name = cmp.Or(b.Config.Name, b.place())
	if len(errs) > 0 {
		return b.Relay, errs
	}
	for i := range b.Config.Mirrors {
		if m := &b.Config.Mirrors[i]; m.Ratio == 0 {
			m.Ratio = b.ratio
		}
	}
	if err := b.Relay.check(); err != nil {
		errs = append(errs, b.at.wrong(err))
	}
	return b.Relay, errs
}

// take sets what values say, and returns what of them cannot be.
func (b *build) take(values map[string][]Value) (errs []*Error) {
	for _, s := range all() {
		for _, v := range values[s.key()] {
			if err := s.set(b, v.text); err != nil {
				if s.safe != nil {
					v.text = s.safe(v.text)
				}
				errs = append(errs, v.wrong(err))
			}
		}
	}
	return errs
}

// joined is nil where there are none.
func joined(errs []*Error) error {
	var all []error
	for _, err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// check has the relay itself say what makes no sense.
func (r *Relay) check() error {
	c := r.Config
	c.Check.Every = 0 // nobody is to be connected to
	one, err := relay.New(c)
	if err != nil {
		return err
	}
	return one.Close()
}

// checkTogether tells what relays cannot be beside each other.
func checkTogether(all []Relay) (errs []*Error) {
	places, names := make(map[string]bool), make(map[string]bool)
	for i := range all {
		r := &all[i]
		if r.place() == "" {
			continue // it is wrong itself
		}
		if places[r.place()] && !anyPort(r.place()) {
			errs = append(errs, r.at.wrong(errors.New("another relay listens there")))
		} else if names[r.Config.Name] {
			errs = append(errs, r.at.wrong(fmt.Errorf("another relay is called %s", r.Config.Name)))
		}
		places[r.place()], names[r.Config.Name] = true, true
	}
	return errs
}

// anyPort tells addresses at which the system chooses a port.
func anyPort(place string) bool {
	_, port, err := net.SplitHostPort(place)
	return err == nil && port == "0"
}

// parseAddress refuses what metrics and JSON, which tell of everything by its address, could not tell.
func parseAddress(text string) (address.Address, error) {
	if !utf8.ValidString(text) {
		return address.Address{}, errNoUTF8
	}
	return address.Parse(text)
}

var errNoUTF8 = errors.New("want UTF-8")

// parseListen reads where a relay listens, and what TLS it is to speak there, nil for none.
func parseListen(text string) (address.Address, *tls.Config, error) {
	a, err := parseAddress(text)
	if err != nil {
		return a, nil, err
	}
	if !a.Listens() {
		return a, nil, &address.Error{
			Address: text, Part: "scheme " + strconv.Quote(string(a.Scheme)),
			Err: errors.New("want tcp-listen, unix-listen or tls-listen"),
		}
	}
	if err := a.Check(address.Both); err != nil {
		return a, nil, err
	}
	o := &a.Options
	kept := address.Options{
		Cert: o.Cert, Key: o.Key, CA: o.CA, ALPN: o.ALPN,
		Mode: o.Mode, ReusePort: o.ReusePort, SendBuf: o.SendBuf, RecvBuf: o.RecvBuf,
	}
	if err := noMoreThan(a, kept, "alpn, ca, cert, key, mode, rcvbuf, reuseport, sndbuf"); err != nil {
		return a, nil, err
	}
	var secure *tls.Config
	if a.Scheme == address.TLSListen {
		secure, err = a.TLSConfig()
	}
	return a, secure, err
}

// parseTarget reads whom connections are forwarded to.
func parseTarget(text string) (relay.Target, error) {
	a, err := parseAddress(text)
	if err != nil {
		return relay.Target{}, err
	}
	t := relay.Target{Network: "tcp", Address: a.HostPort}
	switch a.Scheme {
	case address.TCP, address.TLS:
	case address.Unix:
		t.Network, t.Address = "unix", a.Path
	default:
		return t, &address.Error{
			Address: text, Part: "scheme " + strconv.Quote(string(a.Scheme)), Err: errors.New("want tcp, unix or tls"),
		}
	}
	if err := a.Check(address.Both); err != nil {
		return t, err
	}
	o := &a.Options
	kept := address.Options{
		Cert: o.Cert, Key: o.Key, CA: o.CA, Insecure: o.Insecure, ServerName: o.ServerName, ALPN: o.ALPN,
	}
	if err := noMoreThan(a, kept, "alpn, ca, cert, insecure, key, servername"); err != nil {
		return t, err
	}
	if a.Scheme == address.TLS {
		t.TLS, err = a.TLSConfig()
	}
	return t, err
}

// noMoreThan refuses options that would not be heeded: what they are about are settings of the relay.
func noMoreThan(a address.Address, kept address.Options, names string) error {
	less := a
	less.Options = kept
	if less.String() == a.String() {
		return nil
	}
	return &address.Error{
		Address: a.Redacted(), Part: "options",
		Err: fmt.Errorf("want no others than %s: the rest is said of the relay", names),
	}
}

// checkName refuses names that would be awkward in logs, metrics and the names of files.
func checkName(name string) error {
	bad := func(r rune) bool { return r == '/' || r == '\\' || unicode.IsSpace(r) || !unicode.IsPrint(r) }
	if name == "" || len(name) > 100 || !utf8.ValidString(name) || strings.ContainsFunc(name, bad) {
		return errors.New("want a name without spaces and slashes")
	}
	return nil
}

// listen opens the relay's listener.
func (r *Relay) listen(ctx context.Context) (net.Listener, error) {
	bare := r.Listen
	bare.Options.KeepAlive = -1 // the relay sees to that
	l, err := bare.NetListener(ctx)
	if wrong := (*address.Error)(nil); errors.As(err, &wrong) {
		wrong.Address = r.Listen.String()
	}
	return l, err
}

// socket is what is set once, when a listener is opened.
type socket struct {
	mode             uint32
	reusePort        bool
	sendBuf, recvBuf int64
}

func socketOf(a address.Address) socket {
	o := &a.Options
	return socket{o.Mode, o.ReusePort, o.SendBuf, o.RecvBuf}
}
