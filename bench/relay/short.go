package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/table"
)

// short is connections that carry a byte each way, several at a time.
type short struct{}

// clientsAtOnce is how many.
const clientsAtOnce = 16

// processors is what Go's scheduler is to think there are at both ends of short connections: one for each goroutine. A
// system call that waits keeps its processor until that is taken away, up to 10 ms later, and who has an answer meanwhile
// would wait for it.
const processors = 2*waiting + clientsAtOnce

func (short) metrics() []table.Metric {
	return []table.Metric{
		{Name: "per second", Format: "%.0f", Ratio: "rate ratio", More: true},
		{Name: "CPU µs", Format: "%.1f", Ratio: "CPU ratio"},
		{Name: "p99 µs", Format: "%.0f"},
	}
}

func (short) apart() bool           { return false }
func (short) server(p ports) string { return p.Short }

func (short) measure(s *stage, of extent) ([]float64, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
	to := unix.SockaddrInet4{Port: s.front.Port, Addr: [4]byte(s.front.IP.To4())}
	before, err := s.cpu()
	if err != nil {
		return nil, err
	}
	begin := machine.Monotonic()
	each := make([][]time.Duration, clientsAtOnce)
	failures := make([]error, clientsAtOnce)
	var all sync.WaitGroup
	for i := range each {
		all.Go(func() {
			for at := begin; at-begin < of.lasts; {
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
	after, cerr := s.cpu()
	if err := errors.Join(errors.Join(failures...), cerr); err != nil {
		return nil, err
	}
	delays := slices.Concat(each...)
	slices.Sort(delays)
	n := len(delays)
	return []float64{
		float64(n) / took.Seconds(), (after - before) * 1e6 / float64(n), float64(delays[n*99/100]) / micro,
	}, nil
}

// once connects, has its byte back, and closes.
func once(to unix.SockaddrInet4) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	for err = unix.Connect(fd, &to); err == unix.EINTR; {
		err = unix.Connect(fd, &to)
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
