package relay_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/penstock-io/penstock/relay"
)

// held is a server that holds each connection until the test lets it go, and tells of each.
func held(t *testing.T) (addr string, came <-chan struct{}) {
	t.Helper()
	c := make(chan struct{}, 100)
	return server(t, func(s *net.TCPConn) {
		c <- struct{}{}
		_, _ = io.Copy(io.Discard, s)
	}), c
}

func await[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: it does not come", what)
		panic("not reached")
	}
}

// quietly asserts that nothing comes as long as a thing that would be wrong had time to.
func quietly[T any](t *testing.T, c <-chan T, what string) {
	t.Helper()
	select {
	case <-c:
		t.Errorf("%s", what)
	case <-time.After(20 * time.Millisecond):
	}
}

// TestNoMoreAreLetInThanThereMayBe by several listeners together, with connections that were accepted elsewhere, until
// one has left.
func TestNoMoreAreLetInThanThereMayBe(t *testing.T) {
	addr, came := held(t)
	r := run(t, relay.Config{Targets: []relay.Target{{Address: addr}}, MaxConns: 2})
	second := listen(t)
	go func() { _ = r.Serve(t.Context(), second) }()

	ours, theirs := net.Pipe() // no socket: the relay copies it all the same
	given := make(chan struct{})
	go func() { r.Forward(halfClosing{theirs}); close(given) }()
	await(t, came, "the connection that was given")
	first := dial(t, r.addr)
	await(t, came, "the second connection")
	dial(t, r.addr)
	dial(t, second.Addr().String())
	quietly(t, came, "a third was let in")

	ours.Close()
	await(t, given, "the end of the connection that was given")
	await(t, came, "the one that may come in for it")
	quietly(t, came, "two came in for one")
	first.Close()
	await(t, came, "the last one")
}

// halfClosing is a pipe's end, which has no half-close: it is closed wholly.
type halfClosing struct{ net.Conn }

func (h halfClosing) CloseWrite() error { return h.Close() }

// TestNewLimitsHoldForThoseWhoWait for the old ones.
func TestNewLimitsHoldForThoseWhoWait(t *testing.T) {
	addr, came := held(t)
	to := []relay.Target{{Address: addr}}
	for name, tight := range map[string]relay.Config{
		"connections": {Targets: to, MaxConns: 1},
		"rate":        {Targets: to, AcceptRate: 1e-6},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, tight)
			for range 4 { // the rate's first one, and another that is waited for already
				dial(t, r.addr)
			}
			await(t, came, "the first")
			wide := relay.Config{Targets: to}
			if err := r.Update(wide); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				await(t, came, "one that waited")
			}
		})
	}
}

// TestServingEndsWithItsContext though it is waiting for a place, and the places are what they were for other listeners.
func TestServingEndsWithItsContext(t *testing.T) {
	addr, came := held(t)
	r := run(t, relay.Config{Targets: []relay.Target{{Address: addr}}, MaxConns: 1})
	l := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- r.Serve(ctx, l) }()
	first := dial(t, l.Addr().String())
	await(t, came, "the first")
	dial(t, l.Addr().String())
	cancel()
	if err := await(t, over, "the end of serving"); err != nil {
		t.Error(err)
	}
	again, err := net.Listen("tcp", l.Addr().String())
	if err != nil {
		t.Errorf("the address is not free: %v", err)
	} else {
		again.Close()
	}
	first.Close()
	dial(t, r.addr)
	await(t, came, "one by the other listener")
}

