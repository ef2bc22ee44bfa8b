package main

import (
	"io"
	"net"
	"time"

	"github.com/penstock-io/penstock/bench/internal/table"
)

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

func (idle) measure(s *stage, of extent) ([]float64, error) {
	const message = 16
	before, err := s.holds()
	if err != nil {
		return nil, err
	}
	conns := make([]*net.TCPConn, of.idle)
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
	time.Sleep(of.lasts) // pools give up what they do not need, but not at once
	after, err := s.holds()
	n := float64(of.idle)
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
