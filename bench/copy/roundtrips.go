package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
)

// A round trip is one message to a server and back, through a relay both times:
//
//	client ⇄ copier ⇄ server

// trips is what the client tells.
type trips struct {
	Each     []time.Duration
	Duration time.Duration
}

// spent is what the copier tells.
type spent struct{ CPU time.Duration }

func directRoundTrips(c *cast) ([]float64, error) {
	s := c.spec
	if _, err := c.brief(&s, "server"); err != nil {
		return nil, err
	}
	copier, err := c.brief(&s, "copier")
	if err != nil {
		return nil, err
	}
	client, err := c.start("client")
	if err != nil {
		return nil, err
	}
	var made trips
	if err := client.Ask(s, &made); err != nil {
		return nil, err
	}
	var used spent
	if err := copier.Out.Decode(&used); err != nil {
		return nil, err
	}
	slices.Sort(made.Each)
	n := len(made.Each)
	micros := func(d time.Duration) float64 { return float64(d) / 1e3 }
	return []float64{
		float64(n) / made.Duration.Seconds(),
		micros(made.Each[n/2]),
		micros(made.Each[n*99/100]),
		micros(used.CPU) / float64(n),
	}, nil
}

func playClient(s spec, _ *json.Decoder, out *json.Encoder) error {
	e, err := dial(overTCP, s.Up[0], s.Congestion)
	if err != nil {
		return err
	}
	b := make([]byte, s.Write)
	var made trips
	begin := machine.Monotonic()
	for at := begin; at-begin < s.For; {
		if _, err := e.Write(b); err != nil {
			return err
		}
		if _, err := io.ReadFull(e, b); err != nil {
			return err
		}
		now := machine.Monotonic()
		made.Each = append(made.Each, now-at)
		at = now
	}
	made.Duration = machine.Monotonic() - begin
	return errors.Join(e.Close(), out.Encode(made))
}

// playServer sends every message back once it is whole.
func playServer(s spec, _ *json.Decoder, out *json.Encoder) error {
	l, err := listen(overTCP)
	if err != nil {
		return err
	}
	s.Down = []string{l.Addr().String()}
	if err := out.Encode(s); err != nil {
		return err
	}
	e, err := accept(l, s.Congestion)
	if err != nil {
		return err
	}
	b := make([]byte, s.Write)
	for {
		if _, err := io.ReadFull(e, b); err != nil {
			return errors.Join(e.Close(), notEOF(err))
		}
		if _, err := e.Write(b); err != nil {
			return err
		}
	}
}

func notEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func playRelay(s spec, _ *json.Decoder, out *json.Encoder) error {
	l, err := listen(overTCP)
	if err != nil {
		return err
	}
	s.Up = []string{l.Addr().String()}
	if err := out.Encode(s); err != nil {
		return err
	}
	up, err := accept(l, s.Congestion)
	if err != nil {
		return err
	}
	down, err := dial(overTCP, s.Down[0], s.Congestion)
	if err != nil {
		return err
	}
	before := machine.ProcessCPU()
	if err := relayKinds[s.Kind](up.(net.Conn), down.(net.Conn)); err != nil {
		return err
	}
	return out.Encode(spent{machine.ProcessCPU() - before})
}