// TestWhoIsRefusedIsToldSo by a closed connection, and what it was is recorded.
func TestWhoIsRefusedIsToldSo(t *testing.T) {
	to := []relay.Target{{Address: echo(t)}}
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	other := netip.MustParsePrefix("10.0.0.0/8")
	for name, test := range map[string]struct {
		config relay.Config
		header string
		end    string
	}{
		"denied":               {relay.Config{Deny: []netip.Prefix{other, loopback}}, "", "PR"},
		"not allowed":          {relay.Config{Allow: []netip.Prefix{other}}, "", "PR"},
		"allowed":              {relay.Config{Allow: []netip.Prefix{other, loopback}}, "", "--"},
		"denied though":        {relay.Config{Allow: []netip.Prefix{loopback}, Deny: []netip.Prefix{loopback}}, "", "PR"},
		"denied by header":     {relay.Config{ProxyIn: true, Deny: []netip.Prefix{other}}, "PROXY TCP4 10.1.2.3 10.0.0.1 1 2\r\n", "PR"},
		"denied as mapped":     {relay.Config{ProxyIn: true, Deny: []netip.Prefix{other}}, "PROXY TCP6 ::ffff:10.1.2.3 ::1 1 2\r\n", "PR"},
		"allowed by header":    {relay.Config{ProxyIn: true, Allow: []netip.Prefix{other}}, "PROXY TCP4 10.1.2.3 10.0.0.1 1 2\r\n", "--"},
		"of an unknown client": {relay.Config{ProxyIn: true, Allow: []netip.Prefix{other}}, "PROXY UNKNOWN\r\n", "PR"},
		"of a known proxy":     {relay.Config{ProxyIn: true, ProxyFrom: []netip.Prefix{other, loopback}}, "PROXY TCP4 10.1.2.3 10.0.0.1 1 2\r\n", "--"},
		"of somebody else":     {relay.Config{ProxyIn: true, ProxyFrom: []netip.Prefix{other}}, "PROXY TCP4 10.1.2.3 10.0.0.1 1 2\r\n", "PR"},
		"no header":            {relay.Config{ProxyIn: true}, "GET / HTTP/1.0\r\n\r\n", "CR"},
		"a header cut short":   {relay.Config{ProxyIn: true}, "PROXY TCP4 10.1", "CR"},
		"no header in time":    {relay.Config{ProxyIn: true, HelloTimeout: time.Millisecond}, "", "cR"},
	} {
		t.Run(name, func(t *testing.T) {
			test.config.Targets = to
			r := run(t, test.config)
			switch {
			case test.end == "--" || test.header == "PROXY TCP4 10.1": // and no more
				c := dial(t, r.addr)
				say(t, c, []byte(test.header))
				_, _ = io.Copy(io.Discard, c)
			default:
				turnedAway(t, r.addr, test.header)
			}
			if rec := r.ended(t); rec.End != test.end {
				t.Errorf("ended %s, want %s: %+v", rec.End, test.end, rec)
			}
		})
	}
}

// TestASourceHasSoManyAtATime and may come again when one has left.
func TestASourceHasSoManyAtATime(t *testing.T) {
	addr, came := held(t)
	r := run(t, relay.Config{Targets: []relay.Target{{Address: addr}}, MaxPerSource: 2})
	first := dial(t, r.addr)
	dial(t, r.addr)
	await(t, came, "the first")
	await(t, came, "the second")
	for range 2 {
		turnedAway(t, r.addr, "")
		if rec := r.ended(t); rec.End != "PR" {
			t.Errorf("the third: %+v", rec)
		}
	}
	if s := r.Stats(); s.Refused != 2 || s.Open != 2 {
		t.Errorf("%+v", s)
	}
	first.Close()
	r.ended(t)
	dial(t, r.addr)
	await(t, came, "one in its place")
}

// TestASourceOfIPv6IsItsSubnet since a host may have all of its addresses; but of link-local ones each is another's.
func TestASourceOfIPv6IsItsSubnet(t *testing.T) {
	addr, came := held(t)
	r := run(t, relay.Config{Targets: []relay.Target{{Address: addr}}, MaxPerSource: 1, ProxyIn: true})
	from := func(family, client, to string) *net.TCPConn {
		c := dial(t, r.addr)
		fmt.Fprintf(c, "PROXY %s %s %s 1 2\r\n", family, client, to)
		return c
	}
	first := from("TCP6", "2001:db8::1", "2001:db8::")
	await(t, came, "the first of a subnet")
	turnedAway(t, r.addr, "PROXY TCP6 2001:db8::ffff:ffff:ffff:ffff 2001:db8:: 1 2\r\n")
	if rec := r.ended(t); rec.End != "PR" {
		t.Errorf("the second: %+v", rec)
	}
	for _, other := range []string{"2001:db8:0:1::1", "fe80::1", "fe80::2", "::1", "::ffff:10.0.0.1", "::ffff:10.0.0.2"} {
		from("TCP6", other, "2001:db8::")
		await(t, came, other)
	}
	turnedAway(t, r.addr, "PROXY TCP4 10.0.0.2 10.0.0.1 1 2\r\n")
	if rec := r.ended(t); rec.End != "PR" {
		t.Errorf("an IPv4 address after the same as IPv6: %+v", rec)
	}
	first.Close()
	r.ended(t)
	from("TCP6", "2001:db8::2", "2001:db8::")
	await(t, came, "one in its place")
}

// TestWhoseHeadersAreBelievedMeansNothingWithoutHeaders and so it is refused: somebody thinks that there are some.
func TestWhoseHeadersAreBelievedMeansNothingWithoutHeaders(t *testing.T) {
	c := relay.Config{Targets: []relay.Target{{Address: "x:1"}}, ProxyFrom: []netip.Prefix{netip.MustParsePrefix("::1/128")}}
	if _, err := relay.New(c); err == nil {
		t.Error("it is accepted")
	}
}

// TestPrefixesThatMatchNothingAreRefused rather than let everybody in.
func TestPrefixesThatMatchNothingAreRefused(t *testing.T) {
	for _, p := range []netip.Prefix{{}, netip.MustParsePrefix("::ffff:10.0.0.0/104")} {
		c := relay.Config{Targets: []relay.Target{{Address: "x:1"}}, Deny: []netip.Prefix{p}}
		if _, err := relay.New(c); err == nil {
			t.Errorf("%v is accepted", p)
		}
	}
}
