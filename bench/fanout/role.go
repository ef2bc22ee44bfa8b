package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/role"
	"github.com/penstock-io/penstock/bench/internal/socket"
	"github.com/penstock-io/penstock/bench/internal/table"
)

// A run is four processes: this one, which only waits, and three re-executions of its binary:
//
//	source ─tcp→ relay ─tcp→ viewers
//
// so that the relay's getrusage is the relay's alone. Each role takes a runSpec on standard input and answers in JSON
// on standard output; the relay first tells where it listens, the viewers that they are connected.

// runSpec is one measurement: a kind of relay, a number of viewers, a stream of some length.
type runSpec struct {
	Kind       string
	Viewers    int
	Size       int64  // bytes of the stream
	Send       string // how the source sends, see sendStream
	Drain      string // how the viewers drain, see drainStreams
	Congestion string // congestion control of the two senders; empty is the system's
	Pin        bool   // give the relay a CPU of its own

	Message int           // bytes; 0 is bulk, see arrivals.go
	Every   time.Duration // from one message to the next; 0 is as fast as can be
	Record  string        // directory to record the stream in; empty is not at all
	TLS     int           // one viewer in so many is on TLS; 0 is none

	Source string // address to connect to, once known
	Viewer string
}

// playRole runs the role that this process was started for.
func playRole(name string) error {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	var spec runSpec
	if err := in.Decode(&spec); err != nil {
		return err
	}
	// Every viewer has a descriptor, and some a pipe.
	const each, rest = 3, 100
	if _, err := machine.AllowDescriptors(spec.Viewers*each + rest); err != nil {
		return err
	}
	switch name {
	case "relay":
		return playRelay(spec, out)
	case "viewers":
		return playViewers(spec, out)
	case "source":
		return sendStream(spec)
	}
	return fmt.Errorf("unknown role %q", name)
}

func playRelay(spec runSpec, out *json.Encoder) error {
	r, err := findRelay(spec.Kind)
	if err != nil {
		return err
	}
	viewerSide, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	sourceSide, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	spec.Source, spec.Viewer = sourceSide.Addr().String(), viewerSide.Addr().String()
	if err := out.Encode(spec); err != nil {
		return err
	}
	d, err := acceptViewers(viewerSide, spec)
	if err != nil {
		return err
	}
	if d.src, err = accept(sourceSide); err != nil {
		return err
	}
	if spec.Record != "" {
		if d.record, err = createRecording(spec.Record); err != nil {
			return err
		}
		defer d.record.Close()
	}
	result, err := measureRelay(r, d)
	if err != nil {
		return err
	}
	if d.record != nil {
		if err := checkRecording(d.record, spec.Size, spec.Send == "pattern"); err != nil {
			return err
		}
	}
	return out.Encode(result)
}

func acceptViewers(l net.Listener, spec runSpec) (d duty, err error) {
	config, err := serverConfig()
	if err != nil {
		return d, err
	}
	for i := range spec.Viewers {
		c, err := accept(l)
		if err != nil {
			return d, err
		}
		if err := socket.SetCongestion(c, spec.Congestion); err != nil {
			return d, err
		}
		v := net.Conn(c)
		if spec.encrypted(i) {
			if v, err = handshake(c, config, tls.Server); err != nil {
				return d, err
			}
		}
		d.viewers = append(d.viewers, v)
	}
	return d, nil
}

func accept(l net.Listener) (*net.TCPConn, error) {
	c, err := l.Accept()
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

func playViewers(spec runSpec, out *json.Encoder) error {
	conns := make([]net.Conn, spec.Viewers)
	for i := range conns {
		c, err := net.Dial("tcp", spec.Viewer)
		if err == nil && spec.encrypted(i) {
			c, err = handshake(c.(*net.TCPConn), clientConfig(), tls.Client)
		}
		if err != nil {
			return err
		}
		conns[i] = c
	}
	if err := out.Encode(spec); err != nil {
		return err
	}
	total, err := drainStreams(conns, spec)
	if err != nil {
		return err
	}
	return out.Encode(total)
}

// measure plays all three roles for one run.
func measure(spec runSpec) (s table.Sample, err error) {
	others, err := machine.WatchOthers()
	if err != nil {
		return s, err
	}
	var ours time.Duration
	defer func() {
		if err == nil {
			s.Others, err = others.Share(ours)
		}
	}()
	relayRole, err := startRole("relay", spec.Pin)
	if err != nil {
		return s, err
	}
	defer func() { ours += relayRole.Stop() }()
	if err := relayRole.Ask(spec, &spec); err != nil {
		return s, err
	}
	viewersRole, err := startRole("viewers", spec.Pin)
	if err != nil {
		return s, err
	}
	defer func() { ours += viewersRole.Stop() }()
	if err := viewersRole.Ask(spec, &runSpec{}); err != nil {
		return s, err
	}
	sourceRole, err := startRole("source", spec.Pin)
	if err != nil {
		return s, err
	}
	defer func() { ours += sourceRole.Stop() }()
	if err := sourceRole.In.Encode(spec); err != nil {
		return s, err
	}

	var through relayed
	if err := relayRole.Out.Decode(&through); err != nil {
		return s, fmt.Errorf("relay: %w", err)
	}
	var arrived drained
	if err := viewersRole.Out.Decode(&arrived); err != nil {
		return s, fmt.Errorf("viewers: %w", err)
	}
	want := spec.Size * int64(spec.Viewers)
	if arrived.Bytes != want {
		return s, fmt.Errorf("%d bytes delivered instead of %d", arrived.Bytes, want)
	}
	s.Values = spec.figures(through, arrived)
	return s, nil
}

// startRole starts a role; with pin the relay has the first CPU to itself and the other roles share the rest.
func startRole(name string, pin bool) (*role.Process, error) {
	var o role.Options
	if pin {
		o.CPUs = role.Apart(name == "relay")
	}
	return role.Start(name, o)
}
