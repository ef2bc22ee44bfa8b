package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/role"
	"github.com/penstock-io/penstock/bench/internal/table"
)

// run is one measurement with a relay. Its values are those of its metrics.
type run interface {
	metrics() []table.Metric
	server(ports) string
	apart() bool // the relay has a CPU for itself, and the others another
	measure(*stage, settings) ([]float64, error)
}

// settings are the same for all runs.
type settings struct {
	bytes int64         // of a stream
	lasts time.Duration // of everything else
	idle  int           // connections that do nothing
}

// Metrics by their place.
const (
	rate, rateCPU, share         = 0, 1, 2       // of streams
	median, high, tripCPU        = 0, 1, 2       // of round trips
	perSecond, connCPU, connHigh = 0, 1, 2       // of short connections
	descriptors, memory          = 0, 1          // of idle ones
	micro                        = float64(1000) // ns
)

// bulk is streams from clients to the server, all of them together of a size.
type bulk struct {
	conns int
	pace  int64 // bytes per second of all together; 0 is as fast as can be
}

func (bulk) metrics() []table.Metric {
	return []table.Metric{
		{Name: "GB/s", Format: "%.2f", Ratio: "rate ratio"},
		{Name: "CPU-s/GB", Format: "%.3f", Ratio: "CPU ratio"},
		{Name: "mirrored", Format: "%.4f"},
	}
}

func (bulk) apart() bool           { return false }
func (bulk) server(p ports) string { return p.Streams }

// atOnce is what a client writes at a time.
var atOnce = make([]byte, 256<<10)

func (b bulk) measure(s *stage, set settings) ([]float64, error) {
	size := set.bytes
	if b.pace > 0 {
		size = int64(float64(b.pace) * (2 * set.lasts).Seconds())
	}
	each := size / int64(b.conns)
	conns := make([]*net.TCPConn, b.conns)
	defer func() { closeAll(conns) }()
	for i := range conns {
		var err error
		if conns[i], err = s.dial(sinks, each); err != nil {
			return nil, err
		}
	}
	before, err := s.tree.CPU()
	if err != nil {
		return nil, err
	}
	began := machine.Monotonic()
	failures := make([]error, b.conns)
	var all sync.WaitGroup
	for i, c := range conns {
		all.Go(func() { failures[i] = stream(c, each, b.pace/int64(b.conns)) })
	}
	all.Wait()
	took := machine.Monotonic() - began
	if err := errors.Join(failures...); err != nil {
		return nil, err
	}
	had := math.NaN()
	if s.kind.mirror {
		closeAll(conns)
		const answers = 1
		if had, err = s.mirrored(int64(b.conns) * (headerSize + each + answers)); err != nil {
			return nil, err
		}
	}
	after, err := s.tree.CPU()
	gb := float64(each*int64(b.conns)) / 1e9
	return []float64{gb / took.Seconds(), (after - before).Seconds() / gb, had}, err
}

func closeAll(conns []*net.TCPConn) {
	for i, c := range conns {
		if c != nil {
			c.Close()
			conns[i] = nil
		}
	}
}

