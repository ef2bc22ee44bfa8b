package main

import (
	"math"
	"time"

	"github.com/penstock-io/penstock/bench/internal/table"
)

// metrics are the figures of a run, in the order of the values that figures returns. At a pace the rate is the source's
// choice, so it is told whether the relay kept up with it, and how late messages were.
func (s runSpec) metrics() []table.Metric {
	cpu := table.Metric{Name: "CPU-s/GB", Format: "%.4f", Ratio: "CPU ratio"}
	each := table.Metric{Name: "µs/delivery", Format: "%.2f"}
	rate := table.Metric{Name: "GB/s out", Format: "%.2f", Ratio: "rate ratio"}
	switch {
	case s.paced():
		return []table.Metric{
			cpu, each,
			{Name: "kept up", Format: "%.2f"},
			{Name: "p50 ms", Format: "%.3f"},
			{Name: "p99 ms", Format: "%.3f", Ratio: "p99 ratio"},
		}
	case s.Message > 0:
		return []table.Metric{rate, cpu, each}
	default:
		return []table.Metric{rate, cpu}
	}
}

func (s runSpec) figures(through relayed, arrived drained) []float64 {
	gb := float64(arrived.Bytes) / 1e9
	took := arrived.End - through.Begin
	rate, cpu := gb/took.Seconds(), through.CPU.Seconds()/gb
	if s.Message == 0 {
		return []float64{rate, cpu}
	}
	messages := float64(s.Size) / float64(s.Message)
	each := through.CPU.Seconds() * 1e6 / messages / float64(s.Viewers)
	if !s.paced() {
		return []float64{rate, cpu, each}
	}
	late := func(quantile float64) float64 {
		if arrived.Late.Count == 0 {
			return math.NaN()
		}
		return float64(arrived.Late.Quantile(quantile)) / float64(time.Millisecond)
	}
	ideal := (messages - 1) * s.Every.Seconds() // the stream ends as soon as the last is sent
	return []float64{cpu, each, ideal / took.Seconds(), late(0.5), late(0.99)}
}
