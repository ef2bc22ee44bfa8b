package relay_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-io/penstock/relay"
)

// named is a server that says its name, and then nothing until the client has said all.
func named(t *testing.T, name string) relay.Target {
	return relay.Target{Address: server(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, name)
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})}
}

// TestATargetThatRefusesIsPassedOver and when all do, that is said.
func TestATargetThatRefusesIsPassedOver(t *testing.T) {
	bothWays(t, func(t *testing.T, c relay.Config) {
		bad := refusing(t)
		c.Targets = []relay.Target{{Address: bad}, named(t, "good"), {Address: bad}}
		r := run(t, c)
		for range 5 {
			client := dial(t, r.addr)
			_ = client.CloseWrite()
			if got := hear(t, client); string(got) != "good" {
				t.Errorf("%q", got)
			}
			if rec := r.ended(t); rec.End != "--" || rec.Target != c.Targets[1].Address {
				t.Errorf("%+v", rec)
			}
		}
		c.Targets = []relay.Target{{Address: bad}, {Network: "unix", Address: filepath.Join(t.TempDir(), "none")}}
		r = run(t, c)
		for range 2 { // though it is known that they are down
			turnedAway(t, r.addr, "")
			if rec := r.ended(t); rec.End != "SC" || rec.Target != "" || strings.Count(rec.Error, "\n") != 1 {
				t.Errorf("%+v", rec)
			}
		}
		if s := r.Stats(); s.Retried != 2 || s.Targets[0].Failed < 2 || s.Targets[0].Up || s.Targets[1].Open != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestEndingsBeforeThereIsATarget are said by two letters.
func TestEndingsBeforeThereIsATarget(t *testing.T) {
	proven, _ := certified(t)
	deaf, _ := held(t) // accepts, and never shakes hands
	shaking := []relay.Target{{Address: deaf, TLS: &tls.Config{InsecureSkipVerify: true}}}
	for name, test := range map[string]struct {
		config relay.Config
		act    func(*running, uint64)
		end    string
	}{
		"the target is slow":    {relay.Config{Targets: shaking, ConnectTimeout: 10 * time.Millisecond}, nil, "sC"},
		"the client is slow":    {relay.Config{TLS: proven, HelloTimeout: 10 * time.Millisecond}, nil, "cR"},
		"too long to connect":   {relay.Config{Targets: shaking, Timeout: 10 * time.Millisecond}, nil, "PC"},
		"killed in connecting":  {relay.Config{Targets: shaking}, func(r *running, id uint64) { r.Kill(id) }, "KC"},
		"too long in hello":     {relay.Config{ProxyIn: true, Timeout: 10 * time.Millisecond}, nil, "PR"},
		"killed in hello":       {relay.Config{TLS: proven}, func(r *running, id uint64) { r.Kill(id) }, "KR"},
		"killed in the header":  {relay.Config{ProxyIn: true}, func(r *running, id uint64) { r.Kill(id) }, "KR"},
		"drained in connecting": {relay.Config{Targets: shaking}, func(r *running, _ uint64) { r.Close() }, "DC"},
		"drained in hello":      {relay.Config{TLS: proven}, func(r *running, _ uint64) { r.Close() }, "DR"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.config.Targets == nil {
				test.config.Targets = []relay.Target{{Address: refusing(t)}}
			}
			r := run(t, test.config)
			came := make(chan struct{})
			go func() {
				defer close(came)
				if client, err := net.Dial("tcp", r.addr); err == nil { // it may be over already
					_, _ = io.Copy(io.Discard, client)
					client.Close()
				}
			}()
			if test.act != nil {
				for len(r.Connections()) == 0 { // races with hello's and connecting's: either phase is to end
					time.Sleep(time.Millisecond)
				}
				test.act(r, r.Connections()[0].ID)
			}
			await(t, came, "the client's end")
			if rec := r.ended(t); rec.End != test.end {
				t.Errorf("%+v, want %s", rec, test.end)
			}
			if s := r.Stats(); s.Targets[0].Open != 0 || s.Open != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// flapping is a target whose listener comes and goes.
type flapping struct {
	t    *testing.T
	addr string
	l    net.Listener
	over sync.WaitGroup
}

func (f *flapping) up() {
	l, err := net.Listen("tcp", cmp.Or(f.addr, "127.0.0.1:0"))
	if err != nil {
		f.t.Fatal(err)
	}
	f.l, f.addr = l, l.Addr().String()
	f.over.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.over.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
}

func (f *flapping) down() { f.l.Close() }

// TestATargetThatComesAndGoes costs nobody a connection: not who is there, nor who comes while there is another. It is
// said to be down and up, and has its share when it is back.
func TestATargetThatComesAndGoes(t *testing.T) {
	f := &flapping{t: t}
	f.up()
	defer func() { f.down(); f.over.Wait() }()
	check := relay.Check{Every: time.Millisecond, Backoff: time.Millisecond}
	r := run(t, relay.Config{Targets: []relay.Target{{Address: f.addr}, {Address: echo(t)}}, Check: check})
	is := func(up bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); r.Stats().Targets[0].Up != up; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("it is never said that the target is up: %v", up)
			}
		}
	}
	used := func() (first int) {
		for range 4 {
			client := dial(t, r.addr)
			data := noise(10_000)
			go say(t, client, data)
			if got := hear(t, client); !bytes.Equal(got, data) {
				t.Errorf("%d bytes came back, or others", len(got))
			}
			rec := r.ended(t)
			if rec.End != "--" {
				t.Errorf("%+v", rec)
			}
			if rec.Target == f.addr {
				first++
			}
		}
		return first
	}
	was := dial(t, r.addr)
	defer was.Close()
	isThere := func() {
		t.Helper()
		word, got := []byte("still there"), make([]byte, 11)
		_, err := was.Write(word)
		if _, e := io.ReadFull(was, got); errors.Join(err, e) != nil || !bytes.Equal(got, word) {
			t.Errorf("%q: %v, %v", got, err, e)
		}
	}
	isThere()
	if all := r.Connections(); len(all) != 1 || all[0].Target != f.addr {
		t.Errorf("%+v", all)
	}
	for range 5 {
		is(true)
		isThere()
		if n := used(); n != 2 {
			t.Errorf("it has got %d connections of 4, while it was up", n)
		}
		f.down()
		used() // by the other, whether or not it is known yet
		is(false)
		isThere()
		if n := used(); n != 0 {
			t.Errorf("it has got %d connections while it was down", n)
		}
		f.up()
	}
}

// TestATargetKeepsWhatIsKnownOfIt when a Config that has it comes in place of another: the connections that are there,
// and whether it is up.
func TestATargetKeepsWhatIsKnownOfIt(t *testing.T) {
	addr, came := held(t)
	c := relay.Config{Balance: relay.LeastConnections, Targets: []relay.Target{{Address: addr}}}
	r := run(t, c)
	first := dial(t, r.addr)
	await(t, came, "the first")
	moving(t, r)
	other, cameOther := held(t)
	c.Targets = append(c.Targets, relay.Target{Address: other})
	for range 3 {
		if err := r.Update(c); err != nil {
			t.Fatal(err)
		}
	}
	dial(t, r.addr)
	await(t, cameOther, "the second, where there are fewer")
	if s := r.Stats(); s.Targets[0].Open != 1 || s.Targets[1].Open != 1 || s.Targets[0].Total != 1 {
		t.Errorf("%+v", s.Targets)
	}
	first.Close()
	r.ended(t)
	if s := r.Stats(); s.Targets[0].Open != 0 {
		t.Errorf("%+v", s.Targets)
	}
}

// TestAProxyHeaderDoesNotWaitForTheClient whose protocol may have the server speak first.
func TestAProxyHeaderDoesNotWaitForTheClient(t *testing.T) {
	bothWays(t, func(t *testing.T, c relay.Config) {
		line := make(chan string, 1)
		c.ProxyOut, c.Targets = 1, []relay.Target{{Address: server(t, func(s *net.TCPConn) {
			text, _ := bufio.NewReader(s).ReadString('\n')
			line <- text
			_, _ = io.WriteString(s, "hello")
			_ = s.CloseWrite()
			_, _ = io.Copy(io.Discard, s)
		})}}
		r := run(t, c)
		client := dial(t, r.addr)
		if got := hear(t, client); string(got) != "hello" {
			t.Errorf("%q", got)
		}
		_ = client.CloseWrite()
		from := client.LocalAddr().(*net.TCPAddr)
		if want := fmt.Sprintf("PROXY TCP4 127.0.0.1 127.0.0.1 %d ", from.Port); !strings.HasPrefix(await(t, line, "the header"), want) {
			t.Errorf("not %q", want)
		}
		if rec := r.ended(t); rec.End != "--" || rec.Forward != 0 {
			t.Errorf("%+v", rec)
		}
	})
}

// TestAMirrorGetsNoProxyHeader but the client's bytes.
func TestAMirrorGetsNoProxyHeader(t *testing.T) {
	var s sinks
	r := run(t, relay.Config{
		Targets: []relay.Target{{Address: countingEcho(t, true)}}, ProxyOut: 2,
		Mirrors: []relay.Mirror{{Open: s.open, Direction: relay.Forward}},
	})
	client := dial(t, r.addr)
	go say(t, client, []byte("the client's"))
	if got := hear(t, client); string(got) != "the client's" {
		t.Errorf("%q", got)
	}
	rec := r.ended(t)
	k := s.all[relay.Forward]
	if k == nil {
		t.Fatal("nothing is mirrored")
	}
	if <-k.closed; k.String() != "the client's" || rec.Mirrored != 12 || rec.Lost != 0 || rec.Forward != 12 {
		t.Errorf("the mirror has %q: %+v", k.String(), rec)
	}
}

// TestUnixSocketsAreEitherSide and a target whose backlog is full is waited for, as one of TCP is.
func TestUnixSocketsAreEitherSide(t *testing.T) {
	dir := t.TempDir()
	listenUnix := func(name string) net.Listener {
		l, err := net.Listen("unix", filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	data := noise(1<<20 + 1)
	target := listenUnix("target")
	go func() {
		for {
			c, err := target.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	bothWays(t, func(t *testing.T, c relay.Config) {
		c.Targets = []relay.Target{{Network: "unix", Address: filepath.Join(dir, "target")}}
		c.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} // which is about those that have an address
		r := run(t, c)
		l := listenUnix("relay")
		over := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { over <- r.Serve(ctx, l) }()
		client, err := net.Dial("unix", filepath.Join(dir, "relay"))
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		go func() {
			_, err := client.Write(data)
			if err = errors.Join(err, client.(*net.UnixConn).CloseWrite()); err != nil {
				t.Error(err)
			}
		}()
		if got := hear(t, client); !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back, or others", len(got))
		}
		if rec := r.ended(t); rec.End != "--" || rec.From.IsValid() {
			t.Errorf("%+v", rec)
		}
		cancel()
		if err := await(t, over, "the end of serving"); err != nil {
			t.Error(err)
		}
	})
}

// stuckLog is a log that nobody reads: it tells that something is to be logged, and takes nothing.
type stuckLog struct {
	slog.Handler
	asked chan struct{}
	stop  chan struct{}
}

func (s *stuckLog) Handle(context.Context, slog.Record) error {
	s.asked <- struct{}{}
	<-s.stop
	return nil
}

// TestALogThatIsStuckKeepsNobodyElseFromATarget: it keeps who logs, and no lock meanwhile.
func TestALogThatIsStuckKeepsNobodyElseFromATarget(t *testing.T) {
	s := &stuckLog{slog.NewTextHandler(io.Discard, nil), make(chan struct{}, 100), make(chan struct{})}
	r := run(t, relay.Config{
		Targets: []relay.Target{{Address: refusing(t)}, {Address: echo(t)}}, Log: slog.New(s),
		Check: relay.Check{Backoff: time.Hour},
	})
	t.Cleanup(func() { close(s.stop) })
	first := dial(t, r.addr)
	defer first.Close()
	await(t, s.asked, "a log line of a target that is down")
	second := dial(t, r.addr)
	defer second.Close()
	_ = second.SetDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 1)
	if _, err := second.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(second, b); err != nil {
		t.Fatalf("the second connection waits for the log of the first: %v", err)
	}
	_ = r.Stats() // nor does this
}

// TestARelayThatIsRenamedLogsUnderItsNewName what happens to its targets, and to mirrors of connections that were there.
func TestARelayThatIsRenamedLogsUnderItsNewName(t *testing.T) {
	var log bytes.Buffer
	addr, came := held(t)
	c := relay.Config{
		Name: "old", Targets: []relay.Target{{Address: addr}}, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Mirrors: []relay.Mirror{{Name: "dead", Open: func(context.Context, relay.Info, relay.Direction) (io.WriteCloser, error) {
			return nil, errors.New("nobody there")
		}}},
	}
	r := run(t, c)
	first := dial(t, r.addr)
	if _, err := first.Write([]byte("a word")); err != nil {
		t.Fatal(err)
	}
	await(t, came, "the first")
	for r.Stats().Forward == 0 { // the mirror is to lack something
		time.Sleep(time.Millisecond)
	}
	c.Name, c.Targets = "new", []relay.Target{{Address: refusing(t)}}
	if err := r.Update(c); err != nil {
		t.Fatal(err)
	}
	turnedAway(t, r.addr, "")
	first.Close()
	r.Close()
	got := log.String()
	for _, line := range []string{`msg="target is down" relay=new `, "msg=mirror relay=new mirror=dead "} {
		if !strings.Contains(got, line) {
			t.Errorf("the log has no %s\n%s", line, got)
		}
	}
	if strings.Contains(got, "relay=old") {
		t.Errorf("the log has the old name\n%s", got)
	}
}
