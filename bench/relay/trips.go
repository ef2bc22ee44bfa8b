package main

import (
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/role"
	"github.com/penstock-io/penstock/bench/internal/table"
)

// trips are messages to the server and back, on one connection. Where the relay runs decides how long they take: twice
// as long if each message wakes another CPU. So it has one for itself, as if the others were other machines.
type trips struct{ size int }

func (trips) metrics() []table.Metric {
	return []table.Metric{
		{Name: "p50 µs", Format: "%.1f", Ratio: "p50 ratio"},
		{Name: "p99 µs", Format: "%.1f", Ratio: "p99 ratio"},
		{Name: "CPU µs", Format: "%.1f", Ratio: "CPU ratio"},
	}
}

func (trips) apart() bool           { return runtime.NumCPU() > 1 }
func (trips) server(p ports) string { return p.Streams }

func (t trips) measure(s *stage, of extent) ([]float64, error) {
	c, err := s.dial(echoes, int64(t.size))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	const most = 1_000_000 // a second, which nobody reaches: the list does not grow in anybody's time
	took := make([]time.Duration, 0, int(most*of.lasts.Seconds()))
	var before, after float64
	run := func(fd int) error {
		b := make([]byte, t.size)
		trip := func() error { return errors.Join(writeAll(fd, b), readFull(fd, b)) }
		// A relay may have to find out first what it relays, and a connection begins by acknowledging each segment.
		const warm = 50
		begin := machine.Monotonic()
		for n := 0; n < warm || machine.Monotonic()-begin < of.lasts/10; n++ {
			if err := trip(); err != nil {
				return err
			}
		}
		var err error
		if before, err = s.cpu(); err != nil {
			return err
		}
		begin = machine.Monotonic()
		for at := begin; at-begin < of.lasts; {
			if err := trip(); err != nil {
				return err
			}
			now := machine.Monotonic()
			took = append(took, now-at)
			at = now
		}
		after, err = s.cpu()
		return err
	}
	err = blocking(c, func(fd int) error {
		if !t.apart() {
			return run(fd)
		}
		return role.On(role.Apart(false), func() error { return run(fd) })
	})
	if err != nil {
		return nil, err
	}
	n := len(took)
	slices.Sort(took)
	return []float64{
		float64(took[n/2]) / micro, float64(took[n*99/100]) / micro, (after - before) * 1e6 / float64(n),
	}, nil
}
