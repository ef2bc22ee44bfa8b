package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// table holds the samples for one number of viewers: samples[k][round] belongs to kinds[k].
type table struct {
	viewers int
	kinds   []string
	samples [][]sample
}

// spread is a median and the range it came from.
type spread struct{ median, low, high float64 }

func spreadOf(values []float64) spread {
	v := slices.Sorted(slices.Values(values))
	m := len(v) / 2
	median := v[m]
	if len(v)%2 == 0 {
		median = (v[m-1] + v[m]) / 2
	}
	return spread{median, v[0], v[len(v)-1]}
}

// row is what is said about one kind: figures, and ratios to the table's first kind within each round.
type row struct {
	kind                string
	rate, cpu           spread
	rateRatio, cpuRatio spread
}

func (t table) rows() []row {
	rows := make([]row, len(t.kinds))
	for k, kind := range t.kinds {
		var rate, cpu, rateRatio, cpuRatio []float64
		for round, s := range t.samples[k] {
			base := t.samples[0][round]
			rate, cpu = append(rate, s.GBPerSecond), append(cpu, s.CPUPerGB)
			rateRatio = append(rateRatio, s.GBPerSecond/base.GBPerSecond)
			cpuRatio = append(cpuRatio, s.CPUPerGB/base.CPUPerGB)
		}
		rows[k] = row{kind, spreadOf(rate), spreadOf(cpu), spreadOf(rateRatio), spreadOf(cpuRatio)}
	}
	return rows
}

// print writes the table for a terminal.
func (t table) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "N=%d\trate ratio\tCPU ratio\tGB/s out\tCPU-s/GB\n", t.viewers)
	for _, r := range t.rows() {
		fmt.Fprintf(tw, "%s\t%.2f (%.2f-%.2f)\t%.2f (%.2f-%.2f)\t%.2f (%.2f-%.2f)\t%.4f (%.4f-%.4f)\n", r.kind,
			r.rateRatio.median, r.rateRatio.low, r.rateRatio.high,
			r.cpuRatio.median, r.cpuRatio.low, r.cpuRatio.high,
			r.rate.median, r.rate.low, r.rate.high,
			r.cpu.median, r.cpu.low, r.cpu.high)
	}
	return tw.Flush()
}