// stream sends so many bytes, at a pace unless that is 0, and waits until the server has them.
func stream(c *net.TCPConn, n, pace int64) error {
	piece, begin := int64(len(atOnce)), time.Now()
	if pace > 0 {
		const paced = 64 << 10
		piece = paced
	}
	for sent := int64(0); sent < n; {
		if pace > 0 { // who is late is not waited for
			time.Sleep(time.Until(begin.Add(time.Duration(float64(sent) / float64(pace) * 1e9))))
		}
		w, err := c.Write(atOnce[:min(n-sent, piece)])
		if err != nil {
			return err
		}
		sent += int64(w)
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

// trips are messages to the server and back, on one connection. Where the relay runs decides how long they take: twice as
// long if each message wakes another CPU. So it has one for itself, as if the others were other machines.
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

func (t trips) measure(s *stage, set settings) ([]float64, error) {
	c, err := s.dial(echoes, int64(t.size))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var took []time.Duration
	var before, after time.Duration
	run := func(fd int) error {
		b := make([]byte, t.size)
		trip := func() error { return errors.Join(writeAll(fd, b), readFull(fd, b)) }
		const warm = 50
		for range warm {
			if err := trip(); err != nil {
				return err
			}
		}
		var err error
		if before, err = s.tree.CPU(); err != nil {
			return err
		}
		begin := machine.Monotonic()
		for at := begin; at-begin < set.lasts; {
			if err := trip(); err != nil {
				return err
			}
			now := machine.Monotonic()
			took = append(took, now-at)
			at = now
		}
		after, err = s.tree.CPU()
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
		float64(took[n/2]) / micro, float64(took[n*99/100]) / micro, float64(after-before) / micro / float64(n),
	}, nil
}

// short is connections that carry a byte each way, several at a time.
type short struct{}

// clientsAtOnce is how many.
const clientsAtOnce = 16

func (short) metrics() []table.Metric {
	return []table.Metric{
		{Name: "per second", Format: "%.0f", Ratio: "rate ratio"},
		{Name: "CPU µs", Format: "%.1f", Ratio: "CPU ratio"},
		{Name: "p99 µs", Format: "%.0f"},
	}
}

func (short) apart() bool           { return false }
func (short) server(p ports) string { return p.Short }

func (short) measure(s *stage, set settings) ([]float64, error) {
	to := &unix.SockaddrInet4{Port: s.front.Port, Addr: [4]byte(s.front.IP.To4())}
	before, err := s.tree.CPU()
	if err != nil {
		return nil, err
	}
	begin := machine.Monotonic()
	each := make([][]time.Duration, clientsAtOnce)
	failures := make([]error, clientsAtOnce)
	var all sync.WaitGroup
	for i := range each {
		all.Go(func() {
			for at := begin; at-begin < set.lasts; {
				if failures[i] = once(to); failures[i] != nil {
					return
				}
				now := machine.Monotonic()
				each[i] = append(each[i], now-at)
				at = now
			}
		})
	}
	all.Wait()
	took := machine.Monotonic() - begin
	after, cerr := s.tree.CPU()
	if err := errors.Join(errors.Join(failures...), cerr); err != nil {
		return nil, err
	}
	delays := slices.Concat(each...)
	slices.Sort(delays)
	n := len(delays)
	return []float64{
		float64(n) / took.Seconds(), float64(after-before) / micro / float64(n), float64(delays[n*99/100]) / micro,
	}, nil
}

// once connects, has its byte back, and closes.
func once(to unix.Sockaddr) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	for err = unix.Connect(fd, to); err == unix.EINTR; {
		err = unix.Connect(fd, to)
	}
	if err != nil && err != unix.EISCONN {
		return os.NewSyscallError("connect", err)
	}
	b := []byte{'.'}
	if err := writeAll(fd, b); err != nil {
		return err
	}
	if err := readFull(fd, b); err != nil {
		return fmt.Errorf("no answer: %w", err)
	}
	return nil
}

// idle is connections that have carried a message each way, and then nothing.
type idle struct{}

func (idle) metrics() []table.Metric {
	return []table.Metric{
		{Name: "descriptors", Format: "%.2f"},
		{Name: "KiB", Format: "%.1f", Ratio: "memory ratio"},
	}
}

func (idle) apart() bool           { return false }
func (idle) server(p ports) string { return p.Streams }

func (idle) measure(s *stage, set settings) ([]float64, error) {
	const message = 16
	before, err := s.holds()
	if err != nil {
		return nil, err
	}
	conns := make([]*net.TCPConn, set.idle)
	defer func() { closeAll(conns) }()
	for i := range conns {
		c, err := s.dial(echoes, message)
		if err != nil {
			return nil, err
		}
		conns[i] = c
		b := make([]byte, message)
		if _, err := c.Write(b); err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return nil, err
		}
	}
	time.Sleep(set.lasts) // pools give up what they do not need, but not at once
	after, err := s.holds()
	n := float64(set.idle)
	return []float64{
		float64(after.descriptors-before.descriptors) / n, float64(after.memory-before.memory) / 1024 / n,
	}, err
}

type holding struct{ descriptors, memory int }

func (s *stage) holds() (h holding, err error) {
	if h.descriptors, err = s.tree.Descriptors(); err != nil {
		return h, err
	}
	h.memory, err = s.tree.Memory()
	return h, err
}
