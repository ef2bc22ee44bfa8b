package main

import (
	"errors"
	"io"
	"math"
	"net"
	"sync"
	"time"

	"github.com/penstock-io/penstock/bench/internal/machine"
	"github.com/penstock-io/penstock/bench/internal/table"
)

// bulk is streams from clients to the server, all of them together of a size.
type bulk struct {
	conns int
	pace  int64 // bytes per second of all together; 0 is as fast as can be
}

func (bulk) metrics() []table.Metric {
	return []table.Metric{
		{Name: "GB/s", Format: "%.2f", Ratio: "rate ratio", More: true},
		{Name: "CPU-s/GB", Format: "%.3f", Ratio: "CPU ratio"},
		{Name: "mirrored", Format: "%.4f", More: true},
	}
}

func (bulk) apart() bool           { return false }
func (bulk) server(p ports) string { return p.Streams }

// atOnce is what a client writes at a time.
var atOnce = make([]byte, 256<<10)

func (b bulk) measure(s *stage, of extent) ([]float64, error) {
	size := of.bytes
	if b.pace > 0 {
		size = int64(float64(b.pace) * (2 * of.lasts).Seconds())
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
	before, err := s.cpu()
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
		if had, err = s.mirrored(int64(b.conns) * (headerSize + each)); err != nil {
			return nil, err
		}
	}
	after, err := s.cpu()
	gb := float64(each*int64(b.conns)) / 1e9
	return []float64{gb / took.Seconds(), (after - before) / gb, had}, err
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
