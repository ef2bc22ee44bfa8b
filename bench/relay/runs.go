package main

import (
	"time"

	"github.com/penstock-io/penstock/bench/internal/table"
)

// run is one measurement with a relay. Its values are those of its metrics.
type run interface {
	metrics() []table.Metric
	server(ports) string
	apart() bool // the relay has a CPU for itself, and the others another
	measure(*stage, extent) ([]float64, error)
}

// extent is how much of each run there is.
type extent struct {
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
