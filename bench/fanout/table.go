package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/penstock-io/penstock/bench/internal/spread"
)

// table holds the samples for one number of viewers: samples[k][round] belongs to kinds[k].
type table struct {
	viewers int
	kinds   []string
	samples [][]sample
}

// row is what is said about one kind: figures, and ratios to the table's first kind within each round.
type row struct {
	kind                string
	rate, cpu           spread.Spread
	rateRatio, cpuRatio spread.Spread
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
		rows[k] = row{kind, spread.Of(rate), spread.Of(cpu), spread.Of(rateRatio), spread.Of(cpuRatio)}
	}
	return rows
}

// print writes the table for a terminal.
func (t table) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "N=%d\trate ratio\tCPU ratio\tGB/s out\tCPU-s/GB\n", t.viewers)
	for _, r := range t.rows() {
		fmt.Fprintf(tw, "%s\t%.2f (%.2f-%.2f)\t%.2f (%.2f-%.2f)\t%.2f (%.2f-%.2f)\t%.4f (%.4f-%.4f)\n", r.kind,
			r.rateRatio.Median, r.rateRatio.Low, r.rateRatio.High,
			r.cpuRatio.Median, r.cpuRatio.Low, r.cpuRatio.High,
			r.rate.Median, r.rate.Low, r.rate.High,
			r.cpu.Median, r.cpu.Low, r.cpu.High)
	}
	return tw.Flush()
}
